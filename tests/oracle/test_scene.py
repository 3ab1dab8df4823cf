"""Scenes: hour, odds of classes, features of what was drawn; how good a frame is."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit

import regengine as rg
from benchmarks.scenes import COPIES, classify_alone, join_samples
from benchmarks.simulate.noise import fractal_tile
from benchmarks.simulate.render import smear
from detectors.limb import limb_angle_deg
from matchers.geometry.map_grid import render_known
from matchers.lights.photo_light import EvenedImage
from matchers.lights.verify import find_light_peaks
from regengine.frames import quality
from regengine.maps.at_hand import PHOTO
from regengine.orbit import position_from_nadir
from regengine.registration.windows import compute_ground_sample_km, find_footprint_window
from regengine.scene.classify import (
    SceneEphemeris,
    SceneInPlace,
    apply_context,
    camera_factors,
    combine_for_search,
    find_disagreement,
    find_skip_reason,
    light_class,
    list_impossible,
    may_be_stars,
    may_need_limb,
    prior,
    scale_odds,
    scene_ephemeris,
    settle_by_evidence,
    settle_by_limb,
)
from regengine.scene.features import FAMILIES, feature_names
from regengine.scene.labels import LabelledFeatures, deal_folds
from regengine.scene.models import SceneAnswer, fit_calibration, load_scene_model
from regengine.scene.picture import (
    HALF_SHARP_PX,
    cloud_fraction,
    measure_exposure,
    measure_sharpness,
    read_scene_rgb,
    scene_picture,
)
from regengine.scene.regions import LimbLights, find_limb_regions
from tests.world import pictures
from tests.world.pictures import DRAWINGS, drawing, eight_bit
from tests.world.runs import LIGHTS as SAMPLE
from tests.world.towns import camera_over

# ---- hour, place and camera

WRONG_CLOCK = 0.02
CLASSES = {
    *("cities", "stars", "aurora", "inside", "day"),
    *("infrared", "night_nocity", "sunset_sunrise", "moon", "other"),
}


def at(time, lon, lat, altitude_km=400.0):
    found = scene_ephemeris(
        position_from_nadir(lon, lat, altitude_km, "option", time_utc=time.replace(tzinfo=UTC))
    )
    assert found is not None
    return found


def made(sun_deg, moon_deg=30.0, illumination=0.5):
    dip = 90.0 - limb_angle_deg(400.0, 0.0)
    return SceneEphemeris(
        sun_elevation_deg=sun_deg,
        moon_elevation_deg=moon_deg,
        moon_illumination=illumination,
        horizon_dip_deg=dip,
        light=light_class(sun_deg, dip),
    )


# The total eclipse of 20 March 2015 on Svalbard, at 10:11 UTC with the Sun 11 degrees high (NASA
# eclipse bulletin); the Osaka frame ISS030-E-184140; solstices at Greenwich by the definition of
# obliquity and declination, 90 - 51.48 - 23.44 degrees at noon, 51.48 - 90 + 23.44 at midnight.
KNOWN = [
    (datetime(2015, 3, 20, 10, 11), 15.6, 78.2, 11.0, "day"),
    (datetime(2012, 3, 28, 15, 46, 41), 136.3, 34.8, None, "night"),
    (datetime(2012, 12, 21, 11, 58), 0.0, 51.48, 15.08, "day"),
    (datetime(2012, 6, 21, 0, 2), 0.0, 51.48, -15.08, "twilight"),
]


@pytest.mark.parametrize(("time", "lon", "lat", "elevation_deg", "light"), KNOWN)
def test_known_times(time, lon, lat, elevation_deg, light):
    found = at(time, lon, lat)
    assert found.light == light
    if elevation_deg is not None:
        assert found.sun_elevation_deg == pytest.approx(elevation_deg, abs=0.5)


def test_the_moon_before_the_sun_is_new():
    eclipse = at(datetime(2015, 3, 20, 10, 11), 15.6, 78.2)
    assert eclipse.moon_elevation_deg == pytest.approx(eclipse.sun_elevation_deg, abs=0.3)
    assert eclipse.moon_illumination < 0.001
    assert prior(eclipse)["moon"] == WRONG_CLOCK


@given(st.floats(-90.0, 90.0), st.floats(0.0, 40.0), st.floats(-90.0, 90.0), st.floats(0.0, 1.0))
def test_no_class_is_impossible_and_a_higher_sun_never_favours_the_night(
    sun_deg, higher_deg, moon_deg, illumination
):
    low = made(sun_deg, moon_deg, illumination)
    high = made(min(sun_deg + higher_deg, 90.0), moon_deg, illumination)
    factors = prior(low)
    assert set(factors) == CLASSES
    assert all(WRONG_CLOCK * (1 - 1e-9) <= factor <= 1.0 + 1e-9 for factor in factors.values())
    assert factors["inside"] == factors["other"] == pytest.approx(1.0)
    order = ("night", "twilight", "day")
    assert order.index(high.light) >= order.index(low.light)
    for name in ("cities", "stars", "aurora", "night_nocity"):
        assert prior(high)[name] <= factors[name] + 1e-9
    for name in ("day", "infrared"):
        assert prior(high)[name] >= factors[name] - 1e-9


@pytest.mark.parametrize(
    ("sun_deg", "probabilities", "suspect"),
    [
        (40.0, {"cities": 0.97, "night_nocity": 0.2}, True),
        (-40.0, {"day": 0.9, "infrared": 0.1}, True),
        (-40.0, {"inside": 0.97}, False),
        (-40.0, {"day": 0.5, "inside": 0.5}, False),  # may be the lit cabin
        (-12.0, {"cities": 0.99}, False),  # seldom, but done
        (40.0, {"sunset_sunrise": 0.99}, True),
        (40.0, {}, False),
    ],
)
def test_picture_against_clock(sun_deg, probabilities, suspect):
    said = find_disagreement(made(sun_deg), probabilities)
    assert (said is not None) == suspect
    if said is not None:
        assert said.code == "clock_suspect"
        assert f"{abs(sun_deg):.0f} degrees {'above' if sun_deg > 0 else 'below'}" in said.text


def test_a_moon_that_had_set():
    said = find_disagreement(made(-40.0, -50.0), {"moon": 0.95})
    assert said is not None
    assert "30 degrees below the limb" in said.text
    thin = find_disagreement(made(-40.0, 20.0, 0.01), {"moon": 0.95})
    assert thin is not None
    assert "only 1 % of the Moon" in thin.text
    # Above the limb, seen so high
    assert find_disagreement(made(-40.0, -10.0), {"moon": 0.95}) is None


def test_the_hour_and_the_camera_decide_what_the_picture_leaves_open():
    by_night = scale_odds({"cities": 0.5, "day": 0.5}, {"cities": 1.0, "day": 0.02})
    assert by_night["cities"] > 0.6 > 0.05 > by_night["day"]
    assert scale_odds({"cities": 0.99, "day": 0.01}, {"cities": 0.02, "day": 1.0})["cities"] > 0.97
    # A crew's camera has an infrared filter
    moved = scale_odds({"infrared": 0.5, "day": 0.5}, camera_factors("NIKON D3S"))
    assert moved["infrared"] < 0.15 < 0.6 < moved["day"]
    assert camera_factors("unknown") == camera_factors(None) == {}


def answer(*, explained=True, **probabilities):
    return SceneAnswer(
        category=max(probabilities, key=lambda name: probabilities[name]),
        probabilities=probabilities,
        also=(),
        explained=explained,
    )


@pytest.mark.parametrize(
    ("seen", "evidence", "category", "also"),
    [
        (answer(night_nocity=0.6, stars=0.1), "stars", "stars", ("night_nocity",)),
        (answer(night_nocity=0.6, cities=0.4), "lights", "cities", ("night_nocity",)),
        (answer(night_nocity=0.6, day=0.1), "ground", "day", ("night_nocity",)),
        (answer(infrared=0.6, day=0.35), "ground", "infrared", ("day",)),
    ],
)
def test_evidence_decides_and_the_features_stay_beside_it(seen, evidence, category, also):
    settled = settle_by_evidence(seen, evidence)
    assert (settled.category, settled.category_from) == (category, evidence)
    assert settled.probabilities == seen.probabilities
    assert settled.also == also


def test_stars_decide_where_the_features_leave_them_and_no_other_lights():
    assert may_be_stars(answer(night_nocity=0.6, stars=0.05))
    assert not may_be_stars(answer(night_nocity=0.6, stars=0.04))
    for lights in ("cities", "aurora", "sunset_sunrise"):
        assert not may_be_stars(answer(**{lights: 0.6, "stars": 0.4}))


@pytest.mark.parametrize(
    ("seen", "above", "below", "category"),
    [
        (answer(cities=0.6, stars=0.01), 40, 10, "stars"),
        (answer(cities=0.6, stars=0.01), 40, 11, "cities"),
        (answer(cities=0.6, stars=0.01), 39, 0, "cities"),
        (answer(stars=0.6, cities=0.3, night_nocity=0.1), 100, 101, "cities"),
        (answer(stars=0.6, cities=0.1, night_nocity=0.3), 100, 101, "night_nocity"),
        (answer(stars=0.6, cities=0.3, night_nocity=0.1), 100, 100, "stars"),
    ],
)
def test_lights_above_the_limb_are_stars_and_those_below_are_not(seen, above, below, category):
    settled = settle_by_limb(seen, LimbLights(above=above, below=below))
    assert settled.category == category
    assert settled.category_from == ("features" if category == seen.category else "limb")
    assert settled.probabilities == seen.probabilities


def test_the_limb_is_asked_where_it_may_decide():
    night, noon = made(-40.0), made(40.0)
    assert may_need_limb(answer(cities=0.6, stars=0.01), None)
    assert may_need_limb(answer(night_nocity=0.6, stars=0.01), night)
    assert may_need_limb(answer(other=0.6, stars=0.05), night)
    assert not may_need_limb(answer(other=0.6, stars=0.04), night)
    assert not may_need_limb(answer(cities=0.6, stars=0.3), noon)
    for other in ("day", "aurora", "sunset_sunrise", "moon", "inside"):
        assert not may_need_limb(answer(**{other: 0.6, "stars": 0.3}), night)


@pytest.mark.parametrize(("lights", "none"), [(120, 0), (0, 120)])
def test_lights_are_counted_on_their_side_of_the_limb(lights, none):
    # A dark Earth under a band of airglow; its edge is a circle whose curvature is that of the limb
    # seen through a lens of 28 mm: tan(20 degrees) of a focal length of 400 pixels
    y, x = np.mgrid[:341, :512].astype(float)
    radius_px = 400.0 / math.tan(math.radians(20.0))
    depth_px = radius_px - np.hypot(x - 255.5, y - 170.0 - radius_px)
    light = 8.0 + 60.0 * np.exp(-0.5 * ((depth_px - 6.0) / 5.0) ** 2) + 14.0 * (depth_px > 16.0)
    rng = np.random.default_rng(0)
    for wanted, side in ((lights, depth_px < -30.0), (none, depth_px > 60.0)):
        rows, columns = np.nonzero(side[::8, ::8])
        for k in rng.choice(len(rows), wanted, replace=False):
            light += 90.0 * np.exp(
                -0.5 * ((x - 8.0 * columns[k]) ** 2 + (y - 8.0 * rows[k]) ** 2) / 1.2**2
            )
    light += rng.normal(0.0, 0.5, light.shape)
    rgb = np.repeat(np.clip(light, 0.0, 255.0).astype(np.uint8)[..., None], 3, axis=2)
    for copy in (rgb, np.rot90(rgb), rgb[:, ::-1]):
        found = find_limb_regions(scene_picture(np.ascontiguousarray(copy)))
        assert found is not None
        assert (len(found.above), len(found.below)) == pytest.approx((lights, none), abs=4)


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_shows_what_its_photo_shows(copy):
    model, rgb = load_scene_model(), read_scene_rgb(PHOTO)
    assert classify_alone(COPIES[copy](rgb), model) == classify_alone(rgb, model) == "cities"


def test_infrared_is_told_by_the_colours_of_the_ground():
    """Dark ground is blue through the air; without a filter it is brown, and grey tells nothing."""
    rng = np.random.default_rng(0)
    lightness = 0.2 + 0.6 * cv2.resize(rng.random((6, 9)), (90, 60), interpolation=cv2.INTER_CUBIC)
    lightness = np.clip(lightness, 0.2, 0.8)[..., None]
    air, brown = (0.3 * (0.9 - lightness) * np.array(tint) for tint in ((-0.3, 0, 1), (1, 0, -0.3)))
    by_day, infrared = (
        np.asarray(255.0 * np.clip(lightness + tint, 0.0, 1.0), np.uint8) for tint in (air, brown)
    )
    for rgb, category in ((by_day, "day"), (infrared, "infrared"), (COPIES["grey"](by_day), "day")):
        for seen in (answer(infrared=0.9, day=0.2), answer(infrared=0.2, day=0.9)):
            found = apply_context(seen, scene_picture(rgb), None, None).settled
            assert found.category == category
            assert found.probabilities["day"] + found.probabilities["infrared"] > 0.9
    shown = scene_picture(COPIES["grey"](infrared))
    grey = apply_context(answer(infrared=0.9, day=0.1), shown, None, None)
    assert grey.settled.probabilities["infrared"] == 0.0


def test_the_height_of_the_sun_rules_out_what_cannot_be_lit_or_dark():
    assert list_impossible(made(-26.0)) == ("day", "infrared")
    assert list_impossible(made(26.0)) == ("cities", "stars", "aurora", "night_nocity")
    for sun_deg in (-24.0, 0.0, 24.0):
        assert list_impossible(made(sun_deg)) == ()


@pytest.mark.parametrize(
    ("seen", "night", "says"),
    [
        (answer(day=0.9, cities=0.01), False, "classified as day (probability 0.90)"),
        (answer(day=0.36, infrared=0.36), False, "classified as day"),  # they count together
        (answer(day=0.36, infrared=0.32), False, None),
        (answer(explained=False, other=0.9, cities=0.01), False, None),  # unknown
        (answer(night_nocity=0.95, cities=0.01), False, None),
        (answer(sunset_sunrise=0.9, cities=0.1), False, None),  # cities beside it
        (answer(other=0.9, cities=0.01), True, None),  # towns behind hardware
        (answer(inside=0.9, cities=0.01), True, "classified as inside"),
        (answer(aurora=0.98, cities=0.01), False, None),  # towns below it
        (answer(moon=0.98, cities=0.01), True, "classified as moon"),
    ],
)
def test_what_shows_no_night_ground_is_not_searched(seen, night, says):
    reason = find_skip_reason(seen, night=night)
    assert (reason is None) == (says is None)
    if reason is not None and says is not None:
        assert reason.code == "not_a_night_city_frame"
        assert says in reason.text
        assert "--any-category" in reason.text


def test_what_picture_or_place_leaves_open_is_searched():
    day, city = answer(day=0.9, cities=0.01), answer(day=0.3, cities=0.5)
    black = scene_picture(np.zeros((9, 9, 3), np.uint8))
    # The clock of one photo in fifty is wrong, and with it the place
    for picture, placed, cities in ((day, city, 0.4902), (city, day, 0.0198)):
        in_place = SceneInPlace(answer=placed, picture=black)
        scene = combine_for_search(picture, in_place, night=False)
        assert scene.skip_reason is None
        assert scene.cities_probability == pytest.approx(cities)
    scene = combine_for_search(day, SceneInPlace(answer=day, picture=black), night=False)
    assert scene.skip_reason == find_skip_reason(day)
    assert scene.cities_probability == pytest.approx(0.01)


def test_lights_are_cities_where_the_ground_is_lit_and_less_so_amid_a_dark_ocean():
    """Of one answer by night: over Lyon, at the coast of Peru, over the Southern Pacific."""
    black, open_to_both = (
        scene_picture(np.zeros((9, 9, 3), np.uint8)),
        answer(cities=0.4, stars=0.4),
    )
    night = datetime(2014, 1, 1, tzinfo=UTC)
    found = []
    for lon, lat, hour in ((4.8, 45.8, 23), (-79.0, -14.0, 5), (-130.0, -45.0, 9)):
        at = position_from_nadir(lon, lat, 410.0, "option", time_utc=night.replace(hour=hour))
        shown = apply_context(open_to_both, black, None, at).answer
        found.append((shown.category, round(shown.probabilities["cities"], 2)))
    assert [name for name, _ in found] == ["cities", "stars", "stars"]
    assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)
    assert found[0][1] > 0.5
    assert found[2][1] < 0.1


# ---- models


def test_few_photos_never_give_certainty():
    scores = np.array([[9.0, -9.0], [8.0, -9.0], [-9.0, 9.0], [-9.0, 7.0]])
    odds = fit_calibration(scores, scores > 0, np.ones(4, bool), np.ones(4), np.array([2, 2]), 1)
    p = odds.probabilities(np.array([[1e3, -1e3], [-1e3, 1e3]]), np.ones(2, bool), 1)
    assert p.max() <= 3 / 4
    assert p.min() >= 1 / 6


def test_copies_share_the_vote_of_their_group_and_are_never_tested():
    labels = [(kind,) for kind in ("cities", "day", "inside") for _ in range(6)]
    rows = np.random.default_rng(0).normal(size=(18, len(feature_names())))
    made, copies = (
        LabelledFeatures(
            features=rows,
            labels=tuple(labels),
            groups=tuple(f"{kind}{n // 2}" for n, (kind,) in enumerate(labels)),
            simulated=np.full(18, simulated),
            names=tuple(f"photo{n}" for n in range(18)),
        )
        for simulated in (False, True)
    )
    both = join_samples([made, copies])
    assert both.copies.tolist() == [False] * 18 + [True] * 18
    assert both.weights.sum() == pytest.approx(made.weights.sum())
    assert both.simulated_counts().sum() == 0
    for train, test in deal_folds(both):
        assert not both.simulated[test].any()
        tested = {both.groups[row] for row in test}
        assert not tested & {both.groups[row] for row in train}


def test_a_calibration_has_a_curve_for_each_class():
    """Those by which the photos were drawn; floors and ceilings by Laplace's rule."""
    rng = np.random.default_rng(3)
    slope, offset = np.array([0.7, 1.4, 0.7, 2.0]), np.array([-0.5, 0.5, -1.0, 0.0])
    scores = rng.normal(0.0, 2.0, (20000, 4))
    two = np.sort(scores, axis=1)
    margin = scores - np.where(scores == two[:, -1:], two[:, -2:-1], two[:, -1:])
    targets = rng.random(scores.shape) < expit(slope * scores + 0.4 * margin + offset)
    votes, explained = rng.uniform(0.2, 1.0, len(scores)), rng.random(len(scores)) < 0.9
    groups = np.array([40, 9, 0, 3])
    found = fit_calibration(scores, targets, explained, votes, groups, 2)
    assert found.slope == pytest.approx(slope, rel=0.1)
    assert found.margin_slope == pytest.approx(0.4, abs=0.05)
    assert found.offset == pytest.approx(offset, abs=0.1)
    assert found.floor == pytest.approx(1.0 / 54.0)
    assert found.ceiling == pytest.approx([41 / 42, 10 / 11, 1 / 2, 4 / 5])
    fallen = votes[~explained].sum()
    strange = votes[~explained & targets[:, 2]].sum()
    least = np.clip((strange + 1.0) / (fallen + 2.0), 0.51, 0.51)
    assert found.unexplained == pytest.approx(least)
    # With three votes of its own, a class has nearly the curve of the others
    few = np.zeros(len(scores), bool)
    few[:6] = True
    votes = np.where(few, 0.5, 0.0)
    rare = fit_calibration(scores, targets, explained, votes, groups, 2)
    assert np.ptp(np.log(rare.slope)) < 1.0
    assert np.ptp(rare.offset) < 1.5


