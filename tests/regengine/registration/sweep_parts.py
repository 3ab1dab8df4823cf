"""The limb that a camera sees and the track that it flies along, for the tests of sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detectors.limb import Limb
from detectors.limb_geometry import (
    AIRGLOW_TOP_KM,
    HARD_EDGE_KM,
    limb_angle_deg,
    nadir_vector,
    pointing_of,
)
from matchers.camera import Camera
from matchers.pose import moved
from regengine.registration.propose_limb import Sweep, plan_sweeps
from regengine.registration.tracks import Track
from tests.matchers.lamp_world import camera_over
from tests.regengine.registration.beliefs import bell

FloatArray = NDArray[np.float64]
ALTITUDE_KM = 410.0
WIDTH, HEIGHT = 240, 160


def limb_of(
    nadir: FloatArray, focal_px: float, *, ratio: float = 1.0, ratio_sigma: float = 0.1
) -> Limb:
    """The limb that a detector without error finds."""
    off_nadir, roll = pointing_of(nadir)
    return Limb(
        nadir=nadir,
        off_nadir_deg=off_nadir,
        roll_deg=roll,
        covariance_deg2=0.01 * np.eye(2),
        layer="airglow",
        paired=True,
        shown=0.9,
        log10_odds=100.0,
        angle_deg=limb_angle_deg(ALTITUDE_KM, AIRGLOW_TOP_KM),
        hard_edge_deg=limb_angle_deg(ALTITUDE_KM, HARD_EDGE_KM),
        focal_px=focal_px,
        focal_ratio=ratio,
        focal_ratio_sigma=ratio_sigma,
        shape=(HEIGHT, WIDTH),
    )


LIMB = limb_of(nadir_vector(60.0, 20.0), 200.0)


def track_through(
    camera: Camera, displaced_km: float, reach_km: float, velocity: Sequence[float]
) -> Track:
    """A great circle over the ground whose offset ``-displaced_km`` is the camera's place."""
    start = moved(camera.position_ecef_m, velocity, 1e3 * displaced_km, 0.0, 0.0)
    # The direction of motion turns with the position
    ahead = moved(camera.position_ecef_m, velocity, 1e3 * (displaced_km + 1.0), 0.0, 0.0)

    def at(offset_km: float) -> FloatArray:
        return moved(start, ahead - start, 1e3 * offset_km, 0.0, 0.0)

    return Track(
        name="made",
        position=at,
        velocity=lambda offset_km: at(offset_km + 1.0) - at(offset_km - 1.0),
        sigma_along_km=500.0,
        belief=bell(0.5 * reach_km, reach_km),
        sigma_across_km=lambda _: 5.0,
        sigma_up_km=2.0,
        speed_km_s=7.66,
    )


OVER_ROME = camera_over(12.0, 42.0, 1e3 * ALTITUDE_KM)
EASTWARD = (-3000.0, 6000.0, 2000.0)


def planned(
    limb: Limb = LIMB, *, focal_known: bool = True, reach_km: float = 4000.0, tracks: int = 1
) -> list[Sweep]:
    """The sweeps of a photo from over Rome, of one track or of several that are alike."""
    track = track_through(OVER_ROME, 0.0, reach_km, EASTWARD)
    others = [replace(track, name=f"made {k}") for k in range(tracks)]
    return list(plan_sweeps(others, limb, focal_known))
