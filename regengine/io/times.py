"""Parse and format times in common notations, with any time zone and with leap seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

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
    """Return the current time, ISO 8601, UTC, whole seconds."""
    return iso_utc(datetime.now(UTC), "seconds")


def iso_utc(moment: datetime, timespec: str = "auto") -> str:
    """Format a time as in records: ``2012-03-28T15:46:41Z``, with fractions of a second if any.

    ``timespec``, as in `datetime.isoformat`, is the unit to which it is truncated.
    """
    return to_utc(moment).isoformat(timespec=timespec).replace("+00:00", "Z")


def parse_zone(text: str) -> timezone | None:
    """Parse a time zone: ``Z``, ``UTC``, ``+02:00``, ``+9:00``, ``-0330``, ``UTC+9``.

    None if no place has such a zone. ``09:00`` is ambiguous: east or west of Greenwich.
    """
    text = text.strip()
    if text.upper() in ("Z", "UTC", "UT", "GMT"):
        return UTC
    match = _ZONE.fullmatch(text)
    if match is None:
        return None
    hours = int(match["hours"]) + int(match["minutes"] or 0) / 60.0
    # Of the Line Islands; to the west it is 12
    if hours > 14.0:
        return None
    return timezone(timedelta(hours=hours if match["sign"] == "+" else -hours))


def parse_iso_time(text: str, *, day_is_midnight: bool = False) -> datetime | None:
    """Parse ISO 8601 text as UTC time; without a zone it is taken as UTC; see `parse_zone`.

    A date without a time of day is rejected: the station circles the Earth sixteen times in a day.
    """
    text = text.strip()
    match = _ISO.fullmatch(text)
    try:
        if match is None:
            return datetime.fromisoformat(text).replace(tzinfo=UTC) if day_is_midnight else None
        zone = parse_zone(match["zone"]) if match["zone"].strip() else UTC
        clock, leaps = _SIXTIETH_SECOND.subn(r"\g<1>59", match["clock"])
        time = datetime.fromisoformat(f"{match['day']}T{clock}").replace(tzinfo=zone)
        if zone is None or not leaps:
            return None if zone is None else to_utc(time)
        # A leap second counts as the first second of the next day, and ends a month in UTC
        after = to_utc(time) + timedelta(seconds=1)
        is_first = (after.day, after.hour, after.minute, after.second) == (1, 0, 0, 0)
        return after if is_first else None
    except (ValueError, OverflowError):
        return None


def names_zone(text: str) -> bool:
    """Whether ISO 8601 text names its time zone."""
    match = _ISO.fullmatch(text.strip())
    return match is not None and bool(match["zone"].strip())


def parse_date_and_time(date: str, time: str) -> datetime | None:
    """Parse ``20120328`` and ``154641`` as UTC time (leading zeros may have been lost)."""
    time = time.zfill(6)
    return parse_iso_time(f"{date}T{time}") if f"{date}{time}".isdecimal() else None


def to_utc(time: datetime) -> datetime:
    """Convert a time to UTC; without a zone it is taken as UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
