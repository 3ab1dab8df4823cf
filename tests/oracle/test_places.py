"""Towns, what is told of a photo in words, and the files that the package has."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchers.geometry.footprint import WGS84
from regengine.io.checksums import compute_sha256, read_sums
from regengine.maps import at_hand as data
from regengine.maps.at_hand import choose_element_sets, choose_maps
from regengine.maps.opening import open_light_map, open_references
from regengine.maps.places import (
    PlaceIndex,
    look_up_lit_dex,
    name_view,
    place_index,
)
from regengine.orbit.tle import load_element_sets, load_tle_file
from regengine.photo.frame import Frame, FrameOptions
from regengine.registration.parameters import RegisterParams
from regengine.registration.types import Prior
from regengine.runs.pipeline import process_photo
from regengine.runs.run_inputs import RunInputs
from regengine.store.result import FrameResult, NadirInput, Verdict
from tests.world.maps import write_geotiff
from tests.world.results import nadir_camera, nothing_found, proposal
from tests.world.simulated import write_png


@pytest.fixture(scope="module")
def places() -> PlaceIndex:
    return place_index()


def distance_km(lon: float, lat: float, other_lon: Any, other_lat: Any) -> Any:
    """By the haversine formula, on a sphere."""
    a, b = np.radians(lat), np.radians(other_lat)
    half = np.sin((b - a) / 2) ** 2
    half += np.cos(a) * np.cos(b) * np.sin(np.radians(other_lon - lon) / 2) ** 2
    return 2 * 6371.0 * np.arcsin(np.sqrt(half))


@pytest.mark.parametrize(
    ("lon", "lat", "name", "country"),
    [
        (13.40, 52.50, "Berlin", "Germany"),  # in Kreuzberg
        (139.75, 35.63, "Tokyo", "Japan"),  # in its harbour, nearest to Minato City
        (-73.83, 40.77, "New York City", "United States"),  # in Flushing, 16 km from the middle
        (13.06, 52.40, "Potsdam", "Germany"),  # 27 km from a city 20 times as large
        (-106.49, 31.76, "El Paso", "United States"),  # a larger city across the border
        (-181.56, -18.14, "Suva", "Fiji"),
        # Parts that are listed with the people of the whole town
        (-90.057, 35.087, "Memphis", "United States"),
    ],
)
def test_a_place_goes_by_its_town(
    places: PlaceIndex, lon: float, lat: float, name: str, country: str
) -> None:
    found = places[int(places.near([lon], [lat])[0][0])]
    assert (found.name, found.country) == (name, country)
    assert distance_km(lon, lat, found.lon, found.lat) < 20.0
    assert found.population > 50_000


@pytest.mark.parametrize(
    ("typed", "name", "country"),
    [
        ("münchen", "Munich", "Germany"),
        ("lodz", "Łódź", "Poland"),
        ("Москва", "Moscow", "Russia"),
        ("st. john's, can", "St. John's", "Canada"),
        ("paris, us", "Paris", "United States"),
        ("saint-trop", "Saint-Tropez", "France"),
    ],
)
def test_places_are_found_by_name(places: PlaceIndex, typed: str, name: str, country: str) -> None:
    found = places.search(typed, 3)
    assert (found[0].name, found[0].country) == (name, country)
    assert len(found) <= 3


@pytest.mark.parametrize(
    ("name", "first", "n_towns"),
    [
        ("tripoli", ["Tripoli, Libya", "Tripoli, Lebanon", "Trípoli, Greece"], 3),
        ("TRÍPOLI, leb", ["Tripoli, Lebanon"], 1),
        ("new york, US", ["New York City, United States"], 1),  # without its City
        ("Frankfurt, DE", ["Frankfurt am Main, Germany"], None),
        ("Zaragoza", ["Zaragoza, Spain"], None),  # as a larger one is called elsewhere: Tijuana
        ("Portland, Oregon", ["Portland, Oregon, United States"], 1),
        ("København", ["Copenhagen, Denmark"], 1),
        ("Singapore", ["Singapore, Singapore"], 1),
        ("Lebanon", [], 0),  # nine towns in the United States; who says so means the country
        ("Lebanon, Ohio", ["Lebanon, Ohio, United States"], 1),
        ("Tripo", [], 0),
    ],
)
def test_towns_of_a_name(
    places: PlaceIndex, name: str, first: list[str], n_towns: int | None
) -> None:
    found = places.find_named(name)
    assert [one.label for one in found[: len(first)]] == first
    assert n_towns in (None, len(found))
    assert len(set(found)) == len(found)


# Captions as the archive, agencies and file names have them
TEXTS = {
    "SEATTLE-TACOMA AREA AT NIGHT, SOFT": ["Seattle", "Tacoma"],
    "iss030e188140_New-York_city by night": ["New York City"],
    "GULF OF MEXICO, AURORA AUSTRALIS": [],  # a country, and a light
    "Valencia": ["Valencia", "Valencia"],  # of Venezuela and of Spain
    "Nice view of Pisa, Fes": [],  # a word, too small a town, too short a name
    "Parisian lights; xTokyo": [],
}


def test_towns_that_texts_mention(places: PlaceIndex) -> None:
    found = {text: places.find_mentioned(text) for text in TEXTS}
    assert {text: [one.name for one in towns] for text, towns in found.items()} == TEXTS
    assert [one.country for one in found["Valencia"]] == ["Venezuela", "Spain"]


EARTH, NO_NAME = "the whole Earth", "from its position"
BOTH = ["option (Tripoli, Lebanon)", EARTH]
# Name, file, where the camera is known to be, at which search it is accepted -> where it is sought
SOUGHT: list[tuple[str | None, str, tuple[float, float] | None, int, list[str]]] = [
    ("Tripoli, leb", "a", None, 1, ["option (Tripoli, Lebanon)"]),
    ("Tripoli, leb", "a", None, 2, BOTH),
    ("Tripoli, leb", "Kyoto", None, 3, [*BOTH, "option (Tripoli, Libya)"]),
    (None, "Kyoto_and_Osaka", None, 9, [EARTH, "filename (Kyoto, Japan)"]),  # Osaka is near it
    (None, "Kyoto", None, 1, [EARTH]),
    ("Djanet", "a", None, 1, ["option (Djanet, Algeria)"]),  # nobody knows its people
    ("Tripoli", "a", (60.0, 30.0), 9, ["option (Tripoli, Lebanon)"]),  # Libya is out of sight
    ("Tripoli", "Kyoto", (60.0, 30.0), 9, ["option (Tripoli, Lebanon)", "filename (Kyoto, Japan)"]),
    (None, "Kyoto", (139.0, 36.0), 9, [NO_NAME]),  # in view, which is all that is known
    (None, "Kyoto", (2.0, 40.0), 2, [NO_NAME, "filename (Kyoto, Japan)"]),
    # Out of sight: from there without it, and then at the towns
    ("Tripoli, leb", "a", (-120.0, 30.0), 1, ["option"]),
    ("Tripoli, leb", "a", (-120.0, 30.0), 9, ["option", "option (Tripoli, Lebanon)"]),
]


@pytest.mark.parametrize(("name", "stem", "above", "accepted_at", "sought"), SOUGHT)
def test_named_towns_are_tried_before_the_whole_earth_and_mentioned_ones_after(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str | None,
    stem: str,
    above: tuple[float, float] | None,
    accepted_at: int,
    sought: list[str],
) -> None:
    photo = write_png(tmp_path / f"{stem}.png", np.zeros((64, 64, 3), np.uint8))
    found: list[str] = []
    shares: list[float] = []
    apart = (name, above) == ("Tripoli, leb", (-120.0, 30.0))

    def search(frame: Frame, prior: Prior, references: Any, params: RegisterParams) -> FrameResult:
        is_blind = prior.position is None
        found.append(EARTH if is_blind else frame.sources.get("place", NO_NAME))
        n_towns = 2 if apart or (found[:2] == BOTH and len(found) > 2) else 1  # Libya and Kyoto
        assert frame.centre is None or prior.n_places == n_towns
        share = params.work_budget / given.work_budget
        shares.append(share)
        assert 0.0 < share <= 1.0
        result = proposal("a") if len(found) == accepted_at else nothing_found("a")
        source = "lights" if prior.position is None else prior.position.source
        sigma = {"sigma_along_km": 1.0, "sigma_cross_km": 1.0}
        nadir = NadirInput(lon=0.0, lat=0.0, altitude_km=400.0, source=source, **sigma)
        return replace(result, nadir=nadir)

    monkeypatch.setattr("regengine.runs.pipeline.register_frame", search)
    given = RegisterParams(any_category=True)
    options = FrameOptions(place=name, nadir=above, altitude_km=400.0)
    lights = choose_maps("lights", [])
    result = process_photo(photo, RunInputs(lights=lights, frame=options, register=given))
    assert found == sought
    assert not apart or sum(shares) <= 1.0  # both share the work
    # The proposal shows Japan, which is not what was named
    is_elsewhere = sought[:2] == BOTH
    doubts = [one.text for one in result.reasons if one.code == "centre_suspect"]
    assert len(doubts) == (name is not None and (accepted_at != 9 or apart))
    assert all("Tripoli, Leb" in one or "Djanet" in one for one in doubts)
    verdict = "no_match" if accepted_at == 9 else "review" if is_elsewhere else "accepted"
    assert result.verdict == verdict


def test_the_time_of_a_photo_is_shared_by_all_its_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two towns, and the whole Earth, has what the earlier ones left."""
    photo = write_png(tmp_path / "a.png", np.zeros((64, 64, 3), np.uint8))
    now, left = [0.0], []

    def search(frame: Frame, prior: Any, references: Any, params: RegisterParams) -> FrameResult:
        left.append(params.max_seconds)
        now[0] += 4.0
        return nothing_found("a")

    monkeypatch.setattr("regengine.runs.pipeline.register_frame", search)
    given = RegisterParams(max_seconds=10.0, any_category=True, clock=lambda: now[0])
    options = FrameOptions(place="Tripoli")
    process_photo(photo, RunInputs(lights=choose_maps("lights", []), frame=options, register=given))
    assert left[:3] == [10.0, 6.0, 2.0]
    assert set(left[3:]) <= {0.0}


