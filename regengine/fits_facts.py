"""What the header of a FITS image says of it, as EXIF says of a photo."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regengine.exif import Exif
from regengine.fits_image import fits_headers

if TYPE_CHECKING:
    from astropy.io.fits import Header

MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)
FIRST_MJD = 36_000.0  # June 1957: no frame of a digital camera is older than satellites
LAST_MJD = 88_000.0  # October 2099


def read_fits_exif(path: Path) -> Exif:
    """Time, exposure, focal length and camera out of a FITS header.

    Parameters
    ----------
    path : Path
        A FITS file.

    Returns
    -------
    Exif
        The beginning of the exposure: DATE-OBS (with TIME-OBS), else MJD-OBS; EXPTIME or
        EXPOSURE; FOCALLEN; INSTRUME. What is missing or makes no sense is None; times in a scale
        other than UTC (TIMESYS) are not taken.

    Raises
    ------
    FrameError
        If the file is damaged or holds no image.
    """
    headers = fits_headers(path)
    return Exif(
        time_utc=_time(headers),
        exposure_s=_above_zero(headers, "EXPTIME", "EXPOSURE"),
        focal_mm=_above_zero(headers, "FOCALLEN"),
        camera_body=_text(headers, "INSTRUME"),
    )


def _time(headers: list[Header]) -> datetime | None:
    scale = _text(headers, "TIMESYS")
    if scale is not None and scale.upper() not in ("UTC", "UT", "UT1", "GMT"):
        return None
    date = _text(headers, "DATE-OBS")
    clock = _text(headers, "TIME-OBS", "UT")
    if date is not None and "T" not in date and clock is not None:
        date = f"{date}T{clock}"
    if date is not None and "T" in date:
        try:
            time = datetime.fromisoformat(date.removesuffix("Z"))
        except ValueError:
            pass
        else:
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    mjd = _above_zero(headers, "MJD-OBS")
    if mjd is None or not FIRST_MJD < mjd < LAST_MJD:
        return None
    return MJD_ZERO + timedelta(days=mjd)


def _first(headers: list[Header], names: tuple[str, ...]) -> Any:
    for name in names:
        for header in headers:
            value = None
            with suppress(Exception):  # a card that cannot be read tells nothing
                value = header.get(name)
            if value not in (None, ""):
                return value
    return None


def _text(headers: list[Header], *names: str) -> str | None:
    value = _first(headers, names)
    return str(value).strip() or None if value is not None else None


def _above_zero(headers: list[Header], *names: str) -> float | None:
    try:
        value = float(_first(headers, names))
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) and value > 0.0 else None
