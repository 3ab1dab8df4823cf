"""TABLES: the bytes of a table that tells of photos, and what is read of it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.world.faults import write_photos
from tests.world.program import run
from tests.world.runs import ELEMENTS, LIGHTS, SAMPLES
from tests.world.services import night_picture
from tests.world.tables import by_name

# Years from the photos: no orbit is known
PREVIEW = ("--tle", ELEMENTS, "--lights", LIGHTS, "--dry-run", "--json")
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
JSC_TOLD: dict[str, Any] = {
    "frame_id": "ISS990-E-101",
    "time_utc": "2025-08-27T07:46:02Z",  # far from any element set: nothing contradicts the nadir
    "nadir_lat": -35.1,
    "nadir_lon": -151.8,
    # 218 nmi above a sphere of the equator's radius, where the ellipsoid lies 7 km lower
    "altitude_km": pytest.approx(403.7 + 7.0, abs=0.2),
    "camera": "Nikon D3S Electronic Still Camera",
    "focal_mm": 50.0,
    "centre_lat": 30.5,
    "place": "PACIFIC",
    "features": "CITY, COAST",
    "caption": "AT NIGHT",
    "sun_azimuth_deg": 201.0,
    "cloud_percent": 10.0,
    "problems": [],
}
OWN = (
    "frame_id,gmt_date,gmt_time,nadir_lat,nadir_lon,center_lat,center_lon,camera,focal_mm,"
    "altitude_nmi,sun_az,sun_el,shutter,aperture,iso,place\n"
)
NADIR = {f"nadir.{name}": value for name, value in {
    "mission": "ISS016", "roll": "E", "frame": "1", "pdate": "20140117", "ptime": "74602",
    "lat": "-35.1", "lon": 208.2}.items()}  # fmt: skip
LINK = "http://e/MapCoordinate.pl?"
TAGS = {
    "DateTime": "2014:10:29 08:59:46", "DateTimeOriginal": "2011:09:18 11:54:56",
    "OffsetTimeOriginal": "+02:00", "FocalLength": "20.0", "ExposureTime": "1.3",
    "FNumber": "2.8", "ISOSpeedRatings": "12800",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """A table of one photo, ISS016-E-1; what is told of it, and each problem in part."""

    name: str
    content: str | bytes
    told: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def of_columns(name: str, header: str, cells: str, problem: str = "", **told: Any) -> Row:
    problems = (problem,) if problem else ()
    content = f"{header}\nISS016-E-1,{cells}\n"
    return Row(name=name, content=content, told=told, problems=problems)


ELSEWHERE = "time and nadir contradict"  # by the orbit, of which other rows are
ROWS = (
    Row(
        name="own.csv",
        content=OWN + 'ISS016-E-1,20120328,154641,35.7,136.9,35,135,"NIKON D3S S/N: 1",'
        "85,212,1,-36,1/13,1.6,3200,\n",
        told={
            "time_utc": "2012-03-28T15:46:41Z", "nadir_lat": 35.7, "nadir_lon": 136.9,
            "camera": "NIKON D3S S/N: 1", "focal_mm": 85.0, "iso": 3200.0, "aperture_f": 1.6,
            "exposure_s": pytest.approx(1 / 13, abs=1e-6), "sun_elevation_deg": -36.0,
            # By the ellipse: 212 nmi + 6378.137 km from the middle, at 35.7 degrees
            "altitude_km": pytest.approx(399.9, abs=0.1),
        },
    ),
    Row(
        name="altitude.csv",
        content="\ufeffFrame ID;Time UTC;Nadir lat;Nadir lon;Altitude km\n"
        "ISS016-E-1;2019-05-10T09:23:03+02:00;10;350;408.5\n",
        told={"time_utc": "2019-05-10T07:23:03Z", "nadir_lon": -10.0, "altitude_km": 408.5},
    ),
    Row(
        name="answer.tsv",
        content="mission\troll\tframe\tPhoto Date\tPhoto Time GMT\tNadir Lat\tNadir Lon\tLens mm\n"
        "ISS016\tE\t   1\t20001229\t95948\t51.4\t-.3\t0\n",
        told={"time_utc": "2000-12-29T09:59:48Z", "nadir_lon": -0.3, "focal_mm": None},
    ),
    of_columns("city.csv", "ISS-ID,loncity,latcity,lens,coordimage",
               f"19.1,51.9,24.0 mm,{LINK}lat=-38.&lon=.8", nadir_lat=-38.0, nadir_lon=0.8,
               place_lat=51.9, focal_mm=24.0),
    Row(name="link.csv",
        content="idiss,lon,lat,linkSmall\n1,144.9,-37.8,http://e/small/ISS016/ISS016-E-1.JPG",
        told={"place_lat": -37.8, "place_lon": 144.9, "nadir_lat": None}),
    Row(name="python.txt", content="{'idISS': 'ISS016-E-1', 'link': None}\n"),
    Row(name="spanish.csv",
        content="Fecha/Date,Pais/Country,Lugar/Place,Coordenadas del centro de la imagen/Center"
        " cordinates,Enlace a la ficha/Link,Cámara/ Model,T. Exposición/ Shutter,ISO\n"
        '1/30/2008 22:42:27,Spain,Madrid,"40,61, -3,74",http://e/?ID=ISS016-E-1,NIKON,0.05,¿?',
        told={"centre_lon": -3.74, "place": "Madrid, Spain", "exposure_s": 0.05, "iso": None,
              "time_utc": "2008-01-30T22:42:27Z"}),
    Row(name="mixed.csv", told={"place": "Düsseldorf"},
        content="frame_id,place\nISS016-E-1,Düsseldorf\n".encode()
        + "ISS016-E-1,Málaga".encode("cp1252")),
    Row(name="answer.json",
        content=json.dumps([NADIR | {"camera|fclt": "50", "camera.camera": "N5", "nadir.azi": None,
                                     "nadir.elev": "-33"}]),
        told={"time_utc": "2014-01-17T07:46:02Z", "nadir_lat": -35.1, "focal_mm": 50.0,
              "nadir_lon": pytest.approx(-151.8), "camera": "Nikon D3S",
              "sun_azimuth_deg": None, "sun_elevation_deg": -33.0}),
    Row(name="exif.json", content=json.dumps({"ISS016-E-1.jpg": TAGS}),
        told={"time_utc": "2011-09-18T09:54:56Z", "focal_mm": 20.0, "exposure_s": 1.3,
              "aperture_f": 2.8, "iso": 12800.0}),
    # Lines end where files end them, not at U+2028, U+2029 or U+0085
    Row(name="lines.ndjson", told={"place": "a b c d"},
        content='\ufeff{"frame_id": "ISS016-E-1", "place": "a\u2028b\u2029c\x85d"}\r\n'
        '\ufeff{"frame_id": "ISS016-E-1", "focal_mm": 85}\n'.encode("utf-16")),
    # An hour is a time of day where it is a whole one
    of_columns("hour.csv", "frame_id,date,hour", "20120418,930", "930", time_utc=None),
    of_columns("no lens.csv", "frame_id,focal_mm", "65535",
               "focal_mm '65535' is not a number from 1 to 3000", focal_mm=None),
    of_columns("lat.csv", "frame_id,nadir_lat,nadir_lon", "91,4",
               "'91' is not a number from -90 to 90", nadir_lat=None, nadir_lon=None),
    of_columns("ambiguous.csv", "frame_id,time_utc", "1/2/2008 10:00", "1/2/2008", time_utc=None),
    Row(name="hash.csv", content="frame_id,focal_mm\n#ISS016-E-1,85\n# a note\n",
        told={"focal_mm": 85.0}),  # no comment: it has all columns
    Row(name="again.csv",
        content="frame_id,time_utc,nadir_lat,nadir_lon,focal_mm\n"
        "ISS016-E-1,2012-03-28T15:46:41Z,,,85\nISS016-E-1,2012-03-28T15:56:41Z,1,2,85\n",
        told={"time_utc": "2012-03-28T15:46:41Z", "nadir_lat": 1.0, "focal_mm": 85.0},
        problems=("again.csv has the time 2012-03-28T15:56:41Z",)),
)  # fmt: skip


def read(path: Path, content: str | bytes) -> list[dict[str, Any]]:
    """What ``archive read`` makes of a file."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    said = run("archive", "read", path, "--json", "--quiet")
    assert said.code == 0, said.err
    return said.records


