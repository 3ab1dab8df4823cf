"""A person at the review page: a browser that looks, presses keys and drags."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import numpy as np

from matchers.geometry.earth import great_circle_km
from tests.world.samples import camera_of, true_camera, truth_of

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Request

MERCATOR_RADIUS_M = 6378137.0
LOOK_MS, QUIET_LOOKS, MAX_LOOKS = 40, 4, 750
CLOSE_M = 600.0  # of ground in a pixel of the screen: the lights of a town are told apart
MAX_NOTCHES, NOTCH_MS = 8, 100  # of the wheel, so far apart: the page takes nearer ones as one
DRAG_STEPS = 6  # a drag of the hand is no jump
REST_MS = 150  # before it lets go: what it drags is put down, not thrown
CLEAR_PX = 120.0  # of the photo: a click there takes hold of no other point
TWO_PICTURES = "() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))"


class ReviewHand:
    """A person at the page of an address with its token: looks, presses keys, drags.

    ``problems`` are what the page threw, and what its policy refused.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.problems: list[str] = []
        self._visited: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._heard)
        self._under_way = 0
        page.on("request", lambda request: self._count(request, 1))
        page.on("requestfinished", lambda request: self._count(request, -1))
        page.on("requestfailed", lambda request: self._count(request, -1))

    def go_to(self, frame_id: int | None = None) -> None:
        """Load the page, with a frame of that number or the first of the queue, until it is drawn.

        The first time by the address with the token, then as a link to the frame would.
        """
        if self.page.url == "about:blank" or self.address not in self._visited:
            self._visited.append(self.address)
            self.page.goto(self.address)
        if frame_id is not None:
            base = urljoin(self.address, "/")
            self.page.goto("about:blank")  # an address that differs after # alone loads nothing
            self.page.goto(f"{base}#frame={frame_id}&status=all")
        drawn = "" if frame_id is None else f"='{frame_id}'"
        self.page.wait_for_selector(f"#photo[data-drawn{drawn}]")

    def wait_until_left(self, frame_id: int) -> None:
        """Until another frame is in view, or none, and what was decided is on the server."""
        another, none = f"#photo:not([data-drawn='{frame_id}'])", "#empty:not([hidden])"
        self.page.wait_for_selector(f"{another}, {none}", state="attached")
        self.wait_until_kept()

    def wait_until_kept(self) -> None:
        """Until the camera is solved from what was done, and all of it is on the server."""
        quiet = 0
        for _ in range(MAX_LOOKS):
            saved = self.page.get_attribute("#sending", "data-state") == "saved"
            quiet = quiet + 1 if saved and self._under_way == 0 else 0
            if quiet > QUIET_LOOKS:
                return
            self.page.wait_for_timeout(LOOK_MS)
        raise TimeoutError("the page has not saved what was done")

    def told(self, path: str) -> Any:
        # The server may close a connection that was idle at the moment when it is used again
        answer = self.page.request.get(urljoin(self.page.url, path), max_retries=3)
        assert answer.ok, answer.text()
        return answer.json()

    def told_of(self, frame_id: int) -> Any:
        return self.told(f"/api/frames/{frame_id}")

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(x, y)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(*end, steps=DRAG_STEPS)
        self.page.wait_for_timeout(REST_MS)
        mouse.up()

    def search(self) -> None:
        """One key: the engine searches from here, and what it found is shown."""
        self.press("g")
        self.page.wait_for_selector("#progress", state="visible")
        self.page.wait_for_selector("#progress", state="hidden")
        self.wait_until_kept()

    def at_pixel(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the photo is on the screen."""
        return self._on_screen("#photo", x + 0.5, -(y + 0.5))

    def at_place(self, lon: float, lat: float) -> tuple[float, float]:
        """Where a place of the map is on the screen."""
        east = math.radians(lon) * MERCATOR_RADIUS_M
        north = math.asinh(math.tan(math.radians(lat))) * MERCATOR_RADIUS_M
        return self._on_screen("#map", east, north)

    def zoom_to(self, lon: float, lat: float) -> None:
        """Turn the wheel over the map until a place is in it, and then in towards that place."""
        middle, (width, height) = self.box_of("#map")
        x, y = self.at_place(lon, lat)
        while (off := max(abs(x - middle[0]) / width, abs(y - middle[1]) / height)) > 0.4:
            self._turn_wheel(middle, 1, math.ceil(math.log2(off / 0.4)))
            x, y = self.at_place(lon, lat)
        while (metres := float(self.drawn_view("#map").split()[2])) > CLOSE_M:
            self._turn_wheel((x, y), -1, math.ceil(math.log2(metres / CLOSE_M)))
            x, y = self.at_place(lon, lat)

    def _turn_wheel(self, at: tuple[float, float], out: int, notches: int) -> None:
        before = self.drawn_view("#map")
        self.page.mouse.move(*at)
        for _ in range(min(notches, MAX_NOTCHES)):
            self.page.mouse.wheel(0, 240 * out)
            self.page.wait_for_timeout(NOTCH_MS)
        self.moved_to_rest("#map", before)

    def moved_to_rest(self, view: str, before: str) -> None:
        """Until a view shows something else than before, and stands still."""
        said, quiet = before, 0
        for _ in range(MAX_LOOKS):
            self.page.wait_for_timeout(LOOK_MS)
            now = self.drawn_view(view)
            quiet = quiet + 1 if now == said != before else 0
            if quiet > QUIET_LOOKS:
                return
            said = now
        raise TimeoutError(f"{view} has not moved and come to rest")

    def _count(self, request: Request, step: int) -> None:
        if request.method != "GET":
            self._under_way += step

    def _heard(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.problems.append(message.text)

    def box_of(self, view: str) -> tuple[tuple[float, float], tuple[float, float]]:
        """The middle of a view on the screen, and its size."""
        box = self.page.locator(view).bounding_box()
        assert box is not None
        size = box["width"], box["height"]
        return (box["x"] + size[0] / 2.0, box["y"] + size[1] / 2.0), size

    def drawn_view(self, view: str) -> str:
        """What a view shows, once whatever it was asked to show has been drawn."""
        self.page.evaluate(TWO_PICTURES)
        said = self.page.get_attribute(view, "data-view")
        assert said is not None
        return said

    def _on_screen(self, view: str, x: float, y: float) -> tuple[float, float]:
        said, before = self.drawn_view(view), None
        while said != before:  # a view that was just asked to move has not been drawn yet
            said, before = self.drawn_view(view), said
        middle, _ = self.box_of(view)
        centre_x, centre_y, resolution, rotation = (float(word) for word in said.split())
        across, up = (x - centre_x) / resolution, (y - centre_y) / resolution
        cos, sin = math.cos(rotation), math.sin(rotation)
        right, down = across * cos + up * sin, across * sin - up * cos
        return middle[0] + right, middle[1] + down


def camera_error_km(told: dict[str, Any], frame: str) -> float:
    """Greatest distance between where a camera and the true one see the known pixels."""
    known = truth_of(frame)["reference_points"]
    x, y = [p["x"] for p in known], [p["y"] for p in known]
    places = camera_of(told).pixel_to_lonlat(x, y)
    lon, lat = [p["lon"] for p in known], [p["lat"] for p in known]
    return float(np.max(great_circle_km(*places, lon, lat)))


def look(camera: str | dict[str, Any], a: float, b: float, *, to_pixel: bool = False) -> Any:
    """Where a sample's true camera, or one as the server tells it, sees a pixel; or a place."""
    seen_by = true_camera(camera) if isinstance(camera, str) else camera_of(camera)
    there = seen_by.lonlat_to_pixel(a, b) if to_pixel else seen_by.pixel_to_lonlat(a, b)
    return float(there[0]), float(there[1])


def limb_row(camera: dict[str, Any], x: float) -> float:
    """Where the limb crosses a column of the photo, the sky above it."""
    sky, ground = -0.5, camera["height_px"] - 0.5
    for _ in range(40):
        middle = (sky + ground) / 2.0
        if math.isnan(look(camera, x, middle)[0]):
            sky = middle
        else:
            ground = middle
    return float(ground)


def points_error_km(points: list[dict[str, Any]], frame: str) -> float:
    """Greatest distance between the points' places and where their pixels truly look."""
    lon, lat = true_camera(frame).pixel_to_lonlat(
        [p["x"] for p in points], [p["y"] for p in points]
    )
    given = [p["lon"] for p in points], [p["lat"] for p in points]
    return float(np.max(great_circle_km(lon, lat, *given)))


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
    at = [(u * width, v * height) for u, v in shares]
    return [min(known, key=lambda p: math.dist((p["x"], p["y"]), one)) for one in at]


def draft_of(hand: ReviewHand, frame_id: int) -> Any:
    """Unfinished work on a frame, once it has been kept."""
    hand.wait_until_kept()
    return hand.told_of(frame_id)["draft"]
