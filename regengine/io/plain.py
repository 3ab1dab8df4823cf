"""Values as JSON, terminals and sentences take them: plain, finite, valid UTF-8, counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def make_printable(text: str) -> str:
    r"""Text that is valid UTF-8: bytes of odd file names become ``\udcXX``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def plain(value: Any, text: Callable[[str], str]) -> Any:
    """Plain JSON values of dictionaries, lists, tuples, text, numbers (NumPy's, too) and None.

    ``text`` says what becomes of texts, keys among them, such as `make_printable`. Tuples become
    lists, and what is not finite None.
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
    """A number to so many decimals; None for what is missing or not finite."""
    return None if value is None or not math.isfinite(value) else round(value, digits)


def format_count(count: int, noun: str, plural: str = "") -> str:
    """A count and what is counted, in its right number: ``1 photo``, ``2,000 photos``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
