"""Download one photo by URL into one file, with limits of size and time.

HTTP URLs are fetched by `regengine.io.http`; all others (s3, gs, sftp, ...) by the installed
filesystems of fsspec.
"""

from __future__ import annotations

import netrc
import os
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from regengine.errors import ConfigError, FrameError
from regengine.io.atomic import FULL_DISK
from regengine.io.http import MEGABYTE, HttpClient, HttpFailure, Kind, RetryPolicy, Sentences
from regengine.io.urls import hide_secrets, parse_scheme

CHUNK_BYTES = MEGABYTE
MAX_MEGABYTES = 512  # maximum size of a file; raw photos of the largest sensors have 100
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
    megabytes: int = MAX_MEGABYTES,
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
            found = logins.authenticators(parts.hostname or "")
            user = (found[0], found[2]) if found else user
    login = f"Basic {b64encode(':'.join(user).encode()).decode()}" if any(user) else None
    client = HttpClient(
        policy,
        may_follow=_stays,
        authorization=lambda asked: login if _origin(asked) == _origin(url) else None,
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
            while chunk := source.read(CHUNK_BYTES):
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


def _stays(source: str, target: str) -> bool:
    """Whether a redirection stays on its host, and does not drop encryption."""
    here, there = urlsplit(source), urlsplit(target)
    return here.hostname == there.hostname and there.scheme in (here.scheme, "https")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
