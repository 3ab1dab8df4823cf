"""Read and write the model's file: one validated JSON of plain arrays, without executable code."""

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
from regengine.scene.features import feature_names, feature_versions
from regengine.scene.labels import OTHER
from regengine.scene.models import (
    MIN_UNEXPLAINED,
    Axes,
    Calibration,
    Gate,
    Logistic,
    Mixture,
    NamedClusters,
    Scaler,
    SceneModel,
    TrainingRecord,
)

FORMAT = "regengine-scene-model"
FORMAT_VERSION = 2
SHIPPED = "scene_model.json"
AGAIN = "train it again with `regengine train LABELS.csv --out {name}`"

# Arrays of each part and their shapes: F features, D axes, K clusters, C classes
SCALER = {"mean": "F", "scale": "F"}
MIXTURE = {"directions": "FD", "weights": "K", "means": "KD", "whitening": "KDD"}
LOGISTIC = {"coefficients": "FC", "intercepts": "C"}


def read_scene_model(path: Path) -> SceneModel:
    """Read and validate a model written by `write_scene_model`.

    Raises ConfigError if the file cannot be read, is damaged, has another format, or was trained on
    other features than the present ones.
    """
    again = AGAIN.format(name=path.name)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        if content.get("format_version") != FORMAT_VERSION:
            raise ValueError(
                f"its format_version is {content.get('format_version')!r}, not {FORMAT_VERSION}: "
                "another version of regengine wrote it"
            )
        if content.pop("sha256", None) != _seal(content):
            raise ValueError("it was changed or damaged after it was written")
        _check_features(path, content)
        return _model(content)
    except ConfigError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the scene model cannot be read ({error}).") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ConfigError(f"{path}: not a valid scene model ({what}); {again}.") from error


def write_scene_model(path: Path, model: SceneModel) -> None:
    """Write a model atomically; equal models give equal bytes.

    Raises ConfigError if the file cannot be written.
    """
    try:
        write_whole(path, scene_model_text(model).encode())
    except OSError as error:
        raise ConfigError(
            f"{path}: the scene model cannot be written ({error.strerror or error})."
        ) from error


def scene_model_text(model: SceneModel) -> str:
    """A model as the text of its file: one line per part, with a checksum of all of them."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(model)}
    lines = {
        name: json.dumps(value, default=np.ndarray.tolist, allow_nan=False)
        for name, value in content.items()
    }
    lines["sha256"] = json.dumps(_seal(content))
    return "{\n" + ",\n".join(f'"{name}": {text}' for name, text in lines.items()) + "\n}\n"


@lru_cache(maxsize=4)
def load_scene_model(path: Path | None = None) -> SceneModel:
    """Load a model, by default that of this version; cached."""
    return read_scene_model(path or Path(str(files("regengine.scene") / SHIPPED)))


def _seal(content: Mapping[str, Any]) -> str:
    """SHA-256 of the content, independent of white space."""
    text = json.dumps(content, default=np.ndarray.tolist, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_features(path: Path, content: Mapping[str, Any]) -> None:
    """Reject a model of other features: its coefficients would not apply."""
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
            f"{path}: trained on other features than this version computes ({', '.join(differ)}); "
            f"{AGAIN.format(name=path.name)}."
        )


def _model(content: Mapping[str, Any]) -> SceneModel:
    """Build a model from the content of its file; checks shapes and finite numbers."""
    names = _names("feature_names", content["feature_names"])
    classes = _names("classes", content["classes"])
    if OTHER not in classes:
        raise ValueError(f"classes lacks {OTHER!r}")
    length = {"F": len(names), "C": len(classes)}
    fitted, gate, told = content["classifier"], content["gate"], content["training"]
    classifier: NamedClusters | Logistic
    if "mixture" in fitted:
        mixture = _mixture(fitted["mixture"], length)
        shares = _arrays(fitted, {"shares": "KC"}, length | {"K": len(mixture.weights)})
        classifier = NamedClusters(mixture=mixture, **shares)
    else:
        classifier = Logistic(
            scaler=_scaler(fitted["scaler"], length), **_arrays(fitted, LOGISTIC, length)
        )
    counts = _arrays(told, dict.fromkeys(("photos", "groups", "simulated"), "C"), length)
    confusion = _arrays(told, {"confusion": "CC"}, length)["confusion"]
    return SceneModel(
        feature_names=names,
        feature_versions={str(k): int(v) for k, v in content["feature_versions"].items()},
        classes=classes,
        method=str(content["method"]),
        classifier=classifier,
        gate=Gate(mixture=_mixture(gate["mixture"], length), threshold=_number(gate, "threshold")),
        calibration=_calibration(content["calibration"], length),
        training=TrainingRecord(
            source=str(told["source"]),
            libraries={str(k): str(v) for k, v in told["libraries"].items()},
            confusion=confusion.astype(np.intp),
            scored=tuple(str(name) for name in told["scored"]),
            macro_f1={str(k): float(v) for k, v in told["macro_f1"].items()},
            **{name: tuple(values.astype(int).tolist()) for name, values in counts.items()},
        ),
    )


def _mixture(part: Mapping[str, Any], length: Mapping[str, int]) -> Mixture:
    axes = part["axes"]
    found = _arrays({**part, "directions": axes["directions"]}, MIXTURE, length)
    if found["weights"].min() <= 0.0 or np.einsum("kii->ki", found["whitening"]).min() <= 0.0:
        raise ValueError("a weight or a width of the clusters is not positive")
    return Mixture(
        shape=str(part["shape"]),
        axes=Axes(scaler=_scaler(axes["scaler"], length), directions=found.pop("directions")),
        **found,
    )


def _scaler(part: Mapping[str, Any], length: Mapping[str, int]) -> Scaler:
    found = _arrays(part, SCALER, length)
    if found["scale"].min() <= 0.0:
        raise ValueError("a scale is not positive")
    return Scaler(**found)


def _calibration(part: Mapping[str, Any], length: Mapping[str, int]) -> Calibration:
    found = Calibration(
        slope=_number(part, "slope"),
        margin_slope=_number(part, "margin_slope"),
        offset=_number(part, "offset"),
        floor=_number(part, "floor"),
        ceiling=_arrays(part, {"ceiling": "C"}, length)["ceiling"],
        unexplained=_number(part, "unexplained"),
    )
    if (
        min(found.slope, found.margin_slope) <= 0.0
        or not 0.0 < found.floor < found.ceiling.min() <= found.ceiling.max() < 1.0
    ):
        raise ValueError("slopes, floor and ceiling are not in order")
    if not MIN_UNEXPLAINED <= found.unexplained < 1.0:
        raise ValueError(f"unexplained is not between {MIN_UNEXPLAINED} and 1")
    return found


def _names(what: str, names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise ValueError(f"{what} is not a list of distinct names")
    return tuple(str(name) for name in names)


def _number(part: Mapping[str, Any], name: str) -> float:
    value = part[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"{name} is not a finite number")
    return float(value)


def _arrays(
    part: Mapping[str, Any], shapes: Mapping[str, str], length: Mapping[str, int]
) -> dict[str, FloatArray]:
    """Arrays of a part; each letter of a shape has one length, greater than 0, throughout."""
    known, found = dict(length), {}
    for name, shape in shapes.items():
        array = np.array(part[name], np.float64)
        if array.ndim != len(shape) or any(
            size == 0 or size != known.setdefault(letter, size)
            for letter, size in zip(shape, array.shape, strict=True)
        ):
            raise ValueError(f"{name} has a shape that does not fit the other parts")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has values that are not finite")
        found[name] = array
    return found
