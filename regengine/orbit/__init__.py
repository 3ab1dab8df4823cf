"""Where the station was: element sets, propagation, uncertainty, Earth rotation, Sun and Moon.

In: element sets and times, UTC.
Out: a `CameraPosition` with its sigmas; kilometres, radians or degrees, as names say.
Start reading at `position`, then `propagation`.
"""

from regengine.orbit.propagation import (
    CameraPosition,
    camera_position,
    nadir_track_positions,
    position_from_elements,
    position_from_nadir,
    track_positions,
)
from regengine.orbit.rotation import (
    EARTH_RATE_RAD_S,
    J2000_JULIAN_DATE,
    SunMoon,
    SunMoonOver,
    aberration_turn,
    days_since_j2000,
    earth_velocity,
    icrs_to_itrf,
    sidereal_angle_rad,
    sun_direction,
    sun_moon,
    sun_moon_over,
    teme_to_ecef,
    turn_about_pole,
    turn_by_clock,
    ut1_minus_utc_s,
    utc_of,
)
from regengine.orbit.tle import ElementSet, TleSet, load_tle_file
from regengine.orbit.uncertainty import orbit_sigma
