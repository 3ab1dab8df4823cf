"""Draw the roads of an OpenStreetMap extract as lamps, into one file of lamp density.

A pixel is ``min(254, round(100 d))`` as uint8. The density ``d`` is the length of road in the
pixel in metres, weighted by class, divided by its area and multiplied by 12.5 m. So 1.0 is one road
through every square of 12.5 m. The code 255 marks pixels that the extract does not cover.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from detectors.constants import ECCENTRICITY_SQ, SEMI_MAJOR_M
from detectors.types import FloatArray
from matchers.geometry.footprint import Bounds
from regengine.errors import MapError
from regengine.io.atomic import raise_as_store_error
from regengine.io.extras import need
from regengine.io.plain import format_count
from regengine.maps.build import Progress, check_free_space, plan_grid, write_reference
from regengine.maps.lights import KINDS
from regengine.maps.reference import FACTORS, PixelGrid

if TYPE_CHECKING:
    import geopandas
    import pandas as pd
    from pyproj import CRS

STEPS_PER_DEG = 9000  # pixels of 12.4 m in latitude
WORLD_COLS = 360 * STEPS_PER_DEG
MAX_CODE, NO_DATA = 254, 255
LAMP_LENGTH_M = 12.5  # about a pixel: the density of one road through it is 1
# Rows of the world's grid whose roads are stored together; of each pixel, its position among them
# and the centimetres of road are stored
BAND_ROWS = 512
RECORD = np.dtype([("place", "<u4"), ("cm", "<u2")])
# Fields with the class of a road: in OpenStreetMap, in Geofabrik's layers, in OpenMapTiles and
# Overture
CLASS_FIELDS = ("highway", "fclass", "class")
# Fields that say that a road, or a part of it, is in a tunnel, and by which value, else by any but
# NO: OpenMapTiles', that of most, Overture's list of flags, and what GDAL has no field for, as in
# PostgreSQL's hstore
TUNNEL_FIELDS: dict[str, str | None] = {
    "brunnel": "tunnel",
    "tunnel": None,
    "is_tunnel": None,
    "road_flags": "is_tunnel",
    "other_tags": None,
}
NO = {"no", "f", "false", "0", "0.0", "nan", "none", "null"}
PARQUET, OSM = (".parquet", ".geoparquet", ".pq"), (".pbf", ".osm")


# How roads are drawn.
# Light per metre of road by class. Roads of other classes (service, paths, tracks) are not drawn.
# Motorways are often dark: least squares against one photo of Paris give 0.0 for them, 0.4 for
# trunks and 1.2 for streets, which are rounded here.
# A ramp is lit like the streets that it leads to.
STREETS = [
    "primary",
    "secondary",
    "tertiary",
    "residential",
    "minor",
    "unclassified",
    "living_street",
]
CLASS_WEIGHTS = {
    **dict.fromkeys([*STREETS, *(f"{name}_link" for name in STREETS)], 1.0),
    "motorway": 0.25,
    "motorway_link": 1.0,
    "trunk": 0.5,
    "trunk_link": 1.0,
}
# Maximum spacing of the points with which a road is drawn: a quarter of a pixel.
SAMPLE_M = 3.0
# Side of a cell in pixels (64: 0.8 km). A cell is covered by the extract if it has any line.
CELL_PX = 64
# Number of lines read at a time.
BATCH_LINES = 32_768
# Temporary disk space, as a multiple of the size of the extracts: GDAL stores the positions of the
# nodes of an ``.osm.pbf`` there.
DISK_SHARE = 2.0


def draw_streets(
    sources: Sequence[Path],
    out: Path,
    *,
    region: Bounds | None = None,
    product: str = "",
    date: str = "",
    progress: Progress = lambda done, total: None,
    tell: Callable[[str], object] = lambda text: None,
) -> str:
    """Draw the roads of extracts as lamps into one cloud-optimised GeoTIFF; say what was built.

    Sources are ``.osm.pbf``, GeoPackage, FlatGeobuf, Shapefile, GeoJSON or GeoParquet, in any
    coordinate system, with the classes of OpenStreetMap, Geofabrik, OpenMapTiles or Overture. Roads
    that are in two of them are drawn twice. Only the part of ``region`` (west, south, east, north,
    degrees) is drawn. Without ``product`` and ``date``, the tags of the file are the sources' names
    and the day that they were last changed. ``progress`` is called with lines read and 0 (their
    total is not known), then with pixels written and in total; ``tell`` with sentences: the disk
    space needed, and lines that are broken.

    Raises ConfigError if the region makes too many pixels, or a package is missing; MapError
    if a source cannot be read, or has no roads in the region, or the disk has too little space;
    StoreError if ``out`` cannot be written.
    """
    need("Reading roads", "pyarrow", "pyogrio", "geopandas")
    names = ", ".join(path.name for path in sources)
    region = region and _widen_to_cells(region)
    size = sum(path.stat().st_size for path in sources if path.is_file())
    newest = max((path.stat().st_mtime for path in sources if path.is_file()), default=0.0)
    tags = {
        "PRODUCT": product or f"OpenStreetMap roads ({names})",
        "DATE": date or datetime.fromtimestamp(newest, UTC).date().isoformat(),
        "SOURCES": names,
    }
    tell(
        f"{size / 1e6:,.1f} MB of roads; building temporarily needs up to "
        f"{DISK_SHARE * size / 1e6:,.0f} MB in {out.absolute().parent}."
    )
    n_lines = n_roads = n_broken = 0
    road_m = 0.0
    cells: set[int] = set()
    dark: set[str] = set()
    # Lines of extracts are not sorted by place, and a country has more pixels than fit in memory:
    # so they are stored on disk, one file per band
    with (
        raise_as_store_error(out),
        tempfile.TemporaryDirectory(dir=out.absolute().parent) as folder,
    ):
        check_free_space(out.absolute().parent, DISK_SHARE * size, "building")
        for path in sources:
            for lines, weights, n_read, n_left_out in _read_roads(path, region, out, dark):
                n_lines, n_broken = n_lines + n_read, n_broken + n_left_out
                n_roads += int(np.count_nonzero(weights))
                vertices = _find_pixels(shapely.get_coordinates(lines), region)[0]
                points, metres = _sample_roads(lines, weights)
                pixels, inside = _find_pixels(points, region)
                road_m += float(metres[inside].sum())
                drawn = _store_roads(Path(folder), pixels, metres[inside])
                for keys in (vertices, drawn):
                    row, col = keys // WORLD_COLS // CELL_PX, keys % WORLD_COLS
                    cells.update(np.unique(row * WORLD_COLS + col // CELL_PX).tolist())
                progress(n_lines, 0)
        if not road_m:
            raise MapError(_explain_nothing(sources, names, region, dark))
        covered, row0, col0 = _close_cells(cells)
        known = np.pad(covered, [(0, FACTORS[-1])] * 2)  # what the map is padded by is not
        read_block = partial(_draw_block, Path(folder), known, row0, col0)
        rows, cols = (side * CELL_PX for side in covered.shape)
        west, north = col0 / STEPS_PER_DEG - 180.0, 90.0 - row0 / STEPS_PER_DEG
        bounds = west, north - rows / STEPS_PER_DEG, west + cols / STEPS_PER_DEG, north
        write_reference("streets", out, bounds, 1.0 / STEPS_PER_DEG, read_block, tags, progress)
    of_lines = format_count(n_lines, "line")
    if n_broken:
        tell(f"{n_broken:,} of {of_lines} skipped: their geometry is broken.")
    west, south, east, north = bounds
    return (
        f"{n_roads:,} of {of_lines} are lit roads, {road_m / 1000.0:,.0f} km; "
        f"{west:.2f},{south:.2f},{east:.2f},{north:.2f}, {100.0 * covered.mean():.0f} % covered; "
    )


def _widen_to_cells(region: Bounds) -> Bounds:
    """Widen a region to whole cells: those at the edge would be dark where no roads are read.

    Raises ConfigError if it has too many pixels.
    """
    cell_deg = CELL_PX / STEPS_PER_DEG
    corner = PixelGrid(west=-180.0, north=90.0, step_deg=cell_deg, cols=1, rows=1)
    bounds = corner.covering(region).bounds
    plan_grid(bounds, 1.0 / STEPS_PER_DEG)
    return bounds


def _store_roads(folder: Path, pixels: NDArray[np.int64], metres: FloatArray) -> NDArray[np.int64]:
    """Add metres of road in pixels to the files of their bands; return the pixels once each."""
    drawn, index = np.unique(pixels, return_inverse=True)
    sums_m = np.bincount(index, metres, minlength=len(drawn))
    records = np.empty(len(drawn), RECORD)
    records["place"] = drawn % (BAND_ROWS * WORLD_COLS)
    records["cm"] = np.minimum(np.rint(100.0 * sums_m), 65_535)
    numbers, starts = np.unique(drawn // (BAND_ROWS * WORLD_COLS), return_index=True)
    for number, part in zip(numbers, np.split(records, starts[1:]), strict=False):
        with (folder / f"{number}").open("ab") as band:
            band.write(part.tobytes())
    return drawn


def _draw_block(
    folder: Path, known: NDArray[np.bool_], row0: int, col0: int, block: PixelGrid
) -> NDArray[np.uint8]:
    """Draw the codes of a part of the map from the roads that were stored by band.

    ``known`` are the covered cells from world row ``row0`` and column ``col0`` on.
    """
    row = round((90.0 - block.north) * STEPS_PER_DEG)
    col = round((block.west + 180.0) * STEPS_PER_DEG)
    length_m = np.zeros((block.rows, block.cols))
    for number in range(row // BAND_ROWS, (row + block.rows - 1) // BAND_ROWS + 1):
        if not (folder / f"{number}").exists():
            continue
        records = np.fromfile(folder / f"{number}", RECORD)
        down, right = np.divmod(records["place"].astype(np.int64), WORLD_COLS)
        down, right = down + number * BAND_ROWS - row, right - col
        here = (down >= 0) & (down < block.rows) & (right >= 0) & (right < block.cols)
        np.add.at(length_m, (down[here], right[here]), 0.01 * records["cm"][here])
    lat = 90.0 - (row + np.arange(block.rows) + 0.5) / STEPS_PER_DEG
    area_m2 = np.prod(_metres_per_deg(lat), axis=0) / STEPS_PER_DEG**2
    density = length_m / area_m2[:, None] * LAMP_LENGTH_M
    codes = np.minimum(np.rint(density / KINDS["streets"].scale), MAX_CODE)
    at = (row - row0 + np.arange(block.rows)) // CELL_PX
    across = (col - col0 + np.arange(block.cols)) // CELL_PX
    return np.where(known[np.ix_(at, across)], codes, NO_DATA).astype(np.uint8)


def _split_values(text: str) -> list[str]:
    """Split the values of a tag, in lists as of OSMnx or JSON, or with semicolons."""
    return [word.replace(" ", "_") for word in re.findall(r"[\w.]+(?: [\w.]+)*", text.lower())]


def _weigh_classes(text: str) -> float:
    """Return the light per metre of a road: of several classes that of the brightest."""
    return max((CLASS_WEIGHTS.get(one, 0.0) for one in _split_values(text)), default=0.0)


def _says_tunnel(field: str, text: str) -> bool:
    """Whether a field says that a road, or a part of it, is in a tunnel."""
    if field == "other_tags":
        text = "".join(re.findall('"tunnel"=>"([^"]*)"', text))
    values, named = _split_values(text), TUNNEL_FIELDS[field]
    return named in values if named else not NO.issuperset(values)


def _map_texts(column: pd.Series, value: Callable[[str], float]) -> FloatArray:
    texts = column.map(str)  # astype leaves missing ones
    return texts.map({text: float(value(text)) for text in texts.unique()}).to_numpy(float)


def _read_roads(
    path: Path, region: Bounds | None, out: Path, dark: set[str]
) -> Iterator[tuple[NDArray[np.object_], FloatArray, int, int]]:
    """Read lines of an extract in batches, in degrees: weights, numbers read and left as broken.

    Some of the classes that are not lit are added to ``dark``.
    """
    if not path.exists():
        raise MapError(f"{path} does not exist: check the path of the extract.")
    try:
        for table in _read_tables(path, region, out):
            if table.crs is None:
                raise MapError(
                    f"{path} has no coordinate system: add it, for example with ogr2ogr -a_srs "
                    "EPSG:4326, and build again."
                )
            table = table.rename(columns=str.lower)
            name = next(name for name in CLASS_FIELDS if name in table)
            weights = _map_texts(table[name], _weigh_classes)
            dark.update(table[name][weights == 0.0].map(str).unique()[:5])
            for field in TUNNEL_FIELDS.keys() & set(table):
                is_tunnel = _map_texts(table[field], partial(_says_tunnel, field))
                weights = weights * (1.0 - is_tunnel)
            geometries = table.geometry.to_numpy()
            is_read = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
            n_broken = int(np.count_nonzero(~is_read))
            is_read &= np.isin(shapely.get_type_id(geometries), (1, 2, 5))  # lines
            _check_degrees(path, table.crs, geometries[is_read])
            placed = table.geometry[is_read].to_crs("EPSG:4326").to_numpy()
            lines, owners = shapely.get_parts(placed, return_index=True)
            # All finite, on the globe and less than half a turn wide
            with np.errstate(invalid="ignore"):
                west, south, east, north = shapely.bounds(lines).T
                is_good = np.isfinite(shapely.length(lines)) & (east - west < 180.0)
                is_good &= np.maximum(-west, east) <= 180.0 + 1e-6
                is_good &= np.maximum(-south, north) < 90.0
            n_broken += len(np.unique(owners[~is_good]))
            yield lines[is_good], weights[is_read][owners][is_good], len(table), n_broken
    except (MapError, MemoryError):
        raise
    except Exception as error:  # damaged files fail in GDAL, Arrow and PROJ in many ways
        raise MapError(
            f"{path} cannot be read as roads ({' '.join(str(error).split())[:200]}): give a "
            "complete .osm.pbf, GeoPackage, FlatGeobuf, Shapefile, GeoJSON or GeoParquet.",
            code="damaged",
        ) from error


def _check_degrees(path: Path, crs: CRS, geometries: NDArray[np.object_]) -> None:
    """Raise MapError if no line is on the Earth because of the system that a file names."""
    bounds = np.abs(shapely.bounds(geometries))
    bounds = bounds[np.isfinite(bounds).all(axis=1)]
    if not len(bounds):
        return
    is_degrees = (np.maximum(bounds[:, 0], bounds[:, 2]) <= 361.0) & (
        np.maximum(bounds[:, 1], bounds[:, 3]) <= 90.0
    )
    if crs.is_geographic and not is_degrees.any():
        what = "are not degrees of longitude and latitude"
    elif crs.is_projected and is_degrees.all() and np.nanmax(shapely.length(geometries)) < 1.0:
        what = "look like degrees"
    else:
        return
    east, north = bounds[0, :2]
    raise MapError(
        f"{path} has coordinates that {what} ({east:g}, {north:g}), but its coordinate system is "
        f"{crs.name}: name their own, for example with ogr2ogr -a_srs EPSG:"
        f"{'3857' if crs.is_geographic else '4326'} roads.gpkg {path.name}, and build again."
    )


def _read_tables(path: Path, region: Bounds | None, out: Path) -> Iterator[geopandas.GeoDataFrame]:
    """Read the tables of the layers with roads, in batches."""
    import geopandas
    import pyarrow as pa
    import pyarrow.parquet as pq
    import pyogrio
    from pyproj import CRS

    def decode(batch: pa.RecordBatch, name: str, crs: object) -> geopandas.GeoDataFrame:
        table = batch.to_pandas()
        with np.errstate(invalid="ignore"):  # of what is not finite
            geometries = shapely.from_wkb(table.pop(name).to_numpy(), on_invalid="ignore")
        return geopandas.GeoDataFrame(table, geometry=geometries, crs=crs)

    def choose(names: Iterable[str]) -> list[str]:
        """Choose one field of each kind, however it is spelt; none without a class."""
        own = {name.lower(): name for name in sorted(names)}  # lower case is preferred
        if not own.keys() & set(CLASS_FIELDS):
            return []
        return [own[name] for name in (*CLASS_FIELDS, *TUNNEL_FIELDS) if name in own]

    source = path.absolute()  # from the root: a folder called "http:" would make GDAL fetch
    if path.suffix.lower() in PARQUET:  # GDAL in pyogrio's wheel cannot
        with pq.ParquetFile(source) as file:
            about = file.schema_arrow.metadata or {}
            if b"geo" not in about:
                raise MapError(
                    f"{path} is Parquet without geometries: give a GeoParquet file (1.0 or later)."
                )
            geo = json.loads(about[b"geo"])
            name, columns = geo["primary_column"], choose(file.schema_arrow.names)
            crs = geo["columns"][name].get("crs", "OGC:CRS84")
            if columns:
                for batch in file.iter_batches(BATCH_LINES, columns=[*columns, name]):
                    if geo["columns"][name]["encoding"] == "WKB":
                        yield decode(batch, name, crs)
                    else:
                        table = geopandas.GeoDataFrame.from_arrow(batch)
                        yield table.set_crs(crs, allow_override=True)
        return
    # GDAL stores the positions of the nodes of an .osm.pbf in a temporary file
    scratch = {"CPL_TMPDIR": str(out.absolute().parent), "OGR_INTERLEAVED_READING": None}
    pyogrio.set_gdal_config_options(scratch)
    try:
        # Asking what an extract of OpenStreetMap holds would read all of it, once a question
        is_osm = source.suffix.lower() in OSM
        if source.suffix.lower() == ".pbf":
            _check_pbf(path)
        for layer, kind in [("lines", "Line")] if is_osm else pyogrio.list_layers(source):
            if kind is None or not any(w in kind for w in ("Line", "Unknown", "Collection")):
                continue
            columns, crs = ["highway", "other_tags"], "EPSG:4326"
            if not is_osm:
                info = pyogrio.read_info(source, layer=layer)
                columns, crs = choose(info["fields"]), info["crs"]
            if not columns:
                continue
            # A box in degrees finds what is stored in degrees; of others all is read
            geographic = crs is not None and CRS.from_user_input(crs).is_geographic
            with pyogrio.open_arrow(
                source,
                layer=layer,
                columns=columns,
                bbox=region if geographic else None,
                batch_size=BATCH_LINES,
                use_pyarrow=True,
            ) as (meta, reader):
                for batch in reader:
                    yield decode(batch, meta["geometry_name"] or "wkb_geometry", meta["crs"])
    finally:
        pyogrio.set_gdal_config_options({"CPL_TMPDIR": None})


def _check_pbf(path: Path) -> None:
    """Raise if an .osm.pbf is truncated: GDAL would read the rest without an error."""
    size, end = path.stat().st_size, 0
    with path.open("rb") as file:
        while end < size:
            file.seek(end)
            # A block's header ends in field 3, the length of what follows, a varint
            header = file.read(int.from_bytes(file.read(4), "big") % 65_536)
            match = re.search(rb"\x18([\x80-\xff]*[\0-\x7f])\Z", header)
            if match is None:
                end = size + 1
                break
            length = sum((byte & 127) << 7 * place for place, byte in enumerate(match[1]))
            end = file.tell() + length
    if end != size or not size:
        raise MapError(f"{path} is damaged or truncated: get it again.", code="damaged")


def _sample_roads(lines: NDArray[np.object_], weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centres of equal parts of roads, at most `SAMPLE_M` long, (n, 2), and weighted metres."""
    xy, owner = shapely.get_coordinates(lines[weights > 0.0], return_index=True)
    weight = weights[weights > 0.0][owner[1:]]
    start, vector = xy[:-1], np.diff(xy, axis=0)
    joined = owner[1:] == owner[:-1]
    start, vector, weight = start[joined], vector[joined], weight[joined]
    north_m, east_m = _metres_per_deg(start[:, 1] + 0.5 * vector[:, 1])
    length_m = np.hypot(vector[:, 0] * east_m, vector[:, 1] * north_m)
    n_parts = np.maximum(np.ceil(length_m / SAMPLE_M), 1.0).astype(np.int64)
    segment = np.repeat(np.arange(len(n_parts)), n_parts)
    part = np.arange(len(segment)) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
    along = (part + 0.5) / n_parts[segment]
    points = start[segment] + along[:, None] * vector[segment]
    return points, (length_m * weight / n_parts)[segment]


