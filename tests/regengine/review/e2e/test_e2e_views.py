"""A person looks: photo and map compared, the map in the photo, the limb dragged, room for both."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Route, expect

from benchmarks.review import ReviewProcess
from matchers.camera import Camera
from matchers.earth import great_circle_km
from tests.regengine.review.e2e.stored import IDS, LATE, LATER, OBLIQUE, RIGHT, UNPLACED
from tests.regengine.review.hand import (
    LOOK_MS,
    MERCATOR_RADIUS_M,
    MOST_LOOKS,
    QUIET_LOOKS,
    ReviewHand,
)
from tests.regengine.review.sample import camera_of, true_camera, truth_of

pytestmark = pytest.mark.browser

Pixels = NDArray[np.int64]
BUTTONS = "button, select, input, a.ol-control, [role=slider], [role=separator]"
# Names of controls whose middle, or whose corners, something else covers, or the window cuts off
COVERED = """(all) => [...document.querySelectorAll(all)].filter((each) => {
  if (!each.checkVisibility({ visibilityProperty: true })) return false;
  if (each.closest('#rows, .jump')) return false;
  const panel = each.closest('#panel');
  if (panel && !each.closest('#choices')) return false; // it scrolls
  const { left, right, top, bottom } = each.getBoundingClientRect();
  if (left < 0 || top < 0 || right > innerWidth || bottom > innerHeight) return true;
  const spots = [[0.5, 0.5], [0.1, 0.2], [0.9, 0.2], [0.1, 0.8], [0.9, 0.8]];
  return spots.some(([x, y]) => {
    const found = document.elementFromPoint(left + x * (right - left), top + y * (bottom - top));
    return !each.contains(found) && !found.contains(each);
  });
}).map((each) => each.id || each.textContent || each.className)"""


def seen(hand: ReviewHand, view: str = "#map") -> Pixels:
    """What a view shows, red, green and blue."""
    with Image.open(io.BytesIO(hand.page.locator(view).screenshot())) as image:
        return np.asarray(image.convert("RGB"), np.int64)


def view_of(hand: ReviewHand, view: str) -> list[float]:
    """Centre, units of a pixel of the screen, and turn of a view."""
    said = hand.drawn_view(view)
    return [float(word) for word in said.split()]


def at_rest(hand: ReviewHand, view: str = "#map") -> Pixels:
    """What a view shows once it changes no more, red, green and blue."""
    last, same = seen(hand, view), 0
    for _ in range(MOST_LOOKS):
        now = seen(hand, view)
        last, same = now, same + 1 if np.array_equal(now, last) else 0
        if same == QUIET_LOOKS:
            return now
    raise AssertionError(f"{view} does not come to rest")


def wait_until(hand: ReviewHand, so: Callable[[], bool], what: str) -> None:
    """Until that is so, however long a slow machine takes for it."""
    for _ in range(MOST_LOOKS):
        if so():
            return
        hand.page.wait_for_timeout(LOOK_MS)
    raise AssertionError(f"never: {what}")


def compare(hand: ReviewHand, view: str, way: str) -> None:
    hand.page.locator(view).get_by_label("Compare").select_option(way)


def turned_by(hand: ReviewHand, view: str) -> float:
    return view_of(hand, view)[3]


def test_the_core_of_a_city_shows_its_streets_on_the_map(hand: ReviewHand) -> None:
    hand.go_to(IDS[RIGHT])
    hand.zoom_to(-151.02, 36.58)

    def core_shows() -> bool:
        levels = seen(hand).sum(axis=2)
        bright = levels[levels > np.percentile(levels, 80)]
        return len(np.unique(bright)) > 60 and float((bright == bright.max()).mean()) < 0.05

    wait_until(hand, core_shows, "many levels, and hardly any the brightest")


def test_swipe_blink_and_difference_compare_photo_and_map(hand: ReviewHand) -> None:
    hand.go_to(IDS[RIGHT])
    hand.press("o")
    both = at_rest(hand)
    rows, middle = slice(60, 400), both.shape[1] // 2
    left, right = (rows, slice(0, middle - 20)), (rows, slice(middle + 20, None))

    def alike(one: Pixels, other: Pixels) -> bool:
        return float(np.abs(one - other).mean()) < 1.0

    hand.page.keyboard.down("f")
    wait_until(hand, lambda: not alike(seen(hand)[left], both[left]), "the photo is away")
    without = at_rest(hand)
    hand.page.keyboard.up("f")
    compare(hand, "#map", "swipe")

    def swiped() -> bool:
        now = seen(hand)
        return alike(now[left], both[left]) and alike(now[right], without[right])

    wait_until(hand, swiped, "the photo is on one side alone")
    compare(hand, "#map", "blink")
    for _ in range(2):
        wait_until(hand, lambda: alike(seen(hand)[rows], without[rows]), "it blinks: away")
        wait_until(hand, lambda: not alike(seen(hand)[rows], without[rows]), "it blinks: there")

    def only_one(now: Pixels) -> float:
        """Share of the lights that photo or map have alone."""
        red, _, blue = np.moveaxis(now[rows], 2, 0)
        lit = np.maximum(red, blue) > 120
        return float((np.abs(red - blue)[lit] > 100).mean())

    compare(hand, "#map", "apart")
    agreeing = only_one(at_rest(hand))
    hand.press("2")
    wait_until(hand, lambda: only_one(seen(hand)) > 1.3 * agreeing, "another place agrees less")
    hand.press("1")


def test_coordinates_and_places_that_are_typed_are_gone_to(hand: ReviewHand) -> None:
    hand.go_to(IDS[RIGHT])
    for typed, (lon, lat) in {
        "35.61, 139.87": (139.87, 35.61),
        "41.01 N 28.98 E": (28.98, 41.01),
        "Valparaiso, cl": (-71.63, -33.04),
    }.items():
        hand.press("j")
        hand.page.keyboard.press("Control+a")
        hand.page.keyboard.type(typed)
        hand.press("Enter")
        hand.page.wait_for_function(
            "(typed) => document.querySelector('#find').value !== typed", arg=typed
        )
        x, y = view_of(hand, "#map")[:2]
        at = (
            math.degrees(x / MERCATOR_RADIUS_M),
            math.degrees(math.atan(math.sinh(y / MERCATOR_RADIUS_M))),
        )
        at = ((at[0] + 180.0) % 360.0 - 180.0, at[1])
        assert float(great_circle_km(*at, lon, lat)) < 5.0
        hand.page.keyboard.press("Escape")

        def coast_shows() -> bool:
            red, green, blue = np.moveaxis(seen(hand), 2, 0)
            line = (blue > 130) & (green > 90) & (red > 60) & (blue > red + 30)
            return int(line.sum()) > 200

        wait_until(hand, coast_shows, f"the coast shows, also this near: {typed}")


@pytest.fixture
def without_lights(hand: ReviewHand) -> Iterator[ReviewHand]:
    """A page whose server has no map of lights, and one online map."""

    def told(route: Route) -> None:
        answer = route.fetch()
        layer = {"name": "Streets", "url": "/api/lights/{z}/{x}/{y}.png", "attribution": "them"}
        route.fulfill(response=answer, json=answer.json() | {"lights": False, "layers": [layer]})

    hand.page.route("**/api/session", told)
    yield hand
    hand.page.unroute("**/api/session")


def test_an_empty_map_says_why(without_lights: ReviewHand) -> None:
    hand = without_lights
    hand.go_to(IDS[RIGHT])
    why = hand.page.locator("#map .view-why")
    assert "no map of night lights" in why.inner_text()
    hand.page.locator("#map").get_by_label("Map", exact=True).select_option("Streets")
    assert why.is_hidden()
    expect(hand.page.locator("#map .ol-attribution")).to_contain_text("them")


def test_the_photo_is_upright_and_the_map_turned_alike(hand: ReviewHand) -> None:
    hand.go_to(IDS[UNPLACED])
    assert turned_by(hand, "#photo") == pytest.approx(1.5 * math.pi)  # EXIF orientation 8
    hand.go_to(IDS[RIGHT])
    assert turned_by(hand, "#photo") == 0.0
    known = truth_of(RIGHT)["reference_points"]
    one, other = (
        min(known, key=lambda p: abs(p["x"] - x) + abs(p["y"] - 700)) for x in (500, 1600)
    )
    in_photo, on_map = (
        [at(one), at(other)]
        for at in (
            lambda p: hand.at_pixel(p["x"], p["y"]),
            lambda p: hand.at_place(p["lon"], p["lat"]),
        )
    )
    angles = [math.atan2(b[1] - a[1], b[0] - a[0]) for a, b in (in_photo, on_map)]
    assert angles[0] == pytest.approx(angles[1], abs=0.1)
    told = hand.told_of(IDS[RIGHT])
    box = hand.page.locator("#photo").bounding_box()
    assert box is not None
    room = min(box["width"] / told["width_px"], box["height"] / told["height_px"])
    assert 1.0 / view_of(hand, "#photo")[2] > 0.9 * room


def test_the_line_between_photo_and_map_is_moved_and_stays(hand: ReviewHand) -> None:
    hand.go_to(IDS[RIGHT])
    line, photo = (hand.page.locator(each) for each in ("#split", "#photo"))
    before, at, views = (
        photo.bounding_box(),
        line.bounding_box(),
        hand.page.locator("#views").bounding_box(),
    )
    assert before is not None
    assert at is not None
    assert views is not None
    start = at["x"] + at["width"] / 2.0, at["y"] + at["height"] / 2.0
    hand.drag(start, (start[0] + 0.2 * views["width"], start[1] + 0.2 * views["height"]))
    larger = photo.bounding_box()
    assert larger is not None
    assert larger["width"] * larger["height"] > 1.3 * before["width"] * before["height"]
    hand.page.reload()
    hand.page.wait_for_selector("#photo[data-drawn]")
    assert photo.bounding_box() == larger
    line.dblclick()
    assert photo.bounding_box() == before


def test_the_full_screen_is_photo_and_map_alone(hand: ReviewHand) -> None:
    hand.go_to(IDS[RIGHT])
    hand.press("Shift+F")
    hand.page.wait_for_selector("#panel", state="hidden")
    size = hand.page.evaluate("[innerWidth, innerHeight]")
    views = hand.page.locator("#views").bounding_box()
    assert views is not None
    assert views["width"] == size[0]
    assert views["y"] + views["height"] == size[1]
    assert views["height"] > 0.85 * size[1]
    hand.press("Shift+F")
    hand.page.wait_for_selector("#panel", state="visible")


@contextmanager
def person(browser: Browser, server: ReviewProcess, **screen: Any) -> Iterator[ReviewHand]:
    """A person with a screen of another kind."""
    context: BrowserContext = browser.new_context(**screen)
    context.set_default_timeout(120_000)
    hand = ReviewHand(context.new_page(), server.address)
    yield hand
    assert hand.problems == []
    context.close()


@pytest.fixture
def small(browser: Browser, server: ReviewProcess) -> Iterator[ReviewHand]:
    with person(browser, server, viewport={"width": 1024, "height": 700}) as hand:
        yield hand


@pytest.fixture
def gliding(browser: Browser, server: ReviewProcess) -> Iterator[ReviewHand]:
    """Who has not asked for less motion."""
    with person(browser, server, viewport={"width": 1280, "height": 720}) as hand:
        yield hand


def test_on_a_small_screen_nothing_covers_anything(small: ReviewHand) -> None:
    small.go_to(IDS[RIGHT])
    for keys in ((), ("o",), ("h",)):
        for key in keys:
            small.press(key)
        small.page.mouse.move(400, 300)
        at_rest(small, "#views")
        assert small.page.evaluate(COVERED, BUTTONS) == [], keys
    small.press("h")
    small.press("p")
    small.click(*small.at_pixel(1000, 700))
    said = small.page.locator("#said")
    expect(said).to_contain_text("Point added")
    assert small.page.evaluate(COVERED, BUTTONS) == []
    views, sentence = (small.page.locator(each).bounding_box() for each in ("#views", "#said"))
    assert views is not None
    assert sentence is not None
    assert sentence["x"] > views["x"] + views["width"]  # beside photo and map
    small.press("z")
    views = small.page.locator("#views").bounding_box()
    assert views is not None
    assert views["y"] + views["height"] == 700.0  # what has nothing to say takes no room
    assert views["y"] < 120.0


def limb_y(camera: Camera, x: float) -> float:
    """Where the limb crosses a column of the photo, the sky above it."""
    sky, ground = -0.5, camera.height_px - 0.5
    for _ in range(40):
        middle = (sky + ground) / 2.0
        if np.isfinite(camera.pixel_to_lonlat(x, middle)[0]):
            ground = middle
        else:
            sky = middle
    return ground


def near(pixels: Pixels, at: tuple[float, float], colour: tuple[int, int, int], reach: int) -> int:
    """How many pixels around a place of a picture have about that colour."""
    x, y = (round(each) for each in at)
    part = pixels[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach]
    return int((np.abs(part - np.array(colour)).max(axis=2) < 60).sum())


def in_view(hand: ReviewHand, camera: Camera, lon: float, lat: float) -> tuple[float, float]:
    """Where a place is in the picture of the photo's view, seen by a camera."""
    x, y = camera.lonlat_to_pixel(lon, lat)
    box = hand.page.locator("#photo").bounding_box()
    assert box is not None
    at = hand.at_pixel(float(x), float(y))
    return at[0] - box["x"], at[1] - box["y"]


