"""Lenses: fits within their sigmas, light that was planted, and both worked out another way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from detectors.types import StarDetections
from matchers.geometry.sky_camera import LENS_PARAMETERS, SkyCamera
from regengine.photo.formats import PhotoFile
from regengine.photo.frame import Frame
from regengine.sky.stars import lens_calibration
from regengine.sky.stars.falloff import fit_falloff, measure_aperture_light, measure_sky_boxes
from regengine.sky.stars.lens_calibration import (
    ErrorModel,
    LensFrame,
    fit_channel,
    fit_lens,
    limiting_magnitude,
)
from tests.world.fields import spot
from tests.world.sky import SUN_COLOUR

# ---- the fit of a lens

TRUE = SkyCamera(
    width_px=1500,
    height_px=1000,
    focal_px=2083.0,  # 50 mm on a full-frame sensor
    principal_point=(755.0, 495.0),
    distortion=(-0.08, 0.05, 4e-4, -3e-4, 0.0),
    quaternion_icrs=(0.0, 0.0, 0.0, 1.0),
)
START = replace(
    TRUE, focal_px=2060.0, principal_point=(749.5, 499.5), distortion=(0.0, 0.0, 0.0, 0.0, 0.0)
)
SIGMA_PX = 0.08


def star_frame(rng, stars, true=TRUE, start=START):
    """Stars of a camera that points anywhere, and the camera."""
    attitude = Rotation.random(random_state=rng)
    camera = replace(true, quaternion_icrs=tuple(attitude.as_quat()))
    x = rng.uniform(0, true.width_px - 1, stars)
    y = rng.uniform(0, true.height_px - 1, stars)
    nearly = attitude * Rotation.from_rotvec(rng.normal(0.0, 1e-3, 3))
    frame = LensFrame(
        camera=replace(start, quaternion_icrs=tuple(nearly.as_quat())),
        x=x + rng.normal(0.0, SIGMA_PX, stars),
        y=y + rng.normal(0.0, SIGMA_PX, stars),
        sigma_px=np.full(stars, SIGMA_PX),
        directions_icrs=camera.to_sky(x, y),
    )
    return frame, camera


def chi_square(fit, true=TRUE):
    """Squared distance of the fitted parameters from the truth by their covariance, and rank."""
    index = [LENS_PARAMETERS.index(name) for name in fit.free]
    away = (fit.cameras[0].lens_values - true.lens_values)[index]
    return float(away @ np.linalg.solve(fit.covariance[np.ix_(index, index)], away)), len(index)


def test_lens_lies_within_its_sigmas_over_many_fits():
    rng = np.random.default_rng(1)
    total, degrees = 0.0, 0
    for _ in range(30):
        frames = [star_frame(rng, 60)[0] for _ in range(3)]
        square, rank = chi_square(fit_lens(frames, error=ErrorModel()))
        total, degrees = total + square, degrees + rank
    low, high = chi2.ppf([0.001, 0.999], degrees)
    # The principal point and the decentring are also held by what is known beforehand, here truly
    # smaller than that: the sum is a little low
    assert 0.8 * low < total < high


def test_misidentified_stars_are_left_out():
    rng = np.random.default_rng(5)
    frames, wrong = [], []
    for _ in range(4):
        frame, _ = star_frame(rng, 100)
        bad = rng.random(100) < 0.08
        frames.append(replace(frame, x=frame.x + np.where(bad, rng.choice([-3.0, 2.0], 100), 0.0)))
        wrong.append(bad)
    fit = fit_lens(frames)
    assert not any((used & bad).any() for used, bad in zip(fit.used, wrong, strict=True))
    assert fit.stars > 0.97 * sum((~bad).sum() for bad in wrong)
    square, rank = chi_square(fit)
    assert square < chi2.ppf(0.999, rank)


# ---- zero points


def made_stars(rng, count):
    magnitude = 8.0 - rng.exponential(1.0, count)
    colour = rng.normal(0.9, 0.5, count)
    flux = 10.0 ** (0.4 * (12.0 - magnitude + 0.45 * (colour - 0.82)))
    flux *= 10.0 ** (0.4 * rng.normal(0.0, 0.05, count))
    sigma = np.full(count, 0.3)
    return magnitude, colour, flux + rng.normal(0.0, sigma), sigma


def test_a_zero_point_is_that_of_scipys_robust_line_with_bootstrapped_errors():
    rng = np.random.default_rng(5)
    magnitude, colour, flux, sigma = made_stars(rng, 400)
    flux[:12] *= 3.0

    def theirs(rows):
        value = magnitude[rows] + 2.5 * np.log10(flux[rows])
        columns = np.column_stack([np.ones(len(rows)), SUN_COLOUR - colour[rows]])
        fit = least_squares(
            lambda line: (value - columns @ line) / 0.05, [12.0, 0.0], loss="cauchy", f_scale=1.0
        )
        return fit.x

    every = np.arange(400)
    found = fit_channel("red", magnitude, colour, flux, sigma)
    line = theirs(every)
    assert found.zero_point_mag == pytest.approx(line[0], abs=0.9 * found.zero_point_sigma)
    assert found.colour_term == pytest.approx(line[1], abs=0.9 * found.colour_term_sigma)
    again = np.std([theirs(rng.choice(every, 400)) for _ in range(40)], axis=0)
    assert found.zero_point_sigma == pytest.approx(again[0], rel=0.4)
    assert found.colour_term_sigma == pytest.approx(again[1], rel=0.4)
    assert found.scatter_mag == pytest.approx(0.05, rel=0.15)
    assert found.stars == 400
    noisy = fit_channel("red", magnitude, colour, flux + rng.normal(0.0, 9.0, 400), sigma + 9.0)
    assert noisy.zero_point_mag == pytest.approx(12.0, abs=4 * noisy.zero_point_sigma)
    even = np.linspace(3.0, 9.0, 300)
    limit = limiting_magnitude(even, 5.0 * 10.0 ** (-0.4 * (even - 8.5)))
    assert limit == (pytest.approx(8.5), pytest.approx(0.0, abs=1e-9))


# ---- light of a photo, in pixels of the picture as stored

SIZE = WIDTH, HEIGHT = 360, 240
STAR_PX = 1.4
SKY = {"red": 0.02, "green": 0.05, "blue": 0.08}
# Stars of the picture as stored, and the light of each in red; others have shares of it
PLACES = np.array([(40.3 + 71.3 * k % 280, 30.6 + 53.7 * k % 180) for k in range(12)])
FLUX = 0.4 * (1.0 + np.arange(12))
SHARE = {"red": 1.0, "green": 0.6, "blue": 0.25}
FRAME = Frame(
    file=PhotoFile(path=Path("a.jpg"), format="jpeg", width_px=WIDTH, height_px=HEIGHT),
    frame_id="a",
    camera_body="NIKON D3S",
    lens="50mm f/1.4",
    focal_mm=50.0,
    exposure_s=2.0,
)
CAMERA = SkyCamera(
    width_px=WIDTH,
    height_px=HEIGHT,
    focal_px=700.0,
    principal_point=(181.0, 118.0),
    distortion=(-0.04, 0.01, 1e-4, -2e-4, 0.0),
    quaternion_icrs=(0.1, 0.2, 0.3, 0.9273618495495704),
)


def detections(places=PLACES):
    count = len(places)
    return StarDetections(
        x=places[:, 0],
        y=places[:, 1],
        flux=np.linspace(2.0, 1.0, count),
        snr=np.full(count, 50.0),
        covariance_px2=np.tile(0.01 * np.eye(2), (count, 1, 1)),
        fwhm_px=np.full(count, 2.3548 * STAR_PX),
        ellipticity=np.zeros(count),
        flags=np.zeros(count, np.uint8),
    )


def picture(factor, *, noise=5e-4, names=()):
    """Colours of the stars over skies, brought to another size: (h, w, colours)."""
    shape = round(HEIGHT * factor), round(WIDTH * factor)
    rng, planes = np.random.default_rng(4), []
    for name in names or tuple(SKY):
        light = SKY[name] + noise * rng.normal(size=shape)
        for (x, y), flux in zip(PLACES, FLUX, strict=True):
            at = (one * factor + 0.5 * factor - 0.5 for one in (x, y))
            spot(light, *at, STAR_PX * factor, SHARE[name] * flux / (2.0 * np.pi * STAR_PX**2))
        planes.append(light)
    return np.dstack(planes).astype(np.float32)


def test_stars_have_the_light_that_was_planted_by_colour():
    factor = 2.0
    photo = lens_calibration.measure_light(FRAME, CAMERA, detections(), picture(factor), factor)
    assert (photo.frame, photo.camera) == (FRAME, CAMERA)
    assert np.array_equal(photo.stars.x, PLACES[:, 0])
    assert list(photo.channels) == ["red", "green", "blue"]
    radius = 2.5 * 2.3548 * STAR_PX
    for name, light in photo.channels.items():
        assert light.whole.all()
        planted = SHARE[name] * FLUX
        assert light.flux == pytest.approx(planted, abs=0.03, rel=0.005)
        # By hand: the aperture's pixels, and the ring's mean that is taken away
        area = np.pi * (radius * factor) ** 2
        ring = np.pi * (2.5**2 - 1.5**2) * (radius * factor) ** 2
        by_hand = 5e-4 * np.sqrt(area + area**2 / ring) / factor**2
        assert light.sigma == pytest.approx(by_hand, rel=0.15)


def test_the_skys_boxes_have_its_luminance_and_lie_in_the_picture_as_stored():
    """A sky with a slope, without its stars; the luminance is that of Rec. 709."""
    factor = 0.5
    light = picture(factor, noise=2e-3)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    across, down = ((one + 0.5) / factor - 0.5 for one in (x, y))
    slope = 1.0 + 0.3 * across / WIDTH - 0.2 * down / HEIGHT
    light *= slope[..., None].astype(np.float32)
    boxes = lens_calibration.measure_light(FRAME, CAMERA, detections(), light, factor).sky
    assert (boxes.width_px, boxes.height_px) == SIZE
    grey = 0.2126 * SKY["red"] + 0.7152 * SKY["green"] + 0.0722 * SKY["blue"]
    drawn = grey * (1.0 + 0.3 * boxes.x / WIDTH - 0.2 * boxes.y / HEIGHT)
    assert boxes.level == pytest.approx(drawn, rel=0.02)
    assert len(boxes.x) > 250


def test_clipped_light_counts_neither_for_stars_nor_for_the_sky():
    for value, whole in ((0.96, True), (0.97, False)):
        light = picture(1.0)
        column, row = np.rint(PLACES[3]).astype(int)
        light[row, column] = [0.1, value, 0.1]
        light[150:210, 100:160, 2] = value
        photo = lens_calibration.measure_light(FRAME, CAMERA, detections(), light)
        for channel in photo.channels.values():
            assert channel.whole[3] == whole
        near = (np.abs(photo.sky.x - 130.0) < 15.0) & (np.abs(photo.sky.y - 180.0) < 15.0)
        assert near.any() == whole


# ---- falloff and apertures

ARRIVES = np.array([-0.75, 0.35, -0.10])
SHAPE, AXIS = (400, 600), (306.0, 196.0)


def powers(r):
    return np.stack([r**2, r**4, r**6], axis=-1)


def distance(x, y):
    return np.hypot(x - AXIS[0], y - AXIS[1]) / (0.5 * np.hypot(*SHAPE))


def sky(rng, slope):
    """Mean sky light of a frame."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    light = 0.01 * (1.0 + slope[0] * (x / SHAPE[1] - 0.5) + slope[1] * (y / SHAPE[0] - 0.5))
    light *= 1.0 + powers(distance(x, y)) @ ARRIVES
    return (light + rng.normal(0.0, 0.001, light.shape)).astype(np.float32)


