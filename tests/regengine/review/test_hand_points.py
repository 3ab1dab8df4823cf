"""Cameras from points that were picked by eye on real photographs, from a start far off."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from matchers.camera import Lens
from regengine.review.reviewed import ReviewedPoint
from regengine.review.solving import solve
from tests.regengine.review.aiming import Aim, aimed_camera

# Of the picture's long side: the points themselves are off by 0.3 to 2 %
MEDIAN_SHARE, LARGEST_SHARE = 0.012, 0.045


def table(folder: Path, name: str, file: str) -> list[dict[str, str]]:
    with open(folder / "photos" / name, encoding="utf-8", newline="") as text:
        return [row for row in csv.DictReader(text) if row["file"] == file]


@pytest.mark.parametrize(
    "file",
    [
        "cities/Osaka_ISS030-E-184140.jpg",
        "cities/Tokyo_ISS038-E-36641.jpg",
        "cities_oblique/iss065e394522.jpg",
        "cities_oblique/spain_portugalpsp.jpg",
    ],
)
def test_points_picked_by_eye_place_a_photo(real_data: Path, file: str) -> None:
    shape, known = (
        table(real_data, "index.csv", file)[0],
        table(real_data, "reference_cameras.csv", file)[0],
    )
    width, height = int(shape["width"]), int(shape["height"])
    lon, lat = float(known["nadir_lon"]), float(known["nadir_lat"])
    beside = 40.0 / 111.2 / np.cos(np.radians(lat))
    start = aimed_camera(
        Aim(
            nadir_lon=lon + beside,
            nadir_lat=lat,
            altitude_km=385.0,
            lon=lon,
            lat=lat,
            turn_deg=0.0,
        ),
        Lens(
            width_px=width,
            height_px=height,
            focal_px=1.03 * float(known["focal_px"]),
            principal_point=((width - 1) / 2, (height - 1) / 2),
        ),
    )
    assert start is not None
    points = [
        ReviewedPoint(
            x=float(row["x"]),
            y=float(row["y"]),
            lon=float(row["lon"]),
            lat=float(row["lat"]),
            sigma_px=None,
            origin="person",
        )
        for row in table(real_data, "hand_points.csv", file)
    ]
    camera = solve(start, points).fit.camera
    reference = table(real_data, "reference_points.csv", file)
    x, y, at_lon, at_lat = (
        np.array([float(row[k]) for row in reference]) for k in ("x", "y", "lon", "lat")
    )
    at_x, at_y = camera.lonlat_to_pixel(at_lon, at_lat)
    away = np.hypot(at_x - x, at_y - y) / width
    assert np.median(away) < MEDIAN_SHARE
    assert away.max() < LARGEST_SHARE
