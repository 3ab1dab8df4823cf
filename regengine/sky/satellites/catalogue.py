"""Satellite catalogue: thousands of element sets, and the best set of each satellite for a time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectors.types import FloatArray
from regengine.errors import EphemerisError
from regengine.io.plain import format_count
from regengine.orbit.rotation import days_since_j2000, utc_of
from regengine.orbit.tle import COST_OF_AGE_BEFORE
from regengine.orbit.tle_format import ElementSet, SkippedSet, check_pairs, read_pairs

if TYPE_CHECKING:
    from sgp4.api import Satrec


# By then, drag has shifted a low satellite hundreds of kilometres along its orbit: a streak of one
# frame cannot distinguish it from others (docs/methods/satellites.md)
OLDEST_DAYS = 14.0
# One sigma of the distance of a catalogued satellite from its predicted position
ALONG_EPOCH_KM, ALONG_KM_A_DAY = 0.6, 0.8
DRAG_KM_A_DAY2, DRAG_AT_KM, DRAG_SCALE_KM = 2.1, 415.0, 60.0
CROSS_EPOCH_KM, CROSS_KM_A_DAY = 0.25, 0.12
RADIAL_EPOCH_KM, RADIAL_KM_A_DAY = 0.2, 0.1
# A share of the satellites has manoeuvred, or has a bad fit: their errors are larger by these
# factors, along the track and (thrust changes planes, too) across it
TAIL_SHARE, TAIL_FACTOR, TAIL_ACROSS = 0.12, 8.0, 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class SatelliteCatalogue:
    """The usable element sets of a file; damaged ones are skipped."""

    path: Path
    sets: tuple[ElementSet, ...] = field(repr=False)
    # Shape (n,): epochs, days since 2000-01-01 12:00 UTC
    epoch_days: FloatArray = field(repr=False)
    skipped: tuple[SkippedSet, ...] = ()

    def at(self, time_utc: datetime) -> Satellites:
        """The best set of each satellite for a time; satellites with only old sets are excluded.

        Raises EphemerisError if all sets are too far from the time, or SGP4 rejects them.
        """
        age = days_since_j2000(time_utc) - self.epoch_days
        cost = np.where(age > 0.0, COST_OF_AGE_BEFORE * age, -age)
        numbers = np.array([one.satellite for one in self.sets])
        order = np.lexsort([cost, numbers])
        best = np.sort(order[np.unique(numbers[order], return_index=True)[1]])
        fresh = best[np.abs(age[best]) <= OLDEST_DAYS]
        if not fresh.size:
            nearest = int(np.argmin(np.abs(age)))
            raise EphemerisError(
                f"{self.path}: the element set nearest to the photo is "
                f"{format_count(round(abs(age[nearest])), 'day')} away "
                f"({utc_of(self.epoch_days[nearest]):%Y-%m-%d}), and satellite positions are "
                f"unreliable after {OLDEST_DAYS:.0f} days: take a catalogue of the photo's date.",
                code="tle_stale",
            )
        records = {}
        for row in fresh.tolist():
            with suppress(EphemerisError):
                record = self.sets[row].satrec()
                if record.error == 0:
                    records[row] = record
        if not records:
            raise EphemerisError(
                f"{self.path}: SGP4 cannot use any of its element sets: download the catalogue "
                "again."
            )
        return Satellites(
            sets=tuple(self.sets[row] for row in records),
            records=tuple(records.values()),
            age_h=24.0 * age[list(records)],
            skipped=len(self.skipped) + len(fresh) - len(records),
            stale=int(best.size - fresh.size),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Satellites:
    """One element set of each of n satellites, ready for SGP4."""

    sets: tuple[ElementSet, ...] = field(repr=False)
    records: tuple[Satrec, ...] = field(repr=False)  # SGP4 records
    age_h: FloatArray  # shape (n,): time of the photo minus epoch, hours
    skipped: int = 0  # sets excluded because they are damaged or SGP4 rejects them
    stale: int = 0  # satellites excluded because their sets are too old

    def __len__(self) -> int:
        return len(self.records)

    def sigma_km(self) -> FloatArray:
        """One sigma along, across and above the orbit, shape (3, n), without manoeuvres."""
        days = np.abs(self.age_h) / 24.0
        perigee_km = np.array([record.radiusearthkm * record.altp for record in self.records])
        # Below some 240 km no satellite stays in orbit for days
        air = np.minimum(np.exp((DRAG_AT_KM - perigee_km) / DRAG_SCALE_KM), 20.0)
        grown = np.hypot(ALONG_KM_A_DAY * days, DRAG_KM_A_DAY2 * air * days**2)
        return np.stack(
            [
                np.hypot(ALONG_EPOCH_KM, grown),
                np.hypot(CROSS_EPOCH_KM, CROSS_KM_A_DAY * days),
                np.hypot(RADIAL_EPOCH_KM, RADIAL_KM_A_DAY * days),
            ]
        )


def load_catalogue(path: str | Path) -> SatelliteCatalogue:
    """Read a catalogue of two- or three-line element sets; satellites may have several.

    Sets with a missing or truncated line, a wrong checksum or an invalid number are skipped and
    counted.

    Raises EphemerisError if the file cannot be read or has no usable set.
    """
    file = Path(path)
    pairs, lone = read_pairs(file)
    good, epoch_days, wrong = check_pairs(pairs)
    if not good:
        reasons = [one.reason for one in sorted([*lone, *wrong], key=lambda one: one.line_number)]
        what = f"no usable element set, {reasons[0]}" if reasons else "no element set"
        raise EphemerisError(
            f"{file}: {what}: download the catalogue again, as two- or three-line elements (TLE)."
        )
    skipped = (*lone, *wrong)
    return SatelliteCatalogue(path=file, sets=tuple(good), epoch_days=epoch_days, skipped=skipped)
