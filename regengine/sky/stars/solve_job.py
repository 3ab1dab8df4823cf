"""One photo of a batch: solved, and its files written."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.types import StarDetector
from regengine.batch.each_photo import Answer
from regengine.errors import EphemerisError
from regengine.orbit.propagation import camera_position
from regengine.orbit.tle import TleSet
from regengine.photo.formats import read_image_header
from regengine.photo.frame import Frame, FrameOptions
from regengine.photo.lens_profile import LensProfile
from regengine.sky.detection.kinds import STARS
from regengine.sky.detection.overlay import PicturePaths, picture_paths
from regengine.sky.stars.photo import SolvedPhoto, json_line, sky, solve_photo, text_line
from regengine.sky.stars.solve import SolveOptions, StarSolution
from regengine.sky.stars.wcs import write_wcs

FOV_LOG_FOCAL_SIGMA = 0.1  # what people know of a field of view


@dataclass(frozen=True, kw_only=True)
class SolveJob:
    """What to do with each photo; call it with a path.

    Attributes
    ----------
    detector : StarDetector
    frame_options : FrameOptions
    options : SolveOptions
    fov_deg : float or None
        Field of view along x, where it was given.
    headers, pictures : PicturePaths or None
        Files to write for each photo.
    tles : TleSet or None
        Element sets of the Station, for where the camera was.
    """

    detector: StarDetector
    frame_options: FrameOptions
    options: SolveOptions
    fov_deg: float | None = None
    headers: PicturePaths | None = None
    pictures: PicturePaths | None = None
    tles: TleSet | None = None

    @classmethod
    def prepared(
        cls,
        photos: Sequence[Path],
        *,
        focal_mm: float | None,
        pixel_pitch_um: float | None,
        fov_deg: float | None,
        method: str | None,
        max_seconds: float,
        wcs: Path | None,
        overlay: Path | None,
        lenses: tuple[LensProfile, ...] = (),
        tles: TleSet | None = None,
    ) -> SolveJob:
        """The job for these photos and options.

        Raises
        ------
        ConfigError
            If there is no such method.
        """
        return cls(
            detector=STARS.detector(method),
            frame_options=FrameOptions(
                focal_mm=focal_mm, pixel_pitch_um=pixel_pitch_um, lenses=lenses
            ),
            options=SolveOptions(max_seconds=max_seconds),
            fov_deg=fov_deg,
            headers=None if wcs is None else picture_paths(photos, wcs, "wcs", ending=".fits"),
            pictures=None if overlay is None else picture_paths(photos, overlay, "solved"),
            tles=tles,
        )

    def __call__(self, path: Path) -> SolvedPhoto:
        """Solve a photo and write its files.

        Raises
        ------
        RegengineError
            If the photo cannot be read, or a file not be written.
        """
        options = self.options
        if self.fov_deg is not None:
            half = 0.5 * read_image_header(path).width_px
            focal_px = half / math.tan(math.radians(0.5 * self.fov_deg))
            options = replace(options, focal_px=focal_px, log_focal_sigma=FOV_LOG_FOCAL_SIGMA)
        solved = solve_photo(
            path, detector=self.detector, frame_options=self.frame_options, options=options
        )
        solution = solved.outcome
        if isinstance(solution, StarSolution):
            solved = replace(solved, position_ecef_m=self._position(solved.frame))
            if self.headers is not None:
                write_wcs(solution, self.headers.of(path))
            if self.pictures is not None:
                from regengine.sky.stars.overlay import draw_solution

                catalogue, _ = sky()
                draw_solution(
                    path,
                    solved.stars,
                    solution,
                    catalogue,
                    self.pictures.of(path),
                    bodies=solved.bodies or (),
                )
        return solved

    def _position(self, frame: Frame) -> NDArray[np.float64] | None:
        """Where the Station was; None without element sets, a time, or a set that is near to it."""
        if self.tles is None or frame.time_utc is None:
            return None
        try:
            return camera_position(self.tles, frame.time_utc).position_ecef_m
        except EphemerisError as error:
            logging.getLogger("regengine").warning(
                "%s: the Moon's place is told as from the Earth's centre: %s", frame.path, error
            )
            return None


@dataclass(frozen=True)
class SolveAnswers:
    """What is said of each photo of a job; call it with a path."""

    job: SolveJob
    matches: bool = False

    def __call__(self, path: Path) -> Answer:
        """The photo's record and line."""
        solved = self.job(path)
        return Answer(line=json_line(solved, matches=self.matches), text=text_line(solved))
