"""Predict the satellites of one photo: its field, time, observer and record."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from detectors.types import StreakDetections, StreakDetector
from matchers.geometry.earth import ecef_to_geodetic
from regengine.errors import FrameError
from regengine.io.tables import csv_lines
from regengine.orbit.tle import TleSet
from regengine.photo.fits import header_field, read_headers
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.photo.frame_ids import archive_frame_id
from regengine.result import Answer
from regengine.sky.detection.kinds import STREAKS
from regengine.sky.drawing import PicturePaths
from regengine.sky.satellites.catalogue import SatelliteCatalogue
from regengine.sky.satellites.drawing import draw_satellites
from regengine.sky.satellites.naming import (
    NamedPhoto,
    csv_rows,
    measure_streaks,
    predict_and_name,
    record_of,
    terminal_lines,
)
from regengine.sky.satellites.observer import (
    Exposure,
    GroundSite,
    Observer,
    SatelliteObserver,
    SkyProjection,
)
from regengine.sky.stars.photo import solve_photo
from regengine.sky.stars.solve import StarSolution

# A header has no uncertainty of its fit, or an optimistic one
HEADER_SIGMA_PX, MIN_SIGMA_PX = 1.0, 0.3
# Longer star trails indicate that the camera was fixed to its observer
TRAIL_PX = 3.0


@dataclass(frozen=True, kw_only=True)
class SatelliteJob:
    """Settings of ``regengine satellites``; call it with a path; picklable."""

    catalogue: SatelliteCatalogue
    site: GroundSite | None  # position of the camera
    station: TleSet | None  # element sets of the satellite with the camera
    iss: TleSet | None = None  # element sets for photos of the station's archive
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
        observer = self._observer(frame)
        sky, sigma_px, trail_px = self._field(frame)
        exposure = Exposure(
            field=sky,
            start_utc=frame.time_utc,
            exposure_s=exposure_s,
            observer=observer,
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

    def _observer(self, frame: Frame) -> Observer:
        if self.station is not None:
            assert frame.time_utc is not None
            return SatelliteObserver(element_set=self.station.best_for(frame.time_utc))
        if self.site is None and self.iss is not None and archive_frame_id(frame.frame_id):
            assert frame.time_utc is not None
            return SatelliteObserver(element_set=self.iss.best_for(frame.time_utc))
        place = header_site(frame.path) if frame.file.format == "fits" else None
        if self.site is not None:
            if place is not None and self.site.is_swapped(place):
                raise FrameError(
                    f"--site {self.site.lon:g},{self.site.lat:g}: {frame.path} gives longitude "
                    f"{place.lon:g}, latitude {place.lat:g}: write longitude, then latitude.",
                    code="no_position",
                )
            return self.site
        if place is None:
            raise FrameError(
                f"{frame.path}: the position of the camera is unknown: give --site "
                "LON,LAT,HEIGHT_M, or --station-tle FILE if it was on a satellite.",
                code="no_position",
            )
        return place

    def _field(self, frame: Frame) -> tuple[SkyProjection, float, float | None]:
        """Attitude of the picture, its one sigma, and the length of star trails (if solved)."""
        size = (frame.width_px, frame.height_px)
        if self.wcs is not None:
            found = header_field(self.wcs, size)
            sigmas = [one.get("RMSPX") for one in read_headers(self.wcs)]
            rms = next((float(value) for value in sigmas if isinstance(value, float)), None)
            sigma_px = HEADER_SIGMA_PX if not rms else rms / found.scale
            return found, max(sigma_px, MIN_SIGMA_PX), None
        if frame.file.format == "fits" and any("CTYPE1" in one for one in read_headers(frame.path)):
            return header_field(frame.path, size), HEADER_SIGMA_PX, None
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
            # Telescopes track the stars, the Station does not
            return isinstance(exposure.observer, SatelliteObserver)
        still = replace(exposure, held_still=True)
        return trail_px > TRAIL_PX or compute_expected_trail_px(still) <= TRAIL_PX


def compute_expected_trail_px(exposure: Exposure) -> float:
    """Expected length of star trails at the centre if the camera is fixed to its observer."""
    x, y = (exposure.field.width_px - 1) / 2.0, (exposure.field.height_px - 1) / 2.0
    half = 0.5 * exposure.exposure_s
    ends = np.stack(exposure.carried([x, x], [y, y], np.array([-half, half])), axis=-1)
    return float(np.hypot(*(ends[1] - ends[0])))


def header_site(path: Path) -> GroundSite | None:
    """The site in a FITS header: OBSGEO-X, -Y, -Z or SITELAT, SITELONG."""
    for header in read_headers(path):
        place = [header.get(f"OBSGEO-{axis}") for axis in "XYZ"]
        metres = [float(value) for value in place if isinstance(value, float)]
        if len(metres) == 3:
            lon, lat, height_m = ecef_to_geodetic(metres)
            return GroundSite(lat=float(lat), lon=float(lon), height_m=float(height_m))
        degrees = [header.get(name) for name in ("SITELAT", "SITELONG")]
        if all(isinstance(value, float) for value in degrees):
            height = header.get("SITEELEV", 0.0)
            return GroundSite(
                lat=float(degrees[0] or 0.0),
                lon=float(degrees[1] or 0.0),
                height_m=float(height) if isinstance(height, float) else 0.0,
            )
    return None
