"""How good a frame is for looking at its place: one score out of four measures.

==========  ========================================  ===========================================
measure     part, 0 to 1                              source
==========  ========================================  ===========================================
sharpness   as measured, `regengine.scene.sharpness`  Zhuo & Sim 2011, Pattern Recognition 44, 1852
cloud       1 - cloud
off-nadir   cosine of the incidence at the centre:    Kasten & Young 1989, Applied Optics 28, 4735
            the air in the way grows as its inverse
resolution  1 / (1 + resolution / 100 m): at 100 m    Elvidge et al. 2007, Int. J. Remote Sensing
            the features of a town begin to be lost   28, 2645 (50 to 100 m for settlements)
==========  ========================================  ===========================================

The score is the geometric mean of the four parts, so that one that is bad is not outweighed. A
measure that is not known counts as `UNKNOWN`, which is better than a frame that is known to be bad
and worse than one that is known to be good.
"""

from __future__ import annotations

import math

from regengine.place_table import EARTH_RADIUS_KM

HALF_RESOLUTION_M = 100.0
UNKNOWN = 0.5
LEAST = 0.01  # of a part, so that one part alone never makes all frames equal


def incidence_part(off_nadir_deg: float, altitude_km: float) -> float:
    """Cosine of the angle at which the ground at the image centre is seen.

    Parameters
    ----------
    off_nadir_deg : float
        Of the optical axis.
    altitude_km : float
        Of the camera.

    Returns
    -------
    float
        0 at the limb and above it.
    """
    sine = (EARTH_RADIUS_KM + altitude_km) / EARTH_RADIUS_KM * math.sin(math.radians(off_nadir_deg))
    if off_nadir_deg >= 90.0 or sine >= 1.0:
        return 0.0
    return math.sqrt(1.0 - sine * sine)


def quality_score(
    *,
    sharpness: float | None,
    cloud: float | None,
    off_nadir_deg: float | None,
    altitude_km: float | None,
    resolution_m: float | None,
) -> float | None:
    """Score of a frame.

    Parameters
    ----------
    sharpness, cloud : float or None
        0 to 1; None where they are not known.
    off_nadir_deg, altitude_km, resolution_m : float or None
        Of the solved camera; None where there is none, or its centre shows the sky.

    Returns
    -------
    float or None
        0 to 1; None without a place on the ground.
    """
    if off_nadir_deg is None or altitude_km is None or resolution_m is None:
        return None
    parts = (
        UNKNOWN if sharpness is None else sharpness,
        UNKNOWN if cloud is None else 1.0 - cloud,
        incidence_part(off_nadir_deg, altitude_km),
        1.0 / (1.0 + resolution_m / HALF_RESOLUTION_M),
    )
    return math.prod(max(part, LEAST) for part in parts) ** (1.0 / len(parts))
