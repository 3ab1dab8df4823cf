"""The archive of astronaut photos: its tables read, its database asked, its pictures fetched."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import socket
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.conftest import ROOT
from tests.world.program import Said, run
from tests.world.services import ArchiveService

LIGHTS = ROOT / "data_samples" / "lights.tif"
OLD_ELEMENTS = ROOT / "data_samples" / "tle.txt"  # years from the photos: no orbit is known
PREVIEW = ("--lights", LIGHTS, "--dry-run", "--json")
FRAME = "ISS990-E-101"
# Headings as the archive's text answers have them; the values are made up
JSC = (
    "mission\troll\tframe\tPhoto Date\tPhoto Time GMT\tCenter Point Lat\tCenter Point Lon\t"
    "Nadir Lat\tNadir Lon\tSpacecraft Altitude (nautical miles)\tLens mm\tgeon\tfeat\t"
    "Clouds Percentage\tLook Angle\tLook Direction\tSun Azimuth\tSun Elevation Angle\tcamera\t"
    "film\tCamera (uncataloged)\tcaption\tFeatures from Image Detectives (not NASA)\tRecordType"
)
JSC_ROW = (
    "ISS990\tE\t    101\t20250827\t074602\t30.5\t.5\t-35.1\t-151.8\t218\t50\tPACIFIC\tCITY, COAST\t"
    "10\tHO\tW\t201\t-33\tNikon D3S Electronic Still Camera\t4256E\t\tAT NIGHT\t\t"
    "CatalogedWithCenterPoint"
)
JSC_TOLD = {
    "frame_id": FRAME,
    "time_utc": "2025-08-27T07:46:02Z",  # far from any element set: nothing contradicts the nadir
    "nadir_lat": -35.1,
    "nadir_lon": -151.8,
    # 218 nmi above a sphere of the equator's radius, where the ellipsoid lies 7 km lower
    "altitude_km": pytest.approx(403.7 + 7.0, abs=0.2),
    "camera": "Nikon D3S Electronic Still Camera",
    "focal_mm": 50.0,
    "exposure_s": None,
    "aperture_f": None,
    "iso": None,
    "centre_lat": 30.5,
    "centre_lon": 0.5,
    "radius_km": None,
    "place_lat": None,
    "place_lon": None,
    "place": "PACIFIC",
    "features": "CITY, COAST",
    "caption": "AT NIGHT",
    "sun_azimuth_deg": 201.0,
    "sun_elevation_deg": -33.0,
    "cloud_percent": 10.0,
    "record_type": "CatalogedWithCenterPoint",
    "problems": [],
    "sources": ["ISS990-E.tsv"],
}
NADIR = {
    "nadir.mission": "ISS990",
    "nadir.roll": "E",
    "nadir.frame": "101",
    "nadir.pdate": "20140117",
    "nadir.ptime": "74602",
    "nadir.lat": "-35.1",
    "nadir.lon": 208.2,
}
CATALOGUED = {"frames.mission": "ISS990", "frames.roll": "E", "frames.frame": "102"} | {
    "frames.lat": "1", "frames.lon": "2", "frames.nlat": "3", "frames.nlon": "4",
}  # fmt: skip


def read(tmp_path: Path, text: str | bytes, name: str = "table.csv") -> list[dict[str, Any]]:
    """What ``frames read`` makes of a file."""
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / name).write_bytes(data)
    said = run("frames", "read", tmp_path / name, "--json", "--quiet")
    assert (said.code, said.err) == (0, "")
    return said.records


def picture() -> bytes:
    """A JPEG that looks like no town."""
    noise = np.random.default_rng(1).integers(0, 40, (300, 300), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, "JPEG", quality=90)
    return data.getvalue()


def test_the_archives_own_table_is_read_whole(tmp_path: Path) -> None:
    # Pages of answers, one behind the other, repeat their headings
    assert read(tmp_path, f"{JSC}\n{JSC_ROW}\n{JSC}\n", "ISS990-E.tsv") == [JSC_TOLD]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.csv", "ISS-ID,nlon,nlat,CoordFLAG\nISS016-E-1,-100.1,24.1, 5.0", {"nadir_lat": 24.1}),
        (
            "b.csv",
            "ISS-ID,loncity,latcity,lens,coordimage\n"
            "ISS016-E-1,19.1,51.9,24.0 mm,http://e/MapCoordinate.pl?lat=51.6&lon=21.7",
            {"nadir_lat": 51.6, "nadir_lon": 21.7, "place_lat": 51.9, "focal_mm": 24.0},
        ),
        (
            "dots.csv",
            "ISS-ID,coordimage\nISS016-E-1,http://e/MapCoordinate.pl?lat=-38.&lon=.8",
            {"nadir_lat": -38.0, "nadir_lon": 0.8},
        ),
        (
            "half.csv",
            "ISS-ID,nlat,coordimage\nISS016-E-1,7,http://e/MapCoordinate.pl?lat=51.6&lon=201.7",
            {"nadir_lat": 51.6, "nadir_lon": -158.3},
        ),
        ("edge.csv", "ISS-ID,nlat,nlon\nISS016-E-1,90,360", {"nadir_lat": 90.0, "nadir_lon": 0.0}),
        (
            "c.csv",
            "idiss,lon,lat,linkSmall\n1,144.9,-37.8,http://e/small/ISS016/ISS016-E-1.JPG",
            {"place_lat": -37.8, "place_lon": 144.9, "nadir_lat": None},
        ),
        ("City_ISS016.txt", "ID\n1\n", {}),
        (
            "d.txt",
            "\tPhoto Date\tLat\tLon\tFocal Length (mm)\tRecord Type\n"
            "ISS016-E-1\t20191207\t38.0\t13.4\t400\tCataloged With Center Point",
            {"centre_lat": 38.0, "place_lat": None, "focal_mm": 400.0, "time_utc": None},
        ),
        ("e.txt", "{'idISS': 'ISS016-E-1', 'link': None}\n", {}),
        (
            "f.csv",
            "Fecha/Date,Pais/Country,Lugar/Place,Coordenadas del centro de la imagen/Center"
            " cordinates,Enlace a la ficha/Link,Cámara/ Model,T. Exposición/ Shutter,ISO\n"
            '1/30/2008 22:42:27,Spain,Madrid,"40,61, -3,74",http://e/?ID=ISS016-E-1,NIKON,'
            "0.05,¿?",
            {"centre_lon": -3.74, "place": "Madrid, Spain", "exposure_s": 0.05, "iso": None}
            | {"time_utc": "2008-01-30T22:42:27Z"},
        ),
        (
            "mixed.csv",
            "frame_id,place\nISS016-E-1,Düsseldorf\n".encode()
            + "ISS016-E-1,Málaga".encode("cp1252"),
            {"place": "Düsseldorf"},
        ),
    ],
)
def test_tables_of_volunteers_are_read(
    tmp_path: Path, name: str, text: str, told: dict[str, Any]
) -> None:
    (row,) = read(tmp_path, text, name)
    assert row["frame_id"] == "ISS016-E-1"
    assert {column: row[column] for column in told} == told
    assert row["problems"] == []


def test_answers_of_the_database_are_read(tmp_path: Path) -> None:
    camera = {"camera|fclt": "50", "camera.camera": "N5", "nadir.azi": None, "nadir.elev": "-33"}
    first, second = read(tmp_path, json.dumps([NADIR | camera, CATALOGUED]), "answer.json")
    assert first["time_utc"] == "2014-01-17T07:46:02Z"
    assert (first["nadir_lat"], first["nadir_lon"]) == pytest.approx((-35.1, -151.8))
    assert (first["focal_mm"], first["camera"]) == (50.0, "Nikon D3S")
    assert (first["sun_azimuth_deg"], first["sun_elevation_deg"]) == (None, -33.0)
    assert (second["centre_lat"], second["centre_lon"]) == (1.0, 2.0)
    assert (second["nadir_lat"], second["nadir_lon"]) == (3.0, 4.0)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_a_table_of_a_spreadsheet_is_read_whatever_its_encoding(
    tmp_path: Path, encoding: str
) -> None:
    text = "frame_id\tnadir_lat\tnadir_lon\r\nISS016-E-1\t1.5\t2.5\r\n"
    (tmp_path / "t.txt").write_bytes(text.encode(encoding))
    (row,) = run("frames", "read", tmp_path / "t.txt", "--json").records
    assert (row["nadir_lat"], row["nadir_lon"]) == (1.5, 2.5)


def test_what_makes_no_sense_is_left_out_and_named(tmp_path: Path) -> None:
    text = (
        "frame_id,nadir_lat,nadir_lon,time_utc,sun_el,focal_mm,coordimage\n"
        "ISS016-E-1,91,4,1/2/2008 10:00,x,9999,http://e/MapCoordinate.pl?lat=x&lon=1\n,1,2,,,,\n"
    )
    (tmp_path / "t.csv").write_text(text)
    said = run("frames", "read", tmp_path / "t.csv", "--json")
    assert "1 photo, of 2 rows, 1 row names no photo, 1 photo with problems" in said.err
    (row,) = said.records
    nothing = ("nadir_lat", "nadir_lon", "time_utc", "sun_elevation_deg", "focal_mm")
    assert [row[name] for name in nothing] == [None] * 5
    assert len(row["problems"]) == 5
    assert "'91' is not a number from -90 to 90" in row["problems"][0]


def test_tables_fill_each_others_gaps_and_tell_where_they_differ(tmp_path: Path) -> None:
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    first.write_text("frame_id,nadir_lat,nadir_lon,focal_mm,centre_lat\nISS016-E-1,1,179.5,85,9\n")
    second.write_text("frame_id,nadir_lat,nadir_lon,focal_mm,iso\nISS016-E-1,1,-179.5,400,800\n")
    (row,) = run("frames", "read", first, second, "--json").records
    assert (row["nadir_lon"], row["focal_mm"], row["iso"]) == (179.5, 85.0, 800.0)
    # 1 degree apart is no other nadir; half a place is none
    assert row["problems"] == ["2.csv has the focal length 400 mm"]
    assert (row["sources"], row["centre_lat"]) == (["1.csv", "2.csv"], None)


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet"])
def test_register_takes_what_read_writes(tmp_path: Path, ending: str) -> None:
    photo, tsv, out = tmp_path / "ISS990-E-000101.jpg", tmp_path / "t.tsv", tmp_path / f"o.{ending}"
    photo.write_bytes(picture())
    tsv.write_text(f"{JSC}\n{JSC_ROW}\n")
    said = run("frames", "read", tsv, "--out", out)
    assert (said.code, said.out) == (0, "")
    assert f"{out}: 1 photo" in said.err
    said = run("frames", "read", tsv, "--out", out)
    assert (said.code, "replace it with --force" in said.err) == (2, True)
    asked = ("register", photo, "--metadata", out, "--tle", OLD_ELEMENTS, *PREVIEW)
    (told,) = run(*asked, "--store", tmp_path / "run.h5").records
    assert told["time_utc"] == "2025-08-27T07:46:02Z"
    assert (told["nadir"]["lat"], told["nadir"]["lon"]) == (-35.1, -151.8)
    assert told["nadir"]["altitude_km"] == JSC_TOLD["altitude_km"]
    assert (told["focal_mm"], told["sources"]["focal_mm"]) == (50.0, "record")
    read = [run("frames", "read", path, "--json", "--quiet").records for path in (tsv, out)]
    assert [row | {"sources": [out.name]} for row in read[0]] == read[1]
    if ending == "parquet":
        frame = pd.read_parquet(out)
        assert str(frame.time_utc.dtype) == "datetime64[us, UTC]"
        assert (frame.nadir_lat[0], list(frame.sources[0])) == (-35.1, ["t.tsv"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("mission,roll,frame,pdate,ptime,nlat,nlon,fclt\nISS990,E,101,,,35.1,-151.8,50\n", 0),
        ('{"frame_id": "ISS990-E-101"}\n[1]\n', 2),
        ('{"frame_id": \n', 2),
        ("a,b\n1,2\n", 2),
    ],
)
def test_register_takes_the_archives_names_of_columns_and_refuses_other_tables(
    tmp_path: Path, text: str, code: int
) -> None:
    photo, table = tmp_path / "ISS990-E-000101.jpg", tmp_path / "t.csv"
    photo.write_bytes(picture())
    table.write_text(text)
    asked = ("register", photo, "--metadata", table, "--tle", OLD_ELEMENTS, *PREVIEW)
    said = run(*asked, "--time", "2025-08-27T07:46:02Z", "--store", tmp_path / "run.h5")
    assert said.code == code
    if code == 0:
        (told,) = said.records
        nadir = told["nadir"]
        assert (nadir["lat"], nadir["lon"], told["focal_mm"]) == (35.1, -151.8, 50.0)
    else:
        assert (said.out, str(table) in said.err) == ("", True)


def test_texts_of_strangers_command_neither_spreadsheet_nor_terminal(tmp_path: Path) -> None:
    text = 'frame_id,place,caption\nISS990-E-1,"=cmd(), ""x""; Ünï🚀","a\x1b[31mb"\n'
    name = "we\nird \x1b[31m.csv"
    (row,) = read(tmp_path, text, name)
    assert row["caption"] == "a [31mb"
    assert row["sources"] == ["we ird [31m.csv"]
    out = tmp_path / "out.csv"
    run("frames", "read", tmp_path / name, "--out", out)
    assert "'=cmd()" in out.read_text(encoding="utf-8")
    (again,) = run("frames", "read", out, "--json", "--quiet").records
    assert again["place"] == row["place"] == '=cmd(), "x"; Ünï🚀'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("<!DOCTYPE html><html>no</html>", "it is a web page"),
        ('[{"frames.mission": "ISS0', "truncated"),
        ("[1, 2]", "not an object"),
        ('{"result": "SQL found no records that match"}', "has no rows: SQL found"),
        ("a,b\n1,2\n", "no known column"),
        ("{'x': print(1)}\n", "line 1 is not a record"),
        ("[" * 100_000, "damaged"),
        ("ab\0c", "it is not text"),
        ('frame_id,x\n"ISS016-E-1' + "x" * 200_000, "field larger"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    said = run("frames", "read", tmp_path / "t.csv", "--out", tmp_path / "out.csv")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "cannot be read as a table of photos" in said.err
    assert why in said.err
    assert not (tmp_path / "out.csv").exists()


TABLES = (
    f"{JSC}\n{JSC_ROW}\n{JSC_ROW}\n",
    "ISS-ID,loncity,lens,coordimage\nISS016-E-1,1,24 mm,http://e/MapCoordinate.pl?lat=5&lon=2\n",
    '[{"nadir.mission": "ISS990", "nadir.roll": "E", "nadir.frame": "1", "nadir.lat": "1"}]',
    "{'idISS': 'ISS016-E-1', 'link': 'http://e/photo.pl?mission=ISS016&roll=E&frame=1'}\n",
)
PIECES = st.sampled_from(
    ['"', "\t", ",", "\n", "{", "[", "'", "\xff", "\u202e", "1e999", "nan", "-", "//[", "=", "\x00"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.sampled_from(TABLES),
    damage=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 30), PIECES), max_size=12),
)
def test_damaged_tables_are_read_in_part_or_refused(
    tmp_path: Path, table: str, damage: list[tuple[int, int, str]]
) -> None:
    for place, length, piece in damage:
        at = place % (len(table) + 1)
        table = table[:at] + piece + table[at + length :]
    (tmp_path / "t.txt").write_bytes(table.encode("latin-1", "replace"))
    said = run("frames", "read", tmp_path / "t.txt", "--json", "--quiet")
    assert said.code in (0, 2)
    for row in said.records:
        assert not set(row["frame_id"]) & set("/\\. \n\0'\"")
        assert row["nadir_lat"] is None or -90.0 <= row["nadir_lat"] <= 90.0
        assert row["nadir_lon"] is None or -180.0 <= row["nadir_lon"] < 180.0
        assert row["focal_mm"] is None or 0.0 < row["focal_mm"] <= 5000.0


def test_the_orbit_tells_what_cannot_be(tmp_path: Path) -> None:
    samples = ROOT / "data_samples"
    truth = json.loads((samples / "truth" / "ISS990-E-000101.json").read_text())
    lat, lon = truth["camera"]["lat"], truth["camera"]["lon"]
    rows = [f"ISS990-E-101,{truth['time_utc']},{lat:.1f},{lon:.1f}"]
    rows += [f"ISS990-E-102,{truth['time_utc']},{-lat:.1f},{lon:.1f}", "ISS990-E-103,,1,2"]
    rows += [f"ISS990-E-104,2025-08-27T00:00:00Z,{lat:.1f},{lon:.1f}"]  # too far from any set
    (tmp_path / "t.csv").write_text("frame_id,time_utc,nadir_lat,nadir_lon\n" + "\n".join(rows))
    said = run("frames", "read", tmp_path / "t.csv", "--tle", samples / "tle.txt", "--json")
    problems = [record["problems"] for record in said.records]
    assert [bool(one) for one in problems] == [False, True, False, False]
    assert "the station was above 35" in problems[1][0]
    # Those of the package are used where none are named
    real = "frame_id,time_utc,nadir_lat,nadir_lon\nISS030-E-184140,2012-03-28T15:46:41Z,{},136.9\n"
    for lat, is_wrong in ((35.7, False), (-35.7, True)):
        (tmp_path / "t.csv").write_text(real.format(lat))
        (row,) = run("frames", "read", tmp_path / "t.csv", "--json").records
        assert bool(row["problems"]) == is_wrong


# The database ------------------------------------------------------------------------------------


@pytest.fixture
def ask(
    archive: ArchiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> Any:
    """``frames query``, with a key and a cache of the test's own."""
    monkeypatch.setenv("JSC_PHOTOS_KEY", archive.KEY)
    monkeypatch.setenv("REGENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("REGENGINE_ARCHIVE", archive.url(""))

    def ask(*words: object) -> Said:
        return run("frames", "query", "--mission", "iss990", *words)

    return ask


def numbers(said: Said) -> list[int]:
    assert said.code == 0, said.err
    return sorted(int(row["frame_id"].rpartition("-")[2]) for row in said.records)


def test_both_tables_are_asked_and_put_together(
    archive: ArchiveService, ask: Any, tmp_path: Path
) -> None:
    day = "20250827"  # far from any element set: nothing contradicts the nadir
    archive.add_frame(1, day=day, catalogued=True)
    archive.add_frame(2, day=day)
    archive.add_frame(3, day=day, focal=None)  # no record of its camera: a join alone would lose it
    archive.add_frame(4, mission="ISS991")
    said = ask("--json")
    assert numbers(said) == [1, 2, 3]
    first, second, third = said.records
    assert (first["place"], first["centre_lat"]) == ("PACIFIC", 35.5)
    assert (first["sources"], first["problems"]) == (["frames", "nadir"], [])
    assert (second["focal_mm"], second["camera"]) == (50.0, "Nikon D3S")
    assert (third["focal_mm"], third["nadir_lon"]) == (None, -151.8)
    assert "3 questions, 0 from the cache" in said.err
    assert ask("--out", tmp_path / "found.csv").code == 0
    assert list(pd.read_csv(tmp_path / "found.csv").frame_id) == [
        f"ISS990-E-{n}" for n in (1, 2, 3)
    ]
    asked = len(archive.requests)
    said = ask("--out", tmp_path / "found.csv")  # never replaced, nothing asked
    assert (said.code, len(archive.requests)) == (2, asked)
    said = ask("--dry-run")
    assert (len(said.out.splitlines()), len(archive.requests)) == (3, asked)
    assert archive.KEY not in said.out


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["--night"], [1, 3, 4]),
        (["--sun-elevation", "-90,-6"], [1, 3, 4]),
        (["--focal-mm", "50,85"], [1, 2]),
        (["--focal-mm", "400"], [3]),
        (["--from", "2014-01-18", "--to", "2014-02-02"], [2, 3]),
        (["--bbox", "-180,-60,0,60"], [1, 2]),
        (["--bbox", "170,-60,-150,60"], [1, 2, 3]),
        (["--bbox", "170,50,-150,60"], None),
        (["--table", "frames"], [2]),
    ],
)
def test_conditions_hold(
    archive: ArchiveService, ask: Any, wanted: list[str], expected: list[int] | None
) -> None:
    archive.add_frame(1)
    archive.add_frame(2, day="20140118", sun=5.0, focal="85", catalogued=True)
    archive.add_frame(3, day="20140202", lon=179.9, focal="400")
    archive.add_frame(4, lon=120.0, focal=None)
    assert numbers(ask(*wanted, "--json")) == (expected or [])


