"""From evidence to probability, verdict and reason: a row for each guard against a wrong answer."""

from __future__ import annotations

import json
import pickle
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rich.cells import cell_len
from scipy.stats import binom

from benchmarks.confidence import calibration_text
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef
from matchers.geometry.pose import turn_camera
from matchers.lights.patches import Refits
from matchers.lights.verify import LightPeaks
from regengine.commands.register import list_next
from regengine.errors import ConfigError
from regengine.io import extras
from regengine.io.console import as_typed, name_program
from regengine.maps.lights import KindName
from regengine.maps.places import Place
from regengine.orbit import CameraPosition, load_tle_file, position_from_nadir
from regengine.orbit.position import choose_position, list_contradicting
from regengine.pages.report.frame_text import (
    frame_sheet,
    measure_columns,
    table_header,
    table_line,
)
from regengine.registration import fit as fitting
from regengine.registration.accept import (
    REVIEW_PROBABILITY,
    SURE_LOG10_ODDS,
    TESTED_LOG10_ODDS,
    bound_any_beyond,
    choose_match,
    decide,
    is_proven,
    place_probability,
    probability,
    probability_interval,
)
from regengine.registration.fit import (
    LANDED_PX,
    REACH,
    PredictedPatches,
    choose_fit,
    compute_allowed_error_px,
    contradicts,
    weigh_landed,
)
from regengine.registration.parameters import (
    LENS,
    AcceptParams,
    RegisterParams,
    Steps,
    read_calibration,
    read_shipped_calibration,
)
from regengine.registration.priors import Seen
from regengine.registration.register import state_problem
from regengine.registration.report_result import doubt_time_told, report_result
from regengine.registration.types import (
    Evidence,
    Fit,
    LightMatch,
    Prior,
    Problem,
    SearchState,
    StopReason,
)
from regengine.runs.pipeline import doubt_towns
from regengine.store.read import iter_frames
from regengine.store.reasons import Reason, list_keys, load_reasons
from regengine.store.result import FrameResult, MatchedMap
from tests.oracle.conftest import Solved
from tests.world.program import run
from tests.world.results import proposal
from tests.world.runs import ELEMENTS
from tests.world.stores import write_store

ACCEPT = AcceptParams()
SURE, NEVER = 60.0, 0.999_999  # odds that nobody doubts; a threshold that no probability reaches
Change = Callable[[LightMatch], LightMatch]


def as_it_is(match: LightMatch) -> LightMatch:
    return match


def said(**figures: float) -> Change:
    """The same match with other figures."""
    return lambda match: replace(match, evidence=replace(match.evidence, **figures))


def odds(together: float, runner_up: float = -3.0) -> Change:
    """With such odds in all, well tested, and such a runner-up."""

    def change(match: LightMatch) -> LightMatch:
        views = match.evidence.log10_views_tested
        return said(
            light_log10_odds=2.0,
            patch_log10_odds=10.0,
            image_log10_odds=together + views - 12.0,
            runner_up_log10_odds=runner_up,
        )(match)

    return change


def both(*changes: Change) -> Change:
    return lambda match: reduce(lambda changed, one: one(changed), changes, match)


def of_fit(change: Callable[[Fit], Fit]) -> Change:
    return lambda match: replace(match, fit=change(match.fit))


def nearest(count: int) -> Change:
    """The patches nearest to one of them."""

    def change(fit: Fit) -> Fit:
        matches, refinement = fit.refinement.matches, fit.refinement
        away = np.hypot(matches.x - matches.x[0], matches.y - matches.y[0])
        chosen = np.argsort(away)[:count]
        some = replace(
            refinement,
            matches=matches.select(chosen),
            residual_px=refinement.residual_px[chosen],
            weights=refinement.weights[chosen],
        )
        return replace(fit, refinement=some, groups=fit.groups[chosen])

    return of_fit(change)


def vague(times: float) -> Change:
    """A fit whose own covariance is that many times as wide."""
    return of_fit(
        lambda fit: replace(
            fit,
            refinement=replace(fit.refinement, covariance=times**2 * fit.refinement.covariance),
        )
    )


def loose(turn_rad: float, *, quarters_only: bool = False) -> Change:
    """Without some of the lights the camera turns by so much; or without a quarter alone."""

    class Loose(Fit):
        def leave_out_parts(self, n_parts: int) -> Refits:
            turn = turn_rad if n_parts == 4 or not quarters_only else 0.0
            turns = turn * np.array([(1, 0, 0), (-1, 0.5, 0), (0.5, -1, 0), (0, 1, 0.5)])
            without = tuple(turn_camera(self.camera, one) for one in turns)
            return Refits(camera=self.camera, without=without)

    def change(match: LightMatch) -> LightMatch:
        fit = match.fit
        other = Loose(**{name: getattr(fit, name) for name in fit.__dataclass_fields__})
        return replace(match, fit=other, pose_sigma_m=float("nan"))

    return change


