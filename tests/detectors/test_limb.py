"""The limb is found where it was drawn, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from limb_scene import ALTITUDE_KM, drawn_limb

from detectors.limb import find_limb, mask_sky
from detectors.limb_geometry import (
    AIRGLOW_TOP_KM,
    compute_pointing,
    limb_angle_deg,
    make_arc_rays,
    nadir_vector,
)
from tests.regengine.registration.made_limb import found_limb

LEANS = st.floats(1.0, 130.0)
ROLLS = st.floats(-179.0, 179.0)


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1.0, 1.0))))


@pytest.mark.parametrize(
    ("off_nadir", "roll"), [(60.0, 0.0), (66.0, 25.0), (70.0, -100.0), (75.0, 178.0)]
)
def test_nadir_within_its_sigma_for_any_roll(off_nadir: float, roll: float) -> None:
    light = drawn_limb(off_nadir_deg=off_nadir, roll_deg=roll)
    limb = find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM)
    assert angle_between(limb.nadir, nadir_vector(off_nadir, roll)) < 0.6
    along, across = np.sqrt(np.diag(limb.covariance_deg2))
    assert abs(limb.off_nadir_deg - off_nadir) < 3.0 * along
    turned = abs((limb.roll_deg - roll + 180.0) % 360.0 - 180.0)
    assert turned < 3.0 * across / np.sin(np.radians(limb.off_nadir_deg))


def test_sky_is_what_lies_above_the_horizon() -> None:
    light = drawn_limb(off_nadir_deg=64.0, roll_deg=10.0)
    limb = find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM)
    assert limb is not None
    sky = mask_sky(limb, (534, 800))
    assert sky[5, 400]
    assert not sky[520, 400]
    smaller = mask_sky(limb, light.shape)
    assert abs(sky.mean() - smaller.mean()) < 0.005
    assert mask_sky(limb, light.shape, margin_deg=3.0).sum() > smaller.sum()


def test_focal_length_follows_from_the_curvature_where_it_is_unknown() -> None:
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=5.0)
    limb = find_limb(light, focal_px=None, altitude_km=ALTITUDE_KM)
    assert limb.focal_px == pytest.approx(320.0, rel=0.15)
    assert abs(limb.roll_deg - 5.0) < 2.0


def test_wrong_focal_length_is_told() -> None:
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=0.0)
    right = find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM)
    wrong = find_limb(light, focal_px=1.3 * 320.0, altitude_km=ALTITUDE_KM)
    assert right.focal_ratio == pytest.approx(1.0, abs=0.08)
    assert wrong.focal_ratio == pytest.approx(1.0 / 1.3, abs=0.08)
    assert wrong.covariance_deg2[0, 0] > right.covariance_deg2[0, 0]


def test_both_edges_make_a_pair() -> None:
    light = drawn_limb(off_nadir_deg=64.0, roll_deg=0.0, ground=0.05, cities=0)
    limb = find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM)
    assert limb.paired
    assert angle_between(limb.nadir, nadir_vector(64.0, 0.0)) < 0.6


def test_hidden_half_of_the_arc_does_not_matter() -> None:
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=0.0)
    light[:, :130] = 0.0
    ignored = np.zeros(light.shape, bool)
    ignored[:, :130] = True
    limb = find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM, ignored=ignored)
    assert angle_between(limb.nadir, nadir_vector(66.0, 0.0)) < 1.0


def test_cities_without_a_limb_give_none() -> None:
    for seed in range(4):
        light = drawn_limb(off_nadir_deg=20.0, roll_deg=40.0 * seed, cities=150, seed=seed)
        assert find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM) is None


def test_straight_edges_are_no_limb() -> None:
    rng = np.random.default_rng(4)
    for slope in (0.2, -0.7):
        x, y = np.meshgrid(np.arange(400.0), np.arange(267.0))
        light = np.where(y > 120.0 + slope * (x - 200.0), 0.1, 0.001)
        light += 0.0005 * rng.standard_normal(light.shape)
        for focal_px in (320.0, None):
            found = find_limb(light.astype(np.float32), focal_px=focal_px, altitude_km=ALTITUDE_KM)
            assert found is None


def test_bent_the_wrong_way_is_no_limb() -> None:
    light = drawn_limb(off_nadir_deg=66.0, roll_deg=0.0, airglow=0.0, ground=0.1, cities=0)
    negative = (0.12 - np.minimum(light, 0.12)).astype(np.float32)
    assert find_limb(light, focal_px=320.0, altitude_km=ALTITUDE_KM) is not None
    assert find_limb(negative, focal_px=320.0, altitude_km=ALTITUDE_KM) is None


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_featureless_pictures_give_none(value: float) -> None:
    light = np.full((200, 300), value, np.float32)
    assert find_limb(light, focal_px=300.0, altitude_km=ALTITUDE_KM) is None


def test_horizon_dip_of_the_station() -> None:
    # Dip of the horizon = arccos(R / (R + h)); 90 degrees less the angle at the nadir
    dip = np.degrees(np.arccos(6371.0 / (6371.0 + 415.0)))
    assert limb_angle_deg(415.0, 0.0) == pytest.approx(90.0 - dip)
    assert limb_angle_deg(415.0, 95.0) - limb_angle_deg(415.0, 0.0) == pytest.approx(2.48, abs=0.02)


@given(LEANS, ROLLS)
def test_pointing_is_the_reverse_of_the_vector(lean: float, roll: float) -> None:
    found = compute_pointing(nadir_vector(lean, roll))
    assert found == pytest.approx((lean, roll), abs=1e-6)


@given(arc=st.floats(-55.0, 40.0), roll=ROLLS, scale=st.floats(0.6, 2.2))
def test_another_focal_length_leaves_the_arc_where_it_is(
    arc: float, roll: float, scale: float
) -> None:
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
def test_limb_behind_the_rim_of_a_window_tells_an_unknown_wide_lens(
    focal_px: float,
) -> None:
    light = drawn_limb(off_nadir_deg=50.0, roll_deg=30.0, focal_px=focal_px)
    x, y = np.meshgrid(np.arange(400.0), np.arange(267.0))
    outside = (np.abs(x - 200.0) / 190.0) ** 3 + (np.abs(y - 130.0) / 125.0) ** 3 > 1.0
    light[outside] = 0.0006
    limb = find_limb(light, focal_px=None, altitude_km=ALTITUDE_KM)
    assert limb is not None
    assert limb.focal_px == pytest.approx(focal_px, rel=0.15)
    at_focal = limb.nadir_at_scale(focal_px / limb.focal_px)
    assert angle_between(at_focal, nadir_vector(50.0, 30.0)) < 2.0
