"""Scenes: what hour and camera say, odds of classes, and quality."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import astropy.units as u
import cv2
import numpy as np
import pytest
from astropy.coordinates import ITRS, EarthLocation, get_sun
from astropy.time import Time
from astropy.utils import iers
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit
from scipy.stats import norm

import regengine as rg
from benchmarks.simulate.noise import fractal_tile
from benchmarks.simulate.render import smear
from detectors.limb_geometry import limb_angle_deg
from regengine.errors import ConfigError, FrameError
from regengine.orbit import load_tle_file, position_from_nadir
from regengine.result import Reason
from regengine.scene import model_file
from regengine.scene.classify import combine_for_search, explain_by_class, find_skip_reason
from regengine.scene.context import (
    SceneEphemeris,
    camera_factors,
    disagreement,
    light_class,
    prior,
    scale_odds,
    scene_ephemeris,
)
from regengine.scene.features import (
    feature_names,
)
from regengine.scene.labels import Samples, deal_folds, join_samples
from regengine.scene.models import SceneAnswer, fit_calibration, fit_gate, fit_gmm
from regengine.scene.picture import scene_picture
from regengine.scene.quality import (
    HALF_SHARP_PX,
    cloud_fraction,
    measure_exposure,
    measure_sharpness,
    photo_quality,
    read_for_quality,
)
from regengine.scene.training import fit_methods
from tests.conftest import ROOT
from tests.world.program import run

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
# obliquity and declination, 90 - 51.48 +- 23.44 degrees at noon, 51.48 - 90 + 23.44 at midnight.
KNOWN = [
    (datetime(2015, 3, 20, 10, 11), 15.6, 78.2, 11.0, "day"),
    (datetime(2012, 3, 28, 15, 46, 41), 136.3, 34.8, None, "night"),
    (datetime(2012, 6, 20, 12, 2), 0.0, 51.48, 61.96, "day"),
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


def test_the_camera_is_lit_until_the_sun_sets_behind_the_limb():
    """By astropy: the angle between the Sun and the nadir against the limb's, from 400 km up."""
    rng = np.random.default_rng(3)
    differing = 0
    with iers.conf.set_temp("auto_download", False):
        for _ in range(25):
            lon, lat = float(rng.uniform(-180, 180)), float(rng.uniform(-51, 51))
            time = datetime(2014, 1, int(rng.integers(1, 29)), int(rng.integers(24)), tzinfo=UTC)
            when = Time(time)
            camera = EarthLocation.from_geodetic(lon * u.deg, lat * u.deg, 400 * u.km)
            place = np.array([v.to_value(u.m) for v in camera.geocentric])
            sun = get_sun(when).transform_to(ITRS(obstime=when)).cartesian.xyz.to_value(u.m)
            sight = (sun - place) / np.linalg.norm(sun - place)
            # A ray meets the Earth if it passes the centre closer than the surface
            below = sight @ place < 0.0
            closest_km = np.linalg.norm(place - (place @ sight) * sight) / 1000.0
            ours = at(time, lon, lat)
            if not below or abs(closest_km - 6371.0) > 60.0:
                sunlit = ours.light != "night"
                assert sunlit == (not below or closest_km > 6371.0)
                differing += sunlit != (ours.sun_elevation_deg > 0.0)
    assert differing > 0  # the dip matters in some of them


@given(st.floats(-90.0, 90.0), st.floats(-90.0, 90.0), st.floats(0.0, 1.0))
def test_no_class_is_ever_impossible(sun_deg, moon_deg, illumination):
    factors = prior(made(sun_deg, moon_deg, illumination))
    assert set(factors) == CLASSES
    assert all(WRONG_CLOCK * (1 - 1e-9) <= factor <= 1.0 + 1e-9 for factor in factors.values())
    assert factors["inside"] == factors["other"] == pytest.approx(1.0)


@given(st.floats(-90.0, 90.0), st.floats(0.0, 40.0))
def test_a_higher_sun_never_favours_the_night(sun_deg, higher_deg):
    low, high = made(sun_deg), made(min(sun_deg + higher_deg, 90.0))
    order = ("night", "twilight", "day")
    assert order.index(high.light) >= order.index(low.light)
    for name in ("cities", "stars", "aurora", "night_nocity"):
        assert prior(high)[name] <= prior(low)[name] + 1e-9
    for name in ("day", "infrared"):
        assert prior(high)[name] >= prior(low)[name] - 1e-9


