"""Real photographs at the page: a right proposal is confirmed, a wrong one put right by drags."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, expect

from benchmarks.registration.truth import read_reference_cameras
from matchers.geometry.camera import Camera
from regengine.result import FrameResult
from tests.world.hand import ReviewHand, ground_error_km, head
from tests.world.pages import ReviewProcess
from tests.world.program import run
from tests.world.results import control_point, proposal, solved
from tests.world.samples import camera_of, turned_camera
from tests.world.stores import write_store

pytestmark = [pytest.mark.browser, pytest.mark.real]

FILES = ("cities/Osaka_ISS030-E-184140.jpg", "cities_oblique/iss065e394522.jpg")
WRONG = FILES.index("cities/Osaka_ISS030-E-184140.jpg")
RIGHT = FILES.index("cities_oblique/iss065e394522.jpg")
A_GLANCE_PX = 2.0  # of the screen: nearer, a point looks right
BESIDE_PX = 150.0  # of the photo: a click there takes hold of no other point


def true_camera(number: int) -> Camera:
    camera = read_reference_cameras()[FILES[number]].camera
    assert camera is not None
    return camera


def proposed(photo: Path, camera: Camera) -> FrameResult:
    """A proposal with that camera, its points spread over the ground in view."""
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(0.1, 0.9, 9), np.linspace(0.1, 0.9, 9)))
    x, y = x * camera.width_px, y * camera.height_px
    ground = np.isfinite(camera.pixel_to_lonlat(x, y)[0])
    x, y = x[ground], y[ground]
    corners = [np.argmin(u * x + v * y) for u, v in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    return replace(
        proposal(verdict="review"),
        frame=photo.stem,
        path=str(photo),
        sha256=hashlib.sha256(photo.read_bytes()).hexdigest(),
        width_px=camera.width_px,
        height_px=camera.height_px,
        solved=solved(camera, 0.0),
        control_points=tuple(control_point(x[k], y[k], camera) for k in corners),
        hypotheses=(),
    )


@pytest.fixture(scope="module")
def real_hand(
    desk: BrowserContext, real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReviewHand]:
    store = tmp_path_factory.mktemp("real") / "run.h5"
    results = []
    for number, file in enumerate(FILES):
        camera = true_camera(number)
        shown = turned_camera(camera) if number == WRONG else camera
        results.append(proposed(real_data / "photos" / file, shown))
    write_store(store, results)
    lights = real_data / "lights" / "blackmarble_15as.tif"
    with ReviewProcess(store, "--lights", lights, "--reviewer", "Ada") as server:
        hand = ReviewHand(desk.new_page(), server.address)
        yield hand
        assert hand.problems == []
        hand.page.close()


def test_a_right_proposal_of_a_real_photo_takes_one_key(real_hand: ReviewHand) -> None:
    real_hand.go_to(RIGHT)
    before = real_hand.told_of(RIGHT)
    real_hand.press("a")
    real_hand.wait_until_left(RIGHT)
    decided = head(real_hand, RIGHT)
    assert decided is not None
    assert (decided["decision"], decided["camera"]) == ("accepted", before["camera"])


def test_a_wrong_proposal_of_a_real_photo_is_put_right(real_hand: ReviewHand) -> None:
    truth = true_camera(WRONG)
    real_hand.go_to(WRONG)
    told = real_hand.told_of(WRONG)
    assert ground_error_km(camera_of(told["camera"]), truth) > 20.0
    for index in range(len(told["points"])):
        point = (told["draft"] or told)["points"][index]
        lon, lat = truth.pixel_to_lonlat(point["x"], point["y"])
        start = real_hand.at_place(point["lon"], point["lat"])
        end = real_hand.at_place(float(lon), float(lat))
        if math.dist(start, end) > A_GLANCE_PX:
            real_hand.drag(start, end)
        else:  # right by the camera of the others, which alone says nothing: a pair beside it
            x, y = point["x"] + BESIDE_PX, point["y"]
            lon, lat = (float(degrees) for degrees in truth.pixel_to_lonlat(x, y))
            real_hand.press("p")
            real_hand.click(*real_hand.at_pixel(x, y))
            real_hand.wait_until_kept()
            real_hand.zoom_to(lon, lat)
            real_hand.click(*real_hand.at_place(lon, lat))
            real_hand.press("v")
        real_hand.wait_until_kept()
        told = real_hand.told_of(WRONG)
    real_hand.press("a")
    real_hand.wait_until_left(WRONG)
    decided = head(real_hand, WRONG)
    assert decided is not None
    assert ground_error_km(camera_of(decided["camera"]), truth) < 1.0


@pytest.mark.parametrize(
    ("kind", "source", "photo", "words", "question"),
    [
        (
            "streets",
            "streets/paris_streets.parquet",
            "photos/cities/Paris_ISS043-E-93480.jpg",
            ("--centre", "2.35,48.86", "--focal-mm", "400"),
            "lit streets match the street map",
        ),
        (
            "day",
            "day/bluemarble_z8_africa_europe_asia_20w_105e_0_60n.tif",
            "day/photos/lampone_075852.jpg",
            ("--focal-mm", "3.6", "--pixel-pitch-um", "2.8"),
            "ground in the photo match the day map",
        ),
    ],
)
def test_a_photo_is_reviewed_on_the_map_that_placed_it(
    desk: BrowserContext,
    real_data: Path,
    tmp_path: Path,
    kind: str,
    source: str,
    photo: str,
    words: tuple[str, ...],
    question: str,
) -> None:
    built, store = tmp_path / f"{kind}.tif", tmp_path / "run.h5"
    lights = real_data / "lights" / "blackmarble_15as.tif"
    assert run(kind, "build", real_data / source, "--out", built).code == 0
    elements = real_data / "orbit" / "iss_tles_dense.txt"
    maps = (f"--{kind}", built, "--lights", lights, "--tle", elements)
    assert run("register", real_data / photo, *maps, *words, "--store", store).code == 0
    with ReviewProcess(store, f"--{kind}", built, "--lights", lights) as server:
        hand = ReviewHand(desk.new_page(), server.address)
        hand.go_to()
        page = hand.page
        expect(page.locator("#map")).to_have_attribute("data-base", kind)
        expect(page.locator("#verdict")).to_contain_text(question)
        # The Map column is filled, and most points agree
        agree = page.locator("#points td[data-agreement='agrees']")
        expect(agree.nth(2)).to_be_visible(timeout=60_000)
        hand.press("h")
        hand.press("l")
        met = page.locator("#photo .view-note", has_text="match the photo")
        met.wait_for()
        n_met, n_marks = (int(word) for word in re.findall(r"\d+", met.inner_text())[:2])
        assert n_met > 0.5 * n_marks > 10
        hand.press("]")
        hand.press("n")
        expect(page.locator("#said")).to_contain_text("Snapped: moved by")
        assert hand.problems == []
        page.close()
