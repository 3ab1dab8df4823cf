"""Dense search of the view sphere for attitudes at which the photo correlates with the map.

For a camera position, the map is rendered on tiles around a grid of boresights. The photo's small
light image, rotated to many roll angles, is compared with each tile at each shift by masked
normalised cross-correlation, computed by FFT (Padfield 2012).

Tiles are stereographic: a direction at an angle theta from the boresight is at the radius
``2 f tan(theta / 2)``. This projection is conformal, so shapes are preserved everywhere. A photo in
stereographic projection about its own axis therefore matches a tile, even far from the tile's
centre, after a shift and a rotation only. A few large tiles thus cover the view sphere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import intersect_ellipsoid
from matchers.geometry.map_grid import LATTICE_PX, MapGrid, draw, lattice, stereographic_rays
from matchers.geometry.pose import off_nadir_attitude, turn_camera, with_attitude
from matchers.lights.photo_light import detail

# Maximum error of the template's corners due to the roll step, about as large as the blur. Steps of
# 6, 9 and 12 degrees at 32 px ranked 11 telephoto frames of the training half alike
CORNER_PX = 2.1
MAX_TILE_PX = 256  # larger tiles at all rolls do not fit into the processor's cache
# Scale above which structure is removed from both images, template pixels; chosen on five
# photographs with known positions
DETAIL_PX = 4.0
# Minimum spread of the map under a template, absolute and relative to the tile's spread (by eye)
MIN_SPREAD, MIN_SPREAD_SHARE = 0.01, 0.1


@dataclass(frozen=True)
class TurnedTemplates:
    """Spectra of the photo's template and its windows at all rolls, for tiles of one size.

    There may be windows for half of the rolls only. They then also serve the opposite rolls.
    """

    rolls_deg: FloatArray
    images: FloatImage
    image_spectra: NDArray[np.complex64]
    window_spectra: NDArray[np.complex64]
    window_pixels: FloatImage
    side_px: int  # side of a rotated template
    fft_px: int  # side of a tile
    step_deg: float  # step between boresights of tiles

    @cached_property
    def square_spectra(self) -> NDArray[np.complex64]:
        return np.conj(fft.rfft2(self.images**2))


def find_attitudes(
    levels: Sequence[MapGrid],
    photo: Camera,
    templates: TurnedTemplates,
    directions: FloatArray,
) -> Iterator[Camera]:
    """Search attitudes of a camera at a known position; yield cameras, best first.

    `photo` is the camera of the *template* (its size and focal length); its attitude is not used.
    `directions` (n, 2): off-nadir angles and azimuths of the tiles, degrees.
    """
    side = templates.fft_px
    axis = lattice(side) - (side - 1) / 2.0
    tile_rays = stereographic_rays(*np.meshgrid(axis, axis), photo.focal_px)
    attitudes = [off_nadir_attitude(photo.position_ecef_m, d, a, 0.0) for d, a in directions]
    whole = levels[0].valid is None or bool(levels[0].valid.all())
    found: list[tuple[float, int, int, int, int]] = []
    for tile, attitude in enumerate(attitudes):
        places = intersect_ellipsoid(photo.position_ecef_m, tile_rays @ attitude.T)
        seen, ground = draw(levels, places, (side, side), LATTICE_PX)
        light = np.asarray(cv2.GaussianBlur(seen, (0, 0), 0.8), np.float32)  # px, by eye
        # log10(1 + L): tiles with a lower maximum do not contain lights
        if float(light.max()) <= 0.02 or float(ground.mean()) <= 0.02:
            continue
        scores = correlate(detail(light, DETAIL_PX), None if whole else ground, templates)
        flat = scores.reshape(len(scores), -1)
        for _ in range(3):
            best = flat.argmax(axis=1)
            for roll, place in enumerate(best.tolist()):
                value = float(flat[roll, place])
                if value > 0.0:
                    i, j = divmod(place, scores.shape[2])
                    found.append((value, tile, roll, i, j))
                    # Peaks are more than 3 px apart
                    top, left = (max(0, at - 3) for at in (i, j))
                    bottom, right = (at + 4 for at in (i, j))
                    scores[roll, top:bottom, left:right] = -1.0
    found.sort(reverse=True)
    for _, tile, roll, i, j in found:
        # Position of the template's centre in the tile, in units of tan(theta / 2)
        v, u = ((at + 0.5 * (templates.side_px - side)) / (2.0 * photo.focal_px) for at in (i, j))
        # Smallest rotation of the tile's axis (0, 0, 1) to that position, then the roll
        share = 2.0 * math.atan(math.hypot(u, v)) / max(math.hypot(u, v), 1e-12)
        there = turn_camera(with_attitude(photo, attitudes[tile]), (-v * share, u * share, 0.0))
        yield turn_camera(there, (0.0, 0.0, math.radians(float(templates.rolls_deg[roll]))))


def pad_map(drawn: FloatImage, rim_px: int = 0) -> FloatImage:
    """Pad a drawn map with zeros: by a rim, and at its ends to a size of fast transforms."""
    sides = [length + 2 * rim_px for length in drawn.shape]
    return np.pad(drawn, [(rim_px, rim_px + cv2.getOptimalDFTSize(side) - side) for side in sides])


def slide_window(spectrum: NDArray[Any], window: FloatImage) -> FloatImage:
    """Sum the products of a map and a window at each position of the window's first corner.

    Masked correlations are made of such sums, over a map and its square (Padfield 2012). `spectrum`
    is OpenCV's of a map of `pad_map`; a window that reaches beyond it wraps.
    """
    kernel = np.zeros(spectrum.shape, np.float32)
    kernel[: window.shape[0], : window.shape[1]] = window
    product = cv2.mulSpectrums(spectrum, cv2.dft(kernel), 0, conjB=True)
    return np.asarray(cv2.idft(product, flags=cv2.DFT_SCALE), np.float32)


def spread_boresights(step_deg: float, nearest_deg: float, farthest_deg: float) -> FloatArray:
    """Distribute directions evenly over a zone of off-nadir angles, inner ones first.

    Each direction in the zone is within about half a step, along and across the rings, of a
    returned one. Returns off-nadir angles and azimuths, degrees, shape (n, 2).
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