@pytest.mark.parametrize("limit", ["rows", "bytes"])
@pytest.mark.parametrize("dated", [True, False])
def test_answers_that_are_cut_are_asked_for_in_parts(
    archive: ArchiveService, ask: Any, limit: str, dated: bool
) -> None:
    draw = random.Random(7)
    for number in draw.sample(range(1, 2_000_000), 310):
        archive.add_frame(number, day=f"201401{draw.choice(['05', '17', '17', '17', '30'])}")
    if limit == "rows":
        archive.most_rows = 150  # more on one day than an answer may have
    else:
        archive.most_bytes = 15_000
    days = ("--from", "2014-01-01", "--to", "2014-01-31") if dated else ()
    assert len(numbers(ask("--table", "nadir", *days, "--json"))) == 310
    asked = len(archive.requests)
    assert asked < 120
    assert len(numbers(ask("--table", "nadir", *days, "--json"))) == 310
    assert len(archive.requests) - asked < asked / 2


def test_an_interrupted_query_goes_on(
    archive: ArchiveService, ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add_frame(1)
    archive.add_frame(2, day="20140220")
    wanted = ("--from", "2014-01-01", "--to", "2014-02-28", "--table", "nadir", "--json")
    archive.faults["*"] = ["ok", "ok", *[500] * 5]
    said = ask(*wanted)
    assert (said.code, said.out) == (3, "")
    assert "keeps failing (status 500, 5 times)" in said.err
    said = ask(*wanted)
    assert numbers(said) == [1, 2]
    assert "2 questions, 2 from the cache" in said.err
    kept = sorted((tmp_path / "cache").rglob("*.json"))
    assert len(kept) == 4
    assert not any(archive.KEY in str(path) + path.read_text() for path in kept)
    # All is known: no key, no network
    monkeypatch.delenv("JSC_PHOTOS_KEY")
    asked = len(archive.requests)
    assert (numbers(ask(*wanted)), len(archive.requests)) == ([1, 2], asked)
    for path in kept:  # a week later
        os.utime(path, (0, path.stat().st_mtime - 8 * 86_400))
    said = ask(*wanted)
    assert (said.code, "needs your own key" in said.err) == (2, True)
    # Damaged answers are asked for anew
    monkeypatch.setenv("JSC_PHOTOS_KEY", archive.KEY)
    for path, content in zip(kept, ("{", "[]", '{"question": 1, "rows": 2}', "["), strict=True):
        path.write_text(content)
    assert (numbers(ask(*wanted)), len(archive.requests)) == ([1, 2], asked + 4)


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in NADIR.items() if key != f"nadir.{name}"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html><title>Log\nin sEcret-0123</title>", "a web page instead of JSON (Log in ***)"),
        (b"", "something other than JSON, which is empty"),
        (b"Software error: sEcret-0123", "which begins 'Software error: ***'"),
        (b"[" * 200_000 + b"]", "JSON"),
        ("rows", "answered '\"rows\"', not rows"),
        ([1, 2], "rows that are not objects"),
        ({"rows": [NADIR]}, "an object of 'rows' instead of rows"),
        ({"error": "Invalid API key sEcret-0123"}, "rejects the key ('Invalid API key ***')"),
        ({"result": "SQL error\x1b[31m near x"}, "rejects the query: 'SQL error [31m near x'"),
        ([{**NADIR, "nadir.lat": [35.1]}], "a list or object in 'nadir.lat'"),
        ([NADIR, without("frame")], "without 'nadir.frame'"),
        ([without("lat")], "without 'nadir.lat'"),
        ([{**NADIR, "nadir.pdate": "2014-01-17T07:46"}], "'2014-01-17T07:46' for 'nadir.pdate'"),
        ([{**NADIR, "nadir.frame": "E101"}], "'E101' for 'nadir.frame'"),
        (403, "denies access (status 403)"),
        (404, "has no photo database at that address: check REGENGINE_ARCHIVE"),
        ("to:http://localhost:1/x", "redirects to http://localhost, which is not followed"),
    ],
)
def test_a_database_that_answers_otherwise_is_told_in_a_sentence(
    archive: ArchiveService, ask: Any, body: object, why: str
) -> None:
    plain = isinstance(body, bytes | int) or str(body).startswith("to:")
    archive.always["*"] = body if plain else json.dumps(body).encode()
    said = ask("--table", "nadir", "--json")
    assert (said.code, said.out) == (3, "")
    assert why in said.err
    assert archive.KEY not in said.err
    assert (said.err.count("\n"), len(said.err) < 400) == (1, True)


