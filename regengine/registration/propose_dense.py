"""From a belief to candidate cameras: the dense search, look by look, and the first alignment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from matchers.align import ITERATIONS, align
from matchers.camera import Camera
from matchers.dense import DenseParameters, boresights, search, templates_for
from matchers.light_grid import LightGrid
from matchers.photo_light import LightImage
from matchers.pose import ALONG, FOCAL, PARAMETERS, ROTATION, PosePrior, with_attitude
from regengine.registration.candidates import SAME_SHARE, Candidate, Look, ground_samples, same_view

FloatArray = NDArray[np.float64]

# Best distinct peaks: under clouds or in a crop the right one was the 6th to the 10th (three frames
# of the training half that three peaks a look had lost)
ALIGNED_PER_LOOK = 8
# Flat pictures of cities are alike: of eleven frames of the training half the right camera was the
# first in seven, and within the first 13 in nine
ALIGNED_IF_FLAT = 10
KEPT_PEAKS = 300


@dataclass(frozen=True, kw_only=True)
class PhotoLights:
    """City light of a photo: without anything broader than a town, with glows, and flat.

    Reflections and moonlit cloud are broad, and so are cities behind haze: one of the first two
    images shows what the other loses. The flat one holds the grain of lamps and streets, and
    of that nothing is taken for diffuse but what the darkest places have; lights are cut off where
    a map saturates. Narrow fields lie between the two, within one city.
    """

    sharp: LightImage
    hazy: LightImage
    flat: LightImage

    def of(self, hazy: bool, flat: bool = False) -> LightImage:
        """One of the three; whatever is searched flat is fitted to one of the others."""
        if flat:
            return self.flat
        return self.hazy if hazy else self.sharp


def coarse_free() -> NDArray[np.bool_]:
    """Unknowns that a coarse image can tell: attitude, focal length, place along the track."""
    free = np.zeros(PARAMETERS, bool)
    free[ROTATION] = True
    free[[FOCAL, ALONG]] = True
    return free


def take_look(
    levels: Sequence[LightGrid],
    coarse: LightImage,
    stored: Camera,
    look: Look,
    parameters: DenseParameters,
) -> list[Candidate]:
    """Search one look and align its best distinct peaks."""
    start = replace(
        stored,
        focal_px=stored.focal_px * look.scale,
        position_ecef_m=look.prior.position_ecef_m,
        mirrored=look.mirrored,
    )
    # The search itself knows no mirrors: it sees the picture as it would have been
    photo = replace(coarse.camera(start), mirrored=False)
    picture = coarse.flipped() if look.mirrored else coarse
    nearest, farthest = look.off_nadir_deg
    templates = templates_for(picture.values, picture.weight, photo.focal_px, parameters)
    directions = boresights(
        templates.step_deg, nearest, min(parameters.max_off_nadir_deg, farthest)
    )
    peaks = search(levels, photo, templates, directions, parameters)
    most = ALIGNED_IF_FLAT if look.flat else ALIGNED_PER_LOOK
    chosen: list[Camera] = []
    for peak in islice(peaks, KEPT_PEAKS):
        if len(chosen) >= most:
            break
        if not any(nearly_same_attitude(peak.camera, other) for other in chosen):
            chosen.append(peak.camera)
    return aligned_candidates(levels, picture, chosen, stored, [look] * len(chosen), parameters)


def aligned_candidates(
    levels: Sequence[LightGrid],
    picture: LightImage,
    cameras: Sequence[Camera],
    stored: Camera,
    looks: Sequence[Look],
    parameters: DenseParameters,
    iterations: int = ITERATIONS,
) -> list[Candidate]:
    """Align cameras at coarse scale; those that turn out to be distinct, best first."""
    found: list[Candidate] = []
    for camera, look in zip(cameras, looks, strict=True):
        aligned = align(
            levels,
            picture.values,
            picture.weight,
            camera,
            look.prior.for_image(picture.factor),
            free=coarse_free(),
            iterations=iterations,
            smooth_px=parameters.smooth_px,
            detail_px=parameters.detail_px,
        )
        of_stored = picture.stored_camera(aligned.camera, stored)
        of_stored = replace(of_stored, mirrored=look.mirrored)
        if not any(same_view(of_stored, other.camera, SAME_SHARE) for other in found):
            found.append(Candidate(camera=of_stored, ncc=aligned.even_ncc, look=look))
    return sorted(found, key=lambda c: -c.score)


def nearly_same_attitude(a: Camera, b: Camera) -> bool:
    """Whether two cameras at one position differ by less than half of what tells views apart."""
    cosine = abs(sum(p * q for p, q in zip(a.quaternion, b.quaternion, strict=True)))
    angle = 2.0 * math.acos(min(1.0, cosine))
    return angle * a.focal_px < 0.5 * SAME_SHARE * max(a.width_px, a.height_px)


# A view that was found from the wrong place on the track, from the places around it.

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
    """Take a view to places along the track, either way, and align it there."""
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
