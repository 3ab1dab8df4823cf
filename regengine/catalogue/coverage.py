"""How much was photographed: frames, nights, places, ground, in all or by country, month, lens."""

from __future__ import annotations

import json

from regengine.catalogue.area_seen import AREAS
from regengine.catalogue.reader import Answer, Catalogue
from regengine.errors import ConfigError

BY = ("all", "country", "month", "lens")
OF_ALL = """
SELECT
    count(*) AS frames, count(*) FILTER (verdict = 'accepted') AS accepted,
    count(DISTINCT night) FILTER (verdict = 'accepted') AS nights,
    count(DISTINCT place_id) FILTER (verdict = 'accepted') AS places,
    min(night) FILTER (verdict = 'accepted') AS first_night,
    max(night) FILTER (verdict = 'accepted') AS last_night,
    round(median(quality) FILTER (verdict = 'accepted'), 3) AS median_quality
FROM frames
"""
OF_EACH = OF_ALL.replace("SELECT", "SELECT $by AS key,") + "GROUP BY key ORDER BY $order"
NAMES = (
    "frames", "accepted", "nights", "places", "area_seen_km2", "first_night", "last_night",
    "median_quality",
)  # fmt: skip


def coverage(catalogue: Catalogue, by: str = "all") -> Answer:
    """Coverage statistics.

    Parameters
    ----------
    catalogue : Catalogue
        To be asked.
    by : str, optional
        ``all``, or ``country``, ``month`` or ``lens`` for a row of each.

    Returns
    -------
    Answer
        ``frames`` of any verdict; of the accepted ones ``accepted``, ``nights``, ``places``,
        ``area_seen_km2`` (ground that at least one of them shows), ``first_night``,
        ``last_night``, ``median_quality``.

    Raises
    ------
    ConfigError
        If there is no such division.
    """
    if by not in BY:
        raise ConfigError(f"--by {by}: it is none of {', '.join(BY)}.")
    areas = json.loads(catalogue.metadata.get(AREAS, "{}")).get(by, {})
    if by == "all":
        rows = catalogue.ask(OF_ALL).dicts()
        keyed = [("", row) for row in rows]
    else:
        order = "key" if by == "month" else "accepted DESC, key"
        question = OF_EACH.replace("$by", by).replace("$order", order)
        keyed = [(row["key"], row) for row in catalogue.ask(question).dicts()]
    head = () if by == "all" else (by,)
    found = [
        (*((key,) if head else ()), *({**row, "area_seen_km2": areas.get(key)}[n] for n in NAMES))
        for key, row in keyed
    ]
    return Answer(names=(*head, *NAMES), rows=iter(found))
