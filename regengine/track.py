"""Where along its orbit the camera may have been: the belief that the search walks along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.earth import SEMI_MAJOR_M
from matchers.pose import PosePrior, moved
from regengine.nadir_orbit import nadir_track_positions
from regengine.orbit import CameraPosition, track_positions

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Track:
    """A one-dimensional family of camera positions.

    Attributes
    ----------
    name : str
        What it is: "tle", "ascending", "descending".
    position : callable
        Offset along the track in kilometres → ECEF position, metres, shape (3,).
    velocity : callable
        Offset along the track in kilometres → direction of motion over the ground, shape (3,).
    sigma_along_km : float
        One sigma of the offset around 0.
    reach_km : float
        Offsets beyond this are not looked at.
    sigma_across_km : callable
        Offset along the track in kilometres → one sigma of the distance across it.
    sigma_up_km : float
        One sigma of the height.
    speed_km_s : float
        Kilometres along the track (at orbit height) a second.
    """

    name: str
    position: Callable[[float], FloatArray]
    velocity: Callable[[float], FloatArray]
    sigma_along_km: float
    reach_km: float
    sigma_across_km: Callable[[float], float]
    sigma_up_km: float
    speed_km_s: float

    def prior(
        self,
        offset_km: float,
        sigma_along_km: float,
        stored: Camera,
        sigma_log_focal: float,
        sigma_principal_px: float,
    ) -> PosePrior:
        """Belief around one offset, for the fit that starts there.

        Parameters
        ----------
        offset_km : float
            Where the fit starts.
        sigma_along_km : float
            How far it may slide from there.
        stored : Camera
            Camera of the stored image with the believed focal length and principal point.
        sigma_log_focal, sigma_principal_px : float
            Their uncertainties, the first relative.

        Returns
        -------
        PosePrior
        """
        x, y, z = self.position(offset_km).tolist()
        vx, vy, vz = self.velocity(offset_km).tolist()
        return PosePrior(
            position_ecef_m=(x, y, z),
            velocity_ecef=(vx, vy, vz),
            focal_px=stored.focal_px,
            sigma_along_m=1e3 * sigma_along_km,
            sigma_across_m=1e3 * self.sigma_across_km(offset_km),
            sigma_up_m=1e3 * self.sigma_up_km,
            sigma_log_focal=sigma_log_focal,
            sigma_k1=SIGMA_K1,
            principal_point=stored.principal_point,
            sigma_principal_px=sigma_principal_px,
        )


# Radial distortion of photographic lenses of 24 mm and longer, as the coefficient k1 in units of
# the focal length: a few percent at the corner
SIGMA_K1 = 0.05

# EXIF clocks were 8, 18 and 32 s off in three frames solved by hand: root mean square 21 s
CLOCK_SIGMA_S = 21.0
# Of a track offset o, a share that no one knows is the camera's clock, which turns the Earth too
UNKNOWN_CLOCK_SHARE = 0.4
EARTH_RATE_RAD_S = 7.292115e-5  # WGS84
# A nadir that was written down may be off in any direction
NADIR_SIGMA_ACROSS_KM = 25.0
STATE_SIGMA_ACROSS_KM = 5.0
TLE_REACH_SIGMAS = 3.0
HALF_ORBIT_KM = 21_300.0


def tracks_for(position: CameraPosition, clock_window_s: float) -> tuple[Track, ...]:
    """The tracks along which the camera may have been.

    Parameters
    ----------
    position : CameraPosition
        Believed position.
    clock_window_s : float
        The camera's clock is at most this wrong.

    Returns
    -------
    tuple of Track
        One for an element set or a known velocity; an ascending and a descending one for a bare
        nadir, which share their start.
    """
    if position.element_set is not None and position.time_utc is not None:
        return (_tle_track(position, clock_window_s),)
    if position.velocity_ecef_m_s is not None:
        return (_state_track(position, clock_window_s),)
    return tuple(_nadir_track(position, ascending) for ascending in (True, False))


def _tle_track(position: CameraPosition, clock_window_s: float) -> Track:
    element_set, time_utc = position.element_set, position.time_utc
    assert element_set is not None
    assert time_utc is not None
    assert position.velocity_ecef_m_s is not None
    radius_km = float(np.linalg.norm(position.position_ecef_m)) / 1e3
    speed_km_s = float(np.sqrt(398600.4418 / radius_km))  # circular orbit, WGS84 GM
    clock_km = CLOCK_SIGMA_S * speed_km_s
    slide_km = position.sigma_along_km
    clock_share = clock_km**2 / (clock_km**2 + slide_km**2)
    earth_km_s = EARTH_RATE_RAD_S * radius_km * float(np.cos(np.radians(position.lat)))

    def at(offset_km: float) -> FloatArray:
        seconds = offset_km / speed_km_s
        clock_s = float(np.clip(clock_share * seconds, -clock_window_s, clock_window_s))
        return track_positions(element_set, time_utc, [clock_s], [seconds - clock_s])[0]

    def across(offset_km: float) -> float:
        unknown_s = min(abs(UNKNOWN_CLOCK_SHARE * offset_km / speed_km_s), clock_window_s)
        return float(
            np.hypot(position.sigma_cross_km, earth_km_s * max(unknown_s, CLOCK_SIGMA_S / 2))
        )

    reach = clock_window_s * speed_km_s + TLE_REACH_SIGMAS * slide_km
    return Track(
        name="tle",
        position=at,
        velocity=lambda offset_km: at(offset_km + 1.0) - at(offset_km - 1.0),
        sigma_along_km=float(np.hypot(clock_km, slide_km)),
        reach_km=min(reach, HALF_ORBIT_KM),
        sigma_across_km=across,
        sigma_up_km=position.sigma_radial_km,
        speed_km_s=speed_km_s,
    )


def _state_track(position: CameraPosition, clock_window_s: float) -> Track:
    """A great circle over the ground along a known velocity."""
    velocity = position.velocity_ecef_m_s
    assert velocity is not None
    speed_km_s = float(np.linalg.norm(velocity)) / 1e3

    def at(offset_km: float) -> FloatArray:
        return moved(position.position_ecef_m, velocity, 1e3 * offset_km, 0.0, 0.0)

    reach = clock_window_s * speed_km_s + TLE_REACH_SIGMAS * position.sigma_along_km
    return Track(
        name="state",
        position=at,
        velocity=lambda offset_km: at(offset_km + 1.0) - at(offset_km - 1.0),
        sigma_along_km=float(np.hypot(CLOCK_SIGMA_S * speed_km_s, position.sigma_along_km)),
        reach_km=min(reach, HALF_ORBIT_KM),
        sigma_across_km=lambda _: max(position.sigma_cross_km, STATE_SIGMA_ACROSS_KM),
        sigma_up_km=position.sigma_radial_km,
        speed_km_s=speed_km_s,
    )


def _nadir_track(position: CameraPosition, ascending: bool) -> Track:
    start = position.position_ecef_m

    def at(offset_km: float) -> FloatArray:
        return nadir_track_positions(
            position.lon,
            position.lat,
            position.altitude_km,
            np.array([offset_km * SEMI_MAJOR_M / float(np.linalg.norm(start))]),
            ascending,
        )[0]

    return Track(
        name="ascending" if ascending else "descending",
        position=at,
        velocity=lambda offset_km: at(offset_km + 1.0) - at(offset_km - 1.0),
        sigma_along_km=position.sigma_along_km,
        reach_km=TLE_REACH_SIGMAS * position.sigma_along_km,
        sigma_across_km=lambda _: max(position.sigma_cross_km, NADIR_SIGMA_ACROSS_KM),
        sigma_up_km=position.sigma_radial_km,
        speed_km_s=7.66,
    )
