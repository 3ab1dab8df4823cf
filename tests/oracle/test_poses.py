"""Steps and fits of a pose, the level frame, and what a camera sees of a map of lights."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from detectors.limb import nadir_vector
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.map_grid import (
    MapGrid,
    draw,
    fill_missing,
    lattice,
    make_pyramid,
    render_known,
)
from matchers.geometry.pose import (
    FOCAL,
    PARAMETERS,
    ROTATION,
    differentiate_pixels,
    fit_pose,
    move_on_orbit,
    step_camera,
    track_offsets_m,
)
from matchers.lights.level_ground import ground_plane, ground_points, level_axes
from matchers.lights.photo_light import EvenedImage
from tests.world.towns import VELOCITY, camera_over, ecef, geodetic, miss_px, prior_of


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
    exact = differentiate_pixels(here, VELOCITY, ground)[1]
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
def test_movements_on_the_orbit_are_undone_by_their_offsets(
    along: float, across: float, up: float
) -> None:
    start = tilted(10.0, 20.0, 30.0)
    there = move_on_orbit(start.position_ecef_m, VELOCITY, along, across, up)
    assert track_offsets_m(prior_of(start), there) == pytest.approx((along, across, up), abs=1e-3)
    risen = np.linalg.norm(there) - np.linalg.norm(start.position_ecef_m)
    assert risen == pytest.approx(up, abs=1e-3)


TRUTH = camera_over(
    10.5, 42.5, off_nadir=30.0, azimuth=50.0, roll=20.0, width=600, height=400, focal_px=700.0
)
CAMERA_ALONE = np.arange(PARAMETERS) < 8


def test_a_camera_is_found_from_points_and_wrong_ones_are_no_inliers() -> None:
    """Of pixels off by half a pixel the first are far off."""
    rng = np.random.default_rng(1)
    step = np.zeros(PARAMETERS)
    step[ROTATION], step[FOCAL] = [0.01, -0.02, 0.01], 0.01
    start = step_camera(TRUTH, VELOCITY, step)
    pixels = rng.uniform([10.0, 10.0], [590.0, 390.0], (80, 2))
    places = TRUTH.pixel_to_ecef(*pixels.T)
    pixels += rng.normal(0.0, 0.5, pixels.shape)
    noise = np.tile(0.25 * np.eye(2), (80, 1, 1))
    given = places, start, prior_of(TRUTH), CAMERA_ALONE
    half = fit_pose(pixels, *given, covariance_px=noise, counted=0.5)
    noisy = fit_pose(pixels, *given, covariance_px=2.0 * noise)
    assert half.covariance == pytest.approx(noisy.covariance, rel=1e-6)
    pixels[:8] += 30.0
    fit = fit_pose(pixels, *given, covariance_px=noise, outlier_sigmas=2.5)
    corners = np.array([(50.0, 300.0, 550.0), (40.0, 200.0, 360.0)])
    assert miss_px(fit.camera, TRUTH, *corners).max() < 0.6
    assert not (fit.weights[:8] >= 0.5).any()
    assert (fit.weights[8:] >= 0.5).mean() > 0.9
    assert np.linalg.eigvalsh(fit.covariance[:8, :8]).min() > 0.0
    assert not fit.covariance[8:].any()
    assert fit.residual_px == pytest.approx(
        pixels - np.stack(fit.camera.ecef_to_pixel(places), axis=-1)
    )


LENS = Camera(
    width_px=600,
    height_px=400,
    focal_px=800.0,
    principal_point=(299.5, 199.5),
    quaternion=(0.0, 0.0, 0.0, 1.0),
    position_ecef_m=(0.0, 0.0, 0.0),
)


@pytest.mark.parametrize("off_nadir_deg", [0.0, 55.0])
def test_a_lamp_of_three_pixels_is_drawn_where_it_stands(off_nadir_deg: float) -> None:
    values, weight = np.zeros((201, 301), np.float32), np.ones((201, 301), np.float32)
    values[59:62, 219:222], weight[:, :40] = 1.0, 0.0
    axes = level_axes(nadir_vector(off_nadir_deg, 70.0))
    lamp = EvenedImage(values=values, weight=weight, factor=1.0)
    plane = ground_plane(lamp, SMALL, axes, 400.0, 1.3)
    y, x = np.unravel_index(plane.values.argmax(), plane.values.shape)
    true, hidden = ground_points(SMALL, axes, 400.0, [220.0, 20.0], [60.0, 100.0])
    # A pixel of the photo is up to two of the plane long
    assert np.linalg.norm(plane.points([x], [y])[0] - true) < 3.0 * 1.3 / 6371.0
    rows, columns = np.indices(plane.values.shape)
    nearest = np.linalg.norm(plane.points(columns, rows) - hidden, axis=-1).argmin()
    assert plane.weight.ravel()[nearest] == 0.0


SMALL = replace(LENS, width_px=301, height_px=201, focal_px=700.0, principal_point=(150.0, 100.0))


VIEWS = {
    "antimeridian": camera_over(179.95, -17.0, focal_px=1000.0),
    "oblique": camera_over(8.3, 42.0, focal_px=1800.0, off_nadir=37.0, azimuth=80.0),
    "mirrored": camera_over(12.0, 42.0, focal_px=1000.0, roll=-60.0, mirrored=True),
    "distorted": camera_over(
        12.0, 42.0, focal_px=1000.0, roll=70.0, distortion=(-0.4, 0.0, 0.01, 0.0, 0.0)
    ),
}


def random_grid(camera: Camera) -> MapGrid:
    """Ten degrees about the middle of a view."""
    lon, lat = (float(np.floor(side)) for side in camera.pixel_to_lonlat(149.5, 99.5))
    values = np.random.default_rng(1).random((1000, 1000)).astype(np.float32)
    values = cv2.GaussianBlur(values, (0, 0), 3.0)
    return MapGrid(values=values, lon0_deg=lon - 4.995, lat0_deg=lat + 4.995, step_deg=0.01)


def interpolate(grid: MapGrid, camera: Camera, x: FloatArray, y: FloatArray) -> FloatArray:
    """The map at the ground of pixels, by SciPy, its longitudes and latitudes by PROJ."""
    lon, lat, _ = geodetic(camera.pixel_to_ecef(x, y))
    at = np.stack([grid.lat0_deg - lat, (lon - grid.lon0_deg) % 360.0]) / grid.step_deg
    return map_coordinates(grid.values, at, order=1)


INNER = np.meshgrid(np.arange(20.0, 280.0, 7.0), np.arange(20.0, 180.0, 7.0))


@pytest.mark.parametrize("supersample", [1, 3])
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


@pytest.mark.parametrize("mean_side", [False, True])
def test_the_level_grows_with_the_footprint(mean_side: bool) -> None:
    """Of a pyramid whose light is the number of the level."""
    step_deg, side = 0.01, 2048
    light = [np.full((side >> k, side >> k), k, np.float32) for k in range(6)]
    levels = [
        MapGrid(values=one, lon0_deg=0.0, lat0_deg=10.0, step_deg=step_deg * 2**k)
        for k, one in enumerate(light)
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


@pytest.mark.parametrize("valid", [True, False, None])
def test_beyond_the_windows_edge_nothing_is_known_and_the_sky_is(valid: bool | None) -> None:
    """Half a pixel beyond the outermost centres the window ends, on all four sides."""
    given = None if valid is None else np.full((3, 5), valid)
    values = np.ones((3, 5), np.float32)
    grid = MapGrid(values=values, lon0_deg=0.0, lat0_deg=2.0, step_deg=1.0, valid=given)
    nodes = lattice(40, 4)
    lon, lat = np.meshgrid(0.2 * nodes - 1.13, 3.13 - 0.2 * nodes)
    ground = ecef(lon, lat)
    ground[-3:] = np.nan
    _, known = draw([grid], ground, (40, 40), 4)
    at = 0.2 * np.arange(40) - 1.13
    inside = np.outer((at > -0.5) & (at < 2.5), (at > -0.5) & (at < 4.5))
    assert (known[:29] == (inside & (valid is not False))[:29]).all()
    assert (known[36:] == 1.0).all()  # the sky


def test_a_pyramid_keeps_means_and_places_and_holes_are_filled_with_the_mean() -> None:
    rng = np.random.default_rng(0)
    valid = np.ones((96, 128), bool)
    valid[5, 9] = False
    grid = MapGrid(
        values=rng.random((96, 128)).astype(np.float32),
        lon0_deg=5.0,
        lat0_deg=50.0,
        step_deg=0.25,
        valid=valid,
    )
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
    assert np.argwhere(~levels[1].valid).tolist() == [[2, 4]]  # valid if all its parts are
    filled = fill_missing(grid).values
    assert filled[5, 9] == pytest.approx(grid.values[valid].mean())
    assert np.array_equal(filled[valid], grid.values[valid])
