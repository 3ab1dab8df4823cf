"""From rows as they came to the catalogue: each photo once, places, the best of each month, order.

DuckDB does it on disk, within `MEMORY`; only what is a few numbers a row, or a row of each cell of
the globe, is in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray
from regengine.collection.catalogue.ground import AREAS, AreaSeen
from regengine.collection.catalogue.table import GEOMETRY, NAMES, ROWS, file_metadata
from regengine.places import chord, place_index
from regengine.records import degrees_text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Labels = NDArray[np.int64]

MEMORY = "512MB"
THREADS = 2
BATCH = 8192

# Of one photo counts what a person decided last, then what the engine is surest of
KEPT = """
CREATE TABLE kept AS
SELECT number, cell, verdict, centre_lon, centre_lat, time_utc, month, night, quality, copies,
    verdict = 'accepted' AND month IS NOT NULL AND quality IS NOT NULL AS judged
FROM (
    SELECT *, coalesce(sha256, 'row ' || number) AS photo,
        count(*) OVER (PARTITION BY photo) AS copies,
        row_number() OVER (PARTITION BY photo ORDER BY
            decision IS NULL, reviewed_utc DESC NULLS LAST,
            CASE verdict WHEN 'accepted' THEN 0 WHEN 'review' THEN 1 WHEN 'no_match' THEN 2
                ELSE 3 END,
            probability DESC NULLS LAST, number DESC) AS rank
    FROM (SELECT number, sha256, cell, verdict, decision, reviewed_utc, probability, centre_lon,
        centre_lat, time_utc, month, night, quality FROM raw)
)
WHERE rank = 1
"""

# Cells of frames whose place is sure, with the mean direction of what is in them
CELLS = """
SELECT cell, count(*) AS frames,
    sum(cos(radians(centre_lat)) * cos(radians(centre_lon))) AS x,
    sum(cos(radians(centre_lat)) * sin(radians(centre_lon))) AS y,
    sum(sin(radians(centre_lat))) AS z
FROM kept WHERE cell >= 0 AND verdict = 'accepted' GROUP BY cell ORDER BY cell
"""

# Frames to be reviewed belong to the place in whose cells they lie, if there is one
ARRANGED = """
CREATE TABLE arranged AS
SELECT number, copies, places.*, time_utc,
    coalesce(best.of_month, false) AS best_of_month, coalesce(best.of_year, false) AS best_of_year
