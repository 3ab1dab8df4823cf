"""Drawn limbs: an airglow layer and a moonlit ground about a known nadir."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.limb_geometry import compute_rays, limb_angle_deg, nadir_vector

ALTITUDE_KM = 415.0


def drawn_limb(
    *,
    off_nadir_deg: float,
    roll_deg: float,
    focal_px: float = 320.0,
    shape: tuple[int, int] = (267, 400),
    airglow: float = 0.02,
    ground: float = 0.003,
    cities: int = 60,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Linear light; heights in the sky from the sine of the angle to the nadir."""
    rng = np.random.default_rng(seed)
    height, width = shape
    x, y = np.meshgrid(np.arange(float(width)), np.arange(float(height)))
    centre = ((width - 1) / 2.0, (height - 1) / 2.0)
    angle = np.degrees(
        np.arccos(compute_rays(x, y, focal_px, centre) @ nadir_vector(off_nadir_deg, roll_deg))
    )
    edge, layer = limb_angle_deg(ALTITUDE_KM, 0.0), limb_angle_deg(ALTITUDE_KM, 93.0)
    light = 0.0008 + ground * (angle < edge)
    light += airglow * np.exp(-0.5 * ((angle - layer) / 0.12) ** 2)
    light += 0.3 * airglow * ((angle < layer) & (angle > edge))
    below = np.argwhere(angle < edge - 3.0)
    for row, column in below[rng.integers(0, len(below), cities)] if len(below) else []:
        spot = np.exp(-0.5 * ((x - column) ** 2 + (y - row) ** 2) / 1.5**2)
        light += rng.uniform(0.02, 0.5) * spot
    above = np.argwhere(angle > layer + 1.0)
    for row, column in above[rng.integers(0, len(above), 200)] if len(above) else []:
        light[row, column] += 0.1
    light += 0.0006 * rng.standard_normal(shape)
    return np.clip(light, 0.0, 1.0).astype(np.float32)
