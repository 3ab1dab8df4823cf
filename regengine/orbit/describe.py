"""Describe the coverage of an element set file and the satellite's position, as facts for JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from regengine.io.times import iso_utc
from regengine.orbit.propagation import position_from_elements
from regengine.orbit.rotation import utc_of
from regengine.orbit.sun_moon import sun_moon
from regengine.orbit.tle import TleSet

# Between epochs: with larger distances to an epoch, only the orbital plane is known
MIN_GAP_DAYS = 10.0
_SIGMAS = ("sigma_along_km", "sigma_cross_km", "sigma_radial_km")
_ANGLES = ("sun_elevation_deg", "sun_azimuth_deg", "moon_elevation_deg", "moon_azimuth_deg")


def describe_element_sets(tles: TleSet) -> dict[str, Any]:
    """Describe the coverage of a file of element sets, ready for JSON."""
    days = tles.epoch_days
    gaps = [
        {
            "from_utc": _stamp(utc_of(days[row])),
            "to_utc": _stamp(utc_of(days[row + 1])),
            "days": round(float(days[row + 1] - days[row]), 1),
        }
        for row in np.flatnonzero(np.diff(days) > MIN_GAP_DAYS)
    ]
    return {
        "file": str(tles.path),
        "satellite": tles.satellite,
        "name": tles[len(tles) - 1].name,
        "element_sets": len(tles),
        "first_epoch_utc": _stamp(utc_of(days[0])),
        "last_epoch_utc": _stamp(utc_of(days[-1])),
        "gaps": gaps,
        "skipped": [{"line": one.line_number, "reason": one.reason} for one in tles.skipped],
        "other_satellites": list(tles.other_satellites),
    }


def describe_position(tles: TleSet, time: datetime) -> dict[str, Any]:
    """Describe the satellite's position at a time, its uncertainty, and the illumination.

    Raises EphemerisError if the element sets do not cover the time.
    """
    chosen, refused = tles.choose(time)
    position = position_from_elements(chosen, time)
    light = sun_moon(time, position.lon, position.lat)
    assert position.velocity_ecef_m_s is not None
    return {
        "time_utc": _stamp(time),
        "epoch_utc": _stamp(chosen.epoch_utc),
        "line": chosen.line_number,
        "tle_age_h": round(chosen.age_h(time), 2),
        "nadir": {
            "lon": round(position.lon, 4),
            "lat": round(position.lat, 4),
            "altitude_km": round(position.altitude_km, 2),
        },
        "direction": "ascending" if position.velocity_ecef_m_s[2] > 0.0 else "descending",
        **{name: round(getattr(position, name), 2) for name in _SIGMAS},
        **{name: round(getattr(light, name), 2) for name in _ANGLES},
        "moon_illumination": round(light.moon_illumination, 3),
        "passed_over": [{"line": one.line_number, "reason": one.reason} for one in refused],
    }


def _stamp(time: datetime) -> str:
    """Format a time in UTC, with milliseconds if it has any."""
    return iso_utc(time, "milliseconds" if time.microsecond else "seconds")
