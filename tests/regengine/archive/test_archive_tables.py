"""Tables of archives and volunteers, in the forms that are about, become one clean table."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from regengine.archive.row import (
    COLUMNS,
    FrameRow,
    csv_text,
    merged,
    ndjson_text,
    write_table,
)
from regengine.archive.table import FrameTable, read_tables
from regengine.commands import app
from regengine.errors import ConfigError
from regengine.photo.frame import read_frame
from regengine.photo.frame_records import archive_altitude_km, load_frame_records

# Headings as the archive's text answers have them; the values are made up
JSC = (
    "mission\troll\tframe\tPhoto Date\tPhoto Time GMT\tCenter Point Lat\tCenter Point Lon\t"
    "Nadir Lat\tNadir Lon\tSpacecraft Altitude (nautical miles)\tLens mm\tgeon\tfeat\t"
    "Clouds Percentage\tLook Angle\tLook Direction\tSun Azimuth\tSun Elevation Angle\tcamera\t"
    "film\tCamera (uncataloged)\tcaption\tFeatures from Image Detectives (not NASA)\tRecordType"
)
JSC_ROW = (
    "ISS990\tE\t    101\t20140117\t074602\t30.5\t.5\t-35.1\t-151.8\t218\t50\tPACIFIC\tCITY, COAST\t"
    "10\tHO\tW\t201\t-33\tNikon D3S Electronic Still Camera\t4256E\t\tAT NIGHT\t\t"
    "CatalogedWithCenterPoint"
)


def table(
    tmp_path: Path, text: str, name: str = "table.csv", encoding: str = "utf-8"
) -> FrameTable:
    (tmp_path / name).write_bytes(text.encode(encoding))
    return read_tables([tmp_path / name])


def only(read: FrameTable) -> FrameRow:
    assert len(read.rows) == 1
    return read.rows[0]


def test_the_archives_text_answer(tmp_path: Path) -> None:
    # Pages of answers, one behind the other, repeat their headings
    read = table(tmp_path, f"{JSC}\n{JSC_ROW}\n{JSC}\n", "ISS990-E.tsv")
    assert (read.read, read.nameless, read.doubtful) == (1, 0, 0)
    assert only(read) == FrameRow(
        frame_id="ISS990-E-101",
        time_utc=datetime(2014, 1, 17, 7, 46, 2, tzinfo=UTC),
        nadir_lat=-35.1,
        nadir_lon=-151.8,
        altitude_km=round(archive_altitude_km(218.0, -35.1), 3),
        camera="Nikon D3S Electronic Still Camera",
        focal_mm=50.0,
        centre_lat=30.5,
        centre_lon=0.5,
        place="PACIFIC",
        features="CITY, COAST",
        caption="AT NIGHT",
        sun_azimuth_deg=201.0,
        sun_elevation_deg=-33.0,
        cloud_percent=10.0,
        record_type="CatalogedWithCenterPoint",
        sources=("ISS990-E.tsv",),
    )


def test_answers_of_the_database(tmp_path: Path) -> None:
    told = [
        {
            "nadir.mission": "ISS990",
            "nadir.roll": "E",
            "nadir.frame": "101",
            "nadir.pdate": "20140117",
            "nadir.ptime": "74602",
            "nadir.lat": "-35.1",
            "nadir.lon": 208.2,
            "nadir.azi": None,
            "nadir.elev": "-33",
            "camera|fclt": "50",
            "camera.camera": "N5",
        },
        {"frames.mission": "ISS990", "frames.roll": "E", "frames.frame": "102", "frames.lat": "1"}
        | {"frames.lon": "2", "frames.nlat": "3", "frames.nlon": "4", "frames.elev": "5"},
    ]
    first, second = table(tmp_path, json.dumps(told), "answer.json").rows
    assert first.time_utc == datetime(2014, 1, 17, 7, 46, 2, tzinfo=UTC)
    assert (first.nadir_lat, first.nadir_lon) == pytest.approx((-35.1, -151.8))
    assert (first.focal_mm, first.camera, first.sun_elevation_deg) == (50.0, "Nikon D3S", -33.0)
    assert (first.sun_azimuth_deg, first.problems) == (None, ())
    assert (second.centre_lat, second.centre_lon) == (1.0, 2.0)
    assert (second.nadir_lat, second.nadir_lon, second.sun_elevation_deg) == (3.0, 4.0, 5.0)


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
            {"centre_lon": -3.74, "place": "Madrid, Spain", "exposure_s": 0.05, "iso": None},
        ),
        (
            "g.json",
            '{"x/iss016e000001.jpg": {"Model": "NIKON D3S", "FocalLength": "50.0 mm",'
            ' "DateTimeOriginal": "2012:01:25 09:27:08", "OffsetTimeOriginal": "+02:00",'
            ' "ExposureTime": "1/2", "BodySerialNumber": "123"}}',
            {
                "time_utc": datetime(2012, 1, 25, 7, 27, 8, tzinfo=UTC),
                "camera": "NIKON D3S S/N: 123",
                "focal_mm": 50.0,
                "exposure_s": 0.5,
            },
        ),
    ],
)
def test_tables_of_volunteers(
    tmp_path: Path, name: str, text: str, told: dict[str, object]
) -> None:
    row = only(table(tmp_path, text, name))
    assert row.frame_id == "ISS016-E-1"
    assert {column: getattr(row, column) for column in told} == told
    assert row.problems == ()


def test_letters_of_old_tables(tmp_path: Path) -> None:
    mixed = "frame_id,place\nISS016-E-1,Düsseldorf\n".encode() + "ISS016-E-2,Málaga\n".encode(
        "cp1252"
    )
    (tmp_path / "mixed.csv").write_bytes(mixed)
    rows = read_tables([tmp_path / "mixed.csv"]).rows
    assert [row.place for row in rows] == ["Düsseldorf", "Málaga"]


def test_values_without_sense_are_left_out_and_told(tmp_path: Path) -> None:
    text = (
        "frame_id,nadir_lat,nadir_lon,time_utc,sun_el\nISS016-E-1,91,4,1/2/2008 10:00,x\n,1,2,,\n"
    )
    read = table(tmp_path, text)
    assert (read.read, read.nameless, read.doubtful) == (2, 1, 1)
    row = only(read)
    assert (row.nadir_lat, row.nadir_lon, row.time_utc) == (None, None, None)
    assert len(row.problems) == 3
    assert "'91' is no number from -90 to 90" in row.problems[0]


def test_tables_fill_each_others_gaps_and_tell_where_they_differ(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text(
        "frame_id,nadir_lat,nadir_lon,focal_mm\nISS016-E-1,1,179.5,85\n"
    )
    (tmp_path / "2.csv").write_text(
        "frame_id,nadir_lat,nadir_lon,focal_mm,iso\nISS016-E-1,1,-179.5,400,800\n"
    )
    row = only(read_tables([tmp_path / "1.csv", tmp_path / "2.csv"]))
    assert (row.nadir_lon, row.focal_mm, row.iso) == (179.5, 85.0, 800.0)
    assert row.problems == (
        "2.csv has the focal length 400 mm",
    )  # 1 degree apart is no other nadir
    assert row.sources == ("1.csv", "2.csv")
    # Half a place is none: latitude and longitude come from the same table
    half = FrameRow(frame_id="ISS016-E-1", nadir_lat=50.0)
    assert merged(half, row).nadir_lat == 1.0


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    first = only(table(tmp_path, f"{JSC}\n{JSC_ROW}", "ISS990-E.tsv"))
    odd = FrameRow(
        frame_id="STS099-744-38",
        place='=cmd(), "x"; Ünï🚀',
        problems=("a; b", "c"),
        sources=("-x",),
    )
    for ending in ("csv", "ndjson"):
        out = tmp_path / f"out.{ending}"
        write_table([first, odd], out)
        again = read_tables([out]).rows
        for row, back in zip((first, odd), again, strict=True):
            for column in COLUMNS:
                if column not in ("problems", "sources"):
                    assert getattr(back, column) == getattr(row, column), (ending, column)
    assert "'=cmd()" in (tmp_path / "out.csv").read_text()


def test_parquet_has_types(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="needs duckdb")
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    row = only(table(tmp_path, f"{JSC}\n{JSC_ROW}", "ISS990-E.tsv"))
    write_table([row, FrameRow(frame_id="ISS990-E-102")], tmp_path / "t.parquet")
    said = duckdb.sql(
        f"SELECT frame_id, epoch(time_utc), nadir_lat, len(sources), camera "
        f"FROM '{tmp_path / 't.parquet'}' ORDER BY 1"
    ).fetchall()
    assert row.time_utc is not None
    assert said == [
        ("ISS990-E-101", row.time_utc.timestamp(), -35.1, 1, row.camera),
        ("ISS990-E-102", None, None, 0, None),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("<!DOCTYPE html><html>no</html>", "it is a web page"),
        ('[{"frames.mission": "ISS0', "cut short"),
        ("[1, 2]", "no object"),
        ('{"result": "SQL found no records that match"}', "holds no rows: SQL found"),
        ("a,b\n1,2\n", "none of its rows names a photo"),
        ("{'x': print(1)}\n", "line 1 is no record"),
        ("[" * 100_000, "damaged"),
        ("ab\0c", "it is no text"),
        ('frame_id,x\n"ISS016-E-1' + "x" * 200_000, "field larger"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read as a table of photos") as told:
        table(tmp_path, text)
    assert why in str(told.value)


def test_the_command_reads_and_never_replaces(tmp_path: Path) -> None:
    tsv = tmp_path / "ISS990-E.tsv"
    tsv.write_text(f"{JSC}\n{JSC_ROW}\n")
    out = tmp_path / "clean.csv"
    run = CliRunner().invoke(app, ["frames", "read", str(tsv), "--out", str(out)])
    assert run.exit_code == 0
    assert f"{out}: 1 photos" in run.stderr
    assert run.stdout == ""
    before = out.read_text()
    run = CliRunner().invoke(app, ["frames", "read", str(tsv), "--out", str(out)])
    assert (run.exit_code, out.read_text()) == (2, before)
    assert "replace it with --force" in run.stderr
    run = CliRunner().invoke(app, ["frames", "read", str(tsv), "--json", "--quiet"])
    assert json.loads(run.stdout)["frame_id"] == "ISS990-E-101"
    assert run.stderr == ""
    run = CliRunner().invoke(app, ["frames", "read", str(tsv)])
    assert run.stdout == before
    for bad in ("x.txt", "no/such/folder.csv"):
        run = CliRunner().invoke(app, ["frames", "read", str(tsv), "--out", str(tmp_path / bad)])
        assert run.exit_code == 2


def test_the_orbit_tells_what_cannot_be(tmp_path: Path) -> None:
    truth = json.loads(Path("data_samples/truth/ISS990-E-000101.json").read_text())
    lat, lon = truth["camera"]["lat"], truth["camera"]["lon"]
    rows = [f"ISS990-E-101,{truth['time_utc']},{lat:.1f},{lon:.1f}"]
    rows += [f"ISS990-E-102,{truth['time_utc']},{-lat:.1f},{lon:.1f}", "ISS990-E-103,,1,2"]
    rows += [f"ISS990-E-104,2014-04-30T00:00:00Z,{lat:.1f},{lon:.1f}"]  # too far from any set
    (tmp_path / "t.csv").write_text("frame_id,time_utc,nadir_lat,nadir_lon\n" + "\n".join(rows))
    arguments = [
        "frames",
        "read",
        str(tmp_path / "t.csv"),
        "--tle",
        "data_samples/tle.txt",
        "--json",
    ]
    run = CliRunner().invoke(app, arguments)
    problems = [json.loads(line)["problems"] for line in run.stdout.splitlines()]
    assert [bool(one) for one in problems] == [False, True, False, False]
    assert "the station was above 35" in problems[1][0]
    assert "1 photos have problems" in run.stderr


def test_register_takes_the_table(tmp_path: Path) -> None:
    tsv, out = tmp_path / "ISS990-E.tsv", tmp_path / "clean.csv"
    tsv.write_text(f"{JSC}\n{JSC_ROW}\n")
    row = only(read_tables([tsv]))
    write_table([row], out)
    records = load_frame_records(out)
    assert records.problems == ()
    record = records.get("iss990e000101")
    assert record is not None
    assert (record.time_utc, record.nadir) == (row.time_utc, (-151.8, -35.1))
    assert (record.altitude_km, record.focal_mm, record.camera) == (
        row.altitude_km,
        row.focal_mm,
        row.camera,
    )
    frame = read_frame(Path("data_samples/ISS990-E-000101.jpg"), records=records)
    assert (frame.nadir, frame.sources["nadir"]) == ((-151.8, -35.1), "record")
    assert csv_text([row]).splitlines()[1] == out.read_text().splitlines()[1]
    assert json.loads(ndjson_text([row]))["altitude_km"] == row.altitude_km
