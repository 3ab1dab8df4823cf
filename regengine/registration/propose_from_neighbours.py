"""Propose hypotheses from neighbours in a batch, by moving their cameras along the orbit.

A neighbour prior changes the order of the search, but not the evidence that is required.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from matchers.geometry.camera import Camera
from matchers.geometry.pose import turn_along_track, with_attitude
from regengine.registration.align import align_first, choose_template_px, make_hypothesis
from regengine.registration.priors.lens import is_telephoto
from regengine.registration.priors.neighbours import Neighbour, NeighbourPrior
from regengine.registration.priors.tracks import Track, weigh_offsets
from regengine.registration.types import Hypothesis, ImageKind, Place, Problem, Stage


def expect_place(prior: NeighbourPrior, tracks: tuple[Track, ...], step_km: float) -> Place | None:
    """Compute the place that neighbours predict; None if it is outside the range of the tracks."""
    offsets_km = [(prior.offset_s - track.clock_s) * track.speed_km_s for track in tracks]
    neg_log_prior = [
        float(weigh_offsets(offset_km, track, step_km))
        for offset_km, track in zip(offsets_km, tracks, strict=True)
    ]
    best = int(np.argmin(neg_log_prior))
    track, offset_km = tracks[best], offsets_km[best]
    if abs(offset_km) > track.belief.reach_km:
        return None
    return Place(
        track=track, offset_km=offset_km, spread_km=prior.spread_s * track.speed_km_s, share=1.0
    )


def propose_from_neighbours(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Propose the neighbours' cameras, moved to the position of this photo and aligned.

    Each is also tried with the boresight on the ground target of the neighbour, as if the
    photographer followed it by hand.
    """
    place, told = stage.place, problem.prior.neighbours
    assert place is not None
    assert told is not None
    cameras: list[Camera] = []
    for neighbour in told.neighbours:
        carried = carry_camera(neighbour, place)
        cameras.append(carried)
        target = neighbour.camera.pixel_to_ecef(*neighbour.camera.principal_point)
        if np.isfinite(target).all():
            towards = target - np.asarray(carried.position_ecef_m)
            turn, _ = Rotation.align_vectors(towards, carried.boresight_ecef)  # the smallest
            cameras.append(with_attitude(carried, turn.as_matrix() @ carried.matrix))
    lens = problem.photo.nominal
    long = is_telephoto(replace(lens, focal_px=lens.focal_px * stage.lens.ratio))
    kind: ImageKind = "clipped" if long else "narrow"
    hypotheses = []
    for camera in cameras:
        hypothesis = make_hypothesis(problem, stage, place, camera, kind)
        prior = replace(hypothesis.prior, focal_px=lens.focal_px * stage.lens.ratio)
        hypotheses.append(replace(hypothesis, prior=prior))
    return align_first(problem, hypotheses, size_px=choose_template_px(problem, stage.lens))


def carry_camera(neighbour: Neighbour, place: Place) -> Camera:
    """Move a neighbour's camera along the orbit.

    It keeps its attitude relative to the vertical and the direction of flight, like a camera that
    is fixed to a window of a station that rotates with its orbit.
    """
    position, velocity = place.position_ecef_m, place.track.velocity(place.offset_km)
    turn = turn_along_track(neighbour.camera.position_ecef_m, position, velocity)
    x, y, z = position.tolist()
    moved = replace(neighbour.camera, position_ecef_m=(x, y, z))
    return with_attitude(moved, turn @ neighbour.camera.matrix)
