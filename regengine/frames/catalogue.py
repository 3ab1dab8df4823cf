"""The catalogue: frames of many stores by place, quality and date, in one GeoPackage.

`build` reads stores frame by frame into a table on disk, and keeps one row per photo, with its
place and whether it is the best of a month. `Catalogue` answers questions in SQL: it reads only
this file, and writes nothing.
"""

from __future__ import annotations

import csv
import json
import math
import os
import sqlite3
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from detectors.constants import KM_PER_DEGREE
from detectors.types import FloatArray
from matchers.geometry.earth import measure_lonlat, unit_vectors
from matchers.geometry.footprint import WGS84
from regengine.errors import ConfigError, StoreError, check_known, shorten_to_line
from regengine.frames.columns import FRAME_COLUMNS, Row, none_if_unknown
from regengine.frames.frame import ExportFrame
from regengine.frames.geometry import as_shape, rings_bbox
from regengine.frames.quality import quality_score
from regengine.frames.select import Chosen, check_condition, find_unknown_column, guard_reading
from regengine.io.atomic import find_full_disk, make_refusal, replace_files
from regengine.io.plain import make_printable, plain
from regengine.io.tables import cell, csv_lines, name_cell
from regengine.io.times import iso_utc, parse_iso_time
from regengine.maps.places import ABSURD, chord, place_index
from regengine.store.records import degrees_text
from regengine.store.result import Column, Kind
from regengine.store.rows import OF_FRAME

FORMAT = "regengine.catalogue"  # name of the file's metadata, which are JSON
FORMAT_VERSION = 2


# Columns in their order, with kind and description where they are not those of ``--table frames``;
# other fields of results follow
with Path(__file__).with_name("catalogue_columns.csv").open(encoding="utf-8", newline="") as stream:
    LISTED: list[dict[str, Any]] = list(csv.DictReader(stream))
OWN = {one["name"]: Column(**one) for one in LISTED if one["kind"]}
NAMES = tuple(
    dict.fromkeys(
        (
            *(one["name"] for one in LISTED),
            *(one.name for one in OF_FRAME if "catalogue" in one.where),
        )
    )
)
EXPORTED = [one for one in FRAME_COLUMNS if one.name in NAMES and one.name not in OWN]
TYPES: dict[Kind, str] = {
    "text": "TEXT",
    "real": "REAL",
    "whole": "INTEGER",
    "flag": "BOOLEAN",
    "moment": "DATETIME",
    "day": "DATE",
    "polygons": "MULTIPOLYGON",
}
OF_NAME: dict[str, Column] = {one.name: one for one in EXPORTED} | OWN
DECLARED = ", ".join(f"{name} {TYPES[OF_NAME[name].kind]}" for name in NAMES)
# Times and dates are compared as texts in conditions; their types would make them numbers
AS_SHOWN = {
    "geometry": "substr(geometry, 9) AS geometry",
    "time_utc": "replace(time_utc, '.000Z', 'Z') AS time_utc",
    "night": "night || '' AS night",
}
# What only the arrangement of rows needs; ``cell`` is that of the ground looked at, of a photo
# whose centre is sky the nearest to it
WORKING = (
    "number INTEGER PRIMARY KEY, reviewed_utc TEXT, cell INTEGER, look_lon REAL, look_lat REAL"
)
GEOPACKAGE = f"""
PRAGMA application_id = {0x47504B47};
PRAGMA user_version = 10300;
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL,
    definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL,
    identifier TEXT UNIQUE, description TEXT DEFAULT '', last_change DATETIME NOT NULL,
    min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER);
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL,
    geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL,
    m TINYINT NOT NULL, PRIMARY KEY (table_name, column_name));
CREATE TABLE gpkg_metadata (id INTEGER PRIMARY KEY NOT NULL, md_scope TEXT NOT NULL,
    md_standard_uri TEXT NOT NULL, mime_type TEXT NOT NULL, metadata TEXT NOT NULL);
CREATE TABLE gpkg_metadata_reference (reference_scope TEXT NOT NULL, table_name TEXT,
    column_name TEXT, row_id_value INTEGER, timestamp DATETIME NOT NULL,
    md_file_id INTEGER NOT NULL, md_parent_id INTEGER);
CREATE TABLE gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
    definition TEXT NOT NULL, scope TEXT NOT NULL);
CREATE TABLE frames (fid INTEGER PRIMARY KEY, {DECLARED});
INSERT INTO gpkg_spatial_ref_sys VALUES
    ('Undefined Cartesian SRS', -1, 'NONE', -1, 'undefined', NULL),
    ('Undefined geographic SRS', 0, 'NONE', 0, 'undefined', NULL);
INSERT INTO gpkg_geometry_columns VALUES ('frames', 'geometry', 'MULTIPOLYGON', 4326, 0, 0);
INSERT INTO gpkg_extensions SELECT name, NULL, 'gpkg_metadata',
    'http://www.geopackage.org/spec130/#extension_metadata', 'read-write'
    FROM sqlite_master WHERE name LIKE 'gpkg_metadata%';
"""  # noqa: S608
# Of a polygon in longitudes and latitudes, before its well-known binary, without an envelope
GEOMETRY_HEADER = b"GP\x00\x01" + (4326).to_bytes(4, "little")

