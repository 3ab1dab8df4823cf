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


def test_grey_has_no_colour() -> None:
    grey = colour_of(np.repeat(drawn.land().mean(axis=2, keepdims=True), 3, axis=2))
    assert grey["colour_neutral_area"] > 0.98
    assert grey["colourfulness"] < 0.05
    assert max(abs(grey[f"colour_{part}_red"]) for part in ("bright", "dim")) < 0.02


def test_bright_and_dim_pixels_apart() -> None:
    features = colour_of(painted(0.3, (250, 160, 80), (20, 24, 40)))
    assert features["colour_bright_red"] > 0.3
    assert features["colour_dim_blue"] > 0.1
    assert features["colour_dim_red"] < 0.0


def test_orange_lamps_and_white_cloud() -> None:
    ground = drawn.land(contrast=15.0) * 0.3
    lamps = colour_of(drawn.spots(ground, drawn.in_towns(200)))
    assert lamps["colour_detail_warm"] > colour_of(ground)["colour_detail_warm"] + 0.4
    boats = colour_of(drawn.spots(ground, drawn.in_towns(200), (90, 255, 140)))
    assert boats["colour_detail_green"] > lamps["colour_detail_green"] + 0.3


def test_camera_without_infrared_filter() -> None:
    brown, usual = colour_of(drawn.near_infrared()), colour_of(drawn.land())
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
            colour_of(
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
    night = colour_of(drawn.spots(drawn.plain((3, 3, 4)), drawn.in_towns(20)))
    assert night["colour_dark_red"] == night["colour_dark_warmer"] == 0.0


def test_many_hues() -> None:
    rainbow = drawn.plain((90, 90, 90))
    for place, paint in enumerate([(200, 60, 60), (190, 180, 50), (60, 190, 70), (60, 80, 210)]):
        rainbow[:, 100 * place + 50 : 100 * place + 140] = paint
    one = colour_of(painted(0.5, (200, 120, 50), (90, 90, 90)))
    assert colour_of(rainbow)["colour_hues"] > one["colour_hues"] + 1.0


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


def test_storm_is_on_no_circle() -> None:
    places = np.array([(300, 200), (345, 215), (330, 180), (260, 230)], float)
    storm = disc_of(drawn.spots(drawn.plain((8, 8, 9)), places, (600, 600, 700), 18.0))
    moon = disc_of(drawn.disc(60.0))
    assert storm["disc_arc"] < 0.5 < 0.95 < moon["disc_arc"]
    assert storm["disc_rim"] < moon["disc_rim"] - 0.3


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


def test_blue_band_has_a_cold_end_alone() -> None:
    image = drawn.plain((2, 2, 3))
    image[150:170] = (60, 120, 255)
    features = gradient_of(drawn.grain(image, 1.0))
    assert features["gradient_cold_end"] > 0.4
    assert features["gradient_warm_end"] < 0.1


def test_grey_band_has_no_warm_end() -> None:
    grey = np.repeat(drawn.sunset().mean(axis=2, keepdims=True), 3, axis=2)
    features = gradient_of(grey)
    assert abs(features["gradient_warm_end"]) < 0.02
    assert features["gradient_contrast"] > 1.0


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


def test_what_lies_beside_no_arc_fades() -> None:
    orange = np.array((1.0, 0.6, 0.2), np.float32)
    assert abs(limb_of(drawn.rack() * orange)["limb_layer_warm"]) < 0.2
    assert limb_of(night_limb((220, 130, 40)))["limb_layer_warm"] > 0.4


@pytest.mark.parametrize(("level", "share"), [(0.25, 0.4), (0.6, 0.75)])
def test_share_of_sky(level: float, share: float) -> None:
    image = drawn.grain(drawn.sky_above(drawn.plain((90, 90, 90)), SKY, 0.4, level))
    assert limb_of(image)["limb_sky_share"] == pytest.approx(share, abs=0.12)


def test_layer_outshines_both_sides() -> None:
    airglow = limb_of(night_limb((60, 90, 50)))
    bare = limb_of(drawn.grain(drawn.sky_above(drawn.plain(EARTH), SKY, 0.3)))
    assert airglow["limb_layer"] > bare["limb_layer"] + 0.2


def test_colours_of_the_layer() -> None:
    sunset, day = limb_of(night_limb((220, 120, 40))), limb_of(night_limb((60, 120, 220)))
    assert sunset["limb_layer_warm"] > 0.2 > -0.2 > day["limb_layer_warm"]
    assert day["limb_blue"] > sunset["limb_blue"] + 0.2


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


def test_border_does_not_make_few_points_look_even() -> None:
    """Clark and Evans' ratio of random points is 1 however few there are."""
    ratios = [
        points_of(drawn.spots(GROUND, drawn.evenly(40, seed=seed)))["points_aggregation"]
        for seed in range(12)
    ]
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.05)


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


