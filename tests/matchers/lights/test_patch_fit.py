"""The robust fit of the pose: right with wrong matches among them, and honest about itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.types import FloatArray, IndexArray
from matchers.geometry.camera import Camera
from matchers.geometry.light_grid import make_pyramid
from matchers.geometry.pose import (
    ACROSS,
    ALONG,
    FOCAL,
    K1,
    PARAMETERS,
    PRINCIPAL_X,
    PRINCIPAL_Y,
    ROTATION,
    UP,
    PosePrior,
    pixel_derivatives,
    step_camera,
)
from matchers.lights.patch_fit import FLOOR_PX, Refinement, fit_to_patches, jackknife
from matchers.lights.patches import PatchMatches
from regengine.registration.control_points import estimate_offsets, widen
from regengine.registration.fit import refine_on_patches, weigh_alternative
from regengine.registration.parameters import AcceptParams, PointParams, RefineParams
from tests.world import towns
from tests.world.towns import (
    VELOCITY,
    LampWorld,
    Levels,
    angle_between_deg,
    camera_over,
    light_grid,
    log_picture,
    matched,
    miss_px,
    town_lamps,
)

REFINE, CLEAR = RefineParams(), AcceptParams().clear_log10_odds
ALL = np.arange(10) < 8  # the principal point is free in crops alone


def prior_of(camera: Camera, **changes: float) -> PosePrior:
    return towns.prior_of(camera, **{"sigma_along_m": 4e3, "sigma_log_focal": 0.01, **changes})


def start_camera() -> Camera:
    return camera_over(
        10.5, 42.5, off_nadir=30.0, azimuth=50.0, roll=20.0, width=600, height=400, focal_px=700.0
    )


def matches_of(
    start: Camera,
    true: Camera,
    rng: np.random.Generator,
    *,
    sigma_px: float = 0.3,
    outliers: float = 0.0,
    count: int = 100,
) -> PatchMatches:
    """Places of the start's view as the true camera shows them, with noise and gross errors."""
    x, y = rng.uniform(20, 579, count), rng.uniform(20, 379, count)
    at_x, at_y = true.ecef_to_pixel(start.pixel_to_ecef(x, y))
    noise = rng.normal(0.0, sigma_px, (2, count))
    wrong = rng.random(count) < outliers
    gross = rng.uniform(-8.0, 8.0, (2, count))
    off = np.stack([at_x - x, at_y - y]) + np.where(wrong, gross, noise)
    return matched(x, y, off.T, max(sigma_px**2 - FLOOR_PX**2, 1e-4))


def a_step(rng: np.random.Generator) -> FloatArray:
    """A departure from the belief of the size that the belief allows."""
    step = np.zeros(10)
    step[ROTATION] = rng.normal(0.0, 0.003, 3)
    step[FOCAL] = 0.01 * rng.normal()
    step[[ALONG, ACROSS, UP]] = rng.normal(0.0, [4e3, 1e3, 500.0])
    step[K1] = 0.02 * rng.normal()
    return step


def apart_px(found: Camera, true: Camera) -> float:
    away = miss_px(found, true, *np.meshgrid(np.linspace(20, 579, 9), np.linspace(20, 379, 7)))
    return float(np.sqrt(np.mean(away**2)))


