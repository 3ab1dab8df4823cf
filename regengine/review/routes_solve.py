"""What the engine works out for a person: cameras from points, points snapped, searches."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, HTTPException, Query
from fastapi import Path as PathParameter
from pydantic import Field

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, geodetic_to_ecef
from matchers.photo_light import LightImage
from matchers.resection import Free
from regengine.errors import ConfigError, EphemerisError
from regengine.io.html import visible_text
from regengine.io.plain import plain
from regengine.orbit.propagation import camera_position
from regengine.photo.image import read_linear_light
from regengine.registration.map_window import ground_sample_km
from regengine.registration.preparation import fine_px, lights_of_photo
from regengine.result import FrameResult
from regengine.review.bodies import (
    MOST_POINTS,
    Body,
    CameraBody,
    PointBody,
    camera_json,
    check_of_photo,
    page_words,
    points_json,
)
from regengine.review.context import ReviewContext, no_frame
from regengine.review.decisions import KeptSearch
from regengine.review.ground_track import time_of, track, track_at
from regengine.review.reviewed import ReviewedPoint
from regengine.review.routes_frames import FrameId
from regengine.review.search_jobs import SearchJob, SearchJobs
from regengine.review.solving import PointFit, Solved, Whereabouts, snap, solve

KEPT = 3  # photos' city light, while a person works on them
SMOOTH_PX = 1.0  # about the map's own blur
BEHIND_PX = 1e6
KEPT_FRAMES = 256
USUAL_ALTITUDE_KM = 410.0  # of the station, to a few per cent
NO_MAP = "end the review, and begin it with one."
ABOUT_NADIR = ("lon", "lat", "altitude_km", "source", "sigma_along_km")
JobName = Annotated[str, PathParameter(pattern="^[0-9a-f]{16}$")]


class SolveBody(Body):
    """Points, and the camera that they put right; whether a person told that it stood there."""

    points: Annotated[list[PointBody], Field(min_length=1, max_length=MOST_POINTS)]
    start: CameraBody
    free: Free = "auto"
    placed: bool = False


class SnapBody(Body):
    """A point, the camera that it is seen with, and which side of it moves."""

    camera: CameraBody
    point: PointBody
    moves: Literal["photo", "map"]


class SearchBody(Body):
    """Where to search from, and for how many seconds of processor time."""

    camera: CameraBody
    seconds: Annotated[float, Field(ge=1.0, le=120.0)] = 15.0


class PhotoLightCache:
    """Light images of the latest photos; may be asked by many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int, int], LightImage] = OrderedDict()
        self._lock = Lock()

    def light(self, path: Path, camera: Camera) -> LightImage:
        """The photo's city light in pixels of about a third of a kilometre."""
        altitude_km = float(ecef_to_geodetic(camera.position_ecef_m)[2]) / 1e3
        side_px = fine_px(camera, altitude_km)
        key = path, path.stat().st_mtime_ns, side_px
        with self._lock:  # one at a time: each takes a second and some hundred megabytes
            if key not in self._kept:
                self._kept[key] = _light_of(path, camera, side_px)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


def _light_of(path: Path, camera: Camera, side_px: int) -> LightImage:
    linear = read_linear_light(path, max_long_side_px=side_px)
    lights = lights_of_photo(linear, ground_sample_km(camera) / linear.factor)
    return lights.sharp.resized(side_px, SMOOTH_PX)


def router(context: ReviewContext, jobs: SearchJobs | None = None) -> APIRouter:
    """Routes of the solution by points, and of the search."""
    routes = APIRouter(prefix="/api")
    _add_solution(routes, context)
    _add_nadir(routes, context)
    _add_search(routes, context, jobs or SearchJobs())
    return routes


def _add_solution(routes: APIRouter, context: ReviewContext) -> None:
    known = whereabouts(context)
    photo_lights = PhotoLightCache()

    @routes.post("/frames/{number}/solve")
    def solved(number: FrameId, body: SolveBody) -> dict[str, Any]:
        """The camera of some points, and how far each is from it."""
        try:
            there = known(number)
        except KeyError:
            raise no_frame(number) from None
        points = [ReviewedPoint(**point.model_dump()) for point in body.points]
        start = body.start.camera()
        if body.placed and not there.placed:
            there = replace(there, track_ecef_m=np.array([start.position_ecef_m]))
        return solve_json(solve(start, points, body.free, there))

    @routes.post("/frames/{number}/snap")
    def snapped(number: FrameId, body: SnapBody) -> dict[str, Any]:
        """The point moved to where the lights of photo and map agree best."""
        result = context.result(number)
        if context.light_map is None:
            raise ConfigError(f"snapping needs a night-light map: {NO_MAP}")
        path = context.photo_path(number)
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


def whereabouts(context: ReviewContext) -> Callable[[int], Whereabouts]:
    """A function that tells what is known of where the photo of a frame's number was taken.

    KeyError where there is no such frame.
    """

    @lru_cache(maxsize=KEPT_FRAMES)
    def known(number: int) -> Whereabouts:
        result = context.frames.frame(number).result
        rows, nadir = context.frames.rows, result.nadir
        nadirs = track(rows, int(rows.rows_of([number])[0]), nadir, context.tles)
        if not nadirs and nadir is not None:
            nadirs = [(nadir.lon, nadir.lat)]
        lon, lat = np.array(nadirs, float).reshape(-1, 2).T
        height_m = 1e3 * (USUAL_ALTITUDE_KM if nadir is None else nadir.altitude_km)
        return Whereabouts(
            cameras=tuple(one.solved.camera for one in result.hypotheses),
            track_ecef_m=geodetic_to_ecef(lon, lat, height_m),
            lens_known=None not in (result.focal_mm, result.pixel_pitch_um),
        )

    return known


