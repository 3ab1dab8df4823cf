"""From a photo's file to what it shows: picture, model, Sun and Moon."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from regengine.errors import EphemerisError
from regengine.io.html import thumbnail_jpeg
from regengine.orbit.position import choose_position, element_sets, frame_records
from regengine.orbit.propagation import CameraPosition
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.photo.frame_ids import frame_id_of
from regengine.result import Answer, Reason
from regengine.scene.context import MAX_SIGMA_ALONG_KM, apply_context
from regengine.scene.features import feature_names, measure_features
from regengine.scene.labels import OTHER
from regengine.scene.model_file import load_scene_model
from regengine.scene.models import SceneAnswer
from regengine.scene.picture import read_scene_picture
from regengine.scene.quality import photo_quality, read_for_quality
from regengine.scene.result import Scene, table_line

# Classes without night ground. The Moon is not among them: the model has seen simulated Moons
# alone, and takes one dim night in a hundred for one
NO_NIGHT_GROUND = ("day", "inside", "infrared", "sunset_sunrise")
# Nor does what the model knows to be something else: spacecraft, hardware, empty windows. What it
# does not know at all, beyond its gate, may be anything
KNOWN_OTHER = "something else"
# Their probabilities added up to 0.56 at most in 349 registrable frames of the simulated
# benchmark's training half, without something else, by the first model that shipped; with it to
# 0.07 at most in 68 more by the present one
SKIP_PROBABILITY = 0.7
# A picture that surely shows the sky alone is none of the ground either: of 150 drawn photos of
# cities (training half) none was as sure, two were stars at 0.95 and 0.96
NIGHT_SKY = ("aurora", "moon", "stars")
SURE_PROBABILITY = 0.97
# and nothing is left untried that may show cities beside them: of 42 photos of cities left out of
# training in turn the least probable of those that look like sunset, by lightning, had 0.07
MIN_CITIES_PROBABILITY = 0.05


@dataclass(frozen=True, kw_only=True)
class ClassifyInputs:
    """What all photos of a run share; pickles, so that workers can have it."""

    model: Path | None = None  # model file; the shipped model for None
    # Element sets and frame records, for the ephemeris
    tle: Path | None = None
    metadata: Path | None = None
    frame: FrameOptions = field(default_factory=FrameOptions)  # what options say of every photo
    # What else to measure
    features: bool = False
    quality: bool = False
    thumbnails: bool = False


def classify_photo(path: Path, inputs: ClassifyInputs) -> Scene:
    """Tell what a photo shows.

    Raises FrameError if it cannot be read; ConfigError or EphemerisError if model, element sets or
    records cannot be used, which are read once per process.
    """
    model = load_scene_model(inputs.model)
    records = None if inputs.metadata is None else frame_records(inputs.metadata)
    frame = read_frame(path, records=records, options=inputs.frame)
    picture = read_scene_picture(frame.file)
    features = measure_features(picture)
    position, problem = _find_position(frame, inputs.tle)
    answer, ephemeris, contradiction = apply_context(
        model.answer(features), frame.camera_body, position
    )
    return Scene(
        frame=frame_id_of(path),
        path=path,
        category=answer.category,
        probabilities=answer.probabilities,
        also=answer.also,
        explained=answer.explained,
        ephemeris=ephemeris,
        disagreement=contradiction,
        no_ephemeris=problem,
        quality=photo_quality(read_for_quality(frame.file), picture, answer.category)
        if inputs.quality
        else None,
        features=dict(zip(feature_names(), features.tolist(), strict=True))
        if inputs.features
        else None,
        thumbnail=thumbnail_jpeg(picture.rgb) if inputs.thumbnails else None,
    )


def answer_scene(path: Path, *, inputs: ClassifyInputs, keep: bool) -> Answer:
    """What ``regengine classify`` says of a photo; with ``keep`` the whole `Scene`, too."""
    scene = classify_photo(path, inputs)
    return Answer(line=scene.to_json(), text=table_line(scene), kept=scene if keep else None)


def _find_position(frame: Frame, tle: Path | None) -> tuple[CameraPosition | None, str | None]:
    """Where and when a photo was taken, well enough for Sun and Moon, or why it is not known."""
    try:
        position = choose_position(frame, None if tle is None else element_sets(tle))
    except EphemerisError as error:
        return None, str(error)
    if position.sigma_along_km > MAX_SIGMA_ALONG_KM:
        return None, f"the nadir is uncertain by {position.sigma_along_km:.0f} km"
    if position.time_utc is None:
        return None, f"{frame.path} has no time"
    return position, None


@dataclass(frozen=True, kw_only=True)
class SceneForSearch:
    """Whether a photo is to be searched for city lights, and what it shows in its place."""

    in_place: SceneAnswer
    cities_probability: float  # the higher of that by its picture and that in its place
    skip_reason: Reason | None  # why it need not be searched; None where it must


def assess_for_search(frame: Frame, position: CameraPosition | None) -> SceneForSearch:
    """Tell what a photo shows by its picture, and what it does where it was taken.

    A clock may be wrong, and a picture deceive: what either leaves open is tried.
    """
    picture = load_scene_model().answer(measure_features(read_scene_picture(frame.file)))
    in_place, ephemeris, _ = apply_context(picture, frame.camera_body, position)
    return combine_for_search(
        picture, in_place, night=ephemeris is not None and ephemeris.light == "night"
    )


def combine_for_search(
    picture: SceneAnswer, in_place: SceneAnswer, *, night: bool
) -> SceneForSearch:
    """The same of both answers; ``night`` where it is known that the photo was taken then."""
    seen = (picture, in_place)
    reasons = [find_skip_reason(answer, night=night) for answer in seen]
    return SceneForSearch(
        in_place=in_place,
        cities_probability=max(answer.probabilities.get("cities", 0.0) for answer in seen),
        skip_reason=reasons[1] if all(reasons) else None,
    )


def may_show_cities(answer: SceneAnswer) -> bool:
    """Whether a photo is not unlikely to show city lights."""
    return answer.probabilities.get("cities", 0.0) >= MIN_CITIES_PROBABILITY


def find_skip_reason(answer: SceneAnswer, *, night: bool = False) -> Reason | None:
    """Why a photo need not be searched for city lights; None where it must.

    Night frames are tried unless they surely show the sky alone: towns under moonlit cloud are hard
    to see at the size at which scenes are told. Where it was ``night``, towns may stand behind
    hardware.
    """
    found = {name: answer.probabilities.get(name, 0.0) for name in NO_NIGHT_GROUND}
    if answer.explained and not night:
        found[KNOWN_OTHER] = answer.probabilities.get(OTHER, 0.0)
    sky = {name: answer.probabilities.get(name, 0.0) for name in NIGHT_SKY}
    if max(sky.values()) >= SURE_PROBABILITY:
        found |= sky
    if sum(found.values()) < SKIP_PROBABILITY or may_show_cities(answer):
        return None
    likeliest = max(found, key=lambda name: found[name])
    return Reason(
        code="not_a_night_city_frame",
        text=f"the photo is classified as {likeliest} (probability {found[likeliest]:.2f}), not as "
        "cities at night; to try it anyway, use --any-category",
    )
