"""Scene classification of a photo file: image features, model, Sun and Moon."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from regengine.errors import EphemerisError
from regengine.io.html import thumbnail_jpeg
from regengine.orbit.position import choose_position, element_sets, frame_records
from regengine.orbit.propagation import CameraPosition
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.photo.frame_ids import frame_id_of
from regengine.scene.context import MAX_SIGMA_ALONG_KM, apply_context
from regengine.scene.features import feature_names, measure_features
from regengine.scene.labels import OTHER
from regengine.scene.models import SceneAnswer, load_scene_model
from regengine.scene.picture import read_scene_picture
from regengine.scene.quality import photo_quality, read_for_quality
from regengine.scene.result import Scene, table_line
from regengine.store.result import Answer, Reason

# Classes without ground at night. The Moon is not among them: the model was trained only on
# simulated Moons, and takes one dim night frame in a hundred for a Moon
NO_NIGHT_GROUND = ("day", "inside", "infrared", "sunset_sunrise")
# The same holds for known other content: spacecraft, hardware, empty windows. Content outside the
# model's gate may be anything
KNOWN_OTHER = "something else"
# A picture that certainly shows only the sky has no ground either: of 150 drawn photos of cities
# (training half) none had this probability; two had 0.95 and 0.96 for stars
NIGHT_SKY = ("aurora", "moon", "stars")


# What to try with photos of other classes than cities
FROM_STARS = "try regengine solve, which finds where a camera points from its stars"
BY_DAY = (
    "give its time or nadir, its focal length, or a finer day map (regengine maps get --kind day)"
)
ADVICE = {
    "stars": FROM_STARS,
    "aurora": FROM_STARS,
    "moon": FROM_STARS,
    "day": BY_DAY,
    "infrared": BY_DAY,
}


@dataclass(frozen=True, kw_only=True)
class ClassifyInputs:
    """Inputs that all photos of a run share; picklable, for worker processes."""

    model: Path | None = None  # model file; None: the shipped model
    # Element sets and frame records for the ephemeris
    tle: tuple[Path, ...] = ()
    metadata: Path | None = None
    frame: FrameOptions = field(default_factory=FrameOptions)  # metadata given as options
    # Additional measurements
    features: bool = False
    quality: bool = False
    thumbnails: bool = False


def classify_photo(path: Path, inputs: ClassifyInputs) -> Scene:
    """Classify the scene of a photo.

    Raises FrameError if the photo cannot be read; ConfigError or EphemerisError if the model,
    element sets or records cannot be used. These are read once per process.
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
    """Output of ``regengine classify`` for a photo; with ``keep``, the complete `Scene`, too."""
    scene = classify_photo(path, inputs)
    return Answer(
        line=json.dumps(scene.to_dict(), allow_nan=False),
        text=table_line(scene),
        kept=scene if keep else None,
    )


def _find_position(frame: Frame, tle: tuple[Path, ...]) -> tuple[CameraPosition | None, str | None]:
    """Position and time of a photo, accurate enough for Sun and Moon, or why they are unknown."""
    try:
        position = choose_position(frame, element_sets(tle) if tle else None)
    except EphemerisError as error:
        return None, str(error)
    if position.sigma_along_km > MAX_SIGMA_ALONG_KM:
        return None, f"the nadir is uncertain by {position.sigma_along_km:.0f} km"
    if position.time_utc is None:
        return None, f"{frame.path} has no time"
    return position, None


@dataclass(frozen=True, kw_only=True)
class SceneForSearch:
    """Scene of a photo, and whether to search it for city lights."""

    in_place: SceneAnswer
    cities_probability: float  # the higher of the values with and without ephemeris
    skip_reason: Reason | None  # why it need not be searched; None: it must be


def assess_for_search(frame: Frame, position: CameraPosition | None) -> SceneForSearch:
    """Classify a photo by its picture alone, and with the ephemeris of its position.

    The clock may be wrong and the picture ambiguous: a photo is searched unless both exclude city
    lights.
    """
    picture = load_scene_model().answer(measure_features(read_scene_picture(frame.file)))
    in_place, ephemeris, _ = apply_context(picture, frame.camera_body, position)
    return combine_for_search(
        picture, in_place, night=ephemeris is not None and ephemeris.light == "night"
    )


def combine_for_search(
    picture: SceneAnswer, in_place: SceneAnswer, *, night: bool
) -> SceneForSearch:
    """Combine both answers; ``night`` where the photo is known to be taken at night."""
    seen = (picture, in_place)
    reasons = [find_skip_reason(answer, night=night) for answer in seen]
    return SceneForSearch(
        in_place=in_place,
        cities_probability=max(answer.probabilities.get("cities", 0.0) for answer in seen),
        skip_reason=reasons[1] if all(reasons) else None,
    )


def find_skip_reason(answer: SceneAnswer, *, night: bool = False) -> Reason | None:
    """Reason not to search a photo for city lights; None where it must be searched.

    Night frames are searched unless they certainly show only the sky: city lights under moonlit
    cloud are hard to see at the size used for classification. If the photo was taken at ``night``,
    cities may be visible behind hardware.
    """
    found = {name: answer.probabilities.get(name, 0.0) for name in NO_NIGHT_GROUND}
    if answer.explained and not night:
        found[KNOWN_OTHER] = answer.probabilities.get(OTHER, 0.0)
    sky = {name: answer.probabilities.get(name, 0.0) for name in NIGHT_SKY}
    if max(sky.values()) >= 0.97:
        found |= sky
    # The sum of the probabilities of unregistrable classes was 0.56 at most in 349 registrable
    # frames of the simulated benchmark's training half, without "something else", by the first
    # model that shipped; with it, 0.07 at most in 68 further frames by the present model No photo
    # is skipped that may show cities as well: of 42 photos of cities, left out of training in turn,
    # the lowest probability was 0.07, in a photo with lightning that resembles a sunset
    if sum(found.values()) < 0.7 or (answer.probabilities.get("cities", 0.0) >= 0.05):
        return None
    likeliest = max(found, key=lambda name: found[name])
    text = (
        f"the photo is classified as {likeliest} (probability {found[likeliest]:.2f}), not as "
        "cities at night; to try it anyway, use --any-category"
    )
    # By day, the pipeline tells of day maps
    if likeliest in NIGHT_SKY:
        text += f"; {ADVICE[likeliest]}"
    return Reason(code="not_a_night_city_frame", text=text)


def explain_by_class(reason: Reason, answer: SceneAnswer) -> Reason:
    """Explain why no lights match, or too few, by the class of a photo, unless that is cities."""
    name = answer.category
    named = {OTHER: KNOWN_OTHER, "night_nocity": "night without cities"}.get(name, name)
    if reason.code not in ("no_agreement", "few_lights") or name == "cities":
        return reason
    text = f"classified as {named} (probability {answer.probabilities[name]:.2f}), and "
    text += "no lights match the map" if reason.code == "no_agreement" else reason.text
    advice = ADVICE.get(name)
    return replace(reason, text=f"{text}: {advice}" if advice else text)