@pytest.mark.parametrize("row", ROWS, ids=by_name)
def test_a_table_is_read_as_far_as_it_makes_sense(tmp_path: Path, row: Row) -> None:
    (told,) = read(tmp_path / row.name, row.content)
    assert told["frame_id"] == "ISS016-E-1"
    assert {column: told[column] for column in row.told} == row.told
    text = "\n".join(one for one in told["problems"] if not one.startswith(ELSEWHERE))
    assert all(problem in text for problem in row.problems)
    assert bool(text) == bool(row.problems), text
    photo = write_photos(tmp_path / "photos", 1)[0].rename(tmp_path / "ISS016-E-1.png")
    said = run("register", photo, "--metadata", tmp_path / row.name, *PREVIEW)
    (used,) = said.records
    for column, name in (("time_utc", "time_utc"), ("focal_mm", "focal_mm")):
        assert used[name] == told[column], said.err
    if told["nadir_lat"] is not None and used["nadir"]["source"] != "tle":
        assert used["nadir"]["lat"] == pytest.approx(told["nadir_lat"])


def test_the_archives_own_table_is_read_whole(tmp_path: Path) -> None:
    # Pages of answers, one behind the other, repeat their headings
    (row,) = read(tmp_path / "ISS990-E.tsv", f"{JSC}\n{JSC_ROW}\n{JSC}\n")
    assert {name: row[name] for name in JSC_TOLD} == JSC_TOLD