def choose_templates(template: FloatImage, mask: FloatImage, focal_px: float) -> TurnedTemplates:
    """Make rotated templates, and choose the size and spacing of tiles for a focal length.

    `template`, `mask` (h, w): the photo's small light image and its mask, 1 for valid pixels;
    `focal_px`: focal length of that image.
    """
    diagonal = float(np.hypot(*template.shape))
    # Consider stereographic projections about two axes an angle theta apart. At the photo's centre
    # the scale differs by 1 + a^2 with a = tan(theta / 2), and a point at t = tan(phi / 2) from the
    # centre is displaced by a further a t of that distance. In a square grid, the cell corners are
    # farthest from a node
    t = math.tan(0.5 * math.atan(0.5 * diagonal / focal_px))
    # The template's corners are displaced by 0.06 of its half diagonal at most where it is in the
    # corner of a tile. Tiles extend beyond half a step, by 1.2, since boresights of adjacent rings
    # are not aligned
    a = 0.5 * (math.sqrt(t * t + 4.0 * 0.06) - t)
    reach_rad = 1.2 * 2.0 * math.atan(a) * math.sqrt(2.0)
    side = math.ceil(diagonal) | 1
    reach_px = min(4.0 * focal_px * math.tan(0.25 * reach_rad), MAX_TILE_PX - side)
    fft_px = int(fft.next_fast_len(int(side + reach_px), real=True))
    # An even number of rolls, in pairs of opposite ones, with a corner error of at most `CORNER_PX`
    rolls = 2 * math.ceil(180.0 / math.degrees(2.0 * CORNER_PX / (0.5 * diagonal)))
    rolls_deg = np.arange(rolls) * 360.0 / rolls
    images, windows = np.zeros((2, rolls, fft_px, fft_px), np.float32)
    middle = 0.5 * np.array([template.shape[1] - 1, template.shape[0] - 1])
    flat, counted = (project_stereographic(image, focal_px) for image in (template, mask))
    for k, roll in enumerate(np.radians(rolls_deg)):
        turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        matrix = np.column_stack([turn, (side - 1) / 2.0 - turn @ middle])
        inside = (cv2.warpAffine(counted, matrix, (side, side)) > 0.6).astype(np.float32)  # by eye
        image = cv2.warpAffine(flat, matrix, (side, side))
        mean = float((image * inside).sum()) / max(float(inside.sum()), 1.0)
        centred = (image - mean) * inside
        images[k, :side, :side] = centred / max(float(np.sqrt((centred**2).sum())), 1e-12)
        windows[k, :side, :side] = inside
    changed = float(np.abs(counted - counted[::-1, ::-1]).sum())
    # Opposite rolls share one window for the map's spread, unless a rotation by 180 degrees changes
    # more than 2 % of the mask. With sky or hardware on one side, the shared window would include
    # areas where the photo is masked
    if changed <= 0.02 * float(counted.sum()):
        windows = windows[: rolls // 2]
    return TurnedTemplates(
        rolls_deg=rolls_deg,
        images=images,
        image_spectra=np.conj(fft.rfft2(images)),
        window_spectra=np.conj(fft.rfft2(windows)),
        window_pixels=windows.sum(axis=(1, 2)).astype(np.float32),
        side_px=side,
        fft_px=fft_px,
        step_deg=math.degrees(4.0 * math.atan(reach_px / (4.0 * focal_px))) / 1.2,
    )


def project_stereographic(image: FloatImage, focal_px: float) -> FloatImage:
    """Reproject a pinhole image to stereographic projection about its centre; 0 outside.

    The scale at the centre is preserved.
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


def correlate(
    tile: FloatImage,
    ground: FloatImage | None,
    templates: TurnedTemplates,
) -> FloatImage:
    """Compute normalised cross-correlation of a tile with the template at each roll and shift.

    ``ground`` is None if the map covers the whole tile. The spread is then taken about 0, which is
    the mean of a tile without broad structure. This saves one sum per window, and the result never
    exceeds the correlation about the mean under the template. Otherwise mean and spread of template
    and tile are taken over pixels where both exist (Padfield 2012, eq. 6-12).
    """
    side = len(tile)
    n = side - templates.side_px + 1
    pixels = templates.window_pixels[:, None, None]
    least = max(MIN_SPREAD, MIN_SPREAD_SHARE * float(tile.std())) ** 2

    def sweep(image: FloatImage, kernels: NDArray[np.complex64]) -> FloatImage:
        """Correlate, computing only the first n rows and columns."""
        rows = fft.ifft(fft.rfft2(image) * kernels, axis=-2, overwrite_x=True)[..., :n, :]
        return np.asarray(fft.irfft(rows, side, axis=-1)[..., :n], np.float32)

    if ground is None:
        spread = np.maximum(sweep(tile * tile, templates.window_spectra), least * pixels)
        np.sqrt(spread, out=spread)
        spread[spread == 0.0] = np.inf  # a fully masked template has correlation 0
        product = sweep(tile, templates.image_spectra)
        # Window k serves rolls k, k + n, ... for n windows
        return (product.reshape(-1, *spread.shape) / spread).reshape(product.shape)
    window = np.arange(len(templates.rolls_deg)) % len(pixels)
    lit = tile * ground
    known = np.maximum(sweep(ground, templates.window_spectra)[window], 1.0)
    sums = sweep(lit, templates.window_spectra)[window]
    squares = sweep(tile * lit, templates.window_spectra)[window]
    photo_sums = sweep(ground, templates.image_spectra)
    photo_squares = sweep(ground, templates.square_spectra)
    variance = np.maximum(squares - sums**2 / known, least * known)
    photo_variance = np.maximum(photo_squares - photo_sums**2 / known, 1e-3)
    covariance = sweep(lit, templates.image_spectra) - photo_sums * sums / known
    covered = known >= 0.6 * pixels[window]  # share of the template on the map, by eye
    scores = covariance / np.sqrt(variance * photo_variance)
    return np.where(covered, scores, np.float32(0.0))