MUCH, LITTLE = loose(0.003), loose(0.0015)  # two kilometres on the ground, and one
BENT_QUARTER = loose(0.003, quarters_only=True)


def saturated(match: LightMatch) -> LightMatch:
    view, levels = match.fit.view, match.fit.levels
    value = float(np.median(view[view > 0.05]))
    return of_fit(
        lambda fit: replace(fit, levels=(replace(levels[0], saturation=value), *levels[1:]))
    )(match)


def with_hypothesis(**changes: Any) -> Change:
    """Found from another hypothesis."""
    return of_fit(lambda fit: replace(fit, hypothesis=replace(fit.hypothesis, **changes)))


def believing(sigma_log_focal: float, *, other: bool) -> Change:
    """With such a belief about the lens."""

    def change(match: LightMatch) -> LightMatch:
        prior = replace(match.hypothesis.prior, sigma_log_focal=sigma_log_focal)
        return with_hypothesis(prior=prior, is_other_lens=other)(match)

    return change


GUESSED = believing(LENS.sigma_log_focal_any, other=True)
GIVEN = believing(LENS.sigma_log_focal, other=False)


blind = with_hypothesis(is_blind=True)  # found on all of the Earth


def clock_off(seconds: float) -> Change:
    """On a track whose clock is off by so much."""
    return lambda match: with_hypothesis(track=replace(match.hypothesis.track, clock_s=seconds))(
        match
    )


def matched_lights(count: int) -> Change:
    return of_fit(lambda fit: replace(fit, matched=fit.matched[:count]))


SCATTERED = {
    "light_log10_odds": 90.0,
    "patch_log10_odds": TESTED_LOG10_ODDS - 0.1,
    "image_log10_odds": 500.0,
    "held_out_residual_px": 5.3,
}
CHANCE = said(
    light_log10_odds=-4.0, patch_log10_odds=-4.0, image_log10_odds=-4.0, held_out_residual_px=5.0
)
BARELY = said(light_log10_odds=24.0, patch_log10_odds=SURE_LOG10_ODDS - 0.1)
BARE_LIGHTS = of_fit(lambda fit: replace(fit, light_log10_odds=24.0))
UNLIKELY = odds(2.0)


@dataclass(frozen=True)
class Row:
    """What is changed, and what is then said."""

    change: Change
    verdict: str
    codes: tuple[str, ...] = ()
    text: str = ""
    accept: float | None = None
    stopped: StopReason = StopReason.PROVEN
    nowhere_given: bool = False
    bounds: tuple[float, ...] | None = None


CUT, LIMIT = StopReason.WORK_BUDGET, StopReason.CPU_LIMIT
TESTED = {"patch_log10_odds": SURE_LOG10_ODDS + 0.1, "light_log10_odds": 24.0}
ROWS = {
    "what is proven": Row(as_it_is, "accepted"),
    "a rival is told, and takes nothing away": Row(odds(SURE, SURE - 0.2), "accepted"),
    "a rival where it is unlikely": Row(
        odds(2.0, 1.0), "review", ("low_margin",), "another place fits"
    ),
    "left-out lights scattered": Row(
        said(**SCATTERED), "review", ("imprecise",), "held-out residual 5.3 px", 0.1
    ),
    "tested at the limit, covered by lights": Row(
        said(**SCATTERED | {"patch_log10_odds": TESTED_LOG10_ODDS}), "accepted"
    ),
    "tested at the limit, not covered": Row(
        said(patch_log10_odds=TESTED_LOG10_ODDS, light_log10_odds=24, image_log10_odds=500),
        *("review", ("low_probability",)),
    ),
    "well tested": Row(
        said(patch_log10_odds=SURE_LOG10_ODDS, light_log10_odds=24, image_log10_odds=500),
        "accepted",
    ),
    "no better than chance": Row(CHANCE, "no_match", ("no_agreement",)),
    "few lights matched, but sure": Row(said(n_matched_lights=7), "accepted"),
    "few lights matched": Row(
        said(n_matched_lights=7), "review", ("few_lights",), "only 7 of", NEVER
    ),
    "a flat map": Row(saturated, "review", ("map_saturated",), "radiance product", NEVER),
    "below the user's threshold": Row(as_it_is, "review", ("low_probability",), "below", NEVER),
    "three points": Row(nearest(3), "review", ("few_control_points",), "only 3 places", 0.01),
    "points all in one spot": Row(
        nearest(4),
        *("review", ("few_control_points", "narrow", "dark_points"), "% of the picture", 0.01),
    ),
    "points beyond the lights that agree": Row(
        matched_lights(2), "accepted", ("dark_points",), "on no detected light"
    ),
    "a vague point": Row(vague(60.0), "review", ("imprecise",), "uncertain by", 0.9),
    "a camera that moves without some lights": Row(
        MUCH, "review", ("imprecise",), "leave-out test", 0.01
    ),
    "a camera that moves a little": Row(LITTLE, "accepted", accept=0.9),
    "another lens, bent without a quarter": Row(
        both(said(**TESTED), BARE_LIGHTS, GUESSED, BENT_QUARTER),
        *("review", ("imprecise",), "uncertain by"),
    ),
    "barely tested, bent without a quarter": Row(
        both(BARELY, BARE_LIGHTS, BENT_QUARTER), "review", ("imprecise",), "uncertain by"
    ),
    "truncated": Row(
        UNLIKELY, "review", ("low_probability", "search_budget"), "--effort thorough", stopped=CUT
    ),
    "cut short by its time": Row(
        CHANCE, "no_match", ("search_budget",), "--max-seconds", stopped=LIMIT
    ),
    "a map that ends at the nadir": Row(
        CHANCE,
        *("no_match", ("no_agreement", "outside_map"), "of the ground"),
        bounds=(-152.0, -90.0, 60.0, 90.0),
    ),
    "the clock an hour off": Row(
        clock_off(3600.0), "accepted", ("clock_suspect",), "camera clock probably"
    ),
    "anywhere on Earth, the lens given": Row(both(blind, GIVEN), "accepted", nowhere_given=True),
    "anywhere, a given lens that moves a little": Row(
        both(blind, GIVEN, LITTLE),
        *("review", ("loose_fit",), "check the overlay", 0.9),
        nowhere_given=True,
    ),
    "anywhere, a guessed lens that moves a little": Row(
        both(blind, GUESSED, LITTLE),
        *("review", ("guessed_lens",), "overlay", 0.9),
        nowhere_given=True,
    ),
    "anywhere, no better than chance": Row(
        both(blind, CHANCE),
        *("no_match", ("no_agreement",), "blind search"),
        nowhere_given=True,
    ),
}


