"""From stores to a catalogue: read frame by frame, arranged on disk, whole or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from regengine.collection.catalogue.arrange import Arranged, arrange, cell_of
from regengine.collection.catalogue.ground import (
    area_km2,
    month_of,
    night_of,
    resolution_m,
    simplified,
)
from regengine.collection.catalogue.quality import ABSURD, NOTHING_SEEN, PictureFacts, quality_score
from regengine.collection.catalogue.table import arrow_schema, need_packages
from regengine.errors import ConfigError, StoreError
from regengine.exchange.export.columns import FRAME_COLUMNS, known
from regengine.exchange.export.footprint import rings_bbox
from regengine.exchange.export.frame import (
    ExportFrame,
    as_block,
    engine_frame,
    towns_near,
    with_review,
)
from regengine.exchange.export.layers import Feature, wkb
from regengine.io.atomic import check_new_file, in_place_of, unwritable_told
from regengine.photo.frame_records import parse_iso_time
from regengine.review.reviewed import reviewed
from regengine.store.snapshot import Snapshot, iter_frames

Row = dict[str, Any]
# As the exports have them
SAME = (
    "frame", "sha256", "frame_index", "path", "verdict", "probability", "decision", "reviewer",
    "category", "category_probability", "camera_body", "focal_mm", "width_px", "height_px",
    "sigma_m", "residual_px", "held_out_residual_px", "matched_lights", "ncc",
)  # fmt: skip
OF_STANCE = {
    "centre_lon": "centre_lon",
    "centre_lat": "centre_lat",
    "off_nadir_deg": "off_nadir_deg",
    "nadir_lon": "camera_lon",
    "nadir_lat": "camera_lat",
    "altitude_km": "camera_altitude_km",
}
TOLD = {
    column.name: column for column in FRAME_COLUMNS if column.name in (*SAME, "quality", "time_utc")
}


def catalogue_row(frame: ExportFrame, seen: PictureFacts = NOTHING_SEEN) -> Row:
    """What a store and a photo tell of a frame, but for what only all frames together tell."""
    told = {name: known(column.value(frame, 0)) for name, column in TOLD.items()}
    row: Row = {name: _printable(told[name]) for name in SAME}
    row["rating"] = told["quality"]
    row["reviewed_utc"] = None if frame.review is None else frame.review.time_utc
    row["store"] = _printable(str(frame.store.absolute()))
    row["time_utc"] = parse_iso_time(told["time_utc"] or "")
    focal_mm = told["focal_mm"]
    row["lens"] = None if focal_mm is None else f"{focal_mm:.0f} mm"
    row |= {"sharpness": seen.sharpness, "cloud": seen.cloud, "cloud_source": seen.cloud_source}
    rejected = frame.review is not None and frame.review.decision == "rejected"
    if not rejected:
        row |= _of_camera(frame)
    row |= _night(row)
    row["quality"] = quality_score(
        **{name: row.get(name) for name in ("sharpness", "cloud", "off_nadir_deg", "altitude_km")},
        resolution_m=row.get("resolution_m"),
    )
    return row


def _of_camera(frame: ExportFrame) -> Row:
    """Where the photo looks; nothing of a camera that makes no sense."""
    camera, stance = frame.camera, frame.stance
    if camera is None or stance is None:
        start = frame.result.nadir
        if start is None:
            return {}
        place = {"nadir_lon": start.lon, "nadir_lat": start.lat, "altitude_km": start.altitude_km}
        return {name: _finite(value) for name, value in place.items()}
    try:
        known = {name: _finite(value) for name, value in stance.items()}
        rings = frame.footprint
        box = rings_bbox(rings) or (None, None, None, None)
        row: Row = dict(zip(("west", "south", "east", "north"), box, strict=True))
        row |= {own: known[name] for own, name in OF_STANCE.items()}
        row["resolution_m"] = resolution_m(camera)
        row["area_km2"] = area_km2(rings) if rings else None
        shape = Feature(row={}, polygons=tuple(simplified(rings)))
        row["geometry"] = wkb(shape) if rings else None
    except ABSURD:
        return {}
    return row


def _night(row: Row) -> Row:
    lon = row.get("centre_lon")
    lon = row.get("nadir_lon") if lon is None else lon
    if row["time_utc"] is None or lon is None:
        return {}
    night = night_of(row["time_utc"], lon)
    return {"night": night, "month": month_of(night)}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _printable(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


BLOCK = 8192  # rows in memory
# Beside the columns of the catalogue: the order in which rows came, and the cell of the centre
HELPERS = ("number", "cell", "reviewed_utc")


def write_raw(path: Path, rows: Iterable[Row]) -> int:
    """Write rows of `catalogue_row` in the order of the stores: how many there are.

    They are on disk until all of them are known; few are in memory at a time.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = arrow_schema()
    for name, kind in zip(HELPERS, (pa.int64(), pa.int64(), pa.string()), strict=True):
        schema = schema.append(pa.field(name, kind))
    schema = schema.remove_metadata()
    count, left = 0, iter(rows)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while block := list(islice(left, BLOCK)):
            columns: dict[str, list[Any]] = {
                name: [row.get(name) for row in block] for name in schema.names
            }
            columns |= {"number": list(range(count, count + len(block))), **_around(block)}
            writer.write_table(pa.Table.from_pydict(columns, schema=schema))
            count += len(block)
    return count


