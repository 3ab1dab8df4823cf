"""At first sight the right attitude stands out, wherever it is among many."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from matchers.camera import Camera
from matchers.first_sight import first_sight
from matchers.photo_light import LightImage
from matchers.pose import with_attitude
from matchers.view import nadir_view
from tests.matchers.lamp_world import LampWorld, Levels, drawn_camera, log_picture

WIDTH, HEIGHT, FOCAL_PX = 384, 256, 533.0
SMALL_PX, DETAIL_PX, SMOOTH_PX = 64, 4.0, 0.8
FARTHEST_DEG = 68.5


def photographed(lamps: LampWorld, seed: int) -> tuple[LightImage, Camera]:
    """A small light image over the middle of the world, and its camera."""
    rng = np.random.default_rng(seed)
    lens = {"width": WIDTH, "height": HEIGHT, "focal_px": FOCAL_PX, "mirrored": False}
    true = drawn_camera(rng, (9.0, 15.0), (41.0, 45.0), (0.0, 45.0), **lens)
    values = log_picture(true, lamps)
    whole = LightImage(values=values, weight=np.ones_like(values), factor=1.0)
    small = whole.resized(SMALL_PX, SMOOTH_PX, DETAIL_PX)
    return small, small.camera(true)


def turned(camera: Camera, seed: int, angle_rad: float) -> Camera:
    """The camera turned by an angle about any axis."""
    axis = np.random.default_rng(seed).normal(size=3)
    rotation, _ = cv2.Rodrigues(angle_rad * axis / np.linalg.norm(axis))
    return with_attitude(camera, rotation @ camera.matrix)


def seen(levels: Levels, photo: LightImage, cameras: list[Camera]) -> np.ndarray:
    return first_sight(
        levels, photo, cameras, FARTHEST_DEG, smooth_px=SMOOTH_PX, detail_px=DETAIL_PX
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_right_attitude_comes_first(lamps: LampWorld, levels: Levels, seed: int) -> None:
    photo, true = photographed(lamps, seed)
    wrong = [turned(true, k, 0.1 + 0.02 * k) for k in range(20)]
    scores = seen(levels, photo, [*wrong[:13], true, *wrong[13:]])
    assert int(np.argmax(scores)) == 13
    assert scores[13] > np.delete(scores, 13).max() + 0.15


def test_an_error_of_a_pixel_is_forgiven(lamps: LampWorld, levels: Levels) -> None:
    photo, true = photographed(lamps, 1)
    x, y = true.principal_point
    beside = replace(true, principal_point=(x + 1.0, y - 1.0))
    far = replace(true, principal_point=(x + 6.0, y - 6.0))
    right, near, wrong = seen(levels, photo, [true, beside, far])
    assert near > 0.9 * right
    assert wrong < 0.5 * right


def test_each_focal_length_is_seen_on_a_map_filtered_at_its_scale(
    lamps: LampWorld, levels: Levels
) -> None:
    """What is said of a camera does not depend on what other lenses were asked about."""
    photo, true = photographed(lamps, 2)
    wide = replace(true, focal_px=0.5 * true.focal_px)
    alone = seen(levels, photo, [true])
    together = seen(levels, photo, [wide, true])
    assert together[1] == pytest.approx(alone[0], abs=1e-9)
    assert together[0] < 0.5 * together[1]


def test_masked_pixels_do_not_count(lamps: LampWorld, levels: Levels) -> None:
    photo, true = photographed(lamps, 3)
    whole = seen(levels, photo, [true])[0]
    weight = photo.weight.copy()
    weight[:, : SMALL_PX // 4] = 0.0
    spoilt = photo.values.copy()
    spoilt[:, : SMALL_PX // 4] = np.random.default_rng(0).normal(0.0, 3.0, spoilt[:, :16].shape)
    masked = replace(photo, values=spoilt, weight=weight)
    assert seen(levels, masked, [true])[0] > 0.8 * whole


def test_a_dark_map_says_nothing(lamps: LampWorld, levels: Levels) -> None:
    photo, true = photographed(lamps, 0)
    dark = [replace(level, values=np.zeros_like(level.values)) for level in levels]
    assert first_sight(
        dark, photo, [true], FARTHEST_DEG, smooth_px=SMOOTH_PX, detail_px=DETAIL_PX
    ) == pytest.approx([0.0])


def test_pixels_of_the_view_around_the_nadir_know_where_they_look(
    levels: Levels, lamps: LampWorld
) -> None:
    _, camera = photographed(lamps, 0)
    view = nadir_view(levels, camera.position_ecef_m, camera.focal_px, 60.0)
    down = -view.position_ecef_m / np.linalg.norm(view.position_ecef_m)
    nadir, rim = view.rays_ecef([view.half_px, 2 * view.half_px], [view.half_px, view.half_px])
    assert np.degrees(np.arccos(nadir @ down)) < 0.2  # geodetic against geocentric
    assert np.degrees(np.arccos(rim @ nadir)) == pytest.approx(60.0, abs=0.5)
