"""What speaks for a camera, on photographs with known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from matchers.pose import turned
from matchers.refine import RefineParameters
from regengine.registration.refinement import compare_finalists
from regengine.registration.register import verify_best
from regengine.registration.verification import (
    LOG10_ATTITUDES_PER_LOOK,
    agreeing_patches,
    coarse_z,
    finalist_log10_odds,
    held_out,
    log10_tried,
    towns_proof,
)
from tests.regengine.registration.made_search import begun_anew
from tests.regengine.registration.simulated_frames import Solved


def test_coarse_z_counts_sigmas_above_the_others() -> None:
    wrong = norm.ppf((np.arange(99) + 0.5) / 99) * 0.05 + 0.3
    assert coarse_z([*wrong, 0.8]) == pytest.approx(10.0, rel=0.05)
    assert coarse_z([0.8, *wrong]) == coarse_z([*wrong, 0.8])
    assert coarse_z([*wrong, 0.3]) < 3.0


def test_coarse_z_of_few_or_equal_candidates() -> None:
    assert coarse_z([]) == 0.0
    assert coarse_z([0.9, 0.1, 0.1]) == 0.0
    assert np.isfinite(coarse_z([0.9, 0.2, 0.2, 0.2, 0.2]))


def test_more_looks_need_better_proof() -> None:
    assert log10_tried(1) == LOG10_ATTITUDES_PER_LOOK
    assert log10_tried(100) == pytest.approx(LOG10_ATTITUDES_PER_LOOK + 2.0)
    assert log10_tried(0) == LOG10_ATTITUDES_PER_LOOK


@pytest.mark.parametrize("name", ["near_nadir", "oblique", "slanted"])
def test_towns_prove_the_right_camera_alone(name: str, request: pytest.FixtureRequest) -> None:
    solved: Solved = request.getfixturevalue(name)
    solution = solved.best.solution
    right, towns, view = towns_proof(solution.image, solution.camera, solution.levels)
    assert right.log10_odds > 15.0
    assert right.met > 0.5 * right.towns
    assert len(towns) == right.towns
    assert view.shape == solution.image.values.shape
    wrong = turned(solution.camera, [0.0, 30.0 / solution.camera.focal_px, 0.05])
    assert towns_proof(solution.image, wrong, solution.levels)[0].log10_odds < 3.0


@pytest.mark.parametrize("name", ["near_nadir", "oblique", "slanted"])
def test_held_out_patches_land(name: str, request: pytest.FixtureRequest) -> None:
    solved: Solved = request.getfixturevalue(name)
    solution = solved.best.solution
    found = held_out(solution, RefineParameters())
    assert found.log10_odds > 5.0
    # What was left out is never much better off than what was fitted
    assert 0.5 * solution.refinement.rms_px < found.residual_px < 3.0 * solution.refinement.rms_px
    assert 0 < agreeing_patches(solution.refinement) <= len(solution.refinement.matches)


def test_patches_at_random_places_do_not_land(near_nadir: Solved) -> None:
    solution = near_nadir.best.solution
    rng = np.random.default_rng(0)
    matches = solution.refinement.matches
    scattered = replace(
        matches,
        dx=rng.uniform(-4.0, 4.0, len(matches)),
        dy=rng.uniform(-4.0, 4.0, len(matches)),
    )
    wrong = replace(solution, refinement=replace(solution.refinement, matches=scattered))
    found = held_out(wrong, RefineParameters())
    assert found.log10_odds < 0.0
    assert found.residual_px > 1.5


def test_too_few_patches_prove_nothing(near_nadir: Solved) -> None:
    solution = near_nadir.best.solution
    few = solution.refinement.matches.chosen(np.arange(6))
    found = held_out(
        replace(solution, refinement=replace(solution.refinement, matches=few)), RefineParameters()
    )
    assert found.residual_px == float("inf")
    assert found.log10_odds == 0.0


def test_odds_of_a_finalist(near_nadir: Solved) -> None:
    search = near_nadir.search
    finalist = near_nadir.best.finalists[0]
    assert finalist_log10_odds(search, finalist) > 10.0
    away = replace(finalist, camera=turned(finalist.camera, [0.2, 0.0, 0.0]))
    assert finalist_log10_odds(search, away) < 3.0
    sky = replace(finalist, camera=turned(finalist.camera, [2.5, 0.0, 0.0]))
    assert finalist_log10_odds(search, sky) == 0.0


@pytest.mark.parametrize(
    ("own", "rival", "clear"),
    [(3.1, -0.1, True), (2.9, -3.0, False), (9.0, 0.1, False), (float("nan"), -3.0, False)],
)
def test_a_clear_picture_is_no_chance_and_has_no_twin(
    near_nadir: Solved, own: float, rival: float, clear: bool
) -> None:
    evidence = replace(
        near_nadir.best.evidence, picture_log10_odds=own, runner_up_picture_log10_odds=rival
    )
    assert evidence.clear_picture == clear


def test_candidates_outside_the_map_are_no_finalists(near_nadir: Solved) -> None:
    candidate = near_nadir.best.finalists[0].candidate
    sky = replace(candidate, camera=turned(candidate.camera, [2.5, 0.0, 0.0]))
    kept = compare_finalists(begun_anew(near_nadir.search, candidates=[sky, candidate]))
    assert [finalist.candidate for finalist in kept] == [candidate]
    assert compare_finalists(begun_anew(near_nadir.search, candidates=[sky])) == []


def test_a_photo_too_dark_to_be_fitted_proves_nothing(near_nadir: Solved) -> None:
    fine = near_nadir.fine(near_nadir.frame.path)
    dark = replace(fine, values=np.zeros_like(fine.values))
    candidate = near_nadir.best.finalists[0].candidate
    search = begun_anew(near_nadir.search, dark, candidates=[candidate])
    verify_best(search)
    assert search.best is None
    sky = replace(candidate, camera=turned(near_nadir.best.camera, [2.5, 0.0, 0.0]))
    nowhere = begun_anew(near_nadir.search, candidates=[sky])
    verify_best(nowhere)
    assert nowhere.best is None


def test_the_evidence_of_the_right_camera(near_nadir: Solved) -> None:
    evidence = near_nadir.best.evidence
    assert evidence.margin > 0.12
    assert evidence.coarse_z > 4.0
    assert evidence.log10_odds == pytest.approx(
        0.5 * (evidence.town_log10_odds + evidence.patch_log10_odds)
    )
    assert evidence.runner_up_log10_odds < 0.0
    assert evidence.met_towns <= evidence.towns
