"""From a photo's file to what it shows: picture, model, Sun and Moon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from regengine.errors import EphemerisError
from regengine.io.html import thumbnail_jpeg
from regengine.orbit.position import choose_position, element_sets, frame_records
from regengine.orbit.propagation import CameraPosition
from regengine.orbit.tle import TleSet
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.photo.frame_records import FrameRecords, frame_id_of
from regengine.result import Answer, Reason
from regengine.scene.ephemeris import SceneEphemeris, disagreement, prior, scene_ephemeris
from regengine.scene.evidence import camera_factors, checked_priors, with_factors
from regengine.scene.features import feature_names, measure_features
from regengine.scene.model import SceneAnswer, SceneModel, also_shown
from regengine.scene.model_file import load_scene_model
from regengine.scene.moon import LIKELY_MOON, measure_moon_disc, moon_check
from regengine.scene.picture import read_scene_picture
from regengine.scene.quality import photo_quality, read_for_quality
from regengine.scene.result import Scene, scene_line, table_line
from regengine.scene.samples import OTHER

# One sigma along the track, from which on the Sun's elevation is worse than 10 degrees
MOST_ALONG_KM = 1100.0
# Classes without night ground. The Moon is not among them: the model has seen simulated Moons
# alone, and takes one dim night in a hundred for one
NO_NIGHT_GROUND = ("day", "inside", "infrared", "sunset_sunrise")
# Nor does what the model knows to be something else: spacecraft, hardware, empty windows. What it
# does not know at all, beyond its gate, may be anything
KNOWN_OTHER = "something else"
# Their probabilities added up to 0.56 at most in 349 registrable frames of the simulated
# benchmark's training half, without something else, by the first model that shipped; with it to
# 0.07 at most in 68 more by the present one
SURE = 0.7
# and nothing is left untried that may show cities beside them
LEAST_CITIES = 0.1


@dataclass(frozen=True, kw_only=True)
class ClassifyInputs:
    """What all photos of a run share; pickles, so that workers can have it."""

    model: Path | None = None  # model file; the shipped model for None
    # How frequent classes are, over `DEFAULT_PRIORS`; 1 is as in training, all classes alike
    priors: Mapping[str, float] = field(default_factory=dict)
    # Element sets and frame records, for the ephemeris
    tle: Path | None = None
    metadata: Path | None = None
    frame: FrameOptions = field(default_factory=FrameOptions)  # what options say of every photo
    # What else to measure
    features: bool = False
    quality: bool = False
    thumbnails: bool = False

    def open(self) -> tuple[SceneModel, TleSet | None, FrameRecords | None]:
        """Model, element sets and records, read once per process.

        Raises ConfigError or EphemerisError if one of them cannot be used.
        """
        tles = None if self.tle is None else element_sets(self.tle)
        records = None if self.metadata is None else frame_records(self.metadata)
        model = load_scene_model(self.model)
        checked_priors(self.priors, model.classes)
        return model, tles, records


def classify_photo(path: Path, inputs: ClassifyInputs) -> Scene:
    """Tell what a photo shows."""
    model, tles, records = inputs.open()
    picture = read_scene_picture(path)
    features = measure_features(picture)
    frame = read_frame(path, records=records, options=inputs.frame)
    position, problem = _position(frame, tles)
    answer, ephemeris, contradiction = in_its_place(
        model.answer(features), frame, position, checked_priors(inputs.priors, model.classes)
    )
    moon = None
    if position is not None and answer.probabilities.get("moon", 0.0) > LIKELY_MOON:
        moon = moon_check(position, measure_moon_disc(picture))
    return Scene(
        frame=frame_id_of(path),
        path=path,
        category=answer.category,
        probabilities=answer.probabilities,
        also=answer.also,
        explained=answer.explained,
        ephemeris=ephemeris,
        moon=moon,
        disagreement=contradiction,
        no_ephemeris=problem,
        quality=photo_quality(read_for_quality(path), picture, answer.category)
        if inputs.quality
        else None,
        features=dict(zip(feature_names(), features.tolist(), strict=True))
        if inputs.features
        else None,
        thumbnail=thumbnail_jpeg(picture.rgb) if inputs.thumbnails else None,
    )


def in_its_place(
    answer: SceneAnswer,
    frame: Frame,
    position: CameraPosition | None,
    priors: Mapping[str, float],
) -> tuple[SceneAnswer, SceneEphemeris | None, str | None]:
    """What a picture shows once its camera, Sun and Moon are asked, too.

    Besides these two, and in which way they contradict the picture: a clock that is wrong tells
    nothing.
    """
    ephemeris = None
    if position is not None and position.sigma_along_km <= MOST_ALONG_KM:
        ephemeris = scene_ephemeris(position)
    probabilities = with_factors(answer.probabilities, priors)
    probabilities = with_factors(probabilities, camera_factors(frame.camera_body))
    contradiction = None
    if ephemeris is not None:
        contradiction = disagreement(ephemeris, probabilities)
        if contradiction is None:
            probabilities = with_factors(probabilities, prior(ephemeris))
    category = answer.category
    if answer.explained:
        category = max(probabilities, key=lambda name: probabilities[name])
    moved = replace(
        answer,
        category=category,
        probabilities=probabilities,
        also=also_shown(probabilities, category),
    )
    return moved, ephemeris, contradiction


def _position(frame: Frame, tles: TleSet | None) -> tuple[CameraPosition | None, str | None]:
    """Where and when a photo was taken, well enough for Sun and Moon, or why it is not known."""
    try:
        position = choose_position(frame, tles)
    except EphemerisError as error:
        return None, str(error)
    if position.sigma_along_km > MOST_ALONG_KM:
        return None, f"the place below the camera is known to {position.sigma_along_km:.0f} km only"
    if position.time_utc is None:
        return None, f"{frame.path} says no time"
    return position, None


@dataclass(frozen=True)
class SceneAnswers:
    """What ``regengine classify`` says of each photo: call it with a path."""

    inputs: ClassifyInputs
    keep: bool = False  # the whole `Scene`, too

    def __call__(self, path: Path) -> Answer:
        """The photo's record and line."""
        scene = classify_photo(path, self.inputs)
        return Answer(
            line=scene_line(scene), text=table_line(scene), kept=scene if self.keep else None
        )