# ---- quality

SIZE = (512, 512)
LAND, SEA, CLOUD = (95.0, 110.0, 80.0), (30.0, 55.0, 95.0), (235.0, 238.0, 240.0)


@cache
def clouds(cover, seed=3):
    field = fractal_tile(np.random.default_rng(seed), SIZE[0], 1.6)
    return field > np.quantile(field, 1.0 - cover) if cover > 0.0 else np.zeros(SIZE, bool)


@cache
def earth(cover, *, light=1.0, haze=0.0):
    """Land and sea under so much cloud, with haze over it, as displayed."""
    land = fractal_tile(np.random.default_rng(8), SIZE[0], 1.8)[..., None] > 0.0
    ground = np.where(land, LAND, SEA) + np.random.default_rng(1).normal(0, 4, (*SIZE, 3))
    picture = np.where(clouds(cover)[..., None], CLOUD, ground)
    picture = picture * (1.0 - haze) + haze * np.array([150.0, 175.0, 205.0])
    smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.0)
    return np.clip(light * smooth, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("cover", "how", "category"),
    [
        (0.0, {}, "day"),
        (0.3, {"haze": 0.4}, "day"),
        (0.6, {}, "day"),
        (0.4, {"light": 0.3}, "night_nocity"),
        (0.6, {"light": 0.3}, "cities"),
    ],
)
def test_clouds_cover_what_was_drawn_by_day_and_by_moonlight(cover, how, category):
    image = earth(cover, **how)
    found = cloud_fraction(scene_picture(image), category)
    assert found == pytest.approx(cover, abs=0.05 if category == "day" else 0.08)
    # The same ground with as much black sky beside it has the same cover
    wide = np.concatenate([image, np.zeros_like(image)], axis=0)
    assert cloud_fraction(scene_picture(wide), category) == pytest.approx(found, abs=0.05)


