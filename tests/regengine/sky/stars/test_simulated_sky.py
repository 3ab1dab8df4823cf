"""Simulated frames of the sky show what their truth says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from matchers.geometry.sky_camera import SkyCamera
from tests.world.sky import SUN_COLOUR, SkyFrame, SkySensor, SkySettings, sky_frame

CAMERA = SkyCamera(
    width_px=300,
    height_px=200,
    focal_px=400.0,
    principal_point=(152.0, 98.0),
    distortion=(-0.1, 0.02, 1e-3, -1e-3, 0.0),
    quaternion_icrs=(0.1, 0.5, -0.3, 0.8),
)
QUIET = SkySettings(
    sensor=SkySensor(bits=14, hot_pixels=0, full_scale_electrons=100_000.0),
    sky_electrons_s=(20.0, 20.0, 20.0),
)


def photographed(settings: SkySettings = QUIET) -> SkyFrame:
    """Stars of magnitude 4 on a grid, so that none touches another."""
    x, y = (
        part.ravel() for part in np.meshgrid(np.arange(20.3, 300, 36), np.arange(20.7, 200, 32))
    )
    return sky_frame(
        CAMERA,
        CAMERA.to_sky(x, y),
        np.full(x.size, 4.0),
        settings,
        np.random.default_rng(1),
        colours=np.full(x.size, SUN_COLOUR),
    )


def windows(frame: SkyFrame, half: int = 14) -> list[np.ndarray]:
    """Electrons of the green channel above the background around each star."""
    green = frame.picture.light[..., 1] * frame.settings.sensor.full_scale_electrons
    cut = []
    for x, y in zip(frame.x, frame.y, strict=True):
        column, row = round(x), round(y)
        part = green[row - half : row + half + 1, column - half : column + half + 1]
        cut.append(part - np.median(part))
    return cut


def test_stars_lie_where_the_truth_has_them_and_give_its_light() -> None:
    frame = photographed()
    assert len(frame.x) == 8 * 6
    for window, x, y, electrons in zip(
        windows(frame), frame.x, frame.y, frame.electrons[:, 1], strict=True
    ):
        offset = np.arange(-14, 15)
        inner = np.abs(offset) <= 5
        core = window * inner[:, None] * inner
        # The core is cut to whole pixels: a twentieth of a pixel of it leans to one side
        assert (core.sum(axis=0) @ offset) / core.sum() == pytest.approx(x - round(x), abs=0.06)
        assert (core.sum(axis=1) @ offset) / core.sum() == pytest.approx(y - round(y), abs=0.06)
        # The wings reach into what is taken for background
        assert window.sum() == pytest.approx(electrons, rel=0.15)


def test_light_follows_magnitude_exposure_falloff_and_colour() -> None:
    frame = photographed(replace(QUIET, exposure_s=0.5))
    r = np.hypot(frame.x - 152.0, frame.y - 98.0) / (0.5 * np.hypot(300, 200))
    share = 1.0 - 0.75 * r**2 + 0.35 * r**4 - 0.10 * r**6
    expected = 0.5 * 10.0 ** (0.4 * (np.array(QUIET.zero_point_mag) - 4.0))
    assert frame.electrons == pytest.approx(share[:, None] * expected)


def test_equal_seeds_give_equal_pictures() -> None:
    assert (photographed().picture.stored == photographed().picture.stored).all()
