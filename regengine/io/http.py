"""The one HTTP client: paced, retried, bounded, and no further than it was sent.

What goes wrong is raised as an `HttpFailure` that knows whether another try may help. Who asks
puts it into a sentence: what a user can do about it differs between maps, archive and photos.
"""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout, make_headers
from urllib3.exceptions import (
    HTTPError,
    IncompleteRead,
    InvalidHeader,
    LocationValueError,
    MaxRetryError,
)

MEGABYTE = 1 << 20
CHUNK_BYTES = 1 << 18
MOST_REDIRECTIONS = 10
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses: may be over in a moment
Answer = TypeVar("Answer")


class HttpFailure(Exception):
    """A request that failed; as text part of a sentence, without the address: it may be secret."""

    passes = False  # whether another try may help
    asked_s: float | None = None  # how long the server asks to wait
    tries = 1  # how often it was tried


class StatusFailure(HttpFailure):
    """The server answered with a status that is none of success."""

    def __init__(self, code: int, *, passes: bool = False, asked_s: float | None = None) -> None:
        super().__init__(f"status {code}")
        self.code, self.passes, self.asked_s = code, passes, asked_s


class Unreached(HttpFailure):
    """There is no connection, or it broke; ``reason`` is what the system said."""

    passes = True

    def __init__(self, reason: BaseException) -> None:
        self.reason = reason
        self.silent = isinstance(reason, TimeoutError)
        self.nobody_there = isinstance(reason, socket.gaierror | ConnectionRefusedError)
        # What libraries say may hold the address with a key: the kind of it is enough
        super().__init__("it does not answer in time" if self.silent else type(reason).__name__)


class CutShort(HttpFailure):
    """Fewer bytes came than were announced."""

    passes = True

    def __init__(self, received: int, expected: int) -> None:
        super().__init__(f"{received} of {expected} bytes arrived")


class Overdue(HttpFailure):
    """The whole takes longer than it may."""

    passes = True

    def __init__(self) -> None:
        super().__init__("it takes too long")


class TooLarge(HttpFailure):
    """More comes, or is announced, than is allowed."""


class BadAddress(HttpFailure):
    """What should be an address is none."""


class LedAway(HttpFailure):
    """A redirection to ``target`` that may not be followed."""

    def __init__(self, target: str) -> None:
        super().__init__("it leads elsewhere")
        try:
            parts = urlsplit(target)
            self.place = f"{parts.scheme}://{parts.hostname or 'nowhere'}"
        except ValueError:
            self.place = "nowhere"


class LedInCircles(StatusFailure):
    """More redirections than are followed."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often, how patiently, how long."""

    attempts: int = 5  # per request
    connect_attempts: int | None = None  # where nobody is there at all; None: as many
    pause_s: float = 0.0  # from the beginning of one request to the next
    # Before the second try, doubled each time, times a random 1 - jitter to 1 + jitter so that many
    # clients do not come back at once
    backoff_s: float = 1.0
    jitter: float = 0.0
    longest_wait_s: float = 300.0  # a server that asks for more (Retry-After) is left alone
    idle_s: float = 30.0  # longest silence of the server
    total_s: float = 1800.0  # longest time for one body
    passing: frozenset[int] = PASSING  # statuses after which another try may help


