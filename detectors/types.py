"""What detectors give, and what a class must have to be one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntFlag
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


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
