"""A made-up country, and a photo of it turned and scaled: its patches find where they come from."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from matchers.lights.polar_patches import (
    ANGLES,
    COMPARED_PER_PLACE,
    MIN_TABLE_SHARE,
    PatchMap,
    PatchPhoto,
    PatchTable,
    build_table,
    correlate,
    find_places,
    fit_placements,
    harmonics,
    normalize_queries,
    place_patches,
    project,
    sample_rings,
)
from matchers.lights.verify import find_light_peaks
from matchers.points.asterisms import frames

SIDE = 900
PIXEL_RAD = 2e-4
TURN_DEG, SCALE = 40.0, 1.08


@pytest.fixture(scope="module")
def country() -> np.ndarray:
    rng = np.random.default_rng(4)
    dots = np.zeros((SIDE, SIDE), np.float32)
    x, y = rng.integers(20, SIDE - 20, (2, 1500))
    dots[y, x] = rng.lognormal(0.0, 1.0, 1500)
    light = cv2.GaussianBlur(dots, (0, 0), 1.5) + cv2.GaussianBlur(dots, (0, 0), 4.0)
    return np.asarray(np.log10(1.0 + 40.0 * light), np.float32)


@pytest.fixture(scope="module")
def towns(country: np.ndarray) -> np.ndarray:
    return find_light_peaks(country, None, 10_000).positions


@pytest.fixture(scope="module")
def table(country: np.ndarray, towns: np.ndarray) -> PatchTable:
    return build_table(harmonics(*sample_rings(country, None, towns[:, 0], towns[:, 1])))


@pytest.fixture(scope="module")
def photo(country: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A part of it, turned and scaled, with noise; and the matrix from it to the country."""
    turn, half = np.radians(TURN_DEG), 110
    there = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * SCALE
    matrix = np.column_stack([there, np.array([450.0, 430.0]) - there @ [half, half]])
    size = (2 * half + 1, 2 * half + 1)
    picture = cv2.warpAffine(country, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    noise = np.random.default_rng(1).normal(0.0, 0.05, picture.shape)
    return np.asarray(picture + noise, np.float32), matrix


def sphere(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pixels of the country as unit vectors about the x axis, where north is up."""
    east, north = (x - SIDE / 2) * PIXEL_RAD, (SIDE / 2 - y) * PIXEL_RAD
    there = np.stack([np.ones_like(east), east, north], axis=-1)
    return np.asarray(there / np.linalg.norm(there, axis=-1, keepdims=True))


def test_each_patch_finds_its_place_and_turn(
    towns: np.ndarray, table: PatchTable, photo: tuple[np.ndarray, np.ndarray]
) -> None:
    picture, matrix = photo
    found = find_light_peaks(picture, None, 100).positions
    found = found[np.abs(found - 110.0).max(axis=1) < 75.0][:8]
    queries = normalize_queries(
        table, harmonics(*sample_rings(picture, None, found[:, 0], found[:, 1]))
    )
    at_turns = correlate(table.coefficients, project(queries))
    first = at_turns.max(axis=0).argmax(axis=1)
    turn = at_turns[:, np.arange(len(first)), first].argmax(axis=0)
    true = found @ matrix[:, :2].T + matrix[:, 2]
    right = np.linalg.norm(towns[first] - true, axis=1) < 3.0
    assert right.mean() >= 0.75
    turned = 360.0 / ANGLES * turn[right]
    assert np.abs((turned - TURN_DEG + 180.0) % 360.0 - 180.0).max() < 360.0 / ANGLES


def test_two_passes_find_the_places_that_all_harmonics_do(
    table: PatchTable, photo: tuple[np.ndarray, np.ndarray]
) -> None:
    picture, _ = photo
    found = find_light_peaks(picture, None, 100).positions
    found = found[np.abs(found - 110.0).max(axis=1) < 75.0][:8]
    queries = normalize_queries(table, harmonics(*sample_rings(picture, None, *found.T)))
    n_places = 2
    assert len(table) > MIN_TABLE_SHARE * COMPARED_PER_PLACE * n_places
    places, turns_rad = find_places(table, queries, n_places)
    at_turns = correlate(table.coefficients, project(queries))
    likeliest = np.argsort(-at_turns.max(axis=0), axis=1)[:, :n_places]
    assert (places == likeliest).mean() > 0.9
    own = np.arange(len(queries))
    turns = at_turns[:, own, places[:, 0]].argmax(axis=0)
    assert turns_rad[:, 0] == pytest.approx(2.0 * np.pi * turns / ANGLES)
    # A patch without any light is like no place, and like all of them
    assert len(find_places(table, queries[:1] * 0.0, n_places)[0][0]) == n_places


def test_patches_that_agree_place_the_photo(
    towns: np.ndarray, table: PatchTable, photo: tuple[np.ndarray, np.ndarray]
) -> None:
    picture, _ = photo
    vectors = sphere(towns[:, 0], towns[:, 1])
    reference = PatchMap(
        vectors=vectors,
        frames=frames(vectors),
        tree=cKDTree(vectors),
        table=table,
        pixel_rad=PIXEL_RAD,
    )
    found = find_light_peaks(picture, None, 12).positions
    step = PIXEL_RAD
    there = np.stack(
        [(found[:, 0] - 110.0) * step, (110.0 - found[:, 1]) * step, np.ones(len(found))], axis=1
    )
    there /= np.linalg.norm(there, axis=1, keepdims=True)
    right = np.array([1.0, 0.0, 0.0]) - there * there[:, :1]
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    seen = PatchPhoto(
        vectors=there,
        frames=np.stack([right, np.cross(there, right), there], axis=-1),
        queries=normalize_queries(
            table, harmonics(*sample_rings(picture, None, found[:, 0], found[:, 1]))
        ),
    )
    [placements] = place_patches(reference, [seen], [np.arange(5)], 30)
    way = max(fit_placements(reference, seen, placements), key=lambda w: w.log10_odds)
    [alone] = fit_placements(reference, seen, [placements[-1]])
    assert alone.rotation == pytest.approx(fit_placements(reference, seen, placements)[-1].rotation)
    assert fit_placements(reference, seen, []) == []
    assert way.log10_odds > 5.0
    assert way.scale == pytest.approx(SCALE, abs=0.02)
    middle = way.rotation @ [0.0, 0.0, 1.0]
    x, y = 450.0, 430.0
    assert np.linalg.norm(middle - sphere(np.array(x), np.array(y))) < 2.0 * PIXEL_RAD
    dark = seen.queries * 0.0
    nothing = PatchPhoto(vectors=there, frames=seen.frames, queries=dark)
    # Together with another photo each is placed as by itself
    both = place_patches(reference, [nothing, seen], [np.arange(5), np.arange(5)], 30)
    assert max(one.log10_odds for one in both[0]) <= 0.0
    assert [one.own for one in both[1]] == [one.own for one in placements]
    assert np.allclose(
        [one.log10_odds for one in both[1]], [one.log10_odds for one in placements], atol=1e-3
    )
    assert place_patches(reference, [], [], 30) == []
