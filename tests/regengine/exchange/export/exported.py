"""A store to hand over, and the command that does it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from typer.testing import CliRunner, Result

from matchers.camera import Camera
from regengine.commands import app
from regengine.result import FrameResult
from regengine.store.reviews import Choice, Decisions, decisions_path, judged_state
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter


def write_store(path: Path, results: Sequence[FrameResult]) -> Path:
    """A store of these results."""
    with StoreWriter(path) as writer:
        for index, result in enumerate(results):
            writer.add(StoredFrame(frame_index=index, result=result))
        writer.flush()
    return path


def export(store: Path, name: str, out: Path, *arguments: object) -> Result:
    """`regengine export`, which is to succeed."""
    result = try_export(store, name, out, *arguments)
    assert result.exit_code == 0, result.output
    return result


def try_export(store: Path, name: str, out: Path, *arguments: object) -> Result:
    """`regengine export`, whatever becomes of it."""
    words = ["export", store, "--format", name, "--out", out, *arguments]
    return CliRunner().invoke(app, [str(word) for word in words])


def photographed(result: FrameResult, path: Path) -> FrameResult:
    """The same result for a photo that is there: colours that tell where a pixel is."""
    assert result.width_px is not None
    assert result.height_px is not None
    y, x = np.mgrid[: result.height_px, : result.width_px]
    picture = np.stack([x % 256, y % 256, (x // 256) * 16 + y // 256], axis=-1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned; coordinates are of the picture as stored
    Image.fromarray(picture).save(path, quality=95, exif=exif)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(result, path=str(path), sha256=sha256)


def work(camera: Camera | None, points: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "camera": None if camera is None else json.loads(json.dumps(asdict(camera))),
        "points": points,
        "hypothesis": None,
        "comment": "=1+1",
        "tags": ["delta", "haze"],
        "quality": 4,
        "place": {"name": "Ōsaka", "country": "Japan", "lon": 1, "lat": 2, "population": 3},
    }


def engine_points(result: FrameResult) -> list[dict[str, Any]]:
    return [
        {"x": p.x, "y": p.y, "lon": p.lon, "lat": p.lat, "sigma_px": p.sigma_px, "origin": "engine"}
        for p in result.control_points
    ]


def decide(
    store: Path, number: int, result: FrameResult, choice: Choice, done: dict[str, Any], who: str
) -> None:
    decisions = Decisions(decisions_path(store))
    decisions.save(
        judged_state(number, result),
        who,
        choice,
        done,
    )
    decisions.close()
