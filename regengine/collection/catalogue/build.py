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
from regengine.store.reviews import reviewed
from regengine.store.snapshot import Snapshot, iter_frames

Row = dict[str, Any]
# Columns that mean what they mean in ``--table frames``
SAME = (
    "frame", "sha256", "frame_index", "path", "verdict", "probability", "decision", "reviewer",
    "category", "category_probability", "camera_body", "focal_mm", "width_px", "height_px",
    "sigma_m", "residual_px", "held_out_residual_px", "matched_lights", "ncc", "quality",
    "time_utc",
)  # fmt: skip
EXPORTED = [column for column in FRAME_COLUMNS if column.name in SAME]


def catalogue_row(frame: ExportFrame, seen: PictureFacts = NOTHING_SEEN) -> Row:
    """What a store and a photo tell of a frame, but for what only all frames together tell."""
    row: Row = {column.name: _printable(known(column.value(frame, 0))) for column in EXPORTED}
    row |= {
        "rating": row["quality"],
        "reviewed_utc": None if frame.review is None else frame.review.time_utc,
        "store": _printable(str(frame.store.absolute())),
        "time_utc": parse_iso_time(row["time_utc"] or ""),
        "lens": None if row["focal_mm"] is None else f"{row['focal_mm']:.0f} mm",
        "sharpness": seen.sharpness,
        "cloud": seen.cloud,
        "cloud_source": seen.cloud_source,
    }
    if frame.review is None or frame.review.decision != "rejected":
        row |= _of_camera(frame)
    lon = row.get("nadir_lon") if row.get("centre_lon") is None else row["centre_lon"]
    if row["time_utc"] is not None and lon is not None:
        night = night_of(row["time_utc"], lon)
        row |= {"night": night, "month": f"{night:%Y-%m}"}
    measured = ("sharpness", "cloud", "off_nadir_deg", "altitude_km", "resolution_m")
    row["quality"] = quality_score(**{name: row.get(name) for name in measured})
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
        rings = frame.footprint
        west, south, east, north = rings_bbox(rings) or (None, None, None, None)
        shape = Feature(row={}, polygons=tuple(simplified(rings)))
        return {
            "west": west,
            "south": south,
            "east": east,
            "north": north,
            "centre_lon": _finite(stance["centre_lon"]),
            "centre_lat": _finite(stance["centre_lat"]),
            "off_nadir_deg": _finite(stance["off_nadir_deg"]),
            "nadir_lon": _finite(stance["camera_lon"]),
            "nadir_lat": _finite(stance["camera_lat"]),
            "altitude_km": _finite(stance["camera_altitude_km"]),
            "resolution_m": resolution_m(camera),
            "area_km2": area_km2(rings) if rings else None,
            "geometry": wkb(shape) if rings else None,
        }
    except ABSURD:
        return {}


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
