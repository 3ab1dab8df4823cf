"""Formats by name; each is imported when it is used."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from regengine.errors import ConfigError
from regengine.export import formats

if TYPE_CHECKING:
    from regengine.export.format import FileFormat, FolderFormat


def format_names() -> list[str]:
    """Names of all formats, in order."""
    return sorted(module.name for module in pkgutil.iter_modules(formats.__path__))


def known_format(name: str) -> FileFormat | FolderFormat:
    """A format by its name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name not in format_names():
        raise ConfigError(f"--format {name}: it is none of {', '.join(format_names())}.")
    found: FileFormat | FolderFormat = importlib.import_module(
        f"regengine.export.formats.{name}"
    ).FORMAT
    return found
