"""How many actions a frame takes: keys, clicks, drags, and ways over the map to a place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import BrowserContext

from benchmarks.registration.truth import read_reference_cameras
from benchmarks.review import ReviewProcess
from benchmarks.review_points import ground_pixels
from matchers.camera import Camera
from matchers.earth import great_circle_km
from matchers.footprint import diagonal_km
from regengine.lights.build import BuildOptions, build_map
from regengine.lights.map import open_light_map
from regengine.result import FrameResult
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests.regengine.review.hand import ReviewHand, head
from tests.regengine.review.sample import (
    LIGHTS,
    PROPOSALS,
    SAMPLES,
    camera_of,
    sample_result,
    true_camera,
    turned_camera,
)

pytestmark = pytest.mark.browser

CITY, OBLIQUE = "ISS990-E-000103", "ISS990-E-000106"
FAR_KM = 1473.0
CONFIRM, RUNNER_UP, SEARCHED, NOTHING = range(4)
REAL_CITY, REAL_OBLIQUE = "cities/Osaka_ISS030-E-184140.jpg", "cities_oblique/iss065e394522.jpg"
# Shares of the sides at which a person clicks lights, from the middle outwards; below the sky
SPREAD = ((0.5, 0.5), (0.2, 0.25), (0.8, 0.3), (0.75, 0.8))
BELOW = ((0.6, 0.75), (0.3, 0.9), (0.85, 0.5), (0.9, 0.9))


def sample(frame: str, **proposal: object) -> FrameResult:
    made = replace(PROPOSALS[frame], verdict="review", probability=0.5, **proposal)  # type: ignore[arg-type]
    return sample_result(frame, SAMPLES / f"{frame}.jpg", made)


def made_store(folder: Path, results: list[FrameResult]) -> Path:
    store = folder / "run.h5"
    with StoreWriter(store) as writer:
        for number, result in enumerate(results):
            writer.add(StoredFrame(frame_index=number, result=result))
        writer.flush()
    return store


def from_nothing(result: FrameResult) -> FrameResult:
    """The same where neither time, nor place, nor lens is known, and nothing was found."""
    return replace(
        result,
        verdict="no_match",
        probability=None,
        time_utc=None,
        nadir=None,
        focal_mm=None,
        pixel_pitch_um=None,
        solved=None,
        control_points=(),
        fit=None,
        hypotheses=(),
    )


@contextmanager
def reviewed(
    context: BrowserContext, folder: Path, results: list[FrameResult], lights: Path
) -> Iterator[ReviewHand]:
    store = made_store(folder, results)
    with ReviewProcess(store, "--lights", str(lights), "--reviewer", "Ada") as server:
        hand = ReviewHand(context.new_page(), server.address)
        yield hand
        assert hand.problems == []
        hand.page.close()


@pytest.fixture(scope="module")
def samples(
    context: BrowserContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReviewHand]:
    results = [
        sample(CITY, right=True),
        sample(CITY),
        sample(CITY, away_km=FAR_KM, nadir_known=False, runner_up_right=False),
        from_nothing(sample(OBLIQUE)),
    ]
    with reviewed(context, tmp_path_factory.mktemp("actions"), results, LIGHTS) as hand:
        yield hand


def decided(hand: ReviewHand, frame_id: int, truth: Camera, most: int) -> None:
    """Accept; the camera is right, and it has taken no more actions than these."""
    hand.press("a")
    hand.wait_until_left(frame_id)
    kept = head(hand, frame_id)
    assert kept is not None
    assert kept["decision"] == "accepted"
    away, bar = off_km(camera_of(kept["camera"]), truth), max(1.0, 0.01 * diagonal_km(truth))
    taken = f"{sum(hand.actions.values())} actions, {dict(hand.actions)}"
    print(f"\nframe {frame_id}: {taken}, off by {away:.1f} of {bar:.1f} km")
    assert away <= bar
    assert sum(hand.actions.values()) <= most, taken


def at_frame(hand: ReviewHand, frame_id: int) -> ReviewHand:
    hand.go_to(frame_id)
    hand.actions.clear()
    return hand


def add_pairs(
    hand: ReviewHand, truth: Camera, count: int, spread: Sequence[tuple[float, float]] = SPREAD
) -> None:
    """Click lights in the photo and where they truly are; wheel to them where they are not seen."""
    if hand.page.get_attribute("#photo", "data-tool") != "add":
        hand.press("p")
    size = truth.width_px - 1, truth.height_px - 1
    for share in spread[:count]:
        x, y = (float(a * b) for a, b in zip(share, size, strict=True))
        lon, lat = (float(value) for value in truth.pixel_to_lonlat(x, y))
        hand.click(*hand.at_pixel(x, y))
        hand.wait_until_kept()
        hand.zoom_to(lon, lat)
        hand.click(*hand.at_place(lon, lat))
        hand.wait_until_kept()


def map_around(lights: Path, camera: Camera, folder: Path) -> Path:
    """A world map built ten degrees around what a camera sees: tiles of a raw one take long."""
    lon, lat = camera.pixel_to_lonlat(*ground_pixels(camera).T)
    part = folder / "part.tif"
    region = (lon.min() - 10.0, lat.min() - 10.0, lon.max() + 10.0, lat.max() + 10.0)
    build_map(open_light_map([lights]), part, BuildOptions(region=region))
    return part


def off_km(camera: Camera, truth: Camera) -> float:
    """Greatest distance on the ground on which places can be told."""
    x, y = ground_pixels(truth).T
    away = great_circle_km(*camera.pixel_to_lonlat(x, y), *truth.pixel_to_lonlat(x, y))
    return float(np.nan_to_num(away, nan=np.inf).max())


def test_a_right_proposal_takes_one_key(samples: ReviewHand) -> None:
    decided(at_frame(samples, CONFIRM), CONFIRM, true_camera(CITY), 1)


def test_a_runner_up_takes_six_actions_at_most(samples: ReviewHand) -> None:
    hand = at_frame(samples, RUNNER_UP)
    hand.press("2")
    hand.wait_until_kept()
    decided(hand, RUNNER_UP, true_camera(CITY), 6)


def test_a_place_far_off_takes_two_pairs_and_a_search(samples: ReviewHand) -> None:
    hand = at_frame(samples, SEARCHED)
    add_pairs(hand, true_camera(CITY), 2)
    hand.search(SEARCHED)
    decided(hand, SEARCHED, true_camera(CITY), 10)


def test_an_oblique_of_which_nothing_is_known_takes_four_pairs(samples: ReviewHand) -> None:
    hand = at_frame(samples, NOTHING)
    add_pairs(hand, true_camera(OBLIQUE), 4)
    decided(hand, NOTHING, true_camera(OBLIQUE), 14)


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "spread", "known", "pairs", "most"),
    [(REAL_CITY, SPREAD, False, 2, 14), (REAL_OBLIQUE, BELOW, True, 3, 12)],
)
def test_a_real_photo_takes_as_few(
    context: BrowserContext,
    real_data: Path,
    tmp_path: Path,
    file: str,
    spread: Sequence[tuple[float, float]],
    known: bool,
    pairs: int,
    most: int,
) -> None:
    """From far off, or from nothing: pairs, and the engine's search from there."""
    truth = read_reference_cameras()[file].camera
    assert truth is not None
    right = replace(
        sample_result(CITY, real_data / "photos" / file, replace(PROPOSALS[CITY], right=True)),
        width_px=truth.width_px,
        height_px=truth.height_px,
        orientation=1,
        nadir=None,
        verdict="review",
        control_points=(),
        hypotheses=(),
    )
    assert right.solved is not None
    far = replace(right, solved=replace(right.solved, camera=turned_camera(truth, FAR_KM)))
    lights = map_around(real_data / "lights" / "blackmarble_15as.tif", truth, tmp_path)
    with reviewed(context, tmp_path, [far if known else from_nothing(right)], lights) as hand:
        at_frame(hand, 0)
        add_pairs(hand, truth, pairs, spread)
        hand.search(0)
        decided(hand, 0, truth, most)