HEADINGS = ("Frame ID", "time_utc", "nadir_lat", "nadir_lon", "focal_mm")
CELLS = ("ISS016-E-1", "2012-03-28T15:46:41Z", "34.5", "136.9", "85")


@pytest.mark.parametrize(
    ("separator", "encoding"),
    [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-16"), ("|", "utf-16-be")],
)
def test_spreadsheets_of_any_encoding_with_lines_above_and_comments_are_read(
    tmp_path: Path, separator: str, encoding: str
) -> None:
    lines = [separator.join(HEADINGS), "# the first night – ä", separator.join(CELLS), "", "# end"]
    for above in (
        "", '"sep={separator}"\r\n', "SEP={separator}\n\n", "# exported, by me; 2014\n",
        "Frames of a night\n\n", "photo,date,who made it\n",
    ):  # fmt: skip
        if separator == "|":  # no other reader guesses it
            above = f"sep=|\n{above.replace('sep=', 'note=')}"
        text = above.format(separator=separator) + "\r\n".join(lines)
        (row,) = read(tmp_path / "t.txt", text.encode(encoding))
        told = [row[name] for name in ("time_utc", "nadir_lat", "nadir_lon", "focal_mm")]
        assert told == ["2012-03-28T15:46:41Z", 34.5, 136.9, 85.0], above


def test_rows_are_counted_and_tables_fill_each_others_gaps(tmp_path: Path) -> None:
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    first.write_text(
        "frame_id,nadir_lat,nadir_lon,focal_mm,centre_lat\nISS016-E-1,1,179.5,85,9\n,1,2,,\n"
    )
    second.write_text("frame_id,nadir_lat,nadir_lon,focal_mm,iso\nISS016-E-1,1,-179.5,400,800\n")
    said = run("archive", "read", first, second, "--json")
    assert "1 photo, of 3 rows, 1 row names no photo, 1 photo with problems" in said.err
    (row,) = said.records
    assert (row["nadir_lon"], row["focal_mm"], row["iso"]) == (179.5, 85.0, 800.0)
    # 1 degree apart is no other nadir; half a place is none
    assert row["problems"] == ["2.csv has the focal length 400 mm"]
    assert (row["sources"], row["centre_lat"]) == (["1.csv", "2.csv"], None)


# What is no table --------------------------------------------------------------------------------


def text_of(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


NO_TABLES: tuple[tuple[str, Callable[[Path], object], str], ...] = (
    ("t.csv", text_of(""), "it is empty"),
    ("t.csv", text_of("<!DOCTYPE html><html>no</html>"), "it is a web page"),
    ("t.csv", text_of('[{"frames.mission": "ISS0'), "truncated"),
    ("t.csv", text_of('{"frame_id": "ISS990-E-101"}\n[1]\n'), "not a record"),
    ("t.csv", text_of('{"result": "SQL found no records that match"}'), "has no rows: SQL found"),
    ("t.csv", text_of("a,b\n1,2\n"), "no known column"),
    ("t.csv", text_of("{'x': print(1)}\n"), "line 1 is not a record"),
    ("t.csv", text_of("[" * 100_000), "damaged"),
    ("t.csv", text_of("ab\0c"), "it is not text"),
    ("t.csv", text_of('frame_id,x\n"ISS016-E-1' + "x" * 200_000), "field larger"),
    ("t.csv", text_of(f"{','.join(HEADINGS)},focal_mm\n{','.join(CELLS)},400\n"),
     "'focal_mm' is given twice"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "write", "why"), NO_TABLES, ids=[f"{name} {why}"[:40] for name, _, why in NO_TABLES]
)
def test_what_is_no_table_is_refused_in_a_sentence(
    tmp_path: Path, name: str, write: Callable[[Path], object], why: str
) -> None:
    write(tmp_path / name)
    said = run("archive", "read", tmp_path / name, "--out", tmp_path / "out.csv")
    assert (said.code, said.err.count("\n"), why in said.err) == (2, 1, True), said.err
    assert "cannot be read as a table of photos" in said.err or "given twice" in said.err
    (photo,) = write_photos(tmp_path / "photos", 1)
    said = run("register", photo, "--metadata", tmp_path / name, *PREVIEW)
    assert (said.code, said.out, str(tmp_path / name) in said.err) == (2, "", True)
    assert not (tmp_path / "out.csv").exists()


def in_zip(text: bytes) -> bytes:
    with zipfile.ZipFile(packed := io.BytesIO(), "w") as archive:
        archive.writestr("photos.csv", text)
    return packed.getvalue()


def in_tar(text: bytes) -> bytes:
    with tarfile.open(fileobj=(packed := io.BytesIO()), mode="w") as archive:
        entry = tarfile.TarInfo("photos.csv")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, in_zip, in_tar])