@pytest.mark.parametrize(
    ("sun_deg", "probabilities", "suspect"),
    [
        (40.0, {"cities": 0.97, "night_nocity": 0.2}, True),
        (-40.0, {"day": 0.9, "infrared": 0.1}, True),
        (-40.0, {"cities": 0.97}, False),
        (40.0, {"day": 0.97}, False),
        (-40.0, {"inside": 0.97}, False),
        (-40.0, {"day": 0.5, "inside": 0.5}, False),  # may be the lit cabin
        (-12.0, {"cities": 0.99}, False),  # seldom, but done
        (-15.0, {"day": 0.99}, False),
        (40.0, {"sunset_sunrise": 0.99}, True),
        (40.0, {}, False),
        (40.0, {"cities": 0.0}, False),
    ],
)
def test_picture_against_clock(sun_deg, probabilities, suspect):
    said = disagreement(made(sun_deg), probabilities)
    assert (said is not None) == suspect
    if said is not None:
        code, sentence = said.split(": ", 1)
        assert code == "clock_suspect"
        assert f"{abs(sun_deg):.0f} degrees" in sentence


def test_a_moon_that_had_set():
    said = disagreement(made(-40.0, -50.0), {"moon": 0.95})
    assert said is not None
    assert "30 degrees below the limb" in said
    thin = disagreement(made(-40.0, 20.0, 0.01), {"moon": 0.95})
    assert thin is not None
    assert "1 % of the Moon" in thin
    assert disagreement(made(-40.0, -10.0), {"moon": 0.95}) is None  # above the limb, seen so high


def test_no_time_no_ephemeris():
    timeless = position_from_nadir(10.0, 20.0, 400.0, "option")
    assert scene_ephemeris(timeless) is None


@given(
    st.dictionaries(
        st.sampled_from(["cities", "day", "stars", "moon"]), st.floats(0.001, 0.999), min_size=1
    ),
    st.floats(0.02, 1.0),
)
def test_equal_factors_move_nothing_and_all_stays_a_probability(probabilities, factor):
    same = scale_odds(probabilities, dict.fromkeys(probabilities, factor))
    assert same == pytest.approx(probabilities, rel=1e-9)
    moved = scale_odds(probabilities, {"cities": factor, "moon": 0.02})
    assert all(0.0 < p < 1.0 for p in moved.values())


def test_the_hour_decides_what_the_picture_leaves_open():
    by_night = scale_odds({"cities": 0.5, "day": 0.5}, {"cities": 1.0, "day": 0.02})
    assert by_night["cities"] > 0.6 > 0.05 > by_night["day"]
    assert scale_odds({"cities": 0.99, "day": 0.01}, {"cities": 0.02, "day": 1.0})["cities"] > 0.97


@pytest.mark.parametrize("camera", ["NIKON D3S", "Kodak DCS460"])
def test_a_crews_camera_has_an_infrared_filter(camera):
    moved = scale_odds({"infrared": 0.5, "day": 0.5}, camera_factors(camera))
    assert moved["infrared"] < 0.15 < 0.6 < moved["day"]
    assert camera_factors("unknown") == camera_factors(None) == {}


def test_a_schools_camera_takes_no_lamps_and_leaves_day_and_infrared_to_the_picture():
    factors = camera_factors("RP_imx477")
    moved = scale_odds({"infrared": 0.3, "day": 0.5, "cities": 0.2}, factors)
    assert moved["cities"] < 0.1
    open_question = {"infrared": 0.4, "day": 0.6}
    assert scale_odds(open_question, factors) == pytest.approx(open_question)


def answer(*, explained=True, **probabilities):
    return SceneAnswer(
        category=max(probabilities, key=lambda name: probabilities[name]),
        probabilities=probabilities,
        also=(),
        explained=explained,
    )


