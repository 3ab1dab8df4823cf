"""Measure a solved photo for lens calibration: star positions, star flux and sky brightness."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.falloff import ApertureLight, SkyBoxes, measure_aperture_light, measure_sky_boxes
from detectors.types import StarDetections
from matchers.geometry.sky_camera import SkyCamera
from regengine.errors import ConfigError, FrameError
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.photo.image import LUMINANCE_WEIGHTS, read_linear_channels
from regengine.photo.records import FrameRecords
from regengine.sky.detection.kinds import STARS
from regengine.sky.stars.catalogue import FILE_EPOCH_YEAR, julian_year
from regengine.sky.stars.photo import EXIF_LOG_FOCAL_SIGMA, camera_of_record, sky
from regengine.sky.stars.solve import SolveOptions, StarSolution, solve_stars

# Values from here on are clipped, as in `regengine.photo.image.CLIPPED_FROM`, after the sRGB curve
CLIPPED_LIGHT = 0.97
APERTURE_FWHMS = 2.5  # aperture radius: contains 98 % of a Moffat star of beta 3
MASKED_FWHMS = 3.0  # around every star, before the sky is measured


@dataclass(frozen=True, kw_only=True, eq=False)
class LensPhoto:
    """Measurements of a solved photo."""

    frame: Frame
    camera: SkyCamera  # approximate camera, accurate to some pixels
    stars: StarDetections  # all detections, pixels of the image as stored
    channels: dict[str, ApertureLight]  # flux of these stars by colour channel, stored pixels
    sky: SkyBoxes  # luminance of the sky between the stars, stored pixels


def measure_photos(
    paths: Iterable[Path],
    *,
    records: FrameRecords | None = None,
    options: FrameOptions = FrameOptions(),
    camera: str | None = None,
    lens: str | None = None,
    solutions: Mapping[str, dict[str, Any]] | None = None,
    advance: Callable[[], None] = lambda: None,
) -> tuple[list[LensPhoto], int]:
    """Measure star photos of one camera with one lens.

    An unreadable photo is logged as an error, an unsolved one as a warning.

    Parameters
    ----------
    paths
        The photos.
    records, options
        Metadata, see `read_frame`.
    camera, lens
        Names to use if the photos have none.
    solutions
        Records of solved photos, see `find_camera`.
    advance
        Called after each photo.

    Returns
    -------
    tuple[list[LensPhoto], int]
        The measured photos, and the number of unreadable ones.
    """
    logger = logging.getLogger("regengine")
    measured: list[LensPhoto] = []
    n_failed = 0
    for path in paths:
        try:
            frame = read_frame(path, records=records, options=options)
            body = frame.camera_body or camera
            frame = replace(frame, camera_body=body, lens=frame.lens or lens)
            stars = STARS.in_photo(frame.file).found
            where = find_camera(frame, stars, solutions)
            if isinstance(where, str):
                logger.warning("%s: %s", path, where)
            else:
                light, factor = read_linear_channels(
                    frame.file, max_long_side_px=STARS.long_side_px
                )
                measured.append(measure_light(frame, where, stars, light, factor))
        except FrameError as error:
            n_failed += 1
            logger.error("Error: %s", error)
        advance()
    return measured, n_failed


def mean_epoch_year(photos: Iterable[LensPhoto]) -> float:
    """Mean time of photos as a Julian year; the catalogue's epoch if none has a time."""
    times = [photo.frame.time_utc for photo in photos if photo.frame.time_utc is not None]
    return mean(map(julian_year, times)) if times else FILE_EPOCH_YEAR


def measure_light(
    frame: Frame,
    camera: SkyCamera,
    stars: StarDetections,
    light: NDArray[np.float32],
    factor: float = 1.0,
) -> LensPhoto:
    """Measure a solved photo's colours, shape (h, w, 3) or (h, w, 1), and its sky.

    `factor`: size of its light image divided by that of the picture as stored.
    """
    clipped = np.asarray(np.any(light >= CLIPPED_LIGHT, axis=2))
    x, y = (stars.x + 0.5) * factor - 0.5, (stars.y + 0.5) * factor - 0.5
    fwhm = float(np.median(stars.fwhm_px)) * factor if len(stars) else 3.0
    radius = APERTURE_FWHMS * max(fwhm, 1.5)
    names = ("red", "green", "blue") if light.shape[2] == 3 else ("light",)
    channels = {}
    for k, name in enumerate(names):
        plane = np.ascontiguousarray(light[..., k])
        seen = measure_aperture_light(plane, x, y, radius, clipped)
        channels[name] = ApertureLight(
            flux=seen.flux / factor**2, sigma=seen.sigma / factor**2, whole=seen.whole
        )
    grey = light @ np.array(LUMINANCE_WEIGHTS, np.float32) if len(names) == 3 else light[..., 0]
    # Mask of the pixels within a radius of any of the positions
    radius_px = MASKED_FWHMS * fwhm
    height, width = grey.shape[:2]
    points = np.zeros((height, width), np.uint8)
    column, row = np.round(x).astype(int), np.round(y).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    points[row[inside], column[inside]] = 1
    side = 2 * int(np.ceil(radius_px)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    starry = np.asarray(cv2.dilate(points, disc), bool)
    boxes = measure_sky_boxes(np.asarray(grey, np.float32), starry, np.asarray(clipped, np.float32))
    return LensPhoto(
        frame=frame,
        camera=camera,
        stars=stars,
        channels=channels,
        sky=SkyBoxes(
            x=(boxes.x + 0.5) / factor - 0.5,
            y=(boxes.y + 0.5) / factor - 0.5,
            level=boxes.level,
            width_px=frame.width_px,
            height_px=frame.height_px,
        ),
    )


def check_one_lens(frames: Sequence[Frame]) -> None:
    """Reject photos that differ in camera, lens, focal length or size."""
    first = frames[0]
    for frame in frames[1:]:
        theirs, ours = (
            {
                "camera": one.camera_body,
                "lens": one.lens,
                "focal length": one.focal_mm,
                "size": f"{one.width_px} x {one.height_px}",
            }
            for one in (frame, first)
        )
        for what, value in theirs.items():
            if value != ours[what]:
                raise ConfigError(
                    f"{frame.path}: its {what} is {value}, that of {first.path} is {ours[what]}; "
                    "calibrate each camera, lens and picture size separately."
                )


def find_camera(
    frame: Frame, stars: StarDetections, solutions: Mapping[str, dict[str, Any]] | None = None
) -> SkyCamera | str:
    """The camera of a photo with these stars, or a message why it is not solved.

    The camera comes from the photo's record in ``solutions``, see `read_solved`. Without one, the
    stars are solved blindly, with only the focal length from EXIF as a prior.

    Raises CatalogueError if the star catalogue is missing or damaged.
    """
    size = frame.width_px, frame.height_px
    if solutions is None:
        options = SolveOptions(focal_px=frame.focal_px, log_focal_sigma=EXIF_LOG_FOCAL_SIGMA)
        found = solve_stars(stars, *size, *sky(), options)
        return found.camera if isinstance(found, StarSolution) else found.text
    record = solutions.get(frame.frame_id)
    if record is None:
        return f"--solutions has no solution of {frame.frame_id}; the photo is skipped"
    return camera_of_record(record, *size)
