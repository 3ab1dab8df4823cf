"""What the panel says of a frame, and what can be said and taken there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from benchmarks.review import ReviewProcess
from regengine.registration.without_orbit import GUESSED_LENS
from regengine.result import Reason
from regengine.review.decisions import Decisions, decisions_path
from regengine.review.routes_solve import proposal_json
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests.regengine.review.hand import ReviewHand, camera_error_km
from tests.regengine.review.sample import (
    LIGHTS,
    PROPOSALS,
    SAMPLES,
    sample_result,
    true_camera,
    truth_of,
)

pytestmark = pytest.mark.browser

SURE, UNKNOWN = "ISS990-E-000104", "ISS990-E-000101"
BARE = Reason(
    code="no_ephemeris",
    text="neither a TLE file nor a nadir says where the camera was: give --tle or --nadir",
)


@pytest.fixture(scope="module")
def panel(
    context: BrowserContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ReviewHand, Path]]:
    """A store of a proposal that is nearly sure, and of a photo of which nothing is known."""
    store = tmp_path_factory.mktemp("panel") / "run.h5"
    far = replace(PROPOSALS[SURE], away_km=4000.0)
    sure = replace(
        sample_result(SURE, SAMPLES / f"{SURE}.jpg", far),
        probability=0.9991,
        reasons=(GUESSED_LENS,),
    )
    unknown = replace(
        sample_result(UNKNOWN, SAMPLES / f"{UNKNOWN}.jpg"),
        verdict="no_match",
        probability=None,
        reasons=(BARE,),
        time_utc=None,
        nadir=None,
        focal_mm=None,
        pixel_pitch_um=None,
        solved=None,
        control_points=(),
        fit=None,
        hypotheses=(),
    )
    with StoreWriter(store) as writer:
        for number, result in enumerate((sure, unknown)):
            writer.add(StoredFrame(frame_index=number, result=result))
        writer.flush()
    options = ("--lights", str(LIGHTS), "--tle", str(SAMPLES / "tle.txt"), "--reviewer", "Ada")
    with ReviewProcess(store, *options) as server:
        hand = ReviewHand(context.new_page(), server.address)
        yield hand, store
        assert hand.problems == []
        hand.page.close()


def test_the_panel_says_why_a_person_must_look(panel: tuple[ReviewHand, Path]) -> None:
    hand, _ = panel
    hand.go_to(0)
    verdict = hand.page.locator("#verdict")
    expect(verdict).to_contain_text("A person must look")
    expect(verdict).to_contain_text("Write the focal length below")
    expect(verdict).to_contain_text("Shown is the engine's proposal (1)")
    assert "to be right" not in verdict.inner_text()
    assert "99 %" not in hand.page.locator("#rows").inner_text()
    hand.press("2")
    expect(verdict).to_contain_text("not the engine's proposal")
    hand.press("z")
    expect(verdict).to_contain_text("Shown is the engine's proposal (1)")
    for frame_id in (0, 1):
        hand.go_to(frame_id)
        assert "--" not in hand.page.locator("#panel").inner_text()


def test_what_the_file_does_not_tell_is_told_in_the_panel(panel: tuple[ReviewHand, Path]) -> None:
    hand, _ = panel
    truth = truth_of(UNKNOWN)
    hand.go_to(0)
    assert hand.page.locator("#given input").count() == 0
    hand.go_to(1)
    assert hand.told_of(1)["camera"] is None
    hand.page.fill("#given-time", truth["time_utc"])
    hand.page.press("#given-time", "Tab")
    hand.page.locator("#given .outcome", has_text="The station was above").wait_for()
    hand.page.fill("#given-lens", str(truth["focal_mm"]))
    hand.page.press("#given-lens", "Tab")
    hand.wait_until_kept()
    draft = hand.told_of(1)["draft"]
    assert draft["given"]["time_utc"] == truth["time_utc"]
    # The camera stands where the element sets have the station, and has that lens
    away_m = max(
        abs(a - b)
        for a, b in zip(
            draft["camera"]["position_ecef_m"], true_camera(UNKNOWN).position_ecef_m, strict=True
        )
    )
    assert away_m < 100_000.0
    long_px = max(draft["camera"]["width_px"], draft["camera"]["height_px"])
    assert draft["camera"]["focal_px"] == pytest.approx(truth["focal_mm"] / 36.0 * long_px)
    hand.go_to(1)
    assert hand.page.input_value("#given-time") == truth["time_utc"]


def test_what_a_search_says_stays(panel: tuple[ReviewHand, Path]) -> None:
    hand, store = panel
    hand.go_to(0)
    hand.press("2")  # elsewhere: the map has nothing there, which is soon told
    hand.wait_until_kept()
    start = hand.told_of(0)["draft"]["camera"]
    hand.press("g")
    searches = hand.page.locator("#searches")
    expect(searches.locator(".badge")).to_have_text("no match")
    expect(searches).to_contain_text("does not cover the ground")
    found = searches.inner_text()
    hand.press("1")
    hand.wait_until_kept()
    hand.go_to(0)
    assert searches.inner_text() == found
    sha256 = hand.told_of(0)["sha256"]
    with closing(Decisions(decisions_path(store))) as decisions:
        (kept,) = decisions.searches(0, sha256)
        assert (kept.reviewer, kept.start, kept.found["fit"]) == ("Ada", start, None)
        # Another one, of another review, that found the place
        right = sample_result(SURE, SAMPLES / f"{SURE}.jpg")
        proposal = json.loads(json.dumps(proposal_json(right)))
        decisions.keep_search(
            replace(kept, reviewer="Bob", verdict="review", probability=0.9, found=proposal)
        )
    hand.go_to(0)
    expect(searches.locator(".badge")).to_have_text(["review", "no match"])
    expect(searches).to_contain_text("10⁵ : 1 over the runner-up")
    searches.get_by_role("button", name="Use what it found").click()
    expect(hand.page.locator("#verdict")).to_contain_text("Shown is what a search found")
    hand.wait_until_kept()
    draft = hand.told_of(0)["draft"]
    assert {point["origin"] for point in draft["points"]} == {"search"}
    assert camera_error_km(draft["camera"], SURE) < 3.5


def test_points_go_to_a_file_and_come_back(panel: tuple[ReviewHand, Path], tmp_path: Path) -> None:
    hand, _ = panel
    page = hand.page
    hand.go_to(0)
    hand.press("1")
    files = {}
    for name, button in (("points", "To QGIS"), ("csv", "To CSV")):
        with page.expect_download() as coming:
            page.get_by_role("button", name=button).click()
        files[name] = tmp_path / coming.value.suggested_filename
        coming.value.save_as(files[name])
        assert files[name].name == f"{SURE}.{name}"
    points = json.loads(page.evaluate("fetch('/api/frames/0').then((a) => a.text())"))["points"]
    for path in files.values():
        page.set_input_files("#points-file", path)
        page.get_by_text(f"4 points out of {path.name}").wait_for()
        hand.wait_until_kept()
        draft = hand.told_of(0)["draft"]
        assert {point["origin"] for point in draft["points"]} == {"person"}
        for one, other in zip(draft["points"], points, strict=True):
            assert one["lon"] == pytest.approx(other["lon"], abs=1e-6)
        hand.press("1")
        hand.wait_until_kept()
