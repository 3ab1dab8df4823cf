"""The catalogue's file: read back by others, asked safely, never written."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from regengine.collection.catalogue.build import write_rows
from regengine.collection.catalogue.query import Catalogue
from regengine.collection.catalogue.table import COLUMNS, FORMAT, NAMES
from regengine.errors import ConfigError, StoreError
from regengine.exchange.export.layers import Feature, wkb

SQUARE = [(136.0, 35.0), (137.0, 35.0), (137.0, 36.0), (136.0, 36.0), (136.0, 35.0)]
ROW = {
    "frame": "ISS030-E-184140",
    "sha256": "ab" * 32,
    "time_utc": datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC),
    "night": date(2012, 3, 28),
    "month": "2012-03",
    "centre_lon": 136.9,
    "place_id": 7,
    "best_of_month": True,
    "geometry": wkb(Feature(row={}, polygons=(SQUARE,))),
}


@pytest.fixture(params=["c.parquet", "a*b?[x] 'q\" é🌃\n.parquet"])
def catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / str(request.param)
    assert write_rows(path, [ROW, {"frame": "sky"}], {"other": "told"}) == 2
    return path


def test_values_come_back_as_they_went(catalogue: Path) -> None:
    with Catalogue(catalogue) as asked:
        first, second = asked.ask("FROM frames").dicts()
        assert asked.metadata["other"] == "told"
    assert tuple(first) == NAMES
    assert first == dict.fromkeys(NAMES) | ROW
    assert second == dict.fromkeys(NAMES) | {"frame": "sky"}


def test_other_programs_read_it(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    write_rows(path, [ROW, {"frame": "sky"}])
    ground = gpd.read_parquet(path)
    assert ground.crs.to_string() == "OGC:CRS84"
    assert ground.geometry[0].bounds == (136.0, 35.0, 137.0, 36.0)
    assert ground.geometry[1] is None
    table = pd.read_parquet(path)
    assert str(table.time_utc.dtype) == "datetime64[us, UTC]"
    assert table.time_utc[0] == pd.Timestamp(ROW["time_utc"])
    told = duckdb.sql(
        f"SELECT frame, typeof(night), place_id, best_of_month FROM read_parquet('{path}')"
    ).fetchall()
    assert told == [("ISS030-E-184140", "DATE", 7, True), ("sky", "DATE", None, None)]


def test_every_column_says_what_it_is() -> None:
    assert len(set(NAMES)) == len(COLUMNS)
    assert [column.name for column in COLUMNS if len(column.description) < 8] == []


FORBIDDEN = (
    "SELECT * FROM read_text('{other}')",
    "SELECT * FROM '{other}'",
    "FROM read_csv('{other}')",
    "FROM glob('{folder}/*')",
    "FROM parquet_metadata('{other}')",
    "COPY frames TO '{folder}/out.csv'",
    "COPY frames TO '{catalogue}'",
    "SELECT 1; COPY frames TO '{folder}/out.csv'",
    "ATTACH '{folder}/base.db'",
    "EXPORT DATABASE '{folder}/out'",
    "INSTALL httpfs",
    "LOAD '{other}'",
    "SET enable_external_access = true",
    "SET allowed_directories = ['/']",
    "CREATE TABLE mine AS FROM frames",
    "DROP VIEW frames",
    "EXPLAIN ANALYZE COPY frames TO '{folder}/out.csv'",
    "EXPLAIN ANALYZE COPY frames TO '{catalogue}' (USE_TMP_FILE false)",
    "SELECT * FROM query('COPY frames TO ''{folder}/out.csv''')",
    "FROM catalogue",
    "",
    "SELEC",
    "SELECT no_such FROM frames",
    "SELECT CAST(frame AS INTEGER) FROM frames",
)


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_a_question_reads_nothing_else_and_writes_nothing(sql: str, tmp_path: Path) -> None:
    path, other = tmp_path / "c.parquet", tmp_path / "other.csv"
    write_rows(path, [ROW])
    other.write_text("secret\n")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    question = sql.format(other=other, folder=tmp_path, catalogue=path)
    with Catalogue(path) as asked, pytest.raises(ConfigError) as error:
        list(asked.query(question).rows)
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == [path, other]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_questions_of_many_shapes_are_answered(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    write_rows(path, [ROW])
    with Catalogue(path) as asked:
        assert list(asked.query("SELECT frame FROM frames;").rows) == [("ISS030-E-184140",)]
        assert asked.query("SELECT 1 AS a, 2 AS a, 3 AS a_1").names == ("a", "a_1", "a_1_1")
        assert list(asked.query("SELECT frame FROM frames WHERE false").rows) == []
        assert len(list(asked.query("DESCRIBE frames").rows)) == len(NAMES)
        assert len(list(asked.query("SUMMARIZE frames").rows)) == len(NAMES)


def test_what_is_no_catalogue_is_told(tmp_path: Path) -> None:
    text, other, newer, cut = (tmp_path / f"{k}.parquet" for k in range(4))
    text.write_text("frame,path\n")
    parquet.write_table(pa.table({"frame": ["a"]}), other)
    parquet.write_table(pa.table({"a": [1]}).replace_schema_metadata({FORMAT: "99"}), newer)
    write_rows(cut, [ROW])
    cut.write_bytes(cut.read_bytes()[:-40])
    for path, words in (
        (tmp_path / "absent.parquet", "is no file"),
        (tmp_path, "is no file"),
        (text, "no catalogue, or damaged"),
        (other, "but no catalogue"),
        (newer, "version 99"),
        (cut, "no catalogue, or damaged"),
    ):
        with pytest.raises(StoreError, match=words):
            Catalogue(path)


def test_damage_within_is_told(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    write_rows(path, [ROW | {"frame": f"f{k}"} for k in range(500)])
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="build it again"), Catalogue(path) as asked:
        list(asked.ask("SELECT frame FROM frames").rows)


@pytest.mark.parametrize("name", ["duckdb", "pyarrow"])
def test_what_is_missing_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"needs {name}: install regengine\[catalogue\]"):
        Catalogue(tmp_path / "c.parquet")


def test_the_page_has_every_column_in_order() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "catalogue.md").read_text("utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    told = [(row[0].strip("| `"), row[-1].removesuffix(" |")) for row in rows]
    assert told == [(column.name, column.description) for column in COLUMNS]
