"""What speaks for a camera: towns, patches held back from the fit, and the fit with any lens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from matchers.footprint import diagonal_km
from matchers.patches import PatchMatches, groups_of
from matchers.pose import FOCAL, turned
from matchers.refine import BENT_LOG10_ODDS, RefineParameters
from matchers.verify import Towns
from matchers.view import render_known
from regengine.registration import verification
from regengine.registration.evidence import (
    LOG10_ATTITUDES_PER_LOOK,
    TESTED_LOG10_ODDS,
    WHOLE_TOWN_LOG10_ODDS,
    Finalist,
    Fit,
    HeldOut,
    Solution,
    log10_tried,
)
from regengine.registration.refinement import compare_finalists
from regengine.registration.register import verify_best
from regengine.registration.search import Search
from regengine.registration.verification import (
    FOLDS,
    LANDED_PX,
    LEAST_LOG10_ODDS,
    LEAST_OF_QUARTER,
    RAYLEIGH_MEDIAN,
    SHARES_LANDED,
    Landing,
    Parts,
    best_fit,
    finalist_log10_odds,
    held_out,
    landing_of,
    towns_proof,
)
from tests.regengine.registration.made_search import begun_anew
from tests.regengine.registration.simulated_frames import Solved


def test_more_looks_need_better_proof() -> None:
    assert log10_tried(1) == LOG10_ATTITUDES_PER_LOOK
    assert log10_tried(100) == pytest.approx(LOG10_ATTITUDES_PER_LOOK + 2.0)
    assert log10_tried(0) == LOG10_ATTITUDES_PER_LOOK


def test_towns_prove_the_right_camera_alone(solved: Solved) -> None:
    solution = solved.best.solution
    right, towns = towns_proof(solution.image, render_known(solution.levels, solution.camera))
    assert right.log10_odds > 15.0
    assert right.met > 0.5 * right.towns
    assert len(towns) == right.towns
    wrong = turned(solution.camera, [0.0, 30.0 / solution.camera.focal_px, 0.05])
    proof, _ = towns_proof(solution.image, render_known(solution.levels, wrong))
    assert proof.log10_odds < 3.0


def left_out_of(solution: Solution) -> HeldOut:
    """A solution's patches, and its towns."""
    seen = render_known(solution.levels, solution.camera)
    proof, towns = towns_proof(solution.image, seen)
    return held_out(solution, seen, towns, proof.met_towns)


def test_held_out_patches_land(solved: Solved) -> None:
    solution = solved.best.solution
    found = left_out_of(solution)
    assert found.log10_odds > 5.0
    # What was left out is never much better off than what was fitted
    assert 0.5 * solution.refinement.rms_px < found.residual_px < 3.0 * solution.refinement.rms_px


def test_the_smallest_pictures_prove_nothing(near_nadir: Solved) -> None:
    """No patch fits into them with the way that it may move."""
    solution = near_nadir.best.solution
    small = solution.image.resized(30)
    camera = small.camera(solution.image.stored_camera(solution.camera, near_nadir.search.stored))
    found = left_out_of(replace(solution, image=small, camera=camera))
    assert found.residual_px == float("inf")
    assert found.log10_odds == 0.0


@pytest.mark.parametrize("name", ["near_nadir", "oblique"])
def test_a_fit_is_tested_by_what_it_may_be_off(name: str, request: pytest.FixtureRequest) -> None:
    """One whose lens is held to be 6 % too long is not; patches are not the ones of the fit."""
    solved: Solved = request.getfixturevalue(name)
    solution = solved.best.solution
    none = replace(solution.refinement, matches=solution.refinement.matches.chosen(np.arange(0)))
    assert left_out_of(replace(solution, refinement=none)) == left_out_of(solution)
    camera = solution.camera
    bent = replace(camera, focal_px=1.06 * camera.focal_px)
    look = solution.finalist.candidate.look
    stiff = replace(
        look.prior,
        focal_px=look.prior.focal_px * 1.06,
        sigma_log_focal=1e-4,
        sigma_along_m=1.0,
        sigma_across_m=1.0,
        sigma_up_m=1.0,
    )
    told = replace(solution.finalist.candidate, look=replace(look, prior=stiff))
    finalist = replace(solution.finalist, candidate=told)
    assert left_out_of(solution).log10_odds > 5.0
    wrong = left_out_of(replace(solution, camera=bent, finalist=finalist))
    assert wrong.log10_odds < left_out_of(solution).log10_odds - 4.0


