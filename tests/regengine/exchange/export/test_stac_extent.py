"""Boxes on a globe: they hold what they should, and are the shortest that do."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.exchange.export.footprint import rings_bbox, shortest_span, united

WHOLE = st.integers(-180, 180).map(float)
SPANS = st.lists(st.tuples(WHOLE, WHOLE), min_size=1, max_size=6)


def degrees(west: float, east: float) -> set[int]:
    """Whole degrees' middles between two longitudes, eastward, as numbers from 0 to 359."""
    end = east if east >= west else east + 360.0
    return {(number + 180) % 360 for number in range(int(west), int(end))}


@given(SPANS)
def test_a_span_around_spans_is_the_shortest(spans: list[tuple[float, float]]) -> None:
    west, east = shortest_span(spans)
    covered = degrees(west, east)
    wanted = set().union(*(degrees(*span) for span in spans))
    assert wanted <= covered
    # By trial: from each degree on, how far one has to go to have them all
    ends = {one % 360 for span in spans for one in (int(span[0]) + 180, int(span[1]) + 180)}
    points = sorted(wanted | ends)
    shortest = min(max((one - start) % 360 + (one in wanted) for one in points) for start in points)
    assert len(covered) <= shortest or len(covered) == 360


@given(SPANS)
def test_united_spans_are_apart_and_hold_the_same(spans: list[tuple[float, float]]) -> None:
    joined = united(spans)
    assert all(-180.0 <= west <= east <= 180.0 for west, east in joined)
    for (_, before), (after, _) in pairwise(joined):
        assert before < after
    of_all = set().union(*(degrees(*span) for span in spans))
    assert set().union(*(degrees(*span) for span in joined)) == of_all
    assert united(joined) == joined


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(10.0, 20.0)], (10.0, 20.0)),
        ([(170.0, 180.0), (-180.0, -170.0)], (170.0, -170.0)),
        ([(170.0, -170.0), (-160.0, -150.0)], (170.0, -150.0)),
        ([(-180.0, 180.0)], (-180.0, 180.0)),
        ([(-100.0, 100.0), (90.0, -90.0)], (-180.0, 180.0)),
        ([(-10.0, 0.0), (0.0, 10.0)], (-10.0, 10.0)),
    ],
)
def test_spans_by_hand(spans: list[tuple[float, float]], expected: tuple[float, float]) -> None:
    assert shortest_span(spans) == expected


def test_boxes_of_polygons() -> None:
    east = [(170.0, 10.0), (180.0, 10.0), (180.0, 12.0), (170.0, 10.0)]
    west = [(-180.0, 9.0), (-175.0, 10.0), (-180.0, 12.0), (-180.0, 9.0)]
    assert rings_bbox([east]) == [170.0, 10.0, 180.0, 12.0]
    assert rings_bbox([east, west]) == [170.0, 9.0, -175.0, 12.0]
    assert rings_bbox([]) is None
