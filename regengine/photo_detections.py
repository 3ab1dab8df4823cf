"""What a method finds in one photo, in the pixels of the picture as stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.star_types import StarDetections
from detectors.streak_types import StreakDetections
from detectors.types import LightDetections
from regengine.frame_id import frame_id_of
from regengine.image import LinearLight, read_linear_light
from regengine.stored_pixels import in_stored_pixels

D = TypeVar("D", LightDetections, StarDetections, StreakDetections)
D_co = TypeVar("D_co", LightDetections, StarDetections, StreakDetections, covariant=True)


class Detector(Protocol[D_co]):
    """A method that finds lights, stars or streaks."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def detect(
        self,
        light: NDArray[np.generic],
        mask: NDArray[np.bool_] | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> D_co:
        """Find them in linear light."""
        ...


@dataclass(frozen=True, kw_only=True)
class PhotoDetections(Generic[D]):
    """What one method found in one photo.

    Attributes
    ----------
    path : Path
        The photo.
    frame : str
        Its frame id.
    method : str
        Name of the detector.
    found : LightDetections, StarDetections or StreakDetections
        In pixels of the picture as stored.
    width_px, height_px : int
        Of the picture as stored.
    seconds : float
        Time of the detection, without reading the file.
    """

    path: Path
    frame: str
    method: str
    found: D
    width_px: int
    height_px: int
    seconds: float


def detect_in_photo(
    path: Path,
    detector: Detector[D],
    *,
    max_long_side_px: int,
    hidden: Callable[[LinearLight], NDArray[np.bool_]] | None = None,
    whole_mosaic: bool = False,
) -> PhotoDetections[D]:
    """Read a photo and apply a detector to it.

    Parameters
    ----------
    path : Path
        JPEG, PNG, TIFF, FITS or raw file.
    detector : Detector
        The method.
    max_long_side_px : int
        Larger photos are averaged down to this before.
    hidden : callable, optional
        Tells where pixels of a picture must be ignored.
    whole_mosaic : bool, optional
        Of `read_linear_light`.

    Returns
    -------
    PhotoDetections

    Raises
    ------
    FrameError
        If the file is no readable image.
    """
    picture = read_linear_light(path, max_long_side_px=max_long_side_px, whole_mosaic=whole_mosaic)
    started = time.perf_counter()
    found = detect_in_picture(picture, detector, mask=None if hidden is None else hidden(picture))
    height, width = picture.light.shape
    return PhotoDetections(
        path=path,
        frame=frame_id_of(path),
        method=detector.name,
        found=found,
        width_px=round(width / picture.factor),
        height_px=round(height / picture.factor),
        seconds=time.perf_counter() - started,
    )


def detect_in_picture(
    picture: LinearLight, detector: Detector[D], *, mask: NDArray[np.bool_] | None = None
) -> D:
    """Apply a detector to a picture that was read.

    Parameters
    ----------
    picture : LinearLight
        As `read_linear_light` gives it.
    detector : Detector
        The method.
    mask : ndarray of bool, optional
        True where pixels of ``picture.light`` must be ignored (ground, hardware).

    Returns
    -------
    LightDetections, StarDetections or StreakDetections
        In pixels of the picture as stored.
    """
    found = detector.detect(picture.light, picture.without(mask), picture.saturated)
    return in_stored_pixels(found, picture.factor, picture.full_scale)
