"""Strips of stars above a limb, simulated with their truth, and identified again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from detectors.limb import Limb, sky_mask
from detectors.types import StarDetections
from matchers.sky_camera import SkyCamera, matrix_quaternion
from matchers.star_fit import LensPrior
from matchers.star_search import axes_about
from regengine.registration.limb_stars import SkyAbove, solve_above_limb
from regengine.sky.stars.catalogue import StarCatalogue, load_catalogue
from regengine.sky.stars.solve import StarSolution
from tests.regengine.registration.made_limb import found_limb

FloatArray = NDArray[np.float64]
WIDTH, HEIGHT, FOCAL = 1200, 800, 1000.0
ARC_SECOND = np.pi / 648000.0


@pytest.fixture(scope="module")
def catalogue() -> StarCatalogue:
    return load_catalogue(faintest_g=8.0)


def camera_at(seed: int, off_nadir_deg: float = 70.0) -> tuple[SkyCamera, FloatArray]:
    """A camera that looks along the limb somewhere, and the nadir among the stars."""
    rng = np.random.default_rng(seed)
    axes = Rotation.random(random_state=int(rng.integers(1 << 30))).as_matrix()
    lean = Rotation.from_euler("X", off_nadir_deg + rng.uniform(-3.0, 3.0), degrees=True)
    roll = Rotation.from_euler("Z", rng.uniform(-20.0, 20.0), degrees=True)
    # Columns of the axes: the nadir is the third, the camera leans from it towards the top
    matrix = axes @ lean.as_matrix() @ roll.as_matrix()
    camera = SkyCamera(
        width_px=WIDTH,
        height_px=HEIGHT,
        focal_px=FOCAL,
        principal_point=((WIDTH - 1) / 2.0, (HEIGHT - 1) / 2.0),
        distortion=(-0.03, 0.0, 0.0, 0.0, 0.0),
        quaternion_icrs=matrix_quaternion(matrix),
    )
    return camera, axes[:, 2]


def limb_of(camera: SkyCamera, down: FloatArray, *, off_deg: float = 0.2) -> Limb:
    """The limb as a detector finds it, its nadir a little off."""
    nadir = camera.matrix.T @ down
    nadir = nadir + np.radians(off_deg) * np.cross(nadir, [0.0, 0.3, 1.0])
    nadir /= np.linalg.norm(nadir)
    limb = found_limb(nadir, FOCAL, (HEIGHT, WIDTH))
    return replace(limb, covariance_deg2=0.04 * np.eye(2), focal_ratio_sigma=0.02)


def detections(
    camera: SkyCamera, limb: Limb, catalogue: StarCatalogue, seed: int, *, found: int, false: int
) -> tuple[StarDetections, float]:
    """Stars above the limb with false ones among them, and the sky's share of the picture."""
    rng = np.random.default_rng(seed)
    sky = sky_mask(limb, (HEIGHT, WIDTH), margin_deg=-1.0)
    x, y = camera.project(catalogue.vectors)
    seen = np.flatnonzero(camera.sees(x, y, margin_px=-2.0))
    seen = seen[sky[y[seen].round().astype(int), x[seen].round().astype(int)]]
    seen = seen[rng.random(len(seen)) < 0.85][:found]
    rows, columns = np.nonzero(sky)
    at = rng.integers(0, len(rows), false)
    px = np.concatenate([x[seen] + rng.normal(0.0, 0.2, len(seen)), columns[at].astype(float)])
    py = np.concatenate([y[seen] + rng.normal(0.0, 0.2, len(seen)), rows[at].astype(float)])
    faint = catalogue.magnitude_g[np.concatenate([seen, rng.choice(seen, false)])]
    flux = 10.0 ** (-0.4 * (faint + rng.normal(0.0, 0.3, len(px))))
    order = np.argsort(-flux)
    count = len(px)
    stars = StarDetections(
        x=px[order],
        y=py[order],
        flux=flux[order],
        snr=np.full(count, 20.0),
        fwhm_px=np.full(count, 2.0),
        ellipticity=np.zeros(count),
        covariance_px2=np.tile(0.04 * np.eye(2), (count, 1, 1)),
        flags=np.zeros(count, np.uint8),
    )
    return stars, float(sky.mean())


def along_the_orbit(down: FloatArray, seed: int) -> list[FloatArray]:
    """Nadirs 0.7 degrees apart on a great circle, the true one between two of them."""
    axes = axes_about(down) @ Rotation.from_euler("Z", 40.0 * seed, degrees=True).as_matrix()
    angles = np.radians(0.7 * (np.arange(-12, 13) + 0.4))
    return [np.cos(a) * axes[:, 2] + np.sin(a) * axes[:, 0] for a in angles]


def solve(
    stars: StarDetections, limb: Limb, downs: list[FloatArray], catalogue: StarCatalogue, sky: float
) -> StarSolution | None:
    lens = SkyCamera(
        width_px=WIDTH,
        height_px=HEIGHT,
        focal_px=1.01 * FOCAL,
        principal_point=((WIDTH - 1) / 2.0, (HEIGHT - 1) / 2.0),
        quaternion_icrs=(0.0, 0.0, 0.0, 1.0),
    )
    above = SkyAbove(stars=stars, share=sky, limb=limb, catalogue=catalogue)
    return solve_above_limb(above, lens, LensPrior(log_focal=0.03), [downs])


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
    assert solve(stars, limb, away, catalogue, sky) is None


def test_three_stars_are_too_few(catalogue: StarCatalogue) -> None:
    camera, down = camera_at(1)
    limb = limb_of(camera, down)
    stars, sky = detections(camera, limb, catalogue, 1, found=3, false=0)
    assert solve(stars, limb, along_the_orbit(down, 1), catalogue, sky) is None
