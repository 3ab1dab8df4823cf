"""Star fields: cameras fitted, proven and solved; catalogues, attitudes, counts and headers."""

from __future__ import annotations

import math
from dataclasses import replace
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
    judge_camera,
    no_sky,
    star_list,
)
from matchers.geometry.earth import unit_vectors
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion
from regengine.errors import FrameError
from regengine.orbit import icrs_to_itrf
from regengine.sky.stars import catalogue
from regengine.sky.stars import solve as solver
from regengine.sky.stars.catalogue import (
    CatalogueError,
    catalogue_path,
    load_catalogue,
)
from regengine.sky.stars.photo import read_wcs, write_wcs
from regengine.sky.stars.solve import (
    LensPrior,
    SolveParams,
    StarIndices,
    StarSolution,
    UnsolvedField,
    VerifyParameters,
    fit_camera,
    is_plausible,
    jacobian,
    move_camera,
    solve_stars,
    verify,
    weigh_detections,
)
from regengine.sky.stars.star_counts import (
    fit_completeness,
)
from regengine.store.reasons import Reason

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


def test_the_fitted_camera_is_the_likeliest():
    """By the sum of squares itself: of misses over their error, and of the lens over its prior."""
    truth, count = camera(13), 8
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


def test_a_lens_is_plausible_up_to_so_many_sigmas_and_folds_no_corners_back():
    """With k1 alone, radii are largest at a tangent of (-3 k1)^-1/2."""
    believed = replace(camera(19), distortion=(0.0,) * 5)
    prior = LensPrior(max_sigmas=0.5)
    behind = -believed.to_sky(np.array([300.0, 900.0]), np.array([200.0, 700.0]))
    fit = fit_camera(believed, np.array([1.0, 2.0]), np.array([3.0, 4.0]), behind, 0.5, prior)
    sigma = np.sqrt(np.diag(fit.covariance))
    for parameter in range(3, 11):
        step = np.zeros(11)
        for share, plausible in ((-0.499, True), (-0.501, False)):
            step[parameter] = share * sigma[parameter]
            assert is_plausible(move_camera(believed, step), believed, prior) is plausible
    r = np.hypot(750.0, 500.0) / 1200.0
    anything = LensPrior(max_sigmas=1e6)
    for reach, plausible in ((1.11, True), (1.09, False)):
        lens = replace(believed, distortion=(-1.0 / (3.0 * (reach * r) ** 2), 0.0, 0.0, 0.0, 0.0))
        assert is_plausible(lens, believed, anything) is plausible


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


def test_wrong_cameras_have_no_odds_to_speak_of():
    rng, vectors, truth = np.random.default_rng(2), random_sky(2), looking(2)
    x, y = truth.project(vectors)
    star = np.flatnonzero(truth.sees(x, y))
    star = star[rng.random(len(star)) > 0.2]
    noisy = np.stack([x[star], y[star]], axis=1) + rng.normal(0, 0.4, (len(star), 2))
    false = rng.uniform((0, 0), (1499, 999), (15, 2))
    x, y = rng.permutation(np.concatenate([noisy, false])).T
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
            wrong,
            pairs,
            nearest[:3],
            UnsolvedField(x=x, y=y, vectors_icrs=vectors),
            VerifyParameters(),
        )
        best.append(-np.inf if found is None else found.log10_odds)
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
        camera, pairs, np.zeros(0, np.intp), UnsolvedField(x=x, y=y, vectors_icrs=vectors), few
    )
    held_out = verify(
        camera, pairs, np.arange(3), UnsolvedField(x=x, y=y, vectors_icrs=vectors), few
    )
    assert held_out.log10_odds < 0.7 * whole.log10_odds


def test_odds_are_those_of_a_mixture_of_normal_and_even_chance_star_by_star():
    """By scipy.stats: shares by Laplace's rule, chance by the density of stars about."""
    rng = np.random.default_rng(9)
    camera = looking(9)
    places = rng.uniform((50, 50), (1450, 950), (40, 2))
    vectors = camera.to_sky(*places.T)
    seen = places[:12] + rng.normal(0.0, 0.6, (12, 2))
    seen = np.concatenate([seen, rng.uniform((50, 50), (1450, 950), (6, 2))])[rng.permutation(18)]
    field = UnsolvedField(x=seen[:, 0], y=seen[:, 1], vectors_icrs=vectors)
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
    return solve_stars(stars, WIDTH_PX, HEIGHT_PX, *sky, SolveParams(**options))


