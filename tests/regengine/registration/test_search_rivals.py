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
    """With other figures; evened correlations are the plain ones where nothing else is said."""
    for plain in ("ncc", "runner_up_ncc"):
        if plain in said:
            said.setdefault(plain.replace("ncc", "even_ncc"), said[plain])
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
    assert kept.evidence.runner_up_ncc == kept.evidence.runner_up_even_ncc == 0.6
    assert kept.evidence.runner_up_town_log10_odds == 6.5
    assert kept.evidence.runner_up_picture_log10_odds == 5.5
    assert kept.finalists == (fit.finalists[0], late.finalists[1])


@pytest.mark.parametrize("later_wins", [True, False])
def test_another_view_that_correlates_better_becomes_the_runner_up(
    proven: Verified, later_wins: bool
) -> None:
    strong = with_evidence(proven, ncc=0.5, runner_up_ncc=0.2, town_log10_odds=60.0)
    weak = with_evidence(
        elsewhere(proven),
        ncc=0.48,
        town_log10_odds=-1.0,
        patch_log10_odds=-3.0,
        picture_log10_odds=5.75,
    )
    kept = better(strong, weak) if later_wins else better(weak, strong)
    assert kept.camera == strong.camera
    assert kept.evidence.ncc - kept.evidence.runner_up_ncc == pytest.approx(0.02)
    assert kept.evidence.runner_up_town_log10_odds == max(
        strong.evidence.runner_up_town_log10_odds, weak.evidence.town_log10_odds
    )
    assert kept.evidence.runner_up_picture_log10_odds == 5.75
    assert kept.finalists[:2] == (strong.finalists[0], weak.finalists[0])


@pytest.mark.parametrize("later_wins", [True, False])
@pytest.mark.parametrize(
    ("share", "other_share", "other_ncc", "worth"),
    [(1.0, 0.5, 0.8, 0.4), (0.5, 1.0, 0.3, 0.6), (0.6, 0.6, 0.55, 0.55), (0.9, 0.3, 0.75, 0.25)],
)
def test_a_rival_counts_for_what_it_is_worth_in_the_proposals_field(
    proven: Verified,
    later_wins: bool,
    share: float,
    other_share: float,
    other_ncc: float,
    worth: float,
) -> None:
    """0.8 of a field of 45 km is easily had by chance; 0.4 of one of 180 km is as much."""
    strong = with_evidence(
        proven, ncc=0.7, runner_up_ncc=0.2, field_share=share, town_log10_odds=60.0
    )
    weak = with_evidence(
        elsewhere(proven),
        ncc=other_ncc,
        field_share=other_share,
        town_log10_odds=-3.0,
        patch_log10_odds=-3.0,
        runner_up_ncc=0.9,
    )
    assert strong.evidence.lead_log10_odds > weak.evidence.lead_log10_odds
    kept = better(strong, weak) if later_wins else better(weak, strong)
    assert kept.camera == strong.camera
    assert kept.evidence.runner_up_ncc == pytest.approx(worth)
    assert kept.evidence.runner_up_even_ncc == pytest.approx(worth)
    assert kept.finalists[1] is weak.finalists[0]


@pytest.mark.parametrize("figures", [{"ncc": 0.2}, {"ncc": 0.6, "field_share": 0.3}])
def test_another_view_worth_less_than_the_runner_up_changes_nothing(
    proven: Verified, figures: dict[str, float]
) -> None:
    strong = with_evidence(proven, ncc=0.5, runner_up_ncc=0.2, town_log10_odds=60.0)
    weak = with_evidence(elsewhere(proven), **figures, runner_up_ncc=0.6, town_log10_odds=-1.0)
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
    assert evidence.field_share == shares[0]
    assert evidence.ncc == first.ncc
    assert evidence.runner_up_ncc == pytest.approx(rival.ncc * shares[1] / shares[0])
    assert evidence.even_ncc == first.even_ncc
    assert evidence.runner_up_even_ncc == pytest.approx(rival.even_ncc * shares[1] / shares[0])
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
    assert search.best.evidence.runner_up_even_ncc == pytest.approx(first.even_ncc)
    assert search.best.evidence.even_margin < 0.0
