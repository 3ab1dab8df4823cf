"""The proposer of the index: figures of towns and light around them, wherever the camera may be.

What is known narrows it: a track to the ground in sight of it and to cameras near it. Where nothing
is, the whole Earth is looked up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray
from matchers.asterisms import unit
from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from matchers.light_grid import LightGrid
from matchers.pose import with_attitude
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.registration.candidates import (
    SAME_SHARE,
    Candidate,
    CoarseView,
    Look,
    ground_samples,
    merged,
    same_view,
    unmirrored,
)
from regengine.registration.index.figures import (
    ALTITUDE_KM,
    Attempt,
    Proposal,
    fitted_to_towns,
)
from regengine.registration.index.schedule import attempts
from regengine.registration.lens_prior import SIGMA_LOG_FOCAL, Scale
from regengine.registration.map_window import (
    FARTHEST_DEG,
    LEAST_SAMPLE_KM,
    HasWindows,
    dense_parameters,
    footprint_window,
    ground_reach_km,
)
from regengine.registration.propose_dense import LEAST_POINTS, sights_from
from regengine.registration.search import (
    ANYWHERE,
    SHARE_FOR_LOOKS,
    Proposals,
    Search,
    Step,
)
from regengine.registration.search_order import likely_offsets, look_at
from regengine.registration.tracks import Track, tracks_for

if TYPE_CHECKING:
    from regengine.registration.index.earth import EarthIndex

ORDER = 50
# A tilt between those that are tried moves the nadir as much, and the fit must be free to
SIGMA_KM = (60.0, 60.0, 25.0)
# Proposals with such odds are looked at before anything else is tried; the best wrong ones of ten
# photos had 1.6. Only the order of the work depends on it
WORTH_LOOKING_LOG10_ODDS = 2.0
# with their rivals, against which their lead is measured
ALIGNED_AT_ONCE = 6
# Near a track there are fewer wrong ones, and looking closer costs what the next attempt does
WORTH_NEAR_TRACK_LOG10_ODDS, ALIGNED_NEAR_TRACK = 0.0, 3
ALIGNED_AT_LAST = 12
# A tilt that is not quite right is made up for by the height
SPARE_KM = 25.0
# Views of the lit Earth that differ, 10 million km2 in pictures of 64 pixels of 5 km, 60 turns, 265
# tilts, 8 scales, both hands, are so many times those that one look tries; see `log10_tried`
LOOKS = 105_000
# Places along a track are so far apart, and the less likely ones are left out
STAND_KM, MOST_SURPRISE, LIKELY_SURPRISE = 150.0, 9.0, 4.0
# A proposed camera is off by what tilts and heights between those tried amount to
OFF_TRACK_KM = 250.0


def propose(search: Search) -> Iterator[Step]:
    """What the index speaks for, the likeliest first."""
    known = search.aids.index is not None and "index" in search.parameters.methods
    if not known or (not search.anywhere and search.telephoto):
        return
    ground = Anywhere(search) if search.anywhere else AlongTracks.of(search)
    if ground is None:
        return
    closer = Closer(search=search, ground=ground)
    for number, tried in enumerate(attempts(search, ground.index)):
        surprise = ground.surprise(tried, number), -1, 0.0
        yield Step(
            kind=tried.kind,
            take=partial(closer.take, tried),
            surprise=surprise,
            time_share=1.0 if search.anywhere else SHARE_FOR_LOOKS,
            required=True,
        )
    yield Step(kind="index figures", take=closer.take_waiting, surprise=(math.inf, -1, 0.0))


Waiting = list[tuple[Proposal, Attempt]]


class Anywhere:
    """The whole Earth: cameras stand where the towns have them."""

    worth_log10_odds, aligned_at_once = WORTH_LOOKING_LOG10_ODDS, ALIGNED_AT_ONCE

    def __init__(self, search: Search) -> None:
        assert search.aids.index is not None
        self.search, self.index = search, search.aids.index

    def surprise(self, attempt: Attempt, number: int) -> float:
        """The order of the schedule."""
        return float(number)

    def allowed(self, proposal: Proposal) -> bool:
        """Whether a proposed camera is as high as the station may have flown."""
        low_km, high_km = self.search.aids.altitude_km
        height_km = position_of(proposal.camera).altitude_km
        return low_km - SPARE_KM <= height_km <= high_km + SPARE_KM

    def start(self, proposal: Proposal, tried: Attempt) -> tuple[Camera, Look]:
        """A proposed camera and the look that it amounts to."""
        camera = proposal.camera
        look = self.look_from(camera, tried, proposal.hazy)
        if proposal.pairs is not None:
            camera = fitted_to_towns(camera, proposal.pairs, look.prior)
            look = self.look_from(camera, tried, proposal.hazy)
        return camera, look

    def look_from(self, camera: Camera, tried: Attempt, hazy: bool) -> Look:
        """The look that a proposed camera amounts to."""
        track = tracks_for(position_of(camera), None)[0]
        look = look_of(self.search, camera, (track, 0.0), tried, hazy)
        along_m, across_m, up_m = (1e3 * sigma for sigma in SIGMA_KM)
        prior = replace(look.prior, sigma_along_m=along_m, sigma_across_m=across_m, sigma_up_m=up_m)
        return replace(look, prior=prior)


@dataclass(frozen=True, kw_only=True, eq=False)
class AlongTracks:
    """What is in sight of the tracks; cameras stand on them."""

    search: Search
    index: EarthIndex
    stands: tuple[tuple[Track, float], ...]
    places_m: FloatArray
    worth_log10_odds: float = WORTH_NEAR_TRACK_LOG10_ODDS
    aligned_at_once: int = ALIGNED_NEAR_TRACK

    @classmethod
    def of(cls, search: Search, most_surprise: float = MOST_SURPRISE) -> AlongTracks | None:
        """None where it is day wherever the camera may have been, or the map holds no towns."""
        assert search.aids.index is not None
        stands = tuple(
            (track, offset_km)
            for track in search.tracks
            for offset_km, surprise in likely_offsets(track, STAND_KM)
            if surprise <= most_surprise
        )
        if not stands:
            return None
        places_m = np.array([track.position(offset_km) for track, offset_km in stands])
        reach_km = ground_reach_km(search.altitude_km, FARTHEST_DEG)
        near = search.aids.index.around(unit(places_m), reach_km / EARTH_RADIUS_KM)
        if not any(len(near.levels[level].vectors) for level in sorted(near.levels)[-2:]):
            return None
        return cls(search=search, index=near, stands=stands, places_m=places_m)

    def surprise(self, attempt: Attempt, number: int) -> float:
        """The attempt's own."""
        return attempt.surprise

    def nearest(self, camera: Camera) -> tuple[int, float]:
        """Number of the place nearest to a camera, and how far away it is, kilometres."""
        apart_m = np.linalg.norm(self.places_m - np.asarray(camera.position_ecef_m), axis=1)
        best = int(apart_m.argmin())
        return best, float(apart_m[best]) / 1e3

    def allowed(self, proposal: Proposal) -> bool:
        """Whether a proposed camera is near a track."""
        return self.nearest(proposal.camera)[1] <= OFF_TRACK_KM

    def start(self, proposal: Proposal, tried: Attempt) -> tuple[Camera, Look]:
        """A proposed camera taken to the track, and the look that it amounts to there."""
        stand = self.stands[self.nearest(proposal.camera)[0]]
        look = look_of(self.search, proposal.camera, stand, tried, proposal.hazy)
        camera = carried(proposal.camera, look)
        if proposal.pairs is not None:
            camera = fitted_to_towns(camera, proposal.pairs, look.prior)
        return camera, look


