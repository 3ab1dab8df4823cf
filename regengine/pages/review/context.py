"""Shared state of the review server, and its error responses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from regengine.errors import ConfigError, shorten_to_line
from regengine.io.checksums import compute_sha256_once

if TYPE_CHECKING:
    from regengine.maps.lights import KindName
    from regengine.maps.reference import RasterMap
    from regengine.orbit.tle import TleSet
    from regengine.pages.review.queue import ReviewFrames
    from regengine.runs.run_inputs import RunInputs
    from regengine.store.result import FrameResult
    from regengine.store.reviews import Decisions

# Reason code of a photo whose decoding crashed a worker, and might crash this process, too
DEADLY = "worker_died"
NO_MAP = {
    "lights": "this needs a night-light map: start the review with --lights",
    "streets": "this needs the street map of this photo: start the review with --streets",
    "day": "this needs a day map: start the review with --day",
}
# URL of an online layer, without its required placeholders
TILE_URL = re.compile(r"https?://[a-zA-Z0-9.-]+(:[1-9][0-9]{0,4})?/\S+")


@dataclass(frozen=True, kw_only=True)
class ReviewContext:
    """State of a running review, shared by all parts of the server; they keep no other state."""

    store: Path
    frames: ReviewFrames
    decisions: Decisions
    # Maps of night lights, streets and ground by day that the page shows, by kind
    maps: Mapping[KindName, RasterMap]
    tles: TleSet | None
    search_inputs: Callable[[], RunInputs]  # creates the inputs of a search
    drawing: Executor  # of the pictures of sheets
    reviewer: str  # name under which decisions are saved
    readonly: bool = False
    sheet: bool = False  # whether the page opens on a sheet
    checks: bool = True  # whether some photos of a sheet are shown with a wrong camera
    layers: tuple[dict[str, str], ...] = ()  # that the page may show, see `parse_layers`

    @cached_property
    def inputs(self) -> RunInputs:
        """Inputs of a search, created on first use: this loads the whole engine."""
        return self.search_inputs()

    def result(self, number: int) -> FrameResult:
        """The engine's result of a frame; 404 if there is none of this number."""
        try:
            return self.frames.frame(number).result
        except KeyError:
            raise HTTPException(
                404, f"the store has no frame {number}: GET /api/frames lists them."
            ) from None

    def map_of_kind(self, kind: KindName) -> RasterMap:
        """The map of a kind; ConfigError if the review has none."""
        if kind not in self.maps:
            raise ConfigError(NO_MAP[kind])
        return self.maps[kind]


def find_registered_photo(context: ReviewContext, number: int) -> tuple[Path, str]:
    """Path and hash of a frame's photo, unchanged since registration.

    HTTPException: 404 if it is missing, 409 if it has changed, 422 if it may not be opened.
    """
    result, path = context.result(number), context.frames.photo(number)
    if any(reason.code == DEADLY for reason in result.reasons):
        raise HTTPException(
            422, "The photo crashed a worker process, so it is not opened: its file may be damaged."
        )
    try:
        if path is not None and compute_sha256_once(path) == result.sha256:
            return path, result.sha256
    except OSError:
        path = None
    if path is None:
        raise HTTPException(
            404,
            "The photo's file is missing or not readable: put it back where it was or beside the "
            "store, or start regengine review with --photos and the folder where it is now.",
        )
    raise HTTPException(
        409,
        "The photo's file has changed since it was registered: restore the original, or register "
        "it again.",
    )


class ErrorBody(BaseModel):
    """An error message with a remedy."""

    detail: str


def make_problem(status: int, sentence: str) -> JSONResponse:
    """An error response."""
    return JSONResponse({"detail": shorten_to_line(sentence)}, status_code=status)


def parse_layers(texts: Sequence[str]) -> tuple[dict[str, str], ...]:
    """Parse online layers from ``NAME | URL | ATTRIBUTION``; the attribution is optional.

    Returns the ``name`` on the page, the ``url`` of a Web Mercator tile with ``{z}``, ``{x}`` and
    ``{y}``, and the credit, ``attribution``.
    """
    layers = []
    for text in texts:
        name, url, attribution = (part.strip() for part in f"{text}||".split("|")[:3])
        whole = name.isprintable() and attribution.isprintable() and len(text) <= 500
        known = TILE_URL.fullmatch(url) and all(part in url for part in ("{z}", "{x}", "{y}"))
        if not (name and whole and known):
            raise ConfigError(
                f'--layer {text}: write "NAME | URL | ATTRIBUTION", with the URL of a tile with '
                "{z}, {x} and {y}, such as https://tiles.example.org/{z}/{x}/{y}.png."
            )
        layers.append({"name": name, "url": url, "attribution": attribution})
    if len({layer["name"] for layer in layers}) < len(layers):
        raise ConfigError("--layer: two layers have the same name; give each its own.")
    return tuple(layers)
