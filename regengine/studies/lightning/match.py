"""Match flashes with another instrument's pulses in space and time, storm by storm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.types import Columns, FloatArray, IndexArray
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
class Matches(Columns):
    """Results of matching, one row per sighting; NaN without a match.

    Attributes
    ----------
    pulse : ndarray of int
        Row of the matched pulse; -1 for none.
    covered : ndarray of bool
        Whether the instrument's files cover the time.
    east_km, north_km : ndarray of float64
        From the sighting to its pulse, without correction.
    storm : ndarray of int
        Number of the storm.
    offset_east_km, offset_north_km : ndarray of float64
        Systematic offset of the storm: the median of the first matches; for a storm with too few of
        them, that of all, else 0.
    distance_km : ndarray of float64
        Residual distance after subtraction of the offset.
    time_off_s : ndarray of float64
        Time of the pulse minus the nearest time within the sighting.
    chance : ndarray of float64
        Share of the covered times at which a pulse at least as near would have been found.
    """

    pulse: IndexArray
    covered: np.typing.NDArray[np.bool_]
    east_km: FloatArray
    north_km: FloatArray
    storm: IndexArray
    offset_east_km: FloatArray
    offset_north_km: FloatArray
    distance_km: FloatArray
    time_off_s: FloatArray
    chance: FloatArray


def match(sightings: Sightings, series: PulseSeries, slack_s: float) -> Matches:
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
    return Matches(
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
