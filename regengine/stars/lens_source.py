"""What tells where a star photo looks, before its lens is calibrated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from detectors.star_types import StarDetections
from matchers.sky_camera import SkyCamera
from regengine.frame import Frame
from regengine.stars.apparent import julian_year
from regengine.stars.catalogue import FILE_EPOCH_YEAR
from regengine.stars.solution import StarSolution
from regengine.stars.solved_records import camera_of_record, read_solved

# The camera of a photo with these stars, or the sentence why there is none
CameraSource = Callable[[Frame, StarDetections], SkyCamera | str]


def recorded_cameras(path: Path) -> CameraSource:
    """Cameras out of the records of ``regengine solve --json``.

    Raises
    ------
    ConfigError
        If the file is none of such records.
    """
    records = read_solved(path)

    def camera(frame: Frame, stars: StarDetections) -> SkyCamera | str:
        record = records.get(frame.frame_id)
        if record is None:
            return f"{path} has no solution of {frame.frame_id}; the photo is left out"
        return camera_of_record(record, frame.width_px, frame.height_px)

    return camera


def solved_cameras() -> CameraSource:
    """Cameras by solving each photo's stars, blindly but for what EXIF says of the lens.

    Raises
    ------
    CatalogueError
        If the star catalogue is missing or damaged.
    """
    from regengine.stars.photo import EXIF_LOG_FOCAL_SIGMA, sky
    from regengine.stars.solve import SolveOptions, solve_stars

    catalogue, indices = sky()

    def camera(frame: Frame, stars: StarDetections) -> SkyCamera | str:
        options = SolveOptions(focal_px=frame.focal_px, log_focal_sigma=EXIF_LOG_FOCAL_SIGMA)
        size = frame.width_px, frame.height_px
        found = solve_stars(stars, *size, catalogue, indices, options)
        return found.camera if isinstance(found, StarSolution) else found.text

    return camera


def mean_epoch(frames: Sequence[Frame]) -> float:
    """Mean Julian year of photos; the catalogue's own where none has a time."""
    years = [julian_year(frame.time_utc) for frame in frames if frame.time_utc is not None]
    return float(np.mean(years)) if years else FILE_EPOCH_YEAR
