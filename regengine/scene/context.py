"""Adjust scene probabilities by camera model, Sun and Moon."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from detectors.limb_geometry import limb_angle_deg
from regengine.orbit.propagation import CameraPosition
from regengine.orbit.sun_moon import sun_moon
from regengine.scene.models import SceneAnswer, also_shown

# Cameras of the school computers (Astro Pi), by their EXIF names: with their short exposures they
# record no lamps, stars or aurora. One of two has no infrared filter. The model assumes this of
# every camera: it gives infrared the same weight as day
_SCHOOLS = re.compile(r"raspberry|\brp_|ov5647|imx477|imx708|imx219", re.IGNORECASE)
_SCHOOLS_FACTORS = {"cities": 0.25, "stars": 0.25, "aurora": 0.25}
# Cameras of the crews, which have the filter; a converted camera is rare, and a wrong EXIF entry
# rarer
_CREWS = re.compile(r"nikon|kodak|canon|sony|hasselblad|red\b", re.IGNORECASE)
_CREWS_FACTORS = {"infrared": 0.05}
# One sigma along the track, above which the error of the Sun's elevation exceeds 10 degrees
MAX_SIGMA_ALONG_KM = 1100.0
# Sun elevations at the nadir, degrees, for which `SUN_FACTORS` are given. Between them, the
# logarithms of the factors are interpolated linearly; outside, they are constant.
SUN_KNOTS_DEG = (-40.0, -30.0, -20.0, -10.0, 0.0, 10.0, 30.0)
# In 2 % of the archive's night frames time and nadir cannot both be right: no factor is lower.
WRONG_CLOCK = 0.02
# Frequency of 9,403 night frames of the archive at these elevations, relative to the maximum at
# -35: a long exposure needs dark ground and an unlit station.
_DARK = (1.0, 1.0, 0.30, 0.06, 0.03, 0.02, 0.02)
# The visible ground reaches 20 degrees from the nadir: twilight enters the view from -20 on. Below
# that, daylight is possible only with a wrong clock.
_LIT = (0.02, 0.02, 0.05, 0.30, 0.80, 1.0, 1.0)
_ALWAYS = (1.0,) * len(SUN_KNOTS_DEG)
SUN_FACTORS: Mapping[str, tuple[float, ...]] = {
    "cities": _DARK,
    "stars": _DARK,
    "aurora": _DARK,
    # As the other night classes; automatic cameras also record the dusk as black
    "night_nocity": (1.0, 1.0, 0.50, 0.15, 0.03, 0.02, 0.02),
    "day": _LIT,
    "infrared": _LIT,
    # The disc sets at -20; its arc remains visible for 18 degrees more. Before that, clouds and
    # limb redden where it is evening on the ground ahead, at most 20 degrees away.
    "sunset_sunrise": (0.05, 0.40, 1.0, 1.0, 0.60, 0.15, 0.03),
    "moon": _ALWAYS,
    "inside": _ALWAYS,
    "other": _ALWAYS,
}
# Factor for a Moon below the camera's horizon; smallest illumination of a visible Moon
MOON_BELOW, THINNEST_MOON = WRONG_CLOCK, 0.03
# Picture and clock contradict each other if the agreement with the ephemeris is below this
MIN_AGREEMENT = 0.10


@dataclass(frozen=True, kw_only=True)
class SceneEphemeris:
    """Sun and Moon for the camera and for the ground at its nadir."""

    # Elevation of the Sun's centre above the horizontal plane at the nadir, without refraction
    sun_elevation_deg: float
    moon_elevation_deg: float  # elevation of the Moon's centre, likewise
    moon_illumination: float  # illuminated fraction of the Moon's disc, 0 to 1
    # Angle between the camera's horizontal plane and the Earth's limb; about 20 for the ISS
    horizon_dip_deg: float
    # "day": the Sun is above the horizon at the nadir; "night": it is below the camera's own
    # horizon, so that neither ground nor station is lit; "twilight": between the two
    light: str

    @property
    def moon_above_limb_deg(self) -> float:
        """Elevation of the Moon's centre above the limb from the camera's position."""
        return self.moon_elevation_deg + self.horizon_dip_deg

    def record(self) -> dict[str, float | str]:
        """The values as written to a frame's NDJSON record."""
        return {"sun_elevation_deg": round(self.sun_elevation_deg, 1), "class": self.light}


