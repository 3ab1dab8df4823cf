"""Find and download public extracts of OpenStreetMap that cover a place or region."""

from __future__ import annotations

import math
import re
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from detectors.constants import KM_PER_DEGREE
from regengine.errors import ConfigError, LightMapError
from regengine.io.urls import parse_host
from regengine.references.build import Progress, check_free_space
from regengine.references.reference import Bounds
from regengine.references.services import Downloader
from regengine.references.streets import DISK_SHARE

# Geofabrik's list of extracts, updated daily: outlines, and addresses of .osm.pbf
GEOFABRIK_INDEX = "https://download.geofabrik.de/index-v1.json"


# Which extract is chosen around a place.
NEAR_KM = 10.0  # minimum distance around a place that the extract covers
REACH_KM = 60.0  # distance to which streets are drawn: twice the field of a lens of 180 mm
TOTAL_S = 12 * 3600.0  # longest time for one extract: some have gigabytes


def locate_place(place: str) -> tuple[str, float, float]:
    """Find name, longitude and latitude of a town of GeoNames, or of ``LON,LAT``.

    Raises ConfigError if there is no such town.
    """
    try:
        lon, lat = (float(part) for part in place.split(","))
    except ValueError:
        from regengine.places import place_index

        found = place_index().search(place, 1)
        if not found:
            raise ConfigError(
                f"No town named {place!r}: give its name, 'NAME, COUNTRY' or LON,LAT."
            ) from None
        return found[0].label, found[0].lon, found[0].lat
    if not (abs(lon) <= 180.0 and abs(lat) <= 85.0):
        raise ConfigError(f"{place!r} is not a valid LON,LAT.")
    return f"{lon:g}_{lat:g}", lon, lat


def box_around(lon: float, lat: float, reach_km: float) -> Bounds:
    """Compute west, south, east, north of a square around a place."""
    north = reach_km / KM_PER_DEGREE
    east = north / math.cos(math.radians(lat))
    return lon - east, lat - north, lon + east, lat + north


def find_extract(bounds: Bounds, index_url: str = GEOFABRIK_INDEX) -> tuple[str, str]:
    """Find name and address of the smallest listed extract (Geofabrik's format) of a region.

    Raises LightMapError if the list cannot be downloaded, or no extract covers the region.
    """
    import shapely
    from shapely.geometry import shape

    wanted = shapely.box(*bounds)
    covering: list[tuple[float, str, str]] = []
    hint = "check the address, or log in to the network first"
    for one in Downloader(kind="streets").read_list(index_url, "features", hint):
        try:
            name, url = str(one["properties"]["id"]), str(one["properties"]["urls"]["pbf"])
            outline = shape(one["geometry"])
        except (KeyError, TypeError, AttributeError, shapely.GEOSException):
            continue  # no outline, or no file
        # Only files on the host of the list are accepted
        same = urlsplit(url)[:2] == urlsplit(index_url)[:2]
        if same and shapely.covers(outline, wanted):
            # Compare areas, which correlate with file sizes: the list has no sizes
            area = outline.area * math.cos(math.radians(outline.centroid.y))
            covering.append((area, name, url))
    if not covering:
        west, south, east, north = bounds
        raise LightMapError(
            f"No extract of {parse_host(index_url)} covers longitudes {west:.2f} to {east:.2f}, "
            f"latitudes {south:.2f} to {north:.2f}: give a smaller --bbox, or your own extract "
            "with streets build."
        )
    return min(covering)[1:]


def download_extract(
    name: str,
    url: str,
    folder: Path,
    tell_size: Progress = lambda there, total: None,
    progress: Progress = lambda done, total: None,
) -> tuple[Path, str]:
    """Download an extract into a folder, resuming if interrupted; return its path and date.

    An existing complete file is used without a download, and its date is "". ``tell_size`` is
    called with the bytes present and in total before the download, and ``progress`` during it.
    Raises LightMapError if the download fails, or the disk has too little space. Partial files are
    kept.
    """
    path = folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}.osm.pbf"
    if path.exists():
        return path, ""

    def begin(there: int, total: int) -> None:
        tell_size(there, total)
        needed = (1.0 + DISK_SHARE) * total - there
        check_free_space(folder, needed, f"{path.name} with the map built from it")

    downloader = Downloader(kind="streets", total_s=TOTAL_S)
    made = downloader.save(url, path, begin=begin, progress=progress)
    if made is None:
        raise LightMapError(f"{path.name} is listed but missing: try again later.")
    try:
        return path, parsedate_to_datetime(made).date().isoformat()
    except ValueError:
        return path, ""
