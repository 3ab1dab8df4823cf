"""Separable lit places, counted on pictures whose places are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from trial_parts import CLEAN, Beacons, looking

from benchmarks.simulate.camera import SimCamera
from benchmarks.trials.photograph import Photograph
from benchmarks.trials.places import Places, separable_places

STEP_DEG = 1.0 / 240.0
STEP_M = STEP_DEG * 111_200.0
CAMERA = looking(focal_px=600.0)  # 0.67 km a pixel: coarser than the map


def photograph(camera: SimCamera, beacons: Beacons, level: float) -> Photograph:
    """Every beacon a spot of 3 x 3 pixels of one level of light."""
    lamps = np.zeros((camera.height_px, camera.width_px), np.float32)
    for x, y in zip(*camera.project(beacons.lon, beacons.lat)[:2], strict=True):
        if np.isfinite(x):
            col, row = round(x), round(y)
            lamps[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2] = level
    nothing = np.zeros_like(lamps)
    return Photograph(
        picture=np.zeros((*lamps.shape, 3), np.uint8),
        lamps=lamps,
        veil=nothing,
        opaque=nothing,
        cover=nothing,
    )


def grid_of_beacons(camera: SimCamera, spacing_px: int, margin_px: int = 20) -> Beacons:
    x, y = np.meshgrid(
        np.arange(margin_px, camera.width_px - margin_px, spacing_px),
        np.arange(margin_px, camera.height_px - margin_px, spacing_px),
    )
    lon, lat, _ = camera.ground(x.ravel().astype(float), y.ravel().astype(float))
    return Beacons(lon, lat, np.linspace(1.0, 2.0, len(lon)))


def count(camera: SimCamera, beacons: Beacons, photo: Photograph, scene=CLEAN) -> Places:
    clusters = beacons.near(-180.0, -90.0, 180.0, 90.0)
    return separable_places(camera, clusters, STEP_DEG, photo, scene)


def test_places_apart_are_all_counted_where_they_are() -> None:
    beacons = grid_of_beacons(CAMERA, 20)
    places = count(CAMERA, beacons, photograph(CAMERA, beacons, 0.2))
    assert len(places) == len(beacons.lon)
    x, y, _, _ = CAMERA.project(beacons.lon, beacons.lat)
    for px, py in zip(places.x, places.y, strict=True):
        assert np.hypot(x - px, y - py).min() < 1.0


def test_of_two_places_within_four_map_pixels_the_brighter_counts() -> None:
    camera = looking(focal_px=4000.0)  # 0.1 km a pixel: finer than the map
    lon0, lat0, _ = camera.ground(150.0, 100.0)
    for distance_px, expected in ((3.4, 1), (4.6, 2)):
        beacons = Beacons(
            np.array([lon0, lon0]), np.array([lat0, lat0 + distance_px * STEP_DEG]), [1.0, 2.0]
        )
        places = count(camera, beacons, photograph(camera, beacons, 0.5))
        assert len(places) == expected
        assert places.lat[0] == pytest.approx(lat0 + distance_px * STEP_DEG, abs=STEP_DEG)


@pytest.mark.parametrize("focal_px", [600.0, 4000.0])
def test_five_sigma_of_the_photo_s_noise(focal_px: float) -> None:
    camera = looking(focal_px=focal_px)
    beacons = grid_of_beacons(camera, 40)
    scene = replace(CLEAN, read_noise_electrons=100.0, full_well_electrons=1e4)
    # 1 % of noise a pixel; a finer photo averages the 0.46 km of a map pixel.
    side = max(
        1.0, 2.0 ** round(np.log2(STEP_M * np.sqrt(np.cos(np.radians(45.0))) * focal_px / 400e3))
    )
    # All about a beacon is lit, so that blur and average leave its level as it is.
    for times, all_of_them in ((4.0, False), (8.0, True)):
        photo = photograph(camera, beacons, 0.0)
        lit = np.full_like(photo.lamps, times * 0.01 / side)
        places = count(camera, beacons, replace(photo, lamps=lit), scene)
        assert len(places) == (len(beacons.lon) if all_of_them else 0)
