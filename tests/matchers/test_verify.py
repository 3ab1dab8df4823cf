"""The meeting of a photo's towns with the map's proves a camera; chance does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from matchers import verify
from matchers.verify import (
    LEAST_CHANCE,
    LONGEST_SHIFT_PX,
    MEETING_PX,
    SCALE_PX,
    SHARES_MET,
    SHORTEST_SHIFT_PX,
    STRONGEST,
    Towns,
    chance_shifts,
    prove,
)

Places = NDArray[np.float64]

WIDTH, HEIGHT = 900, 600
FIELDS = 200  # of them none above a bound: it holds for all but 1.5 % of such fields (95 %)


def towns_at(places: Places) -> Towns:
    """Towns, the first the strongest."""
    return Towns(x=places[:, 0], y=places[:, 1], contrast=np.linspace(1.0, 0.1, len(places)))


def world(seed: int, count: int) -> Places:
    """Towns in clumps, as they are strung along coasts and valleys."""
    rng = np.random.default_rng([seed, 7])
    centres = rng.uniform([0, 0], [WIDTH, HEIGHT], (max(count // 6, 3), 2))
    clumped = centres[rng.integers(len(centres), size=count)] + rng.normal(0, 60.0, (count, 2))
    loose = rng.uniform([0, 0], [WIDTH, HEIGHT], (count, 2))
    chosen = np.where(rng.random((count, 1)) < 0.6, clumped, loose)
    size = np.array([WIDTH, HEIGHT])
    return np.asarray(np.abs((chosen + size) % (2 * size) - size))  # reflected at the border


def seen(seed: int, places: Places, share: float) -> Places:
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
def test_a_quarter_of_the_towns_is_enough_where_chance_is_small(seed: int) -> None:
    """The rest is cloud, reflections and boats; six orders of magnitude are for the search."""
    places = world(seed, 150)
    proof = prove(towns_at(seen(seed, places, 0.25)), towns_at(places))
    assert proof.chance < 0.03
    assert proof.log10_odds > 10.0
    fewer = prove(towns_at(seen(seed, places[:60], 0.25)), towns_at(places[:60]))
    assert fewer.log10_odds > 2.0


@pytest.mark.parametrize("seed", range(10))
def test_a_shifted_camera_is_disproved(seed: int) -> None:
    places = world(seed, 150)
    photo = seen(seed, places, 0.5) + np.array([23.0, -17.0])
    assert prove(towns_at(photo), towns_at(places)).log10_odds < 0.0


def test_shuffled_towns_seldom_look_like_proof() -> None:
    """The photo's own columns and rows, each put together anew: as crowded, but elsewhere.

    Odds of ten to one come up in less than one field of ten, as odds should.
    """
    odds = []
    for seed in range(FIELDS):
        rng = np.random.default_rng(seed)
        places = world(seed, int(rng.integers(20, 150)))
        shuffled = np.stack([rng.permutation(places[:, 0]), rng.permutation(places[:, 1])], axis=1)
        odds.append(prove(towns_at(shuffled), towns_at(places)).log10_odds)
    assert max(odds) < 3.0
    assert np.mean(np.array(odds) > 1.0) <= 0.1
    assert np.median(odds) < -1.0


def test_chance_overlays_seldom_look_like_proof() -> None:
    """Two unrelated lands laid over each other, with few towns and with many."""
    odds = []
    for seed in range(FIELDS):
        rng = np.random.default_rng(seed)
        photo = world(seed, int(rng.integers(12, 150)))
        view = world(seed + 5000, int(rng.integers(20, 300)))
        odds.append(prove(towns_at(photo), towns_at(view)).log10_odds)
    assert max(odds) < 1.0
    assert np.median(odds) < -3.0


def test_towns_of_the_same_valleys_seldom_look_like_proof() -> None:
    """Wrong by a little: towns gather in the same places, but they are other towns."""

    def gathered(seed: int, draw: int, count: int) -> Places:
        centres = np.random.default_rng([seed, 1]).uniform([60, 60], [840, 540], (6, 2))
        rng = np.random.default_rng([seed, draw])
        return np.asarray(centres[rng.integers(6, size=count)] + rng.normal(0, 25.0, (count, 2)))

    odds = [
        prove(towns_at(gathered(seed, 2, 60)), towns_at(gathered(seed, 3, 300))).log10_odds
        for seed in range(FIELDS)
    ]
    assert max(odds) < 3.0
    assert np.mean(np.array(odds) > 0.0) <= 0.1
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


# So far apart that no shift brings one to another: chance is at its least, and no shift is lucky
LATTICE = (
    np.stack(np.meshgrid(np.arange(30, 900, 80), np.arange(30, 600, 80)), -1).reshape(-1, 2) * 1.0
)


def photo_of_lattice(met: NDArray[np.bool_]) -> Towns:
    """Some towns of the lattice where the map has them, the others where it has none."""
    return towns_at(np.where(met[:, None], LATTICE, LATTICE + 5000.0))


def best_odds(met: NDArray[np.bool_], shares: tuple[float, ...], parts: tuple[int, ...]) -> float:
    """Lang et al. (2010) written out, for each share and number of the strongest towns."""
    return max(
        met[:count].sum() * np.log10(share / LEAST_CHANCE)
        + (~met[:count]).sum() * np.log10((1.0 - share) / (1.0 - LEAST_CHANCE))
        for share in shares
        for count in parts
    )


@given(met=st.lists(st.booleans(), min_size=len(LATTICE), max_size=len(LATTICE)))
def test_choosing_the_best_share_has_its_price(met: list[bool]) -> None:
    """The best of ten is taken, and one part in ten for having chosen it."""
    found = np.array(met)
    proof = prove(photo_of_lattice(found), towns_at(LATTICE))
    assert proof.chance == pytest.approx(LEAST_CHANCE)
    best = best_odds(found, SHARES_MET, STRONGEST)
    assert proof.log10_odds == pytest.approx(best - np.log10(len(SHARES_MET) * len(STRONGEST)))


@pytest.mark.parametrize("share", [0.25, 0.85])
def test_the_price_is_small_against_a_share_that_does_not_fit(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 88 towns a quarter, or most, are met, where half was expected."""
    met = np.random.default_rng(1).random(len(LATTICE)) < share
    several = prove(photo_of_lattice(met), towns_at(LATTICE)).log10_odds
    monkeypatch.setattr(verify, "SHARES_MET", (0.5,))
    monkeypatch.setattr(verify, "STRONGEST", (10_000,))
    one = prove(photo_of_lattice(met), towns_at(LATTICE)).log10_odds
    assert one == pytest.approx(best_odds(met, (0.5,), (10_000,)))
    assert several > one + 1.0


def test_the_strongest_towns_may_speak_alone() -> None:
    """Dim specks that no map has do not outvote twenty bright towns that it has."""
    bright = np.arange(len(LATTICE)) < 20
    first = prove(photo_of_lattice(bright), towns_at(LATTICE))
    last = prove(photo_of_lattice(bright[::-1]), towns_at(LATTICE))
    assert first.met == last.met == 20
    assert first.log10_odds > last.log10_odds + 4.0


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
