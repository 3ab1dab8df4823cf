"""Get, build and index maps of lights, streets and days, as `regengine maps` does.

Each function makes one file and returns its path. An interrupted call is resumed when it is
repeated. Progress and messages go to a `Listener`.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from detectors.constants import KM_PER_DEGREE
from matchers.geometry.footprint import Bounds
from regengine.errors import ConfigError, MapError, StoreError
from regengine.io.atomic import (
    cache_folder,
    check_new_file,
    data_folder,
    hold_lock,
    make_folder,
    raise_as_store_error,
)
from regengine.io.plain import format_count
from regengine.io.urls import parse_host
from regengine.maps.build import (
    Progress,
    build,
    check_free_space,
    estimate_bytes,
    plan_grid,
    write_reference,
)
from regengine.maps.index.earth import build_earth_index, index_beside, write_earth_index
from regengine.maps.lights import KINDS, KindName
from regengine.maps.opening import open_references
from regengine.maps.places import locate_place
from regengine.maps.reference import RasterMap
from regengine.maps.services import LAADS, Downloader, TileSet, fetch_vnp46, find_service
from regengine.maps.streets import DISK_SHARE, draw_streets

# Geofabrik's list of extracts, updated daily: outlines, and addresses of .osm.pbf
GEOFABRIK_INDEX = "https://download.geofabrik.de/index-v1.json"
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
    admit : callable
        Called with the bytes of a download before it begins (inf: not known); may refuse it with
        a MapError.
    """

    progress: Callable[[str, int, int], None] = lambda step, done, total: None
    message: Callable[[str], object] = lambda text: None
    warning: Callable[[str], object] = lambda text: None
    admit: Callable[[float], object] = lambda size_bytes: None

    def begin(self, step: str) -> Progress:
        self.progress(step, 0, 0)
        return partial(self.progress, step)


NOBODY = Listener()


def get_map(
    kind: KindName,
    place: str | None = None,
    *,
    bounds: Bounds | None = None,
    product: str = "",
    date: str = "",
    url: str | None = None,
    level: int = 8,
    overwrite: bool = False,
    reuse: bool = False,
    listener: Listener = NOBODY,
) -> Path:
    """Make a map in the data folder, of lights with its index, from a service.

    Parameters
    ----------
    kind : str
        "lights", from tiles or an archive; "day", from tiles; "streets", from the smallest public
        extract of OpenStreetMap that covers the place.
    place : str, optional
        A town, "TOWN, COUNTRY", or "LON,LAT"; the map reaches 60 km around it.
    bounds : tuple of float, optional
        West, south, east, north, degrees, instead. Without both lights are of all that is seen
        from the station.
    product, date : str
        VNP46A2, VNP46A3 or VNP46A4, and when: needs the token of EARTHDATA_TOKEN.
    url : str, optional
        Service of tiles, archive of the product, or list of extracts; NASA's or Geofabrik's, if not
        given, and by day beyond level 8 EOX's.
    level : int
        Zoom level of the tiles.
    overwrite, reuse : bool
        Whether what is there is made anew, or returned as it is.

    Raises
    ------
    ConfigError
        It is there already, or what is asked for makes no sense.
    MapError
        A server fails, what it sends is damaged, or the disk has too little room; what came is
        kept.
    """
    if kind != "lights" and (product or date):
        raise ConfigError("--product and --date are for --kind lights alone.")
    region, covered, out = _choose_region(kind, place, bounds, level)
    index = index_beside(out)
    if out.exists() and (kind != "lights" or index.exists()) and not overwrite:
        if reuse:
            return out
        there = "and its index exist: replace them" if kind == "lights" else "exists: replace it"
        raise ConfigError(f"{out} {there} with --force.")
    make_folder(out.parent)
    is_busy = False

    def tell_busy() -> None:
        nonlocal is_busy
        is_busy = True
        listener.message(f"Another run is making {out}: waiting for it.")

    with raise_as_store_error(out), hold_lock(out, tell_busy):
        if is_busy and out.exists():
            listener.message(f"{out} was made by that run; replace it with --force.")
        if overwrite or not out.exists():
            if kind == "streets":
                _get_streets(covered, region, url, out, listener)
            else:
                if product:
                    archive, progress = url or LAADS, listener.begin("Fetching")
                    folder = fetch_vnp46(
                        region, product=product, when=date, archive=archive, progress=progress
                    )
                    maps = _open_maps(kind, [folder], listener)
                    build(kind, maps, out, region=region, progress=listener.begin("Building"))
                else:
                    template = url or find_service(kind, level)
                    tiles = TileSet(kind=kind, template=template, level=level, bounds=region)
                    folder = tiles.folder
                    _get_tiles(tiles, out, listener)
                listener.message(f"{out}: {out.stat().st_size / 1e6:,.1f} MB")
                listener.message(f"The files in {folder} are no longer needed.")
        if kind == "lights" and (overwrite or not index.exists()):
            _index_if_lights(out, listener)
    return out


