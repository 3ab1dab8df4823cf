"""What detectors give, and what a class must have to be one; and short names of arrays' types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntFlag, StrEnum
from typing import Any, ClassVar, Protocol, Self, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

# Shapes are told where arrays are described: a `FloatArray` may be a column, a matrix or a picture
FloatArray = NDArray[np.float64]
FloatImage = NDArray[np.float32]  # pictures of light, and what is computed pixel by pixel
BoolImage = NDArray[np.bool_]
BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Arrays of one length N along their first axis: a row for each thing."""

    def select(self, index: IndexArray | BoolArray) -> Self:
        """Some of the rows, by index or boolean mask."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @classmethod
    def none(cls) -> Self:
        """No rows at all; matrices are 2 x 2."""
        shapes = dict.fromkeys(("covariance", "moments"), (0, 2, 2))
        return cls(**{f.name: np.zeros(shapes.get(f.name, (0,))) for f in fields(cls)})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The rows of all parts, one after the other."""
        names = [f.name for f in fields(cls)]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


class PointFlag(IntFlag):
    """What to know about a detected light or star before trusting its numbers."""

    SATURATED = 1  # its core is clipped: flux is a lower limit
    EDGE = 2  # the frame's border or a masked pixel cuts it
    BLENDED = 4  # a neighbour's light reaches into its window
    TRAILED = 8  # a star, drawn out along the field's common trail


class StreakFlag(IntFlag):
    """What to know about a detected streak before trusting its numbers."""

    FIRST_END_OUTSIDE = 1  # the border cuts it at (x1, y1)
    SECOND_END_OUTSIDE = 2  # the border cuts it at (x2, y2)
    SATURATED = 4  # pixels along it are clipped: flux is a lower limit
    CURVED = 8  # `bow_px` differs from nought by more than its noise
    TUMBLING = 16  # its brightness changes regularly along it
    DASHED = 32  # parts of it are dark


class StreakKind(StrEnum):
    """What a streak looks like; a shape is evidence and no proof."""

    SATELLITE = "satellite"  # straight and even, or slowly tumbling
    METEOR = "meteor"  # swells and fades, thicker in the middle
    AIRCRAFT = "aircraft"  # dashed or several lines side by side
    TRAIN = "train"  # one of several in a row, as satellites soon after their launch
    UNKNOWN = "unknown"  # its shape says nothing


@dataclass(frozen=True, kw_only=True)
class Detections:
    """What one image shows of something: columns of one length N, and values of the whole image."""

    flags: NDArray[np.uint8]  # bits of the class' `flag_type`
    flag_type: ClassVar[type[IntFlag]]
    of_image: ClassVar[tuple[str, ...]] = ()  # fields that are no columns; None where unknown

    def __len__(self) -> int:
        return int(self.flags.size)

    @classmethod
    def empty(cls) -> Self:
        """None at all."""
        columns: dict[str, Any] = {f.name: np.zeros(0) for f in fields(cls)}
        columns |= {name: () for name in ("kind",) if name in columns}
        if "covariance_px2" in columns:
            columns["covariance_px2"] = np.zeros((0, 2, 2))
        columns |= {"flags": np.zeros(0, np.uint8), **dict.fromkeys(cls.of_image)}
        return cls(**columns)

    def select(self, index: IndexArray | BoolArray | slice) -> Self:
        """Some of them, by index, boolean mask or slice."""
        chosen = np.arange(len(self))[index]

        def some(name: str) -> Any:
            column = getattr(self, name)
            if name in self.of_image:
                return column
            return tuple(column[i] for i in chosen) if isinstance(column, tuple) else column[chosen]

        return type(self)(**{f.name: some(f.name) for f in fields(self)})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All of several parts of one image, one after the other."""
        columns = {f.name: [getattr(part, f.name) for part in parts] for f in fields(cls)}

        def join(name: str) -> Any:
            if name in cls.of_image:
                return columns[name][0]
            if name == "kind":
                return tuple(one for column in columns[name] for one in column)
            return np.concatenate(columns[name])

        return cls(**{name: join(name) for name in columns})

    def flag_names(self, index: int) -> tuple[str, ...]:
        """Names of one's flags in lower case, as the records spell them."""
        bits = int(self.flags[index])
        return tuple(str(flag.name).lower() for flag in self.flag_type if bits & flag)