def test_rows_that_were_not_asked_for_are_left_out(archive: ArchiveService, ask: Any) -> None:
    rows = [NADIR, {**NADIR, "nadir.mission": "ISS991"}]
    archive.always["*"] = json.dumps(rows).encode()
    said = ask("--table", "nadir", "--json")
    assert numbers(said) == [101]
    assert "2 rows were outside the query" in said.err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--night"], "the whole database is too much"),
        (["--mission", "ISS030|x|eq|1"], "--mission"),
        (["--from", "2014-01-01"], "--from and --to together"),
        (["--from", "2014-01-02", "--to", "2014-01-01"], "is later than"),
        (["--from", "yesterday", "--to", "2014-01-01"], "--from"),
        (["--mission", "ISS990", "--focal-mm", "85,50"], "--focal-mm"),
        (["--mission", "ISS990", "--focal-mm", "1,2,3"], "--focal-mm"),
        (["--mission", "ISS990", "--bbox", "1,2,3"], "--bbox"),
        (["--mission", "ISS990", "--bbox", "0,50,1,40"], "--bbox"),
        (["--mission", "ISS990", "--bbox", "0,0,400,1"], "--bbox"),
        (["--mission", "ISS990", "--bbox", "200,0,210,1"], "--bbox"),
        (["--mission", "ISS990", "--table", "users"], "--table 'users'"),
        (["--mission", "ISS990", "--night", "--sun-elevation", "-9,0"], "not both"),
    ],
)
def test_questions_without_sense_are_refused_before_anything_is_asked(
    options: list[str], why: str
) -> None:
    said = run("frames", "query", *options)
    assert said.code == 2
    assert why in said.err
    assert "pw" not in said.err.replace("passwd", "")