@pytest.mark.slow
@pytest.mark.parametrize(("focal_mm", "seed"), [(17.0, 1), (85.0, 4)])
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


# ---- catalogue, attitude, counts and headers


def apart_arcsec(a, b):
    return float(np.degrees(np.linalg.norm(a - b)) * 3600.0)


def test_colours_of_61_cygni_are_those_of_an_orange_dwarf():
    # Gaia DR3 of 61 Cygni A: G 4.77, BP 5.44, RP 3.98, at 2016.0 21 06 59.64 +38 45 49.9
    there = unit_vectors(316.748479, 38.763862)
    stars = load_catalogue(faintest_g=6.0)
    star = int(np.argmax(stars.vectors @ there))
    assert apart_arcsec(stars.vectors[star], there) < 1.0
    found = (stars.magnitude_g[star], stars.magnitude_bp[star], stars.magnitude_rp[star])
    assert found == pytest.approx((4.77, 5.44, 3.98), abs=0.02)
    assert np.isnan(stars.magnitude_bp[0])  # Sirius


def test_a_damaged_file_is_one_sentence(tmp_path):
    whole, broken = catalogue_path().read_bytes(), tmp_path / "stars.bin"
    for data, says in (
        (b"PK" + whole[2:], "not a star catalogue"),
        (whole[:-1000], "truncated"),
        (whole[:100_016] + b"\xff" * 360 + whole[100_376:], "damaged"),
    ):
        broken.write_bytes(data)
        with pytest.raises(CatalogueError, match=says) as caught:
            load_catalogue(path=broken)
        assert "pip install" in str(caught.value)
        assert "\n" not in str(caught.value)


MOMENT = datetime(2012, 3, 28, 15, 46, tzinfo=UTC)
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


def test_stars_stand_where_astropy_sees_them_from_the_moving_earth():
    stars = np.random.default_rng(3).normal(size=(200, 3))
    stars /= np.linalg.norm(stars, axis=1)[:, None]
    theirs = seen_from_the_earth(stars, MOMENT)
    ours = catalogue.apparent_directions(stars, MOMENT)
    assert np.linalg.norm(ours, axis=1) == pytest.approx(1.0, abs=1e-12)
    far_from_sun = np.linalg.norm(ours - theirs, axis=1) / ARC_SECOND
    assert np.quantile(far_from_sun, 0.95) < 0.05  # the Sun bends the light of those near it
    assert np.linalg.norm(stars - theirs, axis=1).max() / ARC_SECOND > 19.0
    year = Time(MOMENT.replace(tzinfo=None), scale="utc").jyear
    assert catalogue.julian_year(MOMENT) == pytest.approx(year, abs=1e-5)


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


def test_an_attitude_is_freed_of_the_turn_that_aberration_gives():
    """A camera fitted to catalogued places looks where its stars only seem to stand."""
    moment, turn = MOMENT, Rotation.random(random_state=1)
    camera = replace(CAMERA, quaternion_icrs=tuple(turn.as_quat()))
    solution = solution_of(camera)
    found = solver.make_attitude(solution, moment)
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
    rough = solver.make_attitude(solution_of(camera, rms_px=40.0), moment)
    sigma_px = 3.0 * 40.0 / math.sqrt(rough.stars)
    assert rough.sigma_rad == pytest.approx(sigma_px / 1500.0)
    long_side_px = max(camera.width_px, camera.height_px)
    assert rough.sigma_log_focal == pytest.approx(sigma_px / long_side_px)
    assert (found.stars, found.time_utc) == (25, moment)


def test_over_the_earth_a_camera_looks_where_the_stars_say():
    moment = MOMENT
    camera = replace(CAMERA, quaternion_icrs=tuple(Rotation.random(random_state=5).as_quat()))
    told = solver.StarAttitude(
        camera=camera, sigma_rad=1e-4, sigma_log_focal=1e-3, stars=9, time_utc=moment
    )
    rotation, place = icrs_to_itrf(moment), (6.7e6, 1e5, -2e5)
    found = solver.place_over_earth(told, rotation, place)
    assert found.position_ecef_m == place
    x, y = np.array([0.0, 610.0, 1199.0]), np.array([799.0, 390.0, 20.0])
    ours = found.rays(x, y) @ found.matrix.T
    ours /= np.linalg.norm(ours, axis=1)[:, None]
    assert ours == pytest.approx(camera.to_sky(x, y) @ rotation.T, abs=1e-12)
    for name in ("width_px", "height_px", "focal_px", "principal_point", "distortion", "mirrored"):
        assert getattr(found, name) == getattr(camera, name)


