"""Write compared flashes as a table or as points of a map."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

from regengine.io.extras import need
from regengine.io.plain import make_printable
from regengine.io.tables import cell, write_csv
from regengine.lightning.cross_reference import COLUMNS

ENDINGS = (".csv", ".gpkg")
LAYER = "flashes"
TEXTS = ("frame", "path", "time_utc", "begun_utc", "instrument", "status", "pulse_time_utc")
NUMBERS = ("flash", "storm", "pulse_flash")


def check_packages(out: Path) -> None:
    """Check that the package to write a file of this ending is installed."""
    if out.suffix.lower() == ".gpkg":
        need("--out FILE.gpkg", "geopandas", "pyogrio")


def to_cells(row: dict[str, Any]) -> list[object]:
    """A row as cells of a table."""
    return [cell(name, _text(row[name])) for name in COLUMNS]


def write_table(rows: list[dict[str, Any]], path: Path) -> None:
    """Write rows to a new file: GeoPackage, or CSV by the ending of its name."""
    if path.suffix.lower() == ".csv":
        write_csv(path, COLUMNS, map(to_cells, rows))
        return
    import geopandas as gpd
    import pandas as pd
    from shapely import Point

    table = pd.DataFrame({name: [_text(row[name]) for row in rows] for name in COLUMNS})
    kinds = dict.fromkeys(COLUMNS, "float64") | dict.fromkeys(TEXTS, object)
    table = table.astype(kinds | dict.fromkeys(NUMBERS, "Int64"))
    places = [None if row["lon"] is None else Point(row["lon"], row["lat"]) for row in rows]
    layer = gpd.GeoDataFrame(table, geometry=places, crs="EPSG:4326")
    with TemporaryDirectory() as folder:
        file = Path(folder, "flashes.gpkg")
        layer.to_file(file, driver="GPKG", layer=LAYER, engine="pyogrio")
        # Fixed time, so that equal tables have equal bytes
        with closing(sqlite3.connect(file)) as base, base:
            base.execute("UPDATE gpkg_contents SET last_change = '1970-01-01T00:00:00.000Z'")
        copyfile(file, path)


def _text(value: Any) -> Any:
    return make_printable(value) if isinstance(value, str) else value
