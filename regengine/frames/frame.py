"""A frame as exported: the engine's proposal, or the camera and points accepted in review."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matchers.geometry.camera import Camera
from matchers.geometry.footprint import WGS84, find_looked_at
from regengine.frames.geometry import LonLat, Ring, View, make_footprints, view_geometry
from regengine.maps.places import name_view, place_index
from regengine.registration.control_points import ground_jacobian
from regengine.store.file import photo_file
from regengine.store.records import prior_nadir
from regengine.store.result import (
    FitRecord,
    FrameResult,
    NadirInput,
    Reviewed,
    ReviewedPoint,
    decide_state,
)
from regengine.store.rows import StoredFrame

if TYPE_CHECKING:
    from regengine.registration.points.compare_maps import MapMatches

METRES = 3  # decimals of kilometres: the position of a city's centre is no more accurate


# ``city``, its name in GeoNames, its ``country``, and ``city_km`` to its centre
Town = dict[str, Any]
NO_TOWN: Town = {"city": None, "country": None, "city_km": None}


@dataclass(frozen=True)
class GroundBlock:
    """Several frames, whose derived values are computed together, on first use."""

    frames: Sequence[ExportFrame]

    @cached_property
    def stances(self) -> list[View | None]:
        """Position and viewing direction of each camera."""
        views = iter(view_geometry([one.camera for one in self.frames if one.camera is not None]))
        return [None if one.camera is None else next(views) for one in self.frames]

    @cached_property
    def footprints(self) -> list[list[Ring]]:
        """Footprint of each photo; empty without a camera."""
        return make_footprints([one.camera for one in self.frames])

    @cached_property
    def towns(self) -> list[tuple[Town, Town, list[Town]]]:
        """The nearest cities of each nadir, image centre and control points, or `NO_TOWN`."""
        places = [
            (
                _place(stance, "camera"),
                _place(stance, "centre"),
                *((point.lon, point.lat) for point in frame.points),
            )
            for stance, frame in zip(self.stances, self.frames, strict=True)
        ]
        index = place_index()
        lon, lat = zip(*(one or (nan, nan) for several in places for one in several), strict=True)
        numbers, distances = (found.tolist() for found in index.near(lon, lat))
        named = {number: index[number] for number in set(numbers) if number >= 0}
        towns = (
            _describe_town(named[number].name, named[number].country, distance)
            if number in named
            else NO_TOWN
            for number, distance in zip(numbers, distances, strict=True)
        )
        return [
            (next(towns), next(towns), [next(towns) for _ in frame.points]) for frame in self.frames
        ]


def _describe_town(name: str, country: str, distance_km: float) -> Town:
    km = round(distance_km, METRES) if isfinite(distance_km) else None
    return {"city": name or None, "country": country or None, "city_km": km}


def _place(stance: View | None, name: str) -> LonLat | None:
    """Nadir or image centre of a view; None where there is none."""
    if stance is None or not isfinite(stance[f"{name}_lon"]):
        return None
    return stance[f"{name}_lon"], stance[f"{name}_lat"]


@dataclass(frozen=True, kw_only=True)
class ExportPoint(ReviewedPoint):
    """A control point of the engine, or of a person; unknown values are None."""

    sigma_px: float | None = None
    origin: str = "engine"
    sigma_m: float | None = None  # one sigma per axis on the ground
    # covariance_px, covariance_m: (xx, xy, yy) in square pixels, (ee, en, nn) in square metres.
    covariance_px: tuple[float, float, float] | None = None
    covariance_m: tuple[float, float, float] | None = None
    n_lights: int | None = None  # that support it
    enabled: bool = True  # whether a fit uses it


@dataclass(frozen=True, kw_only=True)
class ExportFrame:
    """A frame to export, with the camera and the control points that apply."""

    stored: StoredFrame
    store: Path  # photos are searched for next to it
    verdict: str  # see `regengine.store.reviews.decide_state`
    camera: Camera | None  # None without a proposal
    points: tuple[ExportPoint, ...]
    review: Reviewed | None = None  # a person's decision, if there is one
    photos: Path | None = None  # a folder in which photos are searched for, too
    matches: MapMatches | None = None  # what photo and map both show, if it was asked for
    # Block that computes values derived from camera and points, and the frame's index in it
    ground: tuple[GroundBlock, int] | None = None

    @property
    def result(self) -> FrameResult:
        """The engine's result."""
        return self.stored.result

    @property
    def photo(self) -> Path | None:
        """The photo's file, if it still exists; see `regengine.store.file.photo_file`."""
        return photo_file(self.result.path, self.store, self.result.sha256, self.photos)

    @property
    def fit(self) -> FitRecord | None:
        """Statistics of the engine's fit; None if a person chose another camera."""
        solved = self.result.solved
        if solved is None or not (self.review is None or same_camera(self.camera, solved.camera)):
            return None
        return self.result.fit

    @property
    def accepted_by_person(self) -> bool:
        """Whether camera and points were accepted by a person."""
        return self.review is not None and self.review.decision == "accepted"

    @property
    def worst_sigma_m(self) -> float | None:
        """Greatest sigma of the control points on the ground."""
        return max((p.sigma_m for p in self.points if p.sigma_m is not None), default=None)

    @property
    def stance(self) -> View | None:
        """Position and viewing direction of the camera; see `regengine.frames.geometry`."""
        block, number = self._ground
        return block.stances[number]

    @property
    def nadir(self) -> LonLat | None:
        """Nadir of the solved camera."""
        return _place(self.stance, "camera")

    @property
    def centre(self) -> LonLat | None:
        """Ground position of the image centre; None for the sky."""
        return _place(self.stance, "centre")

    @property
    def footprint(self) -> list[Ring]:
        """The visible ground as closed rings; see `regengine.frames.geometry`."""
        block, number = self._ground
        return block.footprints[number]

    @property
    def towns(self) -> tuple[Town, Town, list[Town]]:
        """The nearest cities of nadir, image centre and each control point."""
        block, number = self._ground
        return block.towns[number]

    @property
    def prior_nadir(self) -> NadirInput | None:
        """The nadir given to the search, if any."""
        return prior_nadir(self.result)

    @cached_property
    def looked_at(self) -> LonLat:
        """Ground position that the photo is centred on; not finite if there is none."""
        return (nan, nan) if self.camera is None else find_looked_at(self.camera)

    @cached_property
    def shown(self) -> Town:
        """What the photo shows: as the reviewer named it, else `regengine.maps.places.name_view`.

        The city may be a sea; the distance is that from `looked_at`.
        """
        if self.review is not None and (named := self.review.place) is not None:
            name, country, town = named["name"], named["country"], (named["lon"], named["lat"])
        elif (place := name_view(self.camera)) is not None:
            name, country, town = place.local_name, place.country, (place.lon, place.lat)
        else:
            return NO_TOWN
        return _describe_town(name, country, WGS84.inv(*self.looked_at, *town)[2] / 1e3)

    @cached_property
    def _ground(self) -> tuple[GroundBlock, int]:
        return self.ground or (GroundBlock([self]), 0)


