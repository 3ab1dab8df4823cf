"""Stars and limbs: profiles, fits, windows, trails and arcs, against scipy and plain sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates, median_filter
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation
from skimage.filters import scharr_h, scharr_v

from detectors.limb import find_limb, mask_sky
from detectors.limb_fit import Strip, find_edges_along, unroll
from detectors.limb_geometry import (
    AIRGLOW_TOP_KM,
    EdgeField,
    compute_edge_field,
    compute_pointing,
    count_nadir_votes,
    limb_angle_deg,
    make_arc_rays,
    nadir_vector,
)
from detectors.psf import PointSpread
from detectors.stamps import measure_window_moments
from detectors.star_fit import fit_stars
from detectors.star_trails import find_turning_trails
from detectors.stars_sift import window_sums
from detectors.streak_stars import find_stars
from tests.world.limbs import found_limb
from tests.world.pictures import ALTITUDE_KM, drawn_limb

sigmas = st.floats(0.5, 3.0)
shares = st.floats(0.0, 0.45)
places = st.floats(-0.5, 0.5)


@given(sigma=sigmas, wings=shares, x=places, y=places)
def test_all_light_lies_in_the_stamp_and_its_centroid_is_the_place(sigma, wings, x, y):
    psf = PointSpread(sigma_px=sigma, wings=wings)
    half = int(14 * sigma) + 2
    drawn = psf.draw(np.array([x]), np.array([y]), half)[0].astype(float)
    offsets = np.arange(-half, half + 1)
    assert drawn.sum() == pytest.approx(1.0, abs=5e-4)
    assert drawn.sum(axis=0) @ offsets == pytest.approx(x, abs=0.01)
    assert drawn.sum(axis=1) @ offsets == pytest.approx(y, abs=0.01)


@given(sigma=sigmas, wings=shares, x=places, y=places)
def test_slopes_are_the_differences(sigma, wings, x, y):
    psf = PointSpread(sigma_px=sigma, wings=wings, trail_px=(3.0, 2.0))
    step = 0.01
    _, by_x, by_y = psf.draw_with_slopes(np.array([x]), np.array([y]), 8)
    for slope, dx, dy in ((by_x, step, 0.0), (by_y, 0.0, step)):
        after = psf.draw(np.array([x + dx]), np.array([y + dy]), 8)
        before = psf.draw(np.array([x - dx]), np.array([y - dy]), 8)
        assert np.abs((after - before) / (2 * step) - slope).max() < 2e-4


def test_second_moments_of_a_trail_are_those_of_a_segment():
    psf = PointSpread(sigma_px=1.0, wings=0.0, trail_px=(12.0, 5.0))
    drawn = psf.draw(np.zeros(1), np.zeros(1), 20)[0].astype(float)
    offsets = np.arange(-20, 21)
    xx, yy = drawn.sum(axis=0) @ offsets**2, drawn.sum(axis=1) @ offsets**2
    assert xx == pytest.approx(12.0**2 / 12 + 1.0 + 1 / 12, rel=0.03)
    assert yy == pytest.approx(5.0**2 / 12 + 1.0 + 1 / 12, rel=0.03)


def test_fwhm_is_that_of_the_profile():
    assert PointSpread(sigma_px=2.0, wings=0.0).fwhm_px == pytest.approx(4.71, rel=0.01)
    assert PointSpread(sigma_px=2.0, wings=0.3).fwhm_px > 4.8


# ---- the fit of stars

PSF = PointSpread(sigma_px=1.2, wings=0.15)
SKY, GAIN = 0.001, 2e-5
X, Y = np.array([30.3, 36.1, 55.7]), np.array([25.6, 28.2, 20.4])
FLUX = np.array([1.0, 0.6, 0.25])


def drawn_alone(x, y, shape=(50, 80)):
    """A star of unit flux in a frame of its own."""
    image = np.zeros(shape)
    half, col, row = 14, round(x), round(y)
    stamp = PSF.draw(np.array([x - col]), np.array([y - row]), half)[0]
    rows, cols = np.arange(row - half, row + half + 1), np.arange(col - half, col + half + 1)
    up, left = (rows >= 0) & (rows < shape[0]), (cols >= 0) & (cols < shape[1])
    image[np.ix_(rows[up], cols[left])] = stamp[np.ix_(up, left)]
    return image


def fitted(image, usable=None, start=0.3):
    usable = np.ones(image.shape, bool) if usable is None else usable
    noise, gain = np.full(3, SKY), np.full(3, GAIN)
    return fit_stars(
        image.astype(np.float32), usable, X + start, Y - start, psf=PSF, noise=noise, gain=gain
    )


def noisy_stars():
    image = sum(flux * drawn_alone(x, y) for x, y, flux in zip(X, Y, FLUX, strict=True))
    return image + 0.003 + np.random.default_rng(1).normal(0.0, SKY, image.shape)


def test_stars_are_fitted_as_scipy_fits_them_with_their_covariances():
    """All three and their levels at once, over the same pixels and weights."""
    image, half = noisy_stars(), PSF.half_stamp_px
    found = fitted(image)
    for k in range(3):
        rows, cols = (slice(round(at) - half, round(at) + half + 1) for at in (Y[k], X[k]))
        others = sum(FLUX[j] * drawn_alone(X[j], Y[j]) for j in range(3) if j != k)
        own = FLUX[k] * drawn_alone(X[k], Y[k])[rows, cols]
        sigma = np.sqrt(SKY**2 + GAIN * own + (0.03 * own) ** 2)

        def off(values, rows=rows, cols=cols, others=others, sigma=sigma):
            x, y, flux, level = values
            model = flux * drawn_alone(x, y) + others + level
            return ((image - model)[rows, cols] / sigma).ravel()

        theirs = least_squares(
            off, [X[k], Y[k], FLUX[k], 0.0], x_scale=[1, 1, 1, 0.01], diff_step=1e-4
        )
        assert found.x[k] == pytest.approx(theirs.x[0], abs=4e-3)
        assert found.y[k] == pytest.approx(theirs.x[1], abs=4e-3)
        assert found.flux[k] == pytest.approx(theirs.x[2], rel=6e-3)
        covariance = np.linalg.inv(theirs.jac.T @ theirs.jac)[:2, :2]
        assert found.covariance[k] == pytest.approx(
            covariance, rel=0.06, abs=0.05 * covariance[0, 0]
        )
        unit = drawn_alone(X[k], Y[k])[rows, cols]
        snr = found.flux[k] * np.sqrt((unit**2).sum()) / SKY
        assert found.star_snr[k] == pytest.approx(snr, rel=0.01)
        light = found.flux[k] * drawn_alone(found.x[k], found.y[k])[rows, cols]
        lit = np.maximum(light, 0.1 * light.max())
        rest = (image - others)[rows, cols] - 0.003 - light
        chi2 = (rest**2 / (SKY**2 + GAIN * lit + (0.3 * lit) ** 2)).sum() / (rest.size - 4)
        assert found.misfit[k] == pytest.approx(chi2, rel=0.15)
    assert found.settled.all()


def test_moments_and_narrow_light_of_fitted_stars_are_those_of_their_pixels():
    """Of a lone star: its second moments, and the brightest pixel or pair of its middle."""
    found = fitted(
        sum(f * drawn_alone(x, y) for x, y, f in zip(X, Y, FLUX, strict=True)), start=0.0
    )
    alone = FLUX[2] * drawn_alone(X[2], Y[2])
    rows, cols = np.mgrid[:50, :80]
    window = np.exp(-0.5 * ((rows - Y[2]) ** 2 + (cols - X[2]) ** 2) / (1.5 * 1.2) ** 2)
    seen = (alone * window * (cols - X[2]) ** 2).sum() / (alone * window).sum()
    assert found.moments[2][0, 0] == pytest.approx(1 / (1 / seen - 1 / 1.8**2), rel=0.01)
    assert found.moments[2][0, 1] == pytest.approx(0.0, abs=0.01)
    half = PSF.half_stamp_px
    stamp = alone[20 - half : 21 + half, 56 - half : 57 + half]
    core = alone[18:23, 54:59] - np.median(stamp)
    pairs = [core[1:4, 1:4].max()]
    for i, j in ((0, 1), (1, 0), (1, 1), (1, -1)):
        both = core[1:4, 1:4] + core[1 + i : 4 + i, 1 + j : 4 + j]
        pairs.append(both.max() / np.sqrt(2.0))
    light = max(pairs)
    rest = core.sum() - light * (1.0 if np.argmax(pairs) == 0 else np.sqrt(2.0))
    assert found.narrow_snr[2] == pytest.approx(light / SKY, rel=0.01)
    assert found.around_snr[2] == pytest.approx(rest / np.sqrt(23.5) / SKY, rel=0.01)


@pytest.mark.parametrize(
    ("away_px", "height", "is_lone"), [(3.0, 0.03, True), (3.0, 0.004, False), (1.0, 0.03, False)]
)
def test_a_hot_pixel_takes_no_part_where_it_stands_alone_off_the_core(away_px, height, is_lone):
    image = sum(f * drawn_alone(x, y) for x, y, f in zip(X, Y, FLUX, strict=True))
    clean = fitted(image)
    hot, masked = image.copy(), np.ones(image.shape, bool)
    at = 20, round(55.7 + away_px)
    hot[at] += height
    masked[at] = False
    found, without = fitted(hot), fitted(hot, masked)
    moved = np.hypot(found.x - clean.x, found.y - clean.y)[2]
    same = np.hypot(found.x - without.x, found.y - without.y)[2]
    assert (same < 1e-4) == is_lone
    assert (moved < 2e-3) == is_lone


# ---- sums under windows


def test_moments_under_a_window_are_plain_sums():
    rng = np.random.default_rng(4)
    stamps = rng.uniform(0.1, 1.0, (5, 9, 9)).astype(np.float32)
    stamps[4] = -1.0
    x, y, sigma = rng.uniform(-1, 1, 5), rng.uniform(-1, 1, 5), rng.uniform(1.0, 2.5, 5)
    found = np.array(measure_window_moments(stamps, x, y, sigma))
    for k in range(4):
        total = np.zeros(6)
        for row in range(9):
            for col in range(9):
                u, v = col - 4 - x[k], row - 4 - y[k]
                light = stamps[k, row, col] * np.exp(-0.5 * (u * u + v * v) / sigma[k] ** 2)
                total += light * np.array([1.0, u, v, u * u, v * v, u * v])
        mean = total[1:] / total[0]
        mx, my = mean[:2]
        expected = [total[0], mx, my, mean[2] - mx * mx, mean[3] - my * my, mean[4] - mx * my]
        assert found[:, k] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert found[0, 4] == 0.0


@pytest.mark.parametrize("gaussian", [True, False])
def test_window_sums_are_those_of_every_pixel(gaussian):
    rng = np.random.default_rng(5)
    image = rng.uniform(0.0, 1.0, (40, 50)).astype(np.float32)
    x, y, size = np.array([20.3, 25.8]), np.array([18.6, 20.4]), np.array([1.4, 2.6])
    found = window_sums(image, x, y, size, gaussian=gaussian)
    half = int(np.ceil((3.0 if gaussian else 1.0) * 2.6)) + 1
    for k in range(2):
        sums, pixels, spread = np.zeros(6), 0.0, 0.0
        for row in range(round(y[k]) - half, round(y[k]) + half + 1):
            for col in range(round(x[k]) - half, round(x[k]) + half + 1):
                u, v = col - x[k], row - y[k]
                r = np.hypot(u, v)
                weight = (
                    np.exp(-0.5 * (r / size[k]) ** 2)
                    if gaussian
                    else np.clip(size[k] + 0.5 - r, 0, 1)
                )
                sums += weight * image[row, col] * np.array([1.0, u, v, u * u, v * v, u * v])
                pixels, spread = pixels + weight**2, spread + (weight * u) ** 2
        mx, my, xx, yy, xy = sums[1:] / sums[0]
        moments = [[xx - mx * mx, xy - mx * my], [xy - mx * my, yy - my * my]]
        measured = [found.flux[k], found.dx[k], found.dy[k], found.pixels[k], found.spread[k]]
        assert measured == pytest.approx([sums[0], mx, my, pixels, spread], rel=1e-5, abs=1e-7)
        assert found.moments[k] == pytest.approx(np.array(moments), rel=1e-5, abs=1e-6)


# ---- trails, and how far a star's light reaches


def turned_spots(turn_rad, pole, seed=1, count=40):
    """Spots of stars that turned about a pole (straight between their ends), and tracks."""
    rng = np.random.default_rng(seed)
    at = rng.uniform([20.0, 20.0], [780.0, 580.0], (count, 2))
    away = (at - pole) @ [1.0, 1.0j]
    ends = [away * np.exp(1j * side * turn_rad / 2) for side in (-1, 1)]
    ends = [np.column_stack([one.real, one.imag]) + pole for one in ends]
    step = ends[1] - ends[0] + rng.normal(0.0, 0.3, (count, 2))
    step[-5:] = rng.uniform(-30.0, 30.0, (5, 2))  # tracks of particles
    short = np.full(count, 1.5)
    long = np.sqrt(short**2 + (step**2).sum(axis=1) / 12.0)
    angle = np.arctan2(step[:, 1], step[:, 0])
    return at[:, 0], at[:, 1], long, short, (angle + np.pi / 2) % np.pi - np.pi / 2


@pytest.mark.parametrize("pole", [(-300.0, 900.0), (900.0, 250.0)])
def test_turning_trails_are_those_of_the_pole_they_were_drawn_about(pole):
    spots = turned_spots(0.05, np.array(pole))
    found = find_turning_trails(spots, (600, 800))
    assert found.middle == (399.5, 299.5)
    assert abs(found.turn_rad) == pytest.approx(0.05, rel=0.03)
    for x, y in ((0.0, 0.0), (799.0, 0.0), (399.5, 299.5), (100.0, 550.0)):
        expected = 0.05 * np.array([pole[1] - y, x - pole[0]])
        expected *= 1.0 if expected[0] >= 0.0 else -1.0
        assert found.trail_px_at(x, y) == pytest.approx(expected, abs=0.7)
    assert found.sigma_px == pytest.approx(np.sqrt(1.5**2 - 0.5))

    def off(values):
        """Both orders of each trail's ends, the nearer counts."""
        x, y, long, short, angle = (column[:-5] for column in spots)
        length = np.sqrt(12.0 * (long**2 - short**2))
        seen = length[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        model = np.column_stack(
            [values[0] - values[2] * (y - 299.5), values[1] + values[2] * (x - 399.5)]
        )
        sign = np.sign((model * seen).sum(axis=1))
        return ((model - sign[:, None] * seen) / (0.2 * length + 1.5)[:, None]).ravel()

    start = [*found.middle_trail_px, found.turn_rad]
    theirs = least_squares(off, start, x_scale=[1.0, 1.0, 1e-3]).x
    assert start == pytest.approx(theirs, rel=0.01, abs=0.05)


def test_trails_of_one_direction_are_no_turning_sky():
    x, y, long, short, _ = turned_spots(0.05, np.array([-300.0, 900.0]))
    long, angle = np.full(x.size, 6.0), np.full(x.size, 0.4)
    assert find_turning_trails((x, y, long, short, angle), (600, 800)) is None
    assert find_turning_trails((x, y, short, short, angle), (600, 800)) is None


@pytest.mark.parametrize(("sigma", "peak"), [(1.3, 30.0), (2.0, 60.0), (3.0, 300.0)])
def test_a_star_is_hidden_as_far_as_its_light_stands_out(sigma, peak):
    """Blurred by the filter it has a wider profile, which falls to 0.35 of the noise there."""
    rows, cols = np.mgrid[:200, :240]
    frame = np.random.default_rng(2).normal(size=(200, 240))
    away = np.hypot(cols - 120.0, rows - 90.0)
    frame += peak * np.exp(-0.5 * (away / sigma) ** 2)
    mask = find_stars(frame.astype(np.float32), np.zeros(frame.shape, bool), None).mask
    wide = sigma**2 + 1.2**2
    reach = np.sqrt(2.0 * wide * np.log(peak * sigma**2 / wide / 0.35))
    radii = np.array([2.5, 3.5, 5.0, 6.5, 8.0, 10.0, 13.0, 17.0, 22.0, 28.0])
    first = radii[radii >= reach - 1.5][0], radii[radii >= reach + 1.5][0]
    assert mask[away < first[0]].all()
    assert not mask[(away > first[1] + 2.5) & (away < 60.0)].mean() > 0.02


# ---- limbs

LEANS = st.floats(1.0, 130.0)


ROLLS = st.floats(-179.0, 179.0)


def angle_between(a, b):
    return float(np.degrees(np.arccos(np.clip(a @ b, -1.0, 1.0))))


@pytest.mark.parametrize(
    ("off_nadir", "roll"), [(60.0, 0.0), (66.0, 25.0), (70.0, -100.0), (75.0, 178.0)]
)
def test_nadir_within_its_sigma_for_any_roll(off_nadir, roll):
    light = drawn_limb(off_nadir_deg=off_nadir, roll_deg=roll)
    limb = find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM)
    assert angle_between(limb.nadir, nadir_vector(off_nadir, roll)) < 0.6
    along, across = np.sqrt(np.diag(limb.covariance_deg2))
    assert abs(limb.off_nadir_deg - off_nadir) < 3.0 * along
    turned = abs((limb.roll_deg - roll + 180.0) % 360.0 - 180.0)
    assert turned < 3.0 * across / np.sin(np.radians(limb.off_nadir_deg))


