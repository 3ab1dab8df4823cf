"""What a picture says of attitudes at first sight: the photo laid on the map's view, as it is.

Aligning a camera takes several renderings. To tell which of many attitudes deserve it, the map is
drawn once around the position, filtered once, and looked up under every attitude: a fiftieth of
the time of an alignment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from detectors.types import FloatArray, FloatImage
from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.photo_light import EVEN_FLOOR, LightImage, detail, evened
from matchers.view import NadirView, nadir_view

# Attitudes that rest on towns are off by a pixel of the small image or two: of 60 right ones in 14
# frames of the training half 46 came first with shifts of a pixel tried, 45 with none, 45 with two
SHIFTS_PX = 1
# Cameras of a ladder of focal lengths share a view where these agree to this much
FOCAL_OCTAVES = 0.35


def first_sight(
    levels: Sequence[LightGrid],
    photo: LightImage,
    cameras: Sequence[Camera],
    off_nadir_deg: float,
    *,
    smooth_px: float,
    detail_px: float,
) -> FloatArray:
    """Correlation of the photo with the map under cameras at one position, contrast evened.

    Parameters
    ----------
    photo : LightImage
        A small light image without broad structure.
    cameras : sequence of Camera
        Of that image, all at one position, of any focal lengths.
    smooth_px, detail_px : float
        Blur of the image, and the scale of the structure that was taken out of it, pixels.

    Returns
    -------
    ndarray of float64, shape (n,)
        The best within `SHIFTS_PX`; 0 where the map is dark.
    """
    even = evened(photo.values, detail_px, photo.weight)
    drawn: dict[int, Surroundings] = {}
    found = np.zeros(len(cameras))
    for number, camera in enumerate(cameras):
        octave = round(float(np.log2(camera.focal_px)) / FOCAL_OCTAVES)
        if octave not in drawn:
            around = nadir_view(levels, camera.position_ecef_m, camera.focal_px, off_nadir_deg)
            drawn[octave] = Surroundings.of(around, smooth_px, detail_px)
        found[number] = best_shift(drawn[octave], even, photo.weight, camera)
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """The map's light around a position, freed of broad structure, and its mean square there."""

    around: NadirView
    light: FloatImage
    square: FloatImage

    @classmethod
    def of(cls, around: NadirView, smooth_px: float, detail_px: float) -> Self:
        """A view of the map, filtered as the photo was."""
        light = detail(np.asarray(cv2.GaussianBlur(around.light, (0, 0), smooth_px)), detail_px)
        square = np.asarray(cv2.GaussianBlur(light * light, (0, 0), detail_px), np.float32)
        return cls(around=around, light=light, square=square)

    def under(self, camera: Camera, rays: FloatArray) -> tuple[FloatImage, FloatImage]:
        """Light and mean square along rays of a camera (its frame, any length)."""
        turned = rays @ (self.around.axes.T @ camera.matrix).T
        length = np.linalg.norm(turned, axis=-1)
        # (x, y) / (1 + z) of a unit vector is tan(theta / 2) times its direction
        scale = 2.0 * self.around.focal_px / np.maximum(length + turned[..., 2], 0.1 * length)
        col = (turned[..., 0] * scale + self.around.half_px).astype(np.float32)
        row = (turned[..., 1] * scale + self.around.half_px).astype(np.float32)
        light = cv2.remap(self.light, col, row, cv2.INTER_LINEAR)
        square = cv2.remap(self.square, col, row, cv2.INTER_LINEAR)
        return np.asarray(light, np.float32), np.asarray(square, np.float32)


def best_shift(around: Surroundings, even: FloatImage, weight: FloatImage, camera: Camera) -> float:
    """Highest correlation of an evened photo with its surroundings under a camera, by shifts."""
    height, width = even.shape
    x, y = (np.arange(-SHIFTS_PX, side + SHIFTS_PX, dtype=float) for side in (width, height))
    light, square = around.under(camera, camera.rays(*np.meshgrid(x, y)))
    inside = np.s_[SHIFTS_PX : SHIFTS_PX + height, SHIFTS_PX : SHIFTS_PX + width]
    total = float(weight.sum())
    overall = float((weight * square[inside]).sum()) / max(total, 1e-9)
    if overall <= 1e-9:
        return 0.0
    light = light / np.sqrt(square + EVEN_FLOOR * overall)
    views = np.lib.stride_tricks.sliding_window_view(light, even.shape).reshape(-1, even.size)
    share = weight.ravel() / total
    photo = even.ravel() - float(share @ even.ravel())
    spread = float(share @ photo**2) * (views**2 @ share - (views @ share) ** 2)
    return float(np.max(views @ (share * photo) / np.sqrt(np.maximum(spread, 1e-12))))
