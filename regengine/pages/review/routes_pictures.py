"""Routes of images, and of the map's place names, coastlines, borders and lakes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Annotated, Any

import cv2
import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request, Response

from regengine.errors import ConfigError
from regengine.maps.lights import KindName
from regengine.maps.places import outlines, place_index
from regengine.pages.review.context import ReviewContext, find_registered_photo
from regengine.pages.review.queue import VERSION_DIGITS, edges_of
from regengine.photo.formats import read_photo_file
from regengine.photo.image import open_picture, read_display_rgb, read_small_jpeg
from regengine.scene.drawing import Picture

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
MAX_SIDE_PX = 16_384  # of a picture that browsers show
DECODING = BoundedSemaphore(2)  # a photo takes up to 7 bytes a pixel while it is decoded


def read_photo(path: Path, long_side_px: int) -> Picture:
    """Read a photo's display colours as stored, its longer side at most that many pixels."""
    from PIL import Image

    file = read_photo_file(path)
    with DECODING:
        small = read_small_jpeg(file, long_side_px)
        if small is None:
            small, factor = read_display_rgb(file, 2 * long_side_px)
        else:
            factor = 1.0 / round(file.width_px / small.shape[1])
    scale = min(1.0, long_side_px / max(file.width_px, file.height_px))
    size = max(1, round(file.width_px * scale)), max(1, round(file.height_px * scale))
    # The last pixels of what was read may extend beyond the photo, or end before its edge
    small = np.pad(small, ((0, 1), (0, 1), (0, 0)), "edge")
    edges = (0.0, 0.0, file.width_px * factor, file.height_px * factor)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC, box=edges))


def encode_photo(path: Path) -> bytes:
    """Encode a photo in all its pixels as stored: a JPEG is passed on as it is."""
    file = read_photo_file(path)
    if file.format != "jpeg" or max(file.width_px, file.height_px) > MAX_SIDE_PX:
        return encode_jpeg(read_photo(path, MAX_SIDE_PX))
    with open_picture(file) as stream:
        jpeg = stream.read()
    # Without its EXIF segments, by which a browser would turn the picture
    kept, at = [jpeg[:2]], 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] != 0xDA:
        if jpeg[at + 1] == 0xFF:  # fills up before a marker
            at += 1
            continue
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        if jpeg[at + 1] != 0xE1:
            kept.append(jpeg[at:end])
        at = end
    return b"".join([*kept, jpeg[at:]])


def encode_jpeg(picture: Picture) -> bytes:
    """Encode a picture; lamps are small and coloured, so the colours keep all pixels."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        90,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), options)[1])


def router(context: ReviewContext) -> APIRouter:
    """Routes of photos, of the maps, and of places."""
    routes = APIRouter(prefix="/api")
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

    @routes.get("/frames/{number}/photo.jpg", response_class=Response, responses=PHOTO)
    def photo(request: Request, number: int) -> Response:
        """The photo as stored, in all its pixels; its EXIF orientation is not applied."""
        return photo_response(request, number, encode_photo)

    @routes.get("/frames/{number}/preview.jpg", response_class=Response, responses=PHOTO)
    def preview(
        request: Request, number: int, size: Annotated[int, Query(ge=64, le=2048)] = 1024
    ) -> Response:
        """The whole photo as stored, its longer side at most `size` pixels."""
        return photo_response(request, number, lambda path: encode_jpeg(read_photo(path, size)))

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
        return {"places": [asdict(place) for place in place_index().inside(*edges, limit)]}

    @routes.get("/places/search")
    def search(
        q: Annotated[str, Query(max_length=MAX_LETTERS)],
        limit: Annotated[int, Query(ge=1, le=MAX_PLACES)] = 20,
    ) -> dict[str, list[dict[str, Any]]]:
        """Towns whose names begin with the text, best first; "paris, us" searches one country."""
        return {"places": [asdict(place) for place in place_index().search(q, limit)]}

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
