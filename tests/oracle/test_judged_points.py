"""Scores of registrations: errors against truth by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pyproj import Geod
from scipy.spatial.transform import Rotation

from benchmarks.registration.truth import MAP_PIXEL_M, score_columns
from matchers.geometry.camera import Camera
from matchers.geometry.footprint import diagonal_km
from regengine.evaluate.registration import camera_of, distance_m, right_within_km
from tests.world.results import control_point, nadir_camera

WGS84 = Geod(ellps="WGS84")


def lattice(camera: Camera, per_side: int = 5) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(
        np.linspace(20.0, camera.width_px - 21.0, per_side),
        np.linspace(20.0, camera.height_px - 21.0, per_side),
    )
    return x.ravel(), y.ravel()


def test_distances_are_geodesic() -> None:
    # A degree of the equator, and 15 arc seconds of the mean great circle
    equator = np.pi * 6378137.0 / 180.0
    np.testing.assert_allclose(distance_m(10.0, 0.0, 11.0, 0.0), equator, atol=0.01)
    np.testing.assert_allclose(distance_m(179.5, 0.0, -179.5, 0.0), equator, atol=0.01)
    np.testing.assert_allclose(MAP_PIXEL_M, 6371008.8 * np.radians(15.0 / 3600.0), atol=0.1)


def test_the_sky_is_infinitely_far() -> None:
    distance = distance_m([10.0, np.nan, np.inf], [0.0, 0.0, 1.0], 10.0, 0.0)
    np.testing.assert_array_equal(distance, [0.0, np.inf, np.inf])


def test_the_bar_is_one_percent_or_one_kilometre() -> None:
    assert right_within_km(60.0) == 1.0
    assert right_within_km(1650.0) == pytest.approx(16.5)


@pytest.mark.parametrize(("share", "right"), [(0.98, True), (1.02, False)])
def test_right_ends_at_the_bar(share: float, right: bool) -> None:
    truth = nadir_camera()
    bar_m = 1000.0 * right_within_km(diagonal_km(truth))
    points = [control_point(100, 90), control_point(520, 80), control_point(540, 330)]
    worst = control_point(90, 340)
    lon, lat, _ = WGS84.fwd(worst.lon, worst.lat, 77.0, share * bar_m)
    points.append(replace(worst, lon=lon, lat=lat))
    score = score_columns(truth, points, truth)
    assert score["right"] is right
    np.testing.assert_allclose(score["point_error_m"][:3], 0.0, atol=0.01)
    np.testing.assert_allclose(score["point_error_m"][3], share * bar_m, atol=0.5)
    assert score["grid_max_m"] < 0.01


@pytest.mark.parametrize(("share", "right"), [(0.009, False), (0.011, True)])
def test_exact_points_within_a_hundredth_of_the_picture_are_not_right(
    share: float, right: bool
) -> None:
    truth = nadir_camera()
    high_px = share * truth.width_px * truth.height_px / 400.0
    corners = ((100, 90), (500, 90), (500, 90 + high_px), (100, 90 + high_px))
    points = [control_point(x, y) for x, y in corners]
    assert score_columns(truth, points, truth)["right"] is right


def test_without_control_points_nothing_is_right() -> None:
    truth = nadir_camera()
    assert not score_columns(truth, (), truth)["right"]


def test_a_turned_camera_errs_by_the_turn() -> None:
    truth = nadir_camera()
    turn = Rotation.from_rotvec([0.0, 2.0 / truth.focal_px, 0.0])  # two pixels to the right
    attitude = Rotation.from_quat(truth.quaternion) * turn
    camera = replace(truth, quaternion=tuple(attitude.as_quat().tolist()))
    x, y = lattice(truth)
    errors = distance_m(*camera.pixel_to_lonlat(x, y), *truth.pixel_to_lonlat(x, y))
    np.testing.assert_allclose(errors, 2.0 * 391.2e3 / truth.focal_px, rtol=0.08)


@pytest.mark.parametrize(("told", "aspect"), [("1.5", 1.5), ("", None), (None, None)])
def test_a_true_camera_of_a_stretched_copy_has_its_pixels(
    told: str | None, aspect: float | None
) -> None:
    names = ("width_px", "height_px", "focal_px", "principal_x", "principal_y")
    row = dict.fromkeys(names, "100") | {"mirrored": "false"}
    row |= {f"quaternion_{axis}": "0.5" for axis in "xyzw"}
    row |= {f"position_{axis}_m": "4e6" for axis in "xyz"}
    row |= {} if told is None else {"pixel_aspect": told}
    assert camera_of(row).pixel_aspect == aspect
