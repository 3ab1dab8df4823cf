"""Steps and fits of a pose, the level frame, and what a camera sees of a map of lights."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from detectors.constants import EARTH_RADIUS_KM
from detectors.limb_geometry import nadir_vector
from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic
from matchers.geometry.light_grid import LightGrid, fill_missing, make_pyramid
from matchers.geometry.pose import (
    FOCAL,
    PARAMETERS,
    ROTATION,
    mirror_pose,
    move_on_orbit,
    pixel_derivatives,
    step_camera,
    track_offsets_m,
)
from matchers.geometry.pose_fit import PoseOptions, fit_pose, make_whitening
from matchers.geometry.view import draw, lattice, render_known
from matchers.lights.level_ground import (
    ground_plane,
    ground_points,
    level_axes,
    place_camera,
)
from matchers.lights.photo_light import LightImage
from tests.world.towns import (
    VELOCITY,
    camera_over,
    east_north_up,
    ecef,
    geodetic,
    miss_px,
    prior_of,
)


def tilted(
    off_nadir: float, azimuth: float, roll: float, *, k1: float = 0.0, mirrored: bool = False
) -> Camera:
    """A camera whose axis is off the middle."""
    camera = camera_over(
        12.0,
        41.0,
        off_nadir=off_nadir,
        azimuth=azimuth,
        roll=roll,
        width=1000,
        height=700,
        focal_px=1400.0,
        distortion=(k1, 0.0, 0.0, 0.0, 0.0),
        mirrored=mirrored,
    )
    return replace(camera, principal_point=(480.0, 360.0))


@given(
    off_nadir=st.floats(0.0, 45.0),
    azimuth=st.floats(0.0, 360.0),
    roll=st.floats(0.0, 360.0),
    k1=st.sampled_from([0.0, -0.08, 0.05]),
    mirrored=st.booleans(),
    aspect=st.sampled_from([None, 1.5]),
)
def test_derivatives_equal_finite_differences(
    off_nadir: float, azimuth: float, roll: float, k1: float, mirrored: bool, aspect: float | None
) -> None:
    here = tilted(off_nadir, azimuth, roll, k1=k1, mirrored=mirrored)
    here = replace(here, pixel_aspect=aspect)
    ground = here.pixel_to_ecef([100.0, 500.0, 900.0, 300.0], [80.0, 350.0, 600.0, 640.0])
    exact = pixel_derivatives(here, VELOCITY, ground)
    sizes = [1e-6, 1e-6, 1e-6, 1e-6, 1.0, 1.0, 1.0, 1e-6, 1e-3, 1e-3]
    for k in range(PARAMETERS):
        step = np.zeros(PARAMETERS)
        step[k] = sizes[k]
        plus = np.stack(step_camera(here, VELOCITY, step).ecef_to_pixel(ground), axis=-1)
        minus = np.stack(step_camera(here, VELOCITY, -step).ecef_to_pixel(ground), axis=-1)
        numeric = (plus - minus) / (2.0 * sizes[k])
        scale = max(1.0, np.abs(numeric).max())
        assert exact[..., k] == pytest.approx(numeric, abs=2e-4 * scale)


@given(along=st.floats(-3e5, 3e5), across=st.floats(-3e5, 3e5), up=st.floats(-2e4, 2e4))
def test_offsets_undo_movements(along: float, across: float, up: float) -> None:
    start = tilted(10.0, 20.0, 30.0)
    there = move_on_orbit(start.position_ecef_m, VELOCITY, along, across, up)
    assert track_offsets_m(prior_of(start), there) == pytest.approx((along, across, up), abs=1e-3)
    risen = np.linalg.norm(there) - np.linalg.norm(start.position_ecef_m)
    assert risen == pytest.approx(up, abs=1e-3)


@given(off_nadir=st.floats(2.0, 50.0), azimuth=st.floats(0.0, 360.0), roll=st.floats(-180.0, 180.0))
def test_the_other_pose_sees_the_same_from_afar(
    off_nadir: float, azimuth: float, roll: float
) -> None:
    """Scaled orthography cannot tell the two apart, so that a narrow field hardly can."""
    narrow = camera_over(
        11.0, 43.0, off_nadir=off_nadir, azimuth=azimuth, roll=roll, focal_px=30_000.0
    )
    other = mirror_pose(narrow)
    assert other is not None
    assert np.linalg.det(other.matrix) == pytest.approx(1.0)
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 299, 5), np.linspace(0, 199, 4)))
    ground = narrow.pixel_to_ecef(x, y)
    apart = np.hypot(*(np.stack(other.ecef_to_pixel(ground)) - [x, y]))
    assert apart.max() < 4.0
    # It stands across the normal of the ground in the middle, as far away
    middle = narrow.pixel_to_ecef(149.5, 99.5)
    up = east_north_up(*(float(v) for v in geodetic(middle)[:2]))[2]
    here, there = (np.asarray(one.position_ecef_m) - middle for one in (narrow, other))
    assert here @ up == pytest.approx(there @ up, rel=1e-6)
    assert np.linalg.norm(here - (here @ up) * up + there - (there @ up) * up) < 1.0
    again = mirror_pose(other)
    assert again is not None
    assert np.allclose(again.position_ecef_m, narrow.position_ecef_m, atol=1.0)
    assert np.allclose(again.matrix, narrow.matrix, atol=1e-6)


TRUTH = camera_over(
    10.5, 42.5, off_nadir=30.0, azimuth=50.0, roll=20.0, width=600, height=400, focal_px=700.0
)
CAMERA_ALONE = np.arange(PARAMETERS) < 8


def noisy_points(seed: int, n_wrong: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels off by half a pixel, and the places that they show; the first are far off."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform([10.0, 10.0], [590.0, 390.0], (80, 2))
    places = TRUTH.pixel_to_ecef(*pixels.T)
    pixels = pixels + rng.normal(0.0, 0.5, pixels.shape)
    pixels[:n_wrong] += 30.0
    return pixels, places


@pytest.mark.parametrize("seed", range(3))
def test_a_camera_is_found_from_points_and_wrong_ones_are_no_inliers(seed: int) -> None:
    step = np.zeros(PARAMETERS)
    step[ROTATION], step[FOCAL] = [0.01, -0.02, 0.01], 0.01
    start = step_camera(TRUTH, VELOCITY, step)
    pixels, places = noisy_points(seed, 8)
    noise = np.tile(0.25 * np.eye(2), (80, 1, 1))
    fit = fit_pose(
        *(pixels, places, start, prior_of(TRUTH), CAMERA_ALONE, PoseOptions(outlier_sigmas=2.5)),
        covariance_px=noise,
    )
    assert (
        miss_px(fit.camera, TRUTH, *np.array([(50.0, 300.0, 550.0), (40.0, 200.0, 360.0)])).max()
        < 0.6
    )
    assert not fit.inliers[:8].any()
    assert fit.inliers[8:].mean() > 0.9
    assert np.linalg.eigvalsh(fit.covariance[:8, :8]).min() > 0.0
    assert not fit.covariance[8:].any()
    assert fit.residual_px == pytest.approx(
        pixels - np.stack(fit.camera.ecef_to_pixel(places), axis=-1)
    )


def test_points_that_count_half_are_as_unsure_as_noisier_ones() -> None:
    pixels, places = noisy_points(4, 0)
    given = pixels, places, TRUTH, prior_of(TRUTH), CAMERA_ALONE
    half = fit_pose(*given, covariance_px=np.tile(np.eye(2), (80, 1, 1)), counted=0.5)
    noisy = fit_pose(*given, covariance_px=np.tile(2.0 * np.eye(2), (80, 1, 1)))
    assert half.covariance == pytest.approx(noisy.covariance, rel=1e-6)
    assert half.camera.focal_px == pytest.approx(noisy.camera.focal_px, rel=1e-9)


def test_what_is_not_free_stays_and_a_start_near_the_end_ends_there() -> None:
    pixels, places = noisy_points(5, 0)
    noise = np.tile(0.25 * np.eye(2), (80, 1, 1))
    free = np.isin(np.arange(PARAMETERS), (0, 1, 2, FOCAL))
    fit = fit_pose(pixels, places, TRUTH, prior_of(TRUTH), free, covariance_px=noise)
    assert fit.camera.position_ecef_m == TRUTH.position_ecef_m
    assert fit.camera.distortion == TRUTH.distortion
    loose = PoseOptions(converged=0.01)
    again = fit_pose(pixels, places, fit.camera, prior_of(TRUTH), free, loose, covariance_px=noise)
    sigma = np.sqrt(fit.covariance[FOCAL, FOCAL])
    assert abs(np.log(again.camera.focal_px / fit.camera.focal_px)) < 0.01 * sigma
    assert again.chi_square == pytest.approx(fit.chi_square, rel=1e-6)


def test_whitened_noise_is_independent_and_of_unit_size() -> None:
    roots = np.random.default_rng(6).normal(size=(20, 2, 2))
    covariance = roots @ roots.transpose(0, 2, 1) + 0.01 * np.eye(2)
    whiten = make_whitening(covariance)
    assert whiten @ covariance @ whiten.transpose(0, 2, 1) == pytest.approx(
        np.tile(np.eye(2), (20, 1, 1)), abs=1e-9
    )


LENS = Camera(
    width_px=600,
    height_px=400,
    focal_px=800.0,
    principal_point=(299.5, 199.5),
    quaternion=(0.0, 0.0, 0.0, 1.0),
    position_ecef_m=(0.0, 0.0, 0.0),
)
X, Y = (axis.ravel() for axis in np.meshgrid([0.0, 150.0, 299.5, 599.0], [0.0, 199.5, 399.0]))


def rotation_from(seed: int) -> np.ndarray:
    return Rotation.random(random_state=seed).as_matrix()


@given(
    off_nadir_deg=st.floats(0.0, 60.0),
    roll_deg=st.floats(0.0, 360.0),
    altitude_km=st.floats(330.0, 430.0),
    seed=st.integers(0, 10_000),
)
def test_a_place_camera_sees_what_the_level_frame_says(
    off_nadir_deg: float, roll_deg: float, altitude_km: float, seed: int
) -> None:
    axes, rotation = level_axes(nadir_vector(off_nadir_deg, roll_deg)), rotation_from(seed)
    camera = place_camera(LENS, axes, altitude_km, rotation)
    assert ecef_to_geodetic(camera.position_ecef_m)[2] == pytest.approx(1e3 * altitude_km, abs=1.0)
    # The Earth is a sphere here, an ellipsoid there: a third of a per cent, and 0.2 degrees of down
    assert camera.off_nadir_deg == pytest.approx(off_nadir_deg, abs=0.2)
    points = ground_points(LENS, axes, altitude_km, X, Y)
    ground = camera.pixel_to_ecef(X, Y) / 1e3
    both = np.isfinite(points[:, 0]) & np.isfinite(ground[:, 0])
    assert both.sum() >= 6
    at = points @ rotation.T
    apart = np.linalg.norm(ground / np.linalg.norm(ground, axis=1, keepdims=True) - at, axis=1)
    away = np.linalg.norm(at - rotation[:, 2], axis=1)
    incidence = np.clip(away / 0.3, 0.0, 1.0)  # errors grow towards the limb
    flat = np.radians(80.0)  # flatter ground is not looked at
    both &= away <= flat - np.arcsin(np.sin(flat) / (1.0 + altitude_km / EARTH_RADIUS_KM))
    assert (apart[both] <= 4e-4 + (0.004 + 0.05 * incidence[both]) * away[both]).all()


def test_sights_above_the_limb_are_no_ground() -> None:
    points = ground_points(LENS, level_axes(nadir_vector(75.0, 0.0)), 400.0, X, Y)
    assert np.isnan(points[Y == 0.0]).all()
    assert np.isfinite(points[Y == 399.0]).all()


SMALL = replace(LENS, width_px=301, height_px=201, focal_px=700.0, principal_point=(150.0, 100.0))


def lamp_at(x: int, y: int, weight: FloatImage | None = None) -> LightImage:
    """A lamp of three pixels."""
    values = np.zeros((201, 301), np.float32)
    values[y - 1 : y + 2, x - 1 : x + 2] = 1.0
    return LightImage(
        values=values, weight=np.ones_like(values) if weight is None else weight, factor=1.0
    )


@pytest.mark.parametrize("off_nadir_deg", [0.0, 35.0, 55.0])
def test_a_lamp_is_drawn_where_it_stands(off_nadir_deg: float) -> None:
    weight = np.ones((201, 301), np.float32)
    weight[:, :40] = 0.0
    axes = level_axes(nadir_vector(off_nadir_deg, 70.0))
    plane = ground_plane(lamp_at(220, 60, weight), SMALL, axes, 400.0, 1.3)
    y, x = np.unravel_index(plane.values.argmax(), plane.values.shape)
    true = ground_points(SMALL, axes, 400.0, [220.0], [60.0])[0]
    pixel_rad = 1.3 / 6371.0
    # A pixel of the photo is up to two of the plane long
    assert np.linalg.norm(plane.points([x], [y])[0] - true) < 3.0 * pixel_rad
    hidden = ground_points(SMALL, axes, 400.0, [20.0], [100.0])[0]
    rows, columns = np.indices(plane.values.shape)
    nearest = np.linalg.norm(plane.points(columns, rows) - hidden, axis=-1).argmin()
    assert plane.weight.ravel()[nearest] == 0.0


def test_below_the_limb_the_ground_is_drawn_where_it_is() -> None:
    """The middle of the picture shows the sky."""
    axes = level_axes(nadir_vector(71.0, 0.0))
    x, y = (side.ravel() for side in np.meshgrid(np.arange(20, 280, 20), np.arange(20, 180, 20)))
    there = ground_points(SMALL, axes, 400.0, x, y)
    assert np.isnan(ground_points(SMALL, axes, 400.0, [150.0], [100.0])).all()
    # The lamp stands on the ground that is seen the least flat
    nearest = int(np.nanargmax(there[:, 2]))
    plane = ground_plane(lamp_at(int(x[nearest]), int(y[nearest])), SMALL, axes, 400.0, 2.6)
    row, column = np.unravel_index(plane.values.argmax(), plane.values.shape)
    away = np.linalg.norm(plane.points([column], [row])[0] - there[nearest])
    assert away < 5.0 * 2.6 / 6371.0


def grid_of(values: FloatImage, lon0: float, lat0: float, step: float, **more: Any) -> LightGrid:
    """A grid by its values, the centre of its first pixel and its step, degrees."""
    return LightGrid(values=values, lon0_deg=lon0, lat0_deg=lat0, step_deg=step, **more)


VIEWS = {
    "nadir": camera_over(12.0, 42.0, focal_px=1000.0, roll=25.0),
    "antimeridian": camera_over(179.95, -17.0, focal_px=1000.0),
    "oblique": camera_over(8.3, 42.0, focal_px=1800.0, off_nadir=37.0, azimuth=80.0),
    "steep": camera_over(12.0, 36.1, focal_px=1800.0, off_nadir=55.0, azimuth=3.0, roll=-140.0),
    "mirrored": camera_over(12.0, 42.0, focal_px=1000.0, roll=-60.0, mirrored=True),
    "distorted": camera_over(
        12.0, 42.0, focal_px=1000.0, roll=70.0, distortion=(-0.4, 0.0, 0.01, 0.0, 0.0)
    ),
}


def random_grid(camera: Camera) -> LightGrid:
    """Ten degrees about the middle of a view."""
    lon, lat = (float(np.floor(side)) for side in camera.pixel_to_lonlat(149.5, 99.5))
    values = np.random.default_rng(1).random((1000, 1000)).astype(np.float32)
    return grid_of(cv2.GaussianBlur(values, (0, 0), 3.0), lon - 4.995, lat + 4.995, 0.01)


def interpolate(grid: LightGrid, camera: Camera, x: FloatArray, y: FloatArray) -> FloatArray:
    """The map at the ground of pixels, by SciPy, its longitudes and latitudes by PROJ."""
    lon, lat, _ = geodetic(camera.pixel_to_ecef(x, y))
    at = np.stack([grid.lat0_deg - lat, (lon - grid.lon0_deg) % 360.0]) / grid.step_deg
    return map_coordinates(grid.values, at, order=1)


INNER = np.meshgrid(np.arange(20.0, 280.0, 7.0), np.arange(20.0, 180.0, 7.0))


@pytest.mark.parametrize("supersample", [1, 2, 3])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_the_mean_of_the_map_at_the_ground_of_subpixels(
    name: str, supersample: int
) -> None:
    camera, (x, y) = VIEWS[name], INNER
    grid = random_grid(camera)
    drawn, known = render_known([grid], camera, supersample)
    below = (np.arange(supersample) + 0.5) / supersample - 0.5
    subpixels = itertools.product(below, below)
    seen = [interpolate(grid, camera, x + dx, y + dy) for dx, dy in subpixels]
    inside = known[20:180:7, 20:280:7] == 1.0
    assert inside.mean() > 0.5
    off = (drawn[20:180:7, 20:280:7] - np.mean(seen, axis=0))[inside]
    assert np.abs(off).max() < 0.05 * grid.values.std()


def test_a_coarse_view_is_of_the_coarse_level() -> None:
    """Its pixels are 2.4 of the map's pixels wide."""
    camera, (x, y) = camera_over(12.5, 42.5, focal_px=155.0, roll=20.0), INNER
    levels = make_pyramid(random_grid(camera), 2)
    drawn, _ = render_known(levels, camera, 1)
    off = drawn[20:180:7, 20:280:7] - interpolate(levels[1], camera, x, y)
    near = np.hypot(x - 149.5, y - 99.5) < 80.0
    assert np.abs(off[near]).max() < 0.05 * levels[1].values.std()


