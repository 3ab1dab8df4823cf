"""Dense search of the view sphere for the attitudes at which the photo fits the map.

From a camera position the map is seen on tiles around a grid of boresights; the photo's small light
image, turned to many rolls, is compared with every tile at every shift by masked normalised
cross-correlation, computed by FFT.

Tiles are stereographic: a direction at an angle theta from the boresight lies at the radius
``2 f tan(theta / 2)``. Unlike a pinhole's this projection keeps shapes everywhere, so the photo,
brought to it about its own axis, is found far from the tile's centre by a shift and a turn alone:
few large tiles cover the view sphere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from detectors.types import FloatArray, FloatImage, IndexArray
from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.photo_light import detail
from matchers.pose import (
    off_nadir_attitude,
    quaternion_product,
    rotation_quaternion,
    with_attitude,
)
from matchers.view import lattice, stereographic_rays, view_along

# Opposite rolls share one window for the map's spread unless half a turn changes this share of the
# mask: with sky or hardware on one side the spread would be taken where the photo shows nothing
MOST_TURNED_SHARE = 0.02
# Tiles reach beyond half a step, since neighbours in other rings do not face each other
TILE_OVERLAP = 1.2
# All turns of a larger tile leave the processor's cache
LARGEST_FFT_PX = 256
# Of a template, this share must lie on ground that the map holds
LEAST_OVERLAP = 0.6
# Tiles whose brightest pixel is darker than this (log10(1 + L)) hold no lights
LEAST_LIGHT = 0.02
# The map under a template must vary by this share of the whole tile's spread
LEAST_SPREAD_SHARE = 0.1
LEAST_SPREAD = 0.01
# A tile without even this much ground in the map is not looked at
LEAST_GROUND = 0.02


@dataclass(frozen=True, kw_only=True)
class DenseParameters:
    """How finely the dense search looks.

    Attributes
    ----------
    template_px : int
        Long side of the photo's small light image.
    corner_px : float
        The template is turned in steps so small that its corners are off by at most this, about
        the blur of both images: 6 degrees for 64 px.
    displaced_share : float
        What lies in the template's corners may be off by this share of its half diagonal where
        the template lies in the corner of a tile: sets how large tiles are.
    max_off_nadir_deg : float
        Boresights reach this far; the horizon of the ISS lies at 70 degrees.
    peaks_per_view : int
        Peaks kept for every tile and roll.
    peak_reach_px : int
        They are farther apart than this.
    smooth_px : float
        Blur of both images, template pixels.
    detail_px : float
        Broader structure than this is taken out of both images.
    """

    template_px: int = 64
    # about the blur: 11 telephoto frames of the training half were ranked alike by steps of
    # 6, 9 and 12 degrees of 32 px
    corner_px: float = 2.1
    displaced_share: float = 0.06
    max_off_nadir_deg: float = 70.0  # the horizon of the ISS
    peaks_per_view: int = 3
    peak_reach_px: int = 3
    smooth_px: float = 0.8
    detail_px: float = 4.0  # five photographs with known places


@dataclass(frozen=True, kw_only=True)
class Peak:
    """One candidate attitude of the coarse search."""

    score: float
    camera: Camera


def search(
    levels: Sequence[LightGrid],
    photo: Camera,
    templates: TurnedTemplates,
    directions: FloatArray,
    parameters: DenseParameters,
) -> Iterator[Peak]:
    """Candidate attitudes of a camera at a known position.

    Parameters
    ----------
    photo : Camera
        Camera of the *template* (its size and focal length); its attitude is not used.
    directions : ndarray of float64, shape (n, 2)
        Off-nadir angles and azimuths of the tiles.

    Yields
    ------
    Peak
        Best first.
    """
    grid = tile_grid(templates.fft_px, photo.focal_px)
    shift = (templates.side_px - 1) / 2.0
    found: list[tuple[float, int, int, int, int]] = []
    attitudes = [off_nadir_attitude(photo.position_ecef_m, d, a, 0.0) for d, a in directions]
    for index, attitude in enumerate(attitudes):
        rays = grid.rays @ attitude.T
        seen, ground = view_along(levels, photo.position_ecef_m, rays, grid.side_px, grid.side_px)
        tile = np.asarray(cv2.GaussianBlur(seen, (0, 0), parameters.smooth_px), np.float32)
        if float(tile.max()) <= LEAST_LIGHT:
            continue
        tile = detail(tile, parameters.detail_px)
        least = max(LEAST_SPREAD, LEAST_SPREAD_SHARE * float(tile.std()))
        if ground is None:
            scores = correlate(tile, templates, least)
        elif float(ground.mean()) > LEAST_GROUND:
            scores = correlate_covered(tile, ground, templates, least)
        else:
            continue
        found += [(value, index, k, i, j) for k, i, j, value in peaks_of(scores, parameters)]
    found.sort(reverse=True)
    for value, index, k, i, j in found:
        roll = float(templates.rolls_deg[k])
        camera = camera_at(photo, grid, attitudes[index], j + shift, i + shift, roll)
        yield Peak(score=value, camera=camera)


def boresights(step_deg: float, nearest_deg: float, farthest_deg: float) -> FloatArray:
    """Directions spread evenly over a zone of the view sphere, the inner ones first.

    Parameters
    ----------
    step_deg : float
        Largest spacing of the rings and along them.
    nearest_deg, farthest_deg : float
        Off-nadir angles that the zone reaches between; every direction in it is within about half
        a step, along and across the rings, of one of those returned.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Off-nadir angle and azimuth, degrees.
    """
    inner = nearest_deg if nearest_deg > 0.0 else 0.5 * step_deg
    count = max(0, math.ceil((farthest_deg - inner) / step_deg))
    width = (farthest_deg - inner) / max(count, 1)
    rings = [inner + (k + 0.5) * width for k in range(count)]
    if nearest_deg <= 0.0:
        rings.insert(0, 0.0)
    found = []
    for ring, off_nadir in enumerate(rings):
        across = max(1, math.ceil(360.0 * math.sin(math.radians(off_nadir)) / step_deg - 1e-9))
        found += [(off_nadir, (k + 0.5 * (ring % 2)) * 360.0 / across) for k in range(across)]
    return np.array(found)


@dataclass(frozen=True)
class TurnedTemplates:
    """Spectra of the photo's template at every roll, and of fewer windows, for one FFT size.

    Where there are windows for half of the rolls, they serve the opposite ones, too.
    """

    rolls_deg: FloatArray
    images: FloatImage
    image_spectra: NDArray[np.complex64]
    mask_spectra: NDArray[np.complex64]
    pixels: FloatImage
    side_px: int
    fft_px: int
    step_deg: float = 0.0

    @property
    def window_of(self) -> IndexArray:
        """Which window serves each roll, shape (n,)."""
        return np.arange(len(self.rolls_deg)) % len(self.pixels)


def templates_for(
    template: FloatImage, mask: FloatImage, focal_px: float, parameters: DenseParameters
) -> TurnedTemplates:
    """Turned templates large enough for tiles of a focal length.

    Parameters
    ----------
    template, mask : ndarray of float32, shape (h, w)
        The photo's small light image and what of it counts.
    focal_px : float
        Focal length of that image, pixels.
    """
    diagonal = float(np.hypot(*template.shape))
    side = math.ceil(diagonal) | 1
    widest_deg = tile_step_deg(0.5 * diagonal / focal_px, parameters)
    reach_px = 4.0 * focal_px * math.tan(0.25 * math.radians(TILE_OVERLAP * widest_deg))
    reach_px = min(reach_px, LARGEST_FFT_PX - side)
    step_deg = math.degrees(4.0 * math.atan(reach_px / (4.0 * focal_px))) / TILE_OVERLAP
    fft_px = int(fft.next_fast_len(int(side + reach_px), real=True))
    rolls = even_rolls_deg(0.5 * diagonal, parameters.corner_px)
    flat, counted = (stereographic(image, focal_px) for image in (template, mask))
    return replace(turned_templates(flat, counted, rolls, fft_px), step_deg=step_deg)


def turned_templates(
    template: FloatImage, mask: FloatImage, rolls_deg: FloatArray, fft_px: int
) -> TurnedTemplates:
    """Turn a template to every roll and transform it."""
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
    windows = masks[: len(masks) // 2] if same_when_turned(mask) else masks
    return TurnedTemplates(
        rolls_deg=rolls_deg,
        images=images,
        image_spectra=np.conj(fft.rfft2(images)),
        mask_spectra=np.conj(fft.rfft2(windows)),
        pixels=windows.sum(axis=(1, 2)).astype(np.float32),
        side_px=side,
        fft_px=fft_px,
    )


def same_when_turned(mask: FloatImage) -> bool:
    """Whether a mask is about the same after half a turn, as that of a whole rectangle is."""
    changed = float(np.abs(mask - mask[::-1, ::-1]).sum())
    return changed <= MOST_TURNED_SHARE * float(mask.sum())


def even_rolls_deg(half_diagonal_px: float, corner_px: float) -> FloatArray:
    """Rolls all round, as many opposite ones, such that corners are off by at most some pixels."""
    widest_deg = math.degrees(2.0 * corner_px / half_diagonal_px)
    count = 2 * math.ceil(180.0 / widest_deg)
    return np.arange(count) * 360.0 / count


def tile_step_deg(half_diagonal_tan: float, parameters: DenseParameters) -> float:
    """Spacing of the boresights at which a photo fits tiles well enough everywhere.

    Between stereographic images about two axes, an angle ``theta`` apart, a photo's centre is
    enlarged by ``1 + a^2`` with ``a = tan(theta / 2)``, and a point at ``t = tan(phi / 2)`` from
    it is displaced by a further ``a t`` of that distance.
    """
    t = math.tan(0.5 * math.atan(half_diagonal_tan))
    a = 0.5 * (math.sqrt(t * t + 4.0 * parameters.displaced_share) - t)
    # Of a square grid's cells the corners are farthest from a node
    return math.degrees(2.0 * math.atan(a)) * math.sqrt(2.0)


def stereographic(image: FloatImage, focal_px: float) -> FloatImage:
    """A pinhole image, brought to the stereographic projection about its middle; 0 outside of it.

    The scale at the middle stays.
    """
    height, width = image.shape
    x = np.arange(width, dtype=np.float32) - (width - 1) / 2.0
    y = np.arange(height, dtype=np.float32) - (height - 1) / 2.0
    u, v = np.meshgrid(x / (2.0 * focal_px), y / (2.0 * focal_px))
    # tan(theta) = 2 tan(theta / 2) / (1 - tan(theta / 2)^2)
    stretch = 1.0 / np.maximum(1.0 - u * u - v * v, 0.05)
    at_x = (x[None, :] * stretch + (width - 1) / 2.0).astype(np.float32)
    at_y = (y[:, None] * stretch + (height - 1) / 2.0).astype(np.float32)
    return np.asarray(cv2.remap(image, at_x, at_y, cv2.INTER_LINEAR), np.float32)


@dataclass(frozen=True, kw_only=True)
class TileGrid:
    """What all square tiles of one search share."""

    side_px: int  # their centre, the boresight, is the pixel ``(side_px - 1) / 2`` of both axes
    focal_px: float  # pixels a radian at the centre
    # (n, n, 3): unit vectors of the pixels of `matchers.view.lattice`: x right, y down, z along the
    # boresight
    rays: FloatArray


def tile_grid(side_px: int, focal_px: float) -> TileGrid:
    """Rays of tiles of some size and scale."""
    axis = lattice(side_px) - (side_px - 1) / 2.0
    rays = stereographic_rays(*np.meshgrid(axis, axis), focal_px)
    return TileGrid(side_px=side_px, focal_px=focal_px, rays=rays)


def camera_at(
    photo: Camera, grid: TileGrid, attitude: FloatArray, x: float, y: float, roll_deg: float
) -> Camera:
    """The photo's camera when its centre lies at (x, y) of a tile, turned by a roll."""
    u = (x - (grid.side_px - 1) / 2.0) / (2.0 * grid.focal_px)
    v = (y - (grid.side_px - 1) / 2.0) / (2.0 * grid.focal_px)
    # Shortest turn that carries the tile's axis (0, 0, 1) to the peak's direction, then the roll
    angle = 2.0 * math.atan(math.hypot(u, v))
    share = angle / max(math.hypot(u, v), 1e-12)
    to_peak = rotation_quaternion([-v * share, u * share, 0.0])
    roll = rotation_quaternion([0.0, 0.0, math.radians(roll_deg)])
    turn = quaternion_product(to_peak, roll)
    tile = with_attitude(photo, attitude).quaternion
    return replace(photo, quaternion=quaternion_product(tile, turn))


