"""Download files over HTTP: retried, checked, resumed, and the token only where it belongs."""

from __future__ import annotations

import errno
import fcntl
import http.client
import json
import os
import random
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BufferedWriter
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode, urljoin, urlsplit, urlunsplit

from regengine.batch.discover import is_photo
from regengine.errors import (
    ArchiveError,
    ConfigError,
    FrameError,
    LightMapError,
    RegengineError,
    StoreError,
)
from regengine.io.atomic import sync_folder, write_whole

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


# How the archive's server is treated: one request at a time, with pauses, and patiently.


@dataclass(frozen=True, kw_only=True)
class Manners:
    """How often, how patiently and how much.

    Attributes
    ----------
    pause_s : float
        From the beginning of one request to the next.
    attempts : int
        Tries per request where the fault may pass.
    backoff_s : float
        Pause before the second try, doubled each time, times a random 0.5 to 1.5 so that many
        clients do not come back at once.
    longest_wait_s : float
        A server that asks to wait longer (Retry-After) is left alone.
    idle_s : float
        Longest silence of the server.
    total_s : float
        Longest time for one answer or file.
    """

    pause_s: float = 1.0
    attempts: int = 5
    backoff_s: float = 2.0
    longest_wait_s: float = 300.0
    idle_s: float = 60.0
    total_s: float = 1800.0


@dataclass
class Pace:
    """Keeps the time between requests; one for all that a program asks of a server."""

    manners: Manners
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    random: random.Random = field(default_factory=random.Random)
    _last: float | None = None

    def before_request(self) -> None:
        """Wait until the next request may begin."""
        if self._last is not None:
            left_s = self._last + self.manners.pause_s - self.clock()
            if left_s > 0.0:
                self.sleep(left_s)
        self._last = self.clock()

    def before_try(self, number: int, asked_s: float | None) -> None:
        """Wait before a further try."""
        backoff_s = self.manners.backoff_s * 2.0 ** (number - 1) * self.random.uniform(0.5, 1.5)
        self.sleep(max(backoff_s, asked_s or 0.0))


def retry_after_s(text: str | None, now: Callable[[], datetime] | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3)."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    present = datetime.now(UTC) if now is None else now()
    return max((moment - present).total_seconds(), 0.0)


# URLs as people write them, and as records may show them.

# What is read over a network and can hold a photo. Not what fsspec knows beside: local files,
# caches and archives, in which one URL may hide another.
SCHEMES = ("https", "http", "s3", "gs", "az", "abfs", "ftp", "sftp")
HIDDEN = "***"
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
# Names of query parameters that let one in: signed URLs of stores, tokens, keys
_SECRET = re.compile(r"sig|token|secret|passw|key|auth|credential", re.IGNORECASE)
LONGEST_NAME = 100  # characters of a file's name


@dataclass(frozen=True)
class Url:
    """A photo that is given by URL; ``address`` may hold secrets."""

    address: str

    def __str__(self) -> str:
        return without_secrets(self.address)

    def __repr__(self) -> str:
        return f"Url({self})"

    @property
    def stem(self) -> str:
        """As that of a path: the name of a copy, without its ending."""
        return Path(file_name(self.address)).stem


def is_url(text: str) -> bool:
    """Whether an argument is a URL and no path."""
    return _URL.match(text) is not None


def scheme_of(url: str) -> str:
    """Scheme of a URL that may be fetched.

    Raises
    ------
    ConfigError
        If nothing is fetched by this scheme.
    """
    found = _URL.match(url)
    scheme = "" if found is None else found[1].lower()
    if scheme == "file":
        raise ConfigError(f"{without_secrets(url)}: name files by their path alone.")
    if scheme not in SCHEMES or "::" in url:
        schemes = ", ".join(f"{known}://" for known in SCHEMES)
        raise ConfigError(f"{without_secrets(url)} is not fetched: photos come by {schemes}.")
    return scheme


def without_secrets(url: str) -> str:
    """A URL without its secrets: user and password are left out, keys and signatures hidden.

    Parameters
    ----------
    url : str
        As it was given.

    Returns
    -------
    str
        What records, messages and the store have.
    """
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    told = [(name, HIDDEN if _secret(name, value) else value) for name, value in query]
    if told != query:
        parts = parts._replace(query=urlencode(told, safe="*/:"))
    return urlunsplit(parts._replace(netloc=host, fragment=""))


