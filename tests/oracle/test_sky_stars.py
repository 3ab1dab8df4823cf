"""Star fields: cameras fitted, proven and solved; catalogues, attitudes, counts and headers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import (
    GCRS,
    ICRS,
    CartesianRepresentation,
    SkyCoord,
    UnitSphericalRepresentation,
)
from astropy.io import fits
from astropy.time import Time
from astropy.utils import iers
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import multivariate_normal

from benchmarks.solve import (
    HEIGHT_PX,
    NEGATIVES,
    WIDTH_PX,
    detections,
    judge_camera,
    no_sky,
    star_list,
)
from detectors.types import FloatArray, StarDetections
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion, sky_vectors
from regengine.errors import ConfigError, FrameError
from regengine.orbit import icrs_to_itrf
from regengine.result import Reason
from regengine.sky.stars import attitude, catalogue
from regengine.sky.stars.catalogue import (
    CatalogueError,
    StarCatalogue,
    catalogue_path,
    load_catalogue,
)
from regengine.sky.stars.photo import camera_of_record
from regengine.sky.stars.solve import SolveOptions, StarSolution, solve_stars
from regengine.sky.stars.star_counts import (
    count_stars,
    fit_completeness,
    magnitude_bins,
    stars_in_view,
)
from regengine.sky.stars.star_fit import (
    LensPrior,
    fit_camera,
    is_plausible,
    jacobian,
    move_camera,
    pair_stars,
    place_variance,
)
from regengine.sky.stars.star_search import StarIndices
from regengine.sky.stars.star_verify import (
    MagnitudeParams,
    StarField,
    VerifyParameters,
    light_ratios,
    verify,
    weigh_detections,
)
from regengine.sky.stars.wcs import read_wcs, wcs_header, write_wcs

# ---- cameras fitted to stars


def camera(seed, mirrored=False):
    return SkyCamera(
        width_px=1500,
        height_px=1000,
        focal_px=1200.0,
        principal_point=(755.0, 495.0),
        quaternion_icrs=matrix_quaternion(Rotation.random(random_state=seed).as_matrix()),
        distortion=(-0.08, 0.02, 3e-4, -2e-4, -0.003),
        mirrored=mirrored,
    )


@settings(max_examples=20)
@given(seed=st.integers(0, 9999), mirrored=st.booleans())
def test_slopes_are_the_differences_of_projections(seed, mirrored):
    sky = camera(seed, mirrored)
    rng = np.random.default_rng(seed)
    vectors = sky.to_sky(rng.uniform(0, 1499, 6), rng.uniform(0, 999, 6))
    slopes = jacobian(sky, vectors)
    for parameter in range(11):
        step = np.zeros(11)
        step[parameter] = 1e-6
        ahead = np.stack(move_camera(sky, step).project(vectors), axis=1)
        behind = np.stack(move_camera(sky, -step).project(vectors), axis=1)
        assert ((ahead - behind) / 2e-6).ravel() == pytest.approx(
            slopes[:, parameter], rel=1e-4, abs=1e-2
        )


def spread_stars(truth, count, seed):
    """Places all over the picture, and the directions there."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 1499, count), rng.uniform(0, 999, count)
    return x, y, truth.to_sky(x, y)


@pytest.mark.parametrize("mirrored", [False, True])
def test_stars_without_noise_give_a_lens_that_was_believed_back(mirrored):
    truth = camera(11, mirrored)
    x, y, vectors = spread_stars(truth, 30, 12)
    off = np.array([0.004, -0.003, 0.02, 0.01, 3.0, -4.0, 0.01, -0.004, 1e-4, 1e-4, 1e-3])
    fit = fit_camera(move_camera(truth, off), x, y, vectors, 0.3, LensPrior(), centre=truth)
    assert fit.camera.lens_values == pytest.approx(truth.lens_values, rel=1e-6, abs=1e-6)
    assert fit.camera.matrix == pytest.approx(truth.matrix, abs=1e-6)
    assert (fit.sigma_px, fit.camera.mirrored) == (0.3, mirrored)


@pytest.mark.parametrize("count", [3, 8, 40])
def test_the_fitted_camera_is_the_likeliest(count):
    """By the sum of squares itself: of misses over their error, and of the lens over its prior."""
    truth = camera(13)
    x, y, vectors = spread_stars(truth, count, 14)
    rng = np.random.default_rng(15)
    x, y = x + rng.normal(0, 0.5, count), y + rng.normal(0, 0.5, count)
    believed = replace(truth, focal_px=1170.0, distortion=(0.0,) * 5, principal_point=(749.5, 499))
    prior = LensPrior()
    fit = fit_camera(move_camera(believed, np.full(11, 1e-4)), x, y, vectors, 0.5, prior, believed)
    r = np.hypot(750.0, 500.0) / 1170.0  # tangent of the angle to the corner
    shares = [a + b * r for a, b in (prior.k1, prior.k2, prior.tangential, prior.k3)]
    k1, k2, tangential, k3 = np.array(shares) / [r**2, r**4, r, r**6]
    sigma = np.array([0.5, 0.02 * 1500, 0.02 * 1500, k1, k2, tangential, tangential, k3])

    def cost(found):
        px, py = found.project(vectors)
        off = found.lens_values - believed.lens_values
        off[0] = np.log(found.focal_px / believed.focal_px)
        return float(np.sum((px - x) ** 2 + (py - y) ** 2) / 0.25 + np.sum((off / sigma) ** 2))

    least = cost(fit.camera)
    errors = np.sqrt(np.diag(fit.covariance))
    for parameter in range(11):
        step = np.zeros(11)
        step[parameter] = errors[parameter]
        ahead, behind = (cost(move_camera(fit.camera, sign * step)) for sign in (1.0, -1.0))
        assert min(ahead, behind) > least
        # Half of the cost's bend is the information on this parameter, the others held
        bend = 0.5 * (ahead + behind) - least
        information = np.linalg.inv(fit.covariance)[parameter, parameter]
        assert bend == pytest.approx(information * errors[parameter] ** 2, rel=0.1)
        assert ahead - behind == pytest.approx(0.0, abs=0.1 * bend + 0.02)


