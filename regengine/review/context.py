"""What all parts of the review server share."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from regengine.errors import ConfigError, RegengineError, one_line
from regengine.review.photo_tiles import PhotoPyramids

if TYPE_CHECKING:
    from regengine.lights.map import LightMap
    from regengine.orbit.tle import TleSet
    from regengine.pipeline import RunInputs
    from regengine.review.decisions import Decisions
    from regengine.review.frames import ReviewFrames

# Whether a file still is the photo that was registered, asked again only when it changes.

MOST_FILES = 10_000


class SamePhotos:
    """Remembers what files hash to; may be asked by many threads at once."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Path, int, int], str] = OrderedDict()
        self._lock = Lock()

    def same(self, path: Path, sha256: str) -> bool:
        """Whether a file has this hash."""
        status = path.stat()
        key = path, status.st_mtime_ns, status.st_size
        with self._lock:
            known = self._known.get(key)
        if known is None:
            with path.open("rb") as stream:
                known = hashlib.file_digest(stream, "sha256").hexdigest()
            with self._lock:
                self._known[key] = known
                if len(self._known) > MOST_FILES:
                    self._known.popitem(last=False)
        return known == sha256


@dataclass(frozen=True, kw_only=True)
class ReviewContext:
    """What a running review works on; the parts of the server take it and keep nothing else.

    Attributes
    ----------
    store : Path
        The store under review.
    frames : ReviewFrames
        Its frames: the queue, and single frames by their number.
    decisions : Decisions
        What people decided; SQLite beside the store.
    light_map : LightMap or None
        Night-light map; None where none was given.
    tles : TleSet or None
        Element sets; None where none were given.
    search_inputs : callable or None
        Makes what a search needs; None where there is no map.
    reviewer : str
        Name under which decisions are kept.
    readonly : bool
        Whether nothing may be decided.
    layers : tuple of OnlineLayer
        Online layers that the page may show.
    pyramids : PhotoPyramids
        Decoded photos.
    same_photos : SamePhotos
        Whether files are still the photos of the store.
    """

    store: Path
    frames: ReviewFrames
    decisions: Decisions
    light_map: LightMap | None
    tles: TleSet | None
    search_inputs: Callable[[], RunInputs] | None
    reviewer: str
    readonly: bool = False
    layers: tuple[OnlineLayer, ...] = ()
    pyramids: PhotoPyramids = field(default_factory=PhotoPyramids)
    same_photos: SamePhotos = field(default_factory=SamePhotos)

    @cached_property
    def inputs(self) -> RunInputs | None:
        """What a search needs, made when first asked: it loads the whole engine."""
        return None if self.search_inputs is None else self.search_inputs()


# Errors of the review's server: one sentence each, as JSON.

UNPROCESSABLE = 422
MOST_NAMED = 3  # of the values that are wrong


class Problem(BaseModel):
    """What went wrong and what to do."""

    detail: str


def answer_problems(app: FastAPI) -> None:
    """Make every error of a server's routes a sentence."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RegengineError, _known)
    app.add_exception_handler(Exception, _unforeseen)


def problem(status: int, sentence: str) -> JSONResponse:
    """An answer that is an error."""
    return JSONResponse({"detail": one_line(sentence)}, status_code=status)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    named = [
        f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']}"
        for each in found[:MOST_NAMED]
    ]
    return problem(UNPROCESSABLE, f"the request makes no sense ({'; '.join(named)}).")


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    answer = problem(error.status_code, str(error.detail))
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _known(request: Request, error: Exception) -> JSONResponse:
    return problem(UNPROCESSABLE if isinstance(error, ConfigError) else 503, str(error))


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    logging.getLogger("regengine").error("%s failed", request.url.path, exc_info=error)
    return problem(500, "something unforeseen happened; the server's messages tell more.")


# Online layers of the map that a user allows; without any, nothing is asked of the internet.

LONGEST = 500
PLACEHOLDERS = ("{z}", "{x}", "{y}")


@dataclass(frozen=True, kw_only=True)
class OnlineLayer:
    """Map tiles of somebody else's server.

    Attributes
    ----------
    name : str
        What the page calls it.
    url : str
        Address of a tile, Web Mercator, with ``{z}``, ``{x}`` and ``{y}``.
    attribution : str
        Whom the page names as its maker.
    """

    name: str
    url: str
    attribution: str

    @property
    def origin(self) -> str:
        """The server, as a content security policy names it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def parse_layers(texts: Sequence[str]) -> tuple[OnlineLayer, ...]:
    """Layers out of ``NAME | URL | ATTRIBUTION``, of which the last may be left out."""
    layers = tuple(_parse(text) for text in texts)
    if len({layer.name for layer in layers}) < len(layers):
        raise ConfigError("--layer: two layers have the same name; give each its own.")
    return layers


def _parse(text: str) -> OnlineLayer:
    name, url, attribution = (part.strip() for part in f"{text}||".split("|")[:3])
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        known = parts.scheme in ("http", "https") and parts.username is None
        known &= bool(host) and host.replace("-", "").replace(".", "").isalnum() and host.isascii()
        known &= parts.port is None or parts.port > 0
    except ValueError:
        known = False
    whole = name.isprintable() and attribution.isprintable() and len(text) <= LONGEST
    if not (name and whole and known and all(part in url for part in PLACEHOLDERS)):
        raise ConfigError(
            f'--layer {text}: write "NAME | URL | ATTRIBUTION", the URL that of a tile with {{z}}, '
            "{x} and {y}, such as https://tiles.example.org/{z}/{x}/{y}.png."
        )
    return OnlineLayer(name=name, url=url, attribution=attribution)
