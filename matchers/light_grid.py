"""A window of a night-light map as plain arrays on a regular lon/lat grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class LightGrid:
    """Night lights on a regular geographic grid.

    Attributes
    ----------
    values : ndarray of float32, shape (rows, cols)
        ``log10(1 + L / L0)`` with radiance L and ``L0 = 1 nW cm^-2 sr^-1``; 0 where dark.
        For display products, L is an approximate radiance.
    valid : ndarray of bool, shape (rows, cols), or None
        False where the map holds no data; None where all of it is valid.
    lon0_deg, lat0_deg : float
        Position of the *centre* of the pixel in row 0, column 0. ``lon0_deg`` may be such that
        columns run beyond 180 degrees: longitudes are continuous within a grid.
    step_deg : float
        Pixel size, the same east and south: column j lies at ``lon0_deg + j * step_deg``, row i
        at ``lat0_deg - i * step_deg``.
    saturation : float or None
        Value at and above which the map is saturated; None for radiance products.
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_] | None = None
    lon0_deg: float
    lat0_deg: float
    step_deg: float
    saturation: float | None = None

    def to_pixel(
        self, lon_deg: NDArray[np.float64], lat_deg: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Column and row (pixel centres at integers) of geographic positions.

        Parameters
        ----------
        lon_deg, lat_deg : ndarray
            WGS84 geodetic positions; longitudes in any turn of the circle.

        Returns
        -------
        col, row : ndarray of float64
            Fractional pixel positions; outside the grid where the position is.
        """
        middle = self.lon0_deg + 0.5 * (self.values.shape[1] - 1) * self.step_deg
        wrapped = middle + (np.asarray(lon_deg) - middle + 180.0) % 360.0 - 180.0
        return (wrapped - self.lon0_deg) / self.step_deg, (
            self.lat0_deg - np.asarray(lat_deg)
        ) / self.step_deg
