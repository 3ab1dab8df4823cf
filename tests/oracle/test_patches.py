"""Patches are found where they were moved to; a pose fitted to them is right and says how well."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import fourier_shift

from detectors.types import FloatArray, FloatImage, IndexArray
from matchers.geometry.camera import Camera
from matchers.geometry.map_grid import make_pyramid, render_known
from matchers.geometry.pose import ACROSS, ALONG, FOCAL, K1, ROTATION, UP, PosePrior, step_camera
from matchers.lights.patches import (
    FLOOR_PX,
    MIN_NCC,
    PatchMatches,
    Refinement,
    choose_patches,
    correlate_patches,
    find_peaks,
    fit_to_patches,
    group_patches,
    jackknife,
    locate_peaks,
    match_patches,
    measure_texture,
)
from matchers.lights.photo_light import EvenedImage
from matchers.lights.verify import NO_LIGHTS, LightPeaks
from regengine.registration import fit as fitting
from regengine.registration.accept import COVERING_LOG10_ODDS
from regengine.registration.control_points import compute_camera_covariances, widen
from regengine.registration.fit import refine_on_patches, weigh_alternative
from regengine.registration.parameters import RefineParams
from regengine.registration.types import Fit, Hypothesis
from tests.world import towns
from tests.world.towns import (
    VELOCITY,
    LampWorld,
    Levels,
    angle_between_deg,
    camera_over,
    ecef,
    light_grid,
    log_picture,
    matched,
    miss_px,
    prior_of,
    project,
    town_lamps,
)

SIDE = 160


def random_lights(seed: int, smooth_px: float = 1.5) -> FloatImage:
    """A periodic picture of blurred lights: it can be shifted exactly in the Fourier domain."""
    rng = np.random.default_rng(seed)
    lamps = (rng.random((SIDE, SIDE)) < 0.03) * rng.uniform(0.3, 1.0, (SIDE, SIDE))
    spectrum = np.fft.fft2(lamps)
    f = np.fft.fftfreq(SIDE)
    blur = np.exp(-2.0 * (np.pi * smooth_px) ** 2 * (f[:, None] ** 2 + f**2))
    return (20.0 * np.fft.ifft2(spectrum * blur).real).astype(np.float32)


def shifted(image: FloatImage, dx: float, dy: float) -> FloatImage:
    moved = np.fft.ifft2(fourier_shift(np.fft.fft2(image), (dy, dx)))
    return np.asarray(moved.real, np.float32)


def lattice(border: int = 30, step: int = 25) -> IndexArray:
    x, y = np.meshgrid(
        np.arange(border, SIDE - border, step), np.arange(border, SIDE - border, step)
    )
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.intp)


@pytest.mark.parametrize("shift", [(0.3, -0.4), (-2.5, 1.5), (3.71, 4.12)])
@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.3, 0.7)])
def test_known_shifts_are_recovered(shift: tuple[float, float], gain: float, offset: float) -> None:
    view = random_lights(1)
    found = match_patches(gain * shifted(view, *shift) + offset, view, lattice(), 31, 6)
    assert len(found) == len(lattice())
    assert found.dx == pytest.approx(shift[0], abs=0.05)
    assert found.dy == pytest.approx(shift[1], abs=0.05)
    assert found.ncc.min() > 0.9
    unlike = match_patches(random_lights(7), random_lights(8), lattice(), 31, 3)
    assert len(unlike) <= 0.1 * len(lattice())
    assert (unlike.ncc >= MIN_NCC).all()
    assert len(match_patches(0.0 * view, view, lattice(), 31, 3)) == 0


SIZE_PX = 31


def test_patches_have_in_common_what_their_squares_do() -> None:
    x, y = np.array([(20, 20), (30, 20), (30, 12), (51, 20), (50, 49), (20, 20)], float).T
    overlap = matched(x, y, np.zeros((6, 2)), 0.0, size_px=SIZE_PX).overlap
    across, down = (np.maximum(SIZE_PX - np.abs(side[:, None] - side), 0.0) for side in (x, y))
    assert overlap == pytest.approx(across * down / SIZE_PX**2)


@pytest.mark.parametrize("cells", [(3, 2), (7, 5), (200, 200)])
def test_the_best_place_of_every_cell_is_that_of_all_its_pixels(cells: tuple[int, int]) -> None:
    """Cells are as even as can be, the first ones larger by one."""
    texture = np.random.default_rng(2).exponential(size=(47, 62)).astype(np.float32)
    texture[:, 30:38], texture[20:24] = 0.0, 0.001
    border = 9 // 2 + 2 + 1
    inner = texture[border:-border, border:-border]
    floor = 1e-6 + 1e-3 * float(np.percentile(texture, 99.5))
    best = []
    for rows in np.array_split(np.arange(inner.shape[0]), cells[1]):
        for columns in np.array_split(np.arange(inner.shape[1]), cells[0]):
            if part := [(inner[y, x], border + x, border + y) for y in rows for x in columns]:
                best.append(max(part))
    expected = [(x, y) for value, x, y in sorted(best, reverse=True) if value > floor]
    found = choose_patches(texture, 9, cells, 2)
    assert [tuple(one) for one in found.tolist()] == expected


@pytest.mark.parametrize(("x", "y"), [(3.7, 2.6), (1.0, 5.0), (7.0, 1.0), (8.0, 3.0), (4.0, 0.0)])
@pytest.mark.parametrize(("xx", "xy", "yy"), [(0.02, 0.0, 0.03), (0.05, 0.02, 0.03)])
def test_a_peak_is_where_it_is_as_sure_as_it_is_sharp_and_not_on_the_rim(
    x: float, y: float, xx: float, xy: float, yy: float
) -> None:
    """Variance: (1 - r^2) / samples / r times the inverse of the curvature."""
    for height in (0.8, 1.0, 0.01):
        surface = quadratic(x, y, height, xx, xy, yy)
        index, ncc, found_x, found_y, covariance = locate_peaks(surface[None], 50.0)
        assert len(index) == (1.0 <= x <= 7.0 and 1.0 <= y <= 5.0)
        if not len(index) or x != 3.7:
            continue
        assert (found_x[0], found_y[0]) == pytest.approx((x, y), abs=1e-4)
        r = float(ncc[0])
        assert r == pytest.approx(min(height, 0.999), abs=0.006)
        expected = (1.0 - r**2) / 50.0 / max(r, 0.05) * np.linalg.inv([[xx, xy], [xy, yy]])
        assert covariance[0] == pytest.approx(expected, rel=2e-3, abs=1e-5)
    # A ridge, across which alone it is known
    assert not len(locate_peaks(quadratic(4.0, 3.0, 0.8, 0.02, 0.02, 0.02)[None], 50.0)[0])


def quadratic(x: float, y: float, height: float, xx: float, xy: float, yy: float) -> FloatImage:
    row, col = np.mgrid[0:7, 0:9].astype(float)
    u, v = col - x, row - y
    return np.asarray(height - 0.5 * (xx * u * u + 2 * xy * u * v + yy * v * v), np.float32)


def test_patches_around_one_light_are_one_group() -> None:
    view = np.zeros((120, 200), np.float32)
    view[[50, 60], [60, 140]] = 1.0
    view = cv2.GaussianBlur(view, (0, 0), 1.5)
    places = [(60, 50), (50, 42), (140, 60), (70, 60), (148, 52), (52, 60)]
    assert group_patches(view, np.array(places), SIZE_PX).tolist() == [0, 0, 1, 0, 1, 0]
    # 15 px are less than half of 31, 16 are more; 29 is nearer to 20, 49 to 52
    places = [(20, 60), (35, 60), (36, 60), (29, 60), (52, 60), (49, 60)]
    assert group_patches(0.0 * view, np.array(places), SIZE_PX).tolist() == [0, 0, 1, 1, 2, 2]
    # Side by side in a city they are groups of their own
    city = np.random.default_rng(0).uniform(size=(120, 200)).astype(np.float32)
    places = [(x, y) for x in (20, 51, 82, 113) for y in (20, 51, 82)]
    assert group_patches(city, np.array(places), SIZE_PX).tolist() == list(range(12))


TRUE = camera_over(
    10.5, 42.5, off_nadir=30.0, azimuth=50.0, roll=20.0, width=600, height=400, focal_px=700.0
)


ALL = np.arange(10) < 8  # the principal point is free in crops alone


def close_prior(camera: Camera, **changes: float) -> PosePrior:
    return towns.prior_of(camera, **{"sigma_along_m": 4e3, "sigma_log_focal": 0.01, **changes})


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


def test_the_covariance_of_a_pose_is_honest() -> None:
    """Errors of 60 fits, in units of the stated sigmas, are of size one in every parameter."""
    start = TRUE
    prior = close_prior(start)
    pulls, pixels = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        true = step_camera(start, VELOCITY, a_step(rng))
        found = fit_to_patches(start, matches_of(start, true, rng, outliers=0.25), prior, ALL)
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
    true = step_camera(believed, VELOCITY, a_step(rng))
    photo = log_picture(true, lamps, blur_px=1.2)
    nudge = np.zeros(10)
    nudge[ROTATION] = [0.006, -0.005, 0.004]
    start = step_camera(believed, VELOCITY, nudge)
    params = RefineParams(patch_px=25, cells=10)
    given = np.ones_like(photo), start, close_prior(believed), ALL, params
    found = refine_on_patches(levels, photo, *given)
    assert found is not None
    lattice = np.meshgrid(np.linspace(10, 289, 9), np.linspace(10, 189, 7))
    assert np.sqrt(np.mean(miss_px(found.camera, true, *lattice) ** 2)) < 0.3
    assert len(found.matches) > 20
    assert found.rms_px < 0.5
    assert refine_on_patches(levels, 0.0 * photo, *given) is None


Array = NDArray[np.float64]

CHECKED = np.array([(40.0, 50.0), (300.0, 200.0), (560.0, 350.0)])
GROUND = ecef(*TRUE.pixel_to_lonlat(*CHECKED.T))


def spots(rng: np.random.Generator) -> Array:
    """Twenty lamps: in four columns of four, and four of these have a lamp beside them."""
    x, y = np.meshgrid([75.0, 225.0, 375.0, 525.0], [50.0, 150.0, 250.0, 350.0])
    places = np.stack([x.ravel(), y.ravel()], axis=1) + rng.uniform(-12.0, 12.0, (16, 2))
    return np.concatenate([places, places[[0, 2, 8, 10]] + [9.0, 4.0]])


# The picture is cut across its longer side, again and again: lamps that lie together stay so
PART = np.array([*range(16), 0, 2, 8, 10])


def seen(seed: int, patches: int = 2) -> tuple[PatchMatches, NDArray[np.intp]]:
    """Patches of each lamp, which is off by a pixel; the lamp that each shows."""
    rng = np.random.default_rng(seed)
    lamp = np.repeat(np.arange(20), patches)
    places = spots(rng)[lamp] + rng.uniform(-3.0, 3.0, (len(lamp), 2))
    off = rng.normal(0.0, 1.0, (20, 2))[lamp] + rng.normal(0.0, 0.2, (len(lamp), 2))
    return matched(places[:, 0], places[:, 1], off, 0.1), lamp


def fitted(matches: PatchMatches) -> Refinement:
    return fit_to_patches(TRUE, matches, prior_of(TRUE), ALL)


def places_of(camera: Camera) -> Array:
    return project(camera, GROUND)


def record_of(refinement: Refinement, groups: NDArray[np.intp]) -> Fit:
    """A fit of a photo of which only the camera and its patches count."""
    nothing = dict.fromkeys(Fit.__dataclass_fields__)
    told = {"camera": refinement.camera, "refinement": refinement, "groups": groups}
    return Fit(**{**nothing, **told})  # type: ignore[arg-type]


def test_the_shift_without_each_part_is_that_of_an_explicit_refit() -> None:
    matches, lamp = seen(1)
    refinement = fitted(matches)
    refits = jackknife(refinement, 1000 - 7 * lamp)  # numbers of lamps mean nothing
    assert refits is not None
    assert refits.camera == refinement.camera
    by_hand = [places_of(fitted(matches.select(PART[lamp] != k)).camera) for k in range(16)]
    found = [places_of(camera) for camera in refits.without]
    assert len(found) == 16
    for one in by_hand:  # in whichever order
        assert min(np.abs(one - other).max() for other in found) < 0.005
    off = np.array(by_hand) - places_of(refinement.camera)
    covariance = 15.0 / 16.0 * np.einsum("pki,pkj->kij", off, off)
    assert refits.covariance_px(GROUND) == pytest.approx(covariance, rel=0.01, abs=1e-3)
    halves = jackknife(refinement, lamp, 4)
    assert halves is not None
    quarters = [(np.arange(16) % 4 // 2 + 2 * (np.arange(16) // 8))[PART] == k for k in range(4)]
    for left in quarters:
        again = places_of(fitted(matches.select(~left[lamp])).camera)
        assert min(np.abs(again - places_of(one)).max() for one in halves.without) < 0.005
    assert len(halves.without) == 4
    assert jackknife(refinement, lamp // 7) is None  # three lights


def test_the_stated_covariance_is_that_of_least_squares_by_hand() -> None:
    """From numeric derivatives of OpenCV's projection, in pixels."""
    rng = np.random.default_rng(6)
    x, y = rng.uniform(20.0, 580.0, 200), rng.uniform(20.0, 380.0, 200)
    matches = matched(x, y, rng.normal(0.0, 0.4, (200, 2)), 0.4**2 - 0.25**2)
    prior = prior_of(TRUE, sigma_along_m=1e-3, sigma_across_m=1e-3, sigma_up_m=1e-3)
    free = np.arange(10) < 4
    refinement = fit_to_patches(TRUE, matches, prior, free)
    ground = ecef(*TRUE.pixel_to_lonlat(x, y))

    def slopes(places: Array) -> Array:
        here = project(refinement.camera, places)
        steps = 1e-5 * np.eye(10)[:4]
        there = [step_camera(refinement.camera, prior.velocity_ecef, step) for step in steps]
        return np.stack([(project(one, places) - here) / 1e-5 for one in there], axis=-1)

    weights = refinement.weights / 0.4**2
    normal = np.einsum("n,nik,nil->kl", weights, slopes(ground), slopes(ground))
    normal[3, 3] += prior.sigma_log_focal**-2
    covariance = np.einsum("nik,kl,njl->nij", slopes(GROUND), np.linalg.inv(normal), slopes(GROUND))
    fit = record_of(refinement, np.arange(200))
    stated = compute_camera_covariances(fit, GROUND, None)
    white = refinement.residual_px / 0.4
    grown = max(1.0, 1.4826 * float(np.median(np.abs(white)))) ** 2
    assert stated == pytest.approx(grown * covariance, rel=0.03, abs=1e-5)
    # With refits, the wider of both
    assert fit.refits is not None
    moved = fit.refits.covariance_px(GROUND)
    told = compute_camera_covariances(fit, GROUND, fit.refits)
    for narrower in (stated, moved):
        assert np.linalg.eigvalsh(told - narrower).min() > -1e-9
    assert np.linalg.eigvalsh(stated + moved - told).min() > -1e-9
    assert widen(np.diag([4.0, 1.0]), np.diag([1.0, 9.0])) == pytest.approx(np.diag([4.0, 9.0]))


