"""Rows of a made-up archive: photos about the cities of the world, as many as people live there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from regengine.catalogue.nights import month_of, night_of
from regengine.catalogue.quality import quality_score
from regengine.export.footprint import polygons
from regengine.export.layers import Feature
from regengine.export.wkb import wkb
from regengine.place_table import read_places

LENSES_MM, SHARES = (400, 180, 85, 50, 24), (0.25, 0.2, 0.35, 0.12, 0.08)
# Image centres lie about their city as far as a photo of the lens is wide, times about a quarter
SCATTER_KM_MM = 3000.0
KM_PER_DEG = 111.2
START, YEARS = datetime(2010, 1, 1, tzinfo=UTC), 11
WIDTH_PX, HEIGHT_PX, PITCH_UM, ALTITUDE_KM = 4256, 2832, 8.46, 400.0
FARTHEST_LAT = 60.0


def rows(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Rows for `regengine.catalogue.raw_rows.write_raw`."""
    chance = np.random.default_rng(seed)
    towns, _ = read_places(15_000)
    seen = np.flatnonzero(np.abs(towns.lat) < FARTHEST_LAT)
    share = towns.population[seen].astype(float) ** 0.9
    town = seen[chance.choice(len(seen), count, p=share / share.sum())]
    lens = chance.choice(LENSES_MM, count, p=SHARES)
    north_km, east_km = chance.normal(0.0, SCATTER_KM_MM / lens, (2, count))
    lat = np.clip(towns.lat[town] + north_km / KM_PER_DEG, -85.0, 85.0)
    lon = towns.lon[town] + east_km / KM_PER_DEG / np.cos(np.radians(lat))
    lon = (lon + 180.0) % 360.0 - 180.0
    off_nadir = np.minimum(chance.gamma(2.0, 15.0, count), 60.0)
    sharpness, cloud = chance.uniform(0.0, 1.0, (2, count))
    seconds = chance.uniform(0.0, YEARS * 365.25 * 86_400.0, count)
    accepted = chance.uniform(0.0, 1.0, count) < 0.9
    columns = (lon, lat, lens, off_nadir, sharpness, cloud, seconds, accepted)
    for number, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        yield _row(number, *values)


def _row(
    number: int,
    lon: float,
    lat: float,
    lens: int,
    off_nadir_deg: float,
    sharpness: float,
    cloud: float,
    seconds: float,
    accepted: bool,
) -> dict[str, Any]:
    time_utc = START + timedelta(seconds=seconds)
    night = night_of(time_utc, lon)
    nadir_m = PITCH_UM * 1e-6 * ALTITUDE_KM * 1e3 / (lens * 1e-3)
    resolution_m = nadir_m / math.cos(math.radians(off_nadir_deg)) ** 1.5
    half_lat = min(0.5 * HEIGHT_PX * resolution_m / 1e3 / KM_PER_DEG, 4.0)
    half_lon = 0.5 * WIDTH_PX * resolution_m / 1e3 / KM_PER_DEG / math.cos(math.radians(lat))
    half_lon = min(half_lon, 10.0)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [half_lon, half_lat] + [lon, lat]
    rings = polygons(corners[:, 0], corners[:, 1])
    frame = f"ISS{number // 10_000:03d}-E-{number}"
    known: dict[str, Any] = {
        "off_nadir_deg": off_nadir_deg,
        "altitude_km": ALTITUDE_KM,
        "resolution_m": resolution_m,
        "sharpness": sharpness,
        "cloud": cloud,
    }
    return known | {
        "frame": frame,
        "sha256": f"{number:064x}",
        "store": "/archive/run.h5",
        "frame_index": number,
        "path": f"photos/{frame}.jpg",
        "verdict": "accepted" if accepted else "review",
        "probability": 0.999,
        "category": "cities",
        "time_utc": time_utc,
        "night": night,
        "month": month_of(night),
        "centre_lon": lon,
        "centre_lat": lat,
        "nadir_lon": lon,
        "nadir_lat": lat,
        "west": (lon - half_lon + 180.0) % 360.0 - 180.0,
        "south": lat - half_lat,
        "east": (lon + half_lon + 180.0) % 360.0 - 180.0,
        "north": lat + half_lat,
        "camera_body": "NIKON D3S",
        "focal_mm": float(lens),
        "lens": f"{lens} mm",
        "cloud_source": "lights",
        "quality": quality_score(**known),
        "geometry": wkb(Feature(row={}, polygons=tuple(rings))),
    }
