"""Hot pixels stay where they are while stars move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.star_trails import fixed_to_the_sensor, marked_hot
from detectors.types import StarDetections, StarFlag


def detections(places):
    x, y = np.array(places, float).reshape(-1, 2).T
    ones = np.ones(x.size)
    return replace(
        StarDetections.empty(),
        x=x,
        y=y,
        flux=ones,
        snr=ones,
        fwhm_px=ones,
        ellipticity=0 * ones,
        covariance_px2=np.ones((x.size, 2, 2)),
        flags=np.zeros(x.size, np.uint8),
    )


@pytest.fixture
def sky():
    return np.random.default_rng(3).uniform(0.0, 900.0, (60, 2))


HOT = np.array([[100.0, 200.0], [512.0, 33.0], [700.0, 701.0]])


def test_what_stays_while_the_sky_moves_is_hot(sky):
    rng = np.random.default_rng(4)
    frames = []
    for step in range(3):
        hot = HOT + rng.normal(0.0, 0.1, HOT.shape)
        frames.append(detections(np.concatenate([sky + step * np.array([12.3, -7.7]), hot])))
    for found in fixed_to_the_sensor(frames):
        assert found[-3:].all()
        assert not found[:-3].any()


def test_a_camera_that_stands_still_condemns_no_star(sky):
    frames = [detections(sky + 0.05 * step) for step in range(3)]
    assert not any(found.any() for found in fixed_to_the_sensor(frames))


def test_two_frames_are_too_few_unless_asked_for(sky):
    frames = [
        detections(np.concatenate([sky + 11.0 * step, HOT[: 1 if step == 2 else 3]]))
        for step in range(3)
    ]
    assert fixed_to_the_sensor(frames)[0].sum() == 1
    assert fixed_to_the_sensor(frames, least_frames=2)[0].sum() == 3


def test_stars_about_the_pole_of_a_turning_camera_are_not_hot():
    rng = np.random.default_rng(5)
    sky, middle = rng.uniform(0.0, 900.0, (1500, 2)), np.array([450.0, 450.0])
    hot = np.array([[120.0, 700.0], [800.0, 150.0]])
    frames = []
    for angle in (0.0, 0.01, 0.02, 0.03):  # within 70 px of the pole stars stay to 0.7 px
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        frames.append(detections(np.concatenate([(sky - middle) @ turn.T + middle, hot])))
    assert np.count_nonzero(np.hypot(*(sky - middle).T) < 60.0) > 12
    for found in marked_hot(frames):
        hot_flag = found.flags & StarFlag.HOT > 0
        assert hot_flag[-2:].all()
        assert hot_flag[:-2].sum() <= 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_frames_without_stars_tell_nothing(count):
    assert [len(one) for one in fixed_to_the_sensor([StarDetections.empty()] * count)] == [
        0
    ] * count
