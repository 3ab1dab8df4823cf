"""From a file's name to the reader of its kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from regengine.importing.csv_points import read_csv_points
from regengine.importing.gdal_points import read_gdal_tiff, read_gdal_xml
from regengine.importing.point_file import PhotoPoints, refused
from regengine.importing.qgis_points import read_qgis_points

READERS: dict[str, Callable[[Path], list[PhotoPoints]]] = {
    ".points": read_qgis_points,
    ".xml": read_gdal_xml,
    ".vrt": read_gdal_xml,
    ".tif": read_gdal_tiff,
    ".tiff": read_gdal_tiff,
    ".csv": read_csv_points,
    ".tsv": read_csv_points,
    ".txt": read_csv_points,
}


def read_points(path: Path) -> list[PhotoPoints]:
    """Points of a file, by photo; the file's ending tells what it is.

    Raises
    ------
    ConfigError
        If it is of no known kind, or cannot be read as what it seems.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise refused(path, "its ending tells no kind of control points")
    if not path.is_file():
        raise refused(path, "it is no file")
    return reader(path)
