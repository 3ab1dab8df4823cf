"""A photo before the search: what is seen of it, and through which lens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from matchers.camera import Camera
from regengine.orbit.propagation import position_from_nadir
from regengine.photo.frame import Frame
from regengine.photo.image import brought_down
from regengine.registration.preparation import (
    FINE_LIMITS_PX,
    FINE_SAMPLE_KM,
    GRAIN_PX,
    fine_px,
    flat_light,
    lights_of_photo,
    limb_of_photo,
    nominal_camera,
    nothing_to_register,
    read_px,
)
from tests.matchers.lamp_world import camera_over
from tests.regengine.registration.night_light import images_of, linear, night

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


def test_without_a_pitch_the_sensor_is_36_mm_long() -> None:
    for size in ((1000, 667), (667, 1000)):
        frame = replace(FRAME, width_px=size[0], height_px=size[1], pixel_pitch_um=None)
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
    assert reason is not None
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
        for px, py in ((100, 80), (300, 200), (220, 60)):
            assert image.values[py, px] > 1.0
            far[py - 15 : py + 16, px - 15 : px + 16] = False
        # Noise of one sigma is a third of the knee
        assert np.median(image.values[far]) < 0.1
        upper, lower = image.values[far][:3000], image.values[far][-3000:]
        assert abs(np.median(upper) - np.median(lower)) < 0.1


def test_a_look_takes_one_of_both_images() -> None:
    lights = lights_of_photo(linear(night()), 0.5)
    assert lights.of(hazy=False) is lights.sharp
    assert lights.of(hazy=True) is lights.hazy
    assert lights.of(hazy=False, flat=True) is lights.flat


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
