"""Get, build and index maps of lights, streets and days, as the commands of these names do.

Each function makes one file and returns its path. An interrupted call is resumed when it is
repeated. Progress and messages go to a `Listener`.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from detectors.constants import KM_PER_DEGREE
from matchers.geometry.footprint import Bounds
from regengine.errors import ConfigError, LightMapError, StoreError
from regengine.io.atomic import check_new_file, hold_lock, raise_as_store_error
from regengine.io.folders import cache_folder, data_folder, make_folder
from regengine.io.plain import format_count
from regengine.io.urls import parse_host
from regengine.maps.at_hand import usual_map
from regengine.maps.build import (
    Progress,
    build,
    check_free_space,
    estimate_bytes,
    plan_grid,
    write_reference,
)
from regengine.maps.index.earth import build_earth_index, write_earth_index
from regengine.maps.index.options import index_beside
from regengine.maps.kinds import KindName
from regengine.maps.opening import open_light_map, open_references
from regengine.maps.reference import LightMap
from regengine.maps.services import (
    LAADS,
    SERVICES,
    TOKEN_VARIABLE,
    Downloader,
    TileSet,
    fetch_vnp46,
)
from regengine.maps.streets import DISK_SHARE, draw_streets

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
        from regengine.maps.places import place_index

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


# Seen from the station: its orbit reaches 51.7 degrees, its horizon 20 beyond
SEEN = (-180.0, -72.0, 180.0, 72.0)


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Callbacks for progress and messages; by default they do nothing.

    Attributes
    ----------
    progress : callable
        Called with the step, such as "Building", with what of it is done, and with how much it is
        in total (0: not known).
    message, warning : callable
        Called with a sentence.
    """

    progress: Callable[[str, int, int], object] = lambda step, done, total: None
    message: Callable[[str], object] = lambda text: None
    warning: Callable[[str], object] = lambda text: None

    def begin(self, step: str) -> Progress:
        """Begin a step; return a callback to call with done and total."""

        def advance(done: int, total: int) -> None:
            self.progress(step, done, total)

        advance(0, 0)
        return advance


NOBODY = Listener()


def get_lights(
    *,
    sources: Sequence[Path] = (),
    bounds: Bounds | None = None,
    product: str = "",
    date: str = "",
    url: str | None = None,
    level: int = 8,
    overwrite: bool = False,
    listener: Listener = NOBODY,
) -> Path:
    """Make the default night-light map and its index; from tiles unless sources are given.

    Parameters
    ----------
    sources : sequence of Path
        Maps, or folders of maps: nothing is downloaded.
    bounds : tuple of float, optional
        West, south, east, north, degrees; all that is seen from the station, if not given.
    product, date : str
        VNP46A2, VNP46A3 or VNP46A4, and when: needs the token of EARTHDATA_TOKEN.
    url : str, optional
        Service of tiles, or archive of the product; NASA's, if not given.
    level : int
        Zoom level of the tiles.
    overwrite : bool
        Whether what is there is made anew.

    Raises
    ------
    ConfigError
        It is there already, or what is asked for makes no sense.
    LightMapError
        A server fails, a source is damaged, or the disk has too little room; what came is kept.
    """
    out = usual_map()
    index = index_beside(out)
    if out.exists() and index.exists() and not overwrite:
        raise ConfigError(f"{out} and its index exist: replace them with --force.")
    make_folder(out.parent)
    with _make_alone(out, listener):
        if overwrite or not out.exists():
            folder = None
            if product:
                token = os.environ.get(TOKEN_VARIABLE, "").strip()
                folder = fetch_vnp46(
                    bounds or SEEN,
                    product=product,
                    when=date,
                    downloader=Downloader(connections=2, token=token),  # files of about 100 MB
                    archive=url or LAADS,
                    progress=listener.begin("Fetching"),
                )
                sources = [folder]
            if sources:
                maps = _open_lights(sources, listener)
                progress = listener.begin("Building")
                build("lights", maps, out, region=bounds, overwrite=overwrite, progress=progress)
            else:
                tiles = _fetch_tiles("lights", bounds or SEEN, url, level, out, listener)
                folder = tiles.folder
                _write_tiles(tiles, out, listener, overwrite=overwrite)
            listener.message(f"{out}: {out.stat().st_size / 1e6:,.1f} MB")
            if folder:
                listener.message(f"The files in {folder} are no longer needed.")
        if overwrite or not index.exists():
            _index_if_towns(out, listener)
    return out


def build_lights(
    sources: Sequence[Path],
    out: Path,
    *,
    bounds: Bounds | None = None,
    product: str = "",
    date: str = "",
    with_index: bool = True,
    overwrite: bool = False,
    listener: Listener = NOBODY,
) -> Path:
    """Make one map from maps of any format, see `build`, and its index next to it."""
    maps = _open_lights(sources, listener)
    begun_s, progress = time.monotonic(), listener.begin("Building")
    tags = {"PRODUCT": product, "DATE": date}
    build("lights", maps, out, region=bounds, overwrite=overwrite, progress=progress, **tags)
    size_mb, seconds = out.stat().st_size / 1e6, time.monotonic() - begun_s
    listener.message(f"{out}: {size_mb:.1f} MB in {seconds:.0f} s")
    if with_index:
        _index_if_towns(out, listener)
    return out


