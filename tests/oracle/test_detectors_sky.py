"""Stars, trails and limbs: profiles and fits against scipy and what was drawn."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from detectors.limb import (
    AIRGLOW_TOP_KM,
    EdgeField,
    LimbStrip,
    compute_pointing,
    count_nadir_votes,
    find_edges_along,
    find_limb,
    limb_angle_deg,
    make_arc_rays,
    mask_sky,
    nadir_vector,
    project_directions,
)
from detectors.psf import PointSpread, fit_stars
from detectors.star_trails import find_turning_trails
from tests.world.pictures import ALTITUDE_KM, drawn_limb

sigmas = st.floats(0.5, 3.0)
shares = st.floats(0.0, 0.45)
places = st.floats(-0.5, 0.5)
ROLLS = st.floats(-179.0, 179.0)


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


def test_second_moments_of_a_trail_are_those_of_a_segment_and_the_fwhm_of_the_profile():
    psf = PointSpread(sigma_px=1.0, wings=0.0, trail_px=(12.0, 5.0))
    drawn = psf.draw(np.zeros(1), np.zeros(1), 20)[0].astype(float)
    offsets = np.arange(-20, 21)
    xx, yy = drawn.sum(axis=0) @ offsets**2, drawn.sum(axis=1) @ offsets**2
    assert xx == pytest.approx(12.0**2 / 12 + 1.0 + 1 / 12, rel=0.03)
    assert yy == pytest.approx(5.0**2 / 12 + 1.0 + 1 / 12, rel=0.03)
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


def test_stars_are_fitted_as_scipy_fits_them_with_their_covariances():
    """All three and their levels at once, over the same pixels and weights."""
    half = PSF.half_stamp_px
    image = sum(flux * drawn_alone(x, y) for x, y, flux in zip(X, Y, FLUX, strict=True))
    image += 0.003 + np.random.default_rng(1).normal(0.0, SKY, image.shape)
    noise, gain = np.full(3, SKY), np.full(3, GAIN)
    found = fit_stars(
        *(image.astype(np.float32), np.ones(image.shape, bool), X - 0.3, Y - 0.3),
        psf=PSF,
        noise=noise,
        gain=gain,
    )
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


# ---- trails


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


def test_turning_trails_are_those_of_the_pole_they_were_drawn_about():
    pole = -300.0, 900.0
    spots = turned_spots(0.05, np.array(pole))
    found = find_turning_trails(spots, (600, 800))
    assert found.middle == (399.5, 299.5)
    assert abs(found.turn_rad) == pytest.approx(0.05, rel=0.03)
    for x, y in ((0.0, 0.0), (799.0, 0.0), (399.5, 299.5), (100.0, 550.0)):
        expected = 0.05 * np.array([pole[1] - y, x - pole[0]])
        expected *= 1.0 if expected[0] >= 0.0 else -1.0
        assert found.trail_px_at(x, y) == pytest.approx(expected, abs=0.7)
    assert found.sigma_px == pytest.approx(np.sqrt(1.5**2 - 0.5))
    x, y, _, short, _ = spots
    long, angle = np.full(x.size, 6.0), np.full(x.size, 0.4)  # of one direction
    assert find_turning_trails((x, y, long, short, angle), (600, 800)) is None


# ---- limbs


def angle_between(a, b):
    return float(np.degrees(np.arccos(np.clip(a @ b, -1.0, 1.0))))


@pytest.mark.parametrize(("off_nadir", "roll"), [(60.0, 0.0), (70.0, -100.0), (75.0, 178.0)])
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


def test_focal_length_follows_from_the_curvature_and_a_wrong_one_is_told():
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=5.0)
    limb = find_limb(light, focal_px=None, altitude_km=ALTITUDE_KM)
    assert limb.focal_px == pytest.approx(320.0, rel=0.15)
    assert abs(limb.roll_deg - 5.0) < 2.0
    right = find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM)
    wrong = find_limb(light, focal_px=1.3 * 320.0, altitude_km=ALTITUDE_KM)
    assert right.focal_ratio == pytest.approx(1.0, abs=0.08)
    assert wrong.focal_ratio == pytest.approx(1.0 / 1.3, abs=0.08)
    assert wrong.covariance_deg2[0, 0] > right.covariance_deg2[0, 0]


def test_cities_straight_edges_and_arcs_bent_the_wrong_way_are_no_limb():
    limb = drawn_limb(off_nadir_deg=66.0, roll_deg=0.0, airglow=0.0, ground=0.1, cities=0)
    assert find_limb(limb, focal_px=320.0, altitude_km=ALTITUDE_KM) is not None
    x, y = np.meshgrid(np.arange(400.0), np.arange(267.0))
    straight = np.where(y > 120.0 + 0.2 * (x - 200.0), 0.1, 0.001)
    straight += 0.0005 * np.random.default_rng(4).standard_normal(straight.shape)
    for light in (
        drawn_limb(off_nadir_deg=20.0, roll_deg=40.0, cities=150, seed=1),
        straight.astype(np.float32),
        (0.12 - np.minimum(limb, 0.12)).astype(np.float32),
        np.full((200, 300), 0.3, np.float32),
    ):
        assert find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM) is None


def test_an_arc_in_a_corner_is_a_limb_if_both_its_edges_are_where_they_must_be():
    """It is too short for its curvature: the distance of the edges tells it from others."""
    seen = {"off_nadir_deg": 60.0, "roll_deg": 40.0, "focal_px": 900.0, "ground": 0.02}
    light, alone = drawn_limb(**seen), drawn_limb(**seen, airglow=0.0)
    limb = find_limb(light, focal_px=900.0, altitude_km=ALTITUDE_KM)
    assert limb.paired
    assert angle_between(limb.nadir, nadir_vector(60.0, 40.0)) < 0.6
    assert find_limb(alone, focal_px=900.0, altitude_km=ALTITUDE_KM) is None


def test_horizon_dip_of_the_station():
    # Dip of the horizon = arccos(R / (R + h)); 90 degrees less the angle at the nadir
    dip = np.degrees(np.arccos(6371.0 / (6371.0 + 415.0)))
    assert limb_angle_deg(415.0, 0.0) == pytest.approx(90.0 - dip)
    assert limb_angle_deg(415.0, 95.0) - limb_angle_deg(415.0, 0.0) == pytest.approx(2.48, abs=0.02)


@given(st.floats(1.0, 130.0), ROLLS)
def test_pointing_is_the_reverse_of_the_vector(lean, roll):
    found = compute_pointing(nadir_vector(lean, roll))
    assert found == pytest.approx((lean, roll), abs=1e-6)


@cache
def known_limb():
    limb = find_limb(
        drawn_limb(off_nadir_deg=66.0, roll_deg=0.0), focal_px=320.0, altitude_km=ALTITUDE_KM
    )
    assert limb is not None
    return limb


@given(arc=st.floats(-55.0, 40.0), roll=ROLLS, scale=st.floats(0.6, 2.2))
def test_another_focal_length_leaves_the_arc_where_it_is(arc, roll, scale):
    """The arc's point nearest to the axis is the same pixel before and after."""
    angle = limb_angle_deg(410.0, AIRGLOW_TOP_KM)
    nadir = nadir_vector(angle + arc, roll)
    seen = {"off_nadir_deg": angle + arc, "roll_deg": roll, "angle_deg": angle}
    limb = replace(known_limb(), nadir=nadir, **seen)
    scaled = limb.nadir_at_scale(scale)
    assert np.linalg.norm(scaled) == pytest.approx(1.0)
    top = np.array(angle), np.array(0.0)
    before = project_directions(make_arc_rays(limb.nadir, *top), 1.0, (0.0, 0.0))
    after = project_directions(make_arc_rays(scaled, *top), scale, (0.0, 0.0))
    assert after == pytest.approx(before, abs=1e-6)
    assert limb.nadir_at_scale(1.0) == pytest.approx(limb.nadir)


def test_an_edge_votes_for_nadirs_across_it_by_the_turn_and_its_strength():
    """One edge in the middle of the picture, which is brighter to the right."""
    size = 2.0
    gx = np.zeros((41, 61), np.float32)
    gx[20, 30] = size
    votes = count_nadir_votes(EdgeField(gx=gx, gy=np.zeros_like(gx)), 300.0, (70.4,), 1.0)
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


def test_edges_along_an_arc_lie_at_the_peak_of_the_gradient_and_odds_add_up():
    middle_deg = 0.5
    offset = np.arange(-40, 41) * 0.05
    true = middle_deg + 0.04 * np.sin(np.arange(30.0))
    true[:6] = 9.0  # six columns without an edge
    signed = 2.0 * np.exp(-0.5 * ((offset[:, None] - true) / 0.1) ** 2)
    inside = np.ones(signed.shape, bool)
    inside[:, -4:] = False
    azimuth = np.linspace(-20.0, 20.0, 30)
    strip = LimbStrip(
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
