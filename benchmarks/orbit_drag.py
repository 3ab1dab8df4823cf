"""What an element set's own drag tells of its error along the orbit.

Sets whose B* no air could cause are propagated to the epochs of others 1 to 10 days away. Usual
drag has the station elsewhere by then; the share of that way at which the other set has it is what
``regengine/offset_belief.py`` believes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regengine.drag import ORBIT_RADIUS_KM, drag_shift_km, turn_ahead_rad
from regengine.earth_rotation import J2000_JULIAN_DATE, utc_of
from regengine.offset_belief import HALF_ORBIT_KM, LEAST_DRAG_SHIFT_KM
from regengine.tle import TleSet

FloatArray = NDArray[np.float64]

NEAREST_DAYS, FARTHEST_DAYS = 1.0, 10.0
PAIRS = 5  # drawn for each set
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
SHIFTS_KM = ((300.0, 800.0), (800.0, 3000.0), (3000.0, HALF_ORBIT_KM), (800.0, HALF_ORBIT_KM))


def drag_pairs(tles: TleSet, keep: NDArray[np.bool_], seed: int) -> FloatArray:
    """What usual drag makes of sets with unusual drag, and where the station was, km.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Distances along the orbit from where a set has the station; the first at least
        `LEAST_DRAG_SHIFT_KM` and at most half an orbit.
    """
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(keep)
    days = tles.epoch_days[rows]
    found = []
    for own, epoch in zip(rows, days, strict=True):
        elements = tles[int(own)]
        if drag_shift_km(elements, utc_of(epoch + FARTHEST_DAYS)) == 0.0:
            continue
        apart = np.abs(days - epoch)
        others = rows[(apart >= NEAREST_DAYS) & (apart <= FARTHEST_DAYS)]
        for other in rng.permutation(others)[:PAIRS]:
            day = tles.epoch_days[other]
            shift_km = drag_shift_km(elements, utc_of(day))
            if not LEAST_DRAG_SHIFT_KM <= abs(shift_km) <= HALF_ORBIT_KM:
                continue
            _, position, velocity = elements.satrec().sgp4(J2000_JULIAN_DATE, day)
            _, truth, _ = tles[int(other)].satrec().sgp4(J2000_JULIAN_DATE, day)
            found.append((shift_km, ORBIT_RADIUS_KM * turn_ahead_rad(position, velocity, truth)))
    return np.array(found).reshape(-1, 2)


def drag_section(tles: TleSet, keep: NDArray[np.bool_], seed: int) -> list[str]:
    """The result as lines of Markdown."""
    pairs = drag_pairs(tles, keep, seed)
    lines = [
        "",
        "## Sets with unusual drag",
        "",
        f"{len(pairs):,} pairs {NEAREST_DAYS:g} to {FARTHEST_DAYS:g} days apart of sets whose B* "
        "lies outside the usual. *Shift* is the distance along the orbit from where such a set has "
        "the station to where it has it with the middle B* of all. Quantiles of the share of it at "
        "which the station was.",
        "",
        f"| shift (km) | pairs | {' | '.join(f'{level:.0%}' for level in LEVELS)} |",
        f"|---|---:|{'---:|' * len(LEVELS)}",
    ]
    for least, most in SHIFTS_KM:
        chosen = pairs[(np.abs(pairs[:, 0]) >= least) & (np.abs(pairs[:, 0]) < most)]
        if len(chosen):
            found = np.quantile(chosen[:, 1] / chosen[:, 0], LEVELS)
            cells = " | ".join(f"{value:.2f}" for value in found)
            lines.append(f"| {least:,.0f} to {most:,.0f} | {len(chosen):,} | {cells} |")
    return lines
