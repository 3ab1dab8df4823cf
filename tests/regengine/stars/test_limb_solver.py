"""Strips of stars above a limb are identified by what limb and orbit tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from star_strip import FOCAL, HEIGHT, WIDTH, camera_at, detections, limb_of

from detectors.limb import Limb
from detectors.star_types import StarDetections
from matchers.sky_camera import SkyCamera
from matchers.star_azimuth import about, best_shift, best_turns
from matchers.star_fit import LensPrior
from regengine.stars.catalogue import StarCatalogue, load_catalogue
from regengine.stars.limb_solver import solve_above_limb
from regengine.stars.solution import NotSolved, StarSolution

FloatArray = NDArray[np.float64]
ARC_SECOND = np.pi / 648000.0


@pytest.fixture(scope="module")
def catalogue() -> StarCatalogue:
    return load_catalogue(faintest_g=8.0)


def along_the_orbit(down: FloatArray, seed: int) -> list[FloatArray]:
    """Nadirs 0.7 degrees apart on a great circle, the true one between two of them."""
    axes = about(down) @ Rotation.from_euler("Z", 40.0 * seed, degrees=True).as_matrix()
    angles = np.radians(0.7 * (np.arange(-12, 13) + 0.4))
    return [np.cos(a) * axes[:, 2] + np.sin(a) * axes[:, 0] for a in angles]


def solve(
    stars: StarDetections, limb: Limb, downs: list[FloatArray], catalogue: StarCatalogue, sky: float
) -> StarSolution | NotSolved:
    lens = SkyCamera(
        width_px=WIDTH,
        height_px=HEIGHT,
        focal_px=1.01 * FOCAL,
        principal_point=((WIDTH - 1) / 2.0, (HEIGHT - 1) / 2.0),
        quaternion_icrs=(0.0, 0.0, 0.0, 1.0),
    )
    return solve_above_limb(stars, limb, lens, LensPrior(log_focal=0.03), [downs], catalogue, sky)


@pytest.mark.parametrize("seed", range(6))
def test_a_strip_of_stars_is_identified(seed: int, catalogue: StarCatalogue) -> None:
    camera, down = camera_at(seed)
    limb = limb_of(camera, down)
    stars, sky = detections(camera, limb, catalogue, seed, found=30, false=6)
    solution = solve(stars, limb, along_the_orbit(down, seed), catalogue, sky)
    assert isinstance(solution, StarSolution)
    assert solution.log10_odds >= 9.0
    assert solution.rms_px < 0.5
    # Where the stars are, the attitude is right to a fraction of a pixel of 206 arc seconds
    there = camera.to_sky(solution.x, solution.y)
    off = np.linalg.norm(np.cross(solution.camera.to_sky(solution.x, solution.y), there), axis=1)
    assert np.median(off) < 60.0 * ARC_SECOND


@pytest.mark.parametrize("seed", range(4))
def test_no_stars_are_identified_in_noise(seed: int, catalogue: StarCatalogue) -> None:
    camera, down = camera_at(seed)
    limb = limb_of(camera, down)
    real, sky = detections(camera, limb, catalogue, seed, found=30, false=60)
    noise = real.select(np.arange(len(real))[real.snr > 0])
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(noise))
    shuffled = replace(noise, x=noise.x, y=noise.y[order])  # x of one star, y of another
    assert not solve(shuffled, limb, along_the_orbit(down, seed), catalogue, sky)


def test_the_wrong_part_of_the_orbit_proves_nothing(catalogue: StarCatalogue) -> None:
    camera, down = camera_at(3)
    limb = limb_of(camera, down)
    stars, sky = detections(camera, limb, catalogue, 3, found=30, false=6)
    away = [Rotation.from_rotvec([0.0, 0.0, 1.2]).apply(d) for d in along_the_orbit(down, 3)]
    answer = solve(stars, limb, away, catalogue, sky)
    assert isinstance(answer, NotSolved)
    assert answer.code == "no_match"


def test_three_stars_are_too_few(catalogue: StarCatalogue) -> None:
    camera, down = camera_at(1)
    limb = limb_of(camera, down)
    stars, sky = detections(camera, limb, catalogue, 1, found=3, false=0)
    answer = solve(stars, limb, along_the_orbit(down, 1), catalogue, sky)
    assert isinstance(answer, NotSolved)
    assert answer.code == "few_stars"


def test_pairs_vote_for_the_turn_about_the_vertical() -> None:
    rng = np.random.default_rng(5)
    stars = rng.normal(size=(400, 3))
    stars /= np.linalg.norm(stars, axis=1, keepdims=True)
    truth = Rotation.random(random_state=7).as_matrix()  # camera to stars
    rays = (stars @ truth)[rng.choice(400, 15, replace=False)]
    nadir = np.array([0.2, 0.9, 0.3])
    nadir /= np.linalg.norm(nadir)
    best = best_turns(rays, nadir, stars, truth @ nadir, 0.5, 3)[0]
    assert best.votes == 15
    turn = best.matrix.T @ truth
    angle = np.degrees(np.arccos(np.clip(0.5 * (np.trace(turn) - 1.0), -1.0, 1.0)))
    assert angle < 1.0
    # It turns the one vertical onto the other exactly
    assert best.matrix @ nadir == pytest.approx(truth @ nadir, abs=1e-12)


def test_pairs_vote_for_a_shift() -> None:
    rng = np.random.default_rng(6)
    there = rng.uniform(0.0, 500.0, (40, 2))
    found = there[:12] - np.array([23.0, -9.0])
    votes, shift = best_shift(found, there, 40.0, 4.0)
    assert votes == 12
    assert shift == pytest.approx([23.0, -9.0], abs=6.0)
