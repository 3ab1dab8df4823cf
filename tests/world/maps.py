"""Small maps with known content, written without the readers' code or constants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from scipy.io import netcdf_file

from matchers.geometry.map_grid import MapGrid
from regengine import RasterMap, open_light_map

STEP = 1.0 / 240.0  # 15 arcsec
TILE_FIELDS = "HDFEOS/GRIDS/{}/Data Fields"
# Attributes of Black Marble's fields, by collection
COLLECTIONS: dict[int, dict[str, Any]] = {
    1: {
        "_FillValue": np.array([65535], np.uint16),
        "scale_factor": np.array([0.1]),
        "add_offset": np.array([0.0]),
        "units": np.bytes_("nWatts/(cm^2 sr)"),
    },
    2: {
        "_FillValue": np.float32(-999.9),
        "scale_factor": 1.0,
        "offset": 0.0,
        "units": "nWatts/(cm^2 sr)",
    },
}


def write_geotiff(
    path: Path,
    samples: NDArray[Any],
    *,
    west: float = 0.0,
    north: float = 0.0,
    step: float = STEP,
    crs: str | None = "EPSG:4326",
    transform: Affine | None = None,
    shown_as: Sequence[ColorInterp] | None = None,
    colours: dict[int, tuple[int, ...]] | None = None,
    mask: NDArray[np.uint8] | None = None,
    about: dict[str, Any] | None = None,
    **profile: Any,
) -> Path:
    """A GeoTIFF; ``west`` and ``north`` are the outer edges of its first pixel.

    ``about`` sets attributes of the bands (units, scales, offsets, descriptions), ``shown_as``
    what each means, ``colours`` a palette; a ``mask`` is kept inside the file.
    """
    bands = samples if samples.ndim == 3 else samples[None]
    given: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": bands.dtype,
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "crs": crs,
        "transform": transform or Affine(step, 0.0, west, 0.0, -step, north),
    }
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **(given | profile)) as dataset,
    ):
        dataset.write(bands)
        if colours:
            dataset.write_colormap(1, colours)
        if shown_as:
            dataset.colorinterp = tuple(shown_as)
        if mask is not None:
            dataset.write_mask(mask)
        for name, value in (about or {}).items():
            setattr(dataset, name, value)
    return path


def write_vnp46(
    path: Path,
    stored: NDArray[Any],
    *,
    group: str = "VIIRS_Grid_DNB_2d",
    data_set: str = "AllAngle_Composite_Snow_Free",
    attributes: dict[str, Any] | None = None,
    corners: Sequence[float] | None = None,
    told: Sequence[str] = ("arrays",),
    shift_px: float = 0.5,
) -> Path:
    """A Black Marble tile by the User Guide's description of HDF-EOS5 grids.

    ``corners`` (west, north, east, south) are those of the tile of its name, or of a part of it.
    Arrays of latitude and longitude, the structure and attributes tell them, those in ``told``;
    arrays as so many pixels from the corner. North and south may be changed over.
    """
    rows, cols = stored.shape
    if corners is None:
        h, v = (int(number) for number in re.findall(r"[hv](\d\d)", path.name)[-2:])
        corners = (-180 + 10 * h, 90 - 10 * v, -170 + 10 * h, 80 - 10 * v)
    west, north, east, south = corners
    with h5py.File(path, "w") as file:
        fields = file.create_group(TILE_FIELDS.format(group))
        for name, fill in (("Land_Water_Mask", 7), (f"{data_set}_Num", 3)):
            fields.create_dataset(name, data=np.full(stored.shape, fill, np.uint8))
        for axis, start, end, size in (("lat", north, south, rows), ("lon", west, east, cols)):
            of_pixels = start + (end - start) / size * (np.arange(size) + shift_px)
            fields[axis] = of_pixels if "arrays" in told else np.zeros(size)
        if "structure" in told:
            packed = [
                np.sign(one) * (1e6 * (abs(one) // 1) + 1e3 * round(60 * (abs(one) % 1)))
                for one in corners
            ]
            file["HDFEOS INFORMATION/StructMetadata.0"] = np.bytes_(
                f"\tXDim={cols}\n\tYDim={rows}\n"
                "\tUpperLeftPointMtrs=({:f},{:f})\n\tLowerRightMtrs=({:f},{:f})\n"
                "\tProjection=HE5_GCTP_GEO\n".format(*packed)
            )
        if "attributes" in told:
            for side, edge in zip(("West", "North", "East", "South"), corners, strict=True):
                file.attrs[f"{side}BoundingCoord"] = edge
        data = fields.create_dataset(data_set, data=stored, chunks=True, compression="gzip")
        for key, value in (COLLECTIONS[2] if attributes is None else attributes).items():
            data.attrs[key] = value
        file.create_group("HDFEOS/ADDITIONAL/FILE_ATTRIBUTES")
    return path


def write_netcdf(path: Path, *variables: NDArray[Any]) -> Path:
    """Classic netCDF by the CF conventions: coordinates are those of pixel centres.

    Its edges are 70 degrees east and 20 degrees north.
    """
    rows, cols = variables[0].shape[-2:]
    with netcdf_file(path, "w") as file:
        for name, size in (("time", None), ("lat", rows), ("lon", cols)):
            file.createDimension(name, size)
        for name, start, sign, size in (("lat", 20.0, -1, rows), ("lon", 70.0, 1, cols)):
            axis = file.createVariable(name, "f8", (name,))
            axis[:] = start + sign * STEP * (np.arange(size) + 0.5)
            axis.units = {"lat": "degrees_north", "lon": "degrees_east"}[name]
        for number, samples in enumerate(variables):
            variable = file.createVariable(f"light{number}", "f4", ("time", "lat", "lon"))
            variable._FillValue = np.float32(-999.0)
            variable[:] = samples.reshape(-1, rows, cols).astype(np.float32)
    return path


def blob(rows: int, cols: int, row: float, col: float, sigma: float = 2.0) -> NDArray[np.float32]:
    """A round light of 50 nW at a fractional pixel, centres at integers; nothing else."""
    y, x = np.mgrid[:rows, :cols]
    light = 50.0 * np.exp(-((y - row) ** 2 + (x - col) ** 2) / (2.0 * sigma**2))
    return light.astype(np.float32)


def centroid(grid: MapGrid) -> tuple[float, float]:
    """Longitude and latitude of the centre of the only light in a grid."""
    light = radiance_of(grid)
    rows, cols = np.indices(light.shape)
    col, row = ((light * c).sum() / light.sum() for c in (cols, rows))
    return (
        float(grid.lon0_deg + col * grid.step_deg),
        float(grid.lat0_deg - row * grid.step_deg),
    )


def ones(rows: int = 20, cols: int = 30) -> NDArray[np.float32]:
    """Samples of one value, for maps that matter otherwise."""
    return np.full((rows, cols), 3.0, np.float32)


def whole(light_map: RasterMap) -> MapGrid:
    return light_map.window(*light_map.info.bounds, light_map.info.resolution_deg)


def radiance_of(grid: MapGrid) -> NDArray[np.float64]:
    """What the values of a window stand for, nW cm^-2 sr^-1."""
    return np.asarray(10.0 ** grid.values.astype(float) - 1.0)


def radiance_at(path: Path | list[Path], lon: float, lat: float) -> float:
    """Median radiance within a tenth of a degree of a place."""
    window = open_light_map(path).window(lon - 0.1, lat - 0.1, lon + 0.1, lat + 0.1, STEP)
    return float(np.median(radiance_of(window)))


def made(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())
