"""Stars by a matched filter: the frame's own star profile, local noise, neighbours taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.background import as_float_image, diffuse_level, pixels_to_ignore
from detectors.blob_flags import ClippedAreas
from detectors.star_field import StarField, rounding_noise
from detectors.star_peaks import stabilised
from detectors.star_types import StarDetections
from detectors.star_width import USUAL

SHORTEST_SIDE_PX = 8
LEVEL_SAMPLES_ACROSS = 16


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Matched-filter star detector.

    Attributes
    ----------
    min_snr : float
        Signal-to-noise ratio that a star needs.
    background_scale_px : float
        Size of the boxes in which the diffuse light is estimated.
    saturation_light : float
        Pixels at or above this are clipped, also where no map of saturation is given.
    largest_clipped_px : float
        Clipped areas longer than this are no stars: the Moon, lamps, captions.
    max_stars : int
        The brightest so many peaks are measured.
    """

    min_snr: float = 4.5
    background_scale_px: float = 64.0
    saturation_light: float = 0.97
    largest_clipped_px: float = 40.0
    max_stars: int = 5000
    name: ClassVar[str] = "matched"

    def detect(
        self,
        light: NDArray[np.generic],
        mask: NDArray[np.bool_] | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StarDetections:
        """Find the stars of an image; see `detectors.star_types.StarDetector`."""
        image = as_float_image(light)
        ignored = pixels_to_ignore(image, mask)
        clipped = (image >= self.saturation_light) & ~ignored
        if saturated is not None:
            if saturated.shape != image.shape:
                raise ValueError(f"saturated has shape {saturated.shape}, the image {image.shape}")
            clipped |= (np.asarray(saturated) >= 0.5) & ~ignored
        areas = ClippedAreas.of(clipped)
        ignored |= areas.larger_than(0.5 * self.largest_clipped_px)
        if min(image.shape) < SHORTEST_SIDE_PX or ignored.all() or np.ptp(image[~ignored]) == 0.0:
            return StarDetections.empty()
        stable = stabilised(image)
        level = diffuse_level(
            stable,
            scale_px=self.background_scale_px,
            mask=ignored,
            samples_across=LEVEL_SAMPLES_ACROSS,
        )
        least = rounding_noise(stable[~ignored])
        field = StarField(image, level, ignored, clipped, areas, least)
        first = field.filtered(USUAL)
        psf = field.width(first)
        seen = field.filtered(psf)
        found = field.found(seen, psf, self.min_snr, self.max_stars)
        return field.described(found, psf, self.min_snr)
