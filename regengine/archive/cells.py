"""Cells of tables that people have kept by hand: dates, coordinates, lenses, links."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from regengine.exif import parse_exif_time
from regengine.frame_id import archive_frame_id
from regengine.record_values import parse_iso_time, parse_number

LONGEST_TEXT = 2000  # characters of a caption
# Any mission, roll and frame: ISS030-E-184140, STS099-744-38, ISS006-370-12
_ANY_ID = re.compile(
    r"(?<![A-Za-z0-9])([A-Za-z]{2,4}\d{1,3}[A-Za-z]?)[-_ ]([A-Za-z0-9]{1,4})[-_ ](\d{1,7})(?!\d)"
)
_MISSION = re.compile(r"(?<![A-Z0-9])([A-Z]{2,4})(\d{1,3})([A-Z]?)(?![A-Z0-9])", re.IGNORECASE)
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d\d)(?::(\d\d))?$")
_PAIR = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*[,;]\s*([+-]?\d+(?:\.\d+)?)$")
_COMMA_PAIR = re.compile(r"([+-]?\d+,\d+)\s*[,;]\s*([+-]?\d+,\d+)$")
_ARCS = re.compile(
    r"(\d+)°\s*(\d+)['′]\s*(\d+(?:\.\d+)?)[\"″]\s*([NS])[\s,;]*"
    r"(\d+)°\s*(\d+)['′]\s*(\d+(?:\.\d+)?)[\"″]\s*([EWO])$"
)
_NAMED_PAIR = re.compile(r"Latitude:\s*([+-]?\d+(?:\.\d+)?)\D*?Longitude:\s*([+-]?\d+(?:\.\d+)?)")
_LENS = re.compile(r"(\d+(?:\.\d+)?)\s*(?:mm)?$", re.IGNORECASE)
UNKNOWN = frozenset({"", "-", "--", "nan", "none", "null", "n/a", "¿?", "?", "unknown"})


def clean_text(text: str) -> str:
    """Text on one line, of bounded length, without marks that command a terminal."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(plain.split())[:LONGEST_TEXT]


def composed_id(mission: str, roll: str, frame: str) -> str | None:
    """Archive id out of its three parts, as the archive writes it.

    Parameters
    ----------
    mission, roll, frame : str
        Such as ``iss30``, ``e`` and ``  006000``.

    Returns
    -------
    str or None
        ``ISS030-E-6000``; None where they are no such parts.
    """
    found = _MISSION.fullmatch(mission.strip())
    number, roll = frame.strip(), roll.strip().upper()
    if found is None or not re.fullmatch(r"[A-Z0-9]{1,4}", roll) or not number.isdecimal():
        return None
    if not number.isascii() or len(number) > 7:
        return None
    return f"{found[1].upper()}{int(found[2]):03d}{found[3].upper()}-{roll}-{int(number)}"


def id_in(text: str) -> str | None:
    """Archive id that a text holds, in a name or a link to the archive's pages or pictures."""
    if "=" in text and "?" in text:
        asked = _asked(text)
        parts = [asked.get(name, [""])[0] for name in ("mission", "roll", "frame")]
        if (found := composed_id(*parts)) is not None:
            return found
    if (of_station := archive_frame_id(text)) is not None:
        return of_station
    other = _ANY_ID.search(text)
    return None if other is None else composed_id(*other.groups())


def mission_in(text: str) -> str | None:
    """Mission that a file's name tells, such as ``ISS030`` in ``City_ISS030.txt``."""
    found = re.search(r"(?<![A-Za-z0-9])ISS(\d{1,3})(?!\d)", text.replace("_", " "), re.IGNORECASE)
    return None if found is None else f"ISS{int(found[1]):03d}"


def parse_any_time(text: str) -> datetime | None:
    """Time in UTC out of ISO 8601, EXIF's form, or ``1/30/2008 22:42:27``.

    Of the last, day and month must be told apart by their size; where both may be a month, and
    differ, there is no time.
    """
    text = text.strip()
    found = _SLASHED.match(text)
    if found is None:
        naive = parse_exif_time(text)
        if naive is not None and len(text) <= 19:
            return naive.replace(tzinfo=UTC)
        return parse_iso_time(text) if len(text) > 10 else None
    first, second, year, hour, minute, seconds = (int(part or 0) for part in found.groups())
    if first <= 12 and second <= 12 and first != second:
        return None
    month, day = (first, second) if first <= 12 else (second, first)
    try:
        return datetime(year, month, day, tzinfo=UTC) + timedelta(
            hours=hour, minutes=minute, seconds=seconds
        )
    except (ValueError, OverflowError):
        return None


def parse_coordinates(text: str) -> tuple[float, float] | None:
    """Latitude and longitude out of the forms in which people note them.

    Parameters
    ----------
    text : str
        ``42.0, 12.5``; with decimal commas ``40,61, -3,74``; ``1°28'5.02"N 103°44'29.18"E``; or
        the archive's own ``Center Point Latitude: -26.0 Center Point Longitude: 28.0``.

    Returns
    -------
    tuple of float or None
        Degrees; None where it is none of these.
    """
    text = text.strip()
    if (arcs := _ARCS.match(text)) is not None:
        parts = arcs.groups()
        lat, lon = _degrees(parts[:4]), _degrees(parts[4:])
    else:
        found = _COMMA_PAIR.match(text) or _PAIR.match(text) or _NAMED_PAIR.search(text)
        if found is None:
            return None
        lat, lon = (float(part.replace(",", ".")) for part in found.groups())
    return (lat, lon) if abs(lat) <= 90.0 and abs(lon) <= 360.0 else None


def _degrees(parts: tuple[str, ...]) -> float:
    """Degrees, minutes, seconds and a letter as degrees; O is a Spanish west."""
    whole = int(parts[0]) + int(parts[1]) / 60.0 + float(parts[2]) / 3600.0
    return -whole if parts[3] in "SWO" else whole


def parse_lens(text: str) -> float | None:
    """Focal length in millimetres out of ``85``, ``24.0 mm``; None for ``Length:`` and ``0``."""
    found = _LENS.match(text.strip())
    return (parse_number(found[1]) or None) if found else None


def linked_coordinates(text: str) -> tuple[float, float] | None:
    """Latitude and longitude that a link to the archive's map of a photo's nadir carries."""
    if "MapCoordinate" not in text:
        return None
    asked = _asked(text)
    return parse_coordinates(",".join(asked.get(name, [""])[0] for name in ("lat", "lon")))


def _asked(link: str) -> dict[str, list[str]]:
    """What a link asks for; nothing where it is no link."""
    try:
        return parse_qs(urlsplit(link.strip()).query, max_num_fields=20, errors="replace")
    except ValueError:
        return {}
