"""How good a frame is for looking at its place, and how much of it clouds hide."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from matchers.geometry.view import render_known
from matchers.lights.photo_light import LightImage
from matchers.lights.verify import LIGHTS, LightPeaks, find_light_peaks, spread_shifts
from regengine import open_light_map
from regengine.collection.catalogue import quality
from regengine.registration.windows import compute_ground_sample_km, find_footprint_window
from tests.world.runs import LIGHTS as SAMPLE
from tests.world.towns import camera_over

KNOWN: dict[str, Any] = {
    "sharpness": 0.8,
    "cloud": 0.1,
    "off_nadir_deg": 0.0,
    "altitude_km": 400.0,
    "resolution_m": 100.0,
}


@pytest.mark.parametrize(
    ("other", "product"),
    [
        ({}, 0.8 * 0.9 * 1.0 * 0.5),
        ({"resolution_m": 300.0}, 0.8 * 0.9 * 1.0 * 0.25),
        ({"sharpness": None}, 0.5 * 0.9 * 1.0 * 0.5),
        ({"cloud": None}, 0.8 * 0.5 * 1.0 * 0.5),
        ({"cloud": 1.0}, 0.8 * 0.01 * 1.0 * 0.5),
        ({"sharpness": 0.0}, 0.01 * 0.9 * 1.0 * 0.5),
        ({"off_nadir_deg": 89.0}, 0.8 * 0.9 * 0.01 * 0.5),
        ({"off_nadir_deg": 120.0}, 0.8 * 0.9 * 0.01 * 0.5),
        ({"off_nadir_deg": 30.0, "altitude_km": 0.0}, 0.8 * 0.9 * math.cos(math.pi / 6.0) * 0.5),
    ],
)
def test_the_score_is_the_geometric_mean_of_four_parts(
    other: dict[str, Any], product: float
) -> None:
    assert quality.quality_score(**KNOWN | other) == pytest.approx(product**0.25)


@pytest.mark.parametrize("name", ["off_nadir_deg", "altitude_km", "resolution_m"])
def test_a_frame_without_a_place_has_no_score(name: str) -> None:
    assert quality.quality_score(**KNOWN | {name: None}) is None


@pytest.mark.parametrize("off_nadir_deg", [0.0, 20.0, 55.0, 69.0])
def test_the_ground_is_seen_as_slantingly_as_its_ray_meets_the_sphere(off_nadir_deg: float) -> None:
    turn = math.radians(off_nadir_deg)
    camera, ray = np.array([0.0, 6771.0]), np.array([math.sin(turn), -math.cos(turn)])
    ahead = -camera @ ray
    ground = camera + (ahead - math.sqrt(ahead**2 - camera @ camera + 6371.0**2)) * ray
    expected = -ray @ ground / np.linalg.norm(ground)
    assert quality.incidence_part(off_nadir_deg, 400.0) == pytest.approx(expected)


def peaks(rng: np.random.Generator, count: int) -> LightPeaks:
    x, y = rng.uniform([[0.0], [0.0]], [[200.0], [150.0]], (2, count))
    return LightPeaks(x=x, y=y, contrast=np.sort(rng.exponential(size=count))[::-1])


def brightest(place: np.ndarray, towns: LightPeaks) -> float:
    """Of the four nearest towns within reach, one by one."""
    away = np.hypot(towns.x - place[0], towns.y - place[1])
    near = [k for k in np.argsort(away)[:4] if away[k] < LIGHTS.match_px]
    return float(max((towns.contrast[k] for k in near), default=0.0))


@pytest.mark.parametrize("seed", range(3))
def test_expected_towns_are_met_by_as_strong_ones_more_often_than_by_chance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    expected = peaks(rng, 30)
    near = expected.positions[:20] + rng.normal(0.0, 1.5, (20, 2))
    others = peaks(rng, 150)
    contrast = np.concatenate([expected.contrast[:20] * rng.uniform(0.1, 2.0, 20), others.contrast])
    seen = LightPeaks(
        x=np.concatenate([near[:, 0], others.x]),
        y=np.concatenate([near[:, 1], others.y]),
        contrast=contrast,
    )
    towns = list(zip(expected.positions, expected.contrast, strict=True))
    ratios = [brightest(place, seen) / at for place, at in towns]
    usual = float(np.median([ratio for ratio in ratios if ratio > 0.0]))
    met = np.mean([ratio > 0.0 and ratio >= 0.3 * usual for ratio in ratios])
    tries = []
    for place, at in towns:
        for shift in spread_shifts():
            x, y = place + shift
            if 0.0 <= x < 200.0 and 0.0 <= y < 150.0:
                found = brightest(place + shift, seen)
                tries.append(found > 0.0 and found > 0.3 * usual * at)
    found_met, found_chance = quality.measure_met_shares(expected, seen, (200, 150))
    assert found_met == pytest.approx(met)
    assert found_chance == pytest.approx(np.mean(tries))


def test_what_clouds_hide_is_what_is_not_met_beyond_chance_of_what_a_clear_sky_shows() -> None:
    """The map's own view, dark where a cloud is; 84 in 100 are met under a clear sky."""
    camera = camera_over(-150.0, 39.0, width=500, height=400, focal_px=900.0)
    light_map = open_light_map([SAMPLE])
    levels = find_footprint_window(light_map, camera, 25.0, compute_ground_sample_km(camera) / 1.2)
    assert levels is not None
    view, _ = render_known(levels, camera, 2)
    ones = np.ones_like(view)
    clouds = np.random.default_rng(2).random((20, 25)).repeat(20, 0).repeat(20, 1)
    expected = find_light_peaks(view, ones, 40)
    for share in (0.0, 0.4, 0.7):
        values = np.where(clouds < share, np.float32(0.0), view)
        image = LightImage(values=values, weight=ones, factor=1.0)
        found = quality.estimate_hidden_share(image, camera, light_map)
        seen = find_light_peaks(image.resized(512).values, ones, 400)
        met, chance = quality.measure_met_shares(expected, seen, (500, 400))
        clear = 1.0 - (met - chance) / (1.0 - chance) / 0.84
        assert found == pytest.approx(min(max(clear, 0.0), 1.0), abs=1e-6)
        assert (found == 0.0) == (share == 0.0)
    dark = LightImage(values=0.0 * view, weight=ones, factor=1.0)
    assert quality.estimate_hidden_share(dark, camera, light_map) is None
    away = camera_over(0.0, 39.0)
    assert quality.estimate_hidden_share(image, away, light_map) is None
