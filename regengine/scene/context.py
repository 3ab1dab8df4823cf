"""What is known of a photo beside its picture: camera, Sun and Moon, as factors on the odds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from detectors.limb_geometry import limb_angle_deg
from regengine.orbit.propagation import CameraPosition
from regengine.orbit.sun_moon import sun_moon
from regengine.scene.models import SceneAnswer, also_shown

# Cameras of the schools' computers (Astro Pi), as they write themselves into EXIF: they take no
# lamps, stars or aurora with their short exposures. One of two has no infrared filter, which is
# what the model takes for granted of any camera: it weighs infrared as much as day
_SCHOOLS = re.compile(r"raspberry|\brp_|ov5647|imx477|imx708|imx219", re.IGNORECASE)
_SCHOOLS_FACTORS = {"cities": 0.25, "stars": 0.25, "aurora": 0.25}
# Crews' own, which have the filter; one that was rebuilt is rare, and more so a wrong EXIF
_CREWS = re.compile(r"nikon|kodak|canon|sony|hasselblad|red\b", re.IGNORECASE)
_CREWS_FACTORS = {"infrared": 0.05}
# One sigma along the track, from which on the Sun's elevation is worse than 10 degrees
MAX_SIGMA_ALONG_KM = 1100.0
SUN_RADIUS_DEG = 0.27
# Sun's elevation at the nadir, degrees, at which `SUN_FACTORS` are given; between them their
# logarithms run straight, beyond the ends they stay.
SUN_KNOTS_DEG = (-40.0, -30.0, -20.0, -10.0, 0.0, 10.0, 30.0)
# In 2 % of the archive's night frames time and nadir cannot both be right: no factor is lower.
WRONG_CLOCK = 0.02
# How frequent 9,403 night frames of the archive are at these elevations, as a share of -35, where
# they are most frequent: a long exposure needs a dark ground and an unlit station.
_DARK = (1.0, 1.0, 0.30, 0.06, 0.03, 0.02, 0.02)
# The visible ground reaches 20 degrees from the nadir: dawn creeps in from -20 on. Below that
# only a wrong clock shows daylight.
_LIT = (0.02, 0.02, 0.05, 0.30, 0.80, 1.0, 1.0)
_ALWAYS = (1.0,) * len(SUN_KNOTS_DEG)
SUN_FACTORS: Mapping[str, tuple[float, ...]] = {
    "cities": _DARK,
    "stars": _DARK,
    "aurora": _DARK,
    # As the others of the night, and cameras that run by themselves see the dusk go black
    "night_nocity": (1.0, 1.0, 0.50, 0.15, 0.03, 0.02, 0.02),
    "day": _LIT,
    "infrared": _LIT,
    # The disc sets at -20; its arc stays for 18 degrees more. Before that clouds and limb redden
    # where the ground ahead has its evening, at most 20 degrees away.
    "sunset_sunrise": (0.05, 0.40, 1.0, 1.0, 0.60, 0.15, 0.03),
    "moon": _ALWAYS,
    "inside": _ALWAYS,
    "other": _ALWAYS,
}
# A Moon below the camera's horizon, or too thin a one, is in no picture
MOON_BELOW, THINNEST_MOON = WRONG_CLOCK, 0.03
# A picture contradicts the clock where it and the ephemeris agree in less than this
MIN_AGREEMENT = 0.10
IMPOSSIBLE = 0.05


@dataclass(frozen=True, kw_only=True)
class SceneEphemeris:
    """Sun and Moon for the camera and for the ground below it."""

    # Of the Sun's centre above the horizontal plane at the nadir, without refraction
    sun_elevation_deg: float
    moon_elevation_deg: float  # of the Moon, alike
    moon_illumination: float  # lit fraction of the Moon's disc, 0 to 1
    # How far below its horizontal plane the camera sees the Earth's limb; about 20 for the ISS
    horizon_dip_deg: float
    # "day": the Sun is up at the nadir; "night": it is below the camera's own horizon, so that
    # neither ground nor station is lit; "twilight" between the two
    light: str

    @property
    def moon_above_limb_deg(self) -> float:
        """Elevation of the Moon's centre above the limb as the camera sees it."""
        return self.moon_elevation_deg + self.horizon_dip_deg

    def record(self) -> dict[str, float | str]:
        """As it stands in a frame's NDJSON record."""
        return {"sun_elevation_deg": round(self.sun_elevation_deg, 1), "class": self.light}


