"""Decide whether a stored result is valid for the settings of a run.

A result depends on all settings of its run, except maps that its photo cannot have used. A photo
cannot have used light maps if it was not searched for lights. It cannot have used street maps if
its resolution is too low or the maps are too far away, nor day maps if it was taken at night. The
settings are those of `regengine.runs.register.collect_settings`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from detectors.constants import HEIGHT_RANGE_KM
from matchers.geometry.earth import ecef_to_geodetic, great_circle_km
from matchers.geometry.footprint import Bounds
from regengine.maps.lights import KindName
from regengine.registration.parameters import LENS, MAX_STREET_SAMPLE_M
from regengine.store.result import BY_DAY, FrameResult
from regengine.store.rows import StoredFrame

KINDS: tuple[KindName, ...] = ("lights", "streets", "day")
WORDS = {"lights": "night-light map", "streets": "street map", "day": "day map"}
SKIPPED = "not_a_night_city_frame"
FARTHEST_KM = 3000.0  # beyond the horizon of the station, for any clock error along its orbit
# A lens profile and rounding may make the resolution finer than the nominal focal length implies,
# by up to this factor
FINER = 1.5
MAX_DIFFERENCES = 3  # listed in a message


Map = tuple[str, str]  # name and fingerprint


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings that the results of a run depend on, except the photo.

    Attributes
    ----------
    parameters : str
        The settings as a JSON object.
    sha256 : str
        Hash of the settings; results with the same hash were made with the same settings.
    """

    parameters: str
    sha256: str

    def differences(self, stored: StoredFrame) -> tuple[str, ...]:
        """Describe the differences of settings that affect a stored result."""
        if stored.parameters_sha256 == self.sha256:
            return ()
        (maps_before, was, _), (maps, others, paths) = (
            _read_parameters(text) for text in (stored.parameters, self.parameters)
        )
        told = [
            f"{name} {_format_setting(others.get(name))}, was {_format_setting(was.get(name))}"
            for name in {**was, **others}
            if was.get(name) != others.get(name)
        ]
        more = len(told) - MAX_DIFFERENCES
        differing = told if more <= 0 else [*told[:MAX_DIFFERENCES], f"{more} more settings"]
        changed_maps = {kind: _list_changed_maps(maps_before[kind], maps[kind]) for kind in KINDS}
        if not differing and not any(changed_maps.values()):
            return ("other settings",)
        for kind, changed in changed_maps.items():
            for fingerprint, text in changed.items():
                path = paths.get(fingerprint)
                bounds = None if path is None or kind == "lights" else _read_bounds(kind, path)
                if could_use(stored.result, kind, bounds):
                    differing.append(f"{WORDS[kind]} {text}")
        return tuple(differing)


@lru_cache(maxsize=64)  # keyed by run settings, not by photos
def _read_parameters(
    parameters: str,
) -> tuple[Mapping[str, tuple[Map, ...]], Mapping[str, Any], Mapping[str, Path]]:
    """Return maps by kind, other settings by dotted name, and paths of maps by fingerprint."""
    try:
        known = json.loads(parameters)
        entries = {kind: known.pop(kind, None) or () for kind in KINDS}
        maps: dict[str, tuple[Map, ...]] = {
            kind: tuple((one["name"], one["fingerprint"]) for one in some)
            for kind, some in entries.items()
        }
        paths = {
            one["fingerprint"]: Path(one["path"])
            for some in entries.values()
            for one in some
            if "path" in one
        }
        index = known.get("blind", {}).pop("index", None)
        if index is not None:
            maps["lights"] += (("index", index),)
    except (ValueError, TypeError, KeyError, AttributeError):
        return dict.fromkeys(KINDS, ()), {"": parameters}, {}
    return maps, dict(_flatten_settings(known)), paths


def could_use(result: FrameResult, kind: str, bounds: Bounds | None) -> bool:
    """Whether a photo could have used a map of a kind and region; None is any region.

    Returns True if the stored result does not determine it.
    """
    if kind == "day":
        return result.category in (*BY_DAY, None) and _is_near(result, bounds)
    is_searched = result.reference_kind != "day" and not any(
        reason.code == SKIPPED for reason in result.reasons
    )
    if kind == "lights":
        return is_searched
    return is_searched and _is_fine(result) and _is_near(result, bounds)


def _is_fine(result: FrameResult) -> bool:
    """Whether lens or resolution may suit streets; False if the focal length is unknown."""
    if result.focal_mm is None:
        return False
    if result.pixel_pitch_um is None:
        return True
    sides_px = result.width_px or 0, result.height_px or 0
    field_rad = 1e-3 * max(sides_px) * result.pixel_pitch_um / result.focal_mm
    if field_rad <= FINER * math.radians(LENS.telephoto_field_deg):
        return True
    height_km = HEIGHT_RANGE_KM[0] if result.nadir is None else result.nadir.altitude_km
    sample_m = height_km * result.pixel_pitch_um / result.focal_mm
    return sample_m <= FINER * MAX_STREET_SAMPLE_M


def _is_near(result: FrameResult, bounds: Bounds | None) -> bool:
    """Whether a region may be visible from the nominal or the solved position of the camera."""
    if bounds is None or result.nadir is None:
        return True
    places = [(result.nadir.lon, result.nadir.lat)]
    if result.solved is not None:
        lon, lat, _ = ecef_to_geodetic(result.solved.camera.position_ecef_m)
        places.append((float(lon), float(lat)))
    west, south, east, north = bounds
    for from_lon, from_lat in places:
        # The nearest point of the region; slightly inexact near the poles
        inside = (from_lon - west) % 360.0 <= east - west
        to_east, to_west = (from_lon - east) % 360.0, (west - from_lon) % 360.0
        nearest_lon = from_lon if inside else east if to_east < to_west else west
        nearest_lat = float(np.clip(from_lat, south, north))
        if great_circle_km(from_lon, from_lat, nearest_lon, nearest_lat) <= FARTHEST_KM:
            return True
    return False


@lru_cache(maxsize=64)
def _read_bounds(kind: KindName, path: Path) -> Bounds:
    from regengine.maps import open_references

    return open_references(kind, (path,)).bounds


def _flatten_settings(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Return nested settings by dotted name; files are given by name and content, not by path."""
    if not isinstance(value, dict):
        return [(name, value)]
    if "fingerprint" in value:
        return [(name, (value.get("name"), value["fingerprint"]))]
    return [
        pair
        for key, one in value.items()
        for pair in _flatten_settings(one, f"{name}.{key}" if name else str(key))
    ]


def _format_setting(value: Any) -> str:
    """Shorten a setting for a message; a file is given by its name."""
    text = str(value[0] if isinstance(value, tuple) else "none" if value is None else value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _list_changed_maps(before: tuple[Map, ...], now: tuple[Map, ...]) -> dict[str, str]:
    """Describe maps that are new, changed or missing, by fingerprint."""
    changed = {}
    names = {name for name, _ in before}
    for name, fingerprint in now:
        if (name, fingerprint) not in before:
            changed[fingerprint] = f"{name} {'changed' if name in names else 'is new'}"
    for name, fingerprint in before:
        if (name, fingerprint) not in now and name not in {other for other, _ in now}:
            changed[fingerprint] = f"{name} is missing"
    if not changed and before != now:
        changed[""] = "order"
    return changed