def test_lamps_dark_nights_and_other_classes_tell_nothing_of_clouds():
    assert cloud_fraction(scene_picture(earth(0.4)), "aurora") is None
    assert cloud_fraction(scene_picture(earth(0.4, light=0.03)), "night_nocity") is None
    rng = np.random.default_rng(4)
    image = np.full((*SIZE, 3), 8.0, np.float32)
    for _ in range(6):
        place = rng.normal(rng.uniform(100, 400, 2), 40, (900, 2)).astype(int) % 512
        image[place[:, 0], place[:, 1]] += rng.uniform(100, 900, (900, 1)) * (1.0, 0.9, 0.75)
    image = cv2.GaussianBlur(image, (0, 0), 1.0)
    picture = scene_picture(np.clip(image, 0, 255).astype(np.uint8))
    assert cloud_fraction(picture, "cities") is None


def test_a_grey_card_is_exposed_as_a_meter_has_it_and_both_ends_are_told():
    for light, stops in ((0.18, 0.0), (0.36, 1.0)):
        shown = 1.055 * light ** (1 / 2.4) - 0.055  # IEC 61966-2-1
        card = np.full((300, 400, 3), round(255 * shown), np.uint8)
        exposure = measure_exposure(scene_picture(card))
        assert exposure["exposure_stops"] == pytest.approx(stops, abs=0.03)
        assert (exposure["clipped_share"], exposure["black_share"]) == (0.0, 0.0)
    card = np.full((400, 400, 3), 120, np.uint8)
    card[:100], card[300:] = 0, 255
    card[300:, :300] = (255, 60, 20)  # one clipped colour is enough
    exposure = measure_exposure(scene_picture(card))
    assert exposure["black_share"] == pytest.approx(0.25, abs=0.01)
    assert exposure["clipped_share"] == pytest.approx(0.25, abs=0.01)


