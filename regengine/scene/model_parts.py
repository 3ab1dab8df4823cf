"""The parts of a model's file, each checked: shapes that fit, numbers that are finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from regengine.scene.clustering import Clusters
from regengine.scene.gate import Gate
from regengine.scene.labels import OTHER
from regengine.scene.model import SceneModel, TrainingRecord
from regengine.scene.named_clusters import NamedClusters
from regengine.scene.odds import LEAST_UNEXPLAINED, Odds
from regengine.scene.samples import FloatArray
from regengine.scene.standardise import Standardiser
from regengine.scene.supervised import Candidate, Supervised

Part = Mapping[str, Any]


def checked_model(content: Part) -> SceneModel:
    """A model from the content of its file.

    Parameters
    ----------
    content : mapping
        As read from JSON.

    Returns
    -------
    SceneModel

    Raises
    ------
    ValueError, KeyError, TypeError
        Telling what is wrong or missing.
    """
    names = _names("feature_names", content["feature_names"])
    classes = _names("classes", content["classes"])
    if OTHER not in classes:
        raise ValueError(f"classes lacks {OTHER!r}")
    gate = content["gate"]
    return SceneModel(
        feature_names=names,
        feature_versions={str(k): int(v) for k, v in content["feature_versions"].items()},
        classes=classes,
        method=str(content["method"]),
        classifier=_classifier(content["classifier"], len(names), classes),
        gate=Gate(
            clusters=_clusters(gate["clusters"], len(names)), threshold=_number(gate, "threshold")
        ),
        odds=_odds(content["odds"], len(classes)),
        training=_training(content["training"], classes),
    )


def _classifier(part: Part, features: int, classes: tuple[str, ...]) -> NamedClusters | Supervised:
    if tuple(part["classes"]) != classes:
        raise ValueError("the classifier's classes are not those of the model")
    if "clusters" in part:
        clusters = _clusters(part["clusters"], features)
        shares = _array(part, "shares", len(clusters.weights), len(classes))
        return NamedClusters(clusters=clusters, classes=classes, shares=shares)
    support = None if part["support"] is None else _array(part, "support", None, features)
    rows = features if support is None else len(support)
    linear = None if part["linear"] is None else _array(part, "linear", features, len(classes))
    candidate = part["candidate"]
    return Supervised(
        candidate=Candidate(
            method=str(candidate["method"]), strength=_number(candidate, "strength")
        ),
        classes=classes,
        standardiser=_standardiser(part["standardiser"], features),
        coefficients=_array(part, "coefficients", rows, len(classes)),
        intercepts=_array(part, "intercepts", len(classes)),
        support=support,
        gamma=_number(part, "gamma"),
        linear=linear,
    )


def _clusters(part: Part, features: int) -> Clusters:
    standardiser = _standardiser(part["standardiser"], features)
    axes = features if standardiser.axes is None else standardiser.axes.shape[1]
    weights = _array(part, "weights", None)
    whitening = _array(part, "whitening", len(weights), axes, axes)
    if weights.min() <= 0.0 or np.einsum("kii->ki", whitening).min() <= 0.0:
        raise ValueError("a weight or a width of the clusters is not positive")
    return Clusters(
        shape=str(part["shape"]),
        standardiser=standardiser,
        weights=weights,
        means=_array(part, "means", len(weights), axes),
        whitening=whitening,
    )


def _standardiser(part: Part, features: int) -> Standardiser:
    scale = _array(part, "scale", features)
    if scale.min() <= 0.0:
        raise ValueError("a scale is not positive")
    axes = None if part["axes"] is None else _array(part, "axes", features, None)
    return Standardiser(mean=_array(part, "mean", features), scale=scale, axes=axes)


def _odds(part: Part, classes: int) -> Odds:
    odds = Odds(
        slope=_number(part, "slope"),
        lead=_number(part, "lead"),
        offset=_number(part, "offset"),
        floor=_number(part, "floor"),
        ceiling=_array(part, "ceiling", classes),
        unexplained=_number(part, "unexplained"),
    )
    if (
        min(odds.slope, odds.lead) <= 0.0
        or not 0.0 < odds.floor < odds.ceiling.min() <= odds.ceiling.max() < 1.0
    ):
        raise ValueError("slope, lead, floor and ceiling are not in order")
    if not LEAST_UNEXPLAINED <= odds.unexplained < 1.0:
        raise ValueError(f"unexplained is not between {LEAST_UNEXPLAINED} and 1")
    return odds


def _training(part: Part, classes: tuple[str, ...]) -> TrainingRecord:
    counts = {
        name: tuple(int(n) for n in _array(part, name, len(classes)))
        for name in ("photos", "groups", "simulated")
    }
    return TrainingRecord(
        source=str(part["source"]),
        libraries={str(k): str(v) for k, v in part["libraries"].items()},
        confusion=_array(part, "confusion", len(classes), len(classes)).astype(np.intp),
        scored=tuple(str(name) for name in part["scored"]),
        macro_f1={str(k): float(v) for k, v in part["macro_f1"].items()},
        **counts,
    )


def _names(what: str, names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise ValueError(f"{what} is no list of different names")
    return tuple(str(name) for name in names)


def _number(part: Part, name: str) -> float:
    value = part[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"{name} is no finite number")
    return float(value)


def _array(part: Part, name: str, *shape: int | None) -> FloatArray:
    """An array of a shape, None standing for any length but 0."""
    array = np.array(part[name], np.float64)
    fits = array.ndim == len(shape) and all(
        length == wanted or (wanted is None and length > 0)
        for length, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} has not the shape that the other parts ask for")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    return array
