"""The ground that a photo shows: its corners, its outline, its diagonal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, great_circle_km, incidence_deg

FloatArray = NDArray[np.float64]

# Ground seen at a flatter angle than this is lost in haze and stretches without end
MAX_INCIDENCE_DEG = 80.0


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
    lon, lat = visible_ground(camera, per_side=257)
    if len(lon) < 2:
        return 0.0
    # The farthest pair of a region are its extremes in some direction of the plane it lies in
    points = geodetic_to_ecef(lon, lat)
    points -= points.mean(axis=0)
    plane = np.linalg.eigh(points.T @ points)[1][:, 1:]
    angle = np.linspace(0.0, 2.0 * np.pi, 90, endpoint=False)
    outer = np.unique(np.argmax(points @ plane @ [np.cos(angle), np.sin(angle)], axis=0))
    far = great_circle_km(lon[outer, None], lat[outer, None], lon[None, outer], lat[None, outer])
    return float(far.max())
