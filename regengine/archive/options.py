"""Days, ranges, boxes and photos as they are typed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from regengine.archive.interpret import composed_id
from regengine.archive.table import read_tables
from regengine.errors import ConfigError
from regengine.photo.frame_records import archive_frame_id


def parse_day(option: str, text: str | None) -> date | None:
    """A day, ``2012-03-01``; ConfigError if it is none."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} {text!r} is no day: write it such as 2012-03-01.") from None


def parse_range(option: str, text: str | None) -> tuple[float, float] | None:
    """A lowest and a highest number, ``28,85``, or one that is both; ConfigError if it is none."""
    if text is None:
        return None
    numbers = _numbers(text)
    if len(numbers) == 1:
        return numbers[0], numbers[0]
    if len(numbers) != 2 or numbers[0] > numbers[1]:
        raise ConfigError(f"{option} {text!r} is no range: write LOW,HIGH.")
    return numbers[0], numbers[1]


def parse_box(option: str, text: str | None) -> tuple[float, float, float, float] | None:
    """West, south, east and north, in degrees; ConfigError if it is none."""
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


def frames_given(arguments: Sequence[str]) -> list[str]:
    """Archive ids that arguments stand for, each once, in their order.

    Arguments are ids in any spelling, and files as `regengine frames read` takes them. ConfigError
    if an argument is neither.
    """
    found: dict[str, None] = {}
    for argument in arguments:
        path = Path(argument)
        if path.is_file():
            found.update(dict.fromkeys(row.frame_id for row in read_tables([path]).rows))
        elif (frame_id := _id(argument)) is not None:
            found[frame_id] = None
        else:
            raise ConfigError(
                f"{argument} is neither a photo's id, such as ISS030-E-184140, nor a table of them."
            )
    return list(found)


def _id(argument: str) -> str | None:
    parts = argument.split("-")
    composed = composed_id(*parts) if len(parts) == 3 else None
    if composed is None and "/" not in argument and "." not in argument:
        composed = archive_frame_id(argument)
    return composed