# Duplicates of a photo: a person's latest decision takes precedence, then a glance, then the
# engine's highest probability
KEPT = """
CREATE TEMP TABLE kept AS SELECT number, copies FROM (
    SELECT number, count(*) OVER (PARTITION BY photo) AS copies,
        row_number() OVER (PARTITION BY photo
            ORDER BY decision IS NULL, decision = 'glanced', reviewed_utc DESC,
            CASE verdict WHEN 'accepted' THEN 0 WHEN 'review' THEN 1 WHEN 'no_match' THEN 2
                ELSE 3 END,
            probability DESC, number DESC) AS rank
    FROM (SELECT coalesce(sha256, 'row ' || number) AS photo, * FROM raw)
) WHERE rank = 1
"""
# Frames to be reviewed belong to the place of the cell they lie in, if there is one
ARRANGED = """
CREATE TEMP TABLE arranged AS
SELECT number, kept.copies AS copies, places.place_id AS place_id, places.place AS place,
    places.place_country AS place_country, places.place_lon AS place_lon,
    places.place_lat AS place_lat, coalesce(of_month, 0) AS best_of_month,
    coalesce(of_year, 0) AS best_of_year
FROM kept JOIN raw USING (number) LEFT JOIN places USING (cell)
LEFT JOIN (
    SELECT number,
        row_number() OVER (PARTITION BY places.place_id, month ORDER BY quality DESC, number) = 1
            AS of_month,
        row_number() OVER (PARTITION BY places.place_id, substr(month, 1, 4)
            ORDER BY quality DESC, number) = 1 AS of_year
    FROM kept JOIN raw USING (number) JOIN places USING (cell)
    WHERE verdict = 'accepted' AND month IS NOT NULL AND quality IS NOT NULL
) USING (number)
"""
ARRANGED_NAMES = {name for name in NAMES if name.startswith(("copies", "place", "best_of_"))}
CELL_DEG = 5.0 / KM_PER_DEGREE  # side of a cell: frames in one cell belong to one place


def build(
    stores: Sequence[Chosen],
    out: Path,
    *,
    look: Callable[[ExportFrame], Row] = lambda frame: {},
    advance: Callable[[], object] = lambda: None,
) -> dict[str, int]:
    """Build a catalogue of frames of stores; an existing file is replaced.

    ``look`` returns measurements of a frame's photo; ``advance`` is called after each frame.

    Returns the numbers of ``frames``, their ``places``, and ``nights`` with accepted frames, and of
    ``copies``: frames of the stores that were excluded as duplicates of another row's photo.

    Raises StoreError if a store cannot be read, or the catalogue cannot be written.
    """
    names = [*NAMES, *(one.split()[0] for one in WORKING.split(",")[1:])]
    marks = ", ".join("?" * len(names))
    into = f"INSERT INTO raw ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
    changed = ""
    with (
        replace_files((out,)) as (temporary,),
        closing(sqlite3.connect(temporary, isolation_level=None)) as base,
    ):
        try:
            # The file is put in its place when it is complete
            base.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")
            base.execute(f"CREATE TEMP TABLE raw ({WORKING}, {DECLARED})")
            for frame in chain.from_iterable(one.frames() for one in stores):
                row = make_catalogue_row(frame, look(frame))
                base.execute(into, [row.get(name) for name in names])
                changed = max(changed, frame.stored.processed_utc)
                advance()
            summary = _arrange(base, changed)
            base.execute("COMMIT")
        except sqlite3.Error as error:
            raise make_refusal(out, find_full_disk(error) or OSError(str(error))) from error
    return summary


