"""The reference cameras: complete, physical, and in agreement with the places named by eye."""

from __future__ import annotations

import csv
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.registration.cases import CATEGORIES, ELEMENT_SETS
from benchmarks.registration.truth import (
    ReferenceCamera,
    misses_px,
    read_named_places,
    read_reference_cameras,
)
from matchers.geometry.earth import ecef_to_geodetic, great_circle_km
from matchers.geometry.footprint import diagonal_km
from regengine.orbit import camera_position, load_tle_file, track_positions
from regengine.photo.frame import read_frame

CITIES = read_reference_cameras()
PLACES = read_named_places()
PLACED = [file for file, reference in CITIES.items() if reference.camera is not None]
# Of the long side. Towns are named at their centres, while light is centred on what shines: a
# kilometre or two apart, 40 pixels of the sharpest frames
MEDIAN_SHARE, LARGEST_SHARE = 0.015, 0.025
TWINS = [
    pair
    for pair in combinations(PLACED, 2)
    if CITIES[pair[0]].frame_id and CITIES[pair[0]].frame_id == CITIES[pair[1]].frame_id
]


def long_side_px(reference: ReferenceCamera) -> int:
    return max(reference.width_px, reference.height_px)


@pytest.mark.parametrize("file", PLACED)
def test_named_places_lie_where_the_camera_has_them(file: str) -> None:
    reference, places = CITIES[file], PLACES[file]
    assert reference.camera is not None
    assert len({place.name for place in places}) >= 3
    misses = misses_px(reference.camera, places) / long_side_px(reference)
    assert np.median(misses) < MEDIAN_SHARE
    assert misses.max() < LARGEST_SHARE


@pytest.mark.parametrize("file", PLACED)
def test_a_camera_is_where_the_station_flies_and_looks_at_the_ground(file: str) -> None:
    reference = CITIES[file]
    camera = reference.camera
    assert camera is not None
    _, lat, height_m = ecef_to_geodetic(camera.position_ecef_m)
    assert 320e3 < height_m < 440e3
    assert abs(lat) < 51.9  # the inclination, as geodetic latitude
    assert np.linalg.norm(camera.quaternion) == pytest.approx(1.0, abs=1e-6)
    assert diagonal_km(camera) > 20.0
    assert reference.residual_px is not None
    assert reference.residual_px < 0.004 * long_side_px(reference)
    assert "overlay" in reference.remark


@pytest.mark.parametrize(("first", "second"), TWINS)
def test_two_copies_of_a_frame_were_taken_from_one_place(first: str, second: str) -> None:
    a, b = CITIES[first].camera, CITIES[second].camera
    assert a is not None
    assert b is not None
    assert np.linalg.norm(np.subtract(a.position_ecef_m, b.position_ecef_m)) < 15e3
    # What one copy shows of a town, the other shows, too
    shared = [(p, q) for p in PLACES[first] for q in PLACES[second] if p.name == q.name]
    for p, q in shared:
        ground_a, ground_b = a.pixel_to_lonlat(p.x, p.y), b.pixel_to_lonlat(q.x, q.y)
        apart_km = float(great_circle_km(*ground_a, *ground_b))
        assert apart_km < 0.03 * diagonal_km(a)


def test_every_city_photo_has_a_row(real_data: Path) -> None:
    with (real_data / "photos" / "index.csv").open(newline="", encoding="utf-8") as stream:
        known = {row["file"]: row for row in csv.DictReader(stream)}
    wanted = {file for file, row in known.items() if row["category"] in CATEGORIES}
    assert CITIES.keys() == wanted
    for file, reference in CITIES.items():
        with Image.open(real_data / "photos" / file) as picture:
            assert (reference.width_px, reference.height_px) == picture.size
        assert reference.frame_id == known[file]["frame_id"]


def test_cameras_lie_on_the_orbit_at_their_time_offset(real_data: Path) -> None:
    sets = load_tle_file(real_data / ELEMENT_SETS)
    checked = 0
    for file in PLACED:
        reference = CITIES[file]
        frame = read_frame(real_data / "photos" / file)
        age_days, offset_s = reference.tle_age_days, reference.true_time_offset_s
        if age_days is None or offset_s is None or frame.time_utc is None:
            continue
        assert reference.camera is not None
        there = camera_position(sets, frame.time_utc)
        assert there.element_set is not None
        assert there.tle_age_h is not None
        assert age_days == pytest.approx(there.tle_age_h / 24.0, abs=0.01)
        # With a fresh set it is the clock that was off, else the station was elsewhere on its orbit
        clock = [offset_s] if abs(age_days) < 1.0 else [0.0]
        slide = [0.0] if abs(age_days) < 1.0 else [offset_s]
        place = track_positions(there.element_set, frame.time_utc, clock, slide)[0]
        apart_m = np.linalg.norm(place - reference.camera.position_ecef_m)
        # The plane itself is known to a few kilometres, to some tens after two months
        assert apart_m < (12e3 if abs(age_days) < 30.0 else 45e3), file
        checked += 1
    assert checked > 20