@pytest.mark.parametrize(
    ("copy", "why"),
    [
        ("http://example.org", "expose the key"),
        ("https://me:pw@example.org", "write https"),
        ("https://example.org/x?key=1", "write https"),
        ("file:///etc/passwd", "write https"),
        ("https://example.org:x/", "not a valid address"),
    ],
)
@pytest.mark.parametrize("command", [("query", "--mission", "ISS990"), ("download", FRAME)])
def test_a_copy_of_the_archive_without_an_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], copy: str, why: str
) -> None:
    monkeypatch.setenv("REGENGINE_ARCHIVE", copy)
    out = ("--out", tmp_path / "photos") if command[0] == "download" else ()
    said = run("frames", *command, *out)
    assert (said.code, why in said.err) == (2, True)
    assert "REGENGINE_ARCHIVE" in said.err
    assert "pw" not in said.err.replace("passwd", "")


# Pictures ----------------------------------------------------------------------------------------


@pytest.fixture
def fetch(
    archive: ArchiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> Any:
    """``frames download`` into a folder that is not there yet."""
    for number in (101, 102, 103):
        archive.add_picture(f"ISS990-E-{number}", picture())
    monkeypatch.setenv("REGENGINE_ARCHIVE", archive.url(""))

    def fetch(*words: object) -> Said:
        out = ("--out", tmp_path / "photos", "--json")
        return run("frames", "download", *words, *out)

    return fetch


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_pictures_come_whole_with_their_sums(
    archive: ArchiveService, fetch: Any, tmp_path: Path
) -> None:
    (tmp_path / "found.csv").write_text("frame_id\nISS990-E-102\nISS990-E-101\n")
    said = fetch("iss990e000101", tmp_path / "found.csv", "ISS990-E-9")
    assert said.code == 1
    assert "2 fetched, 1 absent" in said.err
    assert [one["status"] for one in said.records] == ["fetched", "fetched", "absent"]
    folder = tmp_path / "photos"
    assert files(folder) == ["ISS990-E-101.JPG", "ISS990-E-102.JPG", "SHA256SUMS"]
    assert (folder / "ISS990-E-101.JPG").read_bytes() == picture()
    assert said.records[0]["sha256"] == hashlib.sha256(picture()).hexdigest()
    assert (said.records[0]["bytes"], said.records[0]["file"]) == (
        len(picture()),
        str(folder / "ISS990-E-101.JPG"),
    )
    if shutil.which("sha256sum"):  # the list is what that program reads
        subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True)
    asked = len(archive.requests)
    said = fetch("ISS990-E-101")
    assert (said.code, said.records[0]["status"], len(archive.requests)) == (0, "present", asked)


