"""The benchmark of scene models: photos of one place and camera are judged together."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scenes

pytestmark = pytest.mark.slow

INDEX = """file,group,category,note
a/1.jpg,g1,cities_oblique,
a/2.jpg,g1,cities,retouched; also stars
b/3.jpg,astropi_cslab3ogel_5,infrared,also odd
b/4.jpg,astropi_night_81,other,
"""


def test_the_index_of_the_photographs(tmp_path: Path) -> None:
    for folder in ("photos", "starfields"):
        (tmp_path / folder).mkdir()
    (tmp_path / "photos" / "index.csv").write_text(INDEX, encoding="utf-8")
    for name in ("ost_img0.png", "auromat_ISS029-E-8492.jpg", "index.csv"):
        (tmp_path / "starfields" / name).touch()
    labels = scenes.real_labels(tmp_path)
    assert [label.labels for label in labels] == [
        ("cities",),
        ("cities", "stars"),
        ("infrared",),
        ("other",),
        ("stars",),
    ]
    # One camera behind one window is one group, by day and by night
    assert [label.group for label in labels] == [
        "g1",
        "g1",
        "astropi_cslab3ogel",
        "astropi_cslab3ogel",
        "field ost",
    ]
    assert labels[0].path == tmp_path / "photos/a/1.jpg"
