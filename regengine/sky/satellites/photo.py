"""Photos with satellites: tracks predicted, streaks identified, records and drawings."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detectors.types import FloatArray, StreakDetections, StreakDetector, StreakFlag
from regengine.errors import FrameError
from regengine.io.plain import round_or_none
from regengine.io.tables import cell, csv_lines
from regengine.io.times import iso_utc
from regengine.orbit.propagation import position_from_elements
from regengine.orbit.tle import TleSet
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.scene import drawing
from regengine.scene.detection import ENDS, STREAKS
from regengine.sky.satellites.identification import Naming, Streak, name_streaks
from regengine.sky.satellites.tracks import (
    Exposure,
    Satellites,
    SkyProjection,
    Tracks,
    choose_satellites,
    predict_tracks,
    sample_track,
    touch_picture,
)
from regengine.sky.stars.photo import SolveJob, read_wcs
from regengine.sky.stars.solve import StarSolution
from regengine.store.result import Answer

NAMED_FROM = 0.5  # a streak with this probability is reported as a satellite
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
    # Of ends, and across: the typical accuracy at a signal-to-noise ratio of some 10, for detectors
    # without uncertainties, and the least, by the width of the streak and lens distortion
    usual = np.where(np.isfinite(known) & (known > 0.0), known, (2.0, 0.5))
    sigma = np.maximum(usual, (0.7, 0.3))
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
    station = exposure.station
    nadir = position_from_elements(station, exposure.middle_utc)
    middle = len(tracks.seconds) // 2
    inside = np.flatnonzero(touch_picture(tracks, exposure))
    crossing = []
    for row in inside[np.argsort(tracks.range_km[inside, middle], kind="stable")].tolist():
        x, y = sample_track(tracks, row, exposure, 9)
        points = [[round(float(a), 2), round(float(b), 2)] for a, b in zip(x, y, strict=True)]
        sigma_px = float(np.sqrt(np.nansum(tracks.per_sigma[row, middle] ** 2)))
        track = {
            **_satellite(photo, row, middle),
            "points": [None if math.isnan(a + b) else [a, b] for a, b in points],
            "sigma_px": round_or_none(sigma_px, 1),
        }
        crossing.append(track)
    streaks = []
    for number, naming in enumerate(photo.namings):
        # Candidates, the most probable first
        listed = []
        for share, one in list(zip(naming.probability, naming.candidates, strict=True))[:5]:
            if share < 0.001:
                continue
            step = int(np.abs(tracks.seconds - one["seconds"]).argmin())
            candidate = {
                **_satellite(photo, int(one["row"]), step),
                "probability": round(float(share), 6),
                "offset_px": round_or_none(float(one["beside_px"]), 2),
                "offset_deg": round_or_none(float(one["turned_deg"]), 3),
                "offset_s": round_or_none(float(one["ahead_s"]), 3),
            }
            listed.append(candidate)
        best = listed[0] if listed and listed[0]["probability"] >= NAMED_FROM else {}
        ends = {key: round(float(getattr(photo.streaks, key)[number]), 2) for key in ENDS}
        streaks.append(
            {
                **ends,
                **{key: best.get(key) for key in ("name", "norad", "probability")},
                "not_in_catalogue": round_or_none(naming.unlisted, 6),
                "candidates": listed,
            }
        )
    return {
        "frame": photo.frame.frame_id,
        "path": str(photo.frame.path),
        "time_utc": iso_utc(exposure.start_utc),
        "exposure_s": exposure.exposure_s,
        "clock_sigma_s": exposure.clock_sigma_s,
        "observer": {
            "kind": "station",
            "norad": station.satellite,
            "name": station.name,
            "lat": round(nadir.lat, 4),
            "lon": round(nadir.lon, 4),
            "altitude_km": round(nadir.altitude_km, 2),
            "tle_age_h": round(station.age_h(exposure.middle_utc), 2),
        },
        "mount": "still" if exposure.held_still else "stars",
        "catalogue": {
            "satellites": len(satellites.sets),
            "skipped": satellites.skipped,
            "stale": satellites.stale,
            "median_age_h": round(float(np.median(np.abs(satellites.age_h))), 2),
        },
        "tracks": crossing,
        "streaks": streaks,
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


def table_lines(record: dict[str, Any], *, on_terminal: bool) -> Iterable[str]:
    """A record as lines below `TERMINAL_HEADER`, in 80 columns, or as CSV of `CSV_COLUMNS`.

    Its tracks come first, then its streaks with the best candidate.
    """
    rows: list[dict[str, Any]] = []
    for track in record["tracks"]:
        # A track may have no visible sample if it is visible only between two of them
        seen = [point for point in track["points"] if point is not None] or [(None, None)]
        (x1, y1), (x2, y2) = seen[0], seen[-1]
        rows.append({**track, "x1": x1, "y1": y1, "x2": x2, "y2": y2, "what": "track"})
    for streak in record["streaks"]:
        best = streak["candidates"][0] if streak["norad"] else {}
        rows.append({**best, **streak, "what": "streak"})
    if not on_terminal:
        cells = ([(k, (record | row).get(k)) for k in CSV_COLUMNS] for row in rows)
        return csv_lines(
            [value if isinstance(value, bool) else cell(column, value) for column, value in one]
            for one in cells
        )
    return [
        f"{record['frame']:18.18s} {row['what']:6s} "
        + " ".join(
            "    -" if row[k] is None else f"{row[k]:5.0f}" for k in ("x1", "y1", "x2", "y2")
        )
        + f" {row.get('name') or row.get('norad') or '-'!s:20.20s} "
        + ("-" if row.get("probability") is None else f"{row['probability']:.3f}")
        for row in rows
    ]


NAMED_GAP_PX = 9.0  # between a streak's edge and its outline


def draw_satellites(photo: NamedPhoto, target: Path) -> None:
    """Draw predicted tracks and identified streaks.

    Tracks are cyan where the satellite is sunlit and grey in the Earth's shadow, with an arrowhead
    at their end. Streaks are outlined: green with a probability of 0.9 and more, yellow with a
    lower one, red if no satellite of the catalogue explains them.
    """
    picture, factor = drawing.brighten(photo.frame.path)
    tracks, middle = photo.tracks, len(photo.tracks.seconds) // 2
    known = [photo.satellites.sets[number] for number in tracks.rows]
    names = [one.name or one.satellite for one in known]
    rows = np.flatnonzero(touch_picture(tracks, photo.exposure))
    lit = tracks.sunlit[rows, middle] > 0.5
    named = set()
    streaks = photo.streaks
    ends = np.column_stack([streaks.x1, streaks.y1, streaks.x2, streaks.y2])
    for end, naming in zip(ends, photo.namings, strict=True):
        best = float(naming.probability[0]) if len(naming.probability) else 0.0
        text, colour = "not in catalogue", drawing.RED
        if best >= NAMED_FROM:
            row = int(naming.candidates["row"][0])
            named.add(row)
            # Probability of an identification
            text, colour = (
                f"{names[row]}  P {best:.3f}",
                drawing.GREEN if best >= 0.9 else drawing.YELLOW,
            )
        elif naming.unlisted < NAMED_FROM:
            text, colour = "ambiguous", drawing.YELLOW
        at, across = drawing.draw_streak_outline(picture, end, factor, colour, gap_px=NAMED_GAP_PX)
        # To the right of the rightmost outline, so that the label covers no light
        beside = across if across[0] > 0.0 else -across
        x, y = at + 1.5 * NAMED_GAP_PX / factor * beside
        column, row = drawing.picture_pixel(x, y, factor)
        lower = 14 if beside[1] >= 0.0 else 0
        place = (column + drawing.LABEL_RIGHT_PX, row + lower - drawing.LABEL_UP_PX)
        drawing.draw_label(picture, text, place, colour)
    order = np.argsort(np.where(lit, tracks.range_km[rows, middle], np.inf), kind="stable")
    for rank, k in enumerate(order):
        row = int(rows[k])
        # More labels would overlap
        show = rank < 40 and row not in named and lit[k]
        x, y = sample_track(tracks, row, photo.exposure)
        colour = drawing.CYAN if lit[k] else drawing.SHADOW
        _draw_track(picture, x, y, factor, colour, names[row] if show else None)
    tracks_of = {"sunlit track": drawing.CYAN, "track in shadow": drawing.SHADOW}
    drawing.draw_legend(
        picture,
        tracks_of
        | {"named": drawing.GREEN, "ambiguous": drawing.YELLOW, "unexplained": drawing.RED},
    )
    drawing.write_picture(picture, target)


def _draw_track(
    picture: drawing.Picture,
    x: FloatArray,
    y: FloatArray,
    factor: float,
    colour: drawing.Colour,
    name: str | None,
) -> None:
    """Draw a line with an arrowhead at its end, and a name next to its middle.

    It is interrupted where a position is NaN.
    """
    height, width = picture.shape[:2]
    near = np.isfinite(x + y) & (np.maximum(abs(x), abs(y)) * factor < 3 * max(height, width))
    runs = [
        [
            drawing.picture_pixel(float(a), float(b), factor)
            for a, b in zip(x[run], y[run], strict=True)
        ]
        for run in np.ma.clump_masked(np.ma.array(x, mask=near))
    ]
    runs = [run for run in runs if len(run) > 1]
    if not runs:
        return
    for run in runs:
        cv2.polylines(picture, [np.array(run, np.int32)], False, colour, 1, cv2.LINE_AA)
    before, end = runs[-1][-2:]
    size = max(float(np.hypot(*np.subtract(end, before))), 1.0)
    cv2.arrowedLine(picture, before, end, colour, 1, cv2.LINE_AA, tipLength=8.0 / size)
    inside = [p for run in runs for p in run if 0 <= p[0] < width and 0 <= p[1] < height]
    if name and inside:
        column, row = inside[len(inside) // 2]
        drawing.draw_label(
            picture, name, (column + drawing.LABEL_RIGHT_PX, row - drawing.LABEL_UP_PX), colour
        )


@dataclass(frozen=True, kw_only=True)
class SatelliteJob:
    """Settings of ``regengine satellites``; call it with a path; picklable."""

    catalogue: TleSet  # of every satellite
    station: TleSet  # element sets of the satellite with the camera
    # Start of the exposure; None: from EXIF or the FITS header
    time_utc: datetime | None = None
    exposure_s: float | None = None  # duration; None: likewise
    clock_sigma_s: float = 1.0
    mount: str = "auto"  # "stars", "still" or "auto"
    wcs: Path | None = None
    detector: StreakDetector | None = None  # for streaks; None: streaks are not detected
    overlays: drawing.PicturePaths | None = None
    on_terminal: bool = False  # format as terminal lines instead of CSV

    def __call__(self, path: Path) -> Answer:
        """The photo's record and rows; draws the overlay if requested.

        Raises RegengineError with a message if an input is missing.
        """
        photo = self.named(path)
        if self.overlays is not None:
            draw_satellites(photo, self.overlays.of(path))
        record = record_of(photo)
        lines = table_lines(record, on_terminal=self.on_terminal)
        return Answer(line=json.dumps(record), text="\n".join(lines))

    def named(self, path: Path) -> NamedPhoto:
        """Predict the satellites in a photo, and identify its streaks."""
        frame = read_frame(path, options=FrameOptions(time_utc=self.time_utc))
        exposure_s = self.exposure_s if self.exposure_s is not None else frame.exposure_s
        if frame.time_utc is None:
            raise FrameError(
                f"{path}: its time is unknown (no EXIF, no DATE-OBS): give the start of the "
                "exposure with --time.",
                code="no_time",
            )
        if exposure_s is None:
            raise FrameError(
                f"{path}: its exposure time is unknown: give it with --exposure-s.",
                code="no_exposure",
            )
        satellites = choose_satellites(self.catalogue, frame.time_utc)
        # Attitude of the picture, its one sigma, and the length of star trails (if solved)
        sky: SkyProjection
        trail_px: float | None = None
        if self.wcs is not None:
            sky = read_wcs(self.wcs, (frame.width_px, frame.height_px))
            sigma_px = sky.rms_px
        else:
            solved = SolveJob()(frame.path)
            solution = solved.outcome
            if not isinstance(solution, StarSolution):
                raise FrameError(
                    f"{frame.path}: its pointing is unknown, since its stars were not identified "
                    f"({solution.code}): give a solved field with --wcs.",
                    code="not_solved",
                )
            sky, trail = solution.camera, solved.stars.trail_px
            sigma_px = 3.0 * solution.rms_px / math.sqrt(len(solution))
            trail_px = 0.0 if trail is None else float(np.hypot(*trail))
        exposure = Exposure(
            field=sky,
            start_utc=frame.time_utc,
            exposure_s=exposure_s,
            station=self.station.best_for(frame.time_utc),
            clock_sigma_s=self.clock_sigma_s,
            attitude_sigma_px=max(sigma_px, 0.3),  # whatever the residuals of the stars
        )
        # Whether the camera rotated with its observer during the exposure. A header does not tell,
        # and few cameras aboard follow the stars; star trails of more than 3 px indicate it
        is_still = self.mount == "still" or (self.mount == "auto" and trail_px is None)
        if self.mount == "auto" and trail_px is not None:
            still = replace(exposure, held_still=True)
            is_still = trail_px > 3.0 or compute_expected_trail_px(still) <= 3.0
        exposure = replace(exposure, held_still=is_still)
        streaks = (
            StreakDetections.empty()
            if self.detector is None
            else STREAKS.in_photo(frame.file, self.detector).found
        )
        tracks = predict_tracks(satellites, exposure)
        # Probability that each satellite is detected at each time, (n, T): docs/methods. Debris
        # is a hundred times fainter than spacecraft, high orbits a hundred times farther. In the
        # shadow, only flashes are visible, and satellites at its edge (refraction, 30 km wide)
        names = [(satellites.sets[row].name or "").upper() for row in tracks.rows]
        debris = np.array([name.endswith((" DEB", " COOLANT", " SHROUD")) for name in names], bool)
        usual = np.where(debris, 0.08, 0.5)[:, None]
        usual = usual * np.where(tracks.range_km > 3000.0, np.sqrt(3000.0 / tracks.range_km), 1.0)
        lit = np.nan_to_num(tracks.sunlit)
        seen = np.asarray(lit * usual + (1.0 - lit) * 0.004)
        measured = measure_streaks(streaks, exposure)
        return NamedPhoto(
            frame=frame,
            exposure=exposure,
            satellites=satellites,
            tracks=tracks,
            streaks=streaks,
            namings=name_streaks(measured, tracks, seen, exposure),
        )


def compute_expected_trail_px(exposure: Exposure) -> float:
    """Expected length of star trails at the centre if the camera is fixed to its observer."""
    x, y = (exposure.field.width_px - 1) / 2.0, (exposure.field.height_px - 1) / 2.0
    half = 0.5 * exposure.exposure_s
    ends = np.stack(exposure.carried([x, x], [y, y], np.array([-half, half])), axis=-1)
    return float(np.hypot(*(ends[1] - ends[0])))
