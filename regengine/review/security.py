"""Who may talk to the review's server: this page with its cookie, and nobody else."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import socket
import stat
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regengine.review.context import problem

MOST_BODY_BYTES = 256 * 1024
ONCE_MORE = '<!doctype html><meta http-equiv="refresh" content="0; url=/"><title>regengine</title>'
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
RETURN = "/api/return"  # where a page and a server that was started again know each other
MOST_CHALLENGES = 64
LONGEST_CHALLENGE = 128
KEY_CHARACTERS = 43  # of 32 random bytes


@dataclass
class Access:
    """The secrets of one run of the server."""

    # In the address that the server prints: whoever opens it gets the cookie
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    # The same for the browser that the server starts; good for one use, since other people on the
    # machine can read with which address a program was started
    once: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    # What a page that is open keeps in its memory, to know the next run by it and be known to it;
    # of all runs on a store where it is `kept_key`
    key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    _asked: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def admits(self, token: str) -> bool:
        """Whether a token is one of those; the browser's is used up."""
        if self.once and _same(token, self.once):
            self.once = ""
            return True
        return _same(token, self.token)

    def knows(self, session: str) -> bool:
        """Whether a cookie's value is that of this run."""
        return _same(session, self.session)

    def proof(self, role: str, port: int, challenge: str) -> str:
        """What only a holder of the key can say, about this port alone."""
        told = f"{role} {port} {challenge}".encode("utf-8", "replace")
        return hmac.new(self.key.encode(), told, hashlib.sha256).hexdigest()

    def challenge(self) -> str:
        """Something to prove the key by, once."""
        made = secrets.token_urlsafe(24)
        self._asked[made] = None
        while len(self._asked) > MOST_CHALLENGES:
            self._asked.popitem(last=False)
        return made

    def proven(self, port: int, challenge: str, proof: str) -> bool:
        """Whether a page has proved by a challenge of ours, now used up, that it has the key."""
        known = self._asked.pop(challenge, self) is None
        return _same(proof, self.proof("page", port, challenge)) and known


def kept_key(store: Path, folder: Path) -> str:
    """The key of all reviews of a store, in a file of a folder that only this user can read.

    Made where there is none, or others could have read it; where the folder cannot be written it is
    another one each time, and open pages have to be loaded anew.
    """
    name = hashlib.sha256(os.fsencode(store.resolve())).hexdigest()
    path = folder / f"{name[:32]}.key"
    found = _read_private(path)
    if found is not None:
        return found
    made = secrets.token_urlsafe(32)
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as stream:
            stream.write(made)
        new.replace(path)
    return made


def _read_private(path: Path) -> str | None:
    """A key that nobody else can have read or written; None where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with open(descriptor, encoding="ascii") as stream:
            status = os.fstat(stream.fileno())
            text = stream.read(2 * KEY_CHARACTERS)
    except (OSError, ValueError):
        return None
    own = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)
    return text if own and stat.S_ISREG(status.st_mode) and len(text) == KEY_CHARACTERS else None


class Guard:
    """ASGI middleware that lets nothing through but what comes from the page itself.

    ``port`` is part of the cookie's name, since browsers share cookies among the ports of a
    machine. ``hosts`` are names of this machine by which it may be addressed, beside ``localhost``
    and numbers; other names are refused: a stranger's name that points here is how his page would
    reach in. ``layers`` are origins of online layers that images may come from.
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
        self._headers = security_headers(layers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let it through."""
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
            await send(message)

        refusal = self._answer(scope)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        body = await _read_body(Headers(scope=scope), receive)
        if body is None:
            await problem(413, f"a request holds at most {MOST_BODY_BYTES // 1024} kB.")(
                scope, receive, send_with_headers
            )
            return
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send_with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        """What to answer at once; None lets the request through."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_own(host):
            return problem(
                421, f"{host or 'no host'} is not this server: use the address that it printed."
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            return problem(403, f"requests from {origin} are refused: use this server's own page.")
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and token and scope["method"] == "GET":
            return self._exchange(token)
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            if scope["path"] == "/" and scope["method"] == "GET":
                # A link on another page led here: the browser keeps the cookie back, unless this
                # page itself asks
                return Response(ONCE_MORE, media_type="text/html")
            return problem(403, "requests from other sites are refused.")
        if scope["path"] == RETURN:
            return self._returning(scope, headers)
        if not self._access.knows(_cookie(headers, self._cookie)):
            return problem(
                401, "this browser is not known: open the address that the server printed."
            )
        if scope["method"] not in SAFE_METHODS and not _is_json_or_empty(headers):
            return problem(415, "a request's body is JSON: say so by its content type.")
        return None

    def _exchange(self, token: str) -> Response:
        if not self._access.admits(token):
            return problem(
                401, "this address is of an earlier run: open the one that the server printed."
            )
        return self._let_in(RedirectResponse("/", status_code=303))

    def _returning(self, scope: Scope, headers: Headers) -> Response:
        """Give the key to a page that is known; prove it to one that has it; let such a one in.

        Both sides prove that they have it, and it never leaves the page: another user's server that
        took the port meanwhile learns nothing by which it could get in here.
        """
        query = parse_qs(scope["query_string"].decode("latin-1"))
        challenge, proof = (query.get(name, [""])[0] for name in ("challenge", "proof"))
        if scope["method"] == "POST":
            if self._access.proven(self._port, challenge, proof):
                return self._let_in(Response(status_code=204))
        elif 0 < len(challenge) <= LONGEST_CHALLENGE:
            told = self._access.proof("server", self._port, challenge)
            return JSONResponse({"challenge": self._access.challenge(), "proof": told})
        elif self._access.knows(_cookie(headers, self._cookie)):
            return JSONResponse({"key": self._access.key})
        return problem(401, "this page is not known: open the address that the server printed.")

    def _let_in(self, answer: Response) -> Response:
        answer.set_cookie(
            self._cookie, self._access.session, path="/", httponly=True, samesite="strict"
        )
        return answer

    def _is_own(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        return port == self._port and (name in self._hosts or _is_number(name))


def security_headers(layers: Iterable[str] = ()) -> dict[str, str]:
    """Headers of every answer."""
    origins = sorted(set(layers))
    here = " ".join(["'self'", *origins])
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {here} data: blob:; "
        f"connect-src {here}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        # Servers of map tiles ask from which page they are used
        "referrer-policy": "strict-origin-when-cross-origin" if origins else "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }


def own_names() -> tuple[str, ...]:
    """Names of this machine."""
    return socket.gethostname(), socket.getfqdn()


async def _read_body(headers: Headers, receive: Receive) -> bytes | None:
    """The request's body; None if it is too long, of which no more is read."""
    announced = headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > MOST_BODY_BYTES:
        return None
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += message.get("body", b"")
        if len(body) > MOST_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return body


def _is_json_or_empty(headers: Headers) -> bool:
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    return kind == "application/json" or empty


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), secret.encode())
