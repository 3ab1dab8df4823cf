"""Small maps with known content, written without the readers' code or constants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from matchers.geometry.light_grid import LightGrid
from regengine import LightMap

STEP = 1.0 / 240.0  # 15 arcsec


def write_geotiff(
    path: Path,
    samples: NDArray[Any],
    *,
    west: float = 0.0,
    north: float = 0.0,
    step: float = STEP,
    crs: str | None = "EPSG:4326",
    transform: Affine | None = None,
    tags: dict[str, str] | None = None,
    **profile: Any,
) -> Path:
    """A GeoTIFF; ``west`` and ``north`` are the outer edges of its first pixel."""
    bands = samples if samples.ndim == 3 else samples[None]
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype=bands.dtype,
        count=bands.shape[0],
        height=bands.shape[1],
        width=bands.shape[2],
        crs=crs,
        transform=transform or Affine(step, 0.0, west, 0.0, -step, north),
        **profile,
    ) as dataset:
        dataset.write(bands)
        if tags:
            dataset.update_tags(**tags)
    return path


def blob(rows: int, cols: int, row: float, col: float, sigma: float = 2.0) -> NDArray[np.float32]:
    """A round light of 50 nW at a fractional pixel, centres at integers; nothing else."""
    y, x = np.mgrid[:rows, :cols]
    light = 50.0 * np.exp(-((y - row) ** 2 + (x - col) ** 2) / (2.0 * sigma**2))
    return light.astype(np.float32)


def centroid(grid: LightGrid) -> tuple[float, float]:
    """Longitude and latitude of the centre of the only light in a grid."""
    light = 10.0 ** grid.values.astype(float) - 1.0
    rows, cols = np.indices(light.shape)
    col, row = ((light * c).sum() / light.sum() for c in (cols, rows))
    return (
        float(grid.lon0_deg + col * grid.step_deg),
        float(grid.lat0_deg - row * grid.step_deg),
    )


def write_vnp46(
    path: Path,
    stored: NDArray[Any],
    *,
    group: str,
    data_set: str,
    attributes: dict[str, Any],
) -> Path:
    """A Black Marble tile by the User Guide's description of HDF-EOS5 grids."""
    with h5py.File(path, "w") as file:
        fields = file.create_group(f"HDFEOS/GRIDS/{group}/Data Fields")
        for name, fill in (("Land_Water_Mask", 7), (f"{data_set}_Num", 3)):
            fields.create_dataset(name, data=np.full(stored.shape, fill, np.uint8))
        fields.create_dataset("lat", data=np.zeros(stored.shape[0]))
        data = fields.create_dataset(data_set, data=stored, chunks=True, compression="gzip")
        for key, value in attributes.items():
            data.attrs[key] = value
        file.create_group("HDFEOS/ADDITIONAL/FILE_ATTRIBUTES")
    return path


def ones(rows: int = 20, cols: int = 30) -> NDArray[np.float32]:
    """Samples of one value, for maps that matter otherwise."""
    return np.full((rows, cols), 3.0, np.float32)


def whole(light_map: LightMap) -> LightGrid:
    """All of a map at its own resolution."""
    return light_map.window(*light_map.info.bounds, light_map.info.resolution_deg)


def radiance_of(grid: LightGrid) -> NDArray[np.float64]:
    """What the values of a window stand for, nW cm^-2 sr^-1."""
    return np.asarray(10.0 ** grid.values.astype(float) - 1.0)
