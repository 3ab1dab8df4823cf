"""Points: cities cluster and are warm, stars are even and white, a flash is one blob."""

from __future__ import annotations

import numpy as np
import pytest

from regengine.scene.features import points
from tests.regengine.scene import drawn

GROUND = drawn.plain((8, 8, 9))
WHITE = (230.0, 230.0, 230.0)


def measured(image: drawn.Image) -> dict[str, float]:
    return points.measure(drawn.picture_of(drawn.grain(image)))


@pytest.mark.parametrize("number", [12, 60, 240])
def test_counts_spots(number: int) -> None:
    # On a lattice, so that none merge
    side = int(np.ceil(np.sqrt(number)))
    x, y = np.meshgrid(np.linspace(20, 620, side), np.linspace(20, 400, side))
    places = np.column_stack([x.ravel(), y.ravel()])[:number]
    features = measured(drawn.spots(GROUND, places))
    assert 10 ** features["points_count"] - 1 == pytest.approx(number, rel=0.05)
    assert 10 ** features["points_contrast"] - 1 == pytest.approx(number, rel=0.3)


@pytest.mark.parametrize("sigma", [1.0, 25.0])
def test_grain_has_no_points(sigma: float) -> None:
    image = drawn.grain(drawn.plain((80, 80, 80)), sigma)
    assert points.measure(drawn.picture_of(image))["points_count"] < np.log10(1 + 3)


def test_border_does_not_make_few_points_look_even() -> None:
    """Clark and Evans' ratio of random points is 1 however few there are."""
    ratios = [
        measured(drawn.spots(GROUND, drawn.evenly(40, seed=seed)))["points_aggregation"]
        for seed in range(12)
    ]
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.05)


def test_towns_cluster_and_stars_do_not() -> None:
    towns = measured(drawn.spots(GROUND, drawn.in_towns(150)))
    even = measured(drawn.spots(GROUND, drawn.evenly(150)))
    assert towns["points_aggregation"] < 0.6
    assert even["points_aggregation"] == pytest.approx(1.0, abs=0.2)
    assert even["points_spread"] > towns["points_spread"] + 0.15


@pytest.mark.parametrize(
    ("colour", "name"),
    [((255, 150, 60), "points_warm"), (WHITE, "points_white"), ((90, 120, 255), "points_blue")],
)
def test_colours(colour: tuple[float, ...], name: str) -> None:
    features = measured(drawn.spots(GROUND, drawn.evenly(80), colour, sigma_px=1.6))
    shares = {key: features[f"points_{key}"] for key in ("warm", "white", "blue")}
    assert max(shares, key=lambda key: shares[key]) == name.removeprefix("points_")
    assert features[name] > 0.8


def test_trails_have_one_direction() -> None:
    trails = sum(
        drawn.spots(GROUND * 0, drawn.evenly(80) + np.array((step, 0.4 * step)), WHITE)
        for step in np.arange(-4, 5)
    )
    assert measured(GROUND + trails / 3)["points_common_direction"] > 0.6
    assert measured(drawn.spots(GROUND, drawn.evenly(80)))["points_common_direction"] < 0.2


def test_web_is_thin_and_flash_a_blob() -> None:
    flash = measured(drawn.spots(GROUND, np.array([(300.0, 200.0)]), (900, 900, 999), 16.0))
    web = measured(drawn.spots(GROUND, drawn.in_towns(300)))
    assert flash["points_web"] < 0.3 < 0.6 < web["points_web"]
    assert flash["points_clipped"] > web["points_clipped"]
    assert web["points_wide"] > 3 * flash["points_wide"]
    assert web["points_patches"] > flash["points_patches"] + 1


def test_land_has_dark_gaps_as_well_as_bright_peaks() -> None:
    land = points.measure(drawn.picture_of(drawn.land()))
    city = measured(drawn.spots(GROUND, drawn.in_towns(150)))
    assert abs(land["points_bright_only"]) < 0.3 < 0.8 < city["points_bright_only"]


def test_light_above_the_dark_ground() -> None:
    shares = [
        measured(drawn.spots(ground, drawn.in_towns(200)))["points_excess"]
        for ground in (GROUND / 4, GROUND * 4, GROUND * 12)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.4 > 0.1 > shares[2]


def test_moonlit_cloud_over_lamps_leaves_them_warm() -> None:
    cloud = drawn.land(contrast=18.0) * 0.35
    lamps = points.measure(drawn.picture_of(drawn.spots(cloud, drawn.in_towns(150))))
    bare = points.measure(drawn.picture_of(cloud))
    assert lamps["points_warm_area"] > bare["points_warm_area"] + 1.0
    assert lamps["points_contrast"] > bare["points_contrast"] + 0.8


@pytest.mark.parametrize("upside_down", [False, True])
def test_stars_are_beyond_the_limb_and_lamps_are_not(upside_down: bool) -> None:
    limb = drawn.sky_above(drawn.plain((40, 44, 40)), (5, 5, 6), 0.3, 0.5)
    places = drawn.evenly(200)
    for side, name in ((-1, "points_in_sky"), (1, "points_on_ground")):
        # 40 px clear of the arc, which rises by 40 px to the borders
        there = places[side * (places[:, 1] - 230.0) > 60.0]
        image = drawn.spots(limb, there, (210.0, 210.0, 210.0))
        features = measured(image[::-1] if upside_down else image)
        assert 10 ** features[name] > 0.6 * len(there)
        other = {"points_in_sky", "points_on_ground"} - {name}
        assert 10 ** features[other.pop()] < 0.1 * len(there)
