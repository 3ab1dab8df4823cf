"""Draw one trial from a seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.exif import CameraSettings, exif_bytes
from benchmarks.simulate.render import to_jpeg
from benchmarks.simulate.truth import camera_truth, footprint, reference_points
from benchmarks.trials.conditions import Conditions, draw_conditions
from benchmarks.trials.factors import factors_of
from benchmarks.trials.lights import SeenWorld
from benchmarks.trials.photograph import take_photograph
from benchmarks.trials.places import separable_places
from benchmarks.trials.shot import Shot, draw_shot
from benchmarks.trials.source import TrialSource
from benchmarks.trials.told import Claim, draw_claim
from benchmarks.trials.trial import Kind, Trial

KIND_SHARES: dict[Kind, float] = {
    "city": 0.78,
    "dark": 0.07,
    "stars": 0.025,
    "aurora": 0.02,
    "noise": 0.02,
    "elsewhere": 0.055,
    "other_time": 0.03,
}
ENOUGH_PLACES = 8
WITH_LIGHTS = ("city", "elsewhere", "other_time")


def draw_trial(seed: int, source: TrialSource) -> Trial:
    """Draw a trial; the same seed and source give the same bytes.

    Parameters
    ----------
    seed : int
    source : TrialSource

    Returns
    -------
    Trial
    """
    kind, shot, claim = told_shot(seed, source)
    conditions = draw_conditions(stream_of(seed, source, 3), kind, shot, seed)
    return trial_of(seed, source, kind, shot, claim, conditions)


def told_shot(seed: int, source: TrialSource) -> tuple[Kind, Shot, Claim]:
    """What a trial shows from where, and what is said of it: all but how it came out."""
    kinds = list(KIND_SHARES)
    draw = stream_of(seed, source, 0)
    kind = kinds[int(draw.choice(len(kinds), p=list(KIND_SHARES.values())))]
    shot = draw_shot(stream_of(seed, source, 1), source, kind)
    return kind, shot, draw_claim(stream_of(seed, source, 2), source, kind, shot)


def stream_of(seed: int, source: TrialSource, number: int) -> np.random.Generator:
    """One of the streams of random numbers of a trial."""
    return np.random.default_rng([seed, 5 if source.half == "test" else 6, number])


def trial_of(
    seed: int,
    source: TrialSource,
    kind: Kind,
    shot: Shot,
    claim: Claim,
    conditions: Conditions,
    sky: NDArray[np.float32] | None = None,
) -> Trial:
    """The trial of a shot that was drawn.

    Parameters
    ----------
    seed : int
    source : TrialSource
    kind : str
    shot, claim, conditions
        What is true, what is said of it, and what lies between.
    sky : ndarray of float32, shape (height, width), optional
        Starlight in place of invented stars, see `take_photograph`.

    Returns
    -------
    Trial
    """
    camera, scene = shot.camera, conditions.scene
    world = None
    if kind in WITH_LIGHTS:
        decoy = source.decoy_world if kind == "elsewhere" else None
        world = SeenWorld(decoy or source.world, camera, conditions.changed_share, seed)
    photograph = take_photograph(shot, world, conditions, sky)
    points: list[dict[str, float]] = []
    places = 0
    if world is not None:
        points = reference_points(camera, world, conditions.lights)
        places = len(separable_places(camera, world.mapped, source.map_step_deg, photograph, scene))
    exif = exif_bytes(
        CameraSettings(
            clock_utc=claim.clock_utc,
            focal_mm=claim.focal_mm,
            aperture_f=shot.exposure.aperture_f,
            exposure_s=shot.exposure.exposure_s,
            iso=round(shot.exposure.iso),
            body=shot.exposure.body.name,
        )
    )
    return Trial(
        seed=seed,
        half=source.half,
        kind=kind,
        photo=to_jpeg(photograph.picture, scene.jpeg_quality, exif),
        tle_text=claim.elements.tle_text,
        camera=camera,
        factors=factors_of(shot, claim, conditions, photograph, places),
        registrable=kind == "city" and places >= ENOUGH_PLACES,
        places=places,
        truth={
            "camera": camera_truth(camera),
            "footprint": footprint(camera),
            "reference_points": points,
        },
    )
