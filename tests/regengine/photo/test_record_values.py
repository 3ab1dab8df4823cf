"""Cells that people have typed: what they mean, and that anything else means nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.photo.record_values import (
    archive_altitude_km,
    clean_text,
    parse_aperture,
    parse_camera,
    parse_coordinates,
    parse_exposure_s,
    parse_focal_mm,
    parse_iso,
    parse_map_link,
    parse_time,
)


def test_times() -> None:
    noon = datetime(2008, 1, 30, 22, 42, 27, tzinfo=UTC)
    for text in ("2008:01:30 22:42:27", "1/30/2008 22:42:27", "30/1/2008 22:42:27"):
        assert parse_time(text) == noon
    assert parse_time("2008-01-30T23:42:27+01:00") == noon
    assert parse_time("12/12/2007 20:45:24") == datetime(2007, 12, 12, 20, 45, 24, tzinfo=UTC)
    # January the second or February the first: nobody can tell
    for text in ("1/2/2008 22:42:27", "2008-01-30", "31/31/2008 1:00", "20010910 07____", "¿?"):
        assert parse_time(text) is None


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
    parse_time(text)
    parse_coordinates(text)
    parse_focal_mm(text)
    parse_map_link(f"http://x/MapCoordinate.pl?{text}")
    assert clean_text(text).isprintable()


def test_lenses_and_links() -> None:
    assert [parse_focal_mm(text) for text in ("85", "24.0 mm", "85mm")] == [85.0, 24.0, 85.0]
    assert [parse_focal_mm(text) for text in ("Length:", "", "85-200", "nan")] == [None] * 4
    link = "http://eol.example/MapCoordinate/MapCoordinate.pl?lat=51.6&lon=-21.7"
    assert parse_map_link(link) == (51.6, -21.7)
    assert parse_map_link("http://eol.example/photo.pl?lat=51.6&lon=-21.7") is None


@given(st.floats(-90, 90), st.floats(150, 260))
def test_altitude_agrees_with_proj(lat: float, altitude_nmi: float) -> None:
    height_km = archive_altitude_km(altitude_nmi, lat)
    to_ecef = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    radius_m = np.linalg.norm(to_ecef.transform(12.0, lat, height_km * 1000.0))
    assert radius_m == pytest.approx(6_378_137.0 + altitude_nmi * 1852.0, abs=0.01)


EXPOSURES = {"1/2": 0.5, "0.3": 0.3, "1.3s": 1.3, '2"': 2.0, "1/10\\r\\nAperture:": 0.1}
APERTURES = {"f/2.8": 2.8, "F1.4": 1.4, "2.8\\r\\nMeter Mode:": 2.8, "11.0": 11.0}
SENSITIVITIES = {"12800.0": 12800.0, "ISO800": 800.0, "Hi 6400": 6400.0, "25600\\r\\nAF": 25600.0}


@pytest.mark.parametrize(
    ("parse", "known", "unknown"),
    [
        (parse_exposure_s, EXPOSURES, ("nan", "", "1/0", "LO", "0")),
        (parse_aperture, APERTURES, ("f--", "LO", "nan", "", "0")),
        (parse_iso, SENSITIVITIES, ("HI-1", "nan", "", "0")),
    ],
)
def test_settings_as_archives_write_them(
    parse: Callable[[str], float | None], known: dict[str, float], unknown: tuple[str, ...]
) -> None:
    assert {text: parse(text) for text in known} == known
    assert [text for text in unknown if parse(text) is not None] == []


def test_cameras_by_name_and_by_the_codes_of_the_archive() -> None:
    assert parse_camera("N5") == "Nikon D3S"
    assert parse_camera("NIKON D3S S/N: 1\\r\\nLens:") == "NIKON D3S S/N: 1"
    assert parse_camera("NIKON\tD3S\nLens") == "NIKON D3S"
