"""Which satellite drew each streak, or one that is not listed.

A streak has four numbers: for each end, when the satellite's predicted track passes it (against the
start or the end of the exposure) and how far beside it the track runs. Under the errors of orbit,
attitude and measurement they are normal, with the clock's error added to both times. An end that
the border cuts, or that faded, has no time of its own but must lie within the exposure.

All streaks of a frame share the error of its clock. For each such error every streak was drawn by
one of the catalogue's satellites or by something else; what the streaks say of it together weighs
the errors, and the probabilities are means over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, ndtr

from detectors.types import FloatArray, IndexArray

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
GATE = 7.0  # sigmas beside the track, of the wide errors: nothing beyond weighs anything
# An end that is not at the border is that of the exposure, unless the satellite dimmed
FADED_SHARE = 0.08
# Satellites that are not in the catalogue fly along with those that are, launched together: so many
# of them for each listed one on the track, anywhere on the part of it that was followed
COMPANION_SHARE = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Streak:
    """One measured streak.

    Attributes
    ----------
    ends : ndarray of float64, shape (2, 2, 2)
        Places of its ends (second axis) in the picture of the exposure's middle, if the first end
        was drawn first (first axis 0) or last (1). The two differ for trailing stars alone.
    cut : tuple of bool
        Whether the border cuts the first, the second end.
    sigma_end_px, sigma_line_px : float
        One sigma of the ends along and across it.
    """

    ends: FloatArray
    cut: tuple[bool, bool]
    sigma_end_px: float
    sigma_line_px: float


@dataclass(frozen=True, kw_only=True)
class Errors:
    """What may be wrong with all predictions.

    ``wide`` has the factors by which each of the K errors of a track is larger for the
    ``wide_share`` of satellites whose orbits have changed; ``clock_sigma_s`` is of the camera's
    clock.
    """

    exposure_s: float
    clock_sigma_s: float
    attitude_px: float
    wide_share: float
    wide: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictedTracks:
    """Where n satellites are predicted in the picture of the exposure's middle."""

    xy: FloatArray  # (n, T, 2): pixels
    per_sigma: FloatArray  # (n, T, 2, K): by how much one sigma of each error moves them
    seconds: FloatArray  # (T,): from the exposure's middle
    seen: FloatArray  # (n, T): probability that each satellite is bright enough at each moment


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Densities of one streak for m tracks and G errors of the clock."""

    rows: IndexArray  # (m,): which tracks
    # (m, G): natural logarithm, per pixel for each number of the streak that counts
    log_density: FloatArray
    # (m,): the same for some other satellite on the same track, for each second in which it may
    # pass
    log_companion: FloatArray
    # (m,): by how much the satellite is ahead of its prediction, mean of the ends that tell; NaN
    # where none does
    ahead_s: FloatArray
    beside_px: FloatArray  # (m,): mean distance from the track, positive to its right
    turned_deg: FloatArray  # (m,): from the track's direction to the streak's
    seconds: FloatArray  # (m,): moment of the track at the streak's middle


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
    streaks: Sequence[Streak], tracks: PredictedTracks, errors: Errors, size_px: tuple[int, int]
) -> list[Naming]:
    """Probabilities of all satellites for each streak of a frame of some width and height."""
    clock, log_prior = clock_errors(errors.clock_sigma_s)
    found = [streak_evidence(one, tracks, clock, errors) for one in streaks]
    seen, seconds = tracks.seen, tracks.seconds
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
    shares = np.zeros((len(streaks), len(seen)))
    for row, (evidence, one, total) in enumerate(zip(found, weighed, totals, strict=True)):
        each = np.exp(logsumexp(one - total + log_clock, axis=1))
        np.add.at(shares[row], evidence.rows, each)
    shares = one_streak_each(shares)
    return [_naming(evidence, share) for evidence, share in zip(found, shares, strict=True)]


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


def streak_evidence(
    streak: Streak, tracks: PredictedTracks, clock_s: FloatArray, errors: Errors
) -> Evidence:
    """Weigh a streak against the tracks that are near it.

    Errors of the clock, shape (G,), are positive where the exposure was later than told.
    """
    parts = [_one_way(streak, order, tracks, clock_s, errors) for order in range(2)]
    return Evidence(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in Evidence.__dataclass_fields__
        }
    )


def _one_way(
    streak: Streak, order: int, tracks: PredictedTracks, clock_s: FloatArray, errors: Errors
) -> Evidence:
    """The tracks on which the ends come in one order, start before finish."""
    which = (0, 1) if order == 0 else (1, 0)
    places = streak.ends[order][list(which)]
    cut = (streak.cut[which[0]], streak.cut[which[1]])
    meetings = [meet(tracks.xy, tracks.seconds, place) for place in places]
    wide = np.array(errors.wide)
    near = meetings[0].seconds < meetings[1].seconds
    for meeting in meetings:
        near &= np.abs(meeting.beside_px) < GATE * _spread_px(
            meeting, tracks.per_sigma, wide, errors, streak
        )
    rows = np.flatnonzero(near)
    start, finish = (_of(meeting, rows) for meeting in meetings)
    half = 0.5 * errors.exposure_s
    numbers = Numbers(
        values=np.stack(
            [start.seconds + half, finish.seconds - half, start.beside_px, finish.beside_px],
            axis=-1,
        ),
        speeds=np.stack([start.speed_px_s, finish.speed_px_s], axis=-1),
        cut=cut,
        exposure_s=errors.exposure_s,
    )
    noise = _noise(start, finish, streak, errors.attitude_px)
    moved = [tracks.per_sigma[rows, meeting.step] for meeting in (start, finish)]  # (m, 2, K) each
    slopes = _slopes(start, finish, moved)
    core = np.einsum("mik,mjk->mij", slopes, slopes) + noise
    widened = slopes * wide
    loose = np.einsum("mik,mjk->mij", widened, widened) + noise
    terms = []
    for share, covariance in ((1.0 - errors.wide_share, core), (errors.wide_share, loose)):
        for weight, kept in _ways_to_end(cut):
            density = numbers.log_density(covariance, kept, clock_s)
            terms.append(np.log(share * weight) + density)
    kept = (not cut[0], not cut[1])
    passing = _of(meet(tracks.xy[rows], tracks.seconds, places.mean(axis=0)), np.arange(len(rows)))
    times = [k for k in range(2) if kept[k]]
    chord = places[1] - places[0]
    turned = np.arctan2(
        passing.along[:, 0] * chord[1] - passing.along[:, 1] * chord[0], passing.along @ chord
    )
    ahead = numbers.values[:, times].mean(axis=1) if times else np.full(len(rows), np.nan)
    return Evidence(
        rows=rows,
        log_density=logsumexp(np.stack(terms), axis=0),
        log_companion=numbers.log_companion(core, kept),
        ahead_s=ahead,
        beside_px=numbers.values[:, 2:].mean(axis=1),
        turned_deg=np.degrees(turned),
        seconds=passing.seconds,
    )


def _of(meeting: Meeting, rows: IndexArray) -> Meeting:
    return Meeting(**{n: getattr(meeting, n)[rows] for n in Meeting.__dataclass_fields__})


def _spread_px(
    meeting: Meeting, per_sigma: FloatArray, wide: FloatArray, errors: Errors, streak: Streak
) -> FloatArray:
    """One sigma beside the track, wide errors taken."""
    moved = per_sigma[np.arange(len(meeting.step)), meeting.step]
    beside = np.einsum("nck,nc->nk", moved, meeting.right) * wide
    noise = streak.sigma_line_px**2 + errors.attitude_px**2
    return np.sqrt(np.nansum(beside**2, axis=1) + noise)


def _ways_to_end(cut: tuple[bool, bool]) -> list[tuple[float, tuple[bool, bool]]]:
    """Which ends are those of the exposure, and with which probability."""
    ways = []
    for first in (True, False):
        for second in (True, False):
            weight = 1.0
            for kept, at_border in ((first, cut[0]), (second, cut[1])):
                if at_border:
                    weight *= 0.0 if kept else 1.0
                else:
                    weight *= 1.0 - FADED_SHARE if kept else FADED_SHARE
            if weight > 0.0:
                ways.append((weight, (first, second)))
    return ways


def _slopes(start: Meeting, finish: Meeting, moved: list[FloatArray]) -> FloatArray:
    """What one sigma of each error does to the four numbers, shape (m, 4, K)."""
    times, sides = [], []
    for meeting, shift in zip((start, finish), moved, strict=True):
        shift = np.nan_to_num(shift)
        # A satellite ahead of its prediction is where that has it later
        times.append(np.einsum("mck,mc->mk", shift, meeting.along) / meeting.speed_px_s[:, None])
        sides.append(np.einsum("mck,mc->mk", shift, meeting.right))
    return np.stack([*times, *sides], axis=1)


def _noise(start: Meeting, finish: Meeting, streak: Streak, attitude_px: float) -> FloatArray:
    """Covariance of the four numbers from measurement and attitude, shape (m, 4, 4)."""
    shift = np.stack(
        [
            start.along / start.speed_px_s[:, None],
            finish.along / finish.speed_px_s[:, None],
            start.right,
            finish.right,
        ],
        axis=1,
    )
    common = attitude_px**2 * np.einsum("mic,mjc->mij", shift, shift)
    own = np.stack(
        [
            (streak.sigma_end_px / start.speed_px_s) ** 2,
            (streak.sigma_end_px / finish.speed_px_s) ** 2,
            np.full(len(start.seconds), streak.sigma_line_px**2),
            np.full(len(start.seconds), streak.sigma_line_px**2),
        ],
        axis=-1,
    )
    return common + own[:, :, None] * np.eye(4)


@dataclass(frozen=True, kw_only=True, eq=False)
class Numbers:
    """The four numbers of a streak for m tracks: two times, and two distances beside the track."""

    # (m, 4): seconds from the exposure's start and from its end; pixels beside, at either end
    values: FloatArray
    speeds: FloatArray  # (m, 2): of the satellite at either end, pixels a second
    cut: tuple[bool, bool]  # whether the border cuts the end at the start, at the finish
    exposure_s: float

    def log_density(
        self, covariance: FloatArray, kept: tuple[bool, bool], clock_s: FloatArray
    ) -> FloatArray:
        """Logarithm of the density of the numbers that count, shape (m, G).

        ``kept`` says which ends are those of the exposure.
        """
        used, told = _used(kept)
        inverse, log_norm = _inverse(covariance, used)
        residual = self.values[:, used][:, None, :] - clock_s[:, None] * told  # (m, G, u)
        weighted = residual @ inverse
        log_density = -0.5 * np.sum(weighted * residual, axis=-1) + log_norm[:, None]
        for k in range(2):
            if kept[k]:
                log_density -= np.log(self.speeds[:, k])[:, None]
            elif not self.cut[k]:
                path = np.maximum(self.speeds[:, k] * self.exposure_s, 1.0)
                log_density -= np.log(path)[:, None]
        within = self._within_exposure(covariance, kept, weighted, clock_s)
        return log_density + np.log(np.maximum(within, 1e-30))

    def _within_exposure(
        self,
        covariance: FloatArray,
        kept: tuple[bool, bool],
        weighted: FloatArray,
        clock_s: FloatArray,
    ) -> FloatArray:
        """Probability that the ends without a time of their own were passed while exposing."""
        used, _ = _used(kept)
        shares = []
        for k in range(2):
            if kept[k]:
                continue
            gain = covariance[:, used, k]
            expected = np.einsum("mgu,mu->mg", weighted, gain)
            inverse, _ = _inverse(covariance, used)
            left = covariance[:, k, k] - np.einsum("mu,muv,mv->m", gain, inverse, gain)
            sigma = np.sqrt(np.maximum(left, 1e-12))[:, None]
            # Time from the start, or up to the finish, of the exposure
            inside = (self.values[:, k, None] - clock_s - expected) * (1.0 if k == 0 else -1.0)
            low = ndtr(inside / sigma)
            ended = len(used) == 2
            shares.append(low if ended else low - ndtr((inside - self.exposure_s) / sigma))
        if not shares:
            return np.ones((len(self.values), len(clock_s)))
        # Two ends without a time share their error: what one forbids the other does not allow again
        return shares[0] if len(shares) == 1 else np.maximum(shares[0] + shares[1] - 1.0, 0.0)

    def log_companion(self, covariance: FloatArray, kept: tuple[bool, bool]) -> FloatArray:
        """Logarithm of the density for a satellite on the same track at any time, shape (m,)."""
        used, told = _used(kept)
        inverse, log_norm = _inverse(covariance, used)
        residual = self.values[:, used]
        weighted = np.einsum("mu,muv->mv", residual, inverse)
        square = np.sum(weighted * residual, axis=-1)
        log_density = log_norm
        for k in range(2):
            if kept[k]:
                log_density = log_density - np.log(self.speeds[:, k])
        if not any(kept):
            return log_density - 0.5 * square + np.log(self.exposure_s)
        stiffness = np.einsum("u,muv,v->m", told, inverse, told)
        left = 0.5 * (square - (weighted @ told) ** 2 / stiffness)
        return np.asarray(log_density - left + 0.5 * np.log(2.0 * np.pi / stiffness))


def _used(kept: tuple[bool, bool]) -> tuple[list[int], FloatArray]:
    """Which of the four numbers count, and 1 for those of them that the clock's error moves."""
    used = [k for k in (0, 1) if kept[k]] + [2, 3]
    return used, np.array([1.0 if k < 2 else 0.0 for k in used])


