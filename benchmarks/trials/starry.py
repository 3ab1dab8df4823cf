"""Trials with cities below the limb and the true stars above it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.trials.conditions import draw_conditions
from benchmarks.trials.draw import trial_of
from benchmarks.trials.orbits import time_of
from benchmarks.trials.shot import Shot, draw_shot, view_shares
from benchmarks.trials.source import TrialSource
from benchmarks.trials.starry_sky import TrueStars, true_star_light
from benchmarks.trials.told import draw_claim
from benchmarks.trials.trial import Kind, Trial

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

    Parameters
    ----------
    seed : int
    source : TrialSource
    stars : TrueStars
    kind : "city" or "other_time"
        Whether clock and element set are the photograph's, or of another pass from which its
        place cannot be seen.

    Returns
    -------
    Trial
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
