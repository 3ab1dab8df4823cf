"""Towns are found where they were planted; their meeting proves a camera, chance does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from matchers.towns import LEAST_CONTRAST, SCALE_PX, Towns, find_towns
from matchers.verify import (
    LONGEST_SHIFT_PX,
    MEETING_PX,
    SHARE_MET,
    SHORTEST_SHIFT_PX,
    chance_shifts,
    prove,
)

WIDTH, HEIGHT = 900, 600


def picture(places: NDArray[np.float64], strength: NDArray[np.float64]) -> NDArray[np.float32]:
    """Gaussian towns of 1.5 px at sub-pixel places."""
    y, x = np.mgrid[:200, :300]
    image = np.zeros((200, 300))
    for (px, py), s in zip(places, strength, strict=True):
        image += s * np.exp(-0.5 * ((x - px) ** 2 + (y - py) ** 2) / 1.5**2)
    return image.astype(np.float32)


def planted(seed: int, count: int) -> NDArray[np.float64]:
    """Places at least 20 px from each other and 12 px inside the frame."""
    rng = np.random.default_rng(seed)
    found: list[tuple[float, float]] = []
    while len(found) < count:
        p = (rng.uniform(12, 287), rng.uniform(12, 187))
        if all(np.hypot(p[0] - q[0], p[1] - q[1]) > 20.0 for q in found):
            found.append(p)
    return np.array(found)


def test_planted_towns_are_found_to_a_fraction_of_a_pixel() -> None:
    places = planted(0, 25)
    strength = np.linspace(1.0, 0.3, 25)
    found = find_towns(picture(places, strength), None, 100)
    strong = found.positions[found.contrast > 0.05]
    assert len(strong) == 25
    nearest = np.linalg.norm(strong[:, None] - places[None], axis=2)
    assert nearest.min(axis=1).max() < 0.3
    assert nearest.min(axis=0).max() < 0.3
    assert (np.diff(found.contrast) <= 0.0).all()
    brightest = find_towns(picture(places, strength), None, 5).positions
    assert np.linalg.norm(brightest[:, None] - places[:8][None], axis=2).min(axis=1).max() < 0.3


def test_towns_rise_above_smooth_light_only() -> None:
    y, x = np.mgrid[:200, :300]
    glow = (0.5 + 0.4 * np.sin(x / 60.0) * np.cos(y / 70.0)).astype(np.float32)
    assert len(find_towns(glow, None, 100)) == 0
    lit = glow + picture(np.array([[100.3, 80.6]]), np.array([0.6]))
    found = find_towns(lit, None, 100)
    assert len(found) == 1
    assert found.positions[0] == pytest.approx([100.3, 80.6], abs=0.3)
    assert found.contrast[0] > LEAST_CONTRAST


def test_masked_towns_and_those_at_the_border_are_left_out() -> None:
    places = np.array([[50.0, 60.0], [200.0, 100.0], [0.0, 120.0]])
    image = picture(places, np.ones(3))
    weight = np.ones_like(image)
    weight[:, :120] = 0.0
    found = find_towns(image, weight, 10)
    assert found.positions == pytest.approx(np.array([[200.0, 100.0]]), abs=0.1)


def test_a_plateau_is_one_place_inside_itself() -> None:
    image = np.zeros((60, 60), np.float32)
    image[28:33, 28:33] = 1.0
    found = find_towns(cv2.blur(image, (3, 3)), None, 10)
    assert found.positions == pytest.approx(np.array([[30.0, 30.0]]), abs=0.5)


def towns_at(places: NDArray[np.float64]) -> Towns:
    return Towns(x=places[:, 0], y=places[:, 1], contrast=np.linspace(1.0, 0.1, len(places)))


def world(seed: int, count: int) -> NDArray[np.float64]:
    """Towns in clumps, as they are strung along coasts and valleys."""
    rng = np.random.default_rng([seed, 7])
    centres = rng.uniform([0, 0], [WIDTH, HEIGHT], (max(count // 6, 3), 2))
    clumped = centres[rng.integers(len(centres), size=count)] + rng.normal(0, 60.0, (count, 2))
    loose = rng.uniform([0, 0], [WIDTH, HEIGHT], (count, 2))
    chosen = np.where(rng.random((count, 1)) < 0.6, clumped, loose)
    return np.asarray(np.clip(chosen, 5, [WIDTH - 5, HEIGHT - 5]))


def seen(seed: int, places: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """A photo's towns: a share of the map's, a little off, and as many others at random places."""
    rng = np.random.default_rng([seed, 8])
    true = rng.random(len(places)) < share
    others = world(seed + 100_000, len(places))
    jitter = rng.normal(0.0, 0.3 * MEETING_PX, places.shape)
    return np.where(true[:, None], places + jitter, others)


@pytest.mark.parametrize("seed", range(10))
def test_half_of_the_towns_prove_a_camera(seed: int) -> None:
    places = world(seed, 150)
    proof = prove(towns_at(seen(seed, places, 0.5)), towns_at(places))
    assert proof.log10_odds > 15.0
    assert proof.towns == 150
    assert 0.4 * 150 < proof.met < 0.75 * 150
    assert 0.0 < proof.chance < 0.3
    assert proof.residual_px < 0.7 * MEETING_PX


@pytest.mark.parametrize("seed", range(10))
def test_a_shifted_camera_is_disproved(seed: int) -> None:
    places = world(seed, 150)
    photo = seen(seed, places, 0.5) + np.array([23.0, -17.0])
    assert prove(towns_at(photo), towns_at(places)).log10_odds < 0.0


def test_chance_overlays_seldom_look_like_proof() -> None:
    """Two unrelated lands laid over each other 200 times, with few towns and with many."""
    odds = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        photo = world(seed, int(rng.integers(12, 150)))
        view = world(seed + 5000, int(rng.integers(20, 300)))
        odds.append(prove(towns_at(photo), towns_at(view)).log10_odds)
    assert max(odds) < 3.0
    assert np.median(odds) < -3.0


def test_towns_of_the_same_valleys_seldom_look_like_proof() -> None:
    """Wrong by a little: towns gather in the same places, but they are other towns."""

    def gathered(seed: int, draw: int, count: int) -> NDArray[np.float64]:
        centres = np.random.default_rng([seed, 1]).uniform([60, 60], [840, 540], (6, 2))
        rng = np.random.default_rng([seed, draw])
        return np.asarray(centres[rng.integers(6, size=count)] + rng.normal(0, 25.0, (count, 2)))

    odds = [
        prove(towns_at(gathered(seed, 2, 60)), towns_at(gathered(seed, 3, 300))).log10_odds
        for seed in range(200)
    ]
    assert np.mean(np.array(odds) > 3.0) <= 0.03
    assert np.median(odds) < 0.0


def test_more_meetings_mean_better_odds() -> None:
    places = world(3, 120)
    odds, met = [], []
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        proof = prove(towns_at(seen(3, places, share)), towns_at(places))
        odds.append(proof.log10_odds)
        met.append(proof.met)
    assert odds == sorted(odds)
    assert met == sorted(met)


def test_dense_maps_prove_less() -> None:
    """Where a town is to be met everywhere, meeting one says nothing."""
    rng = np.random.default_rng(9)
    places = world(4, 80)
    crowd = np.concatenate([places, rng.uniform([0, 0], [WIDTH, HEIGHT], (40_000, 2))])
    sparse = prove(towns_at(places), towns_at(places))
    dense = prove(towns_at(places), towns_at(crowd))
    assert dense.met == sparse.met == 80
    assert dense.log10_odds < 0.1 * sparse.log10_odds
    assert dense.chance > 0.8


def test_the_met_towns_are_named() -> None:
    places = np.array([[100.0, 100.0], [300.0, 300.0], [500.0, 200.0]])
    photo = places + np.array([[0.5, 0.0], [MEETING_PX + 0.1, 0.0], [0.0, MEETING_PX - 0.1]])
    proof = prove(towns_at(photo), towns_at(places))
    assert proof.met_towns.tolist() == [0, 2]
    assert proof.residual_px == pytest.approx((0.5 + MEETING_PX - 0.1) / 2.0)
    best = 2 * np.log10(SHARE_MET / 0.02) + np.log10((1 - SHARE_MET) / 0.98)
    assert proof.log10_odds == pytest.approx(best)


def test_no_towns_prove_nothing() -> None:
    places = world(1, 20)
    none = towns_at(np.zeros((0, 2)))
    for photo, view in ((none, towns_at(places)), (towns_at(places), none), (none, none)):
        proof = prove(photo, view)
        assert proof.log10_odds == 0.0
        assert proof.met == 0
        assert len(proof.met_towns) == 0
        assert proof.towns == len(photo)
    far = prove(towns_at(places), towns_at(places + 1e5))
    assert far.residual_px == np.inf
    assert far.met == 0


def test_shifts_are_spread_over_a_ring() -> None:
    shifts = chance_shifts()
    radius = np.linalg.norm(shifts, axis=1)
    assert radius.min() >= SHORTEST_SHIFT_PX > MEETING_PX > SCALE_PX
    assert radius.max() <= LONGEST_SHIFT_PX
    assert np.abs(shifts.mean(axis=0)).max() < 0.05 * LONGEST_SHIFT_PX
    apart = np.linalg.norm(shifts[:, None] - shifts[None], axis=2) + 1e9 * np.eye(len(shifts))
    assert apart.min() > 0.5 * MEETING_PX
