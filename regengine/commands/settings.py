"""Read settings files, and determine the order of precedence of settings.

The value of an option is taken from the first of: the command line; the environment variable
``REGENGINE_COMMAND_OPTION``; ``regengine.toml`` in the current folder; ``regengine.toml`` in the
user's configuration folder; the built-in default. Each command has its table::

    [register]
    max-seconds = 30
    lights = ["~/maps/lights.tif"]

    [maps.get]
    level = 7
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError

FILE_NAME = "regengine.toml"
# Content of each settings file, by its path, in order of precedence
Settings = Mapping[Path, Mapping[str, Any]]


def read_settings(given: Path | None = None) -> Settings:
    """Read the settings files that exist.

    ``given`` is read instead of those in the usual places, and must exist. Raises ConfigError if a
    file cannot be read, or is not TOML.
    """
    import typer

    usual = (Path(FILE_NAME).absolute(), Path(typer.get_app_dir("regengine")) / FILE_NAME)
    settings = {}
    for path in [path for path in usual if path.is_file()] if given is None else [given]:
        try:
            settings[path] = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(
                f"{path}: the settings file cannot be read ({reason}): check the path."
            ) from error
        except (ValueError, RecursionError) as error:  # not UTF-8, or not TOML
            raise ConfigError(f"{path}: the settings file is not valid TOML ({error}).") from error
    return settings


def settings_of(
    settings: Settings,
    command: tuple[str, ...],
    known: Collection[str],
) -> dict[str, tuple[Any, Path]]:
    """Return values in the table of a command such as ("maps", "get"), each with its file.

    Raises ConfigError for an unknown name, which would otherwise be ignored silently, and for a
    plain value in place of a table.
    """
    found: dict[str, tuple[Any, Path]] = {}
    for path, table in settings.items():
        for depth, name in enumerate(command, start=1):
            table = table.get(name, {})
            if not isinstance(table, Mapping):
                where = ".".join(command[:depth])
                raise ConfigError(f"{path}: {where} must be a table: write [{where}].")
        for name, value in table.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                listed = f"known settings are {', '.join(sorted(known))}."
                where = f"[{'.'.join(command)}] has" if command else "there is"
                hint = f"did you mean {close[0]}?" if close else listed
                raise ConfigError(f"{path}: {where} no setting {name}: {hint}")
            found.setdefault(name, (_expand_home(value), path))
    return found


def _expand_home(value: Any) -> Any:
    """Replace ``~/`` at the start of the texts of a value by the home folder."""
    if isinstance(value, list):
        return [_expand_home(item) for item in value]
    return str(Path(value).expanduser()) if str(value).startswith("~/") else value
