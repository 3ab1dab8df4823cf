"""Features of drawn pictures: each measures what was drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from regengine.scene.features import detail, layers, light, shapes
from tests.regengine.scene import drawn


def colour_of(image: drawn.Image) -> dict[str, float]:
    return light.measure_colour(drawn.picture_of(image))


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
    features = colour_of(painted(share, paint, (90, 90, 90)))
    assert features[name] == pytest.approx(np.sqrt(share) if root else share, abs=0.05)
    assert features["colour_neutral_area"] == pytest.approx(1 - share, abs=0.25)


def test_camera_without_infrared_filter() -> None:
    brown, usual = colour_of(drawn.near_infrared()), colour_of(drawn.land())
    assert brown["colour_warmth_slope"] > usual["colour_warmth_slope"] + 0.3


def disc_of(image: drawn.Image) -> dict[str, float]:
    return shapes.measure_disc(drawn.picture_of(image))


@pytest.mark.parametrize("radius_px", [25.0, 60.0, 120.0])
def test_full_moon_is_round_and_its_size_is_told(radius_px: float) -> None:
    features = disc_of(drawn.disc(radius_px))
    share = np.pi * radius_px**2 / (drawn.SIZE[0] * drawn.SIZE[1])
    assert 10 ** features["disc_area"] == pytest.approx(share, rel=0.12)
    assert features["disc_round"] > 0.9
    assert features["disc_solid"] > 0.95
    assert features["disc_share"] == pytest.approx(1.0)


def test_crescent_is_hollow_and_yet_on_a_circle() -> None:
    crescent = disc_of(drawn.disc(100.0, bite=0.4))
    assert crescent["disc_round"] < 0.6
    assert crescent["disc_solid"] < 0.9
    assert crescent["disc_arc"] > 0.45


def test_sun_has_a_halo_and_the_moon_none() -> None:
    sun = drawn.disc(25.0) * 3 + drawn.spots(
        drawn.plain((0, 0, 0)), np.array([(640 * 0.45, 210.0)]), (320, 310, 290), 45.0
    )
    assert disc_of(sun)["disc_halo"] > disc_of(drawn.disc(25.0))["disc_halo"] + 0.2
    assert disc_of(sun)["disc_clipped"] > 0.5
    assert disc_of(drawn.disc(25.0))["disc_dark_around"] > 0.9


def gradient_of(image: drawn.Image) -> dict[str, float]:
    return layers.measure_gradient(drawn.picture_of(image))


@pytest.mark.parametrize("turned", [False, True])
def test_sunset(turned: bool) -> None:
    image = drawn.sunset()
    features = gradient_of(np.ascontiguousarray(np.rot90(image)) if turned else image)
    assert features["gradient_contrast"] > 1.5
    assert features["gradient_thin"] < 0.12
    assert features["gradient_warm_end"] > 0.4
    assert features["gradient_cold_end"] > 0.4
    assert features["gradient_dark"] > 0.6


@pytest.mark.parametrize("other", ["land", "night city", "rack", "moon"])
def test_nothing_else_runs_from_warm_to_cold(other: str) -> None:
    features = gradient_of(drawn.drawing(other).astype(np.float32))
    assert features["gradient_order"] < 0.5 * gradient_of(drawn.sunset())["gradient_order"]


EARTH, SKY = (30.0, 32.0, 34.0), (4.0, 4.0, 5.0)


def night_limb(layer: tuple[float, ...], curvature: float = 0.3) -> drawn.Image:
    """Earth, a thin layer and sky."""
    above = drawn.sky_above(drawn.plain(EARTH), layer, curvature, 0.40)
    return drawn.grain(drawn.sky_above(above, SKY, curvature, 0.365))


def limb_of(image: drawn.Image) -> dict[str, float]:
    return layers.measure_limb(drawn.picture_of(image))


def test_limb_is_told_from_land() -> None:
    arc, land = limb_of(night_limb((60, 90, 50))), limb_of(drawn.land())
    assert arc["limb_seen"] > 0.6 > 0.5 > land["limb_seen"]
    assert arc["limb_explained"] > 0.8
    assert arc["limb_curvature"] == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize(("level", "share"), [(0.25, 0.4), (0.6, 0.75)])
def test_share_of_sky(level: float, share: float) -> None:
    image = drawn.grain(drawn.sky_above(drawn.plain((90, 90, 90)), SKY, 0.4, level))
    assert limb_of(image)["limb_sky_share"] == pytest.approx(share, abs=0.12)


def test_layer_outshines_both_sides() -> None:
    airglow = limb_of(night_limb((60, 90, 50)))
    bare = limb_of(drawn.grain(drawn.sky_above(drawn.plain(EARTH), SKY, 0.3)))
    assert airglow["limb_layer"] > bare["limb_layer"] + 0.2


GROUND = drawn.plain((8, 8, 9))
WHITE = (230.0, 230.0, 230.0)


def points_of(image: drawn.Image) -> dict[str, float]:
    return detail.measure_points(drawn.picture_of(drawn.grain(image)))


@pytest.mark.parametrize("number", [12, 60, 240])
def test_counts_spots(number: int) -> None:
    # On a lattice, so that none merge
    side = int(np.ceil(np.sqrt(number)))
    x, y = np.meshgrid(np.linspace(20, 620, side), np.linspace(20, 400, side))
    places = np.column_stack([x.ravel(), y.ravel()])[:number]
    features = points_of(drawn.spots(GROUND, places))
    assert 10 ** features["points_count"] - 1 == pytest.approx(number, rel=0.05)
    assert 10 ** features["points_contrast"] - 1 == pytest.approx(number, rel=0.3)


@pytest.mark.parametrize("sigma", [1.0, 25.0])
def test_grain_has_no_points(sigma: float) -> None:
    image = drawn.grain(drawn.plain((80, 80, 80)), sigma)
    assert detail.measure_points(drawn.picture_of(image))["points_count"] < np.log10(1 + 3)


def test_towns_cluster_and_stars_do_not() -> None:
    towns = points_of(drawn.spots(GROUND, drawn.in_towns(150)))
    even = points_of(drawn.spots(GROUND, drawn.evenly(150)))
    assert towns["points_aggregation"] < 0.6
    assert even["points_aggregation"] == pytest.approx(1.0, abs=0.2)
    assert even["points_spread"] > towns["points_spread"] + 0.15


@pytest.mark.parametrize(
    ("colour", "name"),
    [((255, 150, 60), "points_warm"), (WHITE, "points_white"), ((90, 120, 255), "points_blue")],
)
def test_colours_of_points(colour: tuple[float, ...], name: str) -> None:
    features = points_of(drawn.spots(GROUND, drawn.evenly(80), colour, sigma_px=1.6))
    shares = {key: features[f"points_{key}"] for key in ("warm", "white", "blue")}
    assert max(shares, key=lambda key: shares[key]) == name.removeprefix("points_")
    assert features[name] > 0.8


def test_trails_have_one_direction() -> None:
    trails = sum(
        drawn.spots(GROUND * 0, drawn.evenly(80) + np.array((step, 0.4 * step)), WHITE)
        for step in np.arange(-4, 5)
    )
    assert points_of(GROUND + trails / 3)["points_common_direction"] > 0.6
    assert points_of(drawn.spots(GROUND, drawn.evenly(80)))["points_common_direction"] < 0.2


@pytest.mark.parametrize("upside_down", [False, True])
def test_stars_are_beyond_the_limb_and_lamps_are_not(upside_down: bool) -> None:
    limb = drawn.sky_above(drawn.plain((40, 44, 40)), (5, 5, 6), 0.3, 0.5)
    places = drawn.evenly(200)
    for side, name in ((-1, "points_in_sky"), (1, "points_on_ground")):
        # 40 px clear of the arc, which rises by 40 px to the borders
        there = places[side * (places[:, 1] - 230.0) > 60.0]
        image = drawn.spots(limb, there, (210.0, 210.0, 210.0))
        features = points_of(image[::-1] if upside_down else image)
        assert 10 ** features[name] > 0.6 * len(there)
        other = {"points_in_sky", "points_on_ground"} - {name}
        assert 10 ** features[other.pop()] < 0.1 * len(there)


def structure_of(image: drawn.Image) -> dict[str, float]:
    return shapes.measure_structure(drawn.picture_of(image))


def bars(angles_deg: list[float]) -> drawn.Image:
    """Broad bright bars, two for each angle."""
    image = drawn.plain((20, 20, 20))
    for place, angle in enumerate(2 * angles_deg):
        along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        middle = np.array([320 + 150 * np.cos(place * 1.5), 210 + 90 * np.sin(place * 1.5)])
        ends = [tuple(np.round(middle + side * 130 * along).astype(int)) for side in (-1, 1)]
        image = cv2.line(image, *ends, (200, 200, 200), 9)
    return drawn.grain(np.asarray(image, np.float32))


def test_long_bar_is_measured() -> None:
    features = structure_of(bars([20.0]))
    assert features["structure_longest"] == pytest.approx(260 / 640, abs=0.06)
    assert features["structure_one_way"] > 0.8


def test_right_angles_and_other_angles() -> None:
    square, six = structure_of(bars([10.0, 100.0])), structure_of(bars([10.0, 55.0, 100.0, 145.0]))
    assert square["structure_right_angles"] > 0.75
    assert square["structure_one_way"] < 0.35
    assert six["structure_right_angles"] < 0.4


@pytest.mark.parametrize("panes", [1, 4, 7])
def test_panes_are_counted(panes: int) -> None:
    image = drawn.plain((12, 12, 12))
    for place in range(panes):
        x, y = 20 + 150 * (place % 4), 40 + 200 * (place // 4)
        image[y : y + 140, x : x + 100] = (190, 200, 210)
    assert 10 ** structure_of(drawn.grain(image))["structure_panes"] - 1 == pytest.approx(panes)


def texture_of(image: drawn.Image) -> dict[str, float]:
    return detail.measure_texture(drawn.picture_of(image))


def blotches(sigma_px: float) -> drawn.Image:
    """Noise of one size and a contrast of 30 eight-bit steps."""
    noise = np.random.default_rng(1).normal(size=drawn.SIZE).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigma_px)
    return drawn.plain((110, 110, 110)) + 30.0 * (noise / noise.std())[..., None]


def test_slope_grows_with_the_size_of_detail() -> None:
    slopes = [texture_of(blotches(sigma))["texture_slope"] for sigma in (0.8, 3.0, 10.0)]
    assert slopes == sorted(slopes)
    assert slopes[0] < 0.0 < slopes[2]


@pytest.mark.parametrize("gain", [0.5, 0.25])
def test_bands_are_logarithms_of_contrast(gain: float) -> None:
    full, part = blotches(2.0), 110.0 + gain * (blotches(2.0) - 110.0)
    change = texture_of(part)["texture_band_8px"] - texture_of(full)["texture_band_8px"]
    assert change == pytest.approx(np.log10(gain), abs=0.05)


def test_flat_busy_and_uneven() -> None:
    half = drawn.plain((110, 110, 110))
    half[:, 320:] = blotches(2.0)[:, 320:]
    features = texture_of(half)
    assert features["texture_flat"] == pytest.approx(0.5, abs=0.1)
    assert features["texture_uneven"] > texture_of(blotches(2.0))["texture_uneven"] + 0.5
