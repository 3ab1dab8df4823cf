"""False-alarm statistics of streaks, from white noise and from the shuffled frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr

from detectors.streak_line import Line
from detectors.streak_search import Hunt
from detectors.types import FloatArray, FloatImage, IndexArray

# Tiles are wider than a star and shorter than a streak. They are shuffled within blocks, since
# stars, clouds and noise vary over a frame
TILE_PX, BLOCK_TILES = 16, 8
# Independent segments (positions, directions, lengths) per pixel, estimated. In white noise, the
# number of candidates above a threshold is that of 14 normal deviates per pixel. The fit, which
# also adjusts ends, bow and width, is assumed to have ten times as many
TRIALS_PER_PIXEL = 150.0
# log10 of the number of lines in white noise at the SNR from which lines of a shuffled frame count
LOG10_WHITE_LINES = 0.2
# Prior of the tail: equivalent number of lines, and mean excess SNR of white noise
PRIOR_LINES, PRIOR_EXCESS = 2.0, 0.17
# Rows of a few stars are short, so short and long lines have separate tails
SHORT_PX = 60.0
CLEAR_SNR = 40.0  # above it, a chance line is excluded
CHAINS_PASS = 0.3  # share of star chains that pass; used even if all of them were rejected
# 5 of 144 simulated frames of three generators had a line that is not due to chance: a curled or
# clipped track, a row of star trails, or a wisp of cloud. All were shorter than STRUCTURE_PX
SHORT_STRUCTURE, LONG_STRUCTURE, STRUCTURE_PX = 0.035, 0.007, 250.0


def log10_false_alarm(snr: ArrayLike, pixels: int) -> FloatArray:
    """Compute log10 of the expected number of white-noise streaks of at least the given SNR.

    Expected number = trials per pixel x pixels x Q(snr), where Q is the tail of the normal
    distribution. The number of trials is the look-elsewhere correction.
    """
    tail = log_ndtr(-np.asarray(snr, float)) / np.log(10.0)
    return np.asarray(tail + np.log10(TRIALS_PER_PIXEL * pixels))


def snr_for(log10_expected: float, pixels: int) -> float:
    """Find the SNR at which white noise gives a certain expected number of streaks in a frame."""
    return float(
        brentq(lambda snr: float(log10_false_alarm(snr, pixels)) - log10_expected, 0.0, 40.0)
    )


@dataclass(frozen=True, kw_only=True)
class Chance:
    """Distribution of the signal-to-noise ratio of chance lines in a frame without streaks."""

    pixels: int
    least_snr: float = 0.0
    # For short and for long lines: number above `least_snr`, and mean excess above it
    counts: tuple[float, float] = (0.0, 0.0)
    excess: tuple[float, float] = (PRIOR_EXCESS, PRIOR_EXCESS)

    @classmethod
    def of(
        cls, lines: Sequence[Line], chains: Sequence[Line], least_snr: float, pixels: int
    ) -> Chance:
        """Estimate from lines found in a shuffled frame, with lengths in pixels of the frame.

        `chains`: lines rejected as star chains; a share of such chains passes in other cases.
        """
        counts, excess = [], []
        for is_long in (False, True):
            passed, refused = (
                [
                    one.snr - least_snr
                    for one in some
                    if (one.path.length_px >= SHORT_PX) == is_long and one.snr > least_snr
                ]
                for some in (lines, chains)
            )
            counts.append(len(passed) + CHAINS_PASS * len(refused))
            total = PRIOR_LINES * PRIOR_EXCESS + float(np.sum(passed + refused))
            excess.append(total / (PRIOR_LINES + len(passed) + len(refused)))
        return cls(
            pixels=pixels,
            least_snr=least_snr,
            counts=(counts[0], counts[1]),
            excess=(excess[0], excess[1]),
        )

    def log10_expected(self, line: Line) -> float:
        """Compute log10 of the expected number of chance lines with at least the SNR of a line.

        It is the larger of the numbers for white noise and for the shuffled frame. The latter
        decreases exponentially above `least_snr`, as the sum of a few stars does.
        """
        white = float(log10_false_alarm(line.snr, self.pixels))
        which = int(line.path.length_px >= SHORT_PX)
        if self.counts[which] == 0:
            return white
        over = (line.snr - self.least_snr) / self.excess[which] / np.log(10.0)
        return max(white, float(np.log10(self.counts[which]) - over))


def with_structure(log10_chance: FloatArray, length_px: FloatArray) -> FloatArray:
    """Add the rate of streak-like structures to log10 of the expected number of chance lines."""
    other = np.where(length_px < STRUCTURE_PX, SHORT_STRUCTURE, LONG_STRUCTURE)
    return np.asarray(np.logaddexp(log10_chance * np.log(10.0), np.log(other)) / np.log(10.0))


def shuffle_tiles(hunt: Hunt) -> Hunt:
    """Shuffle the tiles of a frame within blocks, half of them rotated by 180 degrees.

    This removes structures longer than a tile. Stars, correlated noise, and the directions of rows
    and trails are preserved.
    """
    rng = np.random.default_rng(0)
    rows, cols = (side // TILE_PX for side in hunt.light.shape)
    order = np.arange(rows * cols).reshape(rows, cols)
    for top in range(0, rows, BLOCK_TILES):
        for left in range(0, cols, BLOCK_TILES):
            block = (slice(top, top + BLOCK_TILES), slice(left, left + BLOCK_TILES))
            order[block] = rng.permutation(order[block].ravel()).reshape(order[block].shape)
    turned = rng.random(order.size) < 0.5

    return replace(
        hunt,
        light=_move_tiles(hunt.light, order, turned),
        known=_move_tiles(hunt.known, order, turned),
    )


def _move_tiles(image: FloatImage, order: IndexArray, turned: NDArray[np.bool_]) -> FloatImage:
    (rows, cols), tile = order.shape, TILE_PX
    cut = image[: rows * tile, : cols * tile]
    tiles = cut.reshape(rows, tile, cols, tile).transpose(0, 2, 1, 3).reshape(-1, tile, tile)
    tiles = tiles[order.ravel()]
    tiles[turned] = tiles[turned][:, ::-1, ::-1]
    whole = tiles.reshape(rows, cols, tile, tile).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(whole.reshape(rows * tile, cols * tile))