def correlate(tile: FloatImage, templates: TurnedTemplates, min_spread: float) -> FloatImage:
    """Normalised cross-correlation of a tile with a template at every roll.

    The tile's spread is taken about 0, the mean of a tile without broad structure: a sum less for
    every window, and never above the correlation about the mean under the template.
    """
    side = len(tile)
    n = side - templates.side_px + 1
    pixels = templates.pixels[:, None, None]
    squares = corner(fft.rfft2(tile * tile) * templates.mask_spectra, side, n)
    spread = np.maximum(squares, min_spread**2 * pixels)
    np.sqrt(spread, out=spread)
    spread[spread == 0.0] = np.inf  # a template that is masked all over is like nothing
    product = corner(fft.rfft2(tile) * templates.image_spectra, side, n)
    # A window serves the rolls that are as many apart as there are windows
    scores = product.reshape(-1, *spread.shape) / spread
    return np.asarray(scores.reshape(product.shape), np.float32)


def corner(spectra: NDArray[np.complex64], side_px: int, n: int) -> FloatImage:
    """The first n rows and columns of square images, of their spectra: no other row is made."""
    rows = fft.ifft(spectra, axis=-2, overwrite_x=True)[..., :n, :]
    return np.asarray(fft.irfft(rows, side_px, axis=-1)[..., :n], np.float32)