# A scene is drawn at this multiple and brought down, so that it is as sharp as pixels can be
FINER = 4
SIDE = 512


@cache
def scene(kind, seed=1):
    """A sharp picture, 0 to 255: land (a fractal) or lamps (points)."""
    rng = np.random.default_rng(seed)
    side = FINER * SIDE
    if kind == "land":
        fine = 110.0 + 45.0 * fractal_tile(rng, side, 1.0)
    else:
        fine = np.full((side, side), 15.0, np.float32)
        rows, columns = rng.integers(8, side - 8, (2, 2500))
        fine[rows, columns] += (rng.exponential(20000.0, 2500)).astype(np.float32)
        fine = cv2.GaussianBlur(fine, (0, 0), 0.7 * FINER)
    small = cv2.resize(fine.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small, 0.0, 255.0), np.float32)


def stored(image, noise=0.0):
    noisy = image + noise * np.random.default_rng(5).standard_normal(image.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def defocused(image, sigma):
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))


def test_blur_noise_and_emptiness_are_not_sharp():
    land, blurred = scene("land"), defocused(scene("land"), 3.0)
    assert measure_sharpness(stored(land)) > 0.6
    assert measure_sharpness(stored(smear(land, 14.0, 30.0), 4.0)) < 0.35
    clean = measure_sharpness(stored(blurred))
    assert measure_sharpness(stored(blurred, 8.0)) < clean + 0.1
    assert measure_sharpness(stored(0.4 * blurred + 10.0)) == pytest.approx(clean, abs=0.1)
    assert measure_sharpness(np.full((40, 2000), 128, np.uint8)) == 0.0
    assert measure_sharpness(stored(np.full((SIDE, SIDE), 20.0, np.float32), 5.0)) == 0.0