def make_catalogue_row(frame: ExportFrame, seen: Row) -> Row:
    """Catalogue row of a frame from its store and photo.

    Columns that depend on other frames are not included. A night extends from one mean solar noon
    to the next, so that photos before and after midnight, and on both sides of the date line,
    belong to one; its date is that of its evening.
    """
    row: Row = {column.name: none_if_unknown(column.value(frame, 0)) for column in EXPORTED}
    time = parse_iso_time(row["time_utc"] or "")
    row |= {
        "rating": None if frame.review is None else frame.review.quality,
        "reviewed_utc": None if frame.review is None else frame.review.time_utc,
        "store": str(frame.store.absolute()),
        "time_utc": None if time is None else iso_utc(time, "milliseconds"),
        "lens": None if row["focal_mm"] is None else f"{row['focal_mm']:.0f} mm",
        **seen,
    }
    if frame.review is None or frame.review.decision != "rejected":
        row |= _describe_view(frame)
    lon, lat = row.get("look_lon"), row.get("look_lat")
    if lon is not None and lat is not None:
        # Of a globe that is divided into cells of about the same size
        cell_row = math.floor(lat / CELL_DEG + 0.5)
        across = lon * math.cos(math.radians(CELL_DEG * cell_row)) / CELL_DEG
        row["cell"] = 1_000_000 * cell_row + math.floor(across + 0.5)
    lon = row.get("nadir_lon") if lon is None else lon
    if time is not None and lon is not None and 1 < time.year < 9999:
        night = (time + timedelta(seconds=240.0 * lon - 43200.0)).date()
        row |= {"night": night.isoformat(), "month": f"{night:%Y-%m}"}
    measured = ("sharpness", "cloud", "off_nadir_deg", "altitude_km", "resolution_m")
    row["quality"] = quality_score(**{name: row.get(name) for name in measured})
    return {
        name: make_printable(value) if isinstance(value, str) else value
        for name, value in row.items()
    }


def _describe_view(frame: ExportFrame) -> Row:
    """View geometry of a frame; empty if its camera is not valid."""
    import shapely

    stance = frame.stance
    if frame.camera is None or stance is None:
        start = frame.result.nadir
        if start is None:
            return {}
        place = {"nadir_lon": start.lon, "nadir_lat": start.lat, "altitude_km": start.altitude_km}
        return {name: none_if_unknown(value) for name, value in place.items()}
    try:
        known = {name: stance[name] for name in ("centre_lon", "centre_lat", "off_nadir_deg")} | {
            "look_lon": float(frame.looked_at[0]),
            "look_lat": float(frame.looked_at[1]),
            "nadir_lon": stance["camera_lon"],
            "nadir_lat": stance["camera_lat"],
            "altitude_km": stance["camera_altitude_km"],
            "resolution_m": stance["gsd_m"] or None,
        }
        row: Row = {name: none_if_unknown(value) for name, value in known.items()} | frame.shown
        if rings := frame.footprint:
            shape = as_shape(rings)
            row |= zip(("west", "south", "east", "north"), rings_bbox(rings) or (), strict=True)
            row["area_km2"] = abs(float(WGS84.geometry_area_perimeter(shape)[0])) / 1e6
            # Douglas and Peucker 1973, Cartographica 10, 112, within 0.4 % of a ring's extent:
            # polygons of 65 corners are reduced to some ten
            parts = shapely.get_parts(shape)
            west, south, east, north = shapely.bounds(parts).T
            extent = np.hypot(east - west, north - south)
            simple = shapely.multipolygons(shapely.simplify(parts, 0.004 * extent))
            row["geometry"] = GEOMETRY_HEADER + shapely.to_wkb(simple, byte_order=1)
    except ABSURD:
        return {}
    return row


