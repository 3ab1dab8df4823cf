"""Packages that are installed at need: the extra of each, and the sentence where one is missing."""

from __future__ import annotations

from importlib import import_module

from regengine.errors import ConfigError

# An extra, and the packages that it brings
PACKAGES = {
    "dask": ("distributed",),
    "gis": ("duckdb", "geopandas", "matplotlib", "pandas", "pyarrow", "pyogrio", "pystac"),
    "raw": ("rawpy",),
    "review": ("fastapi", "uvicorn"),
}
# A module that the core does without: its package, and its extra
EXTRAS = {name: (name, extra) for extra, names in PACKAGES.items() for name in names}
EXTRAS |= dict.fromkeys(("pydantic", "starlette"), EXTRAS["fastapi"])


def is_missing(error: BaseException) -> bool:
    """Whether an exception means that a package of an extra is not installed."""
    return isinstance(error, ImportError) and _top(error) in EXTRAS


def make_missing_error(what: str, error: ImportError, *, instead: str = "") -> ConfigError:
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
    """See to it that modules are there; ConfigError as `make_missing_error` makes it where one
    is not.
    """
    for name in modules:
        try:
            import_module(name)
        except ImportError as error:
            raise make_missing_error(what, error) from error


def _top(error: ImportError) -> str:
    return (error.name or "").partition(".")[0]
