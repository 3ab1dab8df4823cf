"""Times as people and programs write them, with any time zone and with leap seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

FARTHEST_ZONE_H = 14.0  # of the Line Islands; to the west it is 12
_ZONE = re.compile(
    r"(?:UTC?|GMT)?\s*(?P<sign>[-+\N{MINUS SIGN}])\s*(?P<hours>\d\d?)(?::?(?P<minutes>[0-5]\d))?",
    re.ASCII | re.IGNORECASE,
)
_ISO = re.compile(
    r"(?P<day>\d{4}-?\d\d-?\d\d|\d{4}-?W\d\d-?\d)(?:\s+|[^\d+-])(?P<clock>\d[\d:.,]*)(?P<zone>.*)",
    re.ASCII,
)
_SIXTIETH_SECOND = re.compile(r"^(\d\d:?\d\d:?)60(?!\d)", re.ASCII)


def utc_now() -> str:
    """The time, ISO 8601, UTC, whole seconds."""
    return iso_utc(datetime.now(UTC), "seconds")


def iso_utc(moment: datetime, timespec: str = "auto") -> str:
    """A time as records spell it: ``2012-03-28T15:46:41Z``, with what it has of a second.

    ``timespec``, as of `datetime.isoformat`, says to how much of a second it is cut.
    """
    return to_utc(moment).isoformat(timespec=timespec).replace("+00:00", "Z")


def parse_zone(text: str) -> timezone | None:
    """Time zone out of ``Z``, ``UTC``, ``+02:00``, ``+9:00``, ``-0330``, ``UTC+9``.

    None where there is none that places have. ``09:00`` leaves open on which side of Greenwich.
    """
    text = text.strip()
    if text.upper() in ("Z", "UTC", "UT", "GMT"):
        return UTC
    found = _ZONE.fullmatch(text)
    if found is None:
        return None
    hours = int(found["hours"]) + int(found["minutes"] or 0) / 60.0
    if hours > FARTHEST_ZONE_H:
        return None
    return timezone(timedelta(hours=hours if found["sign"] == "+" else -hours))


def parse_iso_time(text: str, *, day_is_midnight: bool = False) -> datetime | None:
    """Time in UTC out of ISO 8601 text, which is UTC where it names no zone; see `parse_zone`.

    A day without a time of day is no time: the station circles the Earth sixteen times in it.
    """
    text = text.strip()
    found = _ISO.fullmatch(text)
    try:
        if found is None:
            return datetime.fromisoformat(text).replace(tzinfo=UTC) if day_is_midnight else None
        zone = parse_zone(found["zone"]) if found["zone"].strip() else UTC
        clock, leaps = _SIXTIETH_SECOND.subn(r"\g<1>59", found["clock"])
        time = datetime.fromisoformat(f"{found['day']}T{clock}").replace(tzinfo=zone)
        return None if zone is None else (pass_leap_second(time) if leaps else to_utc(time))
    except (ValueError, OverflowError):
        return None


def names_zone(text: str) -> bool:
    """Whether ISO 8601 text names its time zone."""
    found = _ISO.fullmatch(text.strip())
    return found is not None and bool(found["zone"].strip())


def parse_date_and_time(date: str, time: str) -> datetime | None:
    """Time in UTC out of ``20120328`` and ``154641`` (leading zeros may have been lost)."""
    time = time.zfill(6)
    return parse_iso_time(f"{date}T{time}") if f"{date}{time}".isdecimal() else None


def pass_leap_second(before: datetime) -> datetime | None:
    """Time in UTC of a leap second, given that a second before it: it counts as the next day's.

    None where none can be: they end a month in UTC, and 10:14:60 is no time.
    """
    after = to_utc(before) + timedelta(seconds=1)
    is_first = (after.day, after.hour, after.minute, after.second) == (1, 0, 0, 0)
    return after if is_first else None


def to_utc(time: datetime) -> datetime:
    """A time in UTC, which it is where it has no zone."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
