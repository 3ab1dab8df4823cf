"""Cameras from points, and points moved to where photo and map agree."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from matchers.resection_points import Free
from regengine.errors import ConfigError
from regengine.review.bodies import MOST_POINTS, Body, CameraBody, PointBody
from regengine.review.context import ReviewContext
from regengine.review.flight import flights
from regengine.review.frame_answer import camera_json
from regengine.review.photo_light_cache import PhotoLightCache
from regengine.review.plausible import check_of_photo
from regengine.review.reviewed import ReviewedPoint
from regengine.review.routes_frames import FrameId, no_frame
from regengine.review.snapping import snap
from regengine.review.solving import PointFit, Solved, solve

BEHIND_PX = 1e6


class SolveBody(Body):
    """Points, and the camera that they put right."""

    points: Annotated[list[PointBody], Field(min_length=1, max_length=MOST_POINTS)]
    start: CameraBody
    free: Free = "auto"


class SnapBody(Body):
    """A point, the camera that it is seen with, and which side of it moves."""

    camera: CameraBody
    point: PointBody
    moves: Literal["photo", "map"]


def router(context: ReviewContext) -> APIRouter:
    """Routes of the solution by points.

    Parameters
    ----------
    context : ReviewContext
        The review.

    Returns
    -------
    APIRouter
    """
    routes = APIRouter(prefix="/api/frames/{number}")
    flight = flights(context)
    photo_lights = PhotoLightCache()

    @routes.post("/solve")
    def solved(number: FrameId, body: SolveBody) -> dict[str, Any]:
        """The camera of some points, and how far each is from it."""
        try:
            direction = flight(number)
        except KeyError:
            raise no_frame(number) from None
        points = [ReviewedPoint(**point.model_dump()) for point in body.points]
        return solve_json(solve(body.start.camera(), points, body.free, direction))

    @routes.post("/snap")
    def snapped(number: FrameId, body: SnapBody) -> dict[str, Any]:
        """The point moved to where the lights of photo and map agree best."""
        try:
            result, path = context.frames.frame(number).result, context.frames.photo(number)
        except KeyError:
            raise no_frame(number) from None
        if context.light_map is None:
            raise ConfigError("snapping needs a night-light map: begin the review with --lights.")
        if path is None:
            raise ConfigError(f"the photo of frame {number} is not where the store says it is.")
        camera, point = body.camera.camera(), ReviewedPoint(**body.point.model_dump())
        check_of_photo(camera, result)
        found = snap(
            camera,
            point,
            photo_moves=body.moves == "photo",
            light=photo_lights.light(path, camera),
            light_map=context.light_map,
        )
        told = None if found.point is None else asdict(found.point)
        return {
            "found": told is not None,
            "point": told,
            "ncc": found.ncc,
            "moved_px": found.moved_px,
            "why": found.why,
        }

    return routes


def solve_json(found: Solved) -> dict[str, Any]:
    """A solution as the page has it."""
    fit, alone = found.fit, found.attitude_only
    return {
        "camera": camera_json(fit.camera),
        "freed": list(fit.freed),
        "points": points_json(fit),
        "attitude_only": None
        if alone is None
        else {"camera": camera_json(alone.camera), "points": points_json(alone)},
        "rms_px": _rms([seen(math.hypot(*xy)) for xy in fit.residual_px.tolist()]),
        "rms_m": _rms(fit.residual_m.tolist()),
        "off_nadir_deg": fit.camera.off_nadir_deg,
        "warning": found.warning,
    }


def points_json(fit: PointFit) -> list[dict[str, Any]]:
    """What is said of each point."""
    told = zip(
        fit.residual_px.tolist(),
        fit.residual_m.tolist(),
        fit.left_out_px.tolist(),
        fit.suspect.tolist(),
        strict=True,
    )
    return [
        {
            "dx_px": seen(dx_px),
            "dy_px": seen(dy_px),
            "residual_px": seen(math.hypot(dx_px, dy_px)),
            "residual_m": finite(metres),
            "left_out_px": finite(left_out_px),
            "suspect": suspect,
        }
        for (dx_px, dy_px), metres, left_out_px, suspect in told
    ]


def seen(pixels: float) -> float:
    """A distance in pixels; what the camera has behind it is very far off."""
    return pixels if math.isfinite(pixels) else BEHIND_PX


def finite(value: float) -> float | None:
    """A number as JSON can have it; None for none."""
    return value if math.isfinite(value) else None


def _rms(values: list[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return math.sqrt(sum(value**2 for value in known) / len(known)) if known else None
