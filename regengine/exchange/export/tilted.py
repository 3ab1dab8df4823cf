"""Fit PROJ's tilted perspective to a solved camera: a CRS in which the photo is a plane.

PROJ uses a sphere, with the latitudes of the ellipsoid. Two things are fitted together to the
camera's view, so that one compensates for the other: the pose of the sphere (height of the camera
above it, the point below it, tilt) and the affine transform from photo to plane.

References
----------
Snyder, J. P. (1987). Map Projections: A Working Manual. USGS Professional Paper 1395, 169-181.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from detectors.constants import ECCENTRICITY_SQ, SEMI_MAJOR_M
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, local_axes
from matchers.geometry.footprint import MAX_INCIDENCE_DEG
from regengine.exchange.export.format import LeftOutError
from regengine.exchange.export.rational import MIN_PLACES, WORST_PX, ground_places

PER_SIDE = 25  # pixels along each side of the grid for the fit
JUDGED_PER_SIDE = 79
# Priors of the sphere's deviation from the Earth's pose: a share of the height, degrees of latitude
# and longitude, tangents of the tilt. One of these has the weight of a hundredth of a pixel
FREEDOM = np.array([0.01, 0.5, 0.5, 0.05, 0.05])
HELD_PX = 0.01


@dataclass(frozen=True, kw_only=True)
class TiltedPerspective:
    """A tilted perspective, and the photo's affine transform to it.

    proj: As PROJ reads it.
    transform: x and y, metres, of a pixel's column and row, which are zero at the corner of the
        upper left one: ``x = a column + b row + c``, ``y = d column + e row + f``.
    rms_px, worst_px: Distance from the camera's pixels on ground up to 80 degrees of incidence.
    worst_at: Pixel x and y of the greatest error.
    """

    proj: str
    transform: tuple[float, float, float, float, float, float]
    rms_px: float
    worst_px: float
    worst_at: tuple[float, float]


def fit_tilted(camera: Camera) -> TiltedPerspective:
    """Fit a tilted perspective to a camera.

    LeftOutError if it shows no ground, or if distortion makes the error exceed three pixels.
    """
    places = ground_places(camera, MAX_INCIDENCE_DEG, PER_SIDE, (0.0,))
    judged = ground_places(camera, MAX_INCIDENCE_DEG, JUDGED_PER_SIDE, (0.0,))
    if len(places) * 3 < MIN_PLACES:
        raise LeftOutError(
            f"too little ground below an incidence angle of {MAX_INCIDENCE_DEG:g} degrees to fit "
            "a perspective"
        )
    lon, lat, height_m = (float(part) for part in ecef_to_geodetic(camera.position_ecef_m))
    radius_m = SEMI_MAJOR_M * np.sqrt(1.0 - ECCENTRICITY_SQ)
    radius_m /= 1.0 - ECCENTRICITY_SQ * np.sin(np.radians(lat)) ** 2  # mean of both curvatures
    east, north, up = local_axes(lon, lat) @ camera.boresight_ecef
    start = np.array([height_m / radius_m, lat, lon, north / -up, east / -up])
    freedom = FREEDOM * np.array([start[0], 1.0, 1.0, 1.0 + np.hypot(*start[3:]), 1.0])

    def miss(sphere: FloatArray) -> FloatArray:
        """Residuals in pixels, and deviation of the sphere from its prior."""
        plane = _plane(sphere, places)
        off = plane @ _lines(plane, places) - places[:, [1, 0]]
        return np.concatenate([off.ravel(), HELD_PX * (sphere - start) / freedom])

    sphere = least_squares(miss, start, x_scale=freedom, max_nfev=50).x
    lines = _lines(_plane(sphere, places), places)
    off = np.hypot(*(_plane(sphere, judged) @ lines - judged[:, [1, 0]]).T)
    worst = int(np.argmax(off))
    if not off[worst] <= WORST_PX:
        raise LeftOutError(
            f"its lens distortion of up to {off[worst]:.0f} px does not fit a perspective: use "
            "--files straight, or --format rpc"
        )
    h_by_radius, lat_0, lon_0, to_north, to_east = sphere.tolist()
    told = {
        "lat_0": lat_0,
        "lon_0": (lon_0 + 180.0) % 360.0 - 180.0,
        "h": h_by_radius * radius_m,
        "tilt": np.degrees(np.arctan(np.hypot(to_north, to_east))),
        "azi": np.degrees(np.arctan2(to_east, to_north)),
        "R": radius_m,
    }
    # Invert: from pixels to the plane; GDAL counts from the corner of a pixel
    matrix = np.linalg.inv(lines[:2].T)
    corner = matrix @ (-0.5 - lines[2])
    (a, b), (d, e) = (matrix * radius_m).tolist()
    c, f = (corner * radius_m).tolist()
    return TiltedPerspective(
        proj=" ".join(
            ["+proj=tpers", *(f"+{key}={value:.12g}" for key, value in told.items()), "+no_defs"]
        ),
        transform=(a, b, c, d, e, f),
        rms_px=float(np.sqrt(np.mean(off**2))),
        worst_px=float(off[worst]),
        worst_at=(float(judged[worst, 1]), float(judged[worst, 0])),
    )


def _plane(sphere: FloatArray, places: FloatArray) -> FloatArray:
    """Positions in the tilted plane, in sphere radii, with a column of ones, shape (n, 3).

    As in PROJ's ``tpers``; the sphere is the height in radii, the latitude and longitude below the
    camera, degrees, and the tangent of the tilt to the north and to the east.
    """
    high, lat_0, lon_0, to_north, to_east = sphere
    lat, lam, phi = np.radians(places[:, 2]), np.radians(places[:, 3] - lon_0), np.radians(lat_0)
    upward = np.sin(phi) * np.sin(lat) + np.cos(phi) * np.cos(lat) * np.cos(lam)
    scale = high / (1.0 + high - upward)
    east = scale * np.cos(lat) * np.sin(lam)
    north = scale * (np.cos(phi) * np.sin(lat) - np.sin(phi) * np.cos(lat) * np.cos(lam))
    tilt, azimuth = np.arctan(np.hypot(to_north, to_east)), np.arctan2(to_east, to_north)
    along = north * np.cos(azimuth) + east * np.sin(azimuth)
    across = east * np.cos(azimuth) - north * np.sin(azimuth)
    nearer = 1.0 / (along * np.sin(tilt) / high + np.cos(tilt))
    return np.stack([across * np.cos(tilt) * nearer, along * nearer, np.ones_like(lat)], axis=1)


def _lines(plane: FloatArray, places: FloatArray) -> FloatArray:
    """Least-squares affine transform from the plane to pixels x and y, shape (3, 2)."""
    return np.asarray(np.linalg.lstsq(plane, places[:, [1, 0]], rcond=None)[0])
