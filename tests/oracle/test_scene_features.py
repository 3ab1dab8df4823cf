"""Features of drawn pictures: each measures what was drawn, whatever way it is turned."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.feature import canny
from skimage.transform import hough_circle, probabilistic_hough_line

from regengine.scene.features import (
    FAMILIES,
    detail,
    feature_names,
    light,
    measure_features,
    shapes,
)
from regengine.scene.picture import scene_picture
from tests.conftest import ROOT
from tests.world import pictures
from tests.world.pictures import DRAWINGS, drawing, eight_bit


def picture_of(image):
    return scene_picture(eight_bit(image))


def colour_of(image):
    return light.measure_colour(picture_of(image))


def painted(share, paint, ground):
    image = pictures.plain(ground)
    image[: round(share * image.shape[0])] = paint
    return pictures.grain(image, 1.0)


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
def test_painted_area(share, paint, name, root):
    features = colour_of(painted(share, paint, (90, 90, 90)))
    assert features[name] == pytest.approx(np.sqrt(share) if root else share, abs=0.05)
    assert features["colour_neutral_area"] == pytest.approx(1 - share, abs=0.25)


def test_camera_without_infrared_filter():
    brown, usual = colour_of(pictures.near_infrared()), colour_of(pictures.land())
    assert brown["colour_warmth_slope"] > usual["colour_warmth_slope"] + 0.3


def disc_of(image):
    return shapes.measure_disc(picture_of(image))


@pytest.mark.parametrize("radius_px", [25.0, 60.0, 120.0])
def test_full_moon_is_round_and_its_size_is_told(radius_px):
    features = disc_of(pictures.disc(radius_px))
    share = np.pi * radius_px**2 / (pictures.SIZE[0] * pictures.SIZE[1])
    assert 10 ** features["disc_area"] == pytest.approx(share, rel=0.12)
    assert features["disc_round"] > 0.9
    assert features["disc_solid"] > 0.95
    assert features["disc_share"] == pytest.approx(1.0)


def test_crescent_is_hollow_and_yet_on_a_circle():
    crescent = disc_of(pictures.disc(100.0, bite=0.4))
    assert crescent["disc_round"] < 0.6
    assert crescent["disc_solid"] < 0.9
    assert crescent["disc_arc"] > 0.45


def test_sun_has_a_halo_and_the_moon_none():
    sun = pictures.disc(25.0) * 3 + pictures.spots(
        pictures.plain((0, 0, 0)), np.array([(640 * 0.45, 210.0)]), (320, 310, 290), 45.0
    )
    assert disc_of(sun)["disc_halo"] > disc_of(pictures.disc(25.0))["disc_halo"] + 0.2
    assert disc_of(sun)["disc_clipped"] > 0.5
    assert disc_of(pictures.disc(25.0))["disc_dark_around"] > 0.9


GROUND = pictures.plain((8, 8, 9))


WHITE = (230.0, 230.0, 230.0)


def points_of(image):
    return detail.measure_points(picture_of(pictures.grain(image)))


@pytest.mark.parametrize("number", [12, 60, 240])
def test_counts_spots(number):
    # On a lattice, so that none merge
    side = int(np.ceil(np.sqrt(number)))
    x, y = np.meshgrid(np.linspace(20, 620, side), np.linspace(20, 400, side))
    places = np.column_stack([x.ravel(), y.ravel()])[:number]
    features = points_of(pictures.spots(GROUND, places))
    assert 10 ** features["points_count"] - 1 == pytest.approx(number, rel=0.05)
    assert 10 ** features["points_contrast"] - 1 == pytest.approx(number, rel=0.3)


@pytest.mark.parametrize("sigma", [1.0, 25.0])
def test_grain_has_no_points(sigma):
    image = pictures.grain(pictures.plain((80, 80, 80)), sigma)
    assert detail.measure_points(picture_of(image))["points_count"] < np.log10(1 + 3)


def test_trails_have_one_direction():
    trails = sum(
        pictures.spots(GROUND * 0, pictures.evenly(80) + np.array((step, 0.4 * step)), WHITE)
        for step in np.arange(-4, 5)
    )
    assert points_of(GROUND + trails / 3)["points_common_direction"] > 0.6
    assert points_of(pictures.spots(GROUND, pictures.evenly(80)))["points_common_direction"] < 0.2


def structure_of(image):
    return shapes.measure_structure(picture_of(image))


def bars(angles_deg):
    """Broad bright bars, two for each angle."""
    image = pictures.plain((20, 20, 20))
    for place, angle in enumerate(2 * angles_deg):
        along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        middle = np.array([320 + 150 * np.cos(place * 1.5), 210 + 90 * np.sin(place * 1.5)])
        ends = [tuple(np.round(middle + side * 130 * along).astype(int)) for side in (-1, 1)]
        image = cv2.line(image, *ends, (200, 200, 200), 9)
    return pictures.grain(np.asarray(image, np.float32))


def test_long_bar_is_measured():
    features = structure_of(bars([20.0]))
    assert features["structure_longest"] == pytest.approx(260 / 640, abs=0.06)
    assert features["structure_one_way"] > 0.8


def test_right_angles_and_other_angles():
    square, six = structure_of(bars([10.0, 100.0])), structure_of(bars([10.0, 55.0, 100.0, 145.0]))
    assert square["structure_right_angles"] > 0.75
    assert square["structure_one_way"] < 0.35
    assert six["structure_right_angles"] < 0.4


@pytest.mark.parametrize("panes", [1, 4, 7])
def test_panes_are_counted(panes):
    image = pictures.plain((12, 12, 12))
    for place in range(panes):
        x, y = 20 + 150 * (place % 4), 40 + 200 * (place // 4)
        image[y : y + 140, x : x + 100] = (190, 200, 210)
    assert 10 ** structure_of(pictures.grain(image))["structure_panes"] - 1 == pytest.approx(panes)


def texture_of(image):
    return detail.measure_texture(picture_of(image))


def blotches(sigma_px):
    """Noise of one size and a contrast of 30 eight-bit steps."""
    noise = np.random.default_rng(1).normal(size=pictures.SIZE).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigma_px)
    return pictures.plain((110, 110, 110)) + 30.0 * (noise / noise.std())[..., None]


def test_slope_grows_with_the_size_of_detail():
    slopes = [texture_of(blotches(sigma))["texture_slope"] for sigma in (0.8, 3.0, 10.0)]
    assert slopes == sorted(slopes)
    assert slopes[0] < 0.0 < slopes[2]


@pytest.mark.parametrize("gain", [0.5, 0.25])
def test_bands_are_logarithms_of_contrast(gain):
    full, part = blotches(2.0), 110.0 + gain * (blotches(2.0) - 110.0)
    change = texture_of(part)["texture_band_8px"] - texture_of(full)["texture_band_8px"]
    assert change == pytest.approx(np.log10(gain), abs=0.05)


def test_flat_busy_and_uneven():
    half = pictures.plain((110, 110, 110))
    half[:, 320:] = blotches(2.0)[:, 320:]
    features = texture_of(half)
    assert features["texture_flat"] == pytest.approx(0.5, abs=0.1)
    assert features["texture_uneven"] > texture_of(blotches(2.0))["texture_uneven"] + 0.5


# ---- what every family promises

TURNS: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "as it is": lambda image: image,
    "left to right": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "quarter": np.rot90,
    "larger": lambda image: cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC),
    "darker": lambda image: (image * 0.9).astype(np.uint8),
}


@cache
def measured(kind, turn="as it is"):
    """Every family's features of a drawing; the families share one picture."""
    picture = scene_picture(np.ascontiguousarray(TURNS[turn](drawing(kind))))
    return {name: dict(family.measure(picture)) for name, family in FAMILIES.items()}


