"""What is said of a frame: proposal, caveats, verdict."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import numpy as np
import pytest

from regengine.registration.acceptance import (
    REVIEW_PROBABILITY,
    default_accept_probability,
    is_conclusive,
)
from regengine.registration.control_points import allowed_error_m
from regengine.registration.evidence import (
    CLEAR_LOG10_ODDS,
    LOW_MARGIN,
    PRECISE_PX,
    SUPPORTED_LOG10_ODDS,
    Verified,
)
from regengine.registration.outcome import (
    caveats_about,
    caveats_about_points,
    chance_of_right_points,
    iso_utc,
    narrowness,
    no_match_result,
    residual_m,
    result_of,
    saturated_share,
)
from regengine.registration.verification import FEW_TOWNS
from regengine.result import FrameResult, Reason
from tests.matchers.lamp_world import camera_over
from tests.regengine.registration.made_search import begun_anew, made_search
from tests.regengine.registration.simulated_frames import Solved, light_map


def codes(reasons: tuple[Reason, ...]) -> list[str]:
    return [reason.code for reason in reasons]


def caveats(best: Verified) -> list[str]:
    return codes(caveats_about(best))


def with_evidence(best: Verified, **changes: float) -> Verified:
    return replace(best, evidence=replace(best.evidence, **changes))


def test_a_good_solution_raises_no_doubt(near_nadir: Solved) -> None:
    assert caveats(near_nadir.best) == []


def with_odds(best: Verified, log10_odds: float, rival: float = -3.0) -> Verified:
    """The same with such odds of towns, patches and picture together, its towns beyond chance."""
    tried = best.evidence.log10_tried
    odds = {
        "town_log10_odds": SUPPORTED_LOG10_ODDS + 1.0,
        "patch_log10_odds": 0.0,
        "picture_log10_odds": log10_odds + tried - SUPPORTED_LOG10_ODDS - 1.0,
        "runner_up_town_log10_odds": 0.0,
        "runner_up_picture_log10_odds": rival + tried,
    }
    return with_evidence(best, **odds)


CLEAR, RIVALLED = 1.1 * CLEAR_LOG10_ODDS, 1.0


def test_few_lights_are_a_doubt(near_nadir: Solved) -> None:
    few = with_evidence(with_odds(near_nadir.best, CLEAR, RIVALLED), met_towns=FEW_TOWNS - 1)
    assert caveats(few) == ["few_lights"]
    assert caveats(with_evidence(few, met_towns=FEW_TOWNS)) == []


def test_a_close_rival_is_a_doubt(near_nadir: Solved) -> None:
    best = with_odds(near_nadir.best, CLEAR, RIVALLED)
    close = with_evidence(best, runner_up_even_ncc=best.evidence.even_ncc - 0.9 * LOW_MARGIN)
    clear = with_evidence(best, runner_up_even_ncc=best.evidence.even_ncc - 1.1 * LOW_MARGIN)
    assert caveats(close) == ["low_margin"]
    assert caveats(clear) == []
    # Whatever else speaks for it: the place may be right and the fit that of the rival
    assert caveats(with_odds(close, 3.0 * CLEAR_LOG10_ODDS)) == ["low_margin"]


def test_a_loose_fit_is_a_doubt(near_nadir: Solved) -> None:
    """The picture says where it is, the patches left out how well it fits."""
    loose = with_evidence(near_nadir.best, held_out_residual_px=1.05 * PRECISE_PX)
    assert caveats(loose) == ["imprecise"]
    assert not is_conclusive(loose.evidence)
    tight = with_evidence(near_nadir.best, held_out_residual_px=0.95 * PRECISE_PX)
    assert caveats(tight) == []
    # With too few patches to leave out there is nothing against it
    assert caveats(with_evidence(loose, held_out_residual_px=float("inf"))) == []


def test_what_is_no_chance_needs_few_towns(near_nadir: Solved) -> None:
    """Unless the runner-up's is no chance either: a twin."""
    poor = with_evidence(with_odds(near_nadir.best, CLEAR), met_towns=3)
    assert caveats(poor) == []
    assert caveats(with_odds(poor, CLEAR, RIVALLED)) == ["few_lights"]
    assert caveats(with_odds(poor, 0.9 * CLEAR_LOG10_ODDS)) == ["few_lights", "imprecise"]


def test_points_that_are_few_or_vague_are_a_doubt(near_nadir: Solved) -> None:
    points, camera = near_nadir.result.control_points, near_nadir.best.camera
    assert caveats_about_points(points, camera) == ()
    assert codes(caveats_about_points(points[:3], camera)) == ["few_control_points"]
    vague = (*points[:3], replace(points[3], sigma_m=5000.0))
    assert codes(caveats_about_points(vague, camera)) == ["imprecise"]


def test_the_probability_falls_with_what_a_vague_point_may_be_off(near_nadir: Solved) -> None:
    points, camera = near_nadir.result.control_points, near_nadir.best.camera
    allowed_m = allowed_error_m(camera)
    assert chance_of_right_points(points, camera) == 1.0

    def chance(share: float) -> float:
        return chance_of_right_points(
            (*points[:3], replace(points[3], sigma_m=share * allowed_m)), camera
        )

    assert chance(0.49) == 1.0
    # By drawing: how often two axes of one sigma stay within the circle
    rng = np.random.default_rng(0)
    for share in (0.6, 1.0, 3.0):
        inside = np.hypot(*rng.normal(0.0, share, (2, 40_000))) < 1.0
        assert chance(share) == pytest.approx(inside.mean(), abs=0.01)


def saturated_at(best: Verified, value: float | None) -> Verified:
    grid = replace(best.solution.levels[0], saturation=value)
    levels = (grid, *best.solution.levels[1:])
    return replace(best, solution=replace(best.solution, levels=levels))


def test_a_saturated_map_is_a_doubt(near_nadir: Solved) -> None:
    best = near_nadir.best
    assert saturated_share(saturated_at(best, None)) == 0.0
    assert saturated_share(saturated_at(best, 100.0)) == 0.0
    half = float(np.median(best.view[best.view > 0.05]))
    assert saturated_share(saturated_at(best, half)) == pytest.approx(0.5, abs=0.05)
    assert caveats(saturated_at(best, half)) == []
    # Half of the lit map is flat, and another place comes near
    twin = replace(best.evidence, runner_up_even_ncc=best.evidence.even_ncc - 0.1)
    assert caveats(saturated_at(replace(best, evidence=twin), half)) == ["map_saturated"]
    dark = replace(best, view=np.zeros_like(best.view))
    assert saturated_share(saturated_at(dark, 1.0)) == 0.0


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
        even_ncc=0.1,
        runner_up_even_ncc=0.09,
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
    assert result.reasons != ()


def unproven(best: Verified) -> Verified:
    """As good a solution, but not so good that the search would have ended with it."""
    weaker = with_evidence(
        with_odds(best, 9.6, RIVALLED),
        runner_up_even_ncc=best.evidence.even_ncc - 0.1,
    )
    assert not made_search(weaker.camera, best=weaker).conclusive
    return weaker


def test_a_search_cut_short_is_told_with_what_a_person_must_look_at(near_nadir: Solved) -> None:
    best = unproven(near_nadir.best)
    for accept, found, codes_without in (
        (0.999_999, best, ["low_probability"]),
        (0.0, with_evidence(best, met_towns=3), ["few_lights"]),
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
    result = outcome(near_nadir, proof, 0.999_999, exhausted=False)
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
        for dx, dy in ((0.0, 0.0), (30.0, 0.0), (30.0, 30.0), (0.0, 30.0))
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