def _arrange(base: sqlite3.Connection, changed: str) -> dict[str, int]:
    """Fill a new GeoPackage from the rows of ``raw``, by place and time; see `build`."""
    base.execute(KEPT)
    places = _make_places(base)
    base.execute(ARRANGED)
    for statement in GEOPACKAGE.split(";\n"):
        base.execute(statement)
    columns = [f"{'arranged' if name in ARRANGED_NAMES else 'raw'}.{name}" for name in NAMES]
    base.execute(
        f"INSERT INTO frames ({', '.join(NAMES)}) SELECT {', '.join(columns)} "  # noqa: S608
        "FROM arranged JOIN raw USING (number) ORDER BY arranged.place_id NULLS LAST, "
        "raw.time_utc NULLS LAST, number"
    )
    base.execute("CREATE INDEX frames_place ON frames (place_id)")
    frames, copies, nights = base.execute(
        "SELECT count(*), coalesce(sum(copies - 1), 0), "
        "count(DISTINCT night) FILTER (WHERE verdict = 'accepted') FROM frames"
    ).fetchone()
    summary = {"frames": frames, "copies": copies, "places": places, "nights": nights}
    areas: dict[str, dict[str, float]] = {}
    for division in BY:
        key = "''" if division == "all" else division
        rows = base.execute(
            f"SELECT {key} AS key, substr(geometry, 9) FROM frames "  # noqa: S608
            "WHERE verdict = 'accepted' AND geometry IS NOT NULL AND key IS NOT NULL ORDER BY key"
        )
        areas[division] = {
            value: area_seen_km2(geometry for _, geometry in group)
            for value, group in groupby(rows, lambda row: row[0])
        }
    told = {"version": FORMAT_VERSION, "summary": summary, "area_seen_km2": areas}
    time = parse_iso_time(changed)
    last_change = "1970-01-01T00:00:00.000Z" if time is None else iso_utc(time, "milliseconds")
    box = base.execute("SELECT min(west), min(south), max(east), max(north) FROM frames").fetchone()
    base.execute(
        "INSERT INTO gpkg_spatial_ref_sys VALUES ('WGS 84', 4326, 'EPSG', 4326, ?, NULL)",
        (CRS.from_epsg(4326).to_wkt("WKT1_GDAL"),),
    )
    base.execute(
        "INSERT INTO gpkg_contents VALUES ('frames', 'features', 'frames', "
        "'photos by place, quality and date', ?, ?, ?, ?, ?, 4326)",
        (last_change, *box),
    )
    base.execute(
        "INSERT INTO gpkg_metadata VALUES (1, 'dataset', ?, 'application/json', ?)",
        (FORMAT, json.dumps(told)),
    )
    base.execute(
        "INSERT INTO gpkg_metadata_reference VALUES ('geopackage', NULL, NULL, NULL, ?, 1, NULL)",
        (last_change,),
    )
    return summary


def area_seen_km2(footprints: Iterator[bytes]) -> float:
    """Ground area covered by at least one of many footprints (WKB), in cells of 100 km²."""
    import shapely
    from rasterio import Affine
    from rasterio.features import rasterize

    # A cylindrical equal-area projection, and the corner of the globe in it, metres
    project = Transformer.from_crs("OGC:CRS84", "EPSG:6933", always_xy=True).transform
    west_m, north_m, cell_m = -17_367_530.45, 7_314_540.83, 10_000.0
    seen = np.zeros((math.ceil(2.0 * north_m / cell_m), math.ceil(-2.0 * west_m / cell_m)), "u1")
    to_cells = Affine(cell_m, 0.0, west_m, 0.0, -cell_m, north_m)
    while some := list(islice(footprints, 4096)):
        shapes = shapely.transform(shapely.from_wkb(some), project, interleaved=False)
        rasterize(shapes, out=seen, transform=to_cells)
    return float(np.count_nonzero(seen)) * 100.0


def _make_places(base: sqlite3.Connection) -> int:
    """Create the table of the places' cells, the largest places first; returns their number."""
    base.execute(
        "CREATE TEMP TABLE places (cell INTEGER PRIMARY KEY, place_id INTEGER, place TEXT, "
        "place_country TEXT, place_lon REAL, place_lat REAL)"
    )
    shown = base.execute(
        "SELECT cell, look_lon, look_lat, city, country FROM kept JOIN raw USING (number) "
        "WHERE cell IS NOT NULL AND verdict = 'accepted' ORDER BY number"
    ).fetchall()
    if not shown:
        return 0
    of_frames, lon, lat = (np.array(column) for column in list(zip(*shown, strict=True))[:3])
    cells, number = np.unique(of_frames, return_inverse=True)
    axes = unit_vectors(lon, lat).T
    sums = np.stack([np.bincount(number, axis) for axis in axes], axis=1).astype(float)
    label = find_places(sums, np.bincount(number))
    towns: list[Counter[tuple[str, str | None]]] = [Counter() for _ in range(label.max() + 1)]
    for one, (*_, city, country) in zip(label[number].tolist(), shown, strict=True):
        if city is not None:
            towns[one][city, country] += 1
    frames = np.bincount(label[number])
    middles = np.stack([np.bincount(label, axis) for axis in sums.T], axis=1)
    place_lon, place_lat = measure_lonlat(middles).tolist()
    # Equal counts are sorted by the globe's cells, equal towns by their names
    first = np.unique(label, return_index=True)[1]
    for place_id, one in enumerate(np.lexsort((first, -frames)).tolist()):
        by_count = sorted(
            towns[one].items(), key=lambda item: (-item[1], item[0][0], item[0][1] or "\U0010ffff")
        )
        lon_lat = place_lon[one], place_lat[one]
        name, country = by_count[0][0] if by_count else (degrees_text(*lon_lat, digits=1), None)
        base.executemany(
            "INSERT INTO places VALUES (?, ?, ?, ?, ?, ?)",
            ((own, place_id, name, country, *lon_lat) for own in cells[label == one].tolist()),
        )
    return len(frames)


