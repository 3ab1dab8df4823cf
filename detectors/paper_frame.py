"""A frame as the streak paper's pipeline takes it: grey levels that count the sky's noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.background import as_float_image, diffuse_background, pixels_to_ignore, told_clipped
from detectors.types import BoolImage, FloatArray, FloatImage

SHORTEST_SIDE_PX = 16  # half a window of the diffuse light: nothing is measured in less
BACKGROUND_SCALE_PX = 64.0
# Grey levels reach from -8 to 56 sigma: 64 sigma are 256 levels of 8 bits
DARKEST_SIGMA, BRIGHTEST_SIGMA = -8.0, 56.0
RANGE_SIGMA = BRIGHTEST_SIGMA - DARKEST_SIGMA
CLIPPED_SHARE = 0.97  # of full scale, where the image says by its type what that is
FEWEST_CLIPPED = 16  # pixels that share the highest value of an image without a full scale
WIDE_CLIPPED_PX, WIDE_MARGIN_PX = 25, 12  # clipped areas wider than this are no streak
ROUNDING_SAMPLES = 20_000

HALF_BAND_PX, FLANK_PX = 24, 8  # of the strip along a segment, and where its flanks begin
LIGHT_PX = 4  # half of what is summed across
LEAST_LENGTH_SEEN, LEAST_EVENNESS = 0.4, 0.5
FEWEST_SEEN = 0.5  # of the pixels across: with fewer, the profile is taken from both sides
INTERPOLATED = 0.8  # of a mean's noise is left when pixels are interpolated along lines
MOST_SIGMAS = 3.0
END_STEP_PX = 5  # the light's end is sought in means over so many pixels


@dataclass(frozen=True, kw_only=True)
class GreyFrame:
    """An image above its diffuse light, in units of its noise."""

    signal: FloatImage  # (h, w): (light - level) / noise; 0 at ignored pixels
    noise: FloatImage  # (h, w): one sigma of the sky, in units of the image as it was given
    # ignored, clipped, (h, w): pixels that tell nothing, and pixels as bright as can be
    ignored: BoolImage
    clipped: BoolImage

    @classmethod
    def of(
        cls,
        light: NDArray[np.generic],
        mask: BoolImage | None,
        saturated: NDArray[np.generic] | None,
    ) -> GreyFrame | None:
        """Look at an image; None where nothing can be found in it.

        Arguments as of `detectors.types.Detector.detect`.

        Raises ValueError if the image is not two-dimensional or mask or saturation do not fit.
        """
        image = as_float_image(light)
        ignored = pixels_to_ignore(image, mask)
        told = told_clipped(saturated, image)
        if min(image.shape) < SHORTEST_SIDE_PX or ignored.all():
            return None
        scale = _spread(image[~ignored])
        if scale == 0.0:
            return None
        clipped = _clipped(image, ignored, light.dtype.kind in "iu")
        clipped |= told & ~ignored
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


@dataclass(frozen=True, kw_only=True)
class Band:
    """A strip of the image along a segment, resampled so that the segment runs level."""

    # along, across, (n,) and (m,): pixels from the first end, and to the right of the segment (y
    # points down)
    along: FloatArray
    across: FloatArray
    signal: FloatArray  # (m, n): light over noise, without what lies on either side
    noise: FloatArray  # (n,): one sigma of a pixel, in units of the image
    scatter: float  # standard deviation of the signal beside the segment, at least 1
    seen: BoolImage  # (m, n)
    clipped: bool  # pixels of the segment are

    @property
    def profile(self) -> FloatArray:
        """Light over noise summed across, at every step; NaN where too little is seen."""
        core = np.abs(self.across) <= LIGHT_PX
        seen = self.seen[core]
        total = np.where(seen, self.signal[core], 0.0).sum(axis=0)
        share = seen.mean(axis=0)
        return np.where(share >= FEWEST_SEEN, total / np.maximum(share, FEWEST_SEEN), np.nan)

    @property
    def unevenness(self) -> float:
        """How much more parallel lines beside the segment differ than their pixels' noise tells.

        Clouds are uneven without being noisy. At least 1.
        """
        beside = (np.abs(self.across) >= FLANK_PX) & (self.seen.mean(axis=1) > FEWEST_SEEN)
        if np.count_nonzero(beside) < 8:
            return 1.0
        place, seen = self.across[beside], self.seen[beside]
        # Stars that were left beside the segment are no clouds
        most = MOST_SIGMAS * self.scatter
        light = np.where(seen, np.clip(self.signal[beside], -most, most), 0.0)
        level = light.sum(axis=1) / seen.sum(axis=1)
        level = level - np.polyval(np.polyfit(place, level, 1), place)
        low, high = np.quantile(level, (0.16, 0.84))
        expected = self.scatter * INTERPOLATED / np.sqrt(seen.sum(axis=1).mean())
        return max(1.0, 0.5 * float(high - low) / float(expected))

    @property
    def evenness(self) -> float:
        """Share of the light that is left when no piece counts more than twice the usual.

        0 where most pieces are dark or hidden, or few hold half of the light: what lights them
        are other things, a star's rim or a ray.
        """
        profile = self.profile
        seen = np.isfinite(profile)
        if np.count_nonzero(seen) < LEAST_LENGTH_SEEN * seen.size:
            return 0.0
        pieces = _pieces(profile[seen])
        total, usual = float(pieces.sum()), float(np.median(pieces))
        if usual <= 0.0:
            return 0.0
        even = min(1.0, float(np.minimum(pieces, 2.0 * usual).sum()) / total)
        return even if even >= LEAST_EVENNESS else 0.0

    @property
    def cross_profile(self) -> FloatArray:
        """Mean light over noise along the segment, at every step across."""
        counts = np.maximum(self.seen.sum(axis=1), 1)
        return np.asarray(np.where(self.seen, self.signal, 0.0).sum(axis=1) / counts)


def _pieces(profile: FloatArray) -> FloatArray:
    """Means of a profile over pieces of five pixels, the last one longer."""
    count = max(1, len(profile) // END_STEP_PX)
    return np.add.reduceat(profile, np.arange(count) * END_STEP_PX) / np.diff(
        np.append(np.arange(count) * END_STEP_PX, len(profile))
    )


def cut_band(
    frame: GreyFrame, usable: BoolImage, segment: FloatArray, beyond_px: float = 0.0
) -> Band:
    """The strip along a segment, shape (4,), and so much beyond its ends."""
    length = max(float(np.hypot(segment[2] - segment[0], segment[3] - segment[1])), 1.0)
    step = (segment[2:] - segment[:2]) / length
    along = np.arange(-np.floor(beyond_px), np.floor(length + beyond_px) + 1.0)
    across = np.arange(-HALF_BAND_PX, HALF_BAND_PX + 1.0)
    x = (segment[0] + along[None, :] * step[0] - across[:, None] * step[1]).astype(np.float32)
    y = (segment[1] + along[None, :] * step[1] + across[:, None] * step[0]).astype(np.float32)

    def sampled(image: FloatImage, how: int) -> FloatArray:
        # Maps wider than 32,766 columns are beyond cv2.remap; no diagonal of a photo is
        strip = cv2.remap(image, x, y, how, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(strip, np.float64)

    h, w = usable.shape
    inside = (x >= -0.5) & (x <= w - 0.5) & (y >= -0.5) & (y <= h - 0.5)
    seen = (sampled(usable.astype(np.float32), cv2.INTER_LINEAR) > 0.9) & inside
    signal = sampled(frame.signal, cv2.INTER_LINEAR)
    flanks = (np.abs(across) >= FLANK_PX)[:, None] & seen
    beside = signal[flanks]
    level = float(np.median(beside)) if beside.size else 0.0
    # Interpolation smooths noise: pixels themselves scatter more than the strip's
    low, high = np.quantile(beside, (0.16, 0.84)) if beside.size > 20 else (0.0, 0.0)
    middle = np.abs(across) <= 1.0
    clipped = sampled(frame.clipped.astype(np.float32), cv2.INTER_NEAREST)[middle]
    return Band(
        along=along,
        across=across,
        signal=signal - level,
        noise=sampled(frame.noise, cv2.INTER_LINEAR)[HALF_BAND_PX],
        scatter=max(1.0, 0.5 * float(high - low)),
        seen=seen,
        clipped=bool(clipped.any()),
    )
