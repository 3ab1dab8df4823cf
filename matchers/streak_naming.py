"""From densities to probabilities: which satellite drew each streak, or one that is not listed.

All streaks of a frame share the error of its clock. For each such error every streak was drawn by
one of the catalogue's satellites or by something else; what the streaks say of it together weighs
the errors, and the probabilities are means over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from detectors.types import FloatArray, IndexArray
from matchers.streak_evidence import COMPANION_SHARE, Errors, Evidence, Streak, streak_evidence

CLOCK_SIGMAS = 4.5
FEWEST_CLOCKS, MOST_CLOCKS = 31, 6001
CLOCK_STEP_S = 0.02  # 150 m of a low orbit, a quarter of what element sets are good to
# Things in the sky that no catalogue has: meteors, aircraft, false streaks, a frame; and unlisted
# satellites (secret, just launched, lost) for each listed one that may be seen
UNLISTED, UNLISTED_SHARE = 0.1, 0.15
SHORTEST_PX = 10.0
CERTAIN = 1.0 - 1e-6  # no probability is 1
# A satellite that tumbles, or a detector that lost the line, leaves two streaks
BROKEN_SHARE = 0.01
ROUNDS = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class Naming:
    """Who may have drawn one streak.

    Attributes
    ----------
    evidence : Evidence
        Of the candidates.
    probability : ndarray of float64, shape (m,)
        Of each, most probable first.
    order : ndarray of int, shape (m,)
        Their places in the evidence.
    unlisted : float
        Probability that none of them drew it.
    """

    evidence: Evidence
    probability: FloatArray
    order: IndexArray
    unlisted: float


def name_streaks(
    streaks: Sequence[Streak],
    xy: FloatArray,
    per_sigma: FloatArray,
    seconds: FloatArray,
    seen: FloatArray,
    clock_sigma_s: float,
    size_px: tuple[int, int],
    errors: Errors,
) -> list[Naming]:
    """Probabilities of all satellites for all streaks of a frame.

    Parameters
    ----------
    streaks : sequence of Streak
    xy, per_sigma, seconds
        Tracks, as of `matchers.streak_evidence.streak_evidence`.
    seen : ndarray of float64, shape (n, T)
        Probability that each satellite is bright enough at each moment of its track.
    clock_sigma_s : float
        One sigma of the clock.
    size_px : tuple of int
        Width and height of the picture.
    errors : Errors

    Returns
    -------
    list of Naming
        One for each streak.
    """
    clock, log_prior = clock_errors(clock_sigma_s)
    found = [streak_evidence(one, xy, per_sigma, seconds, clock, errors) for one in streaks]
    expected = float(seen[:, seen.shape[1] // 2].sum()) if len(seen) else 0.0
    rate = UNLISTED + UNLISTED_SHARE * expected
    weighed, others = [], []
    for streak, evidence in zip(streaks, found, strict=True):
        step = np.abs(seconds[None, :] - evidence.seconds[:, None]).argmin(axis=1)
        log_seen = np.log(np.maximum(seen[evidence.rows, step], 1e-12))
        weighed.append(log_seen[:, None] + evidence.log_density)
        followed_s = float(seconds[-1] - seconds[0])
        companions = log_seen + np.log(COMPANION_SHARE / followed_s) + evidence.log_companion
        others.append(logsumexp([np.log(rate) + unlisted_density(streak, size_px), *companions]))
    totals = [
        logsumexp(np.concatenate([np.full((1, len(clock)), other), one]), axis=0)
        for one, other in zip(weighed, others, strict=True)
    ]
    log_clock = log_prior + np.sum(totals, axis=0) if totals else log_prior
    log_clock = log_clock - logsumexp(log_clock)
    shares = np.zeros((len(streaks), len(xy)))
    for row, (evidence, one, total) in enumerate(zip(found, weighed, totals, strict=True)):
        each = np.exp(logsumexp(one - total + log_clock, axis=1))
        np.add.at(shares[row], evidence.rows, each)
    shares = one_streak_each(shares)
    return [_naming(evidence, share) for evidence, share in zip(found, shares, strict=True)]


def one_streak_each(shares: FloatArray) -> FloatArray:
    """Probabilities once no satellite is taken to have drawn two streaks, but for broken ones.

    Belief propagation between streaks and satellites, whose marginals are close to the exact ones
    of all joint assignments.

    References
    ----------
    Williams, J., Lau, R. (2014). Approximate evaluation of marginal association probabilities with
    belief propagation. IEEE Trans. Aerospace and Electronic Systems 50 (4), 2942-2959.
    """
    if len(shares) < 2 or not shares.shape[1]:
        return shares
    odds = shares / np.maximum(1.0 - shares.sum(axis=1, keepdims=True), 1.0 - CERTAIN)
    free = np.ones_like(odds)
    for _ in range(ROUNDS):
        weighed = odds * free
        claim = odds / (1.0 + weighed.sum(axis=1, keepdims=True) - weighed)
        others = claim.sum(axis=0, keepdims=True) - claim
        free = (1.0 + BROKEN_SHARE * others) / (1.0 + others)
    weighed = odds * free
    return np.asarray(weighed / (1.0 + weighed.sum(axis=1, keepdims=True)))


def _naming(evidence: Evidence, share: FloatArray) -> Naming:
    """The candidates of one streak, each once, in the order in which it probably drew it."""
    likely = evidence.log_density.max(axis=1, initial=-np.inf)
    by_density = np.argsort(-likely, kind="stable")
    _, first = np.unique(evidence.rows[by_density], return_index=True)
    once = by_density[first]
    order = once[np.argsort(-share[evidence.rows[once]], kind="stable")]
    return Naming(
        evidence=evidence,
        probability=np.minimum(share[evidence.rows[order]], CERTAIN),
        order=order,
        unlisted=float(np.clip(1.0 - share.sum(), 1.0 - CERTAIN, CERTAIN)),
    )


def clock_errors(sigma_s: float) -> tuple[FloatArray, FloatArray]:
    """Errors of a clock worth looking at, and the logarithms of their normal probabilities."""
    if sigma_s <= 0.0:
        return np.zeros(1), np.zeros(1)
    reach = CLOCK_SIGMAS * sigma_s
    count = int(np.clip(np.ceil(2.0 * reach / CLOCK_STEP_S), FEWEST_CLOCKS, MOST_CLOCKS)) | 1
    clock = np.linspace(-reach, reach, count)
    log_prior = -0.5 * (clock / sigma_s) ** 2
    return clock, log_prior - logsumexp(log_prior)


def unlisted_density(streak: Streak, size_px: tuple[int, int]) -> float:
    """Logarithm of the density of streaks of things that are in no catalogue.

    Lines that cross a convex picture have the measure of its perimeter; two ends' offsets d1, d2
    across a line of length L stand for the measure d1 d2 / L. Along the line, ends lie anywhere,
    and lengths are equally frequent in each octave.
    """
    width, height = size_px
    length = max(float(np.hypot(*(streak.ends[0, 1] - streak.ends[0, 0]))), 1.0)
    diagonal = float(np.hypot(width, height))
    log_density = -np.log(length * 2.0 * (width + height))
    free = 2 - sum(streak.cut)
    if free == 1:
        log_density -= np.log(diagonal)
    elif free == 2:
        octaves = np.log(max(diagonal / SHORTEST_PX, np.e))
        log_density -= np.log(diagonal * max(length, SHORTEST_PX) * octaves)
    return float(log_density)
