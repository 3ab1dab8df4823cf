from __future__ import annotations

import numpy as np
import pytest
from light_scene import Light, draw, flux_of_snr, nearest

from detectors.lights_blobs import Blobs


def flags_of(found, x, y):
    return set(found.flag_names(nearest(found, x, y)[0]))


@pytest.mark.parametrize("radius_px", [1.0, 2.0, 4.0, 8.0, 15.0, 25.0, 40.0])
def test_radius_and_flux_from_lamps_to_great_towns(radius_px):
    sigma = radius_px / 1.17741
    light = Light(310.4, 295.7, flux_of_snr(500.0, sigma), sigma)
    found = Blobs().detect(draw([light], (620, 620)))
    index, gap = nearest(found, light.x, light.y)
    assert gap < 0.3 + 0.02 * radius_px
    assert found.radius_px[index] == pytest.approx(radius_px, rel=0.25)
    assert found.flux[index] == pytest.approx(light.flux, rel=0.35)
    assert len(found) == 1


def test_close_neighbours_are_told_apart():
    lights = [Light(100.0, 100.0, 0.5, 1.5), Light(106.0, 100.0, 0.35, 1.5)]
    found = Blobs().detect(draw(lights))
    assert len(found) == 2
    for one in lights:
        index, gap = nearest(found, one.x, one.y)
        assert gap < 0.3
        assert found.flux[index] == pytest.approx(one.flux, rel=0.25)
        assert flags_of(found, one.x, one.y) == {"blended"}


def test_a_group_does_not_come_back_as_one_great_light():
    rng = np.random.default_rng(3)
    lights = [
        Light(160.0 + 14 * i + rng.uniform(-2, 2), 120.0 + 14 * j, flux_of_snr(80.0), 1.2)
        for i in range(-3, 4)
        for j in range(-3, 4)
    ]
    found = Blobs().detect(draw(lights))
    assert abs(len(found) - len(lights)) <= 1
    assert found.radius_px.max() < 4.0


def test_a_lamp_on_the_flank_of_a_town_is_found():
    town = Light(160.0, 120.0, flux_of_snr(600.0, 12.0), 12.0)
    lamp = Light(178.0, 120.0, flux_of_snr(120.0, 1.0), 1.0)
    found = Blobs().detect(draw([town, lamp]))
    for one in (town, lamp):
        assert nearest(found, one.x, one.y)[1] < 1.5
    assert len(found) == 2


def test_a_saturated_core_is_one_flagged_light():
    image = np.minimum(draw([Light(160.0, 120.0, 400.0, 6.0)]), 1.0)
    found = Blobs().detect(image)
    assert len(found) == 1
    assert flags_of(found, 160.0, 120.0) == {"saturated"}
    assert np.hypot(found.x[0] - 160.0, found.y[0] - 120.0) < 0.3


@pytest.mark.parametrize("angle", [0.0, 0.2, 0.7, 1.3])
def test_limb_and_edges_are_no_lights(angle):
    rows, cols = np.mgrid[0:300, 0:400]
    distance = (cols - 200) * np.sin(angle) + (rows - 150) * np.cos(angle)
    glow = (
        0.01 + 0.05 * np.exp(-0.5 * (distance / 4.0) ** 2) + 0.02 / (1 + np.exp(-(distance - 40)))
    )
    image = glow + np.random.default_rng(1).normal(0.0, 0.001, glow.shape)
    assert len(Blobs().detect(image.astype(np.float32))) <= 2


def test_texture_all_around_counts_as_noise():
    """Half of the frame is broken cloud; the noise of the other half is no measure of it."""
    import cv2

    rough = np.random.default_rng(0).normal(0.0, 1.0, (400, 400)).astype(np.float32)
    texture = cv2.GaussianBlur(rough, (0, 0), 3.0)
    cloud = np.maximum(0.02 + 0.01 * texture / texture.std(), 0.0)
    cloud[:, 200:] = 0.0
    lamp = Light(100.0, 200.0, 2.0, 1.5)
    image = cloud + draw([lamp], (400, 400), level=0.005, noise=0.0005)
    found = Blobs().detect(image)
    assert nearest(found, 100.0, 200.0)[1] < 0.5
    assert (found.x < 150.0).sum() <= 3  # the cloud's edge is an edge, whatever lies beside it
    assert (found.x > 202.0).sum() == 0


def test_jpeg_noise_correlated_over_pixels_makes_no_lights():
    import cv2

    white = np.random.default_rng(4).normal(0.0, 1.0, (400, 400)).astype(np.float32)
    soft = cv2.GaussianBlur(white, (0, 0), 1.3)
    image = (0.01 + 0.002 * soft / soft.std()).astype(np.float32)
    assert len(Blobs().detect(image)) <= 2


def test_noise_that_differs_across_the_frame():
    rng = np.random.default_rng(5)
    sigma = np.linspace(0.0005, 0.004, 600)
    image = (0.01 + sigma * rng.normal(size=(400, 600))).astype(np.float32)
    light = draw([Light(80.0, 200.0, flux_of_snr(30.0))], (400, 600), level=0, noise=0)
    found = Blobs().detect(image + light)
    assert nearest(found, 80.0, 200.0)[1] < 0.3
    assert len(found) <= 3