def test_light_of_an_aperture_is_the_sum_of_its_pixels_above_the_ring():
    """Pixel by pixel; even noise within 1.7 sigma is not clipped, another star is."""
    rng = np.random.default_rng(3)
    image = 2.0 + rng.uniform(-0.1, 0.1, (60, 70))
    image[30:33, 33:36] += 5.0
    image[31, 46] += 40.0  # in the ring
    x, y, radius = 34.3, 31.2, 6.0
    rows, cols = np.mgrid[:60, :70]
    away = np.hypot(cols - x, rows - y)
    ring = (away >= 9.0) & (away <= 15.0) & (image < 10.0)
    share = np.clip(radius + 0.5 - away, 0.0, 1.0)
    found = measure_aperture_light(image, np.array([x]), np.array([y]), radius)
    assert found.flux[0] == pytest.approx((share * (image - image[ring].mean())).sum(), rel=1e-4)
    area = share.sum()
    noise = image[ring].std(ddof=1) * np.sqrt(area + area**2 / ring.sum())
    assert found.sigma[0] == pytest.approx(noise, rel=1e-3)
    for column, whole in ((6.0, True), (5.9, False), (63.0, True), (63.1, False)):
        one = measure_aperture_light(image, np.array([column]), np.array([30.0]), radius)
        assert one.whole.tolist() == [whole]


