"""How good a photo is, to rank frames of one place: sharpness, exposure, cloud."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regengine.image import CLIPPED_FROM, read_display_rgb
from regengine.scene.cloud import cloud_fraction
from regengine.scene.picture import LEAST_DECODED_PX, ScenePicture, scene_picture
from regengine.scene.sharpness import Blur, measure_blur

# Grey of this luminance is what a light meter aims at
MIDDLE_GREY = 0.18
# Longer sides are brought down to keep the memory small; 45 megapixels have 8,256 px
MOST_PX = 8_400


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How a photo is exposed.

    Attributes
    ----------
    stops : float
        Mean luminance over that of an 18 % grey, powers of two; nights are far below 0.
    clipped, black : float
        Shares of pixels at the upper and lower end of what the file holds.
    """

    stops: float
    clipped: float
    black: float


@dataclass(frozen=True, kw_only=True)
class PhotoQuality:
    """What ``classify --quality`` says of a photo.

    Attributes
    ----------
    blur : Blur
        At full resolution, with the sharpness made of it.
    cloud_fraction : float or None
        Share of the visible ground under clouds; None where it cannot be told.
    exposure : Exposure
    """

    blur: Blur
    cloud_fraction: float | None
    exposure: Exposure


def read_for_quality(path: Path) -> tuple[NDArray[np.uint8], ScenePicture]:
    """Read a photo once, at full resolution and as its scene is told.

    Parameters
    ----------
    path : Path
        JPEG, PNG, TIFF or raw file.

    Returns
    -------
    rgb : ndarray of uint8, shape (h, w, 3)
        Red, green, blue, sRGB, as stored.
    picture : ScenePicture

    Raises
    ------
    FrameError
        The file is no readable image, or damaged or cut short anywhere.
    """
    import cv2

    rgb = read_display_rgb(path, MOST_PX)[0]
    # Whole blocks first, on bytes: four times faster than bringing all of it to floats
    block = max(max(rgb.shape[:2]) // LEAST_DECODED_PX, 1)
    size = max(rgb.shape[1] // block, 1), max(rgb.shape[0] // block, 1)
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return rgb, scene_picture(np.asarray(small, np.uint8))


def photo_quality(rgb: NDArray[np.uint8], picture: ScenePicture, category: str) -> PhotoQuality:
    """Quality of a decoded photo.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (h, w, 3)
        At full resolution.
    picture : ScenePicture
        The same photo at the standard size.
    category : str
        Class of its scene.
    """
    return PhotoQuality(
        blur=measure_blur(rgb[..., 1]),
        cloud_fraction=cloud_fraction(picture, category),
        exposure=measure_exposure(picture),
    )


def measure_exposure(picture: ScenePicture) -> Exposure:
    """Exposure of a picture without its captions."""
    light = picture.luminance[picture.shown]
    highest = picture.rgb.max(axis=2)[picture.shown]
    return Exposure(
        stops=float(np.log2(max(float(light.mean()), 1e-6) / MIDDLE_GREY)),
        clipped=float(np.mean(highest >= CLIPPED_FROM)),
        black=float(np.mean(highest < 2.5 / 255.0)),
    )
