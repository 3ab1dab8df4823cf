"""The ground that photos show as polygons and boxes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import Point, Polygon
from shapely.affinity import translate
from shapely.ops import unary_union

from matchers.geometry.earth import incidence_deg
from regengine.exchange.export.footprint import (
    find_shortest_span,
    make_footprints,
    make_polygons,
    rings_bbox,
    unite_spans,
)
from tests.example_results import nadir_camera


def valid(rings: list[list[tuple[float, float]]]) -> list[Polygon]:
    found = [Polygon(ring) for ring in rings]
    for polygon, ring in zip(found, rings, strict=True):
        assert polygon.is_valid
        assert ring[0] == ring[-1]
        assert polygon.exterior.is_ccw
        west, south, east, north = polygon.bounds
        assert -180.0 <= west < east <= 180.0
        assert -90.0 <= south < north <= 90.0
    return found


@pytest.mark.parametrize("lon", [0.0, 136.9, 179.5, -179.9, 180.0])
@pytest.mark.parametrize("tilt", [0.0, 40.0, 62.0, 68.0])
def test_a_footprint_holds_what_the_photo_shows(lon: float, tilt: float) -> None:
    camera = replace(nadir_camera(lon, 45.0, tilt_deg=tilt), focal_px=700.0)
    ground = unary_union(valid(make_footprints([camera])[0]))
    x, y = np.meshgrid(np.linspace(2, 637, 12), np.linspace(2, 423, 12))
    angle = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y)).ravel()
    lons, lats = camera.pixel_to_lonlat(x.ravel(), y.ravel())
    # NaN, the sky, is neither
    for at, place_lon, place_lat in zip(angle, lons, lats, strict=True):
        if at < 79.5:
            assert ground.buffer(0.01).contains(Point(place_lon, place_lat))
        elif at > 80.5:
            assert not ground.contains(Point(place_lon, place_lat))
    assert (len(valid(make_footprints([camera])[0])) > 1) == (abs(lon) > 170)


def test_sky_alone_has_no_footprint() -> None:
    assert make_footprints([nadir_camera(tilt_deg=150.0)])[0] == []
    assert make_footprints([replace(nadir_camera(), focal_px=float("nan"))])[0] == []


def test_around_a_pole_the_polygon_reaches_it() -> None:
    lon = np.arange(-180.0, 180.0, 10.0)
    (polygon,) = valid(make_polygons(lon, 80.0 + np.cos(np.radians(lon))))
    assert polygon.contains(Point(33.0, 89.9))
    assert polygon.area == pytest.approx(360.0 * 10.0, rel=0.01)
    south = unary_union(valid(make_polygons(lon[::-1], np.full(lon.shape, -85.0))))
    assert south.area == pytest.approx(360.0 * 5.0)


@given(
    st.floats(-180.0, 180.0),
    st.lists(st.floats(0.5, 20.0), min_size=4, max_size=24),
    st.sampled_from([-1.0, 1.0]),
    st.booleans(),
)
def test_any_ring_about_a_pole_is_one_valid_polygon_around_the_map(
    lon: float, distances: list[float], side: float, backwards: bool
) -> None:
    lons = lon + np.linspace(0.0, 360.0, len(distances), endpoint=False)
    lats = side * (90.0 - np.array(distances))
    order = slice(None, None, -1) if backwards else slice(None)
    (polygon,) = valid(make_polygons(((lons + 180.0) % 360.0 - 180.0)[order], lats[order]))
    west, _, east, _ = polygon.bounds
    assert (west, east) == (-180.0, 180.0)
    mean = float(np.mean(distances))  # corners are evenly apart: trapezia
    assert polygon.area == pytest.approx(360.0 * mean, rel=1e-6)
    assert polygon.contains(Point(12.0, side * 89.9))


@given(
    st.floats(-720.0, 720.0),
    st.lists(st.floats(0.2, 1.0), min_size=3, max_size=24),
    st.floats(1.0, 80.0),
    st.booleans(),
)
def test_any_star_is_cut_into_valid_parts_of_the_same_area(
    lon: float, radii: list[float], width: float, backwards: bool
) -> None:
    angle = np.linspace(0.0, 2.0 * np.pi, len(radii), endpoint=False)
    x = lon + width * np.array(radii) * np.cos(angle)
    y = 0.5 * width * np.array(radii) * np.sin(angle)
    whole = Polygon(np.stack([x, y], axis=1))
    if backwards:
        x, y = x[::-1], y[::-1]
    parts = [Polygon(ring) for ring in make_polygons((x + 180.0) % 360.0 - 180.0, y)]
    assert all(part.is_valid for part in parts)
    assert sum(part.area for part in parts) == pytest.approx(whole.area, abs=1e-3)
    again = unary_union(
        [translate(part, 360.0 * world) for part in parts for world in range(-3, 4)]
    )
    assert again.buffer(1e-4).contains(whole.buffer(-1e-4))


WHOLE = st.integers(-180, 180).map(float)
SPANS = st.lists(st.tuples(WHOLE, WHOLE), min_size=1, max_size=6)


def degrees(west: float, east: float) -> set[int]:
    """Whole degrees' middles between two longitudes, eastward, as numbers from 0 to 359."""
    end = east if east >= west else east + 360.0
    return {(number + 180) % 360 for number in range(int(west), int(end))}


@given(SPANS)
def test_a_span_around_spans_is_the_shortest(spans: list[tuple[float, float]]) -> None:
    west, east = find_shortest_span(spans)
    covered = degrees(west, east)
    wanted = set().union(*(degrees(*span) for span in spans))
    assert wanted <= covered
    # By trial: from each degree on, how far one has to go to have them all
    ends = {one % 360 for span in spans for one in (int(span[0]) + 180, int(span[1]) + 180)}
    points = sorted(wanted | ends)
    shortest = min(max((one - start) % 360 + (one in wanted) for one in points) for start in points)
    assert len(covered) <= shortest or len(covered) == 360


@given(SPANS)
def test_united_spans_are_apart_and_hold_the_same(spans: list[tuple[float, float]]) -> None:
    joined = unite_spans(spans)
    assert all(-180.0 <= west <= east <= 180.0 for west, east in joined)
    for (_, before), (after, _) in pairwise(joined):
        assert before < after
    of_all = set().union(*(degrees(*span) for span in spans))
    assert set().union(*(degrees(*span) for span in joined)) == of_all
    assert unite_spans(joined) == joined


def test_boxes_of_polygons() -> None:
    east = [(170.0, 10.0), (180.0, 10.0), (180.0, 12.0), (170.0, 10.0)]
    west = [(-180.0, 9.0), (-175.0, 10.0), (-180.0, 12.0), (-180.0, 9.0)]
    assert rings_bbox([east]) == [170.0, 10.0, 180.0, 12.0]
    assert rings_bbox([east, west]) == [170.0, 9.0, -175.0, 12.0]
    assert rings_bbox([]) is None
