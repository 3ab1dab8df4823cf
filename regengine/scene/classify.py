"""Scene classification of a photo file: image features, model, Sun and Moon.

Probabilities from the picture are adjusted by camera model, Sun and Moon.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from detectors.limb import limb_angle_deg
from regengine.errors import EphemerisError
from regengine.io.html import thumbnail_jpeg
from regengine.maps.places import look_up_lit_dex
from regengine.orbit.position import choose_position, element_sets, frame_records
from regengine.orbit.propagation import CameraPosition
from regengine.orbit.rotation import sun_moon
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.photo.image import read_display_rgb
from regengine.photo.notations import frame_id_of
from regengine.scene.drawing import PicturePaths, draw_scene
from regengine.scene.features import feature_names, has_infrared_ground, measure_features
from regengine.scene.labels import OTHER
from regengine.scene.models import SceneAnswer, also_shown, load_scene_model
from regengine.scene.picture import (
    QUALITY_SIDE_PX,
    ScenePicture,
    photo_quality,
    read_scene_picture,
)
from regengine.scene.regions import LimbLights, LimbRegions, find_limb_regions
from regengine.scene.result import Scene, SceneEphemeris, table_line
from regengine.store.reasons import Reason
from regengine.store.result import BY_DAY, Answer

# Cameras of the crews have an infrared filter; a converted camera is rare, and a wrong EXIF entry
# rarer. The model gives infrared the same weight as day
_CREWS = re.compile(r"nikon|kodak|canon|sony|hasselblad|red\b", re.IGNORECASE)
_CREWS_FACTORS = {"infrared": 0.05}
# One sigma along the track, above which the error of the Sun's elevation exceeds 10 degrees
MAX_SIGMA_ALONG_KM = 1100.0
# Sun elevations at the nadir, degrees, for which `SUN_FACTORS` are given. Between them, the
# logarithms of the factors are interpolated linearly; outside, they are constant.
SUN_KNOTS_DEG = (-40.0, -30.0, -20.0, -10.0, 0.0, 10.0, 30.0)
# In 2 % of the archive's night frames time and nadir cannot both be right: no factor is lower.
WRONG_CLOCK = 0.02
# Frequency of 9,403 night frames of the archive at these elevations, relative to the maximum at
# -35: a long exposure needs dark ground and an unlit station.
_DARK = (1.0, 1.0, 0.30, 0.06, 0.03, 0.02, 0.02)
# The visible ground reaches 20 degrees from the nadir: twilight enters the view from -20 on. Below
# that, daylight is possible only with a wrong clock.
_LIT = (0.02, 0.02, 0.05, 0.30, 0.80, 1.0, 1.0)
_ALWAYS = (1.0,) * len(SUN_KNOTS_DEG)
SUN_FACTORS: Mapping[str, tuple[float, ...]] = {
    "cities": _DARK,
    "stars": _DARK,
    "aurora": _DARK,
    # As the other night classes; automatic cameras also record the dusk as black
    "night_nocity": (1.0, 1.0, 0.50, 0.15, 0.03, 0.02, 0.02),
    "day": _LIT,
    "infrared": _LIT,
    # The disc sets at -20; its arc remains visible for 18 degrees more. Before that, clouds and
    # limb redden where it is evening on the ground ahead, at most 20 degrees away.
    "sunset_sunrise": (0.05, 0.40, 1.0, 1.0, 0.60, 0.15, 0.03),
    "moon": _ALWAYS,
    "inside": _ALWAYS,
    "other": _ALWAYS,
}
# Light of the ground within 1,500 km of the nadir (`look_up_lit_dex`), and how much more often a
# photo of night or dusk that shows cities was taken there than another: by logistic regression of
# 234 photos, both kinds and all groups with one weight. By fits without its tenth of the groups,
# the log loss of "shows cities" falls from 0.110 to 0.074 (the fall: 0.016 to 0.059)
LIT_KNOTS_DEX, LIT_FACTORS = (3.3, 5.5), (0.05, 8.0)
# Factor for a Moon below the camera's horizon; smallest illumination of a visible Moon
MOON_BELOW, THINNEST_MOON = WRONG_CLOCK, 0.03
# The Sun's elevation at the nadir is wrong by less: 550 km, or 77 s by a camera's clock
NADIR_ERROR_DEG = 5.0
# Picture and clock contradict each other if the agreement with the ephemeris is below this
MIN_AGREEMENT = 0.10


@dataclass(frozen=True, kw_only=True)
class SceneInPlace:
    """What a photo shows, by its picture and by what is known of its camera, time and place."""

    answer: SceneAnswer  # before the limb is looked for, which takes longer than all else
    picture: ScenePicture
    ephemeris: SceneEphemeris | None = None
    disagreement: Reason | None = None  # how picture and ephemeris contradict each other

    @cached_property
    def regions(self) -> LimbRegions | None:
        """Sky and Earth; None: the limb is not in view, or has no bearing on the category."""
        is_needed = may_need_limb(self.answer, self.ephemeris)
        return find_limb_regions(self.picture) if is_needed else None

    @property
    def limb(self) -> LimbLights | None:
        return None if self.regions is None else self.regions.lights

    @property
    def settled(self) -> SceneAnswer:
        """The answer, with what the lights beside the limb decide."""
        return self.answer if self.limb is None else settle_by_limb(self.answer, self.limb)


def apply_context(
    answer: SceneAnswer,
    picture: ScenePicture,
    camera_body: str | None,
    position: CameraPosition | None,
) -> SceneInPlace:
    """Adjust the answer of the features by colour, camera, Sun and Moon, and lights on the ground.

    If picture and ephemeris contradict each other, the clock may be wrong: the ephemeris is then
    not used.
    """
    by_rule = tell_infrared(answer.probabilities, picture)
    probabilities = seen = scale_odds(by_rule, camera_factors(camera_body))
    ephemeris = contradiction = None
    possible = list(probabilities)
    if position is not None and position.sigma_along_km <= MAX_SIGMA_ALONG_KM:
        ephemeris = scene_ephemeris(position)
    if position is not None and ephemeris is not None:
        contradiction = find_disagreement(ephemeris, probabilities)
        if contradiction is None:
            probabilities = scale_odds(probabilities, prior(ephemeris))
            ruled_out = list_impossible(ephemeris)
            possible = [name for name in probabilities if name not in ruled_out] or possible
            probabilities = weigh_lit_ground(probabilities, position)
    answer = replace(answer, probabilities=probabilities)
    if answer.explained:
        by_picture = max(seen, key=seen.__getitem__)
        category = max(possible, key=probabilities.__getitem__)
        follows = "features" if category == by_picture else "nadir"
        answer = replace(answer, category=category, category_from=follows)
    answer = replace(answer, also=also_shown(probabilities, answer.category))
    return SceneInPlace(
        answer=answer, picture=picture, ephemeris=ephemeris, disagreement=contradiction
    )


# Share of infrared among photos by day whose ground has its colours, and among others, where half
# of the photos are infrared: by the counts beside `regengine.scene.features.MAX_TREND`, one more
# added to each. The shipped model knows four cameras, too few to learn the class from
INFRARED_SHARE = {True: 0.94, False: 0.10}


def tell_infrared(probabilities: Mapping[str, float], picture: ScenePicture) -> Mapping[str, float]:
    """Tell infrared from day by the colours of the ground; a grey picture has none, and is day."""
    if not {"day", "infrared"} <= probabilities.keys():
        return probabilities
    share = 0.0 if picture.is_grey else INFRARED_SHARE[has_infrared_ground(picture)]
    either = 1.0 - (1.0 - probabilities["day"]) * (1.0 - probabilities["infrared"])
    return {**probabilities, "day": either * (1.0 - share), "infrared": either * share}


def camera_factors(camera: str | None) -> Mapping[str, float]:
    """Factors on the odds of classes from a camera's name; empty if it provides no information.

    The name comes from EXIF or a frame record. It is evidence, not a rule: it does not change a
    probability that is close to 0 or 1.
    """
    return _CREWS_FACTORS if camera and _CREWS.search(camera) else {}


def scale_odds(
    probabilities: Mapping[str, float], factors: Mapping[str, float]
) -> dict[str, float]:
    """Multiply the odds of each class by its factor.

    Each factor is divided by the mean of the factors, weighted by the probabilities from the
    picture. A certain result does not change; an ambiguous result moves to the class with the
    greater factor.
    """
    total = sum(probabilities.values())
    mean = sum(p * factors.get(name, 1.0) for name, p in probabilities.items()) / total
    moved = {}
    for name, p in probabilities.items():
        odds = p / (1.0 - p) * factors.get(name, 1.0) / mean
        moved[name] = odds / (1.0 + odds)
    return moved


def scene_ephemeris(position: CameraPosition) -> SceneEphemeris | None:
    """Sun and Moon at a camera's position and time; None if the time is unknown."""
    if position.time_utc is None:
        return None
    seen = sun_moon(position.time_utc, position.lon, position.lat)
    dip_deg = 90.0 - limb_angle_deg(position.altitude_km, 0.0)
    return SceneEphemeris(
        sun_elevation_deg=seen.sun_elevation_deg,
        moon_elevation_deg=seen.moon_elevation_deg,
        moon_illumination=seen.moon_illumination,
        horizon_dip_deg=dip_deg,
        light=light_class(seen.sun_elevation_deg, dip_deg),
    )


