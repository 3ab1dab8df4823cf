"""Stars by a matched filter: the frame's own star profile, local noise, neighbours taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.psf import USUAL
from detectors.star_field import StarField
from detectors.star_frame import StarFrame
from detectors.types import BoolImage, StarDetections


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Matched-filter star detector; ``docs/methods/stars.md`` gives the equations.

    The frame's point spread function, trail and all, is measured on its own stars. Peaks of the
    frame filtered by it are fitted by it, each without the light of its neighbours; hot pixels,
    cosmic rays, ridges and what is no star's shape are left out.

    Attributes
    ----------
    min_snr : float
        Signal-to-noise ratio of the filtered frame that a star needs.
    background_scale_px : float
        Size of the boxes in which the diffuse light is estimated.
    max_stars : int
        The brightest so many peaks are measured.
    """

    min_snr: float = 4.5
    background_scale_px: float = 64.0
    max_stars: int = 5000
    name: ClassVar[str] = "matched"

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StarDetections:
        """Find the stars of an image; see `detectors.types.StarDetector`."""
        frame = StarFrame.of(light, mask, saturated)
        if frame.is_blank:
            return StarDetections.empty()
        field = StarField.of(frame, self.background_scale_px)
        psf = field.width(field.filtered(USUAL))
        seen = field.filtered(psf)
        found = field.found(seen, psf, self.min_snr, self.max_stars)
        return field.described(found, psf, self.min_snr)
