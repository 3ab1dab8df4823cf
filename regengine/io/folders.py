"""Where a user's files lie on each system: what is kept, and what may be fetched again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from regengine.errors import ConfigError


def data_folder() -> Path:
    """Folder for maps and element sets: REGENGINE_DATA, or the place for data of a system."""
    return _folder("REGENGINE_DATA", "Application Support", "XDG_DATA_HOME", ".local/share")


def cache_folder() -> Path:
    """Folder for what is downloaded: REGENGINE_CACHE, or the place for caches of a system."""
    return _folder("REGENGINE_CACHE", "Caches", "XDG_CACHE_HOME", ".cache")


def make_folder(folder: Path, *, variable: str = "REGENGINE_DATA") -> Path:
    """Make a folder of the user's files, if need be; ConfigError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be created ({error.strerror}): set {variable} to a writable folder."
        ) from error
    return folder


def _folder(variable: str, mac: str, xdg: str, usual: str) -> Path:
    if given := os.environ.get(variable):
        return Path(given)
    if sys.platform == "darwin":
        return Path.home() / "Library" / mac / "regengine"
    return Path(os.environ.get(xdg) or Path.home() / usual) / "regengine"
