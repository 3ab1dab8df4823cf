"""Scenes: hour and camera, odds of classes, quality, and features that measure what was drawn."""

from __future__ import annotations

import itertools
from collections.abc import Callable
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
from numpy.typing import NDArray
from scipy.optimize import curve_fit, minimize
from scipy.special import expit
from scipy.stats import norm
from skimage.feature import canny
from skimage.transform import hough_circle, probabilistic_hough_line

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
from regengine.scene.features import FAMILIES, feature_names, measure_features, shapes
from regengine.scene.labels import Samples, deal_folds, join_samples
from regengine.scene.models import (
    SceneAnswer,
    compute_weighted_quantile,
    fit_calibration,
    fit_gate,
    fit_gmm,
)
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
from tests.world import pictures
from tests.world.pictures import DRAWINGS, drawing, eight_bit
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


COLUMNS_OF_MADE = 12


MADE = made_samples(60, features=COLUMNS_OF_MADE)


GATE = fit_gate(fit_gmm(MADE.features, seed=0), MADE, seed=0)


def test_new_photos_of_known_classes_are_explained():
    """As many fall as the quantile says, within what 300 draws allow."""
    explained = GATE.explains(made_samples(100, seed=3, features=COLUMNS_OF_MADE).features)
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


def test_a_calibration_is_the_likeliest_of_platts_curves():
    """By scipy's simplex on smoothed targets with votes; floors and ceilings by Laplace's rule."""
    rng = np.random.default_rng(3)
    scores = rng.normal(0.0, 2.0, (600, 3))
    margin = scores - np.sort(scores, axis=1)[:, -1:]
    two = np.sort(scores, axis=1)
    margin = np.where(margin == 0.0, scores - two[:, -2:-1], margin)
    targets = rng.random((600, 3)) < expit(0.7 * scores + 0.4 * margin - 0.5)
    votes, explained = rng.uniform(0.2, 1.0, 600), rng.random(600) < 0.9
    groups = np.array([40, 9, 0])
    found = fit_calibration(scores, targets, explained, votes, groups, 2)
    w = np.repeat(votes[:, None], 3, axis=1)
    yes, no = w[targets].sum(), w[~targets].sum()
    wanted = np.where(targets, (yes + 1.0) / (yes + 2.0), 1.0 / (no + 2.0))

    def loss(values):
        p = expit(np.exp(values[0]) * scores + np.exp(values[1]) * margin + values[2])
        return -np.sum(w * (wanted * np.log(p) + (1.0 - wanted) * np.log(1.0 - p))) / w.sum()

    theirs = minimize(loss, [0.0, -1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-6}).x
    told = [found.slope, found.margin_slope, found.offset]
    assert told == pytest.approx([*np.exp(theirs[:2]), theirs[2]], rel=0.01, abs=2e-3)
    assert found.floor == pytest.approx(1.0 / 51.0)
    assert found.ceiling == pytest.approx([41 / 42, 10 / 11, 1 / 2])
    fallen = votes[~explained].sum()
    strange = votes[~explained & targets[:, 2]].sum()
    least = np.clip((strange + 1.0) / (fallen + 2.0), 0.51, 0.51)
    assert found.unexplained == pytest.approx(least)
    s = found.floor + (1.0 - found.floor) * expit(
        found.slope * scores + found.margin_slope * margin + found.offset
    )
    bent = s - (1.0 - found.ceiling) * s ** (1.0 / (1.0 - found.ceiling))
    p = found.probabilities(scores, np.ones(600, bool), 2)
    assert p == pytest.approx(np.clip(bent, found.floor, found.ceiling))
    odd = found.probabilities(scores, np.zeros(600, bool), 2)
    assert odd[:, 2] == pytest.approx(np.maximum(p[:, 2], found.unexplained))
    assert odd[:, :2].max() <= 1.0 - found.unexplained


def test_a_weighted_quantile_is_that_of_votes_in_the_middle_of_their_weight():
    values, shares = np.random.default_rng(4).normal(size=37), (0.01, 0.1, 0.5, 0.93)
    for share in shares:
        hazen = np.quantile(values, share, method="hazen")
        assert compute_weighted_quantile(values, np.full(37, 2.5), share) == pytest.approx(hazen)
    assert compute_weighted_quantile(np.arange(3.0), np.array([1.0, 2.0, 1.0]), 0.5) == 1.0
    assert compute_weighted_quantile(np.arange(3.0), np.array([1.0, 2.0, 1.0]), 0.25) == 1.0 / 3.0
    unsorted = compute_weighted_quantile(np.array([2.0, 0.0, 1.0]), np.array([1.0, 1.0, 4.0]), 0.25)
    assert unsorted == pytest.approx(0.4)


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