def test_uncertainties_grow_with_the_error_of_places():
    truth = camera(17)
    x, y, vectors = spread_stars(truth, 30, 18)
    loose = LensPrior(
        log_focal=1e3,
        principal_share=1e3,
        **dict.fromkeys(("k1", "k2", "k3", "tangential"), (1e3, 0.0)),
    )
    small, large = (fit_camera(truth, x, y, vectors, sigma, loose) for sigma in (0.2, 0.6))
    assert large.covariance == pytest.approx(9.0 * small.covariance, rel=1e-3)
    variances = [place_variance(fit, vectors) for fit in (small, large)]
    assert variances[1] == pytest.approx(9.0 * variances[0], rel=1e-3)
    # Of 30 stars in two axes, eleven parameters take so much: the trace of a projection
    assert variances[0].sum() * 2.0 / 0.2**2 == pytest.approx(11.0, rel=1e-4)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_lens_is_plausible_up_to_so_many_sigmas(sign):
    believed = replace(camera(19), distortion=(0.0,) * 5)
    prior = LensPrior(max_sigmas=0.5)
    behind = -believed.to_sky(np.array([300.0, 900.0]), np.array([200.0, 700.0]))
    fit = fit_camera(believed, np.array([1.0, 2.0]), np.array([3.0, 4.0]), behind, 0.5, prior)
    sigma = np.sqrt(np.diag(fit.covariance))
    for parameter in range(3, 11):
        step = np.zeros(11)
        for share, plausible in ((0.499, True), (0.501, False)):
            step[parameter] = sign * share * sigma[parameter]
            assert is_plausible(move_camera(believed, step), believed, prior) is plausible


def test_a_lens_must_not_fold_the_corners_back():
    """With k1 alone, radii are largest at a tangent of (-3 k1)^-1/2."""
    believed = replace(camera(20), distortion=(0.0,) * 5)
    r = np.hypot(750.0, 500.0) / 1200.0
    anything = LensPrior(max_sigmas=1e6)
    for reach, plausible in ((1.11, True), (1.09, False)):
        lens = replace(believed, distortion=(-1.0 / (3.0 * (reach * r) ** 2), 0.0, 0.0, 0.0, 0.0))
        assert is_plausible(lens, believed, anything) is plausible


@settings(max_examples=20)
@given(seed=st.integers(0, 9999), mirrored=st.booleans())
def test_pairs_are_nearest_to_each_other(seed, mirrored):
    """Against all distances; stars are few enough to stand alone, and many enough to blend."""
    sky, rng = camera(seed, mirrored), np.random.default_rng(seed)
    places = rng.uniform((-12, -12), (1512, 1012), (400, 2))
    vectors, magnitudes = sky.to_sky(*places.T), rng.uniform(0.0, 8.0, 400)
    found = places[:150] + rng.normal(0.0, 3.0, (150, 2))
    order = rng.permutation(400)
    pairs = pair_stars(
        *(sky, *found.T, vectors[order], magnitudes[order]), tolerance_px=6.0, blend_px=15.0
    )
    places, magnitudes = places[order], magnitudes[order]
    near = np.hypot(*(found[:, None] - places).T).T
    between = np.hypot(*(places[:, None] - places).T).T
    first = near.argmin(axis=1)
    expected = [
        (k, s) for k, s in enumerate(first) if near[k, s] <= 6.0 and near[:, s].argmin() == k
    ]
    assert list(zip(pairs.detection.tolist(), pairs.star.tolist(), strict=True)) == expected
    rivals = [
        np.count_nonzero((between[s] <= 15.0) & (magnitudes <= magnitudes[s] + 2.5))
        for _, s in expected
    ]
    assert pairs.alone.tolist() == [count == 1 for count in rivals]
    assert 0 < np.count_nonzero(pairs.alone) < len(pairs.alone)


@pytest.mark.parametrize(("gap_mag", "alone"), [(2.5, False), (2.5625, True)])
def test_a_star_blends_with_what_is_at_most_so_much_fainter(gap_mag, alone):
    sky = camera(21)
    x, y = np.array([700.0, 704.0]), np.array([500.0, 500.0])
    pairs = pair_stars(
        *(sky, x[:1], y[:1], sky.to_sky(x, y), np.array([4.0, 4.0 + gap_mag])),
        tolerance_px=1.0,
        blend_px=5.0,
    )
    assert (pairs.star.tolist(), pairs.alone.tolist()) == ([0], [alone])


def test_without_stars_or_detections_there_are_no_pairs():
    sky, none = camera(22), np.empty(0)
    vectors = sky.to_sky(np.array([700.0]), np.array([500.0]))
    for x, directions in ((none, vectors), (np.array([700.0]), -vectors)):
        pairs = pair_stars(sky, x, x, directions, np.ones(1), tolerance_px=3.0, blend_px=5.0)
        assert (pairs.detection.size, pairs.star.size, pairs.alone.size) == (0, 0, 0)


# ---- what proves a camera


def random_sky(seed, count=3000):
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def looking(seed, **changes):
    values = {
        "width_px": 1500,
        "height_px": 1000,
        "focal_px": 2000.0,
        "principal_point": (749.5, 499.5),
        "quaternion_icrs": matrix_quaternion(Rotation.random(random_state=seed).as_matrix()),
    } | changes
    return SkyCamera(**values)


