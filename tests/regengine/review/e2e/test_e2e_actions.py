"""How many actions a frame takes: keys, clicks, drags, and ways over the map to a place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from benchmarks.review import ReviewProcess
from matchers.camera import Camera
from regengine.result import FrameResult
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests.regengine.review.hand import ReviewHand, ground_error_km, head
from tests.regengine.review.sample import (
    LIGHTS,
    PROPOSALS,
    SAMPLES,
    camera_of,
    sample_result,
    true_camera,
)

pytestmark = pytest.mark.browser

CITY = "ISS990-E-000103"
FAR_KM = 1473.0
BAR_KM = 3.5  # 1 % of the diagonal of what these photos show
CONFIRM, RUNNER_UP, FAR = range(3)
# Shares of the sides at which a person clicks lights, from the middle outwards
SPREAD = ((0.5, 0.5), (0.2, 0.25), (0.8, 0.3), (0.75, 0.8), (0.25, 0.75))


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


@pytest.fixture(scope="module")
def samples(
    context: BrowserContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReviewHand]:
    results = [
        sample(CITY, right=True),
        sample(CITY),
        sample(CITY, away_km=FAR_KM, nadir_known=False, runner_up_right=False),
    ]
    store = made_store(tmp_path_factory.mktemp("actions"), results)
    with ReviewProcess(store, "--lights", str(LIGHTS), "--reviewer", "Ada") as server:
        hand = ReviewHand(context.new_page(), server.address)
        yield hand
        assert hand.problems == []
        hand.page.close()


def decided(hand: ReviewHand, frame_id: int, truth: Camera, most: int) -> None:
    """Accept; the camera is right, and it has taken no more actions than these."""
    hand.press("a")
    hand.wait_until_left(frame_id)
    kept = head(hand, frame_id)
    assert kept is not None
    assert kept["decision"] == "accepted"
    assert ground_error_km(camera_of(kept["camera"]), truth) < BAR_KM
    print(f"\nframe {frame_id}: {sum(hand.actions.values())} actions, {dict(hand.actions)}")
    assert sum(hand.actions.values()) <= most, dict(hand.actions)


def at_frame(hand: ReviewHand, frame_id: int) -> ReviewHand:
    hand.go_to(frame_id)
    hand.actions.clear()
    return hand


def add_pairs(hand: ReviewHand, truth: Camera, count: int) -> None:
    """Click lights in the photo and where they truly are; wheel to them where they are not seen."""
    hand.press("p")
    size = truth.width_px - 1, truth.height_px - 1
    for share in SPREAD[:count]:
        x, y = (float(a * b) for a, b in zip(share, size, strict=True))
        lon, lat = (float(value) for value in truth.pixel_to_lonlat(x, y))
        hand.click(*hand.at_pixel(x, y))
        hand.wait_until_kept()
        hand.zoom_to(lon, lat)
        hand.click(*hand.at_place(lon, lat))
        hand.wait_until_kept()


def test_a_right_proposal_takes_one_key(samples: ReviewHand) -> None:
    decided(at_frame(samples, CONFIRM), CONFIRM, true_camera(CITY), 1)


def test_a_runner_up_takes_six_actions_at_most(samples: ReviewHand) -> None:
    hand = at_frame(samples, RUNNER_UP)
    hand.press("2")
    hand.wait_until_kept()
    decided(hand, RUNNER_UP, true_camera(CITY), 6)


def test_a_place_far_off_takes_few_actions(samples: ReviewHand) -> None:
    hand = at_frame(samples, FAR)
    add_pairs(hand, true_camera(CITY), 4)
    decided(hand, FAR, true_camera(CITY), 14)
