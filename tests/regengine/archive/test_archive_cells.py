"""Cells that people have typed: what they mean, and that anything else means nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.archive.interpret import (
    clean_text,
    composed_id,
    id_in,
    linked_coordinates,
    mission_in,
    parse_any_time,
    parse_coordinates,
    parse_lens,
)


@pytest.mark.parametrize(
    ("text", "frame_id"),
    [
        ("ISS030-E-184140", "ISS030-E-184140"),
        ("iss030e184140_lrg.jpg", "ISS030-E-184140"),
        ("http://eol.example/photo.pl?mission=ISS010&roll=E&frame=7731", "ISS010-E-7731"),
        ("http://eol.example/QuickView.pl?directory=ESC&ID=ISS016-E-16219", "ISS016-E-16219"),
        ("http://eol.example/ESC/small/ISS036/ISS036-E-32774.JPG", "ISS036-E-32774"),
        ("STS099-744-38", "STS099-744-38"),
        ("http://eol.example/photo.pl?mission=STS099&roll=744&frame=38", "STS099-744-38"),
        ("http://eol.example/photo.pl?mission=../../etc&roll=E&frame=1", None),
        ("2012-03-28", None),
        ("", None),
    ],
)
def test_ids(text: str, frame_id: str | None) -> None:
    assert id_in(text) == frame_id


def test_ids_of_parts() -> None:
    assert composed_id("ISS001", "E", "   6000") == "ISS001-E-6000"
    assert composed_id("iss30", "e", "006000") == "ISS030-E-6000"
    assert composed_id("ISS030", "E", "12345678") is None
    assert composed_id("ISS030", "E/..", "1") is None
    assert composed_id("ISS030", "E", "٣") is None
    assert mission_in("City_ISS030") == "ISS030"
    assert mission_in("ISS042_lista3") == "ISS042"
    assert mission_in("cities") is None


@given(st.text(max_size=60))
def test_an_id_is_harmless_as_a_file_name(text: str) -> None:
    found = id_in(text)
    assert found is None or (found.isascii() and not set(found) & set("/\\. \n\0'\""))


def test_times() -> None:
    noon = datetime(2008, 1, 30, 22, 42, 27, tzinfo=UTC)
    for text in ("2008:01:30 22:42:27", "1/30/2008 22:42:27", "30/1/2008 22:42:27"):
        assert parse_any_time(text) == noon
    assert parse_any_time("2008-01-30T23:42:27+01:00") == noon
    assert parse_any_time("12/12/2007 20:45:24") == datetime(2007, 12, 12, 20, 45, 24, tzinfo=UTC)
    # January the second or February the first: nobody can tell
    for text in ("1/2/2008 22:42:27", "2008-01-30", "31/31/2008 1:00", "20010910 07____", "¿?"):
        assert parse_any_time(text) is None


@pytest.mark.parametrize(
    ("text", "lat", "lon"),
    [
        ("42.0, 12.5", 42.0, 12.5),
        ("40,61, -3,74", 40.61, -3.74),
        ("39.476,-0.375", 39.476, -0.375),
        ("1°28'5.02\"N 103°44'29.18\"E", 1.468061, 103.741439),
        ("35° 2'17.28\"S  33°17'53.29\"W", -35.038133, -33.298136),
        ("Center Point Latitude: -26.0 Center Point Longitude: 28.0", -26.0, 28.0),
    ],
)
def test_coordinates(text: str, lat: float, lon: float) -> None:
    assert parse_coordinates(text) == pytest.approx((lat, lon), abs=1e-6)


@pytest.mark.parametrize("text", ["", "Madrid", "42.0", "95.0, 12.5", "1,2,3,4,5", "nan, nan"])
def test_no_coordinates(text: str) -> None:
    assert parse_coordinates(text) is None


@given(st.text(max_size=80))
def test_cells_of_any_text_are_read_or_not_and_nothing_else(text: str) -> None:
    parse_any_time(text)
    parse_coordinates(text)
    parse_lens(text)
    linked_coordinates(f"http://x/MapCoordinate.pl?{text}")
    assert clean_text(text).isprintable()


def test_lenses_and_links() -> None:
    assert [parse_lens(text) for text in ("85", "24.0 mm", "85mm")] == [85.0, 24.0, 85.0]
    assert [parse_lens(text) for text in ("Length:", "0", "", "85-200")] == [None] * 4
    link = "http://eol.example/MapCoordinate/MapCoordinate.pl?lat=51.6&lon=-21.7"
    assert linked_coordinates(link) == (51.6, -21.7)
    assert linked_coordinates("http://eol.example/photo.pl?lat=51.6&lon=-21.7") is None
