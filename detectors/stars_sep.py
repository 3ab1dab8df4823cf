"""Stars by SExtractor's method, as the library SEP has it: connected pixels, split and measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.star_frame import StarFrame
from detectors.star_measures import described_stars, window_sums
from detectors.types import BoolImage, FloatImage, StarDetections

MOST_PASSES = 6  # doublings of the threshold where a frame is too full
LEAST_NOISE = 1e-9
WIDEST_SIGMA_PX = 6.0


@dataclass(frozen=True, kw_only=True)
class Sep:
    """SExtractor's detection and windowed centroids.

    Attributes
    ----------
    threshold_sigma : float
        Of a pixel of the filtered frame above the sky.
    least_pixels : int
        Connected pixels above it.
    background_scale_px : int
        Size of the boxes in which the diffuse light is estimated.
    most_objects : int
        Where more are found the threshold is doubled.

    References
    ----------
    Bertin, E., Arnouts, S. (1996). SExtractor: software for source extraction. A&AS 117, 393-404.
    Barbary, K. (2016). SEP: Source Extractor as a library. JOSS 1(6), 58.
    """

    threshold_sigma: float = 3.0
    least_pixels: int = 5
    background_scale_px: int = 64
    most_objects: int = 20_000
    name: ClassVar[str] = "sep"

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StarDetections:
        """Find the stars of an image; see `detectors.types.StarDetector`."""
        import sep

        frame = StarFrame.of(light, mask, saturated)
        if frame.is_blank:
            return StarDetections.empty()
        image, ignored = frame.light.copy(), frame.ignored
        box = min(self.background_scale_px, *image.shape)
        sky = sep.Background(image, mask=ignored, bw=box, bh=box)
        noise = np.maximum(sky.rms(dtype=np.float32), np.float32(LEAST_NOISE))
        above = np.where(ignored, np.float32(0.0), image - sky.back(dtype=np.float32))
        objects = self._extracted(above, noise, ignored)
        if objects is None or len(objects) == 0:
            return StarDetections.empty()
        # SExtractor's window: as wide as the half-light circle of the star
        sigma = np.clip(np.sqrt(objects["a"] * objects["b"]), 0.6, WIDEST_SIGMA_PX)
        x, y, _ = sep.winpos(above, objects["x"], objects["y"], sigma, mask=ignored)
        sums = window_sums(above, x, y, sigma, gaussian=True)
        h, w = image.shape
        row = np.clip(np.rint(y), 0, h - 1).astype(np.intp)
        col = np.clip(np.rint(x), 0, w - 1).astype(np.intp)
        at = noise[row, col].astype(float)
        return described_stars(frame, x, y, at, sums, window_sigma_px=sigma)

    def _extracted(self, above: FloatImage, noise: FloatImage, ignored: BoolImage) -> Any:
        """SEP's objects; None where even a high threshold leaves too many."""
        import sep

        sep.set_extract_pixstack(max(300_000, above.size))
        threshold = self.threshold_sigma
        for _ in range(MOST_PASSES):
            # More pixels than that above the threshold are no stars
            if np.count_nonzero(above > threshold * noise) < above.size // 4:
                try:
                    objects = sep.extract(
                        above, threshold, err=noise, mask=ignored, minarea=self.least_pixels
                    )
                except Exception as error:  # SEP has no class of its own for a full buffer
                    if "overflow" not in str(error) and "full" not in str(error):
                        raise
                else:
                    if len(objects) <= self.most_objects:
                        return objects
            threshold *= 2.0
        return None
