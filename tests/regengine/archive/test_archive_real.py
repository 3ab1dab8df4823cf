"""The archive's own tables and those of volunteers: nothing that they tell is lost."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tests.world.program import run

pytestmark = pytest.mark.real


def raw(path: Path) -> list[dict[str, str]]:
    """Rows as Python's own reader has them; every heading and cell a text."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        header = stream.readline()
        stream.seek(0)
        rows = list(csv.DictReader(stream, delimiter="\t" if "\t" in header else ","))
    return [row for row in rows if row.get("mission") != "mission"]


def read(path: Path) -> list[dict[str, Any]]:
    said = run("frames", "read", path, "--json", "--quiet")
    assert said.code == 0, said.err
    return said.records


def told(rows: list[dict[str, Any]], column: str) -> int:
    return sum(row[column] is not None for row in rows)


def test_the_archives_tables(real_data: Path) -> None:
    for path in sorted((real_data / "orbit" / "samples" / "jsc_tsv").iterdir()):
        rows, cells = read(path), raw(path)
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


def test_tables_of_night_photos(real_data: Path) -> None:
    for name in ("iss_night_photos_jsc.csv", "iss_night_frames_jsc_tsv.csv"):
        path = real_data / "orbit" / name
        rows, cells = read(path), raw(path)
        assert len(rows) == len(cells) == told(rows, "time_utc") == told(rows, "nadir_lon")
        for row, cell in zip(rows, cells, strict=True):
            assert (row["frame_id"], row["problems"]) == (cell["frame_id"], [])
            date, clock = cell["gmt_date"], cell["gmt_time"].zfill(6)
            digits = "".join(letter for letter in row["time_utc"] if letter.isdecimal())
            assert digits == date + clock
            assert row["focal_mm"] == (float(cell["focal_mm"] or 0) or None)
            assert row["sun_elevation_deg"] == float(cell["sun_el"])


def test_tables_of_volunteers(real_data: Path) -> None:
    samples = real_data / "orbit" / "samples"
    for path in sorted([*(samples / "nightcities").iterdir(), *(samples / "darkskies").iterdir()]):
        rows = read(path)
        assert sum(bool(row["problems"]) for row in rows) < 0.02 * len(rows) + 1, path
    whole = read(samples / "nightcities" / "TablaISS_Complete.csv")
    assert told(whole, "time_utc") == len(whole) == 302
    assert told(whole, "centre_lat") > 270


def test_links_to_the_archives_map_are_nadirs(real_data: Path) -> None:
    """By the archive's own records."""
    orbit = real_data / "orbit"
    records = {row["frame_id"]: row for row in read(orbit / "iss_night_photos_jsc.csv")}
    linked = read(orbit / "samples" / "nightcities" / "okParaNight.csv")
    pairs = [(row, records[row["frame_id"]]) for row in linked if row["frame_id"] in records]
    nadirs = [
        [(row["nadir_lat"], row["nadir_lon"]) for row in pair]
        for pair in pairs
        if pair[0]["nadir_lat"] is not None
    ]
    assert len(nadirs) > 200
    same = sum(one == pytest.approx(other, abs=0.11) for one, other in nadirs)
    assert same > 0.99 * len(nadirs)
