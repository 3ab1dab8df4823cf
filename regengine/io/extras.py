"""Packages that are installed at need: the extra of each, and the sentence where one is missing."""

from __future__ import annotations

from importlib import import_module

from regengine.errors import ConfigError

# A module that the core does without: its package, and the extra that brings it
EXTRAS = {
    "distributed": ("distributed", "dask"),
    "duckdb": ("duckdb", "gis"),
    "fastapi": ("fastapi", "review"),
    "geopandas": ("geopandas", "gis"),
    "matplotlib": ("matplotlib", "gis"),
    "pandas": ("pandas", "gis"),
    "pyarrow": ("pyarrow", "gis"),
    "pydantic": ("fastapi", "review"),
    "pyogrio": ("pyogrio", "gis"),
    "pystac": ("pystac", "gis"),
    "rawpy": ("rawpy", "raw"),
    "starlette": ("fastapi", "review"),
    "uvicorn": ("uvicorn", "review"),
}


def is_missing(error: BaseException) -> bool:
    """Whether an exception means that a package of an extra is not installed."""
    return isinstance(error, ImportError) and _top(error) in EXTRAS


def missing(what: str, error: ImportError, *, instead: str = "") -> ConfigError:
    """The error that says what needs a package which is not installed, and how to install it.

    ``instead`` says what does without it.
    """
    package, name = EXTRAS.get(_top(error), (_top(error) or str(error), ""))
    mend = f"pip install 'regengine[{name}]'" if name else f"pip install {package}"
    tail = f", or {instead}" if instead else ""
    return ConfigError(
        f"{what} needs {package}, which is not installed: {mend}{tail}.", code="not_installed"
    )


def need(what: str, *modules: str) -> None:
    """See to it that modules are there; ConfigError as `missing` makes it where one is not."""
    for name in modules:
        try:
            import_module(name)
        except ImportError as error:
            raise missing(what, error) from error


def _top(error: ImportError) -> str:
    return (error.name or "").partition(".")[0]
