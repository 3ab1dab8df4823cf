"""Roads drawn as lamps: any extract of OpenStreetMap becomes one file of lamp density.

A pixel holds ``min(254, round(100 d))`` as uint8, ``d`` the metres of road in it, weighted by
class, over its area and times 12.5 m: 1.0 is a road through every square of 12.5 m. 255 is where
the extract tells nothing.
"""

from __future__ import annotations

import io
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from detectors.constants import ECCENTRICITY_SQ, SEMI_MAJOR_M
from regengine.errors import ConfigError, LightMapError
from regengine.io.atomic import unwritable_told
from regengine.io.extras import need
from regengine.references.build import BuildParams, Progress, plan_grid, write_reference
from regengine.references.kinds import KINDS
from regengine.references.reference import Bounds, PixelGrid

if TYPE_CHECKING:
    import pyarrow

FloatArray = NDArray[np.float64]

STEPS_PER_DEG = 9000  # pixels of 12.4 m in latitude
WORLD_COLS = 360 * STEPS_PER_DEG
MAX_CODE, NO_DATA = 254, 255
LAMP_LENGTH_M = 12.5
# Rows and columns of the squares of the world's grid whose roads lie together on the disk, and what
# is kept of a pixel: its place in them, and centimetres
TILE_ROWS, TILE_COLS = 512, 8192
RECORD = np.dtype([("place", "<u4"), ("cm", "<u2")])
# What holds the class of a road: of OpenStreetMap, of Geofabrik's layers, of OpenMapTiles and
# Overture. The others tell tunnels
CLASS_FIELDS = ("highway", "fclass", "class")
TUNNEL_FIELDS = ("brunnel", "tunnel", "is_tunnel", "road_flags", "other_tags")
PARQUET, OSM = (".parquet", ".geoparquet", ".pq"), (".pbf", ".osm")
# lon, lat and weighted metres of points along roads
Samples = tuple[FloatArray, FloatArray, FloatArray]


def _class_weights() -> dict[str, float]:
    lit = "primary secondary tertiary residential minor unclassified living_street"
    names = ["motorway", "trunk", *lit.split()]
    # A ramp is lit like the streets that it leads to
    return dict.fromkeys([*names, *(f"{name}_link" for name in names)], 1.0) | {
        "motorway": 0.25,
        "trunk": 0.5,
    }


@dataclass(frozen=True, kw_only=True)
class LampParams:
    """How roads are drawn.

    Attributes
    ----------
    class_weights : Mapping
        Light of a metre of road by its class; roads of other classes (service, paths, tracks) are
        not drawn. Motorways are often dark: least squares against one photo of Paris give 0.0 for
        them, 0.4 for trunks and 1.2 for streets, for which rounder numbers stand.
    sample_m : float
        Spacing of the points that a road is drawn by, at most: a quarter of a pixel.
    cell_px : int
        Side of the cells, pixels, in which any line of the extract shows that it covers them
        (64: 0.8 km).
    max_gap_cells : int
        Gaps between such cells are covered, too, up to twice as many cells across: forests and
        lakes are dark, beyond the extract's edge nothing is known.
    batch_lines : int
        Lines read at a time.
    """

    class_weights: Mapping[str, float] = field(default_factory=_class_weights)
    sample_m: float = 3.0
    cell_px: int = 64
    max_gap_cells: int = 4
    batch_lines: int = 32_768


@dataclass(frozen=True, kw_only=True)
class StreetMapSummary:
    """What was built.

    Attributes
    ----------
    n_lines, n_roads, n_broken : int
        Lines read, those drawn, and those left out because their geometry is damaged.
    road_km : float
        Length of the roads drawn, weighted by class.
    covered : float
        Share of the pixels that the extract covers.
    bounds : tuple of float
        West, south, east, north, degrees.
    """

    n_lines: int
    n_roads: int
    n_broken: int
    road_km: float
    covered: float
    bounds: Bounds