def scene(seed, camera):
    """Stars of the sky, detections with false ones among them, and which star each is."""
    rng = np.random.default_rng(seed)
    vectors = random_sky(seed)
    x, y = camera.project(vectors)
    star = np.flatnonzero(camera.sees(x, y))
    star = star[rng.random(len(star)) > 0.2]
    noisy = np.stack([x[star], y[star]], axis=1) + rng.normal(0, 0.4, (len(star), 2))
    false = rng.uniform((0, 0), (1499, 999), (15, 2))
    places = np.concatenate([noisy, false])
    truth = np.concatenate([star, np.full(15, -1)])
    order = rng.permutation(len(places))
    return vectors, places[order, 0], places[order, 1], truth[order]


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_right_camera_is_proven_and_its_distortion_found(mirrored):
    truth = looking(1, distortion=(-0.1, 0.0, 0.0, 0.0, 0.0), mirrored=mirrored)
    vectors, x, y, star = scene(1, truth)
    known = np.flatnonzero(star >= 0)
    middle = known[np.argsort(np.hypot(x[known] - 750, y[known] - 500))[:5]]
    start = replace(truth, distortion=(0.0,) * 5, focal_px=1985.0)
    pairs = np.stack([middle, star[middle]], axis=1)
    found = verify(
        start, pairs, middle[:3], StarField(x=x, y=y, vectors_icrs=vectors), VerifyParameters()
    )
    assert found.log10_odds > 30.0
    assert (star[found.pairs[:, 0]] == found.pairs[:, 1]).mean() > 0.97
    assert found.fit.camera.distortion[0] == pytest.approx(-0.1, abs=0.04)


def test_wrong_cameras_have_no_odds_to_speak_of():
    truth = looking(2)
    vectors, x, y, _ = scene(2, truth)
    rng = np.random.default_rng(3)
    best = []
    for seed in range(60):
        wrong = looking(100 + seed)
        px, py = wrong.project(vectors)
        seen = np.flatnonzero(wrong.sees(px, py))
        # What a search does: pairs that happen to stand near each other
        apart = np.hypot(x[:, None] - px[seen], y[:, None] - py[seen])
        nearest = np.argsort(apart.min(axis=1))[:6]
        pairs = np.stack([nearest, seen[apart[nearest].argmin(axis=1)]], axis=1)
        found = verify(
            wrong, pairs, nearest[:3], StarField(x=x, y=y, vectors_icrs=vectors), VerifyParameters()
        )
        best.append(-np.inf if found is None else found.log10_odds)
        rng.random()
    assert max(best) < 5.0


def test_the_proposing_figure_does_not_count():
    camera = looking(4)
    rng = np.random.default_rng(5)
    # Six stars in the picture and nothing else: three proposed it, three speak
    x, y = rng.uniform(100, 1400, 6), rng.uniform(100, 900, 6)
    vectors = np.concatenate([camera.to_sky(x, y), random_sky(6, 500)])
    px, py = camera.project(vectors[6:])
    vectors = np.concatenate([vectors[:6], vectors[6:][~camera.sees(px, py)]])
    pairs = np.stack([np.arange(6)] * 2, axis=1)
    few = VerifyParameters(depths=(25,))
    whole = verify(
        camera, pairs, np.zeros(0, np.intp), StarField(x=x, y=y, vectors_icrs=vectors), few
    )
    held_out = verify(camera, pairs, np.arange(3), StarField(x=x, y=y, vectors_icrs=vectors), few)
    assert held_out.log10_odds < 0.7 * whole.log10_odds


def test_too_few_pairs_are_no_camera():
    camera = move_camera(looking(7), np.zeros(11))
    pairs = np.array([[0, 0], [1, 1], [2, 2]])
    three = np.array([10.0, 500.0, 900.0])
    field = StarField(x=three, y=three, vectors_icrs=random_sky(8, 50))
    assert verify(camera, pairs, np.arange(3), field, VerifyParameters()) is None


LIGHT = MagnitudeParams()


def magnitudes(rng, count=75):
    """Magnitudes of stars in a picture: three times as many for each magnitude fainter."""
    return np.sort(8.0 - rng.exponential(0.9, count))


def test_stars_of_their_brightness_gain_and_others_lose_little():
    rng = np.random.default_rng(1)
    predicted = magnitudes(rng)
    star = predicted[:12]
    met = np.ones(12, bool)
    right = light_ratios(
        star - 20.0 + rng.normal(0, 0.2, 12), star, met, predicted, MagnitudeParams()
    )
    assert right[0] == 1.0
    assert np.log10(right).sum() > 4.0
    wrong = light_ratios(rng.permutation(star) - 20.0, star, met, predicted, LIGHT)
    assert np.log10(wrong).sum() < np.log10(right).sum() - 3.0
    assert np.log10(wrong).min() > -2.0


def test_by_chance_the_expected_ratio_is_one():
    rng = np.random.default_rng(3)
    products = []
    for _ in range(3000):
        predicted = magnitudes(rng, 25)
        # Detections sorted by brightness, each on a star drawn at random
        seen = np.sort(rng.normal(-12.0, 1.0, 4))
        met = np.ones(4, bool)
        products.append(light_ratios(seen, rng.choice(predicted, 4), met, predicted, LIGHT).prod())
    error = np.std(products) / np.sqrt(len(products))
    assert abs(np.mean(products) - 1.0) < 4.0 * error
    # So an excess by a thousand is as rare as a thousandth, at most
    assert np.mean(np.array(products) > 100.0) < 0.01


def test_odds_are_those_of_a_mixture_of_normal_and_even_chance_star_by_star():
    """By scipy.stats: shares by Laplace's rule, chance by the density of stars about."""
    rng = np.random.default_rng(9)
    camera = looking(9)
    places = rng.uniform((50, 50), (1450, 950), (40, 2))
    vectors = camera.to_sky(*places.T)
    seen = places[:12] + rng.normal(0.0, 0.6, (12, 2))
    seen = np.concatenate([seen, rng.uniform((50, 50), (1450, 950), (6, 2))])[rng.permutation(18)]
    field = StarField(x=seen[:, 0], y=seen[:, 1], vectors_icrs=vectors)
    fit = fit_camera(camera, *places[:12].T, vectors[:12], 0.5, VerifyParameters().prior)
    variance = rng.uniform(0.3, 0.8, 40)
    order, used = np.arange(40), np.zeros((0, 2), np.intp)
    found, pairs = weigh_detections(
        *(fit, order, places, variance, used, np.ones(18, bool), field, VerifyParameters())
    )
    total, best, met, expected = 0.0, 0.0, 0, []
    for number, place in enumerate(seen):
        star = int(np.hypot(*(places - place).T).argmin())
        around = np.sort(np.hypot(*(places - places[star]).T))[8]
        chance = max(8.0 / (np.pi * around**2), 40.0 / (1500.0 * 1000.0))
        off = np.hypot(*(places[star] - place))
        density = multivariate_normal.pdf(place, places[star], variance[star] * np.eye(2))
        ratio = density / chance if off < 3.5 * np.sqrt(variance[star]) else 0.0
        share = (1.0 + met) / (2.0 + number)
        total += np.log10(1.0 - share + share * ratio)
        best = max(best, total)
        if ratio > 1.0:
            met += 1
            expected.append([number, star])
    assert met > 8
    assert found == pytest.approx(best, rel=1e-6)
    assert pairs.tolist() == expected


