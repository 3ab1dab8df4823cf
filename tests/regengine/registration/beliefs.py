"""Made beliefs of where along a track the camera may have been, and made tracks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr

from detectors.types import FloatArray
from regengine.orbit.uncertainty import EDGES_KM, OffsetBelief, belief_of
from regengine.registration.tracks import Track


def bell(sigma_km: float, reach_km: float) -> OffsetBelief:
    """Normally distributed offsets, none beyond a reach."""
    inside = np.clip(EDGES_KM, -reach_km, reach_km)
    return belief_of(np.diff(ndtr(inside / sigma_km)), reach_km)


def made_track(
    at: Callable[[float], FloatArray],
    belief: OffsetBelief,
    *,
    sigma_along_km: float = 150.0,
    sigma_up_km: float = 1.0,
) -> Track:
    """A track whose places are those of a function of the offset, known to 5 km across."""
    return Track(
        position=at,
        velocity=lambda offset_km: at(offset_km + 1.0) - at(offset_km - 1.0),
        sigma_along_km=sigma_along_km,
        belief=belief,
        sigma_across_km=lambda _: 5.0,
        sigma_up_km=sigma_up_km,
        speed_km_s=7.66,
    )
