"""Every family of features, found by being there, keeps what the package promises."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from regengine.scene.features import Family, families, feature_names, measure_features
from regengine.scene.picture import scene_picture

FAMILIES = families()


def picture(kind: str, size: tuple[int, int] = (420, 640)) -> NDArray[np.uint8]:
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    if kind == "black":
        image = np.zeros((*size, 3))
    elif kind == "white":
        image = np.full((*size, 3), 255.0)
    elif kind == "noise":
        image = rng.uniform(0, 255, (*size, 3))
    elif kind == "grey":
        image = np.repeat(rng.uniform(0, 90, (*size, 1)), 3, axis=2)
    else:  # lamps over a dark land, a limb, green airglow
        below = rows > 90 + 0.0004 * (columns - 320) ** 2
        image = np.where(below[..., None], (9.0, 10.0, 14.0), (3.0, 5.0, 4.0))
        for _ in range(120):
            x, y = rng.uniform(0, size[1]), rng.uniform(150, size[0])
            spot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * rng.uniform(1, 4) ** 2))
            image = image + spot[..., None] * (255.0, 180.0, 90.0) * rng.uniform(0.2, 1.0)
        image = image + rng.normal(0, 2, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
@pytest.mark.parametrize("kind", ["black", "white", "noise", "grey", "lamps"])
def test_measures_what_it_says_and_finite(family: Family, kind: str) -> None:
    measured = family.measure(scene_picture(picture(kind)))
    assert list(measured) == list(family.meaning)
    assert all(np.isfinite(value) and isinstance(value, float) for value in measured.values())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
@pytest.mark.parametrize("size", [(26, 512), (32, 32), (512, 26), (2, 512)])
def test_any_shape(family: Family, size: tuple[int, int]) -> None:
    measured = family.measure(scene_picture(picture("noise", size)))
    assert all(np.isfinite(value) for value in measured.values())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_says_what_it_measures(family: Family) -> None:
    assert family.version >= 1
    assert all(name.isidentifier() and len(text) > 20 for name, text in family.meaning.items())


@pytest.mark.parametrize("turn", ["left to right", "upside down", "quarter"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_a_camera_has_no_up(family: Family, turn: str) -> None:
    """The spread over unlike pictures is the yardstick: a turn may move a value by 5 % of it."""
    kinds = ("black", "white", "noise", "lamps")
    values = [list(family.measure(scene_picture(picture(kind))).values()) for kind in kinds]
    spread = np.ptp(np.array(values), axis=0)
    image = picture("lamps")
    turned = {
        "left to right": image[:, ::-1],
        "upside down": image[::-1],
        "quarter": np.rot90(image),
    }[turn]
    change = np.array(list(family.measure(scene_picture(turned)).values())) - np.array(values[3])
    assert np.all(np.abs(change) <= 0.05 * spread + 1e-6), dict(
        zip(family.meaning, change.tolist(), strict=True)
    )


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_size_tells_nothing(family: Family) -> None:
    kinds = ("black", "white", "noise", "lamps")
    values = [list(family.measure(scene_picture(picture(kind))).values()) for kind in kinds]
    spread = np.ptp(np.array(values), axis=0)
    large = cv2.resize(picture("lamps"), (2560, 1680), interpolation=cv2.INTER_CUBIC)
    change = np.array(list(family.measure(scene_picture(large)).values())) - np.array(values[3])
    assert np.all(np.abs(change) <= 0.15 * spread + 1e-6), dict(
        zip(family.meaning, change.tolist(), strict=True)
    )


def test_all_features_in_one_row() -> None:
    row = measure_features(scene_picture(picture("lamps")))
    assert row.shape == (len(feature_names()),)
    assert len(set(feature_names())) == len(feature_names())
