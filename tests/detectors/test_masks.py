"""Captions, blank parts, window frames and hardware are masked; cities, seas and limbs are not."""

from __future__ import annotations

import numpy as np
import pytest
from light_scene import draw, spread_lights
from limb_scene import drawn_limb
from numpy.typing import NDArray

from detectors.masks import (
    blank_parts,
    mask_caption_strips,
    mask_hardware,
    mask_window_frames,
)

Image = NDArray[np.float32]

HEIGHT, WIDTH = 426, 640
ROW, COLUMN = np.mgrid[:HEIGHT, :WIDTH].astype(float)


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
    assert not (blank_parts(light) | mask_window_frames(light)).any()


def test_window_frame_is_masked() -> None:
    light = city() + np.float32(0.02)
    row, column = np.indices(light.shape)
    frame = column < 60.0 + 0.3 * row
    light[frame] = 0.004
    mask = mask_window_frames(light.astype(np.float32))
    assert mask[frame].mean() > 0.97
    assert mask[~frame].mean() < 0.02


def test_lit_land_beyond_a_straight_edge_is_kept() -> None:
    light = city() + np.float32(0.02)
    row, column = np.indices(light.shape)
    side = column < 100
    light[side] *= 0.3
    for y, x in ((40, 30), (120, 60), (200, 20), (230, 70)):
        light[np.hypot(row - y, column - x) < 3.0] = 0.5
    assert not mask_window_frames(light.astype(np.float32)).any()


@pytest.mark.parametrize(("share", "framed"), [(0.02, 0.0), (0.3, 0.3), (0.45, 0.0)])
def test_a_frame_is_neither_a_thin_line_nor_half_the_photo(share: float, framed: float) -> None:
    light = city(lights=0) + np.float32(0.02)
    rows = round(share * len(light))
    light[:rows] = 0.004
    mask = mask_window_frames(light.astype(np.float32))
    assert mask.mean() == pytest.approx(framed, abs=0.01)
    assert not mask[rows + 4 :].any()


def test_cities_have_no_foreground() -> None:
    for seed in range(3):
        light = city(seed)
        assert not (blank_parts(light) | mask_window_frames(light)).any()


def test_limb_is_no_window_frame_where_the_sky_is_known() -> None:
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=0.0, focal_px=1500.0, ground=0.1, cities=0)
    sky = light < 0.05
    rows = np.flatnonzero(sky.all(axis=1))
    assert not mask_window_frames(light, sky=sky)[
        : max(int(rows.max()) - 12, 0) if rows.size else 0
    ].any()


@pytest.mark.parametrize("turn", range(4))
def test_a_strip_with_letters_and_its_blurred_edge_is_masked(turn: int) -> None:
    white = np.zeros((200, 300), bool)
    white[-14:] = True
    white[-9:-4, 40:240] = False  # letters
    masked = mask_caption_strips(np.rot90(white, turn), margin_px=3)
    wanted = np.zeros((200, 300), bool)
    wanted[-16:] = True
    np.testing.assert_array_equal(masked, np.rot90(wanted, turn))


def night(seed: int = 0) -> Image:
    """Lights of many sizes over dim ground."""
    lights = spread_lights(60, (HEIGHT, WIDTH), snr=(10.0, 400.0), seed=seed)
    return np.asarray(draw(lights, (HEIGHT, WIDTH), level=0.01, seed=seed))


def bar(angle_deg: float, x: float, y: float, length: float, width: float) -> NDArray[np.bool_]:
    """A straight bar about a place."""
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    along = (COLUMN - x) * c + (ROW - y) * s
    across = (ROW - y) * c - (COLUMN - x) * s
    return np.asarray((np.abs(along) < 0.5 * length) & (np.abs(across) < 0.5 * width))


@pytest.mark.parametrize("angle_deg", [0.0, 23.0, 90.0, 131.0])
def test_an_arm_is_masked_along_its_edges(angle_deg: float) -> None:
    arm = bar(angle_deg, 330.0, 210.0, 300.0, 9.0)
    light = np.where(arm, np.float32(0.12), night())
    mask = mask_hardware(light)
    middle = bar(angle_deg, 330.0, 210.0, 260.0, 9.0)
    assert mask[middle].mean() > 0.9
    assert not mask[~bar(angle_deg, 330.0, 210.0, 330.0, 40.0)].any()


def test_dark_trusses_are_masked_where_they_are_no_speck() -> None:
    """Before moonlit ground; what is under 2 % of a picture is not told from its darkest ground."""
    dim = night() + np.float32(0.03)
    light = dim.copy()
    for y in (150.0, 200.0, 250.0):
        light[bar(8.0, 330.0, y, 400.0, 14.0)] = 0.0005
    mask = mask_hardware(light)
    assert mask[bar(8.0, 330.0, 200.0, 340.0, 100.0)].mean() > 0.9
    assert not mask[~bar(8.0, 330.0, 200.0, 430.0, 140.0)].any()
