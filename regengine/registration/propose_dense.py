"""The proposer by pictures: the photo's light compared with the map in all directions at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
from scipy.spatial.transform import Rotation

from detectors.types import FloatArray
from matchers import dense
from matchers.camera import Camera
from matchers.dense import DenseParameters, boresights, templates_for
from matchers.pose import PosePrior, with_attitude
from regengine.registration.candidates import (
    SAME_SHARE,
    Candidate,
    CoarseView,
    Look,
    ground_samples,
    unmirrored,
)
from regengine.registration.map_window import dense_parameters
from regengine.registration.search import SHARE_FOR_LOOKS, Proposals, Search, Step
from regengine.registration.search_order import plan

# Beside the figures of towns: the two take turns by what is likelier
ORDER = 50
# Best distinct peaks: under clouds or in a crop the right one was the 6th to the 10th (three frames
# of the training half that three peaks a look had lost)
ALIGNED_PER_LOOK = 8
# Flat pictures of cities are alike: of eleven frames of the training half the right camera was the
# first in seven, and within the first 13 in nine
ALIGNED_IF_FLAT = 10
KEPT_PEAKS = 300
# The blur of the small pictures: where all directions are compared, and where cameras are aligned
PICTURE_SMOOTH_PX, SMOOTH_PX = 0.7, DenseParameters().smooth_px


def propose(search: Search) -> Iterator[Step]:
    """Compare pictures from everywhere on the tracks, the likeliest first."""
    if "dense" in search.parameters.methods:
        yield from steps_of_looks(search, sparse=False, find=best_peaks)


# What a look finds in the coarse view that it takes of a photo
Find = Callable[["Search", CoarseView, Look], list[Candidate]]


def steps_of_looks(search: Search, sparse: bool, find: Find) -> Iterator[Step]:
    """All looks by figures (sparse) or by pictures, the likeliest first."""
    for place, look in plan(search, sparse):
        yield Step(
            kind="figures" if sparse else "pictures",
            take=partial(take_look, search, look, find),
            surprise=place,
            time_share=SHARE_FOR_LOOKS,
            required=True,
        )


def take_look(search: Search, look: Look, find: Find) -> Iterator[Proposals]:
    """What one look finds; and what leads without being verified, from along the track."""
    search.looks_taken += 1
    view = coarse_view(search, look, SMOOTH_PX if look.sparse else PICTURE_SMOOTH_PX)
    if view is None:
        return
    search.spend(cost_of(look))
    yield Proposals(find(search, view, look))
    while search.leader is not None and not search.leader.look.flat:
        search.looks_taken += 1  # so that the odds bear these poses, too
        search.spend("alignment", 1 + len(STEPS_KM))
        better = from_along_the_track(search, search.leader)
        if better is None:
            return
        yield Proposals([better])


def cost_of(look: Look) -> str:
    """The name of what a look costs."""
    if not look.sparse:
        return "pictures"
    return "thorough figures" if look.thorough else "figures"


def coarse_view(search: Search, look: Look, smooth_px: float) -> CoarseView | None:
    """The photo and the map as a look compares them; None where the map holds none of it."""
    parameters = dense_parameters(search.stored, look, search.altitude_km)
    levels = search.window.levels(search.stored, look, parameters)
    if levels is None:
        return None
    search.covered = True
    light = search.lights.of(look.hazy, look.flat)
    picture = light.resized(parameters.template_px, smooth_px, parameters.detail_px)
    return CoarseView(
        stored=search.stored,
        picture=unmirrored(picture, look.mirrored),
        levels=levels,
        parameters=parameters,
    )


def best_peaks(_: Search, view: CoarseView, look: Look) -> list[Candidate]:
    """The best distinct directions of a look, aligned."""
    parameters, picture = view.parameters, view.picture
    start = replace(
        view.stored,
        focal_px=view.stored.focal_px * look.scale,
        position_ecef_m=look.prior.position_ecef_m,
    )
    photo = view.camera(start)
    nearest, farthest = look.off_nadir_deg
    templates = templates_for(picture.values, picture.weight, photo.focal_px, parameters)
    directions = boresights(
        templates.step_deg, nearest, min(parameters.max_off_nadir_deg, farthest)
    )
    peaks = dense.search(view.levels, photo, templates, directions, parameters)
    most = ALIGNED_IF_FLAT if look.flat else ALIGNED_PER_LOOK
    chosen: list[Camera] = []
    for peak in islice(peaks, KEPT_PEAKS):
        if len(chosen) >= most:
            break
        if not any(nearly_same_attitude(peak.camera, other) for other in chosen):
            chosen.append(peak.camera)
    return view.aligned(chosen, [look] * len(chosen))


def nearly_same_attitude(a: Camera, b: Camera) -> bool:
    """Whether two cameras at one position differ by less than half of what tells views apart."""
    cosine = abs(sum(p * q for p, q in zip(a.quaternion, b.quaternion, strict=True)))
    angle = 2.0 * math.acos(min(1.0, cosine))
    return angle * a.focal_px < 0.5 * SAME_SHARE * max(a.width_px, a.height_px)


# Three frames of the training half that were found from 90, 460 and 560 km beside came out within
# 51 km; correlation falls again 150 km from the best place, and rises unsteadily towards it
STEPS_KM = (150.0, -150.0, 300.0, -300.0, 450.0, -450.0, 600.0, -600.0)
LEAST_POINTS = 3  # that tell an attitude


def from_along_the_track(search: Search, leader: Candidate) -> Candidate | None:
    """What leads without being verified, from where along the track it correlates better."""
    view = coarse_view(search, leader.look, SMOOTH_PX)
    return None if view is None else best_along_the_track(view, leader)


def best_along_the_track(view: CoarseView, candidate: Candidate) -> Candidate | None:
    """Take a view to places along the track, either way, and align it there."""
    found: list[Candidate] = []
    for there in (candidate, *(moved(candidate, step_km) for step_km in STEPS_KM)):
        if there is not None:
            found += view.aligned([view.camera(there.camera)], [there.look])
    best = max(found, key=lambda c: c.score)
    return None if best is found[0] else best


def moved(candidate: Candidate, step_km: float) -> Candidate | None:
    """The same view from a step along the track; None where too little ground is seen."""
    look, camera = candidate.look, candidate.camera
    prior = prior_along(look.prior, step_km)
    x, y, ground = ground_samples(camera)
    if len(x) < LEAST_POINTS:
        return None
    directions, rays = sights_from(prior.position_ecef_m, ground), camera.rays(x, y)
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


def sights_from(place_ecef_m: Sequence[float], ground_ecef_m: FloatArray) -> FloatArray:
    """Unit vectors from a place to ground."""
    directions = ground_ecef_m - np.asarray(place_ecef_m)
    return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True))


def spread(directions: FloatArray) -> float:
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
