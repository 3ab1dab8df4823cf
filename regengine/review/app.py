"""The review's server put together: routes, page, guard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from threading import Lock, Thread, Timer
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from regengine.errors import ConfigError, RegengineError
from regengine.review import routes_frames, routes_pictures
from regengine.review.context import (
    FIRST_PICTURE_S,
    Problem,
    ReviewContext,
    problem,
    registered_photo,
)
from regengine.review.queue import Standings
from regengine.review.security import Access, Guard

# What the page asks for first; other parts take a second to import
EARLY_PARTS = (routes_frames, routes_pictures)
PREVIEW_PX = 2048  # as the page asks for its first picture
# The page's files by name: what else lies in the folder is not served
PAGE_FILES = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "app.css": "text/css; charset=utf-8",
    "licenses.txt": "text/plain; charset=utf-8",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (401, 403, 404, 409, 413, 415, 421, 422, 503)
}
UNPROCESSABLE = 422
MOST_NAMED = 3  # of the values that are wrong


class StagedApp:
    """ASGI application of two: a light one at first, the whole one once it is there.

    First pictures do not wait for the solver. ``early`` answers what the page asks for first;
    ``make_whole`` makes the application that answers everything and is called once, in a thread,
    when the first request comes that the early one does not know, or some seconds after `begin`.
    """

    def __init__(self, early: FastAPI, make_whole: Callable[[], ASGIApp]) -> None:
        self._early = early
        self._make_whole = make_whole
        self._whole: ASGIApp | None = None
        self._lock = Lock()

    def begin(self) -> None:
        """Make the whole application, in a while."""
        timer = Timer(FIRST_PICTURE_S, self.whole)
        timer.daemon = True
        timer.start()

    def whole(self) -> ASGIApp:
        """The application that answers everything."""
        with self._lock:
            if self._whole is None:
                self._whole = self._make_whole()
            return self._whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        app: ASGIApp | None = self._whole
        if app is None and self._answers(scope):
            app = self._early
        if app is None:
            app = await asyncio.to_thread(self.whole)
        await app(scope, receive, send)

    def _answers(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self._early.router.routes)


def guarded_app(
    context: ReviewContext,
    access: Access,
    *,
    port: int,
    hosts: Iterable[str] = (),
    whole_soon: bool = False,
) -> ASGIApp:
    """The server as it listens."""
    routes = [part.router(context) for part in EARLY_PARTS]
    staged = StagedApp(_app(routes), lambda: _whole_app(context, routes))
    if whole_soon:
        staged.begin()
    layers = [layer.origin for layer in context.layers]
    return Guard(staged, access=access, port=port, hosts=hosts, layers=layers)


def _whole_app(context: ReviewContext, early: Sequence[APIRouter]) -> FastAPI:
    from regengine.review import routes_places, routes_points, routes_solve

    whole = (routes_places, routes_points, routes_solve)
    return _app([*early, *(part.router(context) for part in whole)])


def _app(routes: Iterable[APIRouter]) -> FastAPI:
    app = FastAPI(
        title="regengine review",
        openapi_url="/api/openapi.json",
        docs_url=None,  # both would load scripts from the internet
        redoc_url=None,
        responses=PROBLEMS,
    )
    answer_problems(app)
    for router in routes:
        app.include_router(router)
    folder = Path(str(files("regengine.review"))) / "static"

    @app.get("/", include_in_schema=False)
    def index() -> FileResponse:
        return page_file(folder, "index.html")

    @app.get("/{name}", include_in_schema=False)
    def named(name: str) -> FileResponse:
        return page_file(folder, name)

    return app


def page_file(folder: Path, name: str) -> FileResponse:
    """One of the page's files."""
    path = folder / name
    if name not in PAGE_FILES or not path.is_file():
        raise HTTPException(404, "there is no such page.")
    # Asked for again each time, and not sent again if it is the same
    return FileResponse(path, media_type=PAGE_FILES[name], headers={"cache-control": "no-cache"})


def prepare_first_picture(context: ReviewContext) -> Thread:
    """Decode the photo that the page will show first, in a thread that was started.

    That is done while the browser starts and the rest of the server is loaded.
    """
    thread = Thread(target=_prepare, args=(context,), name="first picture", daemon=True)
    thread.start()
    return thread


def _prepare(context: ReviewContext) -> None:
    rows = context.frames.rows
    standings = Standings(context.decisions, context.reviewer)
    try:
        standings.update(rows)
        open_rows = rows.by_doubt[~standings.decided[rows.by_doubt]]
        if len(open_rows):
            path, _ = registered_photo(context.frames, int(rows.frame_index[open_rows[0]]))
            context.pyramids.preview(path, PREVIEW_PX)
    except Exception as error:  # the page asks for the same, and is told what is wrong
        logging.getLogger("regengine").debug("no first picture yet: %s", error)


def answer_problems(app: FastAPI) -> None:
    """Make every error of a server's routes a sentence."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RegengineError, _known)
    app.add_exception_handler(Exception, _unforeseen)


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