def _secret(name: str, value: str) -> bool:
    # Stores call the name of a file its key
    return _SECRET.search(name) is not None and not is_photo(value)


def file_name(url: str) -> str:
    """Name for a copy of what a URL stands for.

    Parameters
    ----------
    url : str
        As it was given.

    Returns
    -------
    str
        The last part of its path; where a query names the photo, ``get?file=a/b.jpg``, the last
        part of that. Of letters, digits and ``._-`` alone; never hidden, never empty.
    """
    parts = urlsplit(url)
    candidates = [parts.path.rstrip("/"), *(value for _, value in parse_qsl(parts.query))]
    names = [_harmless(text.rpartition("/")[2]) for text in candidates]
    return next((name for name in names if is_photo(name)), names[0] or "photo")


def _harmless(name: str) -> str:
    name = re.sub(r"[^\w.-]+", "_", unquote(name), flags=re.ASCII).lstrip(".")
    return name[-LONGEST_NAME:].lstrip(".")


def read_list(path: Path) -> list[str]:
    """Photos that a list names: a path or URL a line; empty lines and ``#`` lines do not count.

    Raises
    ------
    ConfigError
        If it cannot be read as text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read as a list of photos ({type(error).__name__}): it must be a "
            "text file with a path or URL a line."
        ) from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


# Fetches one URL into one file, within limits.

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


# Answers and files over HTTP: paced, retried, resumed, and from the host that was asked.

READ_BYTES = 1 << 18
ABSENT = (404, 410)
TOO_MUCH = (413, 504)  # a smaller question may be answered
Answer = TypeVar("Answer")


class Absent(Exception):
    """The server has no such thing."""


class Passing(Exception):
    """What may be over in a moment; the server may say when.

    Parameters
    ----------
    why : str
        Part of a sentence.
    asked_s : float, optional
        How long the server asks to wait.
    too_much : bool, optional
        Whether less may come through.
    """

    def __init__(self, why: str, *, asked_s: float | None = None, too_much: bool = False) -> None:
        super().__init__(why)
        self.asked_s = asked_s
        self.too_much = too_much


class RangeRefused(Passing):
    """The server cannot go on with the part that is there."""


class UnreachableError(ArchiveError):
    """The server keeps failing; the next request will hardly fare better."""


class TooMuchError(ArchiveError):
    """The answer was cut or too large: less may be asked for."""


class CutError(UnreachableError, TooMuchError):
    """The server keeps failing, but less may come through."""


@dataclass
class Web:
    """One client of one server.

    Attributes
    ----------
    manners : Manners
        How it is treated.
    pace : Pace
        Set for tests.
    """

    manners: Manners = field(default_factory=Manners)
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self.manners)

    def patiently(self, url: str, once: Callable[[], Answer]) -> Answer:
        """Try until it works, with growing pauses.

        Parameters
        ----------
        url : str
            For sentences; its host alone is told.
        once : callable
            One try.

        Returns
        -------
        object
            What the try that worked has returned.

        Raises
        ------
        UnreachableError
            The server keeps failing, or asks to be left alone for long.
        Absent
            It has no such thing.
        """
        host = host_of(url)
        for attempt in range(1, self.manners.attempts + 1):
            self.pace.before_request()
            try:
                return once()
            except Passing as error:
                if (error.asked_s or 0.0) > self.manners.longest_wait_s:
                    raise UnreachableError(
                        f"{host} asks to be left alone for {error.asked_s:.0f} s: run the same "
                        "command again then; what came is kept."
                    ) from error
                if attempt == self.manners.attempts:
                    kind = CutError if error.too_much else UnreachableError
                    raise kind(
                        f"{host} keeps failing ({error}, {attempt} times): check the network, and "
                        "run the same command again later; what came is kept."
                    ) from error
                self.pace.before_try(attempt, error.asked_s)
        raise AssertionError("the last try returns or raises")

    def text(self, url: str, megabytes: int) -> bytes:
        """A whole answer.

        Raises
        ------
        ArchiveError
            See `patiently`; `TooMuchError` if it is larger than allowed.
        Absent
            It does not exist.
        """

        def once() -> bytes:
            with opened(url, {}, self.manners) as response:
                return b"".join(self.whole(response, url, megabytes))

        return self.patiently(url, once)

    def whole(self, response: Any, url: str, megabytes: int) -> Iterator[bytes]:
        """Pieces of a body, which must be as long as its header says.

        Raises
        ------
        TooMuchError
            It is larger than allowed.
        Passing
            It is cut short, or takes too long.
        """
        said = response.headers.get("Content-Length", "")
        expected = int(said) if said.isascii() and said.isdecimal() else None
        too_large = TooMuchError(
            f"{host_of(url)} sends more than {megabytes} MB, which is refused."
        )
        if expected is not None and expected > megabytes * MEGABYTE:
            raise too_large
        deadline, received = self.pace.clock() + self.manners.total_s, 0
        while chunk := response.read(READ_BYTES):
            received += len(chunk)
            if received > megabytes * MEGABYTE:
                raise too_large
            if self.pace.clock() > deadline:
                raise Passing("it takes too long", too_much=True)
            yield chunk
        if expected is not None and received != expected:
            raise Passing(f"{received} of {expected} bytes arrived", too_much=True)


@contextmanager
def opened(url: str, headers: dict[str, str], manners: Manners) -> Iterator[Any]:
    """One request."""
    request = urllib.request.Request(url, headers={"User-Agent": "regengine", **headers})
    opener = urllib.request.build_opener(_SameServer())
    try:
        with opener.open(request, timeout=manners.idle_s) as response:
            yield response
    except urllib.error.HTTPError as error:
        error.close()
        raise _of_status(error, host_of(url)) from None
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, RegengineError):
            raise
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        silent = isinstance(reason, TimeoutError)
        # What libraries say may hold the address with the key: the kind of it is enough
        why = "it does not answer in time" if silent else type(reason).__name__
        raise Passing(why) from None


def _of_status(error: urllib.error.HTTPError, host: str) -> Exception:
    if error.code in ABSENT:
        return Absent(host)
    if error.code == 416:
        return RangeRefused("status 416")
    if error.code in (401, 403):
        return ArchiveError(
            f"{host} refuses access (status {error.code}): check the key, or ask the archive."
        )
    if error.code in TRY_AGAIN | {413}:
        asked_s = retry_after_s(error.headers.get("Retry-After"))
        return Passing(f"status {error.code}", asked_s=asked_s, too_much=error.code in TOO_MUCH)
    return ArchiveError(f"{host} rejects the request with status {error.code}: check the address.")


class _SameServer(urllib.request.HTTPRedirectHandler):
    """Follows redirections on the host that was asked, and never from https to http."""

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        safe = new.scheme == old.scheme or (old.scheme, new.scheme) == ("http", "https")
        same = new.hostname == old.hostname and (new.port == old.port or new.scheme != old.scheme)
        if not (safe and same and new.scheme in ("http", "https")):
            fp.close()
            raise ArchiveError(
                f"{old.hostname} sends us to {new.scheme}://{new.hostname or 'nowhere'}, which is "
                "not followed: check the address, or log in to the network first."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def host_of(url: str) -> str:
    """Host of an address, which is all that sentences tell of it."""
    return urlsplit(url).hostname or "the server"


def check_address(url: str) -> None:
    """Refuse an address to which no key may be sent.

    Raises
    ------
    ConfigError
        If it is no https address, nor one of this machine.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018  a port that is none raises
    except ValueError:
        raise ConfigError("--url is no address: write https://HOST/PATH.") from None
    if parts.scheme == "https" and host and not parts.query and not parts.username:
        return
    if parts.scheme == "http" and is_loopback(host):
        return
    raise ConfigError(
        f"--url {parts.scheme}://{host}: write https://HOST/PATH; other addresses would carry the "
        "key for everyone to read."
    )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