@pytest.mark.parametrize("kind", ["lamps", "land"])
def test_sharpness_is_that_of_the_gaussian_blur_that_was_applied(kind):
    """It doubles with the blur."""
    implied = []
    for blur_px in (1.5, 3.0):
        found = measure_sharpness(stored(defocused(scene(kind), blur_px)))
        implied.append(HALF_SHARP_PX * np.sqrt(1.0 / found - 1.0))
        assert 0.75 * blur_px < implied[-1] < 1.5 * blur_px
    assert implied[1] / implied[0] == pytest.approx(2.0, rel=0.25)


# ---- what features say of a drawn picture


def picture_of(image):
    return scene_picture(eight_bit(image))


def measure(feature, image):
    """One feature, by the family that its name begins with."""
    return FAMILIES[feature.partition("_")[0]].measure(picture_of(image))[feature]


def painted(share, paint):
    image = pictures.plain((90, 90, 90))
    image[: round(share * image.shape[0])] = paint
    return pictures.grain(image, 1.0)


def lit_points(places, colour=pictures.LAMP, sigma_px=1.3):
    ground = pictures.plain((8, 8, 9))
    return pictures.grain(pictures.spots(ground, places, colour, sigma_px))


def lattice(number):
    """Spots that do not merge."""
    side = int(np.ceil(np.sqrt(number)))
    x, y = np.meshgrid(np.linspace(20, 620, side), np.linspace(20, 400, side))
    return lit_points(np.column_stack([x.ravel(), y.ravel()])[:number])


