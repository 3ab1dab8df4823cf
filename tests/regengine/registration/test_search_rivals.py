"""Which of two proofs is kept, and what it is held against."""

from __future__ import annotations

from dataclasses import replace

import pytest

from regengine.registration import register
from regengine.registration.acceptance import better, probability
from regengine.registration.candidates import field_share
from regengine.registration.evidence import CLEAR_LOG10_ODDS, Finalist, Verified, log10_tried
from regengine.registration.register import verify_best
from regengine.registration.search import Search
from tests.regengine.registration.made_search import begun_anew
from tests.regengine.registration.simulated_frames import Solved


def with_evidence(proven: Verified, **said: float) -> Verified:
    return replace(proven, evidence=replace(proven.evidence, **said))


def elsewhere(proven: Verified) -> Verified:
    """The same photograph upside down: another view, whatever its figures."""
    x, y, z, w = proven.camera.quaternion
    return replace(proven, camera=replace(proven.camera, quaternion=(y, -x, w, -z)))


@pytest.fixture
def proven(near_nadir: Solved) -> Verified:
    return near_nadir.best


@pytest.mark.parametrize("later_fits_better", [True, False])
def test_the_same_view_is_held_against_the_later_rivals_whichever_fit_is_kept(
    proven: Verified, later_fits_better: bool
) -> None:
    """An early margin was held against few candidates; it must not outlive a later one."""
    good, poor = (
        {"town_log10_odds": odds, "patch_log10_odds": odds, "held_out_residual_px": residual}
        for odds, residual in ((20.0, 0.4), (1.0, 2.0))
    )
    early = with_evidence(
        proven,
        ncc=0.80,
        runner_up_ncc=0.55,
        runner_up_town_log10_odds=0.0,
        runner_up_picture_log10_odds=1.0,
        **(poor if later_fits_better else good),
    )
    late = with_evidence(
        proven,
        ncc=0.81,
        runner_up_ncc=0.6,
        runner_up_town_log10_odds=6.5,
        runner_up_picture_log10_odds=5.5,
        **(good if later_fits_better else poor),
    )
    late = replace(late, finalists=(late.finalists[0], early.finalists[0]))
    kept = better(late, early)
    fit = late if later_fits_better else early
    assert kept.evidence.town_log10_odds == fit.evidence.town_log10_odds
    assert kept.evidence.ncc == fit.evidence.ncc
    assert kept.solution is fit.solution
    assert kept.evidence.runner_up_ncc == 0.6
    assert kept.evidence.runner_up_town_log10_odds == 6.5
    assert kept.evidence.runner_up_picture_log10_odds == 5.5
    assert kept.finalists == (fit.finalists[0], late.finalists[1])


def test_of_one_view_the_tested_fit_is_kept(proven: Verified) -> None:
    """More odds tell the place, which is the same, and not the last kilometres."""
    tested = with_evidence(proven, town_log10_odds=2.0, patch_log10_odds=4.0)
    loose = with_evidence(
        proven, town_log10_odds=8.0, patch_log10_odds=-2.0, picture_log10_odds=60.0
    )
    assert loose.evidence.log10_odds > tested.evidence.log10_odds
    for kept in (better(tested, loose), better(loose, tested)):
        assert kept.evidence.patch_log10_odds == 4.0


@pytest.mark.parametrize(("town", "picture", "stronger"), [(0.0, 9.0, True), (5.5, 0.0, False)])
def test_the_stronger_runner_up_is_kept_whole(
    proven: Verified, town: float, picture: float, stronger: bool
) -> None:
    """No rival is made up of the towns of one and the picture of another."""
    known = {"runner_up_town_log10_odds": 5.0, "runner_up_picture_log10_odds": 1.0}
    evidence = replace(proven.evidence, runner_up_ncc=0.4, **known)
    held = evidence.held_against(0.3, town, picture)
    assert (
        held.runner_up_ncc,
        held.runner_up_town_log10_odds,
        held.runner_up_picture_log10_odds,
    ) == ((0.3, town, picture) if stronger else (0.4, 5.0, 1.0))


@pytest.mark.parametrize("later_wins", [True, False])
@pytest.mark.parametrize("longer", [1.0, 8.0])
def test_another_view_that_has_more_for_it_becomes_the_runner_up(
    proven: Verified, later_wins: bool, longer: float
) -> None:
    """Its correlation for what it is worth in the proposal's field."""
    none = {"runner_up_town_log10_odds": 0.0, "runner_up_picture_log10_odds": 0.0}
    strong = with_evidence(proven, ncc=0.5, runner_up_ncc=0.2, town_log10_odds=60.0, **none)
    weak = with_evidence(
        elsewhere(proven),
        ncc=0.48,
        town_log10_odds=-1.0,
        patch_log10_odds=-3.0,
        picture_log10_odds=5.75,
    )
    first, camera = strong.finalists[0], weak.camera
    rival = replace(first, camera=replace(camera, focal_px=longer * camera.focal_px))
    weak = replace(weak, finalists=(rival,))
    kept = better(strong, weak) if later_wins else better(weak, strong)
    assert kept.camera == strong.camera
    assert kept.evidence.runner_up_ncc == pytest.approx(0.48 * rival.share / first.share)
    assert kept.evidence.runner_up_town_log10_odds == -1.0
    assert kept.evidence.runner_up_picture_log10_odds == 5.75
    assert kept.finalists[:2] == (first, rival)


