"""Train the scene model: cross-validate every kind of classifier by groups, and choose one."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from regengine.errors import ConfigError, FrameError
from regengine.io.plain import format_count
from regengine.scene import models
from regengine.scene.features import feature_names, feature_versions, measure_features
from regengine.scene.labels import (
    MIN_GROUPS,
    OTHER,
    IndexArray,
    LabelledFeatures,
    SceneLabel,
    check_photos_exist,
    deal_folds,
    read_scene_labels,
)
from regengine.scene.picture import read_scene_picture

CLUSTERINGS = ("gmm", "kmeans")
SUPERVISED = "supervised"
METHODS = (*CLUSTERINGS, SUPERVISED)
LIBRARIES = ("regengine", "numpy", "scipy", "scikit-learn")


def fit_methods(
    samples: LabelledFeatures, *, seed: int
) -> tuple[models.Gate, dict[str, models.Classifier]]:
    """Fit the gate, and one classifier of each kind in `METHODS`, by name, to training rows."""
    # Clusters and gate do not support row weights: copies would outnumber the photos
    few = samples.subset(~samples.copies)
    gmm = models.fit_gmm(few.features, seed=seed)
    return models.fit_gate(gmm, few, seed=seed), {
        "gmm": models.name_clusters(gmm, few),
        "kmeans": models.name_clusters(models.fit_kmeans(few.features, seed=seed), few),
        SUPERVISED: models.fit_kernel_ridge(samples),
    }


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """Predictions of every kind of model for photos of left-out groups."""

    samples: LabelledFeatures  # the M photos that were tested: all real ones
    explained: NDArray[np.bool_]  # shape (M,): by gates fitted without them
    probabilities: Mapping[str, FloatArray]  # for each method, shape (M, C)
    # For each method, fitted to the scores of all left-out photos
    calibrations: Mapping[str, models.PlattCalibration]

    def said(self, method: str) -> IndexArray:
        """Class that a method predicts for each photo, shape (M,)."""
        other = self.samples.classes.index(OTHER)
        return models.most_probable(self.probabilities[method], self.explained, other)

    def macro_f1(self, method: str, weights: FloatArray | None = None) -> float:
        """Mean F1 of the scored classes; frames have equal weights by default."""
        from sklearn.metrics import f1_score

        return float(
            f1_score(
                self.samples.primary,
                self.said(method),
                labels=choose_scored_classes(self.samples),
                average="macro",
                sample_weight=weights,
                zero_division=0.0,
            )
        )

    def confusion(self, method: str) -> IndexArray:
        """Confusion matrix: true class (rows) and predicted class (columns), shape (C, C)."""
        from sklearn.metrics import confusion_matrix

        every = range(len(self.samples.classes))
        counts = confusion_matrix(self.samples.primary, self.said(method), labels=every)
        return np.asarray(counts, np.intp)


def cross_validate(
    samples: LabelledFeatures, *, seed: int, advance: Callable[[], None] = lambda: None
) -> CrossValidation:
    """Fit every kind of model to all folds but one, in turn.

    The test fold does not influence the model that predicts it: mean and scale, axes, number of
    clusters, gate threshold and calibration curve are fitted anew for each fold. The samples have
    two or more classes with two or more groups.
    """
    real = np.flatnonzero(~samples.simulated)
    tested, other = samples.subset(real), samples.classes.index(OTHER)
    fold_of = np.full(len(samples), -1)
    explained = np.zeros(len(samples), bool)
    scores = {name: np.zeros((len(samples), len(samples.classes))) for name in METHODS}
    folds = deal_folds(samples, seed=seed)
    for number, (train, test) in enumerate(folds):
        gate, classifiers = fit_methods(samples.subset(train), seed=seed)
        rows = samples.features[test]
        fold_of[test] = number
        explained[test] = gate.explains(rows)
        for name, classifier in classifiers.items():
            scores[name][test] = classifier.scores(rows)
        advance()
    fold_of, explained = fold_of[real], explained[real]
    groups = samples.group_counts() + samples.simulated_counts()

    def calibrate(score: FloatArray, kept: NDArray[np.bool_]) -> models.PlattCalibration:
        truth = tested.targets[kept], explained[kept], tested.weights[kept]
        return models.fit_calibration(score[kept], *truth, groups, other)

    probabilities, calibrations = {}, {}
    for name in METHODS:
        score = scores[name][real]
        calibrations[name] = calibrate(score, np.ones(len(tested), bool))
        probabilities[name] = np.empty_like(score)
        for number in range(len(folds)):
            now = fold_of == number
            curve = calibrate(score, ~now)
            probabilities[name][now] = curve.probabilities(score[now], explained[now], other)
    return CrossValidation(
        samples=tested,
        explained=explained,
        probabilities=probabilities,
        calibrations=calibrations,
    )


def choose_scored_classes(samples: LabelledFeatures) -> IndexArray:
    """Classes with at least `MIN_GROUPS` groups of real photos; if there is none, all tested."""
    counts = samples.primary_group_counts()
    enough = np.flatnonzero(counts >= MIN_GROUPS)
    return enough if len(enough) else np.flatnonzero(counts)


def choose_method(validation: CrossValidation) -> str:
    """Choose the kind of classifier: the better clustering or the supervised model."""
    scores = {method: validation.macro_f1(method) for method in METHODS}
    clustering = max(CLUSTERINGS, key=lambda method: scores[method])
    gain = scores[SUPERVISED] - scores[clustering]
    # Clusters are chosen unless a supervised model's macro-F1 exceeds theirs by more than this
    return SUPERVISED if round(gain, 9) > 0.02 else clustering


def check_samples(samples: LabelledFeatures) -> None:
    """Reject samples that are too few to train and to test a model.

    Raises ConfigError if fewer than two classes have two groups of real photos each.
    """
    known = [samples.classes[i] for i in np.flatnonzero(samples.primary_group_counts() > 1)]
    if len(known) < 2:
        raise ConfigError(
            "too few labelled photos: at least two classes need two photos each from different "
            f"groups; {format_count(len(samples), 'photo was', 'photos were')} read, and "
            + (f"only {known[0]} has them." if known else "no class has them.")
        )


def train_scene_model(
    samples: LabelledFeatures,
    *,
    source: str,
    seed: int,
    advance: Callable[[], None] = lambda: None,
) -> tuple[models.SceneModel, CrossValidation]:
    """Fit a model to all samples and cross-validate it by groups.

    Simulated frames and altered copies are used only in training. `source` describes the photos for
    the record. The choice of the classifier and its probabilities are based on the
    cross-validation, which is also returned. Raises ConfigError if the samples are too few.
    """
    check_samples(samples)
    validation = cross_validate(samples, seed=seed, advance=advance)
    method = choose_method(validation)
    gate, classifiers = fit_methods(samples, seed=seed)
    versions = {name: version(name) for name in LIBRARIES}
    record = models.TrainingRecord(
        source=source,
        libraries={"python": platform.python_version(), **versions},
        photos=tuple(validation.samples.targets.sum(axis=0).tolist()),
        groups=tuple(samples.group_counts().tolist()),
        simulated=tuple(samples.simulated_counts().tolist()),
        confusion=validation.confusion(method),
        scored=tuple(samples.classes[i] for i in choose_scored_classes(samples)),
        macro_f1={name: validation.macro_f1(name) for name in METHODS},
    )
    model = models.SceneModel(
        feature_names=feature_names(),
        feature_versions=feature_versions(),
        classes=samples.classes,
        method=method,
        classifier=classifiers[method],
        gate=gate,
        calibration=validation.calibrations[method],
        training=record,
    )
    return model, validation


def measure_labelled(
    labels: Path,
    progress: Callable[[int], AbstractContextManager[Callable[[], None]]],
) -> tuple[LabelledFeatures, bool]:
    """Measure the photos of a table of labels that can be read, and say whether all can.

    ``progress`` is called with the number of photos; its result is called after each photo.
    ConfigError if the table cannot be used or its photos are too few (see `read_scene_labels`),
    NoPhotoError if none exists.
    """
    wanted = read_scene_labels(labels)
    check_photos_exist(labels, (label.path for label in wanted))
    with progress(len(wanted)) as advance:
        samples = measure_photos(wanted, advance=advance)
    check_samples(samples)
    return samples, len(samples) == len(wanted)


def measure_photos(
    labels: Sequence[SceneLabel], *, advance: Callable[[], None] = lambda: None
) -> LabelledFeatures:
    """Measure the labelled photos that can be read.

    An error is logged for each photo that cannot be read. `advance` is called after each photo.
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
    return LabelledFeatures(
        features=np.array(rows, np.float64).reshape(len(rows), len(feature_names())),
        labels=tuple(label.labels for label in read),
        groups=tuple(label.group for label in read),
        simulated=np.zeros(len(read), bool),
        names=tuple(str(label.path) for label in read),
    )
