"""Pictures drawn of the map from far to the side are placed, by figures and by light."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.limb_geometry import nadir_vector
from matchers.asterisms import frames
from matchers.camera import Camera
from matchers.level_ground import ground_points, level_axes, placed_camera
from matchers.photo_light import LightImage
from matchers.view import render
from regengine.lights.map import LightMap
from regengine.registration.index.earth import EarthIndex
from regengine.registration.index.figures import EarthView, Proposal, propose_far
from regengine.registration.index.schedule import FAR_LIGHT_RINGS, Plan, parts_of
from regengine.registration.map_window import footprint_window
from tests.regengine.registration.index.test_dense_places import LENS

pytestmark = pytest.mark.slow

ALTITUDE_KM, OFF_NADIR_DEG, TURN_DEG = 395.0, 45.5, 8.0
LONG = replace(LENS, focal_px=3.5 * LENS.focal_px)


@pytest.fixture(scope="module")
def seen(index: EarthIndex, light_map: LightMap) -> tuple[LightImage, Camera]:
    """The map around its brightest town as seen from 400 km beside it."""
    level = index.levels[2.6]
    axes = level_axes(nadir_vector(OFF_NADIR_DEG, TURN_DEG))
    middle = ground_points(LONG, axes, ALTITUDE_KM, [239.5], [159.5])
    there = level.vectors[[np.argmax(level.brightness)]]
    rotation = frames(there)[0] @ frames(middle)[0].T
    camera = placed_camera(LONG, axes, ALTITUDE_KM, rotation)
    levels = footprint_window(light_map, camera, 100.0, 1.0)
    assert levels is not None
    picture = render(levels, camera)
    return LightImage(values=picture, weight=np.ones_like(picture), factor=1.0), camera


def is_there(found: list[Proposal], camera: Camera) -> bool:
    """Whether the likeliest of some cameras sees the same places."""
    best = max(found, key=lambda proposal: proposal.log10_odds)
    lon, lat = best.camera.pixel_to_lonlat([240.0], [160.0])
    true_lon, true_lat = camera.pixel_to_lonlat([240.0], [160.0])
    away_deg = np.hypot((lon - true_lon) * np.cos(np.radians(lat)), lat - true_lat)
    return bool(away_deg[0] < 0.3)


def test_light_around_towns_finds_the_place(
    index: EarthIndex, seen: tuple[LightImage, Camera]
) -> None:
    image, camera = seen
    view = EarthView(index=index, image=image, lens=LONG)
    plan = Plan(way="light", held="level", rings=FAR_LIGHT_RINGS, levels=(0, 1))
    upright, turned = (
        [p for rings, level in parts for p in one.proposals(view, level, rings)]
        for one in (plan, replace(plan, held="turned"))
        for parts in parts_of(view, one)
    )
    assert is_there(upright, camera)
    assert max(p.log10_odds for p in upright) > max(p.log10_odds for p in turned)
    assert list(parts_of(view, replace(plan, levels=(2, 3)))) == [()]


def test_figures_find_the_place_near_the_right_direction(
    index: EarthIndex, seen: tuple[LightImage, Camera]
) -> None:
    image, camera = seen
    ways = [nadir_vector(OFF_NADIR_DEG + 1.0, TURN_DEG + 2.0), nadir_vector(41.0, 180.0)]
    assert is_there(propose_far(EarthView(index=index, image=image, lens=LONG), 2.6, ways), camera)
