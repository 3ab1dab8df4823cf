"""The review page in a browser: seven sittings of reviewers, by mouse and by keys."""

from __future__ import annotations

import csv
import json
import math
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.world.hand import (
    ReviewHand,
    camera_error_km,
    draft_of,
    known_pairs,
    limb_row,
    look,
    points_error_km,
)
from tests.world.pages import COPIES, FRAMES, WITH_MAP, ReviewProcess, copy_store
from tests.world.program import run
from tests.world.samples import sample_store, truth_of

pytestmark = pytest.mark.browser

BAR_KM = 3.5  # 1 % of the diagonal of what these photos show
CITY, OBLIQUE, UNPLACED = "ISS990-E-000103", "ISS990-E-000106", "ISS990-E-000105"
# Something of the page is in sight, and what is met at its middle is a view
LIES_OVER_A_VIEW = """(name) => {
  const box = document.querySelector(name).getBoundingClientRect();
  const met = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return box.width > 0 && met.closest("#photo, #map") !== null;
}"""
CORNERS = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.88), (0.1, 0.88))


def accepted(hand: ReviewHand, frame_id: int) -> dict[str, Any]:
    """Accept the frame in view; what the server then has."""
    hand.press("a")
    hand.wait_until_left(frame_id)
    decisions = hand.told_of(frame_id)["decisions"]
    found: dict[str, Any] = next(one for one in decisions if one["reviewer"] == "Ada")
    assert found["decision"] == "accepted"
    return found


def click_pairs(hand: ReviewHand, frame_id: int, *shares: tuple[float, float]) -> None:
    """Known pairs, in the photo and on the map, away from points that are there."""
    taken = [(point["x"], point["y"]) for point in hand.told_of(frame_id)["points"]]
    hand.press("p")
    for pair in known_pairs(CITY, *shares, clear_of=taken):
        hand.click(*hand.at_pixel(pair["x"], pair["y"]))
        hand.wait_until_kept()
        hand.zoom_to(pair["lon"], pair["lat"])
        hand.click(*hand.at_place(pair["lon"], pair["lat"]))
        hand.wait_until_kept()


def test_proposals_are_accepted_chosen_and_taken_back(hand: ReviewHand) -> None:
    # A right one takes one key
    hand.go_to(FRAMES["right"])
    proposed = hand.told_of(FRAMES["right"])
    kept = accepted(hand, FRAMES["right"])
    assert (kept["points"], kept["camera"]) == (proposed["points"], proposed["camera"])
    still_open = hand.told("/api/frames?status=open")["frames"]
    assert "right" not in {each["frame"] for each in still_open}
    # The runner-up is one key away, and steps go back and forth
    frame_id = FRAMES["runner_up"]
    hand.go_to(frame_id)
    proposed = hand.told_of(frame_id)["points"]
    hand.press("2")
    assert points_error_km(draft_of(hand, frame_id)["points"], CITY) < 0.01
    expect(hand.page.locator("#verdict")).to_contain_text("not the engine's proposal")
    hand.press("z")
    assert draft_of(hand, frame_id) is None
    start = hand.at_pixel(proposed[0]["x"], proposed[0]["y"])
    hand.drag(start, (start[0] + 1.0, start[1]))  # a hand that trembles says nothing
    assert draft_of(hand, frame_id) is None
    hand.drag(start, (start[0] + 25.0, start[1] + 10.0))
    moved = draft_of(hand, frame_id)["points"]
    assert (moved[0]["lon"], moved[0]["origin"]) == (proposed[0]["lon"], "person")
    hand.press("Control+z")
    assert draft_of(hand, frame_id) is None
    hand.press("Control+Shift+z")
    assert draft_of(hand, frame_id)["points"] == moved
    hand.press("z")
    hand.wait_until_kept()
    assert hand.told_of(frame_id)["decisions"] == []


def test_a_photo_is_placed_by_drags_by_pairs_and_by_a_search(hand: ReviewHand) -> None:
    frame_id = FRAMES["wrong"]
    hand.go_to(frame_id)
    assert points_error_km(hand.told_of(frame_id)["points"], CITY) > BAR_KM
    for index in (0, 2, 1, 3):
        hand.press("0")
        point = (draft_of(hand, frame_id) or hand.told_of(frame_id))["points"][index]
        true_place = look(CITY, point["x"], point["y"])
        hand.drag(hand.at_place(point["lon"], point["lat"]), hand.at_place(*true_place))
        hand.wait_until_kept()
    expect(hand.page.locator("#points")).not_to_contain_text("0.0 px")
    kept = accepted(hand, frame_id)
    assert {(point["origin"], point["by_hand"]) for point in kept["points"]} == {("person", True)}
    assert camera_error_km(kept["camera"], CITY) < BAR_KM
    # From far off
    hand.go_to(FRAMES["far"])
    click_pairs(hand, FRAMES["far"], *CORNERS)
    assert camera_error_km(accepted(hand, FRAMES["far"])["camera"], CITY) < BAR_KM
    # Two pairs and a search
    frame_id = FRAMES["searched"]
    hand.go_to(frame_id)
    click_pairs(hand, frame_id, CORNERS[0], CORNERS[2])
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
    expect(hand.page.locator("#verdict")).to_contain_text("needs a human check")
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


