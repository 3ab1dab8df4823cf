"""Tables from strangers: damaged at any place, or of odd texts, they are read or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regengine.archive.interpret import UNKNOWN, clean_text, id_in
from regengine.archive.row import FrameRow, csv_text, ndjson_text
from regengine.archive.table import read_tables
from regengine.errors import ConfigError
from regengine.io.tables import named
from tests.regengine.archive.test_archive_tables import JSC, JSC_ROW

ONE_FOLDER = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
TABLES = (
    f"{JSC}\n{JSC_ROW}\n{JSC_ROW}\n",
    "ISS-ID,loncity,lens,coordimage\nISS016-E-1,1,24 mm,http://e/MapCoordinate.pl?lat=5&lon=2\n",
    '[{"nadir.mission": "ISS990", "nadir.roll": "E", "nadir.frame": "1", "nadir.lat": "1"}]',
    '{"a/iss016e1.jpg": {"Model": "NIKON D3S", "FocalLength": "50", "ExposureTime": "1/2"}}',
    "{'idISS': 'ISS016-E-1', 'link': 'http://e/photo.pl?mission=ISS016&roll=E&frame=1'}\n",
)
PIECES = st.sampled_from(
    ['"', "\t", ",", "\n", "{", "[", "'", "\xff", "\u202e", "1e999", "nan", "-", "//[", "=", "\x00"]
)


@ONE_FOLDER
@given(
    table=st.sampled_from(TABLES),
    damage=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 30), PIECES), max_size=12),
)
def test_damaged_tables(tmp_path: Path, table: str, damage: list[tuple[int, int, str]]) -> None:
    for place, length, piece in damage:
        at = place % (len(table) + 1)
        table = table[:at] + piece + table[at + length :]
    path = tmp_path / "t.txt"
    path.write_bytes(table.encode("latin-1", "replace"))
    try:
        rows = read_tables([path]).rows
    except ConfigError:
        return
    assert csv_text(rows).encode()
    for row in rows:
        assert id_in(row.frame_id) == row.frame_id
        assert row.nadir_lat is None or -90.0 <= row.nadir_lat <= 90.0
        assert row.nadir_lon is None or -180.0 <= row.nadir_lon < 180.0
        assert row.focal_mm is None or 0.0 < row.focal_mm <= 5000.0


texts = st.text(max_size=40).map(clean_text)


@ONE_FOLDER
@given(
    ending=st.sampled_from(["csv", "ndjson"]),
    place=texts,
    caption=texts,
    lat=st.floats(-90.0, 90.0),
    lon=st.floats(-180.0, 179.9),
)
def test_texts_and_numbers_come_back(
    tmp_path: Path, ending: str, place: str, caption: str, lat: float, lon: float
) -> None:
    odd = [
        text.lower() in UNKNOWN or "\\r\\n" in text or named(text) != text
        for text in (place, caption)
    ]
    row = FrameRow(
        frame_id="ISS990-E-1",
        place="" if odd[0] else place,
        caption="" if odd[1] else caption,
        nadir_lat=lat,
        nadir_lon=lon,
    )
    out = tmp_path / f"t.{ending}"
    text = csv_text([row]) if ending == "csv" else ndjson_text([row])
    out.write_text(text, encoding="utf-8", newline="")
    back = read_tables([out]).rows[0]
    assert (back.place, back.caption) == (row.place, row.caption)
    assert (back.nadir_lat, back.nadir_lon) == pytest.approx((lat, lon), rel=1e-15)


def test_names_of_tables_are_only_text(tmp_path: Path) -> None:
    path = tmp_path / "we\nird \N{ROCKET};\x1b[31m.csv"
    path.write_text("frame_id\nISS990-E-1\n")
    assert read_tables([path]).rows[0].sources == ("we ird \N{ROCKET}; [31m.csv",)