def build_streets(
    sources: Sequence[Path],
    out: Path,
    *,
    region: Bounds | None = None,
    product: str = "",
    date: str = "",
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
    params: LampParams | None = None,
) -> StreetMapSummary:
    """Draw the roads of extracts as lamps into one cloud-optimised GeoTIFF.

    Parameters
    ----------
    sources : sequence of Path
        ``.osm.pbf``, GeoPackage, FlatGeobuf, Shapefile, GeoJSON or GeoParquet, in any coordinate
        system, with the classes of OpenStreetMap, Geofabrik, OpenMapTiles or Overture. What lies in
        two of them is drawn twice.
    out : Path
        File to make; it appears when it is complete.
    region : tuple of float, optional
        Only this part: west, south, east, north in degrees.
    product, date : str, optional
        Tags of the file; else the sources' names and the day that they were last changed.
    overwrite : bool, optional
        Replace ``out`` if it exists.
    progress : callable, optional
        Called with lines read (of 0: nobody knows how many there are), then with pixels written and
        in total.
    params : LampParams, optional
        How roads are drawn.

    Returns
    -------
    StreetMapSummary
        What was built.

    Raises
    ------
    ConfigError
        ``out`` exists, the region makes more than ``BuildParams.max_pixels``, or a package is
        missing.
    LightMapError
        A source cannot be read, holds no roads, or none in the region; ``out`` cannot be written.
    """
    params = params or LampParams()
    need("Reading roads", "pyarrow", "pyogrio", "geopandas")
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists already: give another name, or --force to replace it.")
    names = ", ".join(path.name for path in sources)
    if region is not None:
        # To whole cells, or those at its edge would be dark where nothing was read
        cell_deg = params.cell_px / STEPS_PER_DEG
        west, south = (
            cell_deg * math.floor((v + o) / cell_deg + 1e-6) - o
            for v, o in ((region[0], 180.0), (region[1], -90.0))
        )
        east, north = (
            cell_deg * math.ceil((v + o) / cell_deg - 1e-6) - o
            for v, o in ((region[2], 180.0), (region[3], -90.0))
        )
        region = west, south, east, north
        grid = plan_grid(region, 1.0 / STEPS_PER_DEG)
        if grid.cols * grid.rows > BuildParams().max_pixels:
            raise ConfigError(
                f"{out} would have {grid.cols * grid.rows / 1e9:,.1f} gigapixels, "
                f"{BuildParams().max_pixels / 1e9:g} at most: choose a smaller --region."
            )
    newest = max((path.stat().st_mtime for path in sources if path.is_file()), default=0.0)
    tags = {
        "PRODUCT": product or f"OpenStreetMap roads ({names})",
        "DATE": date or datetime.fromtimestamp(newest, UTC).date().isoformat(),
        "SOURCES": names,
    }
    folder = out.absolute().parent
    n_lines = n_roads = n_broken = 0
    cells: set[int] = set()
    with unwritable_told(out), tempfile.TemporaryFile(dir=folder) as spill:
        pixels = _PixelStore(spill)
        for path in sources:
            for batch in read_roads(path, region, scratch=folder, params=params):
                n_lines += batch.n_lines
                n_broken += batch.n_broken
                n_roads += int(np.count_nonzero(batch.weights))
                lon, lat = shapely.get_coordinates(batch.lines).T
                vertices = _pixels_of(lon, lat, region)[0]
                drawn = pixels.add(*sample_roads(batch.lines, batch.weights, params), region)
                for keys in (vertices, drawn):
                    row, col = keys // WORLD_COLS // params.cell_px, keys % WORLD_COLS
                    cells.update(np.unique(row * WORLD_COLS + col // params.cell_px).tolist())
                progress(n_lines, 0)
        if not pixels.n_pixels:
            raise LightMapError(_nothing_sentence(sources, names, n_lines, region))
        covered, row0, col0 = _close_cells(cells, params)

        def read_block(block: PixelGrid) -> NDArray[np.uint8]:
            """Codes of a part of the map."""
            row = round((90.0 - block.north) * STEPS_PER_DEG)
            col = round((block.west + 180.0) * STEPS_PER_DEG)
            length = pixels.lengths(row, col, block.rows, block.cols)
            lat = 90.0 - (row + np.arange(block.rows) + 0.5) / STEPS_PER_DEG
            area_m2 = np.prod(_metres_per_deg(lat), axis=0) / STEPS_PER_DEG**2
            density = length / area_m2[:, None] * LAMP_LENGTH_M
            codes = np.minimum(np.rint(density / KINDS["streets"].scale), MAX_CODE)
            at = (row - row0 + np.arange(block.rows)) // params.cell_px
            across = (col - col0 + np.arange(block.cols)) // params.cell_px
            is_covered = np.zeros((block.rows, block.cols), bool)  # padding is not
            down, right = at < covered.shape[0], across < covered.shape[1]
            is_covered[np.ix_(down, right)] = covered[np.ix_(at[down], across[right])]
            return np.where(is_covered, codes, NO_DATA).astype(np.uint8)

        rows, cols = (side * params.cell_px for side in covered.shape)
        west, north = col0 / STEPS_PER_DEG - 180.0, 90.0 - row0 / STEPS_PER_DEG
        bounds = west, north - rows / STEPS_PER_DEG, west + cols / STEPS_PER_DEG, north
        write_reference(
            "streets",
            out,
            bounds,
            1.0 / STEPS_PER_DEG,
            read_block,
            tags,
            progress,
            overwrite=overwrite,
        )
    return StreetMapSummary(
        n_lines=n_lines,
        n_roads=n_roads,
        n_broken=n_broken,
        road_km=pixels.metres / 1000.0,
        covered=float(covered.mean()),
        bounds=bounds,
    )


@dataclass(frozen=True, kw_only=True)
class RoadBatch:
    """Some lines of an extract: lon/lat, with the weight of each; 0 is not drawn."""

    lines: NDArray[np.object_]
    weights: FloatArray
    n_lines: int
    n_broken: int


def read_roads(
    path: Path, region: Bounds | None, *, scratch: Path, params: LampParams
) -> Iterator[RoadBatch]:
    """Read all lines of an extract's road layers, some at a time.

    Parameters
    ----------
    path : Path
        The extract.
    region : tuple of float or None
        Lines elsewhere may be left out.
    scratch : Path
        Folder in which GDAL may write while it reads an ``.osm.pbf``.
    params : LampParams
        How roads are drawn.

    Yields
    ------
    RoadBatch
        Lines in longitude and latitude.

    Raises
    ------
    LightMapError
        The file cannot be read, or does not say its coordinate system.
    """
    import pyproj

    if not path.exists():
        raise LightMapError(f"{path} does not exist: check the path of the extract.")
    is_parquet = path.suffix.lower() in PARQUET
    try:
        tables = (
            _read_parquet(path, params)
            if is_parquet
            else _read_layers(path, region, scratch, params)
        )
        for table, geometries, crs in tables:
            if crs is None:
                raise LightMapError(
                    f"{path} does not say its coordinate system: add it, for example by "
                    "ogr2ogr -a_srs EPSG:4326, and build again."
                )
            is_read = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
            n_lines, weights = len(geometries), _weigh_roads(table, params)
            of_line = np.isin(shapely.get_type_id(geometries), (1, 2, 5))
            n_broken = int(np.count_nonzero(~is_read))
            lines, owners = shapely.get_parts(geometries[is_read & of_line], return_index=True)
            weights = weights[is_read & of_line][owners]
            system = pyproj.CRS.from_user_input(crs)
            if not system.is_geographic or system.to_epsg() not in (4326, None):
                to_lonlat = pyproj.Transformer.from_crs(system, "OGC:CRS84", always_xy=True)
                lines = shapely.transform(
                    lines, lambda x, y, to=to_lonlat: to.transform(x, y), interleaved=False
                )
            is_good = _are_on_earth(lines)
            n_broken += len(np.unique(owners[~is_good]))
            yield RoadBatch(
                lines=lines[is_good], weights=weights[is_good], n_lines=n_lines, n_broken=n_broken
            )
    except (LightMapError, MemoryError):
        raise
    except Exception as error:  # damaged files fail in GDAL, Arrow and PROJ in many ways
        raise LightMapError(
            f"{path} cannot be read as roads ({' '.join(str(error).split())[:200]}): give an "
            ".osm.pbf, GeoPackage, FlatGeobuf, Shapefile, GeoJSON or GeoParquet that is whole.",
            code="damaged",
        ) from error


def _are_on_earth(lines: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Which lines have two points or more, all finite, on the globe and less than a turn apart."""
    xy, owner = shapely.get_coordinates(lines, return_index=True)
    with np.errstate(invalid="ignore"):
        is_bad = ~((np.abs(xy[:, 0]) <= 180.0 + 1e-6) & (np.abs(xy[:, 1]) < 90.0))
        leaps = (owner[1:] == owner[:-1]) & (np.abs(np.diff(xy[:, 0])) > 180.0)
    is_bad[1:] |= leaps
    n_bad = np.bincount(owner, weights=is_bad, minlength=len(lines))
    return np.asarray((n_bad == 0) & (np.bincount(owner, minlength=len(lines)) > 1))


def _read_layers(
    path: Path, region: Bounds | None, scratch: Path, params: LampParams
) -> Iterator[tuple[pyarrow.Table, NDArray[np.object_], Any]]:
    """Tables, geometries and system of what GDAL reads."""
    import pyarrow as pa
    import pyogrio
    from pyproj import CRS

    source = path.absolute()  # from the root: a folder called "http:" would make GDAL fetch
    pyogrio.set_gdal_config_options({"CPL_TMPDIR": str(scratch), "OGR_INTERLEAVED_READING": None})
    try:
        # Asking what an extract of OpenStreetMap holds would read all of it, once a question
        is_osm = source.suffix.lower() in OSM
        if source.suffix.lower() == ".pbf":
            _check_pbf(path)
        for layer, kind in [("lines", None)] if is_osm else pyogrio.list_layers(source):
            if kind is not None and not any(w in kind for w in ("Line", "Unknown", "Collection")):
                continue
            wanted, crs = ["highway", "other_tags"], "EPSG:4326"
            if not is_osm:
                info = pyogrio.read_info(source, layer=layer)
                wanted = [n for n in info["fields"] if n in (*CLASS_FIELDS, *TUNNEL_FIELDS)]
                crs = info["crs"]
            if not set(wanted) & set(CLASS_FIELDS):
                continue
            # A box in degrees finds what is stored in degrees; of others all is read
            geographic = crs is not None and CRS.from_user_input(crs).is_geographic
            with pyogrio.open_arrow(
                source,
                layer=layer,
                columns=wanted,
                bbox=region if geographic else None,
                batch_size=params.batch_lines,
                use_pyarrow=True,
            ) as (meta, reader):
                name = meta["geometry_name"] or "wkb_geometry"
                for batch in reader:
                    table = pa.Table.from_batches([batch])
                    wkb = table.column(name).to_numpy(zero_copy_only=False)
                    with np.errstate(invalid="ignore"):  # what is not finite is left out below
                        lines = shapely.from_wkb(wkb, on_invalid="ignore")
                    yield table, lines, meta["crs"]
    finally:
        pyogrio.set_gdal_config_options({"CPL_TMPDIR": None})


def _check_pbf(path: Path) -> None:
    """Refuse an .osm.pbf that is not whole: GDAL would read what is there and say nothing."""
    size, end = path.stat().st_size, 0
    with path.open("rb") as file:
        while end < size:
            file.seek(end)
            # Of a block's header: its type (field 1), perhaps an index (2), the block's length (3)
            header = file.read(int.from_bytes(file.read(4), "big") % 65_536)
            tag, place, value = 0, 0, 0
            while place < len(header) and tag != 0x18:
                tag, place, value, shift = header[place], place + 1, 0, 0
                while place < len(header):
                    value |= (header[place] & 127) << shift
                    shift, place = shift + 7, place + 1
                    if header[place - 1] < 128:
                        break
                place += value if tag in (0x0A, 0x12) else 0
            end = file.tell() + value if tag == 0x18 and place == len(header) else size + 1
    if end != size or not size:
        raise LightMapError(
            f"{path} is damaged or was cut short while it was copied or downloaded: get it again.",
            code="damaged",
        )


def _read_parquet(
    path: Path, params: LampParams
) -> Iterator[tuple[pyarrow.Table, NDArray[np.object_], Any]]:
    """Tables, geometries and system of a GeoParquet file."""
    import json

    import geopandas
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        metadata = file.schema_arrow.metadata or {}
        if b"geo" not in metadata:
            raise LightMapError(
                f"{path} is Parquet without geometries: give a GeoParquet file (1.0 or later)."
            )
        geometry = json.loads(metadata[b"geo"])["primary_column"]
        names = (*CLASS_FIELDS, *TUNNEL_FIELDS)
        wanted = [name for name in file.schema_arrow.names if name in names]
        if not set(wanted) & set(CLASS_FIELDS):
            return
        for batch in file.iter_batches(params.batch_lines, columns=[*wanted, geometry]):
            # geopandas knows all encodings of geometries, but reads whole files: one a batch
            table = pa.Table.from_batches([batch]).replace_schema_metadata(metadata)
            part = io.BytesIO()
            pq.write_table(table, part, compression="none")
            part.seek(0)
            with np.errstate(invalid="ignore"):
                frame = geopandas.read_parquet(part, columns=[wanted[0], geometry])
            yield table, frame.geometry.to_numpy(), frame.crs


def _weigh_roads(table: pyarrow.Table, params: LampParams) -> FloatArray:
    """Weight of each line by its class, 0.0 in tunnels and for what is no lit road."""
    import pyarrow as pa
    import pyarrow.compute as pc

    name = next(name for name in CLASS_FIELDS if name in table.column_names)
    classes = pc.cast(table.column(name), pa.string()).combine_chunks().dictionary_encode()
    by_code = [params.class_weights.get(one, 0.0) for one in classes.dictionary.to_pylist()]
    codes = pc.fill_null(classes.indices, len(by_code)).to_numpy(zero_copy_only=False)
    weights = np.array([*by_code, 0.0])[codes]
    for name in set(TUNNEL_FIELDS) & set(table.column_names):
        column = table.column(name)
        if name == "road_flags":  # Overture's: a list of flags, each for a part of the road
            texts = pa.array([str(one) for one in column.to_pylist()])
            weights[pc.match_substring(texts, "is_tunnel").to_numpy(zero_copy_only=False)] = 0.0
            continue
        texts = pc.fill_null(pc.utf8_lower(pc.cast(column, pa.string())), "")
        if name == "other_tags":  # what GDAL has no field for, as in PostgreSQL's hstore
            pattern = r'"tunnel"=>"(?P<value>[^"]*)"'
            texts = pc.fill_null(pc.struct_field(pc.extract_regex(texts, pattern), "value"), "")
        value = texts.to_numpy(zero_copy_only=False).astype(str)
        is_tunnel = (
            value == "tunnel"
            if name == "brunnel"
            else ~np.isin(value, ("", "no", "f", "false", "0", "nan", "none"))
        )
        weights[is_tunnel] = 0.0
    return weights


def sample_roads(
    lines: NDArray[np.object_], weights: FloatArray, params: LampParams | None = None
) -> Samples:
    """Points along roads, and the weighted metres that each stands for.

    Parameters
    ----------
    lines : ndarray of shapely.LineString, shape (n,)
        Longitude and latitude, degrees.
    weights : ndarray, shape (n,)
        Light of a metre of each; 0 is not drawn.
    params : LampParams, optional
        How roads are drawn.

    Returns
    -------
    lon, lat, metres : ndarray, shape (m,)
        In the middle of equal parts of each segment, ``params.sample_m`` long at most.
    """
    params = params or LampParams()
    xy, owner = shapely.get_coordinates(lines[weights > 0.0], return_index=True)
    weight = weights[weights > 0.0][owner[1:]]
    start, vector = xy[:-1], np.diff(xy, axis=0)
    joined = owner[1:] == owner[:-1]
    start, vector, weight = start[joined], vector[joined], weight[joined]
    north_m, east_m = _metres_per_deg(start[:, 1] + 0.5 * vector[:, 1])
    length_m = np.hypot(vector[:, 0] * east_m, vector[:, 1] * north_m)
    n_parts = np.maximum(np.ceil(length_m / params.sample_m), 1.0).astype(np.int64)
    segment = np.repeat(np.arange(len(n_parts)), n_parts)
    part = np.arange(len(segment)) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
    along = (part + 0.5) / n_parts[segment]
    lon = start[segment, 0] + along * vector[segment, 0]
    lat = start[segment, 1] + along * vector[segment, 1]
    return lon, lat, (length_m * weight / n_parts)[segment]


def _metres_per_deg(lat_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Metres per degree of latitude and of longitude on the ellipsoid (Snyder 1987, 4-18, 4-20)."""
    lat = np.radians(lat_deg)
    root = np.sqrt(1.0 - ECCENTRICITY_SQ * np.sin(lat) ** 2)
    north = SEMI_MAJOR_M * (1.0 - ECCENTRICITY_SQ) / root**3
    return np.radians(north), np.radians(SEMI_MAJOR_M * np.cos(lat) / root)


def _pixels_of(
    lon: FloatArray, lat: FloatArray, region: Bounds | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Keys on the world's grid, from 90 N, 180 W, of places in a region, and which those are."""
    inside = np.ones(len(lon), bool)
    if region is not None:
        west, south, east, north = region
        inside = ((lon - west) % 360.0 < east - west) & (lat >= south) & (lat < north)
    row = np.floor((90.0 - lat[inside]) * STEPS_PER_DEG).astype(np.int64)
    col = np.floor((lon[inside] + 180.0) * STEPS_PER_DEG).astype(np.int64)
    return row * WORLD_COLS + np.clip(col, 0, WORLD_COLS - 1), inside


class _PixelStore:
    """Metres of road by pixel, on the disk, to be read block by block.

    Extracts have their lines in no order of place, and a country has more pixels than memory holds.
    """

    def __init__(self, spill: IO[bytes]) -> None:
        self._spill = spill
        self._parts: dict[tuple[int, int], list[tuple[int, int]]] = {}  # offset and number
        self.n_pixels = 0
        self.metres = 0.0

    def add(
        self, lon: FloatArray, lat: FloatArray, metres: FloatArray, region: Bounds | None
    ) -> NDArray[np.int64]:
        """Add samples, those outside a region excepted; keys of the pixels that they lie in."""
        keys, inside = _pixels_of(lon, lat, region)
        metres = metres[inside]
        keys, index = np.unique(keys, return_inverse=True)
        row, col = keys // WORLD_COLS, keys % WORLD_COLS
        records = np.empty(len(keys), RECORD)
        records["place"] = row % TILE_ROWS * TILE_COLS + col % TILE_COLS
        sums = np.bincount(index, metres, minlength=len(keys))
        records["cm"] = np.minimum(np.rint(100.0 * sums), 65_535)
        tiles = row // TILE_ROWS * WORLD_COLS + col // TILE_COLS
        order = np.argsort(tiles, kind="stable")
        found, starts = np.unique(tiles[order], return_index=True)
        records = records[order]
        for tile, start, end in zip(
            found.tolist(), starts, np.append(starts, len(keys))[1:], strict=True
        ):
            part = self._spill.tell(), int(end - start)
            self._parts.setdefault(divmod(tile, WORLD_COLS), []).append(part)
            self._spill.write(records[start:end].tobytes())
        self.n_pixels += len(keys)
        self.metres += float(metres.sum())
        return keys

    def lengths(self, row: int, col: int, rows: int, cols: int) -> FloatArray:
        """Metres in each pixel of a block of the world's grid, (rows, cols)."""
        sums = np.zeros(rows * cols)
        for down in range(row // TILE_ROWS, (row + rows - 1) // TILE_ROWS + 1):
            for right in range(col // TILE_COLS, (col + cols - 1) // TILE_COLS + 1):
                for offset, n_records in self._parts.get((down, right), ()):
                    self._spill.seek(offset)
                    data = self._spill.read(n_records * RECORD.itemsize)
                    records = np.frombuffer(data, RECORD)
                    at_row = (records["place"] // TILE_COLS).astype(int) + down * TILE_ROWS - row
                    at_col = (records["place"] % TILE_COLS).astype(int) + right * TILE_COLS - col
                    here = (at_row >= 0) & (at_row < rows) & (at_col >= 0) & (at_col < cols)
                    # No place is twice in a part
                    place = at_row[here] * cols + at_col[here]
                    sums[place] += 0.01 * records["cm"][here]
        return sums.reshape(rows, cols)


def _close_cells(cells: set[int], params: LampParams) -> tuple[NDArray[np.bool_], int, int]:
    """Coverage by cell, gaps closed, and the world's row and column of its first pixel."""
    places = np.stack(np.divmod(sorted(cells), WORLD_COLS), axis=-1)
    (top, left), (bottom, right) = places.min(axis=0), places.max(axis=0)
    held = np.zeros((bottom - top + 1, right - left + 1), bool)
    held[places[:, 0] - top, places[:, 1] - left] = True
    reach = params.max_gap_cells
    disc = np.hypot(*np.ogrid[-reach : reach + 1, -reach : reach + 1]) <= reach
    # Padded, or the dilation would be cut off at the edge that the erosion eats from
    covered = ndimage.binary_closing(np.pad(held, reach), disc)[reach:-reach, reach:-reach]
    return covered, int(top) * params.cell_px, int(left) * params.cell_px


def _nothing_sentence(
    sources: Sequence[Path], names: str, n_lines: int, region: Bounds | None
) -> str:
    """Say why nothing could be drawn."""
    if region is None or len(sources) > 1 or sources[0].suffix.lower() in PARQUET:
        bounds = None
    else:
        import pyogrio

        source = sources[0].absolute()
        layer = "lines" if source.suffix.lower() in OSM else pyogrio.list_layers(source)[0][0]
        info = pyogrio.read_info(source, layer=layer, force_total_bounds=True)
        bounds = info["total_bounds"]
    if region is None or (n_lines == 0 and bounds is None):
        return (
            f"{names} holds no lit roads: give an extract of OpenStreetMap with a layer of lines "
            f"that has one of the fields {', '.join(CLASS_FIELDS)}."
        )
    where = (
        "" if bounds is None else " (it lies within {:.2f},{:.2f},{:.2f},{:.2f})".format(*bounds)
    )
    west, south, east, north = region
    return (
        f"{names} holds no lit roads between longitudes {west:.2f} and {east:.2f}, latitudes "
        f"{south:.2f} and {north:.2f}{where}: give an extract of that place, or another --region."
    )


def check_free_space(sources: Sequence[Path], folder: Path) -> float:
    """Bytes that building takes on the disk meanwhile, about; refuse a disk that is too small.

    Parameters
    ----------
    sources : sequence of Path
        The extracts.
    folder : Path
        Where the map goes.

    Returns
    -------
    float
        Bytes: GDAL keeps the places of an ``.osm.pbf``'s nodes in a file beside it.

    Raises
    ------
    LightMapError
        The disk has less room than that.
    """
    size = sum(path.stat().st_size for path in sources if path.is_file())
    wanted = 2.0 * size
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise LightMapError(
            f"{folder} has {free / 1e6:,.0f} MB free, and building takes about "
            f"{wanted / 1e6:,.0f} MB for a while: make room, or name a file on another disk."
        )
    return wanted
