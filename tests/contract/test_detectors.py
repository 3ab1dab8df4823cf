"""What every method of detection promises, whichever it is."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import numpy as np
import pytest

from detectors.types import LIGHTS, STARS, STREAKS
from tests.conftest import ROOT
from tests.world.fields import (
    STREAK_LEVEL,
    STREAK_NOISE,
    Streak,
    centroid_pulls,
    draw,
    nearest,
    nearest_streak,
    spread_lights,
    star_frame,
    star_list,
    streak_frame,
)

SHAPE = HEIGHT, WIDTH = (168, 208)
POINTS = (240, 320)
DETECTORS = {
    f"{kind.name}-{name}": (kind.name, one)
    for kind in (LIGHTS, STARS, STREAKS)
    for name, one in kind.detectors().items()
}
every = pytest.mark.parametrize(("kind", "detector"), DETECTORS.values(), ids=DETECTORS)


@cache
def usual(kind):
    """A frame that shows something of each kind."""
    if kind == "lights":
        return draw(spread_lights(20, SHAPE), SHAPE)
    if kind == "stars":
        return star_frame(star_list(20, SHAPE), SHAPE)
    return streak_frame([Streak(30.0, 45.0, 150.0, 137.0, snr=12.0)], SHAPE, seed=4, stars=9)


def assert_sound(found, shape=SHAPE):
    """One length, one kind of number, places in the frame, in the promised order."""
    for one in fields(found):
        values = getattr(found, one.name)
        if one.name in found.of_image:
            continue
        assert len(values) == len(found)
        assert values.dtype == (np.uint8 if one.name == "flags" else np.float64), one.name
        assert np.isfinite(values).all() or one.name == "sigma_end_px", one.name
        side = {"x": shape[1], "y": shape[0]}.get(one.name[0] if len(one.name) < 3 else "")
        if side is not None:
            assert ((values >= -0.5) & (values <= side - 0.5)).all(), one.name
    assert (found.snr > 0.0).all()
    order = found.snr if hasattr(found, "x1") else found.flux
    assert (np.diff(order) <= 0).all()
    if hasattr(found, "covariance_px2") and len(found):
        assert (np.linalg.eigvalsh(found.covariance_px2) > 0).all()


def assert_equal(one, other):
    for field in fields(one):
        values = (getattr(found, field.name) for found in (one, other))
        np.testing.assert_equal(*values, err_msg=field.name)


@every
def test_the_answer_is_sound_and_the_same_again_and_the_frame_is_left_alone(kind, detector):
    image = usual(kind).copy()
    found = detector.detect(image)
    assert len(found) >= 1
    assert_sound(found)
    assert np.array_equal(image, usual(kind))
    assert_equal(found, detector.detect(np.repeat(image, 2, axis=1)[:, ::2]))  # not contiguous


@every
def test_nothing_in_a_constant_or_hidden_frame(kind, detector):
    for value in (0.0, 0.02, 1.0, np.nan):
        assert len(detector.detect(np.full((64, 80), value, np.float32))) == 0
    assert len(detector.detect(usual(kind), np.ones(SHAPE, bool))) == 0


@every
def test_small_and_narrow_frames_do_not_break_it(kind, detector):
    for shape in ((1, 1), (300, 1), (8, 200), (33, 17)):
        rng = np.random.default_rng(0)
        noise = rng.normal(STREAK_LEVEL, STREAK_NOISE, shape).astype(np.float32)
        assert_sound(detector.detect(noise), shape)


@every
def test_what_is_no_image_or_no_mask_of_it_is_refused(kind, detector):
    for shape in ((0, 5), (10,), (40, 40, 3)):
        with pytest.raises(ValueError, match="two-dimensional"):
            detector.detect(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="mask has shape"):
        detector.detect(usual(kind), np.zeros((3, 3), bool))
    with pytest.raises(ValueError, match="saturated has shape"):
        detector.detect(usual(kind), None, np.zeros((3, 3), np.float32))


# ---- lights and stars


@dataclass(frozen=True)
class PointKind:
    """Scenes of one kind, and how near a detection must come."""

    points: object
    frame: object
    near_px: float
    too_many: int  # more than there are, in a frame of many and in one of none
    none: int
    strong_snr: float
    pulls: tuple[float, float]  # median of squared errors by the covariance; 1.39 is honest
    pulls_of: float  # share that they are of
    twins: tuple[str, ...]  # columns that are alike in a turned frame


LAMPS = PointKind(
    points=spread_lights,
    frame=draw,
    near_px=0.6,
    too_many=0,
    none=1,
    strong_snr=12.0,
    pulls=(0.9, 2.8),  # estimators may lose some of the bound's efficiency
    pulls_of=0.97,
    twins=("flux", "radius_px"),
)
SKY = PointKind(
    points=star_list,
    frame=star_frame,
    near_px=0.4,
    too_many=2,
    none=6,
    strong_snr=20.0,
    pulls=(0.25, 4.0),  # photon noise is missing here, profiles may differ
    pulls_of=0.8,
    twins=("flux",),
)
LIGHT_DETECTORS, STAR_DETECTORS = LIGHTS.detectors(), STARS.detectors()
ALL = {f"lights-{name}": (LAMPS, one) for name, one in LIGHT_DETECTORS.items()} | {
    f"stars-{name}": (SKY, one) for name, one in STAR_DETECTORS.items()
}
every_point = pytest.mark.parametrize(("kind", "detector"), ALL.values(), ids=ALL)
every_star = pytest.mark.parametrize("detector", STAR_DETECTORS.values(), ids=STAR_DETECTORS)


def many(kind, count=25, shape=POINTS, **how):
    points = kind.points(count, shape, **how)
    return points, kind.frame(points, shape)


def assert_same(kind, one, other, tolerance_px):
    """Every strong point of each has its twin in the other."""
    for left, right in ((one, other), (other, one)):
        strong = left.select(left.snr >= kind.strong_snr)
        apart = strong.x[:, None] - right.x, strong.y[:, None] - right.y
        gaps = np.hypot(*apart)
        assert gaps.min(axis=1).max() < tolerance_px
        for column in kind.twins:
            ratio = getattr(strong, column) / getattr(right, column)[gaps.argmin(axis=1)]
            assert np.abs(np.log(ratio)).max() < 0.18


def assert_there(kind, found, points):
    assert all(nearest(found, one.x, one.y)[1] < kind.near_px for one in points)


@every_point
def test_it_finds_isolated_points_and_hardly_anything_else(kind, detector):
    assert len(detector.detect(kind.frame([], (500, 500), seed=3))) <= kind.none
    points, image = many(kind)
    found = detector.detect(image)
    assert len(points) <= len(found) <= len(points) + kind.too_many
    assert_there(kind, found, points)
    index = [nearest(found, one.x, one.y)[0] for one in points]
    ratio = found.flux[index] / np.array([one.flux for one in points])
    assert np.abs(np.log(ratio)).max() < 0.35
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)


@every_point
def test_masked_points_are_not_found_and_what_is_hidden_does_not_matter(kind, detector):
    points, image = many(kind)
    mask = np.zeros(POINTS, bool)
    mask[:, :160] = True
    bright = image.copy()
    bright[:, :160] = 0.9
    found = detector.detect(image, mask)
    assert (found.x > 157.0).all()
    assert_there(kind, found, [one for one in points if one.x > 175.0])
    assert_same(kind, found, detector.detect(bright, mask), 1e-3)


@every_point
def test_covariance_tells_the_centroid_errors(kind, detector):
    points, image = many(kind, 95, (350, 420), snr=(20.0, 60.0), gap=22.0)
    pulls = centroid_pulls(detector.detect(image), points, 1.5)
    assert len(pulls) > kind.pulls_of * len(points)
    assert kind.pulls[0] < np.median(pulls) < kind.pulls[1]


@every_star
def test_width_is_that_of_the_star(detector):
    stars, image = many(SKY)
    found = detector.detect(image)
    gaps = [nearest(found, one.x, one.y) for one in stars]
    index = [which for which, _ in gaps]
    assert np.median([gap for _, gap in gaps]) < 0.1
    assert np.median(found.fwhm_px[index]) == pytest.approx(2.355 * stars[0].sigma, rel=0.12)
    assert np.median(found.ellipticity[index]) < 0.15
    assert found.trail_px is None


# ---- streaks

TWO = (Streak(30.0, 45.0, 150.0, 137.0, snr=12.0), Streak(60.0, 20.0, 185.0, 90.0, snr=12.0))
# How far ends may be off, of methods that connect bright pixels and cut stars away, too: how well
# each does is for the benchmark to say
END_PX = 8.0
SAME_PX = 1.5
CLEAR_PX = 30.0  # of stars, so that none is taken for a part of a streak
MARGIN = 24  # around the frame, for what is moved into it
every_streak = pytest.mark.parametrize("name", STREAKS.detectors())


@cache
def frame_of_two(what="two"):
    shape = (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN)
    moved = [one.moved(MARGIN, MARGIN) for one in TWO]
    wide = streak_frame(moved, shape, seed=4, stars=24, clear_px=CLEAR_PX)
    image = wide[MARGIN:-MARGIN, MARGIN:-MARGIN]
    image = {
        "two": image,
        "moved": wide[MARGIN - 7 : -MARGIN - 7, MARGIN - 11 : -MARGIN - 11],
        "transposed": image.T,
        "other unit": 4000.0 * image - 350.0,
    }[what]
    return np.ascontiguousarray(image)


@cache
def detected(name, what="two"):
    """A method's answer for a frame that several tests look at."""
    return STREAKS.detectors()[name].detect(frame_of_two(what))