def decided(problem: Problem, match: LightMatch | None, row: Row) -> FrameResult:
    params = replace(
        problem.params,
        accept=replace(ACCEPT, accept_probability=row.accept or ACCEPT.accept_probability),
    )
    prior, references = problem.prior, problem.references
    if row.nowhere_given:
        prior = Prior()
    if row.bounds is not None:
        info = replace(references.light_map.info, bounds=row.bounds)
        light_map: Any = Mock(info=info, overview=lambda _: None)
        references = replace(references, light_map=light_map)
    problem = state_problem(problem.photo, prior, references, params)
    return report_result(problem, SearchState(match=match, stop_reason=row.stopped))


@pytest.mark.parametrize("name", ROWS)
def test_what_is_said_follows_from_the_evidence(over_city: Solved, name: str) -> None:
    row = ROWS[name]
    result = decided(over_city.problem, row.change(over_city.match), row)
    codes = tuple(reason.code for reason in result.reasons)
    assert (result.verdict, codes) == (row.verdict, row.codes)
    assert row.text in " ".join(reason.text for reason in result.reasons)
    assert result.probability is not None
    assert 0.0 < result.probability < 1.0
    proposed = row.verdict != "no_match"
    assert proposed is (result.probability >= REVIEW_PROBABILITY)
    assert (result.solved is not None) is proposed
    assert bool(result.control_points) is proposed
    # What the lights refuted is no place
    assert (result.nadir is None) is (row.nowhere_given and not proposed)


def test_without_a_match_there_is_no_proposal(over_city: Solved) -> None:
    result = decided(over_city.problem, None, Row(as_it_is, ""))
    assert (result.verdict, [one.code for one in result.reasons]) == ("no_match", ["no_agreement"])
    assert (result.solved, result.control_points, result.probability) == (None, (), None)


# What makes a place sure, and a fit


@pytest.mark.parametrize(
    ("patch_odds", "light_odds", "share"),
    [(0.5, 24.0, 0.76), (1.5, 24.0, 0.88), (3.1, 24.0, 0.99), (8.1, 24.0, 1.0), (1.5, 26.0, 1.0)],
)
def test_the_better_a_fit_is_tested_the_likelier_are_its_points(
    over_city: Solved, patch_odds: float, light_odds: float, share: float
) -> None:
    evidence = said(
        patch_log10_odds=patch_odds, light_log10_odds=light_odds, image_log10_odds=60.0
    )(over_city.match).evidence
    assert probability(evidence) == pytest.approx(share * place_probability(evidence))


def test_a_search_ends_only_with_a_fit_that_is_tested(over_city: Solved) -> None:
    sure = said(light_log10_odds=0.0, patch_log10_odds=0.0, image_log10_odds=60.0)(over_city.match)
    tested = said(patch_log10_odds=TESTED_LOG10_ODDS)
    assert not is_proven(sure, ACCEPT)
    assert not is_proven(with_hypothesis(n_stars=9)(sure), ACCEPT)  # stars are no test of lights
    assert is_proven(tested(sure), ACCEPT)
    assert not is_proven(said(image_log10_odds=0.0)(tested(sure)), ACCEPT)
    assert not is_proven(None, ACCEPT)


