"""Streaks: frames of known noise, shapes about their limits, and fits against scipy's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.optimize import curve_fit, least_squares
from scipy.stats import norm

from detectors.scale_space import blur_image
from detectors.streak_bright import is_bright_streak, rough_lines
from detectors.streak_describe import are_in_trains, are_spikes, is_piece, is_spike
from detectors.streak_frame import (
    StreakFrame,
    estimate_pixel_noise,
    find_clipped_streaks,
    find_saturated_stars,
    flatten_residual,
    subtract_level,
)
from detectors.streak_line import Line, Path, fit_line, refine_end
from detectors.streak_search import compute_line_sigma, find_segments
from detectors.streaks_paper import (
    PaperParams,
    compute_noise_slope,
    diffuse_once,
)
from tests.world.fields import Streak as Ends
from tests.world.fields import scattered_stars, star_light, streak_light

SHAPE = HEIGHT, WIDTH = (208, 256)
ROWS, COLS = np.mgrid[:HEIGHT, :WIDTH].astype(float)
LEVEL, NOISE, SIGMA_PX = 200.0, 5.0, 1.5


def white(seed=1, noise=1.0, shape=SHAPE):
    return noise * np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(("unit", "offset"), [(1.0, 0.0), (1e-3, -0.2), (2e4, 3e8), (1.0, 3e5)])
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


def test_a_plateau_at_the_top_is_clipped_but_neither_a_peak_nor_half_of_a_frame():
    for count, clipped in ((5, 0), (6, 6)):
        image = LEVEL + white(6, NOISE)
        image[40, 50 : 50 + count] = 400.0
        frame = StreakFrame.of(image, None, None)
        assert frame is not None
        assert frame.clipped.sum() == clipped
        assert frame.clipped[40, 50 : 50 + count].sum() == clipped
    half = np.where(COLS < 0.55 * WIDTH, 400.0, LEVEL + white(6, NOISE))
    frame = StreakFrame.of(half, None, None)
    assert frame is not None
    assert not frame.clipped.any()


def test_where_nothing_can_be_found_there_is_no_frame():
    image = white(7)
    assert StreakFrame.of(image[:15], None, None) is None
    assert StreakFrame.of(image[:16], None, None) is not None
    assert StreakFrame.of(np.full(SHAPE, 3.0), None, None) is None
    assert StreakFrame.of(image, np.ones(SHAPE, bool), None) is None


def around(degrees, length=120.0, middle=(128.3, 100.2)):
    step = 0.5 * length * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    return (*(np.array(middle) - step), *(np.array(middle) + step))


def test_flattened_light_has_lost_what_is_broad_and_keeps_a_streak():
    ends, hidden = around(20.0), np.zeros(SHAPE, bool)
    light = 8.0 * streak_light(SHAPE, ends, SIGMA_PX)
    broad = 1.5 * np.sin(COLS / 40.0) + np.cos(ROWS / 50.0)
    for roughly, kept in ((False, 0.96), (True, 0.85)):
        flat, texture = flatten_residual(
            (white(8) + light + broad).astype(np.float32), hidden, roughly=roughly
        )
        on, dark = light > 4.0, light < 1e-3
        assert (flat * texture)[on].sum() / light[on].sum() == pytest.approx(kept, abs=0.08)
        assert (flat * texture)[dark].std() == pytest.approx(1.0, abs=0.08)
        smooth = gaussian_filter((flat * texture)[60:150, 20:230], 8.0)
        assert np.abs(smooth[light[60:150, 20:230] < 1e-9]).max() < 1.2
    hidden[:, :60] = True
    image = white(8)
    image[:, :60] = 1e4
    flat, texture = flatten_residual(image.astype(np.float32), hidden)
    assert flat[:, 66:].std() == pytest.approx(1.0, abs=0.05)
    assert np.median(texture[:, 66:]) == pytest.approx(1.0, abs=0.04)
    assert texture.max() < 1.5
    assert texture.min() >= 1.0


def bar(length, width, degrees, middle=(128.0, 104.0)):
    """Pixels of a rectangle."""
    turn = np.radians(degrees)
    x, y = COLS - middle[0], ROWS - middle[1]
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return (np.abs(along) < 0.5 * length) & (np.abs(across) < 0.5 * width)


def test_round_clipped_areas_are_stars_with_their_middle_and_radius():
    lit = np.zeros(SHAPE, bool)
    lit[20:24, 30:38] = True  # twice as long as wide
    lit[60:64, 30:39] = True  # and longer
    lit[100:102, 50:53] = True  # of six pixels: too small
    lit[100:102, 80:84] = True  # of eight
    lit |= (COLS - 170) ** 2 + (ROWS - 120) ** 2 <= 81
    stars = find_saturated_stars(lit)
    size = cv2.countNonZero(((COLS - 170) ** 2 + (ROWS - 120) ** 2 <= 81).astype(np.uint8))
    expected = [(33.5, 21.5, 32), (81.5, 100.5, 8), (170.0, 120.0, size)]
    by_hand = [(x, y, np.sqrt(pixels / np.pi)) for x, y, pixels in expected]
    assert stars == pytest.approx(np.array(by_hand))
    assert find_saturated_stars(np.zeros(SHAPE, bool)).shape == (0, 3)


# ---- LIMITS_OF_SHAPES: the last shape that counts, and the first that does not


def line_of(signal, snr=200.0, **other):
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


def straight(x1, y1, x2, y2, bow_px=0.0):
    return line_of(np.ones(5), path=Path(x1=x1, y1=y1, x2=x2, y2=y2, bow_px=bow_px))


def swap(path):
    return Path(x1=path.y1, y1=path.x1, x2=path.y2, y2=path.x2)


def train(*, count=3, length=40.0, turn_deg=0.0, off=0.0):
    """Whether paths that follow each other on one line, the last of them changed, are a train."""
    paths = [Path(x1=60.0 * k, y1=100.0, x2=60.0 * k + 40.0, y2=100.0) for k in range(count - 1)]
    turn, middle = np.radians(turn_deg), 60.0 * (count - 1) + 20.0
    dx, dy = 0.5 * length * np.cos(turn), 0.5 * length * np.sin(turn)
    last = Path(x1=middle - dx, y1=100.0 + off - dy, x2=middle + dx, y2=100.0 + off + dy)
    told = are_in_trains([*paths, last])
    assert are_in_trains([swap(path) for path in (*paths, last)]) == told
    return told[1]


def piece(*ends, long=(0.0, 0.0, 100.0, 0.0), bow=0.0):
    """Whether a line is a piece of a longer one, whichever is new and however both are turned."""
    old, new, far = straight(*long, bow_px=bow), straight(*ends), straight(0.0, 500.0, 100.0, 500.0)
    told = {is_piece(new, [far, old]), is_piece(old, [far, new])}
    if not bow:
        turned = [straight(y1, x1, y2, x2) for x1, y1, x2, y2 in (ends, long)]
        told.add(is_piece(turned[0], turned[1:]))
    assert not is_piece(new, [far])
    assert len(told) == 1
    return told.pop()


def beside_a_star(first_px, light, *, off_px=0.0, swapped=False, length=120.0):
    """A line along a row that begins so far from a clipped star's middle."""
    y, x = np.mgrid[0:200, 0:320].astype(float)
    along = x - 60.0 - first_px
    inside = (along >= 0.0) & (along <= length)
    level = np.where(inside, light(np.clip(along, 0.0, None) / length), 0.0)
    frame = StreakFrame(
        residual=(30.0 * level * np.exp(-0.5 * (y - 100.0 - off_px) ** 2)).astype(np.float32),
        noise=np.ones((200, 320), np.float32),
        ignored=np.zeros((200, 320), bool),
        clipped=np.hypot(x - 60.0, y - 100.0) <= 6.0,
    )
    ends = sorted((60.0 + first_px, 60.0 + first_px + length), reverse=swapped)
    return frame, straight(ends[0], 100.0 + off_px, ends[1], 100.0 + off_px)


