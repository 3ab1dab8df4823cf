"""Predict the satellites in a photo, identify its streaks, and format the results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.types import StreakDetections, StreakFlag
from regengine.io.plain import round_or_none
from regengine.io.tables import cell
from regengine.io.times import iso_utc
from regengine.photo.frame import Frame
from regengine.sky.satellites.catalogue import TAIL_ACROSS, TAIL_FACTOR, TAIL_SHARE, Satellites
from regengine.sky.satellites.observer import Exposure
from regengine.sky.satellites.streak_naming import (
    Errors,
    Naming,
    PredictedTracks,
    Streak,
    name_streaks,
)
from regengine.sky.satellites.tracks import Tracks, predict_tracks, sample_track, touch_picture

# Typical accuracy at a signal-to-noise ratio of some 10, for detectors without uncertainties
USUAL_END_PX, USUAL_LINE_PX = 2.0, 0.5
MIN_END_PX, MIN_LINE_PX = 0.7, 0.3  # width of the streak, lens distortion
# Probability that a sunlit satellite in the field is detected. Debris is a hundred times fainter
# than spacecraft, high orbits are a hundred times farther. In the shadow, only flashes are visible,
# and satellites at its edge (refraction, 30 km wide)
SEEN, SEEN_DEBRIS, SEEN_SHADOW = 0.5, 0.08, 0.004
FAR_KM = 3000.0
FRAGMENTS = (" DEB", " COOLANT", " SHROUD")  # endings of debris names in catalogues
LISTED, MIN_LISTED = 5, 0.001
NAMED_FROM = 0.5  # a streak with this probability is reported as a satellite
TRACK_POINTS = 9
CSV_COLUMNS = (
    *("frame", "path", "what", "x1", "y1", "x2", "y2", "name", "norad", "probability"),
    *("offset_px", "offset_deg", "offset_s", "sunlit", "range_km", "altitude_km", "tle_age_h"),
)
TERMINAL_HEADER = f"{'photo':18s} what      x1    y1    x2    y2 {'name':20s} p"


def measure_streaks(found: StreakDetections, exposure: Exposure) -> list[Streak]:
    """Detected streaks, in the picture at mid-exposure.

    Unknown uncertainties are replaced by typical ones.
    """
    known = np.stack([found.sigma_end_px, found.sigma_line_px], axis=-1)
    usual = np.where(np.isfinite(known) & (known > 0.0), known, (USUAL_END_PX, USUAL_LINE_PX))
    sigma = np.maximum(usual, (MIN_END_PX, MIN_LINE_PX))
    half = 0.5 * exposure.exposure_s
    measured = []
    for k, flags in enumerate(found.flags):
        x, y = np.array([found.x1[k], found.x2[k]]), np.array([found.y1[k], found.y2[k]])
        ways = [
            np.stack(exposure.carried(x, y, seconds), axis=-1)
            for seconds in (np.array([-half, half]), np.array([half, -half]))
        ]
        measured.append(
            Streak(
                ends=np.stack(ways),
                cut=(
                    bool(flags & StreakFlag.FIRST_END_OUTSIDE),
                    bool(flags & StreakFlag.SECOND_END_OUTSIDE),
                ),
                sigma_end_px=float(sigma[k, 0]),
                sigma_line_px=float(sigma[k, 1]),
            )
        )
    return measured


def predict_and_name(
    satellites: Satellites, exposure: Exposure, streaks: Sequence[Streak] = ()
) -> tuple[Tracks, list[Naming]]:
    """Predict all tracks in a picture and identify its streaks."""
    tracks = predict_tracks(satellites, exposure)
    kinds = tracks.per_sigma.shape[-1]
    # Probability that each satellite is bright enough at each time, shape (n, T)
    names = [(satellites.sets[row].name or "").upper() for row in tracks.rows]
    debris = np.array([name.endswith(FRAGMENTS) for name in names], bool)
    usual = np.where(debris, SEEN_DEBRIS, SEEN)[:, None]
    usual = usual * np.where(tracks.range_km > FAR_KM, np.sqrt(FAR_KM / tracks.range_km), 1.0)
    lit = np.nan_to_num(tracks.sunlit)
    namings = name_streaks(
        streaks,
        PredictedTracks(
            xy=tracks.xy,
            per_sigma=tracks.per_sigma,
            seconds=tracks.seconds,
            seen=np.asarray(lit * usual + (1.0 - lit) * SEEN_SHADOW),
        ),
        Errors(
            exposure_s=exposure.exposure_s,
            clock_sigma_s=exposure.clock_sigma_s,
            attitude_px=exposure.attitude_sigma_px,
            wide_share=TAIL_SHARE,
            wide=(TAIL_FACTOR, TAIL_ACROSS, TAIL_ACROSS, *(1.0,) * (kinds - 3)),
        ),
        (exposure.field.width_px, exposure.field.height_px),
    )
    return tracks, namings


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedPhoto:
    """A photo, its exposure, and the satellites in it."""

    frame: Frame
    exposure: Exposure
    satellites: Satellites
    tracks: Tracks  # of the satellites near the picture
    streaks: StreakDetections
    namings: Sequence[Naming]  # one per streak


def record_of(photo: NamedPhoto) -> dict[str, Any]:
    """JSON-serialisable record of a photo: tracks, the nearest first; streaks with candidates."""
    exposure, satellites, tracks = photo.exposure, photo.satellites, photo.tracks
    middle = len(tracks.seconds) // 2
    inside = np.flatnonzero(touch_picture(tracks, exposure))
    nearest = inside[np.argsort(tracks.range_km[inside, middle], kind="stable")]
    return {
        "frame": photo.frame.frame_id,
        "path": str(photo.frame.path),
        "time_utc": iso_utc(exposure.start_utc),
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
        "tracks": [_track_record(photo, int(row), middle) for row in nearest],
        "streaks": [_streak_record(photo, k) for k in range(len(photo.streaks))],
    }


def _track_record(photo: NamedPhoto, row: int, middle: int) -> dict[str, Any]:
    """A satellite that crosses the picture."""
    tracks = photo.tracks
    x, y = sample_track(tracks, row, photo.exposure, TRACK_POINTS)
    points = [[round(float(a), 2), round(float(b), 2)] for a, b in zip(x, y, strict=True)]
    return {
        **_satellite(photo, row, middle),
        "points": [None if math.isnan(a + b) else [a, b] for a, b in points],
        "sigma_px": round_or_none(float(np.sqrt(np.nansum(tracks.per_sigma[row, middle] ** 2))), 1),
    }


def _streak_record(photo: NamedPhoto, number: int) -> dict[str, Any]:
    """A streak with its candidates, the most probable first."""
    naming = photo.namings[number]
    listed = []
    for probability, one in list(zip(naming.probability, naming.candidates, strict=True))[:LISTED]:
        if probability < MIN_LISTED:
            continue
        step = int(np.abs(photo.tracks.seconds - one["seconds"]).argmin())
        listed.append(
            {
                **_satellite(photo, int(one["row"]), step),
                "probability": round(float(probability), 6),
                "offset_px": round_or_none(float(one["beside_px"]), 2),
                "offset_deg": round_or_none(float(one["turned_deg"]), 3),
                "offset_s": round_or_none(float(one["ahead_s"]), 3),
            }
        )
    best = listed[0] if listed and listed[0]["probability"] >= NAMED_FROM else {}
    return {
        **{
            key: round(float(getattr(photo.streaks, key)[number]), 2)
            for key in ("x1", "y1", "x2", "y2")
        },
        **{key: best.get(key) for key in ("name", "norad", "probability")},
        "not_in_catalogue": round_or_none(naming.unlisted, 6),
        "candidates": listed,
    }


def _satellite(photo: NamedPhoto, row: int, step: int) -> dict[str, Any]:
    tracks, satellites = photo.tracks, photo.satellites
    number = int(tracks.rows[row])
    return {
        "name": satellites.sets[number].name,
        "norad": satellites.sets[number].satellite,
        "sunlit": bool(tracks.sunlit[row, step] > 0.5),
        "range_km": round_or_none(float(tracks.range_km[row, step]), 1),
        "altitude_km": round_or_none(float(tracks.height_km[row, step]), 1),
        "tle_age_h": round(float(satellites.age_h[number]), 2),
    }


def csv_rows(record: dict[str, Any]) -> list[list[object]]:
    """A record as rows of `CSV_COLUMNS`: its tracks, then its streaks with the best candidate."""
    return [
        [value if isinstance(value, bool) else cell(column, value) for column, value in one]
        for one in ([(k, (record | row).get(k)) for k in CSV_COLUMNS] for row in _rows(record))
    ]


def terminal_lines(record: dict[str, Any]) -> list[str]:
    """A record as lines below `TERMINAL_HEADER`, reduced to 80 columns."""
    return [
        f"{record['frame']:18.18s} {row['what']:6s} "
        + " ".join(
            "    -" if row[k] is None else f"{row[k]:5.0f}" for k in ("x1", "y1", "x2", "y2")
        )
        + f" {row.get('name') or row.get('norad') or '-'!s:20.20s} "
        + ("-" if row.get("probability") is None else f"{row['probability']:.3f}")
        for row in _rows(record)
    ]


def _rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for track in record["tracks"]:
        # A track may have no visible sample if it is visible only between two of them
        seen = [point for point in track["points"] if point is not None] or [(None, None)]
        (x1, y1), (x2, y2) = seen[0], seen[-1]
        rows.append({**track, "x1": x1, "y1": y1, "x2": x2, "y2": y2, "what": "track"})
    for streak in record["streaks"]:
        best = streak["candidates"][0] if streak["norad"] else {}
        rows.append({**best, **streak, "what": "streak"})
    return rows
