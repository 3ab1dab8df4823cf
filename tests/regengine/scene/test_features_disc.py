"""Disc: the Moon's roundness, size, rim and crescent, and what the Sun's halo adds."""

from __future__ import annotations

import numpy as np
import pytest

from regengine.scene.features import disc
from tests.regengine.scene import drawn


def measured(image: drawn.Image) -> dict[str, float]:
    return disc.measure(drawn.picture_of(image))


@pytest.mark.parametrize("radius_px", [25.0, 60.0, 120.0])
def test_full_moon_is_round_and_its_size_is_told(radius_px: float) -> None:
    features = measured(drawn.disc(radius_px))
    share = np.pi * radius_px**2 / (drawn.SIZE[0] * drawn.SIZE[1])
    assert 10 ** features["disc_area"] == pytest.approx(share, rel=0.12)
    assert features["disc_round"] > 0.9
    assert features["disc_solid"] > 0.95
    assert features["disc_share"] == pytest.approx(1.0)


def test_crescent_is_hollow_and_yet_on_a_circle() -> None:
    crescent = measured(drawn.disc(100.0, bite=0.4))
    assert crescent["disc_round"] < 0.6
    assert crescent["disc_solid"] < 0.9
    assert crescent["disc_arc"] > 0.45


def test_storm_is_on_no_circle() -> None:
    places = np.array([(300, 200), (345, 215), (330, 180), (260, 230)], float)
    storm = measured(drawn.spots(drawn.plain((8, 8, 9)), places, (600, 600, 700), 18.0))
    moon = measured(drawn.disc(60.0))
    assert storm["disc_arc"] < 0.5 < 0.95 < moon["disc_arc"]
    assert storm["disc_rim"] < moon["disc_rim"] - 0.3


def test_sun_has_a_halo_and_the_moon_none() -> None:
    sun = drawn.disc(25.0) * 3 + drawn.spots(
        drawn.plain((0, 0, 0)), np.array([(640 * 0.45, 210.0)]), (320, 310, 290), 45.0
    )
    assert measured(sun)["disc_halo"] > measured(drawn.disc(25.0))["disc_halo"] + 0.2
    assert measured(sun)["disc_clipped"] > 0.5
    assert measured(drawn.disc(25.0))["disc_dark_around"] > 0.9