def test_sky_is_what_lies_above_the_horizon():
    light = drawn_limb(off_nadir_deg=64.0, roll_deg=10.0)
    limb = find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM)
    assert limb is not None
    sky = mask_sky(limb, (534, 800))
    assert sky[5, 400]
    assert not sky[520, 400]
    smaller = mask_sky(limb, light.shape)
    assert abs(sky.mean() - smaller.mean()) < 0.005
    assert mask_sky(limb, light.shape, margin_deg=3.0).sum() > smaller.sum()


def test_focal_length_follows_from_the_curvature_where_it_is_unknown():
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=5.0)
    limb = find_limb(light, focal_px=None, altitude_km=ALTITUDE_KM)
    assert limb.focal_px == pytest.approx(320.0, rel=0.15)
    assert abs(limb.roll_deg - 5.0) < 2.0


def test_wrong_focal_length_is_told():
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=0.0)
    right = find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM)
    wrong = find_limb(light, focal_px=1.3 * 320.0, altitude_km=ALTITUDE_KM)
    assert right.focal_ratio == pytest.approx(1.0, abs=0.08)
    assert wrong.focal_ratio == pytest.approx(1.0 / 1.3, abs=0.08)
    assert wrong.covariance_deg2[0, 0] > right.covariance_deg2[0, 0]