# ---- the blind solver


@pytest.fixture(scope="module")
def sky():
    catalogue = load_catalogue(faintest_g=8.0)
    return catalogue, StarIndices(vectors=catalogue.vectors)


def solve(sky, stars, **options):
    return solve_stars(stars, WIDTH_PX, HEIGHT_PX, *sky, SolveOptions(**options))


@pytest.mark.slow
@pytest.mark.parametrize(("focal_mm", "seed"), [(17.0, 1), (28.0, 2), (50.0, 3), (85.0, 4)])
def test_blind_solutions_are_right(sky, focal_mm, seed):
    field = star_list(np.random.default_rng(seed), sky[0], focal_mm)
    found = solve(sky, field.stars)
    assert isinstance(found, StarSolution), found
    assert judge_camera(field, found.camera) == "right"
    assert found.log10_odds >= 9.0
    assert found.rms_px < 1.0
    px, py = found.camera.project(found.vectors_icrs)
    assert np.stack([found.x - px, found.y - py], axis=1) == pytest.approx(found.residual_px)
    assert field.stars.x[found.detection] == pytest.approx(found.x)
    assert sky[0].vectors[found.star] == pytest.approx(found.vectors_icrs)


def draw_field(sky, seed, half_field_deg, lens, edge=0.0):
    """Stars seen through a lens that a pinhole camera with a little distortion is not.

    ``edge``: How far Brown's first term moves the left and right edge, as a share of their
    distance; the lens ``linear`` has equal pixels for equal angles.
    """
    rng = np.random.default_rng(seed)
    half = WIDTH_PX / 2.0
    edge_rad = np.radians(half_field_deg)
    turn = Rotation.random(random_state=rng).as_matrix()

    def project(vectors):
        local = vectors @ turn
        off_axis = np.arccos(np.clip(local[:, 2], -1.0, 1.0))
        if lens == "linear":
            radius = half * off_axis / edge_rad
        else:
            u = np.tan(np.minimum(off_axis, 1.5)) / np.tan(edge_rad)
            radius = half * u * (1.0 + edge * np.minimum(u, 2.0) ** 2)
        radius[off_axis > 1.4 * edge_rad] = np.nan  # beyond the corners
        along = np.arctan2(local[:, 1], local[:, 0])
        middle = (WIDTH_PX - 1) / 2.0, (HEIGHT_PX - 1) / 2.0
        return middle[0] + radius * np.cos(along), middle[1] + radius * np.sin(along)

    x, y = project(sky[0].vectors)
    inside = (x > 0) & (x < WIDTH_PX - 1) & (y > 0) & (y < HEIGHT_PX - 1)
    seen = np.flatnonzero(inside)[: int(rng.uniform(100, 200))]
    seen = seen[rng.random(len(seen)) > 0.1]
    places = np.column_stack([x[seen], y[seen]]) + rng.normal(0.0, 0.3, (len(seen), 2))
    magnitude = sky[0].magnitude_g[seen] + rng.normal(0.0, 0.2, len(seen))
    false = rng.uniform((0, 0), (WIDTH_PX - 1, HEIGHT_PX - 1), (len(seen) // 10, 2))
    false_magnitude = magnitude.max() - rng.exponential(1.0, len(false))
    return Drawn(
        places=np.concatenate([places, false]),
        flux=10.0 ** (-0.4 * np.concatenate([magnitude, false_magnitude])),
        project=project,
        focal_px=half / (edge_rad if lens == "linear" else np.tan(edge_rad)),
    )


@dataclass(frozen=True)
class Drawn:
    """A field through a lens of its own."""

    places: FloatArray
    flux: FloatArray
    project: Callable[[FloatArray], tuple[FloatArray, FloatArray]]
    focal_px: float

    def solve(self, sky):
        listed = detections(*self.places.T, self.flux)
        return solve(sky, listed, focal_px=self.focal_px, focal_only=True)

    def off_px(self, camera):
        """How far off a camera puts the worst of corners, edges and middle."""
        x, y = (
            grid.ravel()
            for grid in np.meshgrid(
                np.linspace(0, WIDTH_PX - 1, 5), np.linspace(0, HEIGHT_PX - 1, 5)
            )
        )
        px, py = self.project(camera.to_sky(x, y))
        return float(np.hypot(px - x, py - y).max())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("edge", [0.06, -0.06])
def test_a_lens_that_bends_by_six_percent_is_solved_to_its_corners(sky, edge, seed):
    drawn = draw_field(sky, seed, 7.5, "brown", edge)
    found = drawn.solve(sky)
    if isinstance(found, Reason):  # the figures themselves are bent
        assert found.code in ("lens", "no_match")
    else:
        assert drawn.off_px(found.camera) < 10.0  # 0.04 degrees


@pytest.mark.parametrize("seed", range(3))
def test_a_camera_of_the_middle_alone_is_none(sky, seed):
    drawn = draw_field(sky, seed, 55.0, "linear")
    found = drawn.solve(sky)
    assert isinstance(found, Reason), drawn.off_px(found.camera)
    assert found.code in ("lens", "no_match")


@pytest.mark.parametrize("seed", range(3))
def test_hardware_and_its_lights_in_three_quarters_hide_no_field(sky, seed):
    drawn = draw_field(sky, seed, 25.0, "brown")
    brightest = np.argsort(-drawn.flux)[:1000]
    size = np.array([WIDTH_PX - 1, HEIGHT_PX - 1])
    off = 2.0 * drawn.places[brightest] / size - 1.0
    hidden = (np.hypot(*off.T) > 0.6 * 2**0.5) & ~(off > 0.0).all(axis=1)
    kept = brightest[~hidden]
    # As many lights as hidden stars, as bright, wherever hardware is
    rng = np.random.default_rng([25, seed])
    junk = rng.uniform(-1.0, 1.0, (5000, 2))
    junk = junk[(np.hypot(*junk.T) > 0.6 * 2**0.5) & ~(junk > 0.0).all(axis=1)][: hidden.sum()]
    lit = replace(
        drawn,
        places=np.concatenate([drawn.places[kept], (junk + 1.0) / 2.0 * size]),
        flux=np.concatenate([drawn.flux[kept], drawn.flux[brightest[hidden]]]),
    )
    found = lit.solve(sky)
    assert isinstance(found, StarSolution), found
    assert lit.off_px(found.camera) < 3.0


def test_a_reason_advises_only_what_was_not_given(sky):
    stars = no_sky(np.random.default_rng(1), sky[0], "grid").stars
    unknown = solve(sky, stars, max_seconds=0.0)
    known = solve(sky, stars, max_seconds=0.0, focal_px=4000.0)
    for found, is_advised in ((unknown, True), (known, False)):
        assert isinstance(found, Reason)
        assert found.code == "no_match"
        assert ("--focal-mm" in found.text) is is_advised
        assert "--max-seconds" in found.text
    tried = solve(sky, stars.select(np.arange(6)), focal_px=4000.0, focal_only=True)
    assert isinstance(tried, Reason)
    assert "--" not in tried.text


def test_a_mirrored_sky_is_solved_as_mirrored_alone(sky):
    field = star_list(np.random.default_rng(2), sky[0], 35.0)
    assert not field.truth.mirrored
    flipped = replace(field.stars, x=WIDTH_PX - 1 - field.stars.x)
    found = solve(sky, flipped, focal_px=field.focal_px, focal_only=True)
    assert isinstance(found, StarSolution)
    assert found.camera.mirrored
    assert judge_camera(field, replace(found.camera, mirrored=False)) == "right"


@pytest.mark.parametrize(
    "kind",
    [pytest.param(one, marks=[pytest.mark.slow] * (k > 0)) for k, one in enumerate(NEGATIVES)],
)
def test_what_is_no_sky_is_not_solved(sky, kind):
    field = no_sky(np.random.default_rng(0), sky[0], kind)
    found = solve(sky, field.stars, focal_px=1e3 * 35.0 / 8.46, focal_only=True)
    assert isinstance(found, Reason)
    assert found.code in ("no_match", "few_stars")
    assert "\n" not in found.text


def test_three_stars_are_too_few(sky):
    field = star_list(np.random.default_rng(5), sky[0], 50.0)
    found = solve(sky, field.stars.select(np.arange(3)))
    assert isinstance(found, Reason)
    assert found.code == "few_stars"
    assert solve(sky, StarDetections.empty()) == replace(
        found, text=found.text.replace("3 stars", "0 stars")
    )


# ---- catalogue, attitude, counts and headers


def apart_arcsec(a, b):
    return float(np.degrees(np.linalg.norm(a - b)) * 3600.0)


def test_bright_stars_come_first_and_vectors_are_unit():
    stars = load_catalogue(faintest_g=6.0)
    assert (np.diff(stars.magnitude_g) >= 0.0).all()
    assert np.linalg.norm(stars.vectors, axis=1) == pytest.approx(1.0)
    # About as many stars as the eye sees
    assert 5_000 < len(stars) < 9_000
    assert stars.brighter_than(2.0) == int((stars.magnitude_g < 2.0).sum())


def test_colours_of_61_cygni_are_those_of_an_orange_dwarf():
    # Gaia DR3 of 61 Cygni A: G 4.77, BP 5.44, RP 3.98, at 2016.0 21 06 59.64 +38 45 49.9
    there = sky_vectors(316.748479, 38.763862)
    stars = load_catalogue(faintest_g=6.0)
    star = int(np.argmax(stars.vectors @ there))
    assert apart_arcsec(stars.vectors[star], there) < 1.0
    found = (stars.magnitude_g[star], stars.magnitude_bp[star], stars.magnitude_rp[star])
    assert found == pytest.approx((4.77, 5.44, 3.98), abs=0.02)
    assert np.isnan(stars.magnitude_bp[0])  # Sirius


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: b"", "not a star catalogue"),
        (lambda data: b"PK" + data[2:], "not a star catalogue"),
        (lambda data: data[:-1000], "truncated"),
        (lambda data: data[:100_016] + b"\xff" * 360 + data[100_376:], "damaged"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, damage, says):
    broken = tmp_path / "stars.bin"
    broken.write_bytes(damage(catalogue_path().read_bytes()))  # type: ignore[operator]
    with pytest.raises(CatalogueError, match=says) as caught:
        load_catalogue(path=broken)
    assert "pip install" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "within", "beyond"),
    [
        ("dec_deg", [-90.0, 90.0], [-90.001, 90.001]),
        ("ra_deg", [0.0, 360.0], [-0.001, 360.001]),
        ("g", [-29.0, 29.9], [-30.0, 30.0, np.nan]),
    ],
)
def test_values_of_the_file_are_believed_to_their_limits(tmp_path, column, within, beyond):
    """Of 1,000 stars, the fewest that a file may have."""
    whole = catalogue_path().read_bytes()
    fields = [("id", "<i8"), ("ra_deg", "<f8"), ("dec_deg", "<f8"), ("g", "<f4"), ("bp", "<f4")]
    records = np.frombuffer(whole[16 : 16 + 36 * 1000], np.dtype([*fields, ("rp", "<f4")])).copy()
    path = tmp_path / "stars.bin"

    def written(value, count=1000):
        records[column][5] = value
        head = whole[:8] + count.to_bytes(8, "little")
        path.write_bytes(head + records[:count].tobytes())
        return path

    for value in within:
        assert len(load_catalogue(path=written(value), faintest_g=40.0)) == 1000
    for value in beyond:
        with pytest.raises(CatalogueError, match="damaged"):
            load_catalogue(path=written(value))
    with pytest.raises(CatalogueError, match="truncated"):
        load_catalogue(path=written(within[0], 999))


