"""Values as literals that a server reads alike whatever its settings are.

MySQL takes a backslash in a string for an escape unless ``NO_BACKSLASH_ESCAPES`` is set, and its
client turns line ends; PostgreSQL does the former where ``standard_conforming_strings`` is off.
So text with a backslash or a control character is written in a way that has one meaning only:
as hexadecimal digits for MySQL, as an ``E'...'`` string for PostgreSQL.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

from regengine.export.footprint import Ring
from regengine.record_values import parse_iso_time, wrap_lon
from regengine.records import printable

NULL = "NULL"
FIRST_YEAR = 1000  # of MySQL's DATETIME
_TRICKY = re.compile("[\\\\\x00-\x1f\x7f]")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def held_text(text: str) -> str:
    r"""Text as both servers can hold it: valid UTF-8, with ``\u0000`` for a zero byte."""
    return printable(text).replace("\0", "\\u0000")


def mysql_text(text: str) -> str:
    """Text as a literal of MySQL and MariaDB under any ``sql_mode``."""
    held = held_text(text)
    if _TRICKY.search(held):
        return f"_utf8mb4 X'{held.encode().hex()}'"
    return "'" + held.replace("'", "''") + "'"


def postgresql_text(text: str) -> str:
    """Text as a literal of PostgreSQL whatever ``standard_conforming_strings`` is."""
    held = held_text(text).replace("'", "''")
    if not _TRICKY.search(held):
        return f"'{held}'"
    return "E'" + _TRICKY.sub(lambda found: _escaped(found[0]), held) + "'"


def number(value: float) -> str:
    """A number with all its digits; ``NULL`` where it is not finite."""
    return repr(float(value)) if math.isfinite(value) else NULL


def moment(text: str) -> datetime | None:
    """A time in UTC that both servers can hold; None where the text is none."""
    time = parse_iso_time(text)
    return time if time is not None and time.year >= FIRST_YEAR else None


def mysql_moment(time: datetime) -> str:
    """A time as MySQL's ``DATETIME(6)``, UTC, which knows no time zones."""
    return f"'{time.astimezone(UTC).replace(tzinfo=None).isoformat(' ')}'"


def postgresql_moment(time: datetime) -> str:
    """A time as PostgreSQL's ``timestamptz``."""
    return f"'{time.isoformat(' ')}'"


def point_wkt(place: tuple[float, float]) -> str | None:
    """A place as well-known text, longitude first; None where there is none."""
    lon, lat = place
    if not (math.isfinite(lon) and -90.0 <= lat <= 90.0):
        return None
    return f"POINT({wrap_lon(lon)!r} {lat!r})"


def polygons_wkt(rings: list[Ring]) -> str | None:
    """Polygons as well-known text, longitude first; None where there are none."""
    if not rings:
        return None
    parts = (",".join(f"{lon!r} {lat!r}" for lon, lat in ring) for ring in rings)
    return "MULTIPOLYGON(" + ",".join(f"(({part}))" for part in parts) + ")"


def _escaped(letter: Any) -> str:
    return _ESCAPES.get(letter) or f"\\x{ord(letter):02x}"
