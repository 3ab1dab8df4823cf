"""Trials with cities below the limb and the true stars above it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.camera import SimCamera
from benchmarks.trials.draw import draw_claim, trial_of
from benchmarks.trials.exposures import CD_M2_PER_NW
from benchmarks.trials.orbits import time_of
from benchmarks.trials.shot import Shot, draw_conditions, draw_shot, view_shares
from benchmarks.trials.source import TrialSource
from benchmarks.trials.trial import Kind, Trial

# The true sky behind a trial: catalogue stars where astropy puts them for the camera's place.

FloatArray = NDArray[np.float64]
ImageArray = NDArray[np.float32]

# Illuminance of a star of magnitude 0 in V (IAU 2015 resolution B2's zero points and 683 lm/W)
MAGNITUDE_ZERO_LUX = 2.54e-6
FAINTEST_MAG = 8.0
# A star seen past the limb is lifted by twice the horizontal refraction, which falls off with the
# air's density at its tangent height
REFRACTION_DEG, AIR_SCALE_KM = 1.17, 6.7
# Below this the air takes most of a star's light
LOWEST_KM = 12.0


@dataclass(frozen=True, kw_only=True)
class TrueStars:
    """A catalogue as the simulator uses it.

    Attributes
    ----------
    vectors_icrs : ndarray of float64, shape (n, 3)
        Unit vectors.
    magnitude : ndarray of float64, shape (n,)
    """

    vectors_icrs: FloatArray
    magnitude: FloatArray


def seen_directions(
    vectors_icrs: FloatArray,
    time_utc: datetime,
    position_ecef_m: FloatArray,
    velocity_ecef_m_s: FloatArray,
) -> FloatArray:
    """Where an observer in orbit sees stars, in Earth-fixed axes, by astropy."""
    import astropy.units as u
    from astropy.coordinates import (
        GCRS,
        ITRS,
        CartesianDifferential,
        CartesianRepresentation,
        SkyCoord,
    )
    from astropy.time import Time
    from astropy.utils import iers

    def given(xyz: Any, unit: Any) -> Any:
        return CartesianRepresentation(np.asarray(xyz), unit=unit)

    with iers.conf.set_temp("auto_download", False):
        time = Time(time_utc.replace(tzinfo=None), scale="utc")
        motion = CartesianDifferential(velocity_ecef_m_s, unit=u.m / u.s)
        place = ITRS(given(position_ecef_m, u.m).with_differentials(motion), obstime=time)
        state = place.transform_to(GCRS(obstime=time))
        observer = GCRS(
            obstime=time,
            obsgeoloc=state.cartesian.without_differentials(),
            obsgeovel=state.velocity.to_cartesian(),
        )
        stars = SkyCoord(*vectors_icrs.T, representation_type="cartesian", frame="icrs")
        seen = stars.transform_to(observer).cartesian.xyz.value.T
        axes = GCRS(given(np.eye(3), u.Gpc), obstime=time)
        turn = axes.transform_to(ITRS(obstime=time)).cartesian.xyz.to_value(u.Gpc)
    seen = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return np.asarray(seen @ turn.T, float)


def pixels_of(
    camera: SimCamera, directions_ecef: FloatArray
) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    """Pixels of directions that lie in a picture, and which of the directions they are."""
    local = directions_ecef @ camera.axes
    ahead = local[:, 2] > 0.05
    u = local[:, 0] / np.where(ahead, local[:, 2], 1.0)
    v = local[:, 1] / np.where(ahead, local[:, 2], 1.0)
    square = u * u + v * v
    if camera.k1 < 0.0:  # beyond this the one radial term folds back into the picture
        ahead &= square < 1.0 / (3.0 * abs(camera.k1))
    x = camera.principal_x + camera.focal_px * u * (1.0 + camera.k1 * square)
    y = camera.principal_y + camera.focal_px * v * (1.0 + camera.k1 * square)
    if camera.mirrored:
        x = camera.width_px - 1 - x
    inside = ahead & (x > 0.0) & (x < camera.width_px - 1) & (y > 0.0) & (y < camera.height_px - 1)
    chosen = np.flatnonzero(inside)
    return x[chosen], y[chosen], chosen


def true_star_light(
    camera: SimCamera, stars: TrueStars, time_utc: datetime, velocity_ecef_m_s: FloatArray
) -> ImageArray:
    """Light of the catalogue's stars in a picture."""
    image = np.zeros((camera.height_px, camera.width_px), np.float32)
    bright = np.flatnonzero(stars.magnitude < FAINTEST_MAG)
    seen = seen_directions(
        stars.vectors_icrs[bright], time_utc, camera.position_ecef_m, velocity_ecef_m_s
    )
    seen = _lifted(camera, seen)
    x, y, chosen = pixels_of(camera, seen)
    magnitude = stars.magnitude[bright][chosen]
    lux = MAGNITUDE_ZERO_LUX * 10.0 ** (-0.4 * magnitude)
    light = lux * camera.focal_px**2 / CD_M2_PER_NW
    light = np.where(camera.perigee_m(x, y) > 1e3 * LOWEST_KM, light, 0.0)
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    for right, lower in ((0, 0), (1, 0), (0, 1), (1, 1)):
        share = np.abs(1 - right - (x - column)) * np.abs(1 - lower - (y - row))
        np.add.at(image, (row + lower, column + right), (share * light).astype(np.float32))
    return image


