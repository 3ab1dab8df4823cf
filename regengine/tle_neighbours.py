"""Whether an element set fits the ones before and after it.

A checksum says that the text arrived whole, not that the orbit is right: archives hold sets with a
plane tens of degrees off, and predictions that run hundreds of kilometres beside the measured ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regengine.earth_rotation import J2000_JULIAN_DATE
from regengine.orbit_uncertainty import along_track_p90_km

if TYPE_CHECKING:
    from sgp4.api import Satrec

FloatArray = NDArray[np.float64]

NEIGHBOURS = 3  # on either side
SAME_EPOCH_DAYS = 1.0 / 1440.0  # sets within a minute are copies, no independent witnesses
ORBIT_RADIUS_KM = 6780.0
# Planes of good sets differ by 0.01 degrees a day or less; a wrong node shows as degrees.
PLANE_TOLERANCE_DEG, PLANE_TOLERANCE_DEG_PER_DAY = 0.3, 0.05
# Good sets hours apart agree along the track within 4 km (90 %). Of 15,748 archived sets these two
# numbers reject 122; 116 of those are published predictions (see docs/orbit.md), 6 are doubtful.
ALONG_TOLERANCE_KM = 30.0
ALONG_TOLERANCE_IN_P90 = 3.0
# Older neighbours say nothing of the place along the track: a single reboost moves it by more.
ALONG_MAX_AGE_DAYS = 10.0


def neighbour_disagreement(
    satrec_of: Callable[[int], Satrec], epoch_days: FloatArray, subject: int
) -> str | None:
    """Half a sentence on how a set contradicts its neighbours; None where it does not.

    A set is contradicted when at most one of the three sets before and three after it agrees with
    it, although some set before it and some set after it agree with each other. The second half
    keeps the sets on either side of a reboost, which no longer agree with each other.

    Parameters
    ----------
    satrec_of : callable
        SGP4's record of the set with an index.
    epoch_days : ndarray of float64, shape (n,)
        Epochs, ascending.
    subject : int
        Index of the set to judge.
    """
    before = _distinct(epoch_days, subject, -1)
    after = _distinct(epoch_days, subject, +1)
    if not before or not after:
        return None
    witnesses = [*before, *after]
    everyone = np.array([*witnesses, subject])
    along, plane = _differences(satrec_of, epoch_days, witnesses, everyone)
    age = np.abs(epoch_days[everyone][None, :] - epoch_days[witnesses][:, None])
    same_plane = plane <= PLANE_TOLERANCE_DEG + PLANE_TOLERANCE_DEG_PER_DAY * age
    tolerance = np.maximum(ALONG_TOLERANCE_KM, ALONG_TOLERANCE_IN_P90 * along_track_p90_km(age))
    near = age <= ALONG_MAX_AGE_DAYS
    same_place = near & (np.abs(along) <= tolerance)
    if _contradicted(same_plane, len(before)):
        return (
            f"its orbital plane lies {np.median(plane[:, -1]):.1f} degrees beside its neighbours'"
        )
    if np.count_nonzero(near[:, -1]) > NEIGHBOURS and _contradicted(same_place, len(before)):
        distance = np.median(np.abs(along[near[:, -1], -1]))
        return f"it lies {distance:.0f} km along the track from where its neighbours lead"
    return None


def _contradicted(agree: NDArray[np.bool_], before: int) -> bool:
    """Judge by agreement of witnesses (rows) with witnesses and, last column, the subject."""
    supports = agree[:, -1]
    if np.count_nonzero(supports) > 1:
        return False
    across = agree[:before, before:-1] & ~supports[:before, None] & ~supports[None, before:]
    return bool(across.any())


def _distinct(epoch_days: FloatArray, subject: int, step: int) -> list[int]:
    """Indices of the nearest sets on one side, no two within a minute of each other."""
    found: list[int] = []
    last = epoch_days[subject]
    index = subject + step
    while 0 <= index < len(epoch_days) and len(found) < NEIGHBOURS:
        if abs(epoch_days[index] - last) > SAME_EPOCH_DAYS:
            found.append(index)
            last = epoch_days[index]
        index += step
    return found


def _differences(
    satrec_of: Callable[[int], Satrec],
    epoch_days: FloatArray,
    witnesses: list[int],
    everyone: NDArray[np.int64],
) -> tuple[FloatArray, FloatArray]:
    """Along-track distance (km) and angle between planes (degrees) of sets at others' epochs.

    Rows are witnesses propagated, columns the sets whose own epoch and state they are held
    against; infinite where SGP4 gives up.
    """
    records = {int(index): satrec_of(int(index)) for index in everyone}
    states = [records[int(k)].sgp4(J2000_JULIAN_DATE, epoch_days[k]) for k in everyone]
    own_position = np.array([state[1] for state in states])
    own_normal = _unit(np.cross(own_position, np.array([state[2] for state in states])))
    along = np.empty((len(witnesses), len(everyone)))
    plane = np.empty_like(along)
    julian = np.full(len(everyone), J2000_JULIAN_DATE)
    for row, witness in enumerate(witnesses):
        error, position, velocity = records[witness].sgp4_array(julian, epoch_days[everyone])
        normal = _unit(np.cross(position, velocity))
        in_plane = own_position - np.sum(own_position * normal, axis=1)[:, None] * normal
        forward = np.sum(np.cross(position, in_plane) * normal, axis=1)
        angle = np.arctan2(forward, np.sum(position * in_plane, axis=1))
        along[row] = np.where(error == 0, ORBIT_RADIUS_KM * angle, np.inf)
        cosine = np.clip(np.sum(normal * own_normal, axis=1), -1.0, 1.0)
        plane[row] = np.where(error == 0, np.degrees(np.arccos(cosine)), np.inf)
    return along, plane


def _unit(vectors: FloatArray) -> FloatArray:
    return vectors / np.linalg.norm(vectors, axis=1)[:, None]