def test_web_is_thin_and_flash_a_blob() -> None:
    flash = points_of(drawn.spots(GROUND, np.array([(300.0, 200.0)]), (900, 900, 999), 16.0))
    web = points_of(drawn.spots(GROUND, drawn.in_towns(300)))
    assert flash["points_web"] < 0.3 < 0.6 < web["points_web"]
    assert flash["points_clipped"] > web["points_clipped"]
    assert web["points_wide"] > 3 * flash["points_wide"]
    assert web["points_patches"] > flash["points_patches"] + 1


def test_land_has_dark_gaps_as_well_as_bright_peaks() -> None:
    land = detail.measure_points(drawn.picture_of(drawn.land()))
    city = points_of(drawn.spots(GROUND, drawn.in_towns(150)))
    assert abs(land["points_bright_only"]) < 0.3 < 0.8 < city["points_bright_only"]


def test_light_above_the_dark_ground() -> None:
    shares = [
        points_of(drawn.spots(ground, drawn.in_towns(200)))["points_excess"]
        for ground in (GROUND / 4, GROUND * 4, GROUND * 12)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.4 > 0.1 > shares[2]


def test_moonlit_cloud_over_lamps_leaves_them_warm() -> None:
    cloud = drawn.land(contrast=18.0) * 0.35
    lamps = detail.measure_points(drawn.picture_of(drawn.spots(cloud, drawn.in_towns(150))))
    bare = detail.measure_points(drawn.picture_of(cloud))
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


def test_rack_has_lines_and_land_has_not() -> None:
    rack, land = structure_of(drawn.rack()), structure_of(drawn.land(contrast=60.0))
    assert rack["structure_long"] > land["structure_long"] + 0.3
    assert rack["structure_straight_edges"] > land["structure_straight_edges"] + 0.3
    assert rack["structure_hard"] > land["structure_hard"]


def test_dark_hardware_counts_as_much() -> None:
    bright, dark = structure_of(bars([10.0, 100.0])), structure_of(bars([10.0, 100.0]) * 0.35)
    assert dark["structure_longest"] == pytest.approx(bright["structure_longest"], abs=0.05)


def test_port_hole() -> None:
    land = drawn.land((480, 640))
    rows, columns = np.mgrid[:480, :640]
    outside = np.hypot(columns - 330.0, rows - 235.0) > 225.0
    features = structure_of(np.where(outside[..., None], np.float32(6.0), land))
    assert features["structure_round"] > 0.6
    assert features["structure_round_size"] == pytest.approx(225 / 320, abs=0.06)
    assert features["structure_rim_dark"] > 0.2
    assert structure_of(land)["structure_round_size"] < 0.1


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


def test_lamps_are_peaks_and_gaps_are_dark() -> None:
    ground = drawn.grain(drawn.plain((60, 60, 60)))
    lamps = drawn.spots(ground, drawn.evenly(150), (150, 150, 150), 2.0)
    gaps = 2.0 * ground - lamps
    assert texture_of(lamps)["texture_peaks"] > texture_of(ground)["texture_peaks"] + 0.5
    assert texture_of(lamps)["texture_upward"] > 0.3 > -0.3 > texture_of(gaps)["texture_upward"]


def test_flat_busy_and_uneven() -> None:
    half = drawn.plain((110, 110, 110))
    half[:, 320:] = blotches(2.0)[:, 320:]
    features = texture_of(half)
    assert features["texture_flat"] == pytest.approx(0.5, abs=0.1)
    assert features["texture_uneven"] > texture_of(blotches(2.0))["texture_uneven"] + 0.5


def test_grain_is_read_where_nothing_else_is() -> None:
    quiet, loud = (
        texture_of(drawn.spots(drawn.grain(drawn.plain((40, 40, 40)), sigma), drawn.evenly(30)))
        for sigma in (1.0, 8.0)
    )
    assert loud["texture_grain"] > quiet["texture_grain"] + 0.3
