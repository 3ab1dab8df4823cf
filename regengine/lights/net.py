"""Download files over HTTP: retried, checked, resumed, and the token only where it belongs."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path
from urllib.parse import urlsplit

from regengine.errors import LightMapError

# The name of a variable, not what is in it
TOKEN_VARIABLE = "EARTHDATA_TOKEN"  # nosec B105
TOKEN_HOSTS = ("earthdata.nasa.gov", "earthdatacloud.nasa.gov", "eosdis.nasa.gov")
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
CHUNK_BYTES = 1 << 20

Check = Callable[[Path], None]
Progress = Callable[[int, int], None]


class BrokenDownload(Exception):
    """What came is not whole; another try may help."""


class WrongContent(Exception):
    """What came is whole but not what was asked for; the message ends a sentence."""


@dataclass(frozen=True, kw_only=True)
class Downloader:
    """How patiently to download.

    Attributes
    ----------
    attempts : int
        Tries per file before giving up.
    connect_attempts : int
        Tries per file when the host cannot be reached at all.
    timeout_s : float
        Longest silence of the server.
    file_timeout_s : float
        Longest time for one file.
    backoff_s : float
        Pause before the second try; doubled each time.
    connections : int
        Files at a time.
    token : str
        Earthdata bearer token, sent to NASA's Earthdata hosts over https and nowhere else.
    """

    attempts: int = 5
    connect_attempts: int = 2
    timeout_s: float = 30.0
    file_timeout_s: float = 1800.0
    backoff_s: float = 1.0
    connections: int = 4
    token: str = field(default="", repr=False)

    def save(self, url: str, path: Path, check: Check) -> bool:
        """Download one file; it appears under its name only when it is whole and checked.

        Parameters
        ----------
        url : str
            Where it is.
        path : Path
            Where it goes; its folder is made.
        check : callable
            Raises BrokenDownload or WrongContent if the file at a path is not what it should be.

        Returns
        -------
        bool
            False if the server has no such file (404).

        Raises
        ------
        LightMapError
            The host cannot be reached, refuses, or keeps failing.
        """
        host = urlsplit(url).hostname or url
        part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            found = self._try_repeatedly(url, host, part, check)
            if found:
                os.replace(part, path)
            return found
        except LightMapError:
            raise
        except OSError as error:
            raise LightMapError(
                f"{path} cannot be written ({error.strerror}): make sure that the folder may be "
                "written to and has room, then run the same command again."
            ) from error
        finally:
            with suppress(OSError):
                part.unlink()

    def _try_repeatedly(self, url: str, host: str, part: Path, check: Check) -> bool:
        for attempt in range(1, self.attempts + 1):
            try:
                self._transfer(url, part)
                check(part)
                return True
            except _DiskFailure as failure:
                raise failure.error from failure
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in (404, 410):
                    return False
                self._after_status(error, host, attempt)
            except WrongContent as error:
                raise LightMapError(f"{host} answered {error}.") from error
            except (OSError, http.client.HTTPException, BrokenDownload) as error:
                self._after_failure(error, host, attempt)
            time.sleep(self.backoff_s * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")

    def save_all(
        self, jobs: Iterable[Callable[[], None]], progress: Progress = lambda done, total: None
    ) -> None:
        """Run jobs, a few at a time; the first failure stops those not begun and is raised."""
        with ThreadPoolExecutor(max_workers=self.connections) as pool:
            futures = [pool.submit(job) for job in jobs]
            total, left = len(futures), set(futures)
            try:
                while left:
                    done, left = wait(left, timeout=0.2, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                    progress(total - len(left), total)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _transfer(self, url: str, part: Path) -> None:
        request = urllib.request.Request(url, headers={"User-Agent": "regengine"})
        _authorize(request, self.token)
        opener = urllib.request.build_opener(_Redirects(self.token))
        deadline = time.monotonic() + self.file_timeout_s
        with opener.open(request, timeout=self.timeout_s) as response, _opened(part) as file:
            expected = response.headers.get("Content-Length")
            received = 0
            while chunk := response.read(CHUNK_BYTES):
                received += len(chunk)
                _write(file, chunk)
                if time.monotonic() > deadline:
                    raise TimeoutError("the transfer takes too long")
            if expected is not None and expected.isdigit() and received < int(expected):
                raise BrokenDownload(f"only {received} of {expected} bytes arrived")

    def _after_status(self, error: urllib.error.HTTPError, host: str, attempt: int) -> None:
        """Raise unless the status may pass and tries are left."""
        if error.code in (401, 403):
            raise LightMapError(
                f"{host} refuses access (status {error.code}): get a token at "
                f"urs.earthdata.nasa.gov, put it into the environment variable {TOKEN_VARIABLE}, "
                "and accept the product's terms there if it has any."
            ) from error
        if error.code not in PASSING:
            raise LightMapError(
                f"{host} rejects the request with status {error.code}: check the address and the "
                "level."
            ) from error
        if attempt >= self.attempts:
            raise LightMapError(
                f"{host} failed with status {error.code} in {attempt} attempts: try again later; "
                "what was fetched is kept."
            ) from error

    def _after_failure(self, error: Exception, host: str, attempt: int) -> None:
        """Raise unless tries are left."""
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        unreachable = isinstance(reason, socket.gaierror | ConnectionRefusedError)
        if attempt < (self.connect_attempts if unreachable else self.attempts):
            return
        timed_out = isinstance(reason, TimeoutError)
        detail = "it does not answer in time" if timed_out else str(reason)
        raise LightMapError(
            f"{host} cannot be reached ({detail}): check the network connection and run the same "
            "command again; what was fetched is kept.",
            code="offline",
        ) from error


class _DiskFailure(Exception):
    """The disk failed, not the network; another try is of no use."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def _opened(part: Path) -> BufferedWriter:
    try:
        return part.open("wb")
    except OSError as error:
        raise _DiskFailure(error) from error


def _write(file: BufferedWriter, chunk: bytes) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        raise _DiskFailure(error) from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https only and decides anew for each host whether it gets the token."""

    def __init__(self, token: str) -> None:
        self.token = token

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in ("http", "https"):
            fp.close()
            raise WrongContent("with a redirection to something that is no web address")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None:
            _authorize(request, self.token)
        return request


def _authorize(request: urllib.request.Request, token: str) -> None:
    """Give the request the token if its host may have it; redirections do not inherit it."""
    request.remove_header("Authorization")
    if token and may_have_token(request.full_url):
        request.add_unredirected_header("Authorization", f"Bearer {token}")


def may_have_token(url: str) -> bool:
    """Whether an address is one of NASA's Earthdata hosts, over https."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    return parts.scheme == "https" and any(
        host == name or host.endswith(f".{name}") for name in TOKEN_HOSTS
    )
