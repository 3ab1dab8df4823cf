"""A picture drawn of the map itself is placed by the light around its towns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detectors.limb_geometry import nadir_vector
from matchers.asterisms import frames
from matchers.camera import Camera
from matchers.earth import surface_to_lonlat
from matchers.level_ground import level_axes, placed_camera
from matchers.photo_light import LightImage
from matchers.view import render
from regengine.lights.map import LightMap
from regengine.registration.index.earth import EarthIndex, read_earth_index
from regengine.registration.index.figures import EarthView
from regengine.registration.index.light import dense_levels, propose_dense
from regengine.registration.map_window import footprint_window
from tests.regengine.registration.index.conftest import LIGHTS

pytestmark = pytest.mark.slow

LEVEL_KM = 2.6
LENS = Camera(
    width_px=480,
    height_px=320,
    focal_px=480 * 400.0 / 800.0,
    principal_point=(239.5, 159.5),
    quaternion=(0.0, 0.0, 0.0, 1.0),
    position_ecef_m=(0.0, 0.0, 0.0),
)


def photo_of(index: EarthIndex, light_map: LightMap) -> tuple[LightImage, Camera]:
    """The map as seen from 395 km over its brightest town, 12 degrees off nadir."""
    level = index.levels[LEVEL_KM]
    axes = level_axes(nadir_vector(12.0, 25.0))
    place = frames(level.vectors[np.argmax(level.brightness)])
    camera = placed_camera(LENS, axes, 395.0, place)
    levels = footprint_window(light_map, camera, 100.0, 1.0)
    assert levels is not None
    picture = render(levels, camera)
    image = LightImage(values=picture, weight=np.ones_like(picture), factor=1.0)
    return image, camera


def test_a_view_of_the_map_is_proposed_first(index: EarthIndex, light_map: LightMap) -> None:
    image, camera = photo_of(index, light_map)
    nadirs = [
        nadir_vector(angle, side) for angle, side in ((0.0, 0.0), (15.0, 30.0), (15.0, 210.0))
    ]
    view = EarthView(index=index, image=image, lens=LENS)
    found = propose_dense(view, LEVEL_KM, nadirs)
    best = max(found, key=lambda proposal: proposal.log10_odds)
    lon, lat = best.camera.pixel_to_lonlat([240.0], [160.0])
    true_lon, true_lat = camera.pixel_to_lonlat([240.0], [160.0])
    assert np.hypot((lon - true_lon) * np.cos(np.radians(lat)), lat - true_lat)[0] < 0.25
    assert best.log10_odds > 2.0
    bare = replace(view, index=index.within((10.0, 0.0, 20.0, 5.0)))
    assert all(p.log10_odds < 0.0 for p in propose_dense(bare, LEVEL_KM, nadirs))


def test_a_file_gives_back_the_patches(index: EarthIndex, index_path: Path) -> None:
    read = read_earth_index(index_path, [LIGHTS])
    for pixel_km, table in index.patches.items():
        assert np.array_equal(read.patches[pixel_km].coefficients, table.coefficients)
        assert read.patches[pixel_km].weights == pytest.approx(table.weights)
        assert len(table) == len(index.levels[pixel_km].vectors)


def test_bounds_leave_the_patches_within(index: EarthIndex) -> None:
    part = index.within((-155.0, 33.0, -150.0, 37.0))
    for pixel_km, table in part.patches.items():
        lon, lat = surface_to_lonlat(index.levels[pixel_km].vectors)
        inside = (lon >= -155.0) & (lon <= -150.0) & (lat >= 33.0) & (lat <= 37.0)
        assert len(table) == inside.sum() > 0


def test_levels_suit_the_lens() -> None:
    levels = (0.65, 1.3, 2.6, 5.2)
    assert dense_levels(LENS, levels, 1.0) == [5.2, 2.6]
    long = replace(LENS, focal_px=5.0 * LENS.focal_px)
    assert dense_levels(long, levels, 1.0) == [1.3, 0.65]