def test_the_sky_is_dark_and_the_rest_bright() -> None:
    camera = camera_over(12.0, 42.0, off_nadir=68.0, azimuth=0.0, focal_px=250.0)
    grid = grid_of(np.ones((600, 900), np.float32), -33.0, 72.0, 0.1)
    lon, _ = camera.pixel_to_lonlat(*np.meshgrid(np.arange(300.0), np.arange(200.0)))
    sky = ~np.isfinite(lon)
    assert 0.05 < sky.mean() < 0.6
    image = render_known(make_pyramid(grid, 5), camera, 2)[0]
    edge = np.abs(np.gradient(sky.astype(float))[0]) > 0  # within a lattice step of the limb
    for _ in range(6):
        edge[1:] |= edge[:-1]
        edge[:-1] |= edge[1:]
    assert image[sky & ~edge].max() == 0.0
    assert image[~sky & ~edge].min() > 0.999


@pytest.mark.parametrize("mean_side", [False, True])
def test_the_level_grows_with_the_footprint(mean_side: bool) -> None:
    """Of a pyramid whose light is the number of the level."""
    step_deg, side = 0.01, 2048
    levels = [
        grid_of(np.full((side >> k, side >> k), k, np.float32), 0.0, 10.0, step_deg * 2**k)
        for k in range(6)
    ]
    x, y = np.meshgrid(lattice(12, 4), lattice(12, 4))

    def level_of(col: FloatArray, row: FloatArray) -> int:
        ground = ecef(step_deg * (col + 60.0), 10.0 - step_deg * (row + 60.0))
        light, _ = draw(levels, ground, (12, 12), 4, mean_side=mean_side)
        assert np.ptp(light) == 0.0
        return int(light[0, 0])

    found = [level_of(s * x, s * y) for s in (0.3, 1, 2, 4, 8, 16, 100)]
    assert found == [0, 0, 1, 2, 3, 4, 5]  # never beyond the coarsest
    # A slanted footprint goes by its narrow side, or its mean one
    assert level_of(16 * x, 2 * y) == (2 if mean_side else 1)
    assert level_of(1.414 * (x - y) + 20.0, 1.414 * (x + y)) == 1