def test_falloff_and_its_errors_are_those_of_scipy_and_of_leaving_frames_out():
    """Huber's loss on the logarithms; the jackknife by fits of all frames but one."""
    rng = np.random.default_rng(6)
    frames = [measure_sky_boxes(sky(rng, (0.2 * k - 0.3, 0.1))) for k in range(4)]
    frames[0].level[::17] *= 1.2
    half = 0.5 * np.hypot(*SHAPE)

    def away(values):
        off = []
        for k, boxes in enumerate(frames):
            u, v = (boxes.x - AXIS[0]) / half, (boxes.y - AXIS[1]) / half
            slopes = np.stack([np.ones_like(u), u, v, u * u - v * v, u * v], axis=1)
            light = slopes @ values[3 + 5 * k : 8 + 5 * k]
            light = light * (1.0 + powers(np.hypot(u, v)) @ values[:3])
            off.append(np.log(boxes.level) - np.log(np.maximum(light, 1e-4)))
        return np.concatenate(off)

    fit = fit_falloff(frames, [AXIS] * 4)
    start = np.concatenate([np.zeros(3), np.tile([0.01, 0, 0, 0, 0], 4)])
    how = {"loss": "huber", "f_scale": 1.5 * fit.residual, "x_scale": np.where(start, 0.01, 0.1)}
    theirs = least_squares(away, start, **how).x
    at = powers(np.array([0.3, 0.6, 0.9]))
    assert at @ fit.coefficients == pytest.approx(at @ theirs[:3], abs=3e-4)
    assert fit.residual == pytest.approx(1.4826 * np.median(np.abs(away(theirs))), rel=0.02)
    others = [
        fit_falloff([f for j, f in enumerate(frames) if j != k], [AXIS] * 3).coefficients
        for k in range(4)
    ]
    jackknife = 3.0 * np.cov(np.array(others).T, ddof=0)
    jackknife[0, 0] += 0.008**2
    assert fit.covariance == pytest.approx(jackknife, rel=1e-6, abs=1e-12)
