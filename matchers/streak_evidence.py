"""How probable a streak is if a certain satellite drew it, for each error of the clock.

A streak has four numbers: for each end, when the satellite's predicted track passes it (against the
start or the end of the exposure) and how far beside it the track runs. Under the errors of orbit,
attitude and measurement they are normal, with the clock's error added to both times. An end that
the border cuts, or that faded, has no time of its own but must lie within the exposure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, ndtr

from detectors.types import FloatArray, IndexArray

# Densities of a streak's four numbers: two times, and two distances beside the track.


def log_density_of(
    y: FloatArray,
    covariance: FloatArray,
    speeds: FloatArray,
    kept: tuple[bool, bool],
    cut: tuple[bool, bool],
    clock_s: FloatArray,
    exposure_s: float,
) -> FloatArray:
    """Logarithm of the density of the numbers that count."""
    used = [k for k in (0, 1) if kept[k]] + [2, 3]
    told = np.array([1.0 if k < 2 else 0.0 for k in used])
    inverse, log_norm = _inverse(covariance, used)
    residual = y[:, used][:, None, :] - clock_s[:, None] * told  # (m, G, u)
    weighted = residual @ inverse
    log_density = -0.5 * np.sum(weighted * residual, axis=-1) + log_norm[:, None]
    for k in range(2):
        if kept[k]:
            log_density -= np.log(speeds[:, k])[:, None]
        elif not cut[k]:
            log_density -= np.log(np.maximum(speeds[:, k] * exposure_s, 1.0))[:, None]
    within = _within_exposure(y, covariance, used, weighted, kept, clock_s, exposure_s)
    return log_density + np.log(np.maximum(within, 1e-30))


def _within_exposure(
    y: FloatArray,
    covariance: FloatArray,
    used: list[int],
    weighted: FloatArray,
    kept: tuple[bool, bool],
    clock_s: FloatArray,
    exposure_s: float,
) -> FloatArray:
    """Probability that the ends without a time of their own were passed while exposing."""
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
        inside = (y[:, k, None] - clock_s - expected) * (1.0 if k == 0 else -1.0)
        low = ndtr(inside / sigma)
        shares.append(low if len(used) == 2 else low - ndtr((inside - exposure_s) / sigma))
    if not shares:
        return np.ones((len(y), len(clock_s)))
    # Two ends without a time share their error: what one forbids the other does not allow again
    return shares[0] if len(shares) == 1 else np.maximum(shares[0] + shares[1] - 1.0, 0.0)


def log_companion_of(
    y: FloatArray,
    covariance: FloatArray,
    speeds: FloatArray,
    kept: tuple[bool, bool],
    exposure_s: float,
) -> FloatArray:
    """Logarithm of the density for a satellite on the same track at any time."""
    used = [k for k in (0, 1) if kept[k]] + [2, 3]
    told = np.array([1.0 if k < 2 else 0.0 for k in used])
    inverse, log_norm = _inverse(covariance, used)
    residual = y[:, used]
    weighted = np.einsum("mu,muv->mv", residual, inverse)
    square = np.sum(weighted * residual, axis=-1)
    log_density = log_norm
    for k in range(2):
        if kept[k]:
            log_density = log_density - np.log(speeds[:, k])
    if not any(kept):
        return log_density - 0.5 * square + np.log(exposure_s)
    stiffness = np.einsum("u,muv,v->m", told, inverse, told)
    pull = weighted @ told
    return (
        log_density - 0.5 * (square - pull**2 / stiffness) + 0.5 * np.log(2.0 * np.pi / stiffness)
    )


def _inverse(covariance: FloatArray, used: list[int]) -> tuple[FloatArray, FloatArray]:
    """Inverse of a part of the covariance, and the logarithm of its normal density's factor."""
    part = covariance[:, used][:, :, used]
    _, log_det = np.linalg.slogdet(part)
    return np.asarray(np.linalg.inv(part)), -0.5 * (log_det + len(used) * np.log(2.0 * np.pi))


# Where predicted tracks pass the ends of a streak: when, how far beside it, and how fast.