def test_pictures_that_were_changed_are_told_and_kept(fetch: Any, tmp_path: Path) -> None:
    fetch(FRAME)
    path = tmp_path / "photos" / f"{FRAME}.JPG"
    path.write_bytes(picture() + b"edited")
    said = fetch(FRAME)
    assert "has changed since it was fetched" in said.records[0]["why"]
    assert path.read_bytes() == picture() + b"edited"
    fetch(FRAME, "--force")
    assert path.read_bytes() == picture()
    (tmp_path / "photos" / "ISS990-E-102.JPG").write_bytes(b"mine")  # somebody's own file
    sums = tmp_path / "photos" / "SHA256SUMS"
    sums.write_bytes(sums.read_bytes() + b"0123")  # a line that a kill cut short
    assert fetch("ISS990-E-102", "ISS990-E-103").code == 0
    assert (tmp_path / "photos" / "ISS990-E-102.JPG").read_bytes() == b"mine"
    assert sums.read_text().count(".JPG") == 3


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("login", "returned a web page instead of a complete picture"),
        ("half", "returned a truncated JPEG"),
        (b"GIF89a", "returned another format"),
        (b"", "returned nothing instead of a complete picture"),
        (b"\xff\xd8\xff" + bytes(2 << 20), "more than 1 MB, raise the limit with --max-megabytes"),
        ((503, {"Retry-After": "3600"}), "a pause of 3600 s"),
        ("to:http://localhost:1/x", "redirects to http://localhost"),
        (400, "rejects the request with status 400"),
    ],
)
def test_one_picture_that_does_not_come_stops_no_other(
    archive: ArchiveService, fetch: Any, tmp_path: Path, fault: object, why: str
) -> None:
    archive.faults["*"] = [fault]
    said = fetch(FRAME, "ISS990-E-102", "--max-megabytes", "1")
    assert said.code == 1
    assert [one["status"] for one in said.records] == ["failed", "fetched"]
    assert why in said.records[0]["why"]
    assert files(tmp_path / "photos") == ["ISS990-E-102.JPG", "SHA256SUMS"]


