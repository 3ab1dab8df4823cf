"""Libraries: the extra that installs each, and the error if one is missing or cannot be loaded."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec

from regengine.errors import ConfigError, Option

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
# Packages of this project: where one of theirs cannot be imported, that is an error in it
OWN = ("benchmarks", "detectors", "matchers", "regengine")
# What a library says that was compiled for another release of NumPy
WRONG_RELEASE = "binary incompatibility"
OF_THE_SYSTEM = ("cannot open shared object file", "Library not loaded")


def is_import_failure(error: BaseException) -> bool:
    """Whether an exception means that a library is not installed, or cannot be loaded."""
    is_of_import = isinstance(error, ImportError) or WRONG_RELEASE in str(error)
    return is_of_import and _find_library(error) not in OWN


def has_extra(name: str) -> bool:
    return all(find_spec(package) is not None for package in PACKAGES[name])


def make_import_error(what: str | Option, error: BaseException) -> ConfigError:
    """Return the error for a library that is missing or cannot be loaded.

    It says what needs the library, and how to install it or what it lacks.
    """
    name = _find_library(error)
    library, extra = EXTRAS.get(name, (name or "a library", ""))
    again = "install regengine again in a fresh environment, which brings releases that fit"
    if isinstance(error, ModuleNotFoundError) and error.name == name:
        mend = f"pip install 'regengine[{extra}]'" if extra else again
        text = f" needs {library}, which is not installed: {mend}."
    else:
        if any(words in str(error) for words in OF_THE_SYSTEM):
            again = "install the library of the system that it lacks"
            if name == "cv2":
                again += (
                    ", or replace opencv-contrib-python by opencv-contrib-python-headless of the "
                    "same version"
                )
        text = f" needs {_add_release(library)}, which cannot be loaded ({error}): {again}."
    return ConfigError(what, text, code="not_installed")


def need(what: str, *modules: str) -> None:
    """Raise ConfigError, see `make_import_error`, if one of some modules is not installed."""
    for name in modules:
        try:
            import_module(name)
        except ImportError as error:
            raise make_import_error(what, error) from error


def _find_library(error: BaseException) -> str:
    """Return the module that an import error names, or else that was being imported, or ""."""
    if name := getattr(error, "name", None):
        return str(name).partition(".")[0]
    library, traceback = "", error.__traceback__
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__")).partition(".")[0]
        if module not in sys.stdlib_module_names:
            library = module
        traceback = traceback.tb_next
    return library


def _add_release(module: str) -> str:
    """Return the name of the package that a module is of, with its version, if it is known."""
    for package in packages_distributions().get(module, ()):
        return f"{package} {version(package)}"
    return module
