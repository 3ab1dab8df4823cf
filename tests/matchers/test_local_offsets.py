"""What neighbouring patches have in common is told from what each has by itself."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from matchers.patches import PatchMatches
from matchers.refine import FLOOR_PX, Refinement, local_offsets
from tests.matchers.lamp_world import camera_over

SIZE = 30
FloatArray = NDArray[np.float64]


def refinement_of(x: FloatArray, y: FloatArray, residual: FloatArray, sigma: float) -> Refinement:
    camera = camera_over(10.0, 40.0, width=600, height=400, focal_px=800.0)
    stated = max(sigma**2 - FLOOR_PX**2, 1e-4)
    count = len(x)
    matches = PatchMatches(
        x=x,
        y=y,
        dx=residual[:, 0],
        dy=residual[:, 1],
        covariance=np.tile(stated * np.eye(2), (count, 1, 1)),
        ncc=np.full(count, 0.8),
        size_px=SIZE,
    )
    return Refinement(
        camera=camera,
        rendered=camera,
        covariance=np.zeros((10, 10)),
        matches=matches,
        residual_px=residual,
        weights=np.ones(count),
    )


def side_by_side() -> tuple[FloatArray, FloatArray]:
    x, y = np.meshgrid(np.arange(20.0, 590.0, 40.0), np.arange(20.0, 390.0, 40.0))
    return x.ravel(), y.ravel()


def bulge(x: FloatArray, y: FloatArray) -> FloatArray:
    """A lens that is wrong by up to 1.5 px, changing over a quarter of the picture."""
    return np.stack([1.5 * np.sin(x / 90.0), 1.2 * np.cos(y / 80.0)], axis=1)


def test_a_common_displacement_is_found_within_its_sigma() -> None:
    x, y = side_by_side()
    rng = np.random.default_rng(0)
    truth = bulge(x, y)
    pulls = []
    for _ in range(20):
        residual = truth + rng.normal(0.0, 0.5, truth.shape)
        found = local_offsets(refinement_of(x, y, residual, 0.5))
        off = found.offset_px - truth
        pulls.append(off / np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2)))
        assert np.sqrt(np.mean(off**2)) < 0.8 * 0.5  # better than the patches by themselves
    # A wave is not the random field assumed, so the sigmas are only about right
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.4


def test_noise_of_single_patches_is_left_to_the_camera() -> None:
    x, y = side_by_side()
    rng = np.random.default_rng(1)
    size = []
    for _ in range(20):
        residual = rng.normal(0.0, 0.5, (len(x), 2))
        size.append(
            np.sqrt(np.mean(local_offsets(refinement_of(x, y, residual, 0.5)).offset_px ** 2))
        )
    assert np.median(size) < 0.1


def test_overlapping_patches_share_their_noise_and_prove_nothing() -> None:
    """Every place is matched by four patches almost on top of each other."""
    rng = np.random.default_rng(2)
    x, y = side_by_side()
    shift = rng.uniform(-2.0, 2.0, (4, 2, len(x)))
    noise = rng.normal(0.0, 0.6, (len(x), 2))
    at_x, at_y = (x + shift[:, 0]).ravel(), (y + shift[:, 1]).ravel()
    found = local_offsets(refinement_of(at_x, at_y, np.tile(noise, (4, 1)), 0.6))
    assert np.sqrt(np.mean(found.offset_px**2)) < 0.15


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_few_patches_have_no_neighbours(count: int) -> None:
    x, y = np.arange(count) * 120.0 + 50.0, np.full(count, 100.0)
    found = local_offsets(refinement_of(x, y, np.full((count, 2), 2.0), 0.5))
    assert found.offset_px.shape == (count, 2)
    assert (found.offset_px == 0.0).all()
    assert (found.covariance == 0.0).all()
    assert found.noise.shape == (count, 2, 2)