def test_nothing_is_lost_by_slow_answers_a_dead_server_or_other_tabs(
    hand: ReviewHand, tmp_path: Path, page_server: ReviewProcess, desk: BrowserContext
) -> None:
    here, there, page = FRAMES["late one"], FRAMES["late two"], hand.page
    hand.go_to()
    page.goto("about:blank")
    page.goto(urljoin(hand.address, f"/#frame={here}&status=all&sort=name&text=late"))
    page.wait_for_selector(f"#photo[data-drawn='{here}']")
    page.reload()
    with late(page, rf"/api/frames/{there}$"):
        page.wait_for_selector(f"#photo[data-drawn='{here}']")
        for key in "-ac":
            hand.press(key)
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
        for key, frame_id in (("b", here), ("-", there)):
            hand.press(key)
            page.wait_for_selector(f"#photo[data-drawn='{frame_id}']")
    hand.wait_until_kept()
    assert page.input_value("#comment") == "a long exposure"
    assert hand.told_of(there)["draft"]["comment"] == "a long exposure"
    assert hand.told_of(here)["draft"] is None
    # Two tabs
    frame_id = FRAMES["tabs"]
    one, other = (ReviewHand(desk.new_page(), page_server.address) for _ in range(2))
    for tab in (one, other):
        tab.go_to(frame_id)
    accepted(one, frame_id)
    other.press("r")
    other.page.get_by_text("You also decided this frame in another tab").wait_for()
    history = one.told(f"/api/frames/{frame_id}/history")
    assert sorted(each["decision"] for each in history) == ["accepted", "rejected"]
    for tab in (one, other):
        tab.page.close()
    # A server that ends, and begins again
    store, frame_id = sample_store(tmp_path / "store"), 2
    words = (*WITH_MAP, "--reviewer", "Eve")
    with ReviewProcess(store, *words) as server:
        eve = ReviewHand(desk.new_page(), server.address)
        eve.go_to(frame_id)
        server.process.kill()
        server.end()
    page = eve.page
    eve.press("c")
    page.keyboard.type("written while the server was gone")
    eve.press("Escape")
    page.wait_for_selector("#sending[data-state=waiting]")
    page.locator("#wrong", has_text="The review server does not answer").wait_for()
    with ReviewProcess(store, *words) as server:
        page.locator("#wrong", has_text="open the address that it printed").wait_for()
        again = desk.new_page()
        again.goto(server.address)
        # The page that was open goes on, and sends what it had
        page.wait_for_selector("#sending[data-state=saved]")
        expect(page.locator("#wrong")).to_have_text("")
        draft = eve.told_of(frame_id)["draft"]
        assert draft["comment"] == "written while the server was gone"
        again.close()
    assert eve.problems == []
    page.close()


def test_names_of_strangers_are_text(hand: ReviewHand, page_server: ReviewProcess) -> None:
    page = hand.page
    wicked, markup, reversed_name = list(COPIES)[-3:]
    hand.go_to(FRAMES[markup])
    assert page.inner_text("#panel h2") == markup
    shown = {wicked, markup, reversed_name.replace("\u202e", "\\u202e")}
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
    with closing(sqlite3.connect(f"{page_server.store}.review.sqlite")) as others:
        question = "SELECT work FROM decisions WHERE frame_index = ?"
        ((work,),) = others.execute(question, (FRAMES[wicked],))
    assert json.loads(work)["tags"] == [wicked, "moon"]


