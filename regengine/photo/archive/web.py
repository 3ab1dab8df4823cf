"""HTTP access to the archive's server: one request at a time, with pauses, on the same host."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from regengine.errors import ArchiveError, ConfigError
from regengine.io.http import PASSING, HttpClient, HttpFailure, Kind, RetryPolicy, Sentences
from regengine.io.urls import is_loopback, parse_host

TOO_MUCH = (413, 504)  # a smaller question may be answered
MANNERS = RetryPolicy(
    pause_s=1.0,
    attempts=5,
    backoff_s=2.0,
    jitter=0.5,
    longest_wait_s=300.0,
    idle_s=60.0,
    total_s=1800.0,
    passing=PASSING | {413},
)


class Absent(Exception):
    """The server has no such resource."""


class UnreachableError(ArchiveError):
    """The server keeps failing; the next request is likely to fail, too."""


class TooMuchError(ArchiveError):
    """The answer was truncated or too large: a smaller request may succeed."""


class CutError(UnreachableError, TooMuchError):
    """The server keeps failing, but a smaller request may succeed."""


LATER = "run the same command again later; what was fetched is kept."
FAILING = f"{{host}} keeps failing ({{failure}}, {{tries}} times): check the network, and {LATER}"
SENTENCES: Sentences = {
    "absent": "{host}",
    "gone": "{host}",
    "denied": "{host} denies access (status {status}): check the key, or ask the archive.",
    "failing": FAILING,
    "cut": FAILING,
    "overdue": FAILING,
    "too_large": "{host} sends {failure}, {larger}.",
    "silent": FAILING,
    "nobody": f"{{host}} cannot be reached: check the network, and {LATER}",
    "broken": FAILING,
    "away": "{host} redirects to {place}, which is not followed: check the address, or log in to "
    "the network first.",
    "other": "{host} rejects the request with {failure}: check the address.",
}
ERRORS: dict[Kind, type[Exception]] = {
    "absent": Absent,
    "gone": Absent,
    "failing": UnreachableError,
    "cut": CutError,
    "overdue": CutError,
    "too_large": TooMuchError,
    "silent": UnreachableError,
    "nobody": UnreachableError,
    "broken": UnreachableError,
}


class ArchiveClient(HttpClient):
    """A client of the archive's server.

    ``manners`` are fields of `RetryPolicy` that replace those in `MANNERS`, such as ``pause_s``.
    """

    def __init__(self, **manners: Any) -> None:
        super().__init__(replace(MANNERS, **manners))

    def fetch(self, url: str, megabytes: int, *, larger: str = "which is too large") -> bytes:
        """Return a complete answer; error messages contain only the host, no key.

        Raises UnreachableError if the server keeps failing or asks for a long pause. Raises
        TooMuchError if the answer is larger than allowed (``larger`` is the remedy), or was
        truncated (`CutError`). Raises ArchiveError if the server refuses, and Absent if there is no
        such resource.
        """
        host = parse_host(url)
        try:
            return self.read(url, megabytes)
        except HttpFailure as failure:
            if failure.wait_s > self.policy.longest_wait_s:
                raise UnreachableError(
                    f"{host} asks for a pause of {failure.wait_s:.0f} s: run the same command "
                    "again then; what was fetched is kept."
                ) from None
            error = ERRORS.get(failure.kind, ArchiveError)
            if failure.status in TOO_MUCH:
                error = CutError
            raise error(failure.sentence(SENTENCES, host=host, larger=larger)) from None


ARCHIVE_VARIABLE = "REGENGINE_ARCHIVE"
ARCHIVE = "https://eol.jsc.nasa.gov"


def archive_address(path: str) -> str:
    """Return the address of a page of the archive, or of its copy in REGENGINE_ARCHIVE.

    Raises ConfigError if the address is invalid.
    """
    archive = (os.environ.get(ARCHIVE_VARIABLE) or ARCHIVE).rstrip("/")
    check_address(archive, ARCHIVE_VARIABLE)
    return archive + path


def check_address(url: str, named: str) -> None:
    """Raise ConfigError for an address that must not receive a key: only https or this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018  a port that is none raises
    except ValueError:
        raise ConfigError(f"{named} is not a valid address: write https://HOST/PATH.") from None
    if parts.scheme == "https" and host and not parts.query and not parts.username:
        return
    if parts.scheme == "http" and is_loopback(host):
        return
    raise ConfigError(
        f"{named} {parts.scheme}://{host}: write https://HOST/PATH; any other address would "
        "expose the key."
    )
