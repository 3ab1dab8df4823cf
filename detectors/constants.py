"""Physical constants of the Earth and of the station's orbit, with sources.

They are defined in the lowest-level package, so that all other packages can import them.
"""

from __future__ import annotations

DAY_S = 86_400.0
SEMI_MAJOR_M = 6_378_137.0  # of the Earth: WGS84, NIMA TR8350.2, table 3.1
FLATTENING = 1.0 / 298.257223563  # the same
SEMI_MINOR_M = SEMI_MAJOR_M * (1.0 - FLATTENING)
ECCENTRICITY_SQ = FLATTENING * (2.0 - FLATTENING)
EARTH_GM_M3_S2 = 3.986004418e14  # the same
# Mean radius (IUGG: 6371.0088), for formulas on a sphere; the ellipsoid deviates by up to 0.3 %
EARTH_RADIUS_KM = 6371.0
HEIGHT_RANGE_KM = (50.0, 2000.0)  # valid heights of cameras in orbit
FOCAL_RANGE_MM = (1.0, 3000.0)  # valid focal lengths of their lenses
SEEN_RANGE_KM = (1.0, 2000.0)  # valid radii of a user's prior on the ground position of a photo
PIXEL_PITCH_RANGE_UM = (0.1, 100.0)  # valid pixel pitches of their sensors
KM_PER_DEGREE = 111.2  # of a great circle on that sphere, rounded
ORBITAL_SPEED_KM_S = 7.66  # of the ISS at 410 km; the ground below passes at 7.2 km/s

# Photos are reduced to this long side before detection. Towns of an 85 mm photo are then 2 to 40
# pixels large, which the detectors are designed for. Stars are two to four pixels wide at the full
# 4256 to 5568 px of the Station's cameras and still sampled. Streaks are as thin as stars, and
# averaging would blur their ends. Flashes are 8 to 100 px of 1000
LONG_SIDE_PX = {"lights": 1500, "lightning": 1000, "stars": 3000, "streaks": 4300}