def assert_found(found, ends, tolerance_px=END_PX):
    assert nearest_streak(found, ends)[1] < tolerance_px


@every_streak
def test_two_streaks_are_found_from_end_to_end_in_any_unit(name):
    for what in ("two", "other unit"):
        for streak in TWO:
            assert_found(detected(name, what), streak.ends)


@every_streak
def test_streaks_move_and_turn_with_the_frame(name):
    for streak in TWO:
        index = nearest_streak(detected(name), streak.ends)[0]
        ends = (getattr(detected(name), end)[index] for end in ("x1", "y1", "x2", "y2"))
        x1, y1, x2, y2 = map(float, ends)
        assert_found(detected(name, "moved"), Streak(x1, y1, x2, y2).moved(11, 7).ends, SAME_PX)
        assert_found(detected(name, "transposed"), (y1, x1, y2, x2), SAME_PX)


@every_streak
def test_masked_and_missing_pixels_hide_one_streak_and_not_the_other(name):
    hidden, kept = TWO
    rows, cols = np.mgrid[0:HEIGHT, 0:WIDTH]
    dx, dy = hidden.x2 - hidden.x1, hidden.y2 - hidden.y1
    mask = np.abs((rows - hidden.y1) * dx - (cols - hidden.x1) * dy) < 9.0 * np.hypot(dx, dy)
    image = frame_of_two().copy()
    image[130:, :20] = np.nan
    image[150:, 190:] = np.inf
    found = STREAKS.detectors()[name].detect(image, mask)
    assert_found(found, kept.ends)
    assert nearest_streak(found, hidden.ends)[1] > 2 * END_PX


@every_streak
def test_a_streak_that_leaves_the_frame_ends_at_its_border(name):
    leaving = Streak(70.0, 60.0, 270.0, 135.0, snr=12.0)
    found = STREAKS.detectors()[name].detect(streak_frame([leaving], SHAPE, clear_px=CLEAR_PX))
    assert_found(found, (70.0, 60.0, 207.0, 111.4))


# ---- methods of others


def test_the_detector_that_the_page_writes_does_what_the_page_says(monkeypatch):
    page = Path(ROOT / "CONTRIBUTING.md").read_text("utf-8")
    block = re.search(r"^   ```python\n(.*?)^   ```", page, re.M | re.S)
    assert block
    module = ModuleType("detectors.stars_peaks")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(dedent(block[1]), "CONTRIBUTING.md", "exec"), module.__dict__)
    (detector,) = module.DETECTORS
    assert detector.name == "peaks"
    stars, image = many(SKY)
    found = detector.detect(image)
    assert len(found) <= len(stars) + 2
    assert_there(SKY, found, stars)
    assert len(detector.detect(star_frame([], POINTS, seed=5, level=0.1))) <= 6