class HttpClient:
    """Asks servers; one for all that must keep its distance in time, safe to share by threads.

    ``may_follow`` says whether a redirection from one address to another may be followed;
    ``authorization`` gives the header for an address, asked anew at each redirection: no host
    inherits another's; ``connections`` are to one host at a time.
    """

    def __init__(
        self,
        patience: Patience,
        *,
        may_follow: Callable[[str, str], bool],
        authorization: Callable[[str], str | None] = lambda url: None,
        connections: int = 1,
    ) -> None:
        self.patience = patience
        self.sleep: Callable[[float], object] = time.sleep
        self.clock = time.monotonic
        self.random = random.Random()
        self._may_follow = may_follow
        self._authorization = authorization
        self._connections = connections
        self._pools: dict[str | None, PoolManager] = {}
        self._making_pools = threading.Lock()
        self._last: float | None = None

    def patiently(self, once: Callable[[], Answer]) -> Answer:
        """What the first try that works returns; the failure, with its ``tries``, if none does."""
        patience = self.patience
        retries = Retry(total=patience.attempts - 1, allowed_methods=None)
        while True:
            self._keep_distance()
            try:
                return once()
            except HttpFailure as failure:
                failure.tries = len(retries.history) + 1
                asked_s = failure.asked_s or 0.0
                if not failure.passes or asked_s > patience.longest_wait_s:
                    raise
                nobody_there = isinstance(failure, Unreached) and failure.nobody_there
                if nobody_there and failure.tries == patience.connect_attempts:
                    raise
                try:
                    retries = retries.increment(error=failure)
                except MaxRetryError:
                    raise failure from None
            spread = self.random.uniform(1.0 - patience.jitter, 1.0 + patience.jitter)
            backoff_s = patience.backoff_s * 2.0 ** (len(retries.history) - 1) * spread
            self.sleep(max(backoff_s, asked_s))

    def read(self, url: str, megabytes: int) -> bytes:
        """A whole body of a bounded size, patiently."""

        def once() -> bytes:
            with self.get(url) as response:
                return b"".join(self.chunks(response, megabytes))

        return self.patiently(once)

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str] = {}) -> Iterator[BaseHTTPResponse]:
        """One request, followed where it may be led; statuses but 2xx are failures."""
        for _ in range(MOST_REDIRECTIONS + 1):
            with self._asked(url, headers) as response:
                location = response.get_redirect_location()
                if not location:
                    if not 200 <= response.status < 300:
                        raise self._status_failure(response)
                    yield response
                    return
                url = self._led(url, location)
        raise LedInCircles(response.status)

    def chunks(self, response: BaseHTTPResponse, megabytes: int | None = None) -> Iterator[bytes]:
        """Pieces of a body as they come; all that was announced must come, and in time."""
        announced = content_length(response) or 0
        limit = float("inf") if megabytes is None else megabytes * MEGABYTE
        if announced > limit:
            raise TooLarge(f"more than {megabytes} MB")
        deadline, received = self.clock() + self.patience.total_s, 0
        while chunk := _piece(response):
            received += len(chunk)
            if received > limit:
                raise TooLarge(f"more than {megabytes} MB")
            if self.clock() > deadline:
                raise Overdue
            yield chunk

    def _keep_distance(self) -> None:
        if self._last is not None:
            left_s = self._last + self.patience.pause_s - self.clock()
            if left_s > 0.0:
                self.sleep(left_s)
        self._last = self.clock()

    def _asked(self, url: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        sent = {"User-Agent": "regengine", **headers}
        if (authorization := self._authorization(url)) is not None:
            sent["Authorization"] = authorization
        with _failures_sorted():
            # Authorization goes as a header: of the address it might go on to other hosts
            parts = urlsplit(url)
            bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            return self._pool(bare).urlopen(
                "GET",
                bare,
                headers=sent,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=Timeout(connect=self.patience.idle_s, read=self.patience.idle_s),
            )

    def _pool(self, url: str) -> PoolManager:
        """Connections to where an address is asked for: its host, or the environment's proxy."""
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if proxy is not None and proxy_bypass(parts.netloc):
            proxy = None
        with self._making_pools:
            if proxy not in self._pools:
                self._pools[proxy] = _proxied(proxy, self._connections)
            return self._pools[proxy]

    def _led(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
            may_follow = urlsplit(target).scheme in ("http", "https")
        except ValueError:
            raise LedAway("") from None
        if not may_follow or not self._may_follow(url, target):
            raise LedAway(target)
        return target

    def _status_failure(self, response: BaseHTTPResponse) -> StatusFailure:
        passes = response.status in self.patience.passing
        return StatusFailure(
            response.status, passes=passes, asked_s=retry_after_s(response) if passes else None
        )


def _proxied(proxy: str | None, connections: int) -> PoolManager:
    if proxy is None:
        return PoolManager(maxsize=connections)
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    login = urlsplit(proxy).netloc.rpartition("@")[0]
    headers = make_headers(proxy_basic_auth=unquote(login)) if login else None
    return ProxyManager(proxy, proxy_headers=headers, maxsize=connections)


def content_length(response: BaseHTTPResponse) -> int | None:
    """Bytes that a response announces; None where it does not."""
    told = response.headers.get("Content-Length", "")
    return int(told) if told.isascii() and told.isdecimal() else None


def retry_after_s(response: BaseHTTPResponse) -> float | None:
    """Seconds that a server asks to wait (RFC 9110, 10.2.3); None where it tells none."""
    try:
        return Retry(retry_after_max=10**9).get_retry_after(response)
    except (InvalidHeader, ValueError, OverflowError):
        return None


def _piece(response: BaseHTTPResponse) -> bytes:
    """What has come, not more: of a body that is cut what came before counts."""
    with _failures_sorted():
        return response.read1(CHUNK_BYTES)


@contextmanager
def _failures_sorted() -> Iterator[None]:
    """What urllib3 and the system raise, as failures of ours."""
    try:
        yield
    except (LocationValueError, UnicodeError) as error:
        raise BadAddress("it is no address") from error
    except (HTTPError, OSError, http.client.HTTPException) as error:
        reason: BaseException = error
        while isinstance(reason, HTTPError) and (inner := reason.__cause__ or reason.__context__):
            reason = inner
        if isinstance(reason, IncompleteRead) and isinstance(reason.partial, int):
            expected = reason.partial + (reason.expected or 0)
            raise CutShort(reason.partial, expected) from error
        raise Unreached(reason) from error
