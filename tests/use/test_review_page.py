"""The review page in a browser: a reviewer's session, by mouse and by keys."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.world.hand import (
    ReviewHand,
    camera_error_km,
    head,
    limb_row,
    look,
    off_nadir_deg,
    points_error_km,
)
from tests.world.pages import COPIES, FRAMES, WITH_MAP, ReviewProcess
from tests.world.samples import sample_store, truth_of

pytestmark = pytest.mark.browser

BAR_KM = 3.5  # 1 % of the diagonal of what these photos show
CLEAR_PX = 120.0  # of the photo: a click there takes hold of no other point
A_GLANCE_PX = 2.0  # of the screen: nearer, a point looks right
CITY, OBLIQUE, UNPLACED = "ISS990-E-000103", "ISS990-E-000106", "ISS990-E-000105"
CHECKS = (Path(__file__).parents[1] / "kit" / "checks.js").read_text(encoding="utf-8")


def draft_of(hand: ReviewHand, frame_id: int) -> Any:
    """Unfinished work on a frame, once it has been kept."""
    hand.wait_until_kept()
    return hand.told_of(frame_id)["draft"]


def decided(hand: ReviewHand, frame_id: int) -> dict[str, Any]:
    """Accept the frame in view; what the server then has."""
    hand.press("a")
    hand.wait_until_left(frame_id)
    found = head(hand, frame_id)
    assert found is not None
    assert found["decision"] == "accepted"
    return found


def known_pairs(
    frame: str, *shares: tuple[float, float], clear_of: Sequence[tuple[float, float]] = ()
) -> list[dict[str, float]]:
    """Known pixels with their places, nearest to shares of the picture, away from some points."""
    truth = truth_of(frame)
    width, height = truth["camera"]["width_px"], truth["camera"]["height_px"]
    known = [
        pair
        for pair in truth["reference_points"]
        if all(math.dist((pair["x"], pair["y"]), at) > CLEAR_PX for at in clear_of)
    ]
    return [
        min(
            known,
            key=lambda p: math.dist((p["x"], p["y"]), (u * width, v * height)),
        )
        for u, v in shares
    ]


CORNERS = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))
INNER = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.88), (0.1, 0.88))


def test_a_right_proposal_takes_one_key(hand: ReviewHand) -> None:
    frame_id = FRAMES["right"]
    hand.go_to(frame_id)
    proposed = hand.told_of(frame_id)
    kept = decided(hand, frame_id)
    assert (kept["points"], kept["camera"]) == (proposed["points"], proposed["camera"])
    assert hand.actions == {"keys": 1}
    still_open = hand.told("/api/frames?status=open")["frames"]
    assert "right" not in {each["frame"] for each in still_open}


def test_the_runner_up_is_one_key_away_and_steps_go_back_and_forth(hand: ReviewHand) -> None:
    frame_id = FRAMES["runner_up"]
    hand.go_to(frame_id)
    proposed = hand.told_of(frame_id)["points"]
    hand.press("2")
    draft = draft_of(hand, frame_id)
    assert points_error_km(draft["points"], CITY) < 0.01
    expect(hand.page.locator("#verdict")).to_contain_text("not the engine's proposal")
    hand.press("z")
    assert draft_of(hand, frame_id) is None
    start = hand.at_pixel(proposed[0]["x"], proposed[0]["y"])
    hand.drag(start, (start[0] + 25.0, start[1] + 10.0))
    moved = draft_of(hand, frame_id)["points"]
    assert (moved[0]["lon"], moved[0]["origin"]) == (proposed[0]["lon"], "person")
    hand.press("Control+z")
    assert draft_of(hand, frame_id) is None
    hand.press("Control+Shift+z")
    assert draft_of(hand, frame_id)["points"] == moved
    hand.press("Control+z")
    hand.wait_until_kept()


def test_a_guess_that_nobody_confirmed_does_not_count(hand: ReviewHand) -> None:
    said = hand.page.locator("#said")
    hand.go_to(FRAMES["left unplaced"])
    hand.press("a")
    expect(said).to_contain_text("0 of 0 points confirmed")
    missing = hand.page.locator("#missing")
    expect(missing).to_have_text("To accept, place the photo and confirm four points.")
    frame_id = FRAMES["seen"]
    hand.go_to(frame_id)
    for key in ("]", "x", "="):  # one that the engine did not propose, by its camera
        hand.press(key)
    hand.press("]")
    hand.press("Shift+ArrowRight")
    hand.wait_until_kept()
    expect(hand.page.locator("#points")).to_contain_text("follows")
    expect(hand.page.locator("#verdict")).not_to_contain_text("engine's proposal")
    hand.press("a")
    expect(said).to_contain_text("four confirmed points")
    expect(said).to_contain_text("1 of 4 points confirmed")
    expect(missing).to_contain_text("confirm 3 more points")
    told = hand.told_of(frame_id)
    assert told["decisions"] == []
    work = told["draft"] | {"decision": "accepted", "base": 0}
    where = urljoin(hand.address, f"/api/frames/{frame_id}/decision")
    refused = hand.page.request.put(where, data=work).json()["detail"]
    assert refused.capitalize() in said.inner_text()
    for _ in range(3):
        hand.press("z")
    hand.wait_until_kept()


def confirm(hand: ReviewHand, *indices: int) -> None:
    """Select points by their rows, and say of each that it is right."""
    for index in indices:
        hand.page.locator(f"#point-{index}").click()
        hand.press("k")
        hand.wait_until_kept()


def told_px(hand: ReviewHand, index: int) -> float:
    """The residual that the table tells of a point."""
    row = hand.page.locator("#points tbody tr").nth(index)
    return float(row.locator("td.residual").inner_text().split()[0])


def test_a_wrong_drag_is_not_confirmed_by_the_points_that_follow_it(hand: ReviewHand) -> None:
    frame_id, accept = FRAMES["dragged"], hand.page.locator("#do-accept")
    hand.go_to(frame_id)
    engine = hand.told_of(frame_id)["points"]
    expect(accept).to_be_enabled()
    start = hand.at_pixel(engine[0]["x"], engine[0]["y"])
    hand.drag(start, (start[0] + 10.0, start[1] + 6.0))
    hand.wait_until_kept()
    assert points_error_km(draft_of(hand, frame_id)["points"], COPIES["dragged"]) > BAR_KM
    # Lights of photo and map are compared at each point, whatever the camera says
    compared = hand.page.locator("#points td[data-agreement]")
    expect(compared).to_have_count(4, timeout=60_000)
    assert "agrees" not in [cell.get_attribute("data-agreement") for cell in compared.all()]
    # The others tell at once how far off the drag is
    assert min(told_px(hand, index) for index in (1, 2, 3)) > 5.0
    expect(accept).to_be_disabled()
    confirm(hand, 1, 2, 3)
    points = draft_of(hand, frame_id)["points"]
    assert [point["origin"] for point in points] == ["person", *["confirmed"] * 3]
    assert points[1:] == [point | {"origin": "confirmed"} for point in engine[1:]]
    expect(hand.page.locator("#points")).to_contain_text("contradict those measured")
    expect(accept).to_be_disabled()
    hand.press("a")
    expect(hand.page.locator("#said")).to_contain_text("contradict those measured")
    assert hand.told_of(frame_id)["decisions"] == []


def test_a_right_proposal_is_confirmed_point_by_point(hand: ReviewHand) -> None:
    frame_id = FRAMES["confirmed"]
    hand.go_to(frame_id)
    # Where clouds leave lights to compare, photo and map agree
    compared = hand.page.locator("#points td[data-agreement]")
    expect(compared).to_have_count(4, timeout=30_000)
    levels = [cell.get_attribute("data-agreement") for cell in compared.all()]
    assert levels.count("agrees") >= 2
    engine = hand.told_of(frame_id)["points"]
    confirm(hand, 0, 1, 2, 3)
    outcome = hand.page.locator("#points .outcome").first
    expect(outcome).to_contain_text("4 points confirmed. Not checkable yet: add a fifth point.")
    expect(hand.page.locator("#points")).not_to_contain_text("0.0 px")
    kept = decided(hand, frame_id)
    assert kept["points"] == [point | {"origin": "confirmed"} for point in engine]
    assert camera_error_km(kept["camera"], COPIES["confirmed"]) < BAR_KM


def test_what_nothing_measured_is_confirmed_by_the_lights_or_not_at_all(hand: ReviewHand) -> None:
    """Points that a camera guessed: of a runner-up, and filled up."""
    frame_id = FRAMES["guessed"]
    hand.go_to(frame_id)
    proposed = hand.told_of(frame_id)["points"]
    # The way of a hand out and back, and a hand that trembles, say nothing
    at = hand.at_pixel(proposed[0]["x"], proposed[0]["y"])
    hand.drag(at, (at[0] + 1.0, at[1]))
    assert draft_of(hand, frame_id) is None
    for key in ("ArrowRight", "ArrowLeft"):
        hand.press(key)
        hand.wait_until_kept()
    assert draft_of(hand, frame_id) is None
    said = hand.page.locator("#said")
    for keys in (("x", "="), ("2",)):  # of a wrong camera, and of a right one
        for key in keys:
            hand.press(key)
        guesses = draft_of(hand, frame_id)["points"]
        confirm(hand, 3)
        expect(said).to_contain_text(re.compile("Snapped: moved by|Point 4 not confirmed: "))
        point = draft_of(hand, frame_id)["points"][3]
        assert point["origin"] == "snap" or point == guesses[3]
    assert hand.told_of(frame_id)["decisions"] == []


def test_a_point_that_is_switched_off_takes_no_part(hand: ReviewHand) -> None:
    frame_id, table = FRAMES["switched"], hand.page.locator("#points")
    hand.go_to(frame_id)
    first = hand.told_of(frame_id)
    at = hand.at_pixel(first["points"][0]["x"], first["points"][0]["y"])
    hand.drag(at, (at[0] + 40.0, at[1] + 20.0))
    dragged = draft_of(hand, frame_id)
    hand.page.locator("#use-0").click()
    hand.wait_until_kept()
    without = draft_of(hand, frame_id)
    # It stays where it is, and the camera is what it was without it
    assert without["points"][0] == dragged["points"][0] | {"off": True}
    assert without["camera"] == first["camera"]
    expect(table).to_contain_text("1 point switched off")
    hand.press("k")
    expect(hand.page.locator("#said")).to_contain_text("switched off")
    hand.press("Shift+X")
    assert draft_of(hand, frame_id) == dragged
    for _ in range(3):
        hand.press("z")
    hand.wait_until_kept()


def test_the_layers_leave_the_keys_to_the_page(hand: ReviewHand) -> None:
    hand.go_to(FRAMES["seen"])
    views, layers = hand.page.locator("#views"), hand.page.locator("#layers")
    hand.press("d")
    expect(layers).to_be_visible()
    hand.press("h")
    expect(views).to_have_attribute("data-layout", "through")
    # A list of maps, too, has only what chooses in it
    hand.page.evaluate("document.querySelector('#layers select').hidden = false")
    layers.locator("select").focus()
    hand.press("h")
    expect(views).to_have_attribute("data-layout", "side")
    hand.press("d")
    expect(layers).to_be_hidden()


def test_a_refusal_goes_with_its_cause_and_the_table_has_room(hand: ReviewHand) -> None:
    hand.page.set_viewport_size({"width": 1440, "height": 900})
    frame_id, said = FRAMES["seen"], hand.page.locator("#said")
    hand.go_to(frame_id)
    first = hand.told_of(frame_id)["points"][0]
    start = hand.at_pixel(first["x"], first["y"])
    hand.drag(start, (start[0] + 10.0, start[1] + 6.0))
    hand.wait_until_kept()
    hand.press("a")
    expect(said).to_contain_text("1 of 4 points confirmed")
    hand.press("z")
    expect(said).to_have_text("")
    confirm(hand, 0, 1, 2, 3)
    expect(hand.page.locator("#points th", has_text="3 d.o.f.")).to_be_visible()
    table, panel = (
        hand.page.locator(part).bounding_box() or {} for part in ("#points table", "#panel")
    )
    assert table["x"] + table["width"] <= panel["x"] + panel["width"]
    for _ in range(4):
        hand.press("z")
    hand.wait_until_kept()
    assert hand.told_of(frame_id)["decisions"] == []


def test_undo_brings_back_what_was_decided_last(hand: ReviewHand) -> None:
    frame_id, undo = FRAMES["undone"], hand.page.locator("#do-undo")
    hand.go_to(frame_id)
    expect(undo).to_be_disabled()
    hand.press("r")
    hand.wait_until_left(frame_id)
    expect(undo).to_be_enabled()
    hand.press("z")
    hand.page.wait_for_selector(f"#photo[data-drawn='{frame_id}']")
    expect(hand.page.locator("#said")).to_contain_text("your earlier decision stands")
    assert decided(hand, frame_id)["decision"] == "accepted"
    # One frame, however often it was decided
    expect(hand.page.locator("#done")).to_have_text("1 decided now")


def test_a_wrong_proposal_is_put_right_by_drags(hand: ReviewHand) -> None:
    frame_id = FRAMES["wrong"]
    hand.go_to(frame_id)
    points = hand.told_of(frame_id)["points"]
    assert points_error_km(points, CITY) > BAR_KM
    for index in (0, 2, 1, 3):
        hand.press("0")
        point = (draft_of(hand, frame_id) or hand.told_of(frame_id))["points"][index]
        true_place = look(CITY, point["x"], point["y"])
        hand.drag(hand.at_place(point["lon"], point["lat"]), hand.at_place(*true_place))
        hand.wait_until_kept()
    expect(hand.page.locator("#points")).not_to_contain_text("0.0 px")
    kept = decided(hand, frame_id)
    assert {point["origin"] for point in kept["points"]} == {"person"}
    assert all(point["by_hand"] for point in kept["points"])
    assert camera_error_km(kept["camera"], CITY) < BAR_KM


def test_four_pairs_bring_a_photo_from_far_off(hand: ReviewHand) -> None:
    frame_id = FRAMES["far"]
    hand.go_to(frame_id)
    hand.press("p")
    taken = [(point["x"], point["y"]) for point in hand.told_of(frame_id)["points"]]
    for pair in known_pairs(CITY, *INNER, clear_of=taken):
        hand.click(*hand.at_pixel(pair["x"], pair["y"]))
        hand.wait_until_kept()
        hand.zoom_to(pair["lon"], pair["lat"])
        hand.click(*hand.at_place(pair["lon"], pair["lat"]))
        hand.wait_until_kept()
    assert camera_error_km(decided(hand, frame_id)["camera"], CITY) < BAR_KM


def test_a_list_is_worked_off_to_its_end(tmp_path: Path, desk: BrowserContext) -> None:
    with ReviewProcess(sample_store(tmp_path / "store"), "--reviewer", "Eve") as server:
        hand = ReviewHand(desk.new_page(), server.address)
        hand.go_to()
        page = hand.page
        frames = hand.told("/api/frames?status=open")["frames"]
        shown = []
        for key in ("s", *"u" * len(frames)):
            shown.append(page.inner_text("#panel h2"))
            frame_id = int(page.get_attribute("#photo", "data-drawn") or -1)
            hand.press(key)
            hand.wait_until_left(frame_id)
            page.wait_for_selector("#photo[data-drawn], #empty:not([hidden])")
        # What was skipped comes by again at the end
        assert sorted(shown[1:]) == sorted(each["frame"] for each in frames)
        assert shown[-1] == shown[0]
        expect(page.locator("#empty")).to_have_text("All frames in this queue are decided.")
        expect(page.locator("#progress-of-queue")).to_contain_text(
            f"{len(frames)} of {len(frames)} frames decided"
        )
        assert hand.problems == []
        page.close()


@pytest.mark.parametrize("in_photo", [False, True])
def test_the_map_goes_to_coordinates(hand: ReviewHand, in_photo: bool) -> None:
    """Also out of the photo, where there is no map before."""
    hand.go_to(FRAMES["people"])
    if in_photo:
        hand.press("h")
    before = hand.drawn_view("#map")
    hand.press("j")
    hand.page.keyboard.type("36°30\u2032N, 151.25 W")
    hand.page.keyboard.press("Enter")
    hand.moved_to_rest("#map", before)
    box = hand.page.locator("#map").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    assert math.dist(hand.at_place(-151.25, 36.5), middle) < 1.0
    # A hundred kilometres are a part of the view
    assert 50.0 < math.dist(hand.at_place(-151.25, 37.5), middle) < 500.0


def test_the_horizon_lights_up_alone(hand: ReviewHand) -> None:
    hand.go_to(FRAMES["limb"])
    hand.press("Shift+H")
    hand.wait_until_kept()
    lit = hand.page.locator("#tools .buttons button[aria-pressed=true]")
    expect(lit).to_contain_text(["In the photo", "Horizon"])
    expect(lit).to_have_count(2)
    hand.press("z")
    hand.wait_until_kept()


def test_a_photo_is_placed_from_nothing_by_pairs(hand: ReviewHand) -> None:
    frame_id = FRAMES["unplaced"]
    hand.go_to(frame_id)
    assert hand.told_of(frame_id)["camera"] is None
    hand.press("p")
    for pair in known_pairs(UNPLACED, (0.5, 0.5), (0, 0), (1, 1), (1, 0), (0, 1)):
        hand.click(*hand.at_pixel(pair["x"], pair["y"]))
        hand.press("0")  # look where the camera is thought to look by now
        hand.click(*hand.at_place(pair["lon"], pair["lat"]))
        hand.wait_until_kept()
    kept = decided(hand, frame_id)
    assert kept["hypothesis"] is None
    assert camera_error_km(kept["camera"], UNPLACED) < BAR_KM


def test_clicks_count_where_they_are_made_and_guesses_when_confirmed(hand: ReviewHand) -> None:
    frame_id = FRAMES["clicked"]
    hand.go_to(frame_id)
    hand.press("p")
    hand.click(*hand.at_pixel(700, 500))
    point = draft_of(hand, frame_id)["points"][-1]
    assert point["origin"] == "engine"
    guess = hand.at_place(point["lon"], point["lat"])
    beside = guess[0] + 8.0, guess[1] - 6.0  # within what takes hold of a point
    hand.click(*beside)
    point = draft_of(hand, frame_id)["points"][-1]
    assert point["origin"] == "person"
    assert math.dist(hand.at_place(point["lon"], point["lat"]), beside) < 1.0
    hand.press("p")
    hand.click(*hand.at_pixel(900, 600))
    guessed = draft_of(hand, frame_id)["points"][-1]
    # A guess alone says nothing: it is confirmed where photo and map agree near it
    hand.press("Enter")
    expect(hand.page.locator("#said")).to_contain_text(
        re.compile("Snapped: moved by|not confirmed")
    )
    point = draft_of(hand, frame_id)["points"][-1]
    assert point["origin"] == "snap" or point == guessed


def test_a_point_is_not_dragged_out_of_the_photo(hand: ReviewHand) -> None:
    frame_id = FRAMES["clicked"]
    hand.go_to(frame_id)
    points = (draft_of(hand, frame_id) or hand.told_of(frame_id))["points"]
    at = hand.at_pixel(points[0]["x"], points[0]["y"])
    box = hand.page.locator("#photo").bounding_box()
    assert box is not None
    hand.drag(at, (box["x"] + 1.0, at[1]))
    moved = draft_of(hand, frame_id)["points"][0]
    assert (moved["x"], moved["origin"]) == (-0.5, "person")
    assert hand.page.locator("#wrong").inner_text() == ""


def test_a_point_snaps_to_the_lights(hand: ReviewHand) -> None:
    frame_id = FRAMES["seen"]
    hand.go_to(frame_id)
    hand.press("]")
    hand.press("n")
    expect(hand.page.locator("#said")).to_contain_text(
        re.compile("Snapped: moved by|too different|nothing there|outside the photo")
    )
    draft = draft_of(hand, frame_id)
    if draft is not None:
        assert {point["origin"] for point in draft["points"]} == {"snap", "engine"}
        assert points_error_km(draft["points"], COPIES["seen"]) < BAR_KM
        hand.press("z")
        hand.wait_until_kept()


def test_two_pairs_and_a_search_place_a_photo(hand: ReviewHand) -> None:
    frame_id = FRAMES["searched"]
    hand.go_to(frame_id)
    hand.press("p")
    taken = [(point["x"], point["y"]) for point in hand.told_of(frame_id)["points"]]
    for pair in known_pairs(CITY, CORNERS[0], CORNERS[2], clear_of=taken):
        hand.click(*hand.at_pixel(pair["x"], pair["y"]))
        hand.wait_until_kept()
        hand.zoom_to(pair["lon"], pair["lat"])
        hand.click(*hand.at_place(pair["lon"], pair["lat"]))
        hand.wait_until_kept()
    hand.search()
    expect(hand.page.locator("#verdict")).to_contain_text("Shown: the camera that a search found")
    draft = draft_of(hand, frame_id)
    assert {point["origin"] for point in draft["points"]} == {"search"}
    assert camera_error_km(draft["camera"], CITY) < BAR_KM


def test_an_oblique_is_placed_by_its_limb(hand: ReviewHand) -> None:
    """One key, two drags of the limb, one to turn: from any attitude to the right one."""
    frame_id, truth = FRAMES["limb"], truth_of(OBLIQUE)["camera"]
    width, height = truth["width_px"], truth["height_px"]
    hand.go_to(frame_id)
    hand.press("Shift+H")
    hand.wait_until_kept()

    def now() -> dict[str, Any]:
        return draft_of(hand, frame_id)["camera"]  # type: ignore[no-any-return]

    for x in (0.15 * width, 0.85 * width):
        hand.drag(hand.at_pixel(x, limb_row(now(), x)), hand.at_pixel(x, limb_row(truth, x)))
        hand.wait_until_kept()
    (pair,) = known_pairs(OBLIQUE, (0.5, 0.6))
    start = look(now(), pair["lon"], pair["lat"], to_pixel=True)
    hand.drag(hand.at_pixel(*start), hand.at_pixel(pair["x"], pair["y"]))
    end = look(now(), pair["lon"], pair["lat"], to_pixel=True)
    assert math.dist(end, (pair["x"], pair["y"])) < 0.02 * width
    for x in (0.15 * width, 0.85 * width):
        assert limb_row(now(), x) == pytest.approx(limb_row(truth, x), abs=0.01 * height)


def test_a_server_that_ended_loses_nothing(tmp_path: Path, desk: BrowserContext) -> None:
    store, frame_id = sample_store(tmp_path / "store"), 2
    words = (*WITH_MAP, "--reviewer", "Eve")
    with ReviewProcess(store, *words) as server:
        hand = ReviewHand(desk.new_page(), server.address)
        hand.go_to(frame_id)
        server.process.kill()
        server.end()
    page = hand.page
    hand.press("c")
    page.keyboard.type("written while the server was gone")
    hand.press("Escape")
    page.wait_for_selector("#sending[data-state=waiting]")
    page.locator("#wrong", has_text="The review server does not answer").wait_for()
    with ReviewProcess(store, *words) as server:
        page.locator("#wrong", has_text="open the address that it printed").wait_for()
        other = desk.new_page()
        other.goto(server.address)
        # The page that was open goes on, and sends what it had
        page.wait_for_selector("#sending[data-state=saved]")
        expect(page.locator("#wrong")).to_have_text("")
        draft = hand.told_of(frame_id)["draft"]
        assert draft["comment"] == "written while the server was gone"
        other.close()
    assert hand.problems == []
    page.close()


def test_two_tabs_and_two_people_lose_no_decision(
    page_server: ReviewProcess, desk: BrowserContext
) -> None:
    frame_id = FRAMES["tabs"]
    one, other = (ReviewHand(desk.new_page(), page_server.address) for _ in range(2))
    for tab in (one, other):
        tab.go_to(frame_id)
    one.press("a")
    one.wait_until_left(frame_id)
    other.press("r")
    other.page.get_by_text("You also decided this frame in another tab").wait_for()
    history = one.told(f"/api/frames/{frame_id}/history")
    assert sorted(each["decision"] for each in history) == ["accepted", "rejected"]
    for tab in (one, other):
        tab.page.close()
    with ReviewProcess(page_server.store, "--reviewer", "Bob") as theirs:
        bob = ReviewHand(desk.new_page(), theirs.address)
        bob.go_to(frame_id)
        bob.press("a")
        bob.page.get_by_text("Ada decided differently").wait_for()
        bob.go_to(frame_id)
        bob.page.get_by_text("Disputed: reviewers disagree").wait_for()
        bob.page.close()


@contextmanager
def late(page: Page, path: str, method: str = "GET") -> Iterator[None]:
    """Answers to these requests come when the block is left, and others of the kind at once."""
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == method:
            waiting.append(route)
        else:
            route.continue_()

    which = re.compile(path)
    page.route(which, hold)
    yield
    for route in waiting:
        route.continue_()
    page.unroute(which)


def test_answers_that_come_late_are_for_the_frame_that_was_meant(hand: ReviewHand) -> None:
    here, there = FRAMES["late one"], FRAMES["late two"]
    hand.go_to()
    page = hand.page
    page.goto("about:blank")
    page.goto(urljoin(hand.address, f"/#frame={here}&status=all&sort=name&text=late"))
    page.wait_for_selector(f"#photo[data-drawn='{here}']")
    page.reload()
    with late(page, rf"/api/frames/{there}$"):
        page.wait_for_selector(f"#photo[data-drawn='{here}']")
        hand.press("s")
        hand.press("a")
        hand.press("c")
        page.keyboard.type("of the next")
    page.wait_for_selector(f"#photo[data-drawn='{there}']")
    hand.wait_until_kept()
    for frame_id in (here, there):
        told = hand.told_of(frame_id)
        assert (told["decisions"], told["draft"]) == ([], None)
    hand.press("Escape")
    with late(page, rf"/api/frames/{there}/draft$", "PUT"):
        hand.press("c")
        page.keyboard.type("a long exposure")
        hand.press("Escape")
        for key, frame_id in (("b", here), ("s", there)):
            hand.press(key)
            page.wait_for_selector(f"#photo[data-drawn='{frame_id}']")
    hand.wait_until_kept()
    assert page.input_value("#comment") == "a long exposure"
    assert hand.told_of(there)["draft"]["comment"] == "a long exposure"
    assert hand.told_of(here)["draft"] is None


def test_all_is_done_by_keys(hand: ReviewHand) -> None:
    page, frame_id = hand.page, FRAMES["keys"]
    hand.go_to()
    hand.press("/")
    page.keyboard.type("keys")
    page.keyboard.press("Escape")
    page.locator("#rows [role=option]").nth(1).wait_for(state="detached")
    page.locator("#rows").focus()
    hand.press("Enter")
    page.wait_for_selector(f"#photo[data-drawn='{frame_id}']")
    before = hand.told_of(frame_id)["points"]
    for key in ("]", "]", "Shift+ArrowRight", "ArrowDown"):
        hand.press(key)
    after = draft_of(hand, frame_id)["points"]
    moved = math.dist((after[1]["x"], after[1]["y"]), (before[1]["x"], before[1]["y"]))
    a_screen_pixel = float(hand.drawn_view("#photo").split()[2])
    assert moved == pytest.approx(math.hypot(10.0, 1.0) * a_screen_pixel, rel=1e-6)
    hand.press("x")
    hand.press("=")
    for _ in range(4):
        hand.press("]")
        hand.press("k")
    assert len(decided(hand, frame_id)["points"]) == 4
    hand.press("?")
    page.locator("dialog[open]").get_by_text("Undo").wait_for()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


@pytest.mark.parametrize(("width", "height"), [(1024, 700), (1280, 720), (3840, 2160)])
def test_everything_is_named_readable_and_in_sight(
    hand: ReviewHand, width: int, height: int
) -> None:
    page = hand.page
    page.set_viewport_size({"width": width, "height": height})
    hand.go_to(FRAMES["seen"])
    assert page.evaluate(f"{CHECKS}.nameless()") == []
    assert page.evaluate(f"{CHECKS}.faintText()") == []
    over = page.evaluate(
        "() => { const e = document.scrollingElement;"
        " return [e.scrollWidth - innerWidth, e.scrollHeight - innerHeight]; }"
    )
    assert max(over) <= 0
    cut = page.evaluate(f"{CHECKS}.cutText('#rows .name, #rows .odds, button')")
    assert [text for text in cut if "<" not in text] == []
    heights = page.evaluate(
        "() => [...document.querySelectorAll('#tools button')].map((e) => e.offsetHeight)"
    )
    assert len(set(heights) - {0}) == 1, "a tool's name breaks into lines"
    for view in ("#photo", "#map"):
        box = page.locator(view).bounding_box()
        assert box is not None
        assert box["width"] * box["height"] > 0.15 * width * height
    stops = []
    for _ in range(45):
        page.keyboard.press("Tab")
        stops.append(page.evaluate(f"{CHECKS}.focusShows()"))
    stops = [stop for stop in stops if stop is not None]
    assert len({stop["name"] for stop in stops}) > 15
    assert [stop["name"] for stop in stops if not stop["seen"]] == []


def test_names_and_comments_of_strangers_are_text(
    hand: ReviewHand, page_server: ReviewProcess
) -> None:
    page = hand.page
    wicked, markup, turned = list(COPIES)[-3:]
    hand.go_to(FRAMES[markup])
    assert page.inner_text("#panel h2") == markup
    shown = {wicked, markup, turned.replace("\u202e", "\\u202e")}
    assert shown <= set(page.inner_text("#rows").splitlines())
    hand.go_to(FRAMES[wicked])
    for key, text in (("c", wicked), ("t", f"{wicked}, moon")):
        hand.press(key)
        page.keyboard.type(text)
        hand.press("Escape")
    hand.press("u")
    hand.wait_until_left(FRAMES[wicked])
    hand.go_to(FRAMES[wicked])
    page.locator("#panel q", has_text="onerror").wait_for()
    assert page.input_value("#comment") == wicked
    assert page.title() != "run"
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.scripts.length") == 1
    assert "/photos/" not in page.evaluate("document.body.innerText")
    database = f"{page_server.store}.review.sqlite"
    with closing(sqlite3.connect(database)) as others:
        question = "SELECT work FROM decisions WHERE frame_index = ?"
        ((work,),) = others.execute(question, (FRAMES[wicked],))
    assert json.loads(work)["tags"] == [wicked, "moon"]


def test_the_panel_tells_why_where_and_how_slanted(hand: ReviewHand) -> None:
    for name in ("seen", "oblique"):
        hand.go_to(FRAMES[name])
        expect(hand.page.locator("#verdict")).to_contain_text("needs a human check")
        told = off_nadir_deg(COPIES[name])
        expect(hand.page.locator("#facts")).to_contain_text(f"{told:.1f}°")
        expect(hand.page.locator("#facts")).to_contain_text("Prior nadir")


def test_photo_and_map_lie_alike_and_go_in_step(hand: ReviewHand) -> None:
    hand.go_to(FRAMES["unplaced"])
    turn = float(hand.drawn_view("#photo").split()[3])
    assert turn == pytest.approx(1.5 * math.pi)  # EXIF orientation 8
    hand.go_to(FRAMES["seen"])
    one, other = known_pairs(COPIES["seen"], (0.25, 0.5), (0.75, 0.5))
    angles = []
    for ends in (
        [hand.at_pixel(pair["x"], pair["y"]) for pair in (one, other)],
        [hand.at_place(pair["lon"], pair["lat"]) for pair in (one, other)],
    ):
        angles.append(math.atan2(ends[1][1] - ends[0][1], ends[1][0] - ends[0][0]))
    assert angles[0] == pytest.approx(angles[1], abs=0.1)
    box = hand.page.locator("#photo").bounding_box()
    assert box is not None
    before = hand.drawn_view("#map")
    hand.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    hand.page.mouse.wheel(0, -400)
    hand.moved_to_rest("#map", before)
    x, y = (float(word) for word in hand.drawn_view("#photo").split()[:2])
    seen = hand.at_place(*look(COPIES["seen"], x - 0.5, -y - 0.5))
    box = hand.page.locator("#map").bounding_box()
    assert box is not None
    assert math.dist(seen, (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)) < 8.0


def test_a_photo_that_is_stored_mirrored_is_shown_as_it_was_held(hand: ReviewHand) -> None:
    frame_id = FRAMES["seen"]

    def drawn(orientation: int) -> np.ndarray:
        told = hand.page.request.get(urljoin(hand.address, f"/api/frames/{frame_id}")).json()
        told["orientation"] = orientation
        where = f"**/api/frames/{frame_id}"
        hand.page.route(where, lambda route: route.fulfill(json=told))
        hand.go_to(frame_id)
        hand.page.unroute(where)
        url = hand.page.evaluate("document.querySelector('.view-photo canvas').toDataURL()")
        with Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as image:
            return np.asarray(image.convert("L").reduce(4), float)

    hand.go_to(frame_id)
    for plain, mirrored, across in ((1, 2, 1), (3, 4, 1), (8, 5, 0), (6, 7, 0)):
        upright, other = drawn(plain), drawn(mirrored)
        as_flipped, as_drawn = (
            float(np.corrcoef(upright.ravel(), one.ravel())[0, 1])
            for one in (np.flip(other, across), other)
        )
        assert as_flipped > 0.9 > as_drawn + 0.3, (mirrored, as_flipped, as_drawn)


def test_photo_over_map_and_map_in_photo_are_compared(hand: ReviewHand) -> None:
    page = hand.page
    hand.go_to(FRAMES["seen"])

    def seen(view: str) -> np.ndarray:
        last = None
        for _ in range(200):
            with Image.open(io.BytesIO(page.locator(view).screenshot())) as image:
                now = np.asarray(image.convert("RGB"), float)[60:-60]
            if last is not None and np.array_equal(now, last):
                return now
            last = now
            page.wait_for_timeout(150)
        raise AssertionError(f"{view} does not come to rest")

    for key, view in (("o", "#map"), ("h", "#photo")):
        hand.press(key)
        both = seen(view)
        page.keyboard.down("f")
        page.wait_for_timeout(300)
        alone = seen(view)
        page.keyboard.up("f")
        page.wait_for_timeout(300)
        assert np.abs(both - alone).mean() > 0.3, f"{view}: F hides what lies over"
        page.locator(view).get_by_role("button", name="Difference").click()
        page.wait_for_timeout(300)
        apart = seen(view)
        red, _, blue = np.moveaxis(apart, 2, 0)
        lit = np.maximum(red, blue) > 120
        # Lights of photo and map lie on each other: many are white
        assert float((np.abs(red - blue)[lit] < 100).mean()) > 0.15
        page.locator(view).get_by_role("button", name="Difference").click()
        hand.press(key)
