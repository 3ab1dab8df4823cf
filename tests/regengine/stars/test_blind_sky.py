"""Stars above a limb are identified by their figures where the limb misleads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from star_strip import FOCAL, HEIGHT, WIDTH, camera_at, detections, limb_of

from detectors.star_types import StarDetections
from matchers.sky_camera import SkyCamera
from matchers.star_fit import LensPrior
from matchers.star_search import StarIndices
from regengine.stars.blind_sky import solve_blindly
from regengine.stars.catalogue import StarCatalogue, load_catalogue
from regengine.stars.limb_solver import solve_above_limb
from regengine.stars.solution import NotSolved, StarSolution

MISLED_DEG = 20.0  # of `limb_of`: some 6 degrees on the sky


@pytest.fixture(scope="module")
def sky() -> tuple[StarCatalogue, StarIndices]:
    catalogue = load_catalogue(faintest_g=8.0)
    return catalogue, StarIndices(vectors=catalogue.vectors)


def strip(
    seed: int, catalogue: StarCatalogue, found: int, false: int
) -> tuple[SkyCamera, StarDetections]:
    camera, down = camera_at(seed)
    stars, _ = detections(camera, limb_of(camera, down), catalogue, seed, found=found, false=false)
    return camera, stars


@pytest.mark.parametrize("seed", [0, 2])
def test_a_nadir_that_misleads_does_not_matter(
    seed: int, sky: tuple[StarCatalogue, StarIndices]
) -> None:
    camera, down = camera_at(seed)
    limb = limb_of(camera, down, off_deg=MISLED_DEG)
    stars, share = detections(camera, limb, sky[0], seed, found=60, false=10)
    lens = replace(camera, distortion=(0.0,) * 5, quaternion_icrs=(0.0, 0.0, 0.0, 1.0))
    misled = solve_above_limb(stars, limb, lens, LensPrior(log_focal=0.03), [[down]], sky[0], share)
    assert not misled
    solution = solve_blindly(stars, (WIDTH, HEIGHT), [1.1 * FOCAL], *sky)
    assert isinstance(solution, StarSolution)
    apart = solution.camera.to_sky(solution.x, solution.y) - camera.to_sky(solution.x, solution.y)
    assert np.degrees(np.median(np.linalg.norm(apart, axis=1))) < 0.02


def test_the_second_focal_length_is_tried(sky: tuple[StarCatalogue, StarIndices]) -> None:
    _, stars = strip(1, sky[0], found=60, false=0)
    solution = solve_blindly(stars, (WIDTH, HEIGHT), [3.0 * FOCAL, FOCAL], *sky)
    assert isinstance(solution, StarSolution)
    assert solution.camera.focal_px == pytest.approx(FOCAL, rel=0.02)


def test_noise_and_a_handful_of_stars_are_not_solved(
    sky: tuple[StarCatalogue, StarIndices],
) -> None:
    _, stars = strip(1, sky[0], found=40, false=0)
    shuffled = replace(stars, y=stars.y[np.random.default_rng(5).permutation(len(stars))])
    noise = solve_blindly(shuffled, (WIDTH, HEIGHT), [FOCAL], *sky)
    assert isinstance(noise, NotSolved)
    assert noise.code == "no_match"
    few = solve_blindly(stars.select(slice(0, 8)), (WIDTH, HEIGHT), [FOCAL], *sky)
    assert isinstance(few, NotSolved)
    assert few.code == "few_stars"
