"""What is said of a frame: proposal, doubts, verdict."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import numpy as np
import pytest

from matchers.pose import turned
from matchers.refine import Refits
from regengine.registration import control_points
from regengine.registration.acceptance import (
    REVIEW_PROBABILITY,
    default_accept_probability,
    is_conclusive,
    place_probability,
    probability,
)
from regengine.registration.calibration import shipped_calibration
from regengine.registration.control_points import allowed_error_m
from regengine.registration.evidence import (
    TESTED_LOG10_ODDS,
    Solution,
    Verified,
)
from regengine.registration.lens_prior import SIGMA_LOG_FOCAL_ANY
from regengine.registration.outcome import (
    chance_of_right_points,
    iso_utc,
    narrowness,
    no_match_result,
    residual_m,
    result_of,
    saturated_share,
)
from regengine.registration.verification import FEW_TOWNS, with_lens
from regengine.result import ControlPoint, FrameResult, Reason
from tests.matchers.lamp_world import camera_over
from tests.regengine.registration.made_search import begun_anew, made_search
from tests.regengine.registration.simulated_frames import Solved, light_map


def codes(reasons: tuple[Reason, ...]) -> list[str]:
    return [reason.code for reason in reasons]


def with_evidence(best: Verified, **changes: float) -> Verified:
    return replace(best, evidence=replace(best.evidence, **changes))


def with_odds(best: Verified, log10_odds: float, rival: float = -3.0) -> Verified:
    """The same with such odds of towns, patches and picture together, and well tested."""
    tried = best.evidence.log10_tried
    odds = {
        "town_log10_odds": 2.0,
        "patch_log10_odds": 10.0,
        "picture_log10_odds": log10_odds + tried - 2.0 - 10.0,
        "runner_up_town_log10_odds": 0.0,
        "runner_up_picture_log10_odds": rival + tried,
    }
    return with_evidence(best, **odds)


def saturated_at(best: Verified, value: float | None) -> Verified:
    grid = replace(best.solution.levels[0], saturation=value)
    levels = (grid, *best.solution.levels[1:])
    return replace(best, solution=replace(best.solution, levels=levels))


def outcome(
    solved: Solved,
    best: Verified | None,
    accept: float = default_accept_probability(),
    *,
    exhausted: bool = True,
    braked: bool = False,
) -> FrameResult:
    search = begun_anew(solved.search, best=best, covered=True, exhausted=exhausted)
    search.braked = braked
    search.parameters = replace(search.parameters, accept_probability=accept)
    return result_of(search)


def told(result: FrameResult) -> tuple[str, list[str]]:
    return result.verdict, codes(result.reasons)


SURE = 60.0  # odds, log10, that nobody doubts
NEVER = 0.999_999  # no probability reaches it


def test_a_rival_that_is_nearly_as_probable_keeps_a_proposal_back(near_nadir: Solved) -> None:
    """One that is far less so does not, even where it is above chance."""
    twin = outcome(near_nadir, with_odds(near_nadir.best, SURE, SURE - 0.2))
    assert twin.verdict != "accepted"
    (reason,) = [reason for reason in twin.reasons if reason.code == "low_margin"]
    assert "odds of 10^60 against 10^60" in reason.text
    beaten = outcome(near_nadir, with_odds(near_nadir.best, SURE, 1.0))
    assert told(beaten) == ("accepted", [])


def test_a_fit_whose_left_out_lights_are_scattered_is_never_accepted(near_nadir: Solved) -> None:
    """However sure the place is."""
    scattered = {
        "town_log10_odds": 90.0,
        "patch_log10_odds": TESTED_LOG10_ODDS - 0.1,
        "picture_log10_odds": 500.0,
        "held_out_residual_px": 5.3,
    }
    best = with_evidence(near_nadir.best, **scattered)
    result = outcome(near_nadir, best, 0.1)
    assert told(result) == ("review", ["imprecise"])
    assert "land 5.3 px beside (one sigma)" in result.reasons[0].text
    assert not is_conclusive(best.evidence)
    untold = outcome(near_nadir, with_evidence(best, held_out_residual_px=float("inf")), 0.1)
    assert "too few lights" in untold.reasons[0].text
    tested = with_evidence(best, patch_log10_odds=TESTED_LOG10_ODDS)
    assert told(outcome(near_nadir, tested)) == ("accepted", [])


def test_few_lights_and_a_flat_map_explain_a_low_probability_alone(near_nadir: Solved) -> None:
    best = near_nadir.best
    assert saturated_share(saturated_at(best, None)) == 0.0
    assert saturated_share(saturated_at(best, 100.0)) == 0.0
    assert saturated_share(saturated_at(replace(best, view=np.zeros_like(best.view)), 1.0)) == 0.0
    half = float(np.median(best.view[best.view > 0.05]))
    assert saturated_share(saturated_at(best, half)) == pytest.approx(0.5, abs=0.05)
    for poor, code in (
        (with_evidence(best, met_towns=FEW_TOWNS - 1), "few_lights"),
        (saturated_at(best, half), "map_saturated"),
    ):
        assert told(outcome(near_nadir, poor)) == ("accepted", [])
        assert told(outcome(near_nadir, poor, NEVER)) == ("review", [code])


@pytest.fixture
def with_points(near_nadir: Solved, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FrameResult]:
    """The result of a good fit with such control points."""

    def result(*points: ControlPoint, accept: float = default_accept_probability()) -> FrameResult:
        monkeypatch.setattr("regengine.registration.outcome.propose", lambda *_: points)
        return outcome(near_nadir, near_nadir.best, accept)

    return result


def test_fewer_than_four_points_are_never_accepted(
    near_nadir: Solved, with_points: Callable[..., FrameResult]
) -> None:
    few = with_points(*near_nadir.result.control_points[:3], accept=0.1)
    assert told(few) == ("review", ["few_control_points"])


def test_points_within_a_hundredth_of_the_picture_are_never_accepted(
    near_nadir: Solved, with_points: Callable[..., FrameResult]
) -> None:
    """What the published benchmark calls no answer, however good each of them is."""
    first, height_px = near_nadir.result.control_points[0], near_nadir.best.camera.height_px
    # As wide as the picture, and this share of it high
    for share, verdict, codes_ in (
        (0.011, "accepted", ["narrow"]),
        (0.009, "review", ["few_control_points", "narrow"]),
    ):
        wide = near_nadir.best.camera.width_px - 1.0
        high = share * height_px * near_nadir.best.camera.width_px / wide
        corners = ((0.0, 0.0), (wide, 0.0), (wide, high), (0.0, high))
        four = tuple(replace(first, x=x, y=100.0 + y) for x, y in corners)
        result = with_points(*four, accept=0.1)
        assert told(result) == (verdict, codes_)
    assert "span 0.90 % of the picture" in result.reasons[0].text


def test_a_vague_point_lowers_the_probability_and_is_named(
    near_nadir: Solved, with_points: Callable[..., FrameResult]
) -> None:
    points, camera = near_nadir.result.control_points, near_nadir.best.camera
    vague = (*points[:3], replace(points[3], sigma_m=5000.0))
    result = with_points(*vague)
    place = near_nadir.result.probability / chance_of_right_points(points, camera)
    assert result.probability == pytest.approx(place * chance_of_right_points(vague, camera))
    assert result.verdict != "accepted"
    assert codes(result.reasons) == ["imprecise"]
    assert "uncertain by 5.0 km" in result.reasons[0].text


def test_the_chance_of_points_is_that_of_the_vaguest(near_nadir: Solved) -> None:
    points, camera = near_nadir.result.control_points, near_nadir.best.camera
    allowed_m = allowed_error_m(camera)
    assert chance_of_right_points((), camera) == 1.0
    # By drawing: how often two axes of one sigma stay within the circle
    rng = np.random.default_rng(0)
    for share in (0.3, 0.6, 1.0, 3.0):
        vaguest = replace(points[3], sigma_m=share * allowed_m)
        sharp = (replace(one, sigma_m=0.1 * share * allowed_m) for one in points[:3])
        inside = np.hypot(*rng.normal(0.0, share, (2, 40_000))) < 1.0
        chance = chance_of_right_points((*sharp, vaguest), camera)
        assert chance == pytest.approx(inside.mean(), abs=0.01)


def test_the_better_a_fit_is_tested_the_likelier_are_its_points(near_nadir: Solved) -> None:
    """The place is as sure: what is said of lights that were left out is made up for elsewhere."""
    found = []
    for patches in (0.5, 1.5, 2.9, 3.1, 7.9, 8.1, 30.0):
        evidence = replace(
            near_nadir.best.evidence,
            patch_log10_odds=patches,
            town_log10_odds=24.0,
            picture_log10_odds=60.0,
        )
        found.append(probability(evidence) / place_probability(evidence))
    assert found == pytest.approx([0.76, 0.88, 0.88, 0.99, 0.99, 1.0, 1.0])
    # Towns may say that a tested fit is whole
    whole = replace(evidence, patch_log10_odds=1.5, town_log10_odds=26.0)
    assert probability(whole) == pytest.approx(place_probability(whole))


def test_a_camera_that_is_unsure_at_some_light_is_not_accepted(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control points are as before: but the camera between and beyond them may be bent."""
    good = outcome(near_nadir, near_nadir.best)
    assert good.verdict == "accepted"
    allowed_m = allowed_error_m(near_nadir.best.camera)
    for share, verdict in ((0.38, "accepted"), (0.5, "review")):
        sigma_m = np.array([10.0, share * allowed_m])
        monkeypatch.setattr(control_points, "sigma_at_lights_m", lambda *_, found=sigma_m: found)
        result = outcome(near_nadir, near_nadir.best)
        assert result.verdict == verdict
        assert result.probability == good.probability
        assert result.control_points == good.control_points
    assert codes(result.reasons) == ["imprecise"]
    assert f"{share * allowed_m / 1e3:.1f} km" in result.reasons[0].text


