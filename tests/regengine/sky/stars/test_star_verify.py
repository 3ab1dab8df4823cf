"""A right camera is proven by stars that did not propose it; a wrong one is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion
from regengine.sky.stars.star_fit import move_camera
from regengine.sky.stars.star_verify import (
    MagnitudeParams,
    StarField,
    VerifyParameters,
    light_ratios,
    verify,
)


def sky(seed: int, count: int = 3000) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def looking(seed: int, **changes: object) -> SkyCamera:
    values = {
        "width_px": 1500,
        "height_px": 1000,
        "focal_px": 2000.0,
        "principal_point": (749.5, 499.5),
        "quaternion_icrs": matrix_quaternion(Rotation.random(random_state=seed).as_matrix()),
    } | changes
    return SkyCamera(**values)


def scene(seed: int, camera: SkyCamera) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Stars of the sky, detections with false ones among them, and which star each is."""
    rng = np.random.default_rng(seed)
    vectors = sky(seed)
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
def test_a_right_camera_is_proven_and_its_distortion_found(mirrored: bool) -> None:
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


def test_wrong_cameras_have_no_odds_to_speak_of() -> None:
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


def test_the_proposing_figure_does_not_count() -> None:
    camera = looking(4)
    rng = np.random.default_rng(5)
    # Six stars in the picture and nothing else: three proposed it, three speak
    x, y = rng.uniform(100, 1400, 6), rng.uniform(100, 900, 6)
    vectors = np.concatenate([camera.to_sky(x, y), sky(6, 500)])
    px, py = camera.project(vectors[6:])
    vectors = np.concatenate([vectors[:6], vectors[6:][~camera.sees(px, py)]])
    pairs = np.stack([np.arange(6)] * 2, axis=1)
    few = VerifyParameters(depths=(25,))
    whole = verify(
        camera, pairs, np.zeros(0, np.intp), StarField(x=x, y=y, vectors_icrs=vectors), few
    )
    held_out = verify(camera, pairs, np.arange(3), StarField(x=x, y=y, vectors_icrs=vectors), few)
    assert held_out.log10_odds < 0.7 * whole.log10_odds


def test_too_few_pairs_are_no_camera() -> None:
    camera = move_camera(looking(7), np.zeros(11))
    pairs = np.array([[0, 0], [1, 1], [2, 2]])
    three = np.array([10.0, 500.0, 900.0])
    field = StarField(x=three, y=three, vectors_icrs=sky(8, 50))
    assert verify(camera, pairs, np.arange(3), field, VerifyParameters()) is None


LIGHT = MagnitudeParams()


def magnitudes(rng: np.random.Generator, count: int = 75) -> np.ndarray:
    """Magnitudes of stars in a picture: three times as many for each magnitude fainter."""
    return np.sort(8.0 - rng.exponential(0.9, count))


def test_stars_of_their_brightness_gain_and_others_lose_little() -> None:
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


def test_by_chance_the_expected_ratio_is_one() -> None:
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
