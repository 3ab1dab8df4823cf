"""Fetches one URL into one file, within limits."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from regengine.errors import ConfigError, FrameError
from regengine.remote.urls import scheme_of, without_secrets

MEGABYTE = 1 << 20
CHUNK = MEGABYTE
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}  # of HTTP: what may be over in a moment


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """How much and how long.

    Attributes
    ----------
    megabytes : int
        Largest file; raw photos of the largest sensors have 100.
    idle_s : float
        Longest time without a byte, the connecting included.
    total_s : float
        Longest time for one file.
    tries : int
        How often it is tried where the fault may be a passing one.
    pause_s : float
        Before the second try; doubled before each further one.
    """

    megabytes: int = 512
    idle_s: float = 30.0
    total_s: float = 600.0
    tries: int = 3
    pause_s: float = 1.0


class _Passing(Exception):
    """What may be over in a moment."""


class _Refused(Exception):
    """What will not be otherwise the next time; with the code for the record."""

    def __init__(self, why: str, code: str = "unreadable") -> None:
        super().__init__(why)
        self.code = code


def require(url: str) -> None:
    """Refuse a URL for which something is not installed.

    Raises
    ------
    ConfigError
        Also if nothing is fetched by its scheme.
    """
    scheme = scheme_of(url)
    try:
        import fsspec

        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        web = scheme in ("http", "https")
        what = "pip install 'regengine[remote]'" if web else "install what fsspec asks for"
        raise ConfigError(f"{without_secrets(url)} cannot be fetched ({error}): {what}.") from None


def fetch(
    url: str, target: Path, limits: FetchLimits, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Fetch a URL into a file.

    Parameters
    ----------
    url : str
        Fetched as it is given: a redirection is followed on the same host alone.
    target : Path
        The file; nothing remains of it after an error.
    limits : FetchLimits
        How much and how long.
    sleep : callable, optional
        Waits between tries.

    Raises
    ------
    FrameError
        If it cannot be fetched: ``not_found``, ``too_large``, else ``unreadable``.
    """
    pause_s, why = limits.pause_s, ""
    for attempt in range(limits.tries):
        if attempt:
            sleep(pause_s)
            pause_s *= 2.0
        try:
            _fetch_once(url, target, limits)
            return
        except _Passing as error:
            why = str(error)
        except _Refused as error:
            target.unlink(missing_ok=True)
            raise FrameError(f"{without_secrets(url)} {error}.", code=error.code) from None
        target.unlink(missing_ok=True)
    raise FrameError(
        f"{without_secrets(url)} cannot be fetched ({why}, {limits.tries} times): check the "
        "address and the network, and try again later."
    )


def _fetch_once(url: str, target: Path, limits: FetchLimits) -> None:
    import fsspec

    scheme = scheme_of(url)
    web = scheme in ("http", "https")
    options = _web_options(url, limits) if web else {}
    try:
        system = fsspec.filesystem(scheme, skip_instance_cache=True, **options)
        with target.open("wb") as stream:
            limited = _Limited(stream, limits)
            if web:
                system.get_file(url, limited, callback=limited.announced())
            else:
                with system.open(url, "rb") as source:
                    while chunk := source.read(CHUNK):
                        limited.write(chunk)
    except (_Passing, _Refused):
        raise
    except FileNotFoundError:
        raise _Refused("does not exist: check the address", "not_found") from None
    except PermissionError:
        raise _Refused("may not be read: it asks for other credentials") from None
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            raise _Refused(f"cannot be fetched: the disk of {target.parent} is full") from None
        # What libraries say may hold the URL with its secrets: only the kind of it is told
        raise _sorted(error) from None


def _sorted(error: Exception) -> Exception:
    """An error of a library as one that may pass or will not."""
    status = getattr(error, "status", None)
    if isinstance(status, int) and status >= 400:
        if status in TRY_AGAIN:
            return _Passing(f"its server answers {status}")
        if status in (401, 403):
            return _Refused(f"may not be read: its server answers {status}")
        if status == 410:
            return _Refused("does not exist any more: check the address", "not_found")
        return _Refused(f"cannot be fetched: its server answers {status}")
    name = type(error).__name__
    if name in ("InvalidURL", "InvalidUrlClientError", "NonHttpUrlClientError"):
        return _Refused("is no address: check how it is written")
    if name in ("InvalidUrlRedirectClientError", "NonHttpUrlRedirectClientError"):
        return _Refused("leads elsewhere, where nothing is fetched: give the photo's own address")
    if name == "TooManyRedirects":
        return _Refused("leads in circles: give the photo's own address")
    return _Passing(name)


class _Limited:
    """A file that takes so much, for so long."""

    def __init__(self, stream: Any, limits: FetchLimits) -> None:
        self._stream = stream
        self._limits = limits
        self._left = limits.megabytes * MEGABYTE
        self._end_s = time.monotonic() + limits.total_s

    def write(self, chunk: bytes) -> int:
        self._left -= len(chunk)
        if self._left < 0:
            raise self._too_large()
        if time.monotonic() > self._end_s:
            raise _Refused(f"takes more than {self._limits.total_s:.0f} s to fetch")
        return int(self._stream.write(chunk))

    def announced(self) -> Any:
        """Refuses what is known to be too large before it comes."""
        from fsspec.callbacks import Callback

        limited = self

        class Announced(Callback):
            def set_size(self, size: int | None) -> None:
                if size is not None and size > limited._left:
                    raise limited._too_large()

        return Announced()

    def _too_large(self) -> _Refused:
        return _Refused(
            f"has more than {self._limits.megabytes} MB: fetch it yourself, and give its path",
            "too_large",
        )

    def read(self) -> bytes:
        """Makes it a file in the eyes of fsspec."""
        return b""

    close = seek = tell = read


def _web_options(url: str, limits: FetchLimits) -> dict[str, Any]:
    import aiohttp

    async def on_redirect(session: Any, context: Any, parameters: Any) -> None:
        location = parameters.response.headers.get("Location", "")
        there = urlsplit(urljoin(str(parameters.url), location))
        here = urlsplit(url)
        upgraded = there.scheme in (here.scheme, "https")
        if there.hostname != here.hostname or not upgraded:
            host = there.hostname or "nowhere"
            raise _Refused(
                f"leads to {there.scheme}://{host}, where nothing is fetched without being asked: "
                "give the photo's own address"
            )

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(on_redirect)
    timeout = aiohttp.ClientTimeout(
        total=limits.total_s, sock_connect=limits.idle_s, sock_read=limits.idle_s
    )
    # Proxies are those of the environment
    return {"client_kwargs": {"timeout": timeout, "trace_configs": [trace], "trust_env": True}}
