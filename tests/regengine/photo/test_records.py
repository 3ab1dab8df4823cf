"""Tables that tell of photos, as one record a photo."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from regengine.archive.tables import write_table
from regengine.errors import ConfigError
from regengine.photo.record_values import archive_altitude_km
from regengine.photo.records import load_frame_records, read_tables

HEADER = (
    "frame_id,gmt_date,gmt_time,nadir_lat,nadir_lon,center_lat,center_lon,camera,focal_mm,"
    "altitude_nmi,sun_az,sun_el,shutter,aperture,iso,place\n"
)
ROW = (
    'ISS030-E-184140,20120328,154641,35.7,136.9,35,135,"NIKON D3S S/N: 1",'
    "85,212,1,-36,1/13,1.6,3200,\n"
)


def table(folder: Path, text: str, name: str = "records.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_of_the_archive(tmp_path: Path) -> None:
    records = load_frame_records(table(tmp_path, HEADER + ROW))
    record = records.get("iss030e0184140")
    assert record.time_utc == datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
    assert record.nadir == (136.9, 35.7)
    assert record.camera == "NIKON D3S S/N: 1"
    assert (record.focal_mm, record.iso, record.aperture_f) == (85.0, 3200.0, 1.6)
    assert record.exposure_s == pytest.approx(1 / 13)
    assert record.altitude_km == pytest.approx(archive_altitude_km(212.0, 35.7))
    assert records.problems == ()
    assert len(records) == 1
    assert records.get("ISS030-E-1") is None


def test_own_table_with_iso_time_and_altitude_above_the_ellipsoid(tmp_path: Path) -> None:
    text = (
        "\ufeffFrame ID;Time UTC;Nadir lat;Nadir lon;Altitude km\n"
        "my_photo.JPG;2019-05-10T09:23:03+02:00;10;350;408.5\n"
    )
    record = load_frame_records(table(tmp_path, text)).get("my_photo")
    assert record.time_utc == datetime(2019, 5, 10, 7, 23, 3, tzinfo=UTC)
    assert record.nadir == (-10.0, 10.0)
    assert record.altitude_km == 408.5


def test_tab_separated_answer_of_the_archive(tmp_path: Path) -> None:
    text = (
        "mission\troll\tframe\tPhoto Date\tPhoto Time GMT\tNadir Lat\tNadir Lon\t"
        "Spacecraft Altitude (nautical miles)\tLens mm\tcamera\n"
        "ISS001\tE\t   5996\t20001229\t95948\t51.4\t-.3\t197\t0\tKodak DCS460\n"
    )
    record = load_frame_records(table(tmp_path, text)).get("ISS001-E-5996")
    assert record.time_utc == datetime(2000, 12, 29, 9, 59, 48, tzinfo=UTC)
    assert record.nadir == (-0.3, 51.4)
    assert record.focal_mm is None  # the archive writes 0 for "not known"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", ["\t", ";", ","])
def test_a_table_is_read_in_the_encodings_of_spreadsheets(
    tmp_path: Path, encoding: str, separator: str
) -> None:
    rows = [
        ["frame_id", "time_utc", "nadir_lon", "nadir_lat", "camera"],
        ["ISS030-E-184140", "2012-03-28T15:46:41Z", "136.9", "35.7", "NIKON D3S – ä"],
    ]
    text = "".join(separator.join(row) + "\r\n" for row in rows)
    (tmp_path / "records.txt").write_bytes(text.encode(encoding))
    records = load_frame_records(tmp_path / "records.txt")
    assert records.problems == ()
    found = records.get("ISS030-E-184140")
    assert found is not None
    assert found.nadir == (136.9, 35.7)
    assert found.time_utc == datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
    assert found.camera == "NIKON D3S – ä"


def test_values_that_make_no_sense_are_named_and_left_out(tmp_path: Path) -> None:
    row = "ISS030-E-2,20120399,154641,95,136.9,,,,many,212,,,1/0,f--,HI-1,\n"
    records = load_frame_records(table(tmp_path, HEADER + row + "\n" + ROW + ROW))
    record = records.get("ISS030-E-2")
    assert record.nadir is None
    assert record.altitude_km is None  # it cannot be converted without a latitude
    assert (record.time_utc, record.focal_mm) == (None, None)
    assert (record.exposure_s, record.aperture_f, record.iso) == (None, None, None)
    text = "\n".join(records.problems)
    for word in ("nadir_lat '95'", "focal_mm 'many'", "20120399", "line 2", "is repeated"):
        assert word in text


@pytest.mark.parametrize("told", ["-50", "0.5", "50000", "65535", "4294967295"])
def test_a_focal_length_of_no_lens_is_named_and_left_out(tmp_path: Path, told: str) -> None:
    records = load_frame_records(table(tmp_path, f"frame_id,focal_mm\nISS030-E-2,{told}\n"))
    assert records.get("ISS030-E-2").focal_mm is None
    assert records.problems == (
        f"{tmp_path / 'records.csv'} line 2: focal_mm '{told}' is not a number from 1 to 3000",
    )


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "count"),
    [("iss_night_photos_jsc.csv", 9403), ("iss_night_frames_jsc_tsv.csv", 8597)],
)
def test_archive_tables_are_read_whole(real_data: Path, name: str, count: int) -> None:
    records = load_frame_records(real_data / "orbit" / name)
    assert len(records) == count
    assert records.problems == ()
    everything = list(records.by_id.values())
    assert all(r.time_utc and r.nadir and r.altitude_km for r in everything)
    altitudes = [r.altitude_km for r in everything if r.altitude_km]
    assert 320.0 < min(altitudes) < max(altitudes) < 440.0


def test_a_place_in_the_picture_counts_with_its_radius(tmp_path: Path) -> None:
    """The archive's own centre points may lie anywhere."""
    text = "frame_id,centre_lat,centre_lon,radius_km\nISS030-E-2,48.86,2.35,20\nISS030-E-3,48,2,\n"
    records = load_frame_records(table(tmp_path, text))
    first, second = records.get("ISS030-E-2"), records.get("ISS030-E-3")
    assert (first.centre, first.radius_km) == ((2.35, 48.86), 20.0)
    assert (second.centre, second.radius_km) == (None, None)