MOMENTS = [datetime(2012, 3, 28, 15, 46, tzinfo=UTC), datetime(2024, 9, 22, 3, tzinfo=UTC)]
ARC_SECOND = np.pi / 180.0 / 3600.0
CAMERA = SkyCamera(
    width_px=1200,
    height_px=800,
    focal_px=1500.0,
    principal_point=(610.0, 390.0),
    distortion=(0.02, 0.0, 0.001, 0.0, 0.0),
    quaternion_icrs=(0.0, 0.0, 0.0, 1.0),
)


@pytest.fixture(autouse=True)
def bundled_tables_only():
    with iers.conf.set_temp("auto_download", False):
        yield


def seen_from_the_earth(vectors, moment):
    """Astropy's apparent places, without the Earth's turn: GCRS of the geocentre."""
    places = CartesianRepresentation(*np.atleast_2d(vectors).T)
    sky = SkyCoord(ICRS(places.represent_as(UnitSphericalRepresentation)))
    there = sky.transform_to(GCRS(obstime=Time(moment.replace(tzinfo=None), scale="utc")))
    return np.asarray(there.cartesian.xyz.to_value(u.one)).T


def directions(n=200):
    vectors = np.random.default_rng(3).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1)[:, None]


@pytest.mark.parametrize("moment", MOMENTS)
def test_stars_stand_where_astropy_sees_them_from_the_moving_earth(moment):
    stars = directions()
    theirs = seen_from_the_earth(stars, moment)
    ours = catalogue.apparent_directions(stars, moment)
    assert np.linalg.norm(ours, axis=1) == pytest.approx(1.0, abs=1e-12)
    far_from_sun = np.linalg.norm(ours - theirs, axis=1) / ARC_SECOND
    assert np.quantile(far_from_sun, 0.95) < 0.05  # the Sun bends the light of those near it
    assert np.linalg.norm(stars - theirs, axis=1).max() / ARC_SECOND > 19.0


