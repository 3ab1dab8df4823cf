"""What a picture says of attitudes at first sight: the photo laid on the map's view, as it is.

Aligning a camera takes several renderings. To tell which of many attitudes deserve it, the map is
drawn once around the position, filtered once, and looked up under every attitude: a fiftieth of
the time of an alignment.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from detectors.types import FloatArray, FloatImage
from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.photo_light import EVEN_FLOOR, LightImage, detail, evened
from matchers.view import NadirView, nadir_view


def first_sight(
    levels: Sequence[LightGrid],
    photo: LightImage,
    cameras: Sequence[Camera],
    off_nadir_deg: float,
    *,
    smooth_px: float,
    detail_px: float,
    max_shift_px: int = 1,
    view_octaves: float = 0.35,
) -> FloatArray:
    """Correlation of the photo with the map under cameras at one position, contrast evened.

    Parameters
    ----------
    photo : LightImage
        A small light image without broad structure.
    cameras : sequence of Camera
        Of that image, all at one position, of any focal lengths.
    off_nadir_deg : float
        The map is drawn to this angle.
    smooth_px, detail_px : float
        Blur of the image, and the scale of the structure that was taken out of it, pixels.
    max_shift_px : int
        Attitudes that rest on light peaks are off by a pixel of the small image or two: of 60
        right ones in 14 frames of the training half 46 came first with shifts of a pixel tried,
        45 with none, 45 with two.
    view_octaves : float
        Cameras whose focal lengths agree to this much share a view of the map.

    Returns
    -------
    ndarray of float64, shape (n,)
        The best of all shifts; 0 where the map is dark.
    """
    even, total = evened(photo.values, detail_px, photo.weight), float(photo.weight.sum())
    height, width = even.shape
    share = photo.weight.ravel() / total
    centred = even.ravel() - float(share @ even.ravel())
    x, y = (np.arange(-max_shift_px, side + max_shift_px, dtype=float) for side in (width, height))
    inside = np.s_[max_shift_px : max_shift_px + height, max_shift_px : max_shift_px + width]
    views: dict[int, tuple[NadirView, FloatImage, FloatImage]] = {}
    found = np.zeros(len(cameras))
    for number, camera in enumerate(cameras):
        octave = round(float(np.log2(camera.focal_px)) / view_octaves)
        if octave not in views:
            around = nadir_view(levels, camera.position_ecef_m, camera.focal_px, off_nadir_deg)
            blurred = np.asarray(cv2.GaussianBlur(around.light, (0, 0), smooth_px), np.float32)
            drawn = detail(blurred, detail_px)
            square = np.asarray(cv2.GaussianBlur(drawn * drawn, (0, 0), detail_px), np.float32)
            views[octave] = around, drawn, square
        around, drawn, square = views[octave]
        rays = camera.rays(*np.meshgrid(x, y)) @ (around.axes.T @ camera.matrix).T
        length = np.linalg.norm(rays, axis=-1)
        # (x, y) / (1 + z) of a unit vector is tan(theta / 2) times its direction
        scale = 2.0 * around.focal_px / np.maximum(length + rays[..., 2], 0.1 * length)
        column = (rays[..., 0] * scale + around.half_px).astype(np.float32)
        row = (rays[..., 1] * scale + around.half_px).astype(np.float32)
        light, square = (
            np.asarray(cv2.remap(image, column, row, cv2.INTER_LINEAR), np.float32)
            for image in (drawn, square)
        )
        overall = float((photo.weight * square[inside]).sum()) / max(total, 1e-9)
        if overall <= 1e-9:
            continue
        light = light / np.sqrt(square + EVEN_FLOOR * overall)
        shifted = np.lib.stride_tricks.sliding_window_view(light, even.shape).reshape(-1, even.size)
        spread = float(share @ centred**2) * (shifted**2 @ share - (shifted @ share) ** 2)
        found[number] = np.max(shifted @ (share * centred) / np.sqrt(np.maximum(spread, 1e-12)))
    return found