@dataclass(frozen=True, kw_only=True, eq=False)
class Meeting:
    """Where each of n tracks comes nearest to one place of a picture.

    Attributes
    ----------
    seconds : ndarray of float64, shape (n,)
        When; beyond the ends of a track, on its last piece drawn out.
    beside_px : ndarray of float64, shape (n,)
        How far off the place lies, positive to the right of someone who goes along the track and
        sees y point down; infinite where there is no track.
    speed_px_s : ndarray of float64, shape (n,)
        Of the satellite there.
    along : ndarray of float64, shape (n, 2)
        Unit vector of its motion.
    step : ndarray of int, shape (n,)
        The moment of the track that is next to it.
    """

    seconds: FloatArray
    beside_px: FloatArray
    speed_px_s: FloatArray
    along: FloatArray
    step: IndexArray

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
    ``wide_share`` of satellites whose orbits have changed.
    """

    exposure_s: float
    attitude_px: float
    wide_share: float
    wide: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Densities of one streak for m tracks and G errors of the clock.

    Attributes
    ----------
    rows : ndarray of int, shape (m,)
        Which tracks.
    log_density : ndarray of float64, shape (m, G)
        Natural logarithm, per pixel for each number of the streak that counts.
    log_companion : ndarray of float64, shape (m,)
        The same for some other satellite on the same track, for each second in which it may pass.
    ahead_s : ndarray of float64, shape (m,)
        By how much the satellite is ahead of its prediction, mean of the ends that tell; NaN where
        none does.
    beside_px : ndarray of float64, shape (m,)
        Mean distance from the track, positive to its right.
    turned_deg : ndarray of float64, shape (m,)
        From the track's direction to the streak's.
    seconds : ndarray of float64, shape (m,)
        Moment of the track at the streak's middle.
    """

    rows: IndexArray
    log_density: FloatArray
    log_companion: FloatArray
    ahead_s: FloatArray
    beside_px: FloatArray
    turned_deg: FloatArray
    seconds: FloatArray


def streak_evidence(
    streak: Streak,
    xy: FloatArray,
    per_sigma: FloatArray,
    seconds: FloatArray,
    clock_s: FloatArray,
    errors: Errors,
) -> Evidence:
    """Weigh a streak against tracks.

    Parameters
    ----------
    streak : Streak
    xy : ndarray of float64, shape (n, T, 2)
        Tracks in the picture of the exposure's middle.
    per_sigma : ndarray of float64, shape (n, T, 2, K)
        By how much one sigma of each error moves them.
    seconds : ndarray of float64, shape (T,)
        From the exposure's middle.
    clock_s : ndarray of float64, shape (G,)
        Errors of the clock: positive where the exposure was later than told.
    errors : Errors

    Returns
    -------
    Evidence
        Of the tracks that are near the streak.
    """
    parts = [_one_way(streak, order, xy, per_sigma, seconds, clock_s, errors) for order in range(2)]
    return Evidence(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in Evidence.__dataclass_fields__
        }
    )


def _one_way(
    streak: Streak,
    order: int,
    xy: FloatArray,
    per_sigma: FloatArray,
    seconds: FloatArray,
    clock_s: FloatArray,
    errors: Errors,
) -> Evidence:
    """The tracks on which the ends come in one order, start before finish."""
    which = (0, 1) if order == 0 else (1, 0)
    places = streak.ends[order][list(which)]
    cut = (streak.cut[which[0]], streak.cut[which[1]])
    meetings = [meet(xy, seconds, place) for place in places]
    wide = np.array(errors.wide)
    near = meetings[0].seconds < meetings[1].seconds
    for meeting in meetings:
        near &= np.abs(meeting.beside_px) < GATE * _spread_px(
            meeting, per_sigma, wide, errors, streak
        )
    rows = np.flatnonzero(near)
    start, finish = (_of(meeting, rows) for meeting in meetings)
    moved = [per_sigma[rows, meeting.step] for meeting in (start, finish)]  # (m, 2, K) for each end
    half = 0.5 * errors.exposure_s
    y = np.stack(
        [start.seconds + half, finish.seconds - half, start.beside_px, finish.beside_px], axis=-1
    )
    noise = _noise(start, finish, streak, errors.attitude_px)
    slopes = _slopes(start, finish, moved)
    speeds = np.stack([start.speed_px_s, finish.speed_px_s], axis=-1)
    core = np.einsum("mik,mjk->mij", slopes, slopes) + noise
    widened = slopes * wide
    loose = np.einsum("mik,mjk->mij", widened, widened) + noise
    terms = []
    for share, covariance in ((1.0 - errors.wide_share, core), (errors.wide_share, loose)):
        for weight, kept in _ways_to_end(cut):
            density = log_density_of(y, covariance, speeds, kept, cut, clock_s, errors.exposure_s)
            terms.append(np.log(share * weight) + density)
    kept = (not cut[0], not cut[1])
    middle = places.mean(axis=0)
    passing = _of(meet(xy[rows], seconds, middle), np.arange(len(rows)))
    times = [k for k in range(2) if kept[k]]
    chord = places[1] - places[0]
    turned = np.arctan2(
        passing.along[:, 0] * chord[1] - passing.along[:, 1] * chord[0], passing.along @ chord
    )
    return Evidence(
        rows=rows,
        log_density=logsumexp(np.stack(terms), axis=0),
        log_companion=log_companion_of(y, core, speeds, kept, errors.exposure_s),
        ahead_s=y[:, times].mean(axis=1) if times else np.full(len(rows), np.nan),
        beside_px=y[:, 2:].mean(axis=1),
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
