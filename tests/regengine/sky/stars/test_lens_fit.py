"""Lenses are recovered from simulated stars within the sigmas that the fit tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from matchers.geometry.sky_camera import LENS_PARAMETERS, SkyCamera
from regengine.sky.stars.lens_fit import ErrorModel, LensFit, LensFrame, fit_lens

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


def star_frame(
    rng: np.random.Generator, stars: int, true: SkyCamera = TRUE, start: SkyCamera = START
) -> tuple[LensFrame, SkyCamera]:
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


def chi_square(fit: LensFit, true: SkyCamera = TRUE) -> tuple[float, int]:
    """Squared distance of the fitted parameters from the truth by their covariance, and rank."""
    index = [LENS_PARAMETERS.index(name) for name in fit.free]
    away = (fit.cameras[0].lens_values - true.lens_values)[index]
    return float(away @ np.linalg.solve(fit.covariance[np.ix_(index, index)], away)), len(index)


def test_lens_lies_within_its_sigmas_over_many_fits() -> None:
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


def test_attitudes_lie_within_their_sigmas() -> None:
    rng = np.random.default_rng(2)
    squares = []
    for _ in range(25):
        pairs = [star_frame(rng, 80) for _ in range(2)]
        fit = fit_lens([frame for frame, _ in pairs], error=ErrorModel())
        found, true = fit.cameras[0], pairs[0][1]
        turn = Rotation.from_quat(found.quaternion_icrs).inv() * Rotation.from_quat(
            true.quaternion_icrs
        )
        vector = turn.as_rotvec()
        squares.append(vector @ np.linalg.solve(fit.attitude_covariance_rad2[0], vector))
    low, high = chi2.ppf([0.001, 0.999], 3 * len(squares))
    assert 0.8 * low < sum(squares) < high


def test_misidentified_stars_are_left_out() -> None:
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


def test_noise_beyond_the_stars_sigmas_is_found_and_enters_the_covariance() -> None:
    rng = np.random.default_rng(6)
    frames = [star_frame(rng, 200)[0] for _ in range(3)]
    boastful = [replace(frame, sigma_px=frame.sigma_px / 4.0) for frame in frames]
    honest, found = fit_lens(frames), fit_lens(boastful)
    assert found.error.variance(boastful[0]).mean() == pytest.approx(SIGMA_PX**2, rel=0.15)
    assert np.diag(found.covariance) == pytest.approx(np.diag(honest.covariance), rel=0.25)


def test_floor_scale_and_growth_are_told_apart_where_sigmas_differ() -> None:
    rng = np.random.default_rng(12)
    frames = []
    for _ in range(4):
        frame, camera = star_frame(rng, 300)
        claimed = np.exp(rng.uniform(np.log(0.01), np.log(0.5), 300))
        grown = 1.0 + 1.0 * frame.radius_squared
        true_sigma = np.hypot(0.4 * grown * claimed, 0.03)
        x, y = camera.project(frame.directions_icrs)
        frames.append(
            replace(
                frame,
                x=x + rng.normal(0.0, true_sigma),
                y=y + rng.normal(0.0, true_sigma),
                sigma_px=claimed,
            )
        )
    found = fit_lens(frames).error
    assert found.scale == pytest.approx(0.4, rel=0.15)
    assert found.growth == pytest.approx(1.0, abs=0.5)
    assert found.floor_px == pytest.approx(0.03, rel=0.3)


def test_a_known_lens_gives_the_attitude_of_a_frame() -> None:
    frame, camera = star_frame(np.random.default_rng(9), 50, start=TRUE)
    found = fit_lens([frame], free=()).cameras[0]
    assert found.lens_values == pytest.approx(TRUE.lens_values)
    arcsec = np.degrees(np.arccos(np.clip(found.matrix[:, 2] @ camera.matrix[:, 2], -1, 1))) * 3600
    assert arcsec < 5.0  # 8 arc seconds a star and axis over the root of 50, three sigma


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda frames: [], "at least one frame"),
        (
            lambda frames: [frames[0], replace(frames[1], camera=START.scaled(2, 3000, 2000))],
            "size",
        ),
        (lambda frames: [_first(frames[0], 1)], "at least two stars"),
        (lambda frames: [_first(frames[0], 5)], "too few"),
    ],
)
def test_frames_that_make_no_lens_are_refused(change, says) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(10)
    frames = [star_frame(rng, 30)[0] for _ in range(2)]
    with pytest.raises(ValueError, match=says):
        fit_lens(change(frames))


def _first(frame: LensFrame, count: int) -> LensFrame:
    return replace(
        frame,
        x=frame.x[:count],
        y=frame.y[:count],
        sigma_px=frame.sigma_px[:count],
        directions_icrs=frame.directions_icrs[:count],
    )
