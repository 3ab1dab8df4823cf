"""A view that was found from the wrong place on the track, from the places around it.

A look from hundreds of kilometres beside the camera may bring the right view: attitude, and in an
unknown lens the focal length, make up for most of the place. It leads, but its patches do not
agree, and a fit slides no farther than a look's own surroundings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from matchers.attitude import with_attitude
from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.photo_light import LightImage
from matchers.pose import PosePrior
from matchers.templates import DenseParameters
from regengine.candidates import Candidate, ground_samples
from regengine.hypotheses import aligned_candidates

# Three frames of the training half that were found from 90, 460 and 560 km beside came out within
# 51 km; correlation falls again 150 km from the best place, and rises unsteadily towards it
STEPS_KM = (150.0, -150.0, 300.0, -300.0, 450.0, -450.0, 600.0, -600.0)
LEAST_POINTS = 3  # that tell an attitude


def from_other_places(
    levels: Sequence[LightGrid],
    picture: LightImage,
    stored: Camera,
    candidate: Candidate,
    parameters: DenseParameters,
) -> Candidate | None:
    """Take a view to places along the track, either way, and align it there.

    Parameters
    ----------
    levels : sequence of LightGrid
        Map pyramid that holds the view's ground.
    picture : LightImage
        The photo at the template's size, flipped where the candidate is mirrored.
    stored : Camera
        Camera of the stored image (for its size).
    candidate : Candidate
        As a look found it.
    parameters : DenseParameters
        How the images were smoothed.

    Returns
    -------
    Candidate or None
        The best of them; None where the view correlates best from where it was found.
    """
    found: list[Candidate] = []
    for there in (candidate, *(moved(candidate, step_km) for step_km in STEPS_KM)):
        if there is None:
            continue
        camera = replace(picture.camera(there.camera), mirrored=False)
        found += aligned_candidates(levels, picture, [camera], stored, [there.look], parameters)
    best = max(found, key=lambda c: c.score)
    return None if best is found[0] else best


def moved(candidate: Candidate, step_km: float) -> Candidate | None:
    """The same view from a step along the track; None where too little ground is seen."""
    look, camera = candidate.look, candidate.camera
    prior = prior_along(look.prior, step_km)
    x, y, ground = ground_samples(camera)
    if len(x) < LEAST_POINTS:
        return None
    directions = ground - np.asarray(prior.position_ecef_m)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rays = camera.rays(x, y)
    rotation, _ = Rotation.align_vectors(directions, rays)
    # What the place makes look larger, the lens may make smaller, as far as it is believed to
    longer = spread(rays) / spread(directions)
    most = math.exp(prior.sigma_log_focal)
    start = replace(
        camera,
        position_ecef_m=prior.position_ecef_m,
        focal_px=camera.focal_px * float(np.clip(longer, 1.0 / most, most)),
    )
    view = with_attitude(start, rotation.as_matrix())
    return replace(
        candidate,
        camera=view,
        look=replace(look, offset_km=look.offset_km + step_km, prior=prior),
    )


def spread(directions: NDArray[np.float64]) -> float:
    """Root mean square of unit vectors' distance from their mean."""
    return float(np.sqrt(np.mean((directions - directions.mean(axis=0)) ** 2)))


def prior_along(prior: PosePrior, step_km: float) -> PosePrior:
    """The same belief a step farther along a circle about the Earth."""
    position = np.asarray(prior.position_ecef_m)
    radius = float(np.linalg.norm(position))
    up = position / radius
    ahead = np.asarray(prior.velocity_ecef, float)
    ahead = ahead - (ahead @ up) * up
    ahead /= np.linalg.norm(ahead)
    angle = 1e3 * step_km / radius
    x, y, z = (radius * (math.cos(angle) * up + math.sin(angle) * ahead)).tolist()
    vx, vy, vz = (math.cos(angle) * ahead - math.sin(angle) * up).tolist()
    return replace(prior, position_ecef_m=(x, y, z), velocity_ecef=(vx, vy, vz))