def test_an_exact_displacement_is_undone() -> None:
    start = start_camera()
    true = step_camera(start, VELOCITY, a_step(np.random.default_rng(0)))
    matches = matches_of(start, true, np.random.default_rng(1), sigma_px=0.0)
    loose = prior_of(start, sigma_along_m=1e7, sigma_across_m=1e7, sigma_up_m=1e7)
    loose = replace(loose, sigma_log_focal=10.0, sigma_k1=10.0)
    found = fit_to_patches(start, matches, loose, ALL)
    assert apart_px(found.camera, true) < 1e-3
    assert found.rms_px < 1e-3
    assert found.weights.min() > 0.999
    assert found.rendered == start
    assert found.camera.focal_px == pytest.approx(true.focal_px, rel=1e-4)
    assert found.camera.distortion[0] == pytest.approx(true.distortion[0], abs=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_a_quarter_of_wrong_matches_does_little_harm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start = start_camera()
    true = step_camera(start, VELOCITY, a_step(rng))
    found = fit_to_patches(start, matches_of(start, true, rng, outliers=0.25), prior_of(start), ALL)
    assert apart_px(start, true) > 0.8
    assert apart_px(found.camera, true) < 0.25
    assert 0.2 < found.rms_px < 0.8
    gross = np.hypot(*found.residual_px.T) > 3.0
    assert gross.sum() > 5
    assert found.weights[gross].max() < 0.25
    assert np.median(found.weights[~gross]) > 0.75


@pytest.mark.parametrize("outliers", [0.0, 0.25])
def test_the_covariance_is_honest(outliers: float) -> None:
    """Errors of 60 fits, in units of the stated sigmas, are of size one in every parameter."""
    start = start_camera()
    prior = prior_of(start)
    pulls, pixels = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        step = a_step(rng)
        true = step_camera(start, VELOCITY, step)
        found = fit_to_patches(start, matches_of(start, true, rng, outliers=outliers), prior, ALL)
        error = prior.departure(found.camera) - prior.departure(true)
        sigma = np.sqrt(np.diag(found.covariance))
        pulls.append((error / np.where(sigma > 0.0, sigma, 1.0))[FOCAL : K1 + 1])
        turn = np.radians(angle_between_deg(found.camera, true))
        pixels.append(turn / np.sqrt(np.trace(found.covariance[:3, :3])))
    # k1 was drawn with 0.02 where the belief allows 0.05, so it may look better than stated
    spread = np.std(pulls, axis=0)
    assert (spread > [0.6, 0.6, 0.6, 0.6, 0.3]).all()
    assert (spread < 1.6).all()
    assert 0.5 < np.sqrt(np.mean(np.square(pixels))) < 1.6


def test_belief_decides_what_the_lights_cannot_tell() -> None:
    """A long lens straight down: focal length and height do the same to the picture."""
    start = camera_over(10.5, 42.5, width=600, height=400, focal_px=5000.0)
    step = np.zeros(10)
    step[FOCAL] = 0.01
    true = step_camera(start, VELOCITY, step)
    rng = np.random.default_rng(5)
    matches = matches_of(start, true, rng, sigma_px=0.26)
    focal = fit_to_patches(start, matches, prior_of(start, sigma_up_m=1.0), ALL)
    height = fit_to_patches(
        start, matches, prior_of(start, sigma_up_m=20e3, sigma_log_focal=1e-6), ALL
    )
    assert focal.camera.focal_px / start.focal_px == pytest.approx(1.01, abs=0.002)
    fallen = np.linalg.norm(start.position_ecef_m) - np.linalg.norm(height.camera.position_ecef_m)
    assert fallen == pytest.approx(0.01 * 410e3, rel=0.15)
    assert max(apart_px(focal.camera, true), apart_px(height.camera, true)) < 0.15


def test_a_crop_off_the_middle_moves_the_principal_point() -> None:
    """The left half of a frame: the lens' axis meets the picture's edge, 150 px from its middle."""
    start = start_camera()
    cropped = replace(start, width_px=300, principal_point=(299.5, 199.5))
    believed = replace(cropped, principal_point=(149.5, 199.5))
    turn = np.zeros(PARAMETERS)
    turn[1] = -np.arctan(150.0 / start.focal_px)  # so far the attitude makes up for it
    wrong = step_camera(believed, VELOCITY, turn)
    rng = np.random.default_rng(8)
    x, y = rng.uniform(10, 289, 120), rng.uniform(10, 389, 120)
    at_x, at_y = cropped.ecef_to_pixel(wrong.pixel_to_ecef(x, y))
    off = np.stack([at_x - x, at_y - y], axis=1) + rng.normal(0.0, 0.3, (120, 2))
    matches = matched(x, y, off, 0.03)
    prior = replace(
        prior_of(believed), principal_point=believed.principal_point, sigma_principal_px=120.0
    )
    found = fit_to_patches(wrong, matches, prior, np.ones(PARAMETERS, bool))
    stuck = fit_to_patches(wrong, matches, prior, ALL)

    apart, apart_stuck = (
        np.sqrt(np.mean(miss_px(fit.camera, cropped, x, y) ** 2)) for fit in (found, stuck)
    )
    assert apart < 0.3
    assert apart_stuck > 2.0 * apart
    sigma = np.sqrt(np.diag(found.covariance))[[PRINCIPAL_X, PRINCIPAL_Y]]
    error = np.subtract(found.camera.principal_point, cropped.principal_point)
    assert (np.abs(error) < 4.0 * sigma).all()
    assert (sigma < 120.0).all()


@pytest.fixture(scope="module")
def lamps() -> LampWorld:
    return town_lamps(3, 4.0, 37.0, 20.0, 50.0, towns=1800, lamps_per_town=60, radius_km=3.0)


@pytest.fixture(scope="module")
def levels(lamps: LampWorld) -> Levels:
    return make_pyramid(light_grid(lamps, 4.0, 37.0, 20.0, 50.0, 1.0 / 120.0), 4)


def test_a_picture_is_fitted_to_a_fraction_of_a_pixel(lamps: LampWorld, levels: Levels) -> None:
    rng = np.random.default_rng(7)
    believed = camera_over(
        11.0, 43.0, off_nadir=25.0, azimuth=200.0, roll=80.0, width=300, height=200, focal_px=450.0
    )
    step = a_step(rng)
    true = step_camera(believed, VELOCITY, step)
    photo = log_picture(true, lamps, blur_px=1.2)
    nudge = np.zeros(10)
    nudge[ROTATION] = [0.006, -0.005, 0.004]
    start = step_camera(believed, VELOCITY, nudge)
    params = RefineParams(patch_px=25, cells=10)
    given = levels, photo, np.ones_like(photo), start, prior_of(believed), ALL, params
    found = refine_on_patches(*given)
    assert found is not None
    lattice = np.meshgrid(np.linspace(10, 289, 9), np.linspace(10, 189, 7))
    assert np.sqrt(np.mean(miss_px(found.camera, true, *lattice) ** 2)) < 0.3
    assert len(found.matches) > 20
    assert found.rms_px < 0.5
    again = refine_on_patches(*given)
    assert again is not None
    assert again.camera == found.camera  # nothing is drawn at random


def distorted_start(true: Camera, longer: float) -> Camera:
    """A camera that is right in the middle alone, for its lens is so many times as long."""
    return replace(true, focal_px=longer * true.focal_px)


def test_a_distorted_camera_is_known_by_what_lies_farther_away() -> None:
    """And a right one is not: what scatters around it fits no other."""
    true = start_camera()
    rng = np.random.default_rng(11)
    prior = prior_of(true, sigma_log_focal=0.12)
    right = fit_to_patches(true, matches_of(true, true, rng, outliers=0.25), prior, ALL)
    assert weigh_alternative(right, REFINE) < CLEAR
    start = distorted_start(true, 1.05)
    distorted = fit_to_patches(start, matches_of(start, true, rng, outliers=0.25), prior, ALL)
    assert weigh_alternative(distorted, REFINE) > 10.0 * CLEAR
    # Where all of them are the same light, they tell no more than one
    one = replace(distorted.matches, x=np.full(100, 300.0), y=np.full(100, 200.0))
    assert weigh_alternative(replace(distorted, matches=one), REFINE) < CLEAR


def test_a_dark_picture_cannot_be_fitted(levels: Levels) -> None:
    camera = camera_over(11.0, 43.0, width=150, height=100, focal_px=450.0)
    dark = np.zeros((100, 150), np.float32)
    params = RefineParams(patch_px=21, cells=6)
    nothing = np.ones_like(dark), camera, prior_of(camera), ALL, params
    assert refine_on_patches(levels, dark, *nothing) is None


SIZE = 30


def refinement_of(x: FloatArray, y: FloatArray, residual: FloatArray, sigma: float) -> Refinement:
    camera = camera_over(10.0, 40.0, width=600, height=400, focal_px=800.0)
    return Refinement(
        camera=camera,
        rendered=camera,
        covariance=np.zeros((10, 10)),
        matches=matched(x, y, residual, max(sigma**2 - FLOOR_PX**2, 1e-4), size_px=SIZE),
        residual_px=residual,
        weights=np.ones(len(x)),
        prior=prior_of(camera),
        free=ALL,
    )


def side_by_side() -> tuple[FloatArray, FloatArray]:
    x, y = np.meshgrid(np.arange(20.0, 590.0, 40.0), np.arange(20.0, 390.0, 40.0))
    return x.ravel(), y.ravel()


def bulge(x: FloatArray, y: FloatArray) -> FloatArray:
    """A lens that is wrong by up to 1.5 px, changing over a quarter of the picture."""
    return np.stack([1.5 * np.sin(x / 90.0), 1.2 * np.cos(y / 80.0)], axis=1)


def test_a_common_displacement_is_found_within_its_sigma() -> None:
    x, y = side_by_side()
    rng = np.random.default_rng(0)
    truth = bulge(x, y)
    pulls = []
    for _ in range(20):
        residual = truth + rng.normal(0.0, 0.5, truth.shape)
        found = estimate_offsets(refinement_of(x, y, residual, 0.5), PointParams())
        off = found.offset_px - truth
        pulls.append(off / np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2)))
        assert np.sqrt(np.mean(off**2)) < 0.8 * 0.5  # better than the patches by themselves
    # A wave is not the random field assumed, so the sigmas are only about right
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.4


