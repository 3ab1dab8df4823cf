"""How far element sets lead astray by their age: along, across and above the track.

Every element set of a real archive is propagated to the epochs of others, up to a year before and
after its own. The other set at its own epoch stands for the truth (it is good to about 0.3 km).
Sets that contradict their neighbours are left out on both sides, as the engine leaves them out.
``python -m benchmarks orbit-uncertainty --real FOLDER`` prints the table that
``regengine/orbit/uncertainty.py`` holds; ``--out FOLDER`` writes it as a dated page.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.pages import command_of, parser, table, title_lines, write_page
from detectors.types import FloatArray
from regengine.orbit.propagation import ORBIT_RADIUS_KM, drag_shift_km, turn_ahead_rad
from regengine.orbit.rotation import J2000_JULIAN_DATE, days_since_j2000, turn_about_pole, utc_of
from regengine.orbit.tle import TleSet, load_tle_file
from regengine.orbit.uncertainty import HALF_ORBIT_KM, MIN_DRAG_SHIFT_KM

NEAREST_DAYS, FARTHEST_DAYS = 1.0, 10.0
PAIRS = 5  # drawn for each set
FAR_KM = 800.0
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def drag_pairs(tles: TleSet, keep: NDArray[np.bool_], seed: int) -> FloatArray:
    """What usual drag makes of sets with unusual drag, and where the station was, km."""
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
            if not MIN_DRAG_SHIFT_KM <= abs(shift_km) <= HALF_ORBIT_KM:
                continue
            _, position, velocity = elements.satrec().sgp4(J2000_JULIAN_DATE, day)
            _, truth, _ = tles[int(other)].satrec().sgp4(J2000_JULIAN_DATE, day)
            found.append((shift_km, ORBIT_RADIUS_KM * turn_ahead_rad(position, velocity, truth)))
    return np.array(found).reshape(-1, 2)


def drag_line(tles: TleSet, keep: NDArray[np.bool_], seed: int) -> str:
    """How far along the shift that usual drag makes of unusual sets the station was."""
    pairs = drag_pairs(tles, keep, seed)
    far = pairs[np.abs(pairs[:, 0]) >= FAR_KM]
    if not len(far):
        return "No set with unusual drag is far from where the middle B* has the station."
    found = ", ".join(f"{value:.2f}" for value in np.quantile(far[:, 1] / far[:, 0], LEVELS))
    return (
        f"Sets whose B* lies outside the usual, {NEAREST_DAYS:g} to {FARTHEST_DAYS:g} days apart: "
        f"of {len(far):,} pairs with a shift of {FAR_KM:g} km and more from where the middle B* of "
        f"all has the station, it was at these shares of the shift (quantiles {LEVELS}): {found}."
    )


AGES_DAYS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 14.0, 20.0, 30.0, 60.0, 120.0, 240.0)
QUANTILES = (0.5, 0.9, 0.99)
SIGNED_QUANTILES = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.995)
PARTS = ("along", "cross", "radial")
SHORT_SPAN_DAYS, LONG_SPAN_DAYS = 36.0, 365.0
SHORT_PAIRS, LONG_PAIRS = 80, 20  # drawn for each set, so that dense years do not take hours


def differences(tles: TleSet, keep: NDArray[np.bool_], seed: int) -> FloatArray:
    """Age (days, positive where the set is older) and along, cross, radial km of many pairs."""
    rng = np.random.default_rng(seed)
    days = tles.epoch_days[keep]
    records = [tles[int(row)].satrec() for row in np.flatnonzero(keep)]
    states = [
        record.sgp4(J2000_JULIAN_DATE, day) for record, day in zip(records, days, strict=True)
    ]
    position = np.array([state[1] for state in states])
    velocity = np.array([state[2] for state in states])
    parts = []
    for row, record in enumerate(records):
        targets = _draw(days, row, rng)
        error, found, moving = record.sgp4_array(
            np.full(len(targets), J2000_JULIAN_DATE), days[targets]
        )
        targets, found, moving = targets[error == 0], found[error == 0], moving[error == 0]
        if not len(targets):
            continue
        truth = position[targets]
        along, delay_s = _slide_to(truth, found, moving, velocity[targets])
        error, slid, _ = record.sgp4_array(
            np.full(len(targets), J2000_JULIAN_DATE), days[targets] + delay_s / 86400.0
        )
        # The slide is along the orbit: the plane itself does not turn meanwhile.
        slid = turn_about_pole(slid, -record.nodedot / 60.0 * delay_s)
        up = truth / np.linalg.norm(truth, axis=1)[:, None]
        normal = np.cross(truth, velocity[targets])
        normal /= np.linalg.norm(normal, axis=1)[:, None]
        offset = slid - truth
        cross, radial = np.sum(offset * normal, axis=1), np.sum(offset * up, axis=1)
        parts.append(
            np.stack([days[targets] - days[row], along, cross, radial], axis=1)[error == 0]
        )
    return np.concatenate(parts)


def _draw(days: FloatArray, row: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Other sets to compare one with: most within weeks of it, some within the year."""
    drawn = []
    for nearest, farthest, count in (
        (0.02, SHORT_SPAN_DAYS, SHORT_PAIRS),
        (SHORT_SPAN_DAYS, LONG_SPAN_DAYS, LONG_PAIRS),
    ):
        low, high = np.searchsorted(days, [days[row] - farthest, days[row] + farthest])
        others = np.arange(low, high)
        others = others[np.abs(days[others] - days[row]) > nearest]
        drawn.append(rng.permutation(others)[:count])
    return np.concatenate(drawn)