def test_any_photo_of_a_run_may_have_a_record_and_the_archive_has_its_own(tmp_path: Path) -> None:
    names = "espana.png,ISS030-E-2,cam01_seq_0001,STS099-744-038,"
    rows = "".join(f"{name},2012-03-28T15:46:41Z\n" for name in names.split(","))
    path = table(tmp_path, f"frame_id,time_utc\n{rows}")
    records = load_frame_records(path)
    assert list(records.by_id) == ["espana", "ISS030-E-2", "cam01_seq_0001", "STS099-744-038"]
    assert (records.n_rows, records.n_unnamed) == (5, 1)
    assert list(read_tables([path]).by_id) == ["ISS030-E-2", "CAM001-SEQ-1", "STS099-744-38"]
    # Links count where the table has no names of its own
    link = table(tmp_path, "idiss,linkSmall\n1,http://e/small/ISS016/ISS016-E-1.JPG\n", "l.csv")
    assert list(load_frame_records(link).by_id) == ["ISS016-E-1"]
    film = table(tmp_path, "mission,roll,frame,iso\nSTS99,744,038,100\n", "film.csv")
    for name in ("STS099-744-38", "STS99-744-038_lrg", "sts099-744-038"):
        assert load_frame_records(film).get(name).iso == 100.0
    assert load_frame_records(film).get("STS099-744-39") is None


def test_a_row_that_comes_again_fills_gaps_and_is_told(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "frame_id,time_utc,nadir_lat,nadir_lon,focal_mm\n"
        "ISS030-E-1,2012-03-28T15:46:41Z,,,85\n"
        "ISS030-E-1,2012-03-28T15:56:41Z,1,2,85\n",
    )
    records = load_frame_records(path)
    record = records.get("ISS030-E-1")
    assert record.time_utc == datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
    assert (record.nadir, record.focal_mm) == ((2.0, 1.0), 85.0)
    other = "records.csv has the time 2012-03-28T15:56:41Z"
    again = "ISS030-E-1 is repeated; the first row counts"
    assert records.problems == tuple(f"{path} line 3: {what}" for what in (again, other))
    assert record.problems == (other,)


