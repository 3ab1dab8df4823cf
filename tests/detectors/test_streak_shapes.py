"""Streaks in a row, pieces of one line, spikes of saturated stars."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detectors.streak_describe import (
    are_in_trains,
    are_spikes,
    is_piece,
    is_spike,
)
from detectors.streak_frame import StreakFrame
from detectors.streak_line import Line, Path


def line_of(signal: np.ndarray, snr: float = 200.0, **other: Any) -> Line:
    """A line with a step of weight 1 at each pixel, and ten dark ones beyond each end."""
    beyond = 10
    told: dict[str, Any] = {
        "path": Path(x1=5.0, y1=7.0, x2=5.0 + len(signal) - 1, y2=7.0),
        "sigma_px": 1.0,
        "snr": snr,
        "scatter": 1.0,
        "bow_sigma_px": 0.1,
        "line_sigma_px": 0.1,
        "sigma_width": 0.1,
        "end_sigma_px": (1.0, 1.0),
        "u": np.arange(-beyond, len(signal) + beyond, dtype=float),
        "signal": np.concatenate([np.full(beyond, 99.0), signal, np.full(beyond, 99.0)]),
        "weight": np.ones(len(signal) + 2 * beyond),
    }
    return Line(**told | other)


def row(
    *places: float, length: float = 40.0, turn_deg: float = 0.0, off: float = 0.0
) -> list[Path]:
    """Paths that follow each other on one line, the last of them turned or moved aside."""
    made = [Path(x1=x, y1=100.0, x2=x + 40.0, y2=100.0) for x in places[:-1]]
    turn, middle = np.radians(turn_deg), places[-1] + 20.0
    dx, dy = 0.5 * length * np.cos(turn), 0.5 * length * np.sin(turn)
    return [
        *made,
        Path(x1=middle - dx, y1=100.0 + off - dy, x2=middle + dx, y2=100.0 + off + dy),
    ]


@pytest.mark.parametrize(
    ("paths", "are"),
    [
        (row(0.0, 60.0, 120.0), True),
        (row(0.0, 60.0), False),
        (row(0.0, 60.0, 120.0, length=59.0), True),
        (row(0.0, 60.0, 120.0, length=61.0), False),
        (row(0.0, 60.0, 120.0, length=27.0), True),
        (row(0.0, 60.0, 120.0, length=26.0), False),
        (row(0.0, 60.0, 120.0, turn_deg=1.9), True),
        (row(0.0, 60.0, 120.0, turn_deg=2.1), False),
        (row(0.0, 60.0, 120.0, turn_deg=180.0), True),
        # 3 px and two degrees of the way: 5.1 px at 60
        (row(0.0, 60.0, 120.0, off=4.9), True),
        (row(0.0, 60.0, 120.0, off=5.3), False),
    ],
)
def test_three_alike_on_one_line_are_a_train(paths: list[Path], are: bool) -> None:
    assert are_in_trains(paths)[1] == are
    turned = [Path(x1=p.y1, y1=p.x1, x2=p.y2, y2=p.x2) for p in paths]
    assert are_in_trains(turned) == are_in_trains(paths)


def straight(x1: float, y1: float, x2: float, y2: float, **other: Any) -> Line:
    path = Path(x1=x1, y1=y1, x2=x2, y2=y2, bow_px=other.pop("bow_px", 0.0))
    return line_of(np.ones(5), path=path, **other)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("piece", "is_one"),
    [
        # 1.5 px and one and a half of its width from a line of 100 px
        ((20.0, 2.9, 60.0, -2.9), True),
        ((20.0, 3.1, 60.0, 0.0), False),
        ((20.0, 0.0, 60.0, -3.1), False),
        # and 2 % of how far it goes on; the gap is two fifths of the longer
        ((139.0, 3.7, 179.0, 0.0), True),
        ((139.0, 3.9, 179.0, 0.0), False),
        ((139.9, 0.0, 180.0, 0.0), True),
        ((140.1, 0.0, 180.0, 0.0), False),
        ((-80.0, 0.0, -39.9, 0.0), True),
        ((-80.0, 0.0, -40.1, 0.0), False),
    ],
)
def test_a_piece_lies_on_a_line_or_goes_on_from_it(
    piece: tuple[float, float, float, float], is_one: bool, swapped: bool
) -> None:
    long, short = straight(0.0, 0.0, 100.0, 0.0), straight(*piece)
    new, old = (long, short) if swapped else (short, long)
    far = straight(0.0, 500.0, 100.0, 500.0)
    assert is_piece(new, [far, old]) == is_one
    assert not is_piece(new, [far])
    # However the frame is turned
    turned = [straight(one.path.y1, one.path.x1, one.path.y2, one.path.x2) for one in (new, old)]
    assert is_piece(turned[0], turned[1:]) == is_one


def test_a_short_line_may_miss_thirty_pixels_and_a_bent_one_is_followed() -> None:
    short = straight(0.0, 0.0, 40.0, 0.0)
    assert is_piece(straight(69.9, 0.0, 100.0, 0.0), [short])
    assert not is_piece(straight(70.1, 0.0, 100.0, 0.0), [short])
    bent = straight(0.0, 0.0, 100.0, 0.0, bow_px=8.0)
    assert is_piece(straight(40.0, 7.7, 60.0, 7.7), [bent])
    assert not is_piece(straight(40.0, 0.0, 60.0, 0.0), [bent])
    assert not is_piece(straight(40.0, -7.7, 60.0, -7.7), [bent])


STAR = np.array([[60.0, 100.0, 6.0]])  # x, y, radius


def beside_a_star(
    first_px: float,
    light: Any,
    *,
    off_px: float = 0.0,
    swapped: bool = False,
    length: float = 120.0,
) -> tuple[StreakFrame, Line]:
    """A line along a row that begins so far from a clipped star's middle."""
    y, x = np.mgrid[0:200, 0:320].astype(float)
    along = x - 60.0 - first_px
    inside = (along >= 0.0) & (along <= length)
    level = np.where(inside, light(np.clip(along, 0.0, None) / length), 0.0)
    residual = 30.0 * level * np.exp(-0.5 * (y - 100.0 - off_px) ** 2)
    frame = StreakFrame(
        residual=residual.astype(np.float32),
        noise=np.ones((200, 320), np.float32),
        ignored=np.zeros((200, 320), bool),
        clipped=np.hypot(x - 60.0, y - 100.0) <= 6.0,
    )
    ends = 60.0 + first_px, 60.0 + first_px + length
    line = straight(*(ends[0], 100.0 + off_px, ends[1], 100.0 + off_px))
    if swapped:
        line = straight(ends[1], 100.0 + off_px, ends[0], 100.0 + off_px)
    return frame, line


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("first_px", "off_px", "light", "is_one"),
    [
        (8.0, 0.0, lambda t: 1.0 - 0.9 * t, True),
        (8.0, 0.0, lambda t: 1.0 - 0.0 * t, False),  # a streak that passes a star
        (8.0, 0.0, lambda t: 0.1 + 0.9 * t, False),  # brighter away from it
        # three quarters of the light in the farther half
        (8.0, 0.0, lambda t: np.where(t < 0.55, 1.0, 0.70), True),
        (8.0, 0.0, lambda t: np.where(t < 0.55, 1.0, 0.80), False),
        # 2 px beside the middle, and ten radii from it
        (8.0, 1.9, lambda t: 1.0 - 0.9 * t, True),
        (8.0, 2.1, lambda t: 1.0 - 0.9 * t, False),
        (59.0, 0.0, lambda t: 1.0 - 0.9 * t, True),
        (62.0, 0.0, lambda t: 1.0 - 0.9 * t, False),
    ],
)
def test_a_spike_points_at_its_star_begins_near_and_fades(
    first_px: float, off_px: float, light: Any, is_one: bool, swapped: bool
) -> None:
    frame, line = beside_a_star(first_px, light, off_px=off_px, swapped=swapped)
    hidden = np.zeros(frame.clipped.shape, bool)
    assert is_spike(frame, line, STAR, hidden) == is_one


