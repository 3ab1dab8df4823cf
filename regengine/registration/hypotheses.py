"""Common functions of all methods that propose cameras."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.registration.parameters import TrackParams
from regengine.registration.priors.lens import LensBelief, is_telephoto
from regengine.registration.priors.tracks import believe_camera
from regengine.registration.types import Hypothesis, ImageKind, Place, Problem, Stage


def make_hypothesis(
    problem: Problem, stage: Stage, place: Place, camera: Camera, kind: ImageKind
) -> Hypothesis:
    """Make the hypothesis of a camera at a place, with a prior around its focal length."""
    nominal = problem.photo.nominal
    lens = replace(stage.lens, ratio=camera.focal_px / nominal.focal_px)
    return Hypothesis(
        camera=camera,
        prior=believe_camera(place.track, place.offset_km, place.spread_km, nominal, lens),
        track=place.track,
        offset_km=place.offset_km,
        source=stage.method,
        image=kind,
    )


def locate_camera(camera: Camera, params: TrackParams) -> CameraPosition:
    """Make the position of a camera that only the lights determine."""
    lon, lat, height_m = (float(value) for value in ecef_to_geodetic(camera.position_ecef_m))
    sigma_km = params.blind_sigma_km
    return position_from_nadir(lon, lat, height_m / 1e3, "lights", sigma_km=sigma_km)


def choose_template_px(problem: Problem, lens: LensBelief) -> int:
    """Choose the long side of the image of the first look; smaller for a frame within one city.

    Such a frame is recognized by the outline of the city and its parks, not by single places.
    """
    nominal, params = problem.photo.nominal, problem.params.refine
    camera = replace(nominal, focal_px=nominal.focal_px * lens.ratio)
    if not is_telephoto(camera):
        return params.first_px
    longest = max(nominal.width_px, nominal.height_px)
    field_km = problem.altitude_km / camera.focal_px * longest
    return int(np.clip(field_km / 1.15, params.first_px // 2, params.first_px))