@pytest.mark.parametrize(
    ("by_day", "by_lights", "told"),
    [
        ("no_match", "no_match", "by_day"),
        ("review", "no_match", "by_day"),
        ("review", "accepted", "by_lights"),
        ("no_match", "review", "by_lights"),
        ("accepted", "accepted", "by_day"),  # and the lights are not searched
    ],
)
def test_of_a_photo_that_may_be_by_day_the_better_of_both_searches_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_day: Verdict, by_lights: Verdict, told: str
) -> None:
    photo = write_png(tmp_path / "a.png", np.zeros((64, 64, 3), np.uint8))
    found = {"register_by_day": ("by_day", by_day), "register_frame": ("by_lights", by_lights)}
    for function, (name, verdict) in found.items():
        result = proposal(name, verdict)
        monkeypatch.setattr(f"regengine.runs.pipeline.{function}", lambda *_, one=result: one)
    given = RegisterParams(any_category=True)
    options = FrameOptions(nadir=(139.7, 35.7), altitude_km=400.0)
    lights = choose_maps("lights", [])
    placed = process_photo(photo, RunInputs(lights=lights, frame=options, register=given))
    assert placed.frame == told


@given(st.text(max_size=200))
def test_anything_may_be_typed(places: PlaceIndex, typed: str) -> None:
    assert len(places.search(typed, 5)) <= 5
    assert all(one.population >= 200_000 for one in places.find_mentioned(typed))
    for nothing in ("", "x", "\n\t", ".*", ", france", "\0" * 9):
        assert places.search(nothing) == places.find_named(nothing) == []


