"""Dense search of the view sphere for the attitudes at which the photo fits the map.

From a camera position the map is seen on gnomonic (tangent-plane) tiles around a grid of
boresights; the photo's small light image, turned to many rolls, is compared with every tile at
every shift by masked normalised cross-correlation, computed by FFT.

References
----------
Padfield, D. (2012). Masked object registration in the Fourier domain. IEEE Transactions on Image
Processing 21 (5), 2706-2718.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial.transform import Rotation

from matchers.attitude import off_nadir_attitude, with_attitude
from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.photo_light import detail
from matchers.view import covered, render

Image = NDArray[np.float32]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class DenseParameters:
    """How finely the dense search looks.

    Attributes
    ----------
    template_px : int
        Long side of the photo's small light image.
    roll_step_deg : float
        Step of the turns about the boresight: at 6 degrees the template's corners are off by at
        most 2 px, about the blur of both images.
    tile_step_deg : float
        Spacing of the boresights.
    max_off_nadir_deg : float
        Boresights reach this far; the horizon of the ISS lies at 70 degrees.
    peaks_per_view : int
        Peaks kept for every tile and roll.
    smooth_px : float
        Blur of both images, template pixels.
    detail_px : float
        Broader structure than this is taken out of both images.
    """

    template_px: int = 64
    roll_step_deg: float = 6.0
    tile_step_deg: float = 16.0
    max_off_nadir_deg: float = 70.0
    peaks_per_view: int = 2
    smooth_px: float = 0.8
    detail_px: float = 4.0


@dataclass(frozen=True, kw_only=True)
class Peak:
    """One candidate attitude of the coarse search."""

    score: float
    camera: Camera
    tile: int


# Tiles whose brightest pixel is darker than this (log10(1 + L)) hold no lights
LEAST_LIGHT = 0.02
# The map under a template must vary by this share of the whole tile's spread
LEAST_SPREAD_SHARE = 0.1
LEAST_SPREAD = 0.01
# Of a template, this share must lie on ground that the map holds
LEAST_OVERLAP = 0.6
# and a tile without even this much ground in the map is not looked at
LEAST_GROUND = 0.02
# Neighbouring rolls that share one window for the map's mean and spread
WINDOW_SHARED = 2


@dataclass(frozen=True)
class TurnedTemplates:
    """Spectra of the photo's template at every roll, and of fewer windows, for one FFT size."""

    rolls_deg: FloatArray
    images: Image
    image_spectra: NDArray[np.complex64]
    mask_spectra: NDArray[np.complex64]
    pixels: Image
    side_px: int
    fft_px: int


def boresights(
    step_deg: float, max_off_nadir_deg: float, min_off_nadir_deg: float = 0.0
) -> FloatArray:
    """Directions spread evenly over the view sphere, nadir first.

    Parameters
    ----------
    step_deg : float
        Spacing of the rings and along them.
    max_off_nadir_deg, min_off_nadir_deg : float
        Rings outside this range are left out.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Off-nadir angle and azimuth, degrees.
    """
    found = []
    for ring in range(int(np.floor(max_off_nadir_deg / step_deg)) + 1):
        off_nadir = ring * step_deg
        count = max(1, int(np.ceil(360.0 * np.sin(np.radians(off_nadir)) / step_deg)))
        found += [(off_nadir, (k + 0.5 * (ring % 2)) * 360.0 / count) for k in range(count)]
    return np.array([f for f in found if f[0] >= min_off_nadir_deg])


