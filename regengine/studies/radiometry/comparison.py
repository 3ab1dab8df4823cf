"""Prepare photo and map for comparison: equal blur, without the photo's diffuse background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from detectors.background import estimate_diffuse_background
from detectors.constants import KM_PER_DEGREE
from detectors.types import BoolArray, FloatImage
from regengine.export.formats import LeftOutError
from regengine.studies.radiometry.cells import MIN_CELLS, MapCells, PhotoCells

MIN_SIGMA = 0.15  # cells: a smaller blur has no effect
STEPS = 1.6  # ratio of the blurs from which a variable blur is interpolated

# Structure that a Gaussian blur of this size removes counts as fine, cells
FINE_CELLS = 1.5
# Blurs that are tested, cells; with linear interpolation between them
TRIED_CELLS = (0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)

FULLY = 0.99  # visible share of a cell
CLIPPED = 0.002  # clipped share of a cell: less is the core of a single lamp
MAX_PIXEL_CELLS = 3.0  # cells that share a photo pixel with more others contain no information
# One sigma of the blur of a stored photo (lens, motion, demosaicing, pixel area)
PHOTO_SIGMA_PX = 0.7
DIFFUSE_KM = 30.0  # broader structure is background
MIN_DIFFUSE_CELLS = 16.0
DARK_NW = 0.5  # composites set lower values to zero, or have as much noise


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Compared quantities; arrays of shape (h, w), of the map's cells."""

    light: FloatImage  # photo's luminance above the background
    background: FloatImage  # diffuse luminance
    noise: FloatImage  # one sigma about it
    radiance_nw: FloatImage  # the map's
    usable: BoolArray  # cells used in the fit: visible, known, nowhere saturated
    judged: BoolArray  # those, and saturated ones
    photo_full: BoolArray  # where photo or map is saturated, so that the light is a lower bound
    map_full: BoolArray
    sigma_cells: FloatImage  # one sigma of each cell's position, in cells
    blur_cells: float  # sigma of the common blur, vertical, cells
    map_sigma_m: float  # the map's blur, applied to the photo, one sigma, metres
    # Blur applied to the map in addition to that of the photo's pixels, one sigma, metres
    photo_sigma_m: float


def compare(cells: MapCells, photo: PhotoCells, map_sigma_m: float | None = None) -> Comparison:
    """Blur photo and map equally, and subtract the photo's background.

    The blur of the photo's pixels is applied to the map, that of the map to the photo, and that of
    the registration to both. Light that is saturated in one of them is excluded from both.
    """
    grid = cells.grid
    cell_km = grid.resolution * KM_PER_DEGREE
    middle = np.radians(grid.north - 0.5 * grid.height * grid.resolution)
    stretch = 1.0 / max(float(np.cos(middle)), 0.05)
    judged = (photo.seen >= FULLY) & cells.known & (photo.pixel_cells <= MAX_PIXEL_CELLS)
    photo_full = judged & (photo.saturated > CLIPPED)
    map_full = judged & cells.saturated
    usable = judged & ~photo_full & ~map_full
    if np.count_nonzero(usable) < MIN_CELLS:
        raise LeftOutError("too few cells of the map can be compared")
    sigma_cells = np.nan_to_num(photo.sigma_m / np.float32(1e3 * cell_km), nan=0.0)
    place = float(np.median(sigma_cells[usable]))
    weight = usable.astype(np.float32)
    pixels = np.float32(PHOTO_SIGMA_PX) * photo.pixel_cells
    given = None if map_sigma_m is None else map_sigma_m / 1e3 / cell_km
    of_map, of_photo = match_blurs(
        Pair(photo.luminance, cells.radiance_nw, weight, stretch), pixels, place, given
    )
    fuzzy = np.hypot(pixels, np.float32(np.hypot(place, of_photo)))
    own = float(np.hypot(place, of_map))
    radiance = blur_by_width(cells.radiance_nw, weight, fuzzy, stretch)
    light = blur_cells(photo.luminance, weight, (own, own * stretch))
    # Saturated cells do not contribute to others, but are evaluated themselves
    every = judged.astype(np.float32)
    full = photo_full | map_full
    if full.any():
        radiance = np.where(full, blur_by_width(cells.radiance_nw, every, fuzzy, stretch), radiance)
        light = np.where(full, blur_cells(photo.luminance, every, (own, own * stretch)), light)
    level, noise = _background(light, radiance, judged, own, cell_km)
    return Comparison(
        light=np.where(judged, light - level, np.float32(0.0)),
        background=level,
        noise=noise,
        radiance_nw=np.where(judged, radiance, np.float32(0.0)),
        usable=usable,
        judged=judged,
        photo_full=photo_full,
        map_full=map_full,
        sigma_cells=sigma_cells,
        blur_cells=own,
        map_sigma_m=1e3 * cell_km * of_map,
        photo_sigma_m=1e3 * cell_km * of_photo,
    )