@pytest.mark.parametrize("percent", [2.0, 0.01])
def test_patches_land_within_half_of_what_a_control_point_may_be_off(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch, percent: float
) -> None:
    """Of frames that show little ground that is more of the picture; and a pixel at least."""
    solution, seen = near_nadir.best.solution, set()
    land = verification.landing

    def noted(*given: Any) -> Landing:
        seen.add(given[-1])
        return land(*given)

    monkeypatch.setattr(verification, "landing", noted)
    allowed_m = percent * 10.0 * diagonal_km(solution.camera)
    monkeypatch.setattr(verification, "allowed_error_m", lambda camera: allowed_m)
    left_out_of(solution)
    half_px = 0.5 * percent / 100.0 * np.hypot(*solution.image.values.shape)
    assert sorted(seen) == pytest.approx(sorted({LANDED_PX, max(half_px, LANDED_PX)}))


def test_odds_of_a_finalist(near_nadir: Solved) -> None:
    search = near_nadir.search
    finalist = near_nadir.best.finalists[0]
    assert finalist_log10_odds(search, finalist) > 10.0
    away = replace(finalist, camera=turned(finalist.camera, [0.2, 0.0, 0.0]))
    assert finalist_log10_odds(search, away) < 3.0
    sky = replace(finalist, camera=turned(finalist.camera, [2.5, 0.0, 0.0]))
    assert finalist_log10_odds(search, sky) == 0.0


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
    assert evidence.ncc - evidence.runner_up_ncc > 0.12
    assert evidence.log10_odds > 100.0
    # The attitudes tried are taken off once
    each = evidence.town_log10_odds, evidence.patch_log10_odds, evidence.picture_log10_odds
    assert evidence.log10_odds == pytest.approx(sum(each) - evidence.log10_tried)
    assert evidence.runner_up_log10_odds < 0.0
    assert evidence.met_towns <= evidence.towns


PARAMETERS = RefineParameters()
DRAWS = 30


def groups_seen(solution: Solution, matches: PatchMatches) -> NDArray[np.intp]:
    """Which of the patches show the same light."""
    return groups_of(render_known(solution.levels, solution.camera, 2)[0], matches)


def lights_seen(solution: Solution) -> int:
    """Lights that the patches of a fit show: so many are independent."""
    return len(np.unique(groups_seen(solution, solution.refinement.matches)))


def judged(
    solution: Solution, matches: PatchMatches, shares: tuple[float, ...] = SHARES_LANDED
) -> HeldOut:
    """How some patches land within a pixel of where they should, sought 4 px around."""
    found = landing_of(solution, matches, groups_seen(solution, matches), LANDED_PX)
    return HeldOut(residual_px=found.residual_px, log10_odds=found.log10_odds(shares))


def displaced(solution: Solution, dx: NDArray[np.float64], dy: NDArray[np.float64]) -> PatchMatches:
    """The patches of a fit, found elsewhere in the photo."""
    return replace(solution.refinement.matches, dx=dx, dy=dy)


def mostly_landing(solution: Solution, share: float, seed: int = 0) -> tuple[PatchMatches, float]:
    """A share of the patches where the camera puts them, the others 3 px off; and that share."""
    rng = np.random.default_rng(seed)
    count = len(solution.refinement.matches)
    off = rng.permutation(count) >= round(share * count)
    angle = rng.uniform(0.0, 2.0 * np.pi, count)
    return (
        displaced(
            solution, np.where(off, 3.0 * np.cos(angle), 0), np.where(off, 3.0 * np.sin(angle), 0)
        ),
        1.0 - float(off.mean()),
    )


def expected_odds(share: float, count: float, shares: tuple[float, ...]) -> float:
    """Of so many independent patches of which a share landed, against those of a wrong camera.

    Those peak anywhere within 4 px: 7 x 7 places of the peak.
    """
    chance = np.pi * LANDED_PX**2 / 49.0
    best = max(
        share * np.log10(s / chance) + (1.0 - share) * np.log10((1.0 - s) / (1.0 - chance))
        for s in shares
    )
    return count * best - np.log10(len(shares))


