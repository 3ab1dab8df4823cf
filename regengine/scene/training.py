"""Labelled features in, the frozen model out: which kind is taken, and why."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from pathlib import Path

import numpy as np

from regengine.errors import ConfigError, FrameError
from regengine.io.plain import counted
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
from regengine.scene.picture import read_scene_picture
from regengine.scene.samples import (
    Samples,
    SceneLabel,
    check_photos_exist,
    read_scene_labels,
)

# Clusters are taken unless a supervised model's macro-F1 is greater by more than this
WORTH_SUPERVISION = 0.02
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
            f"one group; {counted(len(samples), 'photo was', 'photos were')} read, and "
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
    advance: Callable[[], None] = lambda: None,
) -> tuple[SceneModel, CrossValidation]:
    """Fit a model to all samples, judged by groups left out in turn.

    Simulated frames are used in training alone; `source` says which photos these are, for the
    record. The choice of the classifier and its probabilities rest on the cross-validation
    returned. Raises ConfigError if the samples are too few.
    """
    check_samples(samples)
    validation = cross_validate(samples, seed=seed, advance=advance)
    method = chosen_method(validation)
    fitted = fit_methods(samples, seed=seed)
    model = SceneModel(
        feature_names=feature_names(),
        feature_versions=feature_versions(),
        classes=samples.classes,
        method=method,
        classifier=fitted.classifiers[method],
        gate=fitted.gate,
        odds=validation.odds(method),
        training=_record(validation, method, source),
    )
    return model, validation


def _record(validation: CrossValidation, method: str, source: str) -> TrainingRecord:
    samples = validation.samples
    real = samples.targets[~samples.simulated].sum(axis=0)
    simulated = samples.targets[samples.simulated & ~samples.copies].sum(axis=0)
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


def measure_labelled(
    labels: Path,
    progress: Callable[[int], AbstractContextManager[Callable[[], None]]] = (
        lambda n_photos: nullcontext(lambda: None)
    ),
) -> tuple[Samples, bool]:
    """Measure the photos of a table of labels, see `read_scene_labels`.

    Parameters
    ----------
    labels
        The table.
    progress
        Called with the number of photos; what it gives is called after each photo.

    Returns
    -------
    tuple[Samples, bool]
        The photos that can be read, and whether these are all of them.

    Raises
    ------
    ConfigError
        The table cannot be used, or its photos are too few.
    NoPhotoError
        None of its photos is there.
    """
    wanted = read_scene_labels(labels)
    check_photos_exist(labels, (label.path for label in wanted))
    with progress(len(wanted)) as advance:
        samples = measure_photos(wanted, advance=advance)
    check_samples(samples)
    return samples, len(samples) == len(wanted)


def measure_photos(
    labels: Sequence[SceneLabel], *, advance: Callable[[], None] = lambda: None
) -> Samples:
    """Measure the labelled photos that can be read.

    An error is logged for each that cannot; `advance` is called after each photo.
    """
    rows = []
    read: list[SceneLabel] = []
    for label in labels:
        try:
            rows.append(measure_features(read_scene_picture(label.path)))
        except FrameError as error:
            logging.getLogger("regengine").error("Error: %s", error)
        else:
            read.append(label)
        advance()
    return Samples(
        features=np.array(rows, np.float64).reshape(len(rows), len(feature_names())),
        labels=tuple(label.labels for label in read),
        groups=tuple(label.group for label in read),
        simulated=np.zeros(len(read), bool),
        names=tuple(str(label.path) for label in read),
    )