def light_class(sun_elevation_deg: float, dip_deg: float) -> str:
    if sun_elevation_deg > 0.0:
        return "day"
    return "night" if sun_elevation_deg <= -(dip_deg + 0.27) else "twilight"


def prior(ephemeris: SceneEphemeris) -> dict[str, float]:
    """Factors on the odds of scene classes from Sun and Moon."""
    factors = {
        name: float(np.exp(np.interp(ephemeris.sun_elevation_deg, SUN_KNOTS_DEG, np.log(values))))
        for name, values in SUN_FACTORS.items()
    }
    if ephemeris.moon_above_limb_deg < 0.0 or ephemeris.moon_illumination < THINNEST_MOON:
        factors["moon"] = MOON_BELOW
    return factors


def weigh_lit_ground(
    probabilities: Mapping[str, float], position: CameraPosition
) -> dict[str, float]:
    """Multiply the odds of cities by a factor of the light of the ground around the nadir.

    What else a photo shows does not follow from it.
    """
    lit_dex = look_up_lit_dex(position.lon, position.lat)
    factor = float(np.exp(np.interp(lit_dex, LIT_KNOTS_DEX, np.log(LIT_FACTORS))))
    weighed = dict(probabilities)
    if (p := weighed.get("cities")) is not None:
        weighed["cities"] = p * factor / (1.0 - p + p * factor)
    return weighed


