"""Limbs as a detector finds them, made of a nadir."""

from __future__ import annotations

import numpy as np

from detectors.limb import Limb
from detectors.limb_geometry import AIRGLOW_TOP_KM, HARD_EDGE_KM, compute_pointing, limb_angle_deg
from detectors.types import FloatArray

ALTITUDE_KM = 410.0


def found_limb(nadir: FloatArray, focal_px: float, shape: tuple[int, int]) -> Limb:
    """The limb that a detector without error finds from 410 km in a picture (height, width)."""
    off_nadir, roll = compute_pointing(nadir)
    return Limb(
        nadir=nadir,
        off_nadir_deg=off_nadir,
        roll_deg=roll,
        covariance_deg2=0.01 * np.eye(2),
        layer="airglow",
        paired=True,
        shown=0.9,
        log10_odds=100.0,
        angle_deg=limb_angle_deg(ALTITUDE_KM, AIRGLOW_TOP_KM),
        hard_edge_deg=limb_angle_deg(ALTITUDE_KM, HARD_EDGE_KM),
        focal_px=focal_px,
        focal_ratio=1.0,
        focal_ratio_sigma=0.1,
        shape=shape,
    )
