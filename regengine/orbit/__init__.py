"""Where the station was: element sets, propagation, uncertainty, Earth rotation, Sun and Moon.

In: element sets and times, UTC.

Out: a `CameraPosition` with its sigmas; kilometres, radians or degrees, as names say.

Start reading at `position`, then `propagation`.
"""

from regengine.orbit.propagation import (
    CameraPosition,
    camera_position,
    position_from_elements,
    position_from_nadir,
    track_positions,
)
from regengine.orbit.rotation import (
    SunMoon,
    days_since_j2000,
    icrs_to_itrf,
    sidereal_angle_rad,
    sun_direction,
    sun_moon,
)
from regengine.orbit.tle import ElementSet, TleSet, load_tle_file
from regengine.orbit.uncertainty import orbit_sigma
