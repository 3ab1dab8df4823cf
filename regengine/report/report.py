"""Compute the statistics of a store, and write the report page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from regengine.io.html import escape_invisible
from regengine.io.plain import plain
from regengine.io.times import utc_now
from regengine.report.figures import (
    VERDICTS,
    Photos,
    camera_figures,
    decision_figures,
    fair_shares,
    origin_figures,
    reason_figures,
    reliability_figures,
    thin_items,
    time_figures,
    verdict_figures,
)
from regengine.report.page import Listed
from regengine.report.places import nadirs_of, place_figures, places_of
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
        # A fair share of each verdict
        numbers = photos["frame_index"]
        of = {one: numbers[photos.where("verdict", one)].tolist() for one in VERDICTS}
        shares = fair_shares({verdict: len(of[verdict]) for verdict in of}, most_frames)
        kept = [number for verdict in of for number in thin_items(of[verdict], shares[verdict])]
        listed = np.array(sorted(kept), dtype=np.int64)
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
    # Those on photos that were in the store when it was read: a run may have added others
    known = set(photos["frame_index"].tolist())
    figures["decisions"] = decision_figures(
        photos, {number: one for number, one in reviews.items() if number in known}
    )
    told = {"store": str(store), "reported_utc": utc_now(), "run": run_attributes(store)}
    return plain(told | figures, escape_invisible), frames