@pytest.mark.parametrize("share", [0.35, 0.5, 0.65, 0.8, 1.0])
def test_the_odds_follow_from_the_share_that_lands(near_nadir: Solved, share: float) -> None:
    solution = near_nadir.best.solution
    matches, landed = mostly_landing(solution, share)
    count = lights_seen(solution)
    assert count > 0.5 * len(matches)
    assert solution.image.values.size / PARAMETERS.patch_px**2 > count
    found = judged(solution, matches)
    expected = expected_odds(landed, count, SHARES_LANDED)
    # Where most are off, the fit is drawn aside and a patch more or less lands
    assert found.log10_odds == pytest.approx(expected, abs=0.1 if share >= 0.5 else 1.5)
    assert found.log10_odds > 4.0
    assert (found.residual_px < 1.0) == (share > 0.5)


def test_no_patch_is_seen_by_the_fit_that_it_judges(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    solution = near_nadir.best.solution
    seen: list[set[tuple[float, float]]] = []
    fit = verification.fit_pose

    def noted(start, matches, *rest):  # type: ignore[no-untyped-def]
        seen.append(set(zip(matches.x.tolist(), matches.y.tolist(), strict=True)))
        return fit(start, matches, *rest)

    monkeypatch.setattr(verification, "fit_pose", noted)
    matches = solution.refinement.matches
    judged(solution, matches)
    every = set(zip(matches.x.tolist(), matches.y.tolist(), strict=True))
    assert len(seen) == FOLDS
    left_out = [every - one for one in seen]
    assert set.union(*left_out) == every
    assert sum(len(one) for one in left_out) == len(every)


def test_overlapping_patches_do_not_count_twice(near_nadir: Solved) -> None:
    """Of patches of 61 px only 41 fit side by side into 480 x 320 px."""
    solution = near_nadir.best.solution
    matches, landed = mostly_landing(solution, 0.8)
    count = solution.image.values.size / 61**2
    assert count < lights_seen(solution)
    large = replace(matches, size_px=61)
    found = landing_of(solution, large, groups_seen(solution, matches), LANDED_PX)
    assert found.log10_odds(SHARES_LANDED) == pytest.approx(
        expected_odds(landed, count, SHARES_LANDED), rel=0.08
    )


def test_fewer_may_land_than_in_a_clear_frame(near_nadir: Solved) -> None:
    """A third lands, as under cloud: five times chance, and that is told at a small price."""
    solution = near_nadir.best.solution
    matches, landed = mostly_landing(solution, 0.33)
    several = judged(solution, matches).log10_odds
    one = judged(solution, matches, (0.6,)).log10_odds
    count = lights_seen(solution)
    assert one == pytest.approx(expected_odds(landed, count, (0.6,)), abs=2.0)
    assert several > one + 3.0


def scattered(solution: Solution, seed: int) -> HeldOut:
    """As under a wrong camera: every patch peaks somewhere within its reach."""
    rng = np.random.default_rng(seed)
    count = len(solution.refinement.matches)
    dx, dy = rng.uniform(-3.5, 3.5, (2, count))
    return judged(solution, displaced(solution, dx, dy))


@pytest.mark.parametrize("name", ["near_nadir", "oblique"])
def test_patches_at_random_places_prove_nothing(name: str, request: pytest.FixtureRequest) -> None:
    """In thirty draws: never odds of a hundred, and a median clearly against the camera."""
    solved: Solved = request.getfixturevalue(name)
    found = [scattered(solved.best.solution, seed) for seed in range(DRAWS)]
    odds = np.array([one.log10_odds for one in found])
    assert odds.max() < 2.0
    assert np.median(odds) < -1.0
    assert min(one.residual_px for one in found) > 1.5


@pytest.mark.parametrize(("off_px", "right"), [(0.5, True), (2.5, False)])
def test_a_camera_is_not_right_for_another_that_would_be(
    near_nadir: Solved, off_px: float, right: bool
) -> None:
    """A camera turned by some pixels: the others tell where the ones left out lie, it does not."""
    solution = near_nadir.best.solution
    count = len(solution.refinement.matches)
    found = judged(solution, displaced(solution, np.full(count, off_px), np.zeros(count)))
    expected = expected_odds(float(right), lights_seen(solution), SHARES_LANDED)
    assert found.log10_odds == pytest.approx(expected, rel=0.1)
    assert found.residual_px == pytest.approx(off_px / RAYLEIGH_MEDIAN, rel=0.1)


def repeated(matches: PatchMatches, few: NDArray[np.intp]) -> PatchMatches:
    """Some of the patches, each nine times: moved by a pixel or two, and off alike."""
    nine = matches.chosen(np.repeat(few, 9))
    dx, dy = (side.ravel() for side in np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]))
    return replace(nine, x=nine.x + np.tile(dx, len(few)), y=nine.y + np.tile(dy, len(few)))