def fades(t):
    return 1.0 - 0.9 * t


def spike(first_px=8.0, light=fades, *, off_px=0.0, length=120.0, radius=6.0, hidden_px=0.0):
    """Whether that line is a spike of the star, whichever way it is told."""
    y, x = np.mgrid[0:200, 0:320]
    hidden = np.hypot(x - 60, y - 100) <= hidden_px if hidden_px else np.zeros((200, 320), bool)
    told = set()
    for swapped in (False, True):
        frame, line = beside_a_star(first_px, light, off_px=off_px, swapped=swapped, length=length)
        told.add(is_spike(frame, line, np.array([[60.0, 100.0, radius]]), hidden))
    assert len(told) == 1
    return told.pop()


def clipped_area(length, width, degrees):
    """Whether a clipped rectangle is a streak; a square beside it never is."""
    lit, other = bar(length, width, degrees), bar(8.0, 8.0, 0.0, (20.0, 20.0))
    found = find_clipped_streaks(lit | other)
    assert not found[~lit].any()
    return bool(found.any()) and bool(found[lit].all())


def step(share):
    return lambda t: np.where(t < 0.55, 1.0, share)


LIMITS_OF_SHAPES = {
    "three of a train": (train, {}, {"count": 2}),
    "half as long again": (train, {"length": 59.0}, {"length": 61.0}),
    "two thirds as long": (train, {"length": 27.0}, {"length": 26.0}),
    "two degrees": (train, {"turn_deg": 1.9}, {"turn_deg": 2.1}),
    "either way round": (train, {"turn_deg": 180.0}, {"turn_deg": 90.0}),
    # 3 px and two degrees of the way: 5.1 px at 60
    "beside the train": (train, {"off": 4.9}, {"off": 5.3}),
    # 1.5 px and one and a half of its width from a line of 100 px
    "first end on the line": (piece, (20.0, 2.9, 60.0, -2.9), (20.0, 3.1, 60.0, 0.0)),
    "second end on the line": (piece, (20.0, 2.9, 60.0, -2.9), (20.0, 0.0, 60.0, -3.1)),
    # and 2 % of how far it goes on; the gap is two fifths of the longer
    "going on askew": (piece, (139.0, 3.7, 179.0, 0.0), (139.0, 3.9, 179.0, 0.0)),
    "gap ahead": (piece, (139.9, 0.0, 180.0, 0.0), (140.1, 0.0, 180.0, 0.0)),
    "gap behind": (piece, (-80.0, 0.0, -39.9, 0.0), (-80.0, 0.0, -40.1, 0.0)),
    "gap of a short one": (
        *(
            lambda first: piece(first, 0.0, 100.0, 0.0, long=(0.0, 0.0, 40.0, 0.0)),
            (69.9,),
            (70.1,),
        ),
    ),
    "along a bow": (
        lambda y: piece(40.0, y, 60.0, y, bow=8.0),
        (7.7,),
        (0.0,),
    ),
    "on its side of the bow": (lambda y: piece(40.0, y, 60.0, y, bow=8.0), (7.7,), (-7.7,)),
    "a spike fades": (spike, {}, {"light": lambda t: 1.0 - 0.0 * t}),
    "away from its star": (spike, {}, {"light": lambda t: 0.1 + 0.9 * t}),
    "to three quarters": (spike, {"light": step(0.70)}, {"light": step(0.80)}),
    "beside its star": (spike, {"off_px": 1.9}, {"off_px": 2.1}),
    "ten radii away": (spike, {"first_px": 59.0}, {"first_px": 62.0}),
    "behind its star's light": (
        *(spike, {"first_px": 90.0, "hidden_px": 35.0}, {"first_px": 90.0, "hidden_px": 25.0}),
    ),
    # Two and a half radii are the star's own; eight steps beyond must tell
    "hardly out of its light": (
        lambda length: spike(7.0, lambda t: 1.0 + 0.0 * t, length=length),
        (14.0,),
        (18.0,),
    ),
    "three tenths of a radius": (
        *(spike, {"radius": 10.0, "off_px": 2.9}, {"radius": 10.0, "off_px": 3.1}),
    ),
    "clipped and thin": (clipped_area, (60.0, 6.0, 30.0), (60.0, 14.0, 30.0)),
    "clipped and askew": (clipped_area, (60.0, 6.0, 120.0), (60.0, 6.0, 0.0)),
    "clipped, along a column": (clipped_area, (200.0, 6.0, 2.0), (60.0, 6.0, 90.0)),
    "clipped and long": (clipped_area, (18.0, 2.0, 30.0), (12.0, 1.5, 30.0)),
    "clipped, by two degrees": (clipped_area, (200.0, 6.0, 2.0), (200.0, 6.0, 1.0)),
}


