"""Detection tables, the `Detector` protocol, and type aliases for arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntFlag
from typing import Any, ClassVar, Protocol, Self, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

# The aliases carry no shape: a `FloatArray` may be a column, a matrix or an image. Docstrings and
# field comments give the shapes
FloatArray = NDArray[np.float64]
FloatImage = NDArray[np.float32]  # images, and quantities computed for each pixel
BoolImage = NDArray[np.bool_]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """A table: arrays with the same length N along their first axis, one row per object."""

    def select(self, index: IndexArray | BoolArray) -> Self:
        """Select rows by index or boolean mask."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @classmethod
    def none(cls) -> Self:
        """Make a table without rows; matrix columns have shape (0, 2, 2)."""
        shapes = dict.fromkeys(("covariance", "moments"), (0, 2, 2))
        return cls(**{f.name: np.zeros(shapes.get(f.name, (0,))) for f in fields(cls)})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Concatenate the rows of all parts."""
        names = [f.name for f in fields(cls)]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


class PointFlag(IntFlag):
    """Quality flags of a detected light or star."""

    SATURATED = 1  # the core is clipped: the flux is a lower limit
    EDGE = 2  # cut by the frame's border or by a masked pixel
    BLENDED = 4  # light of a neighbour reaches into the measurement window
    TRAILED = 8  # a star, elongated along the common trail of the field


class StreakFlag(IntFlag):
    """Quality flags of a detected streak."""

    FIRST_END_OUTSIDE = 1  # cut by the frame's border at (x1, y1)
    SECOND_END_OUTSIDE = 2  # cut by the frame's border at (x2, y2)
    SATURATED = 4  # pixels along the streak are clipped: the flux is a lower limit
    CURVED = 8  # `bow_px` differs significantly from zero


@dataclass(frozen=True, kw_only=True)
class Detections:
    """Detections in one image: columns of length N, and values that hold for the whole image."""

    flags: NDArray[np.uint8]  # bits of the class's `flag_type`
    flag_type: ClassVar[type[IntFlag]]
    of_image: ClassVar[tuple[str, ...]] = ()  # fields of the whole image; None if unknown

    def __len__(self) -> int:
        return int(self.flags.size)

    @classmethod
    def empty(cls) -> Self:
        """Make a table without detections."""
        columns: dict[str, Any] = {f.name: np.zeros(0) for f in fields(cls)}
        if "covariance_px2" in columns:
            columns["covariance_px2"] = np.zeros((0, 2, 2))
        columns |= {"flags": np.zeros(0, np.uint8), **dict.fromkeys(cls.of_image)}
        return cls(**columns)

    def select(self, index: IndexArray | BoolArray | slice) -> Self:
        """Select detections by index, boolean mask or slice."""
        chosen = np.arange(len(self))[index]
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(
            **{name: c if name in self.of_image else c[chosen] for name, c in columns.items()}
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Concatenate detections of the same image."""
        columns = {f.name: [getattr(part, f.name) for part in parts] for f in fields(cls)}
        return cls(
            **{
                name: some[0] if name in cls.of_image else np.concatenate(some)
                for name, some in columns.items()
            }
        )

    def flag_names(self, index: int) -> tuple[str, ...]:
        """Lower-case names of the flags of one detection, as written to the records."""
        bits = int(self.flags[index])
        return tuple(str(flag.name).lower() for flag in self.flag_type if bits & flag)


@dataclass(frozen=True, kw_only=True)
class PointDetections(Detections):
    """Lights or stars detected in one image, sorted by flux, brightest first."""

    # Centroid, pixels; integers at pixel centres. For a trail, the middle of the trail
    x: FloatArray
    y: FloatArray
    flux: FloatArray  # light above the background, in units of the image times square pixels
    # Matched-filter SNR: flux over its noise without the shot noise of the source itself
    snr: FloatArray
    covariance_px2: FloatArray  # (N, 2, 2): covariance of the centroid (x, y), square pixels
    flag_type: ClassVar[type[IntFlag]] = PointFlag


@dataclass(frozen=True, kw_only=True)
class LightDetections(PointDetections):
    """Lights detected in one image, brightest first; other columns in `PointDetections`."""

    radius_px: FloatArray  # half-light radius


@dataclass(frozen=True, kw_only=True)
class StarDetections(PointDetections):
    """Stars detected in one image, brightest first; other columns in `PointDetections`."""

    fwhm_px: FloatArray  # full width at half maximum; for a trail, across the trail
    ellipticity: FloatArray  # 1 - (minor axis / major axis) of the second moments, 0 to 1
    # Vector (x, y) from one end of a star trail to the other, at the middle of the field, x >= 0;
    # None if stars are points. The image does not show the direction of motion
    trail_px: tuple[float, float] | None = None
    of_image: ClassVar[tuple[str, ...]] = ("trail_px",)


@dataclass(frozen=True, kw_only=True)
class LightningDetections(PointDetections):
    """Lightning flashes in one image, brightest first; other columns in `PointDetections`."""

    # Bounding box of the pixels above half of the peak, in pixels; borders at pixel centres
    x1: FloatArray
    y1: FloatArray
    x2: FloatArray
    y2: FloatArray
    fwhm_px: FloatArray  # geometric mean of length and width at half maximum
    # (blue - red) / (red + green + blue) of the linear light above the local background: -1 to 1
    blueness: FloatArray


@dataclass(frozen=True, kw_only=True)
class StreakDetections(Detections):
    """Streaks detected in one image, sorted by `snr`, highest first."""

    # End points, pixels; integers at pixel centres; x1 <= x2. The order does not give the direction
    # of motion
    x1: FloatArray
    y1: FloatArray
    x2: FloatArray
    y2: FloatArray
    snr: FloatArray  # matched-filter SNR over the whole streak
    width_px: FloatArray  # full width at half maximum across the streak
    flux: FloatArray  # light above the background, in units of the image times square pixels
    # log10 of the expected number of false alarms: lines at least as significant in such a frame
    # without streaks, over all positions, directions and lengths
    log10_false_alarm: FloatArray
    # Offset of the middle from the chord between the ends; positive to the right when moving from
    # the first end to the second, with y down
    bow_px: FloatArray
    sigma_end_px: FloatArray  # 1 sigma of each end along the streak; NaN if the border cuts both
    sigma_line_px: FloatArray  # 1 sigma of the ends across the streak
    flag_type: ClassVar[type[IntFlag]] = StreakFlag

    @property
    def length_px(self) -> FloatArray:
        """Distance between the ends, pixels, shape (N,)."""
        return np.hypot(self.x2 - self.x1, self.y2 - self.y1)


D_co = TypeVar("D_co", bound=Detections, covariant=True)


@runtime_checkable
class Detector(Protocol[D_co]):
    """A detection method: a frozen dataclass of parameters with a name and a method `detect`."""

    @property
    def name(self) -> str:
        """Short name of the method, as given to ``--method``."""
        ...

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> D_co:
        """Detect the lights, stars or streaks of an image.

        `light` (h, w): linear light, 1 at full scale. Integers are divided by the full scale of
        their type. Streak detectors accept floats of any unit (counts, electrons) and sign.
        `mask` (h, w): True for pixels to ignore. `saturated` (h, w): fraction of clipped source
        pixels in each pixel, 0 to 1.
        """
        ...


LightDetector: TypeAlias = Detector[LightDetections]
StarDetector: TypeAlias = Detector[StarDetections]
StreakDetector: TypeAlias = Detector[StreakDetections]
