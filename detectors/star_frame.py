"""A frame as star detectors take it: which pixels tell something, and which are clipped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detectors.background import Background, as_float_image, diffuse_background, pixels_to_ignore
from detectors.blob_measures import ClippedAreas, light_flags
from detectors.types import BoolImage, FloatArray, FloatImage, IndexArray, StarFlag
from detectors.windowed import cut_stamps

SHORTEST_SIDE_PX = 8
# Pixels at or above this are clipped, also where no map of saturation is given: JPEG scatters a
# clipped plateau over the last few of its values
SATURATION_LIGHT = 0.97
# Clipped areas longer than this are no stars: the Moon, lamps of the Station, captions. Sirius is
# some 25 px in exposures of seconds
LARGEST_CLIPPED_PX = 40.0


@dataclass(frozen=True, kw_only=True)
class StarFrame:
    """An image and what is known of its pixels.

    Attributes
    ----------
    light : ndarray of float32, shape (h, w)
        Linear light.
    ignored : ndarray of bool, shape (h, w)
        Pixels that are masked, no numbers, or parts of clipped areas too large for a star.
    clipped : ndarray of bool, shape (h, w)
        Pixels as bright as can be.
    areas : ClippedAreas
        These, connected.
    """

    light: FloatImage
    ignored: BoolImage
    clipped: BoolImage
    areas: ClippedAreas

    @classmethod
    def of(
        cls,
        light: NDArray[np.generic],
        mask: BoolImage | None,
        saturated: NDArray[np.generic] | None,
    ) -> StarFrame:
        """Look at an image; arguments as of `detectors.types.StarDetector.detect`.

        Raises
        ------
        ValueError
            If the image is not two-dimensional or the mask or saturation has another shape.
        """
        image = as_float_image(light)
        ignored = pixels_to_ignore(image, mask)
        clipped = (image >= SATURATION_LIGHT) & ~ignored
        if saturated is not None:
            if saturated.shape != image.shape:
                raise ValueError(f"saturated has shape {saturated.shape}, the image {image.shape}")
            clipped |= (np.asarray(saturated) >= 0.5) & ~ignored
        areas = ClippedAreas.of(clipped)
        ignored |= areas.larger_than(0.5 * LARGEST_CLIPPED_PX)
        image = np.where(ignored, np.float32(0.0), image) if ignored.any() else image
        return cls(light=image, ignored=ignored, clipped=clipped & ~ignored, areas=areas)

    @cached_property
    def usable(self) -> BoolImage:
        """Pixels that show how bright they are."""
        return ~(self.ignored | self.clipped)

    @cached_property
    def is_blank(self) -> bool:
        """Whether nothing can be found: too small, all ignored, or all equal."""
        if min(self.light.shape) < SHORTEST_SIDE_PX or self.ignored.all():
            return True
        brightest = np.max(self.light, initial=-np.inf, where=~self.ignored)
        return bool(brightest == self.darkest)

    @cached_property
    def darkest(self) -> float:
        """Light of the darkest pixel that is not ignored."""
        return float(np.min(self.light, initial=np.inf, where=~self.ignored))

    def background(self, scale_px: float) -> Background:
        """Diffuse light in boxes of that size, and the noise about it."""
        return diffuse_background(self.light, scale_px=scale_px, mask=self.ignored)

    def flags(
        self, x: FloatArray, y: FloatArray, fwhm_px: FloatArray, *, trail_length_px: float = 0.0
    ) -> NDArray[np.uint8]:
        """Bits of `detectors.types.StarFlag` but HOT, of stars inside the image."""
        flags = light_flags(x, y, 0.5 * (fwhm_px + trail_length_px), self.ignored, self.clipped)
        if trail_length_px > 0.0:
            flags |= np.uint8(StarFlag.TRAILED)
        return flags


# Light of stars in round apertures, above the sky in a ring around each.


CLIP_SIGMA, CLIP_PASSES = 3.0, 3  # pixels of the ring that are farther out hold other stars
_MOST_PIXELS = 4_000_000  # of all stamps at a time: bounds the memory


@dataclass(frozen=True, kw_only=True, eq=False)
class ApertureLight:
    """Light of stars.

    Attributes
    ----------
    flux : ndarray of float64, shape (N,)
        Above the sky, in units of the image times square pixels.
    sigma : ndarray of float64, shape (N,)
        Of the flux, from the noise of the sky alone.
    whole : ndarray of bool, shape (N,)
        The aperture lies inside the image and holds no pixel that is to be ignored.
    """

    flux: FloatArray
    sigma: FloatArray
    whole: BoolImage


def aperture_light(
    image: FloatImage,
    x: FloatArray,
    y: FloatArray,
    radius_px: float,
    ignored: BoolImage | None = None,
) -> ApertureLight:
    """Measure stars in apertures; the sky is the mean of a ring of 1.5 to 2.5 radii.

    A pixel on the rim counts by how far the rim lies beyond its middle. The ring's mean is clipped
    at 3 sigma; a median would take the steps of an 8-bit picture.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Linear light.
    x, y : ndarray, shape (N,)
        Centroids, pixels.
    radius_px : float
        Of the apertures.
    ignored : ndarray of bool, shape (h, w), optional
        Clipped or masked pixels.

    Returns
    -------
    ApertureLight

    References
    ----------
    Howell, S. B. (1989). Two-dimensional aperture photometry. PASP 101, 616.
    """
    half = int(np.ceil(2.5 * radius_px))
    step = max(1, _MOST_PIXELS // (2 * half + 1) ** 2)
    bad = np.zeros(image.shape, bool) if ignored is None else ignored
    parts = [
        _measured(image, x[s : s + step], y[s : s + step], radius_px, half, bad)
        for s in range(0, max(len(x), 1), step)
    ]
    return ApertureLight(
        flux=np.concatenate([p.flux for p in parts]),
        sigma=np.concatenate([p.sigma for p in parts]),
        whole=np.concatenate([p.whole for p in parts]),
    )


def _measured(
    image: FloatImage,
    x: FloatArray,
    y: FloatArray,
    radius_px: float,
    half: int,
    bad: BoolImage,
) -> ApertureLight:
    height, width = image.shape
    column, row = np.round(x).astype(np.intp), np.round(y).astype(np.intp)
    light = cut_stamps(image, row, column, half).astype(float)
    unusable = cut_stamps(bad, row, column, half).astype(bool)
    offset = np.arange(-half, half + 1)
    away = np.hypot(
        (offset - (x - column)[:, None])[:, None, :], (offset - (y - row)[:, None])[:, :, None]
    )
    inside = np.clip(radius_px + 0.5 - away, 0.0, 1.0)
    ring = (away >= 1.5 * radius_px) & (away <= 2.5 * radius_px) & ~unusable
    sky, noise, count = _ring_level(np.where(ring, light, np.nan))
    area = inside.sum(axis=(1, 2))
    flux = (inside * (light - sky[:, None, None])).sum(axis=(1, 2))
    whole = ~(unusable & (inside > 0.0)).any(axis=(1, 2)) & (count > 0)
    whole &= (x >= radius_px) & (x <= width - 1 - radius_px)
    whole &= (y >= radius_px) & (y <= height - 1 - radius_px)
    sigma = noise * np.sqrt(area + area**2 / np.maximum(count, 1))
    return ApertureLight(flux=flux, sigma=sigma, whole=whole)


def _ring_level(ring: FloatArray) -> tuple[FloatArray, FloatArray, IndexArray]:
    """Mean, sigma and number of the pixels of each ring without other stars; NaN is no pixel."""
    values = ring.reshape(len(ring), ring.shape[1] * ring.shape[2])
    empty: BoolImage = ~np.asarray(np.isfinite(values).any(axis=1))
    values = np.where(empty[:, None], 0.0, values)
    if not len(values):
        return np.zeros(0), np.zeros(0), np.zeros(0, np.intp)
    low, level, high = np.nanpercentile(values, [15.87, 50.0, 84.13], axis=1)
    sigma = 0.5 * (high - low)
    for _ in range(CLIP_PASSES):
        sky = np.abs(values - level[:, None]) <= CLIP_SIGMA * sigma[:, None] + 1e-12
        count = sky.sum(axis=1)
        level = np.where(sky, values, 0.0).sum(axis=1) / np.maximum(count, 1)
        square = np.where(sky, (values - level[:, None]) ** 2, 0.0).sum(axis=1)
        sigma = np.sqrt(square / np.maximum(count - 1, 1))
    return level, sigma, np.where(empty, 0, count)
