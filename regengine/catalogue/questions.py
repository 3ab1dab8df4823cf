"""The questions that everybody asks of a catalogue, as SQL on ``frames``.

Each takes a condition on places (see `where`) and a number of rows, and has the columns that it
names; all are asked of `regengine.catalogue.reader.Catalogue`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from regengine.errors import ConfigError

LEAST_DAYS = 180  # between two frames that are to show a change
CHANGES = """
WITH best AS MATERIALIZED (
    SELECT place_id, place, place_country AS country, frame, night,
        night + ?::INTEGER AS next_night, quality,
        off_nadir_deg AS off_nadir, resolution_m AS resolution, west,
        (east - west + 360.0) % 360.0 AS width, south, north
    FROM frames WHERE $best AND west IS NOT NULL AND $places
), pairs AS (
    SELECT a.place_id, a.night AS night_before, b.night AS night_after,
        least(a.quality, b.quality)
            * least(a.resolution / b.resolution, b.resolution / a.resolution)
            * cos(radians(a.off_nadir - b.off_nadir)) AS alike,
        (b.west - a.west + 540.0) % 360.0 - 180.0 AS shift,
        greatest(least(a.width, shift + b.width) - greatest(0.0, shift), 0.0)
            * greatest(least(a.north, b.north) - greatest(a.south, b.south), 0.0) AS common,
        a.width * (a.north - a.south) + b.width * (b.north - b.south) - common AS either
    FROM best a JOIN best b ON a.place_id = b.place_id AND b.night >= a.next_night
), top AS (
    SELECT place_id, night_before, night_after, common / either AS overlap,
        alike * overlap AS score
    FROM pairs WHERE common > 0.0
    ORDER BY score DESC, place_id, night_before, night_after $limit
)
SELECT place_id, a.place, a.country, a.frame AS before, b.frame AS after, night_before,
    night_after, night_after - night_before AS days, round(overlap, 3) AS overlap,
    round(a.quality, 3) AS quality_before, round(b.quality, 3) AS quality_after,
    round(score, 4) AS score
FROM top JOIN best a USING (place_id) JOIN best b USING (place_id)
WHERE a.night = night_before AND b.night = night_after
ORDER BY top.score DESC, place_id, night_before, night_after
"""
BEST = {"year": "best_of_year", "month": "best_of_month"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which places.

    Attributes
    ----------
    place : str or None
        Name of a place, or its number.
    country : str or None
        Name of a country.
    month : str or None
        The beginning of a month: ``2012`` or ``2012-03``.
    limit : int
        Most rows; 0 for all.
    """

    place: str | None = None
    country: str | None = None
    month: str | None = None
    limit: int = 0


Question = tuple[str, list[Any]]


def where(wanted: Wanted) -> tuple[str, list[Any]]:
    """A condition on rows of ``frames`` that have a place, and its values."""
    if wanted.limit < 0:
        raise ConfigError(f"--limit {wanted.limit}: give the most rows, or 0 for all.")
    conditions, values = ["place_id IS NOT NULL"], []
    if wanted.place is not None and wanted.place.isdecimal():
        conditions.append("place_id = ?::BIGINT")
        values.append(wanted.place)
    elif wanted.place is not None:
        conditions.append("lower(place) = lower(?)")
        values.append(wanted.place)
    if wanted.country is not None:
        conditions.append("lower(place_country) = lower(?)")
        values.append(wanted.country)
    if wanted.month is not None:
        conditions.append("starts_with(month, ?)")
        values.append(wanted.month)
    return " AND ".join(conditions), values


def places(wanted: Wanted) -> Question:
    """Places, those with most frames first."""
    return _limited(
        """
        SELECT place_id, any_value(place) AS place, any_value(place_country) AS country,
            round(any_value(place_lon), 3) AS lon, round(any_value(place_lat), 3) AS lat,
            count(*) AS frames, count(DISTINCT night) AS nights,
            min(night) AS first_night, max(night) AS last_night,
            round(max(quality) FILTER (verdict = 'accepted'), 3) AS best_quality,
            arg_max(frame, quality) FILTER (verdict = 'accepted') AS best_frame
        FROM frames WHERE $places
        GROUP BY place_id ORDER BY frames DESC, place_id $limit
        """,
        wanted,
    )


def best(wanted: Wanted) -> Question:
    """The best frame of each place and month, by place and month."""
    return _limited(
        """
        SELECT place_id, place, place_country AS country, month, frame,
            round(quality, 3) AS quality, round(sharpness, 3) AS sharpness,
            round(cloud, 3) AS cloud, round(off_nadir_deg, 1) AS off_nadir_deg,
            round(resolution_m, 1) AS resolution_m, time_utc, path
        FROM frames WHERE best_of_month AND $places
        ORDER BY place_id, month $limit
        """,
        wanted,
    )


def changes(wanted: Wanted, each: str = "year", least_days: int = LEAST_DAYS) -> Question:
    """Pairs of frames of one place at different dates, the best pairs first.

    The score of a pair is the lower of the two qualities, times the share of ground that both
    show (of the boxes around their footprints), times how alike their resolutions are, times the
    cosine of the difference of their angles from the nadir: what changes should be the town, not
    the view (Li et al. 2019, Remote Sensing of Environment 233, 111357, on how much lights seem
    to change with the angle alone).

    Parameters
    ----------
    wanted : Wanted
        Which places.
    each : str, optional
        Pairs are of the best frames of each ``year``, or, of one place, of each ``month``.
    least_days : int, optional
        Between the two.

    Returns
    -------
    tuple of str and list
        The question and its values.
    """
    if each not in BEST:
        raise ConfigError(f"--each {each}: it is none of {', '.join(BEST)}.")
    if each == "month" and wanted.place is None:
        raise ConfigError("--each month needs --place: of all places, compare years.")
    if least_days < 1:
        raise ConfigError(f"--least-days {least_days}: a change needs at least one day.")
    sql = CHANGES.replace("$best", BEST[each])
    question, values = _limited(sql, wanted)
    return question, [least_days, *values]


def _limited(sql: str, wanted: Wanted) -> Question:
    """A question with its condition on places and its number of rows put in."""
    condition, values = where(wanted)
    limit = "LIMIT ?" if wanted.limit else ""
    if wanted.limit:
        values.append(wanted.limit)
    return sql.replace("$places", condition).replace("$limit", limit), values
