"""Towns are found where they were planted, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from matchers.verify import LEAST_CONTRAST, OUTER_RATIO, SCALE_PX, find_towns


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


def beside_a_mask(level: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Even light up to a mask whose pixels are dark, and a town 12 px from it."""
    weight = np.ones((200, 300), np.float32)
    weight[:, :150] = 0.0
    image = picture(np.array([[162.0, 100.0]]), np.array([0.5]))
    return np.where(weight > 0.0, image + np.float32(level), np.float32(0.0)), weight


@pytest.mark.parametrize("level", [0.1, 0.5, 2.0])
def test_even_light_beside_a_mask_is_no_town(level: float) -> None:
    """The surroundings are what counts of them; against the dark mask the edge would stand out."""
    image, weight = beside_a_mask(level)
    found = find_towns(image, weight, 100)
    assert found.positions == pytest.approx(np.array([[162.0, 100.0]]), abs=0.3)
    unmasked = find_towns(image, None, 100)
    assert (np.abs(unmasked.x - 150.0) < 2.0 * OUTER_RATIO * SCALE_PX).sum() > 1


def test_a_mask_leaves_far_towns_as_they_are() -> None:
    """And a town beside it rises above what counts, not above the dark."""
    image, weight = beside_a_mask(0.0)
    far = image + picture(np.array([[240.0, 60.0]]), np.array([0.4]))
    masked, plain = find_towns(far, weight, 10), find_towns(far, None, 10)
    assert masked.positions == pytest.approx(plain.positions, abs=0.2)
    at = np.argmax(masked.x)
    assert masked.contrast[at] == pytest.approx(plain.contrast[np.argmax(plain.x)], rel=1e-3)


@pytest.mark.parametrize("hidden", [0.5, 3.0])
def test_light_behind_the_mask_does_not_count(hidden: float) -> None:
    """As where the map shows a city that hardware hides in the photo."""
    image, weight = beside_a_mask(0.1)
    shown = np.where(weight > 0.0, image, np.float32(hidden))
    before, after = find_towns(image, weight, 10), find_towns(shown, weight, 10)
    assert after.positions == pytest.approx(before.positions, abs=0.05)
    assert after.contrast == pytest.approx(before.contrast, rel=0.01)


def test_an_open_mask_changes_nothing() -> None:
    image = picture(planted(3, 12), np.linspace(1.0, 0.3, 12))
    plain, open_mask = find_towns(image, None, 50), find_towns(image, np.ones_like(image), 50)
    assert open_mask.positions == pytest.approx(plain.positions, abs=1e-3)
    assert open_mask.contrast == pytest.approx(plain.contrast, abs=1e-5)
