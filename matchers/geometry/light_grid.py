"""Windows of a night-light map on a longitude-latitude grid, and their image pyramids."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from detectors.types import BoolArray, FloatArray, FloatImage


@dataclass(frozen=True, kw_only=True)
class LightGrid:
    """Night lights on a regular geographic grid.

    values: ``log10(1 + L / L0)`` with radiance L and ``L0 = 1 nW cm^-2 sr^-1``; 0 where dark, shape
        (rows, cols). For display products, L is an approximate radiance.
    valid: False for pixels without data, shape (rows, cols); None if all pixels are valid.
    lon0_deg, lat0_deg: Position of the *centre* of the pixel in row 0, column 0. Longitudes are
        continuous within a grid, so columns may extend beyond 180 degrees.
    step_deg: Pixel size in both directions: column j is at ``lon0_deg + j * step_deg``, row i at
        ``lat0_deg - i * step_deg``.
    saturation: Value at and above which the map is saturated; None for radiance products.
    """

    values: FloatImage
    valid: BoolArray | None = None
    lon0_deg: float
    lat0_deg: float
    step_deg: float
    saturation: float | None = None

    def to_pixel(self, lon_deg: FloatArray, lat_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Convert geographic positions to column and row, with pixel centres at integers.

        Longitudes may differ by multiples of 360 degrees. Results may be outside the grid.
        """
        middle = self.lon0_deg + 0.5 * (self.values.shape[1] - 1) * self.step_deg
        wrapped = middle + (np.asarray(lon_deg) - middle + 180.0) % 360.0 - 180.0
        return (wrapped - self.lon0_deg) / self.step_deg, (
            self.lat0_deg - np.asarray(lat_deg)
        ) / self.step_deg


def make_pyramid(grid: LightGrid, levels: int) -> tuple[LightGrid, ...]:
    """Make an image pyramid by averaging 2 x 2 pixels, finest level first.

    It has at most ``levels`` levels, including the given grid, with sides of at least 8 pixels.
    """
    result = [grid]
    while len(result) < levels and min(result[-1].values.shape) >= 16:
        last = result[-1]
        rows, cols = (side // 2 * 2 for side in last.values.shape)
        size = (cols // 2, rows // 2)
        half = np.asarray(
            cv2.resize(last.values[:rows, :cols], size, interpolation=cv2.INTER_AREA), np.float32
        )
        valid = None
        if last.valid is not None:
            parts = last.valid[:rows, :cols].reshape(rows // 2, 2, cols // 2, 2)
            valid = np.asarray(parts.all(axis=(1, 3)))
        result.append(
            LightGrid(
                values=half,
                valid=valid,
                lon0_deg=last.lon0_deg + 0.5 * last.step_deg,
                lat0_deg=last.lat0_deg - 0.5 * last.step_deg,
                step_deg=2.0 * last.step_deg,
                saturation=last.saturation,
            )
        )
    return tuple(result)


def fill_missing(grid: LightGrid) -> LightGrid:
    """Fill pixels without data with the mean of the others, to avoid artificial edges.

    Returns the same object if there is nothing to fill.
    """
    if grid.valid is None or grid.valid.all() or not grid.valid.any():
        return grid
    mean = np.float32(grid.values[grid.valid].mean())
    return replace(grid, values=np.where(grid.valid, grid.values, mean))