REACH_KM = 15.0  # maximum distance between neighbouring frames of one place
WIDEST_KM = 120.0  # maximum size of a place and its surroundings


def find_places(directions: FloatArray, frames: NDArray[np.integer]) -> NDArray[np.int64]:
    """Place number of each cell; a place is at most as wide as a city and its surroundings.

    Cells linked by short distances are one place (DBSCAN), or, if that is too wide, several places
    about its densest cells: the first centre has the most frames within `REACH_KM`; each further
    one is chosen in the same way among the cells that are farther away than half the maximum size.
    """
    from scipy.spatial import KDTree
    from sklearn.cluster import DBSCAN

    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    linked = DBSCAN(eps=chord(REACH_KM), min_samples=1).fit_predict(directions)
    labels = np.zeros(len(directions), np.int64)
    half, count = chord(WIDEST_KM / 2.0), 0
    for members in np.split(np.argsort(linked, kind="stable"), np.bincount(linked).cumsum()[:-1]):
        own, n_own = directions[members], frames[members]
        middle = n_own @ own
        if np.linalg.norm(own - middle / np.linalg.norm(middle), axis=1).max() <= half:
            labels[members] = count
        else:
            tree = KDTree(own)
            crowd = [n_own[near].sum() for near in tree.query_ball_point(own, chord(REACH_KM))]
            middles: list[int] = []
            free = np.ones(len(own), bool)
            for cell in np.argsort(np.negative(crowd), kind="stable").tolist():
                if free[cell]:
                    middles.append(cell)
                    free[tree.query_ball_point(own[cell], half)] = False
            labels[members] = count + KDTree(own[middles]).query(own)[1]
        count = int(labels[members].max()) + 1
    return labels


sqlite3.register_converter("BOOLEAN", lambda text: text == b"1")

Answer = tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]  # unique column names, and rows


def _shows(wkb: bytes | None, lon: float | None, lat: float | None) -> bool | None:
    """Whether a footprint, as well-known binary, contains a place."""
    import shapely

    if wkb is None or lon is None:
        return None
    return bool(shapely.intersects_xy(shapely.from_wkb(wkb), lon, lat))


class _Median(list[float]):
    """An aggregate function of SQL."""

    def step(self, value: float | None) -> None:
        """Take one more value."""
        if value is not None:
            self.append(value)

    def finalize(self) -> float | None:
        """Their median."""
        return statistics.median(self) if self else None


