"""Made beliefs of where along a track the camera may have been."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from regengine.orbit.uncertainty import EDGES_KM, OffsetBelief, belief_of


def bell(sigma_km: float, reach_km: float) -> OffsetBelief:
    """Normally distributed offsets, none beyond a reach."""
    inside = np.clip(EDGES_KM, -reach_km, reach_km)
    return belief_of(np.diff(ndtr(inside / sigma_km)), reach_km)