FROM kept LEFT JOIN cell_places USING (cell) LEFT JOIN places USING (place_id)
LEFT JOIN (
    SELECT number,
        row_number() OVER (PARTITION BY place_id, month ORDER BY quality DESC, number) = 1
            AS of_month,
        row_number() OVER (PARTITION BY place_id, left(month, 4) ORDER BY quality DESC, number) = 1
            AS of_year
    FROM kept JOIN cell_places USING (cell) WHERE judged
) AS best USING (number)
"""

WRITTEN = """
COPY (
    SELECT $columns FROM raw JOIN arranged USING (number)
    ORDER BY place_id NULLS LAST, arranged.time_utc NULLS LAST, number
) TO $out (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE $rows, KV_METADATA {$metadata})
"""
DIVISIONS = ("country", "month", "lens")  # of coverage
PLACE = ("place_id", "place", "place_country", "place_lon", "place_lat")


@dataclass(frozen=True, kw_only=True)
class Arranged:
    """What there is in a catalogue: rows, places, nights with frames that are accepted.

    ``copies`` are frames of the stores that were left out, being of a photo of another row.
    """

    frames: int
    copies: int
    places: int
    nights: int


def arrange(raw: Path, out: Path) -> Arranged:
    """Make a catalogue of the rows of `build.write_raw`, in a new file.

    What DuckDB has no memory for is put beside them.
    """
    with _base(raw) as base:
        base.execute(KEPT)
        places = _make_places(base)
        base.execute(ARRANGED)
        frames, copies = base.sql(
            "SELECT count(*), coalesce(sum(copies - 1), 0) FROM kept"
        ).fetchall()[0]
        asked = "SELECT count(DISTINCT night) FROM kept WHERE verdict = 'accepted'"
        nights = base.sql(asked).fetchall()[0][0]
        areas = _areas(base, raw, frames + int(copies))
        told = Arranged(frames=frames, copies=int(copies), places=places, nights=nights)
        summary = {"regengine.summary": json.dumps(vars(told)), AREAS: json.dumps(areas)}
        _write(base, out, file_metadata() | summary)
    return told


def _make_places(base: DuckDBPyConnection) -> int:
    """Tables of places, the ones with most frames first, and of the cells that they have."""
    import pyarrow as pa

    cells = base.sql(CELLS).fetchnumpy()
    sums = np.stack([np.asarray(cells[name], float) for name in "xyz"], axis=1)
    frames = np.asarray(cells["frames"], np.int64)
    length = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    labels = cluster(sums / length, frames)
    count = int(labels.max()) + 1 if len(labels) else 0
    # By how many frames they have; of as many, in the order of the globe's cells
    size = np.bincount(labels, frames, count)
    first = np.full(count, len(labels))
    np.minimum.at(first, labels, np.arange(len(labels)))
    order = np.lexsort([first, -size])
    number = np.empty(count, np.int64)
    number[order] = np.arange(count)
    middle = np.stack([np.bincount(labels, sums[:, k], count) for k in range(3)], axis=1)[order]
    lon = np.degrees(np.arctan2(middle[:, 1], middle[:, 0]))
    lat = np.degrees(np.arctan2(middle[:, 2], np.hypot(middle[:, 0], middle[:, 1])))
    names, countries = place_titles(lon, lat)
    columns = dict(zip(PLACE, (np.arange(count), names, countries, lon, lat), strict=True))
    text = {"place": pa.string(), "place_country": pa.string()}
    places = pa.table({name: pa.array(value, text.get(name)) for name, value in columns.items()})
    held = pa.table({"cell": np.asarray(cells["cell"], np.int64), "place_id": number[labels]})
    for name, table in (("places", places), ("cell_places", held)):
        base.register(f"new_{name}", table)
        base.execute(f"CREATE TABLE {name} AS FROM new_{name}")
        base.unregister(f"new_{name}")
    return count


def _write(base: DuckDBPyConnection, out: Path, metadata: dict[str, str]) -> None:
    """The rows of photos by place and time, in groups."""
    made = {*PLACE, "copies", "best_of_month", "best_of_year"}
    columns = ", ".join(f"{'arranged' if name in made else 'raw'}.{name}" for name in NAMES)
    pairs = [(_quoted(key, '"'), _quoted(text)) for key, text in metadata.items()]
    told = ", ".join(f"{key}: {text}" for key, text in pairs)
    base.execute(
        WRITTEN.replace("$columns", columns)
        .replace("$rows", str(ROWS))
        .replace("$metadata", told)
        .replace("$out", _quoted(str(out)))
    )


def _areas(base: DuckDBPyConnection, raw: Path, rows: int) -> dict[str, dict[str, float]]:
    """Ground that accepted frames show, by country, month and lens."""
    from pyarrow import parquet

    counts = np.zeros(rows, bool)
    accepted = base.sql("SELECT number FROM kept WHERE verdict = 'accepted'").fetchnumpy()
    counts[np.asarray(accepted["number"], np.int64)] = True
    seen = AreaSeen()
    with parquet.ParquetFile(raw) as file:
        for batch in file.iter_batches(BATCH, columns=["number", GEOMETRY, *DIVISIONS]):
            for row in batch.to_pylist():
                if counts[row["number"]] and row[GEOMETRY] is not None:
                    keys = [(name, row[name]) for name in DIVISIONS if row[name] is not None]
                    seen.add(row[GEOMETRY], [("all", ""), *keys])
    return seen.areas_km2()


def _quoted(text: str, mark: str = "'") -> str:
    return mark + text.replace(mark, 2 * mark) + mark


@contextmanager
def _base(raw: Path) -> Iterator[DuckDBPyConnection]:
    """A database beside a file, which it has as ``raw``."""
    import duckdb

    with duckdb.connect(":memory:") as base:
        base.execute("SET TimeZone = 'UTC'")
        base.execute("SET enable_progress_bar = false")
        base.execute(f"SET memory_limit = '{MEMORY}'")
        base.execute(f"SET temp_directory = {_quoted(str(raw.parent / 'spilt'))}")
        base.execute(f"SET threads = {THREADS}")  # each takes memory
        base.execute("SET preserve_insertion_order = false")  # as does order nobody asked for
        base.execute("SET enable_geoparquet_conversion = false")
        base.execute("SET python_enable_replacements = false")
        base.read_parquet(str(raw)).create_view("raw")
        yield base


# Places: clusters of cells of a globe that is cut into cells of about the same size; what lies in
# one cell is of one place.

REACH_KM = 15.0  # from frame to frame of one place
WIDEST_KM = 120.0  # a place and its surroundings
LEAST_APART_KM = 30.0  # middles of places that touch
STEP = 1.5  # from one density to the next
CELL_KM = 5.0
CELL_ROWS = round(np.pi * EARTH_RADIUS_KM / CELL_KM)
MOST = 1 << 20  # more than a row has


def cell_of(lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.int64]:
    """Numbers of the cells of places."""
    lon, lat = np.asarray(lon_deg, float), np.asarray(lat_deg, float)
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = np.where(known, lon, 0.0), np.where(known, lat, 0.0)
    row = np.clip(((lat + 90.0) / 180.0 * CELL_ROWS).astype(np.int64), 0, CELL_ROWS - 1)
    across = np.maximum(np.round(2.0 * CELL_ROWS * np.sin((row + 0.5) / CELL_ROWS * np.pi)), 1.0)
    column = ((lon / 360.0 % 1.0) * across).astype(np.int64) % across.astype(np.int64)
    return np.where(known, row * MOST + column, -1)


def cluster(directions: FloatArray, frames: NDArray[np.int64]) -> Labels:
    """Number of the place of each cell: places are no wider than a city and what belongs to it."""
    labels = np.full(len(directions), -1, np.int64)
    places: list[Labels] = []
    for members in _clusters(np.arange(len(directions)), directions, frames, 1):
        places += _places(members, directions, frames)
    for number, members in enumerate(places):
        labels[members] = number
    return labels


def _clusters(
    cells: Labels, directions: FloatArray, frames: NDArray[np.int64], least: int
) -> list[Labels]:
    """The clusters of some cells at a density."""
    if not len(cells):
        return []
    found = dbscan(directions[cells], frames[cells], least)
    order = np.argsort(found, kind="stable")
    bounds = np.searchsorted(found[order], np.arange(int(found.max()) + 2))
    return [cells[order[i:j]] for i, j in pairwise(bounds)]


def _places(cells: Labels, directions: FloatArray, frames: NDArray[np.int64]) -> list[Labels]:
    """One cluster as it is, or, where it is too wide, its parts about its crowded middles."""
    if width_km(directions[cells]) <= WIDEST_KM:
        return [cells]
    kept = np.array(
        [_middle(directions[core], frames[core]) for core in _apart(cells, directions, frames)]
    )
    near, far = _nearest(directions[cells], kept)
    places = [cells[(near == number) & ~far] for number in range(len(kept))]
    for rest in _clusters(cells[far], directions, frames, 1):
        places += _cut(rest, directions, frames)
    return [members for members in places if len(members)]


def _apart(cells: Labels, directions: FloatArray, frames: NDArray[np.int64]) -> list[Labels]:
    """Crowded middles of a cluster that is too wide, the most crowded first, far enough apart."""
    narrow: list[Labels] = []
    wide, least = [cells], 1
    while wide:
        least = max(least + 1, round(least * STEP))
        found = [part for one in wide for part in _clusters(one, directions, frames, least)]
        wide = [part for part in found if width_km(directions[part]) > WIDEST_KM]
        narrow += [part for part in found if width_km(directions[part]) <= WIDEST_KM]
    narrow.sort(key=lambda part: -int(frames[part].sum()))
    kept: list[Labels] = []
    middles = np.empty((0, 3))
    for part in narrow:
        middle = _middle(directions[part], frames[part])
        if not len(kept) or np.linalg.norm(middles - middle, axis=1).min() > chord(LEAST_APART_KM):
            kept.append(part)
            middles = np.vstack([middles, middle])
    return kept or [cells]


def _cut(cells: Labels, directions: FloatArray, frames: NDArray[np.int64]) -> list[Labels]:
    """What is too wide and nowhere crowded, in pieces about the cells with the most frames."""
    pieces = []
    while len(cells):
        first = directions[cells[np.argmax(frames[cells])]]
        _, far = _nearest(directions[cells], first[None])
        pieces.append(cells[~far])
        cells = cells[far]
    return pieces


def _nearest(directions: FloatArray, middles: FloatArray) -> tuple[Labels, NDArray[np.bool_]]:
    """The nearest middle of each direction, and whether it is too far for one place."""
    from scipy.spatial import KDTree

    straight, near = KDTree(middles).query(directions)
    return np.asarray(near, np.int64), straight > chord(WIDEST_KM / 2.0)


def _middle(directions: FloatArray, frames: NDArray[np.int64]) -> FloatArray:
    """Mean direction of frames."""
    middle = frames @ directions
    return np.asarray(middle / max(float(np.linalg.norm(middle)), 1e-12), np.float64)


def dbscan(directions: FloatArray, frames: NDArray[np.int64], least: int) -> Labels:
    """DBSCAN of cells that count as often as they have frames; -1 for those that are in none."""
    from sklearn.cluster import DBSCAN

    lat = np.arcsin(np.clip(directions[:, 2], -1.0, 1.0))
    lon = np.arctan2(directions[:, 1], directions[:, 0])
    found = DBSCAN(
        eps=REACH_KM / EARTH_RADIUS_KM,
        min_samples=least,
        metric="haversine",
        algorithm="ball_tree",
    ).fit(np.stack([lat, lon], axis=1), sample_weight=frames)
    return np.asarray(found.labels_, np.int64)


def width_km(directions: FloatArray) -> float:
    """Twice the farthest distance from the middle of directions, kilometres."""
    middle = directions.mean(axis=0)
    middle /= max(float(np.linalg.norm(middle)), 1e-12)
    straight = np.linalg.norm(directions - middle, axis=1).max()
    return 4.0 * EARTH_RADIUS_KM * float(np.arcsin(min(straight / 2.0, 1.0)))


def place_titles(
    lon_deg: NDArray[np.float64], lat_deg: NDArray[np.float64]
) -> tuple[list[str], list[str | None]]:
    """Names of places, after the nearest city or, far from all, where they are; their countries."""
    index = place_index()
    near = [index.place(number) for number in index.nearest_of(lon_deg, lat_deg).tolist()]
    names = [
        degrees_text(lon, lat, digits=1) if town is None else town.name
        for town, lon, lat in zip(near, lon_deg.tolist(), lat_deg.tolist(), strict=True)
    ]
    return names, [None if town is None else town.country for town in near]
