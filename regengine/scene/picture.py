"""The standard picture of scene features: a photo resampled to one size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.masks import CAPTION_SHARE, mask_caption_strips
from regengine.photo.formats import PhotoFile, as_photo_file
from regengine.photo.image import LUMINANCE_WEIGHTS, read_display_rgb, read_small_jpeg

# Long side of the measured picture. Every photo is resampled to it, smaller ones upwards: no
# feature may identify a source by its size. The archive's own small copies have 640 px.
SIDE_PX = 512
# A JPEG is decoded at the smallest of 1/2, 1/4 or 1/8 with at least this many pixels: 3 times
# faster at 12 megapixels.
MIN_DECODED_PX = 1000
CAPTION_MARGIN_PX = 2
CAPTION_WHITE = 250.0 / 255.0


@dataclass(frozen=True)
class ScenePicture:
    """A photo resampled to a long side of `SIDE_PX` pixels."""

    # Shape (h, w, 3): red, green and blue as displayed (sRGB), 0 to 1; equal for a grey photo
    rgb: NDArray[np.float32]
    # Shape (h, w): False on caption strips, which are not part of the scene
    shown: NDArray[np.bool_]

    @cached_property
    def linear(self) -> NDArray[np.float32]:
        """Linear red, green and blue (inverse of the sRGB curve), shape (h, w, 3), 0 to 1."""
        return linear_light(self.rgb)

    @cached_property
    def luminance(self) -> NDArray[np.float32]:
        """Linear luminance, shape (h, w), 0 to 1."""
        return np.asarray(self.linear @ np.array(LUMINANCE_WEIGHTS, np.float32), np.float32)

    @cached_property
    def lightness(self) -> NDArray[np.float32]:
        """Brightness as displayed (luminance through the sRGB curve), shape (h, w), 0 to 1."""
        y = self.luminance
        curved = 1.055 * np.maximum(y, 1e-9) ** (1.0 / 2.4) - 0.055
        return np.where(y <= 0.0031308, 12.92 * y, curved).astype(np.float32)

    @cached_property
    def brightest(self) -> NDArray[np.float32]:
        """The brightest of the three channels as displayed, shape (h, w), 0 to 1."""
        red, green, blue = (self.rgb[..., channel] for channel in range(3))
        return np.asarray(np.maximum(np.maximum(red, green), blue))

    @cached_property
    def scene(self) -> ScenePicture:
        """The picture without its caption strips, for operations on neighbouring pixels."""
        if self.shown.all():
            return self
        rows, columns = (np.flatnonzero(self.shown.any(axis=axis)) for axis in (1, 0))
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return ScenePicture(rgb=self.rgb[window], shown=self.shown[window])

    @cached_property
    def half(self) -> ScenePicture:
        """The scene at half size, each pixel the mean of four: sufficient for most features."""
        rgb = self.scene.rgb
        height, width = ((side + 1) // 2 for side in rgb.shape[:2])
        small = np.asarray(
            cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.float32
        )
        return ScenePicture(rgb=small, shown=np.ones((height, width), bool))


def linear_light(shown: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear light of brightness as displayed (inverse of the sRGB curve)."""
    table = _linear_table()
    return np.take(table, (shown * np.float32(len(table) - 1) + np.float32(0.5)).astype(np.uint16))


@cache
def _linear_table() -> NDArray[np.float32]:
    shown = np.arange(65536) / 65535.0
    curved = ((shown + 0.055) / 1.055) ** 2.4
    return np.where(shown <= 0.04045, shown / 12.92, curved).astype(np.float32)


def read_scene_picture(photo: Path | PhotoFile) -> ScenePicture:
    """Read a photo (JPEG, PNG, TIFF, FITS or raw) at the size used for classification.

    Raises FrameError if the file is not a readable image, or is damaged or truncated.
    """
    return scene_picture(read_scene_rgb(photo))


def read_scene_rgb(photo: Path | PhotoFile) -> NDArray[np.uint8]:
    """A photo's colours as displayed (sRGB), shape (h, w, 3), close to the size needed.

    Raises FrameError, as `read_scene_picture` does.
    """
    file = as_photo_file(photo)
    decoded = read_small_jpeg(file, MIN_DECODED_PX)
    return read_display_rgb(file, MIN_DECODED_PX)[0] if decoded is None else decoded


def scene_picture(rgb: NDArray[np.uint8]) -> ScenePicture:
    """Resample decoded colours (sRGB, any size, shape (h, w, 3)) to the standard size."""
    height, width = rgb.shape[:2]
    scale = SIDE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    small = np.asarray(
        cv2.resize(rgb.astype(np.float32), size, interpolation=method) / 255.0, np.float32
    )
    # Archives print captions in white strips along the borders; an entirely white picture has none
    white = small.min(axis=2) > CAPTION_WHITE
    if white.mean() > CAPTION_SHARE:
        captions = np.zeros(white.shape, bool)
    else:
        captions = mask_caption_strips(white, margin_px=CAPTION_MARGIN_PX)
    return ScenePicture(rgb=small, shown=~captions)