def ending_grid() -> LightGrid:
    """Four degrees of light, of which the western half holds no data."""
    valid = np.ones((400, 400), bool)
    valid[:, :200] = False
    return grid_of(np.ones((400, 400), np.float32), 10.005, 43.995, 0.01, valid=valid)


@pytest.mark.parametrize("supersample", [1, 2])
@pytest.mark.parametrize("told", ["by the map", "by the window's edge"])
def test_what_the_map_does_not_hold_is_not_known(supersample: int, told: str) -> None:
    """No data in the window and nothing beyond the window are the same."""
    grid = ending_grid()
    if told == "by the window's edge":
        grid = replace(grid, values=grid.values[:, 200:], valid=None, lon0_deg=12.005)
    camera = camera_over(12.0, 42.0, focal_px=1500.0)
    _, known = render_known([grid], camera, supersample)
    x, y = np.meshgrid(np.arange(300.0), np.arange(200.0))
    lon, _ = camera.pixel_to_lonlat(x, y)
    clear = np.abs(lon - 12.0) > 0.02
    assert (known[clear] == (lon > 12.0)[clear]).all()
    assert 0.2 < (known[clear] == 0.0).mean() < 0.8


@pytest.mark.parametrize("valid", ["all", "none", "not told"])
def test_beyond_the_windows_edge_nothing_is_known_and_the_sky_is(valid: str) -> None:
    """Half a pixel beyond the outermost centres the window ends, on all four sides."""
    given = {"all": np.ones((3, 5), bool), "none": np.zeros((3, 5), bool), "not told": None}
    grid = grid_of(np.ones((3, 5), np.float32), 0.0, 2.0, 1.0, valid=given[valid])
    nodes = lattice(40, 4)
    lon, lat = np.meshgrid(0.2 * nodes - 1.13, 3.13 - 0.2 * nodes)
    ground = ecef(lon, lat)
    ground[-3:] = np.nan
    _, known = draw([grid], ground, (40, 40), 4)
    at = 0.2 * np.arange(40)
    col = row = at - 1.13
    inside = np.outer((row > -0.5) & (row < 2.5), (col > -0.5) & (col < 4.5))
    expected = inside & (valid != "none")
    assert (known[:29] == expected[:29]).all()
    assert (known[36:] == 1.0).all()  # the sky


