"""A lens and its light are recovered from simulated photos and magnitudes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from detectors.registry import STARS
from matchers.geometry.sky_camera import LENS_PARAMETERS, SkyCamera, matrix_quaternion
from regengine.errors import ConfigError
from regengine.photo.formats import PhotoFile
from regengine.photo.frame import Frame
from regengine.sky.stars.catalogue import StarCatalogue, apparent_directions
from regengine.sky.stars.lens_calibration import (
    Calibration,
    calibrate,
    fit_channel,
    limiting_magnitude,
)
from regengine.sky.stars.lens_photo import LensPhoto, measure_light
from tests.world.sky import COLOUR_TERMS, SkySensor, SkySettings, sky_frame

TRUE = SkyCamera(
    width_px=900,
    height_px=600,
    focal_px=1250.0,
    principal_point=(453.0, 297.0),
    distortion=(-0.05, 0.02, 2e-4, -2e-4, 0.0),
    quaternion_icrs=(0.0, 0.0, 0.0, 1.0),
)
TAKEN = datetime(2012, 1, 26, tzinfo=UTC)


@cache
def catalogue() -> StarCatalogue:
    """A sky of stars at random, in number as the real one's."""
    rng = np.random.default_rng(1)
    count = 40_000
    vectors = rng.normal(size=(count, 3))
    magnitude = np.sort(8.0 + np.log10(rng.random(count)) / 0.5)
    return StarCatalogue(
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        magnitude_g=magnitude,
        magnitude_bp=magnitude + 0.5,
        magnitude_rp=magnitude + 0.5 - rng.normal(0.9, 0.5, count),
        identifier=np.arange(count),
        epoch_year=2012.0,
    )


@cache
def photos() -> tuple[tuple[LensPhoto, ...], tuple[SkyCamera, ...]]:
    """Two photos that look elsewhere, and their true cameras."""
    taken, cameras = [], []
    stars = catalogue()
    for k in range(2):
        rng = np.random.default_rng(k)
        attitude = Rotation.random(random_state=rng)
        camera = replace(TRUE, quaternion_icrs=matrix_quaternion(attitude.as_matrix()))
        frame = sky_frame(
            camera,
            apparent_directions(stars.vectors, TAKEN),
            stars.magnitude_g,
            SkySettings(sensor=SkySensor(bits=14), exposure_s=2.0),
            rng,
            colours=stars.magnitude_bp - stars.magnitude_rp,
        )
        light = frame.picture.light
        found = STARS.detectors()["matched"].detect(
            light @ np.array((0.2126, 0.7152, 0.0722), np.float32)
        )
        about = Rotation.from_rotvec([4e-4, -3e-4, 5e-4])
        start = replace(
            camera,
            focal_px=1248.0,
            distortion=(-0.04, 0.0, 0.0, 0.0, 0.0),
            quaternion_icrs=matrix_quaternion((attitude * about).as_matrix()),
        )
        taken.append(measure_light(_frame(f"{k}.jpg"), start, found, light))
        cameras.append(camera)
    return tuple(taken), tuple(cameras)


def _frame(name: str) -> Frame:
    return Frame(
        file=PhotoFile(path=Path(name), format="jpeg", width_px=900, height_px=600),
        frame_id=name,
        camera_body="NIKON D3S",
        focal_mm=50.0,
        time_utc=TAKEN,
        exposure_s=2.0,
    )


@cache
def calibrated() -> Calibration:
    return calibrate(photos()[0], catalogue())


@pytest.mark.slow
def test_the_lens_lies_within_its_sigmas() -> None:
    fit = calibrated().fit
    index = [LENS_PARAMETERS.index(name) for name in fit.free]
    away = (fit.cameras[0].lens_values - TRUE.lens_values)[index]
    square = away @ np.linalg.solve(fit.covariance[np.ix_(index, index)], away)
    assert square < 3.5 * len(index)
    assert fit.stars > 300
    assert fit.rms_px < 0.15


@pytest.mark.slow
def test_falloff_zero_points_and_colour_terms_are_the_true_ones() -> None:
    profile = calibrated().profile
    assert float(profile.falloff.arrives(0.9)) == pytest.approx(0.569, abs=0.02)
    settings = SkySettings()
    full = 2.5 * np.log10(settings.sensor.full_scale_electrons)
    assert [c.channel for c in profile.channels] == ["red", "green", "blue"]
    for channel, truth, term in zip(
        profile.channels, settings.zero_point_mag, COLOUR_TERMS, strict=True
    ):
        # The aperture holds 98 % of the light
        assert channel.zero_point_mag == pytest.approx(truth - full - 0.02, abs=0.03)
        assert channel.colour_term == pytest.approx(term, abs=0.03)
    assert 7.0 < profile.exposure.limiting_mag < 10.0


