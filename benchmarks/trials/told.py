"""What the engine is told: a clock, an element set and a focal length, each with its error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.vantage import EARTH_TURN_RAD_S
from benchmarks.trials.continents import continent_of
from benchmarks.trials.lit import distance_km
from benchmarks.trials.orbits import State, Told, nadirs_of, state_at, time_of
from benchmarks.trials.shot import Shot
from benchmarks.trials.source import TrialSource
from benchmarks.trials.trial import Kind

FloatArray = NDArray[np.float64]

CLOCK_SHARES = {"2s": 0.55, "120s": 0.25, "10min": 0.08, "1h": 0.12}
FOCAL_SHARES = {"exact": 0.30, "error": 0.50, "unknown": 0.15, "wrong": 0.05}
MOST_FOCAL_ERROR = 0.03
WRONG_FACTOR = (1.1, 1.5)
# A pass that is not the photograph's must not show its place at any clock within this of it ...
CLAIM_WINDOW_S = 75.0 * 60.0
HORIZON_KM = 2600.0  # ... nor come as near to it as this: the horizon at 450 km is 2,340 km away


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is said of a photograph.

    Attributes
    ----------
    clock_utc : datetime
        Whole seconds, as EXIF holds.
    clock_class : str
    clock_error_s : float
        Clock minus true time; of the claimed pass where the pass is not the true one.
    elements : Told
    focal_mm : float or None
        None where EXIF does not tell.
    focal_told : str
        "exact", "error", "unknown" or "wrong".
    along_track_error_km, cross_track_error_km : float or None
        Of the element set at the true moment; None where it is of another pass.
    """

    clock_utc: datetime
    clock_class: str
    clock_error_s: float
    elements: Told
    focal_mm: float | None
    focal_told: str
    along_track_error_km: float | None
    cross_track_error_km: float | None


def draw_claim(rng: np.random.Generator, source: TrialSource, kind: Kind, shot: Shot) -> Claim:
    """Draw what the engine is told of a shot."""
    errors_km: tuple[float | None, float | None] = (None, None)
    of_another_pass = kind == "other_time" or (kind == "elsewhere" and source.decoy_world is None)
    if of_another_pass:
        days, elements = _other_pass(rng, source, kind, shot)
    else:
        days = shot.days
        elements = source.orbits.told(rng, shot.night, days)
        given = state_at(elements.satellite, days).position_ecef_m
        errors_km = apart_km(given, shot.state)
    clock_class = _choice(rng, CLOCK_SHARES)
    wanted = time_of(days) + timedelta(seconds=draw_clock_error_s(rng, clock_class))
    clock = (wanted + timedelta(seconds=0.5)).replace(microsecond=0)
    told, focal_mm = _focal(rng, shot)
    return Claim(
        clock_utc=clock,
        clock_class=clock_class,
        clock_error_s=(clock - time_of(days)).total_seconds(),
        elements=elements,
        focal_mm=focal_mm,
        focal_told=told,
        along_track_error_km=errors_km[0],
        cross_track_error_km=errors_km[1],
    )


def _choice(rng: np.random.Generator, shares: dict[str, float]) -> str:
    return str(rng.choice(list(shares), p=list(shares.values())))


def draw_clock_error_s(rng: np.random.Generator, clock_class: str) -> float:
    """Seconds that a camera clock is fast, before it is cut to whole seconds."""
    if clock_class == "1h":  # a time zone, or summer time, and the usual drift on top
        hours = float(rng.choice([-1.0, 1.0]))
        return 3600.0 * hours + float(rng.uniform(-30.0, 30.0))
    most = {"2s": 2.0, "120s": 120.0, "10min": 600.0}[clock_class]
    return float(rng.uniform(-most, most))


def _focal(rng: np.random.Generator, shot: Shot) -> tuple[str, float | None]:
    """How the focal length is told, and what EXIF says: two decimals at most."""
    told = _choice(rng, FOCAL_SHARES)
    if told == "unknown":
        return told, None
    if told == "exact":
        return told, round(shot.focal_mm, 2)
    if told == "error":
        spread = float(np.clip(rng.normal(0.0, 0.015), -MOST_FOCAL_ERROR, MOST_FOCAL_ERROR))
        return told, round(shot.focal_mm / (1.0 + spread), 2)
    factor = float(rng.uniform(*WRONG_FACTOR))
    return told, round(shot.focal_mm * (factor if rng.random() < 0.5 else 1.0 / factor), 2)


def _other_pass(
    rng: np.random.Generator, source: TrialSource, kind: Kind, shot: Shot
) -> tuple[float, Told]:
    """A pass from which the photographed place cannot be seen, whatever the clock."""
    home = str(continent_of(*shot.target))
    for _ in range(400):
        if kind == "other_time":
            night = shot.night
            hours = float(rng.choice([-1.0, 1.0])) * float(np.exp(rng.uniform(1.0, np.log(200.0))))
            days = shot.days + hours / 24.0
        else:
            night = source.orbits.night(rng)
            if not len(night.days):
                continue
            days = float(rng.choice(night.days))
        elements = source.orbits.told(rng, night, days)
        lon, lat = nadirs_of(night.satellite, np.array([days]))
        other = kind == "other_time" or str(continent_of(lon, lat)[0]) != home
        if other and never_in_view(elements, days, shot.target):
            return days, elements
    raise RuntimeError("No pass was found that does not show the place; draw another seed.")


def never_in_view(elements: Told, days: float, target: tuple[float, float]) -> bool:
    """Whether a place stays beyond the horizon at all clocks within 75 minutes."""
    moments = days + np.arange(-CLAIM_WINDOW_S, CLAIM_WINDOW_S + 1.0, 30.0) / 86400.0
    lon, lat = nadirs_of(elements.satellite, moments)
    return bool(np.nanmin(distance_km(target[0], target[1], lon, lat)) > HORIZON_KM)


def apart_km(given_m: FloatArray, true: State) -> tuple[float, float]:
    """How far a position is ahead of the true one along the orbit, and across it, kilometres."""
    position_m = true.position_ecef_m
    inertial = true.velocity_ecef_m_s + np.cross([0.0, 0.0, EARTH_TURN_RAD_S], position_m)
    up = position_m / np.linalg.norm(position_m)
    across = np.cross(position_m, inertial)
    across /= np.linalg.norm(across)
    ahead = np.cross(across, up)
    angle = np.arctan2(given_m @ ahead, given_m @ up)
    return (
        float(angle * np.linalg.norm(position_m) / 1000.0),
        float(given_m @ across / 1000.0),
    )
