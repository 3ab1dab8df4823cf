"""A sky full of satellites: 30,000 true orbits, and the element sets that a catalogue has of them.

The mix is that of the catalogues of 2026: big constellations in planes and fresh trains,
sun-synchronous orbits, geostationary and navigation satellites, transfer orbits, rocket bodies,
debris. Sets are up to two days old; what they have wrong at the time of the photos is drawn from
what the literature says of two-line elements (docs/methods/satellites.md), with numbers and shapes
that are not the engine's: heavy tails, and a share that has manoeuvred.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sgp4.api import Satrec, SatrecArray

from benchmarks.arrays import FloatArray

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
    return _add_checksum(first), _add_checksum(second)


def _add_checksum(line: str) -> str:
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


LIGHT_KM_S, EQUATOR_KM = 299792.458, 6378.137
JD_UNIX, STEPS = 2440587.5, 41
SHORTEST_PX = 15.0
ATTACHED_KM = 20.0  # the camera's own satellite


@dataclass(frozen=True, kw_only=True, eq=False)
class SkyFrame:
    """A simulated exposure."""

    start_utc: datetime  # when it truly began
    exposure_s: float
    site: tuple[float, float, float] | None  # none: aboard the satellite `station`
    station: int | None  # row of the satellite that carries the camera
    # width_px, height_px, focal_px and k1: the lens
    width_px: int
    height_px: int
    focal_px: float
    k1: float
    limit_mag: float  # faintest satellite that draws a streak
    # Shape (3, 3): Camera (x right, y down, z forward) to ICRS, as stars without aberration have it
    matrix: FloatArray = field(default_factory=lambda: np.eye(3))


@dataclass(frozen=True, kw_only=True)
class TrueStreak:
    """A streak and who drew it: a row of the sky, or None for something else."""

    ends: tuple[float, float, float, float]
    cut: tuple[bool, bool]
    row: int | None


def true_streaks(sky: SimulatedSky, frame: SkyFrame) -> list[TrueStreak]:
    """Streaks of all satellites that are bright enough, without noise."""
    middle = frame.start_utc + timedelta(seconds=0.5 * frame.exposure_s)
    rows = _near(sky, frame, middle)
    if not rows.size:
        return []
    seconds = np.linspace(0.0, frame.exposure_s, STEPS)
    few = np.linspace(0, STEPS - 1, 5).round().astype(int)
    times = [frame.start_utc + timedelta(seconds=float(seconds[k])) for k in few]
    seen = [_observe_directions(sky, rows, frame, time) for time in times]
    direction = np.stack([one[0] for one in seen], axis=1)
    # Directions between the five moments: a parabola through three of them is good to 1e-7
    path = _between(direction, few, STEPS)
    x, y = project(frame, path)
    lit = sunlit(seen[2][2], middle)
    range_km = seen[2][1]
    magnitude = sky.magnitude[rows] + 5.0 * np.log10(range_km / 1000.0)
    bright = (magnitude < frame.limit_mag) & lit
    found = []
    for k in np.flatnonzero(bright):
        streak = _clip_track(x[k], y[k], frame, int(rows[k]))
        if streak is not None:
            found.append(streak)
    return found


def project(frame: SkyFrame, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Pixels of ICRS directions; NaN behind the camera and far outside."""
    local = vectors @ frame.matrix
    with np.errstate(invalid="ignore", divide="ignore"):
        u, v = local[..., 0] / local[..., 2], local[..., 1] / local[..., 2]
        r2 = u * u + v * v
        good = (local[..., 2] > 0.0) & (r2 < 4.0)
    bend = 1.0 + frame.k1 * r2
    x = (frame.width_px - 1) / 2.0 + frame.focal_px * u * bend
    y = (frame.height_px - 1) / 2.0 + frame.focal_px * v * bend
    return np.where(good, x, np.nan), np.where(good, y, np.nan)


def observer_teme(sky: SimulatedSky, frame: SkyFrame, time: datetime) -> FloatArray:
    """Where the camera is along SGP4's axes, kilometres."""
    if frame.station is not None:
        return true_states(sky, np.array([frame.station]), time)[0][0]
    from astropy import units as u
    from astropy.coordinates import ITRS, TEME, EarthLocation

    assert frame.site is not None
    lat, lon, height = frame.site
    place = EarthLocation.from_geodetic(lon * u.deg, lat * u.deg, height * u.m)
    when = _astropy_time(time)
    fixed = ITRS(place.get_itrs(when).cartesian, obstime=when)
    return np.asarray(fixed.transform_to(TEME(obstime=when)).cartesian.xyz.to_value(u.km))


def teme_to_gcrs(time: datetime) -> FloatArray:
    """Rotation from SGP4's axes to those of the stars, by astropy, shape (3, 3)."""
    from astropy import units as u
    from astropy.coordinates import GCRS, ITRS, TEME, CartesianRepresentation

    when = _astropy_time(time)
    axes = TEME(CartesianRepresentation(np.eye(3) * 1e4 * u.km), obstime=when)
    there = axes.transform_to(ITRS(obstime=when)).transform_to(GCRS(obstime=when))
    return np.asarray(there.cartesian.xyz.to_value(u.km)) / 1e4


def _astropy_time(time: datetime) -> Any:
    from astropy.time import Time
    from astropy.utils import iers

    iers.conf.auto_download = False
    return Time(time.replace(tzinfo=None), scale="utc")


