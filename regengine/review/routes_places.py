"""Names of places and the coastline for the map of the review page."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from regengine.places import Place, place_index
from regengine.report.places import coastline
from regengine.review.context import ReviewContext
from regengine.review.routes_frames import edges_of
from regengine.review.routes_pictures import cached_response, described

GEOJSON = "application/geo+json"
LINES = described(GEOJSON, "GeoJSON, lines")
MOST_PLACES = 500
MOST_LETTERS = 100
# Where outlines of land are cut open at the antimeridian
CUT_DEG = 179.9


def router(context: ReviewContext) -> APIRouter:
    """Routes of places; they are the same for every store."""
    routes = APIRouter(prefix="/api")

    @routes.get("/places")
    def places(
        bbox: Annotated[str, Query(max_length=200)],
        limit: Annotated[int, Query(ge=1, le=MOST_PLACES)] = 60,
    ) -> dict[str, list[dict[str, Any]]]:
        """The largest towns of a box: west, south, east and north edge, degrees."""
        return _answer(place_index().inside(*_box(bbox), limit))

    @routes.get("/places/search")
    def search(
        q: Annotated[str, Query(max_length=MOST_LETTERS)],
        limit: Annotated[int, Query(ge=1, le=MOST_PLACES)] = 20,
    ) -> dict[str, list[dict[str, Any]]]:
        """Towns whose names begin so, best first; "paris, us" is sought in one country."""
        return _answer(place_index().search(q, limit))

    @routes.get("/coastline.json", response_class=Response, responses=LINES)
    def coastline_lines(request: Request) -> Response:
        """Outlines of the land, GeoJSON."""
        return cached_response(request, _coastline_json, media_type=GEOJSON, made_of="coastline")

    return routes


def _answer(found: list[Place]) -> dict[str, list[dict[str, Any]]]:
    return {"places": [asdict(place) for place in found]}


def _box(text: str) -> tuple[float, float, float, float]:
    edges = edges_of(text)
    if edges is None:
        raise HTTPException(
            422,
            "bbox must be four numbers, degrees: west,south,east,north; south below north.",
        )
    return edges


@cache
def _coastline_json() -> bytes:
    lines = [line for ring in coastline() for line in _lines_of(ring)]
    land = {
        "type": "Feature",
        "properties": {},
        "geometry": {"type": "MultiLineString", "coordinates": lines},
    }
    return json.dumps({"type": "FeatureCollection", "features": [land]}).encode()


def _lines_of(ring: list[float]) -> list[list[tuple[float, float]]]:
    """A ring, tenths of degrees, as lines: without the cuts along the antimeridian."""
    places = [(lon / 10.0, lat / 10.0) for lon, lat in zip(ring[::2], ring[1::2], strict=True)]
    lines = [[places[0]]]
    for before, after in zip(places, [*places[1:], places[0]], strict=True):
        if abs(before[0]) >= CUT_DEG and abs(after[0]) >= CUT_DEG:
            lines.append([after])
        else:
            lines[-1].append(after)
    return [line for line in lines if len(line) > 1]
