"""The satellites in a photo, the names of its streaks, and what is printed of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray, StreakDetections, StreakFlag
from matchers.streak_naming import Errors, Naming, PredictedTracks, Streak, name_streaks
from regengine.io.plain import rounded
from regengine.io.tables import cell
from regengine.photo.frame import Frame
from regengine.sky.drawing import NAMED_FROM
from regengine.sky.satellites.catalogue import TAIL_ACROSS, TAIL_FACTOR, TAIL_SHARE, Satellites
from regengine.sky.satellites.observer import Exposure
from regengine.sky.satellites.tracks import Tracks, drawn_track, in_picture, predict_tracks

# What detectors that say nothing of it reach at a signal-to-noise ratio of some 10
USUAL_END_PX, USUAL_LINE_PX = 2.0, 0.5
LEAST_END_PX, LEAST_LINE_PX = 0.7, 0.3  # the light's own width, the lens' distortion
# Probability that a camera sees a sunlit satellite of the field. Debris is a hundred times fainter
# than spacecraft, high orbits a hundred times farther; nothing in shadow shines, but flashes and
# the edge of the shadow (refraction, 30 km wide) do
SEEN, SEEN_DEBRIS, SEEN_SHADOW = 0.5, 0.08, 0.004
FAR_KM = 3000.0
FRAGMENTS = (" DEB", " COOLANT", " SHROUD")  # how a catalogue's names of debris end
LISTED, LEAST_LISTED = 5, 0.001
TRACK_POINTS = 9
CSV_COLUMNS = (
    *("frame", "path", "what", "x1", "y1", "x2", "y2", "name", "norad", "probability"),
    *("offset_px", "offset_deg", "offset_s", "sunlit", "range_km", "altitude_km", "tle_age_h"),
)


@dataclass(frozen=True, kw_only=True)
class StreakRecord:
    """One streak, pixels of the picture as stored.

    ``cut`` says which ends lie at the border, ``kind`` what the detector takes it for.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    sigma_end_px: float
    sigma_line_px: float
    cut: tuple[bool, bool]
    kind: str = "unknown"

    def measured(self, exposure: Exposure) -> Streak:
        """The same in the picture of the exposure's middle."""
        half = 0.5 * exposure.exposure_s
        x, y = np.array([self.x1, self.x2]), np.array([self.y1, self.y2])
        ways = [
            np.stack(exposure.carried(x, y, seconds), axis=-1)
            for seconds in (np.array([-half, half]), np.array([half, -half]))
        ]
        return Streak(
            ends=np.stack(ways),
            cut=self.cut,
            sigma_end_px=self.sigma_end_px,
            sigma_line_px=self.sigma_line_px,
        )


