"""The dates of placed photos, as the command line asks for them and tells them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from matchers.earth import ecef_to_geodetic, geodetic_to_ecef
from regengine.errors import ConfigError, EphemerisError
from regengine.orbit.position import element_sets
from regengine.orbit.rotation import days_since_j2000
from regengine.photo.frame_records import parse_iso_time
from regengine.records import centre_lonlat, record
from regengine.registration.dates.passes import (
    Dates,
    FoundPlace,
    dates_of_place,
    position_covariance_km2,
)
from regengine.registration.dates.station_history import (
    StationHistory,
    mission_number,
    mission_span,
    station_history,
)
from regengine.result import FrameResult

TABLE_ROWS = 10
DAY = timedelta(days=1)
Span = tuple[datetime | None, datetime | None]
# Orbits out of element sets need no dates
TIMED = "tle"


@dataclass(frozen=True)
class PhotoDates:
    """Finds the dates of photos by one file of element sets, which is read when first needed.

    span: Between which to look; None for where the file begins, and for where it ends.
    """

    tle: Path
    span: Span = (None, None)

    @cached_property
    def history(self) -> StationHistory:
        """The orbits of the file."""
        return station_history(element_sets(self.tle))

    def days(self) -> tuple[float, float]:
        """Between which to look, days since 2000-01-01 12:00 UTC."""
        epochs = self.history.epoch_days
        first, last = float(epochs[0]), float(epochs[-1])
        if self.span == (None, None) and last - first < 1.0:  # one set, or copies of it
            return float(self.history.first_day[0]), float(self.history.last_day[-1])
        asked = [None if moment is None else days_since_j2000(moment) for moment in self.span]
        return (
            first if asked[0] is None else asked[0],
            last if asked[1] is None else asked[1],
        )

    def of(self, result: FrameResult) -> Dates | None:
        """When a photo may have been taken; None where it is not placed, or its time was used."""
        if result.solved is None or result.nadir is None or result.nadir.source == TIMED:
            return None
        first, last = self.days()
        if first >= last:
            raise EphemerisError(
                f"the element sets of {self.tle} end before the time in question: give a file "
                "that spans it."
            )
        place = FoundPlace(
            camera_ecef_km=np.asarray(result.solved.camera.position_ecef_m) / 1e3,
            covariance_km2=position_covariance_km2(result),
            ground_lonlat=ground_middle(result),
        )
        return dates_of_place(self.history, place, first, last)


def photo_dates(
    wanted: bool, date_range: str | None, mission: str | None, tle: Path | None
) -> PhotoDates | None:
    """The finder that ``--date-from-place`` (`wanted`) asks for; None without it.

    For `date_range` see `parse_range`; `mission`, of
    `regengine.registration.dates.station_history.mission_number`, narrows it. Raises ConfigError if
    the options contradict each other or make no sense.
    """
    if not wanted:
        if date_range is not None:
            raise ConfigError("--date-range goes with --date-from-place: give that, too.")
        return None
    if tle is None:
        raise ConfigError(
            "--date-from-place needs the station's orbits: give a TLE file that spans the years "
            "in question with --tle."
        )
    span: Span = (None, None) if date_range is None else parse_range(date_range)
    if mission is not None:
        span = common(span, mission_span(mission_number(mission)))
        first, last = span
        if first is not None and last is not None and first >= last:
            raise ConfigError(
                f"--date-range {date_range} is not within --mission {mission}: leave one away."
            )
    return PhotoDates(tle, span)


def common(one: Span, other: Span) -> Span:
    """What two spans share; None stands for no bound."""
    firsts = [first for first in (one[0], other[0]) if first is not None]
    lasts = [last for last in (one[1], other[1]) if last is not None]
    return max(firsts, default=None), min(lasts, default=None)


def parse_range(text: str) -> tuple[datetime, datetime]:
    """Two moments out of ``2011-01-01,2012-06-30``; a last date counts to its end."""
    parts = [part.strip() for part in text.split(",")]
    moments = [parse_iso_time(part) for part in parts]
    if len(moments) == 2 and moments[0] is not None and moments[1] is not None:
        first, last = moments[0], moments[1]
        if len(parts[1]) <= len("2012-06-30") and last < datetime.max.replace(tzinfo=UTC) - DAY:
            last += DAY
        if first < last:
            return first, last
    raise ConfigError(
        f"--date-range {text!r} is no span of time: write FROM,TO like 2011-01-01,2012-06-30."
    )


def ground_middle(result: FrameResult) -> tuple[float, float]:
    """Middle of what a photo shows of the ground, degrees."""
    assert result.solved is not None
    if result.control_points:
        lon, lat = np.transpose([(point.lon, point.lat) for point in result.control_points])
        middle = ecef_to_geodetic(geodetic_to_ecef(lon, lat).mean(axis=0))
        return float(middle[0]), float(middle[1])
    lon_deg, lat_deg = centre_lonlat(result.solved.camera)
    if np.isfinite(lon_deg) or result.nadir is None:
        return lon_deg, lat_deg
    return result.nadir.lon, result.nadir.lat


def dated_line(
    dates: PhotoDates, line: Callable[[FrameResult], str], as_json: bool
) -> Callable[[FrameResult], str]:
    """What prints a photo with its dates, from what prints one without."""

    def told(result: FrameResult) -> str:
        try:
            found = dates.of(result)
        except EphemerisError as error:
            return line(result) if as_json else f"{line(result)}\n    no dates: {error}"
        if as_json:
            return json.dumps({**record(result), **dates_record(found)}, allow_nan=False)
        return line(result) if found is None else "\n".join([line(result), *dates_lines(found)])

    return told


def dates_record(dates: Dates | None) -> dict[str, Any]:
    """Keys that a record has besides; both null where there is nothing to tell."""
    if dates is None:
        return {"passes": None, "passes_span": None}
    return {
        "passes": [
            {
                "time_utc": _moment(one.time_utc),
                "sigma_s": round(one.sigma_s, 1),
                "probability": float(f"{one.probability:.4g}"),
                "cross_track_km": round(one.cross_track_km, 1),
                "altitude_km": round(one.altitude_km, 1),
                "sun_elevation_deg": round(one.sun_elevation_deg, 1),
                "tle_age_h": round(one.tle_age_h, 1),
            }
            for one in dates.passes
        ],
        "passes_span": {
            "first_utc": _moment(dates.first_utc),
            "last_utc": _moment(dates.last_utc),
            "asked_days": round(dates.asked_days, 2),
            "covered_days": round(dates.covered_days, 2),
            "probability": float(f"{dates.probability:.4g}"),
            "found": dates.found,
        },
    }


def dates_lines(dates: Dates) -> list[str]:
    """The same as a table, the likeliest passes first."""
    share = dates.covered_days / dates.asked_days
    told = [
        f"    {dates.first_utc:%Y-%m-%d} to {dates.last_utc:%Y-%m-%d}: {dates.found} passes by "
        f"night; element sets cover {dates.covered_days:.0f} of {dates.asked_days:.0f} days "
        f"({share:.0%}); it was one of these passes with probability {dates.probability:.2f}"
    ]
    if not dates.passes:
        return told
    told.append(
        "    probability  time (UTC)              ± s  beside km  height km  Sun  TLE age h"
    )
    for one in dates.passes[:TABLE_ROWS]:
        told.append(
            f"    {one.probability:11.4f}  {_moment(one.time_utc)}  {one.sigma_s:6.0f}  "
            f"{one.cross_track_km:9.0f}  {one.altitude_km:9.0f}  {one.sun_elevation_deg:3.0f}  "
            f"{one.tle_age_h:9.0f}"
        )
    rest = dates.found - len(dates.passes[:TABLE_ROWS])
    if rest:
        left = dates.probability - sum(one.probability for one in dates.passes[:TABLE_ROWS])
        told.append(f"    {max(left, 0.0):11.4f}  of {rest} others together")
    return told


def _moment(time: datetime) -> str:
    return f"{time + timedelta(milliseconds=500):%Y-%m-%dT%H:%M:%S}Z"