@pytest.mark.parametrize(("ask", "last", "first"), LIMITS_OF_SHAPES.values(), ids=LIMITS_OF_SHAPES)
def test_shapes_count_up_to_their_limits(ask, last, first):
    answers = [ask(**how) if isinstance(how, dict) else ask(*how) for how in (last, first)]
    assert answers == [True, False]


def test_spikes_are_marked_among_streaks_and_what_goes_on_from_one_is_too():
    frame, line = beside_a_star(8.0, fades)
    streak = straight(20.0, 20.0, 120.0, 30.0)
    assert are_spikes(frame, [streak, line, streak]).tolist() == [False, True, False]
    assert are_spikes(frame, []).tolist() == []
    dark = replace(frame, clipped=np.zeros(frame.clipped.shape, bool))
    assert are_spikes(dark, [streak, line]).tolist() == [False, False]


# ---- steps of the streak paper

SMALL, STREAK, PARAMS = (240, 300), (50.0, 60.0, 240.0, 170.0), PaperParams()


def diffused(image, iterations):
    for _ in range(iterations):
        image = diffuse_once(image, 4.0 * compute_noise_slope(1.0), PARAMS.step)
    return image


def test_diffusion_is_the_sum_of_flows_between_eight_neighbours_and_loses_no_light():
    """The scheme without loops against Gerig's with them, on a small image."""
    noise = np.random.default_rng(0).standard_normal((9, 11), np.float32)
    edge = 0.8
    blurred = cv2.GaussianBlur(noise, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    framed = np.pad(blurred, 1, mode="reflect")
    slope_x = 0.5 * (framed[1:-1, 2:] - framed[1:-1, :-2])
    slope_y = 0.5 * (framed[2:, 1:-1] - framed[:-2, 1:-1])
    g = np.exp(-(slope_x**2 + slope_y**2) / edge**2)
    expected = noise.astype(float)
    for row in range(1, 8):
        for col in range(1, 10):
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    if (i, j) != (0, 0):
                        between = 0.5 * (g[row, col] + g[row + i, col + j])
                        step = noise[row + i, col + j] - noise[row, col]
                        expected[row, col] += between * step / (i * i + j * j) / 7.0
    once = diffuse_once(noise, edge, 1.0 / 7.0)
    assert np.allclose(once[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-5)
    image = 5.0 + noise
    image[:4, :5] += 30.0  # also at the border
    assert diffused(image, 30).mean() == pytest.approx(image.mean(), rel=1e-5)


# ---- a line, its ends and its search, worked out another way


def erf_segment(values, shape):
    x1, y1, x2, y2, sigma, peak, bow = values
    return peak * streak_light(shape, (x1, y1, x2, y2), sigma, bow=bow)


@pytest.mark.parametrize("ends", [(30.2, 40.3, 170.6, 90.1), (60.0, 100.4, 120.7, 22.2)])
@pytest.mark.parametrize(("peak", "sigma"), [(4.0, 1.4), (12.0, 2.2)])
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


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize(("level", "weight"), [(1.5, 4.0), (6.0, 2.5)])
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


def test_segments_are_sums_along_lines_over_the_scatter_that_noise_has():
    """By interpolated sums along each segment; two lines stand out of white noise."""
    shape = (192, 220)
    planted = [(10.0, 12.0, 88.0, 60.0), (20.0, 85.0, 60.0, 30.0)]
    light = white(2, shape=shape) + sum(3.0 * streak_light(shape, one, 1.2) for one in planted)
    blurred = blur_image(light.astype(np.float32), 1.2)
    bright = find_segments(blurred, 1.2, 6.0)
    assert (np.diff(bright.snr) <= 0.0).all()
    shares = []
    for k in range(len(bright)):
        ends = [float(getattr(bright, name)[k]) for name in ("x1", "y1", "x2", "y2")]
        dx, dy = ends[2] - ends[0], ends[3] - ends[1]
        steps = int(max(abs(dx), abs(dy))) + 1
        t = np.linspace(0.0, 1.0, steps)
        at = [ends[1] + t * dy, ends[0] + t * dx]
        total = map_coordinates(blurred, at, order=1).sum()
        slope = min(abs(dx), abs(dy)) / max(abs(dx), abs(dy), 1.0)
        unit = np.sqrt(steps / np.hypot(1.0, slope) / (2.0 * np.sqrt(np.pi) * 1.2))
        shares.append(bright.snr[k] * unit / total)
    # Lattice lines go to the nearest pixel, and the scatter about may exceed one
    assert 0.75 < np.median(shares) < 1.02
    assert max(shares) < 1.15
    for one in planted:
        matched = 3.0 * np.sqrt(np.sqrt(np.pi) * 1.2 * np.hypot(one[2] - one[0], one[3] - one[1]))
        near = [
            snr
            for snr, x1, y1, x2, y2 in zip(
                bright.snr, bright.x1, bright.y1, bright.x2, bright.y2, strict=True
            )
            if Ends(*one).distance_px(0.5 * (x1 + x2), 0.5 * (y1 + y2)) < 3.0
        ]
        assert max(near) > 0.6 * matched


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_line_sums_of_blurred_noise_scatter_as_said(slope):
    rows, sums = 32, []
    at = np.arange(rows), np.rint(8 + slope * np.arange(rows)).astype(int)
    for seed in range(400):
        noise = white(seed, shape=(rows + 16, 60)).astype(np.float32)
        sums.append(blur_image(noise, 1.2)[8:][at].sum())
    assert np.std(sums) == pytest.approx(float(compute_line_sigma(rows, slope, 1.2)), rel=0.08)


def test_ridges_of_bright_areas_are_the_lines_through_their_pixels():
    """By OpenCV's fit to the pixels of two bars; a disc is no line, nor is a dotted one."""
    bars = [(120.0, 7.0, 20.0, (80.0, 60.0)), (90.0, 5.0, 100.0, (190.0, 130.0))]
    lit = bar(*bars[0]) | bar(*bars[1]) | ((COLS - 60) ** 2 + (ROWS - 160) ** 2 < 150)
    found = rough_lines(lit)
    assert len(found) == 2
    for (path, width), (length, wide, degrees, centre) in zip(found, bars, strict=True):
        places = np.argwhere(bar(length, wide, degrees, centre))[:, ::-1]
        *step, x, y = cv2.fitLine(places.astype(np.float32), cv2.DIST_L2, 0, 0.01, 0.01).ravel()
        step, origin = np.array(step), np.array([x, y])
        turn = np.degrees(
            np.arctan2(path.y2 - path.y1, path.x2 - path.x1) - np.arctan2(step[1], step[0])
        )
        assert abs((turn + 90.0) % 180.0 - 90.0) < 2.5
        middle = 0.5 * np.array([path.x1 + path.x2, path.y1 + path.y2])
        assert np.linalg.norm(middle - centre) < 4.0
        off = middle - origin
        assert abs(step[0] * off[1] - step[1] * off[0]) < 1.5
        assert path.length_px == pytest.approx(length - wide, abs=5.0)
        assert width == pytest.approx(0.35 * wide, rel=0.35)
    dotted = bar(120.0, 3.0, 0.0) & (COLS.astype(int) % 12 < 4)
    assert rough_lines(dotted) == []


SPAN = (20.0, 60.0, 170.0, 96.0)


def judged(change=None, *, ends=SPAN, sigma=1.5, bin_px=1, bow=0.0):
    """Whether a line of light of 20, changed along it, is a bright streak."""
    light = 20.0 * streak_light(SHAPE, ends, sigma, bow=bow, light=change)
    path = Path(**dict(zip(("x1", "y1", "x2", "y2"), ends, strict=True)))
    line = line_of(np.ones(int(path.length_px) + 1), path=path, sigma_px=sigma)
    return is_bright_streak(line, light.astype(np.float32), np.ones(SHAPE, np.float32), bin_px)


@pytest.mark.parametrize(
    ("how", "is_one"),
    [
        ({}, True),
        ({"change": lambda t: np.where(t < 0.5, 1.0, 0.36)}, True),  # 0.3 of the light, at least
        ({"change": lambda t: np.where(t < 0.5, 1.0, 0.27)}, False),
        ({"change": lambda t: np.where(abs(t - 0.5) < 0.05, 0.0, 1.0)}, True),  # 15 % may be dark
        ({"change": lambda t: np.where(abs(t - 0.5) < 0.1, 0.0, 1.0)}, False),
        ({"sigma": 3.7}, True),
        ({"sigma": 3.9}, False),  # wider ones are sought in squares of pixels
        ({"ends": (20.0, 60.0, 50.0, 68.0), "bin_px": 1}, True),
        ({"ends": (20.0, 60.0, 50.0, 68.0), "bin_px": 2}, False),  # short ones are galaxies
        ({"ends": (20.0, 60.0, 170.0, 62.9)}, True),
        ({"ends": (20.0, 60.0, 170.0, 62.9), "bin_px": 2}, False),  # along rows charge bleeds
        ({"ends": (0.5, 60.0, 170.0, 60.4)}, False),  # out of the border
        ({"ends": (90.0, 0.5, 90.4, 170.0)}, False),
        ({"ends": (20.0, 60.0, 24.0, 61.0)}, False),  # too short
    ],
)
def test_bright_lines_are_even_thin_and_long_and_come_from_no_border(how, is_one):
    assert judged(**how) == is_one


@pytest.mark.parametrize("sigma_px", [8.0, 16.0])
def test_a_level_is_the_gaussian_mean_of_known_pixels(sigma_px):
    """By scipy at full size; light that stands far out counts no more than its limit."""
    rng = np.random.default_rng(7)
    residual = gaussian_filter(rng.normal(size=SHAPE), 10.0) * 30.0 + white(2)
    known = (COLS - 150) ** 2 + (ROWS - 90) ** 2 > 400
    residual[~known] = 1e4
    weight = gaussian_filter(known.astype(float), sigma_px, mode="mirror")
    mean = gaussian_filter(np.where(known, residual, 0.0), sigma_px, mode="mirror") / weight
    found = residual - subtract_level(residual.astype(np.float32), known, sigma_px)
    where = known & (weight > 0.3)
    where[:24] = where[-24:] = where[:, :24] = where[:, -24:] = False
    assert np.abs(found - mean)[where].max() < 0.12


def test_noise_is_told_by_second_differences_whatever_the_light():
    """A third of the frame is hidden; slopes and curvature take no part, and stars little."""
    sigma = 2.0 + COLS / WIDTH
    light = 0.05 * (COLS - 100.0) ** 2 + 3.0 * ROWS + star_light(SHAPE, scattered_stars(12, SHAPE))
    hidden = ROWS > 140
    found = estimate_pixel_noise((light + sigma * white(11)).astype(np.float32), hidden)
    ratio = (found / sigma)[:120]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.05)
    assert np.quantile(ratio, [0.02, 0.98]) == pytest.approx([1.0, 1.0], abs=0.22)
