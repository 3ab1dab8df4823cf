"""Towns are found by place, by name and in boxes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Geod

from regengine.places import (
    TOWNS,
    PlaceIndex,
    PlaceNames,
    name_view,
    place_index,
)
from tests.world.results import nadir_camera


@pytest.fixture(scope="module")
def places() -> PlaceIndex:
    return place_index()


@pytest.fixture(scope="module")
def world(places: PlaceIndex) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes of all towns."""
    towns = places.inside(-180, -90, 180, 90, 10**6)
    return np.array([town.lon for town in towns]), np.array([town.lat for town in towns])


def distance_km(lon: float, lat: float, other_lon: Any, other_lat: Any) -> Any:
    """By the haversine formula, on a sphere."""
    a, b = np.radians(lat), np.radians(other_lat)
    half = np.sin((b - a) / 2) ** 2
    half += np.cos(a) * np.cos(b) * np.sin(np.radians(other_lon - lon) / 2) ** 2
    return 2 * 6371.0 * np.arcsin(np.sqrt(half))


@pytest.mark.parametrize(
    ("lon", "lat", "name", "country"),
    [
        (2.35, 48.86, "Paris", "France"),
        (362.35, 48.86, "Paris", "France"),
        (13.40, 52.50, "Berlin", "Germany"),  # in Kreuzberg
        (139.75, 35.63, "Tokyo", "Japan"),  # in its harbour, nearest to Minato City
        (139.61, 35.74, "Tokyo", "Japan"),  # in Nerima, 10 km from the middle
        (-112.134, 33.498, "Phoenix", "United States"),  # in Alhambra
        (-73.83, 40.77, "New York City", "United States"),  # in Flushing, 16 km from the middle
        (13.06, 52.40, "Potsdam", "Germany"),  # 27 km from a city 20 times as large
        (-73.95, 40.66, "New York City", "United States"),  # in Brooklyn
        (-106.49, 31.76, "El Paso", "United States"),  # a larger city across the border
        (178.44, -18.14, "Suva", "Fiji"),
        (-181.56, -18.14, "Suva", "Fiji"),
        (-70.91, -53.16, "Punta Arenas", "Chile"),
        # Parts that are listed with the people of the whole town
        (-90.057, 35.087, "Memphis", "United States"),
        (47.83, 30.50, "Basrah", "Iraq"),
    ],
)
def test_a_place_goes_by_its_town(
    places: PlaceIndex, lon: float, lat: float, name: str, country: str
) -> None:
    found = places.nearest(lon, lat)
    assert found is not None
    assert (found.name, found.country) == (name, country)
    assert distance_km(lon, lat, found.lon, found.lat) < 20.0
    assert found.population > 50_000


@pytest.mark.parametrize("place", [(-150.0, 0.0), (0.0, -90.0), (math.nan, 3.0), (3.0, math.inf)])
def test_there_is_no_town_in_the_open_sea(places: PlaceIndex, place: tuple[float, float]) -> None:
    assert places.nearest(*place) is None


def test_many_places_have_distances_or_neither(places: PlaceIndex) -> None:
    lon, lat = np.array([2.35, -150.0, math.nan, 376.3]), np.array([48.86, 0.0, 1.0, 48.2])
    numbers, distances = places.near(lon, lat)
    assert list(numbers == -1) == [False, True, True, False]
    assert list(np.isnan(distances)) == [False, True, True, False]
    vienna = places.place(int(numbers[3]))
    assert vienna is not None
    assert vienna.country == "Austria"
    # A sphere and the ellipsoid differ by 0.6 % at most
    metres = Geod(ellps="WGS84").inv(16.3, 48.2, vienna.lon, vienna.lat)[2]
    assert distances[3] == pytest.approx(metres / 1e3, rel=0.006)
    assert numbers.tolist() == places.nearest_of(lon, lat).tolist()


@given(st.floats(-180, 180), st.floats(-70, 80))
def test_no_town_of_the_list_is_much_nearer_unless_it_is_smaller(
    places: PlaceIndex,
    world: tuple[NDArray[np.float64], NDArray[np.float64]],
    lon: float,
    lat: float,
) -> None:
    nearest = distance_km(lon, lat, *world).min()
    found = places.nearest(lon, lat)
    if found is None:
        assert nearest > 300.0 - 1e-6
    else:
        away = distance_km(lon, lat, found.lon, found.lat)
        larger = max(found.population, 15_000) / 15_000
        part_of = max(10.0, 0.008 * found.population**0.5)
        assert away <= nearest * larger**0.25 + part_of + 1e-6


