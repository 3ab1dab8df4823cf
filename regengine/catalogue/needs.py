"""The packages that the catalogue needs beside the others, and what to do without them."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from regengine.errors import ConfigError

PACKAGES = ("duckdb", "pyarrow")


def need_packages() -> None:
    """See to it that DuckDB and PyArrow are there.

    Raises
    ------
    ConfigError
        If not; says what to install.
    """
    missing = [name for name in PACKAGES if not _installed(name)]
    if missing:
        raise ConfigError(
            f"The catalogue needs {' and '.join(missing)}: install regengine[catalogue]."
        )


def _installed(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is not None
    return find_spec(name) is not None