def test_overlapping_patches_share_their_noise_and_prove_nothing() -> None:
    """Every place is matched by four patches almost on top of each other."""
    rng = np.random.default_rng(2)
    x, y = side_by_side()
    shift = rng.uniform(-2.0, 2.0, (4, 2, len(x)))
    noise = rng.normal(0.0, 0.6, (len(x), 2))
    at_x, at_y = (x + shift[:, 0]).ravel(), (y + shift[:, 1]).ravel()
    found = estimate_offsets(refinement_of(at_x, at_y, np.tile(noise, (4, 1)), 0.6), PointParams())
    assert np.sqrt(np.mean(found.offset_px**2)) < 0.15


LIGHTS, PATCHES = 40, 4
FREE = np.ones(10, bool)
LOOSE = {
    "sigma_along_m": 60e3,
    "sigma_across_m": 60e3,
    "sigma_up_m": 25e3,
    "sigma_log_focal": 0.12,
    "sigma_principal_px": 120.0,
}


def crowded(rng: np.random.Generator, light_px: float) -> tuple[PatchMatches, IndexArray]:
    """Patches in fours that show one light, which is off by more than they say; their lights."""
    groups = np.repeat(np.arange(LIGHTS), PATCHES)
    x = rng.uniform(20, 579, LIGHTS)[groups] + rng.uniform(-5.0, 5.0, len(groups))
    y = rng.uniform(20, 379, LIGHTS)[groups] + rng.uniform(-5.0, 5.0, len(groups))
    off = light_px * rng.normal(size=(2, LIGHTS))[:, groups]
    return matched(x, y, (off + rng.normal(0.0, 0.25, off.shape)).T, 1e-4), groups


