"""Days, ranges and boxes as they are typed."""

from __future__ import annotations

import math
from datetime import date

from regengine.errors import ConfigError


def parse_day(option: str, text: str | None) -> date | None:
    """A day, ``2012-03-01``.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} {text!r} is no day: write it such as 2012-03-01.") from None


def parse_range(option: str, text: str | None) -> tuple[float, float] | None:
    """A lowest and a highest number, ``28,85``, or one that is both.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if text is None:
        return None
    numbers = _numbers(text)
    if len(numbers) == 1:
        return numbers[0], numbers[0]
    if len(numbers) != 2 or numbers[0] > numbers[1]:
        raise ConfigError(f"{option} {text!r} is no range: write LOW,HIGH.")
    return numbers[0], numbers[1]


def parse_box(option: str, text: str | None) -> tuple[float, float, float, float] | None:
    """West, south, east and north, in degrees.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if text is None:
        return None
    numbers = _numbers(text)
    if len(numbers) != 4:
        raise ConfigError(f"{option} {text!r} is no box: write WEST,SOUTH,EAST,NORTH in degrees.")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _numbers(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        return ()
    return numbers if all(math.isfinite(number) for number in numbers) else ()
