"""Clusters on the sphere, boxes and areas of footprints, nights: truth by construction."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.collection.catalogue.arrange import (
    CELL_KM,
    REACH_KM,
    WIDEST_KM,
    cell_of,
    cluster,
    width_km,
)
from regengine.collection.catalogue.ground import (
    AreaSeen,
    area_km2,
    night_of,
    simplified,
)
from regengine.collection.catalogue.quality import incidence_part, quality_score
from regengine.exchange.export.footprint import footprint, rings_bbox
from regengine.exchange.export.layers import Feature, wkb
from regengine.places import EARTH_RADIUS_KM, arc_km, directions
from tests.example_results import nadir_camera

LON = st.floats(-180.0, 180.0)
LAT = st.floats(-90.0, 90.0)


def around(rng: np.random.Generator, lon: float, lat: float, sigma_km: float, n: int) -> np.ndarray:
    """Directions about a place, spread alike at the poles and elsewhere."""
    there = directions(np.array([lon]), np.array([lat]))[0]
    spread = rng.normal(0.0, sigma_km / EARTH_RADIUS_KM, (n, 3))
    found = there + spread - (spread @ there)[:, None] * there
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


@pytest.mark.parametrize(
    "middles",
    [
        [(2.35, 48.85), (13.4, 52.5), (139.7, 35.7)],
        [(180.0, 0.0), (-179.0, 0.0), (179.0, 0.0)],
        [(0.0, 90.0), (40.0, -90.0), (0.0, 88.0), (180.0, 88.0)],
        [(-180.0, 51.6), (-177.0, 51.6)],
    ],
    ids=["cities", "antimeridian", "poles", "aleutes"],
)
def test_places_are_found_wherever_they_lie(middles: list[tuple[float, float]]) -> None:
    rng = np.random.default_rng(4)
    sky = np.concatenate([around(rng, *middle, 5.0, 60) for middle in middles])
    found = cluster(sky, np.ones(len(sky), np.int64))
    truth = np.repeat(np.arange(len(middles)), 60)
    assert len({(a, b) for a, b in zip(found.tolist(), truth.tolist(), strict=True)}) == len(
        middles
    )


def test_a_row_of_cities_that_touch_comes_apart() -> None:
    rng = np.random.default_rng(5)
    middles = [(5.0 + 1.2 * k, 51.0) for k in range(8)]  # 84 km apart
    towns = [around(rng, *middle, 9.0, 250) for middle in middles]
    fringe = [around(rng, lon, lat, 30.0, 120) for lon, lat in middles]
    sky = np.concatenate([*towns, *fringe])
    frames = np.ones(len(sky), np.int64)
    found = cluster(sky, frames)
    assert (found >= 0).all()
    widths = [width_km(sky[found == k]) for k in range(int(found.max()) + 1)]
    assert max(widths) <= 1.5 * WIDEST_KM
    truth = np.repeat(np.arange(8), 250)
    of_town = found[: len(truth)]
    own = [np.bincount(of_town[truth == k]).argmax() for k in range(8)]
    assert len(set(own)) == 8
    assert np.mean(of_town == np.array(own)[truth]) > 0.95


def test_what_is_everywhere_alike_is_cut_up() -> None:
    lon, lat = np.meshgrid(np.arange(0.0, 6.0, 0.1), np.arange(40.0, 44.0, 0.1))
    sky = directions(lon.ravel(), lat.ravel())
    found = cluster(sky, np.ones(len(sky), np.int64))
    assert (found >= 0).all()
    assert max(width_km(sky[found == k]) for k in np.unique(found)) <= 1.5 * WIDEST_KM


def test_counts_of_cells_stand_for_their_frames() -> None:
    rng = np.random.default_rng(6)
    sky = np.concatenate([around(rng, 10.0 + k, 50.0, 8.0, 60) for k in range(3)])
    frames = rng.integers(1, 6, len(sky))
    assert cluster(sky, frames).tolist() == cluster(sky, frames).tolist()
    one = np.repeat(cluster(sky, frames), frames)
    other = cluster(np.repeat(sky, frames, axis=0), np.ones(int(frames.sum()), np.int64))
    assert len(set(zip(one.tolist(), other.tolist(), strict=True))) == 3


@given(LON, LAT, st.floats(-0.04, 0.04), st.floats(-0.04, 0.04))
def test_a_cell_is_small_everywhere(lon: float, lat: float, east: float, north: float) -> None:
    other = (lon + east / max(math.cos(math.radians(lat)), 1e-3), min(max(lat + north, -90), 90))
    one, two = cell_of([lon, other[0]], [lat, other[1]]).tolist()
    apart = directions(np.array([lon, other[0]]), np.array([lat, other[1]]))
    if one == two:
        assert arc_km(np.linalg.norm(apart[0] - apart[1])) < 2.0 * CELL_KM
    assert cell_of([lon], [lat]) == cell_of([lon + 360.0 if lon < 0 else lon], [lat])
    assert 2.0 * CELL_KM < REACH_KM


@given(LON, st.floats(-75.0, 75.0), st.floats(0.0, 66.0))
def test_boxes_hold_footprints_and_no_more(lon: float, lat: float, tilt_deg: float) -> None:
    rings = footprint(nadir_camera(lon, lat, tilt_deg=tilt_deg))
    box = rings_bbox(rings)
    assert box is not None
    west, south, east, north = box
    width = (east - west) % 360.0
    places = [place for ring in rings for place in ring]
    steps = [(place[0] - west) % 360.0 for place in places]
    off = [step if step < 359.9999 else 0.0 for step in steps]
    if width > 0.0:
        assert max(off) <= width + 1e-6
        assert max(off) >= width - 1e-6
    assert (south, north) == (min(p[1] for p in places), max(p[1] for p in places))


@pytest.mark.parametrize("view", [(10.0, 20.0, 0.0), (179.9, 20.0, 20.0), (10.0, 51.0, 60.0)])
def test_areas_agree_and_are_counted_once(view: tuple[float, float, float]) -> None:
    rings = footprint(nadir_camera(view[0], view[1], tilt_deg=view[2]))
    exact = area_km2(rings)
    fewer = simplified(rings)
    assert area_km2(fewer) == pytest.approx(exact, rel=0.005)
    assert max(len(ring) for ring in fewer) < 20
    seen = AreaSeen()
    shape = wkb(Feature(row={}, polygons=tuple(fewer)))
    seen.add(shape, [("all", ""), ("month", "2012-03")])
    seen.add(shape, [("all", ""), ("month", "2012-04")])
    areas = seen.areas_km2()
    assert areas["all"][""] == pytest.approx(exact, rel=0.05)
    assert areas["month"]["2012-03"] == areas["month"]["2012-04"] == areas["all"][""]


@pytest.mark.parametrize(
    ("time", "lon", "night"),
    [
        ((2012, 3, 28, 23, 59), 0.0, date(2012, 3, 28)),
        ((2012, 3, 29, 0, 1), 0.0, date(2012, 3, 28)),
        ((2012, 3, 28, 15, 0), 139.7, date(2012, 3, 28)),
        ((2012, 1, 1, 5, 0), -74.0, date(2011, 12, 31)),
        ((2012, 3, 28, 11, 0), 179.9, date(2012, 3, 28)),
        ((2012, 3, 28, 11, 0), -179.9, date(2012, 3, 27)),
    ],
)
def test_nights_begin_in_the_evening(time: tuple[int, ...], lon: float, night: date) -> None:
    assert night_of(datetime(*time, tzinfo=UTC), lon) == night  # type: ignore[arg-type, misc]


def test_incidence_is_that_of_the_ground() -> None:
    assert incidence_part(0.0, 400.0) == 1.0
    # Law of sines: the limb lies asin(R / (R + h)) off the nadir
    limb = math.degrees(math.asin(EARTH_RADIUS_KM / (EARTH_RADIUS_KM + 400.0)))
    assert incidence_part(limb - 1e-6, 400.0) < 0.01
    assert incidence_part(limb + 1.0, 400.0) == 0.0
    assert incidence_part(120.0, 400.0) == 0.0


PARTS = st.floats(0.0, 1.0)


@given(PARTS, PARTS, st.floats(0.0, 65.0), st.floats(1.0, 2000.0))
def test_each_measure_moves_the_score_the_right_way(
    sharpness: float, cloud: float, off_nadir_deg: float, resolution: float
) -> None:
    def score(s: float | None, c: float | None, angle: float, metres: float) -> float:
        found = quality_score(
            sharpness=s, cloud=c, off_nadir_deg=angle, altitude_km=400.0, resolution_m=metres
        )
        assert found is not None
        return found

    here = score(sharpness, cloud, off_nadir_deg, resolution)
    assert 0.0 < here <= 1.0
    assert score(min(sharpness + 0.1, 1.0), cloud, off_nadir_deg, resolution) >= here
    assert score(sharpness, max(cloud - 0.1, 0.0), off_nadir_deg, resolution) >= here
    assert score(sharpness, cloud, off_nadir_deg * 0.9, resolution) >= here
    assert score(sharpness, cloud, off_nadir_deg, resolution * 0.9) > here
    assert score(0.2, 0.8, 10.0, 50.0) < score(None, None, 10.0, 50.0) < score(0.8, 0.2, 10.0, 50.0)


def test_without_a_place_there_is_no_score() -> None:
    known = {"sharpness": 0.9, "cloud": 0.1, "off_nadir_deg": 9.0, "altitude_km": 400.0}
    assert quality_score(**known, resolution_m=None) is None