class Catalogue(AbstractContextManager["Catalogue"]):
    """A catalogue written by ``regengine catalogue build``, opened for queries.

    StoreError if the file is not a catalogue.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise StoreError(
                f"{path} does not exist: name a catalogue made with regengine catalogue build."
            )
        self.path = path
        address = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro"
        self._base = sqlite3.connect(
            address, uri=True, isolation_level=None, detect_types=sqlite3.PARSE_DECLTYPES
        )
        try:
            (text,) = self._base.execute(
                "SELECT metadata FROM gpkg_metadata WHERE md_standard_uri = ?", (FORMAT,)
            ).fetchone() or ("",)
            told = json.loads(text)
            # SQLite itself takes what is cut off the last page for zeros
            sizes = (self._base.execute(f"PRAGMA page_{one}") for one in ("count", "size"))
            if math.prod(size.fetchone()[0] for size in sizes) != path.stat().st_size:
                raise ValueError("its end is missing")
        except (sqlite3.Error, ValueError) as error:
            self._base.close()
            raise StoreError(
                f"{path} is not a catalogue, or is damaged: make one with regengine catalogue "
                "build."
            ) from error
        if told["version"] != FORMAT_VERSION:
            self._base.close()
            raise StoreError(f"{path} is a catalogue of version {told['version']}: build it again.")
        areas = told["area_seen_km2"]
        for name, count, function in (
            ("area_seen", 2, lambda division, key: areas[division].get(key)),
            ("cos_deg", 1, lambda deg: None if deg is None else math.cos(math.radians(deg))),
            ("fold", 1, lambda text: text and text.casefold()),
            ("shows", 3, _shows),
            ("away_m", 4, lambda *places: None if None in places else WGS84.inv(*places)[2]),
        ):
            self._base.create_function(name, count, function, deterministic=True)
        self._base.create_aggregate("median", 1, _Median)  # type: ignore[arg-type]
        self._show("main.frames", NAMES)

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def _show(self, rows: str, columns: Sequence[str]) -> None:
        """Make the view ``frames``, with footprints as well-known binary, and guard the rest."""
        shown = [AS_SHOWN.get(one, one) for one in columns]
        self._base.set_authorizer(None)
        self._base.execute("DROP VIEW IF EXISTS temp.frames")
        self._base.execute(
            f"CREATE TEMP VIEW frames AS SELECT {', '.join(shown)} FROM {rows}"  # noqa: S608
        )
        self._base.set_authorizer(guard_reading())

    def narrow(self, verdicts: Sequence[str], *, reviewed: bool, where: str | None) -> None:
        """Restrict the catalogue to frames that meet conditions, and rank within places again.

        The conditions are those of `regengine.frames.select.choose`; ConfigError if that on columns
        is not valid.
        """
        met = f"verdict IN ({', '.join(map(repr, verdicts))})"
        met += " AND decision = 'accepted'" if reviewed else ""
        if where is not None:
            met += f" AND {check_condition(self._base, where, NAMES)}"
            self._base.set_authorizer(guard_reading())
        best = (
            f"place_id IS NOT NULL AND month IS NOT NULL AND quality IS NOT NULL AND row_number() "
            f"OVER (PARTITION BY place_id, {each} ORDER BY quality DESC, taken_utc, "
            "store, frame_index) = 1"
            for each in ("month", "substr(month, 1, 4)")
        )
        rows = self._base.execute(
            f"SELECT fid, {', '.join(best)} FROM (SELECT fid, time_utc AS taken_utc, "  # noqa: S608
            f"{', '.join(AS_SHOWN.get(one, one) for one in NAMES)} FROM main.frames) WHERE {met}"
        ).fetchall()
        self._base.set_authorizer(None)
        self._base.execute(
            "CREATE TEMP TABLE met (fid INTEGER PRIMARY KEY, of_month BOOLEAN, of_year BOOLEAN)"
        )
        self._base.executemany("INSERT INTO met VALUES (?, ?, ?)", rows)
        anew = {f"best_{one}": f"{one} AS best_{one}" for one in ("of_month", "of_year")}
        self._show("temp.met JOIN main.frames USING (fid)", [anew.get(one, one) for one in NAMES])

    def ask(
        self, sql: str, values: Sequence[Any] | dict[str, Any] = (), *, of_user: bool = False
    ) -> Answer:
        """Run one statement on the view ``frames``.

        StoreError if the file is damaged; ConfigError if a query of a user fails, or is not a
        single SELECT statement.
        """
        asked = sql if of_user else None
        with self._raise_in_words(asked):
            found = self._base.execute(sql, values)
            if found.description is None:
                example = "SELECT place, count(*) FROM frames GROUP BY place"
                raise ConfigError(f'{sql!r} is not one query: write one such as "{example}".')
        names: list[str] = []
        for name, *_ in found.description:
            while name in names:
                name += "_1"
            names.append(name)

        def rows() -> Iterator[tuple[Any, ...]]:
            with self._raise_in_words(asked):
                # A cursor that is delegated to would be closed with the answer, after its database
                yield from iter(found.fetchone, None)

        return tuple(names), rows()

    @contextmanager
    def _raise_in_words(self, asked: str | None) -> Iterator[None]:
        """Convert SQLite's errors about a user's query, or about the file, to messages."""
        damage = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR)
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning, UnicodeEncodeError) as error:
            code = getattr(error, "sqlite_errorcode", None)
            if asked is None or (code is not None and code & 0xFF in damage):
                raise StoreError(
                    f"{self.path} cannot be read ({error}): build it again."
                ) from error
            why = find_unknown_column(str(error), NAMES) or str(error)
            raise ConfigError(
                f"{asked!r} cannot be run ({why}): docs/catalogue.md describes the columns."
            ) from error


# Rows whose footprint contains a place. Boxes across the antimeridian have their western edge
# beyond their eastern one
SHOWN = """geometry IS NOT NULL AND :lat BETWEEN south AND north AND CASE WHEN west <= east
    THEN :lon BETWEEN west AND east ELSE :lon >= west OR :lon <= east END
    AND shows(geometry, :lon, :lat)"""
# Rows that show a place, or are of one of that name or number, of a country, of a month or year;
# NULL asks for all
OF_PLACES = f"""place_id IS NOT NULL
    AND (:place IS NULL OR fold(place) = fold(:place) OR CAST(place_id AS TEXT) = :place
        OR ({SHOWN}))
    AND (:country IS NULL OR fold(place_country) = fold(:country))
    AND (:month IS NULL OR substr(month, 1, length(:month)) = :month)"""
PLACES = f"""
SELECT place_id, place, country, lon, lat, frames, nights, first_night, last_night, best_quality, (
    SELECT frame FROM frames WHERE frames.place_id = counted.place_id AND verdict = 'accepted'
        AND quality IS NOT NULL AND {OF_PLACES} ORDER BY quality DESC LIMIT 1
) AS best_frame
FROM (
    SELECT place_id, min(place) AS place, min(place_country) AS country,
        round(min(place_lon), 3) AS lon, round(min(place_lat), 3) AS lat,
        count(*) AS frames, count(DISTINCT night) AS nights,
        min(night) AS first_night, max(night) AS last_night,
        round(max(quality) FILTER (WHERE verdict = 'accepted'), 3) AS best_quality
    FROM frames WHERE {OF_PLACES}
    GROUP BY place_id ORDER BY frames DESC, place_id LIMIT :limit
) AS counted
"""  # noqa: S608
BEST = f"""
SELECT place_id, place, place_country AS country, month, frame,
    round(quality, 3) AS quality, round(sharpness, 3) AS sharpness,
    round(cloud, 3) AS cloud, round(off_nadir_deg, 1) AS off_nadir_deg,
    round(resolution_m, 1) AS resolution_m, time_utc, path
