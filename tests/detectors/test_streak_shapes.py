"""What the light along a streak tells: pieces, gaps, a swell, a period; streaks in a row."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from detectors.streak_describe import (
    are_in_trains,
    are_spikes,
    is_dashed,
    is_piece,
    is_spike,
    is_tumbling,
    pieces,
    shape_of,
    swells,
)
from detectors.streak_frame import StreakFrame
from detectors.streak_line import Line, Path
from detectors.types import StreakFlag, StreakKind


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


@pytest.mark.parametrize(
    ("snr", "count"), [(4.0, 1), (15.9, 15), (16.0, 16), (32.0, 64), (500.0, 64)]
)
def test_a_line_has_a_piece_for_every_16_of_its_squared_snr(snr: float, count: int) -> None:
    signal = np.arange(320.0)
    level, sigma = pieces(line_of(signal, snr))
    assert len(level) == len(sigma) == count
    edges = [int(k * 320 / count) for k in range(count)] + [320]
    parts = [signal[a:b] for a, b in pairwise(edges)]
    assert level == pytest.approx([part.mean() for part in parts])
    assert sigma == pytest.approx([len(part) ** -0.5 for part in parts])


def test_pieces_are_three_steps_or_longer_and_those_hardly_seen_are_left_out() -> None:
    assert len(pieces(line_of(np.ones(30)))[0]) == 10
    weight = np.ones(320 + 20)
    weight[10:60] = 0.31
    weight[60:110] = 0.29
    level, sigma = pieces(line_of(np.ones(320), weight=weight))
    assert len(level) == 64 - 10
    assert level[0] == pytest.approx(1.0 / 0.31)
    assert sigma[0] == pytest.approx((5 * 0.31) ** -0.5)
    assert len(pieces(line_of(np.ones(1), u=np.arange(-11.0, 10.0) - 0.5))[0]) == 0


@pytest.mark.parametrize(
    ("dark", "is_one"),
    [
        ([5, 6, 12, 13], True),
        ([5, 6, 7, 8], False),  # one gap
        ([5, 12], False),  # a tenth of it
        ([3, 12, 17], False),  # 0.15 of it
        ([3, 9, 12, 17], True),
        ([0, 1, 18, 19], False),  # light ends but once
        ([k for k in range(20) if k not in (3, 8, 14)], False),  # 0.85 of it
    ],
)
def test_dashes_are_parted_by_two_gaps_or_more(dark: list[int], is_one: bool) -> None:
    level = np.ones(20)
    level[dark] = 0.19
    assert is_dashed(level) == is_one
    level[dark] = 0.21
    assert not is_dashed(level)


def test_a_gap_begins_at_three_fifths_of_the_light() -> None:
    for bright, is_one in ((0.61, True), (0.59, False)):
        level = np.array([1.0, 1.0, 1.0, 0.0, bright, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
        assert is_dashed(level) == is_one


def hill(count: int, peak: float, end: float) -> np.ndarray:
    t = np.linspace(0.0, 1.0, count)
    return np.where(t < peak, end + (1 - end) * t / peak, end + (1 - end) * (1 - t) / (1 - peak))


@pytest.mark.parametrize("count", [9, 40, 64])
def test_light_swells_where_it_grows_from_both_ends(count: int) -> None:
    sigma = np.full(count, 0.01)
    for peak in (0.3, 0.5, 0.75):
        assert swells(hill(count, peak, 0.1), sigma)
        assert not swells(hill(count, peak, 0.7), sigma)
    assert not swells(np.linspace(0.0, 1.0, count), sigma)
    assert not swells(np.linspace(1.0, 0.0, count), sigma)
    assert not swells(np.ones(count), sigma)
    two = np.maximum(hill(count, 0.25, 0.1), 0.0)
    two[count // 2 :] = hill(count - count // 2, 0.5, 0.0)
    assert not swells(two, sigma)
    # What noise may do to it, and 8 % of the top, is no second peak
    assert swells(two, np.full(count, 0.5))


@pytest.mark.parametrize("count", [10, 40])
def test_an_end_may_have_eleven_twentieths_of_the_top(count: int) -> None:
    """Of ten parts of the line, both ends and the brightest."""
    rise = np.array([0.2, 0.5, 0.8, 0.95, 1.0])
    sigma = np.full(count, 0.001)
    for end, is_one in ((0.549, True), (0.551, False)):
        tenths = np.concatenate([rise, [0.95, 0.8, 0.7, 0.6, end]])
        assert swells(np.repeat(tenths, count // 10), sigma) == is_one
        assert swells(np.repeat(tenths[::-1], count // 10), sigma) == is_one


@pytest.mark.parametrize("periods", [1.6, 3.0, 11.0])
def test_light_that_comes_and_goes_by_a_fifth_tumbles(periods: float) -> None:
    t = np.arange(64) / 64.0
    sigma = np.full(64, 0.01)
    wave = np.cos(2.0 * np.pi * periods * t)
    assert is_tumbling(1.0 + 0.3 * wave, sigma)
    assert not is_tumbling(1.0 + 0.12 * wave, sigma)
    assert is_tumbling(1.0 + 0.5 * t + 0.4 * wave, sigma)  # beside what grows evenly
    # Noise: five sigma of a sine's amplitude, sqrt(2 / n) of a piece's
    for factor, is_one in ((0.8, True), (1.3, False)):
        noisy = np.full(64, factor * 0.3 / 5.0 / np.sqrt(2.0 / 64))
        assert is_tumbling(1.0 + 0.3 * wave, noisy) == is_one


def test_neither_one_swing_nor_disorder_nor_darkness_tumbles() -> None:
    t = np.arange(64) / 64.0
    sigma = np.full(64, 0.01)
    assert not is_tumbling(1.0 + 0.1 * np.cos(2.0 * np.pi * t), sigma)
    noise = np.random.default_rng(2).normal(0.0, 0.4, (20, 64))
    assert not any(is_tumbling(1.0 + one, np.full(64, 0.4)) for one in noise)
    assert not is_tumbling(-1.0 + 0.3 * np.cos(12.0 * t), sigma)
    assert not is_tumbling(np.array([1.0, 2.0, 1.0]), sigma[:3])


@pytest.mark.parametrize(
    ("signal", "snr", "kind", "flags"),
    [
        (np.ones(200), 14.9, StreakKind.UNKNOWN, 0),
        (np.ones(200), 15.1, StreakKind.SATELLITE, 0),
        (np.ones(20), 100.0, StreakKind.UNKNOWN, 0),  # six pieces
        (np.ones(24), 100.0, StreakKind.SATELLITE, 0),  # eight
        (np.tile([1.0] * 20 + [0.0] * 20, 5), 100.0, StreakKind.AIRCRAFT, StreakFlag.DASHED),
        (hill(200, 0.6, 0.1), 100.0, StreakKind.METEOR, 0),
        (10.0 + 5.0 * np.cos(np.arange(200) * 0.2), 300.0, StreakKind.SATELLITE,
         StreakFlag.TUMBLING),
    ],
)  # fmt: skip
def test_a_streak_is_named_by_its_light(
    signal: np.ndarray, snr: float, kind: StreakKind, flags: int
) -> None:
    found = shape_of(line_of(signal, snr))
    assert (found.kind, found.flags) == (kind, int(flags))


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


def test_nine_pieces_are_looked_at_by_fifths_and_ten_by_tenths() -> None:
    """What swells by fifths has a second peak by sixths, and the other way round by tenths."""
    sigma = np.full(9, 0.001)
    level = np.array([0.1, 0.3, 0.6, 0.9, 1.3, 0.7, 0.8, 0.5, 0.1])
    fifths = [0.2, 0.75, 1.0, 0.65, 0.1]
    assert [part.mean() for part in np.array_split(level, 5)] == pytest.approx(fifths)
    assert swells(level, sigma)
    assert not swells(
        np.array([0.1, 0.9, 0.2, 0.4, 1.0, 1.0, 0.7, 0.4, 0.2, 0.1]), np.full(10, 0.001)
    )


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
