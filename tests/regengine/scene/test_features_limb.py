"""Limb: sky and Earth on their sides of an arc, the layer between them, nothing without one."""

from __future__ import annotations

import numpy as np
import pytest

from regengine.scene.features import limb
from tests.regengine.scene import drawn

EARTH, SKY = (30.0, 32.0, 34.0), (4.0, 4.0, 5.0)


def night_limb(layer: tuple[float, ...], curvature: float = 0.3) -> drawn.Image:
    """Earth, a thin layer and sky."""
    above = drawn.sky_above(drawn.plain(EARTH), layer, curvature, 0.40)
    return drawn.grain(drawn.sky_above(above, SKY, curvature, 0.365))


def measured(image: drawn.Image) -> dict[str, float]:
    return limb.measure(drawn.picture_of(image))


def test_limb_is_told_from_land() -> None:
    arc, land = measured(night_limb((60, 90, 50))), measured(drawn.land())
    assert arc["limb_seen"] > 0.6 > 0.5 > land["limb_seen"]
    assert arc["limb_explained"] > 0.8
    assert arc["limb_curvature"] == pytest.approx(0.3, abs=0.06)


def test_what_lies_beside_no_arc_fades() -> None:
    orange = np.array((1.0, 0.6, 0.2), np.float32)
    assert abs(measured(drawn.rack() * orange)["limb_layer_warm"]) < 0.2
    assert measured(night_limb((220, 130, 40)))["limb_layer_warm"] > 0.4


@pytest.mark.parametrize(("level", "share"), [(0.25, 0.4), (0.6, 0.75)])
def test_share_of_sky(level: float, share: float) -> None:
    image = drawn.grain(drawn.sky_above(drawn.plain((90, 90, 90)), SKY, 0.4, level))
    assert measured(image)["limb_sky_share"] == pytest.approx(share, abs=0.12)


def test_layer_outshines_both_sides() -> None:
    airglow = measured(night_limb((60, 90, 50)))
    bare = measured(drawn.grain(drawn.sky_above(drawn.plain(EARTH), SKY, 0.3)))
    assert airglow["limb_layer"] > bare["limb_layer"] + 0.2


def test_colours_of_the_layer() -> None:
    sunset, day = measured(night_limb((220, 120, 40))), measured(night_limb((60, 120, 220)))
    assert sunset["limb_layer_warm"] > 0.2 > -0.2 > day["limb_layer_warm"]
    assert day["limb_blue"] > sunset["limb_blue"] + 0.2
