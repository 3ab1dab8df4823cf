"""Stars by SIFT's key-points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.background import StarFrame, StarMethod, estimate_diffuse_background, find_hot_pixels
from detectors.psf import FWHM_PER_SIGMA, cut_stamps, find_nearest_pixels, mark_first_of_each
from detectors.types import FloatArray, FloatImage, StarDetections

ONE_STAR_PX = 2.0  # key-points of several scales nearer than this are one star


@dataclass(frozen=True, kw_only=True)
class Sift(StarMethod):
    """SIFT key-points, a radius each, verification and flux-weighted centroids.

    References
    ----------
    Lowe, D. G. (2004). Distinctive image features from scale-invariant keypoints. IJCV 60, 91-110.
    Farzaneh, S., et al. (2021), on streaks in frames of the iXon Ultra 888: stars are SIFT
    key-points there, with a radius that grows until no bright pixel is left outside.
    """

    name: ClassVar[str] = "sift"

    def find_in(self, frame: StarFrame) -> StarDetections:
        """See `detectors.background.StarMethod`."""
        sky = estimate_diffuse_background(frame.light, scale_px=64.0, mask=frame.ignored)
        above = np.where(frame.ignored, np.float32(0.0), frame.light - sky.level)
        above[find_hot_pixels(frame.light)] = 0.0
        # Places of bright key-points, one a star, the strongest first
        light = np.asarray(above / sky.noise, np.float32)
        # A root keeps faint stars and bright ones within 255 grey levels
        scaled = np.arcsinh(light / 4.0) * np.float32(12.0)
        grey = np.clip(np.rint(40.0 + scaled), 0, 255).astype(np.uint8)
        x, y, size = find_keypoints(grey, layers=4, contrast=0.02, edge_ratio=10.0, sigma=1.2)
        h, w = light.shape
        inside = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
        order = np.flatnonzero(inside & (size < 24.0))[:20_000]
        # SIFT marks dark spots, too
        blurred = np.asarray(cv2.blur(light, (3, 3)))
        order = order[blurred[find_nearest_pixels((h, w), x[order], y[order])] > 1.0]
        x, y = x[order], y[order]
        keep = np.flatnonzero(mark_first_of_each(np.column_stack([x, y]), ONE_STAR_PX))[:5000]
        x, y = x[keep], y[keep]
        if x.size == 0:
            return StarDetections.empty()
        noise = sky.noise[find_nearest_pixels(above.shape, x, y)].astype(float)
        # Radius of each star: it grows until the ring outside is dark
        half = 13  # of 12 px are the largest stars
        row, col = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
        offsets = np.arange(-half, half + 1)
        ring = np.rint(np.hypot(offsets[:, None], offsets[None, :])).astype(int)
        member = (ring.ravel()[:, None] == np.arange(half + 1)).astype(np.float32)
        stamps = cut_stamps(above, row, col, half).reshape(x.size, -1)
        means = (stamps @ member) / member.sum(axis=0) / noise.astype(np.float32)[:, None]
        # A ring whose mean is below half a sigma of a pixel ends the star
        dark = means[:, 2:] < 0.5
        radius = np.where(dark.any(axis=1), dark.argmax(axis=1) + 1.5, 12.0)
        # A ring that is brighter than the one within belongs to a neighbour
        rising = np.diff(means, axis=1)[:, 1:] > 0.5 * np.maximum(means[:, 1:-1], 0.5)
        first = np.where(rising.any(axis=1), rising.argmax(axis=1) + 1.5, np.inf)
        radius = np.asarray(np.minimum(radius, np.maximum(first, 1.5)), float)
        for _ in range(3):
            dx, dy, *_ = window_sums(above, x, y, radius)
            x, y = x + np.clip(dx, -1.0, 1.0), y + np.clip(dy, -1.0, 1.0)
        sums = window_sums(above, x, y, radius)
        stars = describe_stars(frame, x, y, noise, sums)
        stars = stars.select(~frame.ignored[find_nearest_pixels(above.shape, stars.x, stars.y)])
        # Bright, round and compact enough for a star, once each
        good = (stars.snr >= 5.0) & (stars.ellipticity < 0.6) & (stars.fwhm_px > 1.0)
        once = mark_first_of_each(np.column_stack([stars.x, stars.y]), ONE_STAR_PX)
        return stars.select(good & once)


def find_keypoints(
    grey: NDArray[np.uint8], *, layers: int, contrast: float, edge_ratio: float, sigma: float
) -> FloatArray:
    """Place x and y and size of SIFT's key-points, shape (3, N), the strongest first.

    With the precise upscale (the last argument): without, OpenCV's points lie 0.25 px off.
    """
    sift = cv2.SIFT.create(0, layers, contrast, edge_ratio, sigma, cv2.CV_32F, True)
    points = sift.detect(grey, None)
    rows = np.array([(-one.response, *one.pt, one.size) for one in points], float).reshape(-1, 4)
    return np.asarray(rows[np.argsort(rows[:, 0], kind="stable"), 1:].T)


def window_sums(
    image: FloatImage, x: FloatArray, y: FloatArray, radius_px: FloatArray
) -> tuple[FloatArray, ...]:
    """Sum the light around places, in circles with an edge of one pixel.

    `image` (h, w): light above the background; 0 where it is not known; `x`, `y` (N,): places;
    `radius_px` (N,): of the circles. Returns the flux-weighted centroid from the place, dx and dy;
    the flux; its variance in noise of one; the sum of the squared window times squared offset along
    one axis, all (N,); and the second central moments, (N, 2, 2), order (x, y).
    """
    half = int(np.ceil(radius_px.max(initial=1.0))) + 1
    row, col = find_nearest_pixels(image.shape, x, y)
    offsets = np.arange(-half, half + 1)
    dx = offsets[None, None, :] - (x - col)[:, None, None]
    dy = offsets[None, :, None] - (y - row)[:, None, None]
    window = np.clip(radius_px[:, None, None] + 0.5 - np.sqrt(dx**2 + dy**2), 0.0, 1.0)
    light = window * cut_stamps(image, row, col, half)
    flux = light.sum(axis=(1, 2))
    safe = np.where(flux > 0.0, flux, np.inf)
    mx, my = (light * dx).sum(axis=(1, 2)) / safe, (light * dy).sum(axis=(1, 2)) / safe
    xx = (light * dx**2).sum(axis=(1, 2)) / safe - mx**2
    yy = (light * dy**2).sum(axis=(1, 2)) / safe - my**2
    xy = (light * dx * dy).sum(axis=(1, 2)) / safe - mx * my
    pixels, spread = np.square(window), np.square(window) * dx**2
    moments = np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2)
    return mx, my, flux, pixels.sum(axis=(1, 2)), spread.sum(axis=(1, 2)), moments


def describe_stars(
    frame: StarFrame,
    x: FloatArray,
    y: FloatArray,
    noise: FloatArray,
    sums: tuple[FloatArray, ...],
) -> StarDetections:
    """Detections from places and sums, the brightest first.

    `x`, `y` (N,): centroids; what lies outside the frame or has no flux is left out; `noise` (N,):
    sigma of a pixel there; `sums`: of `window_sums` at those places.
    """
    _, _, flux, pixels, spread, moments = sums
    values = np.maximum(np.linalg.eigvalsh(moments), 0.3**2)
    variance = noise**2 * spread / np.maximum(flux, 1e-30) ** 2
    snr = flux / np.maximum(noise * np.sqrt(pixels), 1e-30)
    short, long = np.sqrt(values[:, 0]), np.sqrt(values[:, 1])
    h, w = frame.light.shape
    keep = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1) & (flux > 0.0) & (snr > 0.0)
    order = np.flatnonzero(keep)[np.argsort(-flux[keep], kind="stable")]
    fwhm = FWHM_PER_SIGMA * np.sqrt(short * long)
    return StarDetections(
        x=x[order],
        y=y[order],
        flux=flux[order],
        snr=snr[order],
        fwhm_px=fwhm[order],
        ellipticity=(1.0 - short / long)[order],
        covariance_px2=(variance + 0.02**2)[order, None, None] * np.eye(2),
        flags=frame.flags(x[order], y[order], fwhm[order]),
    )


DETECTORS = (Sift(),)
