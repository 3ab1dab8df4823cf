"""Whether a bright line is a streak: dark to both sides, even, of one width, and no bleeding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.streak_fit import WIDEST_PX
from detectors.streak_line import Line
from detectors.streak_strip import strip_along

FloatImage = NDArray[np.float32]
FloatArray = NDArray[np.float64]

SHORTEST_PX, SHORTEST_WIDTHS = 14.0, 4.4
LONG_WIDTHS = 12.0  # less than this is short: it must be more even than a long one
LEAST_LIT, LEAST_LIT_SHORT = 0.85, 0.95
SIDE_DARK = 0.5  # of the light in the middle, three half widths away
EVEN, EVEN_SHORT = 0.3, 0.5  # the fifth percentile of twenty over the eightieth
FEWEST_STEPS = 8
AXIS_RAD = np.radians(1.5)
CORE_WIDTHS = 2.0
# A star's wings stand beside the line in one place, a streak's own along all of it
STAR_SIGMA, STAR_FOLD = 8.0, 4.0
BORDER_PX = 3.0


def is_bright_streak(line: Line, above: FloatImage, known: FloatImage, bin_px: int) -> bool:
    """Judge a fitted line, in pixels of that frame.

    Parameters
    ----------
    line : Line
    above, known : ndarray of float32, shape (h, w)
        Light in units of the noise without the background about each pixel, and 1 where known.
    bin_px : int
        Side of the squares of pixels added up to one.
    """
    width = 2.355 * line.sigma_px
    length = line.path.length_px
    if length * bin_px < SHORTEST_PX or length < SHORTEST_WIDTHS * width:
        return False
    if line.sigma_px > 0.95 * WIDEST_PX:
        return False
    short = length < LONG_WIDTHS * width
    if short and bin_px > 1:  # galaxies and clouds are
        return False
    off = 1.5 * width + 1.0
    strip = strip_along(above, known, line.path, beyond_px=0.0, half_px=2.0 * off + 1.0)
    steps = (strip.u > 0.5 * width) & (strip.u < length - 0.5 * width)
    lights = strip.light[steps]
    middle = lights[:, np.abs(strip.v) <= 0.5 * width].mean(axis=1)
    if middle.size < FEWEST_STEPS:
        return False
    left = lights[:, np.abs(strip.v + off) <= 1.0].mean(axis=1)
    right = lights[:, np.abs(strip.v - off) <= 1.0].mean(axis=1)
    usual = float(np.median(middle))
    dark = np.maximum(left, right) < SIDE_DARK * np.minimum(middle, usual)
    if float(np.median(np.maximum(left, right))) > SIDE_DARK * usual:
        return False
    if float((dark & (middle > 0.25 * usual)).mean()) < (LEAST_LIT_SHORT if short else LEAST_LIT):
        return False
    low, high = np.quantile(middle, (0.2, 0.8))
    if low < (EVEN_SHORT if short else EVEN) * high:
        return False
    # In squares of pixels the star and what bleeds from it are no longer told apart
    return not (_on_axis(line) and (bin_px > 1 or _bleeds(line, lights, strip.v, above.shape)))


def _on_axis(line: Line) -> bool:
    """Whether a line runs along columns or rows, as charge bleeds and sensors are read."""
    cos, sin = line.path.along
    return bool(min(abs(cos), abs(sin)) < np.sin(AXIS_RAD))


def _bleeds(line: Line, lights: FloatImage, v: FloatArray, shape: tuple[int, ...]) -> bool:
    """Whether a line along an axis comes out of a star, or out of the border."""
    path = line.path
    h, w = shape
    for x, y in ((path.x1, path.y1), (path.x2, path.y2)):
        if min(x, y, w - 1 - x, h - 1 - y) < BORDER_PX:
            return True
    # A star is wider than what bleeds from it
    width = 2.355 * line.sigma_px
    beside = (np.abs(v) > CORE_WIDTHS * 0.5 * width + 0.5) & (np.abs(v) < 2.0 * width + 2.0)
    core = lights[:, beside].mean(axis=1)
    return bool(core.max() > STAR_SIGMA + STAR_FOLD * max(float(np.quantile(core, 0.25)), 0.0))
