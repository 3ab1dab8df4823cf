"""Boxes on a globe: from west to east, also where that leads across the antimeridian."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from regengine.export.footprint import Ring

Span = tuple[float, float]  # of longitudes, eastward; the first is the larger across 180 degrees


def rings_bbox(rings: Sequence[Ring]) -> list[float] | None:
    """Box of polygons that are cut at the antimeridian.

    Parameters
    ----------
    rings : sequence of list of (lon, lat)
        See `regengine.export.footprint.footprint`.

    Returns
    -------
    list of float or None
        [west, south, east, north] as RFC 7946, 5.2, has it: west is larger than east where the box
        lies across the antimeridian. None without polygons.
    """
    if not rings:
        return None
    lons = [[lon for lon, _ in ring] for ring in rings]
    lats = [lat for ring in rings for _, lat in ring]
    west, east = around((min(each), max(each)) for each in lons)
    return [west, min(lats), east, max(lats)]


def around(spans: Iterable[Span]) -> Span:
    """The shortest span that holds some.

    Parameters
    ----------
    spans : iterable of (west, east)
        At least one.

    Returns
    -------
    (west, east)
        West is larger than east where it lies across the antimeridian; (-180, 180) where they go
        around the Earth.
    """
    joined = united(spans)
    gaps = [after[0] - before[1] for before, after in pairwise(joined)]
    over_180 = joined[0][0] + 360.0 - joined[-1][1]
    if not gaps or over_180 >= max(gaps):
        return joined[0][0], joined[-1][1]
    widest = gaps.index(max(gaps))
    return joined[widest + 1][0], joined[widest][1]


def united(spans: Iterable[Span]) -> list[Span]:
    """Spans that do not touch, none across the antimeridian, from west to east."""
    pieces: list[Span] = []
    for west, east in spans:
        pieces += [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    joined: list[Span] = []
    for west, east in sorted(pieces):
        if joined and west <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(east, joined[-1][1]))
        else:
            joined.append((west, east))
    return joined
