"""A photo before the search: what is seen of it, and through which lens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.photo_light import LightImage
from matchers.pose import PosePrior
from regengine.frame import Frame
from regengine.hypotheses import Look
from regengine.image import LinearLight
from regengine.orbit import position_from_nadir
from regengine.photo_camera import (
    FINE_LIMITS_PX,
    FINE_SAMPLE_KM,
    captions,
    fine_px,
    glare,
    lights_of_photo,
    nominal_camera,
    nothing_to_register,
)
from tests.matchers.lamp_world import camera_over

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


def linear(light: NDArray[np.float32], clipped: NDArray[np.bool_] | None = None) -> LinearLight:
    saturated = np.zeros_like(light) if clipped is None else clipped.astype(np.float32)
    return LinearLight(light=light, saturated=saturated, factor=0.5)


def night(seed: int = 0) -> NDArray[np.float32]:
    """A dim slope with noise, and three towns."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:300, :450].astype(np.float32)
    light = 0.02 + 2e-5 * x + rng.normal(0.0, 0.001, x.shape)
    for px, py in ((100, 80), (300, 200), (220, 60)):
        light += 0.4 * np.exp(-0.5 * ((x - px) ** 2 + (y - py) ** 2) / 3.0**2)
    return light.astype(np.float32)


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


def images_of(light: LinearLight, sample_km: float = 0.5) -> tuple[LightImage, LightImage]:
    lights = lights_of_photo(light, sample_km)
    return lights.sharp, lights.hazy


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


def test_a_broad_glow_shows_in_one_image_alone() -> None:
    """A city of 20 km behind haze: as broad as a reflection in the window."""
    light = night()
    y, x = np.mgrid[:300, :450]
    light += 0.2 * np.exp(-0.5 * ((x - 330) ** 2 + (y - 110) ** 2) / 20.0**2).astype(np.float32)
    sharp, hazy = images_of(linear(light))
    assert hazy.values[110, 350] > 2.0 * sharp.values[110, 350]
    assert sharp.values[200, 300] > 1.0


def test_a_look_takes_one_of_both_images() -> None:
    lights = lights_of_photo(linear(night()), 0.5)
    prior = PosePrior(
        position_ecef_m=(7e6, 0.0, 0.0),
        velocity_ecef=(0.0, 1.0, 0.0),
        focal_px=1000.0,
        sigma_along_m=1.0,
        sigma_across_m=1.0,
        sigma_up_m=1.0,
        sigma_log_focal=1.0,
        sigma_k1=1.0,
    )
    look = Look(
        offset_km=0.0,
        scale=1.0,
        mirrored=False,
        prior=prior,
        speed_km_s=7.66,
        off_nadir_deg=(0.0, 40.0),
    )
    assert lights.of(look) is lights.sharp
    assert lights.of(replace(look, hazy=True)) is lights.hazy


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
