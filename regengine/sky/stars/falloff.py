"""What tells a lens' falloff (vignetting): the sky's own light in boxes, stars' in apertures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from detectors.background import Mesh, as_float_image, estimate_lowest_mode, mask_ignored_pixels
from detectors.psf import cut_stamps
from detectors.types import BoolImage, Columns, FloatArray, FloatImage

# Distances, columns of the sky's own slopes, and logarithms of the light
_SkyColumns = tuple[FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, kw_only=True, eq=False)
class SkyBoxes:
    """Mean sky light in boxes of one frame."""

    # (N,): middles of the boxes, pixels
    x: FloatArray
    y: FloatArray
    level: FloatArray  # (N,): linear light, above zero
    # Of the frame
    width_px: int
    height_px: int


@dataclass(frozen=True, kw_only=True, eq=False)
class FalloffFit:
    """Share of the light that arrives: 1 + a1 r^2 + a2 r^4 + a3 r^6, r in half diagonals."""

    coefficients: FloatArray  # (3,)
    # (3, 3): from the differences between frames where there are three or more (jackknife), else
    # from the boxes' scatter: then a sky that is curved in itself is not in it. Faint stars are
    covariance: FloatArray
    residual: float  # robust relative scatter of the boxes about the fit
    reach: float  # largest r of a box


def measure_sky_boxes(
    light: NDArray[np.generic],
    mask: BoolImage | None = None,
    saturated: NDArray[np.generic] | None = None,
) -> SkyBoxes:
    """Mean light of the sky between the stars, box by box.

    From the lowest mode of each box (`detectors.background.estimate_lowest_mode`), the mean of the
    samples about it, again and again: a median would take the steps of an 8-bit picture. The clip
    is everywhere the same share of the sky's light, so that stars too faint to be seen add the same
    share, too. Boxes that are hardly sky, black, or dark are left out.

    `light` (h, w): linear, of a picture whose black is no light; `mask` (h, w): True where there is
    no sky; `saturated` (h, w): fraction of clipped pixels under each pixel.
    """
    image = as_float_image(light)
    ignored = mask_ignored_pixels(image, mask)
    if saturated is not None:
        ignored |= np.asarray(saturated) > 0.5
    mesh = Mesh.with_scale(image.shape, max(image.shape) / 24)  # boxes across the long side
    samples = mesh.samples(np.where(ignored, np.float32(np.nan), image))
    level, sigma = (part.astype(float) for part in estimate_lowest_mode(samples, 1e-9))
    for _ in range(4):
        # Noise over light in the darkest boxes, where it is largest
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = sigma / level
        known = ratio[np.isfinite(ratio) & (level > 0.0)]
        sigma = level * (float(np.quantile(known, 0.95)) if known.size else 0.0)
        with np.errstate(invalid="ignore"):
            sky = np.abs(samples - level[..., None]) <= 2.5 * sigma[..., None] + 1e-9
        count = sky.sum(axis=-1)
        values = np.where(sky, samples, 0.0).astype(float)
        level = values.sum(axis=-1) / np.maximum(count, 1)
        square = (values**2).sum(axis=-1) / np.maximum(count, 1) - level**2
        # Of normal noise cut off at 2.5 sigma, 0.95 is left
        sigma = np.sqrt(np.maximum(square, 0.0)) / 0.95
    black = (samples <= 0.0).sum(axis=-1)
    # A box counts with at least half of its samples on the sky, and at most 2 % black ones: a noise
    # that is cut off at zero has no honest mean
    good = (count > 0.5 * samples.shape[-1]) & (level > 0.0) & (black <= 0.02 * count)
    row, column = np.nonzero(good)
    h, w = image.shape
    return SkyBoxes(
        x=np.asarray((column + 0.5) * mesh.box_w - mesh.left - 0.5, float),
        y=np.asarray((row + 0.5) * mesh.box_h - mesh.top - 0.5, float),
        level=level[good],
        width_px=w,
        height_px=h,
    )


def fit_falloff(
    frames: Sequence[SkyBoxes], principal_points: Sequence[tuple[float, float]]
) -> FalloffFit:
    """Falloff that several frames share, each sky having slopes of its own.

    Each frame's sky is c0 + c1 x + c2 y + c3 (x^2 - y^2) + c4 x y times the falloff: all that is
    smooth, but for what looks like the lens' own. Huber-weighted Gauss-Newton on the logarithms.
    `principal_points` are of each frame, pixels. Raises ValueError if there are too few boxes for
    the unknowns.

    References
    ----------
    Goldman, D. B. (2010). Vignette and exposure calibration and compensation. IEEE TPAMI 32, 2276.
    """
    parts: list[_SkyColumns] = []
    for boxes, axis in zip(frames, principal_points, strict=True):
        half = 0.5 * float(np.hypot(boxes.width_px, boxes.height_px))
        x, y = (boxes.x - axis[0]) / half, (boxes.y - axis[1]) / half
        slopes = np.stack([np.ones_like(x), x, y, x * x - y * y, x * y], axis=1)
        parts.append((np.hypot(x, y), slopes, np.log(boxes.level)))
    if not parts or min(len(r) for r, _, _ in parts) < 24:
        raise ValueError("too few boxes of sky to measure the falloff")
    coefficients, spread, residual = _fit(parts)
    covariance = spread
    # Fewer than three frames cannot tell their own skies' curvature from the lens'
    if len(parts) >= 3:
        others = [_fit(parts[:k] + parts[k + 1 :])[0] for k in range(len(parts))]
        away = np.array(others) - np.mean(others, axis=0)
        covariance = (len(parts) - 1) / len(parts) * away.T @ away
    covariance = covariance.copy()
    # What faint stars in the background leave in the corners, one sigma: six simulated lenses of 50
    # mm were off by 0.8 % there
    covariance[0, 0] += 0.008**2
    reach = float(max(r.max() for r, _, _ in parts))
    return FalloffFit(
        coefficients=coefficients, covariance=covariance, residual=residual, reach=reach
    )


def _fit(parts: Sequence[_SkyColumns]) -> tuple[FloatArray, FloatArray, float]:
    """Coefficients, their covariance from the boxes' scatter, and that scatter."""
    r2 = np.concatenate([r for r, _, _ in parts]) ** 2
    powers = np.stack([r2, r2**2, r2**3], axis=1)
    seen = np.concatenate([level for _, _, level in parts])
    slopes = block_diag(*(columns for _, columns, _ in parts))
    sky = np.zeros(slopes.shape[1])
    sky[:: parts[0][1].shape[1]] = [np.exp(np.median(level)) for _, _, level in parts]
    coefficients, weight = np.zeros(3), np.ones(seen.size)
    scatter, inverse = 0.0, np.zeros((3, 3))
    for _ in range(12):
        arrives = np.maximum(1.0 + powers @ coefficients, 0.05)
        light = slopes @ sky
        light = np.maximum(light, 0.05 * np.median(light))
        both = np.hstack([powers / arrives[:, None], slopes / light[:, None]])
        away = seen - np.log(arrives) - np.log(light)
        root = np.sqrt(weight)
        step, *_ = np.linalg.lstsq(both * root[:, None], away * root, rcond=None)
        coefficients, sky = coefficients + step[:3], sky + step[3:]
        residual = away - both @ step
        scatter = 1.4826 * float(np.median(np.abs(residual))) + 1e-12
        weight = 1.0 / np.maximum(np.abs(residual) / (1.5 * scatter), 1.0)
        inverse = np.linalg.inv((both * weight[:, None]).T @ both)[:3, :3]
        if np.abs(step[:3]).max() < 1e-5:
            break
    return coefficients, inverse * scatter**2, scatter


