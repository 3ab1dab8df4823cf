"""What a person's rough placement of a photo tells a search: where it was taken, and whither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from matchers.attitude import turned
from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from regengine.candidates import Look
from regengine.errors import EphemerisError
from regengine.frame import Frame
from regengine.limb_sweep import STEP_KM, Sweep
from regengine.looks import look_at
from regengine.orbit import CameraPosition, position_from_nadir
from regengine.position import choose_position
from regengine.possible_tracks import tracks_for
from regengine.tle import TleSet
from regengine.track import Track

# A nadir set by hand, or moved with the clock: along the track, across it, in height
SIGMA_KM = (50.0, 15.0, 10.0)
# How wrong the placed focal length may be: it was set by eye
SIGMA_LOG_FOCAL = 0.06
# A picture laid on the map by eye lies by so much beside itself: shares of its long side, degrees
SHIFTS = (0.0, -0.07, 0.07)
TURNS_DEG = (0.0, -5.0, 5.0)
SWEPT_KM = (0.0, -STEP_KM, STEP_KM)


def rough_position(rough: Camera, frame: Frame, tles: TleSet | None) -> CameraPosition:
    """The position of a rough camera, with the direction of flight where an orbit tells it.

    Parameters
    ----------
    rough : Camera
        As the person placed it.
    frame : Frame
        The photo.
    tles : TleSet or None
        Element sets, where given.

    Returns
    -------
    CameraPosition

    Raises
    ------
    EphemerisError
        If the camera is nowhere above the Earth.
    """
    lon, lat, height_m = (float(v) for v in ecef_to_geodetic(rough.position_ecef_m))
    placed = position_from_nadir(
        lon, lat, height_m / 1e3, "option", time_utc=frame.time_utc, sigma_km=SIGMA_KM
    )
    try:
        known = choose_position(frame, tles)
    except EphemerisError:
        return placed
    return replace(placed, velocity_ecef_m_s=known.velocity_ecef_m_s)


def rough_track(position: CameraPosition) -> Track:
    """The track through a rough camera's place; any direction serves where none is known."""
    return tracks_for(position, None)[0]


def rough_sweep(rough: Camera, position: CameraPosition, scale: float) -> Sweep:
    """A sweep along the limb from around a rough camera's place.

    Parameters
    ----------
    rough : Camera
        As the person placed it.
    position : CameraPosition
        Of `rough_position`.
    scale : float
        Its focal length over the one that the limb was found with.

    Returns
    -------
    Sweep
    """
    return Sweep(
        track=rough_track(position),
        offsets_km=SWEPT_KM,
        scale=scale,
        sigma_log_focal=SIGMA_LOG_FOCAL,
        mirrored=rough.mirrored,
        hazy=False,
    )


def rough_look(rough: Camera, position: CameraPosition, stored: Camera) -> Look:
    """A look in all directions from where a rough camera is, with its lens.

    Parameters
    ----------
    rough : Camera
        As the person placed it.
    position : CameraPosition
        Of `rough_position`.
    stored : Camera
        Camera of the stored image, with the rough one's focal length.

    Returns
    -------
    Look
    """
    look = look_at(
        rough_track(position),
        0.0,
        SIGMA_KM[0],
        stored,
        ratio=1.0,
        sigma_log_focal=SIGMA_LOG_FOCAL,
        cropped=False,
    )
    return replace(look, mirrored=rough.mirrored)


def rough_starts(rough: Camera) -> Iterator[Camera]:
    """The rough camera, and turned so that the picture lies a little beside and across itself."""
    aside_rad = max(rough.width_px, rough.height_px) / rough.focal_px
    for right, down, turn_deg in product(SHIFTS, SHIFTS, TURNS_DEG):
        yield turned(rough, (down * aside_rad, right * aside_rad, np.radians(turn_deg)))