# A file that is on its way: what came stays, and the next try asks for the rest.

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True)
class PartFile:
    """The beginning of a file, and by what the server knows the same file again.

    Attributes
    ----------
    target : Path
        What it becomes when it is whole.
    """

    target: Path

    @property
    def path(self) -> Path:
        """Where the beginning lies."""
        return self.target.with_name(f".{self.target.name}.part")

    @property
    def note(self) -> Path:
        """Where the server's mark of the file's version lies."""
        return self.target.with_name(f".{self.target.name}.part.json")

    def request_headers(self) -> dict[str, str]:
        """Headers that ask for the rest, if there is a beginning and a mark; else none."""
        try:
            size = self.path.stat().st_size
            mark = json.loads(self.note.read_text(encoding="utf-8"))["mark"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        if not size or not isinstance(mark, str) or not mark or not mark.isprintable():
            return {}
        return {"Range": f"bytes={size}-", "If-Range": mark}

    @contextmanager
    def opened(self) -> Iterator[BufferedWriter]:
        """The part, to be written on at its end, by this program alone.

        Raises
        ------
        ArchiveError
            If another program fetches it.
        StoreError
            If it cannot be written.
        """
        with _written():
            stream = self.path.open("ab")
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ArchiveError(f"{self.target} is being fetched by another program.") from None
            try:
                yield stream
            finally:
                if stream.tell() == 0:  # nothing came
                    self.drop()

    def drop(self) -> None:
        """Forget the beginning."""
        for path in (self.path, self.note):
            with suppress(OSError):
                path.unlink()


def fetch_file(web: Web, url: str, target: Path, megabytes: int) -> None:
    """Fetch a file into the part beside its target, going on where an earlier try ended.

    Parameters
    ----------
    web : Web
        How the server is treated.
    url : str
        Where the file is.
    target : Path
        What it becomes; `become` puts it there.
    megabytes : int
        Largest size.

    Raises
    ------
    Absent
        The server has no such file.
    ArchiveError
        It cannot be fetched; what came stays. `TooMuchError` if it is too large.
    StoreError
        It cannot be written.
    """
    part = PartFile(target)
    with part.opened() as stream:

        def once() -> None:
            headers = part.request_headers()
            try:
                with opened(url, headers, web.manners) as response:
                    begin = _begin(response, stream.tell() if headers else None)
                    _announced(response, begin, megabytes, url)
                    if begin == 0:
                        _begin_anew(part, stream, _mark(response))
                    for chunk in web.whole(response, url, megabytes):
                        with _written():
                            stream.write(chunk)
                            stream.flush()
                with _written():
                    os.fsync(stream.fileno())
            except RangeRefused:
                _begin_anew(part, stream, "")
                raise

        web.patiently(url, once)
        if stream.tell() == 0:
            raise ArchiveError(f"{host_of(url)} sends {target.name} empty: try again later.")


def _begin_anew(part: PartFile, stream: BufferedWriter, mark: str) -> None:
    """Empty the part, and note by what its rest can be asked for."""
    with _written():
        stream.truncate(0)
        stream.seek(0)
        if mark:
            write_whole(part.note, json.dumps({"mark": mark}).encode())
        else:
            part.note.unlink(missing_ok=True)


def become(target: Path) -> None:
    """Put a whole part in its place.

    Raises
    ------
    StoreError
        If that cannot be done.
    """
    part = PartFile(target)
    with _written():
        part.path.replace(target)
        sync_folder(target.parent)
        part.note.unlink(missing_ok=True)


def _begin(response: Any, size: int | None) -> int:
    """Where in the file the body begins; ``size`` is that of the part whose rest was asked for."""
    if response.status != 206:
        return 0
    found = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if size is None or found is None or int(found[1]) != size:
        raise RangeRefused("another part came than was asked for")
    return size


def _announced(response: Any, begin: int, megabytes: int, url: str) -> None:
    length = response.headers.get("Content-Length", "")
    if length.isascii() and length.isdecimal() and begin + int(length) > megabytes * MEGABYTE:
        raise TooMuchError(
            f"{host_of(url)} has a file of {(begin + int(length)) / MEGABYTE:.0f} MB, more than "
            f"{megabytes} MB: allow it with --max-megabytes."
        )


def _mark(response: Any) -> str:
    """A strong ETag, else the time of the last change."""
    tag: str = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else str(response.headers.get("Last-Modified", ""))


@contextmanager
def _written() -> Iterator[None]:
    """Errors of the disk, apart from those of the network: another try is of no use."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{error.filename or 'The file'} cannot be written ({error.strerror or error}): make "
            "sure that the folder may be written to and has room, then run the same command again."
        ) from error
