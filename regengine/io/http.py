"""HTTP client with rate limit, retries, size limits and restricted redirections.

Failures are raised as `HttpFailure`, which indicates whether another attempt may help. Callers
provide a table of messages, because the remedy differs between maps, archive and photos. `fetch`
downloads one photo by URL into one file: from the web, or else (s3, gs, sftp, ...) by the installed
filesystems of fsspec.
"""

from __future__ import annotations

import http.client
import io
import netrc
import os
import random
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from threading import Thread
from typing import BinaryIO, Literal, TypeVar
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout, make_headers
from urllib3.exceptions import HTTPError, IncompleteRead, InvalidHeader, LocationValueError

from regengine.errors import ConfigError, FrameError
from regengine.io.atomic import FULL_DISK
from regengine.io.urls import hide_secrets, parse_scheme

Result = TypeVar("Result")


def call_within(limit_s: float, call: Callable[[], Result]) -> Result:
    """Return what a call returns, or raise what it raises; TimeoutError if it takes longer.

    A call that is given up goes on in its thread, which does not keep the program from ending.
    """
    future: Future[Result] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=work, daemon=True).start()
    return future.result(timeout=limit_s)


MEGABYTE = 1 << 20
CHUNK_BYTES = 1 << 18
MAX_REDIRECTS = 10
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that may be temporary
# Kinds of failures: by status, by the received body, by the connection
Kind = Literal[
    "absent",  # 404
    "gone",  # 410
    "denied",  # 401, 403
    "refused",  # another permanent status
    "failing",  # a status that may be temporary
    "cut",  # fewer bytes than announced
    "overdue",  # the total time limit is exceeded
    "too_large",
    "wrong",  # unexpected content
    "silent",  # no data for too long
    "nobody",  # no such host, or nothing answers there
    "broken",  # the connection failed
    "address",  # not a valid address
    "away",  # a redirection that may not be followed
    "circles",  # too many redirections
]
STATUS_KINDS: dict[int, Kind] = {401: "denied", 403: "denied", 404: "absent", 410: "gone"}
# Messages of a caller by kind, and for every ``other``
Sentences = Mapping[Kind | Literal["other"], str]


