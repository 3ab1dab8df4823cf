"""Recognise names of photos and URLs, and hide secrets in URLs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from regengine.errors import ConfigError

SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".png", ".tif", ".tiff", ".nef", ".dng", ".cr2", ".cr3", ".arw"),
        *(".webp", ".avif", ".fits", ".fit", ".fts", ".fz"),
    )
)
GZIPPED = (".fits.gz", ".fit.gz", ".fts.gz")
NO_PICTURE = "_wcs.fits"  # headers that `regengine solve --wcs` writes
# Network protocols that can serve a photo. Excluded are other protocols of fsspec: local files,
# caches and archives, in which one URL may hide another.
SCHEMES = ("https", "http", "s3", "gs", "az", "abfs", "ftp", "sftp")
HIDDEN = "***"
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_URL_WITHIN = re.compile(r"[a-z][a-z0-9+.]*://", re.IGNORECASE)  # excludes the dashes of an option
# Names of query parameters that grant access: signed URLs of stores, tokens, keys
_SECRET = re.compile(r"sig|token|secret|pass|pwd|key|auth|credential", re.IGNORECASE)
_SECRET_WITHIN = re.compile(rf"({_SECRET.pattern})[^=&;]*=", re.IGNORECASE)


def is_photo(name: str) -> bool:
    """Whether a file's name has the suffix of a photo."""
    name = name.lower()
    if name.endswith(NO_PICTURE):
        return False
    return Path(name).suffix in SUFFIXES or name.endswith(GZIPPED)


@dataclass(frozen=True)
class Url:
    """A photo given by URL; ``address`` may contain secrets, which ``str`` leaves out."""

    address: str

    def __str__(self) -> str:
        return hide_secrets(self.address)

    def __repr__(self) -> str:
        return f"Url({self})"

    @property
    def stem(self) -> str:
        """Like that of a path: the name of a copy, without its suffix."""
        return Path(file_name(self.address)).stem


def is_url(text: str) -> bool:
    return _URL.match(text) is not None


def parse_scheme(url: str) -> str:
    """Return the scheme of a URL; ConfigError if it is not supported."""
    match = _URL.match(url)
    scheme = "" if match is None else match[1].lower()
    if scheme == "file":
        raise ConfigError(f"{hide_secrets(url)}: give files as paths, not as URLs.")
    if scheme not in SCHEMES or "::" in url:
        schemes = ", ".join(f"{known}://" for known in SCHEMES)
        raise ConfigError(f"{hide_secrets(url)} cannot be downloaded: supported are {schemes}.")
    return scheme


def hide_secrets(text: str) -> str:
    """Return a URL for records, messages and stores: without user and password, keys hidden.

    In other text, such as an option with its value, only the URLs are changed.
    """
    borders = [match.start() for match in _URL_WITHIN.finditer(text)] + [len(text)]
    return text[: borders[0]] + "".join(
        _hide_url_secrets(text[start:end]) for start, end in pairwise(borders)
    )


def _hide_url_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        _ = parts.port  # an invalid port may be part of a password
    except ValueError:
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    shown = []
    for name, value in query:
        is_hidden = _SECRET_WITHIN.search(value) is not None or hide_secrets(value) != value
        # Cloud stores call the name of a file its key
        is_hidden |= _SECRET.search(name) is not None and not is_photo(value)
        shown.append((name, HIDDEN if is_hidden else value))
    if shown != query:
        parts = parts._replace(query=urlencode(shown, safe="*/:"))
    return urlunsplit(parts._replace(netloc=host, fragment=""))


def file_name(url: str) -> str:
    """Return the name for a copy of a URL's file: the last part of its path.

    If a query names the photo, ``get?file=a/b.jpg``, it is the last part of that. The name has only
    letters, digits and ``._-``; it is never hidden and never empty.
    """
    parts = urlsplit(url)
    candidates = [parts.path.rstrip("/"), *(value for _, value in parse_qsl(parts.query))]
    names = []
    for text in candidates:
        name = unquote(text.rpartition("/")[2])
        name = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).lstrip(".")
        names.append(name[-100:].lstrip("."))
    return next((name for name in names if is_photo(name)), names[0] or "photo")


def parse_host(url: str) -> str:
    """Return the host of an address, the only part that messages contain."""
    return urlsplit(url).hostname or "the server"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
