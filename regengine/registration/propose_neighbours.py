"""The proposer of what neighbours tell: a look where their clock and lens lead, and their cameras.

What neighbours tell changes what is tried first, not how it is verified. The first look is the one
that the search begins with where clock and lens are right, with as many rivals; a neighbour's
camera joins only where that look alone proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from matchers.camera import Camera
from matchers.pose import track_axes, with_attitude
from regengine.registration.acceptance import REVIEW_PROBABILITY, probability
from regengine.registration.candidates import Candidate, Look, merged
from regengine.registration.lens_prior import SIGMA_LOG_FOCAL, Scale
from regengine.registration.neighbour_priors import Neighbour, NeighbourPrior
from regengine.registration.propose_asterisms import best_figures
from regengine.registration.propose_dense import (
    PICTURE_SMOOTH_PX,
    best_peaks,
    coarse_view,
    take_look,
)
from regengine.registration.search import SHARE_FOR_LOOKS, Proposals, Search, Step
from regengine.registration.search_order import FAR_OFF_NADIR_DEG, look_at, offset_surprise
from regengine.registration.tracks import Track

ORDER = 20
# Within which neighbours tell the place on the track
STEP_KM = 60.0


def propose(search: Search) -> Iterator[Step]:
    """Look where neighbours lead; what was searched before without them ends there."""
    told = search.aids.neighbours
    if told is None or search.anywhere:
        return
    if search.position.velocity_ecef_m_s is not None:
        place = expected_place(told, search.tracks)
        if place is not None:
            yield Step(kind="neighbours", take=partial(take_expected, search, place))
    if told.beat is not None and not promising(search):
        search.ended = search.given_up = True  # all the rest was tried before


def promising(search: Search) -> bool:
    """Whether what was verified so far is more than chance."""
    return search.best is not None and probability(search.best.evidence) >= REVIEW_PROBABILITY


@dataclass(frozen=True, kw_only=True)
class ExpectedPlace:
    """The place on a track that neighbours lead to."""

    prior: NeighbourPrior
    track: Track
    offset_km: float


def expected_place(prior: NeighbourPrior, tracks: Sequence[Track]) -> ExpectedPlace | None:
    """Where on the tracks neighbours lead; None beyond reach: such a clock is not believed."""
    places = [((prior.offset_s - t.clock_s) * t.speed_km_s, t) for t in tracks]
    offset_km, track = min(places, key=lambda p: float(offset_surprise(p[0], p[1], STEP_KM)))
    if abs(offset_km) > track.reach_km:
        return None
    return ExpectedPlace(prior=prior, track=track, offset_km=offset_km)


def take_expected(search: Search, expected: ExpectedPlace) -> Iterator[Proposals]:
    """Search as if clock and lens had been right, then with the neighbours' cameras."""

    def over() -> bool:
        return search.conclusive or search.expired(SHARE_FOR_LOOKS)

    looks = expected_looks(expected, search.stored)
    yield from take_look(search, looks.pop(0), best_figures)
    if over():
        return
    yield Proposals(aligned_neighbours(search, expected), verified="later")
    for look in looks:
        if over():
            return
        yield from take_look(search, look, best_figures if look.sparse else best_peaks)
    yield Proposals([], verified="now")


def expected_looks(expected: ExpectedPlace, stored: Camera) -> list[Look]:
    """Looks at the expected place: figures of towns, then pictures, near and far."""
    sparse = replace(expected_look(expected, stored), sparse=True)
    near = replace(sparse, sparse=False, off_nadir_deg=(0.0, FAR_OFF_NADIR_DEG))
    far = replace(sparse, sparse=False, off_nadir_deg=(FAR_OFF_NADIR_DEG, 90.0))
    neighbours = expected.prior.neighbours
    if neighbours and neighbours[0].camera.off_nadir_deg > FAR_OFF_NADIR_DEG:
        near, far = far, near
    return [sparse, near, far]


def expected_look(expected: ExpectedPlace, stored: Camera) -> Look:
    """A look at the place with the neighbours' lens, and beliefs as narrow as they agree."""
    prior, track = expected.prior, expected.track
    lens = Scale(ratio=prior.focal_ratio, sigma_log_focal=SIGMA_LOG_FOCAL, cropped=prior.cropped)
    spread_km = prior.spread_s * track.speed_km_s
    look = look_at(track, expected.offset_km, spread_km, stored, lens)
    return replace(look, mirrored=prior.mirrored)


def aligned_neighbours(search: Search, expected: ExpectedPlace) -> list[Candidate]:
    """Align the neighbours' cameras, carried along the orbit, on this photo."""
    cameras = []
    for neighbour in expected.prior.neighbours:
        moved = carried(neighbour, expected.track, expected.offset_km)
        cameras += [c for c in (moved, following(neighbour, moved)) if c is not None]
    found: list[Candidate] = []
    if not cameras:
        return found
    expected_once = expected_look(expected, search.stored)
    for hazy in (False,) if expected_once.flat else (False, True):
        look = replace(expected_once, hazy=hazy)
        search.looks_taken += 1
        search.spend("alignment", len(cameras))
        view = coarse_view(search, look, PICTURE_SMOOTH_PX)
        if view is not None:
            starts = [view.camera(camera) for camera in cameras]
            found = merged(found, view.aligned(starts, [look] * len(starts)))
    return found


def carried(neighbour: Neighbour, track: Track, offset_km: float) -> Camera:
    """A neighbour's camera carried along the orbit to where this frame was taken.

    It keeps its attitude to the vertical and the direction of flight, as a camera does that is
    fixed to a window of a station that turns with its orbit.
    """
    position, velocity = track.position(offset_km), track.velocity(offset_km)
    here = track_axes(position, velocity)
    # The neighbour flew in the same plane: its level part of this velocity points along its flight
    there = track_axes(neighbour.camera.position_ecef_m, velocity)
    x, y, z = position.tolist()
    moved = replace(neighbour.camera, position_ecef_m=(x, y, z))
    return with_attitude(moved, here.T @ there @ neighbour.camera.matrix)


def following(neighbour: Neighbour, moved: Camera) -> Camera | None:
    """The carried camera turned back to the place that the neighbour looks at.

    So turns a camera that is held in the hand and follows a city.
    """
    from scipy.spatial.transform import Rotation

    target = neighbour.camera.pixel_to_ecef(*neighbour.camera.principal_point)
    if not np.isfinite(target).all():
        return None
    towards = target - np.asarray(moved.position_ecef_m)
    turn, _ = Rotation.align_vectors(towards, moved.boresight_ecef)  # the least of all
    return with_attitude(moved, turn.as_matrix() @ moved.matrix)