@pytest.mark.parametrize(("refits", "share"), [(20, 0.2), (20, 0.35), (6, 0.2)])
def test_the_chance_of_a_point_beyond_what_counts_as_right(refits: int, share: float) -> None:
    """As often as in draws where the sigma of the vaguest of four points comes from refits."""
    rng = np.random.default_rng(1)
    bound = bound_any_beyond(share * np.array([1.0, 0.5, 0.4, 0.3]), 1.0, refits)
    errors = np.linalg.norm(rng.normal(size=(200_000, 2)), axis=1)
    sigma = np.sqrt(rng.chisquare(refits - 1, 200_000) / (refits - 1))
    drawn = float((errors / sigma > 1.0 / share).mean())
    assert bound == pytest.approx(drawn, rel=0.15, abs=1e-4)


# Which match is kept


def test_a_view_keeps_its_better_tested_fit_and_another_is_its_rival(over_city: Solved) -> None:
    tested = said(light_log10_odds=2.0, patch_log10_odds=4.0)(over_city.match)
    loose = said(light_log10_odds=8.0, patch_log10_odds=-2.0, image_log10_odds=60.0)(tested)
    beside = replace(tested, camera=turn_camera(tested.camera, [0.0, 0.0, np.pi]))
    weak = said(light_log10_odds=-1.0, patch_log10_odds=-3.0, image_log10_odds=5.75)(beside)
    for first, second in ((tested, loose), (loose, tested)):
        assert choose_match(first, second) is tested
    kept = choose_match(weak, tested)
    assert kept.camera == tested.camera


@pytest.mark.parametrize("known_odds", [-9.0, 9.0])
def test_the_runner_up_is_one_camera(known_odds: float, over_city: Solved) -> None:
    """The best of the others by its odds, whose correlation may be the lesser."""
    other = replace(over_city.match.hypothesis, ncc=0.5, image_log10_odds=known_odds)
    figures = {"runner_up_log10_odds": known_odds, "runner_up_ncc": 0.5}
    known = replace(said(light_log10_odds=20.0, **figures)(over_city.match), rivals=(other,))
    turned = replace(over_city.match, camera=turn_camera(known.camera, [0.0, 0.0, np.pi]))
    weak = said(ncc=0.1 if known_odds < 0.0 else 0.9)(odds(1.0)(turned))
    for first, second in ((known, weak), (weak, known)):
        kept = choose_match(first, second)
        told = kept.evidence.runner_up_log10_odds, kept.evidence.runner_up_ncc
        if known_odds < 0.0:
            assert (kept.rivals[0], *told) == (weak.hypothesis, pytest.approx(1.0), 0.1)
        else:
            assert (kept.rivals[0], *told) == (other, 9.0, 0.5)


# What held-out patches say of a fit


def predicted(distance_px: NDArray[np.float64], independent: float) -> PredictedPatches:
    count = len(distance_px)
    return PredictedPatches(
        x=np.arange(float(count)),
        y=np.zeros(count),
        distance_px=distance_px,
        n_independent=independent,
        landed_px=LANDED_PX,
    )


def test_odds_of_patches_that_land_are_those_of_a_binomial() -> None:
    """Half as many, or nine of ten, should; of a wrong camera's as many as its area allows."""
    count, shares = 40, (0.5, 0.9)
    chance = np.pi / (2 * np.ceil(REACH) - 1) ** 2
    for landed in (2, 20, 38):
        tested = predicted(np.where(np.arange(count) < landed, 0.5, 9.0), count)
        likelihoods = [binom.logpmf(landed, count, share) for share in (*shares, chance)]
        expected = (max(likelihoods[:2]) - likelihoods[2]) / np.log(10.0) - np.log10(2.0)
        assert weigh_landed(tested, shares) == pytest.approx(expected)
    assert weigh_landed(predicted(np.zeros(7), 7), shares) == 0.0
    of_one_light = weigh_landed(predicted(np.zeros(count), 3), shares)
    assert of_one_light < 0.1 * weigh_landed(predicted(np.zeros(count), count), shares)


def test_two_fits_that_are_confirmed_alike_and_differ_are_both_doubted(over_city: Solved) -> None:
    fit = over_city.match.fit
    test = fitting.weigh_fit(fit)
    assert test.pose_sigma_m == 0.0
    assert test.patch_log10_odds > TESTED_LOG10_ODDS
    for allowed, differs in ((0.5, False), (3.0, True)):
        turn = allowed * compute_allowed_error_px(fit.camera, fit.image) / fit.camera.focal_px
        moved = replace(fit, camera=turn_camera(fit.camera, [0.0, turn, 0.0]))
        other, best = (moved, replace(test, pose_sigma_m=1.0)), (fit, test)
        assert choose_fit([other, best]) is best
        assert contradicts(other, best) is differs


