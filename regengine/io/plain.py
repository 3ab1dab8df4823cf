"""Convert values for JSON, terminals and sentences: plain types, finite, valid UTF-8, counts."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from typing import Any


def make_printable(text: str) -> str:
    r"""Return text that is valid UTF-8: bytes of odd file names become ``\udcXX``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


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