def values(family, kind, turn="as it is"):
    return np.array(list(measured(kind, turn)[family].values()))


def spread(family):
    """Of each feature over unlike pictures: the yardstick for what may not matter."""
    return np.ptp([values(family, kind) for kind in DRAWINGS], axis=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", DRAWINGS)
def test_measures_what_it_says_and_finite(family, kind):
    features = measured(kind)[family]
    assert list(features) == list(FAMILIES[family].meaning)
    assert all(np.isfinite(value) and isinstance(value, float) for value in features.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_no_feature_is_dead(family):
    """Each tells one of the unlike pictures from another, and the yardstick has a length."""
    still = np.array(list(FAMILIES[family].meaning))[spread(family) < 0.02]
    assert not still.size


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [(26, 512), (32, 32), (512, 26), (2, 512), (1, 1), (60, 3)])
def test_any_shape(family, size):
    for kind in ("noise", "night city"):
        features = FAMILIES[family].measure(scene_picture(drawing(kind)[: size[0], : size[1]]))
        assert list(features) == list(FAMILIES[family].meaning)
        assert all(np.isfinite(value) for value in features.values())


@pytest.mark.parametrize("kind", ["night city", "stars", "land", "rack", "moon", "sunset"])
@pytest.mark.parametrize("turn", ["left to right", "upside down", "quarter"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_camera_has_no_up(family, turn, kind):
    """A turn may move a value by 5 % of its spread over unlike pictures."""
    change = values(family, kind, turn) - values(family, kind)
    moved = np.abs(change) > 0.05 * spread(family)
    assert not moved.any(), dict(
        zip(FAMILIES[family].meaning, change / spread(family), strict=True)
    )


@pytest.mark.parametrize("kind", ["night city", "land", "rack", "moon", "sunset"])
@pytest.mark.parametrize("family", FAMILIES)
def test_size_tells_nothing(family, kind):
    change = values(family, kind, "larger") - values(family, kind)
    moved = np.abs(change) > 0.15 * spread(family)
    assert not moved.any(), dict(
        zip(FAMILIES[family].meaning, change / spread(family), strict=True)
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_exposure_by_a_third_of_a_stop_moves_little(family):
    """No feature hangs on one level of brightness: in the mean a tenth of its spread at most."""
    kinds = ("night city", "stars", "land", "rack", "sunset")
    change = [np.abs(values(family, kind, "darker") - values(family, kind)) for kind in kinds]
    moved = np.mean(change, axis=0) > 0.1 * spread(family)
    names = np.array(list(FAMILIES[family].meaning))[moved]
    # What is clipped hangs on the level by its nature
    assert all(name.endswith("_clipped") for name in names), names


def test_caption_is_no_part_of_the_scene():
    image = drawing("night city")
    with_caption = np.vstack([image, np.full((24, image.shape[1], 3), 255, np.uint8)])
    plain, captioned = (measure_features(scene_picture(i)) for i in (image, with_caption))
    whole = np.concatenate([spread(family) for family in FAMILIES])
    moved = np.abs(captioned - plain) > 0.25 * whole
    assert not moved.any(), np.array(feature_names())[moved]


def test_the_page_lists_every_family():
    page = (ROOT / "docs" / "methods" / "scenes.md").read_text(encoding="utf-8")
    for name, family in FAMILIES.items():
        assert f"| `{name}` | {len(family.meaning)} |" in page
    assert f"{len(feature_names())} numbers in {len(FAMILIES)} families" in page


# ---- worked out another way


@pytest.mark.parametrize("radius_px", [60.0, 80.0, 100.0])
def test_the_circle_with_most_edges_is_the_one_that_hough_finds(radius_px):
    """By scikit-image at a quarter of the size; sizes are of half of the long side."""
    picture = picture_of(pictures.disc(radius_px))
    grey = picture.half.half.lightness
    edges = canny(grey, sigma=1.0)
    radii = np.arange(5, 40)
    best = int(radii[hough_circle(edges, radii).max(axis=(1, 2)).argmax()])
    found = shapes.measure_structure(picture)
    assert found["structure_round_size"] == pytest.approx(best / (max(grey.shape) / 2.0), abs=0.04)
    true = radius_px / 320.0
    assert found["structure_round_size"] == pytest.approx(true, abs=0.02)
    assert found["structure_round"] > 0.9
    assert found["structure_rim_dark"] > 0.3
    flat = shapes.measure_structure(picture_of(pictures.plain((90, 90, 90))))
    assert flat["structure_round"] == flat["structure_round_size"] == 0.0


@pytest.mark.parametrize("angles_deg", [[20.0], [10.0, 100.0], [30.0, 90.0]])
def test_directions_of_lines_are_those_that_hough_finds(angles_deg):
    """One way and right angles are resultants of doubled and fourfold angles, by length squared."""
    image = bars(angles_deg)
    found = structure_of(image)
    grey = picture_of(image).half.lightness
    lines = probabilistic_hough_line(canny(grey, sigma=1.5), line_length=60, line_gap=2, rng=0)
    steps = np.array([np.subtract(*ends) for ends in lines]) @ [1.0, 1.0j]
    turn, weight = (steps / np.abs(steps)) ** 2, np.abs(steps) ** 2
    for name, power in (("structure_one_way", 1), ("structure_right_angles", 2)):
        theirs = np.abs((weight * turn**power).sum()) / weight.sum()
        assert found[name] == pytest.approx(theirs, abs=0.13)
    assert found["structure_longest"] == pytest.approx(260.0 / 640.0, abs=0.05)
