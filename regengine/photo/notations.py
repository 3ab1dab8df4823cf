"""How archives and volunteers write photos' ids, and their times, places and settings."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from detectors.constants import SEMI_MAJOR_M
from regengine.io.plain import flatten_bytes
from regengine.io.times import parse_iso_time, to_utc
from regengine.photo.exif import parse_exif_time

# Matches ISS030-E-184140, iss030e184140_lrg, Osaka_ISS006-E-22876 and iss073e0206244: expedition,
# "E" for an electronic camera, number. The archive writes three digits for the expedition and the
# number without leading zeros.
_STATION_ID = re.compile(
    r"(?<![a-z0-9])iss[-_ ]?(\d{1,3})[-_ ]?e[-_ ]?(\d{1,7})(?!\d)", re.IGNORECASE
)
# Photos on film have the number of their roll instead of the E
_FILM_ID = re.compile(r"iss(\d{1,3})-([a-z]?\d{1,3}[a-z]?)-(\d{1,7})", re.IGNORECASE)
# Any mission, roll and frame: ISS030-E-184140, STS099-744-38, ISS006-370-12
_ANY_ID = re.compile(
    r"(?<![A-Za-z0-9])([A-Za-z]{2,4}\d{1,3}[A-Za-z]?)[-_ ]([A-Za-z0-9]{1,4})[-_ ](\d{1,7})(?!\d)"
)
_MISSION = re.compile(r"([A-Z]{2,4})(\d{1,3})([A-Z]?)", re.IGNORECASE)
_MISSION_OF_TABLE = re.compile(r"(?<![A-Za-z0-9])ISS(\d{1,3})(?!\d)", re.IGNORECASE)
_ARCHIVE_PAGE = re.compile(r"https?://eol\.jsc\.nasa\.gov/SearchPhotos/photo\.pl\?.", re.IGNORECASE)
_COPY_ENDING = re.compile(r"(?:_lrg)?(?:\.jpe?g)?$", re.IGNORECASE)
_ENDING = re.compile(r"(?<=.)\.[a-z]\w{1,4}$", re.IGNORECASE)
ID_PARTS = ("mission", "roll", "frame")
RECORD_ENDING = ".record.csv"
NAUTICAL_MILE_KM = 1.852
_ECCENTRICITY_SQ = 0.00669437999014  # of the Earth, WGS84
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d\d)(?::(\d\d))?$")
_DECIMAL = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_PAIR = re.compile(rf"({_DECIMAL})\s*[,;]\s*({_DECIMAL})$")
_COMMA_PAIR = re.compile(r"([+-]?\d+,\d+)\s*[,;]\s*([+-]?\d+,\d+)$")
_ARCS = re.compile(
    r"(\d+)°\s*(\d+)['′]\s*(\d+(?:\.\d+)?)[\"″]\s*([NS])[\s,;]*"
    r"(\d+)°\s*(\d+)['′]\s*(\d+(?:\.\d+)?)[\"″]\s*([EWO])$"
)
_NAMED_PAIR = re.compile(r"Latitude:\s*([+-]?\d+(?:\.\d+)?)\D*?Longitude:\s*([+-]?\d+(?:\.\d+)?)")


def archive_frame_id(text: str) -> str | None:
    match = _STATION_ID.search(text)
    return None if match is None else f"ISS{int(match[1]):03d}-E-{int(match[2])}"


def archive_name(text: str) -> str | None:
    """Return the archive id if a text is one, ``iss030e184140`` or with ``.JPG``, or its link.

    None for other texts, such as paths that contain an id.
    """
    if _ARCHIVE_PAGE.match(text) is not None:
        query = parse_query(text)
        text = "-".join(query.get(part, "") for part in ID_PARTS)
    bare = _COPY_ENDING.sub("", text.strip())
    if (film := _FILM_ID.fullmatch(bare)) is not None:
        return f"ISS{int(film[1]):03d}-{film[2].upper()}-{int(film[3])}"
    return archive_frame_id(bare) if _STATION_ID.fullmatch(bare) else None


def compose_frame_id(mission: str, roll: str, frame: str) -> str | None:
    """Compose an archive id from its three parts, as the archive writes it."""
    match = _MISSION.fullmatch(mission.strip())
    number, roll = frame.strip(), roll.strip().upper()
    if match is None or not re.fullmatch(r"[A-Z0-9]{1,4}", roll) or not number.isdecimal():
        return None
    if not number.isascii() or len(number) > 7:
        return None
    return f"{match[1].upper()}{int(match[2]):03d}{match[3].upper()}-{roll}-{int(number)}"


def find_frame_id(text: str) -> str | None:
    """Return the archive id in a name, or in a link to the archive's pages or pictures."""
    if "=" in text and "?" in text:
        query = parse_query(text)
        if (frame_id := compose_frame_id(*(query.get(part, "") for part in ID_PARTS))) is not None:
            return frame_id
    if (of_station := archive_frame_id(text)) is not None:
        return of_station
    other = _ANY_ID.search(text)
    return None if other is None else compose_frame_id(*other.groups())


def find_mission(text: str) -> str | None:
    """Return the mission in a file's name, such as ``ISS030`` in ``City_ISS030.txt``."""
    match = _MISSION_OF_TABLE.search(text.replace("_", " "))
    return None if match is None else f"ISS{int(match[1]):03d}"


def parse_query(link: str) -> dict[str, str]:
    """Parse the query of a link, the first of several values; empty if it is not a link."""
    try:
        query = parse_qs(urlsplit(link.strip()).query, max_num_fields=20, errors="replace")
    except ValueError:
        return {}
    return {name: values[0] for name, values in query.items()}


