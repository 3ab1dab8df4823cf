"""A look by figures of towns finds simulated cameras, also mirrored and with the wrong lens."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from matchers.camera import Camera
from matchers.pose import moved
from matchers.sparse import SparseParameters
from regengine.registration.candidates import Candidate, Look, same_view
from regengine.registration.lens_prior import LENS_LADDER
from regengine.registration.map_window import SearchWindow, dense_parameters
from regengine.registration.propose_asterisms import ALIGNED_PER_LOOK, best_figures
from regengine.registration.propose_dense import SMOOTH_PX, coarse_view
from regengine.registration.search import PhotoLights
from regengine.registration.search_order import plan
from regengine.registration.tracks import Track
from tests.matchers.lamp_world import (
    LampWorld,
    drawn_camera,
)
from tests.regengine.registration.beliefs import bell, made_track
from tests.regengine.registration.made_search import lights_of, made_search
from tests.regengine.registration.simulated_frames import MemoryMap

WIDTH, HEIGHT, FOCAL_PX = 384, 256, 533.0  # 50 mm on a sensor 36 mm long
ALTITUDE_KM = 410.0


def any_camera(seed: int, *, mirrored: bool = False) -> Camera:
    """A camera over the middle of the world: tilts up to 45 degrees, any roll."""
    rng = np.random.default_rng(seed)
    lens = {"width": WIDTH, "height": HEIGHT, "focal_px": FOCAL_PX, "mirrored": mirrored}
    return drawn_camera(rng, (9.0, 15.0), (41.0, 45.0), (0.0, 45.0), **lens)


def track_through(camera: Camera) -> Track:
    """Northward over a camera's place, and north-eastward a little."""
    heading = np.array([0.1, 0.2, 0.9])

    def at(offset_km: float) -> np.ndarray:
        return moved(camera.position_ecef_m, heading, 1e3 * offset_km, 0.0, 0.0)

    return made_track(at, bell(70.0, 200.0))


def told(camera: Camera, too_long: float = 1.0) -> Camera:
    """What is known of a camera: nothing of its attitude, and a focal length too long by that."""
    return replace(
        camera,
        quaternion=(0.0, 0.0, 0.0, 1.0),
        mirrored=False,
        focal_px=camera.focal_px * too_long,
    )


def look_at(
    stored: Camera, offset_km: float = 0.0, *, mirrored: bool = False, wrong: float | None = None
) -> Look:
    """As the plan has it: the nearest look by figures to an offset.

    With its ladder about the focal length that comes nearest to ``wrong`` times the told one.
    """
    wanted = LENS_LADDER if wrong else (1.0,)
    every = [look for _, look in plan(made_search(stored, tracks=(track_through(stored),)), True)]
    mine = [
        look
        for look in every
        if look.sparse and not look.hazy and (look.ladder, look.mirrored) == (wanted, mirrored)
    ]
    off = wrong or 1.0
    return min(
        mine, key=lambda look: (abs(math.log(look.scale / off)), abs(look.offset_km - offset_km))
    )


def taken(lights: PhotoLights, stored: Camera, look: Look, light_map: MemoryMap) -> list[Candidate]:
    search = made_search(stored, light_map, lights)
    view = coarse_view(search, look, SMOOTH_PX)
    assert view is not None
    return best_figures(search, view, look)


@pytest.mark.parametrize("mirrored", [False, True])
def test_cameras_are_found_as_they_are_and_mirrored(
    lamps: LampWorld, light_map: MemoryMap, mirrored: bool
) -> None:
    right = 0
    for seed in range(6):
        true = any_camera(seed, mirrored=mirrored)
        stored = told(true)
        found = taken(lights_of(true, lamps), stored, look_at(stored, mirrored=mirrored), light_map)
        assert len(found) <= ALIGNED_PER_LOOK
        assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
        assert all(c.camera.mirrored == mirrored for c in found)
        assert all((c.camera.width_px, c.camera.height_px) == (WIDTH, HEIGHT) for c in found)
        right += bool(found) and same_view(found[0].camera, true, 0.03)
    assert right >= 5


def test_a_mirror_image_is_not_found_as_the_picture_itself(
    lamps: LampWorld, light_map: MemoryMap
) -> None:
    true = any_camera(0, mirrored=True)
    stored, lights = told(true), lights_of(true, lamps)
    best = taken(lights, stored, look_at(stored, mirrored=True), light_map)[0]
    others = taken(lights, stored, look_at(stored), light_map)
    assert all(other.score < best.score - 0.2 for other in others)


@pytest.mark.parametrize("too_long", [1.3, 1.0 / 1.3, 1.0 / 2.6])
def test_the_ladder_finds_a_focal_length_that_was_told_wrongly(
    lamps: LampWorld, light_map: MemoryMap, too_long: float
) -> None:
    """1.3 times too long as behind a wide converter, or too short as in crops."""
    right = 0
    for seed in range(4):
        true = any_camera(seed)
        stored, lights = told(true, too_long), lights_of(true, lamps)
        found = taken(lights, stored, look_at(stored, wrong=1.0 / too_long), light_map)
        if not (found and same_view(found[0].camera, true, 0.04)):
            continue
        right += 1
        best = found[0]
        assert best.camera.focal_px == pytest.approx(FOCAL_PX, rel=0.05)
        # What is believed of the lens from here on is the step that found it
        assert best.look.scale == pytest.approx(1.0 / too_long, rel=0.15)
        assert best.look.prior.focal_px == pytest.approx(stored.focal_px * best.look.scale)
        plain = taken(lights, stored, look_at(stored), light_map)
        assert all(other.score < best.score - 0.1 for other in plain)
    assert right >= 3


def test_the_camera_is_found_from_another_place_of_the_track(
    lamps: LampWorld, light_map: MemoryMap
) -> None:
    """The nearest look is half a step away at most; the alignment slides back."""
    true = any_camera(3)
    track = track_through(true)
    x, y, z = track.position(60.0).tolist()
    stored = replace(told(true), position_ecef_m=(x, y, z))
    look = look_at(stored, -60.0)
    best = taken(lights_of(true, lamps), stored, look, light_map)[0]
    assert same_view(best.camera, true, 0.04)
    before = np.linalg.norm(np.subtract(look.prior.position_ecef_m, true.position_ecef_m))
    after = np.linalg.norm(np.subtract(best.camera.position_ecef_m, true.position_ecef_m))
    assert before > 19e3
    assert after < 0.7 * before


def test_towns_of_the_map_are_found_once_for_neighbouring_looks(light_map: MemoryMap) -> None:
    """And anew for another lens, or 200 km on."""
    stored = told(any_camera(0))
    window = SearchWindow(light_map, ALTITUDE_KM)
    look = look_at(stored)
    levels = window.levels(stored, look, dense_parameters(stored, look, ALTITUDE_KM))
    assert levels is not None
    parameters = SparseParameters()
    small = stored.scaled(0.5, WIDTH // 2, HEIGHT // 2)
    first = window.towns(levels, small, parameters)
    track = track_through(stored)

    def at(offset_km: float) -> Camera:
        x, y, z = track.position(offset_km).tolist()
        return replace(small, position_ecef_m=(x, y, z))

    assert window.towns(levels, at(150.0), parameters) is first
    longer = replace(small, focal_px=1.3 * small.focal_px)
    assert window.towns(levels, longer, parameters) is not first
    assert window.towns(levels, small, parameters) is first
    assert window.towns(levels, at(260.0), parameters) is not first
