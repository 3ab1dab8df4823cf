"""Neighbours' cameras, carried along the orbit."""

from __future__ import annotations

import numpy as np
import pytest
from time_lapse import window_shot

from benchmarks.trials.score import camera_of
from matchers.camera import Camera
from regengine.registration.neighbour_priors import Neighbour, NeighbourPrior
from regengine.registration.propose_neighbours import carried, following
from regengine.registration.tracks import Track, tracks_for
from tests.regengine.registration.simulated_frames import position_of


def turned_deg(a: Camera, b: Camera) -> float:
    """Angle of the rotation between two attitudes."""
    cosine = (np.trace(a.matrix.T @ b.matrix) - 1.0) / 2.0
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def track_of(seconds: float, off_nadir_deg: float, clock_s: float) -> Track:
    """The track of the frame at that time, as a camera believes whose clock is wrong."""
    shot = window_shot(off_nadir_deg, seconds)
    return tracks_for(position_of(shot, clock_s=clock_s), 600.0)[0]


@pytest.mark.parametrize("off_nadir_deg", [10.0, 60.0])
@pytest.mark.parametrize("seconds", [-60.0, 10.0, 60.0])
@pytest.mark.parametrize("clock_s", [0.0, -100.0])
def test_a_camera_on_a_window_is_predicted(
    off_nadir_deg: float, seconds: float, clock_s: float
) -> None:
    """To half a degree; without the turn of the station with its orbit it is four a minute."""
    before = camera_of(window_shot(off_nadir_deg, 0.0).camera)
    truth = camera_of(window_shot(off_nadir_deg, seconds).camera)
    track = track_of(seconds, off_nadir_deg, clock_s)
    neighbour = Neighbour(frame="before", camera=before)
    found = carried(neighbour, track, -clock_s * track.speed_km_s)
    assert turned_deg(found, truth) < 0.5
    assert np.linalg.norm(np.subtract(found.position_ecef_m, truth.position_ecef_m)) < 40e3
    assert (found.focal_px, found.principal_point) == (before.focal_px, before.principal_point)
    assert turned_deg(before, truth) > abs(seconds) / 30.0


def test_a_camera_that_follows_a_place_keeps_it_in_the_middle() -> None:
    before = camera_of(window_shot(30.0, 0.0).camera)
    track = track_of(20.0, 30.0, 0.0)
    neighbour = Neighbour(frame="before", camera=before)
    moved = carried(neighbour, track, 0.0)
    turned = following(neighbour, moved)
    assert turned is not None
    assert turned.position_ecef_m == moved.position_ecef_m
    place = before.pixel_to_ecef(*before.principal_point)
    assert np.hypot(*np.subtract(turned.ecef_to_pixel(place), before.principal_point)) < 1e-6
    assert turned_deg(turned, moved) > 5.0
    again = following(neighbour, turned)
    assert again is not None
    assert turned_deg(again, turned) < 1e-6


def test_nothing_is_followed_in_the_sky() -> None:
    camera = camera_of(window_shot(80.0, 0.0).camera)
    neighbour = Neighbour(frame="before", camera=camera)
    assert following(neighbour, camera) is None


def test_the_source_names_who_told_what() -> None:
    hints = NeighbourPrior(frames=("A", "B"), offset_s=3.0, spread_s=2.0)
    assert hints.source == "with clock and lens of A, B"
