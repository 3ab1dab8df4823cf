"""Which satellite drew a streak: probabilities, from its ends and the predicted tracks.

A streak has four measurements: for each end, the time at which the satellite's predicted track
passes it (relative to the start or the end of the exposure), and the distance from the track. With
the errors of orbit, attitude and measurement, they are normally distributed; the clock error adds
to both times. An end that the border cuts, or that faded, has no time of its own but must lie
within the exposure.

All streaks of a frame share the clock error. Given the clock error, every streak was drawn by one
of the catalogue's satellites or by another object. The joint likelihood of the streaks weights the
clock errors, and the probabilities are averaged over them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr

from detectors.types import BoolArray, FloatArray, IndexArray
from regengine.sky.satellites.tracks import (
    TAIL_ACROSS,
    TAIL_FACTOR,
    TAIL_SHARE,
    Exposure,
    Tracks,
)

MIN_LENGTH_PX = 10.0  # shorter streaks are as frequent as those of this length
MIN_UNLISTED = 1e-6  # no probability is 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Streak:
    """One measured streak.

    ends: Positions of its ends (second axis) in the picture at mid-exposure, if the first end was
        drawn first (first axis 0) or last (1), shape (2, 2, 2). The two differ only for trailing
        stars.
    cut: Whether the border cuts the first, the second end.
    sigma_end_px, sigma_line_px: One sigma of the ends along and across it.
    """

    ends: FloatArray
    cut: tuple[bool, bool]
    sigma_end_px: float
    sigma_line_px: float


# A track that may have drawn a streak: its index; seconds by which the satellite is ahead of its
# prediction, the mean of the ends with a time (NaN without any); mean distance to the right of the
# track; angle from the track's direction to the streak's; time of the track at the streak's middle
CANDIDATE = np.dtype(
    [
        ("row", np.intp),
        ("ahead_s", float),
        ("beside_px", float),
        ("turned_deg", float),
        ("seconds", float),
    ]
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Naming:
    """Candidates for one streak."""

    candidates: NDArray[Any]  # of `CANDIDATE`, shape (m,): the most probable first
    probability: FloatArray  # of each
    unlisted: float  # probability that none of them drew it


def name_streaks(
    streaks: Sequence[Streak], tracks: Tracks, seen: FloatArray, exposure: Exposure
) -> list[Naming]:
    """Compute the probabilities of all satellites for each streak of a frame.

    `seen`, shape (n, T): probability that each satellite is bright enough at each time.
    """
    clock_s, log_clock = np.zeros(1), np.zeros(1)
    if exposure.clock_sigma_s > 0.0:
        # Range of clock errors, in sigmas.
        reach = 4.5
        # Step of the clock error: 150 m of a low orbit, a quarter of the accuracy of element sets.
        step = min(0.02 / exposure.clock_sigma_s, 0.3)
        # Maximum number of steps: limits the memory for clocks with errors of minutes.
        count = min(int(np.ceil(2.0 * reach / step)), 6001) | 1
        sigmas = np.linspace(-reach, reach, count)
        clock_s, log_clock = sigmas * exposure.clock_sigma_s, -0.5 * sigmas**2
    seconds, size_px = tracks.seconds, (exposure.field.width_px, exposure.field.height_px)
    followed_s = float(seconds[-1] - seconds[0])
    expected = float(seen[:, seen.shape[1] // 2].sum()) if len(seen) else 0.0
    # Objects in no catalogue: meteors, aircraft, false streaks, per frame; and satellites (secret,
    # recently launched, lost) per listed one that may be visible
    log_rate = np.log(0.1 + 0.15 * expected)
    found, weighed, totals = [], [], []
    for streak in streaks:
        candidates, log_density, log_companion = weigh_tracks(streak, tracks, clock_s, exposure)
        step_at = np.abs(seconds[None, :] - candidates["seconds"][:, None]).argmin(axis=1)
        log_seen = np.log(np.maximum(seen[candidates["row"], step_at], 1e-12))
        log_density = log_seen[:, None] + log_density
        # Number of unlisted satellites per listed one from the same launch, anywhere on the
        # predicted part of its track.
        companions = log_seen + np.log(0.05 / followed_s) + log_companion
        # Logarithm of the density of streaks of unlisted objects
        length = max(float(np.hypot(*(streak.ends[0, 1] - streak.ends[0, 0]))), 1.0)
        diagonal = float(np.hypot(*size_px))
        density = 1.0 / (length * 2.0 * sum(size_px))
        if sum(streak.cut) < 2:
            density /= diagonal
        if not any(streak.cut):
            octaves = np.log(max(diagonal / MIN_LENGTH_PX, math.e))
            density /= max(length, MIN_LENGTH_PX) * octaves
        other = logsumexp([log_rate + float(np.log(density)), *companions])
        total = logsumexp(np.vstack([np.full((1, len(clock_s)), other), log_density]), axis=0)
        found.append(candidates)
        weighed.append(log_density)
        totals.append(total)
        log_clock = log_clock + total
    log_clock = log_clock - logsumexp(log_clock)
    shares = np.zeros((len(streaks), len(seen)))
    for share, candidates, one, total in zip(shares, found, weighed, totals, strict=True):
        np.add.at(share, candidates["row"], np.exp(logsumexp(one - total + log_clock, axis=1)))
    namings = []
    for share, candidates, one in zip(one_streak_each(shares), found, weighed, strict=True):
        # Each track once, in the direction of higher probability
        likely = np.argsort(-one.max(axis=1, initial=-np.inf), kind="stable")
        likely = likely[np.unique(candidates["row"][likely], return_index=True)[1]]
        order = likely[np.argsort(-share[candidates["row"][likely]], kind="stable")]
        most = 1.0 - MIN_UNLISTED
        namings.append(
            Naming(
                candidates=candidates[order],
                probability=np.minimum(share[candidates["row"][order]], most),
                unlisted=float(np.clip(1.0 - share.sum(), MIN_UNLISTED, most)),
            )
        )
    return namings


def one_streak_each(shares: FloatArray) -> FloatArray:
    """Probabilities with at most one streak per satellite, except for broken ones.

    Belief propagation between streaks and satellites, whose marginals are close to the exact ones
    of all joint assignments.

    References
    ----------
    Williams, J., Lau, R. (2014). Approximate evaluation of marginal association probabilities with
    belief propagation. IEEE Trans. Aerospace and Electronic Systems 50 (4), 2942-2959.
    """
    if len(shares) < 2 or not shares.shape[1]:
        return shares
    odds = shares / np.maximum(1.0 - shares.sum(axis=1, keepdims=True), MIN_UNLISTED)
    weighed = odds
    for _ in range(30):
        claim = odds / (1.0 + weighed.sum(axis=1, keepdims=True) - weighed)
        others = claim.sum(axis=0, keepdims=True) - claim
        # Share of satellites with two streaks: they tumble, or the detector lost the line.
        weighed = odds * (1.0 + 0.01 * others) / (1.0 + others)
    return np.asarray(weighed / (1.0 + weighed.sum(axis=1, keepdims=True)))


def weigh_tracks(
    streak: Streak, tracks: Tracks, clock_s: FloatArray, exposure: Exposure
) -> tuple[NDArray[Any], FloatArray, FloatArray]:
    """Likelihoods of a streak for the tracks near it, for G clock errors, positive if late.

    Returns the candidates (m,), where a track that may have drawn the streak in either direction
    occurs twice; the log density, shape (m, G), per pixel for each measurement that counts; and the
    log density of another satellite on the same track, per second in which it may pass, (m,).
    """
    parts = []
    every, half_s = np.arange(len(tracks.xy)), 0.5 * exposure.exposure_s
    attitude = np.broadcast_to(exposure.attitude_sigma_px * np.eye(2), (len(every), 2, 2))
    # Factors on the K errors of a track, for satellites whose orbits have changed, and the attitude
    wide = np.ones(tracks.per_sigma.shape[-1] + 2)
    wide[:3] = TAIL_FACTOR, TAIL_ACROSS, TAIL_ACROSS
    for onward in (1, -1):  # the first end drawn first, or last
        places, cut = streak.ends[(1 - onward) // 2][::onward], np.array(streak.cut)[::onward]
        # For each track: times at start and end minus those of the exposure, and distances from the
        # track there; their derivatives by each error; their own sigmas
        values, sigma = np.empty((len(every), 4)), np.empty((len(every), 4))
        slopes = np.empty((len(every), 4, len(wide)))
        speeds = np.empty((len(every), 2))
        for k, place in enumerate(places):
            late_s, beside_px, speed, (along, right), step = meet(tracks.xy, tracks.seconds, place)
            # A satellite ahead of its prediction is where the prediction is later
            shift = np.nan_to_num(tracks.per_sigma[every, step])
            shift = np.concatenate([shift, attitude], axis=-1)
            speeds[:, k] = speed
            values[:, k] = late_s + (half_s, -half_s)[k]
            values[:, 2 + k] = beside_px
            slopes[:, k] = np.einsum("nce,nc->ne", shift, along) / speed[:, None]
            slopes[:, 2 + k] = np.einsum("nce,nc->ne", shift, right)
            sigma[:, k] = streak.sigma_end_px / speed
            sigma[:, 2 + k] = streak.sigma_line_px
        core, loose = (
            np.einsum("nie,nje->nij", some, some) + sigma[:, :, None] ** 2 * np.eye(4)
            for some in (slopes, slopes * wide)
        )
        beside_sigma = np.sqrt(np.einsum("nii->ni", loose)[:, 2:])
        # Tracks farther from a streak than this, in sigmas of the wide errors, are ignored.
        near = (np.abs(values[:, 2:]) < 7.0 * beside_sigma).all(axis=1)
        near &= values[:, 1] - values[:, 0] > -exposure.exposure_s
        core, loose, values, speeds = (a[near] for a in (core, loose, values, speeds))
        terms, companion = [], np.zeros(len(values))
        # Share of ends within the border where the satellite dimmed. The others are those of the
        # exposure.
        true_end = np.where(cut, 0.0, 1.0 - 0.08)
        for kept in np.array(list(product((True, False), repeat=2))):
            weight = float(np.where(kept, true_end, 1.0 - true_end).prod())
            if weight == 0.0:
                continue
            numbers = values, speeds, kept, cut, exposure.exposure_s, clock_s
            density, passed = end_density(core, *numbers)
            terms.append(np.log((1.0 - TAIL_SHARE) * weight) + density)
            if (kept != cut).all():
                companion = passed
            density, _ = end_density(loose, *numbers)
            terms.append(np.log(TAIL_SHARE * weight) + density)
        passed_s, _, _, (along, right), _ = meet(
            tracks.xy[near], tracks.seconds, places.mean(axis=0)
        )
        chord = places[1] - places[0]
        candidates = np.zeros(len(values), CANDIDATE)
        candidates["row"] = np.flatnonzero(near)
        candidates["ahead_s"] = np.nan if cut.all() else values[:, :2][:, ~cut].mean(axis=1)
        candidates["beside_px"] = values[:, 2:].mean(axis=1)
        candidates["turned_deg"] = np.degrees(np.arctan2(right @ chord, along @ chord))
        candidates["seconds"] = passed_s
        parts.append((candidates, logsumexp(np.stack(terms), axis=0), companion))
    candidates, log_density, log_companion = (np.concatenate(p) for p in zip(*parts, strict=True))
    return candidates, log_density, log_companion


def end_density(
    covariance: FloatArray,
    values: FloatArray,
    speeds: FloatArray,
    kept: BoolArray,
    cut: BoolArray,
    exposure_s: float,
    clock_s: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Log densities of the four measurements of a streak for m tracks.

    For this satellite and each clock error, shape (m, G), and for one on the same track at any
    time, per second, shape (m,). The ``values``, shape (m, 4), are seconds from the exposure's
    start and from its end, and two distances from the track, pixels; ``speeds``, shape (m, 2),
    pixels per second at either end. ``kept``: ends that are those of the exposure; the times of
    others do not count. ``cut``: ends at the border.
    """

    def whiten(order: list[int]) -> tuple[FloatArray, FloatArray, FloatArray]:
        # Standardised residuals conditional on the previous ones, their derivatives by the clock
        # error, and these sigmas
        root = np.linalg.cholesky(covariance[:, order][:, :, order])
        by_clock = np.broadcast_to([float(k < 2) for k in order], (len(values), len(order)))
        white = np.linalg.solve(root, np.stack([values[:, order], by_clock], axis=-1))
        return white[..., 0], white[..., 1], np.einsum("mii->mi", root)

    used = [k for k in range(2) if kept[k]] + [2, 3]
    white, slope, sigma = whiten(used)
    log_norm = -np.log(sigma).sum(axis=1) - 0.5 * len(used) * np.log(2.0 * np.pi)
    for k in range(2):
        if kept[k]:
            log_norm -= np.log(speeds[:, k])
        elif not cut[k]:
            log_norm -= np.log(np.maximum(speeds[:, k] * exposure_s, 1.0))
    residual = white[:, None] - clock_s[:, None] * slope[:, None]
    log_density = log_norm[:, None] - 0.5 * (residual**2).sum(axis=-1)
    # Ends without a time of their own were passed during the exposure. Two of them share their
    # error: a time excluded by one must stay excluded
    within = np.ones_like(log_density)
    for k in range(2):
        if not kept[k]:
            last, by_clock, given = (part[:, -1:] for part in whiten([*used, k]))
            inside = (1.0, -1.0)[k] * (last - clock_s * by_clock)
            within += ndtr(inside) - 1.0
            if kept.any():
                within -= ndtr(inside - exposure_s / given)
    log_density += np.log(np.maximum(within, 1e-30))
    square = (white**2).sum(axis=1)
    if not kept.any():
        return log_density, log_norm - 0.5 * square + np.log(exposure_s)
    stiffness = (slope**2).sum(axis=1)
    square = square - (white * slope).sum(axis=1) ** 2 / stiffness
    return log_density, log_norm - 0.5 * square + 0.5 * np.log(2.0 * np.pi / stiffness)


