"""Straight edges of hardware are masked, and what lies between them; cities are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from light_scene import draw, spread_lights
from limb_scene import drawn_limb
from numpy.typing import NDArray

from detectors.masks import LEAST_LENGTH, edges_of_hardware, hardware_mask, neighbours, side_by_side

Image = NDArray[np.float32]

HEIGHT, WIDTH = 426, 640
ROW, COLUMN = np.mgrid[:HEIGHT, :WIDTH].astype(float)


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


@pytest.mark.parametrize("seed", range(5))
def test_lights_have_no_straight_edges(seed: int) -> None:
    assert not hardware_mask(night(seed)).any()


def test_a_curved_coast_of_lights_is_none() -> None:
    """A shore whose towns lie as close as pearls, along an arc."""
    light = 0.01 + 0.001 * np.random.default_rng(1).normal(size=(HEIGHT, WIDTH))
    for angle in np.linspace(-1.0, 1.0, 60):
        x, y = 320.0 + 250.0 * np.sin(angle), 420.0 - 250.0 * np.cos(angle)
        light += 0.3 * np.exp(-0.5 * ((COLUMN - x) ** 2 + (ROW - y) ** 2) / 1.5**2)
    assert not hardware_mask(light.astype(np.float32)).any()


@pytest.mark.parametrize("angle_deg", [0.0, 23.0, 90.0, 131.0])
def test_an_arm_is_masked_along_its_edges(angle_deg: float) -> None:
    arm = bar(angle_deg, 330.0, 210.0, 300.0, 9.0)
    light = np.where(arm, np.float32(0.12), night())
    mask = hardware_mask(light)
    middle = bar(angle_deg, 330.0, 210.0, 260.0, 9.0)
    assert mask[middle].mean() > 0.9
    assert not mask[~bar(angle_deg, 330.0, 210.0, 330.0, 40.0)].any()


def test_dark_trusses_are_masked_where_they_are_no_speck() -> None:
    """Before moonlit ground; what is under 2 % of a picture is not told from its darkest ground."""
    dim = night() + np.float32(0.03)
    light = dim.copy()
    for y in (150.0, 200.0, 250.0):
        light[bar(8.0, 330.0, y, 400.0, 14.0)] = 0.0005
    mask = hardware_mask(light)
    assert mask[bar(8.0, 330.0, 200.0, 340.0, 100.0)].mean() > 0.9
    assert not mask[~bar(8.0, 330.0, 200.0, 430.0, 140.0)].any()


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_what_lies_between_rows_of_a_panel_is_masked(scale: float) -> None:
    """Also in a larger picture, which is looked at in the same size."""
    light = night()
    for k in range(4):
        light[bar(12.0, 440.0, 120.0 + 30.0 * k, 260.0, 6.0)] = 0.15
    panel = bar(12.0, 440.0, 165.0, 220.0, 80.0)
    if scale > 1.0:
        light = cv2.resize(light, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        large = cv2.resize(panel.astype(np.uint8), light.shape[::-1])
        panel = np.asarray(large > 0)
    mask = hardware_mask(light)
    assert mask.shape == light.shape
    assert mask[panel].mean() > 0.97
    assert mask.mean() < 0.2
    assert not mask[:, : int(200 * scale)].any()


def test_short_edges_do_not_count() -> None:
    long_side = float(WIDTH)
    for share, expected in ((0.5, False), (2.0, True)):
        light = night()
        light[bar(30.0, 330.0, 210.0, share * LEAST_LENGTH * long_side, 8.0)] = 0.15
        assert bool(hardware_mask(light).any()) is expected


def test_straight_edges_lie_where_the_bar_ends() -> None:
    light = np.where(bar(0.0, 320.0, 200.0, 300.0, 20.0), np.float32(0.2), night())
    found = edges_of_hardware(light)
    level = np.abs(found[:, 1] - found[:, 3]) < 2.0
    assert sorted(found[level][:, 1].round()) == pytest.approx([190.0, 210.0], abs=1.5)


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_an_even_picture_has_none(value: float) -> None:
    light = np.full((120, 180), value, np.float32)
    assert edges_of_hardware(light).shape == (0, 4)
    assert not hardware_mask(light).any()


def segment(x1: float, y1: float, x2: float, y2: float) -> NDArray[np.float64]:
    return np.array([x1, y1, x2, y2], float)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ((0, 30, 100, 30), True),
        ((100, 30, 0, 30), True),  # drawn the other way
        ((0, 30, 100, 38), True),  # 4.6 degrees
        ((0, 30, 100, 45), False),  # 8.5 degrees
        ((0, 300, 100, 300), False),  # far apart
        ((65, 30, 165, 30), True),  # overlap by 35 %
        ((75, 30, 175, 30), False),  # by 25 %
        ((40, 5, 75, 5), True),  # within the other
        ((0, 0, 0, 100), False),  # across it
    ],
)
def test_neighbours_run_side_by_side(second: tuple[float, ...], expected: bool) -> None:
    first, other = segment(0, 0, 100, 0), segment(*second)
    assert neighbours(first, other, 640.0) is expected
    assert neighbours(other, first, 640.0) is expected


def test_three_side_by_side_are_a_group() -> None:
    """Also where the first and the last are only neighbours of the one between them."""
    rows = [segment(0, 100.0 * k, 100, 100.0 * k) for k in (0, 2, 1)]
    aside = segment(400, 0, 400, 100)
    segments = np.array([rows[0], rows[1], aside, rows[2]])
    groups = side_by_side(segments, 640.0)
    assert [sorted(group) for group in groups] == [[0, 1, 3]]
    assert side_by_side(segments[:3], 640.0) == []
    assert side_by_side(np.zeros((0, 4)), 640.0) == []


def test_a_limb_alone_is_no_panel() -> None:
    """Stretches of it may pass for straight; never is ground between them masked."""
    light = drawn_limb(off_nadir_deg=60.0, roll_deg=10.0)
    mask = hardware_mask(light)
    assert mask.mean() < 0.1
