"""Routes of images, and of the map's place names, coastlines, borders and lakes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from regengine.errors import ConfigError
from regengine.maps.lights import KindName
from regengine.maps.places import Place, outlines, place_index
from regengine.pages.review.context import ReviewContext, find_registered_photo
from regengine.pages.review.queue import VERSION_DIGITS, edges_of

if TYPE_CHECKING:
    from regengine.pages.review.map_tiles import MapTiles

# Without a version in the URL, another run on this port may serve another image under it
ASK_AGAIN = "private, no-cache"
FOR_EVER = "private, max-age=31536000, immutable"


def describe_response(media_type: str, what: str) -> dict[int | str, dict[str, Any]]:
    """Describe a route's response for the OpenAPI schema."""
    return {200: {"description": what, "content": {media_type: {}}}}


def make_cached_response(
    request: Request,
    make: Callable[[], bytes],
    *,
    media_type: str,
    made_of: str,
    version: str | None = None,
) -> Response:
    """A response with ETag, or 304 Not Modified while the sources of the content are unchanged."""
    address = f"{made_of}\n{request.url.path}\n{request.query_params.get('size', '')}"
    tag = f'"{hashlib.sha256(address.encode("utf-8", "replace")).hexdigest()[:32]}"'
    for_ever = version is not None and request.query_params.get("v") == version
    headers = {"ETag": tag, "Cache-Control": FOR_EVER if for_ever else ASK_AGAIN}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    try:
        return Response(make(), media_type=media_type, headers=headers)
    except LookupError as error:
        raise HTTPException(404, str(error.args[0])) from error


PHOTO = describe_response("image/jpeg", "JPEG")
MAP = describe_response("image/png", "PNG, grey with alpha")
JSON = "application/json"
LINES = describe_response(JSON, "lists of lines by kind, encoded polylines of lon and lat")
MAX_PLACES = 500
MAX_LETTERS = 100


def router(context: ReviewContext) -> APIRouter:
    """Routes of photos, of the maps, and of places."""
    routes = APIRouter(prefix="/api")
    pyramids = context.pyramids
    states = {
        kind: [(path.absolute(), path.stat().st_mtime_ns) for path in one.info.paths]
        for kind, one in context.maps.items()
    }

    @cache
    def tiles_of(kind: KindName) -> MapTiles:
        # Imported late: its libraries take longer to import than the first photo takes to display
        from regengine.pages.review.map_tiles import MapTiles

        return MapTiles(context.maps[kind], kind)

    def photo_response(request: Request, number: int, make: Callable[[Path], bytes]) -> Response:
        path, sha256 = find_registered_photo(context, number)
        return make_cached_response(
            request,
            lambda: make(path),
            media_type="image/jpeg",
            made_of=sha256,
            version=sha256[:VERSION_DIGITS],
        )

    @routes.get("/frames/{number}/photo/{z}/{x}/{y}.jpg", response_class=Response, responses=PHOTO)
    def photo_tile(request: Request, number: int, z: int, x: int, y: int) -> Response:
        """A tile of 512 pixels of a photo as stored; see the frame's `max_zoom`."""
        return photo_response(request, number, lambda path: pyramids.tile(path, z, x, y))

    @routes.get("/frames/{number}/preview.jpg", response_class=Response, responses=PHOTO)
    def preview(
        request: Request, number: int, size: Annotated[int, Query(ge=64, le=2048)] = 1024
    ) -> Response:
        """The whole photo as stored, its longer side at most `size` pixels."""
        return photo_response(request, number, lambda path: pyramids.preview(path, size))

    @routes.get("/maps/{kind}/{z}/{x}/{y}.png", response_class=Response, responses=MAP)
    def map_tile(request: Request, kind: KindName, z: int, x: int, y: int) -> Response:
        """A tile of 256 pixels of the map of lights, streets or ground by day, Web Mercator."""
        if kind not in context.maps:
            raise HTTPException(404, f"the review has no map of the kind {kind}.")
        return make_cached_response(
            request,
            lambda: tiles_of(kind).tile(z, x, y),
            media_type="image/png",
            made_of=f"{states[kind]}",
        )

    _add_places(routes)
    return routes


def _add_places(routes: APIRouter) -> None:
    """They are the same for every store."""

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
        tile = {"unit_deg": data["units_deg"][str(z)], **data["tiles"].get(f"{z}/{x}/{y}", {})}
        return make_cached_response(
            request,
            lambda: json.dumps(tile, separators=(",", ":")).encode(),
            media_type=JSON,
            made_of=data["source"],
        )


def _answer(found: list[Place]) -> dict[str, list[dict[str, Any]]]:
    return {"places": [asdict(place) for place in found]}
