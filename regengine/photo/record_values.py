"""Parse values in tables of photos, in the notations of archives and volunteers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime

from detectors.constants import SEMI_MAJOR_M
from regengine.io.times import parse_iso_time, to_utc
from regengine.photo.exif import parse_exif_time

NAUTICAL_MILE_KM = 1.852
UNKNOWN = frozenset({"", "-", "--", "nan", "none", "null", "n/a", "¿?", "?", "unknown"})
_ECCENTRICITY_SQ = 0.00669437999014
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d\d)(?::(\d\d))?$")
_DECIMAL = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_PAIR = re.compile(rf"({_DECIMAL})\s*[,;]\s*({_DECIMAL})$")
_COMMA_PAIR = re.compile(r"([+-]?\d+,\d+)\s*[,;]\s*([+-]?\d+,\d+)$")
_ARCS = re.compile(
    r"(\d+)°\s*(\d+)['′]\s*(\d+(?:\.\d+)?)[\"″]\s*([NS])[\s,;]*"
    r"(\d+)°\s*(\d+)['′]\s*(\d+(?:\.\d+)?)[\"″]\s*([EWO])$"
)
_NAMED_PAIR = re.compile(r"Latitude:\s*([+-]?\d+(?:\.\d+)?)\D*?Longitude:\s*([+-]?\d+(?:\.\d+)?)")
# Cameras by the codes of the archive's database, from the list in its search form
CAMERAS: Mapping[str, str] = {
    "C1": "Canon Digital IXUS 700",
    "E2": "Kodak DCS460",
    "E3": "Kodak DCS660",
    "E4": "Kodak DCS760c",
    "HB": "Hasselblad",
    "LH": "Linhof",
    "N1": "Nikon D1",
    "N2": "Nikon D2Xs",
    "N3": "Nikon D3",
    "N4": "Nikon D3X",
    "N5": "Nikon D3S",
    "N6": "Nikon D4",
    "N7": "Nikon D800E",
    "N8": "Nikon D5",
    "N9": "Nikon D850",
    "NA": "Nikon D6",
    "NB": "Nikon Z9",
    "NK": "Nikon 35mm film camera",
    "RX": "Rolleiflex",
}


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
    found = re.match(r"(\d+(?:\.\d+)?)(?:/(\d+(?:\.\d+)?))?\s*(?:s|\"|\\|$)", text)
    if found is None:
        return None
    seconds = float(found[1]) / (float(found[2] or 1.0) or math.inf)
    return seconds or None


def parse_setting(text: str, sign: str) -> float | None:
    """Parse an f-number ``2.8``, ``f/2.8``, ``F1.4``, or a sensitivity ``3200``, ``Hi 6400``.

    ``sign`` is the pattern of what may stand before it; None for ``f--``, ``HI-1`` and the like.
    """
    found = re.match(rf"(?:{sign})?\s*(\d+(?:\.\d+)?)\s*(?:\\|$)", text, re.IGNORECASE)
    return float(found[1]) or None if found else None


def parse_time(text: str) -> datetime | None:
    """Parse ISO 8601, EXIF's form, or ``1/30/2008 22:42:27`` as UTC time.

    In the last form, day and month must be distinguishable by their values. If both can be a month
    and differ, the time is ambiguous, and the result is None.
    """
    text = text.strip()
    found = _SLASHED.match(text)
    if found is None:
        if (time := parse_iso_time(text)) is None and (time := parse_exif_time(text)) is not None:
            time = to_utc(time)
        return time
    first, second, year, *clock = (int(part or 0) for part in found.groups())
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
        lat, lon = _parse_arc(parts[:4]), _parse_arc(parts[4:])
    else:
        found = _COMMA_PAIR.match(text) or _PAIR.match(text) or _NAMED_PAIR.search(text)
        if found is None:
            return None
        lat, lon = (float(part.replace(",", ".")) for part in found.groups())
    return (lat, lon) if abs(lat) <= 90.0 and abs(lon) <= 360.0 else None


def _parse_arc(parts: tuple[str, ...]) -> float:
    """Convert degrees, minutes, seconds and a letter to degrees; O is a Spanish west."""
    whole = int(parts[0]) + int(parts[1]) / 60.0 + float(parts[2]) / 3600.0
    return -whole if parts[3] in "SWO" else whole


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


def parse_camera(text: str) -> str:
    """Return the name of a camera, without further lines; a code is replaced by its name."""
    name = clean_text(re.split(r"[\r\n]|\\r|\\n", text)[0])
    return CAMERAS.get(name.upper(), name)


def clean_text(text: str) -> str:
    """Return a text on one line, of limited length, without terminal control characters."""
    plain = text
    if not text.isprintable():
        plain = "".join(letter if letter.isprintable() else " " for letter in text)
    # Maximum characters of a caption
    return " ".join(plain.split())[:2000]
