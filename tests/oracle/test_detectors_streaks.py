"""Streaks: frames of known noise, shapes about their limits, and fits against scipy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.optimize import curve_fit, least_squares
from scipy.stats import norm

from detectors.streak_frame import (
    StreakFrame,
    estimate_pixel_noise,
    find_clipped_streaks,
)
from detectors.streak_line import Line, Path, fit_line, refine_end
from detectors.streaks_radon import are_in_trains, is_piece, is_spike
from tests.world.fields import scattered_stars, star_light, streak_light

SHAPE = HEIGHT, WIDTH = (208, 256)
ROWS, COLS = np.mgrid[:HEIGHT, :WIDTH].astype(float)
LEVEL, NOISE, SIGMA_PX = 200.0, 5.0, 1.5


def white(seed=1, noise=1.0, shape=SHAPE):
    return noise * np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(("unit", "offset"), [(1e-3, -0.2), (2e4, 3e8)])
def test_a_frame_is_known_light_over_known_noise(unit, offset):
    """Noise that doubles across the frame, on a slope; stars, clouds and units take no part."""
    noise = 5.0 * (1.0 + COLS / WIDTH)
    cloud = gaussian_filter(white(3), 12.0)
    light = 300.0 + 0.5 * ROWS + 20.0 * cloud / cloud.std() + noise * white(4)
    stars = [(30.0 * k + 20.0, 17.0 * (k % 11) + 15.0, 300.0) for k in range(8)]
    image = unit * (light + star_light(SHAPE, stars)) + offset
    frame = StreakFrame.of(image, None, None)
    assert frame is not None
    assert np.median(frame.noise / (unit * noise)) == pytest.approx(1.0, abs=0.03)
    assert np.mean(np.abs(frame.noise / (unit * noise) - 1.0) < 0.15) > 0.9
    star = frame.residual[15, 20] * frame.noise[15, 20] / unit
    assert star == pytest.approx(300.0, abs=30.0)
    assert not frame.ignored.any()
    assert not frame.clipped.any()


def test_what_is_masked_missing_or_clipped_is_told_and_has_no_say():
    image, mask = LEVEL + white(5, NOISE), (ROWS < 60) & (COLS < 80)
    image[mask] = 9000.0 * (1 + ROWS[mask])
    image[150:, 200:] = np.nan
    full = (COLS - 40) ** 2 + (ROWS - 150) ** 2 < 50
    image[full] = 700.0
    frame = StreakFrame.of(image, mask, full.astype(np.float32))
    assert frame is not None
    assert np.array_equal(frame.ignored, mask | np.isnan(image))
    assert not frame.residual[frame.ignored].any()
    assert np.array_equal(frame.clipped, full)
    assert frame.noise == pytest.approx(NOISE, rel=0.15)
    assert (frame.residual[full] > 80.0).all()
    kept = frame.residual[~frame.ignored & ~full]
    assert kept.std() == pytest.approx(1.0, abs=0.06)
    assert kept.mean() == pytest.approx(0.0, abs=0.06)


def bar(length, width, degrees, middle=(128.0, 104.0)):
    """Pixels of a rectangle."""
    turn = np.radians(degrees)
    x, y = COLS - middle[0], ROWS - middle[1]
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return (np.abs(along) < 0.5 * length) & (np.abs(across) < 0.5 * width)


# ---- shapes that count, up to their limits


def line_of(path):
    """A line with a step of weight 1 at each pixel, and ten dark ones beyond each end."""
    count, beyond = int(path.length_px) + 1, 10
    told: dict[str, Any] = {
        "path": path,
        "sigma_px": 1.0,
        "snr": 200.0,
        "scatter": 1.0,
        "bow_sigma_px": 0.1,
        "line_sigma_px": 0.1,
        "sigma_width": 0.1,
        "end_sigma_px": (1.0, 1.0),
        "u": np.arange(-beyond, count + beyond, dtype=float),
        "signal": np.pad(np.ones(count), beyond, constant_values=99.0),
        "weight": np.ones(count + 2 * beyond),
    }
    return Line(**told)


def straight(x1, y1, x2, y2, bow_px=0.0):
    return line_of(Path(x1=x1, y1=y1, x2=x2, y2=y2, bow_px=bow_px))


def is_train(*, count=3, length=40.0, turn_deg=0.0, off=0.0):
    """Whether paths that follow each other on one line, the last of them changed, are a train."""
    paths = [Path(x1=60.0 * k, y1=100.0, x2=60.0 * k + 40.0, y2=100.0) for k in range(count - 1)]
    turn, middle = np.radians(turn_deg), 60.0 * (count - 1) + 20.0
    dx, dy = 0.5 * length * np.cos(turn), 0.5 * length * np.sin(turn)
    last = Path(x1=middle - dx, y1=100.0 + off - dy, x2=middle + dx, y2=100.0 + off + dy)
    return are_in_trains([*paths, last])[1]


@pytest.mark.parametrize(
    ("last", "first"),
    [
        ({}, {"count": 2}),
        ({"length": 59.0}, {"length": 61.0}),  # half as long again
        ({"length": 27.0}, {"length": 26.0}),  # two thirds as long
        ({"turn_deg": 1.9}, {"turn_deg": 2.1}),
        ({"off": 4.9}, {"off": 5.3}),  # 3 px and two degrees of the way: 5.1 px at 60
    ],
)
def test_a_train_is_of_three_that_are_alike_on_one_line(last, first):
    assert (is_train(**last), is_train(**first)) == (True, False)


@pytest.mark.parametrize(
    ("last", "first"),
    [
        # 1.5 px and one and a half of its width from a line of 100 px
        ((20.0, 2.9, 60.0, -2.9), (20.0, 3.1, 60.0, 0.0)),
        # and 2 % of how far it goes on; the gap is two fifths of the longer
        ((139.0, 3.7, 179.0, 0.0), (139.0, 3.9, 179.0, 0.0)),
        ((139.9, 0.0, 180.0, 0.0), (140.1, 0.0, 180.0, 0.0)),
    ],
)
def test_a_piece_lies_on_a_longer_line_or_goes_on_from_it(last, first):
    whole, far = straight(0.0, 0.0, 100.0, 0.0), straight(0.0, 500.0, 100.0, 500.0)
    for ends, told in ((last, True), (first, False)):
        new = straight(*ends)
        assert is_piece(new, [far, whole]) == is_piece(whole, [far, new]) == told
    bent = straight(0.0, 0.0, 100.0, 0.0, bow_px=8.0)
    for y, told in ((7.7, True), (0.0, False), (-7.7, False)):
        assert is_piece(straight(40.0, y, 60.0, y), [bent]) == told


def beside_a_star(first_px, last_share, off_px=0.0):
    """A line along a row that begins so far from a clipped star's middle, and its end's light."""
    y, x = np.mgrid[0:200, 0:320].astype(float)
    along = (x - 60.0 - first_px) / 120.0
    level = np.where((along >= 0.0) & (along <= 1.0), 1.0 - (1.0 - last_share) * along, 0.0)
    frame = StreakFrame(
        residual=(30.0 * level * np.exp(-0.5 * (y - 100.0 - off_px) ** 2)).astype(np.float32),
        noise=np.ones((200, 320), np.float32),
        ignored=np.zeros((200, 320), bool),
        clipped=np.hypot(x - 60.0, y - 100.0) <= 6.0,
    )
    return frame, straight(60.0 + first_px, 100.0 + off_px, 180.0 + first_px, 100.0 + off_px)


@pytest.mark.parametrize(
    ("how", "is_one"),
    [
        ((8.0, 0.1), True),
        ((8.0, 1.0), False),  # a spike fades
        ((8.0, 0.1, 1.9), True),  # three tenths of the star's radius beside it
        ((8.0, 0.1, 2.1), False),
        ((59.0, 0.1), True),  # ten radii away
        ((62.0, 0.1), False),
    ],
)
def test_a_spike_fades_away_from_its_clipped_star(how, is_one):
    frame, line = beside_a_star(*how)
    star, nowhere = np.array([[60.0, 100.0, 6.0]]), np.zeros((200, 320), bool)
    assert is_spike(frame, line, star, nowhere) == is_one


def test_clipped_areas_are_streaks_where_they_are_thin_long_and_askew():
    square = bar(8.0, 8.0, 0.0, (20.0, 20.0))
    for shape, is_one in (
        ((60.0, 6.0, 30.0), True),
        ((60.0, 14.0, 30.0), False),
        ((12.0, 1.5, 30.0), False),
        ((200.0, 6.0, 2.0), True),
        ((200.0, 6.0, 1.0), False),  # along rows charge bleeds
    ):
        lit = bar(*shape)
        found = find_clipped_streaks(lit | square)
        assert not found[~lit].any()
        assert found[lit].all() == found.any() == is_one


# ---- a line, its ends and its search, worked out another way


def erf_segment(values, shape):
    x1, y1, x2, y2, sigma, peak, bow = values
    return peak * streak_light(shape, (x1, y1, x2, y2), sigma, bow=bow)


@pytest.mark.parametrize(
    ("ends", "peak", "sigma"),
    [((30.2, 40.3, 170.6, 90.1), 4.0, 1.4), ((60.0, 100.4, 120.7, 22.2), 12.0, 2.2)],
)
def test_a_fitted_line_is_the_likeliest_segment(ends, peak, sigma):
    """By scipy over ends, width, brightness and bow of the segment that was drawn."""
    shape = (130, 200)
    light = erf_segment((*ends, sigma, peak, 0.0), shape) + white(3, shape=shape)
    known = np.ones(shape, np.float32)
    rough = Path(x1=ends[0] + 2.0, y1=ends[1] - 1.5, x2=ends[2] - 3.0, y2=ends[3] + 1.0)
    line = fit_line(light.astype(np.float32), known, rough, 1.4, 8.0)
    start = np.array([*ends, sigma, peak, 0.0])
    theirs = least_squares(lambda values: (light - erf_segment(values, shape)).ravel(), start)
    covariance = np.linalg.inv(theirs.jac.T @ theirs.jac)
    step = np.array([ends[2] - ends[0], ends[3] - ends[1]])
    along, right = step / np.hypot(*step), np.array([-step[1], step[0]]) / np.hypot(*step)
    for k, place in enumerate(((line.path.x1, line.path.y1), (line.path.x2, line.path.y2))):
        off = np.array(place) - theirs.x[2 * k : 2 * k + 2]
        assert abs(off @ right) < 0.12
        assert abs(off @ along) < 0.8
        across = right @ covariance[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] @ right
        assert line.line_sigma_px == pytest.approx(np.sqrt(across), rel=0.1)
    assert line.path.bow_px == pytest.approx(theirs.x[6], abs=0.12)
    assert line.bow_sigma_px == pytest.approx(np.sqrt(covariance[6, 6]), rel=0.15)
    # Interpolation between pixels adds up to a quarter of a square pixel to a width's square
    assert theirs.x[4] ** 2 - 0.1 < line.sigma_px**2 < theirs.x[4] ** 2 + 0.35
    assert line.sigma_width == pytest.approx(np.sqrt(covariance[4, 4]) / sigma, rel=0.35)
    matched = np.sqrt((erf_segment(theirs.x, shape) ** 2).sum())
    assert line.snr * line.scatter == pytest.approx(matched, rel=0.08)
    assert 1.0 <= line.scatter < 1.4


@pytest.mark.parametrize(("side", "level", "weight"), [(-1, 1.5, 4.0), (1, 6.0, 2.5)])
def test_an_end_is_where_scipy_puts_the_edge_and_as_sure_as_fisher_says(side, level, weight):
    rng = np.random.default_rng(1)
    u, sigma, true = np.arange(-30.0, 81.0), 1.6, 25.37
    lit = level * weight * norm.cdf(side * (true - u) / sigma)
    signal = lit + rng.normal(0.0, np.sqrt(weight), u.size)
    found, error = refine_end(u, signal, np.full(u.size, weight), 24.0, side, sigma)
    near = side * (24.0 - u)
    near = (near > -6.0 - 3.0 * sigma) & (near < 24.0)

    def edge(at, end, height):
        return height * weight * norm.cdf(side * (end - at) / sigma)

    values, _ = curve_fit(edge, u[near], signal[near], [true, level])
    assert found == pytest.approx(values[0], abs=0.06)
    fine = np.arange(-10.0, 10.0, 1e-3)
    information = (level * norm.pdf(fine / sigma) / sigma) ** 2 * weight
    ratio = 1.0 / (np.sqrt(weight) * values[1])
    scale = (level / values[1]) ** 2  # by the level that was measured
    bound = scale / (information.sum() * 1e-3)
    assert error == pytest.approx(np.sqrt(bound + 26.0 * ratio**4), rel=0.02)
    few = refine_end(u[:3], signal[:3], np.full(3, weight), 24.0, side, sigma)
    assert few == (24.0, 6.0)


def test_noise_is_told_by_second_differences_whatever_the_light():
    """A third of the frame is hidden; slopes and curvature take no part, and stars little."""
    sigma = 2.0 + COLS / WIDTH
    light = 0.05 * (COLS - 100.0) ** 2 + 3.0 * ROWS + star_light(SHAPE, scattered_stars(12, SHAPE))
    hidden = ROWS > 140
    found = estimate_pixel_noise((light + sigma * white(11)).astype(np.float32), hidden)
    ratio = (found / sigma)[:120]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.05)
    assert np.quantile(ratio, [0.02, 0.98]) == pytest.approx([1.0, 1.0], abs=0.22)
