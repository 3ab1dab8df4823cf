"""Build a catalogue from stores: read frame by frame, arranged on disk, written atomically.

DuckDB arranges raw rows into unique photos, places and the best of each month, within `SETTINGS`.
Only a few numbers per row, and one row per cell of the globe, are in memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detectors.constants import KM_PER_DEGREE
from detectors.types import FloatArray
from regengine.errors import ConfigError, StoreError
from regengine.frames.catalogue.quality import (
    ABSURD,
    AREAS,
    NOTHING_SEEN,
    PictureFacts,
    area_km2,
    area_seen_km2,
    quality_score,
    resolution_m,
    simplify,
)
from regengine.frames.catalogue.table import (
    NAMES,
    ROWS,
    arrow_schema,
    file_metadata,
    need_packages,
)
from regengine.frames.columns import FRAME_COLUMNS, none_if_unknown
from regengine.frames.footprint import as_shape, rings_bbox
from regengine.frames.frame import ExportFrame, as_block, make_engine_frame, with_review
from regengine.io.atomic import check_new_file, raise_as_store_error, replace_files
from regengine.io.plain import make_printable
from regengine.io.times import parse_iso_time
from regengine.maps.places import chord
from regengine.store.read import Snapshot, iter_frames
from regengine.store.records import degrees_text
from regengine.store.reviews import read_reviews

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


SETTINGS = (
    "TimeZone = 'UTC'",
    "enable_progress_bar = false",
    "memory_limit = '512MB'",
    "threads = 2",  # each thread needs memory
    "preserve_insertion_order = false",  # preserving the order needs memory, too
    "enable_geoparquet_conversion = false",
    "python_enable_replacements = false",
)
BATCH = 8192
CELL_DEG = 5.0 / KM_PER_DEGREE  # side of a cell: frames in one cell belong to one place

# Duplicates of a photo: a person's latest decision takes precedence, then the engine's highest
# probability. A night extends from one mean solar noon to the next, so that photos before and after
# midnight, and on both sides of the date line, belong to one; its date is that of its evening.
KEPT = f"""
CREATE TABLE kept AS
SELECT file_row_number AS number, verdict, look_lon, look_lat, time_utc, quality, copies,
    round(look_lat / {CELL_DEG}) AS row,
    1e6 * row + round(look_lon * cos(radians({CELL_DEG} * row)) / {CELL_DEG}) AS cell,
    (time_utc + to_seconds(240.0 * coalesce(look_lon, nadir_lon) - 43200.0))::DATE AS night,
    strftime(night, '%Y-%m') AS month,
    verdict = 'accepted' AND month IS NOT NULL AND quality IS NOT NULL AS judged
FROM (
    SELECT *, coalesce(sha256, 'row ' || file_row_number) AS photo,
        count(*) OVER (PARTITION BY photo) AS copies,
        row_number() OVER (PARTITION BY photo ORDER BY
            decision IS NULL, reviewed_utc DESC NULLS LAST,
            CASE verdict WHEN 'accepted' THEN 0 WHEN 'review' THEN 1 WHEN 'no_match' THEN 2
                ELSE 3 END,
            probability DESC NULLS LAST, file_row_number DESC) AS rank
    FROM (SELECT file_row_number, sha256, verdict, decision, reviewed_utc, probability, nadir_lon,
        look_lon, look_lat, time_utc, quality FROM raw)
)
WHERE rank = 1
"""  # noqa: S608

# Cells of frames with a certain position, and the mean direction of their frames
CELLS = """
SELECT cell, count(*) AS frames,
    sum(cos(radians(look_lat)) * cos(radians(look_lon))) AS x,
    sum(cos(radians(look_lat)) * sin(radians(look_lon))) AS y,
    sum(sin(radians(look_lat))) AS z
FROM kept WHERE cell IS NOT NULL AND verdict = 'accepted' GROUP BY cell ORDER BY cell
"""

# Towns that these frames show
TOWNS = """
SELECT cell, city AS place, country AS place_country, count(*) AS frames
FROM kept JOIN raw ON file_row_number = number
WHERE cell IS NOT NULL AND kept.verdict = 'accepted' AND city IS NOT NULL GROUP BY ALL ORDER BY ALL
"""

# Frames to be reviewed belong to the place of the cell they lie in, if there is one
ARRANGED = """
CREATE TABLE arranged AS
SELECT number, copies, places.* EXCLUDE (cell), time_utc, night, month,
    coalesce(best.of_month, false) AS best_of_month, coalesce(best.of_year, false) AS best_of_year
