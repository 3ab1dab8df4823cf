"""A photo's linear light without hot pixels and falloff, and what of it does not count."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.background import ROUNDING_SIGMA, hot_pixels
from detectors.masks import blank_parts, hardware_mask, window_frames
from matchers.camera import Camera
from regengine.errors import FrameError
from regengine.exchange.export.format import LeftOutError
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.warp import photo_of
from regengine.photo.formats import read_image_header
from regengine.photo.image import LinearLight, brought_down, read_linear_light
from regengine.photo.lens_profile import Falloff
from regengine.registration.preparation import captions, glare

Image = NDArray[np.float32]

LEAST_RISE_SHARE = 0.2
FOUR_BESIDE = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4.0
MASKED_PX = 1000  # what does not count is told at this size


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoLight:
    """A photo to be measured.

    Attributes
    ----------
    light : ndarray of float32, shape (height, width)
        Linear luminance; 1 is full scale.
    saturated : ndarray of float32, shape (height, width)
        Share of the pixel's area in which a colour is clipped.
    counts : ndarray of bool, shape (height, width)
        Where the photo shows the ground: no caption, no hardware, no lightning.
    camera : Camera
        Of this picture, which may be smaller than the stored one.
    linear_by : str
        ``srgb`` where that curve was undone; ``raw`` or ``fits`` where the file is linear.
    """

    light: Image
    saturated: Image
    counts: NDArray[np.bool_]
    camera: Camera
    linear_by: str


def photo_light(
    frame: ExportFrame, camera: Camera, factor: float, falloff: Falloff | None = None
) -> PhotoLight:
    """Read a frame's photo, brought down by area averages."""
    longest = max(round(max(camera.width_px, camera.height_px) * min(factor, 1.0)), 16)
    try:
        path = photo_of(frame)
        kind = read_image_header(path).format
        read = read_linear_light(path, max_long_side_px=longest)
    except FrameError as error:
        raise LeftOutError(str(error)) from error
    height, width = read.light.shape
    wanted = (camera.width_px * read.factor, camera.height_px * read.factor)
    if abs(width - wanted[0]) > 1.0 or abs(height - wanted[1]) > 1.0:
        raise LeftOutError("the photo has another size than its camera")
    own = camera if read.factor == 1.0 else camera.scaled(read.factor, width, height)
    light = without_hot_pixels(read.light) if read.factor == 1.0 else read.light
    counts = ~_ignored(read, own)
    if falloff is not None:
        light = (light / _arrives(falloff, own)).astype(np.float32)
    return PhotoLight(
        light=light,
        saturated=read.saturated,
        counts=counts,
        camera=own,
        linear_by=kind if kind in ("raw", "fits") else "srgb",
    )


def radius_sq(camera: Camera, x: NDArray[np.floating], y: NDArray[np.floating]) -> Image:
    """Square of the distance from the principal point, in half diagonals of the picture."""
    half_sq = 0.25 * (camera.width_px**2 + camera.height_px**2)
    px, py = camera.principal_point
    return np.asarray(((x - px) ** 2 + (y - py) ** 2) / half_sq, np.float32)


def _arrives(falloff: Falloff, camera: Camera) -> NDArray[np.float64]:
    y, x = np.mgrid[: camera.height_px, : camera.width_px].astype(np.float32)
    r = np.minimum(np.sqrt(radius_sq(camera, x, y)), max(falloff.reach, 0.1))
    return np.maximum(falloff.arrives(r), 0.05)


def without_hot_pixels(light: Image) -> Image:
    """Light without single bright pixels, also those that JPEG has spread a little.

    Beside what `hot_pixels` finds, pixels in the dark whose four neighbours rise by less than a
    fifth of their own rise: of a lamp blurred by 0.6 pixels they rise by a quarter.
    """
    around = cv2.medianBlur(np.ascontiguousarray(light), 3)
    rise = light - around
    noise = 1.4826 * float(np.median(np.abs(rise[::2, ::2])))
    likely = rise > np.maximum(around / LEAST_RISE_SHARE, max(8.0 * noise, 8.0 * ROUNDING_SIGMA))
    hot = hot_pixels(light)
    if likely.any():
        beside = cv2.filter2D(light, -1, FOUR_BESIDE, borderType=cv2.BORDER_REFLECT_101) - around
        hot |= likely & (beside < LEAST_RISE_SHARE * rise)
    return np.where(hot, around, light)


def _ignored(read: LinearLight, camera: Camera) -> NDArray[np.bool_]:
    """Captions, bars, window frames, hardware, lightning, and what the file has no values for."""
    small = brought_down(read, MASKED_PX)
    height, width = small.light.shape
    own = camera.scaled(small.factor / read.factor, width, height)
    sky, sample_km = _sky_and_sample(own)
    ignored = captions(small) | blank_parts(small.light)
    ignored |= window_frames(small.light, sky=sky) | hardware_mask(small.light, sky)
    if np.isfinite(sample_km) and sample_km > 0.0:
        ignored |= glare(small, sample_km)
    size = (camera.width_px, camera.height_px)
    full = cv2.resize(ignored.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return np.asarray(full if read.missing is None else full | read.missing, bool)


def _sky_and_sample(camera: Camera) -> tuple[NDArray[np.bool_], float]:
    """Which pixels see no ground, and how many kilometres a pixel covers at the finer parts."""
    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, 65), np.linspace(0.0, camera.height_px - 1.0, 65)
    )
    ground = camera.pixel_to_ecef(x, y)
    sky = cv2.resize(
        (~np.isfinite(ground[..., 0])).astype(np.float32), (camera.width_px, camera.height_px)
    )
    steps = np.linalg.norm(np.diff(ground, axis=1), axis=-1) / (camera.width_px - 1.0) * 64.0
    known = steps[np.isfinite(steps)]
    return sky > 0.5, float(np.quantile(known, 0.25)) / 1e3 if known.size else float("nan")
