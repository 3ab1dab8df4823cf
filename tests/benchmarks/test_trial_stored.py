"""Cropped, turned and mirrored pictures have exact cameras."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trial_parts import looking

from benchmarks.simulate.camera import SimCamera
from benchmarks.trials.source import (
    Storage,
    draw_storage,
    stored_camera,
    whole_size,
)


def seen_by(camera: SimCamera) -> np.ndarray:
    """Rays of all pixels as a picture, shape (height, width, 3)."""
    x, y = np.meshgrid(np.arange(camera.width_px), np.arange(camera.height_px))
    return camera.rays(x, y)


WHOLE = replace(looking(30.0, width=31, height=20, focal_px=40.0), k1=-0.03)


@given(
    left=st.integers(0, 12),
    top=st.integers(0, 8),
    turns=st.integers(0, 3),
    mirrored=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_all_of_it_together(left: int, top: int, turns: int, mirrored: bool) -> None:
    storage = Storage(
        long_px=18,
        crop=(left / 31, top / 20, 18 / 31, 12 / 20),
        quarter_turns=turns,
        mirrored=mirrored,
    )
    picture = np.rot90(seen_by(WHOLE)[top : top + 12, left : left + 18], turns)
    if mirrored:
        picture = picture[:, ::-1]
    stored = stored_camera(WHOLE, storage)
    assert (stored.height_px, stored.width_px) == picture.shape[:2]
    np.testing.assert_allclose(seen_by(stored), picture, atol=1e-12)


@pytest.mark.parametrize("shape", [1.5, 4256 / 2832])
def test_the_stored_picture_has_the_drawn_size(shape: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        storage = draw_storage(rng)
        width, height = whole_size(storage, shape)
        whole = replace(WHOLE, width_px=round(width), height_px=round(height))
        stored = stored_camera(whole, storage)
        assert abs(max(stored.width_px, stored.height_px) - storage.long_px) <= 2
        assert storage.long_px <= 2000
        assert 1 / 3 - 1e-9 <= storage.crop_share <= 1.0
        left, top, kept_width, kept_height = storage.crop
        assert left >= 0.0
        assert top >= 0.0
        assert left + kept_width <= 1.0 + 1e-12
        assert top + kept_height <= 1.0 + 1e-12


def test_how_often_pictures_are_changed() -> None:
    rng = np.random.default_rng(5)
    drawn = [draw_storage(rng) for _ in range(2000)]
    assert 0.16 < np.mean([s.crop_share < 1.0 or s.crop[2] != s.crop[3] for s in drawn]) < 0.28
    assert 0.15 < np.mean([s.quarter_turns > 0 for s in drawn]) < 0.25
    assert 0.015 < np.mean([s.mirrored for s in drawn]) < 0.05
    assert min(s.crop_share for s in drawn) < 0.4
