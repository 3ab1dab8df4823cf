"""One photo by URL into one file, within limits.

What the web serves comes through `regengine.io.http`; all else (s3, gs, sftp, ...) through the
filesystems of fsspec that are installed.
"""

from __future__ import annotations

import netrc
import os
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from regengine.errors import ConfigError, FrameError
from regengine.io.atomic import FULL_DISK
from regengine.io.http import (
    MEGABYTE,
    BadAddress,
    HttpClient,
    HttpFailure,
    LedAway,
    LedInCircles,
    Overdue,
    Patience,
    StatusFailure,
    TooLarge,
)
from regengine.io.urls import scheme_of, without_secrets

CHUNK_BYTES = MEGABYTE
LONGEST_WAIT_S = 60.0  # that a server may ask for: a whole batch waits for its photo


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """How much and how long."""

    megabytes: int = 512  # largest file; raw photos of the largest sensors have 100
    idle_s: float = 30.0  # longest time without a byte, the connecting included
    total_s: float = 600.0  # longest time for one file
    tries: int = 3  # how often it is tried where the fault may be a passing one
    pause_s: float = 1.0  # before the second try; doubled before each further one


class _Refused(HttpFailure):
    """What will not be otherwise the next time; with the code for the record."""

    def __init__(self, why: str, code: str = "unreadable") -> None:
        super().__init__(why)
        self.code = code


class _Passing(HttpFailure):
    """What may be over in a moment."""

    passes = True


def require(url: str) -> None:
    """Refuse, by ConfigError, a URL for which something is not installed."""
    scheme = scheme_of(url)
    if scheme in ("http", "https"):
        return
    import fsspec

    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise ConfigError(
            f"{without_secrets(url)} cannot be fetched ({error}): install what fsspec asks for."
        ) from None


def fetch(
    url: str, target: Path, limits: FetchLimits, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Fetch a URL into a file, of which nothing remains after an error.

    The URL is fetched as it is given: a redirection is followed on the same host alone. ``sleep``
    waits between tries. FrameError if it cannot be fetched: ``not_found``, ``too_large``, else
    ``unreadable``.
    """
    patience = Patience(
        attempts=limits.tries,
        backoff_s=limits.pause_s,
        idle_s=limits.idle_s,
        total_s=limits.total_s,
        longest_wait_s=LONGEST_WAIT_S,
    )
    client = HttpClient(patience, may_follow=_stays, authorization=_Credentials(url))
    client.sleep = sleep
    once = _of_the_web if scheme_of(url) in ("http", "https") else _of_a_filesystem
    try:
        client.patiently(lambda: _written(once, client, url, target, limits))
    except HttpFailure as failure:
        target.unlink(missing_ok=True)
        if isinstance(failure, _Refused):
            raise FrameError(f"{without_secrets(url)} {failure}.", code=failure.code) from None
        raise FrameError(
            f"{without_secrets(url)} cannot be fetched ({failure}, {failure.tries} times): check "
            "the address and the network, and try again later."
        ) from None
    except BaseException:
        target.unlink(missing_ok=True)
        raise


_Once = Callable[[HttpClient, str, BinaryIO, FetchLimits], None]


def _written(once: _Once, client: HttpClient, url: str, target: Path, limits: FetchLimits) -> None:
    try:
        with target.open("wb") as stream:
            once(client, url, stream, limits)
    except HttpFailure as failure:
        raise _sorted(failure, limits) from None
    except OSError as error:
        if error.errno in FULL_DISK:
            raise _Refused(f"cannot be fetched: the disk of {target.parent} is full") from None
        raise _Passing(type(error).__name__) from None


def _of_the_web(client: HttpClient, url: str, stream: BinaryIO, limits: FetchLimits) -> None:
    with client.get(url) as response:
        for chunk in client.chunks(response, limits.megabytes):
            stream.write(chunk)


def _of_a_filesystem(client: HttpClient, url: str, stream: BinaryIO, limits: FetchLimits) -> None:
    import fsspec

    end_s, left = time.monotonic() + limits.total_s, limits.megabytes * MEGABYTE
    try:
        system = fsspec.filesystem(scheme_of(url), skip_instance_cache=True)
        with system.open(url, "rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise TooLarge
                if time.monotonic() > end_s:
                    raise Overdue
                stream.write(chunk)
    except (HttpFailure, MemoryError):
        raise
    except FileNotFoundError:
        raise StatusFailure(404) from None
    except PermissionError:
        raise _Refused("may not be read: it asks for other credentials") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            raise
        # What libraries say may hold the URL with its secrets: only the kind of it is told
        raise _Passing(type(error).__name__) from None


def _sorted(failure: HttpFailure, limits: FetchLimits) -> HttpFailure:
    """A failure as what becomes of the photo: another try, or a sentence about its address."""
    match failure:
        case TooLarge():
            why = f"has more than {limits.megabytes} MB: fetch it yourself, and give its path"
            return _Refused(why, "too_large")
        case Overdue():
            return _Refused(f"takes more than {limits.total_s:.0f} s to fetch")
        case BadAddress():
            return _Refused("is no address: check how it is written")
        case LedInCircles():
            return _Refused("leads in circles: give the photo's own address")
        case LedAway(place=place):
            return _Refused(
                f"leads to {place}, where nothing is fetched without being asked: give the photo's "
                "own address"
            )
        case StatusFailure(passes=True, code=code):
            passing = _Passing(f"its server answers {code}")
            passing.asked_s = failure.asked_s
            return passing
        case StatusFailure(code=404):
            return _Refused("does not exist: check the address", "not_found")
        case StatusFailure(code=410):
            return _Refused("does not exist any more: check the address", "not_found")
        case StatusFailure(code=401 | 403 as code):
            return _Refused(f"may not be read: its server answers {code}")
        case StatusFailure(code=code):
            return _Refused(f"cannot be fetched: its server answers {code}")
    return failure


def _stays(source: str, target: str) -> bool:
    """Whether a redirection stays on its host, and encrypted where it was."""
    here, there = urlsplit(source), urlsplit(target)
    return here.hostname == there.hostname and there.scheme in (here.scheme, "https")


class _Credentials:
    """User and password of a URL, else those that ~/.netrc has for its host; for it alone."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._origin = _origin(url)
        self._login: tuple[str, str] | None = None
        if parts.username or parts.password:
            self._login = unquote(parts.username or ""), unquote(parts.password or "")
        else:
            with suppress(OSError, RuntimeError, ValueError, netrc.NetrcParseError):
                logins = netrc.netrc(os.environ.get("NETRC", Path.home() / ".netrc"))
                found = logins.authenticators(parts.hostname or "")
                if found is not None:
                    self._login = found[0], found[2] or ""

    def __call__(self, url: str) -> str | None:
        if self._login is None or _origin(url) != self._origin:
            return None
        return "Basic " + b64encode(":".join(self._login).encode()).decode()


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