class HttpFailure(Exception):
    """A failed request; its text is part of a sentence, without the address, which may be secret.

    ``passes`` indicates whether another attempt may help, ``wait_s`` how long the server asks to
    wait, ``place`` the target of a redirection, and ``tries`` the number of attempts.
    """

    def __init__(
        self,
        kind: Kind,
        text: str,
        *,
        passes: bool = False,
        status: int = 0,
        wait_s: float = 0.0,
        place: str = "",
    ) -> None:
        super().__init__(text)
        self.kind, self.passes, self.status = kind, passes, status
        self.wait_s, self.place, self.tries = wait_s, place, 1

    def sentence(self, sentences: Sentences, **names: object) -> str:
        """Return the message for this failure from a table of messages.

        Its placeholders are ``failure``, this text, ``status``, ``tries``, ``place``, and any
        further keyword.
        """
        text = sentences.get(self.kind) or sentences["other"]
        about = {"status": self.status, "tries": self.tries, "place": self.place}
        return text.format(failure=self, **about, **names)


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Limits of attempts, pauses and durations of requests."""

    attempts: int = 5  # per request
    connect_attempts: int = 2  # if the host does not answer at all
    pause_s: float = 0.0  # from the start of one request to the next
    # Before the second attempt, doubled each time; multiplied by a random 1 - jitter to 1 + jitter
    # so that many clients do not return at once
    backoff_s: float = 1.0
    jitter: float = 0.0
    longest_wait_s: float = 300.0  # no retry if the server asks for a longer wait (Retry-After)
    idle_s: float = 30.0  # longest wait for the first answer, and silence of the server later
    total_s: float = 1800.0  # longest time for one body
    passing: frozenset[int] = PASSING  # statuses after which another attempt may help


class HttpClient:
    """Sends requests; thread-safe, and shared by all requests that obey a common rate limit.

    ``may_follow`` returns whether a redirection from one address to another may be followed: those
    to the same server, if not given.
    ``authorization`` returns the header for an address and is called for each redirection, so that
    no host receives the header of another. ``connections`` is the limit per host.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        may_follow: Callable[[str, str], bool] | None = None,
        authorization: Callable[[str], str | None] = lambda url: None,
        connections: int = 1,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.policy = policy
        self._may_follow = may_follow or _is_same_server
        self._authorization = authorization
        self._connections = connections
        self._sleep = sleep or time.sleep
        self._pools: dict[str | None, PoolManager] = {}
        self._making_pools = threading.Lock()
        self._next_s = 0.0  # earliest start of the next request, by the monotonic clock

    def retry(self, once: Callable[[], Result]) -> Result:
        """Return the first successful result, or raise the failure with ``tries``."""
        policy = self.policy
        for attempt in count(1):
            pause_s = self._next_s - time.monotonic()
            if pause_s > 0.0:
                self._sleep(pause_s)
            self._next_s = time.monotonic() + policy.pause_s
            try:
                return once()
            except HttpFailure as failure:
                failure.tries = attempt
                attempts = policy.attempts
                if failure.kind == "nobody":
                    attempts = min(attempts, policy.connect_attempts)
                may_help = failure.passes and failure.wait_s <= policy.longest_wait_s
                if not may_help or attempt >= attempts:
                    raise
                spread = random.uniform(1.0 - policy.jitter, 1.0 + policy.jitter)
                self._sleep(max(policy.backoff_s * 2.0 ** (attempt - 1) * spread, failure.wait_s))
        raise AssertionError  # unreachable: count is infinite

    def read(self, url: str, megabytes: int) -> bytes:
        """Return a whole body of limited size; retry if that may help."""

        def once() -> bytes:
            body = io.BytesIO()
            self.copy(url, body, megabytes)
            return body.getvalue()

        return self.retry(once)

    def copy(self, url: str, stream: BinaryIO, megabytes: float = float("inf")) -> None:
        """Copy the body of one request, with permitted redirections, limited in time and size.

        Statuses other than 2xx are failures. Raises OSError if the stream cannot be written.
        """
        with self._open(url) as response:
            self._copy_body(response, stream.write, megabytes)

    def resume(
        self,
        url: str,
        part: Path,
        check: Callable[[Path], None] = lambda part: None,
        begin: Callable[[int, int], None] = lambda there, total: None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> str:
        """Download into a file, resuming an earlier attempt; return its Last-Modified, or "".

        ``NAME.tag`` next to the file identifies the version of the partial body. If the version has
        changed, the download starts again. ``check`` may raise an HttpFailure about the content.
        ``begin`` receives the number of existing bytes and the total (0: unknown), and may refuse.
        ``progress`` receives the same numbers during the download.
        """
        tag_file = part.with_name(part.name + ".tag")

        def once() -> str:
            there = part.stat().st_size if part.exists() and tag_file.exists() else 0
            headers = {}
            if there:
                headers = {"Range": f"bytes={there}-", "If-Range": tag_file.read_text()}
            try:
                with self._open(url, headers) as response:
                    there = there if response.status == 206 else 0
                    left = response.length_remaining
                    total = there + left if left is not None else 0
                    begin(there, total)
                    tag_file.unlink(missing_ok=True)
                    tag = response.headers.get("ETag", "")
                    if tag.startswith('"'):  # not a weak tag
                        tag_file.write_text(tag)
                    with part.open("ab" if there else "wb") as file:

                        def write(chunk: bytes, file: BinaryIO = file, total: int = total) -> None:
                            file.write(chunk)
                            progress(file.tell(), total)

                        self._copy_body(response, write, float("inf"))
            except HttpFailure as failure:
                if failure.status == 416:  # the file has changed: the next attempt starts again
                    tag_file.unlink(missing_ok=True)
                    failure.kind, failure.passes = "failing", True
                raise
            tag_file.unlink(missing_ok=True)
            check(part)
            return str(response.headers.get("Last-Modified", ""))

        return self.retry(once)

    @contextmanager
    def _open(self, url: str, also: Mapping[str, str] | None = None) -> Iterator[BaseHTTPResponse]:
        """Return the successful response to one request, with permitted redirections followed."""
        for _ in range(MAX_REDIRECTS + 1):
            with self._ask(url, also) as response:
                location, status = response.get_redirect_location(), response.status
                if not location and 200 <= status < 300:
                    yield response
                    return
                if not location:
                    passes, wait_s = status in self.policy.passing, 0.0
                    if passes:  # how long a server asks to wait (RFC 9110, 10.2.3)
                        with suppress(InvalidHeader, ValueError, OverflowError):
                            answer = Retry(retry_after_max=10**9).get_retry_after(response)
                            wait_s = answer or 0.0
                    kind = STATUS_KINDS.get(status, "failing" if passes else "refused")
                    text = f"status {status}"
                    raise HttpFailure(kind, text, passes=passes, status=status, wait_s=wait_s)
                place = "nowhere"
                with suppress(ValueError):
                    target = urljoin(url, location)
                    parts = urlsplit(target)
                    place = f"{parts.scheme}://{parts.hostname or 'nowhere'}"
                    if parts.scheme in ("http", "https") and self._may_follow(url, target):
                        url, place = target, ""
                if place:
                    raise HttpFailure("away", "it redirects elsewhere", place=place)
        raise HttpFailure("circles", f"status {status}", status=status)

    def _copy_body(
        self, response: BaseHTTPResponse, write: Callable[[bytes], object], megabytes: float
    ) -> None:
        begun_s = counted_s = time.monotonic()
        received = counted = 0
        left = response.length_remaining or 0
        while received + left <= megabytes * MEGABYTE:
            with _as_failures():
                # Returns available bytes without waiting for more
                chunk = response.read1(CHUNK_BYTES)
            if not chunk:
                return
            write(chunk)
            received, left = received + len(chunk), 0
            now_s = time.monotonic()
            if now_s - begun_s > self.policy.total_s:
                raise HttpFailure("overdue", f"it takes more than {self.policy.total_s:.0f} s")
            if now_s - counted_s > self.policy.idle_s:
                # A server that drips less is as good as silent
                if received - counted < 100.0 * (now_s - counted_s):
                    raise HttpFailure("silent", "it sends next to nothing", passes=True)
                counted_s, counted = now_s, received
        raise HttpFailure("too_large", f"more than {megabytes} MB")

    def _ask(self, url: str, also: Mapping[str, str] | None = None) -> BaseHTTPResponse:
        headers = {"User-Agent": "regengine", **(also or {})}
        if (authorization := self._authorization(url)) is not None:
            headers["Authorization"] = authorization
        # Authorization is sent as a header: in the address, it could reach other hosts
        with _as_failures():
            parts = urlsplit(url)
            bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            pool = self._pool(bare)
        ask = partial(
            pool.urlopen,
            "GET",
            bare,
            headers=headers,
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=Timeout(connect=self.policy.idle_s, read=self.policy.idle_s),
        )
        try:
            with _as_failures():
                # In all: urllib3 counts anew with each byte of the headers
                return call_within(self.policy.idle_s, ask)
        except HttpFailure as failure:
            if failure.kind == "silent":
                failure.kind = "nobody"
            raise

    def _pool(self, url: str) -> PoolManager:
        """Return the connection pool for an address: of its host, or of the environment's proxy."""
        parts = urlsplit(url)
        proxy = None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
        with self._making_pools:
            if proxy is None and proxy not in self._pools:
                self._pools[None] = PoolManager(maxsize=self._connections)
            elif proxy is not None and proxy not in self._pools:
                address = proxy if "://" in proxy else f"http://{proxy}"
                login = urlsplit(address).netloc.rpartition("@")[0]
                headers = make_headers(proxy_basic_auth=unquote(login)) if login else None
                self._pools[proxy] = ProxyManager(
                    address, proxy_headers=headers, maxsize=self._connections
                )
            return self._pools[proxy]


def _is_same_server(source: str, target: str) -> bool:
    """Whether a redirection stays on the same host, and does not go from https to http."""
    old, new = urlsplit(source), urlsplit(target)
    safe = new.scheme == old.scheme or (old.scheme, new.scheme) == ("http", "https")
    return (
        safe and new.hostname == old.hostname and (new.port == old.port or new.scheme != old.scheme)
    )


@contextmanager
def _as_failures() -> Iterator[None]:
    """Raise errors of urllib3 and the system as `HttpFailure`."""
    try:
        yield
    except (LocationValueError, UnicodeError) as error:
        raise HttpFailure("address", "it is not a valid address") from error
    except (HTTPError, OSError, http.client.HTTPException) as error:
        reason: BaseException = error
        while isinstance(reason, HTTPError) and (inner := reason.__cause__ or reason.__context__):
            reason = inner
        if isinstance(reason, IncompleteRead) and isinstance(reason.partial, int):
            expected = reason.partial + (reason.expected or 0)
            text = f"{reason.partial} of {expected} bytes arrived"
            raise HttpFailure("cut", text, passes=True) from error
        if isinstance(reason, TimeoutError):
            raise HttpFailure("silent", "it does not answer in time", passes=True) from error
        nobody = isinstance(reason, socket.gaierror | ConnectionRefusedError)
        # Messages of libraries may contain the address with a key: the type is enough
        text = type(reason).__name__
        raise HttpFailure("nobody" if nobody else "broken", text, passes=True) from error


# A whole batch waits for its photo
PATIENCE = RetryPolicy(attempts=3, longest_wait_s=60.0, idle_s=30.0, total_s=600.0)
# Message after the address
LATER = "{tries} times): check the address and the network, and try again later"
SENTENCES: Sentences = {
    "absent": "does not exist: check the address",
    "gone": "no longer exists: check the address",
    "denied": "is not accessible: other credentials are needed",
    "refused": "cannot be downloaded: its server answers {status}",
    "failing": f"cannot be downloaded (its server answers {{status}}, {LATER}",
    "overdue": "cannot be downloaded: {failure}",
    "too_large": "has {failure}: download it yourself, and give its path",
    "address": "is not a valid address: check the spelling",
    "away": "redirects to {place}, which is not followed: give the photo's own address",
    "circles": "redirects in circles: give the photo's own address",
    "other": f"cannot be downloaded ({{failure}}, {LATER}",
}
CODES: dict[Kind, str] = {"absent": "not_found", "gone": "not_found", "too_large": "too_large"}


def require(url: str) -> None:
    """Raise ConfigError if a package that fetches this URL is not installed."""
    scheme = parse_scheme(url)
    if scheme in ("http", "https"):
        return
    import fsspec

    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise ConfigError(
            f"{hide_secrets(url)} cannot be downloaded ({error}): install the package that fsspec "
            "names."
        ) from None


def fetch(
    url: str,
    target: Path,
    policy: RetryPolicy = PATIENCE,
    *,
    # Maximum size of a file; raw photos of the largest sensors have 100
    megabytes: int = 512,
    sleep: Callable[[float], object] | None = None,
) -> None:
    """Download a URL into a file; after an error, no file remains.

    The URL is used unchanged; redirections are only followed on the same host. ``sleep`` waits
    between attempts. Raises FrameError if the download fails, with the code ``not_found``,
    ``too_large`` or otherwise ``unreadable``.
    """
    parts = urlsplit(url)
    # User and password of the URL, or of its host in ~/.netrc
    user = unquote(parts.username or ""), unquote(parts.password or "")
    if not any(user):
        with suppress(OSError, RuntimeError, ValueError, netrc.NetrcParseError):
            logins = netrc.netrc(os.environ.get("NETRC", Path.home() / ".netrc"))
            entry = logins.authenticators(parts.hostname or "")
            user = (entry[0], entry[2]) if entry else user
    login = f"Basic {b64encode(':'.join(user).encode()).decode()}" if any(user) else None

    def origin(address: str) -> tuple[str, str | None, int | None]:
        there = urlsplit(address)
        return there.scheme, there.hostname, there.port

    client = HttpClient(
        policy,
        authorization=lambda address: login if origin(address) == origin(url) else None,
        sleep=sleep,
    )
    is_web = parse_scheme(url) in ("http", "https")

    def once() -> None:
        with target.open("wb") as stream:
            if is_web:
                client.copy(url, stream, megabytes)
            else:
                _copy_from_filesystem(url, stream, policy.total_s, megabytes)

    try:
        client.retry(once)
    except BaseException as error:
        target.unlink(missing_ok=True)
        code = "unreadable"
        if isinstance(error, HttpFailure):
            code, why = CODES.get(error.kind, code), error.sentence(SENTENCES)
        elif isinstance(error, OSError):
            full = error.errno in FULL_DISK
            what = f"the disk of {target.parent} is full" if full else type(error).__name__
            why = f"cannot be downloaded: {what}"
        else:
            raise
        raise FrameError(f"{hide_secrets(url)} {why}.", code=code) from None


def _copy_from_filesystem(url: str, stream: BinaryIO, total_s: float, megabytes: int) -> None:
    import fsspec

    end_s, left = time.monotonic() + total_s, megabytes * MEGABYTE
    try:
        system = fsspec.filesystem(parse_scheme(url), skip_instance_cache=True)
        with system.open(url, "rb") as source:
            while chunk := source.read(MEGABYTE):
                left -= len(chunk)
                if left < 0:
                    raise HttpFailure("too_large", f"more than {megabytes} MB")
                if time.monotonic() > end_s:
                    raise HttpFailure("overdue", f"it takes more than {total_s:.0f} s")
                stream.write(chunk)
    except (HttpFailure, MemoryError):
        raise
    except FileNotFoundError:
        raise HttpFailure("absent", "it does not exist") from None
    except PermissionError:
        raise HttpFailure("denied", "access is denied") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            raise
        # Messages of libraries may contain the URL with its secrets: only the type is reported
        raise HttpFailure("broken", type(error).__name__, passes=True) from None