@pytest.mark.parametrize(
    ("seen", "night", "says"),
    [
        (answer(day=0.9, cities=0.01), False, "classified as day (probability 0.90)"),
        (answer(day=0.36, infrared=0.36), False, "classified as day"),  # they count together
        (answer(day=0.36, infrared=0.32), False, None),
        (answer(other=0.6, day=0.2, cities=0.01), False, "classified as something else"),
        (answer(explained=False, other=0.9, cities=0.01), False, None),  # unknown
        (answer(night_nocity=0.95, cities=0.01), False, None),
        (answer(moon=0.95, cities=0.01), False, None),
        (answer(sunset_sunrise=0.9, cities=0.1), False, None),  # cities beside it
        (answer(other=0.9, cities=0.01), True, None),  # towns behind hardware
        (answer(inside=0.9, cities=0.01), True, "classified as inside"),
        (answer(aurora=0.96, cities=0.01), True, None),
        (answer(aurora=0.97, cities=0.01), True, "classified as aurora (probability 0.97)"),
        (answer(stars=0.98, cities=0.01), True, "classified as stars"),
        (answer(moon=0.98, cities=0.01), False, "classified as moon"),
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
    for picture, in_place in ((day, city), (city, day)):
        scene = combine_for_search(picture, in_place, night=False)
        assert (scene.skip_reason, scene.cities_probability) == (None, 0.5)
    scene = combine_for_search(day, day, night=False)
    assert scene.skip_reason == find_skip_reason(day)
    assert scene.cities_probability == 0.01


@pytest.mark.parametrize(
    ("seen", "code", "says"),
    [
        (answer(stars=0.9, cities=0.1), "no_agreement", "classified as stars (probability 0.90)"),
        (answer(stars=0.9, cities=0.1), "no_agreement", "try regengine solve"),
        (answer(aurora=0.8, cities=0.2), "no_agreement", "try regengine solve"),
        (answer(moon=0.8, cities=0.2), "few_lights", "too few: try regengine solve"),
        (answer(day=0.6, cities=0.4), "no_agreement", "regengine day get"),
        (answer(night_nocity=0.9, cities=0.1), "no_agreement", "as night without cities"),
        (answer(other=0.9, cities=0.1), "no_agreement", "as something else"),
        (answer(cities=0.9, stars=0.1), "no_agreement", None),
        (answer(stars=0.9, cities=0.1), "outside_map", None),
    ],
)
def test_without_a_match_the_class_says_what_to_try(seen, code, says):
    reason = Reason(code=code, text="too few")
    told = explain_by_class(reason, seen)
    assert told.code == code
    assert told == reason if says is None else says in told.text


def test_the_element_sets_of_the_package_tell_where_the_sun_stood(scenes, tmp_path):
    photo, time = scenes / "kinds" / "stars_1.png", ("--time", "2016-05-02T00:00:00Z")
    used = load_tle_file(ROOT / "regengine" / "data" / "element_sets.npz").best_for(
        datetime(2016, 5, 2, tzinfo=UTC)
    )
    (tmp_path / "iss.txt").write_text(f"{used.line1}\n{used.line2}\n")
    (named,) = run("classify", photo, "--json", *time, "--tle", tmp_path / "iss.txt").records
    assert named["ephemeris"] is not None
    assert run("classify", photo, "--json", *time).records == [named]
    assert rg.classify(photo, time=time[1]).to_dict() == named


# ---- Gaussian classes of known truth, in place of measured features

CENTRES = {"cities": 0, "day": 1, "inside": 2}


WIDTH = 0.4


def draw_class(kind, count, rng, features):
    """Rows about a corner of the cube, six widths from the other classes."""
    centre = np.zeros(features)
    centre[CENTRES[kind] :: len(CENTRES)] = 6.0 * WIDTH / np.sqrt(features / len(CENTRES))
    return centre + WIDTH * rng.normal(size=(count, features))


def made_samples(per_class=24, of_group=2, seed=0, features=0):
    """Three classes, groups of equal size; as many features as are measured if not told."""
    features = features or len(feature_names())
    rng = np.random.default_rng(seed)
    return labelled(
        np.concatenate([draw_class(kind, per_class, rng, features) for kind in CENTRES]),
        [(kind,) for kind in CENTRES for _ in range(per_class)],
        [f"{kind}{n // of_group}" for kind in CENTRES for n in range(per_class)],
    )


def labelled(features, labels, groups, simulated=None):
    """Samples of rows; photos, unless it says which are simulated."""
    drawn = np.zeros(len(features), bool) if simulated is None else np.array(simulated, bool)
    return Samples(
        features=features,
        labels=tuple(labels),
        groups=tuple(map(str, groups)),
        simulated=drawn,
        names=tuple(f"photo{n}" for n in range(len(features))),
    )


FEATURES = 12


MADE = made_samples(60, features=FEATURES)


GATE = fit_gate(fit_gmm(MADE.features, seed=0), MADE, seed=0)


def test_new_photos_of_known_classes_are_explained():
    """As many fall as the quantile says, within what 300 draws allow."""
    explained = GATE.explains(made_samples(100, seed=3, features=FEATURES).features)
    assert 1.0 - explained.mean() < 5.0 * 0.01


def scored(count, slope, seed=0):
    """Scores and outcomes of two classes with P = sigmoid(slope * score - 1)."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0.0, 2.0 / slope, (count, 2))
    return scores, rng.random((count, 2)) < 1.0 / (1.0 + np.exp(-(slope * scores - 1.0)))


def fitted(scores, targets, explained=None):
    votes = np.ones(len(scores))
    inside = np.ones(len(scores), bool) if explained is None else explained
    return fit_calibration(scores, targets, inside, votes, np.array([500, 500]), 1)


@pytest.mark.parametrize("slope", [0.05, 1.0, 20.0])
def test_the_curve_is_found(slope):
    odds = fitted(*scored(4000, slope))
    assert odds.slope == pytest.approx(slope, rel=0.15)
    assert odds.offset == pytest.approx(-1.0, abs=0.1)


def test_the_class_ahead_of_all_others_is_probable_however_low_its_score():
    """Scores without meaning but for their order: one of three classes is always there."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600)
    scores = rng.normal(0.0, 5.0, (600, 1)) + rng.normal(0.0, 0.1, (600, 3))
    targets = np.eye(3, dtype=bool)[truth]
    scores[targets] += 2.0
    odds = fit_calibration(scores, targets, np.ones(600, bool), np.ones(600), np.full(3, 500), 2)
    p = odds.probabilities(scores, np.ones(600, bool), 2)
    assert p[targets].min() > 0.9
    assert p[~targets].max() < 0.1


def test_few_photos_never_give_certainty():
    scores = np.array([[9.0, -9.0], [8.0, -9.0], [-9.0, 9.0], [-9.0, 7.0]])
    odds = fit_calibration(scores, scores > 0, np.ones(4, bool), np.ones(4), np.array([2, 2]), 1)
    p = odds.probabilities(np.array([[1e3, -1e3], [-1e3, 1e3]]), np.ones(2, bool), 1)
    assert p.max() <= 3 / 4
    assert p.min() >= 1 / 6


def test_what_fell_before_says_how_sure_other_is():
    scores, targets = scored(400, 1.0)
    explained = np.arange(400) >= 20
    targets[:20] = [False, True]
    assert fitted(scores, targets, explained).unexplained == pytest.approx(21 / 22)
    targets[:20] = [True, False]
    assert fitted(scores, targets, explained).unexplained == 0.51


def test_a_model_that_divides_by_nothing_is_refused_although_its_seal_is_whole(tmp_path):
    model, path = model_file.load_scene_model(), tmp_path / "model.json"
    mixture = model.gate.mixture
    scale = np.where(np.arange(len(model.feature_names)) == 3, 0.0, 1.0)
    axes = replace(mixture.axes, scaler=replace(mixture.axes.scaler, scale=scale))
    gate = replace(model.gate, mixture=replace(mixture, axes=axes))
    path.write_text(model_file.scene_model_text(replace(model, gate=gate)), encoding="utf-8")
    with pytest.raises(ConfigError, match="a scale is not positive"):
        model_file.read_scene_model(path)


def test_a_model_of_the_former_format_is_refused_and_says_what_to_do(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"format": "regengine-scene-model", "format_version": 1}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"format_version is 1, not 2.*regengine train"):
        model_file.read_scene_model(path)


def test_a_model_read_again_answers_as_before(tmp_path):
    """Of each kind of classifier."""
    shipped, path = model_file.load_scene_model(), tmp_path / "model.json"
    made = made_samples(20)
    fitted = fit_methods(made, seed=0)
    for classifier in fitted.classifiers.values():
        model = replace(
            shipped,
            classes=made.classes,
            classifier=classifier,
            gate=fitted.gate,
            calibration=replace(shipped.calibration, ceiling=np.full(len(made.classes), 0.9)),
            training=replace(
                shipped.training,
                **dict.fromkeys(("photos", "groups", "simulated"), (1,) * len(made.classes)),
                confusion=np.eye(len(made.classes), dtype=np.intp),
            ),
        )
        model_file.write_scene_model(path, model)
        again = model_file.read_scene_model(path)
        assert [again.answer(row) for row in made.features] == [
            model.answer(row) for row in made.features
        ]


def test_copies_share_the_vote_of_their_group_and_are_never_tested():
    made = made_samples(6)
    copies = labelled(made.features, made.labels, made.groups, np.ones(len(made), bool))
    both = join_samples([made, copies])
    assert both.copies.tolist() == [False] * len(made) + [True] * len(made)
    assert both.weights.sum() == pytest.approx(made.weights.sum())
    assert both.simulated_counts().sum() == 0
    for fold in deal_folds(both):
        assert not both.simulated[fold.test].any()
        tested = {both.groups[row] for row in fold.test}
        assert not tested & {both.groups[row] for row in fold.train}


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


@pytest.mark.parametrize("haze", [0.0, 0.4])
@pytest.mark.parametrize("cover", [0.0, 0.1, 0.3, 0.6])
def test_clouds_by_day(cover, haze):
    found = cloud_fraction(scene_picture(earth(cover, haze=haze)), "day")
    assert found == pytest.approx(cover, abs=0.05)


@pytest.mark.parametrize("cover", [0.2, 0.4, 0.6])
@pytest.mark.parametrize("category", ["night_nocity", "cities"])
def test_clouds_by_moonlight(cover, category):
    found = cloud_fraction(scene_picture(earth(cover, light=0.3)), category)
    assert found == pytest.approx(cover, abs=0.08)


def test_dark_nights_and_other_classes_tell_nothing_of_clouds():
    for category in ("stars", "aurora", "inside", "infrared", "moon", "sunset_sunrise", "other"):
        assert cloud_fraction(scene_picture(earth(0.4)), category) is None
    assert cloud_fraction(scene_picture(earth(0.4, light=0.03)), "night_nocity") is None


def test_lamps_are_no_clouds():
    rng = np.random.default_rng(4)
    image = np.full((*SIZE, 3), 8.0, np.float32)
    for _ in range(6):
        place = rng.normal(rng.uniform(100, 400, 2), 40, (900, 2)).astype(int) % 512
        image[place[:, 0], place[:, 1]] += rng.uniform(100, 900, (900, 1)) * (1.0, 0.9, 0.75)
    image = cv2.GaussianBlur(image, (0, 0), 1.0)
    picture = scene_picture(np.clip(image, 0, 255).astype(np.uint8))
    assert cloud_fraction(picture, "cities") is None


def test_space_is_no_ground():
    """The same ground with as much black sky beside it has the same cover."""
    image = earth(0.4)
    wide = np.concatenate([image, np.zeros_like(image)], axis=0)
    alone = cloud_fraction(scene_picture(image), "day")
    beside = cloud_fraction(scene_picture(wide), "day")
    assert beside == pytest.approx(alone, abs=0.05)


@pytest.mark.parametrize(("light", "stops"), [(0.18, 0.0), (0.36, 1.0)])
def test_a_grey_card_is_exposed_as_a_meter_has_it(light, stops):
    shown = 1.055 * light ** (1 / 2.4) - 0.055  # IEC 61966-2-1
    card = np.full((300, 400, 3), round(255 * shown), np.uint8)
    exposure = measure_exposure(scene_picture(card))
    assert exposure.stops == pytest.approx(stops, abs=0.03)
    assert exposure.clipped == 0.0
    assert exposure.black == 0.0


def test_both_ends_of_the_scale():
    card = np.full((400, 400, 3), 120, np.uint8)
    card[:100], card[300:] = 0, 255
    card[300:, :300] = (255, 60, 20)  # one clipped colour is enough
    exposure = measure_exposure(scene_picture(card))
    assert exposure.black == pytest.approx(0.25, abs=0.01)
    assert exposure.clipped == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("kind", ["black", "white", "noise"])
@pytest.mark.parametrize("size", [(8, 8), (30, 600), (600, 30), (200, 300)])
@pytest.mark.parametrize("category", ["day", "cities"])
def test_an_answer_for_any_picture(kind, size, category):
    rgb = np.full((*size, 3), 255 if kind == "white" else 0, np.uint8)
    if kind == "noise":
        rgb = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
    quality = photo_quality(rgb, scene_picture(rgb), category)
    assert 0.0 <= quality.sharpness <= 1.0
    assert quality.cloud_fraction is None or 0.0 <= quality.cloud_fraction <= 1.0
    assert np.isfinite(quality.exposure.stops)


def test_a_file_is_read_at_full_resolution(tmp_path):
    image = cv2.resize(earth(0.3), (2600, 1800), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "earth.png"), image[..., ::-1])
    assert np.array_equal(read_for_quality(tmp_path / "earth.png"), image)


