"""Files of control points: whatever they are, points of photos in our coordinates come out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError

MOST_BYTES = 50_000_000


@dataclass(frozen=True, kw_only=True)
class ForeignPoint:
    """A point as another program has it, in our coordinates.

    Attributes
    ----------
    x, y : float
        Pixel of the image as stored, zero-based, integers at pixel centres.
    lon, lat : float
        WGS84, degrees; longitude in [-180, 180).
    sigma_px : float or None
        One sigma per axis, where the file tells.
    """

    x: float
    y: float
    lon: float
    lat: float
    sigma_px: float | None = None


@dataclass(frozen=True, kw_only=True)
class PhotoPoints:
    """Points of one photo.

    Attributes
    ----------
    file : Path
        Where they come from.
    photo : str
        Name of the photo or of its frame, as the file tells.
    points : tuple of ForeignPoint
        At least one.
    """

    file: Path
    photo: str
    points: tuple[ForeignPoint, ...]


def refused(path: Path, why: str) -> ConfigError:
    """What is said of a file that cannot be used."""
    return ConfigError(
        f"{path}: {why}; give a .points file of QGIS, control points of GDAL (.aux.xml, .vrt, "
        ".tif), or a CSV with the columns frame, x, y, lon, lat."
    )


def read_text(path: Path) -> str:
    """Text of a file of bearable length.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise refused(path, "it is longer than any file of control points")
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise refused(path, f"it cannot be read as text ({error})") from error


def checked(path: Path, points: Iterable[ForeignPoint]) -> tuple[ForeignPoint, ...]:
    """Points with longitudes in [-180, 180), all of them places and pixels.

    Raises
    ------
    ConfigError
        If one is none.
    """
    found = []
    for number, point in enumerate(points, start=1):
        numbers = (point.x, point.y, point.lon, point.lat, point.sigma_px or 0.0)
        if not all(math.isfinite(value) for value in numbers):
            raise refused(path, f"point {number} has a number that is none")
        if not (-90.0 <= point.lat <= 90.0 and -540.0 <= point.lon <= 540.0):
            raise refused(
                path,
                f"point {number} has longitude {point.lon:g}, latitude {point.lat:g}, which is no "
                "place on Earth (is its coordinate system named in the file?)",
            )
        lon = point.lon
        lon = lon if -180.0 <= lon < 180.0 else (lon + 180.0) % 360.0 - 180.0
        found.append(
            ForeignPoint(x=point.x, y=point.y, lon=lon, lat=point.lat, sigma_px=point.sigma_px)
        )
    return tuple(found)


def to_lonlat(path: Path, crs: str, x: list[float], y: list[float], *, mapped: bool = True) -> Any:
    """Longitudes and latitudes of map coordinates.

    Parameters
    ----------
    path : Path
        The file, for what is said of it.
    crs : str
        WKT or an identifier; empty for WGS84.
    x, y : list of float
        Coordinates.
    mapped : bool, optional
        East before north, whatever the order of the system's axes.

    Returns
    -------
    tuple of list of float

    Raises
    ------
    ConfigError
        If there is no such system.
    """
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    if len(crs) > 20_000 or re.search(r"\+(nadgrids|geoidgrids|init)", crs):
        raise refused(path, "its coordinate system is none that can be used")
    try:
        transformer = Transformer.from_crs(crs or "EPSG:4326", "EPSG:4326", always_xy=mapped)
        first, second = transformer.transform(x, y)
    except ProjError as error:
        raise refused(path, "PROJ does not know its coordinate system") from error
    return (list(first), list(second)) if mapped else (list(second), list(first))