@dataclass(frozen=True, kw_only=True)
class SceneOfSearch:
    """What a photo that may be searched shows: by its picture, and in its place.

    A clock may be wrong, and a picture deceive: what either leaves open is tried.
    """

    picture: SceneAnswer
    in_place: SceneAnswer
    night: bool  # as far as it is known where and when it was taken

    @classmethod
    def of(cls, frame: Frame, position: CameraPosition | None) -> SceneOfSearch:
        """Tell what a photo shows, and what it does where it was taken, if that is known."""
        model = load_scene_model()
        picture = model.answer(measure_features(read_scene_picture(frame.path)))
        priors = checked_priors({}, model.classes)
        in_place, ephemeris, _ = in_its_place(picture, frame, position, priors)
        night = ephemeris is not None and ephemeris.light == "night"
        return cls(picture=picture, in_place=in_place, night=night)

    @property
    def may_show_cities(self) -> bool:
        """Whether it is not unlikely to show city lights."""
        return may_show_cities(self.picture) or may_show_cities(self.in_place)

    @property
    def not_worth_trying(self) -> Reason | None:
        """Why it need not be searched for city lights; None where it must."""
        reasons = [not_worth_trying(seen, self.night) for seen in (self.picture, self.in_place)]
        return reasons[1] if all(reasons) else None


def may_show_cities(scene: SceneAnswer) -> bool:
    """Whether a photo is not unlikely to show city lights."""
    return scene.probabilities.get("cities", 0.0) >= LEAST_CITIES


def not_worth_trying(scene: SceneAnswer, night: bool = False) -> Reason | None:
    """Why a photo need not be searched for city lights; None where it must.

    Night frames are tried whatever they seem to show: towns under moonlit cloud are hard to see at
    the size at which scenes are told. Where it was ``night``, towns may stand behind hardware.
    """
    said = {name: scene.probabilities.get(name, 0.0) for name in NO_NIGHT_GROUND}
    if scene.explained and not night:
        said[KNOWN_OTHER] = scene.probabilities.get(OTHER, 0.0)
    if sum(said.values()) < SURE or may_show_cities(scene):
        return None
    likeliest = max(said, key=lambda name: said[name])
    return Reason(
        code="not_a_night_city_frame",
        text=f"the photo looks like {likeliest} (probability {said[likeliest]:.2f}), not like "
        "cities at night; use --any-category to try it all the same",
    )