def test_features_measure_what_was_drawn():
    for feature, image, value, off in (
        ("colour_green_area", painted(0.5, (60, 170, 70)), 0.5**0.5, 0.05),
        ("colour_purple_area", painted(0.1, (130, 50, 160)), 0.1**0.5, 0.05),
        ("colour_orange_area", painted(0.5, (200, 120, 50)), 0.5, 0.05),
        ("colour_blue_area", painted(0.1, (60, 90, 200)), 0.1, 0.05),
        ("disc_area", pictures.disc(60.0), np.log10(np.pi * 60.0**2 / 268800), 0.05),
        ("disc_solid", pictures.disc(60.0), 0.975, 0.025),
        ("disc_round", pictures.disc(100.0, bite=0.4), 0.3, 0.3),
        ("points_count", lattice(60), np.log10(61), 0.03),
        ("points_contrast", lattice(60), np.log10(61), 0.12),
        ("points_common_direction", lit_points(pictures.evenly(80)), 0.1, 0.1),
        ("structure_round_size", pictures.disc(80.0), 80.0 / 320.0, 0.02),
        ("structure_round", pictures.plain((90, 90, 90)), 0.0, 0.0),
    ):
        assert measure(feature, image) == pytest.approx(value, abs=off), feature


# ---- what every family promises

