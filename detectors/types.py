"""Detection tables, the `Detector` protocol, the registry of detectors, and aliases of arrays."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntFlag
from functools import cache
from typing import (
    Any,
    ClassVar,
    Generic,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    runtime_checkable,
)

import numpy as np
from numpy.typing import NDArray

import detectors

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

    of_image: ClassVar[tuple[str, ...]] = ()  # fields of the whole image; None if unknown

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def select(self, index: IndexArray | BoolArray | slice) -> Self:
        """Select rows by index, boolean mask or slice."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(
            **{name: c if name in self.of_image else c[index] for name, c in columns.items()}
        )

    @classmethod
    def empty(cls) -> Self:
        """Make a table without rows."""
        columns: dict[str, Any] = {f.name: np.zeros(0) for f in fields(cls)}
        for name in columns.keys() & {"covariance", "covariance_px2", "moments"}:
            columns[name] = np.zeros((0, 2, 2))
        if "flags" in columns:
            columns["flags"] = np.zeros(0, np.uint8)
        return cls(**columns | dict.fromkeys(cls.of_image))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Concatenate the rows of all parts, which are of one image."""
        columns = {f.name: [getattr(part, f.name) for part in parts] for f in fields(cls)}
        return cls(
            **{
                name: some[0] if name in cls.of_image else np.concatenate(some)
                for name, some in columns.items()
            }
        )


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
class DetectionColumns(Columns):
    """Detections in one image: columns of length N, and values that hold for the whole image."""

    flags: NDArray[np.uint8]  # bits of the class's `flag_type`
    flag_type: ClassVar[type[IntFlag]]

    def flag_names(self, index: int) -> tuple[str, ...]:
        bits = int(self.flags[index])
        return tuple(str(flag.name).lower() for flag in self.flag_type if bits & flag)


@dataclass(frozen=True, kw_only=True)
class PointDetections(DetectionColumns):
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
class StreakDetections(DetectionColumns):
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
        return np.hypot(self.x2 - self.x1, self.y2 - self.y1)


D_co = TypeVar("D_co", bound=DetectionColumns, covariant=True)


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


StarDetector: TypeAlias = Detector[StarDetections]
StreakDetector: TypeAlias = Detector[StreakDetections]


D = TypeVar("D", bound=DetectionColumns)


@dataclass(frozen=True)
class ObjectKind(Generic[D]):
    """A kind of object to detect, such as stars."""

    # Its detectors are in modules named ``detectors/NAME.py`` or ``detectors/NAME_*.py``
    name: str

    def detectors(self) -> dict[str, Detector[D]]:
        """Load all detectors of this kind, with default parameters, keyed and sorted by name.

        Raises TypeError if two detectors have the same name.
        """
        return cast("dict[str, Detector[D]]", _load_detectors(self.name))


LIGHTS: ObjectKind[LightDetections] = ObjectKind("lights")
LIGHTNING: ObjectKind[LightningDetections] = ObjectKind("lightning")
STARS: ObjectKind[StarDetections] = ObjectKind("stars")
STREAKS: ObjectKind[StreakDetections] = ObjectKind("streaks")


@cache
def _load_detectors(kind: str) -> dict[str, Detector[Any]]:
    found: dict[str, Detector[Any]] = {}
    for info in pkgutil.iter_modules(detectors.__path__):
        if info.name.partition("_")[0] != kind:
            continue
        for detector in importlib.import_module(f"detectors.{info.name}").DETECTORS:
            if detector.name in found:
                raise TypeError(
                    f"two {kind.removesuffix('s')} detectors are named {detector.name!r}: rename "
                    "one of them"
                )
            found[detector.name] = detector
    return dict(sorted(found.items()))