def meet(
    xy: FloatArray, seconds: FloatArray, place: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, IndexArray]:
    """Closest approach of each of n tracks to one position of a picture.

    Returns the time, shape (n,), where beyond the ends of a track its last segment is extrapolated;
    the distance, positive to the right of the direction of motion with y pointing down, infinite
    without a track; the speed, pixels per second; unit vectors of the satellite's motion and, to
    their right, shape (2, n, 2); and the index of the nearest sample of the track.
    """
    piece = np.diff(xy, axis=1)
    length2 = np.maximum(np.sum(piece**2, axis=-1), 1e-12)
    share = np.sum((place - xy[:, :-1]) * piece, axis=-1) / length2
    bounded = np.clip(share, 0.0, 1.0)
    off = place - xy[:, :-1] - bounded[..., None] * piece
    distance2 = np.sum(off**2, axis=-1)
    distance2 = np.where(np.isfinite(distance2), distance2, np.inf)
    best = np.argmin(distance2, axis=1)
    rows = np.arange(len(xy))
    there = np.isfinite(distance2[rows, best])
    chosen, step_s = piece[rows, best], seconds[1] - seconds[0]
    size = np.sqrt(length2[rows, best])
    along = np.where(there[:, None], chosen / size[:, None], [1.0, 0.0])
    # The last segment is extrapolated, so that a time is not clipped to the predicted range
    where = np.where(there, share[rows, best], 0.0)
    first, last = best == 0, best == xy.shape[1] - 2
    where = np.where(first & (where < 0.0) | last & (where > 1.0), where, np.clip(where, 0.0, 1.0))
    foot = xy[rows, best] + where[:, None] * chosen
    miss = place - foot
    beside = np.where(there, along[:, 0] * miss[:, 1] - along[:, 1] * miss[:, 0], np.inf)
    right = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    return (
        seconds[best] + where * step_s,
        beside,
        np.where(there, size / step_s, 1.0),
        np.stack([along, right]),
        np.where(where > 0.5, best + 1, best),
    )