def frame_id_of(path: Path) -> str:
    """Return the archive id of a photo by its file name, else the name without its extension.

    ``"ISS073-E-206244"`` for ``iss073e0206244.jpg``, ``"espana"`` for ``espana.png``.
    """
    return archive_frame_id(path.stem) or path.stem


def name_spellings(name: str) -> set[str]:
    """Return a photo's name without folder and case: with ending, without, and as an archive id."""
    base = re.split(r"[/\\]", flatten_bytes(name))[-1]
    spellings = (base, _ENDING.sub("", base), archive_frame_id(base) or base)
    return {spelling.casefold() for spelling in spellings}


def find_alike(photos: Iterable[Path]) -> frozenset[str]:
    """Return names that several photos have but for folder, ending and case.

    Files of the same name beside each other, a raw file and its copy, are one photo.
    """
    named = {(photo.parent, photo.stem): photo.name for photo in photos}
    count = Counter(one for name in named.values() for one in name_spellings(name))
    return frozenset(name for name, number in count.items() if number > 1)


def record_place(path: Path) -> Path:
    return path.with_name(path.stem + RECORD_ENDING)


def parse_number(text: str) -> float | None:
    """Parse a text that is one finite number; else None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_focal_mm(text: str) -> float | None:
    """Parse a focal length ``85``, ``24.0 mm``; None for ``Length:`` and the like."""
    return parse_number(re.sub(r"\s*mm$", "", text.strip(), flags=re.IGNORECASE))


def parse_exposure_s(text: str) -> float | None:
    """Parse an exposure time ``1/30``, ``0.5``, ``1.3s`` in seconds; None if it is invalid."""
    match = re.match(r"(\d+(?:\.\d+)?)(?:/(\d+(?:\.\d+)?))?\s*(?:s|\"|\\|$)", text)
    if match is None:
        return None
    seconds = float(match[1]) / (float(match[2] or 1.0) or math.inf)
    return seconds or None


def parse_setting(text: str, sign: str) -> float | None:
    """Parse an f-number ``2.8``, ``f/2.8``, ``F1.4``, or a sensitivity ``3200``, ``Hi 6400``.

    ``sign`` is the pattern of what may stand before it; None for ``f--``, ``HI-1`` and the like.
    """
    match = re.match(rf"(?:{sign})?\s*(\d+(?:\.\d+)?)\s*(?:\\|$)", text, re.IGNORECASE)
    return float(match[1]) or None if match else None


def parse_time(text: str) -> datetime | None:
    """Parse ISO 8601, EXIF's form, or ``1/30/2008 22:42:27`` as UTC time.

    In the last form, day and month must be distinguishable by their values. If both can be a month
    and differ, the time is ambiguous, and the result is None.
    """
    text = text.strip()
    match = _SLASHED.match(text)
    if match is None:
        if (time := parse_iso_time(text)) is None and (time := parse_exif_time(text)) is not None:
            time = to_utc(time)
        return time
    first, second, year, *clock = (int(part or 0) for part in match.groups())
    if first <= 12 and second <= 12 and first != second:
        return None
    month, day = (first, second) if first <= 12 else (second, first)
    hour, minute, seconds = (f"{part:02}" for part in clock)
    return parse_iso_time(f"{year}-{month:02}-{day:02}T{hour}:{minute}:{seconds}")


def parse_coordinates(text: str) -> tuple[float, float] | None:
    """Parse latitude and longitude in common notations."""
    text = text.strip()
    if (arcs := _ARCS.match(text)) is not None:
        parts = arcs.groups()
        lat, lon = (
            # O is a Spanish west
            (-1.0 if letter in "SWO" else 1.0)
            * (int(degrees) + int(minutes) / 60.0 + float(seconds) / 3600.0)
            for degrees, minutes, seconds, letter in (parts[:4], parts[4:])
        )
    else:
        match = _COMMA_PAIR.match(text) or _PAIR.match(text) or _NAMED_PAIR.search(text)
        if match is None:
            return None
        lat, lon = (float(part.replace(",", ".")) for part in match.groups())
    return (lat, lon) if abs(lat) <= 90.0 and abs(lon) <= 360.0 else None


def wrap_lon(lon_deg: float) -> float:
    """Wrap a longitude to [-180, 180); a value in this range is unchanged."""
    return lon_deg if -180.0 <= lon_deg < 180.0 else (lon_deg + 180.0) % 360.0 - 180.0


def archive_altitude_km(altitude_nmi: float, lat_deg: float) -> float:
    """Convert an altitude of the archive to height above WGS84, km along the nadir's vertical.

    The archive's altitude (nautical miles) is the distance from the Earth's centre minus the radius
    of the equator: at 52 degrees of geodetic latitude 13 km below the height above the ellipsoid.
    """
    radius_km = altitude_nmi * NAUTICAL_MILE_KM + (1e-3 * SEMI_MAJOR_M)
    sine, cosine = math.sin(math.radians(lat_deg)), math.cos(math.radians(lat_deg))
    prime_vertical = (1e-3 * SEMI_MAJOR_M) / math.sqrt(1.0 - _ECCENTRICITY_SQ * sine**2)
    # |((N + h) cos, (N (1 - e2) + h) sin)| = radius, solved for h.
    across, along = prime_vertical, prime_vertical * (1.0 - _ECCENTRICITY_SQ)
    half_linear = across * cosine**2 + along * sine**2
    constant = (across * cosine) ** 2 + (along * sine) ** 2 - radius_km**2
    return math.sqrt(half_linear**2 - constant) - half_linear


def clean_text(text: str) -> str:
    """Return a text on one line, of limited length, without terminal control characters."""
    plain = text
    if not text.isprintable():
        plain = "".join(letter if letter.isprintable() else " " for letter in text)
    # Maximum characters of a caption
    return " ".join(plain.split())[:2000]
