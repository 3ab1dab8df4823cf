"""Georeferencing already in a photo's files: world file, tags, control points, coefficients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from detectors.types import FloatArray
from matchers.geometry.footprint import WGS84, diagonal_km
from regengine.errors import RegengineError
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.warp import DRIVERS
from regengine.exchange.importing.decisions import RIGHT_KM, RIGHT_SHARE
from regengine.exchange.importing.points import read_qgis_points

PER_SIDE = 5  # pixels along each side at which georeferencing of the whole photo is compared

Places = tuple[FloatArray, FloatArray, FloatArray, FloatArray]  # pixels x, y; lon, lat


def find_contradiction(frame: ExportFrame, copy: Path) -> str:
    """Georeferencing in a photo's files that contradicts its camera; empty if there is none.

    ``copy`` is searched, too. Georeferencing contradicts the camera if the camera would not count
    as right with it taken as truth; see `regengine.exchange.importing.decisions.score`.
    """
    camera = frame.camera
    if camera is None:
        return ""
    photo = frame.photo
    there = [] if photo is None else [photo]
    if copy.is_file() and not (photo is not None and copy.samefile(photo)):
        there.append(copy)
    found: dict[str, None] = {}
    for path in there:
        for name, (x, y, lon, lat) in _read_carried(path):
            own_lon, own_lat = camera.pixel_to_lonlat(x, y)
            seen = np.isfinite(own_lon) & np.isfinite(lon) & np.isfinite(lat)
            if not seen.any():
                found[f"{name} places it where its solved camera sees no ground"] = None
                continue
            away_m = WGS84.inv(own_lon[seen], own_lat[seen], lon[seen], lat[seen])[2]
            away_km = float(np.median(away_m)) / 1e3
            if away_km > max(RIGHT_KM, RIGHT_SHARE * diagonal_km(camera)):
                found[f"{name} places it {away_km:,.0f} km from its solved camera's ground"] = None
    return "; ".join(found)


def _read_carried(photo: Path) -> Iterator[tuple[str, Places]]:
    """Files with georeferencing of a photo, including the photo itself, and their positions."""
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.transform import RPCTransformer

    from regengine.io.gdal import open_gdal_session
    from regengine.photo.formats import read_photo_file

    points = photo.with_name(f"{photo.name}.points")
    if points.is_file():
        with suppress(RegengineError):  # files of another program, or a person's notes
            (listed,) = read_qgis_points(points)
            yield points.name, _columns([(p.x, p.y, p.lon, p.lat) for p in listed.points])
    try:
        driver = DRIVERS.get(read_photo_file(photo).format)
        if driver is None:
            return
        with open_gdal_session(), rasterio.open(photo.absolute(), driver=driver) as dataset:
            beside = [Path(name).name for name in dataset.files if Path(name).name != photo.name]
            name = " or ".join(beside) or photo.name
            size = dataset.width, dataset.height
            x, y = (
                part.ravel()
                for part in np.meshgrid(*(np.linspace(0.0, n - 1.0, PER_SIDE) for n in size))
            )
            if not dataset.transform.is_identity:
                east, north = dataset.transform @ (x + 0.5, y + 0.5)
                yield name, (x, y, *_lonlat(dataset.crs, east, north))
            gcps, crs = dataset.gcps
            if gcps:
                rows = [(p.col - 0.5, p.row - 0.5, p.x, p.y) for p in gcps]
                x_of, y_of, east, north = _columns(rows)
                yield name, (x_of, y_of, *_lonlat(crs, east, north))
            if dataset.rpcs is not None:
                with RPCTransformer(dataset.rpcs) as transformer:
                    lon, lat = transformer.xy(y, x, np.zeros_like(x), offset="center")
                yield name, (x, y, np.asarray(lon), np.asarray(lat))
    except (RegengineError, RasterioError, OSError):
        return  # errors in the file are reported where it is read for writing


def _columns(rows: list[tuple[float, float, float, float]]) -> Places:
    x, y, lon, lat = np.array(rows, float).T
    return x, y, lon, lat


def _lonlat(crs: Any, east: FloatArray, north: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Longitudes and latitudes; NaN where values in an unnamed system cannot be degrees."""
    from pyproj import Transformer

    if crs is None:
        lonlat = (np.abs(east) <= 360.0) & (np.abs(north) <= 90.0)
        return np.where(lonlat, east, np.nan), np.where(lonlat, north, np.nan)
    lon, lat = Transformer.from_crs(crs.to_wkt(), "EPSG:4326", always_xy=True).transform(
        east, north
    )
    return np.asarray(lon), np.asarray(lat)
