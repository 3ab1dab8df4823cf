"""The satellites in a photo, the names of its streaks, and what is printed of both."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from matchers.streak_naming import Errors, Naming, PredictedTracks, Streak, name_streaks
from regengine.errors import FrameError
from regengine.io.plain import rounded
from regengine.io.tables import name_cell, path_cell
from regengine.photo.frame import Frame
from regengine.sky.satellites.catalogue import TAIL_ACROSS, TAIL_FACTOR, TAIL_SHARE, Satellites
from regengine.sky.satellites.observer import Exposure
from regengine.sky.satellites.tracks import Tracks, drawn_track, in_picture, predict_tracks

# What detectors that say nothing of it reach at a signal-to-noise ratio of some 10
USUAL_END_PX, USUAL_LINE_PX = 2.0, 0.5
LEAST_END_PX, LEAST_LINE_PX = 0.7, 0.3  # the light's own width, the lens' distortion
BORDER_PX = 3.0
# Probability that a camera sees a sunlit satellite of the field. Debris is a hundred times fainter
# than spacecraft, high orbits a hundred times farther; nothing in shadow shines, but flashes and
# the edge of the shadow (refraction, 30 km wide) do
SEEN, SEEN_DEBRIS, SEEN_SHADOW = 0.5, 0.08, 0.004
FAR_KM = 3000.0
FRAGMENTS = (" DEB", " COOLANT", " SHROUD")  # how a catalogue's names of debris end
NAMED_FROM = 0.5  # a streak has a name where one satellite is likelier than all else
LISTED, LEAST_LISTED = 5, 0.001
TRACK_POINTS = 9
CSV_COLUMNS = (
    *("frame", "path", "what", "x1", "y1", "x2", "y2", "name", "norad", "probability"),
    *("offset_px", "offset_deg", "offset_s", "sunlit", "range_km", "altitude_km", "tle_age_h"),
)


@dataclass(frozen=True, kw_only=True)
class StreakRecord:
    """One streak of ``regengine detect streaks``, pixels of the picture as stored.

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


def read_streaks(path: Path, photos: Sequence[Path]) -> dict[Path, list[dict[str, Any]]]:
    """Streaks of each photo out of what ``regengine detect streaks --json`` printed.

    A record belongs to the photo of its path's name; the only record to the only photo. Photos
    without a record are missing.

    Raises FrameError if the file cannot be read or holds no such records.
    """
    try:
        text = path.read_text(encoding="utf-8")
        records = [json.loads(line) for line in text.splitlines() if line.strip()]
        named = [
            (Path(str(one.get("path", ""))).name, list(one["streaks"]))
            for one in records
            if "failed" not in one  # photos that could not be read
        ]
    except OSError as error:
        raise FrameError(
            f"{path}: the streaks cannot be read ({error.strerror}): check --streaks."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FrameError(
            f"{path}: holds no streaks, a JSON object with the key 'streaks' on each line: make it "
            "with regengine detect streaks --json."
        ) from error
    if len(named) == 1 and len(photos) == 1:
        return {photos[0]: named[0][1]}
    by_name = dict(named)
    return {photo: by_name[photo.name] for photo in photos if photo.name in by_name}


def streak_of(record: dict[str, Any], width_px: int, height_px: int, source: Path) -> StreakRecord:
    """A record's numbers, with usual ones where it has none.

    Raises FrameError if it has no end points.
    """
    try:
        x1, y1, x2, y2 = (float(record[name]) for name in ("x1", "y1", "x2", "y2"))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FrameError(
            f"{source}: a streak has no end points x1, y1, x2, y2: make the file with "
            "regengine detect streaks --json."
        ) from error
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        raise FrameError(f"{source}: a streak ends nowhere (NaN or infinite): leave it out.")
    flags = record.get("flags") or ()
    told = "flags" in record
    cut = tuple(
        name in flags or (not told and _at_border(x, y, width_px, height_px))
        for name, x, y in (("first_end_outside", x1, y1), ("second_end_outside", x2, y2))
    )
    return StreakRecord(
        x1=x1,
        y1=y1,
        x2=x2,
        y2=y2,
        sigma_end_px=max(_number(record.get("sigma_end_px"), USUAL_END_PX), LEAST_END_PX),
        sigma_line_px=max(_number(record.get("sigma_line_px"), USUAL_LINE_PX), LEAST_LINE_PX),
        cut=(bool(cut[0]), bool(cut[1])),
        kind=str(record.get("kind", "unknown")),
    )


def _at_border(x: float, y: float, width_px: int, height_px: int) -> bool:
    """Whether a place is so near to the border that a streak may go on beyond it."""
    return min(x, width_px - 1 - x) < BORDER_PX or min(y, height_px - 1 - y) < BORDER_PX


def _number(value: object, usual: float) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return usual
    return number if math.isfinite(number) and number > 0.0 else usual


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
    solved: bool


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
        "tracks": _track_records(photo),
        "streaks": _streak_records(photo),
    }


def _track_records(photo: NamedPhoto) -> list[dict[str, Any]]:
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


def _streak_records(photo: NamedPhoto) -> list[dict[str, Any]]:
    """The streaks with their candidates, the most probable first."""
    found = []
    for streak, naming in zip(photo.streaks, photo.found.namings, strict=True):
        listed = [
            _candidate_record(photo, naming.evidence, int(at), float(probability))
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


def _candidate_record(
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


def csv_rows(photo: NamedPhoto) -> list[list[object]]:
    """One photo as rows of `CSV_COLUMNS`: its tracks, then its streaks with their best names."""
    head: list[object] = [name_cell(photo.frame.frame_id), path_cell(photo.frame.path)]
    rows = []
    for track in _track_records(photo):
        ends = [point for point in track["points"] if point is not None]
        places = [*ends[0], *ends[-1]]
        known = ("name", "norad"), ("sunlit", "range_km", "altitude_km", "tle_age_h")
        rows.append(
            [*head, "track", *places, *(track[k] for k in known[0]), "", "", "", ""]
            + [track[k] for k in known[1]]
        )
    for streak in _streak_records(photo):
        best = streak["candidates"][0] if streak["name"] or streak["norad"] else {}
        places = [streak[k] for k in ("x1", "y1", "x2", "y2")]
        rows.append([*head, "streak", *places, *(best.get(k, "") for k in CSV_COLUMNS[7:])])
    rows = [[name_cell(c) if isinstance(c, str) else c for c in row] for row in rows]
    return rows or [[*head, *[""] * (len(CSV_COLUMNS) - 2)]]