@dataclass(frozen=True, kw_only=True)
class PointDetections(Detections):
    """Lights or stars found in one image, sorted by flux, the brightest first."""

    # Centroid, pixels; integers at pixel centres. Of a trail, its middle
    x: FloatArray
    y: FloatArray
    flux: FloatArray  # light above the background, in units of the image times square pixels
    snr: FloatArray  # of a matched filter: flux over the flux' noise without the light
    covariance_px2: FloatArray  # (N, 2, 2): of the centroid, order (x, y), square pixels
    flag_type: ClassVar[type[IntFlag]] = PointFlag


@dataclass(frozen=True, kw_only=True)
class LightDetections(PointDetections):
    """Lights found in one image, the brightest first; more of its columns in `PointDetections`."""

    radius_px: FloatArray  # radius that holds half of the flux


@dataclass(frozen=True, kw_only=True)
class StarDetections(PointDetections):
    """Stars found in one image, the brightest first; more of its columns in `PointDetections`."""

    fwhm_px: FloatArray  # full width at half maximum; of a trail, across it
    ellipticity: FloatArray  # 1 - (short axis / long axis) of the second moments, 0 to 1
    # (x, y) from one end of the trail in the middle of the field to the other, x >= 0; None where
    # stars are points. Which end came first cannot be seen
    trail_px: tuple[float, float] | None = None
    of_image: ClassVar[tuple[str, ...]] = ("trail_px",)


@dataclass(frozen=True, kw_only=True)
class LightningDetections(PointDetections):
    """Flashes of lightning in one image, the brightest first; more columns in `PointDetections`."""

    # Box around the light above half of its peak, pixels, its borders at pixel centres
    x1: FloatArray
    y1: FloatArray
    x2: FloatArray
    y2: FloatArray
    fwhm_px: FloatArray  # geometric mean of length and width at half of the peak
    # (blue - red) / (red + green + blue) of the light above what lies around, linear: -1 to 1
    blueness: FloatArray


@dataclass(frozen=True, kw_only=True)
class StreakDetections(Detections):
    """Streaks found in one image, sorted by `snr`, the surest first."""

    # End points, pixels; integers at pixel centres; x1 <= x2. Which came first cannot be seen
    x1: FloatArray
    y1: FloatArray
    x2: FloatArray
    y2: FloatArray
    snr: FloatArray  # of a matched filter over the whole streak
    width_px: FloatArray  # full width at half maximum across
    flux: FloatArray  # light above the background, in units of the image times square pixels
    # Decimal logarithm of the number of lines at least as clear that such a frame shows without a
    # streak, all places, directions and lengths counted
    log10_false_alarm: FloatArray
    # How far the middle lies off the straight line between the ends; positive to the right of
    # someone who goes from the first end to the second and sees y point down
    bow_px: FloatArray
    sigma_end_px: FloatArray  # of each end along the streak; NaN where the border cuts both
    sigma_line_px: FloatArray  # of the ends across the streak
    kind: tuple[StreakKind, ...]  # what each looks like
    flag_type: ClassVar[type[IntFlag]] = StreakFlag

    @property
    def length_px(self) -> FloatArray:
        """Distance between the ends, pixels, shape (N,)."""
        return np.hypot(self.x2 - self.x1, self.y2 - self.y1)


D_co = TypeVar("D_co", bound=Detections, covariant=True)


@runtime_checkable
class Detector(Protocol[D_co]):
    """A method that finds something: a frozen dataclass of parameters with a name and `detect`."""

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
        """Find the lights, stars or streaks of an image.

        `light` (h, w): linear light, 1 at full scale; integers count as fractions of theirs; to
        detectors of streaks floats may have any unit (counts, electrons) and any sign; `mask`
        (h, w): True where pixels must be ignored; `saturated` (h, w): fraction of clipped pixels
        under each pixel, 0 to 1.
        """
        ...


LightDetector: TypeAlias = Detector[LightDetections]
StarDetector: TypeAlias = Detector[StarDetections]
StreakDetector: TypeAlias = Detector[StreakDetections]
