"""Formats of export, found by being here.

A module is named after the formats in it, joined by underscores, and has them by name in
``FORMATS``; it imports what is heavy where it is used. Their names are known without importing any.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from regengine.errors import ConfigError

if TYPE_CHECKING:
    from regengine.exchange.export.format import FileFormat, FolderFormat


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
    **dict.fromkeys(("shapefile", "shp", "esri shapefile"), "write gpkg, which every GIS reads"),
    **dict.fromkeys(("excel", "xlsx", "ods"), "write csv, which spreadsheets open"),
    **dict.fromkeys(("kml", "kmz"), "write geojson, which Google Earth opens"),
    "fits": "regengine solve --wcs writes the sky's coordinates",
    **dict.fromkeys(("mysql", "mariadb"), "write sql with --dialect mysql"),
    **dict.fromkeys(("postgres", "postgresql", "postgis"), "write sql with --dialect postgresql"),
}


def format_names() -> list[str]:
    """Names of all formats, in order."""
    return sorted(_modules())


def format_name(text: str) -> str:
    """The name of a format out of what people call it; ConfigError if there is none like it."""
    name = text.strip().lower().removeprefix(".")
    name = ALSO_CALLED.get(name, name)
    if name not in (names := format_names()):
        why = INSTEAD.get(name, f"it is none of {', '.join(names)}")
        raise ConfigError(f"--format {text}: {why}.")
    return name


def known_format(name: str) -> FileFormat | FolderFormat:
    """A format by its name; ConfigError if there is none."""
    modules = _modules()
    if name not in modules:
        raise ConfigError(f"--format {name}: it is none of {', '.join(sorted(modules))}.")
    module = importlib.import_module(f"{__name__}.{modules[name]}")
    found: FileFormat | FolderFormat = module.FORMATS[name]
    return found


def _modules() -> dict[str, str]:
    """The module of each format."""
    modules = [module.name for module in pkgutil.iter_modules(__path__)]
    return {name: module for module in modules for name in module.split("_")}