def _inverse(covariance: FloatArray, used: list[int]) -> tuple[FloatArray, FloatArray]:
    """Inverse of a part of the covariance, and the logarithm of its normal density's factor."""
    part = covariance[:, used][:, :, used]
    _, log_det = np.linalg.slogdet(part)
    return np.asarray(np.linalg.inv(part)), -0.5 * (log_det + len(used) * np.log(2.0 * np.pi))


@dataclass(frozen=True, kw_only=True, eq=False)
class Meeting:
    """Where each of n tracks comes nearest to one place of a picture."""

    seconds: FloatArray  # (n,): when; beyond the ends of a track, on its last piece drawn out
    # (n,): how far off the place lies, positive to the right of someone who goes along the track
    # and sees y point down; infinite where there is no track
    beside_px: FloatArray
    speed_px_s: FloatArray
    along: FloatArray  # (n, 2): unit vector of the satellite's motion
    step: IndexArray  # (n,): the moment of the track that is next to it

    @property
    def right(self) -> FloatArray:
        """Unit vectors to the right of the motion, shape (n, 2)."""
        return np.stack([-self.along[:, 1], self.along[:, 0]], axis=-1)


def meet(xy: FloatArray, seconds: FloatArray, place: FloatArray) -> Meeting:
    """Nearest points of tracks to a place."""
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
    # The last piece goes on, so that a time is not clipped to the end of what was followed
    where = np.where(there, share[rows, best], 0.0)
    first, last = best == 0, best == xy.shape[1] - 2
    where = np.where(first & (where < 0.0) | last & (where > 1.0), where, np.clip(where, 0.0, 1.0))
    foot = xy[rows, best] + where[:, None] * chosen
    miss = place - foot
    beside = np.where(there, along[:, 0] * miss[:, 1] - along[:, 1] * miss[:, 0], np.inf)
    return Meeting(
        seconds=seconds[best] + where * step_s,
        beside_px=beside,
        speed_px_s=np.where(there, size / step_s, 1.0),
        along=along,
        step=np.where(where > 0.5, best + 1, best),
    )
