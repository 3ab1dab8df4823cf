"""The limb is found where it was drawn, and nowhere else; its edges by another way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates, median_filter
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
from tests.regengine.registration.made_limb import found_limb
from tests.world.pictures import ALTITUDE_KM, drawn_limb

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
