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
from typing import Any

import numpy as np

from regengine.registration.neighbour_priors import AGREE_S, agreeing, lesson_of
from regengine.result import FrameResult

# On its orbit; the ground below passes at 7.2 km a second
ORBITAL_SPEED_KM_S = 7.66
NORMAL_SPREAD = 1.4826  # standard deviation of normal values over their median absolute deviation
# Agreement is looked for among so many, evenly spread over the day
MOST_COMPARED = 500

Row = dict[str, Any]


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

    def clock_offsets(self) -> list[Row]:
        """By camera body and day by its clock, ISO 8601, UTC; see `clock_offset`."""
        return [
            {"camera_body": body, "day": day}
            | clock_offset(*np.reshape(values, (-1, 3)).T.tolist())
            for (body, day), values in sorted(self._offsets.items())
        ]

    def lens_ratios(self) -> list[Row]:
        """Solved over nominal focal length by body and nominal length: crops are 1.2 to 2 times."""
        return [
            {"camera_body": body, "focal_mm": focal_mm} | _spread(values)
            for (body, focal_mm), values in sorted(self._ratios.items())
        ]


def clock_offset(
    offsets_s: Sequence[float], tle_sigmas_s: Sequence[float], tle_ages_h: Sequence[float]
) -> Row:
    """The offset along the orbit of one camera body's photos of one day.

    Positive where the station was further along than the photo's time says, as with a clock that
    is late; ``agree`` is the share of the photos that lie within `AGREE_S` of each other,
    ``median_km`` what the median makes along the orbit. How wrong the element sets may be (one
    sigma) and how old they are stands beside it by their medians.
    """
    told = _spread(offsets_s, "_s")
    compared = offsets_s[:: -(-len(offsets_s) // MOST_COMPARED)]
    return told | {
        "agree": len(agreeing(compared, AGREE_S)) / len(compared),
        "median_km": told["median_s"] * ORBITAL_SPEED_KM_S,
        "tle_sigma_s": float(np.median(tle_sigmas_s)),
        "tle_age_h": float(np.median(tle_ages_h)),
    }


def _spread(values: Sequence[float], unit: str = "") -> Row:
    """How many photos, median, spread and extremes, with the unit in their names.

    The spread is a standard deviation, told by the median absolute deviation; nan of one photo.
    """
    median = float(np.median(values))
    off = float(np.median(np.abs(np.subtract(values, median))))
    return {
        "photos": len(values),
        f"median{unit}": median,
        f"spread{unit}": NORMAL_SPREAD * off if len(values) > 1 else float("nan"),
        f"lowest{unit}": min(values),
        f"highest{unit}": max(values),
    }


def _numbers() -> array[float]:
    return array("d")
