"""What every detector must do, whatever it finds and by whichever method."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

import numpy as np
import pytest
from light_scene import draw, spread_lights
from star_scene import star_frame, star_list
from streak_scene import LEVEL, NOISE, Streak, streak_frame

from detectors.registry import LIGHTS, STARS, STREAKS
from detectors.types import Detector

DETECTORS = {
    f"{kind.name}-{name}": (kind.name, detector)
    for kind in (LIGHTS, STARS, STREAKS)
    for name, detector in kind.detectors().items()
}
SHAPE = HEIGHT, WIDTH = (168, 208)

pytestmark = pytest.mark.parametrize(("kind", "detector"), DETECTORS.values(), ids=DETECTORS)


@cache
def scene(kind):
    if kind == "lights":
        return draw(spread_lights(20, SHAPE), SHAPE)
    if kind == "stars":
        return star_frame(star_list(20, SHAPE), SHAPE)
    return streak_frame([Streak(30.0, 45.0, 150.0, 137.0, snr=12.0)], SHAPE, seed=4, stars=9)


def assert_sound(found, shape=SHAPE):
    """One length, one kind of number, places in the frame, in the promised order."""
    columns = {
        one.name: getattr(found, one.name)
        for one in fields(found)
        if one.name not in found.of_image
    }
    assert {len(column) for column in columns.values()} == {len(found)}
    assert columns.pop("flags").dtype == np.uint8
    for name, values in columns.items():
        assert values.dtype == np.float64, name
        assert np.isfinite(values).all() or name == "sigma_end_px", name
        if name in ("snr", "flux", "radius_px", "fwhm_px", "width_px") and "x1" not in columns:
            assert (values > 0).all(), name
        side = {"x": shape[1], "y": shape[0]}.get(name[0] if len(name) < 3 else "")
        if side is not None:
            assert ((values >= -0.5) & (values <= side - 0.5)).all(), name
    order = found.snr if "x1" in columns else found.flux
    assert (np.diff(order) <= 0).all()
    if "covariance_px2" in columns and len(found):
        assert (np.linalg.eigvalsh(found.covariance_px2) > 0).all()
    if "x1" in columns:
        assert (found.x1 <= found.x2).all()
        assert ((found.snr > 0) & (found.width_px > 0)).all()
        assert not (found.sigma_end_px <= 0).any()
        assert not (found.sigma_line_px < 0).any()


def test_it_has_what_a_detector_has_and_its_answer_is_sound(kind, detector):
    assert isinstance(detector, Detector)
    found = detector.detect(scene(kind))
    assert len(found) >= 1
    assert_sound(found)
    assert len(found.select(found.snr > np.inf)) == 0


def test_the_frame_is_left_alone_and_asked_again_gives_the_same(kind, detector):
    image = scene(kind).copy()
    one = detector.detect(image)
    assert np.array_equal(image, scene(kind))
    other = detector.detect(np.repeat(image, 2, axis=1)[:, ::2])  # not contiguous
    for field in fields(one):
        values = (getattr(found, field.name) for found in (one, other))
        np.testing.assert_equal(*values, err_msg=field.name)


@pytest.mark.parametrize("value", [0.0, 0.02, 1.0])
def test_nothing_in_a_constant_frame(kind, detector, value):
    assert len(detector.detect(np.full((64, 80), value, np.float32))) == 0


def test_nothing_where_all_is_hidden(kind, detector):
    assert len(detector.detect(scene(kind), np.ones(SHAPE, bool))) == 0
    assert len(detector.detect(np.full((64, 80), np.nan, np.float32))) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 9), (8, 200), (33, 17)])
def test_small_and_narrow_frames_do_not_break_it(kind, detector, shape):
    rng = np.random.default_rng(0)
    assert_sound(detector.detect(rng.normal(LEVEL, NOISE, shape).astype(np.float32)), shape)
    assert_sound(detector.detect(rng.uniform(0.0, 1.0, shape).astype(np.float32)), shape)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (10,), (40, 40, 3)])
def test_what_is_no_image_is_refused(kind, detector, shape):
    with pytest.raises(ValueError, match="two-dimensional"):
        detector.detect(np.zeros(shape, np.float32))


def test_mask_and_saturation_of_another_shape_are_refused(kind, detector):
    with pytest.raises(ValueError, match="mask has shape"):
        detector.detect(scene(kind), np.zeros((3, 3), bool))
    with pytest.raises(ValueError, match="saturated has shape"):
        detector.detect(scene(kind), None, np.zeros((3, 3), np.float32))
