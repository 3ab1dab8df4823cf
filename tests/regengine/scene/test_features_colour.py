"""Colour: what was painted is told, at its brightness and share."""

from __future__ import annotations

import numpy as np
import pytest

from regengine.scene.features import colour
from tests.regengine.scene import drawn


def measured(image: drawn.Image) -> dict[str, float]:
    return colour.measure(drawn.picture_of(image))


def painted(share: float, paint: tuple[float, ...], ground: tuple[float, ...]) -> drawn.Image:
    image = drawn.plain(ground)
    image[: round(share * image.shape[0])] = paint
    return drawn.grain(image, 1.0)


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize(
    ("paint", "name", "root"),
    [
        ((60, 170, 70), "colour_green_area", True),
        ((150, 175, 152), "colour_green_area", True),
        ((130, 50, 160), "colour_purple_area", True),
        ((200, 120, 50), "colour_orange_area", False),
        ((60, 90, 200), "colour_blue_area", False),
    ],
)
def test_painted_area(share: float, paint: tuple[float, ...], name: str, root: bool) -> None:
    features = measured(painted(share, paint, (90, 90, 90)))
    assert features[name] == pytest.approx(np.sqrt(share) if root else share, abs=0.05)
    assert features["colour_neutral_area"] == pytest.approx(1 - share, abs=0.25)


def test_grey_has_no_colour() -> None:
    grey = measured(np.repeat(drawn.land().mean(axis=2, keepdims=True), 3, axis=2))
    assert grey["colour_neutral_area"] > 0.98
    assert grey["colourfulness"] < 0.05
    assert max(abs(grey[f"colour_{part}_red"]) for part in ("bright", "dim")) < 0.02


def test_bright_and_dim_pixels_apart() -> None:
    features = measured(painted(0.3, (250, 160, 80), (20, 24, 40)))
    assert features["colour_bright_red"] > 0.3
    assert features["colour_dim_blue"] > 0.1
    assert features["colour_dim_red"] < 0.0


def test_orange_lamps_and_white_cloud() -> None:
    ground = drawn.land(contrast=15.0) * 0.3
    lamps = measured(drawn.spots(ground, drawn.in_towns(200)))
    assert lamps["colour_detail_warm"] > measured(ground)["colour_detail_warm"] + 0.4
    boats = measured(drawn.spots(ground, drawn.in_towns(200), (90, 255, 140)))
    assert boats["colour_detail_green"] > lamps["colour_detail_green"] + 0.3


def test_camera_without_infrared_filter() -> None:
    brown, usual = measured(drawn.near_infrared()), measured(drawn.land())
    assert brown["colour_warmth_slope"] > usual["colour_warmth_slope"] + 0.3


def ground_under_cloud(dark: tuple[float, ...], cloud: tuple[float, ...]) -> drawn.Image:
    """Cloud over a quarter of the ground, in a round window with a blue rim."""
    image = drawn.plain(dark)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    image[(columns // 40) % 4 == 0] = cloud
    height, width = image.shape[:2]
    away = np.hypot(rows - 0.5 * height, columns - 0.5 * width) / (0.5 * height)
    image[away > 0.9] = (20, 40, 110)
    image[away > 0.97] = (4, 4, 4)
    return drawn.grain(image, 1.0)


def test_air_is_blue_over_dark_ground_and_infrared_is_not() -> None:
    """Whatever the white balance, and whatever is round the window."""
    for white in ((1.0, 1.0, 1.0), (0.8, 1.0, 1.0), (1.0, 0.95, 0.8)):
        day, infrared = (
            measured(
                ground_under_cloud(
                    tuple(np.multiply(dark, white)), tuple(np.multiply((235, 235, 235), white))
                )
            )
            for dark in ((50, 75, 110), (110, 85, 60))
        )
        assert day["colour_dark_warmer"] < -0.2
        assert infrared["colour_dark_warmer"] > 0.2
        assert infrared["colour_dark_red"] > day["colour_dark_red"] + 0.4


def test_night_has_no_lit_ground() -> None:
    night = measured(drawn.spots(drawn.plain((3, 3, 4)), drawn.in_towns(20)))
    assert night["colour_dark_red"] == night["colour_dark_warmer"] == 0.0


def test_many_hues() -> None:
    rainbow = drawn.plain((90, 90, 90))
    for place, paint in enumerate([(200, 60, 60), (190, 180, 50), (60, 190, 70), (60, 80, 210)]):
        rainbow[:, 100 * place + 50 : 100 * place + 140] = paint
    one = measured(painted(0.5, (200, 120, 50), (90, 90, 90)))
    assert measured(rainbow)["colour_hues"] > one["colour_hues"] + 1.0