def apply_context(
    answer: SceneAnswer, camera_body: str | None, position: CameraPosition | None
) -> tuple[SceneAnswer, SceneEphemeris | None, str | None]:
    """What a picture shows once its camera, Sun and Moon are asked, too.

    Besides these two, and in which way they contradict the picture: a clock that is wrong tells
    nothing.
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
    """How much likelier or unlikelier classes are by a camera's name; none where it tells nothing.

    The name is that of EXIF or of a frame record. It is evidence and no rule: a picture that leaves
    no doubt is not moved.
    """
    if camera and _SCHOOLS.search(camera):
        return _SCHOOLS_FACTORS
    if camera and _CREWS.search(camera):
        return _CREWS_FACTORS
    return {}


def scale_odds(
    probabilities: Mapping[str, float], factors: Mapping[str, float]
) -> dict[str, float]:
    """Probabilities of what a picture shows, once something else has been asked.

    Every class's odds are multiplied by its factor over the mean of the factors as the picture
    weighs them: a picture that leaves no doubt is not moved, one between two classes goes to the
    one that is likelier otherwise.
    """
    total = sum(probabilities.values())
    mean = sum(p * factors.get(name, 1.0) for name, p in probabilities.items()) / total
    moved = {}
    for name, p in probabilities.items():
        odds = p / (1.0 - p) * factors.get(name, 1.0) / mean
        moved[name] = odds / (1.0 + odds)
    return moved


def scene_ephemeris(position: CameraPosition) -> SceneEphemeris | None:
    """Sun and Moon at a camera's place and time; None where the time is not known."""
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
    """Day, twilight or night by the Sun at the nadir and the dip of the camera's horizon."""
    if sun_elevation_deg > 0.0:
        return "day"
    return "night" if sun_elevation_deg <= -(dip_deg + SUN_RADIUS_DEG) else "twilight"


def prior(ephemeris: SceneEphemeris) -> dict[str, float]:
    """How much likelier or unlikelier a scene class is made by Sun and Moon."""
    factors = {
        name: float(np.exp(np.interp(ephemeris.sun_elevation_deg, SUN_KNOTS_DEG, np.log(values))))
        for name, values in SUN_FACTORS.items()
    }
    if ephemeris.moon_above_limb_deg < 0.0 or ephemeris.moon_illumination < THINNEST_MOON:
        factors["moon"] = MOON_BELOW
    return factors


def disagreement(ephemeris: SceneEphemeris, probabilities: Mapping[str, float]) -> str | None:
    """Whether picture and ephemeris contradict each other."""
    total = sum(probabilities.values())
    if total <= 0.0:
        return None
    factors = prior(ephemeris)
    agreement = sum(p * factors.get(name, 1.0) for name, p in probabilities.items()) / total
    shown = max(probabilities, key=lambda name: probabilities[name])
    if agreement >= MIN_AGREEMENT or factors.get(shown, 1.0) > IMPOSSIBLE:
        return None
    thing = "the Moon" if shown == "moon" else shown
    return (
        f"clock_suspect: the picture shows {thing} ({probabilities[shown]:.2f}), but at its time "
        f"{_hindrance(ephemeris, shown)}; check the camera's clock, or the nadir"
    )


def _hindrance(ephemeris: SceneEphemeris, shown: str) -> str:
    """What keeps the camera from seeing a class, half a sentence."""
    if shown == "moon" and ephemeris.moon_above_limb_deg < 0.0:
        return f"the Moon was {-ephemeris.moon_above_limb_deg:.0f} degrees below the limb"
    if shown == "moon":
        return f"only {100.0 * ephemeris.moon_illumination:.0f} % of the Moon was lit"
    side = "above" if ephemeris.sun_elevation_deg > 0.0 else "below"
    height_deg = abs(ephemeris.sun_elevation_deg)
    return f"the Sun was {height_deg:.0f} degrees {side} the horizon at the nadir"
