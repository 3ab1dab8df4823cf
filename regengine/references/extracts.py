"""Public extracts of OpenStreetMap: which covers a place, how large it is, and to get it."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from detectors.constants import KM_PER_DEGREE
from regengine.errors import ConfigError, LightMapError
from regengine.io.http import HttpClient, HttpFailure, RetryPolicy
from regengine.io.urls import host_of
from regengine.references.build import Progress
from regengine.references.reference import Bounds

# Geofabrik's list of extracts, made anew every day: outlines, and addresses of .osm.pbf
GEOFABRIK_INDEX = "https://download.geofabrik.de/index-v1.json"


@dataclass(frozen=True, kw_only=True)
class ExtractParams:
    """What is looked for about a place, and what a download takes.

    Attributes
    ----------
    near_km : float
        The extract covers so much each way about a place, at least.
    reach_km : float
        Streets are built so far each way about a place: twice what a lens of 180 mm shows.
    index_megabytes : float
        Of the list of extracts, at most (in 2024 it had 10).
    total_s : float
        Longest time for one download.
    disk_share : float
        Free room wanted for building, in sizes of the extract: see `streets.check_free_space`.
    """

    near_km: float = 10.0
    reach_km: float = 60.0
    index_megabytes: int = 64
    total_s: float = 12 * 3600.0
    disk_share: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Extract:
    """A file of OpenStreetMap for a part of the Earth."""

    name: str  # "ile-de-france"
    url: str

    @property
    def file_name(self) -> str:
        """Of the file in the cache."""
        return f"{re.sub(r'[^A-Za-z0-9.-]+', '-', self.name)}.osm.pbf"


def locate_place(place: str) -> tuple[str, float, float]:
    """Name, longitude and latitude of a town of GeoNames, or of ``LON,LAT``.

    ConfigError if there is no such town.
    """
    from regengine.places import place_index

    if re.fullmatch(r"\s*[-+]?[\d.]+\s*,\s*[-+]?[\d.]+\s*", place):
        lon, lat = (float(part) for part in place.split(","))
        if not (abs(lon) <= 180.0 and abs(lat) <= 85.0):
            raise ConfigError(f"{place!r} is not a valid LON,LAT.")
        return f"{lon:g}_{lat:g}", lon, lat
    found = place_index().search(place, 1)
    if not found:
        raise ConfigError(
            f"No town is called {place!r}: give its name, 'NAME, COUNTRY' or LON,LAT."
        )
    return found[0].label, found[0].lon, found[0].lat


def box_around(lon: float, lat: float, reach_km: float) -> Bounds:
    """West, south, east, north of a square about a place."""
    north = reach_km / KM_PER_DEGREE
    east = north / math.cos(math.radians(lat))
    return lon - east, lat - north, lon + east, lat + north


def find_extract(
    bounds: Bounds, index_url: str = GEOFABRIK_INDEX, params: ExtractParams | None = None
) -> Extract:
    """The smallest extract that covers a region.

    Parameters
    ----------
    bounds : tuple of float
        West, south, east, north, degrees.
    index_url : str
        Address of a list of extracts as Geofabrik publishes it.
    params : ExtractParams, optional
        What a download takes.

    Raises
    ------
    LightMapError
        The list cannot be got, or no extract covers the region.
    """
    import shapely
    from shapely.geometry import shape

    params = params or ExtractParams()
    try:
        listed = json.loads(_client(params).read(index_url, params.index_megabytes))["features"]
    except HttpFailure as failure:
        raise _sentence(failure, index_url) from failure
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LightMapError(
            f"{host_of(index_url)} answered with something else than a list of extracts: check the "
            "address, or log in to the network first."
        ) from error
    wanted = shapely.box(*bounds)
    best: tuple[float, Extract] | None = None
    for one in listed:
        found = _read_feature(one, index_url)
        if found is None:
            continue
        outline = shape(one["geometry"])
        # By the area, which their sizes go with: those are told only file by file
        middle = outline.centroid.y
        size = outline.area * math.cos(math.radians(middle))
        if (best is None or size < best[0]) and shapely.covers(outline, wanted):
            best = size, found
    if best is None:
        west, south, east, north = bounds
        raise LightMapError(
            f"No extract of {host_of(index_url)} covers longitudes {west:.2f} to {east:.2f}, "
            f"latitudes {south:.2f} to {north:.2f}: give a smaller --bbox, or an extract of your "
            "own to streets build."
        )
    return best[1]


def _read_feature(one: Any, index_url: str) -> Extract | None:
    """An entry of the list that has an outline and an address of the web."""
    try:
        name, url = str(one["properties"]["id"]), str(one["properties"]["urls"]["pbf"])
        polygonal = one["geometry"]["type"] in ("Polygon", "MultiPolygon")
    except (KeyError, TypeError):
        return None
    # On the host of the list: it sends nobody elsewhere
    same = urlsplit(url)[:2] == urlsplit(index_url)[:2]
    return Extract(name=name, url=url) if polygonal and same else None


def download_extract(
    extract: Extract,
    folder: Path,
    tell_size: Progress = lambda there, total: None,
    progress: Progress = lambda done, total: None,
    params: ExtractParams | None = None,
) -> tuple[Path, str]:
    """Download an extract, going on where it was interrupted.

    Parameters
    ----------
    extract : Extract
        What to download.
    folder : Path
        Where to; a complete file that is there is taken as it is.
    tell_size, progress : callable
        Called with bytes that are there and in total: before the first byte comes, and with each.
    params : ExtractParams, optional
        What a download takes.

    Returns
    -------
    path : Path
        The file.
    date : str
        The day that it was made, or "".

    Raises
    ------
    LightMapError
        It cannot be got, or the disk has too little room; what came is kept.
    """
    params = params or ExtractParams()
    path = folder / extract.file_name
    if path.exists():
        return path, ""
    part = path.with_name(path.name + ".part")

    def begin(there: int, total: int) -> None:
        tell_size(there, total)
        needed, free = (1.0 + params.disk_share) * total - there, shutil.disk_usage(folder).free
        if free < needed:
            raise LightMapError(
                f"{folder} has {free / 1e6:,.0f} MB free, and {path.name} takes about "
                f"{needed / 1e6:,.0f} MB until streets are built: make room, or let "
                "REGENGINE_CACHE name a folder on another disk."
            )

    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = _client(params).resume(extract.url, part, begin, progress)
        part.replace(path)
    except HttpFailure as failure:
        raise _sentence(failure, extract.url) from failure
    except OSError as error:
        if isinstance(error, LightMapError):
            raise
        raise LightMapError(
            f"{part} cannot be written ({error.strerror}): make sure that the folder may be "
            "written to and has room, then run the same command again."
        ) from error
    try:
        return path, parsedate_to_datetime(made).date().isoformat()
    except (ValueError, TypeError):
        return path, ""


def _client(params: ExtractParams) -> HttpClient:
    policy = RetryPolicy(connect_attempts=2, total_s=params.total_s)
    return HttpClient(policy, may_follow=lambda source, target: True)


def _sentence(failure: HttpFailure, url: str) -> LightMapError:
    host = host_of(url)
    if failure.status and not failure.passes:
        return LightMapError(
            f"{host} answers with status {failure.status}: check the address of the list of "
            "extracts, or try again later."
        )
    if failure.status:
        return LightMapError(
            f"{host} failed with status {failure.status} in {failure.tries} attempts: try again "
            "later; what was fetched is kept."
        )
    return LightMapError(
        f"{host} cannot be reached ({failure}): check the network connection and run the same "
        "command again (what was fetched is kept), or give an extract that you have to "
        "regengine streets build.",
        code="offline",
    )
