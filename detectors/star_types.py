"""What star detectors give, and what a class must have to be one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntFlag
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray


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
