"""What is printed of a photo's satellites: a record for machines, rows for tables."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from regengine.csv_cells import name_cell, path_cell
from regengine.plain_json import rounded
from regengine.satellites.named_photo import NamedPhoto
from regengine.satellites.tracks import drawn_track

NAMED_FROM = 0.5  # a streak has a name where one satellite is likelier than all else
LISTED, LEAST_LISTED = 5, 0.001
TRACK_POINTS = 9
CSV_COLUMNS = (
    *("frame", "path", "what", "x1", "y1", "x2", "y2", "name", "norad", "probability"),
    *("offset_px", "offset_deg", "offset_s", "sunlit", "range_km", "altitude_km", "tle_age_h"),
)


def record_of(photo: NamedPhoto) -> dict[str, Any]:
    """Plain values of one photo."""
    exposure, satellites = photo.exposure, photo.satellites
    return {
        "frame": photo.frame.frame_id,
        "path": str(photo.frame.path),
        "time_utc": exposure.start_utc.isoformat().replace("+00:00", "Z"),
        "exposure_s": exposure.exposure_s,
        "clock_sigma_s": exposure.clock_sigma_s,
        "observer": exposure.observer.describe(exposure.middle_days),
        "mount": "still" if exposure.held_still else "stars",
        "catalogue": {
            "satellites": len(satellites),
            "skipped": satellites.skipped,
            "stale": satellites.stale,
            "median_age_h": round(float(np.median(np.abs(satellites.age_h))), 2),
        },
        "tracks": track_records(photo),
        "streaks": streak_records(photo),
    }


def track_records(photo: NamedPhoto) -> list[dict[str, Any]]:
    """The satellites that cross the picture, the nearest first."""
    tracks = photo.found.tracks
    middle = len(tracks.seconds) // 2
    inside = np.flatnonzero(photo.found.inside)
    found = []
    for row in inside[np.argsort(tracks.range_km[inside, middle], kind="stable")]:
        _, x, y = drawn_track(tracks, int(row), photo.exposure, TRACK_POINTS)
        points = [[round(float(a), 2), round(float(b), 2)] for a, b in zip(x, y, strict=True)]
        sigma = tracks.per_sigma[row, middle]
        found.append(
            {
                **_satellite(photo, int(row), middle),
                "points": [None if math.isnan(a + b) else [a, b] for a, b in points],
                "sigma_px": rounded(float(np.sqrt(np.nansum(sigma**2))), 1),
            }
        )
    return found


def streak_records(photo: NamedPhoto) -> list[dict[str, Any]]:
    """The streaks with their candidates, the most probable first."""
    found = []
    for streak, naming in zip(photo.streaks, photo.found.namings, strict=True):
        listed = [
            candidate_record(photo, naming.evidence, int(at), float(probability))
            for probability, at in zip(naming.probability, naming.order, strict=True)
            if probability >= LEAST_LISTED
        ][:LISTED]
        best = listed[0] if listed and listed[0]["probability"] >= NAMED_FROM else None
        found.append(
            {
                **{key: round(getattr(streak, key), 2) for key in ("x1", "y1", "x2", "y2")},
                "kind": streak.kind,
                "name": best["name"] if best else None,
                "norad": best["norad"] if best else None,
                "probability": best["probability"] if best else None,
                "not_in_catalogue": rounded(naming.unlisted, 6),
                "candidates": listed,
            }
        )
    return found


def candidate_record(
    photo: NamedPhoto, evidence: Any, at: int, probability: float
) -> dict[str, Any]:
    """One satellite that may have drawn a streak."""
    tracks = photo.found.tracks
    row = int(evidence.rows[at])
    step = int(np.abs(tracks.seconds - evidence.seconds[at]).argmin())
    return {
        **_satellite(photo, row, step),
        "probability": round(probability, 6),
        "offset_px": rounded(float(evidence.beside_px[at]), 2),
        "offset_deg": rounded(float(evidence.turned_deg[at]), 3),
        "offset_s": rounded(float(evidence.ahead_s[at]), 3),
    }


def _satellite(photo: NamedPhoto, row: int, step: int) -> dict[str, Any]:
    tracks, satellites = photo.found.tracks, photo.satellites
    number = int(tracks.rows[row])
    return {
        "name": satellites.names[number],
        "norad": satellites.numbers[number],
        "sunlit": bool(tracks.sunlit[row, step] > 0.5),
        "range_km": rounded(float(tracks.range_km[row, step]), 1),
        "altitude_km": rounded(float(tracks.height_km[row, step]), 1),
        "tle_age_h": round(float(satellites.age_h[number]), 2),
    }


def json_line(photo: NamedPhoto) -> str:
    """One photo as a line of NDJSON."""
    return json.dumps(record_of(photo))


def csv_rows(photo: NamedPhoto) -> list[list[object]]:
    """One photo as rows of `CSV_COLUMNS`: its tracks, then its streaks with their best names."""
    head: list[object] = [name_cell(photo.frame.frame_id), path_cell(photo.frame.path)]
    rows = []
    for track in track_records(photo):
        ends = [point for point in track["points"] if point is not None]
        places = [*ends[0], *ends[-1]]
        known = ("name", "norad"), ("sunlit", "range_km", "altitude_km", "tle_age_h")
        rows.append(
            [*head, "track", *places, *(track[k] for k in known[0]), "", "", "", ""]
            + [track[k] for k in known[1]]
        )
    for streak in streak_records(photo):
        best = streak["candidates"][0] if streak["name"] or streak["norad"] else {}
        places = [streak[k] for k in ("x1", "y1", "x2", "y2")]
        rows.append([*head, "streak", *places, *(best.get(k, "") for k in CSV_COLUMNS[7:])])
    rows = [[name_cell(c) if isinstance(c, str) else c for c in row] for row in rows]
    return rows or [[*head, *[""] * (len(CSV_COLUMNS) - 2)]]
