"""Which of a person's points disagree with the others: fits that leave each out in turn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.resection import Unknowns, resected
from matchers.resection_points import whitened

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# With three points, a wrong one cannot be told from the other two
LEAST_TOLD = 4
# What leaving a point out must take off chi square: chance does so once in a thousand
SUSPECT_CHI_SQUARE = 13.8
# ... and how much more than leaving out any other: the odds are twenty to one
LEAD_CHI_SQUARE = 6.0
ATTITUDE_UNKNOWNS = 3
LEAST_LEFT_OUT = 3
# Where more than a third is wrong, nothing tells right from wrong
MOST_SUSPECTS = 20
LEAST_FREE = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Doubts:
    """What is odd about some points.

    Attributes
    ----------
    left_out_px : ndarray of float64, shape (n,)
        How far each is from the camera of the others; NaN with fewer than three points.
    suspect : ndarray of bool, shape (n,)
        Those that disagree with the others beyond chance.
    undecided : bool
        Whether points disagree of which it cannot be told which is wrong.
    """

    left_out_px: FloatArray
    suspect: BoolArray
    undecided: bool


def doubts(start: Camera, unknowns: Unknowns) -> Doubts:
    """Leave every point out in turn, and take out the worst for as long as one stands out.

    A point is suspect when chi square falls by more without it than chance explains, measured by
    how well the others agree among themselves, and by clearly more than without any other (unless
    that one is wrong beside it). What
    leaving one out would change follows from the normal equations of all, to first order.

    Parameters
    ----------
    start : Camera
        As in `matchers.resection.resected`.
    unknowns : Unknowns
        The points, what is free and what is believed of it.

    Returns
    -------
    Doubts

    References
    ----------
    Baarda, W. (1968). A testing procedure for use in geodetic networks. Netherlands Geodetic
    Commission, Publications on Geodesy 2 (5).
    """
    count = len(unknowns.pairs)
    left_out, kept, undecided = np.full(count, np.nan), np.ones(count, bool), False
    if count < LEAST_LEFT_OUT:
        return Doubts(left_out_px=left_out, suspect=~kept, undecided=undecided)
    left_out, gain, excess = _without_each(start, unknowns)
    most = min(count // 3, MOST_SUSPECTS)
    while kept.sum() >= max(LEAST_TOLD, count - most + 1):
        worst, second = np.argsort(-gain)[:2]
        if excess[worst] < SUSPECT_CHI_SQUARE:
            break
        fewer = kept.copy()
        fewer[np.flatnonzero(kept)[worst]] = False
        clear = bool(gain[worst] - gain[second] >= LEAD_CHI_SQUARE)
        rest = replace(unknowns, pairs=unknowns.pairs.chosen(fewer))
        _, gain, excess = _without_each(start, rest)
        # Two that are both wrong look alike, too: then the second stands out after the first
        undecided = not clear and bool(excess.max() < SUSPECT_CHI_SQUARE)
        if undecided:
            break
        kept = fewer
    return Doubts(left_out_px=left_out, suspect=~kept, undecided=undecided)


def _without_each(start: Camera, unknowns: Unknowns) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of every point: its residual to the fit of the others, what chi square falls by without it,
    and that measured by how well the others agree.
    """
    pairs = unknowns.pairs
    whole = resected(start, unknowns)
    misses = whitened(whole.camera, pairs)
    design = unknowns.design(whole.camera)
    inverse = np.linalg.inv(unknowns.normal(design))
    leverage = np.einsum("nik,kl,njl->nij", design, inverse, design)
    # A point that nothing else checks has its residual, 0, over a share of 0 that is its own
    free = np.eye(2) - leverage + LEAST_FREE * np.eye(2)
    predicted = np.linalg.solve(free, misses[..., None])[..., 0]
    gain = np.einsum("ni,ni->n", misses, predicted)
    # Beliefs count as observations of what they are about: only the attitude has none
    spare = max(1, 2 * (len(pairs) - 1) - ATTITUDE_UNKNOWNS)
    agreement = np.maximum(1.0, (whole.chi_square - gain) / spare)
    left_out_px = np.linalg.norm(predicted, axis=1) * pairs.sigma_px
    return left_out_px, gain, gain / agreement