def streak_records(found: StreakDetections) -> tuple[StreakRecord, ...]:
    """Streaks as they were detected, with usual uncertainties where none are known."""
    known = np.stack([found.sigma_end_px, found.sigma_line_px], axis=-1)
    usual = np.where(np.isfinite(known) & (known > 0.0), known, (USUAL_END_PX, USUAL_LINE_PX))
    sigma = np.maximum(usual, (LEAST_END_PX, LEAST_LINE_PX))
    return tuple(
        StreakRecord(
            x1=float(found.x1[k]),
            y1=float(found.y1[k]),
            x2=float(found.x2[k]),
            y2=float(found.y2[k]),
            sigma_end_px=float(sigma[k, 0]),
            sigma_line_px=float(sigma[k, 1]),
            cut=(
                bool(found.flags[k] & StreakFlag.FIRST_END_OUTSIDE),
                bool(found.flags[k] & StreakFlag.SECOND_END_OUTSIDE),
            ),
            kind=str(found.kind[k]),
        )
        for k in range(len(found))
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class SatellitesInPicture:
    """What is known of one picture."""

    tracks: Tracks  # of the satellites near it
    inside: NDArray[np.bool_]  # shape (n,): those that cross it while it is exposed
    namings: list[Naming]  # one for each streak given


def satellites_in_picture(
    satellites: Satellites, exposure: Exposure, streaks: Sequence[StreakRecord] = ()
) -> SatellitesInPicture:
    """Predict all tracks in a picture and name its streaks."""
    tracks = predict_tracks(satellites, exposure)
    measured: list[Streak] = [one.measured(exposure) for one in streaks]
    kinds = tracks.per_sigma.shape[-1]
    namings = name_streaks(
        measured,
        PredictedTracks(
            xy=tracks.xy,
            per_sigma=tracks.per_sigma,
            seconds=tracks.seconds,
            seen=_seen_probability(satellites, tracks),
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
    return SatellitesInPicture(tracks=tracks, inside=in_picture(tracks, exposure), namings=namings)


def _seen_probability(satellites: Satellites, tracks: Tracks) -> FloatArray:
    """Probability that each satellite is bright enough at each moment, shape (n, T)."""
    names = [(satellites.names[row] or "").upper() for row in tracks.rows]
    debris = np.array([name.endswith(FRAGMENTS) for name in names], bool)
    usual = np.where(debris, SEEN_DEBRIS, SEEN)[:, None]
    usual = usual * np.where(tracks.range_km > FAR_KM, np.sqrt(FAR_KM / tracks.range_km), 1.0)
    lit = np.nan_to_num(tracks.sunlit)
    return np.asarray(lit * usual + (1.0 - lit) * SEEN_SHADOW)


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedPhoto:
    """A photo, its exposure, and the satellites in it."""

    frame: Frame
    exposure: Exposure
    satellites: Satellites
    found: SatellitesInPicture
    streaks: tuple[StreakRecord, ...]


def record_of(photo: NamedPhoto) -> dict[str, Any]:
    """Plain values of one photo: tracks, the nearest first; streaks with their candidates."""
    exposure, satellites, tracks = photo.exposure, photo.satellites, photo.found.tracks
    middle = len(tracks.seconds) // 2
    inside = np.flatnonzero(photo.found.inside)
    nearest = inside[np.argsort(tracks.range_km[inside, middle], kind="stable")]
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
        "tracks": [_track_record(photo, int(row), middle) for row in nearest],
        "streaks": [
            _streak_record(photo, streak, naming)
            for streak, naming in zip(photo.streaks, photo.found.namings, strict=True)
        ],
    }


def _track_record(photo: NamedPhoto, row: int, middle: int) -> dict[str, Any]:
    """A satellite that crosses the picture."""
    tracks = photo.found.tracks
    _, x, y = drawn_track(tracks, row, photo.exposure, TRACK_POINTS)
    points = [[round(float(a), 2), round(float(b), 2)] for a, b in zip(x, y, strict=True)]
    return {
        **_satellite(photo, row, middle),
        "points": [None if math.isnan(a + b) else [a, b] for a, b in points],
        "sigma_px": rounded(float(np.sqrt(np.nansum(tracks.per_sigma[row, middle] ** 2))), 1),
    }


def _streak_record(photo: NamedPhoto, streak: StreakRecord, naming: Naming) -> dict[str, Any]:
    """A streak with its candidates, the most probable first."""
    tracks, evidence = photo.found.tracks, naming.evidence
    listed = []
    for probability, at in zip(naming.probability[:LISTED], naming.order[:LISTED], strict=True):
        if probability < LEAST_LISTED:
            continue
        step = int(np.abs(tracks.seconds - evidence.seconds[at]).argmin())
        listed.append(
            {
                **_satellite(photo, int(evidence.rows[at]), step),
                "probability": round(float(probability), 6),
                "offset_px": rounded(float(evidence.beside_px[at]), 2),
                "offset_deg": rounded(float(evidence.turned_deg[at]), 3),
                "offset_s": rounded(float(evidence.ahead_s[at]), 3),
            }
        )
    best = listed[0] if listed and listed[0]["probability"] >= NAMED_FROM else {}
    return {
        **{key: round(getattr(streak, key), 2) for key in ("x1", "y1", "x2", "y2")},
        "kind": streak.kind,
        **{key: best.get(key) for key in ("name", "norad", "probability")},
        "not_in_catalogue": rounded(naming.unlisted, 6),
        "candidates": listed,
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


def csv_rows(record: dict[str, Any]) -> list[list[object]]:
    """A record as rows of `CSV_COLUMNS`: its tracks, then its streaks with their best names."""
    rows: list[dict[str, Any]] = []
    for track in record["tracks"]:
        # None of its points may be in view where it is between two of them
        seen = [point for point in track["points"] if point is not None] or [(None, None)]
        (x1, y1), (x2, y2) = seen[0], seen[-1]
        rows.append({**track, "x1": x1, "y1": y1, "x2": x2, "y2": y2, "what": "track"})
    for streak in record["streaks"]:
        best = streak["candidates"][0] if streak["norad"] else {}
        rows.append({**best, **streak, "what": "streak"})
    return [
        [value if isinstance(value, bool) else cell(column, value) for column, value in one]
        for one in ([(k, (record | row).get(k)) for k in CSV_COLUMNS] for row in rows or [{}])
    ]