# ---- FEATURES: what each says of a drawn picture, from least to most


def picture_of(image):
    return scene_picture(eight_bit(image))


def measure(feature, image):
    """One feature, by the family that its name begins with."""
    return FAMILIES[feature.partition("_")[0]].measure(picture_of(image))[feature]


def painted(share, paint):
    image = pictures.plain((90, 90, 90))
    image[: round(share * image.shape[0])] = paint
    return pictures.grain(image, 1.0)


def sun():
    middle = np.array([(640 * 0.45, 210.0)])
    glare = pictures.spots(pictures.plain((0, 0, 0)), middle, (320, 310, 290), 45.0)
    return pictures.disc(25.0) * 3 + glare


GROUND, WHITE = pictures.plain((8, 8, 9)), (230.0, 230.0, 230.0)


def lattice(number):
    """Spots that do not merge."""
    side = int(np.ceil(np.sqrt(number)))
    x, y = np.meshgrid(np.linspace(20, 620, side), np.linspace(20, 400, side))
    return lit_points(np.column_stack([x.ravel(), y.ravel()])[:number])


def lit_points(places, colour=pictures.LAMP, sigma_px=1.3):
    return pictures.grain(pictures.spots(GROUND, places, colour, sigma_px))


def trails():
    steps = [np.array((step, 0.4 * step)) for step in np.arange(-4, 5)]
    lit = sum(pictures.spots(GROUND * 0, pictures.evenly(80) + step, WHITE) for step in steps)
    return pictures.grain(GROUND + lit / 3)


def bars(*angles_deg):
    """Broad bright bars, two for each angle."""
    image = pictures.plain((20, 20, 20))
    for place, angle in enumerate(2 * angles_deg):
        along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        middle = np.array([320 + 150 * np.cos(place * 1.5), 210 + 90 * np.sin(place * 1.5)])
        ends = [tuple(np.round(middle + side * 130 * along).astype(int)) for side in (-1, 1)]
        image = cv2.line(image, *ends, (200, 200, 200), 9)
    return pictures.grain(np.asarray(image, np.float32))


def panes(number):
    image = pictures.plain((12, 12, 12))
    for place in range(number):
        x, y = 20 + 150 * (place % 4), 40 + 200 * (place // 4)
        image[y : y + 140, x : x + 100] = (190, 200, 210)
    return pictures.grain(image)


def blotches(sigma_px, gain=1.0):
    """Noise of one size and a contrast of 30 eight-bit steps."""
    noise = np.random.default_rng(1).normal(size=pictures.SIZE).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigma_px)
    return pictures.plain((110, 110, 110)) + gain * 30.0 * (noise / noise.std())[..., None]


def half_flat():
    image = pictures.plain((110, 110, 110))
    image[:, 320:] = blotches(2.0)[:, 320:]
    return image


def about(value, off):
    return value - off, value + off


def counted(number, share):
    return np.log10(1 + number * (1 - share)), np.log10(1 + number * (1 + share))


