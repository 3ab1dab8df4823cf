"""The ground that a photo shows: its corners, its outline, its diagonal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod

from matchers.camera import Camera
from matchers.earth import great_circle_km, incidence_deg

FloatArray = NDArray[np.float64]

# Ground seen at a flatter angle than this is lost in haze and stretches without end
MAX_INCIDENCE_DEG = 80.0
WGS84 = Geod(ellps="WGS84")


def corner_lonlat(camera: Camera) -> tuple[tuple[float, float] | None, ...]:
    """Ground positions of the image's corner pixels.

    Parameters
    ----------
    camera : Camera
        Camera of the image.

    Returns
    -------
    tuple of (lon, lat) or None
        Top-left, top-right, bottom-right, bottom-left; None where a corner sees no ground.
    """
    right, bottom = camera.width_px - 1.0, camera.height_px - 1.0
    lon, lat = camera.pixel_to_lonlat([0.0, right, right, 0.0], [0.0, 0.0, bottom, bottom])
    return tuple(
        (float(a), float(b)) if np.isfinite(a) else None for a, b in zip(lon, lat, strict=True)
    )


def visible_ground(camera: Camera, per_side: int = 33) -> tuple[FloatArray, FloatArray]:
    """Places on a grid over the image with incidence of at most 80 degrees.

    Parameters
    ----------
    camera : Camera
        Camera of the image.
    per_side : int
        Grid points along each side, the corners included.

    Returns
    -------
    lon_deg, lat_deg : ndarray, shape (n,)
        Empty where the image shows no ground.
    """
    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, per_side),
        np.linspace(0.0, camera.height_px - 1.0, per_side),
    )
    ground = camera.pixel_to_ecef(x, y)
    seen = incidence_deg(camera.position_ecef_m, ground) <= MAX_INCIDENCE_DEG
    lon, lat = camera.pixel_to_lonlat(x[seen], y[seen])
    return lon, lat


def visible_outline(camera: Camera, per_side: int = 129) -> tuple[FloatArray, FloatArray]:
    """Pixels around the visible ground: the image's border, or where the incidence limit crosses.

    Parameters
    ----------
    camera : Camera
        Camera of the image.
    per_side : int
        Directions looked along to each side of the image, the corners included.

    Returns
    -------
    x, y : ndarray, shape (n,)
        Empty where the image shows no ground.
    """

    def incidence(x: FloatArray, y: FloatArray) -> FloatArray:
        return incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))

    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, per_side),
        np.linspace(0.0, camera.height_px - 1.0, per_side),
    )
    angle = incidence(x, y)
    if not (angle <= MAX_INCIDENCE_DEG).any():
        return np.zeros(0), np.zeros(0)
    start_x, start_y = x.flat[np.nanargmin(angle)], y.flat[np.nanargmin(angle)]
    x, y = (np.concatenate([a[0], a[1:-1, -1], a[-1], a[1:-1, 0]]) for a in (x, y))
    # Ground within a limit of incidence lies in a cone: from its midst, its edge is met once
    near = np.where(incidence(x, y) <= MAX_INCIDENCE_DEG, 1.0, 0.0)
    far = np.ones_like(near)
    for _ in range(14):
        share = (near + far) / 2.0
        at_x, at_y = start_x + share * (x - start_x), start_y + share * (y - start_y)
        seen = incidence(at_x, at_y) <= MAX_INCIDENCE_DEG
        near, far = np.where(seen, share, near), np.where(seen, far, share)
    return start_x + near * (x - start_x), start_y + near * (y - start_y)


def diagonal_km(camera: Camera) -> float:
    """Footprint diagonal: the greatest distance between points of the visible ground.

    Parameters
    ----------
    camera : Camera
        Camera of the image.

    Returns
    -------
    float
        Kilometres, over ground with incidence of at most 80 degrees; 0 where there is none.
    """
    lon, lat = camera.pixel_to_lonlat(*visible_outline(camera))
    if len(lon) == 0:
        return 0.0
    # The farthest pair of a region lies on its outline, and is so on the sphere and the ellipsoid
    far = great_circle_km(lon[:, None], lat[:, None], lon[None, :], lat[None, :])
    a, b = np.unravel_index(int(np.argmax(far)), far.shape)
    return float(WGS84.inv(lon[a], lat[a], lon[b], lat[b])[2]) / 1e3
