"""Build a catalogue from stores: read frame by frame, arranged on disk, written atomically."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from regengine.collection.catalogue.arrange import Arranged, arrange
from regengine.collection.catalogue.ground import area_km2, resolution_m, simplify
from regengine.collection.catalogue.quality import ABSURD, NOTHING_SEEN, PictureFacts, quality_score
from regengine.collection.catalogue.table import arrow_schema, need_packages
from regengine.errors import ConfigError, StoreError
from regengine.exchange.export.columns import FRAME_COLUMNS, none_if_unknown
from regengine.exchange.export.footprint import as_shape, rings_bbox
from regengine.exchange.export.frame import ExportFrame, as_block, make_engine_frame, with_review
from regengine.io.atomic import check_new_file, raise_as_store_error, replace_files
from regengine.io.plain import make_printable
from regengine.io.times import parse_iso_time
from regengine.store.read import Snapshot, iter_frames
from regengine.store.reviews import read_reviews

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
) -> Arranged:
    """Build a catalogue of stores, which runs may be writing; an existing file is replaced.

    ``look`` returns measurements of a frame's photo; ``advance`` is called after each frame.

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
