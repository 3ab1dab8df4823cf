"""The settings that a result depends on, as text, and the hash that tells whether they changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from regengine.fingerprint import fingerprint

if TYPE_CHECKING:
    from regengine.pipeline import RunInputs


def parameters_of(inputs: RunInputs) -> tuple[str, str]:
    """Text and hash of all that results of a run depend on, the photo excepted.

    Parameters
    ----------
    inputs : RunInputs
        What the run was given.

    Returns
    -------
    parameters : str
        A JSON object, keys sorted. Files appear by name and fingerprint, so that moving them
        changes nothing.
    sha256 : str
        Hash of that text, hexadecimal.
    """
    register = asdict(inputs.register)
    del register["clock"]  # how time is told changes no result
    frame = asdict(inputs.frame)
    if not inputs.frame.lenses:
        del frame["lenses"]  # stores of before profiles stay good
    settings: dict[str, object] = {
        "engine_version": version("regengine"),
        "lights": [_file(path) for path in inputs.lights],
        "tle": None if inputs.tle is None else _file(inputs.tle),
        "metadata": None if inputs.metadata is None else _file(inputs.metadata),
        "frame": frame,
        "register": register,
        "share": inputs.share,
        "stars": inputs.stars,
    }
    if inputs.blind is not None:
        settings["blind"] = {**asdict(inputs.blind), "index": _file(inputs.blind.index)}
    text = json.dumps(settings, sort_keys=True, default=str)
    return text, hashlib.sha256(text.encode()).hexdigest()


def _file(path: Path) -> dict[str, str]:
    return {"name": path.name, "fingerprint": fingerprint(path)}
