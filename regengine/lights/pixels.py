"""What the numbers in a raster file mean: radiance, grey levels, classes or our own codes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from regengine.lights import radiance
from regengine.lights.radiance import Mask, Values
from regengine.lights.source import Kind, LightMapInfo, PixelGrid

CodingKind = Literal["built", "radiance", "grey", "colour", "classes", "dmsp"]

_MEANING = {
    "built": "built map of log radiance",
    "radiance": "radiance",
    "grey": "grey picture, radiance estimated from its levels",
    "colour": "colour picture, radiance estimated from its lights",
    "classes": "classes of radiance",
    "dmsp": "DMSP digital numbers, radiance estimated from them",
}


@dataclass(frozen=True, kw_only=True)
class PixelCoding:
    """How to turn the samples of a file into map values.

    Attributes
    ----------
    kind : str
        What the samples are.
    bands : tuple of int
        Bands to read, counted from 1; with ``has_alpha`` the last one is opacity.
    nodata : float or None
        Sample that means "no data".
    has_alpha, has_mask : bool
        Validity is in a band of opacity, or in a mask of the file.
    scale, offset : float
        Radiance = sample * scale + offset.
    classes : tuple of (int, float)
        Radiance of each class code.
    product, date : str
        What is known of the map.
    map_kind, saturation
        See `LightMapInfo`.
    """

    kind: CodingKind
    bands: tuple[int, ...] = (1,)
    nodata: float | None = None
    has_alpha: bool = False
    has_mask: bool = False
    scale: float = 1.0
    offset: float = 0.0
    classes: tuple[tuple[int, float], ...] = ()
    product: str = ""
    date: str = ""
    map_kind: Kind = "radiance"
    saturation: float | None = None

    def decode(self, samples: NDArray[Any]) -> tuple[Values, Mask]:
        """Map values and validity of samples.

        Parameters
        ----------
        samples : ndarray, shape (bands, rows, cols)
            As the file has them.

        Returns
        -------
        values : ndarray of float32, shape (rows, cols)
            ``log10(1 + L)``; 0 where not valid.
        valid : ndarray of bool, shape (rows, cols)
            Where there is data.
        """
        if self.kind == "built":
            return radiance.decode(samples[0].astype(np.uint16, copy=False))
        band = samples[0]
        if self.kind == "radiance":
            with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is not valid
                lights = band * self.scale + self.offset
            values, valid = radiance.radiance_values(lights)
        else:
            grey = radiance.lights_only_luma(samples[:3]) if self.kind == "colour" else band
            values = self._table()[_as_index(grey)]
            valid = np.isfinite(grey)
        if self.nodata is not None and self.kind != "colour":
            with np.errstate(over="ignore", invalid="ignore"):
                valid &= band != self.nodata
        if self.has_alpha:
            valid &= samples[-1] > 0
        return np.where(valid, values, np.float32(0.0)), valid

    def _table(self) -> Values:
        if self.kind == "classes":
            return radiance.class_table(dict(self.classes))
        return radiance.dmsp_table() if self.kind == "dmsp" else radiance.display_table()

    def info(self, path: Path, grid: PixelGrid, crs: str) -> LightMapInfo:
        """Description of the map that these samples come from."""
        name = " ".join(part for part in (self.product or "unknown product", self.date) if part)
        return LightMapInfo(
            paths=(path,),
            product=self.product,
            date=self.date,
            kind=self.map_kind,
            resolution_deg=grid.step_deg,
            bounds=(grid.west, grid.south, grid.east, grid.north),
            crs=crs,
            saturation=self.saturation,
            description=f"{name}: {_MEANING[self.kind]}",
        )


def _as_index(grey: NDArray[Any]) -> NDArray[Any]:
    """Grey levels as indices 0..255."""
    if grey.dtype == np.uint8:
        return grey
    return np.clip(np.nan_to_num(grey), 0, 255).astype(np.uint8)