# Figures of the record


NIGHT = datetime(2014, 1, 30, 10, 15, tzinfo=UTC)
NOON = datetime(2014, 1, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reference", "time_utc", "says"),
    [
        ("lights", datetime(1970, 1, 1, tzinfo=UTC), "before the station's first flight"),
        ("lights", datetime(2190, 1, 1, tzinfo=UTC), "in the future"),
        ("lights", NOON, "above the horizon there"),
        ("lights", NIGHT, None),
        ("day", NIGHT, "below the horizon there"),
    ],
)
def test_a_time_at_which_no_such_photo_was_taken_there_is_told(
    over_city: Solved, reference: KindName, time_utc: datetime, says: str | None
) -> None:
    result = replace(over_city.result, reference=MatchedMap(kind=reference))
    told = doubt_time_told(result, time_utc)
    assert [one.code for one in told] == ([] if says is None else ["clock_suspect"])
    assert says is None or says in told[0].text


def report_where(
    over_city: Solved,
    position: CameraPosition | None,
    match: LightMatch | None = None,
    **frame: Any,
) -> FrameResult:
    """The result where the photo's camera was given to be there, and other things of the photo."""
    problem = over_city.problem
    photo = replace(problem.photo, frame=replace(problem.photo.frame, **frame))
    prior = replace(problem.prior, position=position)
    problem = replace(problem, photo=photo, prior=prior)
    return report_result(problem, replace(over_city.state, match=match or over_city.match))


def suspects(result: FrameResult) -> dict[str, str]:
    return {one.code: one.text for one in result.reasons if one.code.endswith("_suspect")}


@pytest.mark.parametrize(
    ("off_deg", "says"),
    [((150.0, 20.0), True), ((2.5, 0.0), True), ((0.4, 0.3), False)],  # the last within its sigma
)
@pytest.mark.parametrize("beside_orbit", [True, False])
def test_a_nadir_that_is_not_the_cameras_is_named(
    over_city: Solved, off_deg: tuple[float, float], says: bool, beside_orbit: bool
) -> None:
    orbit = over_city.problem.prior.position
    assert orbit is not None
    lon, lat = orbit.lon + off_deg[0], orbit.lat + off_deg[1]
    nadir = position_from_nadir(lon, lat, orbit.altitude_km, "record", time_utc=orbit.time_utc)
    frame = {"nadir": (lon, lat), "sources": {"nadir": "record"}}
    if beside_orbit:
        result = report_where(over_city, replace(orbit, alternative=nadir), **frame)
    else:
        result = report_where(over_city, nadir, both(blind, GIVEN)(over_city.match), **frame)
    assert result.verdict == "accepted"
    told = suspects(result)
    assert set(told) == ({"clock_suspect"} if says else set())
    assert not says or "from the nadir that the frame record gives" in told["clock_suspect"]


@pytest.mark.parametrize(
    ("height_km", "year", "frame", "verdict", "says"),
    [
        (253.5, 2014, {"altitude_km": 253.5}, "review", "the altitude of the frame record, 253.5"),
        (253.5, 2014, {"focal_mm": 30.0}, "review", "check the focal length, 30 mm"),
        (350.0, 2014, {}, "review", "at 390 to 450 km in 2014"),
        (350.0, 2009, {}, "accepted", None),
        (600.0, None, {}, "review", "at 320 to 450 km: check the overlay"),
        (418.0, 2014, {"altitude_km": 391.0}, "accepted", "not the 391 km that the frame record"),
    ],
)
def test_a_height_at_which_the_station_did_not_fly_is_for_review(
    over_city: Solved,
    height_km: float,
    year: int | None,
    frame: dict[str, float],
    verdict: str,
    says: str | None,
) -> None:
    lon, lat, _ = ecef_to_geodetic(np.array(over_city.match.camera.position_ecef_m))
    x, y, z = geodetic_to_ecef(float(lon), float(lat), 1e3 * height_km).tolist()
    match = replace(
        over_city.match, camera=replace(over_city.match.camera, position_ecef_m=(x, y, z))
    )
    sources = dict.fromkeys(("time", "altitude_km", "focal_mm"), "record")
    time_utc = None if year is None else datetime(year, 1, 30, 10, 15, tzinfo=UTC)
    some = {"focal_mm": None, "altitude_km": None, "time_utc": time_utc, "sources": sources}
    result = report_where(over_city, over_city.problem.prior.position, match, **some | frame)
    assert result.verdict == verdict
    assert (says is None) is ("altitude_suspect" not in suspects(result))
    assert says is None or says in suspects(result)["altitude_suspect"]


