"""Write the report as one HTML page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from regengine.errors import FrameError
from regengine.io.checksums import compute_sha256
from regengine.io.html import data_address, link_to, render_page, thumbnail_jpeg
from regengine.io.plain import round_or_none
from regengine.places import coastline
from regengine.records import VERDICT_WORDS, evidence_text, margin_of
from regengine.registration.overlay import overlay_path
from regengine.report.figures import VERDICTS, fair_shares, thin_items
from regengine.report.places import outline_of
from regengine.result import FrameResult, Reviewed, decide_state
from regengine.store.file import photo_file
from regengine.store.reviews import describe_decision

LONGEST_SENTENCE = 300


class Listed(NamedTuple):
    """A photo on the page; places are longitude and latitude, NaN if unknown."""

    result: FrameResult
    place: list[float]
    nadir: list[float]
    review: Reviewed | None


def frame_row(photo: Listed, page_folder: Path, overlays: Path | None) -> dict[str, Any]:
    """One photo's row of the page."""
    result = photo.result
    fit, solved, by_lights = result.fit, result.solved, result.reference_kind == "lights"
    drawn = None
    if overlays is not None:  # one with the photo's hash in its name has priority
        found = [overlay_path(result, overlays, hashed=hashed) for hashed in (True, False)]
        drawn = next((path for path in found if path.is_file()), None)
    return {
        "frame": result.frame,
        "path": result.path,
        "href": link_to(result.path, page_folder),
        "overlay": None if drawn is None else link_to(drawn, page_folder),
        "verdict": decide_state(result.verdict, photo.review),
        "decided": describe_decision(photo.review),
        "probability": result.probability,
        "reasons": [reason.code for reason in result.reasons],
        "why": " ".join(reason.text for reason in result.reasons)[:LONGEST_SENTENCE],
        "category": result.category,
        "camera_body": result.camera_body,
        "focal_mm": result.focal_mm,
        "time_utc": result.time_utc,
        "sigma_m": round_or_none(max((p.sigma_m for p in result.control_points), default=None), 1),
        "residual_m": None if fit is None else round_or_none(fit.residual_m, 1),
        "margin": round_or_none(margin_of(result), 3),
        "placed_on": None if fit is None else result.reference_kind,
        "lights": fit.matched_lights if fit is not None and by_lights else None,
        "patches": None if by_lights else evidence_text(result),
        "off_nadir_deg": None if solved is None else round_or_none(solved.off_nadir_deg, 1),
        "offset_s": None if solved is None else round_or_none(solved.along_track_offset_s, 1),
        "seconds": round_or_none(result.seconds, 2),
        "place": _round_place(photo.place),
        "nadir": _round_place(photo.nadir),
        "outline": outline_of(result),
        "thumbnail": None,
    }


def _round_place(place: list[float]) -> list[float] | None:
    return [round(degrees, 2) for degrees in place] if np.isfinite(place).all() else None


def report_page(
    frames: Sequence[Listed],
    figures: Mapping[str, Any],
    pictures: Mapping[int, bytes],
    page_folder: Path,
    overlays: Path | None = None,
) -> str:
    """The page of a run."""
    rows = []
    for number, photo in enumerate(frames):
        row = frame_row(photo, page_folder, overlays)
        if number in pictures:
            row["thumbnail"] = data_address(pictures[number])
        rows.append(row)
    data = {
        "figures": figures,
        "frames": rows,
        "coastline": coastline(),
        "words": VERDICT_WORDS,
    }
    content = files("regengine.report").joinpath("report.html").read_text(encoding="utf-8")
    return render_page(content, data, title=f"Report on {Path(figures['store']).name}")


def thumbnails(
    frames: Iterable[FrameResult],
    store: Path,
    most: int,
    advance: Callable[[], object] = lambda: None,
) -> dict[int, bytes]:
    """Thumbnails of some photos, with a fair share of each verdict."""
    found: dict[str, list[tuple[int, FrameResult, Path]]] = {verdict: [] for verdict in VERDICTS}
    for number, result in enumerate(frames):
        wanted = result.verdict != "failed" and most > 0
        path = photo_file(result.path, store, result.sha256) if wanted else None
        if path is not None:
            found[result.verdict].append((number, result, path))
    shares = fair_shares({verdict: len(items) for verdict, items in found.items()}, most)
    pictures = {}
    for verdict, items in found.items():
        for number, result, path in thin_items(items, shares[verdict]):
            picture = photo_thumbnail(result, path)
            if picture is not None:
                pictures[number] = picture
            advance()
    return pictures


def photo_thumbnail(result: FrameResult, path: Path) -> bytes | None:
    """A thumbnail with the EXIF orientation applied."""
    from regengine.scene.picture import read_scene_picture

    try:
        if compute_sha256(path) != result.sha256:
            return None
        rgb = read_scene_picture(path).rgb
        if 5 <= result.orientation <= 8:
            rgb = rgb.swapaxes(0, 1)
        if result.orientation in (2, 3, 6, 7):
            rgb = rgb[:, ::-1]
        return thumbnail_jpeg(rgb[::-1] if result.orientation in (3, 4, 7, 8) else rgb)
    except (FrameError, OSError):
        return None
