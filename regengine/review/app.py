"""The review's server put together: routes, page, guard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.responses import FileResponse
from starlette.types import ASGIApp

from regengine.review import (
    routes_decisions,
    routes_frames,
    routes_pictures,
    routes_session,
    routes_stats,
)
from regengine.review.context import ReviewContext
from regengine.review.problems import Problem, answer_problems
from regengine.review.security import Access, Guard
from regengine.review.staged import StagedApp

# What the page asks for first; other parts take a second to import
EARLY_PARTS = (routes_session, routes_frames, routes_decisions, routes_stats, routes_pictures)
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


def review_app(context: ReviewContext) -> FastAPI:
    """The server without its guard.

    Parameters
    ----------
    context : ReviewContext
        The review.

    Returns
    -------
    FastAPI
        Its description is at ``/api/openapi.json``.
    """
    return _whole_app(context, _early_routes(context))


def guarded_app(
    context: ReviewContext,
    access: Access,
    *,
    port: int,
    hosts: Iterable[str] = (),
    whole_soon: bool = False,
) -> ASGIApp:
    """The server as it listens.

    Parameters
    ----------
    context : ReviewContext
        The review.
    access : Access
        The secrets of this run.
    port : int
        On which it listens.
    hosts : iterable of str, optional
        Names of this machine by which it may be addressed.
    whole_soon : bool, optional
        Make all of it in a while, and not only when it is first asked for.

    Returns
    -------
    ASGIApp
    """
    routes = _early_routes(context)
    staged = StagedApp(_app(routes), lambda: _whole_app(context, routes))
    if whole_soon:
        staged.begin()
    layers = [layer.origin for layer in context.layers]
    return Guard(staged, access=access, port=port, hosts=hosts, layers=layers)


def _early_routes(context: ReviewContext) -> list[APIRouter]:
    return [part.router(context) for part in EARLY_PARTS]


def _whole_app(context: ReviewContext, early: Sequence[APIRouter]) -> FastAPI:
    from regengine.review import routes_places, routes_search, routes_solve

    parts = (routes_places, routes_search, routes_solve)
    late = [part.router(context) for part in parts]
    return _app([*early, *late])


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
    """One of the page's files.

    Raises
    ------
    HTTPException
        If it is none of them.
    """
    path = folder / name
    if name not in PAGE_FILES or not path.is_file():
        raise HTTPException(404, "there is no such page.")
    # Asked for again each time, and not sent again if it is the same
    return FileResponse(path, media_type=PAGE_FILES[name], headers={"cache-control": "no-cache"})
