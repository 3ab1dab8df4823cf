"""The review's benchmark asks a real server for what its page asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import review as review_scale
from benchmarks.review import PREVIEW, SAMPLES, Asked, Review, middle
from regengine.store.snapshot import iter_frames

pytestmark = pytest.mark.slow


def test_a_server_of_many_frames_is_asked_for_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, socket_enabled: None
) -> None:
    def small_photo(path: Path) -> None:
        Image.fromarray(np.full((60, 90, 3), 30, np.uint8)).save(path)

    monkeypatch.setattr(review_scale, "large_photo", small_photo)
    store = review_scale.scale_store(tmp_path, 50)
    frames = list(iter_frames(store))
    assert len(frames) == 50
    assert 5 < len({frame.result.sha256 for frame in frames}) <= review_scale.PHOTOS
    with Review(store, SAMPLES / "lights.tif") as review:
        assert review.started.cpu_s > 0.1
        queue = review.ask("api/frames?limit=100").json
        assert queue["total"] == 50
        answer = review.ask(f"api/frames/{queue['frames'][0]['id']}/{PREVIEW}")
        assert answer.body.startswith(b"\xff\xd8\xff")
        assert review.peak_mb() > 50.0
        with pytest.raises(RuntimeError, match="404"):
            review.ask("api/frames/50")


def test_times_are_told_as_mean_middle_and_longest() -> None:
    asked = [Asked(clock_s=s, cpu_s=0.5 * s) for s in (0.010, 0.050, 0.012)]
    assert middle(asked) == ("12", "12", "50")