def test_both_edges_make_a_pair():
    light = drawn_limb(off_nadir_deg=64.0, roll_deg=0.0, ground=0.05, cities=0)
    limb = find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM)
    assert limb.paired
    assert angle_between(limb.nadir, nadir_vector(64.0, 0.0)) < 0.6


def test_hidden_half_of_the_arc_does_not_matter():
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=0.0)
    light[:, :130] = 0.0
    ignored = np.zeros(light.shape, bool)
    ignored[:, :130] = True
    limb = find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM, ignored=ignored)
    assert angle_between(limb.nadir, nadir_vector(66.0, 0.0)) < 1.0


def test_cities_without_a_limb_give_none():
    for seed in range(4):
        light = drawn_limb(off_nadir_deg=20.0, roll_deg=40.0 * seed, cities=150, seed=seed)
        assert find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM) is None


def test_straight_edges_are_no_limb():
    rng = np.random.default_rng(4)
    for slope in (0.2, -0.7):
        x, y = np.meshgrid(np.arange(400.0), np.arange(267.0))
        light = np.where(y > 120.0 + slope * (x - 200.0), 0.1, 0.001)
        light += 0.0005 * rng.standard_normal(light.shape)
        for focal_px in (320.0, None):
            found = find_limb(light.astype(np.float32), focal_px=focal_px, altitude_km=ALTITUDE_KM)
            assert found is None