PAINTS = {
    "colour_green_area": ((60, 170, 70), (150, 175, 152)),
    "colour_purple_area": ((130, 50, 160),),
    "colour_orange_area": ((200, 120, 50),),
    "colour_blue_area": ((60, 90, 200),),
}
MOST = np.inf
FEATURES = [
    *(
        (name, painted, (share, paint), *about(share ** (0.5 if root else 1.0), 0.05))
        for name, paints in PAINTS.items()
        for root in ["green" in name or "purple" in name]
        for paint in paints
        for share in (0.1, 0.5)
    ),
    ("colour_neutral_area", painted, (0.5, (60, 90, 200)), 0.4, 0.75),
    *(
        row
        for px in (25.0, 60.0, 120.0)
        for row in (
            ("disc_area", pictures.disc, (px,), *about(np.log10(np.pi * px**2 / 268800), 0.05)),
            ("disc_round", pictures.disc, (px,), 0.9, 1.0),
            ("disc_solid", pictures.disc, (px,), 0.95, 1.0),
            ("disc_share", pictures.disc, (px,), 1.0 - 1e-6, 1.0),
        )
    ),
    ("disc_round", lambda: pictures.disc(100.0, bite=0.4), (), 0.0, 0.6),
    ("disc_solid", lambda: pictures.disc(100.0, bite=0.4), (), 0.0, 0.9),
    ("disc_arc", lambda: pictures.disc(100.0, bite=0.4), (), 0.45, 1.0),
    ("disc_clipped", sun, (), 0.5, 1.0),
    ("disc_dark_around", pictures.disc, (25.0,), 0.9, 1.0),
    *(("points_count", lattice, (n,), *counted(n, 0.05)) for n in (12, 60, 240)),
    *(("points_contrast", lattice, (n,), *counted(n, 0.3)) for n in (12, 60, 240)),
    ("points_count", pictures.grain, (pictures.plain((80, 80, 80)), 1.0), 0.0, np.log10(4)),
    ("points_count", pictures.grain, (pictures.plain((80, 80, 80)), 25.0), 0.0, np.log10(4)),
    ("points_common_direction", trails, (), 0.6, 1.0),
    ("points_common_direction", lit_points, (pictures.evenly(80),), 0.0, 0.2),
    ("structure_longest", bars, (20.0,), *about(260 / 640, 0.06)),
    ("structure_one_way", bars, (20.0,), 0.8, 1.0),
    ("structure_right_angles", bars, (10.0, 100.0), 0.75, 1.0),
    ("structure_one_way", bars, (10.0, 100.0), 0.0, 0.35),
    ("structure_right_angles", bars, (10.0, 55.0, 100.0, 145.0), 0.0, 0.4),
    *(("structure_panes", panes, (n,), *counted(n, 1e-6)) for n in (1, 4, 7)),
    ("texture_flat", half_flat, (), *about(0.5, 0.1)),
    ("texture_slope", blotches, (0.8,), -MOST, 0.0),
    ("texture_slope", blotches, (10.0,), 0.0, MOST),
]


@pytest.mark.parametrize(
    ("feature", "draw", "how", "least", "most"),
    FEATURES,
    ids=[f"{k} {row[0]} {row[1].__name__}" for k, row in enumerate(FEATURES)],
)
def test_a_feature_measures_what_was_drawn(feature, draw, how, least, most):
    assert least <= measure(feature, draw(*how)) <= most


@pytest.mark.parametrize(
    ("feature", "more", "less", "by"),
    [
        ("colour_warmth_slope", pictures.near_infrared, pictures.land, 0.3),
        ("disc_halo", sun, lambda: pictures.disc(25.0), 0.2),
        ("texture_slope", lambda: blotches(3.0), lambda: blotches(0.8), 0.0),
        ("texture_slope", lambda: blotches(10.0), lambda: blotches(3.0), 0.0),
        ("texture_uneven", half_flat, lambda: blotches(2.0), 0.5),
    ],
)
def test_a_feature_tells_one_picture_from_another(feature, more, less, by):
    assert measure(feature, more()) > measure(feature, less()) + by


@pytest.mark.parametrize("gain", [0.5, 0.25])
def test_bands_are_logarithms_of_contrast(gain):
    bands = [measure("texture_band_8px", blotches(2.0, share)) for share in (gain, 1.0)]
    assert bands[0] - bands[1] == pytest.approx(np.log10(gain), abs=0.05)


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
    image = bars(*angles_deg)
    found = shapes.measure_structure(picture_of(image))
    grey = picture_of(image).half.lightness
    lines = probabilistic_hough_line(canny(grey, sigma=1.5), line_length=60, line_gap=2, rng=0)
    steps = np.array([np.subtract(*ends) for ends in lines]) @ [1.0, 1.0j]
    turn, weight = (steps / np.abs(steps)) ** 2, np.abs(steps) ** 2
    for name, power in (("structure_one_way", 1), ("structure_right_angles", 2)):
        theirs = np.abs((weight * turn**power).sum()) / weight.sum()
        assert found[name] == pytest.approx(theirs, abs=0.13)
    assert found["structure_longest"] == pytest.approx(260.0 / 640.0, abs=0.05)
