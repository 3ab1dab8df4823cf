"""Convert values for JSON, terminals and sentences: plain types, finite, valid UTF-8, counts."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_BYTE = re.compile(r"\\u(dc[89a-f][0-9a-f])")  # of a file name that is not UTF-8


def make_printable(text: str) -> str:
    r"""Return text that is valid UTF-8: bytes of odd file names become ``\udcXX``.

    `restore_bytes` is the way back, to the file.
    """
    if text.isascii():
        return text
    with suppress(UnicodeEncodeError):
        # Where file names are ASCII, as in the locale C, all others are bytes
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def restore_bytes(text: str) -> str:
    r"""Return the path, or the name, that `make_printable` made text of.

    A file that has ``\udcXX`` in its name is that file.
    """
    if _BYTE.search(text) and not os.path.lexists(text):
        text = _BYTE.sub(lambda match: chr(int(match[1], 16)), text)
    with suppress(UnicodeEncodeError):
        text = os.fsdecode(text.encode("utf-8", "surrogateescape"))
    return text


def flatten_bytes(text: str) -> str:
    r"""Return a path as names of new files have it: ``\udcXX`` without the backslash."""
    return _BYTE.sub(r"_u\1", make_printable(text))


def format_command(*words: object) -> str:
    """Format a command of this program for a message; names are quoted for the shell."""
    return make_printable(shlex.join(["regengine", *map(str, words)]))


def plain(value: Any, text: Callable[[str], str]) -> Any:
    """Return plain JSON values of dictionaries, lists, tuples, text, numbers (also NumPy) and None.

    ``text`` converts texts, including keys, for example `make_printable`. Tuples become lists;
    values that are not finite become None.
    """
    if isinstance(value, dict):
        return {text(str(key)): plain(item, text) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, text) for item in value]
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool) or value is None:
        return value
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def round_or_none(value: float | None, digits: int) -> float | None:
    """Round a number to some decimals; None if it is missing or not finite."""
    return None if value is None or not math.isfinite(value) else round(value, digits)


def format_count(count: int, noun: str, plural: str = "") -> str:
    """Format a count with its noun in singular or plural: ``1 photo``, ``2,000 photos``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
