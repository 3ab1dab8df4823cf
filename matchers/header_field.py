"""A picture among the stars as FITS headers describe it: gnomonic projection with SIP polynomials.

References
----------
Calabretta, M. R., Greisen, E. W. (2002). Representations of celestial coordinates in FITS. A&A 395,
1077-1122.
Shupe, D. L. et al. (2005). The SIP convention for representing distortion in FITS image headers.
ADASS XIV, ASP Conference Series 347, 491.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Polynomial = dict[tuple[int, int], float]

NEWTON_STEPS = 12
# Beyond the picture by so many of its long sides the polynomials mean nothing
BEYOND_SIDES = 1.0
CONVERGED_PX = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class HeaderField:
    """TAN or TAN-SIP. Pixels count from zero: a place (x, y) is FITS pixel (x + 1, y + 1).

    Attributes
    ----------
    width_px, height_px : int
        Of the picture.
    reference_px : tuple of float
        CRPIX, counted from zero.
    reference_deg : tuple of float
        CRVAL: right ascension and declination.
    matrix_deg : ndarray of float64, shape (2, 2)
        CD: degrees of (east, north) for pixels of (x, y).
    pole_deg : float
        LONPOLE.
    bends : tuple of dict
        SIP's A and B: what to add to pixels from the reference, by powers of (x, y).
    """

    width_px: int
    height_px: int
    reference_px: tuple[float, float]
    reference_deg: tuple[float, float]
    matrix_deg: FloatArray
    pole_deg: float = 180.0
    bends: tuple[Polynomial, Polynomial] = field(default_factory=lambda: ({}, {}))

    @cached_property
    def axes(self) -> FloatArray:
        """Rows: east and north on the tangent plane, and its direction, in ICRS."""
        ra, dec = np.radians(self.reference_deg)
        axis = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
        east = np.array([-np.sin(ra), np.cos(ra), 0.0])
        north = np.cross(axis, east)
        turn = np.radians(180.0 - self.pole_deg)
        return np.stack(
            [
                np.cos(turn) * east + np.sin(turn) * north,
                np.cos(turn) * north - np.sin(turn) * east,
                axis,
            ]
        )

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Unit vectors in ICRS of pixels, shape (..., 3)."""
        u = np.asarray(x, float) - self.reference_px[0]
        v = np.asarray(y, float) - self.reference_px[1]
        straight = np.stack([u + _value(self.bends[0], u, v), v + _value(self.bends[1], u, v)], -1)
        plane = np.radians(straight @ self.matrix_deg.T)
        local = np.concatenate([plane, np.ones((*plane.shape[:-1], 1))], axis=-1)
        local /= np.linalg.norm(local, axis=-1, keepdims=True)
        return np.asarray(local @ self.axes)

    def project(self, vectors_icrs: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pixels of directions; NaN behind the picture and where its polynomials end.

        Parameters
        ----------
        vectors_icrs : array_like, shape (..., 3)

        Returns
        -------
        x, y : ndarray of float64, shape (...)
        """
        local = np.asarray(vectors_icrs, float) @ self.axes.T
        depth = np.where(local[..., 2] > 0.0, local[..., 2], np.nan)
        plane = np.degrees(local[..., :2] / depth[..., None])
        straight = plane @ np.linalg.inv(self.matrix_deg).T
        u, v = straight[..., 0].copy(), straight[..., 1].copy()
        if any(self.bends):
            reach = (0.5 + BEYOND_SIDES) * max(self.width_px, self.height_px)
            far = np.hypot(u, v) > reach
            u, v = np.where(far, np.nan, u), np.where(far, np.nan, v)
            for _ in range(NEWTON_STEPS):
                du = straight[..., 0] - u - _value(self.bends[0], u, v)
                dv = straight[..., 1] - v - _value(self.bends[1], u, v)
                u, v = u + du, v + dv
                if not np.any(np.abs(du) + np.abs(dv) > 0.01 * CONVERGED_PX):
                    break
            lost = ~(np.abs(du) + np.abs(dv) < CONVERGED_PX)
            u, v = np.where(lost, np.nan, u), np.where(lost, np.nan, v)
        return u + self.reference_px[0], v + self.reference_px[1]


def _value(polynomial: Polynomial, u: FloatArray, v: FloatArray) -> FloatArray:
    total = np.zeros_like(u)
    for (p, q), factor in polynomial.items():
        total = total + factor * u**p * v**q
    return total
