"""Routes of computations for a person: cameras from points, snapping points, searches.

The engine takes a second to import, which would delay the first pictures: its modules are imported
on first use.
"""

from __future__ import annotations

import atexit
import math
import secrets
import signal
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, HTTPException, Query
from fastapi import Path as PathParameter
from pydantic import Field

from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef
from regengine.errors import ConfigError, RegengineError, shorten_to_line
from regengine.io.html import escape_invisible
from regengine.io.plain import plain
from regengine.io.times import parse_iso_time
from regengine.maps.lights import KindName
from regengine.orbit.propagation import camera_position
from regengine.pages.review import bodies
from regengine.pages.review.context import ReviewContext, find_registered_photo
from regengine.pages.review.routes_frames import ABOUT_NADIR, FrameId, track, track_at
from regengine.registration.points.solve_points import Free, PointFit, PositionPrior, solve
from regengine.store.result import MIN_POINTS, FrameResult

if TYPE_CHECKING:
    from regengine.registration.points.compare_maps import PhotoBesideMap
    from regengine.runs.run_inputs import RunInputs

KEPT_FRAMES = 256
# With fewer than four points, a search finds the position of a view with a smaller tilt than this.
# A view with a larger tilt is accepted only if the points agree with the camera
OBLIQUE_DEG = 40.0
AMISS_PX = 20.0
MAX_COMPARED = 40  # points in one request: each takes a twentieth of a second
JobName = Annotated[str, PathParameter(pattern="^[0-9a-f]{16}$")]
State = Literal["waiting", "running", "done", "failed", "cancelled"]


class SolveBody(bodies.Body):
    """Points, and the camera that they correct; whether a person placed that camera."""

    points: Annotated[list[bodies.PointBody], Field(min_length=1, max_length=bodies.MAX_POINTS)]
    start: bodies.CameraFields
    free: Free = "auto"
    placed: bool = False


class SnapBody(bodies.Body):
    """A point, the camera of the view, and which side of the point moves."""

    camera: bodies.CameraFields
    point: bodies.PointBody
    moves: Literal["photo", "map"]


class EvidenceBody(bodies.Body):
    """Points, and the camera of the view."""

    camera: bodies.CameraFields
    points: Annotated[list[bodies.PointBody], Field(min_length=1, max_length=MAX_COMPARED)]


class MarksBody(bodies.Body):
    """A camera whose predicted view is compared with the photo."""

    camera: bodies.CameraFields


class SearchBody(bodies.Body):
    """Where to start the search, and its limit of processor time in seconds."""

    camera: bodies.CameraFields
    seconds: Annotated[float, Field(ge=1.0, le=120.0)] = 15.0


def router(context: ReviewContext) -> APIRouter:
    """Routes of the solution from points, and of the search."""
    routes = APIRouter(prefix="/api")
    _add_solution(routes, context)
    _add_comparison(routes, context)
    _add_search(routes, context)
    return routes


def _add_solution(routes: APIRouter, context: ReviewContext) -> None:
    @lru_cache(maxsize=KEPT_FRAMES)
    def known(number: int) -> PositionPrior:
        """What is known of the position of a frame's camera."""
        result = context.result(number)
        nadir, nadirs = result.nadir, track(result.time_utc, context.tles)
        if not nadirs and nadir is not None:
            nadirs = [(nadir.lon, nadir.lat)]
        lon, lat = np.array(nadirs, float).reshape(-1, 2).T
        # The station flies 410 km high within a few per cent
        height_m = 1e3 * (410.0 if nadir is None else nadir.altitude_km)
        return PositionPrior(
            cameras=tuple(one.solved.camera for one in result.hypotheses),
            track_ecef_m=geodetic_to_ecef(lon, lat, height_m),
            lens_known=None not in (result.focal_mm, result.pixel_pitch_um),
        )

    @routes.post("/frames/{number}/solve")
    def solved(number: FrameId, body: SolveBody) -> dict[str, Any]:
        """Fit a camera to points; returns it with the residual of each point."""
        start = bodies.check_sent(context.result(number), body.start, body.points)
        assert start is not None
        if any(point.off for point in body.points):
            raise ConfigError("points that are switched off take no part: leave them out.")
        there = known(number)
        points = [point.point() for point in body.points]
        if body.placed and not len(there.track_ecef_m):
            there = replace(there, track_ecef_m=np.array([start.position_ecef_m]))
        found = solve(start, points, body.free, there)
        fit, alone = found.fit, found.attitude_only
        told = _fit_json(fit)
        rms_px = _rms([each["residual_px"] for each in told["points"]])
        few = len(points) < MIN_POINTS and fit.camera.off_nadir_deg > OBLIQUE_DEG
        too_few = None
        if few and rms_px is not None and rms_px > AMISS_PX:
            too_few = (
                f"An oblique view needs four points before a search: these {len(points)} leave "
                f"{rms_px:.0f} px."
            )
        return told | {
            "freed": list(fit.freed),
            "observations": fit.observations,
            "over": fit.observations - fit.unknowns,
            "attitude_only": None if alone is None else _fit_json(alone),
            "rms_px": rms_px,
            "rms_m": _rms([each["residual_m"] for each in told["points"]]),
            "off_nadir_deg": fit.camera.off_nadir_deg,
            "warning": " ".join(filter(None, (found.warning, too_few))) or None,
            "too_few": too_few,
        }

    @routes.get("/nadir")
    def nadir(time_utc: Annotated[str, Query(max_length=40)]) -> dict[str, Any]:
        """Nadir of the station at a time from the element sets, and its ground track."""
        if context.tles is None:
            raise ConfigError("the review has no element sets: write the nadir instead.")
        when = parse_iso_time(time_utc)
        if when is None:
            raise ConfigError("write the time as 2012-03-28 15:46:41, UTC.")
        found = camera_position(context.tles, when)
        return {name: getattr(found, name) for name in ABOUT_NADIR} | {
            "track": track_at(context.tles, when)
        }