def solve_json(found: Solved) -> dict[str, Any]:
    """A solution as the page has it."""
    fit, alone = found.fit, found.attitude_only
    return {
        "camera": camera_json(fit.camera),
        "freed": list(fit.freed),
        "points": fits_json(fit),
        "attitude_only": None
        if alone is None
        else {"camera": camera_json(alone.camera), "points": fits_json(alone)},
        "rms_px": _rms([_in_sight_px(math.hypot(*xy)) for xy in fit.residual_px.tolist()]),
        "rms_m": _rms(fit.residual_m.tolist()),
        "off_nadir_deg": fit.camera.off_nadir_deg,
        "warning": found.warning,
    }


def fits_json(fit: PointFit) -> list[dict[str, Any]]:
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
            "dx_px": _in_sight_px(dx_px),
            "dy_px": _in_sight_px(dy_px),
            "residual_px": _in_sight_px(math.hypot(dx_px, dy_px)),
            "residual_m": _finite(metres),
            "left_out_px": _finite(left_out_px),
            "suspect": suspect,
        }
        for (dx_px, dy_px), metres, left_out_px, suspect in told
    ]


def _in_sight_px(pixels: float) -> float:
    """A distance in pixels; what the camera has behind it is very far off."""
    return pixels if math.isfinite(pixels) else BEHIND_PX


def _finite(value: float) -> float | None:
    """A number as JSON can have it; None for none."""
    return value if math.isfinite(value) else None


def _rms(values: list[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return math.sqrt(sum(value**2 for value in known) / len(known)) if known else None


def _add_nadir(routes: APIRouter, context: ReviewContext) -> None:
    @routes.get("/nadir")
    def nadir(time_utc: Annotated[str, Query(max_length=40)]) -> dict[str, Any]:
        """Where the station was at a time, by the element sets, and its track."""
        if context.tles is None:
            raise ConfigError("the review has no element sets: write the nadir instead.")
        when = time_of(time_utc)
        if when is None:
            raise ConfigError("write the time as 2012-03-28 15:46:41, UTC.")
        try:
            found = camera_position(context.tles, when)
        except EphemerisError as error:
            raise ConfigError(page_words(str(error))) from error
        return {name: getattr(found, name) for name in ABOUT_NADIR} | {
            "track": track_at(context.tles, when)
        }


def _add_search(routes: APIRouter, context: ReviewContext, jobs: SearchJobs) -> None:
    @routes.post("/frames/{number}/search")
    def begin(number: FrameId, body: SearchBody) -> dict[str, str]:
        """Begin a search; its job tells how it goes."""
        result = context.result(number)
        if context.inputs is None:
            raise ConfigError(f"a search needs a night-light map: {NO_MAP}")
        path = context.photo_path(number)
        rough = body.camera.camera()
        check_of_photo(rough, result)
        register = replace(context.inputs.register, max_seconds=body.seconds)
        inputs = replace(context.inputs, register=register)

        def found(told: FrameResult, seconds: float) -> None:
            search = KeptSearch(
                frame_index=number,
                sha256=result.sha256,
                reviewer=context.reviewer,
                seconds=seconds,
                verdict=told.verdict,
                probability=told.probability,
                start=camera_json(rough),
                found=dict(plain(proposal_json(told), visible_text)),
            )
            context.decisions.keep_search(search)

        keep = None if context.readonly else found
        return {"job": jobs.start(path.absolute(), rough, inputs, keep).job}

    @routes.get("/jobs/{job}")
    def look(job: JobName) -> dict[str, Any]:
        """How a search goes."""
        try:
            return job_json(jobs.look(job))
        except KeyError:
            raise HTTPException(404, "there is no such search.") from None

    @routes.delete("/jobs/{job}")
    def cancel(job: JobName) -> dict[str, Any]:
        """End a search."""
        try:
            return job_json(jobs.cancel(job))
        except KeyError:
            raise HTTPException(404, "there is no such search.") from None


def job_json(job: SearchJob) -> dict[str, Any]:
    """A search as the page has it."""
    said = {
        "job": job.job,
        "state": job.state,
        "seconds": job.seconds,
        "message": job.message,
        "result": None if job.result is None else found_json(job.result),
    }
    return dict(plain(said, visible_text))


def found_json(result: FrameResult) -> dict[str, Any]:
    """What a search found, and its verdict."""
    verdict = {"verdict": result.verdict, "probability": result.probability}
    return verdict | proposal_json(result)


def proposal_json(result: FrameResult) -> dict[str, Any]:
    """A search's reasons, its camera and points, and what speaks for them."""
    return {
        "reasons": [reason.code for reason in result.reasons],
        "reason_texts": [page_words(reason.text) for reason in result.reasons],
        "camera": None if result.solved is None else camera_json(result.solved.camera),
        "points": points_json(result, origin="search"),
        "fit": None if result.fit is None else asdict(result.fit),
    }