def test_a_spike_may_begin_as_far_away_as_its_stars_light_hides_the_way() -> None:
    frame, line = beside_a_star(90.0, lambda t: 1.0 - 0.9 * t)
    for hidden_px, is_one in ((25.0, False), (35.0, True)):
        y, x = np.mgrid[0:200, 0:320]
        hidden = np.hypot(x - 60, y - 100) <= hidden_px
        assert is_spike(frame, line, STAR, hidden) == is_one


def test_of_a_line_hardly_longer_than_the_stars_light_nothing_is_left() -> None:
    """Two and a half radii are the star's own; eight steps beyond must tell."""
    nothing = np.zeros((200, 320), bool)
    for length, is_one in ((14.0, True), (18.0, False)):
        frame, line = beside_a_star(7.0, lambda t: 1.0 + 0.0 * t, length=length)
        assert is_spike(frame, line, STAR, nothing) == is_one


def test_a_larger_star_is_met_by_three_tenths_of_its_radius() -> None:
    large = np.array([[60.0, 100.0, 10.0]])
    for off_px, is_one in ((2.9, True), (3.1, False)):
        frame, line = beside_a_star(8.0, lambda t: 1.0 - 0.9 * t, off_px=off_px)
        nothing = np.zeros(frame.clipped.shape, bool)
        assert is_spike(frame, line, large, nothing) == is_one


def test_spikes_are_marked_among_streaks_and_what_goes_on_from_one_is_too() -> None:
    frame, spike = beside_a_star(8.0, lambda t: 1.0 - 0.9 * t)
    streak = straight(20.0, 20.0, 120.0, 30.0)
    assert are_spikes(frame, [streak, spike, streak]).tolist() == [False, True, False]
    assert are_spikes(frame, []).tolist() == []
    dark = replace(frame, clipped=np.zeros(frame.clipped.shape, bool))
    assert are_spikes(dark, [streak, spike]).tolist() == [False, False]