def true_states(
    sky: SimulatedSky, rows: NDArray[np.intp], time: datetime
) -> tuple[FloatArray, FloatArray]:
    """Positions and velocities of satellites, SGP4's axes, kilometres, shape (n, 3) each."""
    days = time.timestamp() / 86400.0
    error, position, velocity = SatrecArray([sky.true[k] for k in rows]).sgp4(
        np.array([JD_UNIX + np.floor(days)]), np.array([days % 1.0])
    )
    position[error != 0] = np.nan
    return position[:, 0], velocity[:, 0]


def _near(sky: SimulatedSky, frame: SkyFrame, middle: datetime) -> NDArray[np.intp]:
    """Satellites that are in the picture or come into it within the exposure."""
    position, _ = true_states(sky, np.arange(len(sky.true)), middle)
    sight = position - observer_teme(sky, frame, middle)
    range_km = np.linalg.norm(sight, axis=1)
    axis = teme_to_gcrs(middle).T @ frame.matrix[:, 2]
    with np.errstate(invalid="ignore", divide="ignore"):
        angle = np.arccos(np.clip(sight @ axis / range_km, -1.0, 1.0))
        half = np.arctan(0.6 * np.hypot(frame.width_px, frame.height_px) / frame.focal_px)
        reach = np.arcsin(np.minimum(16.0 * (frame.exposure_s + 2.0) / range_km, 1.0))
        near = (range_km > ATTACHED_KM) & (angle < half + reach + 0.02)
    return np.flatnonzero(near)


def _observe_directions(
    sky: SimulatedSky, rows: NDArray[np.intp], frame: SkyFrame, time: datetime
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Directions among the stars, ranges, and positions (TEME), at a moment."""
    from astropy.coordinates import get_body_barycentric_posvel

    observer = observer_teme(sky, frame, time)
    position, velocity = true_states(sky, rows, time)
    delay = np.linalg.norm(position - observer, axis=1) / LIGHT_KM_S
    sight = position - velocity * delay[:, None] - observer
    range_km = np.linalg.norm(sight, axis=1)
    earth = get_body_barycentric_posvel("earth", _astropy_time(time))[1].xyz
    seen = (sight / range_km[:, None]) @ teme_to_gcrs(time).T
    seen = seen - np.asarray(earth.to_value("km/s")) / LIGHT_KM_S
    hidden = _are_hidden(position, observer)
    seen = np.where(hidden[:, None], np.nan, seen)
    return seen / np.linalg.norm(seen, axis=1, keepdims=True), range_km, position


def _are_hidden(position: FloatArray, observer: FloatArray) -> NDArray[np.bool_]:
    step = position - observer
    height = float(np.linalg.norm(observer))
    if height < EQUATOR_KM + 10.0:
        return np.asarray(step @ observer < 0.0)
    along = np.clip(-(step @ observer) / np.sum(step**2, axis=1), 0.0, 1.0)
    nearest = np.linalg.norm(observer + along[:, None] * step, axis=1)
    return np.asarray((along > 0.0) & (nearest < EQUATOR_KM))


def sunlit(position: FloatArray, time: datetime) -> NDArray[np.bool_]:
    """Which positions (SGP4's axes) are outside the cylinder of the Earth's shadow."""
    from astropy.coordinates import TEME, get_sun

    sun = get_sun(_astropy_time(time)).transform_to(TEME(obstime=_astropy_time(time)))
    unit = np.asarray(sun.cartesian.xyz / sun.cartesian.norm(), float)
    ahead = position @ unit
    beside = np.linalg.norm(position - ahead[:, None] * unit, axis=1)
    return np.asarray((ahead > 0.0) | (beside > EQUATOR_KM))


def _between(values: FloatArray, at: NDArray[np.intp], steps: int) -> FloatArray:
    """Polynomials through values, shape (n, 5, 3), at all steps."""
    from scipy.interpolate import BarycentricInterpolator

    inner = BarycentricInterpolator(at.astype(float), np.moveaxis(values, 1, 0))
    return np.moveaxis(inner(np.arange(steps, dtype=float)), 0, 1)


def _clip_track(x: FloatArray, y: FloatArray, frame: SkyFrame, row: int) -> TrueStreak | None:
    """What the picture holds of a track."""
    fine = np.linspace(0.0, len(x) - 1.0, 40 * len(x))
    fx, fy = np.interp(fine, np.arange(len(x)), x), np.interp(fine, np.arange(len(y)), y)
    inside = (fx > -0.5) & (fx < frame.width_px - 0.5) & (fy > -0.5) & (fy < frame.height_px - 0.5)
    if not inside.any():
        return None
    first, last = np.flatnonzero(inside)[[0, -1]]
    if np.hypot(fx[last] - fx[first], fy[last] - fy[first]) < SHORTEST_PX:
        return None
    return TrueStreak(
        ends=(fx[first], fy[first], fx[last], fy[last]),
        cut=(bool(first > 0), bool(last < len(fine) - 1)),
        row=row,
    )


def point_camera(axis: FloatArray, roll_rad: float) -> FloatArray:
    """Camera matrix that looks along a direction, turned about it."""
    right = np.cross(axis, [0.3, 0.5, 0.8])
    right /= np.linalg.norm(right)
    matrix = np.stack([right, np.cross(axis, right), axis], axis=1)
    return np.asarray(Rotation.from_rotvec(roll_rad * axis).as_matrix() @ matrix)
