"""Cameras from points, and points moved to where photo and map agree."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from matchers.photo_light import LightImage
from matchers.resection import Free
from regengine.errors import ConfigError
from regengine.photo.image import read_linear_light
from regengine.registration.map_window import ground_sample_km
from regengine.registration.preparation import fine_px, lights_of_photo
from regengine.review.bodies import MOST_POINTS, Body, CameraBody, PointBody, check_of_photo
from regengine.review.context import ReviewContext
from regengine.review.frame_answer import camera_json
from regengine.review.ground_track import flights
from regengine.review.reviewed import ReviewedPoint
from regengine.review.routes_frames import FrameId, no_frame
from regengine.review.solving import PointFit, Solved, snap, solve

# City light of the photos that a person works on, kept while they do.

KEPT = 3
SMOOTH_PX = 1.0  # about the map's own blur


class PhotoLightCache:
    """Light images of the latest photos; may be asked by many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int, int], LightImage] = OrderedDict()
        self._lock = Lock()

    def light(self, path: Path, camera: Camera) -> LightImage:
        """The photo's city light in pixels of about a third of a kilometre."""
        altitude_km = float(ecef_to_geodetic(camera.position_ecef_m)[2]) / 1e3
        side_px = fine_px(camera, altitude_km)
        key = path, path.stat().st_mtime_ns, side_px
        with self._lock:  # one at a time: each takes a second and some hundred megabytes
            if key not in self._kept:
                self._kept[key] = _light_of(path, camera, side_px)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


def _light_of(path: Path, camera: Camera, side_px: int) -> LightImage:
    linear = read_linear_light(path, max_long_side_px=side_px)
    lights = lights_of_photo(linear, ground_sample_km(camera) / linear.factor)
    return lights.sharp.resized(side_px, SMOOTH_PX)


BEHIND_PX = 1e6


class SolveBody(Body):
    """Points, and the camera that they put right."""

    points: Annotated[list[PointBody], Field(min_length=1, max_length=MOST_POINTS)]
    start: CameraBody
    free: Free = "auto"


class SnapBody(Body):
    """A point, the camera that it is seen with, and which side of it moves."""

    camera: CameraBody
    point: PointBody
    moves: Literal["photo", "map"]


def router(context: ReviewContext) -> APIRouter:
    """Routes of the solution by points."""
    routes = APIRouter(prefix="/api/frames/{number}")
    flight = flights(context)
    photo_lights = PhotoLightCache()

    @routes.post("/solve")
    def solved(number: FrameId, body: SolveBody) -> dict[str, Any]:
        """The camera of some points, and how far each is from it."""
        try:
            direction = flight(number)
        except KeyError:
            raise no_frame(number) from None
        points = [ReviewedPoint(**point.model_dump()) for point in body.points]
        return solve_json(solve(body.start.camera(), points, body.free, direction))

    @routes.post("/snap")
    def snapped(number: FrameId, body: SnapBody) -> dict[str, Any]:
        """The point moved to where the lights of photo and map agree best."""
        try:
            result, path = context.frames.frame(number).result, context.frames.photo(number)
        except KeyError:
            raise no_frame(number) from None
        if context.light_map is None:
            raise ConfigError("snapping needs a night-light map: begin the review with --lights.")
        if path is None:
            raise ConfigError(f"the photo of frame {number} is not where the store says it is.")
        camera, point = body.camera.camera(), ReviewedPoint(**body.point.model_dump())
        check_of_photo(camera, result)
        found = snap(
            camera,
            point,
            photo_moves=body.moves == "photo",
            light=photo_lights.light(path, camera),
            light_map=context.light_map,
        )
        told = None if found.point is None else asdict(found.point)
        return {
            "found": told is not None,
            "point": told,
            "ncc": found.ncc,
            "moved_px": found.moved_px,
            "why": found.why,
        }

    return routes


def solve_json(found: Solved) -> dict[str, Any]:
    """A solution as the page has it."""
    fit, alone = found.fit, found.attitude_only
    return {
        "camera": camera_json(fit.camera),
        "freed": list(fit.freed),
        "points": points_json(fit),
        "attitude_only": None
        if alone is None
        else {"camera": camera_json(alone.camera), "points": points_json(alone)},
        "rms_px": _rms([seen(math.hypot(*xy)) for xy in fit.residual_px.tolist()]),
        "rms_m": _rms(fit.residual_m.tolist()),
        "off_nadir_deg": fit.camera.off_nadir_deg,
        "warning": found.warning,
    }


def points_json(fit: PointFit) -> list[dict[str, Any]]:
    """What is said of each point."""
    told = zip(
        fit.residual_px.tolist(),
        fit.residual_m.tolist(),
        fit.left_out_px.tolist(),
        fit.suspect.tolist(),
        strict=True,
    )
    return [
        {
            "dx_px": seen(dx_px),
            "dy_px": seen(dy_px),
            "residual_px": seen(math.hypot(dx_px, dy_px)),
            "residual_m": finite(metres),
            "left_out_px": finite(left_out_px),
            "suspect": suspect,
        }
        for (dx_px, dy_px), metres, left_out_px, suspect in told
    ]


def seen(pixels: float) -> float:
    """A distance in pixels; what the camera has behind it is very far off."""
    return pixels if math.isfinite(pixels) else BEHIND_PX


def finite(value: float) -> float | None:
    """A number as JSON can have it; None for none."""
    return value if math.isfinite(value) else None


def _rms(values: list[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return math.sqrt(sum(value**2 for value in known) / len(known)) if known else None
