"""A sky full of satellites: 30,000 true orbits, and the element sets that a catalogue has of them.

The mix is that of the catalogues of 2026: big constellations in planes and fresh trains,
sun-synchronous orbits, geostationary and navigation satellites, transfer orbits, rocket bodies,
debris. Sets are up to two days old; what they have wrong at the time of the photos is drawn from
what the literature says of two-line elements (docs/methods/satellites.md), with numbers and shapes
that are not the engine's: heavy tails, and a share that has manoeuvred.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sgp4.api import Satrec

from detectors.types import FloatArray

EARTH_KM, GRAVITY_KM3_S2 = 6378.135, 398600.8  # WGS72, as the elements
FIRST_NUMBER = 10001
# Kind: inclination, height, planes, satellites a plane, magnitude at 1,000 km
SHELLS = (
    ("STARLINK", 53.0, 550.0, 72, 22, 6.3),
    ("STARLINK", 53.2, 540.0, 72, 22, 6.3),
    ("STARLINK", 43.0, 530.0, 56, 60, 6.6),
    ("STARLINK", 70.0, 570.0, 36, 20, 6.3),
    ("STARLINK", 97.6, 560.0, 10, 52, 6.5),
    ("ONEWEB", 87.9, 1200.0, 12, 54, 7.2),
    ("GLOBALSTAR", 52.0, 1414.0, 8, 6, 6.0),
    ("IRIDIUM", 86.4, 780.0, 6, 11, 6.0),
)
# Inclination, height, satellites, seconds from one to the next, magnitude
TRAINS = (
    (53.05, 300.0, 22, 1.2, 4.5),
    (53.05, 330.0, 22, 3.0, 4.8),
    (43.0, 350.0, 28, 6.0, 5.0),
    (43.0, 360.0, 28, 12.0, 5.2),
)
# Kind: share of the rest, heights, inclinations, greatest eccentricity, magnitude and its scatter
REST = (
    ("SAT", 0.13, (450.0, 850.0), (97.0, 99.0), 0.003, 6.5, 1.3),
    ("SAT", 0.07, (380.0, 1500.0), (20.0, 75.0), 0.01, 6.5, 1.3),
    ("CUBE", 0.06, (380.0, 600.0), (51.6, 97.6), 0.003, 9.0, 1.0),
    ("R/B", 0.10, (400.0, 1600.0), (62.0, 100.0), 0.05, 4.8, 1.0),
    ("GTO R/B", 0.05, (200.0, 600.0), (3.0, 28.0), 0.73, 4.5, 1.0),
    ("GEO", 0.07, (35780.0, 35795.0), (0.0, 12.0), 0.0005, 4.0, 1.0),
    ("NAV", 0.02, (19100.0, 23200.0), (54.0, 65.0), 0.005, 5.0, 0.7),
    ("DEB", 0.50, (450.0, 1500.0), (65.0, 99.5), 0.02, 10.0, 1.3),
)
TRAIN = "STARLINK-T"
AGE_DAYS = 2.0
# Errors along the track: at the epoch, a day, a day squared at 400 km; Student's t of four degrees
ALONG_KM, ALONG_A_DAY_KM, DRAG_A_DAY2_KM, DRAG_SCALE_KM, FREEDOM = 0.4, 0.7, 2.5, 55.0, 4.0
CROSS_KM, RADIAL_KM, ACROSS_A_DAY_KM = 0.2, 0.15, 0.1
MANOEUVRED, MANOEUVRED_CONSTELLATION, MANOEUVRE_FACTOR = 0.03, 0.12, (3.0, 15.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedSky:
    """True orbits and the catalogue's."""

    time_utc: datetime  # around which the errors are as drawn
    # names and numbers: of each satellite
    names: tuple[str, ...]
    numbers: tuple[str, ...]
    true: tuple[Satrec, ...]  # where they are
    lines: tuple[tuple[str, str], ...]  # what the catalogue says of them
    age_days: FloatArray  # shape (n,): Of the sets
    magnitude: FloatArray  # shape (n,): At 1,000 km in full light
    # Shape (k,): Rows of the satellites that fly one close behind the other
    trains: NDArray[np.intp]

    def text(self, listed: NDArray[np.bool_] | None = None, *, with_names: bool = True) -> str:
        """The catalogue's file, of all satellites or some."""
        rows = np.arange(len(self.names)) if listed is None else np.flatnonzero(listed)
        heads = (f"0 {self.names[k]}\n" if with_names else "" for k in rows)
        return "".join(
            f"{head}{self.lines[k][0]}\n{self.lines[k][1]}\n"
            for head, k in zip(heads, rows, strict=True)
        )