TOWN, COAST, LIMB = (214, 222, 234), (150, 190, 225), (127, 227, 208)


def encoded(places: list[tuple[float, float]], unit_deg: float) -> str:
    """Google's encoded polyline, lon before lat."""
    text, before = "", (0, 0)
    for place in places:
        now = round(place[0] / unit_deg), round(place[1] / unit_deg)
        for new, old in zip(now, before, strict=True):
            rest = (new - old) * 2 if new >= old else ~((new - old) * 2)
            while rest >= 0x20:
                text += chr((0x20 | (rest & 0x1F)) + 63)
                rest >>= 5
            text += chr(rest + 63)
        before = now
    return text


def test_towns_coast_and_limb_are_drawn_into_the_photo_and_follow(hand: ReviewHand) -> None:
    camera = true_camera(OBLIQUE)
    known = truth_of(OBLIQUE)["reference_points"]
    middle = min(known, key=lambda p: abs(p["x"] - 700) + abs(p["y"] - 800))
    place = {"name": "Middleton", "country": "", "state": "", "population": 2_000_000}
    town = place | {"lon": middle["lon"], "lat": middle["lat"]}
    shore = [(middle["lon"] - 1.0, middle["lat"] + 0.3), (middle["lon"] + 1.0, middle["lat"] + 0.3)]

    refused: set[str] = set()  # each is asked for again where it does not come at first

    def at_first(route: Route) -> bool:
        kind = route.request.url.split("/api/")[1][:6]
        if first := kind not in refused:
            refused.add(kind)
            route.fulfill(status=503)
        return first

    def told_places(route: Route) -> None:
        if not at_first(route):
            route.fulfill(json={"places": [town]})

    def told_lines(route: Route) -> None:
        if at_first(route):
            return
        lines: dict[str, Any] = {"unit_deg": 0.002, "coast": [encoded(shore, 0.002)]}
        route.fulfill(body=json.dumps(lines), content_type="application/json")

    hand.page.route("**/api/places?bbox*", told_places)
    hand.page.route("**/api/outlines/**", told_lines)
    hand.go_to(IDS[LATER])
    hand.press("h")

    def town_drawn(right: float, down: float, reach: int) -> bool:
        """Whether the town is so far from where the true camera has it, pixels of the screen."""
        x, y = in_view(hand, camera, town["lon"], town["lat"])
        return near(seen(hand, "#photo"), (x + right, y + down), TOWN, reach) >= 4

    wait_until(hand, lambda: town_drawn(0.0, 0.0, 4), "the town is drawn")
    picture = seen(hand, "#photo")
    for share in (0.2, 0.4, 0.6, 0.8):
        lon = shore[0][0] + share * (shore[1][0] - shore[0][0])
        assert near(picture, in_view(hand, camera, lon, shore[0][1]), COAST, 6) >= 4
    x = 0.3 * camera.width_px
    box = hand.page.locator("#photo").bounding_box()
    assert box is not None
    on = hand.at_pixel(x, limb_y(camera, x))
    assert near(picture, (on[0] - box["x"], on[1] - box["y"]), LIMB, 12) >= 8

    # While a point is under the hand
    point = hand.told_of(IDS[LATER])["points"][1]
    start = hand.at_pixel(point["x"], point["y"])
    mouse = hand.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move(start[0] + 30.0, start[1] + 20.0, steps=5)
    assert hand.page.locator("#photo .view-loupe").is_visible()
    wait_until(hand, lambda: town_drawn(30.0, 20.0, 8), "the town follows")
    mouse.up()
    assert hand.page.locator("#photo .view-loupe").is_hidden()
    hand.wait_until_kept()
    hand.press("z")
    hand.wait_until_kept()