def test_a_centre_with_its_radius_counts_before_one_without(tmp_path: Path) -> None:
    first = table(tmp_path, "frame_id,centre_lat,centre_lon\nISS030-E-2,1,2\n", "1.csv")
    second = table(
        tmp_path, "frame_id,centre_lat,centre_lon,radius_km\nISS030-E-2,3,4,20\n", "2.csv"
    )
    for paths in ((first, second), (second, first)):
        record = read_tables(paths).get("ISS030-E-2")
        assert (record.centre, record.radius_km) == ((4.0, 3.0), 20.0)


def test_exif_as_a_table_tells_when_the_photo_was_taken_and_not_when_it_was_changed(
    tmp_path: Path,
) -> None:
    tags = {
        "ExifVersion": "b'0230'",
        "DateTime": "2014:10:29 08:59:46",
        "DateTimeOriginal": "2011:09:18 11:54:56",
        "FocalLength": "20.0",
        "ExposureTime": "1.3",
        "FNumber": "2.8",
        "ISOSpeedRatings": "12800",
    }
    zoned = tags | {"OffsetTimeOriginal": "+02:00"}
    changed = {name: tags[name] for name in ("ExifVersion", "DateTime")}
    path = tmp_path / "exif.json"
    names = ("ISS029-E-8492.jpg", "ISS029-E-8493.jpg", "ISS029-E-8494.jpg")
    path.write_text(json.dumps(dict(zip(names, (tags, zoned, changed), strict=True))))
    first, second, third = read_tables([path]).rows
    assert first.time_utc == datetime(2011, 9, 18, 11, 54, 56, tzinfo=UTC)
    assert second.time_utc == datetime(2011, 9, 18, 9, 54, 56, tzinfo=UTC)
    assert third.time_utc is None
    settings = (first.focal_mm, first.exposure_s, first.aperture_f, first.iso)
    assert settings == (20.0, 1.3, 2.8, 12800.0)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("20120418,212124", 21),
        ("20120418,74602", 7),
        ("20120418,21:21", 21),
        ("20120418,21", None),
        ("20120418,930", None),
    ],
)
def test_an_hour_is_a_time_of_day_where_it_is_a_whole_one(
    tmp_path: Path, text: str, hour: int | None
) -> None:
    records = load_frame_records(table(tmp_path, f"frame_id,date,hour\na,{text}\n"))
    (record,) = records.rows
    assert (record.time_utc and record.time_utc.hour) == hour
    assert len(records.problems) == (hour is None)


def test_a_lens_is_a_focal_length_or_a_name(tmp_path: Path) -> None:
    rows = "a,50mm f/1.4\nb,24.0 mm\nc,0.0 mm\nd,9999\n"
    records = load_frame_records(table(tmp_path, f"frame_id,lens\n{rows}"))
    assert [record.focal_mm for record in records.rows] == [None, 24.0, None, None]
    (problem,) = records.problems
    assert "line 5: lens '9999' is not a number from 1 to 3000" in problem


def test_a_table_without_photos_is_refused_and_one_that_is_to_be_filled_is_empty(
    tmp_path: Path,
) -> None:
    headings = table(tmp_path, "frame_id,time_utc\n", "headings.csv")
    assert len(load_frame_records(headings)) == 0
    for text in ("a,b\n", "frame_id,iso\n,1\n"):
        with pytest.raises(ConfigError, match="column frame_id"):
            load_frame_records(table(tmp_path, text))
    with pytest.raises(ConfigError, match="no row names a photo"):
        read_tables([headings])


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.ndjson", "t.parquet"])
def test_a_table_of_which_no_column_is_known_is_refused(tmp_path: Path, name: str) -> None:
    """A photo's name in some cell would be a record without anything."""
    path, row = tmp_path / name, {"whatever": "ISS030-E-1", "number": 2}
    if name == "t.csv":
        table(tmp_path, "ISS030-E-1,2012-03-28,50\nISS030-E-2,2012-03-28,50\n", name)
    elif name == "t.parquet":
        parquet.write_table(pyarrow.Table.from_pylist([row]), path)
    else:
        text = json.dumps(row)
        path.write_text(f"[{text}]" if name == "t.json" else f"{text}\n{text}\n")
    for read in (load_frame_records, lambda path: read_tables([path])):
        with pytest.raises(ConfigError, match="no known column, such as frame_id"):
            read(path)