def test_photo_and_map_lie_alike_go_in_step(hand: ReviewHand) -> None:
    page = hand.page
    hand.go_to(FRAMES["left unplaced"])
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
    # The corner tells the scale that is seen, also once the photo has been out of sight
    corner = page.locator("#photo .view-note")
    told = corner.inner_text()
    for key in ("o", "m", "ArrowRight", "z", "v", "o"):
        hand.press(key)
        hand.wait_until_kept()
    expect(corner).to_have_text(told)
    before = hand.drawn_view("#map")
    page.mouse.move(*hand.box_of("#photo")[0])
    page.mouse.wheel(0, -400)
    hand.moved_to_rest("#map", before)
    x, y = (float(word) for word in hand.drawn_view("#photo").split()[:2])
    seen = hand.at_place(*look(COPIES["seen"], x - 0.5, -y - 0.5))
    assert math.dist(seen, hand.box_of("#map")[0]) < 8.0
    hand.press("p")
    page.wait_for_function(LIES_OVER_A_VIEW, arg="#said")  # wheel, drags and clicks are the view's


SCREENS = ((1440, 900), (390, 844))
WCAG_A_AND_AA = [f"wcag{version}{level}" for version in (2, 21, 22) for level in ("a", "aa")]


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_nothing_on_the_page_bars_anybody(hand: ReviewHand, screen: tuple[int, int]) -> None:
    """By axe-core: no violation of WCAG, level A or AA, in any part of the page."""
    page = hand.page
    page.set_viewport_size({"width": screen[0], "height": screen[1]})
    found = []
    for frame, keys in (
        ("seen", ("]",)),  # queue, photo, points table
        ("seen", ("d", "o")),  # layers, photo over the map
        ("left unplaced", ("Shift+H",)),  # fields for what the file lacks
        ("seen", ("?",)),  # help
        ("seen", ("s",)),  # sheet
    ):
        hand.go_to(FRAMES[frame])
        hand.wait_until_kept()
        for key in keys:
            hand.press(key)
        if "s" in keys:
            expect(page.locator("#sheet .accept")).to_be_enabled()
        told = Axe().run(page, options={"runOnly": WCAG_A_AND_AA}).response["violations"]
        found += [(*keys, one["id"], node["target"]) for one in told for node in one["nodes"]]
    assert found == []


ON_SHEET = [*[("ISS990-E-000104", f"right {k}") for k in range(22)],
            ("ISS990-E-000103", "one of two"), ("ISS990-E-000103", "two of two")]  # fmt: skip


def test_a_sheet_is_looked_through_by_keys(tmp_path: Path, desk: BrowserContext) -> None:
    store = sample_store(tmp_path / "store", ON_SHEET)
    with ReviewProcess(store, *WITH_MAP, "--reviewer", "Ada", "--sheet", "--no-checks") as server:
        hand = ReviewHand(desk.new_page(), server.address)
        page, press = hand.page, hand.press
        page.set_viewport_size({"width": 1600, "height": 1300})
        hand.go_to()
        # It stands there at once; each photo has a name, and says what it was placed as
        sheet = page.locator("#sheet")
        expect(sheet.locator(".accept")).to_be_enabled()
        expect(sheet).to_match_aria_snapshot("""
            - dialog /Sheet. 0 wrong and 0 doubtful of 20 photos, 24 undecided/:
              - heading [level=2]
              - button "Wrong"
              - button "Doubtful"
              - button "Take back"
              - button "Open"
              - button "All others are right"
              - button "Close"
              - status
              - paragraph: /where its camera has them/
              - list:
                - listitem:
                  - button /one of two review 31 % .* \\d+° off nadir/
        """)
        for name in ("one of two", "two of two"):
            tile = sheet.get_by_role("button", name=name)
            while name not in (page.locator(":focus").text_content() or ""):
                press("ArrowRight")
            press("x")
            expect(tile).to_have_accessible_name(re.compile("wrong$"))
        # A slip is taken back; held, a key shows the map in the photo's place
        press("ArrowDown")
        press("?")
        expect(page.locator(":focus")).to_have_accessible_name(re.compile("doubtful$"))
        press("z")
        expect(page.locator(":focus")).not_to_have_accessible_name(re.compile("doubtful$"))
        seen = page.locator(":focus img.map")
        expect(seen).to_be_hidden()
        page.keyboard.down("f")
        expect(seen).to_be_visible()
        page.keyboard.up("f")
        # One is opened, and the sheet is as it was
        name = (page.locator(":focus .name").text_content()) or ""
        press("Enter")
        expect(page.locator("#panel h2")).to_have_text(name)
        press("s")
        expect(page.locator("#sheet-title")).to_contain_text("2 wrong and 0 doubtful of 20")
        press("a")
        expect(sheet.get_by_role("status")).to_contain_text("18 glanced at, 2 wrong, 0 doubtful")
        # The next sheet has the others; what was marked comes first in the queue
        expect(page.locator("#sheet-title")).to_contain_text("of 4 photos, 4 undecided")
        press("Escape")
        first = page.locator("#rows .row")
        for at in (0, 1):
            expect(first.nth(at)).to_contain_text("of two")
            expect(first.nth(at)).to_contain_text("looks wrong")
        assert hand.problems == []
        page.close()


