"""Questions to a catalogue: what they may read, lists, coverage and changes, in every form."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from regengine.collection.catalogue.query import Catalogue
from regengine.collection.catalogue.table import COLUMNS, FORMAT, NAMES
from regengine.errors import ConfigError, StoreError
from regengine.exchange.export.layers import Feature, wkb
from tests.regengine.collection.catalogue.archive import ask, taken, try_ask, write_rows
from tests.regengine.exchange.export.exported import write_store

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


@pytest.fixture(params=["c.parquet", "ab[x] 'q\" é🌃\n.parquet"])
def one_row(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / str(request.param)
    assert write_rows(path, [ROW, {"frame": "sky"}], {"other": "told"}) == 2
    return path


def test_values_come_back_as_they_went(one_row: Path) -> None:
    with Catalogue(one_row) as asked:
        first, second = asked.ask("FROM frames").dicts()
        assert asked.metadata["other"] == "told"
    assert tuple(first) == NAMES
    assert first == dict.fromkeys(NAMES) | ROW
    assert second == dict.fromkeys(NAMES) | {"frame": "sky"}


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
    with pytest.raises(ConfigError, match=rf"needs {name}, .*regengine\[catalogue\]"):
        Catalogue(tmp_path / "c.parquet")


def test_the_page_has_every_column_in_order() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "catalogue.md").read_text("utf-8")
    told = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")]
    assert re.findall(r"`(\w+)`", " ".join(told)) == [column.name for column in COLUMNS]


HOSTILE = '=cmd|"x\n\x1b[31m🌃'


def row(frame: str, place_id: int, night: date, quality: float, **more: Any) -> dict[str, Any]:
    place, country = [("Paris", "France"), ("Lyon", "France"), ("Tokyo", "Japan")][place_id]
    values = {
        "frame": frame, "path": f"photos/{frame}.jpg", "verdict": "accepted", "place_id": place_id,
        "place": place, "place_country": country, "country": country, "place_lon": 2.0,
        "place_lat": 48.0, "night": night, "month": f"{night:%Y-%m}", "quality": quality,
        "time_utc": datetime(night.year, night.month, night.day, 22, tzinfo=UTC), "lens": "85 mm",
        "best_of_month": True, "best_of_year": True, "off_nadir_deg": 10.0,
        "resolution_m": 40.0, "west": 2.0, "east": 3.0, "south": 48.0, "north": 49.0,
    }  # fmt: skip
    return values | more


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lists") / "c.parquet"
    rows = [
        row("p2012", 0, date(2012, 3, 28), 0.8),
        row("p2012b", 0, date(2012, 3, 28), 0.5, best_of_month=False, best_of_year=False),
        row("p2012c", 0, date(2012, 7, 1), 0.4, best_of_year=False),
        row("p2016", 0, date(2016, 5, 1), 0.7),
        row("p2020", 0, date(2020, 5, 1), 0.9, west=2.5, east=3.5, lens="400 mm"),
        row("elsewhere", 0, date(2008, 5, 1), 1.0, west=20.0, east=21.0),
        row(
            "doubt",
            0,
            date(2021, 5, 1),
            0.95,
            verdict="review",
            best_of_month=False,
            best_of_year=False,
        ),
        row("lyon", 1, date(2012, 3, 28), 0.3),
        row("t1", 2, date(2012, 3, 28), 0.8, west=179.5, east=-179.5),
        row("t2", 2, date(2013, 3, 28), 0.6, west=-180.0, east=-179.0, off_nadir_deg=70.0),
        {"frame": HOSTILE, "path": HOSTILE, "verdict": "no_match"},
    ]
    write_rows(
        path, rows, {"regengine.area_seen_km2": '{"all": {"": 5.0}, "lens": {"85 mm": 4.0}}'}
    )
    return path


def listed(*words: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ask(*words, "--as", "json").stdout.splitlines()]


def test_places_are_counted(catalogue: Path) -> None:
    rows = listed("places", catalogue)
    assert [(r["place"], r["frames"], r["nights"]) for r in rows] == [
        ("Paris", 7, 6), ("Tokyo", 2, 2), ("Lyon", 1, 1),
    ]  # fmt: skip
    assert (rows[0]["best_frame"], rows[0]["best_quality"]) == ("elsewhere", 1.0)
    assert (rows[0]["first_night"], rows[0]["last_night"]) == ("2008-05-01", "2021-05-01")
    assert [r["place"] for r in listed("places", catalogue, "--country", "france")] == [
        "Paris", "Lyon",
    ]  # fmt: skip
    assert [r["place"] for r in listed("places", catalogue, "--limit", 1)] == ["Paris"]


def test_the_best_are_listed_by_place_and_month(catalogue: Path) -> None:
    frames = [r["frame"] for r in listed("best", catalogue, "--place", "PARIS")]
    assert frames == ["elsewhere", "p2012", "p2012c", "p2016", "p2020"]
    assert [r["frame"] for r in listed("best", catalogue, "--month", "2012-03")] == [
        "p2012", "lyon", "t1",
    ]  # fmt: skip
    assert [r["frame"] for r in listed("best", catalogue, "--place", "1")] == ["lyon"]
    assert listed("best", catalogue, "--place", "' OR 1=1 --") == []


def test_coverage_counts_what_is_accepted(catalogue: Path) -> None:
    (whole,) = listed("coverage", catalogue)
    assert (whole["frames"], whole["accepted"], whole["nights"], whole["places"]) == (11, 9, 6, 3)
    assert whole["area_seen_km2"] == 5.0
    assert whole["median_quality"] == 0.7
    by_lens = {r["lens"]: r for r in listed("coverage", catalogue, "--by", "lens")}
    assert (by_lens["85 mm"]["accepted"], by_lens["85 mm"]["area_seen_km2"]) == (8, 4.0)
    assert by_lens["400 mm"]["area_seen_km2"] is None
    assert by_lens[None]["accepted"] == 0
    months = [r["month"] for r in listed("coverage", catalogue, "--by", "month")]
    assert months[:-1] == sorted(months[:-1])
    countries = {
        r["country"]: r["places"] for r in listed("coverage", catalogue, "--by", "country")
    }
    assert countries == {"France": 2, "Japan": 1, None: 0}


def test_pairs_of_one_place_are_ranked_by_how_alike_they_are(catalogue: Path) -> None:
    rows = listed("changes", catalogue, "--place", "Paris")
    assert [(r["before"], r["after"]) for r in rows] == [
        ("p2012", "p2016"), ("p2012", "p2020"), ("p2016", "p2020"),
    ]  # fmt: skip
    assert [r["score"] for r in rows] == [0.7, round(0.8 / 3, 4), round(0.7 / 3, 4)]
    assert rows[0]["days"] == (date(2016, 5, 1) - date(2012, 3, 28)).days
    assert rows[1]["overlap"] == 0.333
    by_month = listed("changes", catalogue, "--place", "Paris", "--each", "month")
    assert ("p2012c", "p2016") in [(r["before"], r["after"]) for r in by_month]
    assert ("p2012", "p2012c") not in [(r["before"], r["after"]) for r in by_month]
    sooner = listed("changes", catalogue, "--place", 0, "--each", "month", "--least-days", 30)
    assert ("p2012", "p2012c") in [(r["before"], r["after"]) for r in sooner]


def test_pairs_overlap_across_the_antimeridian(catalogue: Path) -> None:
    (pair,) = listed("changes", catalogue, "--place", "Tokyo")
    assert pair["overlap"] == 0.333
    assert pair["score"] == pytest.approx(0.6 / 3 * math.cos(math.radians(60.0)), abs=1e-4)


def test_csv_is_read_back_and_harmless(catalogue: Path) -> None:
    asked = ("query", catalogue, "SELECT frame, path, night FROM frames ORDER BY night NULLS FIRST")
    rows = list(csv.reader(io.StringIO(ask(*asked, "--as", "csv").stdout)))
    assert rows[0] == ["frame", "path", "night"]
    assert rows[1] == [f"'{HOSTILE}", f"./{HOSTILE}", ""]
    assert rows[2][2] == "2008-05-01"
    assert len(rows) == 12


def test_tables_are_lines_that_a_terminal_only_prints(catalogue: Path) -> None:
    text = ask("query", catalogue, "SELECT frame, quality, 'x' AS y FROM frames").stdout
    assert len(text.splitlines()) == 12
    assert "\x1b" not in text
    wide = ask("query", catalogue, f"SELECT '{'w' * 300}' AS w").stdout.splitlines()
    assert [len(line) <= 60 for line in wide] == [True, True]
    assert ask("places", catalogue, "--place", "nowhere").stdout.startswith("place_id  place")
    head, first, *_ = ask("places", catalogue).stdout.splitlines()
    assert head.split()[:3] == ["place_id", "place", "country"]
    assert first.split()[:3] == ["0", "Paris", "France"]


@pytest.mark.parametrize(
    "words",
    [
        ("places", "--as", "xml"),
        ("places", "--limit", "-1"),
        ("coverage", "--by", "verdict; DROP VIEW frames"),
        ("changes", "--each", "week"),
        ("changes", "--each", "month"),
        ("changes", "--least-days", "0"),
        ("query", "DELETE FROM frames"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(words: tuple[str, ...], catalogue: Path) -> None:
    result = try_ask(words[0], catalogue, *words[1:])
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)


def test_a_catalogue_of_nothing_is_asked(tmp_path: Path) -> None:
    store = write_store(tmp_path / "run.h5", [taken("a", 1.0, 2.0, verdict="review")])
    out = tmp_path / "c.parquet"
    ask("build", store, "--out", out)
    assert listed("places", out) == listed("best", out) == listed("changes", out) == []
    (whole,) = listed("coverage", out)
    assert (whole["frames"], whole["accepted"], whole["area_seen_km2"]) == (1, 0, None)
