"""The model's file: one JSON of plain arrays, checked on reading; nothing in it is executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from detectors.types import FloatArray
from regengine.errors import ConfigError
from regengine.io.atomic import write_whole
from regengine.scene.clustering import Clusters, NamedClusters
from regengine.scene.features import feature_names, feature_versions
from regengine.scene.model import LEAST_UNEXPLAINED, Gate, Odds, SceneModel, TrainingRecord
from regengine.scene.samples import OTHER
from regengine.scene.supervised import Candidate, Standardiser, Supervised

FORMAT = "regengine-scene-model"
FORMAT_VERSION = 1
SHIPPED = "scene_model.json"
AGAIN = "train it again with `regengine train LABELS.csv --out {name}`"

Part = Mapping[str, Any]


def read_scene_model(path: Path) -> SceneModel:
    """Read a model that `write_scene_model` wrote, and check it.

    Raises ConfigError if the file cannot be read, is damaged, or was trained on other features than
    these.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the scene model cannot be read ({error}).") from error
    try:
        content = _sealed_content(text)
        _check_features(path, content)
        return _checked_model(content)
    except ConfigError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ConfigError(
            f"{path}: not a sound scene model ({what}); {AGAIN.format(name=path.name)}."
        ) from error


def write_scene_model(path: Path, model: SceneModel) -> None:
    """Write a model, whole or not at all; equal models give equal bytes.

    Raises ConfigError if the file cannot be written.
    """
    try:
        write_whole(path, scene_model_text(model).encode())
    except OSError as error:
        raise ConfigError(
            f"{path}: the scene model cannot be written ({error.strerror or error})."
        ) from error


def scene_model_text(model: SceneModel) -> str:
    """A model as the text of its file: a line for each part, and a seal over all of them."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(model)}
    lines = {name: _line(value) for name, value in content.items()}
    lines["sha256"] = json.dumps(_seal(content))
    return "{\n" + ",\n".join(f'"{name}": {text}' for name, text in lines.items()) + "\n}\n"


@lru_cache(maxsize=4)
def load_scene_model(path: Path | None = None) -> SceneModel:
    """A model, by default that of this version; read and checked when first asked for."""
    return read_scene_model(path or Path(str(files("regengine.scene") / SHIPPED)))


def _line(value: Any) -> str:
    return json.dumps(value, default=np.ndarray.tolist, allow_nan=False)


def _seal(content: Mapping[str, Any]) -> str:
    """SHA-256 over the content, whatever the spaces between."""
    return hashlib.sha256(
        json.dumps(content, default=np.ndarray.tolist, sort_keys=True).encode()
    ).hexdigest()


def _sealed_content(text: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT!r}")
    if content.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"its format_version is not {FORMAT_VERSION}")
    if content.pop("sha256", None) != _seal(content):
        raise ValueError("it was changed or damaged since it was written")
    return content


def _check_features(path: Path, content: Mapping[str, Any]) -> None:
    """Refuse a model of other features: its numbers would mean something else."""
    theirs, ours = dict(content["feature_versions"]), feature_versions()
    differ = [
        f"{family} has version {theirs.get(family, 0)} there and {ours.get(family, 0)} here"
        for family in sorted({*theirs, *ours})
        if theirs.get(family) != ours.get(family)
    ]
    if not differ and content["feature_names"] != list(feature_names()):
        differ = ["their names differ"]
    if differ:
        raise ConfigError(
            f"{path}: trained on other features than this version measures "
            f"({', '.join(differ)}); {AGAIN.format(name=path.name)}."
        )


def _checked_model(content: Part) -> SceneModel:
    """A model from the content of its file: shapes that fit, numbers that are finite."""
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