def apply_context(
    answer: SceneAnswer, camera_body: str | None, position: CameraPosition | None
) -> tuple[SceneAnswer, SceneEphemeris | None, str | None]:
    """Adjust a scene answer by camera, Sun and Moon.

    Also returns the ephemeris and how it contradicts the picture. If they contradict each other,
    the clock may be wrong: the ephemeris is then not used.
    """
    ephemeris = contradiction = None
    probabilities = scale_odds(answer.probabilities, camera_factors(camera_body))
    if position is not None and position.sigma_along_km <= MAX_SIGMA_ALONG_KM:
        ephemeris = scene_ephemeris(position)
    if ephemeris is not None:
        contradiction = disagreement(ephemeris, probabilities)
        if contradiction is None:
            probabilities = scale_odds(probabilities, prior(ephemeris))
    category = answer.category
    if answer.explained:
        category = max(probabilities, key=lambda name: probabilities[name])
    also = also_shown(probabilities, category)
    moved = replace(answer, category=category, probabilities=probabilities, also=also)
    return moved, ephemeris, contradiction


def camera_factors(camera: str | None) -> Mapping[str, float]:
    """Factors on the odds of classes from a camera's name; empty if it provides no information.

    The name comes from EXIF or a frame record. It is evidence, not a rule: it does not change a
    probability that is close to 0 or 1.
    """
    if camera and _SCHOOLS.search(camera):
        return _SCHOOLS_FACTORS
    if camera and _CREWS.search(camera):
        return _CREWS_FACTORS
    return {}


def scale_odds(
    probabilities: Mapping[str, float], factors: Mapping[str, float]
) -> dict[str, float]:
    """Multiply the odds of each class by its factor.

    Each factor is divided by the mean of the factors, weighted by the probabilities from the
    picture. A certain result does not change; an ambiguous result moves to the class with the
    greater factor.
    """
    total = sum(probabilities.values())
    mean = sum(p * factors.get(name, 1.0) for name, p in probabilities.items()) / total
    moved = {}
    for name, p in probabilities.items():
        odds = p / (1.0 - p) * factors.get(name, 1.0) / mean
        moved[name] = odds / (1.0 + odds)
    return moved


def scene_ephemeris(position: CameraPosition) -> SceneEphemeris | None:
    """Sun and Moon at a camera's position and time; None if the time is unknown."""
    if position.time_utc is None:
        return None
    seen = sun_moon(position.time_utc, position.lon, position.lat)
    dip_deg = 90.0 - limb_angle_deg(position.altitude_km, 0.0)
    return SceneEphemeris(
        sun_elevation_deg=seen.sun_elevation_deg,
        moon_elevation_deg=seen.moon_elevation_deg,
        moon_illumination=seen.moon_illumination,
        horizon_dip_deg=dip_deg,
        light=light_class(seen.sun_elevation_deg, dip_deg),
    )


def light_class(sun_elevation_deg: float, dip_deg: float) -> str:
    """Day, twilight or night, from the Sun's elevation at the nadir and the horizon dip."""
    if sun_elevation_deg > 0.0:
        return "day"
    return "night" if sun_elevation_deg <= -(dip_deg + 0.27) else "twilight"


def prior(ephemeris: SceneEphemeris) -> dict[str, float]:
    """Factors on the odds of scene classes from Sun and Moon."""
    factors = {
        name: float(np.exp(np.interp(ephemeris.sun_elevation_deg, SUN_KNOTS_DEG, np.log(values))))
        for name, values in SUN_FACTORS.items()
    }
    if ephemeris.moon_above_limb_deg < 0.0 or ephemeris.moon_illumination < THINNEST_MOON:
        factors["moon"] = MOON_BELOW
    return factors


def disagreement(ephemeris: SceneEphemeris, probabilities: Mapping[str, float]) -> str | None:
    """Describe how picture and ephemeris contradict each other; None if they do not."""
    total = sum(probabilities.values())
    if total <= 0.0:
        return None
    factors = prior(ephemeris)
    agreement = sum(p * factors.get(name, 1.0) for name, p in probabilities.items()) / total
    shown = max(probabilities, key=lambda name: probabilities[name])
    if agreement >= MIN_AGREEMENT or factors.get(shown, 1.0) > 0.05:
        return None
    # Why the camera cannot see it
    thing, side = shown, "above" if ephemeris.sun_elevation_deg > 0.0 else "below"
    height_deg = abs(ephemeris.sun_elevation_deg)
    why = f"the Sun was {height_deg:.0f} degrees {side} the horizon at the nadir"
    if shown == "moon":
        thing = "the Moon"
        why = f"only {100.0 * ephemeris.moon_illumination:.0f} % of the Moon was lit"
        if ephemeris.moon_above_limb_deg < 0.0:
            why = f"the Moon was {-ephemeris.moon_above_limb_deg:.0f} degrees below the limb"
    return (
        f"clock_suspect: the picture shows {thing} ({probabilities[shown]:.2f}), but at its time "
        f"{why}; check the camera's clock, or the nadir"
    )
