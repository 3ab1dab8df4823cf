"""The night to which a photo belongs."""

from __future__ import annotations

from datetime import date, datetime, timedelta

HOURS_PER_DEGREE = 1.0 / 15.0


def night_of(time_utc: datetime, lon: float) -> date:
    """Date of the evening of a night, by the mean solar time of a place.

    Photos before and after midnight, and on both sides of the date line, belong to one night.

    Parameters
    ----------
    time_utc : datetime
        Aware.
    lon : float
        Degrees.

    Returns
    -------
    date
        A night goes from one mean solar noon to the next.
    """
    return (time_utc + timedelta(hours=lon * HOURS_PER_DEGREE - 12.0)).date()


def month_of(night: date) -> str:
    """The month of a night, such as ``2012-03``."""
    return f"{night.year:04d}-{night.month:02d}"
