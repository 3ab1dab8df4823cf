"""What a run was made from: command, versions, maps, settings, element sets, passes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from regengine.errors import StoreError
from regengine.report.distribution import Distribution, decades
from regengine.store.hdf5 import check
from regengine.store.parts import list_parts, parts_folder
from regengine.store.rows import StoredFrame

MOST_SETTINGS = 8
MOST_NAMES = 20
# By `search_pass` of the store
PASSES = (
    "unknown",
    "by itself",
    "with hints of its stretch",
    "again with its stretch",
    "again with the whole batch",
)


class OriginTally:
    """Versions, maps, settings, sources of positions and passes of the photos."""

    def __init__(self) -> None:
        self._engines: Counter[str] = Counter()
        self._lights: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._passes: Counter[str] = Counter()
        self._accepted: Counter[str] = Counter()
        self._settings: Counter[str] = Counter()
        self._texts: dict[str, str] = {}
        self._ages = Distribution(decades(-1, 4))

    def add(self, stored: StoredFrame) -> None:
        """Take what one photo was made from."""
        result = stored.result
        self._engines[result.engine_version] += 1
        self._lights[result.lights] += 1
        self._sources["none" if result.nadir is None else result.nadir.source] += 1
        if result.nadir is not None and result.nadir.source == "tle":
            self._ages.add(result.nadir.tle_age_h)
        number = stored.search_pass
        name = PASSES[number] if number < len(PASSES) else PASSES[0]
        self._passes[name] += 1
        self._accepted[name] += result.verdict == "accepted"
        self._settings[stored.parameters_sha256] += 1
        if len(self._texts) < MOST_SETTINGS:
            self._texts.setdefault(stored.parameters_sha256, stored.parameters)

    def figures(self) -> dict[str, Any]:
        """Counts of each, the commonest first; ages of element sets in hours."""
        return {
            "engine_versions": dict(self._engines.most_common(MOST_NAMES)),
            "lights": dict(self._lights.most_common(MOST_NAMES)),
            "positions_from": dict(self._sources.most_common(MOST_NAMES)),
            "tle_age_h": self._ages.figures(),
            "passes": [
                {"pass": name, "photos": self._passes[name], "accepted": self._accepted[name]}
                for name in PASSES
                if self._passes[name]
            ],
            "settings": [
                {"sha256": sha256, "photos": count, "parameters": _parsed(self._texts.get(sha256))}
                for sha256, count in self._settings.most_common(MOST_SETTINGS)
            ],
            "different_settings": len(self._settings),
        }


def run_attributes(store: Path) -> dict[str, Any]:
    """What a store says of its making.

    Parameters
    ----------
    store : Path
        The store; while its first run is under way it need not exist.

    Returns
    -------
    dict
        ``created``, ``command_line``, ``package_versions`` (null where a store lacks them),
        ``format_version``, ``unmerged_parts``: parts that a run under way, or one that was
        stopped, left beside the store.
    """
    import h5py

    parts = list_parts(parts_folder(store))
    for path in ([store] if store.exists() else []) + parts[::-1]:
        try:
            check(path)
            with h5py.File(path, "r") as file:
                found = dict(file.attrs.items())
        except (OSError, RuntimeError, StoreError):  # a part that was merged a moment ago
            continue
        return {
            "created": _text(found.get("created")),
            "command_line": _text(found.get("command_line")),
            "package_versions": _parsed(_text(found.get("package_versions"))),
            "format_version": int(found.get("format_version", 0)),
            "unmerged_parts": len(parts),
        }
    raise StoreError(f"{store} does not exist: check the path of the store.")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _parsed(text: str | None) -> Any:
    """A JSON object; null for anything else."""
    try:
        value = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
