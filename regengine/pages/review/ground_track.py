"""Ground track and visible ground of a photo before registration."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from detectors.constants import SEMI_MAJOR_M, SEMI_MINOR_M
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef, surface_to_lonlat
from regengine.errors import EphemerisError
from regengine.io.times import parse_iso_time
from regengine.orbit.propagation import camera_position, track_positions
from regengine.orbit.tle import TleSet

LonLat = tuple[float, float]
HORIZON_POINTS = 72
# The station moves from the horizon to the nadir in two minutes; clock errors rarely exceed ten
REACH_S = 600.0
STEP_S = 20.0
OFFSETS_S = np.arange(-REACH_S, REACH_S + 1.0, STEP_S)


def track(time_utc: str | None, tles: TleSet | None) -> list[LonLat]:
    """Nadirs from ten minutes before a photo's time to ten minutes after; empty if unknown."""
    when = parse_iso_time(time_utc or "")
    if tles is None or when is None:
        return []
    try:
        return track_at(tles, when)
    except EphemerisError:  # too far from all epochs: the nadir is shown instead
        return []


def track_at(tles: TleSet, time_utc: datetime) -> list[LonLat]:
    """Nadirs from ten minutes before a time to ten minutes after, from the element sets.

    EphemerisError if they do not cover that time.
    """
    elements = camera_position(tles, time_utc).element_set
    if elements is None:
        return []
    lon, lat, _ = ecef_to_geodetic(track_positions(elements, time_utc, OFFSETS_S, 0.0))
    return _unbroken(lon.tolist(), lat.tolist())


def horizon(lon: float, lat: float, altitude_km: float) -> list[LonLat]:
    """Outline of the ground visible from above a nadir.

    Rays tangent to an ellipsoid touch it in a plane. Scaled to a unit sphere, with the eye at
    distance d, these are the points at the angle arccos(1 / d) from the eye's direction.
    """
    axes = np.array([SEMI_MAJOR_M, SEMI_MAJOR_M, SEMI_MINOR_M])
    eye = geodetic_to_ecef(lon, lat, 1000.0 * altitude_km) / axes
    distance = float(np.linalg.norm(eye))
    towards = eye / distance
    # Any two perpendicular directions; the pole is used unless it is close
    beside = np.cross(towards, [0.0, 0.0, 1.0] if abs(towards[2]) < 0.9 else [1.0, 0.0, 0.0])
    beside /= np.linalg.norm(beside)
    upright = np.cross(beside, towards)
    turn = np.linspace(0.0, 2.0 * np.pi, HORIZON_POINTS + 1)[:, None]
    across = np.sqrt(1.0 - 1.0 / distance**2) * (np.cos(turn) * beside + np.sin(turn) * upright)
    ring_lon, ring_lat = surface_to_lonlat((towards / distance + across) * axes)
    return _unbroken(ring_lon.tolist(), ring_lat.tolist())


def _unbroken(lon: list[float], lat: list[float]) -> list[LonLat]:
    turned = np.unwrap(lon, period=360.0)
    return list(zip(turned.tolist(), lat, strict=True))
