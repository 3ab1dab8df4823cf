"""How sure a fitted camera is by its own lights: refits without some of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.pose import PosePrior
from matchers.refine import Refinement, fit_pose

FloatArray = NDArray[np.float64]

PARTS = 20
# Fewer say nothing of how much refits differ
FEWEST_PARTS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Spread:
    """How refits differ in where they see places.

    Attributes
    ----------
    covariance_px : ndarray of float64, shape (k, 2, 2)
        Of each place, square pixels of the fitted image.
    refits : int
        That it was found from: it has one degree of freedom less.
    """

    covariance_px: FloatArray
    refits: int


def jackknife_spread(
    refinement: Refinement,
    groups: NDArray[np.intp],
    ground_ecef_m: FloatArray,
    prior: PosePrior,
    free: NDArray[np.bool_],
    outlier_sigmas: float,
) -> Spread | None:
    """Covariance of where a camera sees places, by leaving out a twentieth of the lights in turn.

    The covariance of a least-squares fit holds where patches err as they say and apart from each
    other. Towns grow on one side, and a lone one pulls all patches that show it; a camera with
    many unknowns follows it. What happens without it tells by how much.

    Parameters
    ----------
    refinement : Refinement
        The fit.
    groups : ndarray of int, shape (n,)
        Light that each of its patches shows, see `matchers.patch_groups.groups_of`: patches of
        one are left out together.
    ground_ecef_m : ndarray of float64, shape (k, 3)
        The places.
    prior, free, outlier_sigmas
        As in the fit.

    Returns
    -------
    Spread or None
        None where there are too few lights to leave any out.

    References
    ----------
    Efron, B. (1982). The Jackknife, the Bootstrap and Other Resampling Plans. SIAM, chapter 3.
    """
    parts = groups % PARTS
    moved = []
    for part in np.unique(parts):
        kept = refinement.matches.chosen(parts != part)
        if len(kept) < 4:
            continue
        without = fit_pose(refinement.rendered, kept, prior, free, outlier_sigmas)
        moved.append(_pixels(without.camera, ground_ecef_m))
    count = len(moved)
    if count < FEWEST_PARTS:
        return None
    off = np.stack(moved) - _pixels(refinement.camera, ground_ecef_m)
    covariance = (count - 1) / count * np.einsum("pki,pkj->kij", off, off)
    return Spread(covariance_px=np.asarray(covariance), refits=count)


def _pixels(camera: Camera, ground_ecef_m: FloatArray) -> FloatArray:
    """Where a camera sees places, shape (k, 2)."""
    return np.stack(camera.ecef_to_pixel(ground_ecef_m), axis=-1)
