"""Control points of GDAL: of ``.aux.xml`` and VRT files, and of GeoTIFFs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

# Entities, with which XML could be made endless, are refused before it is parsed
from xml.etree import ElementTree  # nosec B405

from regengine.importing.point_file import (
    ForeignPoint,
    PhotoPoints,
    checked,
    read_text,
    refused,
    to_lonlat,
)

AUX_ENDING = ".aux.xml"
ENTITIES = re.compile(r"<!(DOCTYPE|ENTITY)", re.IGNORECASE)


def read_gdal_xml(path: Path) -> list[PhotoPoints]:
    """Points of a ``PHOTO.aux.xml`` or of a VRT, whose source is not opened.

    Returns
    -------
    list of PhotoPoints
        One.

    Raises
    ------
    ConfigError
        If it has none.
    """
    text = read_text(path)
    if ENTITIES.search(text):
        raise refused(path, "it declares entities, which no file of GDAL does")
    try:
        root = ElementTree.fromstring(text)  # nosec B314
    except ElementTree.ParseError as error:
        raise refused(path, f"it is no XML ({error})") from error
    listed = root.find("GCPList")
    if listed is None or not len(listed):
        raise refused(path, "it has no control points (GCPList)")
    names = ("Pixel", "Line", "X", "Y")
    try:
        rows = [[float(point.get(name, "")) for name in names] for point in listed.findall("GCP")]
    except ValueError as error:
        raise refused(path, "a control point lacks Pixel, Line, X or Y") from error
    crs = listed.get("Projection", "")
    # "1,2": in the order of the system's own axes, which for WGS84 is latitude first
    mapped = listed.get("dataAxisToSRSAxisMapping", "2,1") != "1,2" or not crs
    points = _points(path, crs, rows, mapped=mapped)
    return [PhotoPoints(file=path, photo=_photo(path, root), points=points)]


def read_gdal_tiff(path: Path) -> list[PhotoPoints]:
    """Points of a GeoTIFF.

    Raises
    ------
    ConfigError
        If it cannot be read, or has none.
    """
    import rasterio
    from rasterio.errors import RasterioError

    from regengine.gdal_session import gdal_session

    try:
        with gdal_session(), rasterio.open(path.absolute(), driver="GTiff") as dataset:
            found, crs = dataset.gcps
            frame = dataset.tags().get("REGENGINE_FRAME", "")
            wkt = crs.to_wkt() if crs else ""
    except (RasterioError, OSError) as error:
        raise refused(path, f"GDAL cannot read it ({error})") from error
    if not found:
        raise refused(path, "it has no control points")
    rows = [[point.col, point.row, point.x, point.y] for point in found]
    photo = frame or path.stem.removesuffix(".gcp")
    return [PhotoPoints(file=path, photo=photo, points=_points(path, wkt, rows, mapped=True))]


def _points(
    path: Path, crs: str, rows: list[list[float]], *, mapped: bool
) -> tuple[ForeignPoint, ...]:
    lon, lat = to_lonlat(
        path, crs, [row[2] for row in rows], [row[3] for row in rows], mapped=mapped
    )
    places: Iterator[ForeignPoint] = (
        ForeignPoint(x=row[0] - 0.5, y=row[1] - 0.5, lon=a, lat=b)
        for row, a, b in zip(rows, lon, lat, strict=True)
    )
    return checked(path, places)


def _photo(path: Path, root: ElementTree.Element) -> str:
    source = root.findtext(".//SourceFilename")
    if source:
        return re.split(r"[/\\]", source)[-1]
    if path.name.lower().endswith(AUX_ENDING):
        return path.name[: -len(AUX_ENDING)]
    return path.stem.removesuffix(".gcp")
