"""The blind solver on the catalogue's own sky, and on what is no sky."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.solve import HEIGHT_PX, NEGATIVES, WIDTH_PX, detections, judged, no_sky, star_list
from detectors.types import StarDetections
from matchers.sky_camera import SkyCamera
from matchers.star_search import StarIndices
from regengine.result import Reason
from regengine.sky.stars.catalogue import StarCatalogue, load_catalogue
from regengine.sky.stars.solve import SolveOptions, StarSolution, solve_stars

SKY = tuple[StarCatalogue, StarIndices]


@pytest.fixture(scope="module")
def sky() -> SKY:
    catalogue = load_catalogue(faintest_g=8.0)
    return catalogue, StarIndices(vectors=catalogue.vectors)


def solve(sky: SKY, stars: StarDetections, **options: object) -> StarSolution | Reason:
    return solve_stars(stars, WIDTH_PX, HEIGHT_PX, *sky, SolveOptions(**options))


WIDE = [(17.0, 1), (28.0, 2), (50.0, 3)]  # fields that are seconds of search


@pytest.mark.parametrize(
    ("focal_mm", "seed"),
    [*(pytest.param(*one, marks=pytest.mark.slow) for one in WIDE), (85.0, 4)],
)
def test_blind_solutions_are_right(sky: SKY, focal_mm: float, seed: int) -> None:
    field = star_list(np.random.default_rng(seed), sky[0], focal_mm)
    found = solve(sky, field.stars)
    assert isinstance(found, StarSolution), found
    assert judged(field, found.camera) == "right"
    assert found.log10_odds >= 9.0
    assert found.rms_px < 1.0
    px, py = found.camera.project(found.vectors_icrs)
    assert np.stack([found.x - px, found.y - py], axis=1) == pytest.approx(found.residual_px)
    assert field.stars.x[found.detection] == pytest.approx(found.x)
    assert sky[0].vectors[found.star] == pytest.approx(found.vectors_icrs)


def test_a_mirrored_sky_is_solved_as_mirrored_alone(sky: SKY) -> None:
    field = star_list(np.random.default_rng(2), sky[0], 35.0)
    assert not field.truth.mirrored
    flipped = replace(field.stars, x=WIDTH_PX - 1 - field.stars.x)
    found = solve(sky, flipped, focal_px=field.focal_px, focal_only=True)
    assert isinstance(found, StarSolution)
    assert found.camera.mirrored
    assert judged(field, replace(found.camera, mirrored=False)) == "right"


def test_six_stars_above_noise_are_proven_with_their_brightness(sky: SKY) -> None:
    truth = SkyCamera(
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        focal_px=20_000.0,
        principal_point=(2127.5, 1415.5),
        quaternion_icrs=(0.3, 0.1, -0.2, 0.927),
    )
    x, y = truth.project(sky[0].vectors)
    star = np.flatnonzero(truth.sees(x, y))[:6]
    rng = np.random.default_rng(3)
    places = np.stack([x[star], y[star]], axis=1) + rng.normal(0.0, 0.2, (6, 2))
    noise = rng.uniform((0, 0), (WIDTH_PX - 1, HEIGHT_PX - 1), (150, 2))
    bright = 10.0 ** (-0.4 * sky[0].magnitude_g[star])
    flux = np.concatenate([bright, bright.min() * rng.uniform(0.3, 0.6, 150)])
    both = np.concatenate([places, noise])
    listed = detections(both[:, 0], both[:, 1], flux)
    found = solve(sky, listed, focal_px=20_000.0, focal_only=True)
    assert isinstance(found, StarSolution), found
    px, py = found.camera.project(truth.to_sky(2127.5, 1415.5))
    assert np.hypot(px - 2127.5, py - 1415.5) < 10.0


@pytest.mark.parametrize(
    "kind",
    [pytest.param(one, marks=[pytest.mark.slow] * (k % 3 > 0)) for k, one in enumerate(NEGATIVES)],
)
def test_what_is_no_sky_is_not_solved(sky: SKY, kind: str) -> None:
    field = no_sky(np.random.default_rng(0), sky[0], kind)
    found = solve(sky, field.stars, focal_px=1e3 * 35.0 / 8.46, focal_only=True)
    assert isinstance(found, Reason)
    assert found.code in ("no_match", "few_stars")
    assert "\n" not in found.text


def test_three_stars_are_too_few(sky: SKY) -> None:
    field = star_list(np.random.default_rng(5), sky[0], 50.0)
    found = solve(sky, field.stars.select(np.arange(3)))
    assert isinstance(found, Reason)
    assert found.code == "few_stars"
    assert solve(sky, StarDetections.empty()) == replace(
        found, text=found.text.replace("3 stars", "0 stars")
    )