def make_engine_frame(stored: StoredFrame, store: Path) -> ExportFrame:
    """A frame with the engine's result."""
    result = stored.result
    return ExportFrame(
        stored=stored,
        store=store,
        verdict=result.verdict,
        camera=None if result.solved is None else result.solved.camera,
        points=tuple(ExportPoint(**vars(point)) for point in result.control_points),
    )


# Relative difference that remains after a number is sent to the page and back
SAME = 1e-9


def with_review(frame: ExportFrame, review: Reviewed | None) -> ExportFrame:
    """A frame with a person's decision applied.

    If the person accepted, the frame has their camera and points; the camera may be missing if they
    moved only points. Otherwise it has the engine's.
    """
    if review is None:
        return frame
    state = decide_state(frame.verdict, review)
    if review.decision != "accepted":
        return replace(frame, verdict=state, review=review)
    camera = review.camera
    points = tuple(_point(point, frame, camera) for point in review.points)
    if camera is None and all(point.covariance_px is not None for point in points):  # untouched
        camera = frame.camera
    if not points and same_camera(camera, frame.camera):
        points = frame.points
    return replace(frame, verdict=state, camera=camera, points=points, review=review, ground=None)


def same_camera(one: Camera | None, other: Camera | None) -> bool:
    """Whether two cameras are equal except for rounding."""
    if one is None or other is None:
        return one is other
    # Square pixels have no aspect
    values = ([1.0 if value is None else value for value in astuple(x)] for x in (one, other))
    return all(np.allclose(a, b, rtol=SAME, atol=SAME) for a, b in zip(*values, strict=True))


def _point(point: ReviewedPoint, frame: ExportFrame, camera: Camera | None) -> ExportPoint:
    """Convert a person's point; if unchanged, with the engine's uncertainty and lights."""
    place = (point.x, point.y, point.lon, point.lat)
    for known in frame.points:
        if np.allclose((known.x, known.y, known.lon, known.lat), place, rtol=SAME, atol=SAME):
            return known
    return ExportPoint(**vars(point), sigma_m=sigma_on_ground(camera or frame.camera, point))


def sigma_on_ground(camera: Camera | None, point: ReviewedPoint) -> float | None:
    """One sigma per axis on the ground, metres, from a point's sigma in the image."""
    if camera is None or point.sigma_px is None:
        return None
    pixels_per_metre = ground_jacobian(camera, point.lon, point.lat)
    if not np.isfinite(pixels_per_metre).all() or abs(np.linalg.det(pixels_per_metre)) < 1e-12:
        return None
    on_ground = np.linalg.inv(pixels_per_metre)
    return point.sigma_px * math.sqrt(float(np.sum(on_ground**2)) / 2.0)