def test_bent_the_wrong_way_is_no_limb():
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=0.0, airglow=0.0, ground=0.1, cities=0)
    negative = (0.12 - np.minimum(light, 0.12)).astype(np.float32)
    assert find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM) is not None
    assert find_limb(negative, focal_px=320.0, altitude_km=ALTITUDE_KM) is None


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_featureless_pictures_give_none(value):
    light = np.full((200, 300), value, np.float32)
    assert find_limb(light, focal_px=300.0, altitude_km=ALTITUDE_KM) is None


def test_horizon_dip_of_the_station():
    # Dip of the horizon = arccos(R / (R + h)); 90 degrees less the angle at the nadir
    dip = np.degrees(np.arccos(6371.0 / (6371.0 + 415.0)))
    assert limb_angle_deg(415.0, 0.0) == pytest.approx(90.0 - dip)
    assert limb_angle_deg(415.0, 95.0) - limb_angle_deg(415.0, 0.0) == pytest.approx(2.48, abs=0.02)


@given(LEANS, ROLLS)
def test_pointing_is_the_reverse_of_the_vector(lean, roll):
    found = compute_pointing(nadir_vector(lean, roll))
    assert found == pytest.approx((lean, roll), abs=1e-6)


@given(arc=st.floats(-55.0, 40.0), roll=ROLLS, scale=st.floats(0.6, 2.2))
def test_another_focal_length_leaves_the_arc_where_it_is(arc, roll, scale):
    """The arc's point nearest to the axis is the same pixel before and after."""
    angle = limb_angle_deg(410.0, AIRGLOW_TOP_KM)
    limb = found_limb(nadir_vector(angle + arc, roll), 200.0, (160, 240))
    scaled = limb.nadir_at_scale(scale)
    assert np.linalg.norm(scaled) == pytest.approx(1.0)
    top = np.array(angle), np.array(0.0)
    before, after = make_arc_rays(limb.nadir, *top), make_arc_rays(scaled, *top)
    assert scale * after[:2] / after[2] == pytest.approx(before[:2] / before[2], abs=1e-6)
    assert limb.nadir_at_scale(1.0) == pytest.approx(limb.nadir)