@pytest.mark.parametrize("focal_mm", [25.0, 50.0])
def test_a_photo_found_with_another_lens_says_so(over_city: Solved, focal_mm: float) -> None:
    result = report_where(over_city, over_city.problem.prior.position, focal_mm=focal_mm)
    assert (result.verdict, result.focal_mm) == ("accepted", focal_mm)  # as told
    said = suspects(result)
    assert set(said) == (set() if focal_mm == 50.0 else {"lens_suspect"})
    assert focal_mm == 50.0 or "not the given 25 mm" in said["lens_suspect"]


def test_the_verdict_is_review_up_to_the_threshold_and_where_there_is_doubt() -> None:
    doubt = (Reason(code="few_lights", values={"message": "…"}),)
    threshold, least = ACCEPT.accept_probability, REVIEW_PROBABILITY
    below, no_match = (float(np.nextafter(one, 0.0)) for one in (threshold, least))
    told = [decide(one, (), ACCEPT) for one in (threshold, below, least, no_match)]
    assert told == ["accepted", "review", "review", "no_match"]
    assert [decide(one, doubt, ACCEPT) for one in (0.999999, no_match)] == ["review", "no_match"]
    # Without time or place a threshold of its own decides
    strict = replace(ACCEPT, accept_probability_blind=0.99)
    assert decide(0.98, (), strict) == decide(0.99, (), strict, is_blind=True) == "accepted"
    assert decide(0.98, (), strict, is_blind=True) == "review"
    untried = replace(ACCEPT, accept_probability_blind=None)
    assert decide(0.999999, (), untried, is_blind=True) == "review"


@pytest.mark.parametrize(("source", "by"), [("option", "--centre"), ("record", "the frame record")])
@pytest.mark.parametrize("is_weighed", [True, False])  # not where it was out of sight
def test_a_photo_that_does_not_show_the_place_given_says_so(
    over_city: Solved, source: str, by: str, is_weighed: bool
) -> None:
    point, position = over_city.result.control_points[0], over_city.problem.prior.position
    here = Place(name="Here", country="", lon=point.lon, lat=point.lat, population=0)
    for lon, codes in ((point.lon, []), (point.lon + 9.0, ["centre_suspect"])):
        seen = Seen(lon=lon, lat=point.lat, radius_km=20.0) if is_weighed else None
        prior = replace(over_city.problem.prior, seen=seen)
        problem = replace(over_city.problem, prior=prior)
        given = {"centre": (lon, point.lat), "radius_km": 20.0, "sources": {"centre": source}}
        result = report_where(replace(over_city, problem=problem), position, **given)
        assert (result.verdict, [one.code for one in result.reasons]) == ("accepted", codes)
        assert all(f"that {by} gives, {lon:g}," in one.text for one in result.reasons)
        # A name in the place of a position
        town = Place(name="Xanadu", country="", lon=lon, lat=point.lat, population=0)
        doubted = doubt_towns(over_city.result, [town], 20.0)
        assert [one.code for one in doubted.reasons] == codes
        assert doubt_towns(over_city.result, [town, here], 20.0) == over_city.result


def test_a_photo_that_is_found_at_its_place_names_the_time_that_contradicts_it(
    over_city: Solved,
) -> None:
    """And the time at which the station was there, which is that of the photo."""
    lon, lat = (float(value) for value in over_city.match.camera.pixel_to_lonlat(240.0, 160.0))
    true = over_city.problem.photo.frame.time_utc
    assert true is not None
    late = replace(
        over_city.problem.photo.frame,
        time_utc=true + timedelta(hours=3),
        centre=(lon, lat),
    )
    above = choose_position(late, load_tle_file(ELEMENTS))
    assert (above.source, [one.source for one in list_contradicting(above)]) == (
        "centre", ["tle", "centre"]
    )  # fmt: skip
    told = suspects(report_where(over_city, above, both(blind, GIVEN)(over_city.match)))
    assert f"the Station was there at {true:%Y-%m-%d %H:%M}" in told.pop("clock_suspect")
    assert not told


MADE = replace(
    read_shipped_calibration(),
    steps=Steps(
        log10_odds=(-4.0, 0.0, 2.5, 5.0, 14.0),
        low=(0.0, 0.0, 0.1, 0.5, 0.9, 0.99),
        high=(0.02, 0.1, 0.3, 0.8, 1.0, 1.0),
    ),
    accept_probability=0.9,
)


# Which way the odds of the evidence improve
IMPROVES = {
    "light_log10_odds": 1,
    "patch_log10_odds": 1,
    "image_log10_odds": 1,
    "log10_views_tested": -1,
}


def evidences(figures: st.SearchStrategy[float]) -> st.SearchStrategy[Evidence]:
    return st.builds(Evidence, **dict.fromkeys(Evidence.__dataclass_fields__, figures))