def mostly_in_sight(search: Search) -> bool:
    """Whether most of the index, that of a region, lies in sight of where the camera likely was."""
    whole, near = search.aids.index, AlongTracks.of(search, LIKELY_SURPRISE)
    if whole is None or near is None:
        return False
    level = max(whole.levels)
    return 2 * len(near.index.levels[level].vectors) > len(whole.levels[level].vectors)


def look_of(
    search: Search, camera: Camera, stand: tuple[Track, float], tried: Attempt, hazy: bool
) -> Look:
    """A look from a place of a track, at an offset in kilometres, with a proposed camera's lens."""
    track, offset_km = stand
    lens = Scale(
        ratio=camera.focal_px / search.stored.focal_px,
        sigma_log_focal=tried.sigma_log_focal,
        # A lens that had to be guessed may be that of a crop, whose axis is anywhere
        cropped=tried.sigma_log_focal > SIGMA_LOG_FOCAL,
    )
    look = look_at(track, offset_km, STAND_KM, search.stored, lens)
    return replace(
        look,
        mirrored=tried.mirrored,
        hazy=hazy,
        flat=False,
        off_nadir_deg=(0.0, float(np.clip(camera.off_nadir_deg + 10.0, 0.0, 90.0))),
    )


def carried(camera: Camera, look: Look) -> Camera:
    """The same view from the place of a look."""
    x, y, ground = ground_samples(camera)
    if len(x) < LEAST_POINTS:
        return camera
    directions = sights_from(look.prior.position_ecef_m, ground)
    rotation, _ = Rotation.align_vectors(directions, camera.rays(x, y))
    there = replace(camera, position_ecef_m=look.prior.position_ecef_m)
    return with_attitude(there, rotation.as_matrix())