# What is said of the packaged photos: of the last three one is a proposal that no sheet showed, and
# two have none
SAID = {
    "ISS029-E-34192": "rejected",
    "ISS053-E-13244": "unsure",
    "ISS038-E-36641": "accepted",
    **dict.fromkeys(
        ("ISS030-E-184140", "ISS030-E-82770", "ISS031-E-151873", "ISS038-E-11205",
         "ISS065-E-394522", "ISS071-E-234765"),
        "glanced",
    ),
    **dict.fromkeys(("ISS030-E-68922", "ISS028-E-31144", "ISS043-E-298868"), ""),
}  # fmt: skip
KEYS = {"rejected": "x", "unsure": "?", "accepted": "Enter"}


def test_twelve_photos_go_from_a_sheet_to_exports(
    packaged_run: Path, tmp_path: Path, desk: BrowserContext
) -> None:
    store = copy_store(packaged_run / "run.h5", tmp_path / "run")
    with ReviewProcess(store, "--reviewer", "Ada", "--no-checks") as server:
        hand = ReviewHand(desk.new_page(), server.address)
        page, sheet = hand.page, hand.page.locator("#sheet")
        hand.go_to()
        page.locator("#filters summary").click()
        page.locator("#filter-verdict-accepted").check()
        expect(page.locator("#queue-count")).to_have_text("9 frames")
        hand.press("s")
        expect(sheet.locator(".accept")).to_be_enabled()
        for name, said in [*SAID.items()][:3]:
            hand.press("Home")
            while name not in (page.locator(":focus").text_content() or ""):
                hand.press("ArrowRight")
            hand.press(KEYS[said])
        # The one that is opened is confirmed by its four points
        expect(page.locator("#panel h2")).to_have_text(name)
        (row,) = hand.told(f"/api/frames?status=all&text={name}")["frames"]
        page.wait_for_selector(f"#photo[data-drawn='{row['id']}']")
        confirm(hand, *range(4))
        assert [one["origin"] for one in accepted(hand, row["id"])["points"]] == ["confirmed"] * 4
        hand.press("s")
        hand.press("a")
        kept = "Kept: 6 glanced at, 1 wrong, 1 doubtful. 1 photo left alone."
        expect(sheet.get_by_role("status")).to_contain_text(kept)
        assert hand.problems == []
        page.close()
    # One column tells them apart, and what is wrong is no part of an export
    archive, table, places = (tmp_path / name for name in ("all.gpkg", "all.csv", "all.geojson"))
    assert run("catalogue", "build", store, "--out", archive, "--no-pictures").code == 0
    told = run("catalogue", "query", archive, "SELECT * FROM frames", "--format", "csv").out
    assert column(told, "decision") == SAID
    exported = {name: said for name, said in SAID.items() if said != "rejected"}
    words = ("--table", "frames", "--verdict", "all", "--out", table)
    assert run("export", store, *words).code == 0
    assert column(table.read_text(encoding="utf-8"), "decision") == exported
    words = ("--verdict", "accepted,review", "--layers", "footprints", "--out", places)
    assert run("export", store, *words).code == 0
    features = json.loads(places.read_text(encoding="utf-8"))["features"]
    told_of = [feature["properties"] for feature in features]
    placed = {one["frame"]: one["decision"] or "" for one in told_of}
    assert len(placed) == 9
    assert placed.items() <= exported.items()


def column(table: str, name: str) -> dict[str, str]:
    return {row["frame"]: row[name] for row in csv.DictReader(table.splitlines())}


WRONG_DRAG, NOTHING, AFTER = range(3)
OF_TWO = [
    ("ISS990-E-000101", "dragged"),
    (UNPLACED, "from nothing"),
    (UNPLACED, "the one after"),
]


def test_a_sitting_of_two_people(tmp_path: Path, desk: BrowserContext) -> None:
    store = sample_store(tmp_path / "store", OF_TWO)
    sittings = {"Ada": (put_right, place_from_nothing), "Bob": (give_second_opinion,)}
    for reviewer, steps in sittings.items():
        with ReviewProcess(store, *WITH_MAP, "--reviewer", reviewer) as server:
            hand = ReviewHand(desk.new_page(), server.address)
            for step in steps:
                step(hand)
            assert hand.problems == []
            hand.page.close()


