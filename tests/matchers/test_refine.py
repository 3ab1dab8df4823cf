"""The robust fit of the pose: right with wrong matches among them, and honest about itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.types import FloatArray, IndexArray
from matchers.camera import Camera
from matchers.light_grid import pyramid
from matchers.patches import PatchMatches
from matchers.pose import (
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
    other_pose,
    pixel_derivatives,
    stepped,
)
from matchers.refine import (
    BENT_LOG10_ODDS,
    FLOOR_PX,
    Refinement,
    RefineParameters,
    aside_log10_odds,
    blocks_of,
    fit_pose,
    jackknife,
    local_offsets,
    refine,
    wider,
)
from tests.matchers import lamp_world
from tests.matchers.lamp_world import (
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

ALL = np.arange(10) < 8  # the principal point is free in crops alone


def prior_of(camera: Camera, **changes: float) -> PosePrior:
    return lamp_world.prior_of(camera, **{"sigma_along_m": 4e3, "sigma_log_focal": 0.01, **changes})


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
    true = stepped(start, VELOCITY, a_step(np.random.default_rng(0)))
    matches = matches_of(start, true, np.random.default_rng(1), sigma_px=0.0)
    loose = prior_of(start, sigma_along_m=1e7, sigma_across_m=1e7, sigma_up_m=1e7)
    loose = replace(loose, sigma_log_focal=10.0, sigma_k1=10.0)
    found = fit_pose(start, matches, loose, ALL)
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
    true = stepped(start, VELOCITY, a_step(rng))
    found = fit_pose(start, matches_of(start, true, rng, outliers=0.25), prior_of(start), ALL)
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
        true = stepped(start, VELOCITY, step)
        found = fit_pose(start, matches_of(start, true, rng, outliers=outliers), prior, ALL)
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


def test_noise_beyond_what_was_stated_widens_the_covariance() -> None:
    start = start_camera()
    honest, noisy = (
        fit_pose(
            start,
            replace(
                matches_of(start, start, np.random.default_rng(3), sigma_px=sigma),
                covariance=np.tile(0.03 * np.eye(2), (100, 1, 1)),
            ),
            prior_of(start),
            ALL,
        )
        for sigma in (0.3, 1.5)
    )
    grown = np.diag(noisy.covariance)[:3] / np.diag(honest.covariance)[:3]
    assert (grown > 3.0).all()


def test_belief_decides_what_the_lights_cannot_tell() -> None:
    """A long lens straight down: focal length and height do the same to the picture."""
    start = camera_over(10.5, 42.5, width=600, height=400, focal_px=5000.0)
    step = np.zeros(10)
    step[FOCAL] = 0.01
    true = stepped(start, VELOCITY, step)
    rng = np.random.default_rng(5)
    matches = matches_of(start, true, rng, sigma_px=0.26)
    focal = fit_pose(start, matches, prior_of(start, sigma_up_m=1.0), ALL)
    height = fit_pose(start, matches, prior_of(start, sigma_up_m=20e3, sigma_log_focal=1e-6), ALL)
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
    wrong = stepped(believed, VELOCITY, turn)
    rng = np.random.default_rng(8)
    x, y = rng.uniform(10, 289, 120), rng.uniform(10, 389, 120)
    at_x, at_y = cropped.ecef_to_pixel(wrong.pixel_to_ecef(x, y))
    off = np.stack([at_x - x, at_y - y], axis=1) + rng.normal(0.0, 0.3, (120, 2))
    matches = matched(x, y, off, 0.03)
    prior = replace(
        prior_of(believed), principal_point=believed.principal_point, sigma_principal_px=120.0
    )
    found = fit_pose(wrong, matches, prior, np.ones(PARAMETERS, bool))
    stuck = fit_pose(wrong, matches, prior, ALL)

    apart, apart_stuck = (
        np.sqrt(np.mean(miss_px(fit.camera, cropped, x, y) ** 2)) for fit in (found, stuck)
    )
    assert apart < 0.3
    assert apart_stuck > 2.0 * apart
    sigma = np.sqrt(np.diag(found.covariance))[[PRINCIPAL_X, PRINCIPAL_Y]]
    error = np.subtract(found.camera.principal_point, cropped.principal_point)
    assert (np.abs(error) < 4.0 * sigma).all()
    assert (sigma < 120.0).all()


def test_patches_of_the_sky_are_left_out() -> None:
    start = camera_over(10.5, 42.5, off_nadir=68.0, width=600, height=400, focal_px=700.0)
    rng = np.random.default_rng(6)
    matches = matches_of(start, start, rng)
    sky = np.isnan(matches.dx)
    assert sky.any()
    matches = replace(matches, dx=np.nan_to_num(matches.dx), dy=np.nan_to_num(matches.dy))
    found = fit_pose(start, matches, prior_of(start), ALL)
    assert len(found.matches) == len(found.weights) == (~sky).sum()


@pytest.fixture(scope="module")
def lamps() -> LampWorld:
    return town_lamps(3, 4.0, 37.0, 20.0, 50.0, towns=1800, lamps_per_town=60, radius_km=3.0)


@pytest.fixture(scope="module")
def levels(lamps: LampWorld) -> Levels:
    return pyramid(light_grid(lamps, 4.0, 37.0, 20.0, 50.0, 1.0 / 120.0), 4)


def test_a_picture_is_fitted_to_a_fraction_of_a_pixel(lamps: LampWorld, levels: Levels) -> None:
    rng = np.random.default_rng(7)
    believed = camera_over(
        11.0, 43.0, off_nadir=25.0, azimuth=200.0, roll=80.0, width=300, height=200, focal_px=450.0
    )
    step = a_step(rng)
    true = stepped(believed, VELOCITY, step)
    photo = log_picture(true, lamps, blur_px=1.2)
    nudge = np.zeros(10)
    nudge[ROTATION] = [0.006, -0.005, 0.004]
    start = stepped(believed, VELOCITY, nudge)
    parameters = RefineParameters(patch_px=25, cells=10)
    found = refine(levels, photo, np.ones_like(photo), start, prior_of(believed), ALL, parameters)
    lattice = np.meshgrid(np.linspace(10, 289, 9), np.linspace(10, 189, 7))
    assert np.sqrt(np.mean(miss_px(found.camera, true, *lattice) ** 2)) < 0.3
    assert len(found.matches) > 20
    assert found.rms_px < 0.5
    again = refine(levels, photo, np.ones_like(photo), start, prior_of(believed), ALL, parameters)
    assert again.camera == found.camera  # nothing is drawn at random


def bent_start(true: Camera, longer: float) -> Camera:
    """A camera that is right in the middle alone, for its lens is so many times as long."""
    return replace(true, focal_px=longer * true.focal_px)


@pytest.mark.parametrize(("longer", "near_px"), [(0.9, (4, 3)), (1.2, (8, 5, 4))])
def test_a_camera_that_holds_itself_to_other_lights_is_followed_farther(
    lamps: LampWorld, levels: Levels, longer: float, near_px: tuple[int, ...]
) -> None:
    """Beside its middle a light of the map lies near one of the photo, but the wrong one."""
    true = camera_over(11.0, 43.0, off_nadir=30.0, roll=40.0, width=450, height=300, focal_px=650.0)
    photo = log_picture(true, lamps, blur_px=1.2)
    start = bent_start(true, longer)
    prior = prior_of(start, sigma_log_focal=0.12)
    lattice = np.meshgrid(np.linspace(10, 439, 9), np.linspace(10, 289, 7))
    worst_px = []
    for reaches_px in (near_px, RefineParameters().reaches_px):
        parameters = RefineParameters(patch_px=25, reaches_px=reaches_px)
        found = refine(levels, photo, np.ones_like(photo), start, prior, ALL, parameters)
        assert found is not None
        worst_px.append(float(np.max(miss_px(found.camera, true, *lattice))))
    assert found.settled
    assert worst_px[0] > 10.0
    assert worst_px[1] < 0.5


@pytest.mark.parametrize(("off_nadir", "focal_px"), [(22.0, 650.0), (30.0, 1000.0)])
def test_a_camera_on_the_other_side_of_what_it_sees_is_found(
    lamps: LampWorld, levels: Levels, off_nadir: float, focal_px: float
) -> None:
    """A camera that is believed there fits the middle of the picture, and no step leads away."""
    true = camera_over(
        11.0, 43.0, off_nadir=off_nadir, azimuth=70.0, width=450, height=300, focal_px=focal_px
    )
    photo = log_picture(true, lamps, blur_px=1.2)
    other = other_pose(true)
    assert other is not None
    x, y, z = np.asarray(true.position_ecef_m) - np.asarray(other.position_ecef_m)
    prior = replace(prior_of(other, sigma_along_m=2e5), velocity_ecef=(x, y, z))
    lattice = np.meshgrid(np.linspace(10, 439, 9), np.linspace(10, 289, 7))
    parameters = RefineParameters(patch_px=25)
    found = refine(levels, photo, np.ones_like(photo), other, prior, ALL, parameters)
    assert found is not None
    assert found.settled
    assert np.max(miss_px(other, true, *lattice)) > 50.0
    assert np.max(miss_px(found.camera, true, *lattice)) < 0.5


def test_a_bent_camera_is_told_by_what_lies_farther_away() -> None:
    """And a right one is not: what scatters around it fits no other."""
    true = start_camera()
    rng = np.random.default_rng(11)
    prior = prior_of(true, sigma_log_focal=0.12)
    right = fit_pose(true, matches_of(true, true, rng, outliers=0.25), prior, ALL)
    assert aside_log10_odds(right, 20) < BENT_LOG10_ODDS
    start = bent_start(true, 1.05)
    bent = fit_pose(start, matches_of(start, true, rng, outliers=0.25), prior, ALL)
    assert aside_log10_odds(bent, 20) > 10.0 * BENT_LOG10_ODDS
    # Where all of them are the same light, they tell no more than one
    one = replace(bent.matches, x=np.full(100, 300.0), y=np.full(100, 200.0))
    assert aside_log10_odds(replace(bent, matches=one), 20) < BENT_LOG10_ODDS


def test_a_dark_picture_cannot_be_fitted(levels: Levels) -> None:
    camera = camera_over(11.0, 43.0, width=150, height=100, focal_px=450.0)
    dark = np.zeros((100, 150), np.float32)
    parameters = RefineParameters(patch_px=21, cells=6)
    assert (
        refine(levels, dark, np.ones_like(dark), camera, prior_of(camera), ALL, parameters) is None
    )


def test_patches_on_top_of_each_other_count_once() -> None:
    """Four copies of every match, as of patches that overlap all but wholly: nothing is new."""
    start = start_camera()
    true = stepped(start, np.array(VELOCITY), 1e-3 * np.eye(PARAMETERS)[0])
    single = matches_of(start, true, np.random.default_rng(5), count=40)
    prior, free = prior_of(start), ALL
    spread = replace(single, size_px=8)
    copies = spread.chosen(np.tile(np.arange(40), 4))
    once = fit_pose(start, spread, prior, free)
    again = fit_pose(start, copies, prior, free)
    apart = replace(copies, size_px=1, x=copies.x + 1.5 * np.repeat(np.arange(4), 40))
    new = fit_pose(start, apart, prior, free)
    sigma = np.sqrt(np.diag(once.covariance)[ROTATION])
    assert np.sqrt(np.diag(again.covariance)[ROTATION]) == pytest.approx(sigma, rel=0.02)
    assert again.camera.focal_px == pytest.approx(once.camera.focal_px, rel=1e-6)
    assert (np.sqrt(np.diag(new.covariance)[ROTATION]) < 0.75 * sigma).all()


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
        found = local_offsets(refinement_of(x, y, residual, 0.5))
        off = found.offset_px - truth
        pulls.append(off / np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2)))
        assert np.sqrt(np.mean(off**2)) < 0.8 * 0.5  # better than the patches by themselves
    # A wave is not the random field assumed, so the sigmas are only about right
    assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.4


def test_noise_of_single_patches_is_left_to_the_camera() -> None:
    x, y = side_by_side()
    rng = np.random.default_rng(1)
    size = []
    for _ in range(20):
        residual = rng.normal(0.0, 0.5, (len(x), 2))
        size.append(
            np.sqrt(np.mean(local_offsets(refinement_of(x, y, residual, 0.5)).offset_px ** 2))
        )
    assert np.median(size) < 0.1


def test_overlapping_patches_share_their_noise_and_prove_nothing() -> None:
    """Every place is matched by four patches almost on top of each other."""
    rng = np.random.default_rng(2)
    x, y = side_by_side()
    shift = rng.uniform(-2.0, 2.0, (4, 2, len(x)))
    noise = rng.normal(0.0, 0.6, (len(x), 2))
    at_x, at_y = (x + shift[:, 0]).ravel(), (y + shift[:, 1]).ravel()
    found = local_offsets(refinement_of(at_x, at_y, np.tile(noise, (4, 1)), 0.6))
    assert np.sqrt(np.mean(found.offset_px**2)) < 0.15


def test_between_patches_the_common_displacement_is_told_too() -> None:
    """At the patches as without places; halfway between them nearly as well; far away nothing."""
    x, y = side_by_side()
    residual = bulge(x, y) + np.random.default_rng(3).normal(0.0, 0.4, (len(x), 2))
    fit = refinement_of(x, y, residual, 0.4)
    here = local_offsets(fit, np.stack([x, y], axis=1))
    assert here.offset_px == pytest.approx(local_offsets(fit).offset_px)
    assert here.covariance == pytest.approx(local_offsets(fit).covariance)
    between = np.stack([x[:40] + 20.0, y[:40] + 20.0], axis=1)
    found = local_offsets(fit, between)
    off = found.offset_px - bulge(*between.T)
    assert np.sqrt(np.mean(off**2)) < 0.4
    sigma = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    assert 0.5 < np.sqrt(np.mean((off / sigma) ** 2)) < 1.6
    away = local_offsets(fit, np.array([[5000.0, 5000.0]]))
    assert away.offset_px == pytest.approx(np.zeros((1, 2)), abs=1e-6)
    assert away.covariance[0].max() > 5.0 * np.median(sigma) ** 2


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_few_patches_have_no_neighbours(count: int) -> None:
    x, y = np.arange(count) * 120.0 + 50.0, np.full(count, 100.0)
    found = local_offsets(refinement_of(x, y, np.full((count, 2), 2.0), 0.5))
    assert found.offset_px.shape == (count, 2)
    assert (found.offset_px == 0.0).all()
    assert (found.covariance == 0.0).all()
    assert found.noise.shape == (count, 2, 2)


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
        fit = fit_pose(true, matches, prior, FREE)
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


@pytest.mark.parametrize("count", [1, 2, 5, 16, 40, 333])
def test_parts_lie_side_by_side_and_hold_whole_groups(count: int) -> None:
    rng = np.random.default_rng(count)
    places = rng.uniform(0.0, 1000.0, (count, 2))
    groups = np.concatenate([np.arange(count), rng.integers(0, count, 50)])
    order = rng.permutation(len(groups))
    groups = groups[order]
    at = places[groups]
    parts = blocks_of(matched(*at.T, np.zeros_like(at), 1e-4), groups, 16)
    assert parts.max() + 1 == min(count, 16)
    part_of = dict(zip(groups, parts, strict=True))
    assert (parts == [part_of[group] for group in groups]).all()
    sizes = np.bincount(list(part_of.values()))
    assert sizes.max() - sizes.min() <= 1
    # What lies in one is nearer to its middle than the picture is wide, as cells of 4 by 4 are
    if count > 100:
        for part in range(16):
            assert np.ptp(at[parts == part], axis=0).max() < 400.0


def test_a_string_of_lights_taken_for_the_next_ones_is_not_believed() -> None:
    """Lights that are wrong together bend the camera, and agree with each other."""
    true = start_camera()
    prior = prior_of(true, **LOOSE)
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.uniform(20, 579, 80), np.linspace(150, 450, 6)])
    y = np.concatenate([rng.uniform(260, 379, 80), np.full(6, 25.0)])
    off = rng.normal(0.0, 0.3, (len(x), 2))
    off[80:] += [0.0, 6.0]
    fit = fit_pose(true, matched(x, y, off, 1e-2), prior, FREE)
    there = true.pixel_to_ecef(np.array([300.0]), np.array([25.0]))
    wrong_px = float(np.hypot(*(np.stack(fit.camera.ecef_to_pixel(there), -1)[0] - [300.0, 25.0])))
    assert wrong_px > 3.0  # the fit has followed them
    refits = jackknife(fit, rng.permutation(len(x)))
    assert refits is not None
    assert np.sqrt(np.linalg.eigvalsh(refits.covariance_px(there)[0]).max()) > 0.5 * wrong_px


def test_what_errs_together_shows_without_parts_that_are_as_large() -> None:
    """All lights of one quarter lie beside by 2 px: without a sixteenth the rest of them hold."""
    true = start_camera()
    prior = prior_of(true, **LOOSE)
    there = true.pixel_to_ecef(np.array([60.0]), np.array([60.0]))
    ratios: dict[int, list[float]] = {4: [], 16: []}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x, y = rng.uniform(20, 579, 60), rng.uniform(20, 379, 60)
        off = rng.normal(0.0, 0.3, (len(x), 2))
        off[(x < 300) & (y < 200)] += [0.0, 2.0]
        fit = fit_pose(true, matched(x, y, off, 1e-2), prior, FREE)
        wrong_px = np.hypot(*(np.stack(fit.camera.ecef_to_pixel(there), -1)[0] - [60.0, 60.0]))
        for parts, found in ratios.items():
            refits = jackknife(fit, np.arange(len(x)), parts)
            assert refits is not None
            assert len(refits.without) == parts
            widest = np.linalg.eigvalsh(refits.covariance_px(there)[0]).max()
            found.append(float(wrong_px / np.sqrt(widest)))
    assert 0.7 < np.median(ratios[4]) < 1.5
    assert np.median(ratios[16]) > 3.0


def test_few_lights_tell_nothing() -> None:
    """Three lights can be left out in turn; of how much that says nothing is known."""
    true = start_camera()
    matches, groups = crowded(np.random.default_rng(0), light_px=1.0)
    prior = prior_of(true, **LOOSE)
    fit = fit_pose(true, matches, prior, FREE)
    assert jackknife(fit, groups % 3) is None
    assert jackknife(fit, groups) is not None


def test_of_two_covariances_the_wider_counts_in_every_direction() -> None:
    flat, tall = np.diag([4.0, 1.0]), np.diag([1.0, 9.0])
    assert wider(flat, tall) == pytest.approx(np.diag([4.0, 9.0]))
    assert wider(flat, 0.5 * flat) == pytest.approx(flat)
    assert wider(flat, np.outer([3.0, 3.0], [3.0, 3.0])) != pytest.approx(flat)
    rng = np.random.default_rng(4)
    roots = rng.normal(size=(2, 20, 2, 2))
    a, b = roots @ np.swapaxes(roots, -1, -2) + 0.01 * np.eye(2)
    found = wider(a, b)
    for covariance in (a, b):
        assert np.linalg.eigvalsh(found - covariance).min() > -1e-9
    assert (np.linalg.eigvalsh(a + b - found) > -1e-9).all()