def simulate_satellites(count: int, time_utc: datetime, rng: np.random.Generator) -> SimulatedSky:
    """Draw a sky of satellites."""
    kinds, elements, magnitude = _population(count, rng)
    age_days = rng.uniform(0.0, AGE_DAYS, len(kinds))
    errors = _errors(kinds, elements, age_days, rng)
    names, numbers, true, lines = [], [], [], []
    for k, kind in enumerate(kinds):
        number = f"{FIRST_NUMBER + k:05d}"
        epoch = time_utc - timedelta(days=float(age_days[k]))
        there = _at_epoch(elements[k], number, time_utc, epoch)
        names.append(_name(kind, number))
        numbers.append(number)
        true.append(Satrec.twoline2rv(*tle_lines(there, number, epoch)))
        lines.append(tle_lines(there + errors[k], number, epoch))
    return SimulatedSky(
        time_utc=time_utc,
        names=tuple(names),
        numbers=tuple(numbers),
        true=tuple(true),
        lines=tuple(lines),
        age_days=age_days,
        magnitude=magnitude,
        trains=np.flatnonzero([kind == TRAIN for kind in kinds]),
    )


def tle_lines(elements: FloatArray, number: str, epoch_utc: datetime) -> tuple[str, str]:
    """Two lines of elements: inclination, node, perigee, anomaly (degrees), e, revolutions, B*."""
    inclination, node, perigee, anomaly, eccentricity, revolutions, bstar = elements
    day = 1.0 + (epoch_utc - datetime(epoch_utc.year, 1, 1, tzinfo=UTC)) / timedelta(days=1)
    power = int(np.floor(np.log10(max(bstar, 1e-9)))) + 1
    drag = (
        f" {min(round(bstar / 10.0**power * 1e5), 99999):05d}{power:+d}"
        if bstar > 1e-9
        else " 00000-0"
    )
    first = (
        f"1 {number}U 20001A   {epoch_utc.year % 100:02d}{day:012.8f}  .00000000  00000-0 "
        f"{drag} 0  999"
    )
    second = (
        f"2 {number} {inclination:8.4f} {node % 360.0:8.4f} {round(eccentricity * 1e7):07d} "
        f"{perigee % 360.0:8.4f} {anomaly % 360.0:8.4f} {revolutions:11.8f}    1"
    )
    return _summed(first), _summed(second)


def _summed(line: str) -> str:
    whole = f"{line[:68]:68s}"
    total = whole.count("-") + sum(digit * whole.count(str(digit)) for digit in range(1, 10))
    return f"{whole}{total % 10}"


def _name(kind: str, number: str) -> str:
    return f"COSMOS {number} DEB" if kind == "DEB" else f"{kind}-{number}"


