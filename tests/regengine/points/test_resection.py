"""Cameras from points: truth by construction, rough starts, wrong points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.pose import move_on_orbit, turn_camera
from matchers.geometry.pose_fit import PoseFit
from regengine.points.resection import (
    ASKED,
    Disagreement,
    Free,
    PointPairs,
    Start,
    Unknowns,
    choose_best,
    disagreeing_points,
    fit_from_starts,
    free_parameters,
    make_rough_prior,
    make_starts_around,
    residuals_px,
)
from tests.world.towns import camera_over, ecef, project

WIDTH, HEIGHT = 4256, 2832
CORNERS = np.array([[0.1, 0.1], [0.9, 0.14], [0.86, 0.9], [0.12, 0.88]])
GRID = np.stack(np.meshgrid(np.linspace(0.1, 0.9, 5), np.linspace(0.1, 0.9, 4)), -1).reshape(-1, 2)
EAST = np.array([-0.17, 0.98, 0.0])


def view(
    focal_px: float = 5900.0, off_nadir: float = 35.0, lon: float = 10.0, mirrored: bool = False
) -> Camera:
    return camera_over(
        lon,
        45.0,
        off_nadir=off_nadir,
        azimuth=60.0,
        roll=25.0,
        width=WIDTH,
        height=HEIGHT,
        focal_px=focal_px,
        mirrored=mirrored,
    )


def pairs_of(camera: Camera, shares: FloatArray, sigma_px: float, seed: int = 0) -> PointPairs:
    """Points of a camera by OpenCV's projection, with noise of a sigma."""
    lon, lat = camera.pixel_to_lonlat(*(shares * [WIDTH, HEIGHT]).T)
    ground = ecef(lon, lat)
    noise = np.random.default_rng(seed).normal(0.0, sigma_px, shares.shape)
    return PointPairs(
        pixels=project(camera, ground) + noise,
        ground_ecef_m=ground,
        sigma_px=np.full(len(shares), sigma_px),
    )


def rough(
    camera: Camera, along_km: float, focal: float, turn: tuple[float, float, float]
) -> Camera:
    """The camera moved along an eastward track, zoomed, and turned about its axes."""
    x, y, z = move_on_orbit(camera.position_ecef_m, EAST, 1e3 * along_km, 2e3, 1e3).tolist()
    start = replace(camera, position_ecef_m=(x, y, z), focal_px=camera.focal_px * focal)
    return turn_camera(start, turn)


def fitted(start: Camera, pairs: PointPairs, free: Free = "auto") -> tuple[PoseFit, Disagreement]:
    unknowns = Unknowns(
        pairs=pairs, belief=make_rough_prior(start, EAST), freed=free_parameters(len(pairs), free)
    )
    return fit_from_starts(start, unknowns), disagreeing_points(start, unknowns)


def worst_px(found: Camera, truth: Camera) -> float:
    """How far the whole picture is off."""
    shares = np.concatenate([GRID, CORNERS])
    exact = pairs_of(truth, shares, 1e-9)
    return float(np.hypot(*residuals_px(found, exact).T).max())


@given(
    focal_px=st.floats(3500.0, 20000.0),
    along_km=st.floats(-60.0, 60.0),
    focal=st.floats(0.93, 1.07),
    turn=st.tuples(*[st.floats(-2.0, 2.0)] * 3),
    mirrored=st.booleans(),
    lon=st.sampled_from([10.0, 179.9, -179.0]),
)
def test_good_points_bring_a_camera_back_from_wherever_it_looks(
    focal_px: float,
    along_km: float,
    focal: float,
    turn: tuple[float, float, float],
    mirrored: bool,
    lon: float,
) -> None:
    truth = view(focal_px, mirrored=mirrored, lon=lon)
    start = rough(truth, along_km, focal, turn)
    found, _ = fitted(start, pairs_of(truth, GRID, 0.1))
    assert worst_px(found.camera, truth) < 1.0


@pytest.mark.parametrize(
    ("count", "freed"),
    [
        (1, ("aim",)),
        (2, ("attitude",)),
        (3, ("attitude", "focal length")),
        (4, ("attitude", "focal length", "position")),
        (12, ("attitude", "focal length", "position", "distortion")),
    ],
)
def test_more_points_free_more(count: int, freed: tuple[str, ...]) -> None:
    assert free_parameters(count, "auto") == freed
    truth = view()
    found, _ = fitted(turn_camera(truth, (1.0, 2.0, 0.0)), pairs_of(truth, GRID[:count], 0.01))
    assert np.hypot(*found.residual_px.T).max() < 0.1