def _add_comparison(routes: APIRouter, context: ReviewContext) -> None:
    """Add the routes that compare a photo with the map that placed it."""
    photos: OrderedDict[tuple[Path, int, str, int], PhotoBesideMap] = OrderedDict()
    one_at_a_time = Lock()  # each takes a second and some hundred megabytes

    def read_compared(
        number: int, body: bodies.CameraFields, points: Sequence[bodies.PointBody] = ()
    ) -> tuple[Camera, PhotoBesideMap]:
        """The camera that was sent, and the photo beside the map."""
        from regengine.registration.points.compare_maps import choose_side_px, read_beside_map

        result = context.result(number)
        kind, (path, _) = result.reference_kind, find_registered_photo(context, number)
        reference = context.map_of_kind(kind)
        camera = bodies.check_sent(result, body, points)
        assert camera is not None
        side_px = choose_side_px(kind, camera, reference)
        key = path, path.stat().st_mtime_ns, kind, side_px
        with one_at_a_time:
            if key not in photos:
                photos[key] = read_beside_map(kind, path, camera, reference)
                # Three are cached while a person compares them with the map
                if len(photos) > 3:
                    photos.popitem(last=False)
            return camera, photos[key]

    @routes.post("/frames/{number}/snap")
    def snapped(number: FrameId, body: SnapBody) -> dict[str, Any]:
        """The point moved to where photo and map agree best."""
        from regengine.registration.points.compare_maps import snap

        camera, beside = read_compared(number, body.camera, [body.point])
        found = snap(camera, body.point.point(), beside, photo_moves=body.moves == "photo")
        return asdict(found) | {"found": found.point is not None}

    @routes.post("/frames/{number}/evidence")
    def compared(number: FrameId, body: EvidenceBody) -> dict[str, Any]:
        """Offset between map and photo at each point, independent of the camera.

        ``sigma_px`` is its standard deviation, with that of the point. Both are None, with the
        reason, if photo and map cannot be compared.
        """
        from regengine.registration.points.compare_maps import compare_at_point

        camera, beside = read_compared(number, body.camera, body.points)
        found = [compare_at_point(camera, one.point(), beside) for one in body.points]
        return {
            "points": [
                {
                    "off_px": one.moved_px,
                    "sigma_px": None if one.point is None else one.point.sigma_px,
                    "why": one.why,
                }
                for one in found
            ]
        }

    @routes.post("/frames/{number}/marks")
    def marked(number: FrameId, body: MarksBody) -> dict[str, Any]:
        """Where the map stands out in a camera's view, and whether the photo shows the same there.

        These are the strongest lights, or the patches of streets or ground with the most structure.
        ``chance`` is the expected share of matches for an unrelated camera.
        """
        from regengine.registration.points.compare_maps import find_marks

        found = find_marks(*read_compared(number, body.camera))
        if found is None:
            return {"marks": [], "chance": 0.0}
        told = zip(found.lon.tolist(), found.lat.tolist(), found.met.tolist(), strict=True)
        return {
            "marks": [
                {"lon": lon, "lat": lat, "met": met}
                for lon, lat, met in told
                if math.isfinite(lon)  # close to the limb, that may be sky
            ],
            "chance": found.chance,
        }


def _fit_json(fit: PointFit) -> dict[str, Any]:
    """JSON of a fitted camera, and of the result of each point; None where there is none."""
    dx_px, dy_px = fit.residual_px.T
    off = {"dx_px": dx_px, "dy_px": dy_px, "residual_px": np.hypot(dx_px, dy_px)}
    # Points behind the camera are placed far outside
    told = {name: np.where(np.isfinite(px), px, 1e6) for name, px in off.items()} | {
        "residual_m": fit.residual_m,
        "left_out_px": fit.doubts.left_out_px,
        "suspect": fit.doubts.suspect,
    }
    rows = zip(*(values.tolist() for values in told.values()), strict=True)
    points = [plain(dict(zip(told, row, strict=True)), str) for row in rows]
    return {"camera": bodies.camera_json(fit.camera), "points": points}


