"""Match flashes with another instrument's pulses in space and time, storm by storm.

The clock offset of a time-lapse is determined from the pattern of its flashes. The time of one
flash is known to an exposure, and there is always another similar pulse. With several flashes at
known places, only one clock offset puts a pulse within the exposure of each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from detectors.types import BoolArray, Columns, FloatArray, IndexArray
from matchers.geometry.earth import ecef_to_geodetic, local_axes
from regengine.studies.lightning.pulses import Pulses, PulseSeries


@dataclass(frozen=True, kw_only=True)
class Sightings(Columns):
    """Flashes of registered photos, or pulses of another instrument: one row each.

    They occurred between ``start_s`` and ``end_s``, seconds of UTC since 2000-01-01 12:00, at
    ``position_ecef_m``, shape (n, 3), at the height of the cloud tops.
    """

    start_s: FloatArray
    end_s: FloatArray
    position_ecef_m: FloatArray


# Tolerances of a match.
REACH_BEFORE_OFFSET_KM = 25.0
REACH_KM = 16.5


@dataclass(frozen=True, kw_only=True)
class PulseMatches(Columns):
    """Results of matching, one row per sighting; NaN without a match."""

    pulse: IndexArray  # row of the matched pulse; -1 for none
    covered: BoolArray  # whether the instrument's files cover the time
    east_km: FloatArray  # from the sighting to its pulse, without correction
    north_km: FloatArray
    storm: IndexArray  # number of the storm
    # Systematic offset of the storm: the median of the first matches; for a storm with too few of
    # them, that of all, else 0
    offset_east_km: FloatArray
    offset_north_km: FloatArray
    distance_km: FloatArray  # residual, after subtraction of the offset
    time_off_s: FloatArray  # time of the pulse minus the nearest time within the sighting
    # Share of the covered times at which a pulse at least as near would have been found
    chance: FloatArray


def match(sightings: Sightings, series: PulseSeries, slack_s: float) -> PulseMatches:
    """Match sightings with the pulses that are nearest in space and time.

    ``slack_s`` is the maximum difference of times: three sigma.
    """
    count, pulses = len(sightings.start_s), series.pulses
    first, last = sightings.start_s - slack_s, sightings.end_s + slack_s
    covered_s = merge(series.spans_s)
    covered = measure(covered_s, last) - measure(covered_s, first) > 0.0
    # Flashes linked by at most 50 km belong to one storm
    storm = group_near(sightings.position_ecef_m, 50.0)
    near = find_neighbours(sightings.position_ecef_m, pulses, 2.0 * REACH_BEFORE_OFFSET_KM)

    # First without an offset, then with that of each storm, or of all if a storm has too few
    offset_km = np.zeros((count, 2))
    for reach in (REACH_BEFORE_OFFSET_KM, REACH_KM):
        pulse, residual_km = np.full(count, -1), np.full((count, 2), np.nan)
        for k, (row, away_km) in enumerate(near):
            time_s = pulses.time_s[row]
            left_km = np.hypot(*(away_km - offset_km[k]).T)
            off_s = np.abs(time_s - np.clip(time_s, sightings.start_s[k], sightings.end_s[k]))
            fits = np.flatnonzero((off_s <= slack_s) & (left_km <= reach))
            if len(fits):
                off_sigmas = 3.0 * off_s[fits] / max(slack_s, 1e-9)
                best = fits[np.argmin(np.hypot(left_km[fits] / 5.5, off_sigmas))]
                pulse[k], residual_km[k] = row[best], away_km[best]
        if reach == REACH_KM:
            break
        every = np.ones(count, bool)
        for members in (every, *(storm == one for one in range(storm.max(initial=-1) + 1))):
            found = members & (pulse >= 0)
            if np.count_nonzero(found) >= 3:
                offset_km[members] = np.median(residual_km[found], axis=0)

    distance_km = np.hypot(*(residual_km - offset_km).T)
    time_off_s, chance = np.full(count, np.nan), np.full(count, np.nan)
    for k in np.flatnonzero(pulse >= 0).tolist():
        begin_s, end_s = sightings.start_s[k], sightings.end_s[k]
        time_s = pulses.time_s[pulse[k]]
        time_off_s[k] = time_s - np.clip(time_s, begin_s, end_s)
        row, away_km = near[k]
        as_near = np.hypot(*(away_km - offset_km[k]).T) <= distance_km[k]
        found_s = pulses.time_s[row[as_near]]
        # Start times of the exposure that would have included one of them, while the place was in
        # view
        met_s = merge(np.stack([found_s - (end_s - begin_s) - slack_s, found_s + slack_s], axis=1))
        looked_s = begin_s + 0.5 * series.view_s * np.array([-1.0, 1.0])
        met_s = measure(covered_s, np.clip(met_s, *looked_s))
        chance[k] = np.sum(met_s[:, 1] - met_s[:, 0]) / np.ptp(measure(covered_s, looked_s))
    return PulseMatches(
        pulse=pulse,
        covered=covered,
        east_km=residual_km[:, 0],
        north_km=residual_km[:, 1],
        storm=storm,
        offset_east_km=offset_km[:, 0],
        offset_north_km=offset_km[:, 1],
        distance_km=distance_km,
        time_off_s=time_off_s,
        chance=chance,
    )


# Rows of the pulses near a place, and their distances to the east and north, km, (n, 2)
Neighbours = list[tuple[IndexArray, FloatArray]]


def find_neighbours(position_ecef_m: FloatArray, pulses: Pulses, reach_km: float) -> Neighbours:
    """Find the pulses near each of some places."""
    from scipy.spatial import KDTree

    lon, lat, _ = ecef_to_geodetic(position_ecef_m)
    found: Any = [[]] * len(position_ecef_m)
    if len(pulses.time_s):
        found = KDTree(pulses.position_ecef_m).query_ball_point(
            position_ecef_m, 1e3 * reach_km, return_sorted=True
        )
    rows = [np.asarray(numbers, np.intp) for numbers in found]
    return [
        (row, (pulses.position_ecef_m[row] - place) @ axis[:2].T / 1e3)
        for row, place, axis in zip(rows, position_ecef_m, local_axes(lon, lat), strict=True)
    ]


def group_near(position_m: FloatArray, within_km: float) -> IndexArray:
    """Group number of each place, (n, m): single linkage with this maximum distance."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    count = len(position_m)
    if not count:
        return np.zeros(0, np.intp)
    pairs = KDTree(position_m).query_pairs(1e3 * within_km, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.intp)


