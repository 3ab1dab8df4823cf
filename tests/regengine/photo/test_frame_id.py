from __future__ import annotations

from pathlib import Path

import pytest

from regengine.photo.frame_records import archive_frame_id, frame_id_of


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
    assert frame_id_of(Path("some/folder") / name) == expected


def test_the_folder_says_nothing() -> None:
    assert frame_id_of(Path("ISS030-E-184140/other.jpg")) == "other"


def test_text_without_an_id() -> None:
    assert archive_frame_id("no frame here") is None