def _rms(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.sqrt(sum(value**2 for value in known) / len(known)) if known else None


def _add_search(routes: APIRouter, context: ReviewContext) -> None:
    jobs = SearchJobs()

    @routes.post("/frames/{number}/search")
    def begin(number: FrameId, body: SearchBody) -> dict[str, str]:
        """Start a search; its job reports the progress."""
        result = context.result(number)
        kind: KindName = "day" if result.reference_kind == "day" else "lights"
        context.map_of_kind(kind)
        path, _ = find_registered_photo(context, number)
        rough = bodies.check_sent(result, body.camera)
        assert rough is not None
        register = replace(context.inputs.register, max_seconds=body.seconds)
        inputs = replace(context.inputs, register=register)
        return {"job": jobs.start(path.absolute(), rough, inputs, kind).job}

    @routes.get("/jobs/{job}")
    def look(job: JobName) -> dict[str, Any]:
        """Progress of a search."""
        return _job_json(jobs.find(job))

    @routes.delete("/jobs/{job}")
    def cancel(job: JobName) -> dict[str, Any]:
        """Cancel a search that has not ended: its process is killed."""
        found = jobs.find(job)
        found.future.cancel()
        return _job_json(found)


def _job_json(job: SearchJob) -> dict[str, Any]:
    """JSON of a search."""
    result = job.future.result() if job.state == "done" else None
    found = None
    if result is not None:
        placed = result.verdict in bodies.PLACED
        found = {
            "verdict": result.verdict,
            "probability": result.probability,
            "reasons": [reason.code for reason in result.reasons],
            "reason_texts": [reason.text for reason in result.reasons],
            "camera": bodies.camera_json(result.solved.camera)
            if result.solved and placed
            else None,
            "points": bodies.points_json(result, origin="search") if placed else [],
            "fit": None if result.fit is None else asdict(result.fit),
        }
    names = ("job", "state", "seconds", "message")
    said = {name: getattr(job, name) for name in names} | {"result": found}
    return dict(plain(said, escape_invisible))


# Searches from a rough camera, one at a time, in a separate process


def search(path: Path, rough: Camera, inputs: RunInputs, kind: KindName) -> FrameResult:
    """Run the engine's search; only its process imports the engine."""
    from regengine.runs.pipeline import register_from

    return register_from(path, rough, inputs, kind)


@dataclass(kw_only=True)
class SearchJob:
    """One search: its unguessable name, its state and its result."""

    job: str = field(default_factory=lambda: secrets.token_hex(8))
    future: Future[FrameResult]
    asked_s: float = field(default_factory=time.monotonic)
    ended_s: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds from the request to the end, or until now."""
        return (time.monotonic() if self.ended_s is None else self.ended_s) - self.asked_s

    @property
    def state(self) -> State:
        if self.future.cancelled():
            return "cancelled"
        if self.future.done():
            return "done" if self.future.exception() is None else "failed"
        return "running" if self.future.running() else "waiting"

    @property
    def message(self) -> str | None:
        error = self.future.exception() if self.state == "failed" else None
        if error is None:
            return None
        if isinstance(error, RegengineError):
            return shorten_to_line(str(error))
        if isinstance(error, TimeoutError):
            return "the search timed out: try again."
        from pebble import ProcessExpired

        if isinstance(error, ProcessExpired):
            return "the search process ended unexpectedly, perhaps out of memory."
        return f"the search failed ({shorten_to_line(repr(error))})."


class SearchJobs:
    """Runs searches one after another; thread-safe."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, SearchJob] = OrderedDict()
        self._pool: Any = None
        self._lock = Lock()

    def start(self, path: Path, rough: Camera, inputs: RunInputs, kind: KindName) -> SearchJob:
        with self._lock:
            if sum(not job.future.done() for job in self._jobs.values()) >= 8:
                raise ConfigError("too many searches are waiting: cancel one, or wait.")
            if self._pool is None:
                from pebble import ProcessPool

                self._pool = ProcessPool(
                    max_workers=1,
                    initializer=signal.signal,
                    initargs=(signal.SIGINT, signal.SIG_IGN),
                    context=get_context("spawn"),
                )
                atexit.register(self.close)
            # The search ends by its own limit of processor time. Wall-clock time is longer on a
            # busy machine, and unlimited if the process hangs
            limit_s = 4.0 * inputs.register.max_seconds + 60.0
            future = self._pool.schedule(search, args=(path, rough, inputs, kind), timeout=limit_s)
            job = SearchJob(future=future)
            future.add_done_callback(lambda _: setattr(job, "ended_s", time.monotonic()))
            self._jobs[job.job] = job
            while len(self._jobs) > 64:
                self._jobs.popitem(last=False)
            return job

    def find(self, job: str) -> SearchJob:
        """A search by name; 404 if there is none."""
        if job not in self._jobs:
            raise HTTPException(404, "this search does not exist: start it again.")
        return self._jobs[job]

    def close(self) -> None:
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