def _slide_to(
    truth: FloatArray, found: FloatArray, moving: FloatArray, speed: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Signed distance (km) and time (s) along the found orbit to the point nearest the truth."""
    normal = np.cross(found, moving)
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    in_plane = truth - np.sum(truth * normal, axis=1)[:, None] * normal
    forward = np.sum(np.cross(found, in_plane) * normal, axis=1)
    angle = np.arctan2(forward, np.sum(found * in_plane, axis=1))
    along = angle * np.linalg.norm(truth, axis=1)
    return along, along / np.linalg.norm(speed, axis=1)


def by_age(pairs: FloatArray) -> list[tuple[float, FloatArray]]:
    """The pairs around each age, older sets first, where there are thirty."""
    groups = []
    centres = np.log(AGES_DAYS)
    middle = (centres[1:] + centres[:-1]) / 2
    low = np.exp(np.concatenate([[centres[0] - 0.5], middle]))
    high = np.exp(np.concatenate([middle, [centres[-1] + 0.4]]))
    for sign in (1.0, -1.0):
        for age, least, most in zip(AGES_DAYS, low, high, strict=True):
            chosen = pairs[(pairs[:, 0] * sign >= least) & (pairs[:, 0] * sign < most)]
            if len(chosen) >= 30:
                groups.append((sign * age, chosen))
    return groups


def report(path: Path, since_year: int, seed: int) -> list[str]:
    """The tables, as lines of Markdown."""
    tles = load_tle_file(path)
    recent = tles.epoch_days >= days_since_j2000(datetime(since_year, 1, 1, tzinfo=UTC))
    sound = np.array([tles.disagreement(row) is None for row in range(len(tles))])
    keep = recent & sound
    pairs = differences(tles, keep, seed)
    everyone = differences(tles, sound, seed)
    age_rows = []
    for age, chosen in by_age(pairs):
        found = np.quantile(np.abs(chosen[:, 1:]), QUANTILES, axis=0).T
        parts = [" / ".join(f"{value:.3g}" for value in part) for part in found]
        age_rows.append([f"{age:+g}", f"{len(chosen):,}", *parts])
    first, last = (tles[int(np.flatnonzero(keep)[end])].epoch_utc for end in (0, -1))
    return [
        f"{np.count_nonzero(keep):,} ISS element sets from {first:%Y-%m-%d} to {last:%Y-%m-%d} "
        f"({np.count_nonzero(recent & ~keep)} that contradict their neighbours left out), each "
        "propagated with SGP4 to the epochs of others, which stand for the truth: "
        f"{len(pairs):,} pairs. *Age* is the time of the photograph minus the epoch: positive, the "
        "set was issued before the photograph. *Along* is the distance along the orbit to the "
        "point nearest the truth; *cross* and *radial* are what is left there, after the slide. "
        "Kilometres, median / 90 % / 99 % of the absolute value.",
        "",
        *table(("age (days)", "pairs", *PARTS), age_rows, right=5),
        "",
        "## On which side",
        "",
        f"All {np.count_nonzero(sound):,} sets since {tles[0].epoch_utc:%Y-%m-%d}: "
        f"{len(everyone):,} pairs. Quantiles of the distance along the orbit from where the set "
        "has the station to where it was, kilometres: negative, the station was behind, as a "
        "reboost leaves it, whether the set was issued before it or after.",
        "",
        *table(
            ("age (days)", "pairs", *(f"{q:.1%}" for q in SIGNED_QUANTILES)),
            [
                [
                    *(f"{age:+g}", f"{len(chosen):,}"),
                    *(f"{value:.3g}" for value in np.quantile(chosen[:, 1], SIGNED_QUANTILES)),
                ]
                for age, chosen in by_age(everyone)
            ],
            right=2 + len(SIGNED_QUANTILES),
        ),
        "",
        drag_line(tles, sound, seed),
    ]


def main(argv: list[str]) -> int:
    """Measure and print; 0 when done."""
    given = parser("orbit-uncertainty", __doc__)
    given.add_argument("--real", type=Path, required=True, help="folder with orbit/iss_tles.txt")
    given.add_argument("--since", type=int, default=2003, help="first year of the sets used")
    given.add_argument("--seed", type=int, default=0)
    options = given.parse_args(argv)
    lines = report(options.real / "orbit" / "iss_tles.txt", options.since, options.seed)
    command = command_of("orbit-uncertainty", argv)
    title = title_lines("Error of a propagated element set by its age", command, "")
    write_page(options.out, "orbit-uncertainty", [*title, *lines])
    return 0