def test_a_name_that_a_country_has_often_comes_with_its_state(places: PlaceIndex) -> None:
    labels = [place.label for place in places.search("springfield, us", 3)]
    assert labels[0] == "Springfield, Missouri, United States"
    assert len(set(labels)) == 3
    assert places.search("phoenix", 1)[0].label == "Phoenix, United States"
    assert places.search("paris", 1)[0].label == "Paris, France"


def test_boxes_hold_their_largest_towns(places: PlaceIndex) -> None:
    assert [town.name for town in places.inside(5, 45, 10, 50, 2)] == ["Milan", "Turin"]
    across = places.inside(170, -45, -170, -10, 200)
    assert {"Auckland", "Suva", "Apia", "Nuku‘alofa"} <= {town.name for town in across}
    assert all(town.lon >= 170 or town.lon <= -170 for town in across)
    people = [town.population for town in across]
    assert people == sorted(people, reverse=True)
    assert places.inside(-140, -5, -139, -4) == []


@pytest.mark.parametrize(
    ("typed", "name", "country"),
    [
        ("Munich", "Munich", "Germany"),
        ("münchen", "Munich", "Germany"),
        ("MÜNCHEN ", "Munich", "Germany"),
        ("lodz", "Łódź", "Poland"),
        ("Łódź", "Łódź", "Poland"),
        ("Москва", "Moscow", "Russia"),
        ("東京", "Tokyo", "Japan"),
        ("tromso", "Tromsø", "Norway"),
        ("st. john's, can", "St. John's", "Canada"),
        ("paris", "Paris", "France"),
        ("paris, us", "Paris", "United States"),
        ("saint-trop", "Saint-Tropez", "France"),
    ],
)
def test_places_are_found_by_name(places: PlaceIndex, typed: str, name: str, country: str) -> None:
    found = places.search(typed, 3)
    assert (found[0].name, found[0].country) == (name, country)
    assert len(found) <= 3


@pytest.mark.parametrize("typed", ["", "x", "\n\t", "(", ".*", ", france", "zzzzzzzzzz", "\0" * 9])
def test_what_is_no_name_finds_nothing(places: PlaceIndex, typed: str) -> None:
    assert places.search(typed) == []


@given(st.text(max_size=200))
def test_anything_may_be_typed(places: PlaceIndex, typed: str) -> None:
    assert len(places.search(typed, 5)) <= 5


def test_the_best_name_comes_first_and_then_the_largest_place() -> None:
    names = PlaceNames(
        [
            ["Newport Beach", "Port of Newport"],
            ["Portsmouth"],
            ["Lisbon", "Port"],
            ["Port"],
            ["Oporto", "Porto"],
            ["Sport"],
        ]
    )
    assert names.find("port", 10) == [3, 2, 1, 0, 4]
    assert names.find("PORT", 2) == [3, 2]
    assert names.find("p", 10) == []


# What a photo shows: 166 km by 110 km below the camera, or more of it obliquely


@pytest.mark.parametrize(
    ("lon", "lat", "tilt_deg", "label"),
    [
        (-90.05, 35.0, 0.0, "Memphis, Tennessee, United States"),
        (-89.6, 35.4, 0.0, "Memphis, Tennessee, United States"),
        (-94.9, 29.3, 0.0, "Houston, United States"),  # the middle is Galveston Bay
        (135.6, 34.48, 0.0, "Osaka, Japan"),
        (-90.0, 26.0, 0.0, "Gulf of Mexico"),
        (-93.0, 28.0, 0.0, "Gulf of Mexico"),
        (-60.0, 35.0, 0.0, "Atlantic Ocean"),
        (-178.0, 57.0, 0.0, "Bering Sea"),
        (178.0, 57.0, 0.0, "Bering Sea"),
        (18.0, 37.0, 0.0, "Ionian Sea"),
        (85.0, -20.0, 0.0, "Indian Ocean"),
        (-3.0, 23.5, 0.0, "Mali"),  # no town in view: the country of the nearest
        (40.0, -80.0, 0.0, "Antarctica"),
        (15.0, 44.0, 64.0, None),  # a hundred towns: one of them
    ],
)
def test_a_photo_is_called_what_a_person_would_say(
    lon: float, lat: float, tilt_deg: float, label: str | None
) -> None:
    place = name_view(nadir_camera(lon, lat, tilt_deg=tilt_deg))
    assert place is not None
    if label is None:
        assert place.population > 100_000
    else:
        assert place.label == label


def test_the_sky_has_no_name() -> None:
    assert name_view(nadir_camera(10.0, 20.0, tilt_deg=150.0)) is None
    assert name_view(None) is None


@pytest.mark.slow
def test_the_table_of_towns_is_made_again_byte_for_byte(tmp_path: Path) -> None:
    from benchmarks.earth_towns import make_towns

    make_towns(tmp_path / "towns.npz")
    assert (tmp_path / "towns.npz").read_bytes() == TOWNS.read_bytes()
