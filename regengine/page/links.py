"""Where a page's links lead: files beside it, never a scheme that a file name smuggles in."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

_OF_A_URL = ":/?#[]@!$&'()*+,;=%~"  # RFC 3986: what may stand in a URL as it is


def link_to(path: str | Path, folder: Path) -> str:
    """A photo as seen from a page.

    Parameters
    ----------
    path : str or Path
        Its file, or the http address that the run was given.
    folder : Path
        Where the page lies.

    Returns
    -------
    str
        Relative to the page where it can be, so that both may move together. All that could
        begin a scheme (``javascript:``) is percent-encoded.
    """
    text = str(path)
    if text.lower().startswith(("http://", "https://")):
        return quote(_octets(text), safe=_OF_A_URL)
    # absolute() asks for the working directory alone: it works for names that no file can have
    absolute = Path(text).absolute()
    try:
        relative = os.path.relpath(absolute, folder.absolute())
    except ValueError:  # another drive
        return absolute.as_uri()
    return quote(_octets(Path(relative).as_posix()))


def _octets(text: str) -> bytes:
    """The bytes that a file name stands for."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
