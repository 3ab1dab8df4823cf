"""A store with photos of 45 megapixels, made of a sample photograph enlarged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.review_sample import SAMPLES, sample_result
from regengine.result import FrameResult, Hypothesis, SolvedCamera
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter

FRAME = "ISS990-E-000101"
WIDTH_PX, HEIGHT_PX = 8256, 5504  # 45.4 MP, as of a Nikon D850 or Z9
NOISE = 6.0  # grey values: a smooth enlargement would be quicker to decode than any photo is


def large_photo(path: Path, seed: int = 1) -> None:
    """Write a JPEG of 45 MP: a sample enlarged, with the noise of a high sensitivity."""
    small = cv2.imread(str(SAMPLES / f"{FRAME}.jpg"), cv2.IMREAD_COLOR)
    assert small is not None
    large = cv2.resize(small, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(seed)
    for row in range(0, HEIGHT_PX, 512):  # in strips, for memory
        strip = large[row : row + 512]
        noise = rng.normal(0.0, NOISE, strip.shape).astype(np.float32)
        strip[:] = np.clip(strip + noise, 0.0, 255.0).astype(np.uint8)
    cv2.imwrite(str(path), large, [cv2.IMWRITE_JPEG_QUALITY, 92])


def large_store(folder: Path, frames: int = 3) -> Path:
    """Write a store of such photos, with right proposals; returns its path."""
    (folder / "photos").mkdir(parents=True)
    store = folder / "large.h5"
    with StoreWriter(store) as writer:
        for index in range(frames):
            photo = folder / "photos" / f"large-{index}.jpg"
            large_photo(photo, seed=index)
            result = enlarged(replace(sample_result(FRAME, photo), frame=photo.stem))
            writer.add(
                StoredFrame(
                    frame_index=index,
                    result=result,
                    parameters_sha256="made",
                    processed_utc="2026-01-02T03:04:05Z",
                )
            )
        writer.flush()
    return store


def enlarged(result: FrameResult) -> FrameResult:
    """The same answer for the enlarged photo: pixels scaled about the pixels' corners."""
    assert result.width_px is not None
    assert result.solved is not None
    scale = WIDTH_PX / result.width_px
    down = HEIGHT_PX / result.solved.camera.height_px  # 3:2 but for a row of pixels

    points = tuple(
        replace(point, x=(point.x + 0.5) * scale - 0.5, y=(point.y + 0.5) * down - 0.5)
        for point in result.control_points
    )
    return replace(
        result,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        pixel_pitch_um=(result.pixel_pitch_um or 0.0) / scale,
        solved=_enlarged_camera(result.solved, scale),
        control_points=points,
        hypotheses=tuple(_enlarged_hypothesis(each, scale) for each in result.hypotheses),
    )


def _enlarged_camera(solved: SolvedCamera, scale: float) -> SolvedCamera:
    camera = replace(
        solved.camera,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        focal_px=solved.camera.focal_px * scale,
        principal_point=((WIDTH_PX - 1) / 2.0, (HEIGHT_PX - 1) / 2.0),
    )
    return replace(solved, camera=camera)


def _enlarged_hypothesis(hypothesis: Hypothesis, scale: float) -> Hypothesis:
    return replace(hypothesis, solved=_enlarged_camera(hypothesis.solved, scale))
