"""The hash that tells whether lines were made with the same settings."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from regengine.fingerprint import fingerprint


def line_parameters(command: str, settings: dict[str, Any]) -> str:
    """Hash of all that the lines of a run depend on, the photos excepted.

    Parameters
    ----------
    command : str
        That writes them.
    settings : dict of str to object
        Values of its options. Files count by name and content, so that moving them changes
        nothing.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    known = {"engine_version": version("regengine"), "command": command}
    known |= {name: _plain(value) for name, value in settings.items()}
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return {"name": value.name, "fingerprint": fingerprint(value)}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
