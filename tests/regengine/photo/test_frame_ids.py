"""Ids of photos in names of files, tables and links; what is no id means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.photo.frame_ids import (
    archive_name,
    compose_frame_id,
    find_frame_id,
    find_mission,
    frame_id_of,
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
    assert find_frame_id(text) == frame_id


def test_ids_of_parts() -> None:
    assert compose_frame_id("ISS001", "E", "   6000") == "ISS001-E-6000"
    assert compose_frame_id("iss30", "e", "006000") == "ISS030-E-6000"
    assert compose_frame_id("ISS030", "E", "12345678") is None
    assert compose_frame_id("ISS030", "E/..", "1") is None
    assert compose_frame_id("ISS030", "E", "٣") is None
    assert find_mission("City_ISS030") == "ISS030"
    assert find_mission("ISS042_lista3") == "ISS042"
    assert find_mission("cities") is None


@given(st.text(max_size=60))
def test_an_id_is_harmless_as_a_file_name(text: str) -> None:
    found = find_frame_id(text)
    assert found is None or (found.isascii() and not set(found) & set("/\\. \n\0'\""))


@pytest.mark.parametrize(
    ("text", "frame_id"),
    [
        ("iss030e184140", "ISS030-E-184140"),
        ("ISS006-370-12.JPG", "ISS006-370-12"),
        (
            "https://eol.jsc.nasa.gov/SearchPhotos/photo.pl?mission=ISS030&roll=E&frame=184140",
            "ISS030-E-184140",
        ),
        ("https://eol.jsc.nasa.gov/SearchPhotos/photo.pl?mission=ISS030", None),
        ("https://eol.jsc.nasa.gov/SearchPhotos/photo.pl?" + "a=1&" * 30, None),
        ("photos/ISS030-E-184140.JPG", None),
        ("osaka.jpg", None),
    ],
)
def test_names_of_photos_of_the_archive(text: str, frame_id: str | None) -> None:
    assert archive_name(text) == frame_id
