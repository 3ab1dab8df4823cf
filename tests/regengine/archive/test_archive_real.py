"""The archive's own tables and those of volunteers: nothing that they tell is lost."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from regengine.archive.interpret import linked_coordinates
from regengine.archive.row import FrameRow
from regengine.archive.table import read_tables


def raw(path: Path) -> list[dict[str, str]]:
    """Rows as Python's own reader has them; every heading and cell a text."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        header = stream.readline()
        stream.seek(0)
        rows = list(csv.DictReader(stream, delimiter="\t" if "\t" in header else ","))
    return [row for row in rows if row.get("mission") != "mission"]


def told(rows: tuple[FrameRow, ...], column: str) -> int:
    return sum(getattr(row, column) not in (None, "") for row in rows)


@pytest.mark.real
def test_the_archives_tables(real_data: Path) -> None:
    for path in sorted((real_data / "orbit" / "samples" / "jsc_tsv").iterdir()):
        rows, cells = read_tables([path]).rows, raw(path)
        assert len(rows) == len({(row["mission"], row["frame"]) for row in cells}) > 390
        for column, heading in (
            ("nadir_lat", "Nadir Lat"),
            ("centre_lon", "Center Point Lon"),
            ("sun_elevation_deg", "Sun Elevation Angle"),
            ("camera", "camera"),
            ("features", "feat"),
            ("record_type", "RecordType"),
        ):
            assert told(rows, column) == sum(bool(row[heading].strip()) for row in cells), column
        whole = [row["Photo Date"].isdecimal() * row["Photo Time GMT"].isdecimal() for row in cells]
        assert told(rows, "time_utc") == sum(whole)


@pytest.mark.real
def test_tables_of_night_photos(real_data: Path) -> None:
    for name in ("iss_night_photos_jsc.csv", "iss_night_frames_jsc_tsv.csv"):
        path = real_data / "orbit" / name
        read, cells = read_tables([path]), raw(path)
        assert len(read.rows) == len(cells)
        assert read.doubtful == 0
        assert told(read.rows, "time_utc") == told(read.rows, "nadir_lon") == len(cells)
        for row, cell in zip(read.rows, cells, strict=True):
            assert row.frame_id == cell["frame_id"]
            assert f"{row.time_utc:%Y%m%d%H%M%S}" == cell["gmt_date"] + cell["gmt_time"].zfill(6)
            assert row.focal_mm == (float(cell["focal_mm"] or 0) or None)
            assert row.sun_elevation_deg == float(cell["sun_el"])


@pytest.mark.real
def test_tables_of_volunteers(real_data: Path) -> None:
    samples = real_data / "orbit" / "samples"
    for path in sorted([*(samples / "nightcities").iterdir(), *(samples / "darkskies").iterdir()]):
        read = read_tables([path])
        assert read.rows, path
        assert read.nameless == 0, path
        assert read.doubtful < 0.02 * len(read.rows) + 1, path
    whole = read_tables([samples / "nightcities" / "TablaISS_Complete.csv"])
    assert told(whole.rows, "time_utc") == len(whole.rows) == 302
    assert told(whole.rows, "centre_lat") > 270
    exif = read_tables([samples / "exif_dumps.json"])
    dumps = json.loads((samples / "exif_dumps.json").read_text())
    assert exif.read == len(dumps)
    assert told(exif.rows, "time_utc") == told(exif.rows, "focal_mm") == len(exif.rows) > 50


@pytest.mark.real
def test_links_to_the_archives_map_are_nadirs(real_data: Path) -> None:
    """What `regengine.archive.interpret` takes them for, by the archive's own records."""
    orbit = real_data / "orbit"
    records = {row.frame_id: row for row in read_tables([orbit / "iss_night_photos_jsc.csv"]).rows}
    same = compared = 0
    for cell in raw(orbit / "samples" / "nightcities" / "okParaNight.csv"):
        linked, record = linked_coordinates(cell["coordimage"]), records.get(cell["ISS-ID"])
        if linked is not None and record is not None:
            compared += 1
            nadir = (record.nadir_lat, record.nadir_lon)
            same += linked == pytest.approx(nadir, abs=0.11)
    assert compared > 900
    assert same > 0.99 * compared
