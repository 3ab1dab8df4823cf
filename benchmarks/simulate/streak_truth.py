"""What is true of the streaks of a simulated frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray


@dataclass(frozen=True, kw_only=True)
class TrueStreak:
    """One streak, as far as the frame holds it."""

    # x1, y1, x2 and y2: ends, pixels, zero at the centre of the first pixel; x1 <= x2. An end that
    # the border cuts is where the streak crosses the outline of the frame's pixels.
    x1: float
    y1: float
    x2: float
    y2: float
    # Maximum of the mean cross profile (light averaged along the visible length) over the noise of
    # sky and read-out along the streak (root of the mean variance)
    peak_snr: float
    # What a filter of the streak's very shape would give in that noise: the root of the sum of
    # squared signal over variance, all pixels
    matched_snr: float
    width_px: float  # full width at half maximum of the mean cross profile
    flux: float  # light within the frame, in units of the image times square pixels
    # How far the middle lies off the straight line between the ends; positive to the right of
    # someone who goes from the first end to the second and sees y point down.
    bow_px: float
    # first_cut and second_cut: the border cuts that end
    first_cut: bool
    second_cut: bool
    kind: str  # ``satellite``, ``meteor`` or ``aircraft``
    tumbling: bool  # its brightness changes regularly along it

    @property
    def length_px(self) -> float:
        """Distance between the ends."""
        return float(np.hypot(self.x2 - self.x1, self.y2 - self.y1))


@dataclass(frozen=True, kw_only=True)
class StreakTruth:
    """All streaks of a frame, column by column; see `TrueStreak`. Shapes are (N,)."""

    x1: FloatArray
    y1: FloatArray
    x2: FloatArray
    y2: FloatArray
    peak_snr: FloatArray
    matched_snr: FloatArray
    length_px: FloatArray
    width_px: FloatArray
    flux: FloatArray
    bow_px: FloatArray
    first_cut: NDArray[np.bool_]
    second_cut: NDArray[np.bool_]
    tumbling: NDArray[np.bool_]
    kind: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.x1.size)

    @property
    def segments(self) -> FloatArray:
        """Ends as x1, y1, x2, y2, shape (N, 4)."""
        return np.column_stack([self.x1, self.y1, self.x2, self.y2])

    @classmethod
    def of(cls, streaks: Sequence[TrueStreak]) -> StreakTruth:
        """The streaks as columns."""
        names = ("x1", "y1", "x2", "y2", "peak_snr", "matched_snr", "length_px", "width_px")
        numbers = {
            name: np.array([getattr(one, name) for one in streaks], float)
            for name in (*names, "flux", "bow_px")
        }
        marks = {
            name: np.array([getattr(one, name) for one in streaks], bool)
            for name in ("first_cut", "second_cut", "tumbling")
        }
        return cls(**numbers, **marks, kind=tuple(one.kind for one in streaks))
