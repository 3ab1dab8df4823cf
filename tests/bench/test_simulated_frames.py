"""Frames with stars, streaks and streets are what their truth says: places, strength, noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
from shapely import LineString

from benchmarks.simulate.frames import GENERATORS
from benchmarks.simulate.frames.exposures import (
    BRIGHT_HALF_PX,
    LENGTH_EDGES_PX,
    SNR_EDGES,
    Course,
    Optics,
    Spread,
    add_course,
    add_stars,
    add_track,
    bleed,
    cell_values,
    curve,
    ends_inside,
    ends_seen,
    fine_grid,
)
from benchmarks.streets import simulate_frame
from benchmarks.streets.maps import CLASSES, City, CityStreets, draw_grid_city
from benchmarks.streets.shot import ShotRanges
from tests.world.program import run

SIGMA_PX = 1.1
SHAPE = (200, 240)


def round_optics() -> Optics:
    x, y = fine_grid(BRIGHT_HALF_PX)
    spread = Spread.of(np.exp(-0.5 * (x**2 + y**2) / SIGMA_PX**2), BRIGHT_HALF_PX)
    return Optics(still=((spread,),), stars=((spread,),), trail_px=None)


def test_a_star_lies_where_the_truth_says_with_its_light_and_bound() -> None:
    scene, flat, place = np.zeros(SHAPE), np.full(SHAPE, 100.0), np.array([[60.33, 80.71]])
    truth = add_stars(scene, round_optics(), place, np.array([10.0]), flat, np.ones(SHAPE))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    total = scene.sum()
    assert (scene * x).sum() / total == pytest.approx(truth.x[0], abs=0.02)
    assert (scene * y).sum() / total == pytest.approx(truth.y[0], abs=0.02)
    assert total == pytest.approx(truth.flux[0], rel=0.01)
    assert scene.max() / 10.0 == pytest.approx(truth.peak_snr[0], rel=1e-3)
    # A Gaussian's centre in white noise: 2 sigma^2 over its integrated ratio, and shot noise
    assert truth.bound_px[0] == pytest.approx(np.sqrt(2.0 / np.pi) / 10.0, rel=0.5)


def test_a_streak_has_the_ends_and_the_peak_it_was_drawn_with() -> None:
    scene, flat = np.zeros(SHAPE), np.full(SHAPE, 25.0)
    x, y = curve(40.0, 50.0, 200.0, 120.0, 0.0)
    light = np.ones(x.size)
    course = Course(x=x, y=y, light=light, blur_px=0.0, bow_px=0.0, peak_snr=4.0, kind="satellite")
    true = add_course(scene, course, round_optics(), flat, np.ones(SHAPE))
    assert true is not None
    assert (true.x1, true.y1, true.x2, true.y2) == pytest.approx((40.0, 50.0, 200.0, 120.0))
    assert np.median(scene[60:110, 80:160].max(axis=0)) / 5.0 == pytest.approx(4.0, rel=0.1)
    assert true.matched_snr == pytest.approx(np.sqrt((scene**2).sum()) / 5.0)


def test_a_bow_lies_to_the_right_of_who_goes_along_and_shrinks_where_the_border_cuts() -> None:
    x, y = curve(20.0, 60.0, 280.0, 60.0, 8.0)
    assert y[len(y) // 2] == pytest.approx(68.0)  # going right with y down, below
    half = ends_seen(x, y, 8.0, 0, (len(x) - 1) // 2)
    assert half["bow_px"] == pytest.approx(2.0, rel=0.02)
    assert (half["first_cut"], half["second_cut"]) == (False, True)
    backwards = ends_seen(x[::-1], y[::-1], 8.0, 0, len(x) - 1)
    assert (backwards["x1"], backwards["bow_px"]) == (20.0, -8.0)


def test_streaks_lie_inside_and_evenly_in_their_cells() -> None:
    rng = np.random.default_rng(0)
    values = np.array([cell_values(rng, 7 * seed) for seed in range(1200)])
    inside = (values[:, 0] >= 0.5) & (values[:, 1] >= 30.0) & (values[:, 1] <= 1200.0)
    cells, *_ = np.histogram2d(*values[inside].T, bins=[SNR_EDGES, LENGTH_EDGES_PX])
    assert 0.8 < inside.mean() < 0.95
    assert cells.min() > 0.8 * cells.mean()
    ends = np.array([ends_inside(rng, 120.0, 500, 300) for _ in range(200)])
    assert ends.min() > 0.0
    assert (ends.max(axis=0) < [499.0, 299.0, 499.0, 299.0]).all()


def test_tracks_are_a_pixel_wide_and_bleeding_keeps_the_charge() -> None:
    electrons = np.zeros((120, 120))
    add_track(electrons, np.random.default_rng(4), 40.0, 500.0, bend=0.0)
    lit = np.argwhere(electrons > 0.0)
    assert 20 < len(lit) < 80
    across = np.linalg.svd(lit - lit.mean(axis=0), compute_uv=False)[1] / np.sqrt(len(lit))
    assert across < 0.6
    column = np.zeros((60, 9))
    column[30, 4] = 1000.0
    bleed(column, 100.0)
    assert (column.sum(), column.max()) == pytest.approx((1000.0, 100.0))


@pytest.mark.parametrize(
    "generator", ["open", "crowded", pytest.param("camera", marks=pytest.mark.slow)]
)
def test_equal_seeds_equal_frames_that_hold_their_truth(generator: str) -> None:
    frame, same, other = (GENERATORS[generator](seed, side_px=384) for seed in (8, 8, 6))
    assert np.array_equal(frame.light, same.light)
    assert not np.array_equal(frame.light, other.light)
    # Brighter than the frame where bright stars are said to be
    bright = frame.stars.resolved & (frame.stars.peak_snr > 20.0)
    at = np.rint(frame.stars.y[bright]).astype(int), np.rint(frame.stars.x[bright]).astype(int)
    assert (frame.light[at] > np.quantile(frame.light, 0.9)).mean() > 0.9


# Streets

SMALL = ShotRanges(long_side_px=(500, 700), gsd_m=(6.0, 12.0))
LON, LAT = 2.3, 48.8


@pytest.fixture(scope="module")
def grid() -> City:
    return draw_grid_city(1)


@pytest.mark.parametrize("harsh", [False, True])
def test_streets_are_brighter_than_what_lies_between_them(grid: City, harsh: bool) -> None:
    gains = []
    for seed in range(3):
        frame = simulate_frame(seed, Path(), harsh=harsh, ranges=SMALL, city=grid)
        camera, red = frame.shot.camera, frame.picture[..., 0].astype(float)
        avenues = grid.roads.take(grid.roads.classes == CLASSES.index("secondary"))
        x, y, _, _ = camera.project(*avenues.xy.T)
        seen = (x > 0) & (x < camera.width_px - 1) & (y > 0) & (y < camera.height_px - 1)
        on_street = red[np.rint(y[seen]).astype(int), np.rint(x[seen]).astype(int)]
        gains.append(on_street.mean() / red.mean())
    assert np.mean(gains) > 1.1


def test_what_is_told_is_wrong_within_its_bounds_and_the_same_again(grid: City) -> None:
    first, again, other = (simulate_frame(s, Path(), ranges=SMALL, city=grid) for s in (5, 5, 6))
    assert first.jpeg == again.jpeg != other.jpeg
    shot, told = first.shot, first.shot.told
    assert abs((told.time_utc - shot.time_utc).total_seconds()) <= SMALL.clock_s
    assert told.focal_mm == pytest.approx(shot.focal_mm, rel=SMALL.focal_share)
    assert shot.camera.focal_px == pytest.approx(1e3 * shot.focal_mm / told.pixel_pitch_um)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> CityStreets:
    """A map with a street in the west, 0.1 by 0.06 degrees."""
    folder = tmp_path_factory.mktemp("town")
    lines = [
        LineString([(LON, LAT), (LON, LAT + 0.06)]),
        LineString([(LON, LAT), (LON + 0.1, LAT)]),
        LineString([(LON + 0.02, LAT + 0.02), (LON + 0.02, LAT + 0.05)]),
    ]
    columns = {"highway": ["track", "track", "primary"]}
    geopandas.GeoDataFrame(columns, geometry=lines, crs=4326).to_file(folder / "town.fgb")
    said = run("streets", "build", folder / "town.fgb", "--out", folder / "town.tif", "--quiet")
    assert said.code == 0, said.err
    return CityStreets.open(folder / "town.tif")


def street_of(streets: CityStreets) -> tuple[float, float]:
    """Longitude of the street in the map, and its share of the map's width."""
    west, _, east, _ = streets.bounds
    window = streets.window(*streets.bounds, 4.0 / 9000.0)
    assert window is not None
    light = window.values.sum(axis=0)
    lon = window.lon0_deg + window.step_deg * (light @ np.arange(len(light))) / light.sum()
    return float(lon), float((lon - west) / (east - west))


def test_a_map_lies_where_it_is_laid(town: CityStreets) -> None:
    lon, share = street_of(town)
    assert lon == pytest.approx(LON + 0.02, abs=3e-4)  # half a pixel
    assert street_of(replace(town, mirrored=True))[1] == pytest.approx(1.0 - share, abs=0.01)
    moved = replace(town, at=(139.0, 35.0))
    moved_lon, moved_share = street_of(moved)
    assert moved_share == pytest.approx(share, abs=0.01)
    assert abs(moved_lon - 139.0) < 0.05
    # Kilometres are kept, degrees of longitude are longer there
    width = [bounds[2] - bounds[0] for bounds in (town.bounds, moved.bounds)]
    ratio = np.cos(np.radians(LAT)) / np.cos(np.radians(35.0))
    assert width[1] / width[0] == pytest.approx(ratio, rel=1e-3)
