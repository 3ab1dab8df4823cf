"""Which photos are cases, and what is true of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from example_results import nadir_camera
from PIL import Image
from pyproj import Geod

from benchmarks.registration.cases import (
    PARIS_CLIP,
    WORLD,
    list_cases,
    list_other_cases,
    with_any_category,
)
from benchmarks.registration.process import grid_points
from benchmarks.registration.truth import load_truth, read_named_places, read_reference_cameras

CAMERA = nadir_camera()
POINTS = grid_points(CAMERA)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A folder laid out like the real data, with blank pictures."""
    files = (
        ("night_nocity/iss028e031144.jpg", "night_nocity", "ISS028-E-31144"),
        ("cities_oblique/iss065e394522.jpg", "cities_oblique", "ISS065-E-394522"),
        ("cities_oblique/spain_portugalpsp.jpg", "cities_oblique", ""),
        ("cities/Osaka_ISS030-E-184140.jpg", "cities", "ISS030-E-184140"),
        ("cities/Paris_ISS043-E-93480.jpg", "cities", "ISS043-E-93480"),
        ("cities/japon.png", "cities", ""),
        ("cities/not_there.jpg", "cities", ""),
    )
    photos = tmp_path / "photos"
    for file, _, _ in files[:-1]:
        (photos / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((426, 640, 3), np.uint8)).save(photos / file)
    rows = "".join(f"{file},{category},{frame}\n" for file, category, frame in files)
    (photos / "index.csv").write_text(f"file,category,frame_id\n{rows}")
    return tmp_path


def test_every_city_photo_is_a_case(real: Path) -> None:
    cases = {case.name: case for case in list_cases(real)}
    moved = [f"{name}, nadir {km} km" for name in (
        "Paris_ISS043-E-93480, radiance clip", "Paris_ISS043-E-93480", "spain_portugalpsp"
    ) for km in ("-100", "+100")]  # fmt: skip
    plain = {"Osaka_ISS030-E-184140", "japon", "iss065e394522", "spain_portugalpsp",
             "Paris_ISS043-E-93480", "Paris_ISS043-E-93480, radiance clip"}  # fmt: skip
    assert set(cases) == plain | set(moved)
    assert {name for name, case in cases.items() if case.plain} == plain
    assert cases["Paris_ISS043-E-93480, radiance clip"].lights == PARIS_CLIP
    assert cases["Paris_ISS043-E-93480"].lights == WORLD
    assert cases["Paris_ISS043-E-93480"].options.focal_mm == 400.0
    assert cases["japon"].options.time_utc == datetime(2012, 1, 26, 16, 8, 20, tzinfo=UTC)
    assert cases["iss065e394522"].options.nadir is None
    assert cases["iss065e394522"].category == "cities_oblique"


def test_photos_of_other_categories_are_cases_of_their_own(real: Path) -> None:
    (other,) = list_other_cases(real)
    assert (other.name, other.category, other.plain) == ("iss028e031144", "night_nocity", True)
    again = with_any_category(other)
    assert (again.any_category, again.plain, again.photo) == (True, False, other.photo)
    assert again.name == "iss028e031144, any category"


def test_the_nadir_moves_along_the_track(real: Path) -> None:
    cases = {case.name: case for case in list_cases(real)}
    lon, lat = cases["spain_portugalpsp"].options.nadir or (0.0, 0.0)
    for km in (-100.0, 100.0):
        case = cases[f"spain_portugalpsp, nadir {km:+.0f} km"]
        there = case.options.nadir
        assert there is not None
        azimuth, _, metres = Geod(ellps="WGS84").inv(lon, lat, *there)
        assert metres == pytest.approx(100e3, rel=0.01)
        # Ascending at 34 N (33.8 geocentric): sin(azimuth) = cos(51.64) / cos(33.8) in space at
        # 7.66 km/s, of whose eastward part the turning Earth takes 0.41 km/s
        assert (azimuth if km > 0 else azimuth + 180.0) == pytest.approx(46.3, abs=0.7)
        assert case.options.altitude_km == 420.0
        assert case.moved_km == km


def test_truth_is_read_from_the_tables() -> None:
    file = "cities/Osaka_ISS030-E-184140.jpg"
    truth = load_truth(file)
    known = read_reference_cameras()[file]
    assert (truth.camera, truth.reference) == (known.camera, known)
    assert truth.places == read_named_places()[file]
    assert load_truth("night_nocity/iss028e031144.jpg").camera is None
