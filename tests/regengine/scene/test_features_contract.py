"""Every family of features keeps what the package promises."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from regengine.scene.features import FAMILIES, feature_names, measure_features
from regengine.scene.picture import scene_picture
from tests.conftest import ROOT
from tests.regengine.scene.drawn import DRAWINGS, drawing

TURNS: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "as it is": lambda image: image,
    "left to right": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "quarter": np.rot90,
    "larger": lambda image: cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC),
    "darker": lambda image: (image * 0.9).astype(np.uint8),
}


@cache
def measured(kind: str, turn: str = "as it is") -> dict[str, dict[str, float]]:
    """Every family's features of a drawing; the families share one picture."""
    picture = scene_picture(np.ascontiguousarray(TURNS[turn](drawing(kind))))
    return {name: dict(family.measure(picture)) for name, family in FAMILIES.items()}


def values(family: str, kind: str, turn: str = "as it is") -> NDArray[np.float64]:
    return np.array(list(measured(kind, turn)[family].values()))


def spread(family: str) -> NDArray[np.float64]:
    """Of each feature over unlike pictures: the yardstick for what may not matter."""
    return np.ptp([values(family, kind) for kind in DRAWINGS], axis=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", DRAWINGS)
def test_measures_what_it_says_and_finite(family: str, kind: str) -> None:
    features = measured(kind)[family]
    assert list(features) == list(FAMILIES[family].meaning)
    assert all(np.isfinite(value) and isinstance(value, float) for value in features.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_no_feature_is_dead(family: str) -> None:
    """Each tells one of the unlike pictures from another, and the yardstick has a length."""
    still = np.array(list(FAMILIES[family].meaning))[spread(family) < 0.02]
    assert not still.size


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [(26, 512), (32, 32), (512, 26), (2, 512), (1, 1), (60, 3)])
def test_any_shape(family: str, size: tuple[int, int]) -> None:
    for kind in ("noise", "night city"):
        features = FAMILIES[family].measure(scene_picture(drawing(kind)[: size[0], : size[1]]))
        assert list(features) == list(FAMILIES[family].meaning)
        assert all(np.isfinite(value) for value in features.values())


@pytest.mark.parametrize("kind", ["night city", "stars", "land", "rack", "moon", "sunset"])
@pytest.mark.parametrize("turn", ["left to right", "upside down", "quarter"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_camera_has_no_up(family: str, turn: str, kind: str) -> None:
    """A turn may move a value by 5 % of its spread over unlike pictures."""
    change = values(family, kind, turn) - values(family, kind)
    moved = np.abs(change) > 0.05 * spread(family)
    assert not moved.any(), dict(
        zip(FAMILIES[family].meaning, change / spread(family), strict=True)
    )


@pytest.mark.parametrize("kind", ["night city", "land", "rack", "moon", "sunset"])
@pytest.mark.parametrize("family", FAMILIES)
def test_size_tells_nothing(family: str, kind: str) -> None:
    change = values(family, kind, "larger") - values(family, kind)
    moved = np.abs(change) > 0.15 * spread(family)
    assert not moved.any(), dict(
        zip(FAMILIES[family].meaning, change / spread(family), strict=True)
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_exposure_by_a_third_of_a_stop_moves_little(family: str) -> None:
    """No feature hangs on one level of brightness: in the mean a tenth of its spread at most."""
    kinds = ("night city", "stars", "land", "rack", "sunset")
    change = [np.abs(values(family, kind, "darker") - values(family, kind)) for kind in kinds]
    moved = np.mean(change, axis=0) > 0.1 * spread(family)
    names = np.array(list(FAMILIES[family].meaning))[moved]
    # What is clipped hangs on the level by its nature
    assert all(name.endswith("_clipped") for name in names), names


def test_caption_is_no_part_of_the_scene() -> None:
    image = drawing("night city")
    with_caption = np.vstack([image, np.full((24, image.shape[1], 3), 255, np.uint8)])
    plain, captioned = (measure_features(scene_picture(i)) for i in (image, with_caption))
    whole = np.concatenate([spread(family) for family in FAMILIES])
    moved = np.abs(captioned - plain) > 0.25 * whole
    assert not moved.any(), np.array(feature_names())[moved]


def test_the_page_lists_every_family() -> None:
    page = (ROOT / "docs" / "methods" / "scenes.md").read_text(encoding="utf-8")
    for name, family in FAMILIES.items():
        assert f"| `{name}` | {len(family.meaning)} |" in page
    assert f"{len(feature_names())} numbers in {len(FAMILIES)} families" in page
