"""What accepted photos tell of cameras: how wrong each clock was each day, how long lenses are.

An offset along the orbit is the sum of two errors: the camera's clock, and the element set's
place of the station. Fresh element sets are wrong by less than a second, so there the clock
remains; the ages and the sigma of the element sets stand beside each median.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regengine.registration.neighbour_priors import AGREE_S, agreeing, lesson_of
from regengine.result import FrameResult

# On its orbit; the ground below passes at 7.2 km a second
ORBITAL_SPEED_KM_S = 7.66
NORMAL_SPREAD = 1.4826  # standard deviation of normal values over their median absolute deviation
# Agreement is looked for among so many, evenly spread over the day
MOST_COMPARED = 500


@dataclass(frozen=True, kw_only=True)
class ClockOffset:
    """Offset along the orbit of one camera body's photos of one day.

    Offsets are positive where the station was further along than the photo's time says, as with a
    clock that is late. The spread is a standard deviation, told by the median absolute deviation;
    nan of a single photo.
    """

    camera_body: str
    day: str  # by the camera's clock, ISO 8601, UTC
    photos: int  # accepted ones whose place was taken from element sets
    median_s: float
    spread_s: float
    lowest_s: float
    highest_s: float
    agree: float  # share of the photos that lie within `AGREE_S` of each other
    median_km: float  # what the median makes along the orbit
    tle_sigma_s: float  # median of how wrong the element sets may be, one sigma
    tle_age_h: float  # median


@dataclass(frozen=True, kw_only=True)
class LensRatio:
    """Solved over nominal focal length of a camera body's accepted photos of one nominal length.

    The spread is as in `ClockOffset`; crops lie 1.2 to 2 times above the rest.
    """

    camera_body: str
    focal_mm: float
    photos: int
    median: float
    spread: float
    lowest: float
    highest: float


class CameraTally:
    """Offsets and focal lengths of photos as they come by, 24 and 8 bytes each."""

    def __init__(self) -> None:
        self._offsets: defaultdict[tuple[str, str], array[float]] = defaultdict(_numbers)
        self._ratios: defaultdict[tuple[str, float], array[float]] = defaultdict(_numbers)

    def add(self, result: FrameResult) -> None:
        """Take what an accepted photo teaches; others teach nothing."""
        try:
            lesson = lesson_of(result)
        except (ValueError, ZeroDivisionError):  # a time or a pitch that this program never wrote
            return
        if lesson is None or result.nadir is None or not math.isfinite(lesson.offset_s):
            return
        body, day = lesson.facts.camera_body, lesson.facts.time_utc.date().isoformat()
        age_h = float("nan") if result.nadir.tle_age_h is None else result.nadir.tle_age_h
        sigma_s = result.nadir.sigma_along_km / ORBITAL_SPEED_KM_S
        self._offsets[body, day].extend((lesson.offset_s, sigma_s, age_h))
        if result.focal_mm is not None and math.isfinite(lesson.focal_ratio):
            self._ratios[body, result.focal_mm].append(lesson.focal_ratio)

    def clock_offsets(self) -> list[ClockOffset]:
        """By camera body and day."""
        return [
            clock_offset(body, day, *np.reshape(values, (-1, 3)).T.tolist())
            for (body, day), values in sorted(self._offsets.items())
        ]

    def lens_ratios(self) -> list[LensRatio]:
        """By camera body and nominal focal length."""
        return [
            lens_ratio(body, focal_mm, values)
            for (body, focal_mm), values in sorted(self._ratios.items())
        ]


def clock_offset(
    camera_body: str,
    day: str,
    offsets_s: Sequence[float],
    tle_sigmas_s: Sequence[float],
    tle_ages_h: Sequence[float],
) -> ClockOffset:
    """The offset of one camera body on one day."""
    median_s, spread_s = _median_and_spread(offsets_s)
    step = -(-len(offsets_s) // MOST_COMPARED)
    compared = offsets_s[::step]
    return ClockOffset(
        camera_body=camera_body,
        day=day,
        photos=len(offsets_s),
        median_s=median_s,
        spread_s=spread_s,
        lowest_s=min(offsets_s),
        highest_s=max(offsets_s),
        agree=len(agreeing(compared, AGREE_S)) / len(compared),
        median_km=median_s * ORBITAL_SPEED_KM_S,
        tle_sigma_s=float(np.median(tle_sigmas_s)),
        tle_age_h=float(np.median(tle_ages_h)),
    )


def lens_ratio(camera_body: str, focal_mm: float, ratios: Sequence[float]) -> LensRatio:
    """The focal ratio of one camera body and nominal focal length."""
    median, spread = _median_and_spread(ratios)
    return LensRatio(
        camera_body=camera_body,
        focal_mm=focal_mm,
        photos=len(ratios),
        median=median,
        spread=spread,
        lowest=min(ratios),
        highest=max(ratios),
    )


def _median_and_spread(values: Sequence[float]) -> tuple[float, float]:
    median = float(np.median(values))
    if len(values) < 2:
        return median, float("nan")
    return median, NORMAL_SPREAD * float(np.median(np.abs(np.subtract(values, median))))


def _numbers() -> array[float]:
    return array("d")
