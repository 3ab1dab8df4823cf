"""Maps in netCDF and HDF5: single variables of radiance, and the tiles of Black Marble."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import h5py
import numpy as np
import rasterio

from regengine.errors import LightMapError, RegengineError
from regengine.io.gdal import open_raster
from regengine.references.geotiff import WGS84, RasterSource, square_grid
from regengine.references.pixel_coding import PixelCoding
from regengine.references.radiance import Mask, Values, radiance_values
from regengine.references.source import (
    LightMapInfo,
    PixelGrid,
    date_of_name,
    file_version,
    product_of_name,
)

TILE_DEG = 10.0  # of Black Marble (VNP46A1 to A4 and their NOAA-20 twins), HDF-EOS5
# Best first: all angles have the most observations; gap-filled has a value wherever one was ever.
DATA_SETS = (
    "AllAngle_Composite_Snow_Free",
    "NearNadir_Composite_Snow_Free",
    "OffNadir_Composite_Snow_Free",
    "Gap_Filled_DNB_BRDF-Corrected_NTL",
    "DNB_BRDF-Corrected_NTL",
    "DNB_At_Sensor_Radiance_500m",
    "DNB_At_Sensor_Radiance",
)


def open_netcdf(path: Path) -> RasterSource:
    """A netCDF file as a source of lights.

    Of several times the last one is read.
    """
    with open_raster(path, driver="netCDF") as dataset:
        if dataset.count == 0:
            raise LightMapError(
                f"{path} holds {len(dataset.subdatasets)} variables: extract the radiance with "
                "gdal_translate NETCDF:file.nc:variable out.tif and give that file."
            )
        grid = _lonlat_grid(path, dataset)
        band = dataset.count
        coding = PixelCoding(
            kind="radiance",
            bands=(band,),
            nodata=dataset.nodatavals[band - 1],
            scale=dataset.scales[band - 1],
            offset=dataset.offsets[band - 1],
            product=product_of_name(path.name),
            date=_date_of(dataset, band),
        )
    return RasterSource(
        path=path,
        driver="netCDF",
        info=coding.info(path, grid, WGS84),
        grid=grid,
        coding=coding,
        warp=False,
        crs=WGS84,
    )


def _lonlat_grid(path: Path, dataset: rasterio.DatasetReader) -> PixelGrid:
    """The grid, which by the CF conventions is in degrees where no other CRS is named."""
    grid = square_grid(dataset.transform, dataset.width, dataset.height)
    geographic = dataset.crs is None or dataset.crs.to_epsg() == 4326
    if (
        grid is None
        or not geographic
        or grid.step_deg >= 1.0
        or not (-90.0 <= grid.south < grid.north <= 90.0 and -180.0 <= grid.west < 360.0)
    ):
        raise LightMapError(
            f"{path} is not on square pixels of longitude and latitude: convert it with gdalwarp "
            "-t_srs EPSG:4326 to a GeoTIFF and give that file."
        )
    return grid


def _date_of(dataset: rasterio.DatasetReader, band: int) -> str:
    """Day of a band by the file's time axis, or ""."""
    since = re.match(r"days since (\d{4})-(\d\d?)-(\d\d?)", dataset.tags().get("time#units", ""))
    days = dataset.tags(band).get("NETCDF_DIM_time", "")
    if since is None or not re.fullmatch(r"\d+(\.\d+)?", days):
        return ""
    start = date(*(int(part) for part in since.groups()))
    return (start + timedelta(days=float(days))).isoformat()


@dataclass(frozen=True, kw_only=True)
class Vnp46Source:
    """One tile."""

    path: Path
    info: LightMapInfo
    grid: PixelGrid
    data_set: str
    scale: float
    offset: float
    fill: float | None
    overview_factors: tuple[int, ...] = ()

    @property
    def version(self) -> Hashable:
        """Of the file."""
        return file_version(self.path)

    def read(
        self, row: int, col: int, rows: int, cols: int, factor: int = 1
    ) -> tuple[Values, Mask]:
        """Values and validity of a block of the tile."""
        assert factor == 1
        with _open_hdf5(self.path) as file:
            stored = file[self.data_set][row : row + rows, col : col + cols]
        values, valid = radiance_values(stored * self.scale + self.offset)
        if self.fill is not None:
            valid &= stored != np.asarray(self.fill).astype(stored.dtype)
        return np.where(valid, values, np.float32(0.0)), valid


