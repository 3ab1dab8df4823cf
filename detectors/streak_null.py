"""What chance shows in a frame: shuffled, its own pieces hold lines of chance alone."""

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

# Tiles are wider than a star and shorter than a streak; they stay within blocks, as stars, clouds
# and noise are not alike all over a frame
TILE_PX, BLOCK_TILES = 16, 8
# Independent segments a pixel: places, directions and lengths that a fit may choose from. An
# estimate: in white noise as many candidates rise above a threshold as 14 normal numbers a pixel
# would, and the fit, free to move ends, bow and width, is given ten times that
TRIALS_PER_PIXEL = 150.0
# Lines of a shuffled frame count from where white noise would show so many
LOG10_WHITE_LINES = 0.2
# White noise's own tail is worth so many lines
PRIOR_LINES, PRIOR_EXCESS = 2.0, 0.17
# Rows of a few stars are short: short and long lines have tails of their own
SHORT_PX = 60.0
CLEAR_SNR = 40.0  # beyond, chance is out of the question
CHAINS_PASS = 0.3  # of rows of stars; where all were refused, their number still tells
# Of 144 simulated frames of three generators five showed a line that no chance made: a curled or a
# clipped track, a row of star trails, a wisp of cloud; none was as long as this
SHORT_STRUCTURE, LONG_STRUCTURE, STRUCTURE_PX = 0.035, 0.007, 250.0


def log10_false_alarm(snr: ArrayLike, pixels: int) -> FloatArray:
    """Decimal logarithm of the expected number of streaks of white noise of at least that SNR.

    Expected number = trials a pixel x pixels x Q(snr), with the tail Q of the normal distribution:
    the look-elsewhere correction.
    """
    tail = log_ndtr(-np.asarray(snr, float)) / np.log(10.0)
    return np.asarray(tail + np.log10(TRIALS_PER_PIXEL * pixels))


def snr_for(log10_expected: float, pixels: int) -> float:
    """Signal-to-noise ratio at which white noise shows so many streaks in a frame."""
    return float(
        brentq(lambda snr: float(log10_false_alarm(snr, pixels)) - log10_expected, 0.0, 40.0)
    )


@dataclass(frozen=True, kw_only=True)
class Chance:
    """Lines that a frame shows without a streak, by their signal-to-noise ratio."""

    pixels: int
    least_snr: float = 0.0
    # Of short and of long lines: their number above `least_snr`, and by how much they exceed it
    counts: tuple[float, float] = (0.0, 0.0)
    excess: tuple[float, float] = (PRIOR_EXCESS, PRIOR_EXCESS)

    @classmethod
    def of(
        cls, lines: Sequence[Line], chains: Sequence[Line], least_snr: float, pixels: int
    ) -> Chance:
        """From the lines found in a shuffled frame, with lengths in pixels of the frame.

        `chains`: those refused as rows of stars, of which some pass.
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
        """Decimal logarithm of the number of lines as clear that chance shows in the frame.

        The greater of white noise's and of the shuffled frame's, which falls off exponentially
        beyond the least: as tails do that are no heavier than a sum of a few stars.
        """
        white = float(log10_false_alarm(line.snr, self.pixels))
        which = int(line.path.length_px >= SHORT_PX)
        if self.counts[which] == 0:
            return white
        over = (line.snr - self.least_snr) / self.excess[which] / np.log(10.0)
        return max(white, float(np.log10(self.counts[which]) - over))


def with_structure(log10_chance: FloatArray, length_px: FloatArray) -> FloatArray:
    """Decimal logarithm of the expected number by chance, and by what looks like a streak."""
    other = np.where(length_px < STRUCTURE_PX, SHORT_STRUCTURE, LONG_STRUCTURE)
    return np.asarray(np.logaddexp(log10_chance * np.log(10.0), np.log(other)) / np.log(10.0))


def shuffle_tiles(hunt: Hunt) -> Hunt:
    """A frame in tiles that have changed places with others about them, half of them upside down.

    What is longer than a tile is gone; stars, noise of neighbours, and the direction of rows and of
    trails stay.
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
