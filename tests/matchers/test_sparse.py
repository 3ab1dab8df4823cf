"""The sparse search finds attitudes of simulated views from their towns alone."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from detectors.types import FloatImage
from matchers.camera import Camera
from matchers.light_grid import LightGrid, pyramid
from matchers.photo_light import LightImage
from matchers.pose import moved
from matchers.sparse import (
    FARTHEST_INCIDENCE_DEG,
    MapTowns,
    SparseParameters,
    map_towns,
    propose,
)
from tests.matchers.lamp_world import (
    LampWorld,
    Levels,
    drawn_camera,
    ecef,
    geodetic,
    log_picture,
    miss_px,
)

PARAMETERS = SparseParameters()
WIDTH, HEIGHT, FOCAL_PX = 144, 96, 200.0


def any_camera(seed: int) -> Camera:
    """A camera over the middle of the world: tilts up to 50 degrees, any roll."""
    rng = np.random.default_rng(seed)
    lens = {"width": WIDTH, "height": HEIGHT, "focal_px": FOCAL_PX}
    return drawn_camera(rng, (8.0, 16.0), (40.0, 46.0), (0.0, 50.0), **lens)


def light_image(values: FloatImage) -> LightImage:
    return LightImage(values=values, weight=np.ones_like(values), factor=1.0)


def miss_share(found: Camera, truth: Camera) -> float:
    """How far the true camera's ground moves in the found one's picture, median, of its width."""
    lattice = np.meshgrid(np.linspace(8, WIDTH - 9, 7), np.linspace(8, HEIGHT - 9, 5))
    return float(np.median(miss_px(found, truth, *lattice))) / WIDTH


def best_misses(lamps: LampWorld, levels: Levels, seeds: range, along_km: float) -> list[float]:
    """Miss of the best of five proposals with a focal length 3 % off and a wrong position."""
    found = []
    for seed in seeds:
        truth = any_camera(seed)
        photo = light_image(log_picture(truth, lamps))
        heading = [np.cos(seed), np.sin(seed), 0.5]
        position = moved(truth.position_ecef_m, heading, 1e3 * along_km, 0.0, 0.0)
        believed = replace(
            truth,
            focal_px=FOCAL_PX * (1.03 if seed % 2 else 0.97),
            quaternion=(0.0, 0.0, 0.0, 1.0),
            position_ecef_m=tuple(position.tolist()),
        )
        towns = map_towns(levels, believed, PARAMETERS)
        peaks = propose(towns, photo, believed, PARAMETERS)
        assert [p.score for p in peaks] == sorted((p.score for p in peaks), reverse=True)
        assert len(peaks) <= PARAMETERS.kept
        found.append(min((miss_share(p.camera, truth) for p in peaks[:5]), default=1.0))
    return found


@pytest.mark.parametrize(("along_km", "miss", "least"), [(0.0, 0.04, 11), (60.0, 0.08, 10)])
def test_attitudes_are_found_also_from_beside(
    lamps: LampWorld, levels: Levels, along_km: float, miss: float, least: int
) -> None:
    found = best_misses(lamps, levels, range(12), along_km)
    assert sum(each < miss for each in found) >= least


def test_towns_extracted_elsewhere_serve(lamps: LampWorld, levels: Levels) -> None:
    """Towns sought from 150 km away are projected anew."""
    truth = any_camera(6)
    photo = light_image(log_picture(truth, lamps))
    position = moved(truth.position_ecef_m, [0.3, 1.0, 0.2], 150e3, 0.0, 0.0)
    elsewhere = replace(truth, position_ecef_m=tuple(position.tolist()))
    peaks = propose(map_towns(levels, elsewhere, PARAMETERS), photo, truth, PARAMETERS)
    assert miss_share(peaks[0].camera, truth) < 0.04


def test_darkness_proposes_nothing(lamps: LampWorld, levels: Levels) -> None:
    truth = any_camera(1)
    photo = light_image(log_picture(truth, lamps))
    dark = tuple(replace(level, values=np.zeros_like(level.values)) for level in levels)
    assert propose(map_towns(dark, truth, PARAMETERS), photo, truth, PARAMETERS) == []
    black = light_image(np.zeros_like(photo.values))
    assert propose(map_towns(levels, truth, PARAMETERS), black, truth, PARAMETERS) == []


def test_a_masked_photo_is_read_where_it_counts(lamps: LampWorld, levels: Levels) -> None:
    """Bright hardware over a third of the picture, masked: the rest is enough."""
    truth = any_camera(2)
    values = log_picture(truth, lamps)
    weight = np.ones_like(values)
    weight[:, : WIDTH // 3] = 0.0
    rng = np.random.default_rng(0)
    hidden = np.where(weight > 0, values, cv2.blur(rng.random(values.shape), (5, 5)) * 9)
    photo = LightImage(values=hidden.astype(np.float32), weight=weight, factor=1.0)
    peaks = propose(map_towns(levels, truth, PARAMETERS), photo, truth, PARAMETERS)
    assert min(miss_share(peak.camera, truth) for peak in peaks[:5]) < 0.04


@pytest.mark.parametrize(("lon", "lat"), [(12.0, 43.0), (179.95, -10.0), (30.0, 69.0)])
def test_towns_of_the_map_lie_where_its_lights_are(lon: float, lat: float) -> None:
    """Small towns out to 60 degrees off nadir, across the antimeridian, far north."""
    step = 0.05
    grid = np.zeros((400, 400), np.float32)
    at = [(200, 200), (200, 262), (140, 210), (230, 120), (90, 200), (200, 330)]
    for row, col in at:
        grid[row - 1 : row + 2, col - 1 : col + 2] = 2.0
    lon0, lat0 = lon - 200 * step, lat + 200 * step
    levels = pyramid(LightGrid(values=grid, lon0_deg=lon0, lat0_deg=lat0, step_deg=step), 3)
    x, y, z = ecef(lon, lat, 410e3).tolist()
    above = replace(any_camera(0), focal_px=150.0, position_ecef_m=(x, y, z))
    towns = map_towns(levels, above, replace(PARAMETERS, map_towns=50))
    expected = ecef([lon0 + c * step for _, c in at], [lat0 - r * step for r, _ in at])
    camera = ecef(lon, lat, 410e3)
    for place in expected:
        gap = np.linalg.norm(towns.ground_ecef_m - place, axis=1).min()
        distance = np.linalg.norm(place - camera)
        # A pixel of the photo, seen as flatly as it is; the map's own pixel has 5.6 km
        slant = 1.0 / np.cos(np.arctan2(np.linalg.norm(place - ecef(lon, lat)), 410e3))
        assert gap < max(3e3, slant * distance / 150.0)


def test_towns_beyond_the_limit_are_not_seen() -> None:
    camera = ecef(10.0, 45.0, 410e3)
    ground = ecef([10.0, 22.0, 35.0], [45.0, 45.0, 45.0])
    towns = MapTowns(ground_ecef_m=ground, contrast=np.array([3.0, 2.0, 1.0]))
    vectors, contrast = towns.seen_from(camera)
    assert contrast.tolist() == [3.0, 2.0]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0)
    lon, lat, _ = geodetic(camera + 410e3 * vectors[0])
    assert (float(lon), float(lat)) == pytest.approx((10.0, 45.0), abs=1e-6)
    assert FARTHEST_INCIDENCE_DEG < 90.0