FROM frames WHERE best_of_month AND {OF_PLACES}
ORDER BY place_id, month LIMIT :limit
"""  # noqa: S608
# Pairs of frames of one place at different dates, the best pairs first. The score of a pair is the
# lower of the two qualities, times the share of ground that both cover (of the boxes around their
# footprints), times the similarity of their resolutions, times the cosine of the difference of
# their off-nadir angles. The difference should be due to the town, not the view (Li et al. 2019,
# Remote Sensing of Environment 233, 111357, on the apparent change of lights with the view angle).
CHANGES = """
WITH best AS MATERIALIZED (
    SELECT place_id, place, place_country AS country, frame, night, julianday(night) AS day,
        quality, off_nadir_deg, resolution_m, west,
        CASE WHEN west <= east THEN east - west ELSE east - west + 360.0 END AS width, south, north
    FROM frames WHERE {best} AND west IS NOT NULL AND {places}
), shifted AS (
    SELECT a.place_id, a.place, a.country, a.frame AS before, b.frame AS after,
        a.night AS night_before, b.night AS night_after, CAST(b.day - a.day AS INTEGER) AS days,
        a.quality AS quality_before, b.quality AS quality_after,
        min(a.quality, b.quality)
            * min(a.resolution_m / b.resolution_m, b.resolution_m / a.resolution_m)
            * cos_deg(a.off_nadir_deg - b.off_nadir_deg) AS alike,
        b.west - a.west + CASE WHEN b.west - a.west >= 180.0 THEN -360.0
            WHEN b.west - a.west < -180.0 THEN 360.0 ELSE 0.0 END AS shift,
        a.width AS wide, b.width AS other_wide,
        max(min(a.north, b.north) - max(a.south, b.south), 0.0) AS high,
        a.width * (a.north - a.south) + b.width * (b.north - b.south) AS both
    FROM best a JOIN best b ON a.place_id = b.place_id AND b.day >= a.day + :least_days
), pairs AS (
    SELECT *, high * max(min(wide, shift + other_wide) - max(0.0, shift), 0.0) AS common
    FROM shifted
)
SELECT place_id, place, country, before, after, night_before, night_after, days,
    round(common / (both - common), 3) AS overlap, round(quality_before, 3) AS quality_before,
    round(quality_after, 3) AS quality_after, round(alike * common / (both - common), 4) AS score