def test_one_light_in_many_patches_is_one_light(near_nadir: Solved) -> None:
    """Three lone towns that a wrong camera met by chance, seen by 27 patches: no proof."""
    solution = near_nadir.best.solution
    leaders = np.unique(groups_seen(solution, solution.refinement.matches), return_index=True)[1]
    matches = repeated(solution.refinement.matches, leaders[:3])
    lone = replace(matches, dx=np.zeros(27), dy=np.zeros(27))
    assert len(np.unique(groups_seen(solution, lone))) == 3
    found = judged(solution, lone)
    assert found.log10_odds <= expected_odds(1.0, 3, SHARES_LANDED) + 1e-9
    # Were each patch a proof of its own, a patch off with its light would be foretold by the rest
    angle = np.repeat(2.0 * np.pi * np.arange(3) / 3.0, 9)
    apart = replace(matches, dx=3.0 * np.cos(angle), dy=3.0 * np.sin(angle))
    assert judged(solution, apart).residual_px > 1.0


def test_towns_alone_say_that_a_fit_with_an_empty_quarter_is_whole() -> None:
    part = HeldOut(residual_px=1.0, log10_odds=5.0, in_part=True)
    assert part.log10_odds_beside(WHOLE_TOWN_LOG10_ODDS - 0.1) == 0.0
    assert part.log10_odds_beside(WHOLE_TOWN_LOG10_ODDS) == 5.0
    assert replace(part, in_part=False).log10_odds_beside(-9.0) == 5.0
    assert replace(part, log10_odds=-3.0).log10_odds_beside(0.0) == -3.0


def quarters(*shares: float) -> Landing:
    """Patches of which so many land in the quarters of a picture: left to right, top to bottom."""
    x, y = (side.ravel() for side in np.meshgrid(np.arange(40.0), np.arange(20.0)))
    quarter = (x >= 20).astype(int) + 2 * (y >= 10)
    rng = np.random.default_rng(1)
    off = rng.permuted(np.arange(200)) / 200.0
    distance = np.empty(800)
    for number, share in enumerate(shares):
        distance[quarter == number] = np.where(off < share, 0.5, 5.0)
    return Landing(x=x, y=y, distance_px=distance, independent=800.0, landed_px=LANDED_PX)


def parts_with(shares: Sequence[float]) -> Parts:
    parts = Parts.of([quarters(*shares)])
    assert parts is not None
    return parts


