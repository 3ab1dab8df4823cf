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

from regengine.errors import ConfigError
from regengine.scene.features import feature_names, feature_versions
from regengine.scene.model import SceneModel
from regengine.scene.model_parts import checked_model
from regengine.store.atomic import write_whole

FORMAT = "regengine-scene-model"
FORMAT_VERSION = 1
SHIPPED = "scene_model.json"
AGAIN = "train it again with `regengine train LABELS.csv --out {name}`"


def read_scene_model(path: Path) -> SceneModel:
    """Read a model and check it.

    Parameters
    ----------
    path : Path
        JSON file, as `write_scene_model` makes it.

    Returns
    -------
    SceneModel

    Raises
    ------
    ConfigError
        If the file cannot be read, is damaged, or was trained on other features than these.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the scene model cannot be read ({error}).") from error
    try:
        content = _sealed_content(text)
        _check_features(path, content)
        return checked_model(content)
    except ConfigError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ConfigError(
            f"{path}: not a sound scene model ({what}); {AGAIN.format(name=path.name)}."
        ) from error


def write_scene_model(path: Path, model: SceneModel) -> None:
    """Write a model, whole or not at all; equal models give equal bytes.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    model : SceneModel
        What is written.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    try:
        write_whole(path, scene_model_text(model).encode())
    except OSError as error:
        raise ConfigError(f"{path}: the scene model cannot be written ({error}).") from error


def scene_model_text(model: SceneModel) -> str:
    """A model as the text of its file: a line for each part, and a seal over all of them."""
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(model)}
    lines = {name: _line(value) for name, value in content.items()}
    lines["sha256"] = json.dumps(_seal(content))
    return "{\n" + ",\n".join(f'"{name}": {text}' for name, text in lines.items()) + "\n}\n"


@lru_cache(maxsize=4)
def load_scene_model(path: Path | None = None) -> SceneModel:
    """A model, read when first asked for.

    Parameters
    ----------
    path : Path, optional
        The model's file; that of this version by default.

    Returns
    -------
    SceneModel

    Raises
    ------
    ConfigError
        As of `read_scene_model`.
    """
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
