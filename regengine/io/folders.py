"""Where a user's files lie on each system: what is kept, and what may be fetched again."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

DATA_VARIABLE = "REGENGINE_DATA"
CACHE_VARIABLE = "REGENGINE_CACHE"


def data_folder(environment: Mapping[str, str] = os.environ, system: str = "") -> Path:
    """Folder for maps and element sets: REGENGINE_DATA, or the place for data of a system.

    ``system`` is "Linux", "Darwin" or "Windows"; this machine's if not given.
    """
    if environment.get(DATA_VARIABLE):
        return Path(environment[DATA_VARIABLE])
    xdg = environment.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return _place(environment, system, {"Windows": "Data", "Darwin": "Application Support"}, xdg)


def cache_folder(environment: Mapping[str, str] = os.environ, system: str = "") -> Path:
    """Folder for what is downloaded: REGENGINE_CACHE, or the place for caches of a system."""
    if environment.get(CACHE_VARIABLE):
        return Path(environment[CACHE_VARIABLE])
    xdg = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return _place(environment, system, {"Windows": "Cache", "Darwin": "Caches"}, xdg)


def _place(
    environment: Mapping[str, str], system: str, names: Mapping[str, str], xdg: str | Path
) -> Path:
    """Where a system keeps such folders."""
    system = system or platform.system()
    if system == "Windows" and environment.get("LOCALAPPDATA"):
        return Path(environment["LOCALAPPDATA"]) / "regengine" / names[system]
    if system == "Darwin":
        return Path.home() / "Library" / names[system] / "regengine"
    return Path(xdg) / "regengine"
