"""The engine's search from where a person placed a photo."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path
from pydantic import Field

from regengine.errors import ConfigError
from regengine.io.html import visible_text
from regengine.records import plain
from regengine.result import FrameResult
from regengine.review.bodies import Body, CameraBody, check_of_photo
from regengine.review.context import ReviewContext
from regengine.review.frame_answer import camera_json
from regengine.review.routes_frames import FrameId, no_frame
from regengine.review.search_jobs import SearchJob, SearchJobs

JobName = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


class SearchBody(Body):
    """Where to search from, and for how many seconds of processor time."""

    camera: CameraBody
    seconds: Annotated[float, Field(ge=1.0, le=120.0)] = 15.0


def router(context: ReviewContext, jobs: SearchJobs | None = None) -> APIRouter:
    """Routes of the search."""
    routes = APIRouter(prefix="/api")
    running = jobs or SearchJobs()

    @routes.post("/frames/{number}/search")
    def begin(number: FrameId, body: SearchBody) -> dict[str, str]:
        """Begin a search; its job tells how it goes."""
        try:
            result, path = context.frames.frame(number).result, context.frames.photo(number)
        except KeyError:
            raise no_frame(number) from None
        if context.inputs is None:
            raise ConfigError("a search needs a night-light map: begin the review with --lights.")
        if path is None:
            raise ConfigError(f"the photo of frame {number} is not where the store says it is.")
        rough = body.camera.camera()
        check_of_photo(rough, result)
        register = replace(context.inputs.register, max_seconds=body.seconds)
        inputs = replace(context.inputs, register=register)
        return {"job": running.start(path.absolute(), rough, inputs).job}

    @routes.get("/jobs/{job}")
    def look(job: JobName) -> dict[str, Any]:
        """How a search goes."""
        try:
            return job_json(running.look(job))
        except KeyError:
            raise HTTPException(404, "there is no such search.") from None

    @routes.delete("/jobs/{job}")
    def cancel(job: JobName) -> dict[str, Any]:
        """End a search."""
        try:
            return job_json(running.cancel(job))
        except KeyError:
            raise HTTPException(404, "there is no such search.") from None

    return routes


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
    """What a search found."""
    return {
        "verdict": result.verdict,
        "probability": result.probability,
        "reasons": [reason.code for reason in result.reasons],
        "reason_texts": [reason.text for reason in result.reasons],
        "camera": None if result.solved is None else camera_json(result.solved.camera),
        "points": [
            {
                "x": point.x,
                "y": point.y,
                "lon": point.lon,
                "lat": point.lat,
                "sigma_px": point.sigma_px,
                "origin": "search",
            }
            for point in result.control_points
        ],
    }