def test_a_compressed_text_is_to_be_unpacked_first(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path, photo = tmp_path / "list.txt", SAMPLES / "ISS990-E-000103.jpg"
    path.write_bytes(pack(b"frame_id,time_utc,x,y\nISS990-E-000103,2014-01-30T10:14:58Z,1,2\n"))
    for words in (
        ("tle", "info", path),
        ("maps", "info", path),
        ("archive", "read", path),
        ("register", photo, "--tle", path),
        ("register", photo, "--metadata", path),
        ("register", f"@{path}"),
    ):
        said = run(*words)
        assert (said.code in (2, 3), said.err.count("\n")) == (True, 1)
        assert "is compressed: unpack it first" in said.err, words


# What is written, and what register makes of it --------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "ndjson"])
def test_register_takes_what_read_writes(tmp_path: Path, ending: str) -> None:
    photo, tsv, out = tmp_path / "ISS990-E-000101.jpg", tmp_path / "t.tsv", tmp_path / f"o.{ending}"
    photo.write_bytes(night_picture())
    tsv.write_text(f"{JSC}\n{JSC_ROW}\n")
    said = run("archive", "read", tsv, "--out", out)
    assert (said.code, said.out) == (0, "")
    assert f"{out}: 1 photo" in said.err
    said = run("archive", "read", tsv, "--out", out)
    assert (said.code, "replace it with --force" in said.err) == (2, True)
    (told,) = run("register", photo, "--metadata", out, *PREVIEW).records
    assert told["time_utc"] == "2025-08-27T07:46:02Z"
    assert (told["nadir"]["lat"], told["nadir"]["lon"]) == (-35.1, -151.8)
    assert told["nadir"]["altitude_km"] == JSC_TOLD["altitude_km"]
    assert (told["focal_mm"], told["sources"]["focal_mm"]) == (50.0, "record")
    both = [run("archive", "read", path, "--json", "--quiet").records for path in (tsv, out)]
    assert [row | {"sources": [out.name]} for row in both[0]] == both[1]


TIME = "2014-01-30T10:14:58Z"


@pytest.mark.parametrize(
    ("table", "met"),
    [
        (f"frame_id,time_utc\np1,{TIME}\n", "a/P1.jpg"),
        (f"frame_id,time_utc\nelsewhere/P1.heic,{TIME}\n", "a/P1.jpg"),
        (f"SourceFile,CreateDate\nC:\\pics\\p1.JPG,{TIME}\n", "a/P1.jpg"),
        (json.dumps({"P1.NEF": {"time_utc": TIME}}), "a/P1.jpg"),
        # Names that two rows, or two photos, have: the folder tells them apart, or nothing
        (f"frame_id,time_utc\na/x.jpg,{TIME}\nb/x.jpg,\n", "a/x.jpg"),
        (f"frame_id,time_utc\na/x.jpg,{TIME}\n", "a/x.jpg"),
        (f"frame_id,time_utc\nc/x.jpg,{TIME}\n", ""),
        (f"frame_id,time_utc\nc/P1.jpg,{TIME}\nd/P1.jpg,{TIME}\n", ""),
    ],
)
def test_rows_meet_photos_by_name_where_that_is_unambiguous(
    tmp_path: Path, table: str, met: str
) -> None:
    names = ("a/P1.jpg", "a/x.jpg", "b/x.jpg")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(night_picture())
    path = tmp_path / ("t.json" if table[0] == "{" else "t.csv")
    path.write_text(table)
    photos = [tmp_path / name for name in names]
    said = run("register", *photos, "--metadata", path, *PREVIEW)
    told = {str(Path(one["path"]).relative_to(tmp_path)): one["time_utc"] for one in said.records}
    assert {name for name, time in told.items() if time} == ({met} if met else set())
    assert ("no row meets a photo" in said.err) == (not met)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            "frame_id,time,latitude\nP1,1,2\n",
            ("time (time_utc?), latitude (nadir_lat?)", "no val"),
        ),
        (f"frame_id,tiem_utc,iso\nP1,{TIME},800\n", ("not known: tiem_utc (time_utc?)",)),
        (f"frame_id,time_utc\nQ1,{TIME}\n", ("no row meets a photo: its first is of Q1",)),
        ("frame_id,time_utc\n", ("it has no row\n",)),
        (f"frame_id,time_utc,who\nP1,{TIME},me\nQ1,{TIME},me\n", ()),
    ],
)
def test_a_table_that_gives_nothing_is_told(
    tmp_path: Path, table: str, words: tuple[str, ...]
) -> None:
    photo, path = tmp_path / "P1.jpg", tmp_path / "t.csv"
    photo.write_bytes(night_picture())
    path.write_text(table)
    for command, more in (("register", PREVIEW), ("classify", ("--json",))):
        said = run(command, photo, "--metadata", path, *more)
        assert said.code == 0
        assert [word for word in words if word not in said.err] == []
        assert (str(path) in said.err) == bool(words), said.err


