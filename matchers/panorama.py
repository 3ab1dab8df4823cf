"""Search of the azimuth alone, for a photo whose nadir direction the limb tells.

Photo and map are brought to the same panorama about the nadir, azimuth across and off-nadir angle
down. Turning the camera about the vertical then shifts the photo along the panorama, so all
azimuths (and small errors of the off-nadir angle) are compared by one masked normalised
cross-correlation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial.transform import Rotation

from detectors.types import FloatArray, FloatImage
from matchers.camera import Camera
from matchers.dense import LEAST_LIGHT, LEAST_OVERLAP, LEAST_SPREAD, LEAST_SPREAD_SHARE, Peak
from matchers.light_grid import LightGrid
from matchers.pose import looking_at_nadir, with_attitude
from matchers.view import lattice, view_along

# The limb is sharp to a few tenths of a degree, and the ellipsoid shifts it by up to 0.2
OFF_NADIR_REACH_DEG = 1.5
PEAKS = 6
# Peaks closer than this share of the photo's width are one
PEAK_REACH_SHARE = 0.08


@dataclass(frozen=True, kw_only=True, eq=False)
class Panorama:
    """A photo about its nadir, ready to be compared with panoramas of the map."""

    photo: Camera  # camera of the light image; its attitude is not used
    # (3, 3): columns: the directions of azimuth 0 and 90 degrees and the nadir, in the camera frame
    basis: FloatArray
    off_nadir_rad: FloatArray  # (n_off,): rows
    azimuth_rad: FloatArray  # (n_azimuth,): columns; they go all round
    # Conjugate transforms of the centred photo and of where it counts
    image_spectrum: NDArray[np.complex64]
    mask_spectrum: NDArray[np.complex64]
    pixels: float  # how many panorama pixels count
    reach_rows: int  # largest shift along the rows
    smooth_px: float  # this and the next as of the photo's light image
    detail_px: float


def panorama(
    values: FloatImage,
    weight: FloatImage,
    photo: Camera,
    nadir: FloatArray,
    farthest_deg: float,
    *,
    smooth_px: float,
    detail_px: float,
) -> Panorama | None:
    """Bring a photo to the panorama about its nadir.

    Parameters
    ----------
    values, weight : ndarray of float32, shape (h, w)
        Light image and the weight of its pixels.
    photo : Camera
        Its camera; the attitude is not used.
    nadir : ndarray of float64, shape (3,)
        Direction of the nadir in the camera frame.
    farthest_deg : float
        Off-nadir angle beyond which there is no ground to compare.
    smooth_px, detail_px : float
        Blur and scale of structure of that image, which the map's panorama gets too.

    Returns
    -------
    Panorama or None
        None where the photo shows no ground nearer than that.
    """
    height, width = values.shape
    down = np.asarray(nadir, float) / np.linalg.norm(nadir)
    side = np.cross(down, [0.0, 0.0, 1.0] if abs(down[2]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    basis = np.stack([side, np.cross(down, side), down], axis=1)
    edge_x, edge_y = np.meshgrid(np.linspace(0, width - 1, 25), np.linspace(0, height - 1, 25))
    rays = photo.rays(edge_x, edge_y)
    cosine = rays @ down / np.linalg.norm(rays, axis=-1)
    nearest = float(np.arccos(np.clip(cosine.max(), -1.0, 1.0)))
    step = 1.0 / photo.focal_px
    farthest = math.radians(farthest_deg)
    rows = math.ceil((farthest - nearest) / step)
    if rows < 4:
        return None
    off_nadir = nearest + step * (np.arange(rows, dtype=float) + 0.5)
    middle = 0.5 * (nearest + min(farthest, float(np.arccos(np.clip(cosine.min(), -1.0, 1.0)))))
    columns = int(fft.next_fast_len(math.ceil(2.0 * math.pi * math.sin(middle) / step), real=True))
    azimuth = 2.0 * math.pi * np.arange(columns) / columns
    local = directions(off_nadir, azimuth) @ basis.T
    # Behind the camera nothing is seen: a depth of 0.05 lies far outside every picture
    depth = np.maximum(local[..., 2], 0.05)
    ahead = local / depth[..., None]
    ground = ahead @ photo.matrix.T * 1e6 + np.asarray(photo.position_ecef_m)
    at_x, at_y = (p.astype(np.float32) for p in photo.ecef_to_pixel(ground))
    seen = np.where(local[..., 2] > 0.05, np.float32(1.0), np.float32(0.0))
    image = np.asarray(cv2.remap(values, at_x, at_y, cv2.INTER_LINEAR), np.float32)
    counted = np.asarray(cv2.remap(weight, at_x, at_y, cv2.INTER_LINEAR), np.float32) * seen
    inside = (counted > 0.6).astype(np.float32)
    pixels = float(inside.sum())
    if pixels < 16.0:
        return None
    centred = (image - float((image * inside).sum()) / pixels) * inside
    centred /= max(float(np.sqrt((centred**2).sum())), 1e-12)
    reach = max(1, math.ceil(math.radians(OFF_NADIR_REACH_DEG) / step))
    padded = int(fft.next_fast_len(rows + reach, real=True))
    shape = (padded, columns)
    return Panorama(
        photo=photo,
        basis=basis,
        off_nadir_rad=off_nadir,
        azimuth_rad=azimuth,
        image_spectrum=np.conj(fft.rfft2(centred, shape)),
        mask_spectrum=np.conj(fft.rfft2(inside, shape)),
        pixels=pixels,
        reach_rows=reach,
        smooth_px=smooth_px,
        detail_px=detail_px,
    )


def directions(off_nadir_rad: FloatArray, azimuth_rad: FloatArray) -> FloatArray:
    """Unit vectors of a panorama's pixels about the nadir (z), shape (n_off, n_azimuth, 3)."""
    sine, cosine = np.sin(off_nadir_rad)[:, None], np.cos(off_nadir_rad)[:, None]
    return np.stack(
        np.broadcast_arrays(
            sine * np.cos(azimuth_rad)[None, :], sine * np.sin(azimuth_rad)[None, :], cosine
        ),
        axis=-1,
    )