@dataclass(kw_only=True, eq=False)
class Closer:
    """Looks closer at what attempts propose, the best of all of them first."""

    search: Search
    ground: Anywhere | AlongTracks
    waiting: Waiting = field(default_factory=list)
    seen: dict[int, Proposal] = field(default_factory=dict)

    def take(self, tried: Attempt) -> Iterator[Proposals]:
        """Look at the best of one attempt, and of those that wait."""
        self.search.looks_taken += not self.search.anywhere
        self.search.spend(tried.cost(self.search.anywhere), tried.tilts)
        allowed = self.search.allows
        found = [
            (p, tried) for p in tried.proposals if self.ground.allowed(p) and allowed(p.camera)
        ]
        if tried.looked_at:
            # Odds of light and of figures do not compare: neither may crowd out the other
            closer = distinct(found)[: tried.looked_at] + self.waiting[: tried.looked_at]
            yield from self.look(closer)
            return
        self.waiting = distinct(self.waiting + found)
        if (
            self.waiting
            and self.waiting[0][1] is tried
            and self.waiting[0][0].log10_odds >= self.ground.worth_log10_odds
        ):
            yield from self.look(self.waiting[: self.ground.aligned_at_once])

    def take_waiting(self) -> Iterator[Proposals]:
        """Look at what waits at last."""
        yield from self.look(self.waiting[:ALIGNED_AT_LAST])

    def look(self, chosen: Waiting) -> Iterator[Proposals]:
        """Align those that were not seen before, and have the best of all verified."""
        found: list[Candidate] = []
        for proposal, tried in chosen:
            if id(proposal) not in self.seen:
                self.seen[id(proposal)] = proposal
                self.search.spend("alignment", 2)
                found += aligned(self.search, self.ground, proposal, tried)
        if self.search.anywhere:
            yield Proposals(found, verified="now")
        elif found:
            yield Proposals(found)


def distinct(waiting: Waiting) -> Waiting:
    """The likeliest proposals, each view once, as many as will be aligned at last."""
    kept: Waiting = []
    for proposal, tried in sorted(waiting, key=lambda w: -w[0].log10_odds):
        if len(kept) == ALIGNED_AT_LAST:
            break
        if not any(same_view(proposal.camera, other.camera, 2.0 * SAME_SHARE) for other, _ in kept):
            kept.append((proposal, tried))
    return kept


def anywhere() -> CameraPosition:
    """The position of a search that knows none."""
    return position_from_nadir(0.0, 0.0, ALTITUDE_KM, ANYWHERE, sigma_km=SIGMA_KM)


def position_of(camera: Camera) -> CameraPosition:
    """Where a camera is, as the position that a search starts from."""
    lon, lat, height_m = (float(value) for value in ecef_to_geodetic(camera.position_ecef_m))
    return position_from_nadir(lon, lat, height_m / 1e3, ANYWHERE, sigma_km=SIGMA_KM)


def aligned(
    search: Search, ground: Anywhere | AlongTracks, proposal: Proposal, tried: Attempt
) -> list[Candidate]:
    """A proposed camera as its towns have it, and as it correlates best with the small picture.

    Towards the limb, clouds and what is missing from the map lead the correlation astray.
    """
    camera, look = ground.start(proposal, tried)
    parameters = dense_parameters(search.stored, look, position_of(camera).altitude_km)
    levels = seen_map(search.light_map, camera, parameters.template_px)
    if levels is None:
        return []
    search.covered = True
    picture = search.lights.of(look.hazy).resized(
        parameters.template_px, parameters.smooth_px, parameters.detail_px
    )
    view = CoarseView(
        stored=search.stored,
        picture=unmirrored(picture, look.mirrored),
        levels=levels,
        parameters=parameters,
    )
    start = [view.camera(camera)]
    moved = view.aligned(start, [look])
    if proposal.pairs is None:
        return moved
    return merged(moved, view.aligned(start, [look], iterations=0))


# Alignment moves a camera by 60 km (one sigma of its place), and its sight with it
MARGIN_KM = 150.0
# Pixels of the picture that is aligned to one of the map
FINER = 1.5


def seen_map(
    light_map: HasWindows, camera: Camera, long_side_px: int
) -> tuple[LightGrid, ...] | None:
    """Map pyramid of what a proposed camera sees.

    All that could be seen from its place through a long lens, out to the horizon at the pixels of
    the map, took 1.5 GB and two seconds a camera.
    """
    _, _, height_m = ecef_to_geodetic(camera.position_ecef_m)
    field_km = float(height_m) / 1e3 / camera.focal_px * max(camera.width_px, camera.height_px)
    step_km = max(field_km / long_side_px / FINER, LEAST_SAMPLE_KM)
    return footprint_window(light_map, camera, MARGIN_KM, step_km)