def test_texts_of_strangers_command_neither_spreadsheet_nor_terminal(tmp_path: Path) -> None:
    text = 'frame_id,place,caption\nISS990-E-1,"=cmd(), ""x""; Ünï🚀","a\x1b[31mb"\n'
    path, out = tmp_path / "we\nird \x1b[31m.csv", tmp_path / "out.csv"
    (row,) = read(path, text)
    assert row["caption"] == "a [31mb"
    assert row["sources"] == ["we ird [31m.csv"]
    run("archive", "read", path, "--out", out)
    assert "'=cmd()" in out.read_text(encoding="utf-8")
    (again,) = run("archive", "read", out, "--json", "--quiet").records
    assert again["place"] == row["place"] == '=cmd(), "x"; Ünï🚀'


def test_the_orbit_tells_what_cannot_be(tmp_path: Path) -> None:
    truth = json.loads((SAMPLES / "truth" / "ISS990-E-000101.json").read_text())
    lat, lon, time = truth["camera"]["lat"], truth["camera"]["lon"], truth["time_utc"]
    rows = [f"ISS990-E-101,{time},{lat:.1f},{lon:.1f}", f"ISS990-E-102,{time},{-lat:.1f},{lon:.1f}"]
    # Without a time; too far from any set
    rows += ["ISS990-E-103,,1,2", f"ISS990-E-104,2025-08-27T00:00:00Z,{lat:.1f},{lon:.1f}"]
    (tmp_path / "t.csv").write_text("frame_id,time_utc,nadir_lat,nadir_lon\n" + "\n".join(rows))
    said = run("archive", "read", tmp_path / "t.csv", "--tle", ELEMENTS, "--json")
    problems = [record["problems"] for record in said.records]
    assert [bool(one) for one in problems] == [False, True, False, False]
    assert "the station was above 35" in problems[1][0]
    # Those of the package are used where none are named
    real = "frame_id,time_utc,nadir_lat,nadir_lon\nISS030-E-184140,2012-03-28T15:46:41Z,{},136.9\n"
    for lat, is_wrong in ((35.7, False), (-35.7, True)):
        (row,) = read(tmp_path / "t.csv", real.format(lat))
        assert bool(row["problems"]) == is_wrong