def put_right(hand: ReviewHand) -> None:
    """A slip of the hand is seen, is not confirmed by what follows it, and is mended."""
    page, accept = hand.page, hand.page.locator("#do-accept")
    hand.go_to(WRONG_DRAG)
    expect(accept).to_be_enabled()
    first = hand.told_of(WRONG_DRAG)
    point = first["points"][0]
    start = hand.at_pixel(point["x"], point["y"])
    hand.drag(start, (start[0] + 10.0, start[1] + 6.0))
    hand.wait_until_kept()
    # Lights of photo and map are compared at each point, whatever the camera says
    compared = page.locator("#points td[data-agreement]")
    expect(compared).to_have_count(4, timeout=60_000)
    levels = [cell.get_attribute("data-agreement") for cell in compared.all()]
    assert "off" in levels
    assert "agrees" not in levels
    # The others tell at once how far off the drag is
    residuals = page.locator("#points tbody td.residual").all_inner_texts()
    assert min(float(text.split()[0]) for text in residuals[1:]) > 5.0
    expect(accept).to_be_disabled()
    expect(page.locator("#missing")).to_contain_text("confirm 3 more points")
    confirm(hand, 1, 2, 3)
    points = draft_of(hand, WRONG_DRAG)["points"]
    assert [one["origin"] for one in points] == ["person", *["confirmed"] * 3]
    expect(page.locator("#missing")).to_contain_text("contradict those measured")
    expect(accept).to_be_disabled()
    # On again, it goes back to where its light is
    at, to = hand.at_pixel(points[0]["x"], points[0]["y"]), hand.at_pixel(point["x"], point["y"])
    hand.drag(at, to)
    hand.wait_until_kept()
    confirm(hand, 0)
    expect(page.locator("#missing")).to_have_text("")
    kept = accepted(hand, WRONG_DRAG)
    assert camera_error_km(kept["camera"], OF_TWO[WRONG_DRAG][0]) < BAR_KM


def confirm(hand: ReviewHand, *indices: int) -> None:
    """Select points by their rows, and say of each that it is right."""
    for index in indices:
        hand.page.locator(f"#point-{index}").click()
        hand.press("k")
        hand.wait_until_kept()


def place_from_nothing(hand: ReviewHand) -> None:
    """Pairs of clicks bring a camera where there was none, and the next of the series copies it."""
    hand.go_to(NOTHING)
    assert hand.told_of(NOTHING)["camera"] is None
    expect(hand.page.locator("#missing")).to_contain_text("place the photo and confirm four points")
    hand.press("p")
    for pair in known_pairs(UNPLACED, (0.5, 0.5), (0, 0), (1, 1), (1, 0), (0, 1)):
        hand.click(*hand.at_pixel(pair["x"], pair["y"]))
        hand.press("0")  # look where the camera is thought to look by now
        hand.click(*hand.at_place(pair["lon"], pair["lat"]))
        hand.wait_until_kept()
    kept = accepted(hand, NOTHING)
    assert kept["hypothesis"] is None
    assert camera_error_km(kept["camera"], UNPLACED) < BAR_KM
    hand.go_to(AFTER)
    hand.page.get_by_role("button", name="Copy the camera of from nothing").click()
    draft = draft_of(hand, AFTER)
    assert camera_error_km(draft["camera"], UNPLACED) < BAR_KM
    # What it shows are guesses: nothing of it counts before it is confirmed
    assert {point["origin"] for point in draft["points"]} == {"engine"}
    expect(hand.page.locator("#do-accept")).to_be_disabled()


def give_second_opinion(hand: ReviewHand) -> None:
    """Another person differs, compares the other's work with one's own, and takes it."""
    page = hand.page
    hand.go_to(WRONG_DRAG)
    hand.press("r")
    page.get_by_text("Ada decided differently").wait_for()
    hand.go_to(WRONG_DRAG)
    expect(page.locator("#decisions")).to_contain_text("Disputed")
    hand.press("]")
    hand.press("Shift+ArrowRight")
    hand.wait_until_kept()
    theirs = page.locator("#decisions li", has_text="Ada")
    theirs.get_by_role("button", name="Compare").click()
    told = page.locator("#opinion")
    expect(told).to_contain_text("Ada's (dashed)")
    expect(told).to_contain_text("km from the current camera")
    page.locator("#take-opinion").click()
    expect(told).to_have_text("")
    taken = draft_of(hand, WRONG_DRAG)
    heads = {one["reviewer"]: one for one in hand.told_of(WRONG_DRAG)["decisions"]}
    for name in ("camera", "points"):
        assert (taken or heads["Bob"])[name] == heads["Ada"][name]