def correlate_covered(
    tile: FloatImage, tile_mask: FloatImage, templates: TurnedTemplates, min_spread: float
) -> FloatImage:
    """As `correlate`, for a tile of which the map holds only a part.

    Mean and spread of template and tile are taken where both exist (Padfield 2012, eq. 6-12).
    """
    side = len(tile)
    n = side - templates.side_px + 1

    def swept(spectrum: Any, kernels: Any) -> FloatImage:
        return corner(spectrum * kernels, side, n)

    window = templates.window_of
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


def peaks_of(scores: FloatImage, parameters: DenseParameters) -> list[tuple[int, int, int, float]]:
    """Highest local maxima of a tile's correlations, some for every roll."""
    reach = parameters.peak_reach_px
    work = scores.copy()
    rolls, _, side = work.shape
    flat = work.reshape(rolls, -1)
    found = []
    for _ in range(parameters.peaks_per_view):
        best = flat.argmax(axis=1)
        for roll, (place, value) in enumerate(
            zip(best.tolist(), flat[np.arange(rolls), best].tolist(), strict=True)
        ):
            if value > 0.0:
                i, j = divmod(place, side)
                found.append((roll, i, j, value))
                rows = slice(max(0, i - reach), i + reach + 1)
                work[roll, rows, max(0, j - reach) : j + reach + 1] = -1.0
    return found
