"""Queries: the photos that are wanted, all of them, however answers are cut."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from regengine.archive.answers import AnswerCache
from regengine.archive.query import Asked, FrameQuery, ask, questions
from regengine.archive.web import ArchiveClient
from regengine.commands import app
from regengine.errors import ArchiveError, ConfigError
from regengine.photo.frame_records import load_frame_records
from tests.regengine.archive.archive_server import KEY, ArchiveServer, add_frame

Client = Callable[..., ArchiveClient]
JANUARY = {"first": date(2014, 1, 1), "last": date(2014, 1, 31)}


def asked(
    archive: ArchiveServer,
    web: ArchiveClient,
    folder: Path,
    key: str = KEY,
    age: float = 7.0,
    **wanted: object,
) -> Asked:
    query = FrameQuery(**{"missions": ("ISS990",), **wanted})  # type: ignore[arg-type]
    cache = AnswerCache(folder=folder / "cache", max_age_days=age)
    return ask(query, web=web, key=key, cache=cache, url=archive.database)


def numbers(found: Asked) -> list[int]:
    return sorted(int(row.frame_id.rpartition("-")[2]) for row in found.table.rows)


def test_both_tables_are_asked_and_put_together(
    archive: ArchiveServer, client: Client, tmp_path: Path
) -> None:
    add_frame(archive, 1, catalogued=True)
    add_frame(archive, 2)
    add_frame(archive, 3, focal=None)  # no record of its camera: a join alone would lose it
    add_frame(archive, 4, mission="ISS991")
    found = asked(archive, client(), tmp_path)
    assert numbers(found) == [1, 2, 3]
    first, second, third = found.table.rows
    assert (first.place, first.centre_lat, first.camera) == ("PACIFIC", 35.5, "Nikon D3S")
    assert (second.place, second.focal_mm, second.camera) == ("", 50.0, "Nikon D3S")
    assert (third.focal_mm, third.nadir_lon, third.sun_elevation_deg) == (None, -151.8, -33.0)
    assert first.sources == ("frames", "nadir")
    assert found.table.doubtful == found.strays == 0
    assert (found.requests, found.kept) == (3, 0)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"sun_elevation_deg": (-90.0, -6.0)}, [1, 3, 4]),
        ({"focal_mm": (50.0, 85.0)}, [1, 2]),
        ({"focal_mm": (400.0, 400.0)}, [3]),
        ({"first": date(2014, 1, 18), "last": date(2014, 2, 2)}, [2, 3]),
        ({"nadir_box": (-180.0, -60.0, 0.0, 60.0)}, [1, 2]),
        ({"nadir_box": (170.0, -60.0, -150.0, 60.0)}, [1, 2, 3]),
        ({"nadir_box": (170.0, 50.0, -150.0, 60.0)}, []),
        ({"tables": ("frames",)}, [2]),
    ],
)
def test_conditions(
    archive: ArchiveServer,
    client: Client,
    tmp_path: Path,
    wanted: dict[str, object],
    expected: list[int],
) -> None:
    add_frame(archive, 1)
    add_frame(archive, 2, day="20140118", sun=5.0, focal="85", catalogued=True)
    add_frame(archive, 3, day="20140202", lon=179.9, focal="400")
    add_frame(archive, 4, lon=120.0, focal=None)
    assert numbers(asked(archive, client(), tmp_path, **wanted)) == expected


@pytest.mark.parametrize("limit", ["rows", "bytes"])
@pytest.mark.parametrize("dated", [True, False])
def test_cut_answers_are_asked_for_in_parts(
    archive: ArchiveServer, client: Client, tmp_path: Path, limit: str, dated: bool
) -> None:
    draw = random.Random(7)
    for number in draw.sample(range(1, 2_000_000), 310):
        day = draw.choice(["20140105", "20140117", "20140117", "20140117", "20140130"])
        add_frame(archive, number, day=day)
    if limit == "rows":
        archive.most_rows = 150  # more on one day than an answer may have
    else:
        archive.most_bytes = 15_000
    wanted = JANUARY if dated else {}
    found = asked(archive, client(), tmp_path, tables=("nadir",), **wanted)
    assert len(found.table.rows) == 310
    assert all(row.focal_mm == 50.0 for row in found.table.rows)
    assert found.requests < 120
    whole = len(archive.asked)
    again = asked(archive, client(), tmp_path, tables=("nadir",), **wanted)
    assert len(again.table.rows) == 310
    assert len(archive.asked) - whole == again.requests
    if limit == "rows":
        assert again.requests == 0


def test_an_answer_that_cannot_be_divided_any_more_is_told(
    archive: ArchiveServer, client: Client, tmp_path: Path
) -> None:
    add_frame(archive, 1)
    archive.most_bytes = 10
    with pytest.raises(ArchiveError, match="cut its answer short"):
        asked(archive, client(), tmp_path, tables=("nadir",))


def test_an_interrupted_query_goes_on(
    archive: ArchiveServer, client: Client, tmp_path: Path
) -> None:
    add_frame(archive, 1)
    add_frame(archive, 2, day="20140220")
    wanted = {"first": date(2014, 1, 1), "last": date(2014, 2, 28), "tables": ("nadir",)}
    archive.faults = [None, None, 500, 500, 500]
    with pytest.raises(ArchiveError, match=r"keeps failing \(status 500, 3 times\)"):
        asked(archive, client(), tmp_path, **wanted)
    before = len(archive.asked)
    found = asked(archive, client(), tmp_path, **wanted)
    assert numbers(found) == [1, 2]
    assert (found.kept, found.requests) == (2, 2)
    assert len(archive.asked) == before + 2
    # All is known: no key, no network
    assert numbers(asked(archive, client(), tmp_path, key="", **wanted)) == [1, 2]
    assert asked(archive, client(), tmp_path, age=0.0, **wanted).requests == 4


def test_a_damaged_cache_is_asked_anew(
    archive: ArchiveServer, client: Client, tmp_path: Path
) -> None:
    add_frame(archive, 1)
    asked(archive, client(), tmp_path)
    kept = sorted((tmp_path / "cache").rglob("*.json"))
    for path, content in zip(kept, ("{", "[]", '{"question": 1, "rows": 2}'), strict=True):
        path.write_text(content)
    found = asked(archive, client(), tmp_path)
    assert (numbers(found), found.requests) == ([1], 3)


def test_the_key_is_nowhere(archive: ArchiveServer, client: Client, tmp_path: Path) -> None:
    add_frame(archive, 1)
    asked(archive, client(), tmp_path)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    assert not any(KEY in str(path) or KEY in path.read_text() for path in kept)
    # An answer that repeats a key does not bring it into the sentence
    with pytest.raises(ArchiveError, match="refuses the key") as told:
        asked(archive, client(), tmp_path / "other", key="wr0ng-key")
    assert "wr0ng-key" not in str(told.value)
    assert "JSC_PHOTOS_KEY" in str(told.value)
    with pytest.raises(ConfigError, match="needs a key of your own"):
        asked(archive, client(), tmp_path / "other", key="")


def test_rows_that_were_not_asked_for_are_left_out(
    archive: ArchiveServer, client: Client, tmp_path: Path
) -> None:
    add_frame(archive, 1)
    add_frame(archive, 2, mission="ISS991")
    everything = [
        {f"nadir.{name}": cell for name, cell in row.items()} for row in archive.tables["nadir"]
    ]
    archive.faults = [json.dumps(everything).encode()] * 2
    found = asked(archive, client(), tmp_path, tables=("nadir",))
    assert (numbers(found), found.strays) == ([1], 2)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"missions": ()}, "the whole database is too much"),
        ({"missions": ("ISS030|x|eq|1",)}, "--mission"),
        ({"first": date(2014, 1, 1)}, "--from and --to together"),
        ({"first": date(2014, 1, 2), "last": date(2014, 1, 1)}, "comes after"),
        ({"nadir_box": (0.0, 50.0, 1.0, 40.0)}, "--nadir-box"),
        ({"nadir_box": (0.0, 0.0, 400.0, 1.0)}, "--nadir-box"),
        ({"tables": ("users",)}, "--table 'users'"),
    ],
)
def test_questions_without_sense(wanted: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        FrameQuery(**{"missions": ("ISS990",), **wanted})  # type: ignore[arg-type]


def test_first_questions() -> None:
    wanted = FrameQuery(
        first=date(2013, 12, 30),
        last=date(2014, 1, 1),
        nadir_box=(170.0, -20.0, -170.0, 10.0),
        tables=("frames",),
    )
    conditions = [question.conditions for question in questions(wanted)]
    assert len(conditions) == 4
    assert conditions[0] == (
        "frames|pdate|ge|20131230|frames|pdate|le|20131231|frames|nlat|ge|-20|frames|nlat|le|10|"
        "frames|nlon|ge|170|frames|nlon|le|180"
    )
    assert conditions[3].startswith("frames|pdate|eq|20140101|")
    assert conditions[3].endswith("frames|nlon|ge|-180|frames|nlon|le|-170")


def test_the_command(
    archive: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_frame(archive, 101, catalogued=True)
    add_frame(archive, 102, sun=20.0)
    monkeypatch.setenv("JSC_PHOTOS_KEY", KEY)
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "found.csv"
    ask_for = [
        "frames",
        "query",
        "--mission",
        "iss990",
        "--pause-s",
        "0",
        "--url",
        archive.database,
    ]
    run = CliRunner().invoke(app, [*ask_for, "--night", "--out", str(out)])
    assert run.exit_code == 0, run.stderr
    assert f"{out}: 1 photos" in run.stderr
    assert "3 questions, 0 from the cache" in run.stderr
    record = load_frame_records(out).get("ISS990-E-101")
    assert record is not None
    assert record.nadir == (-151.8, 35.1)
    assert (record.camera, record.focal_mm) == ("Nikon D3S", 50.0)
    run = CliRunner().invoke(app, [*ask_for, "--json", "--quiet"])
    assert [json.loads(line)["frame_id"] for line in run.stdout.splitlines()] == [
        "ISS990-E-101",
        "ISS990-E-102",
    ]
    before = len(archive.asked)
    run = CliRunner().invoke(app, [*ask_for, "--dry-run"])
    assert len(run.stdout.splitlines()) == 3
    assert KEY not in run.stdout
    run = CliRunner().invoke(app, [*ask_for, "--out", str(out)])  # never replaced, nothing asked
    assert (run.exit_code, len(archive.asked)) == (2, before)
    monkeypatch.setenv("JSC_PHOTOS_KEY", "wr0ng")
    run = CliRunner().invoke(app, [*ask_for, "--max-age-days", "0"])
    assert run.exit_code == 3
    assert "refuses the key" in run.stderr
    assert "wr0ng" not in run.stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--from", "yesterday", "--to", "2014-01-01"], "--from"),
        (["--mission", "ISS990", "--focal-mm", "85,50"], "--focal-mm"),
        (["--mission", "ISS990", "--nadir-box", "1,2,3"], "--nadir-box"),
        (["--mission", "ISS990", "--night", "--sun-elevation", "-9,0"], "not both"),
        (["--mission", "ISS990", "--url", "http://example.org/x"], "everyone to read"),
        (["--mission", "ISS990", "--url", "file:///etc/passwd"], "write https"),
        (["--mission", "ISS990", "--url", "https://example.org:x/"], "no address"),
    ],
)
def test_options_without_sense(options: list[str], why: str) -> None:
    run = CliRunner().invoke(app, ["frames", "query", *options])
    assert run.exit_code == 2
    assert why in run.stderr
