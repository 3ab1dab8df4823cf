"""Optional packages: the extra that installs each, and the error if one is missing."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from regengine.errors import ConfigError

# Packages by extra
PACKAGES = {
    "dask": ("distributed",),
    "gis": ("geopandas", "matplotlib", "pandas", "pyarrow", "pyogrio"),
    "raw": ("rawpy",),
    "review": ("fastapi", "uvicorn"),
}
# Package and extra by module, for modules outside of the core
EXTRAS = {name: (name, extra) for extra, names in PACKAGES.items() for name in names}
EXTRAS |= dict.fromkeys(("pydantic", "starlette"), EXTRAS["fastapi"])


def is_missing(error: BaseException) -> bool:
    """Whether an exception means that a package of an extra is not installed."""
    return isinstance(error, ImportError) and _top(error) in EXTRAS


def has_extra(name: str) -> bool:
    """Whether all packages of an extra are installed."""
    return all(find_spec(package) is not None for package in PACKAGES[name])


def make_missing_error(what: str, error: ImportError) -> ConfigError:
    """Return the error for a missing package: what needs it, and how to install it."""
    package, name = EXTRAS.get(_top(error), (_top(error) or str(error), ""))
    mend = f"pip install 'regengine[{name}]'" if name else f"pip install {package}"
    return ConfigError(
        f"{what} needs {package}, which is not installed: {mend}.", code="not_installed"
    )


def need(what: str, *modules: str) -> None:
    """Raise ConfigError, see `make_missing_error`, if one of some modules is not installed."""
    for name in modules:
        try:
            import_module(name)
        except ImportError as error:
            raise make_missing_error(what, error) from error


def _top(error: ImportError) -> str:
    return (error.name or "").partition(".")[0]