def list_impossible(ephemeris: SceneEphemeris) -> tuple[str, ...]:
    """Classes of day or night that no part of the view can show at this elevation of the Sun.

    The ground in view lies at most as far from the nadir as the horizon is depressed, so that the
    Sun stands at most so much higher or lower there.
    """
    highest = ephemeris.sun_elevation_deg + ephemeris.horizon_dip_deg
    lowest = ephemeris.sun_elevation_deg - ephemeris.horizon_dip_deg
    if highest < -NADIR_ERROR_DEG:
        return ("day", "infrared")
    return ("cities", "stars", "aurora", "night_nocity") if lowest > NADIR_ERROR_DEG else ()


def find_disagreement(
    ephemeris: SceneEphemeris, probabilities: Mapping[str, float]
) -> Reason | None:
    """Reason to suspect the clock where picture and ephemeris contradict each other."""
    total = sum(probabilities.values())
    if total <= 0.0:
        return None
    factors = prior(ephemeris)
    agreement = sum(p * factors.get(name, 1.0) for name, p in probabilities.items()) / total
    shown = max(probabilities, key=lambda name: probabilities[name])
    if agreement >= MIN_AGREEMENT or factors.get(shown, 1.0) > 0.05:
        return None
    # Why the camera cannot see it
    values: dict[str, object] = {"class_probability": probabilities[shown]}
    if shown != "moon":
        values |= {"looks_like": shown, "sun_elevation_deg": ephemeris.sun_elevation_deg}
    elif ephemeris.moon_above_limb_deg < 0.0:
        values["moon_below_limb_deg"] = -ephemeris.moon_above_limb_deg
    else:
        values["moon_illumination"] = ephemeris.moon_illumination
    return Reason(code="clock_suspect", values=values)


def may_be_stars(answer: SceneAnswer) -> bool:
    """Whether identified stars would decide the category of a photo.

    They do where the features leave stars likely and show no other lights, beside which stars may
    stand: a third of the photos of cities and half of the aurorae are solved as well.
    """
    has_lights = answer.category in ("cities", "sunset_sunrise", *NIGHT_SKY)
    return not has_lights and answer.probabilities.get("stars", 0.0) >= MIN_STARS_PROBABILITY


# Lights above the airglow that make a photo one of stars, and lights below the limb for each of
# these: the ten star fields of the training photos that show a limb have 92 or more and at most
# 0.18; the 36 photos of cities and other nights with 10 or more have 0.27 or more
MIN_STARS, MAX_LIGHTS_A_STAR = 40, 0.25
# Probability of stars by the features above which stars that are identified decide, or the limb
# where they say `OTHER`: 0.29 and more in those ten, 0.02 and less in three photos of sunlit
# spacecraft whose edge is taken for the limb
MIN_STARS_PROBABILITY = 0.05