def merge(spans: FloatArray) -> FloatArray:
    """Merge overlapping spans (n, 2) into disjoint ones, ascending."""
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    highest = np.maximum.accumulate(spans[:, 1])
    new = np.concatenate([[True], spans[1:, 0] > highest[:-1]])
    last = np.flatnonzero(np.concatenate([new[1:], [True]]))
    return np.stack([spans[new, 0], highest[last]], axis=1)


def measure(spans: FloatArray, up_to: FloatArray) -> FloatArray:
    """Length of merged spans below the given numbers."""
    lengths = np.concatenate([[0.0], np.cumsum(spans[:, 1] - spans[:, 0])])
    ends = np.interp(up_to, spans.ravel(), np.stack([lengths[:-1], lengths[1:]], axis=1).ravel())
    return np.asarray(ends)


APART_S = 0.8  # between two peaks
MAX_SYSTEMATIC_KM = 14.0  # of the common position offset


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Clock offset from the pattern of flashes."""

    offset_s: float  # correction to add to the camera's times
    sigma_s: float
    margin: float  # natural logarithm of the odds for that offset, against all others and none
    # Of the probability that flashes at these places in randomly drawn frames fit as well
    log10_chance: float
    is_sure: bool  # whether the odds reach a probability of 0.999
    flashes: int  # number, with pieces of one flash counted as one
    matched: int  # of these, with a pulse at that offset
    east_km: float  # systematic offset of the pulses from the flashes
    north_km: float


def find_clock(
    sightings: Sightings,
    frame_starts_s: FloatArray,
    pulses: Pulses,
    slack_s: float,
    window_s: float,
    seed: int = 0,
) -> Clock | None:
    """Find a time-lapse's clock offset; None with too few flashes or pulses nearby.

    ``sightings`` are by the camera's times; ``frame_starts_s``, (m,), of all frames, with and
    without flashes; ``slack_s`` is the maximum error of times from frame to frame, ``window_s`` the
    range of offsets to either side. The numbers of the search were measured on simulated
    time-lapses (lightning-match).
    """
    # Pieces of one flash in one frame are one piece of evidence: a microsecond counts as 1 km
    apart_m = np.column_stack([sightings.position_ecef_m, 1e9 * sightings.start_s])
    piece_of = group_near(apart_m, REACH_KM)
    _, first = np.unique(piece_of, return_index=True)
    middle_m = np.array(
        [sightings.position_ecef_m[piece_of == one].mean(axis=0) for one in piece_of[first]]
    ).reshape(-1, 3)
    sightings = replace(sightings.select(first), position_ecef_m=middle_m)
    if len(first) < 3:
        return None
    near = find_neighbours(sightings.position_ecef_m, pulses, REACH_KM + MAX_SYSTEMATIC_KM)
    if not any(len(rows) for rows, _ in near):
        return None
    length_s = sightings.end_s - sightings.start_s
    step_s = 0.02
    offsets = np.arange(-window_s, window_s + step_s, step_s)

    def score(start_s: FloatArray, shift_km: tuple[float, float] = (0.0, 0.0)) -> FloatArray:
        """Log likelihood ratio of each offset to chance, for pulses shifted east and north.

        For each flash, the best pulse of its exposure counts, relative to the usual rate at its
        place.
        """
        total = np.zeros(len(offsets))
        for k, (rows, east_north_km) in enumerate(near):
            away_km = np.hypot(*(east_north_km - shift_km).T)
            close = np.flatnonzero(away_km <= REACH_KM)
            close = close[np.argsort(-away_km[close])]  # nearest last: it overwrites others
            late_s = pulses.time_s[rows[close]] - start_s[k]
            value = np.exp(-0.5 * (away_km[close] / 5.5) ** 2)
            first = np.searchsorted(offsets, late_s - length_s[k] - slack_s)
            beyond = np.searchsorted(offsets, late_s + slack_s, side="right")
            best = np.zeros(len(offsets))
            for low, high, one in zip(first.tolist(), beyond.tolist(), value.tolist(), strict=True):
                best[low:high] = one
            # Share of the flashes that the instrument also detects; the others match only by chance
            total += np.log(1.0 - 0.7 + 0.7 * best / max(best.mean(), 1e-6))
        return total

    likelihood = score(sightings.start_s)

    # The best offsets, each with its best common position offset and its evidence: the integral
    # over the offsets around, and (Laplace) over the position offset
    found = []
    for peak_s in find_peaks(offsets, likelihood):
        residual_km = measure_residuals(sightings, near, pulses, peak_s, slack_s)
        known = np.isfinite(residual_km[:, 0])
        east_km, north_km = np.median(residual_km[known], axis=0) if known.any() else (0.0, 0.0)
        shift_km = float(east_km), float(north_km)
        # The offset is averaged within this range of a peak
        around = np.abs(offsets - peak_s) <= 1.5
        logs = score(sightings.start_s, shift_km)[around]
        weight = np.exp(logs - logs.max())
        offset_s = float(np.average(offsets[around], weights=weight))
        sigma_s = np.sqrt(np.average((offsets[around] - offset_s) ** 2, weights=weight))
        # One sigma of the distance between a pulse and its flash
        spread_km = 5.5 / max(int(np.count_nonzero(known)), 1) ** 0.5
        # One sigma of the common position offset, on each axis
        far = (shift_km[0] ** 2 + shift_km[1] ** 2) / 5.0**2
        evidence = logs.max() + np.log(weight.sum() * step_s)
        evidence += 2.0 * np.log(spread_km / 5.0) - 0.5 * far
        found.append((float(evidence), offset_s, float(sigma_s), shift_km))
    found.sort(key=lambda one: -one[0])
    evidence, offset_s, sigma_s, shift_km = found[0]
    # Alternatives: the other peaks, and none of these, with equal prior probability
    others = [one[0] for one in found[1:] if abs(one[1] - offset_s) > APART_S]
    margin = evidence - float(np.logaddexp.reduce([np.log(2.0 * window_s), *others]))

    # Chance: the same flashes in randomly drawn frames; the maximum has a Gumbel distribution
    rng = np.random.default_rng(seed)
    by_chance = [score(rng.choice(frame_starts_s, len(length_s))).max() for _ in range(99)]
    scale = max(float(np.std(by_chance)) * np.sqrt(6.0) / np.pi, 1e-3)
    middle = float(np.mean(by_chance)) - np.euler_gamma * scale
    # 1 - exp(-exp(-z)), which approaches exp(-z) for large z
    tail = np.exp(np.clip((middle - float(likelihood.max())) / scale, -600.0, 600.0))
    log10_chance = float(np.log10(max(-np.expm1(-tail), 1e-300)))

    residual_km = measure_residuals(sightings, near, pulses, offset_s, slack_s)
    left_km = np.hypot(*(residual_km - shift_km).T)
    return Clock(
        offset_s=offset_s,
        sigma_s=max(sigma_s, step_s),
        margin=margin,
        log10_chance=log10_chance,
        is_sure=margin > np.log(0.999 / (1.0 - 0.999)),
        flashes=len(length_s),
        matched=int(np.count_nonzero(left_km <= REACH_KM)),
        east_km=shift_km[0],
        north_km=shift_km[1],
    )


def find_peaks(offsets_s: FloatArray, likelihood: FloatArray) -> list[float]:
    """Offsets of the highest likelihoods, well separated; of a plateau its middle."""
    left, peaks = likelihood.copy(), []
    for _ in range(6):
        top = np.flatnonzero(left == left.max())
        near_first = top[offsets_s[top] - offsets_s[top[0]] <= APART_S]
        peaks.append(float(np.mean(offsets_s[near_first])))
        left[np.abs(offsets_s - peaks[-1]) <= APART_S] = -np.inf
    return peaks


def measure_residuals(
    sightings: Sightings, near: Neighbours, pulses: Pulses, offset_s: float, slack_s: float
) -> FloatArray:
    """East and north, km, from each flash to the nearest simultaneous pulse; NaN without one."""
    residual_km = np.full((len(sightings.start_s), 2), np.nan)
    for k, (rows, east_north_km) in enumerate(near):
        late_s = pulses.time_s[rows] - offset_s
        away_km = np.hypot(*east_north_km.T)
        fits = (late_s >= sightings.start_s[k] - slack_s) & (late_s <= sightings.end_s[k] + slack_s)
        fits &= away_km <= REACH_KM + MAX_SYSTEMATIC_KM
        if fits.any():
            residual_km[k] = east_north_km[fits][np.argmin(away_km[fits])]
    return residual_km


def restore_fractions(times_s: FloatArray, numbers: FloatArray) -> tuple[FloatArray, float]:
    """Restore the fractions of frame times in whole seconds, and estimate their one sigma.

    Cameras truncate the fraction, half a second on average. If the frame numbers show that frames
    were taken at equal intervals, the intervals determine it; an offset common to all is part of
    the clock offset.
    """
    if np.any(np.abs(times_s - np.round(times_s)) > 1e-4):
        return times_s, 0.01  # the times have fractions
    cut_s = float(1.0 / np.sqrt(12.0))
    if len(times_s) >= 8 and np.ptp(numbers) > 0:
        slope, start = np.polyfit(numbers - numbers[0], times_s - times_s[0], 1)
        fitted = times_s[0] + start + slope * (numbers - numbers[0])
        # Truncated equidistant times lie within a second of a line; the error decreases with their
        # number
        if slope > 0.0 and np.ptp(times_s - fitted) < 1.2:
            return fitted + 0.5, 2.0 * cut_s / float(np.sqrt(len(times_s)))
    return times_s + 0.5, cut_s