@given(evidence=evidences(st.floats(allow_nan=True, allow_infinity=True)))
def test_a_probability_is_never_0_or_1(evidence: Evidence) -> None:
    """Whatever the evidence: also infinite, negative, or no number at all."""
    assert 0.0 < probability(evidence) < 1.0


@given(
    evidence=evidences(st.floats(-60.0, 60.0)),
    name=st.sampled_from(sorted(IMPROVES)),
    step=st.floats(0.1, 40.0),
)
def test_better_evidence_never_lowers_the_probability(
    evidence: Evidence, name: str, step: float
) -> None:
    low, high = probability_interval(evidence)
    assert 0.0 <= low <= probability(evidence) <= high <= 1.0
    improved = replace(evidence, **{name: getattr(evidence, name) + IMPROVES[name] * step})
    assert probability(improved) >= probability(evidence)


def test_the_interval_is_that_of_the_step() -> None:
    """The probability between both is the one of Vovk and others: high / (1 - low + high)."""
    odds = [-100.0, -4.0, -0.1, 0.0, 4.9, 5.0, 1e9]
    low, high = MADE.steps.interval(odds)
    assert low.tolist() == [0.0, 0.0, 0.0, 0.1, 0.5, 0.9, 0.99]
    assert high.tolist() == [0.02, 0.1, 0.1, 0.3, 0.8, 1.0, 1.0]
    assert MADE.steps.probability(odds) == pytest.approx(high / (1.0 - low + high))
    assert MADE.steps.probability(4.9) == pytest.approx(0.8 / 1.3)


def test_what_accepted_promises() -> None:
    """Spelled out: changing it changes what users were promised."""
    shipped = read_shipped_calibration()
    assert shipped.accept_probability == ACCEPT.accept_probability >= 0.95
    assert shipped.accept_probability_blind is not None
    assert shipped.accept_probability_blind >= 0.95
    everything = shipped.tested["kinds"][0]
    assert (everything["kind"], everything["wrong"]) == ("all", 0)
    assert everything["wrong_rate_upper_95"] <= shipped.tested["wrong_rate"] <= 0.015


GOOD = json.loads(calibration_text(read_shipped_calibration()))


def changed(**changes: Any) -> dict[str, Any]:
    """The content of a good file with some values replaced; None takes one away."""
    content = json.loads(json.dumps(GOOD)) | changes
    return {name: value for name, value in content.items() if value is not None}


def with_low(*low: float) -> dict[str, Any]:
    """A file of three steps with these lower bounds."""
    return changed(steps={"log10_odds": [0.0, 5.0], "low": low, "high": [0.1, 0.5, 1.0]})


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    for calibration in (read_shipped_calibration(), MADE):
        path.write_text(calibration_text(calibration), encoding="utf-8")
        assert read_calibration(path) == calibration


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(pickle.dumps({"weights": [1.0]}), "calibration", id="a pickle"),
        pytest.param(b"{", "calibration", id="cut off"),
        pytest.param(changed(format_version=1), "format_version", id="another version"),
        pytest.param(changed(trials=None), "trials", id="a value is missing"),
        pytest.param(with_low(0.0, 0.2), "lengths", id="a step is missing"),
        pytest.param(with_low(0.0, 0.2, float("nan")), "falls", id="not a number"),
        pytest.param(with_low(0.0, 0.3, 0.2), "falls", id="steps that fall"),
        pytest.param(with_low(0.0, 0.2, 1.0), "order", id="certainty"),
        pytest.param(changed(accept_probability=0.9999), "accept", id="never reached"),
        pytest.param(changed(accept_probability_blind=0.9999), "accept", id="blind: never reached"),
        pytest.param(changed(accept_probability="0.9"), "not a valid", id="a threshold in words"),
    ],
)
def test_a_damaged_file_is_refused_in_a_clear_sentence(
    content: Any, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "calibration.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(ConfigError, match=says) as refusal:
        read_calibration(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_quarter_in_which_no_patch_lands_is_told_and_whether_its_lights_are_matched() -> None:
    """Of 4 x 4 patches; and of a row of which none is before the median."""
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(4.0), np.arange(4.0)))
    off_px = np.where((x > 1) & (y > 1), 9.0, 1.0)

    def check(x: Any, y: Any, off_px: Any, matched: list[int]) -> tuple[bool, bool]:
        tested = PredictedPatches(x=x, y=y, distance_px=off_px, n_independent=5.0, landed_px=2.0)
        lights = LightPeaks(x=x, y=y, contrast=np.ones(len(x)))
        return fitting.check_quarters([tested], lights, np.array(matched))

    assert check(x, 3.0 * y, np.ones(16), list(range(16))) == (False, True)
    assert check(x, 3.0 * y, off_px, list(range(16))) == (True, True)
    assert check(x, 3.0 * y, off_px, [0, 1, 4, 5]) == (True, False)
    row = np.repeat([0.0, 100.0], [12, 3])
    assert check(row, 0.0 * row, np.full(15, 9.0), [])[0]