FROM pairs WHERE common > 0.0
ORDER BY alike * common / (both - common) DESC, place_id, night_before, night_after LIMIT :limit
"""
# ``frames`` are of any verdict; all else is of the accepted ones, ``area_seen_km2`` being ground
# that at least one of them shows
COVERAGE = """
SELECT {named} count(*) AS frames, count(*) FILTER (WHERE verdict = 'accepted') AS accepted,
    count(DISTINCT night) FILTER (WHERE verdict = 'accepted') AS nights,
    count(DISTINCT place_id) FILTER (WHERE verdict = 'accepted') AS places,
    area_seen(:by, {key}) AS area_seen_km2,
    min(night) FILTER (WHERE verdict = 'accepted') AS first_night,
    max(night) FILTER (WHERE verdict = 'accepted') AS last_night,
    round(median(quality) FILTER (WHERE verdict = 'accepted'), 3) AS median_quality
FROM frames {grouped}
"""
_OF_PLACES = ("place", "country", "verdict", "reviewed", "where")
VIEWS = {  # and their options besides the limit
    "places": (*_OF_PLACES, "month"),
    "best": (*_OF_PLACES, "month"),
    "coverage": ("by",),
    "changes": (*_OF_PLACES, "by", "least-days"),
}
BY = ("all", "country", "month", "lens")


def write_view(
    view: str, by: str | None = None, *, least_days: int = 180, **of_places: Any
) -> tuple[str, dict[str, Any]]:
    """Write one of `VIEWS` in SQL, with its values; ConfigError if they make no sense.

    Coverage has one row, or one ``by`` country, month or lens. Changes are pairs of the best frames
    ``by`` year, or, for one place, by month, at least so many days apart. The others are the
    ``place``, ``country``, ``month`` and ``limit`` of rows.
    """
    if (limit := of_places.get("limit", 0)) < 0:
        raise ConfigError(f"--limit {limit}: give the maximum number of rows, or 0 for all.")
    if by is not None:
        check_known("--by", (by,), BY if view == "coverage" else ("year", "month"))
    values = dict.fromkeys(("place", "country", "month", "lon", "lat")) | of_places
    values["limit"] = limit or -1
    name = values["place"] or ""
    for town in [] if name.isdecimal() else place_index().search(name, 1):
        values |= {"lon": town.lon, "lat": town.lat}
    if view in ("places", "best"):
        return (PLACES if view == "places" else BEST), values
    if view == "coverage":
        if by in (None, "all"):
            return COVERAGE.format(named="", key="''", grouped=""), {"by": "all"}
        order = f"{by} NULLS LAST" if by == "month" else f"accepted DESC, {by} NULLS LAST"
        grouped = f"GROUP BY {by} ORDER BY {order}"
        return COVERAGE.format(named=f"{by},", key=by, grouped=grouped), {"by": by}
    if by == "month" and values["place"] is None:
        raise ConfigError("--by month needs --place; without a place, compare years.")
    if least_days < 1:
        raise ConfigError(f"--least-days {least_days}: give at least one day.")
    sql = CHANGES.format(best=f"best_of_{by or 'year'}", places=OF_PLACES)
    return sql, values | {"least_days": least_days}


FORMS = ("table", "csv", "json")
WIDEST = 60  # maximum characters of a table's column


def format_lines(answer: Answer, form: str) -> Iterator[str]:
    """Format a result as lines of a ``table``, of ``csv`` or of ``json``.

    Lines contain no line breaks except within a cell of CSV. ConfigError for other forms.
    """
    check_known("--format", (form,), FORMS)
    names, rows = answer

    def as_text(value: Any) -> Any:
        return value.hex() if isinstance(value, bytes) else value

    told = (dict(zip(names, map(as_text, row), strict=True)) for row in rows)
    if form == "json":
        yield from (json.dumps(plain(row, str)) for row in told)
        return
    plain_rows = (plain(row, str) for row in told)
    if form == "csv":
        yield from csv_lines([[name_cell(name) for name in names]])
        yield from csv_lines([cell(*item) for item in row.items()] for row in plain_rows)
        return

    def shorten(value: Any) -> str:
        if value is None or isinstance(value, bool):
            return "" if value is None else str(value).lower()
        text = shorten_to_line(str(value))
        return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"

    first = list(islice(plain_rows, 1000))  # they determine the column widths
    forms = []
    for name in names:
        column = [row[name] for row in first]
        width = min(max([len(name), *(len(shorten(value)) for value in column)]), WIDEST)
        # Numbers are right-aligned
        numbers = column and all(value is None or type(value) in (int, float) for value in column)
        forms.append(f"{'>' if numbers else '<'}{width}")
    cells = (map(shorten, row.values()) for row in chain(first, plain_rows))
    for texts in chain([names], cells):
        yield "  ".join(map(format, texts, forms)).rstrip()
