"""Photographs of one camera that is fixed to a window, seconds apart, and what they teach."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from benchmarks.simulate.camera import Pointing, east_north_up
from benchmarks.simulate.orbit import EARTH_TURN_RAD_S, Vantage, nadir_for, vantage_over
from benchmarks.simulate.render import render
from benchmarks.simulate.weather import SceneParameters
from benchmarks.simulate.worlds import Realisation, TownWorld
from benchmarks.trials.attempt import camera_of
from regengine.registration.neighbour_priors import FrameFacts, Lesson
from tests.regengine.registration.simulated_frames import (
    CLEAR,
    FOCAL_MM,
    HEIGHT,
    HEIGHT_M,
    PLAIN,
    TIME,
    WIDTH,
    Shot,
    land,
    sim_camera,
)


@dataclass
class Ticks:
    """A clock that is one second on at each look at it: a budget of so many looks."""

    seconds: float = 0.0

    def __call__(self) -> float:
        """The time."""
        self.seconds += 1.0
        return self.seconds


def heading_deg(vantage: Vantage) -> float:
    """Direction of flight in space, clockwise from north."""
    lon, lat, _ = vantage.nadir()
    east, north, _ = east_north_up(lon, lat)
    spin = np.array([0.0, 0.0, EARTH_TURN_RAD_S])
    velocity = vantage.velocity_ecef_m_s + np.cross(spin, vantage.position_ecef_m)
    return float(np.degrees(np.arctan2(velocity @ east, velocity @ north)))


def window_shot(off_nadir_deg: float, seconds: float) -> Shot:
    """From where and how the camera that saw the plain at a slant looks so many seconds later.

    The picture is left black.
    """
    lon, lat, azimuth = nadir_for(*PLAIN, HEIGHT_M, off_nadir_deg, 40.0)
    start = vantage_over(lon, lat, HEIGHT_M, northbound=True)
    vantage = start.moved(clock_s=seconds)
    pointing = Pointing(
        off_nadir_deg=off_nadir_deg,
        azimuth_deg=azimuth - heading_deg(start) + heading_deg(vantage),
        roll_deg=25.0,
    )
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return Shot(camera=sim_camera(vantage, pointing), picture=picture, vantage=vantage)


def time_lapse(
    off_nadir_deg: float,
    seconds: float,
    *,
    world: TownWorld | None = None,
    scene: SceneParameters = CLEAR,
) -> Shot:
    """The same with the picture."""
    shot = window_shot(off_nadir_deg, seconds)
    return shot.edited(render(shot.camera, world or land(), Realisation(number=2), scene))


def facts_at(seconds: float) -> FrameFacts:
    """Facts of a frame of the sequence."""
    return FrameFacts(
        frame=f"at {seconds:g} s",
        camera_body="NIKON D3S",
        time_utc=TIME + timedelta(seconds=seconds),
        focal_mm=FOCAL_MM,
        size_px=(WIDTH, HEIGHT),
    )


def true_lesson(shot: Shot, seconds: float, offset_s: float) -> Lesson:
    """What a frame teaches whose true camera was found."""
    return Lesson(
        facts=facts_at(seconds), camera=camera_of(shot.camera), offset_s=offset_s, focal_ratio=1.0
    )
