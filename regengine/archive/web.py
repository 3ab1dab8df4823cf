"""Answers and files over HTTP: paced, retried, resumed, and from the host that was asked."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

from regengine.archive.manners import Manners, Pace, retry_after_s
from regengine.errors import ArchiveError, ConfigError, RegengineError
from regengine.remote.fetch import TRY_AGAIN

MEGABYTE = 1 << 20
CHUNK = 1 << 18
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
        while chunk := response.read(CHUNK):
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
    """One request.

    Yields
    ------
    http.client.HTTPResponse
        With a status below 300.

    Raises
    ------
    Absent, Passing, ArchiveError
        Whatever goes wrong, also within the block.
    """
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