def _choose_region(
    kind: KindName, place: str | None, bounds: Bounds | None, level: int
) -> tuple[Bounds, Bounds, Path]:
    """Choose the region of a map, the part of it that an extract must cover, and the file."""
    if (place is None) == (bounds is None) and (place is not None or kind != "lights"):
        raise ConfigError(f"Give a place or --bbox: regengine maps get Paris --kind {kind}.")
    region, name = bounds or SEEN, ""
    covered = region
    if place is not None:
        name, lon, lat = locate_place(place)
        name = name or _name_place(lon, lat)
        # The map reaches twice the field of a lens of 180 mm; an extract covers at least 10 km
        norths = 60.0 / KM_PER_DEGREE, 10.0 / KM_PER_DEGREE
        region, covered = (
            (lon - east, lat - north, lon + east, lat + north)
            for north in norths
            for east in [north / math.cos(math.radians(lat))]
        )
    elif bounds is not None:
        name = f"{_name_place(*bounds[:2])}_{_name_place(*bounds[2:])}"
    stem = re.sub(r"[^\w.-]+", "-", name.partition(",")[0]).lower().strip("-")
    file = {"streets": stem, "day": f"{stem}-{level}", "lights": "lights"}[kind]
    return region, covered, data_folder() / kind / f"{file}.tif"


def _name_place(lon: float, lat: float) -> str:
    return f"{abs(lon):g}{'ew'[lon < 0.0]}_{abs(lat):g}{'ns'[lat < 0.0]}"


def _open_maps(kind: KindName, maps: Sequence[Path], listener: Listener) -> RasterMap:
    """Open maps, and report warnings about them."""
    references = open_references(kind, maps)
    for doubt in references.doubts:
        listener.warning(f"Warning: {doubt}")
    return references


