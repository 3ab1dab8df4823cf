"""Settings files: where they lie, what they say, which of them wins.

An option's value comes from, strongest first: the command line; the environment variable
``REGENGINE_COMMAND_OPTION``; ``regengine.toml`` in the current folder; ``regengine.toml`` in the
user's configuration folder; the built-in default. Each command has its table::

    [register]
    max-seconds = 30
    lights = ["~/maps/lights.tif"]

    [lights.fetch]
    radius-km = 900
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError

FILE_NAME = "regengine.toml"


@dataclass(frozen=True, kw_only=True)
class SettingsFile:
    """One settings file, read; ``tables`` are its content as TOML gives it."""

    path: Path
    tables: Mapping[str, Any]

    def table(self, path: tuple[str, ...]) -> Mapping[str, Any]:
        """Table of a command such as ("lights", "fetch"); empty where the file has none.

        ConfigError if the file has a plain value where a table belongs.
        """
        table: Any = self.tables
        for depth, name in enumerate(path, start=1):
            table = table.get(name, {})
            if not isinstance(table, Mapping):
                where = ".".join(path[:depth])
                raise ConfigError(f"{self.path}: {where} must be a table: write [{where}].")
        return table

    def check_names(self, path: tuple[str, ...], known: Collection[str]) -> None:
        """Refuse names in a table, () for the whole file, that are not among the known ones.

        A misspelt setting would be silently lost: it raises ConfigError.
        """
        for name in self.table(path):
            if name in known:
                continue
            close = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}."
            )
            where = f"[{'.'.join(path)}] has" if path else "there is"
            raise ConfigError(f"{self.path}: {where} no setting {name}: {hint}.")


def settings_paths() -> tuple[Path, ...]:
    """Places where a settings file may lie, strongest first."""
    import typer

    return (Path(FILE_NAME).absolute(), Path(typer.get_app_dir("regengine")) / FILE_NAME)


def read_settings(
    explicit: Path | None = None, *, known_tables: Collection[str] | None = None
) -> tuple[SettingsFile, ...]:
    """Read the settings files that are there, strongest first.

    ``explicit`` is read instead of those in the usual places, and must exist; ``known_tables`` may
    stand at the top of a file, any if not given. ConfigError if a file cannot be read, is no TOML,
    or has an unknown table.
    """
    paths = settings_paths() if explicit is None else (explicit,)
    files = []
    for path in paths:
        if explicit is None and not path.is_file():
            continue
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(
                f"{path}: the settings file cannot be read ({reason}): check the path."
            ) from error
        except (ValueError, RecursionError) as error:  # not UTF-8, or not TOML
            raise ConfigError(f"{path}: the settings file is not valid TOML ({error}).") from error
        file = SettingsFile(path=path, tables=tables)
        if known_tables is not None:
            file.check_names((), known_tables)
        files.append(file)
    return tuple(files)


def find_setting(
    files: tuple[SettingsFile, ...], path: tuple[str, ...], name: str
) -> tuple[Any, Path] | None:
    """Value of an option (its name without dashes) and the file that gave it; None without one.

    ``~/`` at the start of texts is expanded; ``files`` stand strongest first.
    """
    for file in files:
        table = file.table(path)
        if name in table:
            value = table[name]
            many = isinstance(value, list)
            expanded = [expand_home(item) for item in (value if many else [value])]
            return (expanded if many else expanded[0]), file.path
    return None


def expand_home(value: Any) -> Any:
    """The value itself, or a text with its leading ``~/`` replaced by the home folder."""
    if isinstance(value, str) and value.startswith("~/"):
        return str(Path(value).expanduser())
    return value
