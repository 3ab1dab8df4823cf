"""Order of photo and map in time, and the resulting interpretation of changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Literal

from regengine.references.lights import period_of
from regengine.references.reference import Reference

Earlier = Literal["map", "photo", "neither", "unknown"]
# What a change by its kind, photo against map, is from the earlier of both to the later
OVER_TIME: dict[tuple[str, str], str] = {
    ("map", "new"): "appeared",
    ("map", "lost"): "vanished",
    ("map", "brighter"): "brightened",
    ("map", "fainter"): "dimmed",
    ("photo", "new"): "vanished",
    ("photo", "lost"): "appeared",
    ("photo", "brighter"): "dimmed",
    ("photo", "fainter"): "brightened",
}
UNKNOWN = "unknown"


def find_earlier(time_utc: str | None, maps: Iterable[Reference]) -> Earlier:
    """Which of a photo and the maps that it is compared with is older.

    "neither" if the photo was taken while the maps were, "unknown" without one of the dates.
    """
    periods = [period_of(one.date, one.product) for one in maps]
    if time_utc is None or not periods:
        return "unknown"
    taken, first, last = date.fromisoformat(time_utc[:10]), date.max, date.min
    for period in periods:
        if period is None:
            return "unknown"
        first, last = min(first, period[0]), max(last, period[1])
    if first <= taken <= last:
        return "neither"
    return "map" if taken > last else "photo"


def explain_order(earlier: str, lights_date: str) -> str:
    """Order in time and its consequence for the changes, in words."""
    match earlier:
        case "map":
            return f"the photo is newer than the map ({lights_date}): new lights appeared after it"
        case "photo":
            return (
                f"the photo is older than the map ({lights_date}): new lights in the photo have "
                "since disappeared, lost ones appeared later"
            )
        case "neither":
            return f"photo and map are of the same time ({lights_date}): their order is not known"
    return "photo or map has no date: their order is not known"
