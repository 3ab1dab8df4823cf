"""Folders of the user's files on each system: data that is kept, and a cache of downloads."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from regengine.errors import ConfigError


def data_folder() -> Path:
    """Return the folder for maps and element sets: REGENGINE_DATA, or the system's data folder."""
    return _folder("REGENGINE_DATA", "Application Support", "XDG_DATA_HOME", ".local/share")


def cache_folder() -> Path:
    """Return the folder for downloads: REGENGINE_CACHE, or the system's cache folder."""
    return _folder("REGENGINE_CACHE", "Caches", "XDG_CACHE_HOME", ".cache")


def make_folder(folder: Path, *, variable: str = "REGENGINE_DATA") -> Path:
    """Create a folder for the user's files if necessary; ConfigError if that fails."""
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
