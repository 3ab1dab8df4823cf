"""A photo made ready: its nominal camera, and what is masked in it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from matchers.camera import Camera
from regengine.orbit.propagation import position_from_nadir
from regengine.photo.frame import Frame
from regengine.photo.image import brought_down, captions, read_linear_light
from regengine.registration.preparation import (
    FINE_LIMITS_PX,
    FINE_SAMPLE_KM,
    GRAIN_PX,
    fine_px,
    flat_light,
    glare,
    lights_of_photo,
    limb_of_photo,
    nominal_camera,
    nothing_to_register,
    read_px,
)
from tests.matchers.lamp_world import camera_over
from tests.regengine.registration.night_light import TOWNS, images_of, linear, night
from tests.regengine.registration.simulated_frames import PLAIN, position_of, shoot, write

ROOT = Path(__file__).resolve().parents[3]
POSITION = position_from_nadir(10.0, 45.0, 410.0, "option")
FRAME = Frame(
    path=Path("a.jpg"),
    frame_id="a",
    sha256="",
    width_px=1000,
    height_px=667,
    focal_mm=50.0,
    pixel_pitch_um=36.0,
)


def test_the_nominal_camera() -> None:
    camera, known = nominal_camera(FRAME, POSITION)
    assert known
    assert camera.focal_px == pytest.approx(50.0 / 0.036)
    assert camera.principal_point == (499.5, 333.0)
    assert camera.position_ecef_m == pytest.approx(POSITION.position_ecef_m)
    assert (camera.width_px, camera.height_px) == (1000, 667)
    assert camera.distortion == (0.0,) * 5
    assert not camera.mirrored


def test_without_a_focal_length_some_lens_is_taken_and_said_to_be_unknown() -> None:
    camera, known = nominal_camera(replace(FRAME, focal_mm=None), POSITION)
    assert not known
    assert 24.0 <= camera.focal_px * 0.036 <= 400.0
    # Without a pitch the sensor is 36 mm long
    for width, height in ((1000, 667), (667, 1000)):
        frame = replace(FRAME, width_px=width, height_px=height, pixel_pitch_um=None)
        assert nominal_camera(frame, POSITION)[0].focal_px == pytest.approx(50.0 / 0.036)


@pytest.mark.parametrize(("focal_px", "width"), [(1400.0, 1000), (6000.0, 4256), (20_000.0, 4256)])
def test_the_finest_image_has_the_maps_scale(focal_px: float, width: int) -> None:
    camera: Camera = camera_over(0.0, 0.0, width=width, height=width * 2 // 3, focal_px=focal_px)
    side = fine_px(camera, 410.0)
    assert FINE_LIMITS_PX[0] <= side <= FINE_LIMITS_PX[1]
    ground_km = 410.0 * width / focal_px
    if FINE_LIMITS_PX[0] < side < FINE_LIMITS_PX[1]:
        assert ground_km / side == pytest.approx(FINE_SAMPLE_KM, rel=0.02)


def test_a_day_frame_is_not_searched() -> None:
    day = linear(np.full((100, 150), 0.4, np.float32))
    reason = nothing_to_register(day, any_category=False)
    assert reason.code == "not_a_night_city_frame"
    assert nothing_to_register(day, any_category=True) is None
    assert nothing_to_register(linear(night()), any_category=False) is None


def test_lightning_over_half_a_night_frame_is_no_day() -> None:
    light = np.full((100, 150), 0.4, np.float32)
    light[:20] = 0.04
    assert np.median(light) > 0.18
    assert nothing_to_register(linear(light), any_category=False) is None


def test_diffuse_light_goes_and_towns_stay() -> None:
    for image in images_of(linear(night())):
        assert image.factor == 0.5
        far = np.ones(image.values.shape, bool)
        for px, py in TOWNS:
            assert image.values[py, px] > 1.0
            far[py - 15 : py + 16, px - 15 : px + 16] = False
        # Noise of one sigma is a third of the knee
        assert np.median(image.values[far]) < 0.1
        upper, lower = image.values[far][:3000], image.values[far][-3000:]
        assert abs(np.median(upper) - np.median(lower)) < 0.1


def test_flat_light_has_neither_a_background_nor_brightest_cores() -> None:
    """What the darkest places have is diffuse; a core five times as bright as its town is town."""
    light = np.full((300, 450), 0.1, np.float32)
    light[140:220, 250:350] = 0.3
    light[170:190, 290:310] = 1.1
    light[:100] = 9.0  # a panel, masked: nothing of it may enter
    weight = np.ones_like(light)
    weight[:100] = 0.0
    flat = flat_light(linear(light), weight)
    assert np.median(flat.values[260:, :200]) == pytest.approx(0.0, abs=0.01)
    # The brightest are 1 above the darkest: the knee is at 0.02, the end at 0.2
    assert flat.values[150, 260] == pytest.approx(np.log10(11.0), abs=0.02)
    assert flat.values[180, 300] == pytest.approx(np.log10(11.0), abs=0.02)
    assert flat.values[105, 30] == pytest.approx(0.0, abs=0.01)
    assert flat.factor == 0.5


def test_flat_light_is_grain_and_no_smooth_light() -> None:
    """A reflection ten times as bright as the town beside it leaves the flat image, at any size."""
    y, x = np.mgrid[:600, :900].astype(np.float32)
    reflection = np.exp(-0.5 * ((x - 650.0) ** 2 + (y - 300.0) ** 2) / 80.0**2)
    finest = (0.01 + 0.5 * reflection).astype(np.float32)
    finest[200:320:6, 150:300:6] += 0.4  # lamps
    read = linear(finest)
    flat = lights_of_photo(brought_down(read, 450), 0.05, finest=read).flat
    assert flat.values.shape == (300, 450)
    assert flat.factor == pytest.approx(0.25)
    town, mirrored_lamp = flat.values[105:155, 80:145], flat.values[140:160, 315:335]
    assert mirrored_lamp.max() < 0.1 * np.median(town)


@pytest.mark.parametrize(
    ("focal_px", "known", "fine"),
    [(2000.0, True, True), (2000.0, False, False), (5000.0, True, False), (20_000.0, True, False)],
)
def test_what_may_be_telephoto_is_read_so_that_streets_are_grain(
    focal_px: float, known: bool, fine: bool
) -> None:
    camera = camera_over(0.0, 0.0, width=1000, height=667, focal_px=focal_px)
    wanted = fine_px(camera, 410.0) if fine else GRAIN_PX
    assert read_px(camera, 410.0, known) == wanted


def test_a_telephoto_frame_keeps_its_broad_light() -> None:
    """A field of 20 km within one city: broad is not diffuse there."""
    light = night() + np.float32(0.1)
    for image in images_of(linear(light), 20.0 / 450.0):
        assert image.values.min() < 0.05
        assert np.median(image.values) > 0.1  # the slope is city
        assert image.values[80, 100] > 2.0 * np.median(image.values)


def test_hot_pixels_are_no_lights() -> None:
    light = night()
    light[150, 50] = 0.9
    for image in images_of(linear(light)):
        assert image.values[150, 50] < 0.3


@pytest.mark.parametrize("focal_known", [True, False])
def test_without_a_limb_there_is_none(focal_known: bool) -> None:
    camera = camera_over(10.0, 45.0, width=900, height=600, focal_px=1250.0)
    assert limb_of_photo(linear(night()), camera, focal_known, 410.0) is None


ROW, COLUMN = np.mgrid[:300, :450]


def with_glow(grain: float) -> NDArray[np.float32]:
    """The towns and a glow of 20 km, its light scattered from pixel to pixel by a share of it."""
    glow = 0.2 * np.exp(-0.5 * ((COLUMN - 330) ** 2 + (ROW - 110) ** 2) / 20.0**2)
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
    flash = np.hypot(COLUMN - 380, ROW - 80) < 30
    core = np.hypot(COLUMN - 100, ROW - 80) < 4
    light[flash | core] = 1.0
    for image in images_of(linear(light, flash | core)):
        assert image.weight[80, 380] == 0.0
        assert image.weight[80, 100] == 1.0
        assert image.values[200, 300] > 1.0
    mask = glare(linear(light, flash | core), 0.5)
    assert mask[flash].all()
    assert not mask[np.hypot(COLUMN - 380, ROW - 80) > 60].any()
    # A hundred small saturated towns are no glare
    speckle = (COLUMN % 12 < 3) & (ROW % 12 < 3)
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


@pytest.mark.slow
def test_of_processes_that_begin_together_one_compiles(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from regengine.registration import preparation\n"
        "preparation.COMPILED = ('matchers.compiled_patches',)  # the quickest\n"
        "preparation.load_compiled()\n"
        "from matchers.compiled_patches import best_met as made\n"
        "print(sum(made.stats.cache_hits.values()), sum(made.stats.cache_misses.values()))\n"
    )
    command = [sys.executable, "-c", script]
    given = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    running = [
        subprocess.Popen(command, cwd=ROOT, env=given, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[0].split() for process in running]
    assert sorted(said) == [["0", "1"], ["1", "0"]]