def test_the_map_is_drawn_into_the_photo_where_its_lights_are(hand: ReviewHand) -> None:
    hand.go_to(IDS[RIGHT])
    hand.press("h")
    rows = slice(60, -60)
    hand.page.keyboard.down("f")
    photo = at_rest(hand, "#photo")[rows]
    hand.page.keyboard.up("f")

    def on_the_lights() -> bool:
        drawn = (seen(hand, "#photo")[rows] - photo)[..., 2].ravel() > 40
        lit = photo.sum(axis=2).ravel() > 150
        return bool(drawn.any()) and float(np.corrcoef(drawn, lit)[0, 1]) > 0.3

    wait_until(hand, on_the_lights, "the map's lights lie on the photo's")
    hand.press("h")


def test_an_oblique_is_placed_by_its_limb(hand: ReviewHand) -> None:
    """One key, two drags of the limb, one to turn: from any attitude to the right one."""
    frame_id, truth = IDS[LATER], true_camera(OBLIQUE)
    hand.go_to(frame_id)
    hand.press("Shift+H")
    hand.wait_until_kept()

    def now() -> Camera:
        return camera_of((hand.told_of(frame_id)["draft"])["camera"])

    begun = now()
    assert float(np.abs(np.array(begun.quaternion) - truth.quaternion).max()) > 0.02
    for x in (0.15 * truth.width_px, 0.85 * truth.width_px):
        hand.drag(hand.at_pixel(x, limb_y(now(), x)), hand.at_pixel(x, limb_y(truth, x)))
        hand.wait_until_kept()
    pair = min(
        truth_of(OBLIQUE)["reference_points"],
        key=lambda p: abs(p["x"] - 0.5 * truth.width_px) + abs(p["y"] - 0.6 * truth.height_px),
    )
    x, y = now().lonlat_to_pixel(pair["lon"], pair["lat"])
    hand.drag(hand.at_pixel(float(x), float(y)), hand.at_pixel(pair["x"], pair["y"]))
    hand.wait_until_kept()
    assert hand.actions["keys"] + hand.actions["drags"] == 4
    x, y = now().lonlat_to_pixel(pair["lon"], pair["lat"])
    assert math.dist((float(x), float(y)), (pair["x"], pair["y"])) < 0.02 * truth.width_px
    for x in (0.15 * truth.width_px, 0.85 * truth.width_px):
        assert limb_y(now(), x) == pytest.approx(limb_y(truth, x), abs=0.01 * truth.height_px)
    hand.press("z")