def test_lights_left_out_tell_how_far_the_camera_is_off() -> None:
    """Of ten cameras fitted to 40 lights, at the middle and near two corners of the picture."""
    true = start_camera()
    prior = prior_of(true, **LOOSE)
    x, y = np.array([300.0, 60.0, 540.0]), np.array([200.0, 60.0, 340.0])
    ground = true.pixel_to_ecef(x, y)
    by_lights, by_patches = [], []
    for seed in range(10):
        matches, groups = crowded(np.random.default_rng(seed), light_px=1.0)
        fit = fit_to_patches(true, matches, prior, FREE)
        refits = jackknife(fit, groups)
        assert refits is not None
        found = refits.covariance_px(ground)
        off = np.stack(fit.camera.ecef_to_pixel(ground), -1) - np.stack([x, y], -1)
        flow = pixel_derivatives(fit.camera, VELOCITY, ground)
        stated = np.einsum("kip,pq,kjq->kij", flow, fit.covariance, flow)
        for covariance, ratios in ((found, by_lights), (stated, by_patches)):
            ratios.append(np.einsum("ki,kij,kj->k", off, np.linalg.inv(covariance), off) / 2.0)
    assert 0.4 < np.mean(by_lights) < 2.0
    assert np.mean(by_patches) > 2.5


def test_of_two_covariances_the_wider_counts_in_every_direction() -> None:
    flat, tall = np.diag([4.0, 1.0]), np.diag([1.0, 9.0])
    assert widen(flat, tall) == pytest.approx(np.diag([4.0, 9.0]))
    assert widen(flat, 0.5 * flat) == pytest.approx(flat)
    assert widen(flat, np.outer([3.0, 3.0], [3.0, 3.0])) != pytest.approx(flat)
    rng = np.random.default_rng(4)
    roots = rng.normal(size=(2, 20, 2, 2))
    a, b = roots @ np.swapaxes(roots, -1, -2) + 0.01 * np.eye(2)
    found = widen(a, b)
    for covariance in (a, b):
        assert np.linalg.eigvalsh(found - covariance).min() > -1e-9
    assert (np.linalg.eigvalsh(a + b - found) > -1e-9).all()
