"""Proof against chance that the photo's towns lie where the camera puts the map's.

Every town of the photo either meets a town of the map or not. What chance alone would give is
measured on the photo itself, for each town: how often does it meet one when the map's towns are
shifted by many different amounts? The rest is Bayes' rule for one hypothesis against chance.

References
----------
Lang, D., Hogg, D. W., Mierle, K., Blanton, M., Roweis, S. (2010). Astrometry.net: blind
astrometric calibration of arbitrary astronomical images. AJ 139, 1782-1800, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from matchers.towns import SCALE_PX, Towns

FloatArray = NDArray[np.float64]

MEETING_PX = 1.5 * SCALE_PX
# Share of a photo's towns that the map confirms under the right camera: half of them in clear
# frames (quartiles 0.44, 0.55 and 0.64 of 92 simulated ones), far fewer where clouds, reflections
# and boats are taken for towns. Each of these is tried, with as many of the strongest towns
SHARES_MET = (0.15, 0.25, 0.4, 0.55, 0.7)
STRONGEST = (40, 10_000)
# Towns that agree are never taken as rarer than this by chance: the map's and the photo's towns
# are both strung along roads and coasts
LEAST_CHANCE = 0.02
SHIFTS = 160
SHORTEST_SHIFT_PX = 4.0 * SCALE_PX
LONGEST_SHIFT_PX = 24.0 * SCALE_PX


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the towns say.

    Attributes
    ----------
    towns, met : int
        Towns of the photo that could be met, and those that were.
    chance : float
        Mean share that meets by chance.
    log10_odds : float
        Of "this camera" against "chance", the number of cameras tried not yet counted.
    met_towns : ndarray of int
        Indices of the photo's towns that met.
    residual_px : float
        Median distance of those that met.
    """

    towns: int
    met: int
    chance: float
    log10_odds: float
    met_towns: NDArray[np.intp]
    residual_px: float


def chance_shifts() -> FloatArray:
    """Shifts (pixels) spread over a ring by the golden angle; shape (n, 2)."""
    k = np.arange(SHIFTS)
    angle = k * np.pi * (3.0 - np.sqrt(5.0))
    inner, outer = SHORTEST_SHIFT_PX**2, LONGEST_SHIFT_PX**2
    radius = np.sqrt(inner + (k + 0.5) / SHIFTS * (outer - inner))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def prove(photo: Towns, view: Towns) -> Proof:
    """Weigh the meeting of photo towns and map towns against chance.

    Parameters
    ----------
    photo : Towns
        Towns of the photo.
    view : Towns
        Towns of the map rendered through the camera, same pixels.

    Returns
    -------
    Proof
    """
    if len(photo) == 0 or len(view) == 0:
        none = np.zeros(0, np.intp)
        return Proof(
            towns=len(photo), met=0, chance=0.0, log10_odds=0.0, met_towns=none, residual_px=np.inf
        )
    tree = cKDTree(view.positions)
    distance = tree.query(photo.positions)[0]
    met = distance < MEETING_PX
    shifted = photo.positions[None, :, :] + chance_shifts()[:, None, :]
    by_chance = tree.query(shifted)[0] < MEETING_PX  # shifts x towns
    chance = (by_chance.sum(axis=0) + 1.0) / (SHIFTS + 2.0)
    chance = np.maximum(0.5 * (chance + chance.mean()), LEAST_CHANCE)
    odds, luckiest = -np.inf, 0.0
    for count, share in product(STRONGEST, SHARES_MET):
        part = slice(None, count)
        expected = np.maximum(share, chance[part])
        if_met = np.log10(expected / chance[part])
        if_not = np.log10((1 - expected) / (1 - chance[part]))
        odds = max(odds, float(np.where(met[part], if_met, if_not).sum()))
        # Towns strung along one road or coast meet together or not at all: what the luckiest
        # shift reaches as a whole is no proof
        shifted_odds = np.where(by_chance[:, part], if_met, if_not).sum(axis=1)
        luckiest = max(luckiest, float(shifted_odds.max()))
    odds -= float(np.log10(len(STRONGEST) * len(SHARES_MET)))
    return Proof(
        towns=len(photo),
        met=int(met.sum()),
        chance=float(chance.mean()),
        log10_odds=odds - luckiest,
        met_towns=np.flatnonzero(met),
        residual_px=float(np.median(distance[met])) if met.any() else np.inf,
    )