def _get_tiles(tiles: TileSet, out: Path, listener: Listener) -> None:
    """Fetch tiles, after reporting their size and checking the disk space, and write one file."""
    kind, level = tiles.kind, tiles.level
    missing, made = tiles.missing(), "map and index" if kind == "lights" else "the map"
    # Estimated from a few tiles, which are fetched
    few = missing[:: max(1, len(missing) // 24)]
    tiles.fetch(few)
    paths = [tiles.path_of(tile) for tile in few]
    sizes = [path.stat().st_size if path.exists() else 0 for path in paths]
    fetched_bytes = len(missing) * sum(sizes) / max(len(sizes), 1)
    # An index takes about half of what its map does while it is made: 230 MB for the Earth
    grid = plan_grid(tiles.bounds, 360.0 / 2**level / 256)  # pixels of a tile, mostly
    made_bytes = estimate_bytes(kind, grid) * (1.5 if kind == "lights" else 1.0)
    listener.message(
        f"{format_count(len(tiles.wanted), 'tile')}, {len(tiles.wanted) - len(missing):,} already "
        f"there: about {fetched_bytes / 1e6:,.1f} MB to download into {tiles.folder}, "
        f"{made_bytes / 1e6:,.1f} MB for {made} in {out.parent}."
    )
    listener.admit(fetched_bytes)
    for folder, wanted in ((tiles.folder, fetched_bytes), (out.parent, made_bytes)):
        check_free_space(folder, 1.5 * wanted, "the download or the map made from it")
    tiles.fetch(tiles.missing(), listener.begin("Fetching"))
    grid, progress = tiles.grid, listener.begin("Building")
    write_reference(kind, out, grid.bounds, grid.step_deg, tiles.read_block, tiles.tags, progress)


def _get_streets(
    covered: Bounds, region: Bounds, url: str | None, out: Path, listener: Listener
) -> None:
    """Get the smallest extract of a region, or resume it, and draw streets of a larger one."""
    url = url or os.environ.get("REGENGINE_GEOFABRIK") or GEOFABRIK_INDEX
    extract, address = find_extract(covered, url)
    folder = cache_folder() / "streets"
    path = folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', extract)}.osm.pbf"

    def begin(there: int, total: int) -> None:
        known = f", {there / 1e6:,.1f} MB already there" if there else ""
        size = f"{total / 1e6:,.1f} MB" if total else "of unknown size"
        listener.message(f"{address}: {size}{known}, into {folder}.")
        listener.admit(total - there if total else math.inf)
        needed = (1.0 + DISK_SHARE) * total - there
        check_free_space(folder, needed, f"{path.name} with the map built from it")

    date, progress = "", listener.begin("Downloading")
    if not path.exists():
        # Some extracts have gigabytes
        downloader = Downloader(kind="streets", total_s=12 * 3600.0)
        made = downloader.save(address, path, begin=begin, progress=progress)
        if made is None:
            raise MapError(f"{path.name} is listed but missing: try again later.")
        with suppress(ValueError):
            date = parsedate_to_datetime(made).date().isoformat()
    try:
        build_map(
            "streets",
            [path],
            out,
            bounds=region,
            product=f"OpenStreetMap roads ({extract})",
            date=date,
            overwrite=True,
            listener=listener,
        )
    except MapError as error:
        if error.code == "damaged":
            path.unlink()  # it is downloaded again next time
        raise
    listener.message(f"{path} is no longer needed.")


def find_extract(bounds: Bounds, index_url: str) -> tuple[str, str]:
    """Find name and address of the smallest listed extract (Geofabrik's format) of a region.

    Raises MapError if the list cannot be downloaded, or no extract covers the region.
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
        raise MapError(
            f"No extract of {parse_host(index_url)} covers longitudes {west:.2f} to {east:.2f}, "
            f"latitudes {south:.2f} to {north:.2f}: give a smaller --bbox, or your own extract "
            "with maps build --kind streets."
        )
    return min(covering)[1:]


def build_map(
    kind: KindName,
    sources: Sequence[Path],
    out: Path | None = None,
    *,
    bounds: Bounds | None = None,
    product: str = "",
    date: str = "",
    credit: str = "",
    with_index: bool = True,
    overwrite: bool = False,
    listener: Listener = NOBODY,
) -> Path:
    """Make one map from files on disk, and of lights its index next to it.

    Lights are made of maps of any format, days of 8-bit GeoTIFFs (see `build`), streets of extracts
    of OpenStreetMap (see `draw_streets`). ``out`` lies in the data folder, if not given. Raises
    ConfigError if it exists or cannot be written, MapError if a source cannot be used.
    """
    if credit and kind != "day":
        raise ConfigError("--credit is for --kind day alone: other maps have that of their source.")
    if out is None:
        name = re.sub(r"(-latest)?(\.osm)?\.\w+$", "", sources[0].name)
        out = make_folder(data_folder() / kind) / f"{name}.tif"
    check_new_file(out, (".tif", ".tiff"), force=overwrite)
    begun_s, made = time.monotonic(), ""
    if kind == "streets":
        made = draw_streets(
            sources,
            out,
            region=bounds,
            product=product,
            date=date,
            progress=listener.begin("Building"),
            tell=listener.message,
        )
    else:
        maps, progress = _open_maps(kind, sources, listener), listener.begin("Building")
        tags = {"PRODUCT": product, "DATE": date, "CREDIT": credit}
        build(kind, maps, out, region=bounds, progress=progress, **tags)
    size_mb, seconds = out.stat().st_size / 1e6, time.monotonic() - begun_s
    due = f". {KINDS[kind].credit}" if KINDS[kind].credit else ""
    listener.message(f"{out}: {made}{size_mb:,.1f} MB in {seconds:.0f} s{due}")
    if kind == "lights" and with_index:
        _index_if_lights(out, listener)
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
    MapError, StoreError
        A map cannot be read, or has too few towns; ``out`` cannot be written.
    """
    if out is None and len(maps) > 1:
        raise ConfigError("An index of several maps needs a name: give --out.")
    out = index_beside(maps[0]) if out is None else out
    check_new_file(out, (), force=overwrite)
    light_map, begun_s = _open_maps("lights", maps, listener), time.monotonic()
    earth = build_earth_index(light_map, listener.begin("Indexing"))
    write_earth_index(earth, maps, out)
    size_mb, seconds = out.stat().st_size / 1e6, time.monotonic() - begun_s
    lights = max(len(earth[size_km].vectors) for size_km in earth.sizes_km)
    levels = ", ".join(f"{size_km:g}" for size_km in earth.sizes_km)
    listener.message(
        f"{out}: levels of {levels} km, {format_count(lights, 'light')} at the finest, "
        f"{size_mb:.1f} MB in {seconds:.0f} s"
    )
    return out


def _index_if_lights(path: Path, listener: Listener) -> None:
    """Make the index next to a map, or report that the map has too few lights for one."""
    try:
        index_lights([path], overwrite=True, listener=listener)
    except (ConfigError, StoreError) as error:
        listener.warning(f"No index was made: {error}")
