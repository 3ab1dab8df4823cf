"""Propose hypotheses around the camera that a person placed; they need the same evidence."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic
from matchers.geometry.pose import turn_camera
from regengine.errors import EphemerisError
from regengine.orbit.position import choose_position
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.orbit.tle import TleSet
from regengine.photo.frame import Frame
from regengine.registration.align import (
    align_first,
    choose_template_px,
    make_hypothesis,
    merge_hypotheses,
)
from regengine.registration.parameters import TrackParams
from regengine.registration.priors.lens import is_telephoto
from regengine.registration.types import Hypothesis, ImageKind, Problem, Stage


def propose_from_placement(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Propose the placed camera and those around it, because a placement by eye is imprecise."""
    place, placed = stage.place, problem.prior.placement
    assert place is not None
    assert placed is not None
    kind: ImageKind = "clipped" if is_telephoto(placed) else "narrow"
    size_px = choose_template_px(problem, stage.lens)
    long_side_rad = max(placed.width_px, placed.height_px) / placed.focal_px
    shifts_rad = (0.0, -0.07 * long_side_rad, 0.07 * long_side_rad)
    found: list[Hypothesis] = []
    for right, down, turn_deg in product(shifts_rad, shifts_rad, (0.0, -5.0, 5.0)):
        camera = turn_camera(placed, (down, right, np.radians(turn_deg)))
        # Each by itself: of several that are nearly one view, the best counts, not the first
        start = make_hypothesis(problem, stage, place, camera, kind)
        aligned = align_first(problem, [start], size_px=size_px)
        found = merge_hypotheses(found, aligned, problem.params.search.same_view_share)
    return found


def locate_placed(
    placed: Camera, frame: Frame, tles: TleSet | None, params: TrackParams = TrackParams()
) -> CameraPosition:
    """Position of the placed camera, with the direction of flight if an orbit is known."""
    lon, lat, height_m = (float(v) for v in ecef_to_geodetic(placed.position_ecef_m))
    nadir = position_from_nadir(
        lon, lat, height_m / 1e3, "option", time_utc=frame.time_utc, sigma_km=params.placed_sigma_km
    )
    try:
        known = choose_position(frame, tles)
    except EphemerisError:
        return nadir
    return replace(nadir, velocity_ecef_m_s=known.velocity_ecef_m_s)