def _population(count: int, rng: np.random.Generator) -> tuple[list[str], FloatArray, FloatArray]:
    kinds: list[str] = []
    rows: list[FloatArray] = []
    bright: list[FloatArray] = []

    def add(
        kind: str, inclination: FloatArray, node: FloatArray, place: FloatArray,
        height: FloatArray, eccentricity: FloatArray, magnitude: FloatArray,
    ) -> None:  # fmt: skip
        n = len(inclination)
        axis = (EARTH_KM + height) / (1.0 - eccentricity)
        revolutions = 86400.0 / (2.0 * np.pi) * np.sqrt(GRAVITY_KM3_S2 / axis**3)
        perigee = rng.uniform(0.0, 360.0, n)
        bstar = np.where(height < 1200.0, 10.0 ** rng.normal(-4.0, 0.3, n), 0.0)
        kinds.extend([kind] * n)
        rows.append(
            np.stack(
                [inclination, node, perigee, place - perigee, eccentricity, revolutions, bstar], 1
            )
        )
        bright.append(magnitude)

    share = min(1.0, count / 30000.0)
    for kind, inclination, height, planes, each, magnitude in SHELLS:
        some = max(1, round(planes * share))
        plane, slot = (a.ravel() for a in np.mgrid[0:some, 0:each])
        n = plane.size
        add(
            kind,
            inclination + rng.normal(0.0, 0.01, n),
            rng.uniform(0, 360) + plane * 360.0 / some + rng.normal(0.0, 0.05, n),
            slot * 360.0 / each + plane * 13.0 + rng.normal(0.0, 0.3, n),
            height + rng.normal(0.0, 0.3, n),
            np.abs(rng.normal(0.0, 1e-4, n)),
            magnitude + rng.normal(0.0, 0.6, n),
        )
    for inclination, height, each, apart_s, magnitude in TRAINS:
        rate = 360.0 / 5500.0
        add(
            TRAIN,
            inclination + rng.normal(0.0, 0.002, each),
            rng.uniform(0, 360) + rng.normal(0.0, 0.01, each),
            rng.uniform(0, 360) + rate * apart_s * (np.arange(each) + rng.normal(0, 0.1, each)),
            height + rng.normal(0.0, 0.1, each),
            np.full(each, 1e-4),
            magnitude + rng.normal(0.0, 0.3, each),
        )
    left = count - len(kinds)
    for kind, part, heights, inclinations, most_e, magnitude, scatter in REST:
        n = max(1, round(part * left))
        geo = kind == "GEO"  # half of them keep their station
        add(
            kind,
            rng.choice([0.1, 8.0], n) * rng.random(n) if geo else rng.uniform(*inclinations, n),
            rng.uniform(0.0, 360.0, n),
            rng.uniform(0.0, 360.0, n),
            rng.uniform(*heights, n),
            rng.uniform(0.9 * most_e if most_e > 0.1 else 0.0, most_e, n),
            magnitude + rng.normal(0.0, scatter, n),
        )
    return kinds, np.concatenate(rows), np.concatenate(bright)


def _at_epoch(
    elements: FloatArray, number: str, time_utc: datetime, epoch_utc: datetime
) -> FloatArray:
    """The same orbit described at an earlier epoch, by SGP4's own secular rates."""
    record = Satrec.twoline2rv(*tle_lines(elements, number, time_utc))
    turn = np.degrees((epoch_utc - time_utc) / timedelta(minutes=1))
    moved = elements.copy()
    moved[1:4] += turn * np.array([record.nodedot, record.argpdot, record.mdot])
    return moved


def _errors(
    kinds: list[str], elements: FloatArray, age_days: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """What the catalogue has wrong, shape (n, 7), so that the errors are right at the photos."""
    n = len(kinds)
    axis = (GRAVITY_KM3_S2 * (86400.0 / (2.0 * np.pi * elements[:, 5])) ** 2) ** (1.0 / 3.0)
    height = axis * (1.0 - elements[:, 4]) - EARTH_KM
    constellation = np.array([kind in ("STARLINK", TRAIN, "ONEWEB") for kind in kinds])
    drag = np.minimum(np.exp((400.0 - height) / DRAG_SCALE_KM), 20.0)
    grown = np.hypot(ALONG_A_DAY_KM * age_days, DRAG_A_DAY2_KM * drag * age_days**2)
    manoeuvred = rng.random(n) < np.where(constellation, MANOEUVRED_CONSTELLATION, MANOEUVRED)
    factor = np.where(manoeuvred, rng.uniform(*MANOEUVRE_FACTOR, n), 1.0)
    across = np.hypot(CROSS_KM, ACROSS_A_DAY_KM * age_days) * np.where(manoeuvred, 2.0, 1.0)

    def heavy() -> FloatArray:
        return np.asarray(rng.standard_t(FREEDOM, n)) * np.sqrt((FREEDOM - 2.0) / FREEDOM)

    degrees = np.degrees(1.0 / axis)
    errors = np.zeros((n, 7))
    errors[:, 0] = np.abs(elements[:, 0] + across * heavy() * degrees) - elements[:, 0]
    errors[:, 1] = across * heavy() * degrees / np.maximum(np.sin(np.radians(elements[:, 0])), 0.1)
    turned = errors[:, 1] * np.cos(np.radians(elements[:, 0]))
    errors[:, 3] = ALONG_KM * heavy() * degrees - turned
    errors[:, 4] = (
        np.clip(np.abs(elements[:, 4] + RADIAL_KM * heavy() / axis), 1e-6, 0.9) - elements[:, 4]
    )
    rate_deg_day = factor * grown * heavy() * degrees / np.maximum(age_days, 0.02)
    errors[:, 5] = rate_deg_day / 360.0
    return errors