HEADINGS = ("Frame ID", "time_utc", "nadir_lat", "nadir_lon", "focal_mm")
CELLS = ("ISS030-E-2", "2012-03-28T15:46:41Z", "34.5", "136.9", "85")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "above",
    [
        "sep={separator}\n", '"sep={separator}"\r\n', "SEP={separator}\n\n", "\n \n",
        "# exported, by me; 2014\n# with a camera\n", "Frames of a night\n\n",
        "photo,date,who made it\n", "sep={separator}\n# a, b, c\nFrames\n",
    ],
)  # fmt: skip
def test_lines_above_the_header_and_comments_below_are_no_rows(
    tmp_path: Path, above: str, separator: str, encoding: str
) -> None:
    if separator == "|":  # no other reader guesses it
        above = f"sep=|\n{above.replace('sep=', 'note=')}"
    path = tmp_path / "t.csv"
    lines = [separator.join(HEADINGS), "# the first night", separator.join(CELLS), "", "# end"]
    path.write_bytes((above.format(separator=separator) + "\n".join(lines)).encode(encoding))
    (record,) = load_frame_records(path).rows
    assert (record.frame_id, record.nadir, record.focal_mm) == ("ISS030-E-2", (136.9, 34.5), 85.0)
    assert record.time_utc == datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
    assert read_tables([path]).rows == (record,)


def test_a_row_below_lines_above_the_header_is_named_by_its_line(tmp_path: Path) -> None:
    path = table(tmp_path, "sep=;\n\nframe_id;iso;focal_mm\nISS030-E-2;;9999\n")
    (problem,) = load_frame_records(path).problems
    assert problem.startswith(f"{path} line 4: focal_mm '9999'")


@pytest.mark.parametrize(
    ("again", "words"),
    [
        ("focal_mm", "'focal_mm' is given twice"),
        ("Focal mm", "'focal_mm', or 'Focal mm', is given twice"),
        ("Lens mm", "'focal_mm', or 'Lens mm', is given twice"),
        ("NLAT", "'nadir_lat', or 'NLAT', is given twice"),
        ("time_utc", "'time_utc' is given twice"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "json", "ndjson", "parquet"])
def test_a_column_that_is_given_twice_is_named(
    tmp_path: Path, kind: str, again: str, words: str
) -> None:
    path = tmp_path / f"t.{kind}"
    headings, cells = [*HEADINGS, again], [*CELLS, "400"]
    pairs = ", ".join(f'"{one}": "{cell}"' for one, cell in zip(headings, cells, strict=True))
    if kind == "parquet":
        columns = [pyarrow.array([cell]) for cell in cells]
        parquet.write_table(pyarrow.table(columns, names=headings), path)
    elif kind == "csv":
        path.write_text(f"a title\n{','.join(headings)}\n{','.join(cells)}\n")
    else:
        path.write_text(f"[{{{pairs}}}]" if kind == "json" else f"{{{pairs}}}\n{{{pairs}}}\n")
    for read in (load_frame_records, lambda path: read_tables([path])):
        with pytest.raises(ConfigError, match=words):
            read(path)


def test_of_other_columns_that_come_again_none_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, "frame_id,note,note,,,city,geon\nISS030-E-1,a,b,,,Bor,Serbia\n")
    assert read_tables([path]).rows[0].place == "Serbia"


def test_a_damaged_parquet_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(read_tables([table(tmp_path, HEADER + ROW)]).rows, path)
    assert len(load_frame_records(path)) == 1
    sound = path.read_bytes()
    for damaged in (sound[:-50], sound.replace(b"NIKON D3S", b"\xff" * 9), b""):
        path.write_bytes(damaged)
        with pytest.raises(ConfigError, match="cannot be read as a table of photos"):
            load_frame_records(path)
