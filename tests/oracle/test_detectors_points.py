"""Stars: their profile, its fit, sums under windows and trails, against scipy and plain sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from detectors.psf import PointSpread
from detectors.stamps import measure_window_moments
from detectors.star_fit import fit_stars
from detectors.star_trails import find_turning_trails
from detectors.stars_sift import window_sums
from detectors.streak_stars import find_stars

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
    x, y, size = np.array([20.3, 25.8]), np.array([18.7, 20.2]), np.array([1.4, 2.6])
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
