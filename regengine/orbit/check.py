"""Compare element sets with positions that the Station measured itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from detectors.constants import DAY_S
from detectors.types import FloatArray
from regengine.errors import EphemerisError
from regengine.io.times import iso_utc
from regengine.orbit.propagation import propagate_teme, track_positions
from regengine.orbit.rotation import days_since_j2000, sidereal_angle_rad, teme_to_ecef, utc_of
from regengine.orbit.tle import ElementSet, TleSet
from regengine.orbit.uncertainty import orbit_sigma


class Track(Protocol):
    """Known positions: seconds of UTC since 2000-01-01 12:00; ECEF, (n, 3), metres."""

    @property
    def time_s(self) -> FloatArray:
        """Times, ascending."""

    @property
    def position_ecef_m(self) -> FloatArray:
        """Positions, ECEF, (n, 3), metres."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckedSet:
    """Position error of an element set, from comparison with a track.

    Values have shape (3,): along the orbit, across it and in height, kilometres. They point from
    the predicted to the true position, negative where the Station was behind. The values across and
    in height are those at the corrected place along the orbit. ``sigma_km`` is `orbit_sigma` for a
    set of that age.
    """

    element_set: ElementSet
    age_h: float  # of the set at the middle of the track; negative if it was issued afterwards
    is_chosen: bool  # whether it would be used for a photo of that time
    contradiction: str | None  # a sentence if it contradicts its neighbours
    mean_km: FloatArray
    sd_km: FloatArray
    sigma_km: tuple[float, float, float]


def check_element_sets(tles: TleSet, track: Track, within_days: float) -> list[CheckedSet]:
    """Compare the sets around a track with it, ordered by age.

    Raises EphemerisError if there is none within the given number of days of its middle.
    """
    middle = utc_of(0.5 * (track.time_s[0] + track.time_s[-1]) / DAY_S)
    chosen = tles.best_for(middle)
    found = []
    near = np.abs(days_since_j2000(middle) - tles.epoch_days) <= within_days
    for row in np.flatnonzero(near).tolist():
        one = tles[row]
        age_h = one.age_h(middle)
        error_km = measure_track_error(one, track.time_s, track.position_ecef_m)
        sigma = orbit_sigma(age_h)
        found.append(
            CheckedSet(
                element_set=one,
                age_h=age_h,
                is_chosen=one == chosen,
                contradiction=tles.disagreement(row),
                mean_km=error_km.mean(axis=0),
                sd_km=error_km.std(axis=0),
                sigma_km=(sigma.along_km, sigma.cross_km, sigma.radial_km),
            )
        )
    if not found:
        raise EphemerisError(
            f"{tles.path}: no element set within {within_days:g} days of {middle:%Y-%m-%d}: give "
            "a file that has some, or --within-days."
        )
    return sorted(found, key=lambda one: one.age_h)


def measure_track_error(
    element_set: ElementSet, time_s: FloatArray, position_ecef_m: FloatArray
) -> FloatArray:
    """Return the error of a set along, across and in height, shape (n, 3), km, predicted to true.

    The error along the orbit is the distance to the point that is nearest to the true position. The
    others are the remaining distances there.
    """
    days = time_s / DAY_S
    angle = sidereal_angle_rad(days)
    there, velocity = (teme_to_ecef(one, angle) for one in propagate_teme(element_set, days))
    truth = position_ecef_m / 1e3
    normal = np.cross(there, velocity)
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    forward = np.sum(np.cross(there, truth) * normal, axis=1)
    within = truth - np.sum(truth * normal, axis=1)[:, None] * normal
    along_rad = np.arctan2(forward, np.sum(there * within, axis=1))
    along_km = along_rad * np.linalg.norm(truth, axis=1)
    delay_s = (
        along_rad * np.sum(there**2, axis=1) / np.linalg.norm(np.cross(there, velocity), axis=1)
    )
    slid = track_positions(element_set, utc_of(days[0]), time_s - time_s[0], delay_s) / 1e3
    left = truth - slid
    up = slid / np.linalg.norm(slid, axis=1)[:, None]
    return np.stack([along_km, np.sum(left * normal, axis=1), np.sum(left * up, axis=1)], axis=1)


def describe_checked_set(one: CheckedSet) -> dict[str, Any]:
    """Describe a checked set, ready for JSON."""
    parts = ("along", "cross", "radial")
    values = (("mean", one.mean_km), ("sd", one.sd_km), ("sigma", one.sigma_km))
    return {
        "epoch_utc": iso_utc(one.element_set.epoch_utc, "seconds"),
        "line": one.element_set.line_number,
        "tle_age_h": round(one.age_h, 2),
        "is_used": one.is_chosen,
        "contradiction": one.contradiction,
        **{
            f"{what}_{part}_km": round(float(value[k]), 3)
            for what, value in values
            for k, part in enumerate(parts)
        },
    }