def _around(block: list[Row]) -> dict[str, list[Any]]:
    """The cells of the image centres, and the cities near them."""
    lon, lat = (
        np.array([row.get(name) for row in block], float) for name in ("centre_lon", "centre_lat")
    )
    towns = towns_near(list(zip(lon.tolist(), lat.tolist(), strict=True)))
    return {
        "cell": cell_of(lon, lat).tolist(),
        **{
            name: [getattr(town, name) for town in towns] for name in ("city", "country", "city_km")
        },
    }


BLOCK_FRAMES = 256  # whose footprints are worked out at once
ENDINGS = (".parquet", ".geoparquet")


def check_out(out: Path, force: bool) -> None:
    """ConfigError, before anything is read, unless the catalogue can be written."""
    need_packages()
    check_new_file(out, ENDINGS, force=force)


def count_frames(stores: Sequence[Path]) -> int:
    """How many frames stores have.

    Raises StoreError if one of them is none. Raises ConfigError if one is named twice.
    """
    total = 0
    seen: set[Path] = set()
    for store in stores:
        if store.resolve() in seen:
            raise ConfigError(f"{store} is named twice: name each store once.")
        seen.add(store.resolve())
        with Snapshot.of(store) as snapshot:
            total += len(snapshot.frame_index)
    return total


def build(
    stores: Sequence[Path],
    out: Path,
    *,
    look: Callable[[ExportFrame], PictureFacts] = lambda frame: NOTHING_SEEN,
    advance: Callable[[], object] = lambda: None,
) -> Arranged:
    """Build a catalogue of stores, which runs may be writing; a file that is there is replaced.

    ``look`` tells what is seen in a frame's photo; ``advance`` is called after each frame.

    Raises StoreError if a store cannot be read, or the catalogue not be written.
    """

    def rows() -> Iterator[Row]:
        for store in stores:
            reviews = reviewed(store)
            frames = (
                with_review(engine_frame(stored, store), reviews.get(stored.frame_index))
                for stored in iter_frames(store)
            )
            while block := as_block(list(islice(frames, BLOCK_FRAMES))):
                for frame in block:
                    yield catalogue_row(frame, look(frame))
                    advance()

    import duckdb

    with (
        unwritable_told(out),
        TemporaryDirectory(prefix=".regengine-", dir=out.absolute().parent) as folder,
    ):
        raw = Path(folder) / "raw.parquet"
        write_raw(raw, rows())
        try:
            with in_place_of((out,)) as (temporary,):
                return arrange(raw, temporary)
        except duckdb.Error as error:
            said = next(iter(str(error).splitlines()), "unknown")
            raise StoreError(
                f"{out} could not be arranged ({said}): make room in its folder and in memory."
            ) from error
