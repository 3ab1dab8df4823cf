"""What one method found in one simulated frame of stars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.starfield import Starfield
from regengine.evaluate.detections import Matches

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class StarResult:
    """A frame, what a method found in it, and how both pair."""

    field: Starfield
    found: FloatArray
    matches: Matches
    seconds: float

    @property
    def false(self) -> int:
        """Detections that are no star."""
        return len(self.found) - self.matches.found.size

    def hit(self) -> BoolArray:
        """Which of the stars were found."""
        hit = np.zeros(self.field.x.size, bool)
        hit[self.matches.truth] = True
        return hit

    def errors(self) -> FloatArray:
        """Error of x and y of each star in pixels, NaN where it was not found."""
        errors = np.full((self.field.x.size, 2), np.nan)
        truth = np.column_stack([self.field.x, self.field.y])[self.matches.truth]
        errors[self.matches.truth] = self.found[self.matches.found] - truth
        return errors