# What is said to people


CALLED = [
    (["python", "-m", "regengine"], "python -m regengine"),
    (["/a b/python", "-W", "ignore", "cli.py"], "'/a b/python' -W ignore cli.py"),
    (["/venv/python", ".venv/bin/regengine"], ".venv/bin/regengine"),
    (["/usr/python", "on path/regengine"], "regengine"),
    (["python", "mine.py"], "regengine"),  # calls the package
]


@pytest.mark.parametrize(("called", "name"), CALLED)
def test_commands_in_messages_are_named_as_the_program_was_called(
    called: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "on path" / "regengine"
    script.parent.mkdir()
    script.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setattr(sys, "orig_argv", [*called, "show", "run.h5"])
    monkeypatch.setattr(sys, "argv", [called[-1], "show", "run.h5"])
    name_program.cache_clear()
    try:
        said = as_typed(as_typed("regengine wrote it: regengine show a, regengine maps get"))
    finally:
        name_program.cache_clear()
    assert said == f"regengine wrote it: {name} show a, {name} maps get"


@pytest.mark.parametrize("there", [True, False])
def test_what_comes_next_can_be_typed(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are quoted; no extra that is missing, no folder that is in use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(extras.PACKAGES, "review", ("json" if there else "no_such_package",))
    (tmp_path / "gis").mkdir()
    store = write_store(tmp_path / "a night.h5", [proposal()])
    ways = [*list_next(store, [Path("a.jpg")], {"accepted": 1, "review": 0})]
    commands = [shlex.split(way[way.index("regengine ") :]) for way in ways]
    verbs = ["review" if there else "report", "show", "export"]
    assert [words[:3] for words in commands] == [["regengine", one, str(store)] for one in verbs]
    assert commands[-1][-1] == "gis2"
    for words in commands[there:-1]:  # the review page would wait
        assert run(*words[1:]).code == 0, words


LONG = ["a long name of a photo of a night, 1", "名古屋の夜景写真のとても長い名前", "e\u0301a\nb"]


@pytest.mark.parametrize("width", [None, 100, 200])
def test_columns_of_the_table_stay_below_their_heads(width: int | None) -> None:
    """In a pipe all is whole; on a terminal names are cut in the middle."""
    shows = ("A town with a name that is too long", "Land")
    wide = measure_columns(LONG, [", ".join(shows)])
    at = [cell_len(table_header(width, wide).partition("centre")[0])]
    for name in LONG:
        frame = replace(proposal(), frame=name, shows=shows)
        line = table_line(frame, width=width, wide=wide)
        assert ("…" in line.partition("accepted")[0]) == (width is not None and name != LONG[2])
        at.append(cell_len(line.partition("34.")[0]) if "34." in line else at[0])
    assert table_line(replace(proposal(), frame=LONG[0]), width=100)[:16].endswith(", 1")
    assert set(at) == {at[0]}


def test_show_tells_the_settings_that_differ_from_the_default(store: Path) -> None:
    search = asdict(RegisterParams()) | {"clock": None}
    usual = {"neighbours": True, "stars": True, "register": search}
    other = {"neighbours": False, "stars": True, "register": search | {"max_seconds": 9.0}}
    (one,) = iter_frames(store, [0])
    sheets = (
        frame_sheet(replace(one, parameters=json.dumps(settings, default=str)))
        for settings in (usual, other)
    )
    for sheet, told in zip(sheets, (False, True), strict=True):
        for words in ("neighbours  ", "max seconds  "):
            assert (words in sheet) == told
        assert "stars  " not in sheet
        assert "work budget" not in sheet


# Sentences of reasons ---------------------------------------------------------------------------


def test_values_of_reasons_are_documented_and_make_their_sentences() -> None:
    codes, values = load_reasons()
    assert {key for code in codes for key in list_keys(code)} == set(values) - {"message"}
    for code, (_, templates) in codes.items():
        if templates:
            assert not re.search(r"[\[\]{}]", Reason(code=code).text), code
    late = {"time_from": "exif", "offset_s": -7260.0, "station_utc": "2012-03-28T15:46:41Z"}
    assert Reason(code="clock_suspect", values=late).text == (
        "camera clock probably 2 hours fast: the Station was there at 2012-03-28 15:46:41 UTC"
    )
    assert Reason(
        code="few_lights",
        values={"n_lights": 1, "classified_as": "moon"} | {"class_probability": 0.5},
    ).text == (
        "classified as moon (probability 0.50), and only 1 light detected, too few for a blind "
        "search; give the time with element sets, or the nadir: try regengine solve, which finds "
        "where a camera points from its stars"
    )
