"""Assemble the review server: routes, page, and access control.

Only requests of this page, with its cookie, are admitted.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regengine.errors import RegengineError, StoreError
from regengine.pages.review import routes_frames, routes_pictures, routes_solve
from regengine.pages.review.context import Problem, ReviewContext, make_problem

PARTS = (routes_frames, routes_pictures, routes_solve)
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (401, 403, 404, 409, 413, 421, 422, 503)
}
UNPROCESSABLE = 422


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
        max_body_size=256 * 1024,
    )
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(RegengineError, _answer_known_error)
    for part in PARTS:
        app.include_router(part.router(context))
    app.mount(
        "/", StaticFiles(directory=str(files("regengine.pages.review") / "static"), html=True)
    )
    urls = [layer["url"] for layer in context.layers]
    layers = [url[: url.index("/", len("https://"))] for url in urls]
    return Guard(app, access=access, port=port, hosts=hosts, layers=layers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    # Not the framework's handler: it would repeat a received NaN, which JSON cannot represent
    assert isinstance(error, RequestValidationError)
    named = [
        f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']}"
        # invalid values named in a message
        for each in error.errors()[:3]
    ]
    return make_problem(UNPROCESSABLE, f"invalid request ({'; '.join(named)}).")


async def _answer_known_error(request: Request, error: Exception) -> JSONResponse:
    return make_problem(503 if isinstance(error, StoreError) else UNPROCESSABLE, str(error))


ONCE_MORE = '<!doctype html><meta http-equiv="refresh" content="0; url=/"><title>regengine</title>'


@dataclass
class Access:
    """Secrets of one run of the server."""

    # In the URL that the server prints: opening it sets the cookie
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    # The same for the browser that the server starts. It is valid once, because other users of the
    # machine can read the URL in the process list
    once: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def admits(self, token: str) -> bool:
        """Whether a token is valid; the one for the browser is used up."""
        if self.once and _same(token, self.once):
            self.once = ""
            return True
        return _same(token, self.token)


class Guard:
    """ASGI middleware that admits only requests from the page itself.

    ``port`` is part of the cookie's name, because browsers share cookies among the ports of a
    machine. ``hosts`` are permitted names of this machine, besides ``localhost`` and numeric
    addresses. Other names are rejected: an attacker's page could otherwise gain access by a name
    that resolves to this machine (DNS rebinding). ``layers`` are origins of online layers that
    images may come from.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        port: int,
        hosts: Iterable[str] = (),
        layers: Iterable[str] = (),
    ) -> None:
        self._app = app
        self._access = access
        self._cookie = f"regengine_review_{port}"
        self._port = port
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
        origins = sorted(set(layers))
        here = " ".join(["'self'", *origins])
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {here} data: blob:; "
            f"connect-src {here}; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        self._headers = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            # Tile servers require the referrer of the page
            "referrer-policy": "strict-origin-when-cross-origin" if origins else "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                # The page's files are revalidated each time, and sent if they have changed
                caching = "no-store" if scope["path"].startswith("/api/") else "no-cache"
                headers.setdefault("cache-control", caching)
            await send(message)

        refusal = self._answer(scope)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        """Immediate response; None passes the request on."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        is_own = False
        with suppress(ValueError):
            parts = urlsplit(f"//{host}")
            name, is_port = parts.hostname or "", (parts.port or 80) == self._port
            is_own = is_port and name in self._hosts
            ipaddress.ip_address(name)
            is_own = is_port
        if not is_own:
            return make_problem(
                421, f"{host or 'no host'} is not this server: use the address that it printed."
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            return make_problem(
                403, f"requests from {origin} are refused: use this server's own page."
            )
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and token and scope["method"] == "GET":
            if not self._access.admits(token):
                return make_problem(
                    401, "this address is of an earlier run: open the one that the server printed."
                )
            answer = RedirectResponse("/", status_code=303)
            answer.set_cookie(
                self._cookie, self._access.session, path="/", httponly=True, samesite="strict"
            )
            return answer
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            if scope["path"] == "/" and scope["method"] == "GET":
                # Followed a link on another site: the browser sends the cookie only if this page
                # itself makes the request
                return Response(ONCE_MORE, media_type="text/html")
            return make_problem(403, "requests from other sites are refused.")
        if not _same(_cookie(headers, self._cookie), self._access.session):
            return make_problem(
                401, "this browser is not known: open the address that the server printed."
            )
        return None


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _same(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), secret.encode())