def may_need_limb(answer: SceneAnswer, ephemeris: SceneEphemeris | None) -> bool:
    """Whether the lights on either side of the limb may change the category of a photo.

    Photos of sunrise and aurora have stars above the limb as well.
    """
    by_day = ephemeris is not None and ephemeris.light == "day"
    likely = answer.probabilities.get("stars", 0.0) >= MIN_STARS_PROBABILITY
    open_to_stars = answer.category in ("cities", "night_nocity", "stars") or (
        answer.category == OTHER and likely
    )
    return "stars" in answer.probabilities and open_to_stars and not by_day


def settle_by_limb(answer: SceneAnswer, lights: LimbLights) -> SceneAnswer:
    """Decide between stars and other nights by the lights above and below the limb.

    Many above it and few below are stars; what shows more below than above is no star field. The
    probabilities remain those by the features.
    """
    category = answer.category
    if lights.above >= MIN_STARS and lights.below <= MAX_LIGHTS_A_STAR * lights.above:
        category = "stars"
    elif category == "stars" and lights.below > lights.above:
        known = [name for name in ("cities", "night_nocity") if name in answer.probabilities]
        category = max(known, key=answer.probabilities.__getitem__, default=category)
    if category == answer.category:
        return answer
    also = also_shown(answer.probabilities, category)
    return replace(answer, category=category, category_from="limb", also=also)


def settle_by_evidence(answer: SceneAnswer, evidence: str) -> SceneAnswer:
    """Decide a category by evidence: "lights", "ground" by day or "stars".

    The probabilities remain those by the features, which tell infrared from day.
    """
    category = {"lights": "cities", "ground": "day", "stars": "stars"}[evidence]
    if evidence == "ground" and answer.category in BY_DAY:
        category = answer.category
    also = also_shown(answer.probabilities, category)
    return replace(answer, category=category, category_from=evidence, also=also)


# Classes without ground at night. Stars and aurorae are not among them: of 18 photos of aurorae,
# stars or sunrise that show cities as well, they would exclude 8. Of 72 photos of the Moon none
# does, and in six its disc was proposed for review as a light of the map
NO_NIGHT_GROUND = ("day", "inside", "infrared", "sunset_sunrise", "moon")
# The same holds for known other content: spacecraft, hardware, empty windows. Content outside the
# model's gate may be anything
KNOWN_OTHER = "other, none of the known kinds"
NIGHT_SKY = ("aurora", "moon", "stars")


@dataclass(frozen=True, kw_only=True)
class ClassifyInputs:
    """Inputs that all photos of a run share; picklable, for worker processes."""

    model: Path | None = None  # model file; None: the shipped model
    # Element sets and frame records for the ephemeris
    tle: tuple[Path, ...] = ()
    metadata: Path | None = None
    alike: frozenset[str] = frozenset()  # see `regengine.runs.run_inputs.RunInputs`
    frame: FrameOptions = field(default_factory=FrameOptions)  # metadata given as options
    # Additional measurements
    features: bool = False
    quality: bool = False
    thumbnails: bool = False
    overlays: PicturePaths | None = None  # of pictures of sky and Earth, drawn over the photos
    # Number of stars that are identified in a photo; asked where stars are likely
    count_stars: Callable[[Path], int] | None = None


def classify_photo(path: Path, inputs: ClassifyInputs) -> Scene:
    """Classify the scene of a photo.

    Raises FrameError if the photo cannot be read, StoreError if the overlay cannot be written;
    ConfigError or EphemerisError if the model, element sets or records cannot be used. These are
    read once per process.
    """
    model = load_scene_model(inputs.model)
    records = None if inputs.metadata is None else frame_records(inputs.metadata, inputs.alike)
    frame = read_frame(path, records=records, options=inputs.frame)
    picture = read_scene_picture(frame.file)
    features = measure_features(picture)
    position = problem = None  # or why Sun and Moon are unknown
    try:
        position = choose_position(frame, element_sets(inputs.tle) if inputs.tle else None)
        if position.sigma_along_km > MAX_SIGMA_ALONG_KM:
            problem = f"the nadir is uncertain by {position.sigma_along_km:.0f} km"
        elif position.time_utc is None:
            problem = f"{frame.path} has no time"
    except EphemerisError as error:
        problem = str(error)
    shown = apply_context(model.answer(features), picture, frame.camera_body, position)
    answer = shown.settled
    if inputs.count_stars is not None and may_be_stars(answer) and inputs.count_stars(path):
        answer = settle_by_evidence(answer, "stars")
    quality = None
    if inputs.quality:
        rgb, _ = read_display_rgb(frame.file, QUALITY_SIDE_PX)
        quality = photo_quality(rgb, picture, answer.category)
    by_name = dict(zip(feature_names(), features.tolist(), strict=True))
    scene = Scene(
        **vars(answer),
        frame=frame_id_of(path),
        path=path,
        ephemeris=shown.ephemeris,
        disagreement=shown.disagreement,
        limb=shown.limb,
        no_ephemeris=problem,
        quality=quality,
        features=by_name if inputs.features else None,
        thumbnail=thumbnail_jpeg(picture.rgb) if inputs.thumbnails else None,
    )
    if inputs.overlays is not None:
        regions = shown.regions or find_limb_regions(picture)
        remarks = [f"{answer.category} {answer.probabilities[answer.category]:.2f}", *scene.why]
        draw_scene(frame.file.path, regions, remarks, inputs.overlays.of(path))
    return scene


