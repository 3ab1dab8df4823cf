"""Detections of a picture made smaller come back to the pixels of the stored one."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.types import LightDetections, StarDetections, StreakDetections, StreakKind
from regengine.sky.detection.detect import in_stored_pixels

ONE = np.ones(1)


def stars(*, factor=1.0, trail=None):
    """A star at (99.5, 39.5) of a stored picture that was resized by a factor."""
    return StarDetections(
        x=100.0 * factor * ONE - 0.5,
        y=40.0 * factor * ONE - 0.5,
        flux=7.0 * factor**2 * ONE,
        snr=30.0 * ONE,
        fwhm_px=4.0 * factor * ONE,
        ellipticity=0.2 * ONE,
        covariance_px2=factor**2 * np.array([[[0.04, 0.01], [0.01, 0.09]]]),
        flags=np.array([4], np.uint8),
        trail_px=None if trail is None else (factor * trail[0], factor * trail[1]),
    )


def streaks(factor=1.0):
    """A streak of even light, 0.2 per stored pixel of its length."""
    return StreakDetections(
        **dict.fromkeys(("x1", "y1", "y2"), 60.0 * factor * ONE - 0.5),
        x2=160.0 * factor * ONE - 0.5,
        snr=9.0 * ONE,
        width_px=3.0 * factor * ONE,
        flux=20.0 * factor**2 * ONE,
        log10_false_alarm=-8.0 * ONE,
        bow_px=1.5 * factor * ONE,
        sigma_end_px=0.5 * factor * ONE,
        sigma_line_px=0.1 * factor * ONE,
        flags=np.zeros(1, np.uint8),
        kind=(StreakKind.METEOR,),
        profiles=(np.full(5, 0.2 * factor),),
    )


def lights(factor=1.0):
    return LightDetections(
        **dict.fromkeys(("x", "y"), 25.0 * factor * ONE - 0.5),
        flux=2.0 * factor**2 * ONE,
        snr=12.0 * ONE,
        radius_px=6.0 * factor * ONE,
        covariance_px2=factor**2 * np.eye(2)[None],
        flags=np.zeros(1, np.uint8),
    )


def assert_equal(found, wanted):
    assert type(found) is type(wanted)
    for name, value in vars(wanted).items():
        if name == "kind" or value is None:
            assert getattr(found, name) == value
        else:
            np.testing.assert_allclose(getattr(found, name), value, err_msg=name)


@pytest.mark.parametrize("factor", [1.0, 0.5, 0.3])
def test_each_kind_comes_back(factor):
    assert_equal(in_stored_pixels(stars(factor=factor), factor), stars())
    both = (stars(factor=factor, trail=(6.0, -2.0)), stars(trail=(6.0, -2.0)))
    assert_equal(in_stored_pixels(both[0], factor), both[1])
    assert_equal(in_stored_pixels(streaks(factor), factor), streaks())
    assert_equal(in_stored_pixels(lights(factor), factor), lights())


def test_light_comes_back_in_the_unit_of_the_file():
    found, same = in_stored_pixels(streaks(), 1.0, 250.0), streaks()
    np.testing.assert_allclose(found.flux, 250.0 * same.flux)
    np.testing.assert_allclose(found.profiles[0], 250.0 * same.profiles[0])
    np.testing.assert_array_equal(found.width_px, same.width_px)
    np.testing.assert_array_equal(found.x2, same.x2)
