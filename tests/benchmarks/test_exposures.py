"""The crowded and the camera's frames are what their truth says: places, strength, noise."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulate.frames import GENERATORS
from benchmarks.simulate.frames.courses import curve
from benchmarks.simulate.frames.exposures import (
    BRIGHT_HALF_PX,
    Course,
    Exposure,
    Optics,
    Spread,
    add_course,
    add_stars,
    add_track,
    fine_grid,
)

SIGMA_PX = 1.1
SHAPE = (200, 240)


def round_optics() -> Optics:
    x, y = fine_grid(BRIGHT_HALF_PX)
    spread = Spread.of(np.exp(-0.5 * (x**2 + y**2) / SIGMA_PX**2), BRIGHT_HALF_PX)
    return Optics(still=((spread,),), stars=((spread,),), trail_px=None)


def test_a_star_lies_where_the_truth_says_with_its_light_and_bound() -> None:
    scene, flat = np.zeros(SHAPE), np.full(SHAPE, 100.0)
    truth = add_stars(
        scene, round_optics(), np.array([[60.33, 80.71]]), np.array([10.0]), flat, np.ones(SHAPE)
    )
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    total = scene.sum()
    assert (scene * x).sum() / total == pytest.approx(truth.x[0], abs=0.02)
    assert (scene * y).sum() / total == pytest.approx(truth.y[0], abs=0.02)
    assert total == pytest.approx(truth.flux[0], rel=0.01)
    assert scene.max() / 10.0 == pytest.approx(truth.peak_snr[0], rel=1e-3)
    # A Gaussian's centre in white noise: 2 sigma^2 over its integrated ratio, and shot noise
    assert truth.bound_px[0] == pytest.approx(
        np.sqrt(2.0) * SIGMA_PX / (np.sqrt(np.pi) * SIGMA_PX * 10.0), rel=0.5
    )


def test_a_streak_has_the_ends_and_the_peak_it_was_drawn_with() -> None:
    scene, flat = np.zeros(SHAPE), np.full(SHAPE, 25.0)
    x, y = curve(40.0, 50.0, 200.0, 120.0, 0.0)
    course = Course(
        x=x, y=y, light=np.ones(x.size), blur_px=0.0, bow_px=0.0, peak_snr=4.0, kind="satellite"
    )
    true = add_course(scene, course, round_optics(), flat, np.ones(SHAPE))
    assert true is not None
    assert (true.x1, true.y1, true.x2, true.y2) == pytest.approx((40.0, 50.0, 200.0, 120.0))
    ridge = scene[60:110, 80:160].max(axis=0)
    assert np.median(ridge) / 5.0 == pytest.approx(4.0, rel=0.1)
    assert true.matched_snr == pytest.approx(np.sqrt((scene**2).sum()) / 5.0)


def test_a_track_is_a_pixel_wide() -> None:
    electrons = np.zeros((120, 120))
    add_track(electrons, np.random.default_rng(4), 40.0, 500.0, bend=0.0)
    lit = np.argwhere(electrons > 0.0)
    assert 20 < len(lit) < 80
    across = np.linalg.svd(lit - lit.mean(axis=0), compute_uv=False)[1] / np.sqrt(len(lit))
    assert across < 0.6


@pytest.mark.parametrize(
    "generator", ["open", "crowded", pytest.param("camera", marks=pytest.mark.slow)]
)
def test_equal_seeds_equal_frames_that_hold_their_truth(generator: str) -> None:
    one, same, other = (GENERATORS[generator](seed, side_px=384) for seed in (8, 8, 6))
    assert np.array_equal(one.light, same.light)
    assert not np.array_equal(one.light, other.light)
    frame: Exposure = one
    assert frame.light.shape == (384, 384)
    assert np.isfinite(frame.light).all()
    # Brighter than the frame where bright stars are said to be
    bright = frame.stars.resolved & (frame.stars.peak_snr > 20.0)
    at = np.rint(frame.stars.y[bright]).astype(int), np.rint(frame.stars.x[bright]).astype(int)
    assert (frame.light[at] > np.quantile(frame.light, 0.9)).mean() > 0.9
