"""Frame records: ids in names, cells as archives write them, tables as a whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.photo.frame_records import (
    archive_altitude_km,
    frame_id_of,
    load_frame_records,
    parse_aperture,
    parse_exposure_s,
    parse_iso,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ISS030-E-184140.jpg", "ISS030-E-184140"),
        ("iss030e184140_lrg.jpg", "ISS030-E-184140"),
        ("Osaka_ISS030-E-184140.jpg", "ISS030-E-184140"),
        ("iss065e394522.jpg", "ISS065-E-394522"),
        ("unproc_ISS053-E-162584.JPG", "ISS053-E-162584"),
        ("ISS006-E-22876", "ISS006-E-22876"),
        ("iss073e0206244.jpg", "ISS073-E-206244"),
        ("iss068e001000.jpg", "ISS068-E-1000"),
        ("ISS023-E-32771__1_.jpg", "ISS023-E-32771"),
        ("ISS6-E-22876.nef", "ISS006-E-22876"),
        ("espana.png", "espana"),
        ("threejsiss_exp1_crew.jpg", "threejsiss_exp1_crew"),
        ("tzza_iss.jpg", "tzza_iss"),
        ("missing030e12.jpg", "missing030e12"),  # the letters stand inside a word
        ("iss030e12345678.jpg", "iss030e12345678"),  # eight digits: no frame has them
    ],
)
def test_frame_id_of_a_file_name(name: str, expected: str) -> None:
    assert frame_id_of(Path("ISS001-E-1") / name) == expected  # the folder says nothing


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


@given(st.floats(-90, 90), st.floats(150, 260))
def test_altitude_agrees_with_proj(lat: float, altitude_nmi: float) -> None:
    height_km = archive_altitude_km(altitude_nmi, lat)
    to_ecef = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    radius_m = np.linalg.norm(to_ecef.transform(12.0, lat, height_km * 1000.0))
    assert radius_m == pytest.approx(6_378_137.0 + altitude_nmi * 1852.0, abs=0.01)


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
    for word in ("nadir_lat '95'", "focal_mm 'many'", "20120399", "line 2", "comes again"):
        assert word in text


@pytest.mark.parametrize("told", ["-50", "0.5", "50000", "65535", "4294967295"])
def test_a_focal_length_of_no_lens_is_named_and_left_out(tmp_path: Path, told: str) -> None:
    records = load_frame_records(table(tmp_path, f"frame_id,focal_mm\nISS030-E-2,{told}\n"))
    assert records.get("ISS030-E-2").focal_mm is None
    assert records.problems == (
        f"{records.path} line 2: focal_mm '{told}' is no number from 1 to 3000",
    )


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
