"""Which places are wanted: lists, cities, and what an archive's catalogue has of them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.collection.catalogue.ground import covers
from regengine.collection.catalogue.query import Catalogue
from regengine.collection.tasking.plan import FEW, FrameOfPlace, Good, best_frames, wanted_places
from regengine.collection.tasking.targets import Target, city_targets, listed_targets
from regengine.errors import ConfigError
from regengine.exchange.export.layers import Feature, wkb, wkb_rings
from tests.regengine.collection.catalogue.archive import write_rows

NOW = datetime(2016, 5, 1, tzinfo=UTC)
GOOD = Good(least_quality=0.5, max_off_nadir_deg=45.0, max_age=timedelta(days=1000))
HERE = Target(name="Here", country="", lon=10.0, lat=0.0, population=None, weight=1.0)

# The northern half of a frame's box: the place is not in it
HALF = wkb(Feature(row={}, polygons=(((9.0, 0.1), (11.0, 0.1), (11.0, 1.2), (9.0, 0.1)),)))


def frame(name: str, lon: float = 10.0, lat: float = 0.0, **other: Any) -> dict[str, Any]:
    """A frame of a square of a degree and a half, from straight above."""
    west, east = lon - 0.75, lon + 0.75
    square = [(west, lat - 0.75), (east, lat - 0.75), (east, lat + 0.75), (west, lat + 0.75)]
    polygons = [(*square, square[0])]
    if east > 180.0:  # as exports cut it
        polygons = [
            tuple((min(x, 180.0), y) for x, y in polygons[0]),
            tuple((max(x, 180.0) - 360.0, y) for x, y in polygons[0]),
        ]
        east -= 360.0
    row = {
        "frame": name,
        "verdict": "accepted",
        "time_utc": NOW - timedelta(days=100),
        "quality": 0.8,
        "nadir_lon": lon,
        "nadir_lat": lat,
        "altitude_km": 400.0,
        "west": west,
        "east": east,
        "south": lat - 0.75,
        "north": lat + 0.75,
        "geometry": wkb(Feature(row={}, polygons=tuple(polygons))),
    }
    return row | other


def best(tmp_path: Path, *frames: dict[str, Any], target: Target = HERE) -> FrameOfPlace | None:
    path = tmp_path / "archive.parquet"
    write_rows(path, frames)
    with Catalogue(path) as catalogue:
        return best_frames(catalogue, [target], GOOD, NOW).get(0)


def test_a_good_frame_covers_a_place(tmp_path: Path) -> None:
    found = best(tmp_path, frame("a", quality=0.6), frame("b", quality=0.9))
    assert found is not None
    assert (found.frame, found.lacks) == ("b", ())
    assert wanted_places([HERE], {0: found}) == ()


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ({"quality": 0.49}, ("quality",)),
        ({"quality": None}, ("quality",)),
        ({"time_utc": NOW - timedelta(days=1001)}, ("age",)),
        ({"time_utc": None}, ("age",)),
        ({"nadir_lon": 14.0}, ("off_nadir",)),  # 445 km aside of 400 km below
        ({"nadir_lon": None}, ("off_nadir",)),
        ({"quality": 0.1, "nadir_lat": 5.0}, ("quality", "off_nadir")),
    ],
)
def test_what_a_frame_lacks(tmp_path: Path, change: dict[str, Any], lacks: tuple[str, ...]) -> None:
    found = best(tmp_path, frame("a", **change))
    assert found is not None
    assert found.lacks == lacks
    (wanted,) = wanted_places([HERE], {0: found})
    assert wanted.need == ",".join(lacks)
    assert wanted.priority == 0.5


def test_the_angle_is_that_of_the_place(tmp_path: Path) -> None:
    found = best(tmp_path, frame("a", nadir_lon=12.0))
    assert found is not None
    assert found.off_nadir_deg is not None
    arc = math.radians(2.0)
    by_hand = math.atan2(math.sin(arc), 1.0 + 400.0 / 6378.137 - math.cos(arc))
    assert found.off_nadir_deg == pytest.approx(math.degrees(by_hand), abs=0.01)


def test_a_frame_that_lacks_less_is_better_than_one_of_better_quality(tmp_path: Path) -> None:
    found = best(tmp_path, frame("flat", quality=0.95, nadir_lon=14.0), frame("dull", quality=0.55))
    assert found is not None
    assert found.frame == "dull"


def test_only_accepted_frames_that_show_the_place_count(tmp_path: Path) -> None:
    triangle = wkb(
        Feature(row={}, polygons=(((9.3, -0.7), (10.7, -0.7), (10.7, 0.1), (9.3, -0.7)),))
    )
    assert best(tmp_path, frame("aside", lat=2.0)) is None
    assert best(tmp_path, frame("box only", geometry=triangle)) is None
    assert best(tmp_path, frame("review", verdict="review")) is None
    assert best(tmp_path, frame("sky", geometry=None)) is None


@pytest.mark.parametrize("lon", [179.5, -179.9, 179.999])
def test_frames_across_the_antimeridian_cover_what_lies_on_both_sides(
    tmp_path: Path, lon: float
) -> None:
    there = replace(HERE, lon=lon)
    assert best(tmp_path, frame("sea", lon=179.8), target=there) is not None
    assert best(tmp_path, frame("sea", lon=179.8), target=replace(there, lon=0.0)) is None


@given(
    places=st.lists(st.tuples(st.floats(-170, 170), st.floats(-80, 80)), min_size=3, max_size=12),
    lon=st.floats(-170, 170),
    lat=st.floats(-80, 80),
)
def test_footprints_are_read_as_shapely_reads_them(
    places: list[tuple[float, float]], lon: float, lat: float
) -> None:
    import shapely

    points = shapely.MultiPoint(places).convex_hull.buffer(1.0).exterior.coords
    ring = tuple(points)
    content = wkb(Feature(row={}, polygons=(ring, tuple((x, y + 200.0) for x, y in ring))))
    polygons = shapely.from_wkb(content)
    assert [shapely.Polygon(one) for one in wkb_rings(content)] == list(polygons.geoms)
    place = shapely.Point(lon, lat)
    if polygons.boundary.distance(place) > 1e-9:
        assert covers(content, lon, lat) == polygons.contains(place)


def test_cities_are_those_of_so_many_people() -> None:
    cities = city_targets(5_000_000)
    assert {"Tokyo", "Madrid"} & {city.name for city in cities} == {"Tokyo"}
    assert cities[0].weight == max(city.weight for city in cities)
    assert min(city.population or 0 for city in cities) >= 5_000_000


def test_a_list_is_read_as_people_write_it(tmp_path: Path) -> None:
    path = tmp_path / "sites.csv"
    path.write_bytes(
        "\ufeffCity;Longitude;Latitude;Priority;notes\r\n"
        "São Tomé;6.73;0.34;;\r\n\r\n"
        '"Here; or ""there""";350;-10;7.5;x\r\n'.encode()
    )
    first, second = listed_targets(path)
    assert (first.name, first.lon, first.weight) == ("São Tomé", 6.73, 1.0)
    assert (second.name, second.lon, second.weight) == ('Here; or "there"', -10.0, 7.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no list of places"),
        ("name,lon\nA,1\n", "no list of places"),
        ("name,lon,lat\n", "lists no place"),
        ("name,lon,lat\nA,1,91\n", "line 2: lat '91' is no number from -90 to 90"),
        ("name,lon,lat\nA,east,9\n", "line 2: lon 'east'"),
        ("name,lon,lat\nA,nan,9\n", "line 2: lon 'nan'"),
        ("name,lon,lat\nA,1,1\n,1,1\n", "line 3: a place lacks its name"),
        ("name,lon,lat,priority\nA,1,1,-1\n", "priority '-1'"),
        ("name,lon,lat\nA,1\n", "line 2: a place lacks"),
        ('name,lon,lat\n"A,1,1\n', "lacks|no list"),
    ],
)
def test_a_wrong_list_is_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "sites.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        listed_targets(path)


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        listed_targets(tmp_path / "none.csv")


def test_the_most_urgent_come_first() -> None:
    poor = FrameOfPlace(
        frame="a", time_utc=None, quality=0.1, off_nadir_deg=None, lacks=("quality",)
    )
    targets = [replace(HERE, name=name, weight=w) for name, w in (("a", 3), ("b", 4), ("c", 1))]
    wanted = wanted_places(targets, {1: poor})
    assert [one.target.name for one in wanted] == ["a", "b", "c"]
    assert [one.priority for one in wanted] == [3.0, 2.0, 1.0]


def test_large_archives_have_the_same_best_frames(tmp_path: Path) -> None:
    """More frames of a place than are looked at first, the best of them beside it."""
    aside = [frame(f"aside{n}", lat=0.5, quality=0.95, geometry=HALF) for n in range(3 * FEW)]
    dull = [frame(f"dull{n}", quality=0.3 + n / 1e4) for n in range(3 * FEW)]
    found = best(tmp_path, *aside, frame("good", quality=0.7), frame("fair", quality=0.6), *dull)
    assert found is not None
    assert (found.frame, found.lacks) == ("good", ())
    found = best(tmp_path, *aside, *dull)
    assert found is not None
    assert (found.frame, found.lacks) == (f"dull{3 * FEW - 1}", ("quality",))
