"""What is true of a simulated photograph, as numbers for a JSON file."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.light_map import lamps_in_view, upward_share
from benchmarks.simulate.worlds import Realisation, World

GRID = 5  # reference points are sought in 5 x 5 parts of the picture


def camera_truth(camera: SimCamera) -> dict[str, Any]:
    """The camera in the words of the records: quaternion camera to ECEF, ECEF position, lens."""
    return {
        "model": "pinhole",
        "width_px": camera.width_px,
        "height_px": camera.height_px,
        "focal_px": camera.focal_px,
        "principal_point": [camera.principal_x, camera.principal_y],
        "distortion": [camera.k1, 0.0, 0.0, 0.0, 0.0],
        "quaternion": list(camera.quaternion()),
        "position_ecef_m": [float(value) for value in camera.position_ecef_m],
        "lon": camera.lon_deg,
        "lat": camera.lat_deg,
        "altitude_km": camera.height_m / 1000.0,
        "mirrored": camera.mirrored,
    }


def footprint(camera: SimCamera) -> list[list[float] | None]:
    """(lon, lat) of the corner pixels' centres, clockwise from the top left; None for the sky."""
    right, bottom = camera.width_px - 1.0, camera.height_px - 1.0
    lon, lat, _ = camera.ground(
        np.array([0.0, right, right, 0.0]), np.array([0.0, 0.0, bottom, bottom])
    )
    return [[float(a), float(b)] if np.isfinite(a) else None for a, b in zip(lon, lat, strict=True)]


def reference_points(
    camera: SimCamera, world: World, realisation: Realisation
) -> list[dict[str, float]]:
    """The brightest lit place in each part of the picture, with the pixel that shows it."""
    clusters, _ = lamps_in_view(camera, world, 100_000)
    lamps = world.scatter(clusters, np.ones(len(clusters.row), np.int64), realisation)
    x, y, distance, cosine = camera.project(lamps.lon, lamps.lat)
    strength = lamps.power * upward_share(cosine, 0.25, 0.4) / distance**2
    inside = (x >= 0) & (x <= camera.width_px - 1) & (y >= 0) & (y <= camera.height_px - 1)
    inside &= cosine > np.cos(np.radians(80.0))
    part = (GRID * x / camera.width_px) // 1 + GRID * ((GRID * y / camera.height_px) // 1)
    chosen = []
    for number in range(GRID * GRID):
        here = np.flatnonzero(inside & (part == number))
        if len(here):
            chosen.append(int(here[np.argmax(strength[here])]))
    return [
        {
            "x": float(x[i]),
            "y": float(y[i]),
            "lon": float(lamps.lon[i]),
            "lat": float(lamps.lat[i]),
        }
        for i in chosen
    ]