FROM kept LEFT JOIN places USING (cell)
LEFT JOIN (
    SELECT number,
        row_number() OVER (PARTITION BY place_id, month ORDER BY quality DESC, number) = 1
            AS of_month,
        row_number() OVER (PARTITION BY place_id, left(month, 4) ORDER BY quality DESC, number) = 1
            AS of_year
    FROM kept JOIN places USING (cell) WHERE judged
) AS best USING (number)
"""
SUMMARY = """
SELECT count(*) AS frames, coalesce(sum(copies - 1), 0)::BIGINT AS copies,
    count(DISTINCT night) FILTER (verdict = 'accepted') AS nights FROM kept
"""
SEEN = """
SELECT {key} AS key, geometry FROM raw JOIN kept ON file_row_number = number
WHERE kept.verdict = 'accepted' AND geometry IS NOT NULL AND key IS NOT NULL ORDER BY key
"""
WRITTEN = """
COPY (
    SELECT {columns} FROM raw JOIN arranged ON file_row_number = number
    ORDER BY place_id NULLS LAST, arranged.time_utc NULLS LAST, number
) TO $out (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {rows}, KV_METADATA $metadata)
"""
DIVISIONS = {
    "all": "''",
    "country": "raw.country",
    "lens": "raw.lens",
    "month": "kept.month",
}  # of coverage


def arrange(raw: Path, out: Path) -> dict[str, int]:
    """Create a catalogue from the rows that `build` wrote, in a new file; see there.

    DuckDB's temporary files are in the same folder.
    """
    import duckdb

    with duckdb.connect(":memory:") as base:
        for setting in SETTINGS:
            base.execute(f"SET {setting}")
        base.execute("SET temp_directory = $spilt", {"spilt": str(raw.parent / "spilt")})
        base.read_parquet(str(raw), file_row_number=True).create_view("raw")
        base.execute(KEPT)
        places = _make_places(base)
        base.execute(ARRANGED)
        frames, copies, nights = base.sql(SUMMARY).fetchall()[0]
        arranged = {"frames": frames, "copies": copies, "places": places, "nights": nights}
        areas: dict[str, dict[str, float]] = {}
        for division, key in DIVISIONS.items():
            batches = base.sql(SEEN.format(key=key)).to_arrow_reader(BATCH)
            rows = (
                row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True)
            )
            areas[division] = {
                value: area_seen_km2(geometry for _, geometry in group)
                for value, group in groupby(rows, lambda row: row[0])
            }
        metadata = {"regengine.summary": json.dumps(arranged), AREAS: json.dumps(areas)}
        of_arranged = set(base.table("arranged").columns)
        columns = [f"{'arranged' if name in of_arranged else 'raw'}.{name}" for name in NAMES]
        base.execute(
            WRITTEN.format(columns=", ".join(columns), rows=ROWS),
            {"out": str(out), "metadata": file_metadata() | metadata},
        )
    return arranged


def _make_places(base: DuckDBPyConnection) -> int:
    """Create the view of the places' cells, the largest places first; returns their number."""
    import pandas as pd

    cells = base.sql(CELLS).df()
    cells["label"] = find_places(cells[["x", "y", "z"]].to_numpy(), cells["frames"].to_numpy())
    places = cells.groupby("label", as_index=False).agg(
        {"frames": "sum", "cell": "min", "x": "sum", "y": "sum", "z": "sum"}
    )
    # Equal counts are sorted by the globe's cells
    places = places.sort_values(["frames", "cell"], ascending=[False, True], ignore_index=True)
    lon = np.degrees(np.arctan2(places["y"], places["x"]))
    lat = np.degrees(np.arctan2(places["z"], np.hypot(places["x"], places["y"])))
    towns = base.sql(TOWNS).df().merge(cells[["cell", "label"]], on="cell")
    towns = towns.groupby(["label", "place", "place_country"], as_index=False, dropna=False)[
        "frames"
    ].sum()
    towns = towns.sort_values("frames", ascending=False, kind="stable").drop_duplicates("label")
    places = places[["label"]].assign(place_id=places.index, place_lon=lon, place_lat=lat)
    places = places.merge(towns.drop(columns="frames"), on="label", how="left")
    named = [degrees_text(*place, digits=1) for place in zip(lon, lat, strict=True)]
    places["place"] = places["place"].fillna(pd.Series(named, dtype="object"))
    table = cells[["cell", "label"]].merge(places, on="label").drop(columns="label")
    base.from_df(table).create("places")
    return len(places)