# Which scales the map shows from now on
KEEP_SCALES = """() => {
  const [map, seen] = [document.querySelector("#map"), new Set()];
  new MutationObserver(() => seen.add(map.dataset.view.split(" ")[2]))
    .observe(map, { attributeFilter: ["data-view"] });
  window.scalesSeen = () => [...seen];
}"""


def test_the_map_jumps_to_another_scale_where_less_motion_is_asked(hand: ReviewHand) -> None:
    hand.go_to(IDS[RIGHT])
    before = hand.drawn_view("#map")
    hand.page.evaluate(KEEP_SCALES)
    hand.page.locator("#map").hover()
    hand.page.mouse.wheel(0, -240)
    hand.moved_to_rest("#map", before)
    seen = set(hand.page.evaluate("scalesSeen()")) - {before.split()[2]}
    assert seen == {hand.drawn_view("#map").split()[2]}


def test_photo_and_map_go_in_step(gliding: ReviewHand) -> None:
    hand, frame_id = gliding, IDS[LATE]
    hand.go_to(frame_id)
    camera = camera_of(hand.told_of(frame_id)["camera"])

    def middle(view: str) -> tuple[float, float]:
        box = hand.page.locator(view).bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2.0, box["y"] + box["height"] / 2.0

    def apart() -> float:
        """Between the places in the middles of both, on the screen."""
        x, y = view_of(hand, "#photo")[:2]
        lon, lat = (float(each) for each in camera.pixel_to_lonlat(x - 0.5, -y - 0.5))
        return math.dist(hand.at_place(lon, lat), middle("#map"))

    for view in ("#map", "#photo"):
        here = middle(view)
        before = hand.drawn_view(view)
        hand.page.mouse.move(*here)
        hand.page.mouse.wheel(0, -400)
        hand.moved_to_rest(view, before)
        zoomed = hand.drawn_view(view)
        hand.drag(here, (here[0] + 30.0, here[1] - 25.0))
        hand.moved_to_rest(view, zoomed)
        wait_until(hand, lambda: apart() < 6.0, f"they show the same place, led by {view}")
        x, y, resolution, _ = view_of(hand, "#photo")
        lon, lat = (float(each) for each in camera.pixel_to_lonlat(x - 0.5, -y - 0.5))
        scale = 1.0 / resolution
        east = camera.pixel_to_lonlat(x - 0.5 + 100.0, -y - 0.5)
        beside = hand.at_place(float(east[0]), float(east[1]))
        assert math.dist(beside, hand.at_place(lon, lat)) == pytest.approx(
            100.0 * scale, rel=0.15
        ), view

    # Beyond what the photo shows, it waits at its edge, and is taken along again from there
    there = middle("#map")
    left, right = ((there[0] + shift, there[1]) for shift in (-300.0, 300.0))
    for _ in range(3):
        hand.drag(left, right)
    wait_until(hand, lambda: view_of(hand, "#photo")[0] < 1.0, "the photo is at its edge")
    for _ in range(3):
        hand.drag(right, left)
    wait_until(hand, lambda: apart() < 6.0, "they show the same place again")
