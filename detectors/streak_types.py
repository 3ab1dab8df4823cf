"""What streak detectors give, and what a class must have to be one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntFlag, StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray


class StreakKind(StrEnum):
    """What a streak looks like; a shape is evidence and no proof."""

    SATELLITE = "satellite"  # straight and even, or slowly tumbling
    METEOR = "meteor"  # swells and fades, thicker in the middle
    AIRCRAFT = "aircraft"  # dashed or several lines side by side
    COSMIC_RAY = "cosmic_ray"  # narrower than starlight
    TRAIN = "train"  # one of several in a row, as satellites soon after their launch
    UNKNOWN = "unknown"  # its shape says nothing


class StreakFlag(IntFlag):
    """What to know about a detected streak before trusting its numbers."""

    FIRST_END_OUTSIDE = 1  # the border cuts it at (x1, y1)
    SECOND_END_OUTSIDE = 2  # the border cuts it at (x2, y2)
    SATURATED = 4  # pixels along it are clipped: flux is a lower limit
    CURVED = 8  # `bow_px` differs from nought by more than its noise
    TUMBLING = 16  # its brightness changes regularly along it
    DASHED = 32  # parts of it are dark


@dataclass(frozen=True, kw_only=True)
class StreakDetections:
    """Streaks found in one image, sorted by `snr`, the surest first.

    Attributes
    ----------
    x1, y1, x2, y2 : ndarray of float64, shape (N,)
        End points, pixels; integers at pixel centres; x1 <= x2. Which came first cannot be seen.
    snr : ndarray of float64, shape (N,)
        Signal-to-noise ratio of a matched filter over the whole streak.
    width_px : ndarray of float64, shape (N,)
        Full width at half maximum across.
    flux : ndarray of float64, shape (N,)
        Light above the background, in units of the image times square pixels.
    log10_false_alarm : ndarray of float64, shape (N,)
        Decimal logarithm of the number of streaks at least as clear that noise alone would show
        in a frame of this size, all places, directions and lengths counted.
    bow_px : ndarray of float64, shape (N,)
        How far the middle lies off the straight line between the ends; positive to the right
        of someone who goes from the first end to the second and sees y point down.
    sigma_end_px : ndarray of float64, shape (N,)
        Standard deviation of each end along the streak; NaN where the border cuts both.
    sigma_line_px : ndarray of float64, shape (N,)
        Standard deviation of the ends across the streak.
    flags : ndarray of uint8, shape (N,)
        Bits of `StreakFlag`.
    kind : tuple of StreakKind, length N
        What each looks like.
    profiles : tuple of ndarray of float64, length N
        Flux per pixel of length from the first end to the second, at equal steps.
    """

    x1: FloatArray
    y1: FloatArray
    x2: FloatArray
    y2: FloatArray
    snr: FloatArray
    width_px: FloatArray
    flux: FloatArray
    log10_false_alarm: FloatArray
    bow_px: FloatArray
    sigma_end_px: FloatArray
    sigma_line_px: FloatArray
    flags: NDArray[np.uint8]
    kind: tuple[StreakKind, ...]
    profiles: tuple[FloatArray, ...]

    def __len__(self) -> int:
        return int(self.x1.size)

    @property
    def length_px(self) -> FloatArray:
        """Distance between the ends, pixels, shape (N,)."""
        return np.hypot(self.x2 - self.x1, self.y2 - self.y1)

    @classmethod
    def empty(cls) -> StreakDetections:
        """No streak at all."""
        columns = {f.name: np.zeros(0) for f in fields(cls)}
        return cls(**{**columns, "flags": np.zeros(0, np.uint8), "kind": (), "profiles": ()})  # type: ignore[arg-type]

    def select(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> StreakDetections:
        """Some of the streaks, by index or boolean mask."""
        chosen = np.arange(len(self))[index]

        def some(column: Any) -> Any:
            if isinstance(column, tuple):
                return tuple(column[i] for i in chosen)
            return column[chosen]

        return StreakDetections(**{f.name: some(getattr(self, f.name)) for f in fields(self)})

    def flag_names(self, index: int) -> tuple[str, ...]:
        """Names of one streak's flags in lower case, as the records spell them."""
        bits = int(self.flags[index])
        return tuple(str(flag.name).lower() for flag in StreakFlag if bits & flag)


@runtime_checkable
class StreakDetector(Protocol):
    """A method that finds streaks: a frozen dataclass of parameters with a name and ``detect``."""

    @property
    def name(self) -> str:
        """Short name of the method, as given to ``--method``."""
        ...

    def detect(
        self,
        light: NDArray[np.generic],
        mask: NDArray[np.bool_] | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StreakDetections:
        """Find the streaks of an image.

        Parameters
        ----------
        light : ndarray, shape (h, w)
            Linear light; integers count as fractions of their full scale, floats may have any
            unit (counts, electrons) and any sign.
        mask : ndarray of bool, shape (h, w), optional
            True where pixels must be ignored.
        saturated : ndarray, shape (h, w), optional
            Fraction of clipped pixels under each pixel, 0 to 1.
        """
        ...