def test_a_damaged_file(tmp_path):
    (tmp_path / "no.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    with pytest.raises(FrameError, match=r"no\.jpg"):
        read_for_quality(tmp_path / "no.jpg")


# A scene is drawn at this multiple and brought down, so that it is as sharp as pixels can be
FINER = 4


SIDE = 512


@cache
def scene(kind, seed=1):
    """A sharp picture, 0 to 255: land (a fractal), edges (discs), lamps (points)."""
    rng = np.random.default_rng(seed)
    side = FINER * SIDE
    if kind == "land":
        fine = 110.0 + 45.0 * fractal_tile(rng, side, 1.0)
    elif kind == "edges":
        fine = np.full((side, side), 60.0, np.float32)
        for _ in range(300):
            centre = tuple(int(v) for v in rng.integers(0, side, 2))
            cv2.circle(fine, centre, int(rng.integers(20, 160)), float(rng.uniform(20, 230)), -1)
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
    return image if sigma == 0.0 else np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))


@pytest.mark.parametrize("noise", [0.0, 4.0])
@pytest.mark.parametrize("kind", ["land", "edges", "lamps"])
def test_more_defocus_is_less_sharp(kind, noise):
    sharpness = [
        measure_sharpness(stored(defocused(scene(kind), sigma), noise))
        for sigma in (0.0, 1.0, 2.0, 4.0)
    ]
    assert all(first > second for first, second in itertools.pairwise(sharpness))
    assert sharpness[0] > 0.6
    assert sharpness[-1] < 0.3


