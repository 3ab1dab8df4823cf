"""Control points for GDAL and for the QGIS georeferencer, in files beside or of a photo.

For GDAL they stand beside the photo, in a VRT that refers to it, or with a copy of it. The photo
itself is never opened for writing: GDAL would write it anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

# Only of what GDAL has written for us
from xml.etree import ElementTree

import numpy as np

from regengine.exchange.export.format import (
    UNHOLDABLE_IN_XML,
    ExportOptions,
    FolderFormat,
    LeftOutError,
    chosen_kinds,
    no_points,
    stem,
)
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.warp import open_photo
from regengine.io.gdal import writing


@cache
def wgs84(version: str) -> str:
    """WGS84 as well-known text: ``WKT1_GDAL`` for every GDAL, ``WKT2_2019`` as QGIS writes it."""
    from pyproj import CRS

    return CRS.from_epsg(4326).to_wkt(version)


def continuous_lon(frame: ExportFrame) -> list[float]:
    """Longitudes of the points that run on over the antimeridian, beyond 180 or below -180."""
    first = frame.points[0].lon if frame.points else 0.0
    return [(point.lon - first + 180.0) % 360.0 - 180.0 + first for point in frame.points]


def metadata(frame: ExportFrame) -> dict[str, str]:
    """What a raster's metadata tell of where its place comes from."""
    result = frame.result
    told: dict[str, Any] = {
        "REGENGINE_FRAME": result.frame,
        "REGENGINE_VERDICT": frame.verdict,
        "REGENGINE_REVIEWER": None if frame.review is None else frame.review.reviewer,
        "REGENGINE_DECISION": None if frame.review is None else frame.review.decision,
        "REGENGINE_PROBABILITY": result.probability,
        "REGENGINE_TIME_UTC": result.time_utc,
        "REGENGINE_PHOTO_SHA256": result.sha256,
        "REGENGINE_SIGMA_M": frame.worst_sigma_m,
        "REGENGINE_LIGHTS": result.lights,
        "REGENGINE_VERSION": result.engine_version,
    }
    return {
        key: UNHOLDABLE_IN_XML.sub("_", str(value))
        for key, value in told.items()
        if value is not None
    }


def write_vrt(frame: ExportFrame, path: Path) -> None:
    """A virtual raster of the photo's own pixels, with control points."""
    import rasterio
    import rasterio.shutil
    from rasterio.control import GroundControlPoint

    points = [
        GroundControlPoint(row=point.y + 0.5, col=point.x + 0.5, x=lon, y=point.lat, z=0.0)
        for point, lon in zip(frame.points, continuous_lon(frame), strict=True)
    ]
    with open_photo(frame) as photo:
        if UNHOLDABLE_IN_XML.search(photo.name) or "\r" in photo.name:
            raise LeftOutError("the name of the photo's file cannot stand in XML")
        rasterio.shutil.copy(photo, path, driver="VRT")
        with rasterio.open(path, "r+", driver="VRT") as virtual:
            virtual.gcps = points, rasterio.crs.CRS.from_wkt(wgs84("WKT1_GDAL"))
            virtual.update_tags(**metadata(frame))


def write_aux(frame: ExportFrame, path: Path) -> None:
    """``PHOTO.aux.xml``, which GDAL reads with ``PHOTO`` in the same folder."""
    write_vrt(frame, path)
    root = ElementTree.Element("PAMDataset")
    known = ElementTree.parse(path).getroot()  # noqa: S314 - ours
    root.extend(
        part
        for part in known
        if part.tag in ("GCPList", "Metadata") and "domain" not in part.attrib
    )
    ElementTree.ElementTree(root).write(path, encoding="utf-8")


def write_tif(frame: ExportFrame, path: Path) -> None:
    """A GeoTIFF with a lossless copy of the photo's pixels, and control points."""
    import rasterio
    import rasterio.shutil

    virtual = path.with_name(f"{path.name}.vrt")
    write_vrt(frame, virtual)
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
# What a file is called after the photo, and who writes it
KINDS: dict[str, tuple[Callable[[str], str], Writer]] = {
    "vrt": (lambda photo: f"{stem(photo)}.gcp.vrt", write_vrt),
    "aux": (lambda photo: f"{photo}.aux.xml", write_aux),
    "tif": (lambda photo: f"{stem(photo)}.gcp.tif", write_tif),
}


def _gcp_names(photo: str, options: ExportOptions) -> tuple[str, ...]:
    return tuple(KINDS[kind][0](photo) for kind in chosen_kinds(options, KINDS, ("vrt",)))


def _write_gcp(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    kinds = chosen_kinds(options, KINDS, ("vrt",))
    for kind, path in zip(kinds, paths, strict=True):
        with writing(path, [path.with_name(f"{path.name}.vrt")]):
            KINDS[kind][1](frame, path)


HEADER = "mapX,mapY,sourceX,sourceY,enable,dX,dY,residual"


def points_text(frame: ExportFrame) -> str:
    """A points file of the QGIS georeferencer, which QGIS opens with the photo.

    QGIS counts pixels of a picture without a place from its upper left corner, rows downwards as
    negative numbers: the middle of the first pixel is (0.5, -0.5) (`QgsGCPList::loadGcps`; the
    format is that of `saveGcps`). Longitudes run on over the antimeridian, so that a fit of them
    makes sense. Residuals are pixel less camera, zero where there is no camera; they are QGIS's to
    compute again.
    """
    lines = [f"#CRS: {wgs84('WKT2_2019')}", HEADER]
    for point, lon in zip(frame.points, continuous_lon(frame), strict=True):
        dx = dy = 0.0
        if frame.camera is not None:
            x, y = frame.camera.lonlat_to_pixel(point.lon, point.lat)
            if math.isfinite(x):
                dx, dy = float(x) - point.x, point.y - float(y)
        numbers = (lon, point.lat, point.x + 0.5, -(point.y + 0.5), 1, dx, dy, math.hypot(dx, dy))
        lines.append(",".join(f"{number:.12g}" for number in numbers))
    return "\n".join(lines) + "\n"


def _write_points(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    paths[0].write_text(points_text(frame), encoding="utf-8")


FORMATS = {
    "gcp": FolderFormat(
        names=_gcp_names,
        write=_write_gcp,
        lacks=no_points,
    ),
    "qgis": FolderFormat(
        names=lambda photo, options: (f"{photo}.points",),
        write=_write_points,
        lacks=no_points,
    ),
}