def answer_scene(path: Path, *, inputs: ClassifyInputs, keep: bool) -> Answer:
    """Output of ``regengine classify`` for a photo; with ``keep``, the complete `Scene`, too."""
    scene = classify_photo(path, inputs)
    return Answer(
        line=json.dumps(scene.to_dict(), allow_nan=False),
        text=table_line(scene),
        kept=scene if keep else None,
    )


@dataclass(frozen=True, kw_only=True)
class SceneForSearch:
    """Scene of a photo, and whether to search it for city lights."""

    in_place: SceneInPlace
    cities_probability: float  # with the nadir, unless that is wrong
    skip_reason: Reason | None  # why it need not be searched; None: it must be


def assess_for_search(frame: Frame, position: CameraPosition | None) -> SceneForSearch:
    """Classify a photo by its picture alone, and with the ephemeris of its position.

    The clock may be wrong and the picture ambiguous: a photo is searched unless both exclude city
    lights.
    """
    picture = read_scene_picture(frame.file)
    by_picture = load_scene_model().answer(measure_features(picture))
    shown = apply_context(by_picture, picture, frame.camera_body, position)
    night = shown.ephemeris is not None and shown.ephemeris.light == "night"
    return combine_for_search(by_picture, shown, night=night)


def combine_for_search(
    picture: SceneAnswer, in_place: SceneInPlace, *, night: bool
) -> SceneForSearch:
    """Combine both answers; ``night`` where the photo is known to be taken at night."""
    both = (picture, in_place.answer)
    reasons = [find_skip_reason(answer, night=night) for answer in both]
    alone, placed = (answer.probabilities.get("cities", 0.0) for answer in both)
    return SceneForSearch(
        in_place=in_place,
        cities_probability=WRONG_CLOCK * alone + (1.0 - WRONG_CLOCK) * placed,
        skip_reason=reasons[1] if all(reasons) else None,
    )


def find_skip_reason(answer: SceneAnswer, *, night: bool = False) -> Reason | None:
    """Reason not to search a photo for city lights; None where it must be searched.

    Night frames are searched: city lights under moonlit cloud or an aurora are hard to see at the
    size used for classification. If the photo was taken at ``night``, cities may be visible behind
    hardware.
    """
    found = {name: answer.probabilities.get(name, 0.0) for name in NO_NIGHT_GROUND}
    if answer.explained and not night:
        found[KNOWN_OTHER] = answer.probabilities.get(OTHER, 0.0)
    # The sum of the probabilities of unregistrable classes was 0.56 at most in 349 registrable
    # frames of the simulated benchmark's training half, without known other content, by the first
    # model that shipped. No photo is skipped that may show cities as well: of 60 photos that do,
    # left out of training in turn, two are below, a sunrise with the Sun in view and a black
    # picture with lights at the limb
    if sum(found.values()) < 0.7 or (answer.probabilities.get("cities", 0.0) >= 0.05):
        return None
    likeliest = max(found, key=lambda name: found[name])
    shown = {"classified_as": likeliest, "class_probability": found[likeliest]}
    return Reason(code="not_a_night_city_frame", values=shown)


def explain_by_class(reason: Reason, answer: SceneAnswer) -> Reason:
    """Explain why no lights match, or too few, by the class of a photo, unless that is cities."""
    name = answer.category
    named = {OTHER: KNOWN_OTHER, "night_nocity": "night without cities"}.get(name, name)
    if reason.code not in ("no_agreement", "few_lights") or name == "cities":
        return reason
    shown = {"classified_as": named, "class_probability": answer.probabilities[name]}
    return replace(reason, values=reason.values | shown)
