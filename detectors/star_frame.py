"""A frame as star detectors take it: which pixels tell something, and which are clipped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detectors.background import Background, as_float_image, diffuse_background, pixels_to_ignore
from detectors.blob_flags import ClippedAreas, light_flags
from detectors.star_types import StarFlag
from detectors.types import FloatArray

FloatImage = NDArray[np.float32]
BoolImage = NDArray[np.bool_]

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
        mask: NDArray[np.bool_] | None,
        saturated: NDArray[np.generic] | None,
    ) -> StarFrame:
        """Look at an image; arguments as of `detectors.star_types.StarDetector.detect`.

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
        """Bits of `detectors.star_types.StarFlag` but HOT, of stars inside the image."""
        flags = light_flags(x, y, 0.5 * (fwhm_px + trail_length_px), self.ignored, self.clipped)
        if trail_length_px > 0.0:
            flags |= np.uint8(StarFlag.TRAILED)
        return flags
