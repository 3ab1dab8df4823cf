"""Structure: drawn lines, their length and directions, panes, and a port-hole's circle."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from regengine.scene.features import structure
from tests.regengine.scene import drawn


def measured(image: drawn.Image) -> dict[str, float]:
    return structure.measure(drawn.picture_of(image))


def bars(angles_deg: list[float]) -> drawn.Image:
    """Broad bright bars, two for each angle."""
    image = drawn.plain((20, 20, 20))
    for place, angle in enumerate(2 * angles_deg):
        along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        middle = np.array([320 + 150 * np.cos(place * 1.5), 210 + 90 * np.sin(place * 1.5)])
        ends = [tuple(np.round(middle + side * 130 * along).astype(int)) for side in (-1, 1)]
        image = cv2.line(image, *ends, (200, 200, 200), 9)
    return drawn.grain(np.asarray(image, np.float32))


def test_long_bar_is_measured() -> None:
    features = measured(bars([20.0]))
    assert features["structure_longest"] == pytest.approx(260 / 640, abs=0.06)
    assert features["structure_one_way"] > 0.8


def test_right_angles_and_other_angles() -> None:
    square, six = measured(bars([10.0, 100.0])), measured(bars([10.0, 55.0, 100.0, 145.0]))
    assert square["structure_right_angles"] > 0.75
    assert square["structure_one_way"] < 0.35
    assert six["structure_right_angles"] < 0.4


def test_rack_has_lines_and_land_has_not() -> None:
    rack, land = measured(drawn.rack()), measured(drawn.land(contrast=60.0))
    assert rack["structure_long"] > land["structure_long"] + 0.3
    assert rack["structure_straight_edges"] > land["structure_straight_edges"] + 0.3
    assert rack["structure_hard"] > land["structure_hard"]


def test_dark_hardware_counts_as_much() -> None:
    bright, dark = measured(bars([10.0, 100.0])), measured(bars([10.0, 100.0]) * 0.35)
    assert dark["structure_longest"] == pytest.approx(bright["structure_longest"], abs=0.05)


def test_port_hole() -> None:
    land = drawn.land((480, 640))
    rows, columns = np.mgrid[:480, :640]
    outside = np.hypot(columns - 330.0, rows - 235.0) > 225.0
    features = measured(np.where(outside[..., None], np.float32(6.0), land))
    assert features["structure_round"] > 0.6
    assert features["structure_round_size"] == pytest.approx(225 / 320, abs=0.06)
    assert features["structure_rim_dark"] > 0.2
    assert measured(land)["structure_round_size"] < 0.1


@pytest.mark.parametrize("panes", [1, 4, 7])
def test_panes_are_counted(panes: int) -> None:
    image = drawn.plain((12, 12, 12))
    for place in range(panes):
        x, y = 20 + 150 * (place % 4), 40 + 200 * (place // 4)
        image[y : y + 140, x : x + 100] = (190, 200, 210)
    assert 10 ** measured(drawn.grain(image))["structure_panes"] - 1 == pytest.approx(panes)