def solution_of(camera, n=25, rms_px=0.3):
    """Stars all over a picture, where the camera has them."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0, camera.width_px - 1, n)
    y = rng.uniform(0, camera.height_px - 1, n)
    return StarSolution(
        camera=camera,
        log10_odds=20.0,
        x=x,
        y=y,
        detection=np.arange(n),
        star=np.arange(n),
        vectors_icrs=camera.to_sky(x, y),
        magnitude_g=np.full(n, 4.0),
        residual_px=np.full((n, 2), rms_px),
        catalogue_epoch=2016.0,
    )


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_attitude_is_freed_of_the_turn_that_aberration_gives(moment, seed):
    """A camera fitted to catalogued places looks where its stars only seem to stand."""
    turn = Rotation.random(random_state=seed)
    camera = replace(CAMERA, quaternion_icrs=tuple(turn.as_quat()))
    solution = solution_of(camera)
    found = attitude.make_attitude(solution, moment)
    middle = solution.vectors_icrs.mean(axis=0)
    middle /= np.linalg.norm(middle)
    # Of the true attitude the same pixel looks at the apparent place of the star
    x, y = camera.project(middle)
    apparent = seen_from_the_earth(middle, moment)[0]
    moved = found.camera.to_sky(x, y)
    assert np.linalg.norm(moved - apparent) / ARC_SECOND < 0.1
    assert np.linalg.norm(apparent - middle) / ARC_SECOND > 1.0
    # and nothing turns about that direction
    beside = Rotation.from_matrix(found.camera.matrix @ camera.matrix.T).as_rotvec()
    assert abs(beside @ middle) / ARC_SECOND < 0.1
    assert (found.camera.focal_px, found.camera.distortion) == (1500.0, CAMERA.distortion)
    assert (found.stars, found.time_utc) == (25, moment)


@pytest.mark.parametrize(
    ("n", "rms_px", "sigma_px"),
    [
        (25, 1.0, 0.6),  # three times the residual over the root of the stars
        (25, 0.5, 0.5),  # no better than half a pixel
        (2, 1.0, 3.0 / 3.0**0.5),  # few count as three
        (100, 20.0, 6.0),
    ],
)
def test_sigmas_are_of_the_stars_number_and_residual(n, rms_px, sigma_px):
    found = attitude.make_attitude(solution_of(CAMERA, n, rms_px), MOMENTS[0])
    assert found.sigma_rad == pytest.approx(sigma_px / 1500.0)
    assert found.sigma_log_focal == pytest.approx(max(sigma_px / 1200.0, 0.001))


def test_over_the_earth_a_camera_looks_where_the_stars_say():
    moment = MOMENTS[0]
    camera = replace(CAMERA, quaternion_icrs=tuple(Rotation.random(random_state=5).as_quat()))
    told = attitude.StarAttitude(
        camera=camera, sigma_rad=1e-4, sigma_log_focal=1e-3, stars=9, time_utc=moment
    )
    rotation, place = icrs_to_itrf(moment), (6.7e6, 1e5, -2e5)
    found = attitude.place_over_earth(told, rotation, place)
    assert found.position_ecef_m == place
    x, y = np.array([0.0, 610.0, 1199.0]), np.array([799.0, 390.0, 20.0])
    ours = found.rays(x, y) @ found.matrix.T
    ours /= np.linalg.norm(ours, axis=1)[:, None]
    assert ours == pytest.approx(camera.to_sky(x, y) @ rotation.T, abs=1e-12)
    for name in ("width_px", "height_px", "focal_px", "principal_point", "distortion", "mirrored"):
        assert getattr(found, name) == getattr(camera, name)


def test_epochs_are_julian_years():
    for moment in MOMENTS:
        theirs = Time(moment.replace(tzinfo=None), scale="utc").jyear
        assert catalogue.julian_year(moment) == pytest.approx(theirs, abs=1e-5)


def test_only_named_stars_move_and_by_their_proper_motion():
    """Arcturus: -1.0934, -1.9994 arc seconds a year (Hipparcos)."""
    at_2016 = catalogue.load_catalogue(faintest_g=5.0)
    at_1991 = catalogue.load_catalogue(faintest_g=5.0, epoch_year=1991.25)
    moved = np.linalg.norm(at_2016.vectors - at_1991.vectors, axis=1)
    assert np.linalg.norm(at_1991.vectors, axis=1) == pytest.approx(1.0, abs=1e-12)
    assert 60 < np.count_nonzero(moved > 1e-12) <= len(catalogue.star_names())
    arcturus = sky_vectors(213.915300, 19.182409)  # J2000
    star = int(np.argmax(at_2016.vectors @ arcturus))
    speed = moved[star] / ARC_SECOND / (2016.0 - 1991.25)
    assert speed == pytest.approx(np.hypot(1.0934, 1.9994), rel=0.02)
    north = at_2016.vectors[star, 2] - at_1991.vectors[star, 2]
    assert north < 0.0
    assert at_1991.epoch_year == 1991.25
    for magnitude in (-1.0, 0.0, 3.3, 5.0):
        brighter = int((at_2016.magnitude_g < magnitude).sum())
        assert at_2016.brighter_than(magnitude) == brighter


WIDTH, HEIGHT, FOCAL = 900, 600, 1500.0
LOOKED_FOR = 2500


def level_camera(ra_deg=120.0, dec_deg=-35.0):
    """A lens without distortion; north is up."""
    forward = sky_vectors(ra_deg, dec_deg)
    east = sky_vectors(ra_deg + 90.0, 0.0)
    north = np.cross(forward, east)
    axes = np.stack([-east, -north, forward], axis=-1)  # x right is west, y down is south
    return SkyCamera(
        width_px=WIDTH,
        height_px=HEIGHT,
        focal_px=FOCAL,
        principal_point=((WIDTH - 1) / 2.0, (HEIGHT - 1) / 2.0),
        distortion=(0.0, 0.0, 0.0, 0.0, 0.0),
        quaternion_icrs=matrix_quaternion(axes),
    )


def random_catalogue(count=60_000, faintest=10.0):
    """Stars all over the sky, three times as many a magnitude."""
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(count, 3))
    magnitude = np.sort(faintest + np.log(rng.uniform(size=count)) / math.log(3.0))
    unknown = np.full(count, np.nan)
    return StarCatalogue(
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        magnitude_g=magnitude,
        magnitude_bp=unknown,
        magnitude_rp=unknown,
        identifier=np.arange(count) + 7,
        epoch_year=2016.0,
    )


def record(name, identified, **other):
    lens = level_camera()
    made = {
        "frame": name,
        "path": f"photos/{name}.jpg",
        "solved": True,
        "ra_deg": 120.0,
        "dec_deg": -35.0,
        "fov_x_deg": lens.fov_x_deg,
        "quaternion_icrs": list(lens.quaternion_icrs),
        "distortion": [0.0] * 5,
        "principal_point": list(lens.principal_point),
        "mirrored": False,
        "width_px": WIDTH,
        "height_px": HEIGHT,
        "rms_px": 0.3,
        "stars": len(identified) + 4,
        "matches": [{"id": int(one)} for one in identified],
    }
    return made | other


def fleming(magnitude, plateau, limit, slope):
    away = slope * (magnitude - limit)
    return 0.5 * plateau * (1.0 - away / np.sqrt(1.0 + away**2))


def drawn(plateau, limit, seed=1):
    rng = np.random.default_rng(seed)
    magnitude = 9.0 + np.log(rng.uniform(size=1500)) / math.log(3.0)
    return magnitude, rng.uniform(size=1500) < fleming(magnitude, plateau, limit, 4.0)


@settings(max_examples=8)
@given(plateau=st.floats(0.5, 1.0), limit=st.floats(7.0, 8.3), seed=st.integers(0, 2**32 - 1))
def test_the_limit_is_the_one_that_the_frame_was_made_with(plateau, limit, seed):
    depth = fit_completeness(*drawn(plateau, limit, seed))
    assert depth.reached
    assert depth.limit_sigma is not None
    assert abs(depth.limit_g - limit) < max(5.0 * depth.limit_sigma, 0.2)
    bright = fleming(np.array([2.0]), depth.plateau, depth.limit_g, depth.slope)
    assert float(bright[0]) == pytest.approx(plateau, abs=0.2)


def test_sigma_of_the_limit_is_its_spread():
    depths = [fit_completeness(*drawn(0.8, 7.6, seed)) for seed in range(24)]
    limits = np.array([one.limit_g for one in depths])
    sigmas = np.array([one.limit_sigma for one in depths], float)
    assert 0.55 < limits.std() / np.median(sigmas) < 1.7
    assert abs(limits.mean() - 7.6) < 4.0 * limits.std() / math.sqrt(24)


def test_bins_count_every_star_once():
    magnitude, found = drawn(0.8, 7.0)
    bins = magnitude_bins(magnitude, found)
    edges = [one["from_g"] for one in bins] + [bins[-1]["to_g"]]
    assert [one["expected"] for one in bins] == np.histogram(magnitude, edges)[0].tolist()
    assert [one["found"] for one in bins] == np.histogram(magnitude[found], edges)[0].tolist()
    assert magnitude_bins(np.empty(0), np.empty(0, bool)) == []


@pytest.mark.parametrize("dec_deg", [-89.0, -35.0, 0.0, 60.0])
def test_stars_in_view_are_those_that_astropy_has_in_the_picture(dec_deg):
    stars = random_catalogue()
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [120.0, dec_deg]
    wcs.wcs.crpix = [(WIDTH + 1) / 2.0, (HEIGHT + 1) / 2.0]
    scale = math.degrees(1.0 / FOCAL)
    wcs.wcs.cd = [[-scale, 0.0], [0.0, -scale]]
    x, y, z = stars.vectors.T
    ahead = stars.vectors @ sky_vectors(120.0, dec_deg) > 0.5
    px, py = wcs.all_world2pix(np.degrees(np.arctan2(y, x)), np.degrees(np.arcsin(z)), 0)
    inside = ahead & (np.abs(px - (WIDTH - 1) / 2) <= WIDTH / 2)
    inside &= np.abs(py - (HEIGHT - 1) / 2) <= HEIGHT / 2
    seen = stars_in_view(level_camera(dec_deg=dec_deg), stars)
    assert len(seen) > 300
    np.testing.assert_array_equal(seen, np.flatnonzero(inside))


def test_a_frame_is_counted_against_the_stars_in_view():
    stars = random_catalogue()
    seen = stars_in_view(level_camera(), stars)
    found = seen[stars.magnitude_g[seen] < 8.5]
    counts = count_stars(record("a", stars.identifier[found]), stars)
    assert counts.depth.limit_g == pytest.approx(8.5, abs=0.1)
    assert counts.depth.plateau > 0.99
    assert counts.found <= counts.expected <= counts.found + 3
    assert sum(one["expected"] for one in counts.bins) == len(seen)
    assert sum(one["found"] for one in counts.bins) == len(found)


def test_only_so_many_stars_are_looked_for_as_the_solver_does():
    stars = random_catalogue(600_000)
    seen = stars_in_view(level_camera(), stars)
    assert len(seen) > LOOKED_FOR
    counts = count_stars(record("a", stars.identifier[seen]), stars)
    assert not counts.depth.reached
    assert counts.expected == counts.found == LOOKED_FOR
    assert counts.faintest_sought_g == stars.magnitude_g[seen[LOOKED_FOR - 1]]


def test_a_record_of_a_smaller_copy_has_the_same_directions():
    record = {
        "frame": "sky",
        "quaternion_icrs": [0.1, -0.2, 0.3, 0.927],
        "fov_x_deg": 40.0,
        "distortion": [-0.05, 0.01, 0.0, 0.0, 0.0],
        "principal_point": [460.0, 290.0],
        "width_px": 900,
        "height_px": 600,
    }
    own, large = (camera_of_record(record, 900 * k, 600 * k) for k in (1, 2))
    x, y = np.array([0.0, 899.0, 300.0]), np.array([0.0, 17.0, 599.0])
    assert large.to_sky(2 * x + 0.5, 2 * y + 0.5) == pytest.approx(own.to_sky(x, y), abs=1e-9)
    with pytest.raises(ConfigError, match="for a picture of 900 x 600 px"):
        camera_of_record(record, 900, 900)


def solution(seed, **changes):
    values = {
        "width_px": 4256,
        "height_px": 2832,
        "focal_px": 2300.0,
        "principal_point": (2140.0, 1405.0),
        "quaternion_icrs": matrix_quaternion(Rotation.random(random_state=seed).as_matrix()),
    } | changes
    return solution_of(SkyCamera(**values), 60, 0.0)


CASES = (
    {},
    {"mirrored": True},
    {"distortion": (-0.03, 0.004, 2e-4, -1e-4, 0.0)},
    {"distortion": (-0.03, 0.004, 2e-4, -1e-4, 0.0), "mirrored": True},
    {"focal_px": 47_000.0, "distortion": (1.5, 0.0, 1e-3, 0.0, 0.0)},
)


# A header without a picture, as astrometry.net writes it, has no axes of its own
@pytest.mark.filterwarnings("ignore:The WCS transformation has more axes")
@pytest.mark.parametrize("changes", CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_astropy_sees_the_same_sky(changes, seed, tmp_path):
    solved = solution(seed, **changes)
    path = tmp_path / "a_wcs.fits"
    write_wcs(solved, path)
    header = fits.getheader(path)
    wcs = WCS(header)
    world = wcs.all_pix2world(solved.x + 1.0, solved.y + 1.0, 1)
    theirs = sky_vectors(*world)
    apart_px = np.linalg.norm(theirs - solved.vectors_icrs, axis=1) * solved.camera.focal_px
    assert apart_px.max() < 0.1
    x, y = wcs.all_world2pix(*world, 0, maxiter=60)
    assert np.hypot(x - solved.x, y - solved.y).max() < 0.1
    assert header["RADESYS"] == "ICRS"
    assert ("SIP" in header["CTYPE1"]) == ("distortion" in changes)


def test_first_pixel_is_one():
    header = wcs_header(solution(3))
    assert header["CRPIX1"] == pytest.approx(2141.0)
    assert header["CRPIX2"] == pytest.approx(1406.0)
    mirrored = wcs_header(solution(3, mirrored=True))
    assert mirrored["CRPIX1"] == pytest.approx(4256.0 - 2140.0)


@pytest.mark.parametrize("changes", CASES)
def test_what_was_written_is_read_as_the_same_field(changes, tmp_path):
    solved = solution(4, **changes)
    write_wcs(solved, tmp_path / "a_wcs.fits")
    field = read_wcs(tmp_path / "a_wcs.fits", (4256, 2832))
    apart_px = np.linalg.norm(field.to_sky(solved.x, solved.y) - solved.vectors_icrs, axis=1)
    assert apart_px.max() * solved.camera.focal_px < 0.1
    x, y = field.project(solved.vectors_icrs)
    assert np.hypot(x - solved.x, y - solved.y).max() < 0.1
    assert np.isnan(field.project(-solved.vectors_icrs)).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"RMSPX": None}, "is not a header that regengine solve --wcs wrote"),
        ({"CTYPE1": "RA---ZEA"}, "is not a header"),
        ({"RADESYS": "FK5"}, "is not a header"),
        ({"CD1_1": 0.0, "CD1_2": 0.0}, "is not a header"),
        ({"A_ORDER": 100_000}, "is not a header"),
        ({"IMAGEW": 2128, "IMAGEH": 1416}, "is of a picture of 2128 x 1416 px"),
    ],
)
def test_other_headers_are_refused_in_a_sentence(change, sentence, tmp_path):
    path = tmp_path / "a_wcs.fits"
    write_wcs(solution(5), path)
    header = fits.getheader(path)
    for name, value in change.items():
        if value is None:
            del header[name]
        else:
            header[name] = value
    path.write_text(header.tostring(padding=True))
    with pytest.raises(FrameError, match=sentence) as told:
        read_wcs(path, (4256, 2832))
    assert "\n" not in str(told.value)