# Places are clusters of cells of a globe that is divided into cells of about the same size; frames
# in one cell belong to one place.

REACH_KM = 15.0  # maximum distance between neighbouring frames of one place
WIDEST_KM = 120.0  # maximum size of a place and its surroundings


def find_places(directions: FloatArray, frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place number of each cell; a place is at most as wide as a city and its surroundings.

    Cells linked by short distances are one place (DBSCAN), or, if that is too wide, several places
    about its densest cells.
    """
    from sklearn.cluster import DBSCAN

    labels = np.zeros(len(directions), np.int64)
    if not len(directions):
        return labels
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    linked = DBSCAN(eps=chord(REACH_KM), min_samples=1).fit_predict(directions)
    count = 0
    for members in np.split(np.argsort(linked, kind="stable"), np.bincount(linked).cumsum()[:-1]):
        labels[members] = count + _nearest_middle(directions[members], frames[members])
        count = int(labels[members].max()) + 1
    return labels


def _nearest_middle(directions: FloatArray, frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the nearest dense centre; at most half the maximum size of a place away.

    The first centre has the most frames within `REACH_KM`; each further centre is chosen in the
    same way among the frames that are farther away than that.
    """
    from scipy.spatial import KDTree

    half = chord(WIDEST_KM / 2.0)
    middle = frames @ directions
    if np.linalg.norm(directions - middle / np.linalg.norm(middle), axis=1).max() <= half:
        return np.zeros(len(directions), np.int64)
    tree = KDTree(directions)
    crowd = [frames[near].sum() for near in tree.query_ball_point(directions, chord(REACH_KM))]
    middles: list[int] = []
    free = np.ones(len(directions), bool)
    for cell in np.argsort(np.negative(crowd), kind="stable").tolist():
        if free[cell]:
            middles.append(cell)
            free[tree.query_ball_point(directions[cell], half)] = False
    return np.asarray(KDTree(directions[middles]).query(directions)[1], np.int64)


Row = dict[str, Any]
# Columns with the same meaning as in ``--table frames``
SAME = (
    "frame", "sha256", "frame_index", "path", "verdict", "probability", "decision", "reviewer",
    "category", "category_probability", "camera_body", "focal_mm", "width_px", "height_px",
    "sigma_m", "residual_px", "held_out_residual_px", "matched_lights", "ncc", "quality",
    "time_utc",
)  # fmt: skip
EXPORTED = [column for column in FRAME_COLUMNS if column.name in SAME]
BLOCK_FRAMES = 256  # footprints are computed and rows are written in blocks of this size


def make_catalogue_row(frame: ExportFrame, seen: PictureFacts) -> Row:
    """Catalogue row of a frame from its store and photo.

    Columns that depend on other frames are not included.
    """
    row: Row = {column.name: none_if_unknown(column.value(frame, 0)) for column in EXPORTED}
    row |= {
        "rating": row["quality"],
        "reviewed_utc": None if frame.review is None else frame.review.time_utc,
        "store": str(frame.store.absolute()),
        "time_utc": parse_iso_time(row["time_utc"] or ""),
        "lens": None if row["focal_mm"] is None else f"{row['focal_mm']:.0f} mm",
        **vars(seen),
    }
    if frame.review is None or frame.review.decision != "rejected":
        row |= _describe_view(frame)
    measured = ("sharpness", "cloud", "off_nadir_deg", "altitude_km", "resolution_m")
    row["quality"] = quality_score(**{name: row.get(name) for name in measured})
    return {
        name: make_printable(value) if isinstance(value, str) else value
        for name, value in row.items()
    }


def _describe_view(frame: ExportFrame) -> Row:
    """View geometry of a frame; empty if its camera is not valid."""
    camera, stance = frame.camera, frame.stance
    if camera is None or stance is None:
        start = frame.result.nadir
        if start is None:
            return {}
        place = {"nadir_lon": start.lon, "nadir_lat": start.lat, "altitude_km": start.altitude_km}
        return {name: _finite(value) for name, value in place.items()}
    try:
        row: Row = {
            "centre_lon": _finite(stance["centre_lon"]),
            "centre_lat": _finite(stance["centre_lat"]),
            **dict(zip(("look_lon", "look_lat"), map(_finite, frame.looked_at), strict=True)),
            "off_nadir_deg": _finite(stance["off_nadir_deg"]),
            "nadir_lon": _finite(stance["camera_lon"]),
            "nadir_lat": _finite(stance["camera_lat"]),
            "altitude_km": _finite(stance["camera_altitude_km"]),
            "resolution_m": resolution_m(camera),
            **vars(frame.shown),
        }
        if rings := frame.footprint:
            shape = as_shape(rings)
            row |= zip(("west", "south", "east", "north"), rings_bbox(rings) or (), strict=True)
            row |= {"area_km2": area_km2(shape), "geometry": simplify(shape).wkb}
    except ABSURD:
        return {}
    return row


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def check_out(out: Path, force: bool) -> None:
    """ConfigError, before anything is read, unless the catalogue can be written."""
    need_packages()
    check_new_file(out, (".parquet", ".geoparquet"), force=force)


def count_frames(stores: Sequence[Path]) -> int:
    """Total number of frames of stores.

    Raises StoreError if one of them is not a store. Raises ConfigError if one is named twice.
    """
    places = [store.resolve() for store in stores]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise ConfigError(f"{stores[number]} is named twice: name each store once.")
    total = 0
    for store in stores:
        with Snapshot(store) as snapshot:
            total += len(snapshot.frame_index)
    return total


def build(
    stores: Sequence[Path],
    out: Path,
    *,
    look: Callable[[ExportFrame], PictureFacts] = lambda frame: NOTHING_SEEN,
    advance: Callable[[], object] = lambda: None,
) -> dict[str, int]:
    """Build a catalogue of stores, which runs may be writing; an existing file is replaced.

    ``look`` returns measurements of a frame's photo; ``advance`` is called after each frame.

    Returns the numbers of ``frames``, their ``places``, and ``nights`` with accepted frames, and of
    ``copies``: frames of the stores that were excluded as duplicates of another row's photo.

    Raises StoreError if a store cannot be read, or the catalogue cannot be written.
    """
    import duckdb
    import pyarrow as pa
    from pyarrow import parquet

    def frames(store: Path) -> Iterator[ExportFrame]:
        reviews = read_reviews(store)
        for stored in iter_frames(store):
            yield with_review(make_engine_frame(stored, store), reviews.get(stored.frame_index))

    # The ground looked at, of a photo whose centre is sky the nearest to it, makes its place
    more = {"reviewed_utc": pa.string(), "look_lon": pa.float64(), "look_lat": pa.float64()}
    schema = pa.schema([*arrow_schema(), *(pa.field(name, kind) for name, kind in more.items())])
    with (
        raise_as_store_error(out),
        TemporaryDirectory(prefix=".regengine-", dir=out.absolute().parent) as folder,
    ):
        raw = Path(folder) / "raw.parquet"
        with parquet.ParquetWriter(raw, schema, compression="zstd") as writer:
            for store in stores:
                left = frames(store)
                while block := as_block(list(islice(left, BLOCK_FRAMES))):
                    rows = []
                    for frame in block:
                        rows.append(make_catalogue_row(frame, look(frame)))
                        advance()
                    writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        try:
            with replace_files((out,)) as (temporary,):
                return arrange(raw, temporary)
        except duckdb.Error as error:
            said = next(iter(str(error).splitlines()), "unknown")
            raise StoreError(
                f"{out} could not be sorted ({said}): free some disk space and memory."
            ) from error
