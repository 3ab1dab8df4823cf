"""A frame as the streak paper's pipeline takes it: grey levels that count the sky's noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.background import as_float_image, diffuse_background, pixels_to_ignore

FloatImage = NDArray[np.float32]
BoolImage = NDArray[np.bool_]

SHORTEST_SIDE_PX = 16  # half a window of the diffuse light: nothing is measured in less
BACKGROUND_SCALE_PX = 64.0
# Grey levels reach from -8 to 56 sigma: 64 sigma are 256 levels of 8 bits
DARKEST_SIGMA, BRIGHTEST_SIGMA = -8.0, 56.0
RANGE_SIGMA = BRIGHTEST_SIGMA - DARKEST_SIGMA
CLIPPED_SHARE = 0.97  # of full scale, where the image says by its type what that is
FEWEST_CLIPPED = 16  # pixels that share the highest value of an image without a full scale
WIDE_CLIPPED_PX, WIDE_MARGIN_PX = 25, 12  # clipped areas wider than this are no streak
ROUNDING_SAMPLES = 20_000


@dataclass(frozen=True, kw_only=True)
class GreyFrame:
    """An image above its diffuse light, in units of its noise.

    Attributes
    ----------
    signal : ndarray of float32, shape (h, w)
        (light - level) / noise; 0 at ignored pixels.
    noise : ndarray of float32, shape (h, w)
        One sigma of the sky, in units of the image as it was given.
    ignored, clipped : ndarray of bool, shape (h, w)
        Pixels that tell nothing, and pixels as bright as can be.
    """

    signal: FloatImage
    noise: FloatImage
    ignored: BoolImage
    clipped: BoolImage

    @classmethod
    def of(
        cls,
        light: NDArray[np.generic],
        mask: NDArray[np.bool_] | None,
        saturated: NDArray[np.generic] | None,
    ) -> GreyFrame | None:
        """Look at an image; None where nothing can be found in it.

        Arguments as of `detectors.streak_types.StreakDetector.detect`.

        Raises
        ------
        ValueError
            If the image is not two-dimensional or the mask or saturation has another shape.
        """
        image = as_float_image(light)
        ignored = pixels_to_ignore(image, mask)
        if saturated is not None and saturated.shape != image.shape:
            raise ValueError(f"saturated has shape {saturated.shape}, the image {image.shape}")
        if min(image.shape) < SHORTEST_SIDE_PX or ignored.all():
            return None
        scale = _spread(image[~ignored])
        if scale == 0.0:
            return None
        clipped = _clipped(image, ignored, light.dtype.kind in "iu")
        if saturated is not None:
            clipped |= (np.asarray(saturated) >= 0.5) & ~ignored
        ignored |= _wide(clipped)
        if ignored.all():
            return None
        # Any unit of light becomes one in which numbers are neither tiny nor huge
        zero = float(np.median(image[~ignored]))
        image = np.where(ignored, np.float32(0.0), (image - zero) / np.float32(scale))
        sky = diffuse_background(image, scale_px=BACKGROUND_SCALE_PX, mask=ignored)
        noise = np.maximum(sky.noise, np.float32(_rounding(image[~ignored])))
        signal = (image - sky.level) / noise
        signal[ignored] = 0.0
        return cls(
            signal=np.asarray(signal, np.float32),
            noise=noise * np.float32(scale),
            ignored=ignored,
            clipped=clipped & ~ignored,
        )

    @cached_property
    def grey(self) -> FloatImage:
        """The signal as grey levels show it, cut at -8 and 56 sigma."""
        return np.clip(self.signal, DARKEST_SIGMA, BRIGHTEST_SIGMA)


def _spread(values: FloatImage) -> float:
    """Half of what the middle two thirds of the values span; all of them where that is nothing."""
    low, high = np.quantile(values[:: max(1, values.size // 100_000)], (0.16, 0.84))
    middle = 0.5 * float(high - low)
    return middle if middle > 0.0 else float(np.ptp(values))


def _clipped(image: FloatImage, ignored: BoolImage, has_full_scale: bool) -> BoolImage:
    if has_full_scale:
        return np.asarray((image >= CLIPPED_SHARE) & ~ignored)
    highest = (image >= image[~ignored].max()) & ~ignored
    return highest if np.count_nonzero(highest) >= FEWEST_CLIPPED else np.zeros_like(highest)


def _wide(clipped: BoolImage) -> BoolImage:
    """Clipped areas too wide for a streak, and their rims: the Moon, dawn, a lamp's glare."""
    if not clipped.any():
        return clipped
    core = cv2.erode(
        clipped.astype(np.uint8),
        np.ones((WIDE_CLIPPED_PX, WIDE_CLIPPED_PX), np.uint8),
        borderType=cv2.BORDER_REPLICATE,
    )
    grown = WIDE_CLIPPED_PX + 2 * WIDE_MARGIN_PX
    return np.asarray(cv2.dilate(core, np.ones((grown, grown), np.uint8)) > 0)


def _rounding(values: FloatImage) -> float:
    """Noise of rounding to the finest step that the dark half of some pixels shows."""
    sample = values[:: max(1, values.size // ROUNDING_SAMPLES)]
    steps = np.diff(np.unique(sample[sample <= np.median(sample)]))
    # Steps below a millionth of the spread are those of floating point
    steps = steps[steps > 1e-6]
    return float(steps.min()) / 12.0**0.5 if steps.size else 1.0
