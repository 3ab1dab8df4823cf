"""What leaving lights out says of a fit: how far it is off, where its patches do not say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matchers.patches import PatchMatches
from matchers.pose import pixel_derivatives
from matchers.refine import fit_pose, jackknife_spread
from tests.matchers.test_refine import VELOCITY, prior_of, start_camera

LIGHTS, PATCHES = 40, 4
FREE = np.ones(10, bool)
LOOSE = {
    "sigma_along_m": 60e3,
    "sigma_across_m": 60e3,
    "sigma_up_m": 25e3,
    "sigma_log_focal": 0.12,
    "sigma_principal_px": 120.0,
}


def crowded(rng: np.random.Generator, light_px: float) -> tuple[PatchMatches, NDArray[np.intp]]:
    """Patches in fours that show one light, which is off by more than they say; their lights."""
    groups = np.repeat(np.arange(LIGHTS), PATCHES)
    x = rng.uniform(20, 579, LIGHTS)[groups] + rng.uniform(-5.0, 5.0, len(groups))
    y = rng.uniform(20, 379, LIGHTS)[groups] + rng.uniform(-5.0, 5.0, len(groups))
    dx, dy = light_px * rng.normal(size=(2, LIGHTS))[:, groups]
    dx, dy = dx + rng.normal(0.0, 0.25, len(groups)), dy + rng.normal(0.0, 0.25, len(groups))
    covariance = np.tile(1e-4 * np.eye(2), (len(groups), 1, 1))
    ncc = np.full(len(groups), 0.8)
    return PatchMatches(x=x, y=y, dx=dx, dy=dy, covariance=covariance, ncc=ncc, size_px=1), groups


def test_lights_left_out_tell_how_far_the_camera_is_off() -> None:
    """Of ten cameras fitted to 40 lights, at the middle and near two corners of the picture."""
    true = start_camera()
    prior = prior_of(true, **LOOSE)
    x, y = np.array([300.0, 60.0, 540.0]), np.array([200.0, 60.0, 340.0])
    ground = true.pixel_to_ecef(x, y)
    by_lights, by_patches = [], []
    for seed in range(10):
        matches, groups = crowded(np.random.default_rng(seed), light_px=1.0)
        fit = fit_pose(true, matches, prior, FREE, 2.5)
        found = jackknife_spread(fit, groups, ground, prior, FREE, 2.5)
        assert found is not None
        off = np.stack(fit.camera.ecef_to_pixel(ground), -1) - np.stack([x, y], -1)
        flow = pixel_derivatives(fit.camera, VELOCITY, ground)
        stated = np.einsum("kip,pq,kjq->kij", flow, fit.covariance, flow)
        for covariance, ratios in ((found.covariance_px, by_lights), (stated, by_patches)):
            ratios.append(np.einsum("ki,kij,kj->k", off, np.linalg.inv(covariance), off) / 2.0)
    assert 0.4 < np.mean(by_lights) < 2.0
    assert np.mean(by_patches) > 2.5


def test_few_lights_tell_nothing() -> None:
    """Three lights can be left out in turn; of how much that says nothing is known."""
    true = start_camera()
    matches, groups = crowded(np.random.default_rng(0), light_px=1.0)
    prior = prior_of(true, **LOOSE)
    fit = fit_pose(true, matches, prior, FREE, 2.5)
    ground = true.pixel_to_ecef(np.array([300.0]), np.array([200.0]))
    assert jackknife_spread(fit, groups % 3, ground, prior, FREE, 2.5) is None
    assert jackknife_spread(fit, groups, ground, prior, FREE, 2.5) is not None