def test_asked_for_by_name_only_that_is_free() -> None:
    truth = view()
    start = rough(truth, 30.0, 1.04, (0.0, 0.0, 0.0))
    points = pairs_of(truth, GRID, 0.1)
    alone = fitted(start, points, "attitude")[0].camera
    assert alone.focal_px == start.focal_px
    assert alone.position_ecef_m == start.position_ecef_m
    zoomed = fitted(start, points, "focal")[0].camera
    assert zoomed.focal_px != start.focal_px
    assert zoomed.position_ecef_m == start.position_ecef_m


def test_four_clicks_of_three_pixels_place_the_whole_picture_to_a_few() -> None:
    errors = [
        worst_px(
            fitted(rough(t, 20.0, 1.01, (1.0, 1.0, 1.0)), pairs_of(t, CORNERS, 3.0, s))[0].camera, t
        )
        for s in range(8)
        for t in (view(), view(12000.0, 20.0))
    ]
    assert np.median(errors) < 10.0
    assert max(errors) < 25.0


@pytest.mark.parametrize("count", [5, 8, 20])
def test_a_wrong_point_is_told_from_the_others(count: int) -> None:
    truth = view()
    shares = np.concatenate([CORNERS, [[0.45, 0.5]], GRID])[:count]
    points = pairs_of(truth, shares, 2.0)
    points.pixels[1] += [60.0, -45.0]
    found = fitted(truth, points, "focal")[1]
    assert found.suspect.tolist() == [index == 1 for index in range(count)]
    assert found.left_out_px[1] == pytest.approx(75.0, abs=25.0)
    assert not found.undecided


def test_two_wrong_points_are_told_from_many() -> None:
    truth = view()
    points = pairs_of(truth, GRID, 2.0)
    points.pixels[3] += [50.0, 0.0]
    points.pixels[11] -= [50.0, 0.0]
    assert np.flatnonzero(fitted(truth, points)[1].suspect).tolist() == [3, 11]


@pytest.mark.parametrize("free", ["attitude", "focal", "auto"])
def test_of_four_points_none_is_left_out(free: Free) -> None:
    truth = view()
    points = pairs_of(truth, CORNERS, 0.5)
    points.pixels[2] += [300.0, -200.0]
    found = fitted(truth, points, free)[1]
    assert not found.suspect.any()
    assert found.undecided


@pytest.mark.parametrize("away_km", [300.0, 1500.0])
@pytest.mark.parametrize("zoom", [1.02, 2.5])
def test_points_find_their_camera_from_anywhere(away_km: float, zoom: float) -> None:
    truth = view()
    start = rough(truth, away_km, zoom, (1.0, 2.0, 0.5))
    for shares in (CORNERS, GRID[::3]):
        points = pairs_of(truth, shares, 0.5)
        first = Start(camera=start, belief=make_rough_prior(start, EAST))
        around = make_starts_around(start, points, lens_known=zoom < 1.1)
        best = choose_best(first, [around], points)
        unknowns = Unknowns(pairs=points, belief=best.belief, freed=ASKED["position"])
        assert worst_px(fit_from_starts(best.camera, unknowns).camera, truth) < 10.0


def test_a_start_that_fits_is_kept_whatever_else_would() -> None:
    truth = view()
    points = pairs_of(truth, CORNERS, 2.0)
    near = rough(truth, 60.0, 1.03, (0.1, 0.0, 0.0))
    starts = [Start(camera=one, belief=make_rough_prior(one, EAST)) for one in (near, truth)]
    assert choose_best(starts[0], [starts[1:]], points) is starts[0]
    far = rough(truth, 1500.0, 1.0, (0.0, 0.0, 0.0))
    first = Start(camera=far, belief=make_rough_prior(far, EAST))
    assert choose_best(first, [[], starts[1:]], points) is starts[1]


def test_good_points_are_not_suspected() -> None:
    blamed = [
        fitted(truth, pairs_of(truth, GRID[::3], 3.0, seed))[1].suspect.any()
        for seed in range(30)
        for truth in (view(),)
    ]
    assert sum(blamed) <= 2


def test_what_leaving_out_changes_is_what_a_fit_without_the_point_says() -> None:
    truth = view()
    points = pairs_of(truth, GRID, 3.0)
    found = fitted(truth, points, "focal")[1]
    for index in (0, 7, 19):
        others = np.arange(len(points)) != index
        rest = fitted(truth, points.chosen(others), "focal")[0].camera
        away = float(np.hypot(*residuals_px(rest, points)[index]))
        assert found.left_out_px[index] == pytest.approx(away, rel=0.02, abs=0.05)


def test_points_on_one_spot_do_no_harm() -> None:
    truth = view()
    same = pairs_of(truth, np.repeat(CORNERS[:1], 4, axis=0), 1.0)
    found, odd = fitted(truth, same)
    assert np.hypot(*found.residual_px.T).max() < 5.0
    assert not odd.suspect.any()