def index_lights(
    maps: Sequence[Path],
    out: Path | None = None,
    *,
    overwrite: bool = False,
    listener: Listener = NOBODY,
) -> Path:
    """Index the light peaks of maps for blind searches.

    Raises
    ------
    ConfigError
        ``out`` exists, or it is needed: beside one map lies its index, if not told otherwise.
    LightMapError, StoreError
        A map cannot be read, or has too few towns; ``out`` cannot be written.
    """
    if out is None and len(maps) > 1:
        raise ConfigError("An index of several maps needs a name: give --out.")
    out = index_beside(maps[0]) if out is None else out
    check_new_file(out, (), force=overwrite)
    _write_index(maps, out, listener)
    return out


def _index_if_towns(path: Path, listener: Listener) -> None:
    """Make the index next to a map, or report that the map has too few lights for one."""
    try:
        _write_index([path], index_beside(path), listener)
    except (ConfigError, StoreError) as error:
        listener.warning(f"No index was made: {error}")


def _write_index(maps: Sequence[Path], out: Path, listener: Listener) -> None:
    light_map = _open_lights(maps, listener)
    begun_s = time.monotonic()
    earth = build_earth_index(light_map, listener.begin("Indexing"))
    write_earth_index(earth, maps, out)
    size_mb, seconds = out.stat().st_size / 1e6, time.monotonic() - begun_s
    lights = max(len(earth[size_km].vectors) for size_km in earth.sizes_km)
    levels = ", ".join(f"{size_km:g}" for size_km in earth.sizes_km)
    listener.message(
        f"{out}: levels of {levels} km, {lights:,} lights at the finest, {size_mb:.1f} MB in "
        f"{seconds:.0f} s"
    )


def _open_lights(maps: Sequence[Path], listener: Listener) -> LightMap:
    """Open maps, and report warnings about them."""
    light_map = open_light_map(maps)
    for doubt in light_map.doubts:
        listener.warning(f"Warning: {doubt}")
    return light_map


def get_day(
    bounds: Bounds,
    out: Path | None = None,
    *,
    url: str | None = None,
    level: int = 8,
    overwrite: bool = False,
    listener: Listener = NOBODY,
) -> Path:
    """Make a day map of a region from tiles; errors as in `get_lights`.

    ``out`` lies in the data folder, if not given; for the rest see `get_lights`.
    """
    if out is None:
        out = make_folder(data_folder() / "day") / "day.tif"
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists: replace it with --force.")
    with _make_alone(out, listener):
        if overwrite or not out.exists():
            tiles = _fetch_tiles("day", bounds, url, level, out, listener)
            _write_tiles(tiles, out, listener, overwrite=overwrite)
    return out


def build_day(
    pictures: Sequence[Path],
    out: Path,
    *,
    bounds: Bounds | None = None,
    product: str = "",
    date: str = "",
    credit: str = "",
    overwrite: bool = False,
    listener: Listener = NOBODY,
) -> Path:
    """Make one day map from 8-bit GeoTIFFs, see `build`."""
    sources, progress = open_references("day", pictures), listener.begin("Building")
    tags = {"PRODUCT": product, "DATE": date, "CREDIT": credit}
    build("day", sources, out, region=bounds, overwrite=overwrite, progress=progress, **tags)
    return out


def get_streets(
    place: str | None = None,
    *,
    bounds: Bounds | None = None,
    url: str | None = None,
    overwrite: bool = False,
    listener: Listener = NOBODY,
) -> Path:
    """Make a street map from the smallest public extract that covers a place or a region.

    Parameters
    ----------
    place : str, optional
        A town, "TOWN, COUNTRY", or "LON,LAT"; streets about it are drawn 60 km far.
    bounds : tuple of float, optional
        West, south, east, north, degrees, instead.
    url : str, optional
        List of extracts; Geofabrik's, if not given.

    Raises
    ------
    ConfigError
        The map is there already, or there is no such place.
    LightMapError
        No extract covers it, a server fails, or the disk has too little room; what came is kept.
    """
    if bounds is not None:
        region = covered = bounds
        name = "_".join(f"{edge:g}" for edge in region)
    else:
        name, lon, lat = locate_place(place or "")
        region = box_around(lon, lat, REACH_KM)
        covered = box_around(lon, lat, NEAR_KM)
    stem = re.sub(r"[^\w.-]+", "-", name.partition(",")[0]).lower().strip("-")
    out = data_folder() / "streets" / f"{stem}.tif"
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists: replace it with --force.")
    make_folder(out.parent)
    with _make_alone(out, listener):
        if overwrite or not out.exists():
            extract, address = find_extract(covered, url or GEOFABRIK_INDEX)
            folder = cache_folder() / "streets"

            def tell_size(there: int, total: int) -> None:
                known = f", {there / 1e6:,.1f} MB already there" if there else ""
                size = f"{total / 1e6:,.1f} MB" if total else "of unknown size"
                listener.message(f"{address}: {size}{known}, into {folder}.")

            progress = listener.begin("Downloading")
            path, date = download_extract(extract, address, folder, tell_size, progress)
            try:
                build_streets(
                    [path],
                    out,
                    bounds=region,
                    product=f"OpenStreetMap roads ({extract})",
                    date=date,
                    overwrite=overwrite,
                    listener=listener,
                )
            except LightMapError as error:
                if error.code == "damaged":
                    path.unlink()  # it is downloaded again next time
                raise
            listener.message(f"{path} is no longer needed.")
    return out


