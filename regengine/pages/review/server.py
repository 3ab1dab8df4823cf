"""Run the review server: routes, page and access control, until it is stopped.

Only requests of this page, with its cookie, are admitted.
"""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import os
import secrets
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regengine.errors import ConfigError, RegengineError, StoreError
from regengine.pages.review import routes_frames, routes_pictures, routes_solve, sheets
from regengine.pages.review.context import ErrorBody, ReviewContext, make_problem, parse_layers
from regengine.pages.review.queue import ReviewFrames
from regengine.store.reviews import Decisions, decisions_path, reviewer_name

if TYPE_CHECKING:
    from regengine.maps.lights import KindName
    from regengine.runs.run_inputs import RunInputs

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOOPBACK = "127.0.0.1"
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (401, 403, 404, 409, 413, 421, 422, 503)
}
UNPROCESSABLE = 422


def make_guarded_app(
    context: ReviewContext, access: Access, *, port: int, hosts: Iterable[str] = ()
) -> ASGIApp:
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
    for part in (routes_frames, routes_pictures, routes_solve, sheets):
        app.include_router(part.router(context))
    app.mount(
        "/", StaticFiles(directory=str(files("regengine.pages.review") / "static"), html=True)
    )
    urls = [layer["url"] for layer in context.layers]
    origins = {url[: url.index("/", len("https://"))] for url in urls}
    return Guard(app, access=access, port=port, hosts=hosts, origins=sorted(origins))


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
    that resolves to this machine (DNS rebinding). ``origins`` are those of online layers that
    images may come from.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        port: int,
        hosts: Iterable[str],
        origins: Sequence[str],
    ) -> None:
        self._app = app
        self._access = access
        self._cookie = f"regengine_review_{port}"
        self._port = port
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
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

        respond = self._answer(scope) or self._app
        await respond(scope, receive, send_with_headers)

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


def serve(
    context: ReviewContext,
    started: Callable[[str], object],
    *,
    host: str = LOOPBACK,
    port: int = 0,
    browser: bool = True,
) -> None:
    """Serve a review until Ctrl-C or SIGTERM.

    Port 0 is the store's usual one, or any that is free; ``browser`` opens the page. ``started`` is
    called with the URL of the page, including its token, once the server listens. ConfigError if it
    cannot listen there.
    """
    import uvicorn

    # The usual port of a store, where a page that waits for a restarted server finds it again: the
    # browser's data (work that was not sent when a server died) belongs to an address with its port
    first = 49152
    digest = hashlib.sha256(os.fsencode(context.store.resolve())).digest()
    usual = first + int.from_bytes(digest[:4]) % (65536 - first)
    listening = listen(host, port, usual)
    port = listening.getsockname()[1]
    access = Access()
    names = () if host == LOOPBACK else (host, socket.gethostname(), socket.getfqdn())
    app = make_guarded_app(context, access, port=port, hosts=names)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=3,
        )
    )
    name = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened on
        name = socket.gethostname()
    base = f"http://{name}:{port}/"
    if browser:
        # In a thread: with some browsers, the call blocks
        opener = threading.Thread(
            target=webbrowser.open, args=(f"{base}?token={access.once}",), daemon=True
        )
        opener.start()
    started(f"{base}?token={access.token}")
    # The server raises the signal that ended it again after its shutdown: then it is ignored
    before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    try:
        with listening:
            server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listen(host: str, wanted: int, usual: int) -> socket.socket:
    """Open a listening socket; for port 0 on the usual port or, if that is in use, any other."""
    for port in (usual, 0) if wanted == 0 else (wanted,):
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            # With the protocol given: asyncio sends small responses without delay only on known TCP
            # sockets
            listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            try:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listening.bind((host, port))
                listening.listen(128)
                return listening
            except BaseException:
                listening.close()
                raise
        except (OSError, UnicodeError) as error:
            if port and wanted == 0 and getattr(error, "errno", None) == errno.EADDRINUSE:
                continue
            raise ConfigError(
                f"the server cannot listen on {host}, port {port} ({error}): "
                "name another with --port, or 0 for any that is free."
            ) from error
    raise AssertionError("port 0 is never taken")


@contextmanager
def open_review(
    store: Path,
    *,
    photos: Path | None = None,
    lights: Sequence[Path] = (),
    streets: Sequence[Path] = (),
    day: Sequence[Path] = (),
    tle: Sequence[Path] = (),
    metadata: Path | None = None,
    reviewer: str | None = None,
    readonly: bool = False,
    layers: Sequence[str] = (),
    sheet: bool = False,
    checks: bool = True,
) -> Iterator[ReviewContext]:
    """Open the data of a review.

    Photos that have moved are searched for in the folder ``photos``, too. ``tle`` and ``metadata``
    are for tracks and searches; ``reviewer`` is the person who decides, None for the user's name on
    this machine. ``layers`` are online layers, see `regengine.pages.review.context.parse_layers`.
    ``sheet`` opens the page on a sheet; without ``checks``, all its cameras are the engine's.
    StoreError, MapError, EphemerisError or ConfigError if one of them cannot be used.
    """
    from regengine.maps.opening import open_day_map, open_references
    from regengine.orbit.position import element_sets, frame_records

    def search_inputs() -> RunInputs:
        from regengine.runs.run_inputs import RunInputs

        return RunInputs(
            lights=tuple(lights),
            streets=tuple(streets),
            day=tuple(day),
            tle=tuple(tle),
            metadata=metadata,
        ).found_anywhere()

    name, allowed = reviewer_name(reviewer), parse_layers(layers)
    with closing(ReviewFrames(store, photos)) as frames:
        # All files are read, and the heads of maps, so that errors are reported at once
        if metadata is not None:
            frame_records(metadata.absolute())
        tles = element_sets(tuple(path.absolute() for path in tle)) if tle else None
        given: dict[KindName, Sequence[Path]] = {"lights": lights, "streets": streets, "day": day}
        maps = {
            kind: open_day_map(paths) if kind == "day" else open_references(kind, paths)
            for kind, paths in given.items()
            if paths
        }
        with closing(Decisions(decisions_path(store), readonly=readonly)) as decisions:
            drawing = ThreadPoolExecutor(2)
            try:
                yield ReviewContext(
                    store=store,
                    frames=frames,
                    decisions=decisions,
                    maps=maps,
                    tles=tles,
                    search_inputs=search_inputs,
                    reviewer=name,
                    readonly=readonly,
                    layers=allowed,
                    sheet=sheet,
                    checks=checks,
                    drawing=drawing,
                )
            finally:
                drawing.shutdown(cancel_futures=True)
