"""Diffuse background and noise, stripes, hot pixels, blurs in scale space, and input frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, median_filter
from scipy.spatial import cKDTree
from scipy.special import ndtri

from detectors.types import BoolImage, FloatArray, FloatImage, IndexArray, PointFlag, StarDetections

SAMPLES_ACROSS_BOX = 48  # 2,300 samples per box: the median is accurate to 0.03 sigma
MIN_SAMPLES = 0.1  # minimum share of valid samples; with fewer the box is a hole
NORMAL_Q75 = 0.6745  # q75 of a normal distribution, in sigma

# One dark step of 8-bit sRGB, 1 / 255 / 12.92, over sqrt(12). Clipped blacks have less apparent
# noise than actual noise; smaller values cannot be distinguished from rounding
ROUNDING_SIGMA = 1.0 / 255.0 / 12.92 / 12.0**0.5
# The level of a row or column is the median over pieces of their mean clipped light (1.25 times the
# sigma of a mean). It is insensitive to stars and to 8-bit quantisation
STRIPE_PX = 128


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """Boxes of equal size that cover an image and may extend a few pixels beyond it."""

    shape: tuple[int, int]
    rows: int
    cols: int
    box_h: int
    box_w: int
    top: int
    left: int

    @classmethod
    def with_boxes(cls, shape: tuple[int, ...], rows: int, cols: int) -> Mesh:
        """Make a mesh with given numbers of boxes, centred on the image."""
        h, w = shape[0], shape[1]
        box_h, box_w = -(-h // rows), -(-w // cols)
        return cls(
            shape=(h, w),
            rows=rows,
            cols=cols,
            box_h=box_h,
            box_w=box_w,
            top=(rows * box_h - h) // 2,
            left=(cols * box_w - w) // 2,
        )

    @classmethod
    def with_scale(cls, shape: tuple[int, ...], scale_px: float) -> Mesh:
        rows, cols = (max(1, round(side / scale_px)) for side in shape[:2])
        return cls.with_boxes(shape, rows, cols)

    def samples(self, image: FloatImage, across: int = SAMPLES_ACROSS_BOX) -> FloatImage:
        """Sample pixels by box, about ``across`` per side; NaN outside the image.

        Shape (rows, cols, n).
        """
        h, w = self.shape
        bottom = self.rows * self.box_h - h - self.top
        right = self.cols * self.box_w - w - self.left
        padded = cv2.copyMakeBorder(
            image, self.top, bottom, self.left, right, cv2.BORDER_CONSTANT, value=float("nan")
        )
        boxes = padded.reshape(self.rows, self.box_h, self.cols, self.box_w)
        step_y = max(1, self.box_h // across)
        step_x = max(1, self.box_w // across)
        boxes = boxes[:, step_y // 2 :: step_y, :, step_x // 2 :: step_x]
        by_box = boxes.transpose(0, 2, 1, 3).reshape(self.rows, self.cols, -1)
        return np.asarray(by_box, np.float32)

    def upsample(self, boxes: FloatImage) -> FloatImage:
        """Interpolate between the centres of the boxes at each pixel (bicubic).

        Slopes are extrapolated beyond the outermost centres. If no box is negative, no pixel is.
        """
        (h, w), top, left = self.shape, self.top + self.box_h, self.left + self.box_w
        down = _make_cubic_weights(self.rows, self.box_h)[top : top + h]
        across = _make_cubic_weights(self.cols, self.box_w)[left : left + w]
        return _interpolate_boxes(boxes, down, across)

    def at(self, boxes: FloatImage, row: IndexArray, col: IndexArray) -> FloatArray:
        """Interpolate linearly between the centres of the boxes, at selected pixels."""
        box_row = (row + self.top + 0.5) / self.box_h - 0.5
        box_col = (col + self.left + 0.5) / self.box_w - 0.5
        where = np.stack([box_row, box_col])
        return np.asarray(map_coordinates(boxes, where, order=1, mode="nearest"), float)


def estimate_lowest_mode(samples: FloatImage, least_sigma: float) -> tuple[FloatImage, FloatImage]:
    """Estimate level and sigma of the lowest mode of each box; NaN for boxes with few pixels.

    The estimate starts at the lower quartile. Pixels more than 2.5 sigma above the level are
    clipped iteratively. Sigma follows from the darker side of the distribution, which has no
    lights.

    `samples` (rows, cols, n): pixels by box; NaN for missing ones. `least_sigma`: lower bound of
    sigma during clipping. Returns `level`, `sigma` (rows, cols).
    """
    ordered = np.sort(samples, axis=-1)  # NaN last
    valid = np.isfinite(ordered).sum(axis=-1)
    quartile = select_ranks(ordered, 0.25 * valid)
    # q25 - q05 of a normal distribution, in sigma
    sigma = (quartile - select_ranks(ordered, 0.05 * valid)) / 0.9703
    level = quartile + NORMAL_Q75 * sigma
    for _ in range(6):
        sigma = np.maximum(sigma, least_sigma)
        # Pixels further above the level of a box are taken as lights
        kept = (ordered <= (level + 2.5 * sigma)[..., None]).sum(axis=-1)
        level = select_ranks(ordered, 0.5 * kept)
        sigma = (level - select_ranks(ordered, 0.1587 * kept)) / 0.9945  # q50 - q16, likewise
    few = valid < MIN_SAMPLES * ordered.shape[-1]
    level[few] = sigma[few] = np.nan
    return level, sigma


def spread_about_zero(samples: FloatImage) -> FloatImage:
    """Compute the robust sigma of each box about zero; NaN for boxes with too few pixels."""
    ordered = np.sort(np.abs(samples), axis=-1)
    valid = np.isfinite(ordered).sum(axis=-1)
    sigma = select_ranks(ordered, 0.5 * valid) / np.float32(NORMAL_Q75)
    sigma[valid < MIN_SAMPLES * ordered.shape[-1]] = np.nan
    return sigma


def estimate_upper_spread(
    samples: FloatImage, quantiles: tuple[float, ...] = (0.75,)
) -> FloatImage:
    """Estimate sigma from upper quantiles of each box: the largest estimate, at least 0.

    NaN for boxes with too few pixels.
    """
    ordered = np.sort(samples, axis=-1)
    valid = np.isfinite(ordered).sum(axis=-1)
    sigma = np.zeros(valid.shape, np.float32)
    for quantile in quantiles:
        above = select_ranks(ordered, quantile * valid) / np.float32(ndtri(quantile))
        sigma = np.maximum(sigma, above)
    sigma[valid < MIN_SAMPLES * ordered.shape[-1]] = np.nan
    return np.asarray(sigma, np.float32)


def smooth_boxes(boxes: FloatImage) -> FloatImage:
    """Apply a 3 x 3 median to boxes, after filling holes (NaN) from their neighbours."""
    full = fill_holes(boxes)
    if min(full.shape) < 3:
        return full
    return np.ascontiguousarray(
        cv2.medianBlur(np.pad(full, 1, mode="reflect", reflect_type="odd"), 3)[1:-1, 1:-1]
    )


def fill_holes(boxes: FloatImage) -> FloatImage:
    """Fill holes (NaN) with the mean of the adjacent boxes, from their rims inwards."""
    if not np.isfinite(boxes).any():
        return np.zeros_like(boxes)
    full = boxes.copy()
    while (holes := ~np.isfinite(full)).any():
        sums = cv2.boxFilter(np.where(holes, np.float32(0.0), full), -1, (3, 3), normalize=False)
        counts = cv2.boxFilter((~holes).astype(np.float32), -1, (3, 3), normalize=False)
        ready = holes & (counts > 0.5)
        full[ready] = sums[ready] / counts[ready]
    return full


@lru_cache(maxsize=64)
def _make_cubic_weights(count: int, size: int) -> FloatImage:
    boxes = count + 2
    unit = np.eye(boxes, dtype=np.float32)
    return np.asarray(cv2.resize(unit, (boxes, boxes * size), interpolation=cv2.INTER_CUBIC))


def _interpolate_boxes(boxes: FloatImage, down: FloatImage, across: FloatImage) -> FloatImage:
    # One ring of boxes more, linearly extrapolated from the outermost two rings
    full = down @ np.pad(boxes, 1, mode="reflect", reflect_type="odd") @ across.T
    return np.maximum(full, np.float32(min(float(boxes.min()), 0.0)), out=full)


def select_ranks(ordered: FloatImage, rank: NDArray[np.floating]) -> FloatImage:
    """Select the samples of given ranks (rounded down) in each box."""
    index = np.clip(rank, 0, ordered.shape[-1] - 1).astype(np.intp)
    return np.asarray(np.take_along_axis(ordered, index[..., None], axis=-1)[..., 0])


@dataclass(frozen=True, kw_only=True)
class Background:
    """Diffuse light of an image and its noise."""

    level: FloatImage  # (h, w): diffuse light
    # (h, w): one sigma of pixels without lights about the level; at least the rounding noise
    noise: FloatImage


def estimate_diffuse_background(
    light: NDArray[np.generic], *, scale_px: float, mask: BoolImage | None = None
) -> Background:
    """Estimate the large-scale background: moonlit cloud, airglow, aurora, haze, reflections.

    The image is divided into boxes. The level of a box is the lowest mode of its pixels, which is
    insensitive to lights (`estimate_lowest_mode`). Boxes full of lights are replaced by their
    neighbours. The boxes are then filtered by a 3 x 3 median and interpolated bicubically.

    `light` (h, w): linear light. Integers are divided by the full scale of their type. `scale_px`:
    box size; structure larger than about twice this counts as diffuse. `mask` (h, w): True for
    pixels to ignore; level and noise are interpolated there. Raises ValueError if the image is not
    two-dimensional or empty, if the mask has another shape, or if the scale is below 4 pixels.

    References
    ----------
    Bertin, E., Arnouts, S. (1996). SExtractor: software for source extraction. A&AS 117, 393-404.
    """
    mesh, level, noise = measure_diffuse_boxes(light, scale_px, mask)
    full_noise = np.maximum(mesh.upsample(noise), noise.min())
    return Background(level=mesh.upsample(level), noise=full_noise)


def remove_stripes(residual: FloatImage) -> tuple[FloatImage, BoolImage]:
    """Remove row and column offsets from the residual, and mask defective rows and columns.

    Rows and columns are divided into pieces. Read-out adds the same offset to all pieces. A hot or
    dead row is one pixel wide, sharper than any image of a lens. Defects shorter than a piece are
    not detected.

    `residual` (h, w): light above the background in units of its noise; changed in place.
    """
    defects = np.zeros(residual.shape, bool)
    for turned, marks in ((residual, defects), (residual.T, defects.T)):
        rows, cols = turned.shape
        count = rows // STRIPE_PX
        if count == 0 or cols < 9:
            continue
        # Clipped as it lies in memory: a turned picture is slow to walk through
        cut = np.clip(residual, -3.0, 3.0)
        cut = (cut if turned is residual else cut.T)[: count * STRIPE_PX]
        pieces = np.stack([part.mean(axis=0) for part in np.split(cut, count)])
        pieces -= median_filter(pieces, size=(1, 9), mode="nearest")
        scatter = max(float(np.median(np.abs(pieces))) / NORMAL_Q75, STRIPE_PX**-0.5)
        beside = np.pad(pieces, ((0, 0), (1, 1)))
        beside = 0.5 * (beside[:, :-2] + beside[:, 2:])
        strong = np.abs(pieces) > 5.5 * scatter
        # Light in adjacent rows: 0.46 for a line of FWHM 1.8 px along a row
        sharp = strong & (np.abs(beside) < 0.35 * np.abs(pieces))
        level = np.median(pieces, axis=0)
        least = 3.0 * 1.2533 / (count * STRIPE_PX) ** 0.5
        level[(np.abs(level) < least) | (count < 3)] = 0.0
        if level.any():
            turned -= level.astype(np.float32)
        for piece, col in np.argwhere(sharp).tolist():
            last = rows if piece == count - 1 else (piece + 1) * STRIPE_PX
            marks[piece * STRIPE_PX : last, col] = True
    return residual, defects


def find_hot_pixels(light: NDArray[np.generic]) -> BoolImage:
    """Find hot pixels, (h, w): single bright pixels without light around them.

    `light` (h, w): linear light. Integers are divided by the full scale of their type.
    """
    image = as_float_image(light)
    if min(image.shape) < 3:
        return np.zeros(image.shape, bool)
    image = np.where(np.isfinite(image), image, np.float32(0.0))
    step = np.abs(np.diff(image[::2]))[:, ::2]
    sigma = max(1.4826 * float(np.median(step)) / 2.0**0.5, ROUNDING_SIGMA)
    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    # The darkest of eight noisy pixels is 1.4 sigma below their mean (normal order statistics)
    floor = cv2.erode(image, ring) + np.float32(1.4 * sigma)
    rise, lifted = image - floor, cv2.dilate(image, ring) - floor
    # Even a lamp blurred by only 0.4 px has a seventh of its peak in an adjacent pixel
    return np.asarray((rise > 8.0 * sigma) & (lifted < 0.1 * rise))


def as_float_image(light: NDArray[np.generic]) -> FloatImage:
    """Convert to contiguous float32, with integers scaled to 0..1; ValueError if not an image."""
    image: FloatImage = np.ascontiguousarray(light, np.float32)
    if light.dtype.kind in "iu":
        full_scale = np.iinfo(light.dtype.name).max
        image = np.asarray(image / full_scale, np.float32)
    if image.ndim != 2 or image.size == 0:
        raise ValueError(f"light must be a two-dimensional image, not of shape {image.shape}")
    return image


def lift_above_zero(image: FloatImage, ignored: BoolImage) -> FloatImage:
    """Add a sky of 5 sigma to a background-subtracted image; others are returned unchanged.

    Detectors model shot noise relative to zero light, and cameras do not record negative light. In
    an image with negative pixels the true zero is unknown, and detections must not depend on it.
    """
    known = image[~ignored] if ignored.any() else image.ravel()
    if known.size == 0 or known.min() >= 0.0:
        return image
    step = np.abs(image[:, 1:] - image[:, :-1])[~(ignored[:, 1:] | ignored[:, :-1])]
    sigma = 1.4826 * float(np.median(step)) / 2.0**0.5 if step.size else 0.0
    level = float(np.quantile(known, 0.01)) - float(ndtri(0.01)) * sigma
    # 5 sigma, so that the modelled shot noise is nearly the same in all pixels
    return image + np.float32(max(5.0 * sigma - level, 0.0))


def mask_ignored_pixels(image: FloatImage, mask: BoolImage | None) -> BoolImage:
    """Mask given and non-finite pixels; raises ValueError if the mask has another shape."""
    bad = ~np.isfinite(image)
    if mask is None:
        return bad
    if mask.shape != image.shape:
        raise ValueError(f"mask has shape {mask.shape}, the image {image.shape}")
    return bad | np.asarray(mask, bool)


def read_clipped_map(saturated: NDArray[np.generic] | None, image: FloatImage) -> BoolImage:
    """Mask pixels that are at least half clipped; ValueError if the map has another shape."""
    if saturated is None:
        return np.zeros(image.shape, bool)
    if saturated.shape != image.shape:
        raise ValueError(f"saturated has shape {saturated.shape}, the image {image.shape}")
    return np.asarray(np.asarray(saturated) >= 0.5)


def measure_diffuse_boxes(
    light: NDArray[np.generic],
    scale_px: float,
    mask: BoolImage | None,
    samples_across: int = SAMPLES_ACROSS_BOX,
) -> tuple[Mesh, FloatImage, FloatImage]:
    """Measure level and noise in boxes; fewer samples across a box are faster, less accurate."""
    image = as_float_image(light)
    if not scale_px >= 4.0:
        raise ValueError(f"scale_px must be at least 4 pixels, not {scale_px}")
    ignored = mask_ignored_pixels(image, mask)
    mesh = Mesh.with_scale(image.shape, scale_px)
    samples = mesh.samples(np.where(ignored, np.float32(np.nan), image), samples_across)
    level = smooth_boxes(estimate_lowest_mode(samples, ROUNDING_SIGMA)[0])
    # Repeat relative to the interpolated level: a slope within a box is neither noise nor a light
    slope = mesh.samples(mesh.upsample(level), samples_across)
    correction, noise = estimate_lowest_mode(samples - slope, ROUNDING_SIGMA)
    level = level + correction
    if min(level.shape) >= 5:
        # Boxes full of lights become holes: brighter and more uneven than their neighbours
        full, spread = fill_holes(level), fill_holes(noise)
        around, usual = cv2.medianBlur(full, 5), cv2.medianBlur(spread, 5)
        lit = (full > 2.0 * around + 3.0 * usual) & (spread > 3.0 * usual)
        level = np.where(lit, np.float32(np.nan), level)
    level = smooth_boxes(level)
    return mesh, level, np.maximum(smooth_boxes(noise), np.float32(ROUNDING_SIGMA))


# Difference-of-Gaussians scale space in octaves, and its peaks

BASE_SIGMA = 1.0  # blur of an octave's first image, in pixels of the octave
# Inner sigmas of the two differences of an octave, in its pixels; the outer sigma is twice as large
INNER_SIGMAS = (1.0, 2.0**0.5)


@dataclass(frozen=True, kw_only=True)
class Octave:
    """Two differences of Gaussians of an image, and the response of the next octave."""

    base: FloatImage  # (h, w): the octave's image, blurred by `BASE_SIGMA`
    responses: tuple[FloatImage, FloatImage]  # (h, w): differences of Gaussians at `INNER_SIGMAS`
    # (h, w): the next octave's first response, interpolated to this octave's pixels
    above: FloatImage
    halved: FloatImage  # base of the next octave: pixel i of it is pixel 2 i of this one
    outer: FloatImage  # (h, w): the image blurred by 2 px, the light around a blob of this octave


def make_octave(base: FloatImage) -> Octave:
    """Compute the differences of Gaussians of one octave.

    Halving applies to the image blurred by 2 of its pixels. The amplitude above the new Nyquist
    frequency is then below 0.7 %.

    `base` (h, w): image blurred by `BASE_SIGMA` pixels.

    References
    ----------
    Lowe, D. G. (2004). Distinctive image features from scale-invariant keypoints. IJCV 60, 91-110.
    """
    second = blur_image(base, 1.0)  # to sigma 1.41
    third = blur_image(second, 2.0**0.5)  # to sigma 2
    fourth = blur_image(third, 2.0)  # to sigma 2.83
    halved = np.ascontiguousarray(third[::2, ::2])
    above = halved - blur_image(halved, 3.0**0.5)  # to sigma 2 of the halved pixels
    # Upsampled by linear interpolation, with pixel i at pixel 2 i
    shift = np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (base.shape[1], base.shape[0])
    return Octave(
        base=base,
        responses=(base - third, second - fourth),
        above=np.asarray(
            cv2.warpAffine(above, shift, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        ),
        halved=halved,
        outer=third,
    )


def compute_noise_gain(inner_sigma_px: float) -> float:
    """Compute the sigma of a difference of Gaussians (s, 2 s) for unit white noise per pixel.

    The integral of the product of two unit Gaussians a and b is 1 / (2 pi (a^2 + b^2)).
    """
    return float(np.sqrt((1.0 + 1.0 / 4.0 - 4.0 / 5.0) / (4.0 * np.pi)) / inner_sigma_px)


def find_local_maxima(response: FloatImage, threshold: float) -> tuple[IndexArray, IndexArray]:
    """Find rows and columns of 3 x 3 maxima above a threshold, excluding the border."""
    highest = cv2.dilate(response, np.ones((3, 3), np.uint8))
    found = (response >= highest) & (response > threshold)
    found[[0, -1], :] = False
    found[:, [0, -1]] = False
    row, col = np.divmod(np.flatnonzero(found), response.shape[1])
    return row, col


def fit_quadratic_peak(
    response: FloatImage, row: IndexArray, col: IndexArray
) -> tuple[FloatArray, FloatArray]:
    """Compute subpixel offsets (dx, dy) of local maxima by fitting a paraboloid.

    `response` (h, w): filtered image. `row`, `col` (N,): local maxima away from the border. Returns
    `dx`, `dy` (N,): at most one pixel.
    """

    def pixel(i: int, j: int) -> FloatArray:
        return np.asarray(response[row + i, col + j], np.float64)

    centre = pixel(0, 0)
    gx, gy = 0.5 * (pixel(0, 1) - pixel(0, -1)), 0.5 * (pixel(1, 0) - pixel(-1, 0))
    hxx = pixel(0, 1) + pixel(0, -1) - 2.0 * centre
    hyy = pixel(1, 0) + pixel(-1, 0) - 2.0 * centre
    hxy = 0.25 * (pixel(1, 1) + pixel(-1, -1) - pixel(1, -1) - pixel(-1, 1))
    det = hxx * hyy - hxy * hxy
    peaked = det > 0.0
    safe = np.where(peaked, det, 1.0)
    dx = np.where(peaked, -(hyy * gx - hxy * gy) / safe, 0.0)
    dy = np.where(peaked, -(hxx * gy - hxy * gx) / safe, 0.0)
    return np.clip(dx, -1.0, 1.0), np.clip(dy, -1.0, 1.0)


def measure_prominence(
    response: FloatImage, row: IndexArray, col: IndexArray, inner: float
) -> FloatArray:
    """How far a peak rises above the highest of the ways that lead across it.

    Along a ridge (the limb, an edge of hardware) the response stays high on two opposite sides.

    `response` (h, w): a filtered image; `row`, `col` (N,): its peaks; `inner`: sigma of the filter;
    the sides are looked at 1.5 to 2.5 of it away. Gives (N,): in units of the response.
    """
    # Where the sides of a peak are looked at, and in how many directions
    angle = np.arange(16) * (2.0 * np.pi / 16)
    radius = np.array([1.5, 2.0, 2.5])[:, None] * inner
    at_row = row[:, None, None] + radius * np.sin(angle)
    at_col = col[:, None, None] + radius * np.cos(angle)
    sides = map_coordinates(response, np.stack([at_row, at_col]), order=1, mode="nearest")
    lowest = sides.min(axis=1)
    ways = np.minimum(lowest[:, :8], lowest[:, 8:])
    return np.asarray(response[row, col] - ways.max(axis=1), float)


def blur_image(image: FloatImage, sigma: float) -> FloatImage:
    """Apply a Gaussian blur truncated at 3.5 sigma, with replicated border pixels."""
    size = (_choose_kernel_size(sigma),) * 2
    return np.asarray(cv2.GaussianBlur(image, size, sigma, borderType=cv2.BORDER_REPLICATE))


def compute_blurred_noise(sigma: float) -> float:
    return float(1.0 / (2.0 * np.sqrt(np.pi) * sigma))


def make_gaussian_kernel(sigma: float) -> FloatImage:
    line = cv2.getGaussianKernel(_choose_kernel_size(sigma), sigma, cv2.CV_32F)
    return np.asarray(line @ line.T)


def _choose_kernel_size(sigma: float) -> int:
    return 2 * round(3.5 * sigma) + 1


# Input frames of light and star detectors: masks, clipped areas and flags

SHORTEST_SIDE_PX = 8  # of an image in which anything is looked for
# Of one pixel: the rim of a clipped area is bright due to blur, not due to another light
RIM = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, kw_only=True)
class StarFrame:
    """An image with its masks of ignored and clipped pixels."""

    light: FloatImage  # (h, w): linear light
    # (h, w): pixels that are masked, not finite, or in clipped areas too large for a star
    ignored: BoolImage
    clipped: BoolImage  # (h, w): clipped pixels
    areas: ClippedAreas  # connected areas of clipped pixels

    @classmethod
    def of(
        cls,
        light: NDArray[np.generic],
        mask: BoolImage | None,
        saturated: NDArray[np.generic] | None,
    ) -> StarFrame:
        """Prepare an image; arguments as for `detectors.types.Detector.detect`.

        Raises ValueError if the image is not two-dimensional, or if the shape of mask or saturation
        differs from it.
        """
        image = as_float_image(light)
        ignored = mask_ignored_pixels(image, mask)
        # Clipped even without a saturation map: JPEG compression spreads a clipped plateau over its
        # last few values
        clipped = ((image >= 0.97) | read_clipped_map(saturated, image)) & ~ignored
        areas = ClippedAreas.of(clipped)
        # Clipped areas longer than 40 px are not stars but the Moon, lamps of the Station or
        # captions. Sirius is about 25 px in exposures of seconds
        ignored |= areas.larger_than(20.0)
        image = lift_above_zero(image, ignored)
        image = np.where(ignored, np.float32(0.0), image) if ignored.any() else image
        return cls(light=image, ignored=ignored, clipped=clipped & ~ignored, areas=areas)

    def part(self, rows: slice, cols: slice) -> StarFrame:
        """Cut out a rectangle of the frame."""
        clipped = np.ascontiguousarray(self.clipped[rows, cols])
        return StarFrame(
            light=np.ascontiguousarray(self.light[rows, cols]),
            ignored=np.ascontiguousarray(self.ignored[rows, cols]),
            clipped=clipped,
            areas=ClippedAreas.of(clipped),
        )

    @cached_property
    def usable(self) -> BoolImage:
        return ~(self.ignored | self.clipped)

    @cached_property
    def is_blank(self) -> bool:
        """Whether detection is impossible: too small, all ignored, or all pixels equal."""
        if min(self.light.shape) < SHORTEST_SIDE_PX or self.ignored.all():
            return True
        brightest = np.max(self.light, initial=-np.inf, where=~self.ignored)
        return bool(brightest == self.darkest)

    @cached_property
    def darkest(self) -> float:
        return float(np.min(self.light, initial=np.inf, where=~self.ignored))

    def flags(
        self, x: FloatArray, y: FloatArray, fwhm_px: FloatArray, *, trail_length_px: float = 0.0
    ) -> NDArray[np.uint8]:
        """Compute flags (`detectors.types.PointFlag`) of stars inside the image."""
        flags = flag_lights(x, y, 0.5 * (fwhm_px + trail_length_px), self.ignored, self.clipped)
        if trail_length_px > 0.0:
            flags |= np.uint8(PointFlag.TRAILED)
        return flags


class StarMethod(ABC):
    """Base class of detectors that find stars in a `StarFrame`."""

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StarDetections:
        frame = StarFrame.of(light, mask, saturated)
        return StarDetections.empty() if frame.is_blank else self.find_in(frame)

    @abstractmethod
    def find_in(self, frame: StarFrame) -> StarDetections:
        """Find the stars of a frame that is not blank."""


@dataclass(frozen=True, kw_only=True)
class ClippedAreas:
    """Connected areas of clipped pixels including a rim; label 0 is the background."""

    labels: NDArray[np.int32]
    half_sides_px: FloatArray  # half of the longer side of each label; 0 outside areas

    @classmethod
    def of(cls, clipped: BoolImage) -> ClippedAreas:
        """Label the clipped pixels of an image."""
        if not clipped.any():
            return cls(labels=np.zeros(clipped.shape, np.int32), half_sides_px=np.zeros(1))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            cv2.dilate(clipped.astype(np.uint8), RIM)
        )
        sides = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
        half = 0.5 * sides.astype(float) - 1.0  # without the rim
        half[0] = 0.0
        return cls(labels=np.asarray(labels, np.int32), half_sides_px=half)

    def larger_than(self, half_side_px: float) -> BoolImage:
        """Mask areas with half of the longer side larger than a limit."""
        return (self.half_sides_px > half_side_px)[self.labels]


def flag_lights(
    x: FloatArray, y: FloatArray, radius_px: FloatArray, ignored: BoolImage, clipped: BoolImage
) -> NDArray[np.uint8]:
    """Compute flags (`detectors.types.PointFlag`) of lights inside an image."""
    h, w = ignored.shape
    row, col = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
    saturated = cv2.dilate(clipped.astype(np.uint8), RIM)[row, col] > 0
    to_border = np.minimum.reduce([x, y, w - 1 - x, h - 1 - y])
    if ignored.any():
        to_ignored = cv2.distanceTransform((~ignored).astype(np.uint8), cv2.DIST_L2, 3)
        to_border = np.minimum(to_border, to_ignored[row, col] - 1.0)
    edge = to_border < radius_px
    blended = np.zeros(x.size, bool)
    if x.size > 1:
        places = np.column_stack([x, y])
        gap, nearest = cKDTree(places).query(places, k=2)
        # Two lights are blended if they are closer than twice the sum of their half-light radii:
        # the light of each has then fallen to 1/16 half-way between them
        reach = 2.0 * (radius_px + radius_px[nearest[:, 1]])
        blended = gap[:, 1] < reach
    return (
        saturated * np.uint8(PointFlag.SATURATED)
        + edge * np.uint8(PointFlag.EDGE)
        + blended * np.uint8(PointFlag.BLENDED)
    ).astype(np.uint8)
