"""Control points for GDAL and for the QGIS georeferencer.

For GDAL, they are in a file next to the photo, in a VRT that refers to it, or in a copy of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from regengine.batch.at_hand import find_settings_files
from regengine.exchange.export.format import (
    ExportOptions,
    FolderFormat,
    choose_kinds,
    explain_no_points,
    stem,
)
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.virtual import write_aux, write_vrt
from regengine.io.gdal import raise_write_failures


@cache
def wgs84(version: str) -> str:
    """WGS84 as well-known text: ``WKT1_GDAL`` for any GDAL, ``WKT2_2019`` as written by QGIS."""
    from pyproj import CRS

    return CRS.from_epsg(4326).to_wkt(version)


def continuous_lon(frame: ExportFrame) -> list[float]:
    """Longitudes of the points, continuous across the antimeridian: beyond 180 or below -180."""
    first = frame.points[0].lon if frame.points else 0.0
    return [(point.lon - first + 180.0) % 360.0 - 180.0 + first for point in frame.points]


def _points_of(frame: ExportFrame) -> Callable[[Any], None]:
    """A function that adds the frame's control points to a raster."""
    import rasterio
    from rasterio.control import GroundControlPoint

    points = [
        GroundControlPoint(row=point.y + 0.5, col=point.x + 0.5, x=lon, y=point.lat, z=0.0)
        for point, lon in zip(frame.points, continuous_lon(frame), strict=True)
    ]

    def place(dataset: Any) -> None:
        dataset.gcps = points, rasterio.crs.CRS.from_wkt(wgs84("WKT1_GDAL"))

    return place


def write_virtual(frame: ExportFrame, path: Path) -> None:
    """Write a virtual raster of the photo with control points."""
    write_vrt(frame, path, _points_of(frame))


def write_beside(frame: ExportFrame, path: Path) -> None:
    """Write ``PHOTO.aux.xml`` with control points."""
    write_aux(frame, path, _points_of(frame))


def write_tif(frame: ExportFrame, path: Path) -> None:
    """Write a GeoTIFF with a lossless copy of the photo's pixels, and control points."""
    import rasterio
    import rasterio.shutil

    virtual = path.with_name(f"{path.name}.vrt")
    write_virtual(frame, virtual)
    with rasterio.open(virtual, driver="VRT") as photo:
        rasterio.shutil.copy(
            photo,
            path,
            driver="GTiff",
            compress="deflate",
            predictor=2 if np.issubdtype(photo.dtypes[0], np.integer) else 1,
            tiled=True,
            interleave="pixel",
            bigtiff="if_safer",
        )


Writer = Callable[[ExportFrame, Path], None]
# File name derived from the photo's, and the function that writes the file
KINDS: dict[str, tuple[Callable[[str], str], Writer]] = {
    "vrt": (lambda photo: f"{stem(photo)}.gcp.vrt", write_virtual),
    "aux": (lambda photo: f"{photo}.aux.xml", write_beside),
    "tif": (lambda photo: f"{stem(photo)}.gcp.tif", write_tif),
}


def _gcp_names(photo: str, options: ExportOptions) -> tuple[str, ...]:
    return tuple(KINDS[kind][0](photo) for kind in choose_kinds(options, KINDS, ("vrt",)))


def _write_gcp(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    kinds = choose_kinds(options, KINDS, ("vrt",))
    for kind, path in zip(kinds, paths, strict=True):
        with raise_write_failures(path, [path.with_name(f"{path.name}.vrt")]):
            KINDS[kind][1](frame, path)


HEADER = "mapX,mapY,sourceX,sourceY,enable,dX,dY,residual"


def points_text(frame: ExportFrame) -> str:
    """A points file of the QGIS georeferencer, which QGIS opens with the photo.

    In an image without georeferencing, QGIS counts pixels from the upper left corner, with rows
    downwards as negative numbers: the centre of the first pixel is (0.5, -0.5)
    (`QgsGCPList::loadGcps`; the format is that of `saveGcps`). Longitudes are continuous across the
    antimeridian, so that a transform can be fitted. Residuals are pixel minus camera, zero without
    a camera; QGIS computes them again.
    """
    lines = [f"#CRS: {wgs84('WKT2_2019')}", HEADER]
    for point, lon in zip(frame.points, continuous_lon(frame), strict=True):
        dx = dy = 0.0
        if frame.camera is not None:
            x, y = frame.camera.lonlat_to_pixel(point.lon, point.lat)
            if math.isfinite(x):
                dx, dy = float(x) - point.x, point.y - float(y)
        at = lon, point.lat, point.x + 0.5, -(point.y + 0.5)
        numbers = (*at, int(point.enabled), dx, dy, math.hypot(dx, dy))
        lines.append(",".join(f"{number:.12g}" for number in numbers))
    return "\n".join(lines) + "\n"


# Written together with the points for ``project``: the photo's virtual raster, and the project file
PROJECT_KINDS = ("points", "project")


def _points_names(photo: str, options: ExportOptions) -> tuple[str, ...]:
    if "project" not in choose_kinds(options, PROJECT_KINDS, ("points",)):
        return (f"{photo}.points",)
    return f"{photo}.points", KINDS["vrt"][0](photo), f"{stem(photo)}.qgs"


def _write_points(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    paths[0].write_text(points_text(frame), encoding="utf-8")
    if len(paths) == 1:
        return
    import rasterio

    from regengine.exchange.export.qgis_project import project_text

    _, virtual, project = paths
    with raise_write_failures(virtual, []):
        write_virtual(frame, virtual)
        with rasterio.open(virtual, driver="VRT") as photo:
            n_bands = photo.count
        points, photo_name = targets[0].name, targets[1].name
        # The light map used to locate the photo, if it is a raster and unchanged
        maps = find_settings_files(frame.stored.parameters).lights
        rasters = (path for path in maps if path.suffix.lower() in (".tif", ".tiff", ".vrt"))
        text = project_text(frame, points, photo_name, n_bands, next(rasters, None))
    project.write_text(text, encoding="utf-8")


FORMATS = {
    "gcp": FolderFormat(
        names=_gcp_names,
        write=_write_gcp,
        lacks=explain_no_points,
        places_photo=True,
    ),
    "qgis": FolderFormat(
        names=_points_names,
        write=_write_points,
        lacks=explain_no_points,
        places_photo=True,
    ),
}
