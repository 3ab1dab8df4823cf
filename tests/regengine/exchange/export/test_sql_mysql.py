"""SQL for MySQL, loaded by MariaDB's own client into a real server."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from regengine.exchange.export.sql.dialects import mysql_text, number
from regengine.result import FrameResult, NadirInput, SolvedCamera
from tests.example_results import nadir_camera, nothing_found, proposal
from tests.regengine.exchange.export.exported import (
    decide,
    engine_points,
    export,
    work,
    write_store,
)
from tests.regengine.exchange.export.hostile_text import HOSTILE, TEXTS, kept
from tests.regengine.exchange.export.sql_servers import MariaDb, mariadb

# The record that NightISS keeps; a field may need several columns
RECORD = {
    "classification id": "classification_id",
    "ISSNight id": "issnight_id",
    "image id": "image_id",
    "nadir by JSC": "nadir_jsc_lon nadir_jsc_lat",
    "nadir by time": "nadir_time_lon nadir_time_lat",
    "country": "country",
    "place": "place",
    "orientation": "orientation",
    "comments": "comments",
    "link": "link",
    "author": "author",
    "quality": "quality",
    "lens": "lens",
    "focal length": "focal_mm",
    "camera": "camera",
    "aperture": "aperture_f",
    "ISO": "iso",
    "already classified by JSC": "classified_by_jsc",
    "other references": "other_references",
    "tilt": "tilt_deg",
    "tags": "tags",
    "Sun elevation": "sun_elevation_deg",
    "GMT date and time": "gmt",
}
MODES = (
    "",
    "ANSI_QUOTES",
    "NO_BACKSLASH_ESCAPES",
    "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT",
    "ORACLE",
    "TRADITIONAL",
)

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDb]:
    with mariadb() as running:
        yield running


@pytest.fixture(scope="module")
def new_base(server: MariaDb) -> Callable[[], str]:
    """Makes databases, which know other letters than scripts write."""
    numbers = itertools.count()

    def make() -> str:
        name = f"base{next(numbers)}"
        server.load("", f"CREATE DATABASE {name} CHARACTER SET latin1;")
        return name

    return make


@pytest.fixture
def base(new_base: Callable[[], str]) -> str:
    return new_base()


def script(store: Path, out: Path, *arguments: object) -> Path:
    export(store, "sql", out, "--dialect", "mysql", "--force", *arguments)
    return out


def images(server: MariaDb, base: str) -> list[dict[str, object]]:
    return server.rows(base, "SELECT * FROM imagenesISS ORDER BY image_id, path")


def test_a_photo_has_the_record_of_nightiss(server: MariaDb, base: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "NIKON D3S"
    exif.get_ifd(0x8769).update({0x829D: 2.8, 0x8827: 12800, 0xA434: "85.0 mm f/1.4"})
    Image.new("RGB", (64, 43)).save(tmp_path / "photo.jpg", exif=exif)
    # Above Nagoya, leaning north; 15:46 UTC is after midnight there
    tilted = nadir_camera(136.9, 35.1, tilt_deg=30.0)
    leaning = SolvedCamera(camera=tilted, along_track_offset_s=0.0, off_nadir_deg=30.0)
    photo = replace(proposal(), path=str(tmp_path / "photo.jpg"), solved=leaning)
    first = photo.nadir
    assert first is not None
    recorded = replace(proposal("espana"), nadir=replace(first, source="record"))
    results = [photo, recorded, nothing_found()]
    server.load(
        base,
        script(write_store(tmp_path / "s.h5", results), tmp_path / "a.sql", "--verdict", "all"),
    )
    columns = server.rows(
        base,
        "SELECT column_name AS name, data_type AS kind, column_comment AS says "
        "FROM information_schema.columns WHERE table_name = 'imagenesISS' "
        f"AND table_schema = '{base}'",
    )
    comments = {column["name"]: column["says"] for column in columns}
    assert {name for names in RECORD.values() for name in names.split()} <= set(comments)
    assert all(comments.values())
    assert comments["tilt_deg"].endswith("[degrees]")
    assert comments["focal_mm"].endswith("[mm]")
    kinds = {column["name"]: column["kind"] for column in columns}
    assert [kinds[name] for name in ("gmt", "iso", "quality")] == ["datetime", "double", "bigint"]
    other, nothing, ours = images(server, base)
    assert ours["image_id"] == "ISS030-E-184140"
    assert ours["link"] == (
        "https://eol.jsc.nasa.gov/SearchPhotos/photo.pl?mission=ISS030&roll=E&frame=184140"
    )
    assert ours["gmt"] == datetime(2012, 3, 28, 15, 46, 41)
    assert ours["tilt_deg"] == pytest.approx(30.0)
    assert ours["orientation"] == "north up, looking north"
    assert (ours["lens"], ours["aperture_f"], ours["iso"]) == ("85.0 mm f/1.4", 2.8, 12800.0)
    assert (ours["camera"], ours["focal_mm"]) == ("NIKON D3S", 85.0)
    assert (ours["nadir_time_lon"], ours["nadir_time_lat"]) == (136.9, 35.7)
    assert (ours["nadir_jsc_lon"], ours["nadir_jsc_lat"]) == (None, None)
    assert (other["nadir_jsc_lon"], other["nadir_time_lon"], other["link"]) == (136.9, None, None)
    assert ours["country"] == "Japan"
    assert ours["author"] == "regengine 0.1.0"
    # The Sun stands as far below the horizon as noon is away: declination 3, latitude 35
    assert -55.0 < float(str(ours["sun_elevation_deg"])) < -45.0
    empty = ("gmt", "tilt_deg", "orientation", "place", "author", "ra_deg", "footprint_wkt")
    assert [nothing[name] for name in empty] == [None] * len(empty)
    points = server.rows(
        base,
        f"SELECT * FROM imagenesISS_points WHERE photo_key = '{ours['photo_key']}' ORDER BY point",
    )
    assert [(p["x"], p["y"], p["lon"], p["lat"]) for p in points] == [
        (p.x, p.y, p.lon, p.lat) for p in photo.control_points
    ]
    assert points[0]["sigma_m"] == 140.0


@pytest.mark.parametrize("mode", MODES)
def test_hostile_text_comes_back_under_any_mode(
    server: MariaDb, base: str, mode: str, tmp_path: Path
) -> None:
    results = [
        replace(proposal(text), path=f"{number}{text}", camera_body=text)
        for number, text in enumerate(HOSTILE)
    ]
    store = write_store(tmp_path / "s.h5", results)
    whole = script(store, tmp_path / "a.sql")
    once = f"--init-command=SET SESSION sql_mode='{mode}'"
    for _ in range(2):
        server.load(base, whole, once, "--default-character-set=latin1")
    rows = server.rows(base, "SELECT * FROM imagenesISS ORDER BY frame_index")
    assert [row["image_id"] for row in rows] == list(HOSTILE)
    assert [row["camera"] for row in rows] == list(HOSTILE)
    assert [row["path"] for row in rows] == [f"{n}{text}" for n, text in enumerate(HOSTILE)]
    # The session has its own mode again
    after = whole.read_text(encoding="utf-8") + "SELECT @@SESSION.sql_mode, @@character_set_client;"
    told = server.load(base, after, once, "--default-character-set=latin1", "--skip-column-names")
    before = server.load(
        base, "SELECT @@SESSION.sql_mode, @@character_set_client;", once,
        "--default-character-set=latin1", "--skip-column-names",
    )  # fmt: skip
    assert told == before


@given(texts=TEXTS, mode=st.sampled_from(MODES))
@settings(max_examples=25)
def test_any_text_is_quoted(server: MariaDb, texts: list[str], mode: str) -> None:
    # Through the client, whose own parser has to find the same ends of strings
    lines = [f"SELECT HEX(CONVERT({mysql_text(text)} USING utf8mb4));" for text in texts]
    lines = ["SET NAMES utf8mb4;", f"SET SESSION sql_mode = '{mode}';", *lines]
    told = server.load("", "\n".join(lines), "--skip-column-names")
    assert told.splitlines() == [kept(text).encode().hex().upper() for text in texts]


@given(st.lists(st.floats(), min_size=1, max_size=50))
@settings(max_examples=25)
def test_any_number_comes_back_to_the_last_bit(server: MariaDb, values: list[float]) -> None:
    with server.connect() as base, base.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS numbers")
        columns = "k INT AUTO_INCREMENT KEY, v DOUBLE"
        cursor.execute(f"CREATE TEMPORARY TABLE numbers.t ({columns}) ENGINE=MEMORY")
        rows = ", ".join(f"({number(value)})" for value in values)
        cursor.execute(f"INSERT INTO numbers.t (v) VALUES {rows}")
        cursor.execute("SELECT v FROM numbers.t ORDER BY k")
        found = [value for (value,) in cursor.fetchall()]
    assert found == [value if math.isfinite(value) else None for value in values]


def test_loading_again_changes_what_changed_and_nothing_else(
    server: MariaDb, base: str, tmp_path: Path
) -> None:
    results = [proposal("a"), proposal("b"), nothing_found("c")]
    store = write_store(tmp_path / "s.h5", results)
    first = script(store, tmp_path / "a.sql", "--verdict", "all")
    server.load(base, first)
    server.load(base, "UPDATE imagenesISS SET classified_by_jsc = 1, issnight_id = '77', "
                "other_references = 'ours', comments = 'lost' WHERE image_id = 'b'")  # fmt: skip
    before = images(server, base)
    server.load(base, first)
    again = images(server, base)
    assert [row["classification_id"] for row in again] == [
        row["classification_id"] for row in before
    ]
    assert [again[1][name] for name in ("classified_by_jsc", "issnight_id", "comments")] == [
        1, "77", None,
    ]  # fmt: skip
    for old, new in zip(before, again, strict=True):
        assert new["loaded_at"] > old["loaded_at"]  # type: ignore[operator]
    same = set(again[0]) - {"loaded_at"}
    assert [again[0][name] for name in same] == [before[0][name] for name in same]
    # A person moves a point of b and takes two away
    points = engine_points(results[1])[:2]
    points[0] |= {"x": 111.0, "origin": "person"}
    decide(store, 1, results[1], "accepted", work(nadir_camera(tilt_deg=3.0), points), "eva 👩‍🚀")
    server.load(base, script(store, tmp_path / "b.sql", "--verdict", "all"))
    changed = images(server, base)
    assert len(changed) == 3
    assert changed[0]["tilt_deg"] == before[0]["tilt_deg"]
    b = changed[1]
    assert (b["author"], b["place"], b["country"]) == ("eva 👩‍🚀", "Ōsaka", "Japan")
    assert (b["comments"], b["tags"], b["quality"]) == ("=1+1", "delta,haze", 4)
    assert b["tilt_deg"] == pytest.approx(3.0, abs=1e-6)
    assert (b["other_references"], b["issnight_id"]) == ("ours", "77")
    found = server.rows(
        base, f"SELECT x, origin FROM imagenesISS_points WHERE photo_key = '{b['photo_key']}' "
        "ORDER BY point",
    )  # fmt: skip
    assert found == [{"x": 111.0, "origin": "person"}, {"x": 520.0, "origin": "engine"}]
    # What a later script lacks is told by when it was loaded; with a photo its points go
    decide(store, 1, results[1], "rejected", work(None, []), "eva 👩‍🚀")
    server.load(base, script(store, tmp_path / "c.sql", "--verdict", "all"))
    latest = "(SELECT MAX(loaded_at) FROM imagenesISS)"
    server.load(base, f"SET @latest = {latest}; DELETE FROM imagenesISS WHERE loaded_at < @latest")
    assert [row["image_id"] for row in images(server, base)] == ["a", "c"]
    (left,) = server.rows(
        base, "SELECT COUNT(DISTINCT photo_key) AS photos FROM imagenesISS_points"
    )
    assert left == {"photos": 1}


def test_the_same_photo_twice_in_a_store_is_one_row(
    server: MariaDb, base: str, tmp_path: Path
) -> None:
    photo = proposal("a")
    moved = replace(photo, path="elsewhere/a.jpg", control_points=photo.control_points[:3])
    unreadable = [replace(nothing_found("x"), sha256="", path=f"{n}/x.jpg") for n in range(2)]
    store = write_store(tmp_path / "s.h5", [photo, moved, *unreadable])
    server.load(base, script(store, tmp_path / "a.sql", "--verdict", "all"))
    rows = images(server, base)
    assert [row["path"] for row in rows] == ["elsewhere/a.jpg", "0/x.jpg", "1/x.jpg"]
    assert server.rows(base, "SELECT COUNT(*) AS n FROM imagenesISS_points") == [{"n": 3}]


def test_a_script_that_breaks_off_changes_nothing(
    server: MariaDb, base: str, tmp_path: Path
) -> None:
    server.load(base, script(write_store(tmp_path / "s.h5", [proposal("a")]), tmp_path / "a.sql"))
    before = images(server, base)
    other = replace(proposal("a"), category="aurora")
    whole = script(write_store(tmp_path / "t.h5", [other, proposal("b")]), tmp_path / "b.sql")
    text = whole.read_text(encoding="utf-8")
    broken = text.replace("COMMIT;", "SELECT no_such_column FROM imagenesISS;\nCOMMIT;")
    assert "no_such_column" in server.load(base, broken, expect=1)
    assert images(server, base) == before
    server.load(base, text[: text.index("COMMIT;")])  # the file's end is missing
    assert images(server, base) == before


def wide(number: int) -> FrameResult:
    return replace(proposal(f"ISS030-E-{number}"), camera_body="🌃" * 5000)


def test_statements_stay_below_the_smallest_packet(
    server: MariaDb, base: str, tmp_path: Path
) -> None:
    store = write_store(tmp_path / "s.h5", [*map(wide, range(60)), *map(proposal, "abc")])
    whole = script(store, tmp_path / "a.sql")
    statements = re.split(r";\n", whole.read_text(encoding="utf-8"))
    sizes = [len(statement.encode()) for statement in statements]
    assert 200_000 < max(sizes) < 300_000
    server.load(base, whole)  # a server that takes a MiB at a time
    assert len(images(server, base)) == 63


def test_places_and_times_of_no_kind_are_null(server: MariaDb, base: str, tmp_path: Path) -> None:
    nan = float("nan")
    lost = NadirInput(
        lon=nan, lat=nan, altitude_km=nan, source="tle", sigma_along_km=nan, sigma_cross_km=nan
    )
    odd = replace(proposal("odd"), time_utc="2012-03-28T15:46:60Z", nadir=lost, probability=nan)
    early = replace(proposal("early"), time_utc="0001-01-01T00:00:00Z")
    server.load(base, script(write_store(tmp_path / "s.h5", [odd, early]), tmp_path / "a.sql"))
    for row in images(server, base):
        assert (row["gmt"], row["ra_deg"], row["sun_elevation_deg"]) == (None, None, None)
    assert images(server, base)[1]["nadir_time_lon"] is None
    assert images(server, base)[1]["probability"] is None