def test_a_server_in_trouble_is_asked_again_after_growing_pauses_and_then_left_alone(
    archive: ArchiveService, fetch: Any, pauses: list[float]
) -> None:
    archive.faults["*"] = [503, "cut", "long", (429, {"Retry-After": "17"})]
    assert fetch(FRAME).code == 0
    assert len(archive.requests) == 5
    *growing, last = [wait for wait in pauses if wait > 1.0]  # but for those between requests
    assert all(2**tries <= wait <= 3 * 2**tries for tries, wait in enumerate(growing))
    assert (len(growing), last >= 17.0) == (3, True)
    archive.always["*"] = 500
    said = fetch(*(f"ISS990-E-{number}" for number in range(200, 250)))
    assert len(said.records) == 3
    assert "3 pictures in a row could not be fetched" in said.err
    assert "47 not requested" in said.err


def test_a_limit_on_all_that_comes_is_kept(fetch: Any) -> None:
    said = fetch(FRAME, "ISS990-E-102", "--max-gigabytes", len(picture()) / 2e9)
    assert ([one["status"] for one in said.records], said.code) == (["fetched"], 1)
    assert "raise the limit with --max-gigabytes" in said.err


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["../../etc/none"], 2, "neither a photo's id"),
        (["no-such.csv"], 2, "neither a photo's id"),
        ([FRAME, "--size", "huge"], 2, "--size huge"),
        ([FRAME, "--out", "{tmp}/file"], 3, "cannot be created"),
    ],
)
def test_downloads_without_sense_are_refused(
    archive: ArchiveService, tmp_path: Path, words: list[str], code: int, why: str
) -> None:
    (tmp_path / "file").write_text("")
    words = [word.replace("{tmp}", str(tmp_path)) for word in words]
    said = run("frames", "download", "--out", tmp_path / "photos", *words)
    assert (said.code, why in said.err) == (code, True)
    assert archive.requests == []


