"""Hot pixels stay where they are while stars move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.star_sequence import fixed_to_the_sensor
from detectors.star_types import StarDetections


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
        assert found[:-3].sum() <= 1  # two stars may take each other's place


def test_a_camera_that_stands_still_condemns_no_star(sky):
    frames = [detections(sky), detections(sky + 0.05)]
    assert not any(found.any() for found in fixed_to_the_sensor(frames))


def test_more_frames_may_be_asked_for(sky):
    frames = [
        detections(np.concatenate([sky + 11.0 * step, HOT[: 1 if step == 2 else 3]]))
        for step in range(3)
    ]
    assert fixed_to_the_sensor(frames, least_frames=3)[0].sum() == 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_frames_without_stars_tell_nothing(count):
    assert [len(one) for one in fixed_to_the_sensor([StarDetections.empty()] * count)] == [
        0
    ] * count
