"""Corners, outline and diagonal of the ground that a photo shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg
from matchers.geometry.footprint import (
    MAX_INCIDENCE_DEG,
    corner_lonlat,
    diagonal_km,
    trace_visible_outline,
)
from tests.matchers.lamp_world import camera_over, ecef

WGS84 = Geod(ellps="WGS84")


def visible_ground(camera: Camera, per_side: int = 33) -> tuple[FloatArray, FloatArray]:
    """Longitudes and latitudes (n,) of a grid over the image with incidence of at most 80 degrees.

    The grid has so many points along each side, the corners included; empty where the image shows
    no ground.
    """
    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, per_side),
        np.linspace(0.0, camera.height_px - 1.0, per_side),
    )
    ground = camera.pixel_to_ecef(x, y)
    seen = incidence_deg(camera.position_ecef_m, ground) <= MAX_INCIDENCE_DEG
    lon, lat = camera.pixel_to_lonlat(x[seen], y[seen])
    return lon, lat


def test_corners_go_round_from_the_top_left() -> None:
    corners = corner_lonlat(camera_over(10.0, 40.0))
    lon, lat = np.array([corner or (np.nan, np.nan) for corner in corners]).T
    assert (lon < 10.0).tolist() == [True, False, False, True]
    assert (lat > 40.0).tolist() == [True, True, False, False]


def test_corners_in_the_sky_are_none() -> None:
    camera = camera_over(10.0, 40.0, off_nadir=70.0, azimuth=0.0, focal_px=250.0)
    top_left, top_right, bottom_right, bottom_left = corner_lonlat(camera)
    assert top_left is None
    assert top_right is None
    assert bottom_right is not None
    assert bottom_left is not None


def test_a_corner_is_what_its_pixel_centre_sees() -> None:
    camera = camera_over(10.0, 40.0, off_nadir=20.0)
    corner = corner_lonlat(camera)[2]
    assert corner == pytest.approx([float(v) for v in camera.pixel_to_lonlat(299.0, 199.0)])


@given(off_nadir=st.floats(0.0, 75.0), roll=st.floats(0.0, 360.0), focal=st.floats(150.0, 2000.0))
def test_flat_ground_is_left_out(off_nadir: float, roll: float, focal: float) -> None:
    camera = camera_over(10.0, 40.0, off_nadir=off_nadir, roll=roll, focal_px=focal)
    lon, lat = visible_ground(camera)
    assert np.isfinite(lon).all()
    angles = incidence_deg(camera.position_ecef_m, ecef(lon, lat))
    assert (angles <= MAX_INCIDENCE_DEG + 1e-6).all()
    if len(lon) > 1:
        some = np.linspace(0, len(lon) - 1, 12).astype(int)
        far = max(
            WGS84.inv(lon[i], lat[i], lon[j], lat[j])[2] / 1e3 for i in some for j in some if i < j
        )
        assert diagonal_km(camera) >= 0.993 * far


def test_an_oblique_ends_where_the_incidence_reaches_80_degrees() -> None:
    """Looking at the limb from 410 km, 80 degrees of incidence lie 1,370 km from the nadir."""
    radius_km, height_km = 6378.137, 410.0  # along the equator the section is a circle
    side = (radius_km + height_km) / radius_km

    def reach_km(off_nadir_deg: float) -> float:
        off_nadir = np.radians(off_nadir_deg)
        return float(radius_km * (np.arcsin(side * np.sin(off_nadir)) - off_nadir))

    farthest = float(np.degrees(np.arcsin(np.sin(np.radians(80.0)) / side)))
    nearest = 60.0 - float(np.degrees(np.arctan(1000.0 / 2000.0)))
    camera = camera_over(
        0.0, 0.0, off_nadir=60.0, azimuth=90.0, width=3, height=2001, focal_px=2000.0
    )
    expected = reach_km(farthest) - reach_km(nearest)
    assert reach_km(farthest) == pytest.approx(1370.0, abs=10.0)
    assert diagonal_km(camera) == pytest.approx(expected, rel=0.001)


@pytest.mark.parametrize(("off_nadir", "roll"), [(67.0, 0.0), (55.0, 30.0), (48.0, 90.0)])
def test_the_diagonal_of_a_view_that_ends_at_the_limb(off_nadir: float, roll: float) -> None:
    """The farthest pair lies where 80 degrees are reached, between the points of any grid."""
    camera = camera_over(179.0, 51.0, off_nadir=off_nadir, azimuth=70.0, roll=roll, focal_px=200.0)
    lon, lat = visible_ground(camera, 400)
    turns = np.random.default_rng(0).normal(size=(3, 300))
    outer = np.unique(np.argmax(ecef(lon, lat) @ turns, axis=0))
    lon, lat = lon[outer], lat[outer]
    i, j = np.triu_indices(len(outer), 1)
    longest = float(WGS84.inv(lon[i], lat[i], lon[j], lat[j])[2].max()) / 1e3
    assert diagonal_km(camera) == pytest.approx(longest, rel=0.01)


def test_the_outline_is_the_border_or_the_limit_of_incidence() -> None:
    camera = camera_over(10.0, 40.0, off_nadir=58.0, roll=20.0, focal_px=200.0)
    x, y = trace_visible_outline(camera)
    angles = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    assert (angles <= MAX_INCIDENCE_DEG).all()
    border = (x == 0.0) | (x == 299.0) | (y == 0.0) | (y == 199.0)
    assert 0.2 < border.mean() < 0.8
    assert angles[~border] == pytest.approx(MAX_INCIDENCE_DEG, abs=0.05)
    for corner in ([0.0, 199.0], [299.0, 199.0]):
        assert np.hypot(x - corner[0], y - corner[1]).min() == 0.0


def test_the_sky_has_no_footprint() -> None:
    camera: Camera = camera_over(10.0, 40.0, off_nadir=120.0)
    assert diagonal_km(camera) == 0.0
    assert corner_lonlat(camera) == (None, None, None, None)
    assert len(visible_ground(camera)[0]) == 0
