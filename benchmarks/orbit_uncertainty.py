"""How far element sets lead astray by their age: along, across and above the track.

Every element set of an archive is propagated to the epochs of others, up to a year before and after
its own; the other set at its own epoch stands for the truth (it is good to about 0.3 km). Sets that
contradict their neighbours are left out on both sides, as the engine leaves them out. The page
holds the numbers of ``regengine/orbit/uncertainty.py``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from typer import Option

from benchmarks.options import Out, Real
from benchmarks.pages import table, title_lines, write_page
from detectors.types import FloatArray
from regengine.orbit.propagation import ORBIT_RADIUS_KM, drag_shift_km, turn_ahead_rad
from regengine.orbit.rotation import J2000_JULIAN_DATE, days_since_j2000, turn_about_pole, utc_of
from regengine.orbit.tle import TleSet, load_tle_file
from regengine.orbit.uncertainty import HALF_ORBIT_KM, MIN_DRAG_SHIFT_KM

AGES_DAYS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 20.0, 30.0, 60.0, 120.0, 240.0)
QUANTILES = (0.5, 0.9, 0.99)
SIGNED_QUANTILES = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.995)
# Others to compare a set with: from and to how many days apart, and how many of them are drawn, so
# that dense years do not take hours
SPANS_DAYS = ((0.02, 36.0, 80), (36.0, 365.0, 20))
# Sets of unusual drag: how far apart, how many drawn for each, and from which shift on they count
DRAG_DAYS, DRAG_PAIRS, DRAG_FAR_KM = (1.0, 10.0), 5, 800.0
DRAG_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def differences(tles: TleSet, keep: NDArray[np.bool_], seed: int) -> FloatArray:
    """Age (days, positive where the set is older) and along, cross, radial km of many pairs."""
    rng = np.random.default_rng(seed)
    days = tles.epoch_days[keep]
    records = [tles[int(row)].satrec() for row in np.flatnonzero(keep)]
    states = [
        record.sgp4(J2000_JULIAN_DATE, day) for record, day in zip(records, days, strict=True)
    ]
    position, velocity = (np.array([state[part] for state in states]) for part in (1, 2))
    parts = []
    for row, record in enumerate(records):
        others = []
        for nearest, farthest, count in SPANS_DAYS:
            some = np.arange(*np.searchsorted(days, [days[row] - farthest, days[row] + farthest]))
            others.append(rng.permutation(some[np.abs(days[some] - days[row]) > nearest])[:count])
        targets = np.concatenate(others)
        epochs = np.full(len(targets), J2000_JULIAN_DATE)
        error, found, moving = record.sgp4_array(epochs, days[targets])
        targets, found, moving = targets[error == 0], found[error == 0], moving[error == 0]
        if not len(targets):
            continue
        truth, speed = position[targets], velocity[targets]
        along = _slide_to(truth, found, moving)
        delay_s = along / np.linalg.norm(speed, axis=1)
        epochs = np.full(len(targets), J2000_JULIAN_DATE)
        error, slid, _ = record.sgp4_array(epochs, days[targets] + delay_s / 86400.0)
        # The slide is along the orbit: the plane itself does not turn meanwhile.
        offset = turn_about_pole(slid, -record.nodedot / 60.0 * delay_s) - truth
        up = truth / np.linalg.norm(truth, axis=1)[:, None]
        normal = np.cross(truth, speed)
        normal /= np.linalg.norm(normal, axis=1)[:, None]
        cross, radial = np.sum(offset * normal, axis=1), np.sum(offset * up, axis=1)
        age_days = days[targets] - days[row]
        parts.append(np.stack([age_days, along, cross, radial], axis=1)[error == 0])
    return np.concatenate(parts)


def _slide_to(truth: FloatArray, found: FloatArray, moving: FloatArray) -> FloatArray:
    """Signed distance along the found orbit to the point nearest the truth, km."""
    normal = np.cross(found, moving)
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    in_plane = truth - np.sum(truth * normal, axis=1)[:, None] * normal
    forward = np.sum(np.cross(found, in_plane) * normal, axis=1)
    angle = np.arctan2(forward, np.sum(found * in_plane, axis=1))
    return np.asarray(angle * np.linalg.norm(truth, axis=1))


def by_age(pairs: FloatArray) -> list[tuple[float, FloatArray]]:
    """The pairs around each age, older sets first, where there are thirty."""
    centres = np.log(AGES_DAYS)
    middle = (centres[1:] + centres[:-1]) / 2
    edges = np.exp(np.concatenate([[centres[0] - 0.5], middle, [centres[-1] + 0.4]]))
    groups = []
    for sign in (1.0, -1.0):
        for age, least, most in zip(AGES_DAYS, edges[:-1], edges[1:], strict=True):
            chosen = pairs[(pairs[:, 0] * sign >= least) & (pairs[:, 0] * sign < most)]
            if len(chosen) >= 30:
                groups.append((sign * age, chosen))
    return groups


def drag_line(tles: TleSet, keep: NDArray[np.bool_], seed: int) -> str:
    """How far along the shift that usual drag makes of sets with unusual drag the station was."""
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(keep)
    days = tles.epoch_days[rows]
    shares = []
    for own, epoch in zip(rows, days, strict=True):
        elements = tles[int(own)]
        if drag_shift_km(elements, utc_of(epoch + DRAG_DAYS[1])) == 0.0:
            continue
        apart = np.abs(days - epoch)
        others = rows[(apart >= DRAG_DAYS[0]) & (apart <= DRAG_DAYS[1])]
        for other in rng.permutation(others)[:DRAG_PAIRS]:
            day = tles.epoch_days[other]
            shift_km = drag_shift_km(elements, utc_of(day))
            if not max(MIN_DRAG_SHIFT_KM, DRAG_FAR_KM) <= abs(shift_km) <= HALF_ORBIT_KM:
                continue
            _, position, velocity = elements.satrec().sgp4(J2000_JULIAN_DATE, day)
            _, truth, _ = tles[int(other)].satrec().sgp4(J2000_JULIAN_DATE, day)
            ahead_km = ORBIT_RADIUS_KM * turn_ahead_rad(position, velocity, truth)
            shares.append(ahead_km / shift_km)
    if not shares:
        return "No set with unusual drag is far from where the middle B* has the station."
    found = ", ".join(f"{value:.2f}" for value in np.quantile(shares, DRAG_LEVELS))
    return (
        f"Sets whose B* lies outside the usual, {DRAG_DAYS[0]:g} to {DRAG_DAYS[1]:g} days apart: "
        f"of {len(shares):,} pairs with a shift of {DRAG_FAR_KM:g} km and more from where the "
        "middle B* of all has the station, it was at these shares of the shift (quantiles "
        f"{DRAG_LEVELS}): {found}."
    )


def report(path: Path, since_year: int, seed: int) -> list[str]:
    """The tables, as lines of Markdown."""
    tles = load_tle_file(path)
    recent = tles.epoch_days >= days_since_j2000(datetime(since_year, 1, 1, tzinfo=UTC))
    sound = np.array([tles.disagreement(row) is None for row in range(len(tles))])
    keep = recent & sound
    pairs, everyone = differences(tles, keep, seed), differences(tles, sound, seed)
    sizes, sides = [], []
    for age, chosen in by_age(pairs):
        found = np.quantile(np.abs(chosen[:, 1:]), QUANTILES, axis=0).T
        parts = [" / ".join(f"{value:.3g}" for value in part) for part in found]
        sizes.append([f"{age:+g}", f"{len(chosen):,}", *parts])
    for age, chosen in by_age(everyone):
        quantiles = (f"{value:.3g}" for value in np.quantile(chosen[:, 1], SIGNED_QUANTILES))
        sides.append([f"{age:+g}", f"{len(chosen):,}", *quantiles])
    first, last = (tles[int(np.flatnonzero(keep)[end])].epoch_utc for end in (0, -1))
    heads = [f"{q:.1%}" for q in SIGNED_QUANTILES]
    return [
        f"{np.count_nonzero(keep):,} ISS element sets from {first:%Y-%m-%d} to {last:%Y-%m-%d} "
        f"({np.count_nonzero(recent & ~keep)} that contradict their neighbours left out): "
        f"{len(pairs):,} pairs. *Age* is the time of the photograph minus the epoch: positive, the "
        "set was issued before the photograph. *Along* is the distance along the orbit to the "
        "point nearest the truth; *cross* and *radial* are what is left there, after the slide. "
        "Kilometres, median / 90 % / 99 % of the absolute value.",
        "",
        *table("age (days) | pairs | along | cross | radial", sizes, right=5),
        "",
        "## On which side",
        "",
        f"All {np.count_nonzero(sound):,} sets since {tles[0].epoch_utc:%Y-%m-%d}: "
        f"{len(everyone):,} pairs. Quantiles of the distance along the orbit from where the set "
        "has the station to where it was, kilometres: negative, the station was behind, as a "
        "reboost leaves it, whether the set was issued before it or after.",
        "",
        *table(("age (days)", "pairs", *heads), sides, right=2 + len(heads)),
        "",
        drag_line(tles, sound, seed),
    ]


def main(
    *,
    real: Real,
    since: Annotated[int, Option(help="first year of the sets used")] = 2003,
    seed: int = 0,
    out: Out = None,
) -> None:
    lines = report(real / "orbit" / "iss_tles.txt", since, seed)
    title = title_lines("Error of a propagated element set by its age")
    write_page(out, "orbit-uncertainty", [*title, *lines])