def turned_templates(
    template: Image, mask: Image, rolls_deg: FloatArray, fft_px: int
) -> TurnedTemplates:
    """Turn a template to every roll and transform it.

    Parameters
    ----------
    template : ndarray of float32, shape (h, w)
        The photo's small light image.
    mask : ndarray of float32, shape (h, w)
        1 where it counts, 0 where not.
    rolls_deg : ndarray of float64, shape (n,)
        Rolls, as in `matchers.attitude.off_nadir_attitude`.
    fft_px : int
        Side of the transforms.

    Returns
    -------
    TurnedTemplates
    """
    h, w = template.shape
    side = int(np.ceil(np.hypot(h, w))) | 1
    centre = (side - 1) / 2.0
    images = np.zeros((len(rolls_deg), fft_px, fft_px), np.float32)
    masks = np.zeros_like(images)
    for k, roll in enumerate(np.radians(rolls_deg)):
        c, s = np.cos(roll), np.sin(roll)
        matrix = np.array(
            [
                [c, -s, centre - c * (w - 1) / 2 + s * (h - 1) / 2],
                [s, c, centre - s * (w - 1) / 2 - c * (h - 1) / 2],
            ]
        )
        turned_mask = cv2.warpAffine(mask, matrix, (side, side), flags=cv2.INTER_LINEAR)
        turned_image = cv2.warpAffine(template, matrix, (side, side), flags=cv2.INTER_LINEAR)
        inside = (turned_mask > 0.6).astype(np.float32)
        count = max(float(inside.sum()), 1.0)
        mean = float((turned_image * inside).sum()) / count
        centred = (turned_image - mean) * inside
        norm = float(np.sqrt((centred**2).sum()))
        images[k, :side, :side] = centred / max(norm, 1e-12)
        masks[k, :side, :side] = inside
    # A rectangle turned by 180 degrees is the same, and by one step nearly: share the windows
    windows = masks[: len(masks) // 2 : WINDOW_SHARED]
    return TurnedTemplates(
        rolls_deg=rolls_deg,
        images=images,
        image_spectra=np.conj(fft.rfft2(images)),
        mask_spectra=np.conj(fft.rfft2(windows)),
        pixels=windows.sum(axis=(1, 2)).astype(np.float32),
        side_px=side,
        fft_px=fft_px,
    )


def correlate(tile: Image, templates: TurnedTemplates, min_spread: float) -> Image:
    """Normalised cross-correlation of a tile with a template at every roll.

    Parameters
    ----------
    tile : ndarray of float32, shape (fft_px, fft_px)
        The map as seen around one boresight.
    templates : TurnedTemplates
        The photo at every roll.
    min_spread : float
        Standard deviation of the tile under the template below which nothing is compared.

    Returns
    -------
    ndarray of float32, shape (n_roll, n_shift, n_shift)
        Correlation in [-1, 1]; entry (k, i, j) is for roll k, the template's corner at row i,
        column j.
    """
    shape = tile.shape
    n = shape[0] - templates.side_px + 1
    spectrum = fft.rfft2(tile)
    spectrum_sq = fft.rfft2(tile * tile)
    pixels = templates.pixels[:, None, None]
    sums = fft.irfft2(spectrum * templates.mask_spectra, shape)[:, :n, :n]
    squares = fft.irfft2(spectrum_sq * templates.mask_spectra, shape)[:, :n, :n]
    variance = squares - sums**2 / pixels
    spread = np.sqrt(np.maximum(variance, min_spread**2 * pixels))
    product = fft.irfft2(spectrum * templates.image_spectra, shape)[:, :n, :n]
    window = np.arange(len(product)) % (len(product) // 2) // WINDOW_SHARED
    return np.asarray(product / spread[window], np.float32)


def correlate_covered(
    tile: Image, tile_mask: Image, templates: TurnedTemplates, min_spread: float
) -> Image:
    """As `correlate`, for a tile of which the map holds only a part.

    Mean and spread of template and tile are taken where both exist (Padfield 2012, eq. 6-12).

    Parameters
    ----------
    tile : ndarray of float32, shape (fft_px, fft_px)
        The map as seen around one boresight.
    tile_mask : ndarray of float32, shape (fft_px, fft_px)
        1 where the map holds data, else 0.
    templates : TurnedTemplates
        The photo at every roll.
    min_spread : float
        As in `correlate`.

    Returns
    -------
    ndarray of float32, shape (n_roll, n_shift, n_shift)
        Correlation; 0 where less than `LEAST_OVERLAP` of the template is covered.
    """
    shape = tile.shape
    n = shape[0] - templates.side_px + 1

    def swept(spectrum: Any, kernels: Any) -> Image:
        return np.asarray(fft.irfft2(spectrum * kernels, shape)[:, :n, :n], np.float32)

    window = np.arange(len(templates.rolls_deg)) % (len(templates.rolls_deg) // 2) // WINDOW_SHARED
    known = fft.rfft2(tile_mask)
    lit = fft.rfft2(tile * tile_mask)
    pixels = np.maximum(swept(known, templates.mask_spectra)[window], 1.0)
    sums = swept(lit, templates.mask_spectra)[window]
    squares = swept(fft.rfft2(tile * tile * tile_mask), templates.mask_spectra)[window]
    photo_sums = swept(known, templates.image_spectra)
    photo_squares = swept(known, np.conj(fft.rfft2(templates.images**2)))
    variance = np.maximum(squares - sums**2 / pixels, min_spread**2 * pixels)
    photo_variance = np.maximum(photo_squares - photo_sums**2 / pixels, 1e-3)
    product = swept(lit, templates.image_spectra) - photo_sums * sums / pixels
    covered_enough = pixels >= LEAST_OVERLAP * templates.pixels[window][:, None, None]
    return np.where(covered_enough, product / np.sqrt(variance * photo_variance), np.float32(0.0))


def peaks_of(score: Image, count: int, reach_px: int = 3) -> list[tuple[int, int, float]]:
    """Highest local maxima of a correlation surface as (row, column, score)."""
    work = score.copy()
    found = []
    for _ in range(count):
        flat = int(np.argmax(work))
        i, j = divmod(flat, work.shape[1])
        value = float(work[i, j])
        if value <= 0.0:
            break
        found.append((i, j, value))
        work[
            max(0, i - reach_px) : i + reach_px + 1, max(0, j - reach_px) : j + reach_px + 1
        ] = -1.0
    return found


def templates_for(
    template: Image, mask: Image, focal_px: float, parameters: DenseParameters
) -> TurnedTemplates:
    """Turned templates large enough for tiles of a focal length.

    Parameters
    ----------
    template, mask : ndarray of float32, shape (h, w)
        The photo's small light image and what of it counts.
    focal_px : float
        Focal length of that image, pixels.
    parameters : DenseParameters
        How finely to look.

    Returns
    -------
    TurnedTemplates
    """
    side = int(np.ceil(np.hypot(*template.shape))) | 1
    reach_px = 2.0 * focal_px * np.tan(np.radians(0.6 * parameters.tile_step_deg))
    fft_px = int(fft.next_fast_len(int(side + reach_px), real=True))
    rolls = np.arange(0.0, 360.0, parameters.roll_step_deg)
    return turned_templates(template, mask, rolls, fft_px)


def search(
    levels: Sequence[LightGrid],
    photo: Camera,
    templates: TurnedTemplates,
    directions: FloatArray,
    parameters: DenseParameters,
    keep: int,
) -> list[Peak]:
    """Candidate attitudes of a camera at a known position.

    Parameters
    ----------
    levels : sequence of LightGrid
        Map pyramid that covers what the directions can see.
    photo : Camera
        Camera of the *template* (its size and focal length); its attitude is not used.
    templates : TurnedTemplates
        Of `templates_for`, for the photo's focal length.
    directions : ndarray of float64, shape (n, 2)
        Off-nadir angles and azimuths of the tiles.
    parameters : DenseParameters
        How finely to look.
    keep : int
        How many candidates to return at most.

    Returns
    -------
    list of Peak
        Best first.
    """
    fft_px = templates.fft_px
    shift = (templates.side_px - 1) / 2.0
    found: list[tuple[float, int, int, int, int]] = []
    views: list[Camera] = []
    for index, (off_nadir, azimuth) in enumerate(directions):
        view = tile_camera(photo, fft_px, off_nadir, azimuth)
        views.append(view)
        seen = render(levels, view, 1)
        tile = np.asarray(cv2.GaussianBlur(seen, (0, 0), parameters.smooth_px), np.float32)
        if float(tile.max()) <= LEAST_LIGHT:
            continue
        tile = detail(tile, parameters.detail_px)
        least = max(LEAST_SPREAD, LEAST_SPREAD_SHARE * float(tile.std()))
        ground = covered(levels, view)
        if ground is None:
            scores = correlate(tile, templates, least)
        elif float(ground.mean()) > LEAST_GROUND:
            scores = correlate_covered(tile, ground, templates, least)
        else:
            continue
        for k, score in enumerate(scores):
            for i, j, value in peaks_of(score, parameters.peaks_per_view):
                found.append((value, index, k, i, j))
    found.sort(reverse=True)
    peaks = []
    for value, index, k, i, j in found[:keep]:
        roll = float(templates.rolls_deg[k])
        camera = camera_at(photo, views[index], j + shift, i + shift, roll)
        peaks.append(Peak(score=value, camera=camera, tile=index))
    return peaks


def tile_camera(photo: Camera, side_px: int, off_nadir_deg: float, azimuth_deg: float) -> Camera:
    """Square view from the photo's position around a boresight, at the photo's scale."""
    blank = Camera(
        width_px=side_px,
        height_px=side_px,
        focal_px=photo.focal_px,
        principal_point=((side_px - 1) / 2.0, (side_px - 1) / 2.0),
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=photo.position_ecef_m,
    )
    attitude = off_nadir_attitude(photo.position_ecef_m, off_nadir_deg, azimuth_deg, 0.0)
    return with_attitude(blank, attitude)


def camera_at(photo: Camera, view: Camera, x: float, y: float, roll_deg: float) -> Camera:
    """The photo's camera when its centre lies at (x, y) of a tile, turned by a roll."""
    u, v, _ = view.rays(x, y)
    direction = np.array([u, v, 1.0]) / np.sqrt(1.0 + u * u + v * v)
    z = np.array([0.0, 0.0, 1.0])
    cross = np.cross(z, direction)
    # Shortest turn that carries the tile's axis to the peak's direction, then the roll
    w = 1.0 + direction[2]
    q = np.array([cross[0], cross[1], cross[2], w])
    q /= np.linalg.norm(q)
    half = np.radians(roll_deg) / 2.0
    roll = np.array([0.0, 0.0, np.sin(half), np.cos(half)])
    turn = Rotation.from_quat(q) * Rotation.from_quat(roll)
    return with_attitude(photo, view.matrix @ turn.as_matrix())
