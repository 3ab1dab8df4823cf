"""Convert imported points to a decision on a frame, and compare them with its camera."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.footprint import WGS84
from regengine.errors import ConfigError
from regengine.frames.importing.points import PhotoPoints
from regengine.photo.frame_ids import archive_frame_id
from regengine.registration.points.solve_points import solve
from regengine.store.read import find_frames, iter_blocks, read_frames_numbered
from regengine.store.result import FrameResult, ReviewedPoint
from regengine.store.reviews import (
    FOLLOWS_PX,
    Decisions,
    Work,
    check_work,
    describe_judged_state,
    off_camera_px,
)
from regengine.store.rows import StoredFrame
from regengine.store.schema import select


def read_imported_work(result: FrameResult, imported: PhotoPoints) -> Work:
    """A person's work on a frame: the points, and the engine's camera refitted to them.

    Points that only repeat the engine's camera are not counted as placed by hand.

    ConfigError if points lie outside of the photo, or the fitted camera is at an impossible
    position.
    """
    pixels = [(point.x, point.y) for point in imported.points]
    size_px = result.width_px or 0, result.height_px or 0
    try:
        check_work(pixels, None, size_px)
        camera = _camera(result, imported.points)
        check_work((), camera, size_px)
    except ConfigError as error:
        raise ConfigError(
            f"{imported.file}: its points do not fit the photo ({error}): check columns and units."
        ) from error
    return {
        "camera": None if camera is None else asdict(camera),
        "points": _points(result, imported.points),
        "hypothesis": None,
        "comment": f"imported from {imported.file.name}",
        "tags": ["imported"],
        "quality": None,
        "place": None,
    }


def _points(result: FrameResult, points: tuple[ReviewedPoint, ...]) -> list[dict[str, Any]]:
    told = [asdict(point) for point in points]
    if result.solved is None:
        return [point | {"by_hand": True} for point in told]
    off_px = off_camera_px(told, result.solved.camera).tolist()
    return [
        point if off < FOLLOWS_PX else point | {"by_hand": True}
        for point, off in zip(told, off_px, strict=True)
    ]


def keep(
    decisions: Decisions, stored: StoredFrame, imported: PhotoPoints, work: Work, reviewer: str
) -> None:
    """Save a decision that accepts the frame with this work; StoreError if that fails."""
    judged = describe_judged_state(stored.frame_index, stored.result)
    heads = decisions.heads(stored.frame_index, judged.sha256)
    own = [head.revision for head in heads if head.reviewer == reviewer]
    decisions.save(judged, reviewer, "accepted", work, base=own[0] if own else 0)


def _camera(result: FrameResult, points: tuple[ReviewedPoint, ...]) -> Camera | None:
    if result.solved is None:
        return None
    try:
        return solve(result.solved.camera, points).fit.camera
    except ConfigError:  # no camera fits: the points are saved without one
        return None


# A position is right within 1 % of the footprint's diagonal, or within 1 km if that is larger
RIGHT_SHARE = 0.01
RIGHT_KM = 1.0
READ_FRAMES = 65536


def score(result: FrameResult, points: tuple[ReviewedPoint, ...]) -> dict[str, FloatArray]:
    """Compare points with the engine's camera, arrays of shape (n,).

    ``dx_px``, ``dy_px`` and ``residual_px`` are point minus camera, NaN where the place is not
    visible. ``residual_m`` is the distance between the place and the ground position of the pixel,
    NaN for sky. ``right`` is 1 if the engine's camera is right there, with the point as truth, else
    0. All are NaN without a camera.
    """
    px, py, lon, lat = np.array([(p.x, p.y, p.lon, p.lat) for p in points]).T
    x = y = ground_lon = ground_lat = np.full(len(points), np.nan)
    if result.solved is not None:
        camera = result.solved.camera
        with np.errstate(all="ignore"):
            x, y = camera.lonlat_to_pixel(lon, lat)
            ground_lon, ground_lat = camera.pixel_to_lonlat(px, py)
    shown = np.isfinite(ground_lon)
    metres = np.full(len(points), np.nan)
    metres[shown] = WGS84.inv(ground_lon[shown], ground_lat[shown], lon[shown], lat[shown])[2]
    allowed_m = max(RIGHT_KM, RIGHT_SHARE * (result.footprint_diagonal_km or 0.0)) * 1e3
    return {
        "dx_px": px - x,
        "dy_px": py - y,
        "residual_px": np.hypot(px - x, py - y),
        "residual_m": metres,
        "right": np.where(shown, metres <= allowed_m, np.nan),
    }


def summary(scores: dict[str, FloatArray]) -> dict[str, Any]:
    """Root mean squares and shares over some points; None where nothing is known."""
    right = scores["right"]
    return {
        "count": len(right),
        "rms_px": _rms(scores["residual_px"]),
        "rms_m": _rms(scores["residual_m"]),
        "right": int(np.nansum(right)),
        "unseen": int(np.isnan(right).sum()),
    }


def _rms(values: FloatArray) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(known**2))) if known.size else None


def frames_by_name(store: Path, photos: Iterable[str]) -> dict[str, StoredFrame]:
    """Find the frames of the given names, reading the store's names once.

    Names are frame ids, or file names with or without endings. ConfigError if a name matches no
    frame, or several; StoreError if the store cannot be read.
    """
    wanted: dict[str, set[str]] = {}
    for photo in photos:
        for spelling in _spellings(photo):
            wanted.setdefault(spelling, set()).add(photo)
    found: dict[str, set[int]] = {photo: set() for names in wanted.values() for photo in names}
    for tables in iter_blocks(store, select("frames/frame", "frames/path"), READ_FRAMES):
        rows = tables["frames"]
        for number, frame, path in zip(
            *(rows[name].tolist() for name in ("frame_index", "frame", "path")), strict=True
        ):
            names = _spellings(frame.decode()) | _spellings(path.decode())
            for photo in set().union(*(wanted.get(name, set()) for name in names)):
                found[photo].add(number)
    stored = {}
    for photo, numbers in found.items():
        if len(numbers) != 1:
            many = f"{len(numbers)} frames" if numbers else "no frame"
            raise ConfigError(
                f"{store} has {many} named {photo}: name the frame with --frame, one file at a "
                "time."
            )
        stored[photo] = read_frames_numbered(store, numbers)[0]
    return stored


def frame_named(store: Path, name: str) -> StoredFrame:
    """Find the frame of a name; ConfigError if none or several match."""
    found = find_frames(store, name)
    if len(found) > 1:
        raise ConfigError(
            f"{store} has {len(found)} frames named {name}: give the beginning of the SHA-256 of "
            "one."
        )
    return found[0]


def _spellings(name: str) -> set[str]:
    """Variants of a name: without its folder, without its ending, and as spelled in the archive."""
    base = re.split(r"[/\\]", name)[-1]
    found = {base, Path(base).stem or base}
    return {spelling.casefold() for spelling in (*found, archive_frame_id(base) or base)}