TURNS: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "as it is": lambda image: image,
    "quarter": np.rot90,
    "larger": lambda image: cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC),
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


@pytest.mark.parametrize(("turn", "share"), [("quarter", 0.05), ("larger", 0.15)])
@pytest.mark.parametrize("kind", ["night city", "land", "rack", "moon", "sunset"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_camera_has_no_up_and_size_tells_nothing(family, kind, turn, share):
    """They may move a value by a share of its spread over unlike pictures."""
    change = values(family, kind, turn) - values(family, kind)
    moved = np.abs(change) > share * spread(family)
    assert not moved.any(), np.array(list(FAMILIES[family].meaning))[moved]


# ---- how good a frame is for looking at its place, and how much of it clouds hide

USUAL: dict[str, Any] = {
    "sharpness": 0.8,
    "cloud": 0.1,
    "off_nadir_deg": 0.0,
    "altitude_km": 400.0,
    "resolution_m": 100.0,
}


@pytest.mark.parametrize(
    ("other", "product"),
    [
        ({"resolution_m": 300.0}, 0.8 * 0.9 * 1.0 * 0.25),
        ({"sharpness": None, "cloud": None}, 0.5 * 0.5 * 1.0 * 0.5),
        ({"sharpness": 0.0, "cloud": 1.0}, 0.01 * 0.01 * 1.0 * 0.5),
        ({"off_nadir_deg": 89.0}, 0.8 * 0.9 * 0.01 * 0.5),
        ({"off_nadir_deg": 30.0, "altitude_km": 0.0}, 0.8 * 0.9 * math.cos(math.pi / 6.0) * 0.5),
    ],
)
def test_the_score_is_the_geometric_mean_of_four_parts(other, product):
    assert quality.quality_score(**USUAL | other) == pytest.approx(product**0.25)
    assert quality.quality_score(**USUAL | other | {"resolution_m": None}) is None


def test_the_ground_is_seen_as_slantingly_as_its_ray_meets_the_sphere():
    turn = math.radians(55.0)
    camera, ray = np.array([0.0, 6771.0]), np.array([math.sin(turn), -math.cos(turn)])
    ahead = -camera @ ray
    ground = camera + (ahead - math.sqrt(ahead**2 - camera @ camera + 6371.0**2)) * ray
    expected = -ray @ ground / np.linalg.norm(ground)
    assert quality.incidence_part(55.0, 400.0) == pytest.approx(expected)


def test_what_clouds_hide_is_what_is_not_met_beyond_chance_of_what_a_clear_sky_shows():
    """The map's own view, dark where a cloud is; 84 in 100 are met under a clear sky."""
    camera = camera_over(-150.0, 39.0, width=500, height=400, focal_px=900.0)
    light_map = rg.open_light_map([SAMPLE])
    levels = find_footprint_window(light_map, camera, 25.0, compute_ground_sample_km(camera) / 1.2)
    view, _ = render_known(levels, camera, 2)
    ones = np.ones_like(view)
    clouds = np.random.default_rng(2).random((20, 25)).repeat(20, 0).repeat(20, 1)
    expected = find_light_peaks(view, ones, 40)
    for share in (0.0, 0.4, 0.7):
        values = np.where(clouds < share, np.float32(0.0), view)
        image = EvenedImage(values=values, weight=ones, factor=1.0)
        found = quality.estimate_hidden_share(image, camera, light_map)
        seen = find_light_peaks(image.resized(512).values, ones, 400)
        met, chance = quality.measure_met_shares(expected, seen, (500, 400))
        clear = 1.0 - (met - chance) / (1.0 - chance) / 0.84
        assert found == pytest.approx(min(max(clear, 0.0), 1.0), abs=1e-6)
        assert (found == 0.0) == (share == 0.0)
    dark = EvenedImage(values=0.0 * view, weight=ones, factor=1.0)
    assert quality.estimate_hidden_share(dark, camera, light_map) is None
