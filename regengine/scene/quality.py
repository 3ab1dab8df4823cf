"""How good a photo is, to rank frames of one place: sharpness, exposure, cloud."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.image import CLIPPED_FROM, read_display_rgb
from regengine.scene.cloud import cloud_fraction
from regengine.scene.picture import ScenePicture
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

    def record(self) -> dict[str, Any]:
        """As it stands in a photo's NDJSON record."""
        cloud = self.cloud_fraction
        sigma_px = self.blur.sigma_px
        return {
            "sharpness": round(self.blur.sharpness, 3),
            "blur": self.blur.kind,
            "blur_sigma_px": None if sigma_px is None else round(sigma_px, 2),
            "cloud_fraction": None if cloud is None else round(cloud, 3),
            "exposure_stops": round(self.exposure.stops, 2),
            "clipped_share": round(self.exposure.clipped, 4),
            "black_share": round(self.exposure.black, 4),
        }


def read_for_quality(path: Path) -> NDArray[np.uint8]:
    """Read a photo at full resolution, or nearly so if it is very large.

    Parameters
    ----------
    path : Path
        JPEG, PNG, TIFF, FITS or raw file.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        Red, green, blue, sRGB, as stored.

    Raises
    ------
    FrameError
        The file is no readable image, or damaged or cut short anywhere.
    """
    return read_display_rgb(path, MOST_PX)[0]


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