def left_over(count: int = 30) -> Refinement:
    """Patches of 20 px that are off alike, of which the fit believes some less."""
    rng = np.random.default_rng(7)
    x = 18.0 * (np.arange(count) % 6) + rng.uniform(0.0, 9.0, count)
    y = 22.0 * (np.arange(count) // 6) + rng.uniform(0.0, 9.0, count)
    off = np.stack([np.sin(x / 40.0), np.cos(y / 50.0)], axis=1) + rng.normal(0.0, 0.4, (count, 2))
    matches = matched(x, y, off + 3.0, 0.3, size_px=20)
    return Refinement(
        camera=TRUE,
        rendered=TRUE,
        covariance=np.zeros((10, 10)),
        matches=matches,
        residual_px=off,
        weights=rng.uniform(0.3, 1.0, count),
        prior=prior_of(TRUE),
        free=ALL,
    )


def test_odds_of_what_a_wide_look_fits_are_counted_patch_by_patch() -> None:
    fit = left_over()
    matches, reach = fit.matches, 8
    odds = 0.0
    for k in range(len(matches)):
        beside = np.abs(matches.x - matches.x[k]) < 20.0
        beside &= np.abs(matches.y - matches.y[k]) < 20.0
        across = 1.0 - np.abs(matches.x[beside] - matches.x[k]) / 20.0
        counted = float((across * (1.0 - np.abs(matches.y[beside] - matches.y[k]) / 20.0)).sum())
        peak = (2 * reach + 1) ** 2 / (2.0 * np.pi)  # within a pixel, against anywhere in reach
        square = [float(one @ one) for one in (fit.residual_px[k], fit.residual_px[k] + 3.0)]
        fitted_here, before = (np.log10(1.0 + peak * np.exp(-0.5 * one)) for one in square)
        odds += (fitted_here - before) / counted
    params = RefineParams(reaches_px=(reach, 4))
    assert weigh_alternative(fit, params) == pytest.approx(odds, rel=1e-9)
    mean = float((fit.weights * (fit.residual_px**2).sum(axis=1)).sum()) / 2.0 / fit.weights.sum()
    assert fit.rms_px == pytest.approx(np.sqrt(mean))
    assert replace(fit, weights=0.0 * fit.weights).rms_px == np.inf


BOX = 6.0, 43.0, 14.0, 48.0
LANDINGS_PX = 1.0, 1.7


def make_fit(moved_px: float) -> Fit:
    """A photo through its true camera, but for its lower right that is moved aside."""
    lamps = town_lamps(3, *BOX, towns=500)
    camera = camera_over(10.0, 45.5, width=300, height=200, focal_px=400.0)
    levels = make_pyramid(light_grid(lamps, *BOX, 0.01), 4)
    picture = log_picture(camera, lamps)
    picture[100:, 150:] = np.roll(picture, round(moved_px), axis=1)[100:, 150:]
    view, known = render_known(levels, camera, 2)
    matches = match_patches(picture, view, np.zeros((0, 2), np.intp), 21, 3)
    prior = prior_of(camera)
    return Fit(
        hypothesis=Hypothesis(
            camera=camera,
            prior=prior,
            track=None,  # type: ignore[arg-type]
            offset_km=0.0,
            source="light",
        ),
        camera=camera,
        refinement=Refinement(
            camera=camera,
            rendered=camera,
            covariance=1e-12 * np.eye(10),
            matches=matches,
            residual_px=np.zeros((0, 2)),
            weights=np.zeros(0),
            prior=prior,
            free=np.arange(10) < 8,
        ),
        image=EvenedImage(values=picture, weight=np.ones_like(picture), factor=1.0),
        levels=levels,
        view=view,
        known=known,
        light_peaks=NO_LIGHTS,
        light_log10_odds=0.0,
        matched=np.zeros(0, np.intp),
        patch_view=(view, known),
        groups=np.zeros(0, np.intp),
    )


@pytest.fixture(scope="module", params=[0.0, 2.0])
def fit(request: pytest.FixtureRequest) -> Fit:
    return make_fit(request.param)


def test_each_patch_is_judged_by_the_fit_to_other_groups_patches_and_by_the_solution(
    fit: Fit,
) -> None:
    """Fold by fold, anew; the fold is that of the group, of which there are three."""
    refinement, view = fit.refinement, fit.view
    texture = measure_texture(view, fit.image.weight * fit.known, 21)
    centres = choose_patches(texture, 21, (20, 13), 7)
    groups = group_patches(view, centres, 21)
    predicted = fitting.predict_patches(fit, 21, 20, LANDINGS_PX)
    for landed_px, reach_px, found in zip(LANDINGS_PX, (4, 7), predicted, strict=True):
        surfaces = correlate_patches(fit.image.values, view, centres, 21, reach_px)
        matches, index = find_peaks(surfaces, centres, 21, reach_px)
        assert len(matches) > 20
        assert np.array_equal(found.x, matches.x)
        assert np.array_equal(found.y, matches.y)
        assert found.landed_px == landed_px
        count = len(np.unique(groups[index]))
        assert found.n_independent == pytest.approx(min(count, 300 * 200 / 21**2))
        for k in range(12):
            others = groups[index] % 3 != groups[index[k]] % 3
            fitted = fit_to_patches(
                refinement.camera, matches.select(others), refinement.prior, refinement.free
            ).camera
            ground = refinement.camera.pixel_to_ecef(matches.x[k], matches.y[k])
            x, y = (float(v) for v in fitted.ecef_to_pixel(ground))
            place = matches.x[k] + matches.dx[k], matches.y[k] + matches.dy[k]
            apart = np.hypot(place[0] - x, place[1] - y)
            expected = max(apart, np.hypot(matches.dx[k], matches.dy[k]))
            assert found.distance_px[k] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("moved_px", "alternative", "light_odds", "share", "is_distorted"),
    [
        (0, 2.9, 0.0, 1.0, False),
        (0, 3.0, 99.0, 1.0, True),
        (6, 0.0, COVERING_LOG10_ODDS - 0.1, 1.0, True),
        (6, 0.0, COVERING_LOG10_ODDS, 1.0, False),
        (6, 0.0, 99.0, 0.1, True),
    ],
)
def test_patches_of_a_part_do_not_speak_for_the_whole(
    moved_px: float,
    alternative: float,
    light_odds: float,
    share: float,
    is_distorted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a quarter lies elsewhere, unless lights confirm it; or another camera fits better."""
    fit = make_fit(moved_px)
    # Lights all over the picture; matched are all, but of the lower right that share
    x, y = (side.ravel() for side in np.meshgrid(np.arange(5.0, 300, 10), np.arange(5.0, 200, 10)))
    inside = np.flatnonzero((x > 150) & (y > 100))
    part = replace(
        fit,
        refinement=replace(fit.refinement, alternative_log10_odds=alternative),
        light_peaks=LightPeaks(x=x, y=y, contrast=np.ones(len(x))),
        matched=np.setdiff1d(np.arange(len(x)), inside[round(share * len(inside)) :]),
        light_log10_odds=light_odds,
    )
    monkeypatch.setattr(fitting, "MIN_QUARTER_PX", 1.0)
    found = fitting.weigh_fit(part)
    assert found.is_distorted is is_distorted
    assert found.log10_odds > 1.0
    assert found.patch_log10_odds == (0.0 if is_distorted else found.log10_odds)
    assert found.is_confirmed is (moved_px == 0 and not is_distorted)
    assert np.isnan(found.pose_sigma_m) == is_distorted


@pytest.mark.parametrize(("focal_px", "allowed_km"), [(400.0, None), (4000.0, 1.0)])
def test_a_hundredth_of_the_diagonal_or_a_kilometre_is_allowed(
    focal_px: float, allowed_km: float | None
) -> None:
    camera = camera_over(10.0, 45.5, width=300, height=200, focal_px=focal_px)
    values = np.zeros((100, 150), np.float32)
    image = EvenedImage(values=values, weight=values, factor=0.5)
    expected = 0.01 * np.hypot(100, 150)
    if allowed_km is not None:
        expected = 0.5 * focal_px * allowed_km / 410.0
    found = fitting.compute_allowed_error_px(camera, image)
    assert found == pytest.approx(expected, rel=0.02)
