"""Formats of export by their names; none is imported before it is used."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from regengine.errors import ConfigError
from regengine.io.extras import need

if TYPE_CHECKING:
    from regengine.export.format import FileFormat, FolderFormat

# The module of each format, which has it in ``FORMATS`` and imports what is heavy where it is used
MODULES = {
    "csv": "vector",
    "gcp": "gcp_qgis",
    "geojson": "vector",
    "geotiff": "geotiff",
    "gpkg": "vector",
    "parquet": "vector",
    "qgis": "gcp_qgis",
    "rpc": "rpc",
    "sql": "sql",
    "stac": "stac",
}
TEXTS = ("csv", "geojson", "sql")  # formats of one file that is text
# Packages that the core does without
NEEDS = {"gpkg": ("pyarrow", "pyogrio"), "parquet": ("pyarrow",)}
# What people call them as well
ALSO_CALLED = {
    "gdal": "gcp",
    "geopackage": "gpkg",
    "geoparquet": "parquet",
    "gtiff": "geotiff",
    "json": "geojson",
    "points": "qgis",
    "tif": "geotiff",
    "tiff": "geotiff",
}
# What is not written, and what serves instead
INSTEAD = {
    **dict.fromkeys(("shapefile", "shp", "esri shapefile"), "use gpkg, which every GIS reads"),
    **dict.fromkeys(("excel", "xlsx", "ods"), "use csv, which spreadsheets open"),
    **dict.fromkeys(("kml", "kmz"), "use geojson, which Google Earth opens"),
    "rpb": "use rpc with --files rpb",
    "fits": "use regengine solve --wcs for sky coordinates",
    **dict.fromkeys(("mysql", "mariadb"), "use sql with --dialect mysql"),
    **dict.fromkeys(("postgres", "postgresql", "postgis"), "use sql with --dialect postgresql"),
}


def format_name(text: str) -> str:
    """The name of a format out of what people call it; ConfigError if there is none like it."""
    name = text.strip().lower().removeprefix(".")
    name = ALSO_CALLED.get(name, name)
    if name not in MODULES:
        why = INSTEAD.get(name, f"unknown format; choose from {', '.join(MODULES)}")
        raise ConfigError(f"--format {text}: {why}.")
    return name


def format_of(out: Path) -> str:
    """The format of a file name's ending; ConfigError if the ending is unknown."""
    ending = out.suffix.lower().removeprefix(".")
    name = ALSO_CALLED.get(ending, ending)
    if name in (*TEXTS, "gpkg", "parquet"):
        return name
    why = INSTEAD.get(name, "the ending names no format")
    raise ConfigError(f"--out {out}: {why}; choose --format from {', '.join(MODULES)}.")


def find_format(name: str) -> FileFormat | FolderFormat:
    """A format by its name; ConfigError if there is none, or a package that it needs."""
    need(f"--format {name}", *NEEDS.get(name, ()))
    module = importlib.import_module(f"{__name__}.{MODULES[format_name(name)]}")
    found: FileFormat | FolderFormat = module.FORMATS[name]
    return found