@pytest.mark.parametrize("turn_deg", [0.0, 30.0, 100.0])
@pytest.mark.parametrize("kind", ["land", "edges"])
def test_motion_in_any_direction_is_blur(kind, turn_deg):
    assert measure_sharpness(stored(smear(scene(kind), 14.0, turn_deg), 4.0)) < 0.35


@pytest.mark.parametrize("noise", [4.0, 8.0])
def test_noise_is_not_taken_for_sharpness(noise):
    clean = measure_sharpness(stored(defocused(scene("land"), 3.0)))
    assert measure_sharpness(stored(defocused(scene("land"), 3.0), noise)) < clean + 0.1


def test_brightness_and_contrast_change_nothing():
    image = defocused(scene("land"), 1.5)
    dim = measure_sharpness(stored(0.4 * image + 10.0))
    assert dim == pytest.approx(measure_sharpness(stored(image)), abs=0.1)


@pytest.mark.parametrize("size", [(8, 8), (40, 2000), (3, 900), (300, 300)])
def test_where_there_is_no_detail_nothing_is_sharp(size):
    for value in (0, 128, 255):
        assert measure_sharpness(np.full(size, value, np.uint8)) == 0.0
    black = np.zeros((SIDE, SIDE), np.float32)
    assert measure_sharpness(stored(black + 20.0, 5.0)) == 0.0


@pytest.mark.parametrize("kind", ["edges", "lamps", "land"])
def test_sharpness_is_that_of_the_gaussian_blur_that_was_applied(kind):
    """It doubles with the blur; of edges it is as wide as scipy fits one."""
    implied = []
    for blur_px in (1.5, 3.0):
        found = measure_sharpness(stored(defocused(scene(kind), blur_px)))
        implied.append(HALF_SHARP_PX * np.sqrt(1.0 / found - 1.0))
        assert 0.75 * blur_px < implied[-1] < 1.5 * blur_px
    assert implied[1] / implied[0] == pytest.approx(2.0, rel=0.25)
    if kind == "edges":
        edge = cv2.GaussianBlur(np.where(np.arange(200) < 100, 50.0, 200.0)[None], (0, 0), 3.0)
        values, _ = curve_fit(
            lambda at, middle, wide: 50.0 + 150.0 * norm.cdf((at - middle) / wide),
            *(np.arange(200.0), edge[0], [100.0, 1.0]),
        )
        assert implied[1] == pytest.approx(values[1], rel=0.35)