def test_only_named_stars_move_and_by_their_proper_motion():
    """Arcturus: -1.0934, -1.9994 arc seconds a year (Hipparcos)."""
    at_2016 = catalogue.load_catalogue(faintest_g=5.0)
    at_1991 = catalogue.load_catalogue(faintest_g=5.0, epoch_year=1991.25)
    moved = np.linalg.norm(at_2016.vectors - at_1991.vectors, axis=1)
    assert np.linalg.norm(at_1991.vectors, axis=1) == pytest.approx(1.0, abs=1e-12)
    assert 60 < np.count_nonzero(moved > 1e-12) <= len(catalogue.star_names())
    arcturus = unit_vectors(213.915300, 19.182409)  # J2000
    star = int(np.argmax(at_2016.vectors @ arcturus))
    speed = moved[star] / ARC_SECOND / (2016.0 - 1991.25)
    assert speed == pytest.approx(np.hypot(1.0934, 1.9994), rel=0.02)
    north = at_2016.vectors[star, 2] - at_1991.vectors[star, 2]
    assert north < 0.0


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


def solution(seed, **changes):
    values = {
        "width_px": 4256,
        "height_px": 2832,
        "focal_px": 2300.0,
        "principal_point": (2140.0, 1405.0),
        "quaternion_icrs": matrix_quaternion(Rotation.random(random_state=seed).as_matrix()),
    } | changes
    return solution_of(SkyCamera(**values), 60, 0.0)


# A header without a picture, as astrometry.net writes it, has no axes of its own
@pytest.mark.filterwarnings("ignore:The WCS transformation has more axes")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"distortion": (-0.03, 0.004, 2e-4, -1e-4, 0.0), "mirrored": True},
        {"focal_px": 47_000.0, "distortion": (1.5, 0.0, 1e-3, 0.0, 0.0)},
    ],
)
def test_astropy_sees_the_same_sky_and_what_was_written_is_read_as_the_same(changes, tmp_path):
    solved = solution(1, **changes)
    path = tmp_path / "a_wcs.fits"
    write_wcs(solved, path)
    header = fits.getheader(path)
    wcs = WCS(header)
    world = wcs.all_pix2world(solved.x + 1.0, solved.y + 1.0, 1)
    apart = np.linalg.norm(unit_vectors(*world) - solved.vectors_icrs, axis=1)
    assert apart.max() * solved.camera.focal_px < 0.1
    x, y = wcs.all_world2pix(*world, 0, maxiter=60)
    assert np.hypot(x - solved.x, y - solved.y).max() < 0.1
    assert header["RADESYS"] == "ICRS"
    assert ("SIP" in header["CTYPE1"]) == ("distortion" in changes)
    field = read_wcs(path, (4256, 2832))
    apart = np.linalg.norm(field.to_sky(solved.x, solved.y) - solved.vectors_icrs, axis=1)
    assert apart.max() * solved.camera.focal_px < 0.1
    x, y = field.project(solved.vectors_icrs)
    assert np.hypot(x - solved.x, y - solved.y).max() < 0.1
    assert np.isnan(field.project(-solved.vectors_icrs)).all()


def test_other_headers_are_refused_in_a_sentence(tmp_path):
    path = tmp_path / "a_wcs.fits"
    for name, value, sentence in (
        ("CTYPE1", "RA---ZEA", "is not a header that regengine solve --wcs wrote"),
        ("A_ORDER", 100_000, "is not a header"),
        ("IMAGEW", 2128, "is of a picture of 2128 x 2832 px"),
    ):
        write_wcs(solution(5), path)
        header = fits.getheader(path)
        header[name] = value
        path.write_text(header.tostring(padding=True))
        with pytest.raises(FrameError, match=sentence) as told:
            read_wcs(path, (4256, 2832))
        assert "\n" not in str(told.value)