def build_streets(
    roads: Sequence[Path],
    out: Path | None = None,
    *,
    bounds: Bounds | None = None,
    product: str = "",
    date: str = "",
    overwrite: bool = False,
    listener: Listener = NOBODY,
) -> Path:
    """Make a street map from extracts of OpenStreetMap, see `draw_streets`.

    ``out`` lies in the data folder, if not given.
    """
    if out is None:
        name = re.sub(r"(-latest)?(\.osm)?\.\w+$", "", roads[0].name)
        out = make_folder(data_folder() / "streets") / f"{name}.tif"
    check_new_file(out, (".tif", ".tiff"), force=overwrite)
    size = sum(path.stat().st_size for path in roads if path.is_file())
    needed = DISK_SHARE * size
    listener.message(
        f"{size / 1e6:,.1f} MB of roads; building temporarily needs up to {needed / 1e6:,.0f} MB "
        f"in {out.absolute().parent}."
    )
    begun_s = time.monotonic()
    made = draw_streets(
        roads,
        out,
        region=bounds,
        product=product,
        date=date,
        overwrite=overwrite,
        progress=listener.begin("Building"),
    )
    if made.n_broken:
        listener.message(
            f"{made.n_broken:,} of {format_count(made.n_lines, 'line')} skipped: their geometry "
            "is broken."
        )
    west, south, east, north = made.bounds
    listener.message(
        f"{out}: {made.n_roads:,} of {format_count(made.n_lines, 'line')} are lit roads, "
        f"{made.road_km:,.0f} km; {west:.2f},{south:.2f},{east:.2f},{north:.2f}, "
        f"{100.0 * made.covered:.0f} % covered; "
        f"{out.stat().st_size / 1e6:,.1f} MB in {time.monotonic() - begun_s:.0f} s. "
        "© OpenStreetMap contributors (ODbL)"
    )
    return out


@contextmanager
def _make_alone(out: Path, listener: Listener) -> Iterator[None]:
    """Lock a file that is made; if another run is making it, report this and wait."""
    is_busy = False

    def tell_busy() -> None:
        nonlocal is_busy
        is_busy = True
        listener.message(f"Another run is making {out}: waiting for it.")

    with raise_as_store_error(out), hold_lock(out, tell_busy):
        if is_busy and out.exists():
            listener.message(f"{out} was made by that run; replace it with --force.")
        yield


def _fetch_tiles(
    kind: KindName, bounds: Bounds, url: str | None, level: int, out: Path, listener: Listener
) -> TileSet:
    """Fetch the tiles of a region, after reporting their size and checking the disk space."""
    tiles = TileSet(kind=kind, template=url or SERVICES[kind], level=level, bounds=bounds)
    missing, made = tiles.missing(), "map and index" if kind == "lights" else "the map"
    # Estimated from a few tiles, which are fetched
    few = missing[:: max(1, len(missing) // tiles.sampled)]
    tiles.fetch(few)
    paths = [tiles.path_of(tile) for tile in few]
    sizes = [path.stat().st_size if path.exists() else 0 for path in paths]
    fetched_bytes = len(missing) * sum(sizes) / max(len(sizes), 1)
    # An index takes about half of what its map does while it is made: 230 MB for the Earth
    grid = plan_grid(bounds, 360.0 / 2**level / 256)  # pixels of a tile, mostly
    made_bytes = estimate_bytes(kind, grid) * (1.5 if kind == "lights" else 1.0)
    listener.message(
        f"{format_count(len(tiles.wanted), 'tile')}, {len(tiles.wanted) - len(missing):,} already "
        f"there: about {fetched_bytes / 1e6:,.1f} MB to download into {tiles.folder}, "
        f"{made_bytes / 1e6:,.1f} MB for {made} in {out.parent}."
    )
    for folder, wanted in ((tiles.folder, fetched_bytes), (out.parent, made_bytes)):
        check_free_space(folder, 1.5 * wanted, "the download or the map made from it")
    tiles.fetch(tiles.missing(), listener.begin("Fetching"))
    return tiles


def _write_tiles(tiles: TileSet, out: Path, listener: Listener, *, overwrite: bool) -> None:
    """Write the tiles of a region to one file."""
    grid, progress = tiles.grid, listener.begin("Building")
    write_reference(
        tiles.kind,
        out,
        grid.bounds,
        grid.step_deg,
        tiles.read_block,
        tiles.tags,
        progress,
        overwrite=overwrite,
    )
