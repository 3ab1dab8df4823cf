"""Points of a frame as files of other programs, and such files as points."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from regengine.errors import ConfigError
from regengine.exchange.export.format import photo_name, photo_stem
from regengine.exchange.export.formats.gcp_qgis import points_text
from regengine.exchange.export.frame import ExportFrame, ExportPoint, sigma_on_ground
from regengine.exchange.importing.points import PhotoPoints, read_points
from regengine.io.tables import csv_lines, name_cell
from regengine.result import FrameResult
from regengine.review.bodies import MOST_POINTS, Body, CameraBody, PointBody
from regengine.review.context import ReviewContext
from regengine.review.reviewed import ReviewedPoint
from regengine.review.routes_frames import FrameId

CSV_COLUMNS = ("frame", "x", "y", "lon", "lat", "sigma_px", "origin")
# As text of a request, whose length is bounded
KINDS = (".points", ".csv", ".tsv", ".txt", ".xml", ".vrt")


class PointsBody(Body):
    """Points, and the camera that they lie to."""

    points: Annotated[list[PointBody], Field(min_length=1, max_length=MOST_POINTS)]
    camera: CameraBody | None


class FileBody(Body):
    """A file that a person chose."""

    name: Annotated[str, Field(max_length=300)]
    text: str


def router(context: ReviewContext) -> APIRouter:
    """Routes of files of points."""
    routes = APIRouter(prefix="/api")

    @routes.post("/frames/{number}/points/{kind}")
    def written(
        number: FrameId, kind: Literal["points", "csv"], body: PointsBody
    ) -> dict[str, str]:
        """A file of QGIS's georeferencer, or a CSV: its name, and its text."""
        result = context.result(number)
        name = photo_stem(result.path, number)
        if kind == "csv":
            rows = [
                (name_cell(result.frame), *(getattr(point, column) for column in CSV_COLUMNS[1:]))
                for point in body.points
            ]
            return {
                "name": f"{name}.csv",
                "text": "\n".join(csv_lines([CSV_COLUMNS, *rows])) + "\n",
            }
        camera = None if body.camera is None else body.camera.camera()
        points = [ReviewedPoint(**point.model_dump()) for point in body.points]
        frame = ExportFrame(
            stored=context.frames.frame(number),
            store=context.store,
            verdict=result.verdict,
            camera=camera,
            points=tuple(
                ExportPoint(**vars(point), sigma_m=sigma_on_ground(camera, point))
                for point in points
            ),
        )
        return {"name": f"{name}.points", "text": points_text(frame)}

    @routes.post("/frames/{number}/points")
    def read(number: FrameId, body: FileBody) -> dict[str, Any]:
        """The points of this frame that a file holds."""
        result = context.result(number)
        name = photo_name(body.name, number)
        if Path(name).suffix.lower() not in KINDS:
            raise ConfigError(f"{name} is no file of points: take one of {', '.join(KINDS)}.")
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_text(body.text, encoding="utf-8")
            try:
                found = of_frame(read_points(path), result, name)
            except ConfigError as error:
                raise ConfigError(str(error).replace(str(path), name)) from error
        if len(found.points) > MOST_POINTS:
            raise ConfigError(f"{name} has more than {MOST_POINTS} points.")
        return {"points": [vars(point) | {"origin": "person"} for point in found.points]}

    return routes


def of_frame(found: list[PhotoPoints], result: FrameResult, name: str) -> PhotoPoints:
    """The points of a file that are a frame's: those under its name, or all of one photo."""
    names = {result.frame, photo_name(result.path, 0), photo_stem(result.path, 0)}
    named = [each for each in found if each.photo in names]
    if named:
        return named[0]
    if len(found) > 1:
        raise ConfigError(f"{name} has points of {len(found)} photos, and none of this one.")
    return found[0]