@pytest.mark.parametrize("focal_px", [230.0, 250.0])
def test_limb_behind_the_rim_of_a_window_tells_an_unknown_wide_lens(focal_px):
    light = drawn_limb(off_nadir_deg=50.0, roll_deg=30.0, focal_px=focal_px)
    x, y = np.meshgrid(np.arange(400.0), np.arange(267.0))
    outside = (np.abs(x - 200.0) / 190.0) ** 3 + (np.abs(y - 130.0) / 125.0) ** 3 > 1.0
    light[outside] = 0.0006
    limb = find_limb(light, focal_px=None, altitude_km=ALTITUDE_KM)
    assert limb is not None
    assert limb.focal_px == pytest.approx(focal_px, rel=0.15)
    at_focal = limb.nadir_at_scale(focal_px / limb.focal_px)
    assert angle_between(at_focal, nadir_vector(50.0, 30.0)) < 2.0


# ---- worked out another way


def test_an_edge_field_is_scharrs_gradient_over_its_root_mean_square_around():
    """By scipy and scikit-image, away from the border."""
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=20.0, shape=(120, 160), focal_px=130.0)
    value = median_filter(light.astype(float) ** (1.0 / 2.2), 5, mode="nearest")
    smooth = gaussian_filter(value, 1.5, mode="nearest")
    gx, gy = 0.5 * scharr_v(smooth), 0.5 * scharr_h(smooth)
    scale = np.sqrt(gaussian_filter(gx**2 + gy**2, 12.0) + (0.5 / 255.0) ** 2)
    field, inner = compute_edge_field(light), np.s_[40:-40, 40:-40]
    assert field.gx[inner] == pytest.approx((gx / scale)[inner], abs=0.05)
    assert field.gy[inner] == pytest.approx((gy / scale)[inner], abs=0.05)
    hidden = np.zeros(light.shape, bool)
    hidden[60, 80] = True
    masked = compute_edge_field(light, hidden)
    changed = np.argwhere(masked.gx == 0.0)
    assert changed.min(axis=0).tolist() == [56, 76]
    assert changed.max(axis=0).tolist() == [64, 84]


