"""Points files of the QGIS georeferencer: ``PHOTO.points``, which QGIS opens with the photo.

QGIS counts pixels of a picture without a place from its upper left corner, rows downwards as
negative numbers: the middle of the first pixel is (0.5, -0.5) (`QgsGCPList::loadGcps`; the format
is that of `saveGcps`).
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

from regengine.exchange.export.format import ExportOptions, FolderFormat, no_points
from regengine.exchange.export.formats.gcp import continuous_lon
from regengine.exchange.export.frame import ExportFrame

HEADER = "mapX,mapY,sourceX,sourceY,enable,dX,dY,residual"


def points_text(frame: ExportFrame) -> str:
    """The file's text.

    Parameters
    ----------
    frame : ExportFrame
        Residuals are pixel less camera, zero where there is no camera. They are QGIS's to
        compute again.

    Returns
    -------
    str
        Longitudes that run on over the antimeridian, so that a fit of them makes sense.
    """
    lines = [f"#CRS: {wgs84_wkt()}", HEADER]
    for point, lon in zip(frame.points, continuous_lon(frame), strict=True):
        dx = dy = 0.0
        if frame.camera is not None:
            x, y = frame.camera.lonlat_to_pixel(point.lon, point.lat)
            if math.isfinite(x):
                dx, dy = float(x) - point.x, point.y - float(y)
        numbers = (lon, point.lat, point.x + 0.5, -(point.y + 0.5), 1, dx, dy, math.hypot(dx, dy))
        lines.append(",".join(f"{number:.12g}" for number in numbers))
    return "\n".join(lines) + "\n"


@cache
def wgs84_wkt() -> str:
    """WGS84 as QGIS writes it: one line of WKT 2."""
    from pyproj import CRS

    return CRS.from_epsg(4326).to_wkt("WKT2_2019")


def _names(photo: str, options: ExportOptions) -> tuple[str, ...]:
    return (f"{photo}.points",)


def _write(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    paths[0].write_text(points_text(frame), encoding="utf-8")


FORMAT = FolderFormat(
    summary="points of the QGIS georeferencer, a file a photo",
    names=_names,
    write=_write,
    lacks=no_points,
)
