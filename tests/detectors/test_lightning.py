"""Flashes are found where they were drawn, and what is broad, bright or white alone is none."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from lightning_scene import add_blob, ground

from detectors.lightning import NeighbourFrame, detect_lightning
from detectors.registry import LIGHTNING
from detectors.types import Detector

SHAPE = (260, 360)


def stored(light):
    """As a file of 8 bits has it."""
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    value = np.rint(255.0 * np.clip(curved, 0.0, 1.0)) / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


@pytest.fixture
def night():
    return ground(*SHAPE)


@pytest.mark.parametrize(("peak", "sigma"), [(0.05, 8.0), (0.8, 6.0), (4.0, 12.0)])
def test_a_flash_is_where_it_was_drawn(night, peak, sigma):
    add_blob(night, 140.4, 110.7, sigma, peak)
    found = detect_lightning(stored(np.clip(night, 0.0, 1.0)))
    assert len(found) == 1
    assert np.hypot(found.x[0] - 140.4, found.y[0] - 110.7) < 1.5
    assert found.x1[0] < 140.4 < found.x2[0]
    assert found.y1[0] < 110.7 < found.y2[0]
    # Where the level of blue, over that of the ground, is half of its peak
    away = np.linspace(0.0, 60.0, 6001)
    light = np.clip(0.008 + peak * np.exp(-(away**2) / (2 * sigma**2)), 0.0, 1.0)
    level = 1.055 * light ** (1 / 2.4)
    half = away[np.searchsorted(-(level - level[-1]), -0.5 * (level[0] - level[-1]))]
    assert found.fwhm_px[0] == pytest.approx(2.0 * half, rel=0.2)
    if peak < 0.5:  # of what is clipped the colour is that of its rim
        assert found.blueness[0] == pytest.approx((1.0 - 0.86) / (0.86 + 0.93 + 1.0), abs=0.02)
    assert found.flag_names(0) == ()
    clipped = (night >= 1.0).any(axis=2).astype(np.float32)
    told = detect_lightning(stored(np.clip(night, 0.0, 1.0)), None, clipped)
    assert told.flag_names(0) == (("saturated",) if peak > 1.0 else ())


def test_lamps_stars_and_cloud_are_no_flash(night):
    assert len(detect_lightning(stored(night))) == 0
    rng = np.random.default_rng(3)
    for x, y in rng.uniform(20, (340, 240), (40, 2)):
        add_blob(night, x, y, 1.1, 0.5, (1.0, 1.0, 1.0))  # white lamps, or stars
    add_blob(night, 250.0, 60.0, 7.0, 0.5, (1.0, 0.6, 0.2))  # a sodium town under haze
    add_blob(night, 100.0, 180.0, 9.0, 0.3, (0.2, 1.0, 0.3))  # boats, or airglow
    add_blob(night, 180.0, 130.0, 90.0, 0.05, (0.95, 1.0, 1.05))  # moonlit cloud
    assert len(detect_lightning(stored(np.clip(night, 0.0, 1.0)))) == 0


def test_nothing_is_found_under_a_mask_or_without_colour(night):
    add_blob(night, 140.0, 110.0, 8.0, 0.5)
    light = stored(night)
    mask = np.zeros(SHAPE, bool)
    mask[80:140, 100:180] = True
    assert len(detect_lightning(light)) == 1
    assert len(detect_lightning(light, mask)) == 0
    assert len(detect_lightning(light.mean(axis=2))) == 0
    assert len(detect_lightning(light[:20, :20])) == 0
    assert len(detect_lightning(np.zeros((*SHAPE, 3), np.float32))) == 0
    assert len(detect_lightning(light, np.ones(SHAPE, bool))) == 0


def test_the_frame_is_left_alone_and_asked_again_gives_the_same(night):
    (detector,) = LIGHTNING.detectors().values()
    assert isinstance(detector, Detector)
    add_blob(night, 140.0, 110.0, 8.0, 0.5)
    light = stored(night)
    before = light.copy()
    first, second = detector.detect(light), detector.detect(light)
    assert np.array_equal(light, before)
    for field in fields(first):
        assert np.array_equal(getattr(first, field.name), getattr(second, field.name))
    assert (np.linalg.eigvalsh(first.covariance_px2) > 0.0).all()


def seen_from(world, column, row):
    """Part of a world, as a frame of a pass shows it."""
    return stored(np.clip(world[row : row + 300, column : column + 400], 0.0, 1.0))


def test_what_a_neighbour_shows_too_is_no_flash_and_a_frame_of_elsewhere_says_nothing():
    world = ground(340, 440, seed=1)
    add_blob(world, 120.0, 120.0, 7.0, 0.5)  # white light that stays
    other = seen_from(world, 12, 7)
    add_blob(world, 300.0, 200.0, 7.0, 0.5)
    frame, nothing = seen_from(world, 0, 0), np.zeros((300, 400), bool)
    alone = detect_lightning(frame)
    assert sorted(np.round(alone.x).tolist()) == [120.0, 300.0]
    beside = detect_lightning(frame, neighbours=[NeighbourFrame(light=other, ignored=nothing)])
    assert np.round(beside.x).tolist() == [300.0]
    assert beside.y[0] == pytest.approx(200.0, abs=1.5)
    elsewhere = seen_from(ground(340, 440, seed=2), 0, 0)
    same = detect_lightning(frame, neighbours=[NeighbourFrame(light=elsewhere, ignored=nothing)])
    assert np.array_equal(same.x, alone.x)
    # Where the neighbour is hidden, the frame is looked at by itself
    hidden = nothing.copy()
    hidden[:200, :180] = True
    partly = detect_lightning(frame, neighbours=[NeighbourFrame(light=other, ignored=hidden)])
    assert sorted(np.round(partly.x).tolist()) == [120.0, 300.0]