def test_what_is_barely_known_has_to_hold_without_a_quarter_of_the_picture(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lights that are wrong together over more than a sixteenth bend a lens other than proposed.

    And the proposed one, where lights left out hardly confirm the fit.
    """
    best = with_evidence(near_nadir.best, town_log10_odds=24.0, patch_log10_odds=8.1)
    freed = with_lens(best.solution.finalist, SIGMA_LOG_FOCAL_ANY, 100.0)
    found = replace(best, solution=replace(best.solution, finalist=freed))
    barely = with_evidence(best, town_log10_odds=24.0, patch_log10_odds=7.9)
    for one in (best, found, barely):
        assert outcome(near_nadir, one).verdict == "accepted"
    monkeypatch.setattr(Solution, "refits_without", lambda one, parts: bent(one, parts))
    assert outcome(near_nadir, best).verdict == "accepted"
    for one in (found, barely):
        result = outcome(near_nadir, one)
        assert (result.verdict, codes(result.reasons)) == ("review", ["imprecise"])
        whole = with_evidence(one, town_log10_odds=26.0)
        assert outcome(near_nadir, whole).verdict == "accepted"  # as towns say


def bent(solution: Solution, parts: int) -> Refits:
    """Refits that agree, but without a quarter of the picture."""
    turned_rad = (0.05, 0.0, 0.0) if parts == 4 else (0.0, 0.0, 0.0)
    return Refits(camera=solution.camera, without=(turned(solution.camera, turned_rad),) * 4)


def test_without_a_solution_nothing_agrees(near_nadir: Solved) -> None:
    result = outcome(near_nadir, None)
    assert (result.verdict, codes(result.reasons)) == ("no_match", ["no_agreement"])
    assert result.solved is None
    assert result.control_points == ()
    assert result.nadir is not None


def chance_like(best: Verified) -> Verified:
    return with_evidence(
        best,
        ncc=0.2,
        runner_up_ncc=0.19,
        town_log10_odds=-4.0,
        patch_log10_odds=-4.0,
        picture_log10_odds=-4.0,
        held_out_residual_px=5.0,
    )


def test_hardly_better_than_chance_is_no_match_without_points(near_nadir: Solved) -> None:
    result = outcome(near_nadir, chance_like(near_nadir.best))
    assert result.verdict == "no_match"
    assert result.control_points == ()
    assert result.solved is None
    assert result.probability is not None
    assert 0.0 < result.probability < REVIEW_PROBABILITY
    # That it fits nowhere comes first, and how loose the fit is there is no matter
    assert codes(result.reasons)[0] == "no_agreement"
    assert "imprecise" not in codes(result.reasons)


def unproven(best: Verified) -> Verified:
    """As good a solution, but not so good that the search would have ended with it."""
    steps = shipped_calibration().steps
    middling = min(steps.log10_odds, key=lambda odds: abs(float(steps.probability(odds)) - 0.7))
    weaker = with_odds(best, middling)
    assert not made_search(weaker.camera, best=weaker).conclusive
    return weaker


def test_a_search_cut_short_is_told_with_what_a_person_must_look_at(near_nadir: Solved) -> None:
    best = unproven(near_nadir.best)
    for accept, found, codes_without in (
        (NEVER, best, ["low_probability"]),
        (NEVER, with_evidence(best, met_towns=3), ["few_lights"]),
    ):
        cut = outcome(near_nadir, found, accept, exhausted=False)
        assert (cut.verdict, codes(cut.reasons)) == ("review", [*codes_without, "search_budget"])
        whole = outcome(near_nadir, found, accept)
        assert (whole.verdict, codes(whole.reasons)) == ("review", codes_without)
        assert cut.probability == whole.probability
        assert cut.control_points == whole.control_points
    nothing = outcome(near_nadir, chance_like(best), exhausted=False)
    assert nothing.verdict == "no_match"
    assert codes(nothing.reasons)[-1] == "search_budget"
    assert "search_budget" not in codes(outcome(near_nadir, chance_like(best)).reasons)
    braked = outcome(near_nadir, chance_like(best), exhausted=False, braked=True)
    assert "--max-seconds" in braked.reasons[-1].text
    assert dict(braked.sources)["search"] == "ended by --max-seconds"


def test_a_search_cut_short_stands_against_nothing(near_nadir: Solved) -> None:
    """The probability was fitted on searches like it: what is probable enough is accepted."""
    best = unproven(near_nadir.best)
    accept = 0.5 * outcome(near_nadir, best).probability  # type: ignore[operator]
    cut = outcome(near_nadir, best, accept, exhausted=False)
    assert (cut.verdict, cut.reasons) == ("accepted", ())
    assert cut == outcome(near_nadir, best, accept)


def test_a_proof_ends_a_search_before_its_time(near_nadir: Solved) -> None:
    """Whatever was left untried then, nobody ran out of time."""
    proof = near_nadir.best
    assert made_search(proof.camera, best=proof).conclusive
    result = outcome(near_nadir, proof, NEVER, exhausted=False)
    assert (result.verdict, codes(result.reasons)) == ("review", ["low_probability"])


def test_an_accepted_result_says_everything(near_nadir: Solved) -> None:
    result, best = near_nadir.result, near_nadir.best
    assert result.verdict == "accepted"
    assert result.reasons == ()
    assert result.probability is not None
    assert result.probability >= default_accept_probability()
    assert result.lights == "simulated lights"
    assert len(result.footprint) == 4
    assert result.footprint_diagonal_km == pytest.approx(350.0, rel=0.1)  # 295 x 197 km
    solved = result.solved
    assert solved.camera == best.camera
    assert solved.off_nadir_deg == pytest.approx(6.0, abs=1.0)
    # The position was told for a clock two seconds fast
    assert solved.along_track_offset_s == pytest.approx(-2.0, abs=1.0)
    fit = result.fit
    assert fit.margin == pytest.approx(best.evidence.ncc - best.evidence.runner_up_ncc)
    assert fit.matched_lights == best.evidence.met_towns
    ground_m = 410e3 / best.camera.focal_px
    assert fit.residual_m == pytest.approx(fit.residual_px * ground_m, rel=0.1)
    assert [h.rank for h in result.hypotheses] == list(range(len(result.hypotheses)))
    assert result.hypotheses[0].log10_odds == fit.log10_odds
    lon, lat, _ = near_nadir.shot.camera.ground(239.5, 159.5)
    assert result.hypotheses[0].centre_lon == pytest.approx(float(lon), abs=0.01)
    assert result.hypotheses[0].centre_lat == pytest.approx(float(lat), abs=0.01)


def test_points_that_span_little_are_told_and_cost_no_verdict(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond them a map that is stretched by them alone is wrong, and the camera is not."""
    result = near_nadir.result
    lights, points = result.detections, result.control_points
    assert narrowness(points, lights) == ()
    first = points[0]
    together = tuple(
        replace(first, x=first.x + dx, y=first.y + dy)
        for dx, dy in ((0.0, 0.0), (45.0, 0.0), (45.0, 45.0), (0.0, 45.0))
    )
    (reason,) = narrowness(together, lights)
    assert reason.code == "narrow"
    assert re.search(r"span \d+ % of the area of the matched lights", reason.text)
    beside = (*points[:3], replace(points[2], x=points[2].x + 1.0))
    (reason,) = narrowness(beside, lights)
    assert "near each other" in reason.text
    assert narrowness(points[:3], lights) == ()  # few_control_points says so
    monkeypatch.setattr("regengine.registration.outcome.propose", lambda *_: together)
    accept = 0.9 * near_nadir.result.probability
    narrow = outcome(near_nadir, near_nadir.best, accept)
    assert (narrow.verdict, codes(narrow.reasons)) == ("accepted", ["narrow"])


def test_the_lights_of_the_photo_are_told_in_stored_pixels(near_nadir: Solved) -> None:
    lights = near_nadir.result.detections
    assert lights.matched.sum() == near_nadir.best.evidence.met_towns
    height, width = near_nadir.shot.picture.shape[:2]
    assert ((lights.x >= -0.5) & (lights.x <= width - 0.5)).all()
    assert ((lights.y >= -0.5) & (lights.y <= height - 0.5)).all()
    brightness = near_nadir.shot.picture.mean(axis=2)
    at = brightness[lights.y.round().astype(int), lights.x.round().astype(int)]
    assert np.median(at) > 2.0 * np.median(brightness)


def test_a_residual_in_metres() -> None:
    camera = camera_over(5.0, 45.0, 410e3, focal_px=820.0)
    assert residual_m(camera, 2.0) == pytest.approx(2.0 * 500.0, rel=0.03)
    sky = camera_over(5.0, 45.0, 410e3, off_nadir=130.0)
    assert np.isnan(residual_m(sky, 1.0))


def test_a_frame_without_a_place(near_nadir: Solved) -> None:
    reason = Reason(code="no_ephemeris", text="nothing is known")
    result = no_match_result(near_nadir.frame, None, light_map().info, reason)
    assert result.verdict == "no_match"
    assert result.nadir is None
    assert result.probability is None
    assert result.reasons == (reason,)
    assert result.time_utc == "2016-05-01T12:00:00Z"
    assert result.width_px == 480


def test_times_are_told_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert iso_utc(datetime(2020, 1, 2, 3, 4, 5, tzinfo=east)) == "2020-01-02T01:04:05Z"
    assert iso_utc(datetime(2020, 1, 2, tzinfo=UTC)) == "2020-01-02T00:00:00Z"


@pytest.mark.parametrize(("east_share", "told"), [(1.0, False), (0.0, True)])
def test_a_map_that_holds_little_of_what_is_in_sight_is_told(
    near_nadir: Solved, east_share: float, told: bool
) -> None:
    """Of a map that ends at the nadir half the ground in sight is missing, and a rim besides."""
    lon = near_nadir.position.lon
    bounds = (lon - 60.0, -90.0, lon - 0.5 + 60.0 * east_share, 90.0)
    short = SimpleNamespace(info=replace(near_nadir.search.light_map.info, bounds=bounds))
    search = begun_anew(near_nadir.search, best=chance_like(near_nadir.best), covered=True)
    search.light_map = short  # type: ignore[assignment]
    result = result_of(search)
    assert result.verdict == "no_match"
    assert ("outside_map" in codes(result.reasons)) == told
    if told:
        (reason,) = [one for one in result.reasons if one.code == "outside_map"]
        assert "covers 4" in reason.text or "covers 3" in reason.text
