"""NetCDF maps: one variable of radiance on longitude and latitude, often many months."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import rasterio

from regengine.errors import LightMapError
from regengine.lights.gdal import open_raster
from regengine.lights.geotiff import WGS84, RasterSource, square_grid
from regengine.lights.naming import product_of_name
from regengine.lights.pixels import PixelCoding
from regengine.lights.sidecar import Sidecar
from regengine.lights.source import PixelGrid


def open_netcdf(path: Path, sidecar: Sidecar) -> RasterSource:
    """A netCDF file as a source of lights.

    Of several times the last one is read, unless the sidecar names a ``band``.

    Parameters
    ----------
    path : Path
        The file.
    sidecar : Sidecar
        What the user says of it.

    Raises
    ------
    LightMapError
        It has several variables, no longitudes and latitudes, or is damaged.
    """
    with open_raster(path, driver="netCDF") as dataset:
        if dataset.count == 0:
            raise LightMapError(
                f"{path} holds {len(dataset.subdatasets)} variables: extract the radiance with "
                "gdal_translate NETCDF:file.nc:variable out.tif and give that file."
            )
        grid = _lonlat_grid(path, dataset)
        band = sidecar.band or dataset.count
        if not 1 <= band <= dataset.count:
            raise LightMapError(
                f"{path} has no band {band}: its sidecar must name one of 1 to {dataset.count}."
            )
        coding = PixelCoding(
            kind="radiance",
            bands=(band,),
            nodata=sidecar.nodata if sidecar.nodata is not None else dataset.nodatavals[band - 1],
            scale=dataset.scales[band - 1],
            offset=dataset.offsets[band - 1],
            product=sidecar.product or product_of_name(path.name),
            date=sidecar.date or _date_of(dataset, band),
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
