"""From evidence to verdict and reason: a row for each guard that keeps a wrong answer out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.limb import Limb
from matchers.camera import Camera
from matchers.patches import groups_of
from matchers.pose import FOCAL, turned
from matchers.refine import BENT_LOG10_ODDS, Refits
from matchers.verify import Towns
from matchers.view import render_known
from regengine.registration import verification
from regengine.registration.acceptance import (
    REVIEW_PROBABILITY,
    better,
    default_accept_probability,
    is_conclusive,
    place_probability,
    probability,
)
from regengine.registration.evidence import (
    CLEAR_LOG10_ODDS,
    SURE_LOG10_ODDS,
    TESTED_LOG10_ODDS,
    WHOLE_TOWN_LOG10_ODDS,
    Evidence,
    Finalist,
    HeldOut,
    Solution,
    Verified,
    log10_tried,
)
from regengine.registration.lens_prior import SIGMA_LOG_FOCAL, SIGMA_LOG_FOCAL_ANY
from regengine.registration.outcome import result_of
from regengine.registration.propose_index import anywhere
from regengine.registration.search import Search
from regengine.registration.verification import (
    LANDED_PX,
    SHARES_LANDED,
    Landing,
    Parts,
    best_fit,
    best_of,
    fit_of,
    landing_of,
    with_lens,
)
from regengine.registration.without_orbit import chance_of_any_beyond
from regengine.result import FrameResult
from tests.matchers.lamp_world import camera_over
from tests.regengine.registration.conftest import Solved
from tests.regengine.registration.made_limb import found_limb

SURE, NEVER = 60.0, 0.999_999  # odds that nobody doubts; a threshold that no probability reaches


@pytest.fixture(scope="session")
def search(over_city: Solved) -> Search:
    """A search that has proven a camera over a city."""
    assert over_city.search.conclusive
    return over_city.search


@pytest.fixture(scope="session")
def proven(over_city: Solved) -> Verified:
    """Its best."""
    return over_city.best


# Changes of what was proven

Change = Callable[[Verified], Verified]


def said(**figures: float) -> Change:
    """The same proof with other figures."""
    return lambda best: replace(best, evidence=replace(best.evidence, **figures))


def odds(together: float, rival: float = -3.0) -> Change:
    """With such odds in all, well tested, and such a runner-up."""

    def change(best: Verified) -> Verified:
        tried = best.evidence.log10_tried
        return said(
            town_log10_odds=2.0,
            patch_log10_odds=10.0,
            picture_log10_odds=together + tried - 12.0,
            runner_up_town_log10_odds=0.0,
            runner_up_picture_log10_odds=rival + tried,
        )(best)

    return change


def both(*changes: Change) -> Change:
    def change(best: Verified) -> Verified:
        for one in changes:
            best = one(best)
        return best

    return change


def of_solution(change: Callable[[Solution], Solution]) -> Change:
    return lambda best: replace(best, solution=change(best.solution))


def patches(solution: Solution, chosen: NDArray[Any]) -> Solution:
    """A solution that rests on some of its patches alone."""
    fit = solution.refinement
    return replace(
        solution,
        refinement=replace(
            fit,
            matches=fit.matches.chosen(chosen),
            residual_px=fit.residual_px[chosen],
            weights=fit.weights[chosen],
        ),
    )


def nearest(count: int) -> Change:
    """The patches nearest to one of them."""

    def change(solution: Solution) -> Solution:
        matches = solution.refinement.matches
        away = np.hypot(matches.x - matches.x[0], matches.y - matches.y[0])
        return patches(solution, np.argsort(away)[:count])

    return of_solution(change)


def vague(times: float) -> Change:
    """A fit whose own covariance is that many times as wide."""

    def change(solution: Solution) -> Solution:
        fit = solution.refinement
        return replace(solution, refinement=replace(fit, covariance=times**2 * fit.covariance))

    return of_solution(change)


class WithoutQuarters(Solution):
    """Refits agree, but without a quarter of the picture."""

    def refits_without(self, parts: int) -> Refits:
        turn = (0.05, 0.0, 0.0) if parts == 4 else (0.0, 0.0, 0.0)
        return Refits(camera=self.camera, without=(turned(self.camera, turn),) * 4)


def loose(turn_rad: float) -> type[Solution]:
    """Without some of the lights the camera turns by so much."""

    class Loose(Solution):
        def refits_without(self, parts: int) -> Refits:
            turns = turn_rad * np.array([(1, 0, 0), (-1, 0.5, 0), (0.5, -1, 0), (0, 1, 0.5)])
            return Refits(
                camera=self.camera, without=tuple(turned(self.camera, turn) for turn in turns)
            )

    return Loose


MUCH, LITTLE = loose(0.003), loose(0.0015)  # two kilometres on the ground, and one


def kind_of(other: type[Solution]) -> Change:
    return of_solution(lambda one: other(**{k: getattr(one, k) for k in one.__dataclass_fields__}))


def saturated(best: Verified) -> Verified:
    value = float(np.median(best.view[best.view > 0.05]))
    levels = (replace(best.solution.levels[0], saturation=value), *best.solution.levels[1:])
    return replace(best, solution=replace(best.solution, levels=levels))


def any_lens(best: Verified) -> Verified:
    freed = with_lens(best.solution.finalist, SIGMA_LOG_FOCAL_ANY, 100.0)
    return replace(best, solution=replace(best.solution, finalist=freed))


def told_lens(best: Verified) -> Verified:
    kept = replace(with_lens(best.solution.finalist, SIGMA_LOG_FOCAL, 0.0), other_lens=False)
    return replace(best, solution=replace(best.solution, finalist=kept))


SCATTERED = {
    "town_log10_odds": 90.0,
    "patch_log10_odds": TESTED_LOG10_ODDS - 0.1,
    "picture_log10_odds": 500.0,
    "held_out_residual_px": 5.3,
}
CHANCE = said(
    town_log10_odds=-4.0, patch_log10_odds=-4.0, picture_log10_odds=-4.0, held_out_residual_px=5.0
)
BARELY = said(town_log10_odds=24.0, patch_log10_odds=SURE_LOG10_ODDS - 0.1)
UNLIKELY = odds(2.0)


@dataclass(frozen=True)
class Row:
    """What is changed, and what is then said."""

    change: Change
    verdict: str
    codes: tuple[str, ...] = ()
    text: str = ""
    accept: float | None = None
    of_search: tuple[tuple[str, Any], ...] = ()


def as_it_is(best: Verified) -> Verified:
    return best


ANYWHERE = (("position", anywhere()),)
SHORT = SimpleNamespace(bounds=(-152.0, -90.0, 60.0, 90.0))
ROWS = {
    "what is proven": Row(as_it_is, "accepted"),
    "odds that nobody doubts": Row(odds(SURE), "accepted"),
    "a rival far behind": Row(odds(SURE, 1.0), "accepted"),
    "a rival as good": Row(odds(SURE, SURE - 0.2), "review", ("low_margin",)),
    "left-out lights scattered": Row(
        said(**SCATTERED), "review", ("imprecise",), "land 5.3 px beside (one sigma)", 0.1
    ),
    "too few lights to leave any out": Row(
        said(**SCATTERED | {"held_out_residual_px": np.inf}),
        *("review", ("imprecise",), "too few lights", 0.1),
    ),
    "tested at the limit, whole by towns": Row(
        said(**SCATTERED | {"patch_log10_odds": TESTED_LOG10_ODDS}), "accepted"
    ),
    "tested at the limit, not whole": Row(
        said(patch_log10_odds=TESTED_LOG10_ODDS, town_log10_odds=24.0, picture_log10_odds=500.0),
        *("review", ("low_probability",)),
    ),
    "well tested": Row(
        said(patch_log10_odds=SURE_LOG10_ODDS, town_log10_odds=24.0, picture_log10_odds=500.0),
        "accepted",
    ),
    "no better than chance": Row(CHANCE, "no_match", ("no_agreement",)),
    "hardly better than chance": Row(UNLIKELY, "review", ("low_probability",)),
    "few lights met, but sure": Row(said(met_towns=7), "accepted"),
    "few lights met": Row(said(met_towns=7), "review", ("few_lights",), "only 7 of", NEVER),
    "a flat map, but sure": Row(saturated, "accepted"),
    "a flat map": Row(saturated, "review", ("map_saturated",), "radiance product", NEVER),
    "below the user's threshold": Row(as_it_is, "review", ("low_probability",), "below", NEVER),
    "three points": Row(nearest(3), "review", ("few_control_points",), "only 3 places", 0.01),
    "points all in one spot": Row(
        nearest(4),
        "review",
        ("few_control_points", "narrow", "dark_points"),
        "% of the picture",
        0.01,
    ),
    "points beyond the lights that agree": Row(
        lambda best: replace(best, met=best.met[:2]),
        *("accepted", ("dark_points",), "lie on no light"),
    ),
    "a vague point": Row(vague(60.0), "review", ("imprecise",), "uncertain by", 0.9),
    "a camera that moves without some lights": Row(
        kind_of(MUCH), "review", ("imprecise",), "the camera moves", 0.01
    ),
    "a camera that moves a little": Row(kind_of(LITTLE), "accepted", accept=0.9),
    "a known lens, well tested, bent without a quarter": Row(
        both(
            said(town_log10_odds=24.0, patch_log10_odds=SURE_LOG10_ODDS + 0.1),
            kind_of(WithoutQuarters),
        ),
        "accepted",
    ),
    "another lens, bent without a quarter": Row(
        both(
            said(town_log10_odds=24.0, patch_log10_odds=SURE_LOG10_ODDS + 0.1),
            any_lens,
            kind_of(WithoutQuarters),
        ),
        "review",
        ("imprecise",),
        "the camera moves",
    ),
    "barely tested, bent without a quarter": Row(
        both(BARELY, kind_of(WithoutQuarters)), "review", ("imprecise",), "the camera moves"
    ),
    "the same, whole by towns": Row(
        both(BARELY, said(town_log10_odds=26.0), kind_of(WithoutQuarters)), "accepted"
    ),
    "cut short": Row(
        UNLIKELY,
        "review",
        ("low_probability", "search_budget"),
        "",
        of_search=(("exhausted", False),),
    ),
    "cut short by the brake": Row(
        CHANCE,
        "no_match",
        ("search_budget",),
        "--max-seconds",
        of_search=(("exhausted", False), ("braked", True)),
    ),
    "cut short, but proven": Row(as_it_is, "accepted", of_search=(("exhausted", False),)),
    "a map that ends at the nadir": Row(
        CHANCE,
        "no_match",
        ("no_agreement", "outside_map"),
        "of the ground",
        of_search=(("light_map", SHORT),),
    ),
    "anywhere on Earth, the lens told": Row(told_lens, "accepted", of_search=ANYWHERE),
    "anywhere, a told lens that moves a little": Row(
        both(told_lens, kind_of(LITTLE)), "review", ("loose_fit",), "", 0.9, ANYWHERE
    ),
    "anywhere, a guessed lens that moves a little": Row(
        both(any_lens, kind_of(LITTLE)), "review", ("guessed_lens",), "overlay", 0.9, ANYWHERE
    ),
    "anywhere, no better than chance": Row(
        CHANCE,
        "no_match",
        ("no_agreement",),
        "no place on Earth was found",
        of_search=ANYWHERE,
    ),
}


def decided(search: Search, best: Verified | None, row: Row) -> FrameResult:
    new = search.anew(
        parameters=replace(
            search.parameters, accept_probability=row.accept or default_accept_probability()
        )
    )
    new.best, new.covered, new.looks_taken = best, True, search.looks_taken
    for name, value in row.of_search:
        if name == "light_map":
            info = replace(search.light_map.info, bounds=value.bounds)
            value = SimpleNamespace(info=info)
        setattr(new, name, value)
    return result_of(new)


@pytest.mark.parametrize("name", ROWS)
def test_what_is_said_follows_from_the_evidence(
    search: Search, proven: Verified, name: str
) -> None:
    row = ROWS[name]
    result = decided(search, row.change(proven), row)
    told = [reason.code for reason in result.reasons]
    assert (result.verdict, tuple(told)) == (row.verdict, row.codes)
    assert row.text in " ".join(reason.text for reason in result.reasons)
    assert result.probability is not None
    assert 0.0 < result.probability < 1.0
    proposed = row.verdict != "no_match"
    assert proposed is (result.probability >= REVIEW_PROBABILITY)
    assert (result.solved is not None) is proposed
    assert bool(result.control_points) is proposed
    # What the lights refuted is no place
    assert (result.nadir is None) is (row.of_search == ANYWHERE and not proposed)


@pytest.mark.parametrize("focal_mm", [None, 35.0])
def test_a_reason_asks_only_for_what_was_not_given(
    search: Search, proven: Verified, focal_mm: float | None
) -> None:
    row = Row(as_it_is, "", accept=0.9, of_search=ANYWHERE)
    told = search.anew(frame=replace(search.frame, focal_mm=focal_mm))
    told.looks_taken = search.looks_taken
    free = decided(told, both(any_lens, kind_of(LITTLE))(proven), row)
    nothing = decided(told, CHANCE(proven), row)
    for result, code in ((free, "guessed_lens"), (nothing, "no_agreement")):
        assert [one.code for one in result.reasons] == [code]
        assert ("--focal-mm" in result.reasons[0].text) is (focal_mm is None)
    assert ("35 mm, does not fit" in free.reasons[0].text) is (focal_mm is not None)


def test_a_photo_that_was_sought_elsewhere_in_vain_keeps_what_was_told(
    search: Search, proven: Verified
) -> None:
    told = (("told", search.position),)
    result = decided(search, CHANCE(proven), Row(as_it_is, "", of_search=(*ANYWHERE, *told)))
    assert result.nadir is not None
    assert (result.verdict, result.nadir.source) == ("no_match", search.position.source)


def test_without_a_proof_there_is_no_proposal(search: Search) -> None:
    result = decided(search, None, Row(as_it_is, ""))
    assert (result.verdict, [one.code for one in result.reasons]) == ("no_match", ["no_agreement"])
    assert (result.solved, result.control_points, result.probability) == (None, (), None)


# What makes a place sure, and a fit


@pytest.mark.parametrize(
    ("patch_odds", "town_odds", "share"),
    [(0.5, 24.0, 0.76), (1.5, 24.0, 0.88), (3.1, 24.0, 0.99), (8.1, 24.0, 1.0), (1.5, 26.0, 1.0)],
)
def test_the_better_a_fit_is_tested_the_likelier_are_its_points(
    proven: Verified, patch_odds: float, town_odds: float, share: float
) -> None:
    evidence = said(
        patch_log10_odds=patch_odds, town_log10_odds=town_odds, picture_log10_odds=60.0
    )(proven).evidence
    assert probability(evidence) == pytest.approx(share * place_probability(evidence))


def test_more_attempts_need_better_proof(proven: Verified) -> None:
    assert log10_tried(100) == pytest.approx(log10_tried(1) + 2.0)
    few, many = (said(log10_tried=log10_tried(n))(odds(9.0)(proven)).evidence for n in (1, 100_000))
    assert probability(many) <= probability(few)
    assert many.log10_odds == pytest.approx(few.log10_odds - 5.0)


@pytest.mark.parametrize(
    ("picture", "agreeing", "beyond"),
    [(0.1, 1, True), (-0.1, 1, False), (-0.1, 2, True), (-3.0, 2, False)],
)
def test_that_two_ways_agree_counts_for_a_place_anywhere(
    proven: Verified, picture: float, agreeing: int, beyond: bool
) -> None:
    nothing = {"town_log10_odds": 0.0, "patch_log10_odds": 0.0, "log10_tried": 0.0}
    evidence = said(picture_log10_odds=CLEAR_LOG10_ODDS + picture, agreeing=agreeing, **nothing)(
        proven
    ).evidence
    assert evidence.beyond_chance is beyond


def test_a_search_ends_only_with_a_fit_that_is_tested_or_held_by_stars(proven: Verified) -> None:
    sure = said(town_log10_odds=0.0, patch_log10_odds=0.0, picture_log10_odds=60.0)(proven)
    assert not is_conclusive(sure.evidence)
    assert is_conclusive(sure.evidence, pinned=True)
    assert is_conclusive(said(patch_log10_odds=TESTED_LOG10_ODDS)(sure).evidence)
    weak = said(picture_log10_odds=0.0)(sure)
    assert not is_conclusive(weak.evidence, pinned=True)


@pytest.mark.parametrize(("refits", "share"), [(20, 0.2), (20, 0.35), (6, 0.2)])
def test_the_chance_of_a_point_beyond_what_counts_as_right(refits: int, share: float) -> None:
    """As often as in draws where the sigma of the vaguest of four points comes from refits."""
    rng = np.random.default_rng(1)
    told = chance_of_any_beyond(share * np.array([1.0, 0.5, 0.4, 0.3]), 1.0, refits)
    errors = np.linalg.norm(rng.normal(size=(200_000, 2)), axis=1)
    sigma = np.sqrt(rng.chisquare(refits - 1, 200_000) / (refits - 1))
    drawn = float((errors / sigma > 1.0 / share).mean())
    assert told == pytest.approx(drawn, rel=0.15, abs=1e-4)


def below_the_limb() -> tuple[Camera, Limb]:
    """A camera held level over an oblique, and the limb that its photo shows."""
    camera = camera_over(10.0, 50.0, off_nadir=62.0)
    nadir = camera.matrix.T @ camera.nadir_ecef
    return camera, found_limb(nadir, camera.focal_px, (camera.height_px, camera.width_px))


def test_a_camera_that_sees_ground_high_above_the_limb_is_refused(search: Search) -> None:
    camera, limb = below_the_limb()
    with_limb = search.anew(stored=camera, limb=limb)
    assert with_limb.allows(camera)
    assert not with_limb.allows(turned(camera, [0.0, 0.0, np.pi]))
    assert not with_limb.allows(camera_over(10.0, 50.0))
    assert search.anew(stored=camera).allows(turned(camera, [0.0, 0.0, np.pi]))


# Which proof is kept, and what it is held against


def upside_down(best: Verified) -> Verified:
    """Another view, whatever its figures."""
    camera = turned(best.camera, [0.0, 0.0, np.pi])
    first = replace(best.finalists[0], camera=camera)
    return replace(best, camera=camera, finalists=(first,))


RIVAL = {"runner_up_town_log10_odds": 6.5, "runner_up_picture_log10_odds": 5.5}
NONE = {"runner_up_town_log10_odds": 0.0, "runner_up_picture_log10_odds": 0.0}


@pytest.mark.parametrize("first", ["early", "late"])
def test_a_view_keeps_its_better_tested_fit_and_its_strongest_rival(
    proven: Verified, first: str
) -> None:
    tested = said(**NONE, town_log10_odds=2.0, patch_log10_odds=4.0)(proven)
    loose = said(**RIVAL, town_log10_odds=8.0, patch_log10_odds=-2.0, picture_log10_odds=60.0)(
        proven
    )
    kept = (better(tested, loose) if first == "early" else better(loose, tested)).evidence
    assert (kept.town_log10_odds, kept.patch_log10_odds) == (2.0, 4.0)
    assert (kept.runner_up_town_log10_odds, kept.runner_up_picture_log10_odds) == (6.5, 5.5)


@pytest.mark.parametrize("swapped", [False, True])
def test_another_view_becomes_the_runner_up_where_it_has_more_for_it(
    proven: Verified, swapped: bool
) -> None:
    strong = said(**NONE, town_log10_odds=60.0)(proven)
    for figures, changed in (
        ({"ncc": 0.48, "town_log10_odds": -1.0, "picture_log10_odds": 5.75}, True),
        ({"ncc": 0.9, "town_log10_odds": -9.0, "picture_log10_odds": 5.0}, False),
    ):
        weak = said(patch_log10_odds=-3.0, **figures)(upside_down(proven))
        kept = better(weak, strong) if swapped else better(strong, weak)
        assert kept.camera == strong.camera
        now = kept.evidence.runner_up_town_log10_odds, kept.evidence.runner_up_picture_log10_odds
        assert now == ((-1.0, 5.75) if changed else (0.0, 0.0))


def test_proofs_are_ordered_by_their_lead_over_the_runner_up(proven: Verified) -> None:
    """Odds alone do not make up for a twin that has them as well."""
    twin = said(town_log10_odds=7.0, patch_log10_odds=6.0, runner_up_town_log10_odds=80.0)(proven)
    alone = said(town_log10_odds=6.0, patch_log10_odds=5.0, **NONE)(upside_down(proven))
    assert twin.evidence.log10_odds > alone.evidence.log10_odds
    assert better(twin, alone).camera == better(alone, twin).camera == alone.camera


# What left-out patches say of a fit


def judged(solution: Solution, dx: Any, dy: Any, chosen: Any = slice(None)) -> Landing:
    """How patches land that are found so far from where the fit has them."""
    matches = solution.refinement.matches
    count = len(matches)
    matches = replace(matches, dx=np.broadcast_to(dx, count), dy=np.broadcast_to(dy, count))
    matches = matches.chosen(np.arange(count)[chosen])
    groups = groups_of(render_known(solution.levels, solution.camera, 2)[0], matches)
    return landing_of(solution, matches, groups, LANDED_PX)


def test_patches_at_random_places_prove_nothing(proven: Verified) -> None:
    rng, count = np.random.default_rng(0), len(proven.solution.refinement.matches)
    found = [
        judged(proven.solution, *rng.uniform(-3.5, 3.5, (2, count))).log10_odds(SHARES_LANDED)
        for _ in range(12)
    ]
    assert max(found) < 2.0
    assert np.median(found) < -1.0
    assert judged(proven.solution, 0.0, 0.0).log10_odds(SHARES_LANDED) > 10.0


def test_patches_that_agree_on_another_camera_do_not_confirm_this_one(proven: Verified) -> None:
    near, far = (judged(proven.solution, off, 0.0) for off in (0.5, 2.5))
    assert near.log10_odds(SHARES_LANDED) > 10.0
    assert far.log10_odds(SHARES_LANDED) < 0.0


def test_few_patches_and_one_light_in_many_are_little_proof(proven: Verified) -> None:
    few = judged(proven.solution, 0.0, 0.0, slice(7))
    assert few.log10_odds(SHARES_LANDED) == 0.0
    assert few.residual_px == np.inf
    repeated = judged(proven.solution, 0.0, 0.0, np.repeat([0, 1, 2], 9))
    assert repeated.independent <= 3


@pytest.mark.parametrize(
    ("left_out", "towns", "counted"),
    [
        ({"in_part": True}, WHOLE_TOWN_LOG10_ODDS - 0.1, 0.0),
        ({"in_part": True}, WHOLE_TOWN_LOG10_ODDS, 5.0),
        ({"in_part": True, "met_beside": False}, 10.0 * WHOLE_TOWN_LOG10_ODDS, 0.0),
        ({"in_part": False}, -9.0, 5.0),
        ({"in_part": True, "log10_odds": -3.0}, 0.0, -3.0),
    ],
)
def test_patches_of_a_part_do_not_speak_for_the_whole(
    left_out: dict[str, Any], towns: float, counted: float
) -> None:
    part = HeldOut(**{"residual_px": 1.0, "log10_odds": 5.0} | left_out)
    assert part.log10_odds_beside(towns) == counted


def quarters(*shares: float) -> Parts:
    """Patches of which so many land in the quarters: left to right, top to bottom."""
    x, y = (side.ravel() for side in np.meshgrid(np.arange(40.0), np.arange(20.0)))
    quarter = (x >= 20).astype(int) + 2 * (y >= 10)
    off = np.random.default_rng(1).permuted(np.arange(200)) / 200.0
    distance = np.empty(800)
    for number, share in enumerate(shares):
        distance[quarter == number] = np.where(off < share, 0.5, 5.0)
    landed = Landing(x=x, y=y, distance_px=distance, independent=800.0, landed_px=LANDED_PX)
    parts = Parts.of([landed])
    assert parts is not None
    return parts


@pytest.mark.parametrize(
    ("beside", "met", "whole"), [(18, 0, False), (18, 9, True), (4, 1, True), (0, 0, False)]
)
def test_an_empty_quarter_is_a_bend_unless_towns_are_met_there(
    beside: int, met: int, whole: bool
) -> None:
    assert len(quarters(0.9, 0.8, 0.7, 0.6).empty) == 0
    parts = quarters(0.9, 0.8, 0.06, 0.7)
    assert len(parts.empty) == 1
    x = np.concatenate([np.full(beside, 10.0), np.full(100, 30.0)])
    y = np.concatenate([np.full(beside, 15.0), np.full(100, 5.0)])
    towns = Towns(x=x, y=y, contrast=np.ones(len(x)))
    confirmed = np.concatenate([np.arange(met), beside + np.arange(50)])
    assert parts.are_met(towns, confirmed) is whole


def test_a_fit_that_is_bent_or_contradicted_counts_for_nothing(
    search: Search, proven: Verified
) -> None:
    fit = fit_of(search, proven.finalists[0])
    assert fit is not None
    assert fit.holds
    assert fit.patch_log10_odds > TESTED_LOG10_ODDS
    aside = replace(fit.solution.refinement, aside_log10_odds=BENT_LOG10_ODDS)
    bent = replace(fit, solution=replace(fit.solution, refinement=aside))
    assert bent.patch_log10_odds == 0.0
    # Another that is confirmed as well, and puts the patches elsewhere, or hardly elsewhere
    for allowed, believed in ((0.5, True), (3.0, False)):
        turn = allowed * verification.allowed_px(fit.solution) / fit.solution.camera.focal_px
        camera = turned(fit.solution.camera, [0.0, turn, 0.0])
        other = replace(fit, solution=replace(fit.solution, camera=camera), holds=False)
        best = best_of([other, fit])
        assert best is not None
        assert best.contradicted is not believed
        assert (best.patch_log10_odds > 0.0) is believed


@pytest.mark.parametrize("ratio", [0.75, 0.88])
def test_a_lens_that_was_told_wrongly_is_set_free(
    search: Search, proven: Verified, ratio: float
) -> None:
    """Where the lights do not confirm it, and where they do but pull it away."""
    first = proven.finalists[0]
    look = first.candidate.look
    prior = replace(look.prior, focal_px=ratio * look.prior.focal_px)
    short = replace(first.camera, focal_px=0.9 * first.camera.focal_px)
    candidate = replace(first.candidate, look=replace(look, prior=prior))
    told: Finalist = replace(first, camera=short, candidate=candidate)
    as_told = fit_of(search, told)
    if as_told is not None and as_told.left_out.log10_odds > 3.0:
        pulled = abs(as_told.solution.refinement.prior.departure(as_told.solution.camera)[FOCAL])
        assert pulled > 3.0 * prior.sigma_log_focal
    fit = best_fit(search.anew(), told)
    assert fit is not None
    assert fit.left_out.log10_odds > 10.0
    assert fit.solution.camera.focal_px == pytest.approx(proven.solution.camera.focal_px, rel=0.004)


def test_the_evidence_of_a_proof_adds_up(proven: Verified) -> None:
    evidence: Evidence = proven.evidence
    each = evidence.town_log10_odds, evidence.patch_log10_odds, evidence.picture_log10_odds
    assert evidence.log10_odds == pytest.approx(sum(each) - evidence.log10_tried)
    assert evidence.met_towns <= evidence.towns
    assert not evidence.rivalled