@pytest.mark.slow
def test_a_sky_that_no_lens_makes_tells_no_falloff() -> None:
    uneven = []
    for photo in photos()[0]:
        boxes = photo.sky
        half = 0.5 * np.hypot(boxes.width_px, boxes.height_px)
        r = np.hypot(boxes.x - boxes.width_px / 2, boxes.y - boxes.height_px / 2) / half
        level = boxes.level * np.maximum(1.0 + 4.0 * r**2 - 4.5 * r**4, 0.05)
        uneven.append(replace(photo, sky=replace(boxes, level=level)))
    found, right = calibrate(uneven, catalogue()), calibrated()
    assert "the falloff" in found.falloff_refused
    assert found.profile.falloff is None
    assert found.profile.distortion == right.profile.distortion
    assert found.profile.focal_px == right.profile.focal_px
    assert right.falloff_refused == ""


def test_aberration_left_out_is_a_wrong_focal_length() -> None:
    untimed = [replace(p, frame=replace(p.frame, time_utc=None)) for p in photos()[0]]
    wrong, right = calibrate(untimed[:1], catalogue()), calibrate(photos()[0][:1], catalogue())
    change = wrong.profile.focal_px / right.profile.focal_px - 1.0
    vector = apparent_directions(np.eye(3), TAKEN) - np.eye(3)
    velocity = np.array([vector[1, 0], vector[0, 1], vector[0, 2]])  # across each axis' star
    towards = photos()[1][0].centre_icrs @ velocity
    # Stars crowd together ahead, as under a shorter lens
    assert change == pytest.approx(-towards, abs=4e-5)
    assert abs(towards) > 2e-5


def test_photos_of_two_cameras_are_refused() -> None:
    first, second = photos()[0]
    other = replace(second, frame=replace(second.frame, camera_body="NIKON D4"))
    with pytest.raises(ConfigError, match=r"1\.jpg: its camera is NIKON D4"):
        calibrate([first, other], catalogue())


def made_stars(rng: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
    magnitude = 8.0 - rng.exponential(1.0, count)
    colour = rng.normal(0.9, 0.5, count)
    flux = 10.0 ** (0.4 * (12.0 - magnitude + 0.45 * (colour - 0.82)))
    flux *= 10.0 ** (0.4 * rng.normal(0.0, 0.05, count))
    sigma = np.full(count, 0.3)
    return magnitude, colour, flux + rng.normal(0.0, sigma), sigma


def test_zero_point_and_colour_term_lie_within_their_sigmas() -> None:
    rng = np.random.default_rng(1)
    off = []
    for _ in range(40):
        magnitude, colour, flux, sigma = made_stars(rng, 150)
        flux[:8] *= 3.0  # variable, or two made_stars in one
        found = fit_channel("red", magnitude, colour, flux, sigma)
        off.append(
            (
                (found.zero_point_mag - 12.0) / found.zero_point_sigma,
                (found.colour_term + 0.45) / found.colour_term_sigma,
            )
        )
    assert np.std(off, axis=0) == pytest.approx([1.0, 1.0], rel=0.4)
    assert np.abs(np.mean(off, axis=0)).max() < 0.6


def test_faint_stars_do_not_pull_the_zero_point_by_their_noise() -> None:
    rng = np.random.default_rng(3)
    magnitude, colour, flux, sigma = made_stars(rng, 2000)
    noisy = fit_channel("red", magnitude, colour, flux + rng.normal(0.0, 10.0, 2000), sigma + 10.0)
    assert noisy.zero_point_mag == pytest.approx(12.0, abs=4 * noisy.zero_point_sigma)


def test_limiting_magnitude_is_where_the_signal_is_five_times_the_noise() -> None:
    magnitude = np.linspace(3.0, 9.0, 300)
    snr = 5.0 * 10.0 ** (-0.4 * (magnitude - 8.5))
    limit = limiting_magnitude(magnitude, snr)
    assert limit[0] == pytest.approx(8.5)
    assert limit[1] == pytest.approx(0.0, abs=1e-9)
