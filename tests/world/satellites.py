"""A sky of satellites: true orbits, the element sets of a catalogue, and streaks in a picture.

Directions go through astropy, not through the program's own frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sgp4.api import WGS72, Satrec, SatrecArray
from sgp4.exporter import export_tle

FloatArray = NDArray[np.float64]

EARTH_KM, GRAVITY_KM3_S2 = 6378.135, 398600.8  # WGS72, as the elements
FIRST_NUMBER = 10001
EPOCH_1949 = datetime(1949, 12, 31, tzinfo=UTC)  # origin of sgp4init's epochs
# Kind: share, heights, inclinations, greatest eccentricity
KINDS = (
    ("STARLINK", 0.30, (530.0, 570.0), (43.0, 97.6), 0.0003),
    ("ONEWEB", 0.05, (1199.0, 1201.0), (87.8, 88.0), 0.0003),
    ("SAT", 0.15, (380.0, 1500.0), (20.0, 99.0), 0.01),
    ("CUBE", 0.06, (380.0, 600.0), (51.6, 97.6), 0.003),
    ("R/B", 0.10, (400.0, 1600.0), (62.0, 100.0), 0.05),
    ("GEO", 0.06, (35780.0, 35795.0), (0.0, 12.0), 0.0005),
    ("DEB", 0.28, (450.0, 1500.0), (65.0, 99.5), 0.02),
)
AGE_DAYS = 1.0
# Errors along the track at the epoch, and a day, one sigma
ALONG_KM, ALONG_A_DAY_KM = 0.3, 0.4


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedSky:
    """True orbits and the catalogue's."""

    # names and numbers: of each satellite
    names: tuple[str, ...]
    numbers: tuple[str, ...]
    true: tuple[Satrec, ...]  # where they are
    lines: tuple[tuple[str, str], ...]  # what the catalogue says of them

    def text(self, *, with_names: bool = True) -> str:
        heads = (f"0 {name}\n" if with_names else "" for name in self.names)
        lines = zip(heads, self.lines, strict=True)
        return "".join(f"{head}{first}\n{second}\n" for head, (first, second) in lines)


def simulate_satellites(count: int, time_utc: datetime, rng: np.random.Generator) -> SimulatedSky:
    """Draw a sky of satellites; sets are up to a day old, and wrong along the track."""
    kinds, elements = _population(count, rng)
    numbers = [FIRST_NUMBER + k for k in range(len(kinds))]
    true, lines = [], []
    for one, number in zip(elements, numbers, strict=True):
        epoch = time_utc - timedelta(days=rng.uniform(0.0, AGE_DAYS))
        axis_km = (GRAVITY_KM3_S2 * (86400.0 / (2.0 * np.pi * one[5])) ** 2) ** (1.0 / 3.0)
        wrong = np.zeros(7)
        wrong[3] = np.degrees(rng.normal(0.0, ALONG_KM) / axis_km)
        wrong[5] = np.degrees(rng.normal(0.0, ALONG_A_DAY_KM) / axis_km) / 360.0
        true.append(record_of(one, number, epoch))
        lines.append(export_tle(record_of(one + wrong, number, epoch)))
    return SimulatedSky(
        names=tuple(f"{kind}-{n}" for kind, n in zip(kinds, numbers, strict=True)),
        numbers=tuple(map(str, numbers)),
        true=tuple(true),
        lines=tuple(lines),
    )


def record_of(elements: FloatArray, number: int, epoch_utc: datetime) -> Satrec:
    """SGP4's record of inclination, node, perigee, anomaly (degrees), e, revolutions, B*."""
    inclination, node, perigee, anomaly = np.radians(elements[:4] % 360.0)
    eccentricity, revolutions, bstar = elements[4:]
    made, days = Satrec(), (epoch_utc - EPOCH_1949) / timedelta(days=1)
    rate = revolutions * 2.0 * np.pi / 1440.0
    made.sgp4init(
        WGS72, "i", number, days, bstar, 0.0, 0.0,
        eccentricity, perigee, inclination, anomaly, rate, node,
    )  # fmt: skip
    made.classification, made.intldesg = "U", "20001A"
    made.ephtype, made.elnum, made.revnum = 0, 999, 1
    return made


def _population(count: int, rng: np.random.Generator) -> tuple[list[str], FloatArray]:
    """Kinds and elements (n, 7)."""
    kinds: list[str] = []
    rows: list[FloatArray] = []
    for kind, share, heights, inclinations, most_e in KINDS:
        n = max(1, round(share * count))
        height, eccentricity = rng.uniform(*heights, n), rng.uniform(0.0, most_e, n)
        axis = (EARTH_KM + height) / (1.0 - eccentricity)
        kinds.extend([kind] * n)
        rows.append(
            np.stack(
                [
                    rng.uniform(*inclinations, n),
                    *rng.uniform(0.0, 360.0, (3, n)),
                    eccentricity,
                    86400.0 / (2.0 * np.pi) * np.sqrt(GRAVITY_KM3_S2 / axis**3),
                    np.where(height < 1200.0, 10.0 ** rng.normal(-4.0, 0.3, n), 0.0),
                ],
                axis=1,
            )
        )
    return kinds, np.concatenate(rows)


LIGHT_KM_S, EQUATOR_KM = 299792.458, 6378.137
JD_UNIX, STEPS = 2440587.5, 41
SHORTEST_PX = 15.0
ATTACHED_KM = 20.0  # the camera's own satellite


@dataclass(frozen=True, kw_only=True, eq=False)
class SkyFrame:
    """A simulated exposure."""

    start_utc: datetime  # when it truly began
    exposure_s: float
    station: int  # row of the satellite that carries the camera
    width_px: int
    height_px: int
    focal_px: float
    # Shape (3, 3): Camera (x right, y down, z forward) to ICRS, as stars without aberration have it
    matrix: FloatArray = field(default_factory=lambda: np.eye(3))


@dataclass(frozen=True, kw_only=True)
class TrueStreak:
    """A streak and who drew it: a row of the sky."""

    ends: tuple[float, float, float, float]
    cut: tuple[bool, bool]
    row: int


def true_streaks(sky: SimulatedSky, frame: SkyFrame) -> list[TrueStreak]:
    """Streaks of all satellites in sunlight, without noise."""
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
    found = []
    for k in np.flatnonzero(sunlit(seen[2][1], middle)):
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
    x = (frame.width_px - 1) / 2.0 + frame.focal_px * u
    y = (frame.height_px - 1) / 2.0 + frame.focal_px * v
    return np.where(good, x, np.nan), np.where(good, y, np.nan)


def observer_teme(sky: SimulatedSky, frame: SkyFrame, time: datetime) -> FloatArray:
    """Where the camera is along SGP4's axes, kilometres."""
    return true_states(sky, np.array([frame.station]), time)[0][0]


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
) -> tuple[FloatArray, FloatArray]:
    """Directions among the stars, and positions (TEME), at a moment."""
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
    return seen / np.linalg.norm(seen, axis=1, keepdims=True), position


def _are_hidden(position: FloatArray, observer: FloatArray) -> NDArray[np.bool_]:
    step = position - observer
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
