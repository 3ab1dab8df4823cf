"""Route of a frame's control points as a file of QGIS's georeferencer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from regengine.review.bodies import MAX_POINTS, Body, CameraBody, PointBody, check_sent
from regengine.review.context import ReviewContext
from regengine.review.routes_frames import FrameId


class PointsBody(Body):
    """Control points, and the camera that they belong to."""

    points: Annotated[list[PointBody], Field(min_length=1, max_length=MAX_POINTS)]
    camera: CameraBody | None


def router(context: ReviewContext) -> APIRouter:
    """Routes of control point files."""
    routes = APIRouter(prefix="/api")

    @routes.post("/frames/{number}/points")
    def points_file(number: FrameId, body: PointsBody) -> dict[str, str]:
        """A points file of QGIS's georeferencer: its name and its text."""
        from regengine.exchange.export.format import photo_stem
        from regengine.exchange.export.formats.gcp_qgis import points_text
        from regengine.exchange.export.frame import ExportFrame, ExportPoint, sigma_on_ground

        result = context.result(number)
        camera = check_sent(result, body.camera, body.points)
        frame = ExportFrame(
            stored=context.frames.frame(number),
            store=context.store,
            verdict=result.verdict,
            camera=camera,
            points=tuple(
                ExportPoint(
                    **vars(one.point()),
                    sigma_m=sigma_on_ground(camera, one.point()),
                    enabled=not one.off,
                )
                for one in body.points
            ),
        )
        return {"name": f"{photo_stem(result.path, number)}.points", "text": points_text(frame)}

    return routes
