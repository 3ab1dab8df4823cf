"""Measures of stars whose places another method found: sums of light under a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.psf import FWHM_PER_SIGMA
from detectors.star_frame import StarFrame
from detectors.types import FloatArray, FloatImage, StarDetections
from detectors.windowed import cut_stamps

NARROWEST_SIGMA_PX = 0.3
CENTROID_FLOOR_PX = 0.02


@dataclass(frozen=True, kw_only=True)
class WindowSums:
    """Sums of the light around places under round windows.

    Attributes
    ----------
    flux : ndarray of float64, shape (N,)
        Of the light times the window.
    dx, dy : ndarray of float64, shape (N,)
        Flux-weighted centroid from the place.
    moments : ndarray of float64, shape (N, 2, 2)
        Second central moments under the window, order (x, y).
    pixels : ndarray of float64, shape (N,)
        Sum of the squared window: the variance of the flux in noise of one.
    spread : ndarray of float64, shape (N,)
        Sum of the squared window times squared offset along one axis.
    """

    flux: FloatArray
    dx: FloatArray
    dy: FloatArray
    moments: FloatArray
    pixels: FloatArray
    spread: FloatArray


def window_sums(
    image: FloatImage, x: FloatArray, y: FloatArray, size_px: FloatArray, *, gaussian: bool
) -> WindowSums:
    """Sum the light around places.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Light above the background; 0 where it is not known.
    x, y : ndarray of float64, shape (N,)
        Places.
    size_px : ndarray of float64, shape (N,)
        Sigma of the windows, or their radius.
    gaussian : bool
        Gaussian windows, or circles with an edge of one pixel.

    Returns
    -------
    WindowSums
    """
    half = int(np.ceil((3.0 if gaussian else 1.0) * size_px.max(initial=1.0))) + 1
    row, col = (
        np.clip(np.rint(place), 0, side - 1).astype(np.intp)
        for place, side in zip((y, x), image.shape, strict=True)
    )
    offsets = np.arange(-half, half + 1)
    dx = offsets[None, None, :] - (x - col)[:, None, None]
    dy = offsets[None, :, None] - (y - row)[:, None, None]
    squared, size = dx**2 + dy**2, size_px[:, None, None]
    if gaussian:
        window = np.exp(-0.5 * squared / size**2)
    else:
        window = np.clip(size + 0.5 - np.sqrt(squared), 0.0, 1.0)
    light = window * cut_stamps(image, row, col, half)
    flux = light.sum(axis=(1, 2))
    safe = np.where(flux > 0.0, flux, np.inf)
    mx, my = (light * dx).sum(axis=(1, 2)) / safe, (light * dy).sum(axis=(1, 2)) / safe
    xx = (light * dx**2).sum(axis=(1, 2)) / safe - mx**2
    yy = (light * dy**2).sum(axis=(1, 2)) / safe - my**2
    xy = (light * dx * dy).sum(axis=(1, 2)) / safe - mx * my
    return WindowSums(
        flux=flux,
        dx=mx,
        dy=my,
        moments=np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2),
        pixels=np.square(window).sum(axis=(1, 2)),
        spread=(np.square(window) * dx**2).sum(axis=(1, 2)),
    )


def described_stars(
    frame: StarFrame,
    x: FloatArray,
    y: FloatArray,
    noise: FloatArray,
    sums: WindowSums,
    *,
    window_sigma_px: FloatArray | None = None,
) -> StarDetections:
    """Detections from places and sums, the brightest first.

    Parameters
    ----------
    frame : StarFrame
        Where they were found.
    x, y : ndarray of float64, shape (N,)
        Centroids; what lies outside the frame or has no flux is left out.
    noise : ndarray of float64, shape (N,)
        Sigma of a pixel there.
    sums : WindowSums
        Under windows at those places.
    window_sigma_px : ndarray of float64, shape (N,), optional
        Sigma of the windows if they are Gaussian: flux and moments are those behind them.

    Returns
    -------
    StarDetections
    """
    values = np.maximum(np.linalg.eigvalsh(sums.moments), NARROWEST_SIGMA_PX**2)
    flux, centroid_gain = sums.flux, np.ones(x.size)
    if window_sigma_px is not None:
        window = window_sigma_px[:, None] ** 2
        # Under a window of variance S a Gaussian of variance M shows 1 / (1/M + 1/S)
        values = 1.0 / np.maximum(1.0 / values - 1.0 / window, 1.0 / (9.0 * window))
        flux = flux * np.sqrt(((values + window) / window).prod(axis=1))
        centroid_gain = (1.0 + values.mean(axis=1) / window[:, 0]) ** 2
    variance = noise**2 * sums.spread / np.maximum(sums.flux, 1e-30) ** 2 * centroid_gain
    snr = sums.flux / np.maximum(noise * np.sqrt(sums.pixels), 1e-30)
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
        covariance_px2=(variance + CENTROID_FLOOR_PX**2)[order, None, None] * np.eye(2),
        flags=frame.flags(x[order], y[order], fwhm[order]),
    )