# Photos by name ----------------------------------------------------------------------------------


@pytest.fixture
def register(
    archive: ArchiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> Any:
    """``register`` with a data folder of its own, in a folder that is empty."""
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "data"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    archive.add_frame(101, day="20250827", lat=-35.1, lon=151.8)
    archive.add_picture(FRAME, picture())

    def register(*words: object) -> Said:
        where = ("--lights", LIGHTS, "--tle", OLD_ELEMENTS, "--store", tmp_path / "run.h5")
        where += ("--workers", "0", "--json")
        return run("register", *where, "--max-seconds", "1", *words)

    return register


def test_a_photo_is_not_there_without_its_record(register: Any, tmp_path: Path) -> None:
    photo = tmp_path / "data" / "photos" / "ISS990" / f"{FRAME}.JPG"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(picture())
    assert register(FRAME, "--dry-run").records[0]["would_fetch"]
    photo.with_name(f"{FRAME}.record.csv").write_text("frame_id\n")
    assert "would_fetch" not in register(FRAME, "--dry-run").records[0]
    photo.unlink()
    assert register(FRAME, "--dry-run").records[0]["would_fetch"]


@pytest.mark.slow  # two searches of what is no town
def test_a_photo_by_name_comes_once_with_what_the_archive_knows(
    archive: ArchiveService, register: Any, tmp_path: Path
) -> None:
    (told,) = register("iss990e000101", "--dry-run").records
    assert (told["frame"], told["would_fetch"]) == (FRAME, True)
    archive.add_picture("ISS990-E-102", picture() + b"small", size="small")  # there is no large one
    said = register("iss990e000101", "ISS990-E-9", "ISS990-E-102")
    assert said.code == 1
    by_frame = {record["frame"]: record for record in said.records}
    assert by_frame["ISS990-E-9"]["reasons"] == ["not_found"]
    assert by_frame["ISS990-E-9"]["reason_texts"][0].startswith("ISS990-E-9 is not in the archive")
    assert by_frame["ISS990-E-102"]["nadir"] is None
    assert "ISS990-E-102: time and place unknown" in said.err
    photo = by_frame[FRAME]
    assert Path(photo["path"]) == tmp_path / "data" / "photos" / "ISS990" / f"{FRAME}.JPG"
    assert Path(photo["path"]).read_bytes() == picture()
    assert photo["time_utc"] == "2025-08-27T07:46:02Z"
    assert (photo["nadir"]["lat"], photo["nadir"]["lon"]) == (-35.1, 151.8)
    assert photo["nadir"]["altitude_km"] == pytest.approx(413.0 + 7.0, abs=1.0)
    assert (photo["image"]["focal_mm"], photo["image"]["camera_body"]) == (50.0, "NIKON D3S")
    # What is there is not asked for again; what the archive learns later is
    asked = Counter(archive.asked)
    archive.add_frame(102, day="20250827", lat=10.0)
    said = register(FRAME, "ISS990-E-102", "--no-resume", "--store", tmp_path / "again.h5")
    assert said.code == 0
    assert archive.asked - asked == {archive.PAGE: 1}
    assert {record["frame"]: record["nadir"]["lat"] for record in said.records} == {
        FRAME: -35.1,
        "ISS990-E-102": 10.0,
    }


@pytest.mark.parametrize(
    ("word", "frame"),
    [
        ("ISS990-E-101.JPG", FRAME),
        ("iss990e101_lrg.jpg", FRAME),
        ("https://eol.jsc.nasa.gov/SearchPhotos/photo.pl?mission=ISS990&roll=E&frame=101", FRAME),
        ("iss006-370-12", "ISS006-370-12"),
        ("@names.txt", FRAME),
        ("names.txt", FRAME),
    ],
)
def test_names_are_taken_as_people_write_them(register: Any, word: str, frame: str) -> None:
    Path("names.txt").write_text("# of one pass\nISS990-E-101\n\niss990e000101\n")
    (told,) = register(word, "--dry-run").records
    assert (told["frame"], told.get("would_fetch")) == (frame, True)


def test_a_file_of_that_name_comes_first(archive: ArchiveService, register: Any) -> None:
    Path("ISS990-E-101.JPG").write_bytes(picture())
    (told,) = register("ISS990-E-101.JPG", "--dry-run").records
    assert "would_fetch" not in told
    assert archive.requests == []
    assert register("photos/ISS990-E-101.JPG", "--dry-run").code == 3  # a path is no name


def test_without_a_network_each_name_fails_with_a_sentence(
    register: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("REGENGINE_ARCHIVE", f"http://127.0.0.1:{closed.getsockname()[1]}")
    said = register(*(f"ISS990-E-{number}" for number in range(101, 106)))
    assert said.code == 1
    texts = sorted(record["reason_texts"][0] for record in said.records)
    assert sum("127.0.0.1 cannot be reached: check the network" in text for text in texts) == 3
    assert sum("was not requested" in text for text in texts) == 2
    monkeypatch.setenv("REGENGINE_ARCHIVE", "http://example.org")
    said = register("ISS990-E-107")
    assert (said.code, "REGENGINE_ARCHIVE" in said.err) == (2, True)
