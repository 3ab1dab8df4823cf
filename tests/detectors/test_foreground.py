"""Blank parts and window frames are masked; cities, dark seas and limbs are not."""

from __future__ import annotations

import numpy as np
from limb_scene import drawn_limb

from detectors.masks import blank_parts, window_frames


def city(seed: int = 0, lights: int = 150) -> np.ndarray:
    return drawn_limb(off_nadir_deg=15.0, roll_deg=0.0, cities=lights, seed=seed)


def test_black_bars_are_blank() -> None:
    light = city() + np.float32(0.002)
    light[:40] = 0.0
    mask = blank_parts(light)
    assert mask[:40].all()
    assert not mask[45:].any()


def test_corner_of_a_turned_copy_is_blank() -> None:
    light = city() + np.float32(0.002)
    row, column = np.indices(light.shape)
    corner = (row - 200.0) + 0.8 * (column - 320.0) > 0.0
    light[corner] = 0.0
    mask = blank_parts(light)
    assert mask[corner].mean() > 0.98
    assert mask[~corner].mean() < 0.02


def test_clipped_dark_sea_is_no_blank_part() -> None:
    light = city()
    light[light < 0.02] = 0.0
    assert (light == 0.0).mean() > 0.7
    assert not (blank_parts(light) | window_frames(light)).any()


def test_a_black_sea_around_a_coast_is_no_blank_part() -> None:
    """Compression leaves a dark sea black from border to border: all but the lit coast."""
    row, column = np.indices((240, 360))
    coast = (np.abs(row - 120) < 25) & (np.abs(column - 200) < 30)
    light = np.asarray(np.where(coast, city()[:240, :360] + 0.01, 0.0), np.float32)
    assert not blank_parts(light).any()


def test_window_frame_is_masked() -> None:
    light = city() + np.float32(0.02)
    row, column = np.indices(light.shape)
    frame = column < 60.0 + 0.3 * row
    light[frame] = 0.004
    mask = window_frames(light.astype(np.float32))
    assert mask[frame].mean() > 0.97
    assert mask[~frame].mean() < 0.02


def test_lit_land_beyond_a_straight_edge_is_kept() -> None:
    light = city() + np.float32(0.02)
    row, column = np.indices(light.shape)
    side = column < 100
    light[side] *= 0.3
    for y, x in ((40, 30), (120, 60), (200, 20), (230, 70)):
        light[np.hypot(row - y, column - x) < 3.0] = 0.5
    assert not window_frames(light.astype(np.float32)).any()


def test_cities_have_no_foreground() -> None:
    for seed in range(6):
        light = city(seed)
        assert not (blank_parts(light) | window_frames(light)).any()


def test_limb_is_no_window_frame_where_the_sky_is_known() -> None:
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=0.0, focal_px=1500.0, ground=0.1, cities=0)
    sky = light < 0.05
    rows = np.flatnonzero(sky.all(axis=1))
    assert not window_frames(light, sky=sky)[
        : max(int(rows.max()) - 12, 0) if rows.size else 0
    ].any()
