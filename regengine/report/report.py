"""Compute the statistics of a store, and write the report page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.io.html import escape_invisible, write_page
from regengine.io.plain import plain
from regengine.io.times import utc_now
from regengine.report.clocks import camera_figures
from regengine.report.figures import (
    VERDICTS,
    Photos,
    decision_figures,
    fair_shares,
    origin_figures,
    reason_figures,
    reliability_figures,
    thin_items,
    time_figures,
    verdict_figures,
)
from regengine.report.page import Listed, report_page, thumbnails
from regengine.report.places import nadirs_of, place_figures, places_of
from regengine.result import Reviewed
from regengine.store.file import CHUNK_ROWS, raise_as_damage
from regengine.store.read import OF_FRAMES, Snapshot, iter_blocks
from regengine.store.reviews import read_reviews
from regengine.store.rows import from_tables, join, select_frames
from regengine.store.schema import select


def run_attributes(store: Path) -> dict[str, Any]:
    """A store's attributes of its creation."""
    with Snapshot(store) as found:
        known = found.journal if found.store is None else found.store
        with raise_as_damage(store):
            return {
                "created": known.attributes.get("created"),
                "command_line": known.attributes.get("command_line"),
                "package_versions": _parse_object(known.attributes.get("package_versions")),
                "format_version": known.format_version,
                "unmerged_frames": len(found.journal.frame_index),
            }


def _parse_object(text: str | None) -> Any:
    """A JSON object; null for any other value."""
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


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


def run_figures(photos: Photos) -> dict[str, Any]:
    """Statistics of all photos."""
    clocks, lenses = camera_figures(photos)
    return {
        **verdict_figures(photos),
        "reasons": reason_figures(photos),
        "reliability": reliability_figures(photos),
        "clocks": _select_most_telling(clocks),
        "lenses": _select_most_telling(lenses),
        "places": place_figures(photos),
        "times": time_figures(photos),
        "origins": origin_figures(photos),
    }


def _select_decisions(photos: Photos, reviews: Mapping[int, Reviewed]) -> dict[int, Reviewed]:
    """Decisions on photos that were in the store when it was read: a run may have added others."""
    known = set(photos["frame_index"].tolist())
    return {number: one for number, one in reviews.items() if number in known}


def to_list(photos: Photos, most: int) -> NDArray[np.int64]:
    """Numbers of at most this many photos, ascending, with a fair share of each verdict."""
    those = {verdict: photos.where("verdict", verdict) for verdict in VERDICTS}
    numbers = {verdict: photos["frame_index"][rows].tolist() for verdict, rows in those.items()}
    shares = fair_shares({verdict: len(of) for verdict, of in numbers.items()}, most)
    kept = [number for verdict, of in numbers.items() for number in thin_items(of, shares[verdict])]
    return np.array(sorted(kept), dtype=np.int64)


def _select_most_telling(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows with most photos, in the given order, and their total number."""
    if len(rows) <= MAX_CAMERA_ROWS:
        return {"groups": len(rows), "rows": rows}
    least = sorted((row["photos"] for row in rows), reverse=True)[MAX_CAMERA_ROWS - 1]
    kept = [row for row in rows if row["photos"] >= least][:MAX_CAMERA_ROWS]
    return {"groups": len(rows), "rows": kept}


def collect_store(store: Path, most_frames: int) -> tuple[dict[str, Any], list[Listed]]:
    """Statistics of a store for `regengine report --json`, and at most this many photos.

    Photos are in the store's order, with a fair share of each verdict, and with their positions. A
    run may be writing the store. StoreError if there is none, or it cannot be read.
    """
    with raise_as_damage(store):
        reviews = read_reviews(store)
        photos = Photos(join(list(iter_blocks(store, COLUMNS, READ_FRAMES)), COLUMNS), reviews)
        listed = to_list(photos, most_frames)
        rows = np.searchsorted(photos["frame_index"], listed)
        places, nadirs = places_of(photos), nadirs_of(photos)
        row_of = dict(zip(listed.tolist(), rows.tolist(), strict=True))
        frames = [
            Listed(
                result=stored.result,
                place=places[row_of[stored.frame_index]].tolist(),
                nadir=nadirs[row_of[stored.frame_index]].tolist(),
                review=reviews.get(stored.frame_index),
            )
            for tables in (iter_blocks(store, OF_FRAMES, CHUNK_ROWS) if len(listed) else ())
            for stored in from_tables(select_frames(tables, listed))
        ]
        figures = run_figures(photos)
    figures["decisions"] = decision_figures(photos, _select_decisions(photos, reviews))
    told = {"store": str(store), "reported_utc": utc_now(), "run": run_attributes(store)}
    return plain(told | figures, escape_invisible), frames


def write_report(
    out: Path,
    store: Path,
    frames: Sequence[Listed],
    figures: Mapping[str, Any],
    *,
    most_thumbnails: int,
    overlays: Path | None = None,
    advance: Callable[[], object] = lambda: None,
) -> int:
    """Write the page atomically; returns the number of thumbnails on it.

    ``frames`` and ``figures`` are those of `collect_store`; ``overlays`` is a folder of overlays to
    link to; ``advance`` is called after each photo that was read. StoreError if it cannot be
    written.
    """
    pictures = thumbnails([one.result for one in frames], store, most_thumbnails, advance)
    folder = out.absolute().parent
    write_page(out, report_page(frames, figures, pictures, folder, overlays))
    return len(pictures)
