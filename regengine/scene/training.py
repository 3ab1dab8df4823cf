"""Labelled features in, the frozen model out: which kind is taken, and why."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version

import cv2
import numpy as np
from numpy.typing import NDArray

from regengine.errors import ConfigError, FrameError
from regengine.scene.crossval import (
    CLUSTERINGS,
    METHODS,
    SUPERVISED,
    CrossValidation,
    cross_validate,
    fit_methods,
    scored_classes,
)
from regengine.scene.features import feature_names, feature_versions, measure_features
from regengine.scene.model import SceneModel, TrainingRecord
from regengine.scene.picture import linear_light, read_scene_rgb, scene_picture
from regengine.scene.samples import Samples, SceneLabel
from regengine.scene.supervised import Candidate

# Clusters are taken unless a supervised model's macro-F1 is greater by more than this
WORTH_SUPERVISION = 0.02
# Changed copies of each photo: mean recall of groups left out rose by 0.01 to 0.03 with two
COPIES = 2
# Share of copies that are cropped, and the least part of a side that is kept
CROPPED, LEAST_KEPT = 0.6, 0.7
SCALES = (0.6, 1.2)
LONGEST_PX = 900
# One sigma of logarithms: exposure, gains of red and blue, contrast, saturation
EXPOSURE, WHITE_BALANCE, GAMMA, SATURATION = 0.3, 0.06, 0.08, 0.12
MOST_NOISE = 2.5  # eight-bit steps
QUALITY = (55, 96)  # of the JPEG
LIBRARIES = ("regengine", "numpy", "scipy", "scikit-learn")


def check_samples(samples: Samples) -> None:
    """Refuse samples that nothing can be learned from and judged by.

    Raises ConfigError if fewer than two classes have two groups of real photos each.
    """
    groups, real = np.array(samples.groups), ~samples.simulated
    known = [
        name
        for index, name in enumerate(samples.classes)
        if len(set(groups[real & (samples.primary == index)])) > 1
    ]
    if len(known) < 2:
        raise ConfigError(
            "too few labelled photos: at least two classes need two photos each that are not of "
            f"one group; {len(samples)} photos were read, and "
            + (f"only {known[0]} has that." if known else "no class has that.")
        )


def chosen_method(validation: CrossValidation) -> str:
    """The kind of classifier that is taken: the better clustering, or the supervised model."""
    scores = {method: validation.macro_f1(method) for method in METHODS}
    clustering = max(CLUSTERINGS, key=lambda method: scores[method])
    gain = scores[SUPERVISED] - scores[clustering]
    return SUPERVISED if round(gain, 9) > WORTH_SUPERVISION else clustering


def train_scene_model(
    samples: Samples,
    *,
    source: str,
    seed: int,
    candidate: Candidate | None = None,
    advance: Callable[[], None] = lambda: None,
) -> tuple[SceneModel, CrossValidation]:
    """Fit a model to all samples, judged by groups left out in turn.

    The supervised model is the `candidate`, or else chosen anew in each fold.

    Simulated frames are used in training alone; `source` says which photos these are, for the
    record. The choice of the classifier and its probabilities rest on the cross-validation
    returned. Raises ConfigError if the samples are too few.
    """
    check_samples(samples)
    validation = cross_validate(samples, seed=seed, candidate=candidate, advance=advance)
    method = chosen_method(validation)
    fitted = fit_methods(samples, seed=seed, candidate=candidate)
    model = SceneModel(
        feature_names=feature_names(),
        feature_versions=feature_versions(),
        classes=samples.classes,
        method=method,
        classifier=fitted.classifiers[method],
        gate=fitted.gate,
        odds=validation.odds(method, fitted.classifiers[method]),
        training=_record(validation, method, source),
    )
    return model, validation


def _record(validation: CrossValidation, method: str, source: str) -> TrainingRecord:
    samples = validation.samples
    real = samples.targets[~samples.simulated].sum(axis=0)
    simulated = samples.targets[samples.drawn].sum(axis=0)
    return TrainingRecord(
        source=source,
        libraries={
            "python": platform.python_version(),
            **{name: version(name) for name in LIBRARIES},
        },
        photos=tuple(real.tolist()),
        groups=tuple(samples.group_counts().tolist()),
        simulated=tuple(simulated.tolist()),
        confusion=validation.confusion(method),
        scored=tuple(samples.classes[i] for i in scored_classes(samples)),
        macro_f1={name: validation.macro_f1(name) for name in METHODS},
    )


def measure_photos(
    labels: Sequence[SceneLabel],
    *,
    copies: int = 0,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Samples:
    """Measure the labelled photos that can be read, and so many changed copies of each.

    Copies are for training alone (`Samples.copies`). An error is logged for each photo that cannot
    be read; `advance` is called after each photo.
    """
    rows, of = [], []
    read: list[SceneLabel] = []
    for number, label in enumerate(labels):
        try:
            shown = read_scene_rgb(label.path)
        except FrameError as error:
            logging.getLogger("regengine").error("Error: %s", error)
        else:
            pictures = [shown]
            for copy in range(copies):
                rng = np.random.default_rng([seed, number, copy])
                pictures.append(changed_copy(shown, rng))
            rows += [measure_features(scene_picture(picture)) for picture in pictures]
            of += [len(read)] * len(pictures)
            read.append(label)
        advance()
    first = np.diff(of, prepend=-1) > 0
    return Samples(
        features=np.array(rows, np.float64).reshape(len(rows), len(feature_names())),
        labels=tuple(read[i].labels for i in of),
        groups=tuple(read[i].group for i in of),
        simulated=~first,
        names=tuple(str(read[i].path) for i in of),
    )


def changed_copy(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A photo, shape (h, w, 3), cropped, scaled, developed otherwise and through a JPEG.

    It is not turned or mirrored: no feature knows of that.
    """
    height, width = rgb.shape[:2]
    if rng.random() < CROPPED:
        keep_y, keep_x = rng.uniform(LEAST_KEPT, 1.0, 2)
        top = int(rng.uniform(0.0, 1.0 - keep_y) * height)
        left = int(rng.uniform(0.0, 1.0 - keep_x) * width)
        rgb = rgb[top : top + int(keep_y * height), left : left + int(keep_x * width)]
    scale = float(np.exp(rng.uniform(*np.log(SCALES)))) * min(1.0, LONGEST_PX / max(rgb.shape))
    size = max(32, round(rgb.shape[1] * scale)), max(32, round(rgb.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    small = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=method)
    light = linear_light(small.astype(np.float32) / np.float32(255.0))
    gains = np.exp(rng.normal(0.0, WHITE_BALANCE, 3))
    gains *= np.exp(rng.normal(0.0, EXPOSURE)) / gains[1]
    light = np.clip(light * gains.astype(np.float32), 0.0, 1.0)
    shown = np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1.0 / 2.4) - 0.055
    )
    shown **= np.float32(np.exp(rng.normal(0.0, GAMMA)))
    grey = shown.mean(axis=2, keepdims=True)
    shown = grey + (shown - grey) * np.float32(np.exp(rng.normal(0.0, SATURATION)))
    noise = rng.normal(0.0, rng.uniform(0.0, MOST_NOISE), shown.shape)
    stored = np.clip(255.0 * shown + noise, 0.0, 255.0).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*QUALITY))]
    encoded = cv2.imencode(".jpg", stored[..., ::-1], quality)[1]
    again = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert again is not None
    return np.asarray(again[..., ::-1], np.uint8)
