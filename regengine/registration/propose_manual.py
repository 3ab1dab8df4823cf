"""The proposer of what a person placed: aligned from there, and judged as any other proposal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from matchers.pose import turned
from regengine.errors import EphemerisError
from regengine.orbit.position import choose_position
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.orbit.tle import TleSet
from regengine.photo.frame import Frame
from regengine.registration.candidates import Candidate, Look, merged
from regengine.registration.lens_prior import Scale
from regengine.registration.propose_dense import (
    PICTURE_SMOOTH_PX,
    best_peaks,
    coarse_view,
    take_look,
)
from regengine.registration.search import Proposals, Search, Step
from regengine.registration.search_order import look_at
from regengine.registration.tracks import tracks_for

ORDER = 10
# A nadir set by hand, or moved with the clock: along the track, across it, in height
SIGMA_KM = (50.0, 15.0, 10.0)
# How wrong the placed focal length may be: it was set by eye
SIGMA_LOG_FOCAL = 0.06
# A picture laid on the map by eye lies by so much beside itself: shares of its long side, degrees
SHIFTS = (0.0, -0.07, 0.07)
TURNS_DEG = (0.0, -5.0, 5.0)


def propose(search: Search) -> Iterator[Step]:
    """Align the placed camera and those around it, then look all around.

    Of a photo that a person placed nothing else is searched.
    """
    placed = search.aids.placement
    if placed is None:
        return
    # Any direction of flight serves where none is known
    track = tracks_for(search.position, None)[0]
    lens = Scale(ratio=1.0, sigma_log_focal=SIGMA_LOG_FOCAL, cropped=False)
    look = look_at(track, 0.0, SIGMA_KM[0], search.stored, lens)
    look = replace(look, mirrored=placed.mirrored)
    yield Step(kind="placed", take=partial(take_placed, search, placed, look))
    yield Step(kind="placed", take=partial(take_look, search, look, best_peaks), time_share=1.0)


def take_placed(search: Search, placed: Camera, look: Look) -> Iterator[Proposals]:
    """The placed camera and those around it, aligned with and without glows."""
    # Whatever becomes of it, the photo is not sought elsewhere
    search.ended = True
    for hazy in (False,) if look.flat else (False, True):
        found = aligned_around(search, placed, replace(look, hazy=hazy))
        yield Proposals(found, verified="later")
    yield Proposals([], verified="now")


def aligned_around(search: Search, placed: Camera, look: Look) -> list[Candidate]:
    """The placed camera and those around it, aligned on one of the photo's light images."""
    search.looks_taken += 1
    search.spend("alignment", len(SHIFTS) ** 2 * len(TURNS_DEG))
    view = coarse_view(search, look, PICTURE_SMOOTH_PX)
    found: list[Candidate] = []
    if view is not None:
        for start in starts_around(placed):
            # Each by itself: of several that are nearly one view, the best counts, not the first
            found = merged(found, view.aligned([view.camera(start)], [look]))
    return found


def starts_around(placed: Camera) -> Iterator[Camera]:
    """The placed camera, and turned so that the picture lies a little beside and across itself."""
    aside_rad = max(placed.width_px, placed.height_px) / placed.focal_px
    for right, down, turn_deg in product(SHIFTS, SHIFTS, TURNS_DEG):
        yield turned(placed, (down * aside_rad, right * aside_rad, np.radians(turn_deg)))


def position_of(placed: Camera, frame: Frame, tles: TleSet | None) -> CameraPosition:
    """Where a person placed the camera, with the direction of flight where an orbit tells it."""
    lon, lat, height_m = (float(v) for v in ecef_to_geodetic(placed.position_ecef_m))
    nadir = position_from_nadir(
        lon, lat, height_m / 1e3, "option", time_utc=frame.time_utc, sigma_km=SIGMA_KM
    )
    try:
        known = choose_position(frame, tles)
    except EphemerisError:
        return nadir
    return replace(nadir, velocity_ecef_m_s=known.velocity_ecef_m_s)
