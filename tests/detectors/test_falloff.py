"""Falloff is found under skies with slopes, in 8-bit steps and among stars; apertures add up."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.simulate.sky import add_stars
from detectors.falloff import SkyBoxes, aperture_light, fit_falloff, sky_boxes

TRUE = np.array([-0.75, 0.35, -0.10])
WIDTH, HEIGHT, AXIS = 600, 400, (306.0, 196.0)

SHAPE = (300, 400)


def powers(r: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([r**2, r**4, r**6], axis=-1)


def distance(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hypot(x - AXIS[0], y - AXIS[1]) / (0.5 * np.hypot(WIDTH, HEIGHT))


def sky(rng: np.random.Generator, slope: tuple[float, float]) -> NDArray[np.float32]:
    """Mean sky light of a frame."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    light = 0.01 * (1.0 + slope[0] * (x / WIDTH - 0.5) + slope[1] * (y / HEIGHT - 0.5))
    light *= 1.0 + powers(distance(x, y)) @ TRUE
    return (light + rng.normal(0.0, 0.001, light.shape)).astype(np.float32)


def off(boxes: list[SkyBoxes]) -> NDArray[np.float64]:
    """Error of the share that arrives, at a few distances."""
    fit = fit_falloff(boxes, [AXIS] * len(boxes))
    return np.asarray(powers(np.array([0.3, 0.6, 0.9])) @ (fit.coefficients - TRUE))


@pytest.mark.parametrize("frames", [1, 4])
def test_falloff_is_told_from_slopes_of_the_sky(frames: int) -> None:
    rng = np.random.default_rng(1)
    boxes = [sky_boxes(sky(rng, tuple(rng.normal(0.0, 0.3, 2)))) for _ in range(frames)]
    assert np.abs(off(boxes)).max() < 0.003


def test_steps_of_eight_bits_do_not_show() -> None:
    rng = np.random.default_rng(2)
    light = np.clip(sky(rng, (0.1, -0.2)), 0.0, 1.0)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    value = np.round(255.0 * coded) / 255.0
    back = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    assert len(np.unique(back)) < 40
    assert np.abs(off([sky_boxes(back.astype(np.float32))])).max() < 0.003


def test_masked_ground_and_a_lamp_are_left_out() -> None:
    rng = np.random.default_rng(3)
    light = sky(rng, (0.2, 0.0))
    mask = np.zeros(light.shape, bool)
    light[300:, :], mask[300:, :] = 0.3, True
    light[50:110, 400:470] = 0.08  # not masked
    boxes = sky_boxes(light, mask)
    assert boxes.y.max() < 300
    assert np.abs(off([boxes])).max() < 0.01


def test_differences_between_frames_make_the_sigma() -> None:
    rng = np.random.default_rng(4)
    box = sky_boxes(sky(rng, (0.0, 0.0)))
    r2 = distance(box.x, box.y) ** 2
    at = powers(np.array([0.9]))[0]
    chi = []
    for _ in range(20):
        boxes = []
        for _ in range(6):  # each sky is curved in its own way
            level = box.level * (1.0 + rng.normal(0.0, 0.02) * r2)
            boxes.append(SkyBoxes(x=box.x, y=box.y, level=level, width_px=WIDTH, height_px=HEIGHT))
        fit = fit_falloff(boxes, [AXIS] * 6)
        chi.append((at @ (fit.coefficients - TRUE)) ** 2 / (at @ fit.covariance @ at))
    # Median of a squared Student variate with five degrees: 0.53
    assert 0.25 < np.median(chi) / 0.53 < 4.0


def test_too_little_sky_is_refused() -> None:
    boxes = sky_boxes(np.zeros((100, 150), np.float32))
    assert len(boxes.x) == 0
    with pytest.raises(ValueError, match="too few boxes"):
        fit_falloff([boxes], [(75.0, 50.0)])


def field(rng: np.random.Generator, stars: int, flux: float) -> tuple[np.ndarray, ...]:
    """Stars on a grid, so that none lies in another's ring."""
    x = 20.0 + 40.0 * (np.arange(stars) % 9) + rng.uniform(-0.5, 0.5, stars)
    y = 20.0 + 40.0 * (np.arange(stars) // 9) + rng.uniform(-0.5, 0.5, stars)
    image = np.zeros((*SHAPE, 1), np.float32)
    add_stars(image, x, y, np.full((stars, 1), flux), np.full(stars, 2.0), 1.0)
    return image[..., 0], x, y


def test_light_of_stars_is_whole_but_for_the_profiles_wings() -> None:
    image, x, y = field(np.random.default_rng(1), 60, 5000.0)
    found = aperture_light(image + np.float32(37.0), x, y, 5.0)
    # A Moffat star of beta 3 has 1 - (1 + (r / a)^2)^-2 within r; a = 0.981 FWHM
    inside = 1.0 - (1.0 + (5.0 / (0.981 * 2.0)) ** 2) ** -2
    assert found.flux / 5000.0 == pytest.approx(inside, abs=0.005)
    assert found.whole.all()


def test_sigma_is_the_scatter() -> None:
    rng = np.random.default_rng(2)
    image, x, y = field(rng, 60, 5000.0)
    noisy = (image + rng.normal(100.0, 5.0, image.shape)).astype(np.float32)
    found = aperture_light(noisy, x, y, 5.0)
    assert float(np.std(found.flux)) == pytest.approx(float(np.mean(found.sigma)), rel=0.3)


def test_the_sky_of_a_coarse_picture_is_its_mean_not_one_of_its_steps() -> None:
    rng = np.random.default_rng(3)
    image, x, y = field(rng, 60, 500.0)
    coarse = (10.0 * np.round((image + rng.normal(103.0, 6.0, image.shape)) / 10.0)).astype(
        np.float32
    )
    found = aperture_light(coarse, x, y, 5.0)
    # A step of the sky would be 800
    assert float(np.mean(found.flux)) == pytest.approx(490.0, abs=30.0)


def test_clipped_and_cut_stars_are_told() -> None:
    image, x, y = field(np.random.default_rng(4), 3, 5000.0)
    ignored = np.zeros(SHAPE, bool)
    ignored[round(y[1]), round(x[1])] = True
    found = aperture_light(image, np.append(x, 2.0), np.append(y, 50.0), 5.0, ignored)
    assert found.whole.tolist() == [True, False, True, False]


def test_no_star_is_no_light() -> None:
    none = np.zeros(0)
    assert aperture_light(np.zeros(SHAPE, np.float32), none, none, 5.0).flux.size == 0