@pytest.mark.parametrize("size", [2.0, 5.0])
def test_an_edge_votes_for_nadirs_across_it_by_the_turn_and_its_strength(size):
    """One edge in the middle of the picture, which is brighter to the right."""
    gx = np.zeros((41, 61), np.float32)
    gx[20, 30] = size
    votes = count_nadir_votes(EdgeField(gx=gx, gy=np.zeros_like(gx)), 300.0, (70.4,))
    expected = np.zeros_like(votes)
    for turn in np.arange(-8, 9):
        towards = Rotation.from_euler("z", turn, degrees=True).apply([1.0, 0.0, 0.0])
        axis = np.cross([0.0, 0.0, 1.0], towards)
        nadir = Rotation.from_rotvec(np.radians(70.4) * axis).apply([0.0, 0.0, 1.0])
        lean, roll = compute_pointing(nadir)
        expected[int(lean), int(roll + 180.0 + 1e-9)] += min(size, 3.0) * np.exp(
            -0.5 * (turn / 3.0) ** 2
        )
    assert votes.sum() == pytest.approx(expected.sum(), rel=1e-6)
    assert votes[70].max() == pytest.approx(expected.max(), rel=1e-6)
    assert np.abs(np.cumsum(votes[70]) - np.cumsum(expected[70])).max() <= expected.max() + 1e-9


