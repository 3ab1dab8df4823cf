"""What was found from the wrong place on the track is taken to the right one."""

from __future__ import annotations

import numpy as np
import pytest

from matchers.camera import Camera
from matchers.dense import DenseParameters
from matchers.earth import SEMI_MAJOR_M
from matchers.pose import turned
from regengine.registration.candidates import Candidate, CoarseView, same_view
from regengine.registration.lens_prior import Scale
from regengine.registration.propose_dense import best_along_the_track, moved
from regengine.registration.search_order import look_at
from regengine.registration.tracks import Track
from tests.matchers.lamp_world import LampWorld, drawn_camera
from tests.regengine.registration.beliefs import bell, made_track
from tests.regengine.registration.made_search import lights_of
from tests.regengine.registration.simulated_frames import MemoryMap


def camera_of(seed: int) -> Camera:
    rng = np.random.default_rng(seed)
    lens = {"width": 384, "height": 256, "focal_px": 700.0, "mirrored": False}
    return drawn_camera(rng, (9.0, 15.0), (41.0, 45.0), (20.0, 45.0), **lens)


def circling(camera: Camera) -> Track:
    """A circle about the Earth's centre, northward through a camera's place."""
    start = np.asarray(camera.position_ecef_m)
    radius = float(np.linalg.norm(start))
    up = start / radius
    north = np.array([0.0, 0.0, 1.0]) - up[2] * up
    north /= np.linalg.norm(north)

    def at(offset_km: float) -> np.ndarray:
        angle = 1e3 * offset_km / radius
        return np.asarray(radius * (np.cos(angle) * up + np.sin(angle) * north))

    return made_track(at, bell(70.0, 200.0))


def true_candidate(camera: Camera, score: float = 1.0) -> Candidate:
    track = circling(camera)
    lens = Scale(ratio=1.0, sigma_log_focal=0.03, cropped=False)
    look = look_at(track, 0.0, 120.0, camera, lens)
    return Candidate(camera=camera, ncc=score, look=look)


def along_the_track(
    light_map: MemoryMap, lamps: LampWorld, true: Camera, candidate: Candidate
) -> Candidate | None:
    """The candidate where it fits a camera's own picture better, if it does elsewhere."""
    parameters = DenseParameters()
    image = lights_of(true, lamps).sharp
    coarse = image.resized(96, parameters.smooth_px, parameters.detail_px)
    view = CoarseView(stored=true, picture=coarse, levels=light_map.levels)
    return best_along_the_track(view, candidate)


@pytest.mark.parametrize("step_km", [150.0, -450.0, 600.0])
def test_a_step_along_the_track_keeps_the_view(step_km: float) -> None:
    camera = camera_of(0)
    there = moved(true_candidate(camera), step_km)
    wanted = circling(camera).position(step_km)
    assert np.allclose(there.camera.position_ecef_m, wanted, atol=1.0)
    assert np.allclose(there.look.prior.position_ecef_m, wanted, atol=1.0)
    assert there.look.offset_km == step_km
    # The ground in the middle stays there, as far as another slant of it lets it
    middle = camera.pixel_to_ecef(191.5, 127.5)
    assert np.hypot(*np.subtract(there.camera.ecef_to_pixel(middle), (191.5, 127.5))) < 40.0
    # The lens makes up for no more than is believed of it
    assert abs(np.log(there.camera.focal_px / camera.focal_px)) <= 0.03 + 1e-9
    assert np.linalg.norm(there.camera.position_ecef_m) > SEMI_MAJOR_M


def test_without_ground_there_is_nothing_to_keep() -> None:
    camera = camera_of(0)
    assert moved(true_candidate(turned(camera, (np.pi, 0.0, 0.0))), 150.0) is None


@pytest.mark.parametrize("beside_km", [300.0, -300.0])
def test_the_camera_is_found_from_where_it_was_not(
    lamps: LampWorld, light_map: MemoryMap, beside_km: float
) -> None:
    """The view as it would be from there, and an alignment that slides 120 km at most."""
    right = 0
    for seed in range(4):
        true = camera_of(seed)
        wrong = moved(true_candidate(true), beside_km)
        assert wrong is not None
        found = along_the_track(light_map, lamps, true, wrong)
        if found is None:
            continue
        apart_m = np.linalg.norm(np.subtract(found.camera.position_ecef_m, true.position_ecef_m))
        right += bool(apart_m < 60e3) and same_view(found.camera, true, 0.03)
    assert right >= 3


def test_what_is_right_stays_where_it_is(lamps: LampWorld, light_map: MemoryMap) -> None:
    true = camera_of(1)
    assert along_the_track(light_map, lamps, true, true_candidate(true)) is None