def _lifted(camera: SimCamera, seen: FloatArray) -> FloatArray:
    """Directions after refraction at the limb: those low above it stand higher."""
    up = camera.position_ecef_m / np.linalg.norm(camera.position_ecef_m)
    rise = seen @ up
    radius_km = np.linalg.norm(camera.position_ecef_m) / 1e3
    tangent_km = radius_km * np.sqrt(np.maximum(1.0 - rise**2, 0.0)) - 6371.0
    bent = np.where(
        rise < 0.0,
        np.radians(REFRACTION_DEG) * np.exp(-np.clip(tangent_km, 0.0, 200.0) / AIR_SCALE_KM),
        0.0,
    )
    level = up - rise[:, None] * seen
    level /= np.maximum(np.linalg.norm(level, axis=1, keepdims=True), 1e-9)
    lifted = seen + np.tan(bent)[:, None] * level
    return np.asarray(lifted / np.linalg.norm(lifted, axis=1, keepdims=True))


# Of the archive's lenses those that show land and sky at once
WIDEST_MM, LONGEST_MM = 20.0, 60.0
LEAST_SKY = 0.15
# Shutters that show stars: the archive's time-lapses of cities and sky take half a second to two
EXPOSURE_S = (0.2, 1.0)
# Two thirds are time-lapses and other handheld frames whose camera was braced
STEADY = 0.3
SHOTS = 400


def draw_starry_trial(
    seed: int, source: TrialSource, stars: TrueStars, kind: Kind = "city"
) -> Trial:
    """Draw a trial whose picture shows the limb with stars above it.

    What is drawn besides is as in `benchmarks.trials.draw.draw_trial`: clock, element set, focal
    length, weather, foreground, file.
    """

    def stream(number: int) -> np.random.Generator:
        return np.random.default_rng([seed, 7 if source.half == "test" else 8, number])

    shot = _draw_shot(stream(1), source)
    claim = draw_claim(stream(2), source, kind, shot)
    conditions = draw_conditions(stream(3), kind, shot, seed)
    scene = conditions.scene
    conditions = replace(conditions, scene=replace(scene, motion_px=STEADY * scene.motion_px))
    sky = true_star_light(shot.camera, stars, time_of(shot.days), shot.state.velocity_ecef_m_s)
    return trial_of(seed, source, kind, shot, claim, conditions, sky)


def _draw_shot(rng: np.random.Generator, source: TrialSource) -> Shot:
    """A shot with sky above the limb, by a wide lens and a long shutter."""
    wide = tuple(e for e in source.exposures if WIDEST_MM <= e.focal_mm <= LONGEST_MM)
    for _ in range(SHOTS):
        seconds = float(np.exp(rng.uniform(*np.log(EXPOSURE_S))))
        longer = tuple(replace(e, exposure_s=max(e.exposure_s, round(seconds, 2))) for e in wide)
        shot = draw_shot(rng, replace(source, exposures=longer), "city")
        if view_shares(shot.camera)[1] >= LEAST_SKY:
            return shot
    raise RuntimeError("No shot of the limb was found; draw another seed.")