def _metres_per_deg(lat_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Metres per degree of latitude and of longitude on the ellipsoid (Snyder 1987, 4-18, 4-20)."""
    lat = np.radians(lat_deg)
    root = np.sqrt(1.0 - ECCENTRICITY_SQ * np.sin(lat) ** 2)
    north = SEMI_MAJOR_M * (1.0 - ECCENTRICITY_SQ) / root**3
    return np.radians(north), np.radians(SEMI_MAJOR_M * np.cos(lat) / root)


def _find_pixels(
    points: FloatArray, region: Bounds | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Compute keys on the world's grid, from 90 N, 180 W, of places in a region, and a mask."""
    lon, lat = points.T
    inside = np.ones(len(lon), bool)
    if region is not None:
        west, south, east, north = region
        inside = ((lon - west) % 360.0 < east - west) & (lat >= south) & (lat < north)
    row = np.floor((90.0 - lat[inside]) * STEPS_PER_DEG).astype(np.int64)
    col = np.floor((lon[inside] + 180.0) * STEPS_PER_DEG).astype(np.int64)
    return row * WORLD_COLS + np.clip(col, 0, WORLD_COLS - 1), inside


def _close_cells(cells: set[int]) -> tuple[NDArray[np.bool_], int, int]:
    """Close gaps in the coverage by cell; also return world row and column of its first pixel."""
    places = np.stack(np.divmod(sorted(cells), WORLD_COLS), axis=-1)
    (top, left), (bottom, right) = places.min(axis=0), places.max(axis=0)
    is_read = np.zeros((bottom - top + 1, right - left + 1), bool)
    is_read[places[:, 0] - top, places[:, 1] - left] = True
    # Gaps between covered cells are counted as covered, too, up to twice this many cells across.
    # They are forests and lakes, which are dark; outside the extract nothing is known.
    reach = 4
    disc = np.hypot(*np.ogrid[-reach : reach + 1, -reach : reach + 1]) <= reach
    # Pad the cells, because the dilation must not be cut off at the edge before the erosion
    covered = ndimage.binary_closing(np.pad(is_read, reach), disc)[reach:-reach, reach:-reach]
    return covered, int(top) * CELL_PX, int(left) * CELL_PX


def _explain_nothing(
    sources: Sequence[Path], names: str, region: Bounds | None, dark: set[str]
) -> str:
    """Explain why no road is drawn."""
    import pyogrio

    where = lies = ""
    if region is not None:
        west, south, east, north = region
        where = (
            f" between longitudes {west:.2f} and {east:.2f}, latitudes {south:.2f} and {north:.2f}"
        )
    source = sources[0].absolute()
    if region is not None and len(sources) == 1 and source.suffix.lower() not in PARQUET:
        layer = "lines" if source.suffix.lower() in OSM else pyogrio.list_layers(source)[0][0]
        info = pyogrio.read_info(source, layer=layer, force_total_bounds=True)
        if info["total_bounds"] is not None:
            west, south, east, north = info["total_bounds"]
            what = ", which are not degrees" if max(-west, east) > 361.0 else ""
            lies = f" (it covers {west:.2f},{south:.2f},{east:.2f},{north:.2f}{what})"
    classes = f" (its classes: {', '.join(sorted(dark)[:5])})" if dark else ""
    return (
        f"{names} has no lit roads{where}{lies}{classes}: give an extract of OpenStreetMap of that "
        f"place, with a layer of lines that has one of the fields {', '.join(CLASS_FIELDS)}."
    )
