"""A finalist is fitted with its lens as told, and with any where the patches contradict that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regengine.registration import verification as module
from regengine.registration.refinement import Finalist
from regengine.registration.verification import LEAST_LOG10_ODDS, best_fit, with_any_lens
from tests.regengine.registration.simulated_frames import Solved

WRONG_LENS = 0.75


def told_wrongly(solved: Solved) -> Finalist:
    """The right finalist, with a lens that is told too short and held to be so."""
    finalist = solved.best.finalists[0]
    look = finalist.candidate.look
    prior = replace(look.prior, focal_px=WRONG_LENS * look.prior.focal_px)
    candidate = replace(finalist.candidate, look=replace(look, prior=prior))
    short = replace(finalist.camera, focal_px=0.9 * finalist.camera.focal_px)
    return replace(finalist, camera=short, candidate=candidate)


def test_a_fit_that_its_patches_confirm_is_left_alone(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(module, "aligned_finalist", forbidden)
    first = near_nadir.best.finalists[0]
    fit = best_fit(near_nadir.search, first)
    assert fit is not None
    assert fit.left_out.log10_odds > LEAST_LOG10_ODDS
    assert fit.solution.finalist is first


def test_a_wrong_lens_is_set_free(near_nadir: Solved) -> None:
    finalist = told_wrongly(near_nadir)
    told = module.fit_of(near_nadir.search, finalist)
    assert told is None or told.left_out.log10_odds <= LEAST_LOG10_ODDS
    fit = best_fit(near_nadir.search, finalist)
    assert fit is not None
    assert fit.left_out.log10_odds > 10.0
    camera = fit.solution.image.stored_camera(fit.solution.camera, finalist.camera)
    truth = near_nadir.shot.camera
    x, y = (side.ravel() for side in np.meshgrid([60.0, 240.0, 420.0], [50.0, 160.0, 270.0]))
    lon, lat, _ = truth.ground(x, y)
    at_x, at_y = camera.lonlat_to_pixel(lon, lat)
    assert np.hypot(at_x - x, at_y - y).max() < 1.0


def test_any_lens_leaves_the_belief_in_the_place(near_nadir: Solved) -> None:
    finalist = near_nadir.best.finalists[0]
    before = finalist.candidate.look.prior
    after = with_any_lens(finalist, finalist.camera).candidate.look.prior
    assert after.sigma_log_focal > np.log(2.5)
    assert after.sigma_principal_px > 0.1 * finalist.camera.width_px
    assert (after.position_ecef_m, after.sigma_along_m, after.focal_px) == (
        before.position_ecef_m,
        before.sigma_along_m,
        before.focal_px,
    )