def map_panorama(
    levels: Sequence[LightGrid], wanted: Panorama, position_ecef_m: tuple[float, float, float]
) -> tuple[FloatImage, FloatImage | None]:
    """The map's lights on the panorama, and where on it the map holds data."""
    rows, columns = len(wanted.off_nadir_rad), len(wanted.azimuth_rad)
    at_row, at_column = lattice(rows), lattice(columns)
    first, step = wanted.off_nadir_rad[0], wanted.off_nadir_rad[1] - wanted.off_nadir_rad[0]
    rays = directions(first + step * at_row, 2.0 * np.pi * at_column / columns)
    # Columns of the frame are east, south, down; azimuth 0 looks north, 90 degrees east
    east, south, down = looking_at_nadir(position_ecef_m).T
    rays = rays @ np.stack([-south, east, down])
    return view_along(levels, position_ecef_m, rays, columns, rows)


def search_azimuth(
    levels: Sequence[LightGrid], wanted: Panorama, position_ecef_m: tuple[float, float, float]
) -> list[Peak]:
    """Candidate attitudes, best first, of a camera whose position and nadir direction are known.

    Their cameras are the photo's at that position.
    """
    seen, known = map_panorama(levels, wanted, position_ecef_m)
    view = smoothed_round(seen, wanted.smooth_px)
    if float(view.max()) <= LEAST_LIGHT:
        return []
    view = np.asarray(view - smoothed_round(view, wanted.detail_px), np.float32)
    if known is not None:
        view = view * known
    shape = (wanted.image_spectrum.shape[0], len(wanted.azimuth_rad))
    spectrum, squares = fft.rfft2(view, shape), fft.rfft2(view * view, shape)
    product = fft.irfft2(spectrum * wanted.image_spectrum, shape)
    sums = fft.irfft2(spectrum * wanted.mask_spectrum, shape)
    energy = fft.irfft2(squares * wanted.mask_spectrum, shape)
    pixels = wanted.pixels
    least = max(LEAST_SPREAD, LEAST_SPREAD_SHARE * float(view.std()))
    variance = np.maximum(energy - sums**2 / pixels, least**2 * pixels)
    score = np.asarray(product / np.sqrt(variance), np.float32)
    if known is not None:
        covered = fft.irfft2(fft.rfft2(known, shape) * wanted.mask_spectrum, shape)
        score[covered < LEAST_OVERLAP * pixels] = 0.0
    return peaks_round(score, wanted, position_ecef_m)


def smoothed_round(image: FloatImage, sigma_px: float) -> FloatImage:
    """Gaussian blur of a panorama, whose last column neighbours the first."""
    margin = min(math.ceil(4.0 * sigma_px), image.shape[1])
    wide = np.concatenate([image[:, -margin:], image, image[:, :margin]], axis=1)
    return np.asarray(cv2.GaussianBlur(wide, (0, 0), sigma_px)[:, margin:-margin], np.float32)


def peaks_round(
    score: FloatImage, wanted: Panorama, position_ecef_m: tuple[float, float, float]
) -> list[Peak]:
    """Highest maxima of a correlation over azimuth and small shifts of the off-nadir angle."""
    reach = wanted.reach_rows
    shifts = np.arange(-reach, reach + 1)
    work = score[shifts].copy()
    columns = work.shape[1]
    width = math.ceil(PEAK_REACH_SHARE * wanted.photo.width_px)
    step = wanted.off_nadir_rad[1] - wanted.off_nadir_rad[0]
    east, south, down = looking_at_nadir(position_ecef_m).T
    found = []
    for _ in range(PEAKS):
        i, j = divmod(int(np.argmax(work)), columns)
        value = float(work[i, j])
        if value <= 0.0:
            break
        turn = float(wanted.azimuth_rad[j])
        first = math.cos(turn) * -south + math.sin(turn) * east
        second = -math.sin(turn) * -south + math.cos(turn) * east
        attitude = np.stack([first, second, down], axis=1) @ tilted(wanted, shifts[i] * step).T
        photo = replace(wanted.photo, position_ecef_m=position_ecef_m)
        found.append(Peak(score=value, camera=with_attitude(photo, attitude)))
        work[:, np.arange(j - width, j + width + 1) % columns] = -1.0
    return found


def tilted(wanted: Panorama, angle_rad: float) -> FloatArray:
    """The photo's panorama axes when its nadir lies farther from the boresight by an angle."""
    down = wanted.basis[:, 2]
    boresight = np.array([0.0, 0.0, 1.0])
    axis = np.cross(down, boresight)
    axis /= max(float(np.linalg.norm(axis)), 1e-9)
    return np.asarray(Rotation.from_rotvec(-angle_rad * axis).as_matrix() @ wanted.basis)