def test_a_pyramid_keeps_means_and_places() -> None:
    rng = np.random.default_rng(0)
    grid = grid_of(rng.random((96, 128)).astype(np.float32), 5.0, 50.0, 0.25)
    levels = make_pyramid(grid, 9)
    assert levels[0] is grid
    assert [level.values.shape for level in levels] == [(96, 128), (48, 64), (24, 32), (12, 16)]
    for k, level in enumerate(levels):
        assert level.values.mean() == pytest.approx(grid.values.mean(), abs=1e-6)
        assert level.step_deg == 0.25 * 2**k
        # The outer edges stay where they are
        assert level.lon0_deg - 0.5 * level.step_deg == pytest.approx(5.0 - 0.125)
        assert level.lat0_deg + 0.5 * level.step_deg == pytest.approx(50.0 + 0.125)
    assert levels[1].values[3, 5] == pytest.approx(grid.values[6:8, 10:12].mean())
    assert len(make_pyramid(grid, 2)) == 2


def test_a_pixel_of_a_pyramid_is_valid_if_all_its_parts_are() -> None:
    valid = np.ones((32, 32), bool)
    valid[5, 9] = False
    grid = grid_of(np.ones((32, 32), np.float32), 0.0, 0.0, 1.0, valid=valid)
    half = make_pyramid(grid, 2)[1]
    assert np.argwhere(~half.valid).tolist() == [[2, 4]]


def test_holes_are_filled_with_the_mean() -> None:
    values = np.array([[1.0, 3.0], [0.0, 0.0]], np.float32)
    valid = np.array([[True, True], [False, True]])
    grid = grid_of(values, 0.0, 0.0, 1.0, valid=valid)
    assert fill_missing(grid).values == pytest.approx(np.array([[1.0, 3.0], [4.0 / 3.0, 0.0]]))
    assert fill_missing(replace(grid, valid=None)).values is values
    assert fill_missing(replace(grid, valid=np.zeros((2, 2), bool))).values is values