@pytest.mark.parametrize("roll", [-30.0, 0.0, 80.0])
def test_a_strip_holds_the_gradient_towards_the_nadir_along_its_arc(roll):
    """The arc by turning the way to the nadir; the gradient by scipy's interpolation."""
    rng = np.random.default_rng(2)
    gx, gy = (gaussian_filter(rng.normal(size=(200, 300)), 6.0).astype(np.float32) for _ in "xy")
    field, nadir, focal = EdgeField(gx=gx, gy=gy), nadir_vector(64.0, roll), 240.0
    strip = unroll(field, focal, nadir, 66.0, 2.0, 0.25)
    assert strip.offset_deg.tolist() == np.arange(-2.0, 2.01, 0.25).tolist()
    start = np.cross(nadir, np.cross([0.0, 0.0, 1.0], nadir))
    start /= np.linalg.norm(start)
    places = {}
    for k, offset in enumerate(strip.offset_deg):
        for j, azimuth in enumerate(strip.azimuth_deg):
            tilt = Rotation.from_rotvec(np.radians(66.0 + offset) * np.cross(nadir, start))
            ray = Rotation.from_rotvec(np.radians(azimuth) * nadir).apply(tilt.apply(nadir))
            places[k, j] = focal * ray[:2] / ray[2] + [149.5, 99.5]
    middle = [places[8, j] for j in range(len(strip.azimuth_deg))]
    steps = np.hypot(*np.diff(middle, axis=0).T)
    assert np.median(steps) == pytest.approx(6.0, abs=0.2)
    assert strip.length_px == pytest.approx(steps.sum() + 6.0, abs=6.0)
    seen = 0
    for (k, j), value in np.ndenumerate(strip.signed):
        if value == 0.0 or not 0 < k < len(strip.offset_deg) - 1:
            continue
        down = places[k - 1, j] - places[k + 1, j]
        at = places[k, j][::-1, None]
        slope = [float(map_coordinates(part, at, order=1)[0]) for part in (gx, gy)]
        assert value == pytest.approx(slope @ down / np.hypot(*down), abs=2e-3)
        seen += 1
    assert seen > 50


@pytest.mark.parametrize("middle_deg", [0.0, 0.5])
def test_edges_along_an_arc_lie_at_the_peak_of_the_gradient_and_odds_add_up(middle_deg):
    offset = np.arange(-40, 41) * 0.05
    true = middle_deg + 0.04 * np.sin(np.arange(30.0))
    true[:6] = 9.0  # six columns without an edge
    signed = 2.0 * np.exp(-0.5 * ((offset[:, None] - true) / 0.1) ** 2)
    inside = np.ones(signed.shape, bool)
    inside[:, -4:] = False
    azimuth = np.linspace(-20.0, 20.0, 30)
    strip = Strip(
        signed=signed, offset_deg=offset, azimuth_deg=azimuth, inside=inside, length_px=180.0
    )
    found = find_edges_along(strip, 0.5, 0.2, middle_deg)
    assert found.azimuth_deg.tolist() == azimuth[6:26].tolist()
    assert found.offset_deg == pytest.approx(true[6:26], abs=0.004)
    assert found.shown == pytest.approx(20 / 26)
    assert found.length_px == pytest.approx(180.0 * 26 / 30)
    away_px = (found.offset_deg - middle_deg) / 0.05 * 0.5
    normal = np.exp(-0.5 * (away_px / 0.8) ** 2) / (0.8 * np.sqrt(2.0 * np.pi))
    seen = np.log10(0.75 * (0.8 * normal + 0.2 / 6.0) / (0.2 / 6.0)).sum()
    assert found.log10_odds == pytest.approx(seen + 6.0 * np.log10(0.25 / 0.8), abs=1e-6)
