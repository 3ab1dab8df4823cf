"""Clock offsets and focal lengths of cameras, from accepted photos.

An offset along the orbit is the sum of two errors: the camera's clock, and the station's position
in the element set. Fresh element sets have errors of less than a second, so the clock error
dominates; the ages and the sigma of the element sets are listed with each median.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from detectors.constants import ORBITAL_SPEED_KM_S
from regengine.registration.parameters import NeighbourParams
from regengine.registration.priors.neighbours import find_agreeing
from regengine.report.figures import Photos

NORMAL_SPREAD = 1.4826  # standard deviation of normal values over their median absolute deviation
# Agreement is computed for at most this many, evenly distributed over the day
MAX_COMPARED = 500

Row = dict[str, Any]


def camera_figures(photos: Photos) -> tuple[list[Row], list[Row]]:
    """Clock and focal length statistics of accepted photos with positions from element sets.

    Clocks are by camera body and day by its clock, ISO 8601, UTC; see `clock_offset`. Lenses, by
    body and nominal focal length, have the ratio of solved to nominal focal length: crops are 1.2
    to 2.
    """
    offset_s, pitch_um = photos["along_track_offset_s"], photos["pixel_pitch_um"]
    teaching = (
        photos.where("verdict", "accepted")
        & photos.where("nadir_source", "tle")
        & ~photos.where("camera_body", "")
        & (photos["width_px"] >= 0)
        & (photos["height_px"] >= 0)
        & (pitch_um > 0.0)
        & photos.solved
        & np.isfinite(offset_s)
    )
    rows = np.flatnonzero(teaching)
    sigma_s = photos["sigma_along_km"] / ORBITAL_SPEED_KM_S
    facts = np.column_stack([offset_s, sigma_s, photos["tle_age_h"]])[rows].tolist()
    nominal_mm = np.where(photos["focal_mm"] > 0.0, photos["focal_mm"], np.nan)
    ratios = photos["focal_px"] * pitch_um / (1e3 * nominal_mm)
    texts = (photos.texts(name, rows) for name in ("camera_body", "time_utc"))
    offsets: defaultdict[tuple[str, str], list[list[float]]] = defaultdict(list)
    lenses: defaultdict[tuple[str, float], list[float]] = defaultdict(list)
    for row, fact, body, time_utc in zip(rows.tolist(), facts, *texts, strict=True):
        try:
            day = datetime.fromisoformat(time_utc).date().isoformat()
        except ValueError:  # missing, or not in this program's format
            continue
        offsets[body, day].append(fact)
        if math.isfinite(ratios[row]):
            lenses[body, float(nominal_mm[row])].append(float(ratios[row]))
    clocks = [
        {"camera_body": body, "day": day} | clock_offset(*zip(*told, strict=True))
        for (body, day), told in sorted(offsets.items())
    ]
    return clocks, [
        {"camera_body": body, "focal_mm": focal_mm} | _spread(values)
        for (body, focal_mm), values in sorted(lenses.items())
    ]


def clock_offset(
    offsets_s: Sequence[float], tle_sigmas_s: Sequence[float], tle_ages_h: Sequence[float]
) -> Row:
    """The offset along the orbit of one camera body's photos of one day.

    Positive if the station was further along than the photo's time implies, as with a clock that is
    slow. ``agree`` is the share of the photos within five seconds of each other. The medians of the
    element sets' one sigma and age are included.
    """
    compared = offsets_s[:: -(-len(offsets_s) // MAX_COMPARED)]
    return _spread(offsets_s, "_s") | {
        "agree": len(find_agreeing(compared, NeighbourParams().agree_s)) / len(compared),
        "tle_sigma_s": float(np.median(tle_sigmas_s)),
        "tle_age_h": float(np.median(tle_ages_h)),
    }


def _spread(values: Sequence[float], unit: str = "") -> Row:
    """Count, median, spread and extremes, with the unit in their names.

    The spread is a standard deviation, estimated from the median absolute deviation; nan for one
    photo.
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
