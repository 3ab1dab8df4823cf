"""A frame along a path: the strip of pixels to both sides of a line or a slight bow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Path:
    """A straight line or parabola from (x1, y1) to (x2, y2); `bow_px` lies to the right."""

    x1: float
    y1: float
    x2: float
    y2: float
    bow_px: float = 0.0

    @property
    def length_px(self) -> float:
        """Distance of the ends."""
        return float(np.hypot(self.x2 - self.x1, self.y2 - self.y1))

    @property
    def along(self) -> tuple[float, float]:
        """Unit vector from the first end to the second."""
        length = max(self.length_px, 1e-9)
        return (self.x2 - self.x1) / length, (self.y2 - self.y1) / length

    def at(self, u: FloatArray, v: FloatArray | float) -> tuple[FloatArray, FloatArray]:
        """Pixels at distances along the chord and to the right of the path."""
        cos, sin = self.along
        t = u / max(self.length_px, 1e-9)
        off = v + 4.0 * self.bow_px * t * (1.0 - t)
        return self.x1 + u * cos - off * sin, self.y1 + u * sin + off * cos

    def cut(self, u1: float, u2: float) -> Path:
        """The part between two distances, or more of it if they lie beyond the ends."""
        part = (u2 - u1) / max(self.length_px, 1e-9)
        xs, ys = self.at(np.array([u1, u2]), 0.0)
        return Path(
            x1=float(xs[0]),
            y1=float(ys[0]),
            x2=float(xs[1]),
            y2=float(ys[1]),
            bow_px=self.bow_px * part**2,
        )

    def moved(self, first_px: float, second_px: float, bow_px: float = 0.0) -> Path:
        """The path with its ends moved to the right, and more bow."""
        cos, sin = self.along
        return replace(
            self,
            x1=self.x1 - first_px * sin,
            y1=self.y1 + first_px * cos,
            x2=self.x2 - second_px * sin,
            y2=self.y2 + second_px * cos,
            bow_px=self.bow_px + bow_px,
        )


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The frame at equal steps of a pixel along and across a path.

    Attributes
    ----------
    u, v : ndarray of float64, shape (n,) and (m,)
        Distances along from the first end, and to the right.
    light : ndarray of float32, shape (n, m)
        Light in units of the noise, 0 where nothing is known.
    known : ndarray of float32, shape (n, m)
        1 where it is known, 0 where not or beyond the image.
    """

    u: FloatArray
    v: FloatArray
    light: FloatImage
    known: FloatImage


def strip_along(
    light: FloatImage, known: FloatImage, path: Path, *, beyond_px: float, half_px: float
) -> Strip:
    """Cut the strip out, by linear interpolation.

    Parameters
    ----------
    light, known : ndarray of float32, shape (h, w)
    path : Path
    beyond_px : float
        How far it goes on beyond both ends.
    half_px : float
        How far it reaches to both sides.
    """
    u = np.arange(-np.ceil(beyond_px), np.ceil(path.length_px + beyond_px) + 1.0)
    v = np.arange(-np.ceil(half_px), np.ceil(half_px) + 1.0)
    x, y = path.at(u[:, None], v[None, :])
    at_x, at_y = x.astype(np.float32), y.astype(np.float32)
    return Strip(
        u=u,
        v=v,
        light=_remapped(light, at_x, at_y),
        known=_remapped(known, at_x, at_y),
    )


def _remapped(image: FloatImage, x: FloatImage, y: FloatImage) -> FloatImage:
    """Linear interpolation, 0 beyond the image."""
    mapped = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(mapped, np.float32)
