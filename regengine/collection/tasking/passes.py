"""Compute the station's passes over places: times of closest approach and view geometry."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from detectors.constants import EARTH_RADIUS_KM, ORBITAL_SPEED_KM_S
from detectors.types import FloatArray
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef
from matchers.geometry.footprint import WGS84
from regengine.orbit.propagation import drag_shift_km, track_positions
from regengine.orbit.tle import ElementSet
from regengine.orbit.uncertainty import orbit_sigma

if TYPE_CHECKING:
    import pandas as pd

STEP_S = 60.0
# Maximum distance along the ground from the nearest time step to the closest approach: half a step
# at 7.4 km/s, as an angle about the Earth's centre
SLACK_RAD = 0.5 * STEP_S * 7.4 / EARTH_RADIUS_KM
BLOCK = 4_000_000  # cosines of angles at a time: 32 MB
KNOT_H = 6.0  # step between ages at which the uncertainty is tabulated


def find_passes(
    element_set: ElementSet,
    start: datetime,
    span_s: float,
    lon: FloatArray,
    lat: FloatArray,
    *,
    max_off_nadir_deg: float,
) -> pd.DataFrame:
    """Closest approaches of a satellite to places in a span of time.

    Parameters
    ----------
    lon, lat
        Places, degrees, shape (n,).
    max_off_nadir_deg
        Angle at the camera between the geodetic nadir and the place.

    Returns
    -------
    pd.DataFrame
        A row for each, ordered by place, then time: ``place``, its number; ``seconds`` from the
        start to the moment of least distance; ``off_nadir_deg``; ``elevation_deg`` of the camera
        above the place's horizon; ``slant_km`` from the camera to the place, ``ground_km`` from the
        nadir to it; ``azimuth_deg`` from the nadir to it and ``heading_deg`` of the flight over the
        ground, east of north, [0, 360); ``nadir_lon``, ``nadir_lat``, ``altitude_km``.
    """
    import pandas as pd

    def station(seconds: FloatArray) -> FloatArray:
        return track_positions(element_set, start, seconds, 0.0)

    ground = geodetic_to_ecef(lon, lat).reshape(-1, 3)
    grid = np.arange(-STEP_S, span_s + 2.0 * STEP_S, STEP_S)
    place, seconds = _nearest_steps(grid, station(grid), ground, max_off_nadir_deg)
    towards = ground[place]
    for half_s in (30.0, 5.0, 1.0):  # the vertex of a parabola through three squared distances
        before, now, after = (
            np.sum((station(seconds + off) - towards) ** 2, axis=-1)
            for off in (-half_s, 0.0, half_s)
        )
        step_s = 0.5 * half_s * (before - after) / (before - 2.0 * now + after)
        seconds = seconds + np.clip(step_s, -STEP_S, STEP_S)
    within = (seconds >= 0.0) & (seconds < span_s)
    place, seconds = place[within], seconds[within]

    position, flight = station(seconds), station(seconds + 0.5) - station(seconds - 0.5)
    nadir_lon, nadir_lat, height_m = ecef_to_geodetic(position)
    towards = ground[place] - position
    slant_m = np.linalg.norm(towards, axis=-1)
    azimuth, _, ground_m = WGS84.inv(nadir_lon, nadir_lat, lon[place], lat[place])
    east, north, up = _axes(nadir_lon, nadir_lat)
    cosine = np.sum(towards * -up, axis=-1) / slant_m
    sine = np.sum(-towards * _axes(lon[place], lat[place])[2], axis=-1) / slant_m
    heading = np.arctan2(np.sum(flight * east, axis=-1), np.sum(flight * north, axis=-1))
    passes = pd.DataFrame(
        {
            "place": place,
            "seconds": seconds,
            "off_nadir_deg": np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))),
            "elevation_deg": np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))),
            "slant_km": slant_m / 1e3,
            "ground_km": np.asarray(ground_m, float) / 1e3,
            "azimuth_deg": np.asarray(azimuth, float) % 360.0,
            "heading_deg": np.degrees(heading) % 360.0,
            "nadir_lon": nadir_lon,
            "nadir_lat": nadir_lat,
            "altitude_km": height_m / 1e3,
        }
    )
    seen = (passes["off_nadir_deg"] <= max_off_nadir_deg) & (passes["elevation_deg"] > 0.0)
    return passes[seen].sort_values(["place", "seconds"], ignore_index=True)


def _nearest_steps(
    grid: FloatArray, track: FloatArray, ground: FloatArray, max_off_nadir_deg: float
) -> tuple[FloatArray, FloatArray]:
    """Places and steps at which the track is closer to the place than a step before and after."""
    ratio = float(np.linalg.norm(track, axis=-1).max()) / 6.35e6  # the poles' radius, rounded down
    reach_rad = np.arccos(1.0 / ratio)  # to the horizon
    sine = ratio * np.sin(np.radians(min(max_off_nadir_deg, 90.0)))
    if sine < 1.0:  # geodetic and geocentric nadir are up to 0.2 degrees apart
        reach_rad = min(np.arcsin(sine) - np.radians(max_off_nadir_deg) + 0.01, reach_rad)
    directions = track / np.linalg.norm(track, axis=-1, keepdims=True)
    places = ground / np.linalg.norm(ground, axis=-1, keepdims=True)
    rows = max(1, BLOCK // len(track))
    numbers, moments = [np.empty(0, np.int64)], [np.empty(0)]
    for start in range(0, len(places), rows):
        cosine = places[start : start + rows] @ directions.T
        inner = cosine[:, 1:-1]
        near = inner > np.cos(reach_rad + SLACK_RAD)
        place, column = np.nonzero(near & (inner > cosine[:, :-2]) & (inner >= cosine[:, 2:]))
        numbers.append(place + start)
        moments.append(grid[column + 1])
    return np.concatenate(numbers), np.concatenate(moments)


def _axes(lon_deg: FloatArray, lat_deg: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """East, north and up unit vectors of places, shape (n, 3) each."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], axis=-1)
    up = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    return east, np.cross(up, east), up


def pass_sigma(element_set: ElementSet, ages_h: FloatArray) -> tuple[FloatArray, FloatArray]:
    """One sigma of an orbit by age of its element set: along the track, seconds; across it, km."""
    if len(ages_h) == 0:
        return np.empty(0), np.empty(0)
    knots = np.arange(ages_h.min(), ages_h.max() + 2.0 * KNOT_H, KNOT_H)
    along, cross = [], []
    for age_h in knots.tolist():
        sigma = orbit_sigma(age_h)
        drag_km = drag_shift_km(element_set, element_set.epoch_utc + timedelta(hours=age_h))
        along.append(np.hypot(sigma.along_km, drag_km))
        cross.append(sigma.cross_km)
    return np.interp(ages_h, knots, along) / ORBITAL_SPEED_KM_S, np.interp(ages_h, knots, cross)
