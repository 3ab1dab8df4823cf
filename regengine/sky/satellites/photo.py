"""Predict the satellites of one photo: its field, time, observer and record."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from detectors.types import StreakDetections, StreakDetector
from regengine.errors import FrameError
from regengine.io.tables import csv_lines
from regengine.orbit.tle import TleSet
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.sky.detection.kinds import STREAKS
from regengine.sky.drawing import (
    CYAN,
    GREEN,
    LABEL_RIGHT_PX,
    LABEL_UP_PX,
    RED,
    SHADOW,
    YELLOW,
    PicturePaths,
    brighten,
    draw_label,
    draw_legend,
    draw_streak_outline,
    draw_track,
    picture_pixel,
    write_picture,
)
from regengine.sky.satellites.catalogue import SatelliteCatalogue
from regengine.sky.satellites.naming import (
    NAMED_FROM,
    NamedPhoto,
    csv_rows,
    measure_streaks,
    predict_and_name,
    record_of,
    terminal_lines,
)
from regengine.sky.satellites.observer import (
    Exposure,
    SatelliteObserver,
    SkyProjection,
)
from regengine.sky.satellites.tracks import sample_track, touch_picture
from regengine.sky.stars.photo import solve_photo
from regengine.sky.stars.solve import StarSolution
from regengine.sky.stars.wcs import read_wcs
from regengine.store.result import Answer

CERTAIN_FROM = 0.9  # probability of an identification
NAMED_GAP_PX = 9.0  # between a streak's edge and its outline
MAX_TRACK_LABELS = 40  # more would overlap


def draw_satellites(photo: NamedPhoto, target: Path) -> None:
    """Draw predicted tracks and identified streaks.

    Tracks are cyan where the satellite is sunlit and grey in the Earth's shadow, with an arrowhead
    at their end. Streaks are outlined: green with a probability of 0.9 and more, yellow with a
    lower one, red if no satellite of the catalogue explains them.
    """
    picture, factor = brighten(photo.frame.path)
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
        text, colour = "not in catalogue", RED
        if best >= NAMED_FROM:
            row = int(naming.candidates["row"][0])
            named.add(row)
            text, colour = f"{names[row]}  P {best:.3f}", GREEN if best >= CERTAIN_FROM else YELLOW
        elif naming.unlisted < NAMED_FROM:
            text, colour = "ambiguous", YELLOW
        at, across = draw_streak_outline(picture, end, factor, colour, gap_px=NAMED_GAP_PX)
        # To the right of the rightmost outline, so that the label covers no light
        beside = across if across[0] > 0.0 else -across
        x, y = at + 1.5 * NAMED_GAP_PX / factor * beside
        column, row = picture_pixel(x, y, factor)
        lower = 14 if beside[1] >= 0.0 else 0
        place = (column + LABEL_RIGHT_PX, row + lower - LABEL_UP_PX)
        draw_label(picture, text, place, colour)
    order = np.argsort(np.where(lit, tracks.range_km[rows, middle], np.inf), kind="stable")
    for rank, k in enumerate(order):
        row = int(rows[k])
        show = rank < MAX_TRACK_LABELS and row not in named and lit[k]
        x, y = sample_track(tracks, row, photo.exposure)
        colour = CYAN if lit[k] else SHADOW
        draw_track(picture, x, y, factor, colour, names[row] if show else None)
    tracks_of = {"sunlit track": CYAN, "track in shadow": SHADOW}
    draw_legend(picture, tracks_of | {"named": GREEN, "ambiguous": YELLOW, "unexplained": RED})
    write_picture(picture, target)


MIN_SIGMA_PX = 0.3  # of the attitude, whatever the residuals of the stars
# Longer star trails indicate that the camera was fixed to its observer
TRAIL_PX = 3.0


@dataclass(frozen=True, kw_only=True)
class SatelliteJob:
    """Settings of ``regengine satellites``; call it with a path; picklable."""

    catalogue: SatelliteCatalogue
    station: TleSet  # element sets of the satellite with the camera
    # Start of the exposure; None: from EXIF or the FITS header
    time_utc: datetime | None = None
    exposure_s: float | None = None  # duration; None: likewise
    clock_sigma_s: float = 1.0
    mount: str = "auto"  # "stars", "still" or "auto"
    wcs: Path | None = None
    detector: StreakDetector | None = None  # for streaks; None: streaks are not detected
    overlays: PicturePaths | None = None
    on_terminal: bool = False  # format as terminal lines instead of CSV

    def __call__(self, path: Path) -> Answer:
        """The photo's record and rows; draws the overlay if requested.

        Raises RegengineError with a message if an input is missing.
        """
        photo = self.named(path)
        if self.overlays is not None:
            draw_satellites(photo, self.overlays.of(path))
        record = record_of(photo)
        lines = terminal_lines(record) if self.on_terminal else csv_lines(csv_rows(record))
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
        satellites = self.catalogue.at(frame.time_utc)
        sky, sigma_px, trail_px = self._field(frame)
        exposure = Exposure(
            field=sky,
            start_utc=frame.time_utc,
            exposure_s=exposure_s,
            observer=SatelliteObserver(element_set=self.station.best_for(frame.time_utc)),
            clock_sigma_s=self.clock_sigma_s,
            attitude_sigma_px=sigma_px,
        )
        exposure = replace(exposure, held_still=self._is_held_still(exposure, trail_px))
        streaks = (
            StreakDetections.empty()
            if self.detector is None
            else STREAKS.in_photo(frame.file, self.detector).found
        )
        tracks, namings = predict_and_name(satellites, exposure, measure_streaks(streaks, exposure))
        return NamedPhoto(
            frame=frame,
            exposure=exposure,
            satellites=satellites,
            tracks=tracks,
            streaks=streaks,
            namings=namings,
        )

    def _field(self, frame: Frame) -> tuple[SkyProjection, float, float | None]:
        """Attitude of the picture, its one sigma, and the length of star trails (if solved)."""
        size = (frame.width_px, frame.height_px)
        if self.wcs is not None:
            found = read_wcs(self.wcs, size)
            return found, max(found.rms_px, MIN_SIGMA_PX), None
        solved = solve_photo(frame.path)
        if not isinstance(solved.outcome, StarSolution):
            raise FrameError(
                f"{frame.path}: its pointing is unknown, since its stars were not identified "
                f"({solved.outcome.code}): give a solved field with --wcs.",
                code="not_solved",
            )
        solution = solved.outcome
        trail = solved.stars.trail_px
        sigma_px = max(3.0 * solution.rms_px / math.sqrt(len(solution)), MIN_SIGMA_PX)
        return solution.camera, sigma_px, 0.0 if trail is None else float(np.hypot(*trail))

    def _is_held_still(self, exposure: Exposure, trail_px: float | None) -> bool:
        """Whether the camera rotated with its observer during the exposure."""
        if self.mount != "auto":
            return self.mount == "still"
        if trail_px is None:
            return True  # a header does not tell, and few cameras aboard follow the stars
        still = replace(exposure, held_still=True)
        return trail_px > TRAIL_PX or compute_expected_trail_px(still) <= TRAIL_PX


def compute_expected_trail_px(exposure: Exposure) -> float:
    """Expected length of star trails at the centre if the camera is fixed to its observer."""
    x, y = (exposure.field.width_px - 1) / 2.0, (exposure.field.height_px - 1) / 2.0
    half = 0.5 * exposure.exposure_s
    ends = np.stack(exposure.carried([x, x], [y, y], np.array([-half, half])), axis=-1)
    return float(np.hypot(*(ends[1] - ends[0])))
