"""Assemble the review server: routes, page and access control."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from regengine.errors import RegengineError, StoreError
from regengine.pages.review import routes_frames, routes_pictures, routes_solve
from regengine.pages.review.context import Problem, ReviewContext, make_problem
from regengine.pages.review.security import Access, Guard

PARTS = (routes_frames, routes_pictures, routes_solve)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (401, 403, 404, 409, 413, 421, 422, 503)
}
UNPROCESSABLE = 422
MAX_BODY_BYTES = 256 * 1024
MAX_NAMED = 3  # invalid values named in a message


def make_guarded_app(
    context: ReviewContext, access: Access, *, port: int, hosts: Iterable[str] = ()
) -> ASGIApp:
    """The ASGI app of the server, with access control."""
    app = FastAPI(
        title="regengine review",
        openapi_url="/api/openapi.json",
        docs_url=None,  # docs pages would load scripts from the internet
        redoc_url=None,
        responses=PROBLEMS,
        max_body_size=MAX_BODY_BYTES,
    )
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(RegengineError, _answer_known_error)
    for part in PARTS:
        app.include_router(part.router(context))
    app.mount(
        "/", StaticFiles(directory=str(files("regengine.pages.review") / "static"), html=True)
    )
    layers = [layer.origin for layer in context.layers]
    return Guard(app, access=access, port=port, hosts=hosts, layers=layers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    # Not the framework's handler: it would repeat a received NaN, which JSON cannot represent
    assert isinstance(error, RequestValidationError)
    named = [
        f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']}"
        for each in error.errors()[:MAX_NAMED]
    ]
    return make_problem(UNPROCESSABLE, f"invalid request ({'; '.join(named)}).")


async def _answer_known_error(request: Request, error: Exception) -> JSONResponse:
    return make_problem(503 if isinstance(error, StoreError) else UNPROCESSABLE, str(error))