def _background(
    light: FloatImage, radiance: FloatImage, judged: BoolArray, blur_cells: float, cell_km: float
) -> tuple[FloatImage, FloatImage]:
    """Diffuse light and its noise, from the cells where the map has no lights."""
    side = 2 * int(np.ceil(2.0 * blur_cells)) + 1
    near = cv2.dilate((radiance > DARK_NW).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    dark = judged & ~near
    scale = max(MIN_DIFFUSE_CELLS, DIFFUSE_KM / cell_km)
    if np.count_nonzero(dark) < max(MIN_CELLS, 0.01 * np.count_nonzero(judged)):
        # Lights everywhere: only the darkest cells are known to be without light
        dark = judged & (radiance <= np.quantile(radiance[judged], 0.02))
        level = np.full_like(light, np.median(light[dark]))
        spread = 1.4826 * np.median(np.abs(light[dark] - level[dark]))
        return level, np.full_like(light, max(float(spread), 1e-5))
    found = estimate_diffuse_background(light, scale_px=scale, mask=~dark)
    return found.level, found.noise


@dataclass(frozen=True)
class Pair:
    """Luminance of the photo and radiance of the map, shape (h, w), and the mask of valid cells.

    ``stretch`` is the inverse of the ratio of a cell's width to its height: horizontal over
    vertical blur.
    """

    luminance: FloatImage
    radiance_nw: FloatImage
    weight: FloatImage
    stretch: float


def match_blurs(
    pair: Pair, pixels: FloatImage, place: float, given: float | None
) -> tuple[float, float]:
    """Find the blurs that make photo and map equally sharp.

    Images of the same lights have the same share of fine structure if they are equally sharp, even
    if single lights differ. Maximising the correlation would then select too much blur.
    """
    if given is not None:
        return given, 0.0

    def photo(sigma: float) -> float:
        own = float(np.hypot(place, sigma))
        return fine_share(blur_cells(pair.luminance, pair.weight, (own, own * pair.stretch)), pair)

    def map_(sigma: float) -> float:
        fuzzy = np.hypot(pixels, np.float32(np.hypot(place, sigma)))
        return fine_share(blur_by_width(pair.radiance_nw, pair.weight, fuzzy, pair.stretch), pair)

    aim_map, aim_photo = map_(0.0), photo(0.0)
    if aim_photo >= aim_map:
        return _where(photo, aim_photo, aim_map), 0.0
    return 0.0, _where(map_, aim_map, aim_photo)


def fine_share(image: FloatImage, pair: Pair) -> float:
    """Share of an image's standard deviation that is fine structure."""
    counts = pair.weight > 0.0
    smooth = blur_cells(image, pair.weight, (FINE_CELLS, FINE_CELLS * pair.stretch))
    spread = float(np.var(image[counts], dtype=float))
    fine = float(np.mean((image - smooth)[counts] ** 2, dtype=float))
    return float(np.sqrt(fine / spread)) if spread > 0.0 else 0.0


def _where(share: Callable[[float], float], first: float, aim: float) -> float:
    """The blur at which the share of fine structure falls to a value."""
    before, value = 0.0, first
    for sigma in TRIED_CELLS[1:]:
        now = share(sigma)
        if now <= aim:
            part = np.log(value / aim) / np.log(value / now) if now < value else 1.0
            return float(before + part * (sigma - before))
        before, value = sigma, now
    return TRIED_CELLS[-1]


def blur_by_width(
    image: FloatImage, weight: FloatImage, sigma: FloatImage, stretch: float
) -> FloatImage:
    """Gaussian mean with a width that varies from cell to cell.

    It is interpolated from a few blurs so that the variance is correct.
    """
    known = sigma[np.isfinite(sigma) & (weight > 0.0)]
    if not known.size:
        return image
    wanted = np.where(np.isfinite(sigma), sigma, np.float32(known.mean())) ** 2
    low, high = (float(np.quantile(known, q)) for q in (0.005, 0.995))
    low, high = max(low, MIN_SIGMA), max(high, MIN_SIGMA)
    count = int(np.ceil(np.log(high / low) / np.log(STEPS))) + 1
    levels = np.geomspace(low, high, count) if count > 1 else np.array([(low * high) ** 0.5])
    drawn = [blur_cells(image, weight, (level, level * stretch)) for level in levels]
    if count == 1:
        return drawn[0]
    found = drawn[0].copy()
    for k in range(1, count):
        share = (wanted - levels[k - 1] ** 2) / (levels[k] ** 2 - levels[k - 1] ** 2)
        share = np.clip(share, 0.0, 1.0).astype(np.float32)
        found += share * (drawn[k] - drawn[k - 1])
    return np.asarray(found, np.float32)


def blur_cells(image: FloatImage, weight: FloatImage, sigma: tuple[float, float]) -> FloatImage:
    """Gaussian mean of the valid cells (normalised convolution).

    References
    ----------
    Knutsson, H., Westin, C.-F. (1993). Normalized and differential convolution. CVPR, 515-523.
    """
    lit = _gauss(image * weight, sigma)
    counted = _gauss(weight, sigma)
    return np.asarray(np.where(counted > 1e-3, lit / np.maximum(counted, 1e-3), 0.0), np.float32)


def _gauss(image: FloatImage, sigma: tuple[float, float]) -> FloatImage:
    down, across = sigma
    if max(down, across) < MIN_SIGMA:
        return image
    return np.asarray(
        cv2.GaussianBlur(
            image,
            (0, 0),
            sigmaX=max(across, 1e-3),
            sigmaY=max(down, 1e-3),
            borderType=cv2.BORDER_CONSTANT,
        ),
        np.float32,
    )
