"""What of a photo does not count: light and dark that no city makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from regengine.photo.image import read_linear_light
from regengine.registration.preparation import (
    captions,
    fine_px,
    glare,
    lights_of_photo,
    limb_of_photo,
    nominal_camera,
)
from tests.regengine.registration.night_light import TOWNS, images_of, linear, night
from tests.regengine.registration.simulated_frames import PLAIN, position_of, shoot, write

ROW, COLUMN = np.mgrid[:300, :450]


def with_glow(grain: float) -> NDArray[np.float32]:
    """The towns and a glow of 20 km, its light scattered from pixel to pixel by a share of it."""
    y, x = np.mgrid[:300, :450]
    glow = 0.2 * np.exp(-0.5 * ((x - 330) ** 2 + (y - 110) ** 2) / 20.0**2)
    scatter = np.random.default_rng(3).normal(1.0, grain, glow.shape)
    return (night() + glow * np.maximum(scatter, 0.0)).astype(np.float32)


def test_a_broad_glow_shows_in_one_image_alone() -> None:
    """A city of 20 km behind haze, as broad as a reflection in the window, but made of lamps."""
    sharp, hazy = images_of(linear(with_glow(0.5)))
    around = np.s_[100:121, 340:361]
    assert hazy.values[around].mean() > 1.5 * sharp.values[around].mean()
    assert hazy.weight[around].min() == 1.0
    assert sharp.values[200, 300] > 1.0


def test_a_broad_glow_without_grain_is_no_city() -> None:
    """Light through cloud or glass: masked, and the towns beside it are not."""
    for image in images_of(linear(with_glow(0.02))):
        assert image.weight[100:121, 320:341].max() == 0.0
        assert image.weight[80, 100] == image.weight[200, 300] == 1.0


def test_lightning_is_masked_and_a_city_core_is_not() -> None:
    light = night()
    y, x = np.mgrid[:300, :450]
    flash = np.hypot(x - 380, y - 80) < 30
    core = np.hypot(x - 100, y - 80) < 4
    light[flash | core] = 1.0
    for image in images_of(linear(light, flash | core)):
        assert image.weight[80, 380] == 0.0
        assert image.weight[80, 100] == 1.0
        assert image.values[200, 300] > 1.0
    mask = glare(linear(light, flash | core), 0.5)
    assert mask[flash].all()
    assert not mask[np.hypot(x - 380, y - 80) > 60].any()
    # A hundred small saturated towns are no glare
    speckle = (x % 12 < 3) & (y % 12 < 3)
    assert not glare(linear(light, speckle), 0.5).any()


@pytest.mark.parametrize("edge", ["top", "bottom", "left", "right"])
def test_a_caption_strip_is_masked(edge: str) -> None:
    """White, twenty pixels deep, with dark letters in it."""
    clipped = np.zeros((300, 450), bool)
    strips = {
        "top": np.s_[:20],
        "bottom": np.s_[-20:],
        "left": np.s_[:, :20],
        "right": np.s_[:, -20:],
    }
    clipped[strips[edge]] = True
    letters = np.zeros_like(clipped)
    letters[strips[edge]] = np.random.default_rng(0).random(clipped[strips[edge]].shape) < 0.2
    clipped &= ~letters
    light = np.where(clipped, np.float32(1.0), night())
    masked = captions(linear(light, clipped))
    assert masked[strips[edge]].all()
    assert masked.mean() < 30.0 / 300.0
    image = lights_of_photo(linear(light, clipped), 0.5).sharp
    assert image.weight[strips[edge]].max() == 0.0
    assert image.weight[150, 225] == 1.0


def test_a_bright_city_at_the_border_is_no_caption() -> None:
    clipped = np.zeros((300, 450), bool)
    clipped[:20, 100:220] = True
    assert not captions(linear(night(), clipped)).any()
    inside = np.zeros_like(clipped)
    inside[140:160] = True  # a white band across the middle
    assert not captions(linear(night(), inside)).any()


def test_the_sky_above_the_limb_does_not_count(tmp_path: Path) -> None:
    """Nor the caption, whose edge is no limb; towns and sea on the ground count all the same."""
    shot = shoot(PLAIN, off_nadir_deg=60.0, roll_deg=10.0)
    shot.picture[-12:] = 255
    frame, position = write(shot, tmp_path / "limb.png"), position_of(shot)
    stored, known = nominal_camera(frame, position)
    light = read_linear_light(frame.path, max_long_side_px=fine_px(stored, position.altitude_km))
    limb = limb_of_photo(light, stored, known, position.altitude_km)
    assert limb is not None
    height, width = light.light.shape
    x, y = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
    x, y = (x + 0.5) / light.factor - 0.5, (y + 0.5) / light.factor - 0.5
    lon, lat, _ = shot.camera.ground(x, y)
    sky = ~np.isfinite(lon)
    cosine = shot.camera.project(np.nan_to_num(lon), np.nan_to_num(lat))[3]
    near = ~sky & (cosine > np.cos(np.radians(78.0))) & (y < frame.height_px - 30)
    assert sky.mean() > 0.02
    assert near.mean() > 0.5
    sample_km = 0.33
    masked = lights_of_photo(light, sample_km, limb)
    for image in (masked.sharp, masked.hazy):
        assert image.weight[sky].max() == 0.0
        assert image.weight[near].min() == 1.0
        assert image.weight[-5:].max() == 0.0
    # Without it only what looks like the edge of a frame is left out
    unmasked = lights_of_photo(light, sample_km)
    assert unmasked.sharp.weight[sky].mean() > 0.5


def test_black_bars_and_window_frames_do_not_count() -> None:
    """A bar of an edited copy below, a dark frame that a straight edge cuts off to the left."""
    bar = ROW >= 265
    frame = (COLUMN < 30.0 + 0.1 * ROW) & ~bar
    light = night() + np.float32(0.03)
    light[frame] = 0.004
    light[bar] = 0.0
    for image in images_of(linear(light)):
        assert image.weight[bar].max() == 0.0
        assert image.weight[frame].mean() < 0.03
        assert image.weight[~(bar | frame)].mean() > 0.94  # strips along both edges
        assert all(image.weight[y, x] == 1.0 for x, y in TOWNS)


def test_a_panel_in_front_of_the_ground_does_not_count() -> None:
    """Four straight edges side by side, lit as dimly as the towns' outskirts, and between them."""
    panel = (COLUMN > 330) & (ROW > 100) & (ROW < 190)
    light = night()
    for edge in (105, 130, 155, 180):
        light[(COLUMN > 330) & (np.abs(ROW - edge) < 3)] = 0.15
    for image in images_of(linear(light)):
        assert image.weight[panel & (ROW > 110) & (ROW < 175) & (COLUMN < 440)].mean() < 0.03
        assert all(image.weight[y, x] == 1.0 for x, y in TOWNS)
        assert image.weight[COLUMN < 250].min() == 1.0


def test_what_is_masked_does_not_decide_how_light_is_compressed() -> None:
    """Lightning over a twelfth of the picture, ten times as bright as the towns."""
    flash = np.hypot(COLUMN - 380, ROW - 80) < 60
    light = 0.1 * night()
    struck = np.where(flash, np.float32(1.0), light)
    for plain, masked in zip(
        images_of(linear(light)), images_of(linear(struck, flash)), strict=True
    ):
        assert masked.weight[flash].max() == 0.0
        for x, y in TOWNS:
            assert masked.weight[y, x] == 1.0
            assert masked.values[y, x] == pytest.approx(plain.values[y, x], rel=0.1)


def test_a_telephoto_frame_keeps_smooth_light() -> None:
    """Streets run together into even light where a pixel is 40 m wide: that is city."""
    for image in images_of(linear(with_glow(0.02)), 20.0 / 450.0):
        assert image.weight.min() == 1.0
