"""Tables as CSV and GeoParquet, map layers as GeoJSON and GeoPackage.

CSV is UTF-8 with a header; cells of missing values are empty, numbers have all their digits.
GeoParquet 1.1 has control points as points, and frames with their footprints. GeoJSON follows RFC
7946; the property ``layer`` names a feature's layer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from regengine.errors import check_known
from regengine.export.formats import ExportOptions, FileFormat
from regengine.frames import columns
from regengine.frames.frame import ExportFrame
from regengine.io.plain import make_printable
from regengine.io.tables import cell, write_csv
from regengine.io.times import parse_iso_time

ROWS = 4096  # that are buffered as Python values


def _write_csv(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    check_known("table", (options.table,), columns.TABLES)
    table_columns, rows_of = columns.TABLES[options.table]
    cells = [_cells_of(column) for column in table_columns]
    rows = (
        [cell_of(value) for cell_of, value in zip(cells, row.values(), strict=True)]
        for frame in frames
        for row in rows_of(frame)
    )
    write_csv(path, [column.name for column in table_columns], rows)


def _cells_of(column: columns.TableColumn) -> Callable[[Any], object]:
    """A function that makes values of a column safe: no spreadsheet takes a cell for a formula."""
    if column.kind in ("real", "whole"):  # unchanged, and the majority of the cells
        return lambda value: "" if value is None else value

    @lru_cache(maxsize=16)  # a frame's name and other values are the same for all its points
    def made(value: Any) -> object:
        if value is not None and column.kind == "flag":
            value = bool(value)
        elif value is not None and column.kind in ("text", "moment"):
            value = make_printable(str(value))
        return cell(column.name, value)

    return made


def _write_parquet(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    from pyarrow import parquet

    check_known("table", (options.table,), columns.TABLES)
    layers = (columns.POINTS, columns.FOOTPRINTS, columns.MATCHES)
    (layer,) = (one for one in layers if one.table == options.table)
    rows = (
        row
        for frame in frames
        for row in zip(columns.TABLES[layer.table][1](frame), layer.shapes(frame), strict=True)
    )
    with parquet.ParquetWriter(path, columns.arrow_schema(layer), compression="zstd") as writer:
        while some := list(islice(rows, ROWS)):
            writer.write_table(columns.arrow_table(layer, some))


def _write_geojson(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    layers = columns.choose_layers(options.layers)
    with path.open("w", encoding="ascii") as stream:
        stream.write('{"type": "FeatureCollection", "features": [')
        before = "\n"
        for frame in frames:
            for line in columns.list_geojson(frame, layers):
                stream.write(before + line)
                before = ",\n"
        stream.write("\n]}\n")


def _write_geopackage(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    layers = columns.choose_layers(options.layers)
    waiting: dict[columns.Layer, list[tuple[columns.Row, Any]]] = {layer: [] for layer in layers}
    changed = datetime(1970, 1, 1, tzinfo=UTC)
    with TemporaryDirectory() as folder:
        # pyogrio takes some folder names for archives or URLs
        link = Path(folder, "link")
        link.symlink_to(path.parent.absolute())
        for layer in layers:
            _append(link / path.name, layer, [])
        for frame in frames:
            changed = max(changed, parse_iso_time(frame.stored.processed_utc) or changed)
            for layer, row, shape in columns.list_features(frame, layers):
                waiting[layer].append((row, shape))
                if len(waiting[layer]) == ROWS:
                    _append(link / path.name, layer, waiting[layer])
                    waiting[layer].clear()
        for layer, rows in waiting.items():
            _append(link / path.name, layer, rows)
    # Time of the last registration, not now: equal exports have equal bytes
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(
            "UPDATE gpkg_contents SET last_change = ?", (f"{changed:%Y-%m-%dT%H:%M:%S.000Z}",)
        )


def _append(path: Path, layer: columns.Layer, rows: list[tuple[columns.Row, Any]]) -> None:
    """Append rows to a layer of a GeoPackage; creates the layer if necessary."""
    import pyogrio

    try:
        pyogrio.write_arrow(
            # A text would end at a zero byte
            columns.arrow_table(layer, rows, columns.make_storable_text),
            path,
            layer=layer.name,
            driver="GPKG",
            geometry_name=columns.GEOMETRY,
            geometry_type=layer.geometry,
            crs="EPSG:4326",
            append=path.exists(),
            layer_options={"DESCRIPTION": layer.description},
        )
    except RuntimeError as error:  # base class of all pyogrio errors
        raise OSError(f"GDAL says: {error}") from error


FORMATS: dict[str, FileFormat] = {
    "csv": _write_csv,
    "geojson": _write_geojson,
    "gpkg": _write_geopackage,
    "parquet": _write_parquet,
}
