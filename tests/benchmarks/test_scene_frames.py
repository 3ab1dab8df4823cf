"""Simulated frames of scenes: the same by seed, and each with what makes its class."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulate import scenes_night
from benchmarks.simulate.scene_canvas import (
    EARTH_RADIUS_KM,
    limb_off_nadir_deg,
    view_at,
)
from benchmarks.simulate.scene_frames import KINDS, draw
from benchmarks.simulate.scenes_sky import (
    MoonDisc,
    moon_light,
)
from regengine.scene.context import SUN_FACTORS

pytestmark = pytest.mark.slow


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 17])


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_by_seed_and_another_by_another(kind: str) -> None:
    one, again, other = draw(kind, rng(1)), draw(kind, rng(1)), draw(kind, rng(2))
    assert one.dtype == np.uint8
    assert one.ndim == 3
    assert one.shape[2] == 3
    assert 200 <= max(one.shape) <= 1500
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_every_class_of_scenes_can_be_drawn() -> None:
    assert set(KINDS) == set(SUN_FACTORS)


def test_the_limb_is_where_geometry_has_it() -> None:
    """A camera whose axis points at the limb has it across the middle of its picture."""
    view = view_at(300, 200, 250.0, 400.0, limb_off_nadir_deg(400.0), 0.0)
    middle = view.perigee_km[:, 150]
    assert abs(float(np.interp(99.5, np.arange(200), middle))) < 10.0
    assert middle[0] > 100.0  # sky on top
    assert middle[-1] < 0.0
    assert view.ground[0, 150] == 0.0
    assert view.ground[-1, 150] == 1.0


def test_points_come_back_to_their_pixels() -> None:
    view = view_at(300, 200, 250.0, 400.0, 30.0, 20.0)
    row, column = 60, 210
    arc = np.hypot(view.ahead_km[row, column], view.aside_km[row, column])
    heading = np.array([view.ahead_km[row, column], view.aside_km[row, column]]) / arc
    angle = arc / EARTH_RADIUS_KM
    flat = EARTH_RADIUS_KM * np.sin(angle) * heading
    point = np.array([[flat[0], flat[1], EARTH_RADIUS_KM * np.cos(angle) + 1e-6]])
    x, y, seen = view.pixels_of(point)
    assert seen[0]
    assert x[0] == pytest.approx(column, abs=0.01)
    assert y[0] == pytest.approx(row, abs=0.01)
    behind = -point
    assert not view.pixels_of(behind)[2][0]


@pytest.mark.parametrize("phase_deg", [0.0, 60.0, 90.0, 130.0])
def test_the_moon_is_where_it_is_drawn_and_lit_by_its_phase(phase_deg: float) -> None:
    disc = MoonDisc(x=200.0, y=120.0, radius_px=80.0, phase_deg=phase_deg)
    light = moon_light(disc, 400, 300, rng(3)).mean(axis=2)
    rows, columns = np.nonzero(light > 0.02)
    assert np.hypot(columns - 200.0, rows - 120.0).max() <= 81.0
    # The lit share of a ball's disc is (1 + cos phase) / 2
    share = np.count_nonzero(light > 0.02) / (np.pi * 80.0**2)
    assert share == pytest.approx(0.5 * (1.0 + np.cos(np.radians(phase_deg))), abs=0.05)
    if phase_deg > 0.0:
        assert columns.mean() > 200.0  # turned to +x


def test_airglow_lies_near_95_km() -> None:
    view = view_at(200, 400, 1500.0, 400.0, limb_off_nadir_deg(400.0) + 1.5, 0.0)
    column = scenes_night.airglow(view, rng(2))[:, 100, 1]
    assert view.perigee_km[int(np.argmax(column)), 100] == pytest.approx(93.0, abs=6.0)
