"""Cells of frame records, as archives and volunteers have written them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

NAUTICAL_MILE_KM = 1.852
_EQUATOR_KM = 6378.137  # WGS84, NIMA TR8350.2, table 3.1
_ECCENTRICITY_SQ = 0.00669437999014


def parse_number(text: str) -> float | None:
    """Finite number that makes up the whole text; None where there is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_exposure_s(text: str) -> float | None:
    """Exposure time in seconds out of ``1/30``, ``0.5``, ``1.3s``; None where it is none."""
    found = re.match(r"(\d+(?:\.\d+)?)(?:/(\d+(?:\.\d+)?))?\s*(?:s|\"|\\|$)", text)
    if found is None:
        return None
    seconds = float(found[1]) / (float(found[2] or 1.0) or math.inf)
    return seconds or None


def parse_aperture(text: str) -> float | None:
    """F-number out of ``2.8``, ``f/2.8``, ``F1.4``; None for ``f--`` and the like."""
    found = re.match(r"(?:f/?)?\s*(\d+(?:\.\d+)?)\s*(?:\\|$)", text, re.IGNORECASE)
    return float(found[1]) or None if found else None


def parse_iso(text: str) -> float | None:
    """Sensitivity out of ``3200``, ``12800.0``, ``ISO800``, ``Hi 6400``; None for ``HI-1``."""
    found = re.match(r"(?:iso|hi)?\s*(\d+(?:\.\d+)?)\s*(?:\\|$)", text, re.IGNORECASE)
    return float(found[1]) or None if found else None


def parse_iso_time(text: str) -> datetime | None:
    """Time in UTC out of ISO 8601 text, which is UTC where it names no zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def parse_date_and_time(date: str, time: str) -> datetime | None:
    """Time in UTC out of ``20120328`` and ``154641`` (leading zeros may have been lost)."""
    digits = f"{date}{time.zfill(6)}"
    if re.fullmatch(r"\d{14}", digits) is None:
        return None
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def wrap_lon(lon_deg: float) -> float:
    """Longitude in [-180, 180); one that lies there already is not touched."""
    return lon_deg if -180.0 <= lon_deg < 180.0 else (lon_deg + 180.0) % 360.0 - 180.0


def archive_altitude_km(altitude_nmi: float, lat_deg: float) -> float:
    """Height above WGS84 of an altitude as the archive prints it.

    The archive's altitude is the distance from the Earth's centre minus the radius of the
    equator, in nautical miles: at 52 degrees of latitude 13 km below the height above the
    ellipsoid.

    Parameters
    ----------
    altitude_nmi : float
        The archive's altitude, nautical miles.
    lat_deg : float
        Geodetic latitude of the nadir, degrees.

    Returns
    -------
    float
        Kilometres above the ellipsoid, along the nadir's vertical.
    """
    radius_km = altitude_nmi * NAUTICAL_MILE_KM + _EQUATOR_KM
    sine, cosine = math.sin(math.radians(lat_deg)), math.cos(math.radians(lat_deg))
    prime_vertical = _EQUATOR_KM / math.sqrt(1.0 - _ECCENTRICITY_SQ * sine**2)
    # |((N + h) cos, (N (1 - e2) + h) sin)| = radius, solved for h.
    across, along = prime_vertical, prime_vertical * (1.0 - _ECCENTRICITY_SQ)
    half_linear = across * cosine**2 + along * sine**2
    constant = (across * cosine) ** 2 + (along * sine) ** 2 - radius_km**2
    return math.sqrt(half_linear**2 - constant) - half_linear