def test_another_view_that_has_less_for_it_changes_nothing(proven: Verified) -> None:
    """However well it correlates."""
    strong = with_evidence(proven, town_log10_odds=60.0, runner_up_picture_log10_odds=6.0)
    weak = with_evidence(elsewhere(proven), ncc=0.9, town_log10_odds=-9.0, picture_log10_odds=6.0)
    assert better(strong, weak) is strong
    assert better(weak, strong) is strong


def test_proofs_are_ordered_by_their_odds_over_the_runner_up(proven: Verified) -> None:
    """Odds alone do not make up for a twin that has them as well."""
    odds = {"picture_log10_odds": 5.0, "runner_up_picture_log10_odds": 5.0}
    twin = with_evidence(
        proven, **odds, town_log10_odds=7.0, patch_log10_odds=6.0, runner_up_town_log10_odds=6.0
    )
    alone = with_evidence(
        elsewhere(proven),
        **odds,
        town_log10_odds=6.0,
        patch_log10_odds=5.0,
        runner_up_town_log10_odds=1.0,
    )
    assert twin.evidence.log10_odds > alone.evidence.log10_odds
    assert probability(alone.evidence) >= probability(twin.evidence)
    assert better(twin, alone).camera == better(alone, twin).camera == alone.camera


def test_where_the_probability_is_at_its_limit_the_odds_decide(proven: Verified) -> None:
    sure = with_evidence(
        proven, ncc=0.9, runner_up_ncc=0.2, town_log10_odds=300.0, patch_log10_odds=300.0
    )
    surer = with_evidence(replace(sure, camera=elsewhere(proven).camera), town_log10_odds=400.0)
    assert probability(sure.evidence) == probability(surer.evidence)
    assert better(sure, surer).camera == better(surer, sure).camera == surer.camera


@pytest.mark.parametrize("longer", [1.0, 8.0])
def test_the_runner_up_is_told_as_if_it_had_the_proposals_field(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch, longer: float
) -> None:
    """A rival that another lens would make: eight times as long, a field of 37 km."""
    best = near_nadir.best
    first = best.finalists[0]
    wrong = elsewhere(best).camera
    rival = replace(
        first,
        camera=replace(wrong, focal_px=longer * wrong.focal_px),
        ncc=0.5,
        picture_log10_odds=1.5,
    )
    shares = [field_share(first.camera), field_share(rival.camera)]
    assert shares == pytest.approx([1.0, 1.0 if longer == 1.0 else (37.0 / 180.0) ** 0.5], rel=0.03)

    def compared(*_: object) -> list[Finalist]:
        return [first, rival]

    monkeypatch.setattr(register, "compare_finalists", compared)
    search = begun_anew(near_nadir.search, candidates=[first.candidate], looks_taken=10)
    verify_best(search)
    assert search.best is not None
    evidence = search.best.evidence
    assert evidence.ncc == first.ncc
    assert evidence.runner_up_ncc == pytest.approx(rival.ncc * shares[1] / shares[0])
    assert evidence.picture_log10_odds > CLEAR_LOG10_ODDS
    assert evidence.runner_up_picture_log10_odds == 1.5
    assert evidence.log10_tried == log10_tried(10)


def test_what_cannot_be_fitted_is_a_rival_and_hides_nothing(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = near_nadir.best
    second = best.finalists[0]
    candidate = replace(second.candidate, camera=elsewhere(best).camera)
    first = replace(
        second, candidate=candidate, camera=candidate.camera, even_ncc=second.even_ncc + 0.1
    )
    fitted = register.best_fit

    def compared(*_: object) -> list[Finalist]:
        return [first, second]

    def fit_of(search: Search, finalist: Finalist) -> object:
        return None if finalist is first else fitted(search, finalist)

    monkeypatch.setattr(register, "compare_finalists", compared)
    monkeypatch.setattr(register, "best_fit", fit_of)
    search = begun_anew(near_nadir.search, candidates=[candidate, second.candidate], looks_taken=10)
    verify_best(search)
    assert search.best is not None
    assert search.best.finalists == (second, first)
    assert search.best.evidence.runner_up_ncc == pytest.approx(first.ncc)