@pytest.mark.parametrize(
    ("lon", "lat", "tilt_deg", "label"),
    [
        (-90.05, 35.0, 0.0, "Memphis, Tennessee, United States"),
        (-94.9, 29.3, 0.0, "Houston, United States"),  # the middle is Galveston Bay
        (-93.0, 28.0, 0.0, "Gulf of Mexico"),
        (-178.0, 57.0, 0.0, "Bering Sea"),
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
    assert name_view(nadir_camera(10.0, 20.0, tilt_deg=150.0)) is None


# The files of the package: their checksums, which of them is used, and when


def test_the_files_are_those_of_the_checksums() -> None:
    named = read_sums(data.FOLDER)
    brought = (".csv", ".tif", ".idx", ".npz", ".jpg")
    files = [one for one in data.FOLDER.iterdir() if one.suffix in brought]
    assert {path.name: compute_sha256(path) for path in files} == named


def write_lights(path: Path, bounds: tuple[float, float, float, float]) -> Path:
    """A radiance map of a region."""
    path.parent.mkdir(parents=True, exist_ok=True)
    west, south, east, north = bounds
    step = (east - west) / 180.0
    values = np.full((round((north - south) / step), 180), 3.0, np.float32)
    return write_geotiff(path, values, west=west, north=north, step=step)


@pytest.mark.parametrize(
    ("own", "given", "used"),
    [
        ((), (), ("packaged",)),
        (((0, 40, 9, 49),), (), ("own0.tif", "packaged")),  # fills what a region lacks
        (((-180, -80, 180, 80),), (), ("own0.tif",)),
        (((0, 40, 9, 49),), ("named.tif",), ("named.tif",)),
    ],
)
def test_maps_are_the_named_ones_then_the_data_folders_then_the_packages(
    own: tuple[tuple[float, float, float, float], ...],
    given: tuple[str, ...],
    used: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path))
    for number, bounds in enumerate(own):
        write_lights(tmp_path / "lights" / f"own{number}.tif", bounds)
    paths = choose_maps("lights", [Path(name) for name in given])
    assert tuple("packaged" if path == data.LIGHTS else path.name for path in paths) == used
    if not given:
        assert {one.path for one in open_references("lights", paths)} == set(paths)


def test_of_all_element_sets_the_nearest_in_time_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set that was added is used about its epoch, the package's elsewhere."""
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path))
    before = datetime(2012, 3, 28, 12, tzinfo=UTC)
    packaged = load_tle_file(data.ELEMENT_SETS)
    own = packaged.best_for(before)
    (tmp_path / "tle").mkdir()
    added = tmp_path / "tle" / "own.txt"
    added.write_text(f"{own.line1}\n{own.line2}\n", encoding="ascii")
    assert choose_element_sets() == (tmp_path / "tle", data.ELEMENT_SETS)
    both = load_element_sets(choose_element_sets())
    assert len(both) == len(packaged) + 1
    assert both.best_for(own.epoch_utc).path == added
    years = timedelta(days=4 * 365)
    assert both.best_for(before + years).path == data.ELEMENT_SETS
    assert choose_element_sets(added) == (added,)


def test_the_light_around_a_place_is_that_of_the_packages_map() -> None:
    """Over Dakar, half of it dark ocean: pixel by pixel, by PROJ."""
    lon, lat, reach_km = -17.5, 14.5, 1500.0  # the middle of a cell
    whole = open_light_map([data.LIGHTS]).window(
        lon - 16.0, lat - 14.0, lon + 16.0, lat + 14.0, 0.1
    )
    rows, cols = np.indices(whole.values.shape)
    x, y = whole.lon0_deg + whole.step_deg * cols, whole.lat0_deg - whole.step_deg * rows
    away_m = WGS84.inv(x, y, np.full(x.shape, lon), np.full(y.shape, lat))[2]
    area_km2 = (111.195 * whole.step_deg) ** 2 * np.cos(np.radians(y))
    light = (whole.values * area_km2)[away_m < 1e3 * reach_km].sum()
    assert look_up_lit_dex(lon, lat) == pytest.approx(np.log10(1.0 + light), abs=0.05)
    assert look_up_lit_dex(lon + 360.0, lat) == look_up_lit_dex(lon, lat)
    assert look_up_lit_dex(0.0, 90.0) < look_up_lit_dex(0.0, 60.0)
