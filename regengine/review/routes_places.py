"""Routes of place names, coastlines, borders and lakes for the map of the review page."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from regengine.errors import ConfigError
from regengine.places import Place, outlines, place_index
from regengine.review.context import ReviewContext
from regengine.review.queue import edges_of
from regengine.review.routes_pictures import describe_response, make_cached_response

JSON = "application/json"
LINES = describe_response(JSON, "lists of lines by kind, encoded polylines of lon and lat")
MAX_PLACES = 500
MAX_LETTERS = 100


def router(context: ReviewContext) -> APIRouter:
    """Routes of places; they are the same for every store."""
    routes = APIRouter(prefix="/api")

    @routes.get("/places")
    def places(
        bbox: Annotated[str, Query(max_length=200)],
        limit: Annotated[int, Query(ge=1, le=MAX_PLACES)] = 60,
    ) -> dict[str, list[dict[str, Any]]]:
        """The largest towns within a box: west, south, east and north edge, degrees."""
        try:
            edges = edges_of(bbox)
        except ValueError as error:
            raise ConfigError(f"bbox: {error}.") from error
        return _answer(place_index().inside(*edges, limit))

    @routes.get("/places/search")
    def search(
        q: Annotated[str, Query(max_length=MAX_LETTERS)],
        limit: Annotated[int, Query(ge=1, le=MAX_PLACES)] = 20,
    ) -> dict[str, list[dict[str, Any]]]:
        """Towns whose names begin with the text, best first; "paris, us" searches one country."""
        return _answer(place_index().search(q, limit))

    @routes.get("/outlines/{z}/{x}/{y}.json", response_class=Response, responses=LINES)
    def outline_tile(request: Request, z: int, x: int, y: int) -> Response:
        """Coastlines, borders and lakes of a Web Mercator tile: zoom 0, finer at zoom 5."""
        data = outlines()
        if str(z) not in data["units_deg"] or not (0 <= x < 2**z and 0 <= y < 2**z):
            raise HTTPException(404, f"outlines have the zooms 0 and 5, not {z}/{x}/{y}.")
        return make_cached_response(
            request, lambda: _outline_json(z, x, y), media_type=JSON, made_of=data["source"]
        )

    return routes


def _answer(found: list[Place]) -> dict[str, list[dict[str, Any]]]:
    return {"places": [asdict(place) for place in found]}


def _outline_json(z: int, x: int, y: int) -> bytes:
    data = outlines()
    tile = {"unit_deg": data["units_deg"][str(z)], **data["tiles"].get(f"{z}/{x}/{y}", {})}
    return json.dumps(tile, separators=(",", ":")).encode()