@pytest.mark.parametrize("worst", range(4))
def test_the_worst_quarter_tells_a_bent_fit(worst: int) -> None:
    """Whichever it is; whatever the others bear."""
    shares = [0.9, 0.8, 0.7, 0.6]
    assert len(parts_with(shares).empty) == 0
    shares[worst] = 0.1
    parts = parts_with(shares)
    (empty,) = parts.empty
    assert parts.landed[empty] == pytest.approx(0.1, abs=0.02)
    of_two_sizes = Parts.of([quarters(*shares)] * 2)
    assert of_two_sizes is not None
    assert of_two_sizes.landed == pytest.approx(parts.landed)
    middle = np.array([[10.0 + 20.0 * (worst % 2), 5.0 + 10.0 * (worst // 2)]])
    assert parts.numbers(middle) == empty


def test_few_patches_tell_of_no_quarter() -> None:
    few = quarters(0.1, 0.1, 0.1, 0.1)
    few = replace(few, x=few.x[:5], y=few.y[:5], distance_px=few.distance_px[:5])
    assert Parts.of([few]) is None


@pytest.mark.parametrize(
    ("beside", "met_beside", "whole"), [(18, 0, False), (18, 9, True), (4, 1, True), (0, 0, False)]
)
def test_towns_are_met_where_patches_do_not_land_or_the_fit_is_bent(
    beside: int, met_beside: int, whole: bool
) -> None:
    """About as often as half of those in the other quarters are."""
    parts = parts_with([0.9, 0.8, 0.5 * LEAST_OF_QUARTER, 0.7])
    elsewhere = 100
    x = np.concatenate([np.full(beside, 10.0), np.full(elsewhere, 30.0)])
    y = np.concatenate([np.full(beside, 15.0), np.full(elsewhere, 5.0)])
    towns = Towns(x=x, y=y, contrast=np.ones(len(x)))
    met = np.concatenate([np.arange(met_beside), beside + np.arange(elsewhere // 2)])
    assert parts.are_met(towns, met) is whole
    part = HeldOut(residual_px=1.0, log10_odds=5.0, in_part=True, met_beside=whole)
    assert part.log10_odds_beside(10.0 * WHOLE_TOWN_LOG10_ODDS) == (5.0 if whole else 0.0)


WRONG_LENS, BENT_LENS = 0.75, 0.88


def told_wrongly(solved: Solved, ratio: float = WRONG_LENS) -> Finalist:
    """The right finalist, with a lens that is told too short and held to be so."""
    finalist = solved.best.finalists[0]
    look = finalist.candidate.look
    prior = replace(look.prior, focal_px=ratio * look.prior.focal_px)
    candidate = replace(finalist.candidate, look=replace(look, prior=prior))
    short = replace(finalist.camera, focal_px=0.9 * finalist.camera.focal_px)
    return replace(finalist, camera=short, candidate=candidate)


def test_a_fit_that_its_patches_confirm_is_left_alone(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(verification, "aligned_finalist", forbidden)
    first = near_nadir.best.finalists[0]
    fit = best_fit(near_nadir.search, first)
    assert fit.left_out.log10_odds > LEAST_LOG10_ODDS
    assert fit.solution.finalist is first


def test_a_wrong_lens_is_set_free(near_nadir: Solved) -> None:
    finalist = told_wrongly(near_nadir)
    told = verification.fit_of(near_nadir.search, finalist)
    assert told is None or told.left_out.log10_odds <= LEAST_LOG10_ODDS
    assert_fitted(near_nadir, finalist)


def test_a_lens_that_the_fit_pulls_away_from_what_was_told_is_set_free(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patches may confirm a camera that is bent to make up for a lens that it is held to."""
    finalist = told_wrongly(near_nadir, BENT_LENS)
    told = verification.fit_of(near_nadir.search, finalist)
    assert told is not None
    assert told.left_out.log10_odds > LEAST_LOG10_ODDS
    prior = told.solution.refinement.prior
    assert abs(prior.departure(told.solution.camera)[FOCAL]) > 3.0 * prior.sigma_log_focal
    freed: list[Finalist] = []
    align = verification.aligned_finalist

    def noted(search: Search, any_lens: Finalist, size_px: int) -> Finalist | None:
        freed.append(any_lens)
        return align(search, any_lens, size_px)

    monkeypatch.setattr(verification, "aligned_finalist", noted)
    assert_fitted(near_nadir, finalist)
    (lens,) = freed
    assert lens.candidate.look.prior.sigma_log_focal > 10.0 * prior.sigma_log_focal


def test_patches_do_not_count_where_those_farther_away_fit_another_camera(
    near_nadir: Solved,
) -> None:
    """They lie where a bent camera has gone, and tell nothing of the rest of the picture."""
    fit = verification.fit_of(near_nadir.search, near_nadir.best.finalists[0])
    assert fit is not None
    assert fit.holds
    refinement = replace(fit.solution.refinement, aside_log10_odds=BENT_LOG10_ODDS)
    bent = replace(fit, solution=replace(fit.solution, refinement=refinement))
    assert fit.patch_log10_odds > TESTED_LOG10_ODDS
    assert bent.patch_log10_odds == 0.0


def with_odds(fit: Fit, patches: float, picture: float, *, holds: bool) -> Fit:
    """The same fit, its lights and its picture confirmed by so much."""
    finalist = replace(fit.solution.finalist, picture_log10_odds=picture)
    return replace(
        fit,
        solution=replace(fit.solution, finalist=finalist),
        left_out=replace(fit.left_out, log10_odds=patches, in_part=False),
        holds=holds,
    )


@pytest.mark.parametrize(
    ("other_odds", "apart", "believed"), [(5.5, 0.5, True), (5.5, 3.0, False), (3.5, 3.0, True)]
)
def test_of_two_fits_that_are_confirmed_alike_and_differ_neither_is_believed(
    near_nadir: Solved, other_odds: float, apart: float, believed: bool
) -> None:
    """Even where the other is bent; how far they are apart counts in what is allowed."""
    fit = verification.fit_of(near_nadir.search, near_nadir.best.finalists[0])
    assert fit is not None
    fit = with_odds(fit, 5.0, 0.0, holds=True)
    solution = fit.solution
    turn = apart * verification.allowed_px(solution) / solution.camera.focal_px
    moved = replace(solution, camera=turned(solution.camera, [0.0, turn, 0.0]))
    other = replace(fit, solution=moved, left_out=replace(fit.left_out, in_part=True))
    other = replace(other, left_out=replace(other.left_out, log10_odds=other_odds), holds=False)
    best = verification.best_of([replace(other, proof=replace(fit.proof, log10_odds=0.0)), fit])
    assert best is not None
    assert best.solution is solution
    assert best.contradicted is not believed
    assert best.patch_log10_odds == (5.0 if believed else 0.0)


@pytest.mark.parametrize(
    ("told", "free", "loose", "place", "tried", "chosen"),
    [
        (4.0, 9.0, (), 30.0, 0, 0),  # confirmed: no other is tried
        (2.0, 4.0, (), 30.0, 1, 1),
        (2.0, 1.5, (), 30.0, 3, 3),  # neither is: the free one with its axis held
        (2.0, 1.5, (), -30.0, 1, 0),  # but where the place is chance
        (4.2, 5.9, (0, 1), 30.0, 3, 3),  # those that move without some of the lights
        (4.2, 5.9, (0, 1, 2, 3), 30.0, 3, 1),
        (4.2, 6.1, (0, 1), 30.0, 3, 1),  # but not for one that is confirmed by less than a tenth
    ],
)
def test_the_lens_that_lights_confirm_is_taken(
    near_nadir: Solved,
    monkeypatch: pytest.MonkeyPatch,
    told: float,
    free: float,
    loose: tuple[int, ...],
    place: float,
    tried: int,
    chosen: int,
) -> None:
    """Odds of the told lens and the free one; those after them have 3.5 and 5."""
    first = near_nadir.best.finalists[0]
    fit = verification.fit_of(near_nadir.search, first)
    assert fit is not None
    assert fit.holds
    fit = replace(fit, proof=replace(fit.proof, log10_odds=10.0))
    fits = [
        with_odds(fit, odds, place, holds=k not in loose)
        for k, odds in enumerate((told, free, 3.5, 5.0))
    ]
    asked: list[tuple[float, bool]] = []

    def fit_with(_: object, one: Finalist, sigma: float, axis_px: float) -> Fit:
        asked.append((sigma, axis_px > 0.0))
        return fits[len(asked)]

    monkeypatch.setattr(verification, "fit_of", lambda *_: fits[0])
    monkeypatch.setattr(verification, "fit_with", fit_with)
    assert best_fit(near_nadir.search, first) is fits[chosen]
    prior = first.candidate.look.prior
    others = [(1.0, True), (prior.sigma_log_focal, prior.sigma_principal_px == 0.0), (1.0, False)]
    assert asked == others[:tried]


def test_a_fit_that_moves_without_some_of_the_lights_does_not_hold(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "vagueness_m", lambda *_: 2000.0)
    fit = verification.fit_of(near_nadir.search, near_nadir.best.finalists[0])
    assert fit is not None
    assert not fit.holds


def assert_fitted(solved: Solved, finalist: Finalist) -> None:
    fit = best_fit(solved.search, finalist)
    assert fit is not None
    assert fit.left_out.log10_odds > 10.0
    camera = fit.solution.image.stored_camera(fit.solution.camera, finalist.camera)
    truth = solved.shot.camera
    x, y = (side.ravel() for side in np.meshgrid([60.0, 240.0, 420.0], [50.0, 160.0, 270.0]))
    lon, lat, _ = truth.ground(x, y)
    at_x, at_y = camera.lonlat_to_pixel(lon, lat)
    assert np.hypot(at_x - x, at_y - y).max() < 1.0
