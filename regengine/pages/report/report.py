"""Compute the statistics of a store, and write the report page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from matchers.geometry.footprint import centre_lonlat
from regengine.errors import FrameError
from regengine.io.checksums import compute_sha256
from regengine.io.html import data_address, escape_invisible, link_to, render_page, thumbnail_jpeg
from regengine.io.plain import plain, round_or_none
from regengine.io.times import utc_now
from regengine.maps.places import coastline
from regengine.pages.report.figures import (
    Photos,
    camera_figures,
    decision_figures,
    fair_shares,
    origin_figures,
    outline_of,
    place_figures,
    reason_figures,
    reliability_figures,
    thin_items,
    time_figures,
    verdict_figures,
)
from regengine.registration.overlay import overlay_path
from regengine.store.file import photo_file, raise_as_damage
from regengine.store.read import Snapshot, iter_blocks, iter_frames
from regengine.store.records import VERDICT_WORDS, evidence_text, margin_of, prior_nadir
from regengine.store.result import VERDICTS, FrameResult, Reviewed, decide_state
from regengine.store.reviews import describe_decision, read_reviews
from regengine.store.rows import join
from regengine.store.schema import select

LONGEST_SENTENCE = 300
Listed = tuple[FrameResult, Reviewed | None]  # a photo on the page, and what a person decided


def frame_row(photo: Listed, page_folder: Path, overlays: Path | None) -> dict[str, Any]:
    """One photo's row of the page."""
    result, review = photo
    nadir, places = prior_nadir(result), []
    fit, solved, by_lights = result.fit, result.solved, result.reference_kind == "lights"
    if solved is not None:  # a corner where the centre is sky
        places = [centre_lonlat(solved.camera), *filter(None, result.footprint or ())]
    drawn = None
    if overlays is not None:  # one with the photo's hash in its name has priority
        found = [overlay_path(result, overlays, hashed=hashed) for hashed in (True, False)]
        drawn = next((path for path in found if path.is_file()), None)
    return {
        "frame": result.frame,
        "path": result.path,
        "href": link_to(result.path, page_folder),
        "overlay": None if drawn is None else link_to(drawn, page_folder),
        "verdict": decide_state(result.verdict, review),
        "decided": describe_decision(review),
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
        "place": next(filter(None, map(_round_place, places)), None),
        "nadir": nadir and _round_place((nadir.lon, nadir.lat)),
        "outline": outline_of(result),
        "thumbnail": None,
    }


def _round_place(place: tuple[float, float]) -> list[float] | None:
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
    data = {"figures": figures, "frames": rows, "coastline": coastline(), "words": VERDICT_WORDS}
    content = files("regengine.pages.report").joinpath("report.html").read_text(encoding="utf-8")
    return render_page(content, data, title=f"Report on {Path(figures['store']).name}")


def thumbnails(
    frames: Iterable[FrameResult],
    store: Path,
    most: int,
    advance: Callable[[], object] = lambda: None,
) -> dict[int, bytes]:
    """Thumbnails of some photos, with a fair share of each verdict."""
    from regengine.scene.picture import read_scene_picture

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
            with suppress(FrameError, OSError):
                if compute_sha256(path) == result.sha256:
                    rgb = read_scene_picture(path).rgb
                    # As EXIF says that it is turned
                    if 5 <= result.orientation <= 8:
                        rgb = rgb.swapaxes(0, 1)
                    if result.orientation in (2, 3, 6, 7):
                        rgb = rgb[:, ::-1]
                    if result.orientation in (3, 4, 7, 8):
                        rgb = rgb[::-1]
                    pictures[number] = thumbnail_jpeg(rgb)
            advance()
    return pictures


# Camera bodies by day, and lenses: those with most photos are listed
MAX_CAMERA_ROWS = 500
READ_FRAMES = 65536  # with few columns
# Columns needed for statistics: some 400 bytes per photo
COLUMNS = select(
    *(
        f"frames/{name}"
        for name in (
            *("frame", "path", "verdict", "reasons", "reason_texts", "category", "camera_body"),
            *("focal_mm", "focal_px", "pixel_pitch_um", "width_px", "height_px", "time_utc"),
            *("nadir_source", "nadir_lon", "nadir_lat", "sigma_along_km", "tle_age_h"),
            *("centre_lon", "centre_lat", "footprint_lon", "footprint_lat", "off_nadir_deg"),
            *("along_track_offset_s", "probability", "residual_m", "residual_px", "ncc"),
            *("runner_up_ncc", "matched_lights"),
        )
    ),
    *(f"provenance/{name}" for name in ("engine_version", "lights", "seconds", "processed_utc")),
    "control_points/sigma_m",
)


def _select_most_telling(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows with most photos, in the given order, and their total number."""
    if len(rows) <= MAX_CAMERA_ROWS:
        return {"groups": len(rows), "rows": rows}
    least = sorted((row["photos"] for row in rows), reverse=True)[MAX_CAMERA_ROWS - 1]
    kept = [row for row in rows if row["photos"] >= least][:MAX_CAMERA_ROWS]
    return {"groups": len(rows), "rows": kept}


def collect_store(store: Path, most_frames: int) -> tuple[dict[str, Any], list[Listed]]:
    """Statistics of a store for `regengine report --json`, and at most this many photos.

    Photos are in the store's order, with a fair share of each verdict. A run may be writing the
    store. StoreError if there is none, or it cannot be read.
    """
    with raise_as_damage(store):
        reviews = read_reviews(store)
        photos = Photos(join(list(iter_blocks(store, COLUMNS, READ_FRAMES)), COLUMNS), reviews)
        # A fair share of each verdict
        numbers = photos["frame_index"]
        of = {one: numbers[photos.where("verdict", one)].tolist() for one in VERDICTS}
        shares = fair_shares({verdict: len(of[verdict]) for verdict in of}, most_frames)
        kept = [number for verdict in of for number in thin_items(of[verdict], shares[verdict])]
        frames = [
            (stored.result, reviews.get(stored.frame_index)) for stored in iter_frames(store, kept)
        ]
        clocks, lenses = camera_figures(photos)
        figures = {
            **verdict_figures(photos),
            "reasons": reason_figures(photos),
            "reliability": reliability_figures(photos),
            "clocks": _select_most_telling(clocks),
            "lenses": _select_most_telling(lenses),
            "places": place_figures(photos),
            "times": time_figures(photos),
            "origins": origin_figures(photos),
        }
    # Those on photos that were in the store when it was read: a run may have added others
    known = set(photos["frame_index"].tolist())
    figures["decisions"] = decision_figures(
        photos, {number: one for number, one in reviews.items() if number in known}
    )
    with Snapshot(store) as found, raise_as_damage(store):
        known_by = found.journal if found.store is None else found.store
        try:
            versions = json.loads(known_by.attributes.get("package_versions", "null"))
        except (ValueError, RecursionError):
            versions = None
        run = {
            "created": known_by.attributes.get("created"),
            "command_line": known_by.attributes.get("command_line"),
            "package_versions": versions if isinstance(versions, dict) else None,
            "format_version": known_by.format_version,
            "unmerged_frames": len(found.journal.frame_index),
        }
    told = {"store": str(store), "reported_utc": utc_now(), "run": run}
    return plain(told | figures, escape_invisible), frames