def open_vnp46(path: Path) -> Vnp46Source:
    """A Black Marble tile as a source of lights."""
    with _open_hdf5(path) as file:
        name, data_set = _find_lights(path, file)
        horizontal, vertical = _tile_numbers(path, file)
        rows, cols = data_set.shape
        attributes = {key: _scalar(value) for key, value in data_set.attrs.items()}
    grid = PixelGrid(
        west=-180.0 + TILE_DEG * horizontal,
        north=90.0 - TILE_DEG * vertical,
        step_deg=TILE_DEG / cols,
        cols=cols,
        rows=rows,
    )
    product, date = product_of_name(path.name) or "Black Marble", date_of_name(path.name)
    fill = attributes.get("_FillValue")
    return Vnp46Source(
        path=path,
        data_set=name,
        scale=float(attributes.get("scale_factor", 1.0)),
        offset=float(attributes.get("add_offset", attributes.get("offset", 0.0))),
        fill=None if fill is None else float(fill),
        grid=grid,
        info=LightMapInfo(
            paths=(path,),
            product=product,
            date=date,
            kind="radiance",
            resolution_deg=grid.step_deg,
            bounds=grid.bounds,
            crs="EPSG:4326",
            saturation=None,
            description=f"{product} {date}: {name.rsplit('/', 1)[-1]}, radiance",
        ),
    )


@contextmanager
def _open_hdf5(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (RegengineError, MemoryError):
        raise
    except Exception as error:  # damaged HDF5 files fail in many ways
        raise broken_hdf5(path) from error


def broken_hdf5(path: Path) -> LightMapError:
    """The error for a file that is no whole HDF5 file."""
    return LightMapError(
        f"{path} cannot be read as HDF5: it was cut short or damaged while it was downloaded; "
        "get it again."
    )


def _find_lights(path: Path, file: h5py.File) -> tuple[str, h5py.Dataset]:
    """The best data set of lights in the file and its full name."""
    found: dict[str, str] = {}

    def note(name: str, thing: object) -> None:
        if isinstance(thing, h5py.Dataset) and thing.ndim == 2 and not _elsewhere(thing):
            found.setdefault(name.rsplit("/", 1)[-1], name)

    file.visititems(note)
    for wanted in DATA_SETS:
        if wanted in found:
            return found[wanted], file[found[wanted]]
    raise LightMapError(
        f"{path} holds no night lights that are known ({', '.join(DATA_SETS[:2])}, …): give a "
        "VNP46A2, A3 or A4 tile."
    )


def _elsewhere(data_set: h5py.Dataset) -> bool:
    """Whether its values lie in other files, which a map from a stranger could choose."""
    return bool(data_set.external) or data_set.is_virtual


def _tile_numbers(path: Path, file: h5py.File) -> tuple[int, int]:
    """Horizontal and vertical tile number, from the attributes or else the file name."""
    said: dict[str, int] = {}

    def note(attributes: h5py.AttributeManager) -> None:
        for key in ("HorizontalTileNumber", "VerticalTileNumber"):
            if key in attributes:
                said.setdefault(key, int(_scalar(attributes[key])))

    note(file.attrs)
    file.visititems(lambda _, thing: note(thing.attrs))
    in_name = re.search(r"h(\d\d)v(\d\d)", path.name)
    if len(said) == 2:
        numbers = (said["HorizontalTileNumber"], said["VerticalTileNumber"])
    elif in_name:
        numbers = (int(in_name[1]), int(in_name[2]))
    else:
        raise LightMapError(
            f"{path} does not say where it lies: give it back its name with hHHvVV, such as "
            "VNP46A4.A2020001.h31v05.h5."
        )
    if not (0 <= numbers[0] < 36 and 0 <= numbers[1] < 18):
        raise LightMapError(
            f"{path} names a tile off the Earth, h{numbers[0]:02d}v{numbers[1]:02d}: get it again."
        )
    return numbers


def _scalar(value: object) -> str | float:
    """An attribute as text or number; files keep them as bytes, numbers or arrays of one."""
    item = np.asarray(value).reshape(-1)[0] if np.asarray(value).size else ""
    if isinstance(item, bytes):
        return item.decode("ascii", "replace").strip("\0 ")
    return str(item) if isinstance(item, str) else float(item)
