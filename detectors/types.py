"""What detectors give, and what a class must have to be one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntFlag, StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

# Shapes are told where arrays are described: a `FloatArray` may be a column, a matrix or a picture
FloatArray = NDArray[np.float64]
FloatImage = NDArray[np.float32]  # pictures of light, and what is computed pixel by pixel
BoolImage = NDArray[np.bool_]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.intp]


class LightFlag(IntFlag):
    """What to know about a detected light before trusting its numbers."""

    SATURATED = 1  # its core is clipped: flux is a lower limit
    EDGE = 2  # the frame's border or a masked pixel cuts it
    BLENDED = 4  # a neighbour's light reaches into its window


@dataclass(frozen=True, kw_only=True)
class LightDetections:
    """Lights found in one image, sorted by flux, the brightest first.

    Attributes
    ----------
    x, y : ndarray of float64, shape (N,)
        Centroid, pixels; integers at pixel centres.
    flux : ndarray of float64, shape (N,)
        Light above the background, in units of the image times square pixels.
    snr : ndarray of float64, shape (N,)
        Signal-to-noise ratio of a matched filter (flux over the flux' noise without the light).
    radius_px : ndarray of float64, shape (N,)
        Radius that holds half of the flux.
    covariance_px2 : ndarray of float64, shape (N, 2, 2)
        Covariance of the centroid, order (x, y), square pixels.
    flags : ndarray of uint8, shape (N,)
        Bits of `LightFlag`.
    """

    x: FloatArray
    y: FloatArray
    flux: FloatArray
    snr: FloatArray
    radius_px: FloatArray
    covariance_px2: FloatArray
    flags: NDArray[np.uint8]

    def __len__(self) -> int:
        return int(self.x.size)

    @classmethod
    def empty(cls) -> LightDetections:
        """No light at all."""
        none = np.zeros(0)
        return cls(
            x=none,
            y=none,
            flux=none,
            snr=none,
            radius_px=none,
            covariance_px2=np.zeros((0, 2, 2)),
            flags=np.zeros(0, np.uint8),
        )

    def select(self, index: NDArray[np.intp] | NDArray[np.bool_] | slice) -> LightDetections:
        """Some of the lights, by index, boolean mask or slice."""
        return LightDetections(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def flag_names(self, index: int) -> tuple[str, ...]:
        """Names of one light's flags in lower case, as the records spell them."""
        bits = int(self.flags[index])
        return tuple(str(flag.name).lower() for flag in LightFlag if bits & flag)


@runtime_checkable
class LightDetector(Protocol):
    """A method that finds lights: a frozen dataclass of parameters with a name and ``detect``."""

    @property
    def name(self) -> str:
        """Short name of the method, as given to ``--method``."""
        ...

    def detect(
        self,
        light: NDArray[np.generic],
        mask: NDArray[np.bool_] | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> LightDetections:
        """Find the lights of an image.

        Parameters
        ----------
        light : ndarray, shape (h, w)
            Linear light, 1 at full scale; integers count as fractions of theirs.
        mask : ndarray of bool, shape (h, w), optional
            True where pixels must be ignored.
        saturated : ndarray, shape (h, w), optional
            Fraction of clipped pixels under each pixel, 0 to 1.
        """
        ...


# What star detectors give, and what a class must have to be one.


class StarFlag(IntFlag):
    """What to know about a detected star before trusting its numbers."""

    SATURATED = 1  # its core is clipped: flux is a lower limit
    EDGE = 2  # the frame's border or a masked pixel cuts it
    BLENDED = 4  # a neighbour's light reaches into its window
    TRAILED = 8  # drawn out along the field's common trail
    HOT = 16  # at its pixel in frame after frame while stars move: a defect of the sensor


@dataclass(frozen=True, kw_only=True)
class StarDetections:
    """Stars found in one image, sorted by flux, the brightest first.

    Attributes
    ----------
    x, y : ndarray of float64, shape (N,)
        Centroid, pixels; integers at pixel centres. Of a trail, its middle.
    flux : ndarray of float64, shape (N,)
        Light above the background, in units of the image times square pixels.
    snr : ndarray of float64, shape (N,)
        Signal-to-noise ratio of a matched filter (flux over the flux' noise without the star).
    fwhm_px : ndarray of float64, shape (N,)
        Full width at half maximum; of a trail, across it.
    ellipticity : ndarray of float64, shape (N,)
        1 - (short axis / long axis) of the second moments, 0 to 1.
    covariance_px2 : ndarray of float64, shape (N, 2, 2)
        Covariance of the centroid, order (x, y), square pixels.
    flags : ndarray of uint8, shape (N,)
        Bits of `StarFlag`.
    trail_px : tuple of float or None
        (x, y) from one end of the field's common trail to the other, x >= 0; None where stars
        are points. Which end came first cannot be seen.
    """

    x: FloatArray
    y: FloatArray
    flux: FloatArray
    snr: FloatArray
    fwhm_px: FloatArray
    ellipticity: FloatArray
    covariance_px2: FloatArray
    flags: NDArray[np.uint8]
    trail_px: tuple[float, float] | None = None

    def __len__(self) -> int:
        return int(self.x.size)

    @classmethod
    def empty(cls) -> StarDetections:
        """No star at all."""
        none = np.zeros(0)
        return cls(
            x=none,
            y=none,
            flux=none,
            snr=none,
            fwhm_px=none,
            ellipticity=none,
            covariance_px2=np.zeros((0, 2, 2)),
            flags=np.zeros(0, np.uint8),
        )

    def select(self, index: NDArray[np.intp] | NDArray[np.bool_] | slice) -> StarDetections:
        """Some of the stars, by index, boolean mask or slice."""
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "trail_px"}
        return StarDetections(
            trail_px=self.trail_px, **{name: column[index] for name, column in columns.items()}
        )

    def flag_names(self, index: int) -> tuple[str, ...]:
        """Names of one star's flags in lower case, as the records spell them."""
        bits = int(self.flags[index])
        return tuple(str(flag.name).lower() for flag in StarFlag if bits & flag)


@runtime_checkable
class StarDetector(Protocol):
    """A method that finds stars: a frozen dataclass of parameters with a name and ``detect``."""

    @property
    def name(self) -> str:
        """Short name of the method, as given to ``--method``."""
        ...

    def detect(
        self,
        light: NDArray[np.generic],
        mask: NDArray[np.bool_] | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StarDetections:
        """Find the stars of an image.

        Parameters
        ----------
        light : ndarray, shape (h, w)
            Linear light, 1 at full scale; integers count as fractions of theirs.
        mask : ndarray of bool, shape (h, w), optional
            True where pixels must be ignored.
        saturated : ndarray, shape (h, w), optional
            Fraction of clipped pixels under each pixel, 0 to 1.
        """
        ...


# What streak detectors give, and what a class must have to be one.


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
