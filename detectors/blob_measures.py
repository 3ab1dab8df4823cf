"""Fitting and measurement of blobs with adaptive Gaussian windows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from detectors.blobs import Peaks
from detectors.scale_space import BASE_SIGMA
from detectors.stamps import cut_stamps, find_nearest_pixels, measure_window_moments, sum_of_stamps
from detectors.types import BoolImage, Columns, FloatArray, FloatImage

HALF_STAMP_PX = 7
OFFSETS = np.arange(-HALF_STAMP_PX, HALF_STAMP_PX + 1)
RING = np.hypot(OFFSETS[:, None], OFFSETS[None, :]) >= 6.0
RING_PLACES = np.argwhere(RING)[:, ::-1].astype(np.float32) - HALF_STAMP_PX  # x, y
RING_SLOPES = RING_PLACES / (RING_PLACES**2).sum(axis=0)  # least squares, ring all around
RING_INDEX = np.flatnonzero(RING)
RING_PRODUCTS = np.stack(
    [RING_PLACES[:, 0] ** 2, RING_PLACES.prod(axis=1), RING_PLACES[:, 1] ** 2], axis=1
)
REGULAR = np.array([[1.0], [0.0], [1.0]], np.float32)  # keeps an empty ring solvable
PLANE_PASSES = 1
PASSES = 4
NARROWEST_SIGMA_PX, WIDEST_SIGMA_PX = 0.9, 3.0  # the stamp must contain more than two sigma
# Factor by which the window may grow or shrink relative to the scale of detection
STRETCH = 1.7
NEIGHBOUR_ROUNDS = 2
LONGEST_AXIS = 1.8
# The level around a blob follows from the darker quarter of its ring: the rest may contain lights
NORMAL_QUARTILE = 0.6745

HALF_LIGHT_SIGMAS = 1.17741  # half-light radius of a round Gaussian, sqrt(2 ln 2)
NARROWEST_LIGHT_SIGMA_PX = 0.5  # the pixel itself blurs by 0.3, a lens by at least 0.4
# A light within this many of its radii of a finer one, which has at least this share of its flux,
# is the wings of the finer one
ECHO_RADII, ECHO_FLUX = 0.5, 0.25


@dataclass(frozen=True, kw_only=True)
class FittedBlobs:
    """Gaussians fitted to blobs, in pixels of the image used for the fit."""

    # x, y, flux, (N,): centre and total flux
    x: FloatArray
    y: FloatArray
    flux: FloatArray
    moments: FloatArray  # (N, 2, 2): second central moments, order (x, y)
    settled: BoolImage  # (N,): False if the window reached its limit or the flux is not positive


def fit_blobs(
    image: FloatImage, x: FloatArray, y: FloatArray, sigma_px: FloatArray, noise: FloatArray
) -> FittedBlobs:
    """Fit neighbouring blobs, each with the light of the others subtracted.

    First, each blob is fitted independently under a window of the initial width. Then, twice, each
    is fitted to the image minus all others as fitted before.

    `image` (h, w): background-subtracted light. `x`, `y`, `sigma_px` (N,): initial centre and
    sigma. `noise` (N,): 1 sigma of a pixel of the image there.
    """
    col, row = np.rint(x).astype(np.intp), np.rint(y).astype(np.intp)
    stamps = cut_stamps(image, row, col, HALF_STAMP_PX)
    fitted = _fit(stamps, x - col, y - row, sigma_px, noise, stretch=1.0)
    for _ in range(NEIGHBOUR_ROUNDS):
        drawn = _draw_blobs(fitted)
        others = sum_of_stamps(image.shape, row, col, drawn)
        neighbours = cut_stamps(others, row, col, HALF_STAMP_PX) - drawn
        fitted = _fit(stamps - neighbours, x - col, y - row, sigma_px, noise, stretch=STRETCH)
    return replace(fitted, x=fitted.x + col, y=fitted.y + row)


def draw_blobs(shape: tuple[int, ...], blobs: FittedBlobs) -> FloatImage:
    """Render Gaussian blobs into an image."""
    row, col = find_nearest_pixels(shape, blobs.x, blobs.y)
    centred = replace(blobs, x=blobs.x - col, y=blobs.y - row)
    return sum_of_stamps(shape, row, col, _draw_blobs(centred))


def _fit(
    stamps: FloatImage,
    x0: FloatArray,
    y0: FloatArray,
    sigma_px: FloatArray,
    noise: FloatArray,
    *,
    stretch: float,
) -> FittedBlobs:
    """Fit the blob of each stamp; positions are relative to the stamp centre.

    Each pass moves a round Gaussian window to the windowed centroid, and sets it to the width of
    the blob. It moves by twice the offset, since the window halves it (as for SExtractor's
    XWIN_IMAGE). A Gaussian with moments M under a window with moments S has moments (M^-1 +
    S^-1)^-1.

    References
    ----------
    Bernstein, G. M., Jarvis, M. (2002). Shapes and shears, stars and smears. AJ 123, 583-618.
    """
    above = stamps - _fit_surroundings(stamps, noise)
    start = np.clip(sigma_px, NARROWEST_SIGMA_PX, WIDEST_SIGMA_PX)
    lowest, highest = start / stretch, np.minimum(start * stretch, WIDEST_SIGMA_PX)
    x, y, sigma = x0, y0, start
    total, mx, my, xx, yy, xy = measure_window_moments(above, x, y, sigma)
    for _ in range(PASSES):
        x = np.clip(x + 2.0 * mx, x0 - start, x0 + start)
        y = np.clip(y + 2.0 * my, y0 - start, y0 + start)
        own = np.maximum(0.5 * (xx + yy), 1e-3)
        sigma = np.sqrt(1.0 / np.maximum(1.0 / own - 1.0 / sigma**2, 1e-3))
        sigma = np.clip(sigma, lowest, highest)
        total, mx, my, xx, yy, xy = measure_window_moments(above, x, y, sigma)
    seen = np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2)
    # Correct windowed moments of Gaussian blobs for the window
    values, vectors = np.linalg.eigh(seen)
    weight = 1.0 / sigma[:, None] ** 2
    # Limit axes to three window widths: under the window, larger blobs look like a plateau
    axes = 1.0 / np.maximum(1.0 / np.maximum(values, 0.05) - weight, weight / 9.0)
    axes = np.minimum(axes, (LONGEST_AXIS * stretch * sigma[:, None]) ** 2)
    moments = np.asarray(np.einsum("nij,nj,nkj->nik", vectors, axes, vectors))
    # A Gaussian blob's windowed sum is flux * sqrt(det S / det(S + M))
    widened = moments + (sigma**2)[:, None, None] * np.eye(2)
    flux = total * np.sqrt(np.linalg.det(widened)) / sigma**2
    settled = (np.maximum(np.abs(x - x0), np.abs(y - y0)) < 0.99 * start) & (flux > 0.0)
    return FittedBlobs(x=x, y=y, flux=flux, moments=moments, settled=settled)


def _fit_surroundings(stamps: FloatImage, noise: FloatArray) -> FloatImage:
    """Fit the plane of background light under each blob to the darker part of its ring."""
    ring = stamps.reshape(len(stamps), -1)[:, RING_INDEX]
    slopes = ring @ RING_SLOPES
    flat = ring - slopes @ RING_PLACES.T
    for _ in range(PLANE_PASSES):  # excluding bright pixels, which belong to neighbours
        quarter, middle = _compute_quantiles(flat)
        kept = (flat <= (2.0 * middle - quarter)[:, None]).astype(np.float32)
        xx, xy, yy = (kept @ RING_PRODUCTS).T + REGULAR
        x, y = ((kept * (flat - middle[:, None])) @ RING_PLACES).T
        change = np.stack([yy * x - xy * y, xx * y - xy * x], axis=1)
        slopes = slopes + change / (xx * yy - xy * xy)[:, None]
        flat = ring - slopes @ RING_PLACES.T
    quarter, middle = _compute_quantiles(flat)
    level = np.minimum(quarter + NORMAL_QUARTILE * noise, middle).astype(np.float32)
    tilted = slopes[:, 0, None, None] * OFFSETS[None, None, :] + (
        slopes[:, 1, None, None] * OFFSETS[None, :, None]
    )
    return np.asarray(level[:, None, None] + tilted, np.float32)


def _compute_quantiles(flat: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Compute lower quartile and median of each row."""
    count = flat.shape[1]
    ordered = np.partition(flat, (count // 4, count // 2), axis=1)
    return ordered[:, count // 4], ordered[:, count // 2]


def _draw_blobs(blobs: FittedBlobs) -> FloatImage:
    """Render each blob into its stamp, shape (N, 15, 15)."""
    inverse = np.linalg.inv(blobs.moments)
    dx, dy = OFFSETS - blobs.x[:, None], OFFSETS - blobs.y[:, None]
    exponent = (
        (inverse[:, 0, 0, None] * dx * dx)[:, None, :]
        + (inverse[:, 1, 1, None] * dy * dy)[:, :, None]
        + 2.0 * (inverse[:, 0, 1, None] * dy)[:, :, None] * dx[:, None, :]
    )
    peak = blobs.flux / (2.0 * np.pi * np.sqrt(np.linalg.det(blobs.moments)))
    shape = np.exp((-0.5 * exponent).astype(np.float32))
    return np.asarray(peak.astype(np.float32)[:, None, None] * shape)


@dataclass(frozen=True, kw_only=True)
class MeasuredLights(Columns):
    """Measured lights, in pixels of the image.

    ``noise`` is the white noise per pixel between the lights nearby, ``own_noise`` that under the
    light itself.
    """

    x: FloatArray
    y: FloatArray
    flux: FloatArray
    moments: FloatArray
    noise: FloatArray
    own_noise: FloatArray

    @classmethod
    def from_octave(
        cls,
        peaks: Peaks,
        fitted: FittedBlobs,
        *,
        step: int,
        noise: FloatArray,
        own_noise: FloatArray,
    ) -> MeasuredLights:
        """Correct for the octave's blur and scale; use the peak position if a fit failed."""
        values, vectors = np.linalg.eigh(fitted.moments - BASE_SIGMA**2 * np.eye(2))
        values = np.maximum(values, (NARROWEST_LIGHT_SIGMA_PX / step) ** 2)
        return cls(
            x=np.where(fitted.settled, fitted.x, peaks.x) * step,
            y=np.where(fitted.settled, fitted.y, peaks.y) * step,
            flux=fitted.flux * step**2,
            moments=np.einsum("nij,nj,nkj->nik", vectors, values, vectors) * step**2,
            noise=noise,
            own_noise=own_noise,
        )

    @property
    def sigma_px(self) -> FloatArray:
        """Sigma of the round Gaussian of the same area."""
        return np.asarray(np.linalg.det(self.moments) ** 0.25)

    @property
    def radius_px(self) -> FloatArray:
        """Half-light radius."""
        return HALF_LIGHT_SIGMAS * self.sigma_px

    @property
    def signal(self) -> FloatArray:
        """Matched-filter signal: the signal-to-noise ratio for unit noise per pixel."""
        return self.flux / (np.sqrt(4.0 * np.pi) * self.sigma_px)

    def echoes(self) -> BoolImage:
        """Find wings of earlier lights, which a Gaussian does not remove: larger and concentric.

        Lights must be in order of detection, from the finest octave to the coarsest.
        """
        places = np.column_stack([self.x, self.y])
        echo = np.zeros(self.x.size, bool)
        if self.x.size < 2:
            return echo
        near = cKDTree(places).query_ball_point(places, ECHO_RADII * self.radius_px)
        for i, others in enumerate(near):
            echo[i] = any(j < i and self.flux[j] >= ECHO_FLUX * self.flux[i] for j in others)
        return echo
