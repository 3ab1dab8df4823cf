"""From a photo's file to what it shows: picture, model, Sun and Moon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from regengine.errors import EphemerisError
from regengine.frame import Frame, FrameOptions, read_frame
from regengine.frame_id import frame_id_of
from regengine.frame_records import FrameRecords
from regengine.opened import element_sets, frame_records
from regengine.orbit import CameraPosition
from regengine.position import choose_position
from regengine.scene.ephemeris import disagreement, prior, scene_ephemeris
from regengine.scene.features import feature_names, measure_features
from regengine.scene.model import SceneModel, also_shown
from regengine.scene.model_file import load_scene_model
from regengine.scene.moon_check import LIKELY_MOON, moon_check
from regengine.scene.moon_disc import measure_moon_disc
from regengine.scene.picture import read_scene_picture
from regengine.scene.quality import photo_quality, read_for_quality
from regengine.scene.result import Scene
from regengine.scene.sheet import thumbnail
from regengine.tle import TleSet

# One sigma along the track, from which on the Sun's elevation is worse than 10 degrees
MOST_ALONG_KM = 1100.0


@dataclass(frozen=True, kw_only=True)
class ClassifyInputs:
    """What all photos of a run share; pickles, so that workers can have it.

    Attributes
    ----------
    model : Path or None
        Model file; the shipped model for None.
    tle, metadata : Path or None
        Element sets and frame records, for the ephemeris.
    frame : FrameOptions
        What options say of every photo.
    features, quality, thumbnails : bool
        What else to measure.
    """

    model: Path | None = None
    tle: Path | None = None
    metadata: Path | None = None
    frame: FrameOptions = field(default_factory=FrameOptions)
    features: bool = False
    quality: bool = False
    thumbnails: bool = False

    def open(self) -> tuple[SceneModel, TleSet | None, FrameRecords | None]:
        """Model, element sets and records, read once per process.

        Raises
        ------
        ConfigError, EphemerisError
            If one of them cannot be used.
        """
        tles = None if self.tle is None else element_sets(self.tle)
        records = None if self.metadata is None else frame_records(self.metadata)
        return load_scene_model(self.model), tles, records


def classify_photo(path: Path, inputs: ClassifyInputs) -> Scene:
    """Tell what a photo shows.

    Parameters
    ----------
    path : Path
        JPEG, PNG, TIFF, FITS or raw file.
    inputs : ClassifyInputs
        What the run was given.

    Returns
    -------
    Scene
        A photo without time or place is classified by its picture alone.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    """
    model, tles, records = inputs.open()
    picture = read_scene_picture(path)
    features = measure_features(picture)
    answer = model.answer(features)
    position, problem = _position(path, inputs, tles, records)
    ephemeris = None if position is None else scene_ephemeris(position)
    probabilities = dict(answer.probabilities)
    contradiction = None
    if ephemeris is not None:
        contradiction = disagreement(ephemeris, probabilities)
        if contradiction is None:  # a clock that is wrong tells nothing
            probabilities = with_prior(probabilities, prior(ephemeris))
    category = answer.category
    if answer.explained:
        category = max(probabilities, key=lambda name: probabilities[name])
    moon = None
    if position is not None and probabilities.get("moon", 0.0) > LIKELY_MOON:
        moon = moon_check(position, measure_moon_disc(picture))
    return Scene(
        frame=frame_id_of(path),
        path=path,
        category=category,
        probabilities=probabilities,
        also=also_shown(probabilities, category),
        explained=answer.explained,
        ephemeris=ephemeris,
        moon=moon,
        disagreement=contradiction,
        no_ephemeris=problem,
        quality=photo_quality(read_for_quality(path), picture, category)
        if inputs.quality
        else None,
        features=dict(zip(feature_names(), features.tolist(), strict=True))
        if inputs.features
        else None,
        thumbnail=thumbnail(picture) if inputs.thumbnails else None,
    )


def with_prior(
    probabilities: Mapping[str, float], factors: Mapping[str, float]
) -> dict[str, float]:
    """Probabilities of what a picture shows, once Sun and Moon have been asked.

    Every class's odds are multiplied by its factor over the mean of the factors as the picture
    weighs them: a picture that leaves no doubt is not moved, one between two classes goes to the
    one that the hour allows.

    Parameters
    ----------
    probabilities : mapping of str to float
        By the picture, strictly between 0 and 1.
    factors : mapping of str to float
        Of `regengine.scene.ephemeris.prior`; 1 where a class has none.

    Returns
    -------
    dict of str to float
        Strictly between 0 and 1.
    """
    total = sum(probabilities.values())
    mean = sum(p * factors.get(name, 1.0) for name, p in probabilities.items()) / total
    moved = {}
    for name, p in probabilities.items():
        odds = p / (1.0 - p) * factors.get(name, 1.0) / mean
        moved[name] = odds / (1.0 + odds)
    return moved


def _position(
    path: Path, inputs: ClassifyInputs, tles: TleSet | None, records: FrameRecords | None
) -> tuple[CameraPosition | None, str | None]:
    """Where and when a photo was taken, well enough for Sun and Moon, or why it is not known."""
    frame: Frame = read_frame(path, records=records, options=inputs.frame)
    try:
        position = choose_position(frame, tles)
    except EphemerisError as error:
        return None, str(error)
    if position.sigma_along_km > MOST_ALONG_KM:
        return None, f"the place below the camera is known to {position.sigma_along_km:.0f} km only"
    if position.time_utc is None:
        return None, f"{path} says no time"
    return position, None
