"""What the page shows first is decoded before it asks."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from regengine.result import FrameResult
from regengine.review.app import prepare_first_picture
from regengine.review.decisions import Judged
from regengine.review.server import open_review
from tests.example_results import nothing_found, proposal
from tests.regengine.review.made_review import WORK, make_store


def photographed(result: FrameResult, path: Path, grey: int) -> FrameResult:
    Image.fromarray(np.full((426, 640, 3), grey, np.uint8)).save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(result, path=str(path), sha256=digest)


def kept_after_start(store: Path, decided: int | None = None) -> tuple[int, dict[str, int]]:
    """Bytes of decoded photos before anything is asked; more if these are asked for then."""
    with open_review(store, reviewer="Ada") as context:
        if decided is not None:
            sha256 = context.frames.frame(decided).result.sha256
            judged = Judged(
                frame_index=decided,
                sha256=sha256,
                verdict="review",
                probability=None,
                proposal_sha256="",
            )
            context.decisions.save(judged, "Ada", "accepted", WORK)
        prepare_first_picture(context).join()
        kept = context.pyramids.kept_bytes
        more = {}
        for name in ("doubtful.jpg", "sure.jpg"):
            before = context.pyramids.kept_bytes
            context.pyramids.preview(store.parent / name, 2048)
            more[name] = context.pyramids.kept_bytes - before
        return kept, more


def test_the_most_doubtful_open_frame_is_decoded(tmp_path: Path) -> None:
    doubtful = replace(proposal("ISS001-E-1", "review"), probability=0.5)
    store = make_store(
        tmp_path / "run.h5",
        [
            photographed(nothing_found("ISS001-E-3"), tmp_path / "none.jpg", 20),
            photographed(proposal("ISS001-E-2"), tmp_path / "sure.jpg", 30),
            photographed(doubtful, tmp_path / "doubtful.jpg", 40),
        ],
    )
    size = 426 * 640 * 3
    assert kept_after_start(store) == (size, {"doubtful.jpg": 0, "sure.jpg": size})
    assert kept_after_start(store, decided=2) == (size, {"doubtful.jpg": size, "sure.jpg": 0})
    (tmp_path / "sure.jpg").unlink()
    with open_review(store, reviewer="Ada") as context:
        prepare_first_picture(context).join()
        assert context.pyramids.kept_bytes == 0