@dataclass(frozen=True, kw_only=True, eq=False)
class ApertureLight(Columns):
    """Light of N stars."""

    flux: FloatArray  # above the sky, in units of the image times square pixels
    sigma: FloatArray  # of the flux, from the noise of the sky alone
    whole: BoolImage  # the aperture lies inside the image and holds no pixel that is to be ignored


def measure_aperture_light(
    image: FloatImage,
    x: FloatArray,
    y: FloatArray,
    radius_px: float,
    ignored: BoolImage | None = None,
) -> ApertureLight:
    """Measure stars in apertures; the sky is the mean of a ring of 1.5 to 2.5 radii.

    A pixel on the rim counts by how far the rim lies beyond its middle. The ring's mean is clipped
    at 3 sigma; a median would take the steps of an 8-bit picture. `image` (h, w): linear light;
    `x`, `y` (N,): centroids; `ignored` (h, w): clipped or masked pixels.

    References
    ----------
    Howell, S. B. (1989). Two-dimensional aperture photometry. PASP 101, 616.
    """
    half = int(np.ceil(2.5 * radius_px))
    step = max(1, 4_000_000 // (2 * half + 1) ** 2)  # of all stamps at a time: bounds the memory
    bad = np.zeros(image.shape, bool) if ignored is None else ignored
    height, width = image.shape
    offset = np.arange(-half, half + 1)
    parts = []
    for start in range(0, len(x), step):
        at_x, at_y = x[start : start + step], y[start : start + step]
        column, row = np.round(at_x).astype(np.intp), np.round(at_y).astype(np.intp)
        light = cut_stamps(image, row, column, half).astype(float)
        unusable = cut_stamps(bad, row, column, half).astype(bool)
        away = np.hypot(
            (offset - (at_x - column)[:, None])[:, None, :],
            (offset - (at_y - row)[:, None])[:, :, None],
        )
        inside = np.clip(radius_px + 0.5 - away, 0.0, 1.0)
        ring = (away >= 1.5 * radius_px) & (away <= 2.5 * radius_px) & ~unusable
        # Mean, sigma and number of the pixels of each ring without other stars
        values = np.where(ring, light, np.nan).reshape(len(ring), -1)
        empty: BoolImage = ~np.asarray(np.isfinite(values).any(axis=1))
        values = np.where(empty[:, None], 0.0, values)
        low, sky, high = np.nanpercentile(values, [15.87, 50.0, 84.13], axis=1)
        noise = 0.5 * (high - low)
        for _ in range(3):
            alone = np.abs(values - sky[:, None]) <= 3.0 * noise[:, None] + 1e-12
            count = alone.sum(axis=1)
            sky = np.where(alone, values, 0.0).sum(axis=1) / np.maximum(count, 1)
            square = np.where(alone, (values - sky[:, None]) ** 2, 0.0).sum(axis=1)
            noise = np.sqrt(square / np.maximum(count - 1, 1))
        count[empty] = 0
        area = inside.sum(axis=(1, 2))
        flux = (inside * (light - sky[:, None, None])).sum(axis=(1, 2))
        whole = ~(unusable & (inside > 0.0)).any(axis=(1, 2)) & (count > 0)
        whole &= (at_x >= radius_px) & (at_x <= width - 1 - radius_px)
        whole &= (at_y >= radius_px) & (at_y <= height - 1 - radius_px)
        sigma = noise * np.sqrt(area + area**2 / np.maximum(count, 1))
        parts.append(ApertureLight(flux=flux, sigma=sigma, whole=whole))
    none = ApertureLight(flux=np.zeros(0), sigma=np.zeros(0), whole=np.zeros(0, bool))
    return ApertureLight.joined([none, *parts])
