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
from matchers.geometry.camera import Camera
from matchers.geometry.earth import intersect_ellipsoid
from matchers.geometry.light_grid import LightGrid
from matchers.geometry.pose import looking_at_nadir
from matchers.geometry.view import LATTICE_PX, draw, lattice, stereographic_rays
from matchers.lights.photo_light import EVEN_FLOOR, LightImage, detail, evened


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
    off_nadir_deg : float
        The map is drawn to this angle.
    smooth_px, detail_px : float
        Blur of the image, and the scale of the structure that was taken out of it, pixels.

    Returns
    -------
    ndarray of float64, shape (n,)
        The best of all shifts; 0 where the map is dark.
    """
    even, total = evened(photo.values, detail_px, photo.weight), float(photo.weight.sum())
    height, width = even.shape
    share = photo.weight.ravel() / total
    centred = even.ravel() - float(share @ even.ravel())
    # Attitudes that rest on light peaks are off by a pixel of the small image or two: of 60 right
    # ones in 14 frames of the training half 46 came first with shifts of a pixel tried, 45 with
    # none, 45 with two
    x, y = (np.arange(-1.0, side + 1.0) for side in (width, height))
    inside = np.s_[1 : 1 + height, 1 : 1 + width]
    # The map is drawn about the nadir, stereographically: its pixels a radian there, half of its
    # side, its light without broad structure, and the square of that blurred
    views: dict[int, tuple[float, int, FloatImage, FloatImage]] = {}
    position = np.asarray(cameras[0].position_ecef_m)
    axes, reach = looking_at_nadir(position), 2.0 * np.tan(np.radians(off_nadir_deg) / 2.0)
    found = np.zeros(len(cameras))
    for number, camera in enumerate(cameras):
        # Cameras whose focal lengths agree to a third of an octave share a view of the map
        octave = round(float(np.log2(camera.focal_px)) / 0.35)
        if octave not in views:
            # It stretches by up to 1.4 towards the horizon, and the photo by up to 1.2 towards its
            # own corners
            focal_px = 0.9 * camera.focal_px
            half_px = int(min(np.ceil(focal_px * reach), 800))
            focal_px, step = min(focal_px, half_px / reach), 2 * LATTICE_PX
            nodes = lattice(2 * half_px, step) - half_px
            rays = stereographic_rays(*np.meshgrid(nodes, nodes), focal_px)
            ground = intersect_ellipsoid(position, rays @ axes.T)
            light, _ = draw(levels, ground, (2 * half_px, 2 * half_px), step, mean_side=True)
            blurred = np.asarray(cv2.GaussianBlur(light, (0, 0), smooth_px), np.float32)
            drawn = detail(blurred, detail_px)
            square = np.asarray(cv2.GaussianBlur(drawn * drawn, (0, 0), detail_px), np.float32)
            views[octave] = focal_px, half_px, drawn, square
        focal_px, half_px, drawn, square = views[octave]
        rays = camera.rays(*np.meshgrid(x, y)) @ (axes.T @ camera.matrix).T
        length = np.linalg.norm(rays, axis=-1)
        # (x, y) / (1 + z) of a unit vector is tan(theta / 2) times its direction
        scale = 2.0 * focal_px / np.maximum(length + rays[..., 2], 0.1 * length)
        column = (rays[..., 0] * scale + half_px).astype(np.float32)
        row = (rays[..., 1] * scale + half_px).astype(np.float32)
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
