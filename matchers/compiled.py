"""How the inner loops of the search are compiled: by numba, once on a machine.

Compiled code is kept beside its source, in the user's cache folder where that cannot be written,
or in ``NUMBA_CACHE_DIR``; where nothing can be kept it is made anew in every process. Modules
``compiled_*.py`` are imported by the functions that need them, since numba takes as long to load as
all else together. Each stands alone: what is kept is made anew when its own file changes, not when
another one does.

Nothing is reordered (no "fast math") and nothing runs in threads: the same numbers everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit, types

Function = TypeVar("Function", bound=Callable[..., Any])

helper = njit(error_model="numpy")  # compiled into what calls it


def array(kind: Any, dimensions: int) -> Any:
    """Type of arguments that are whole arrays, and are not written to."""
    return types.Array(kind, dimensions, "C", readonly=True)


def compile_for(signature: Any) -> Callable[[Function], Function]:
    """Compile a function for arguments of these types, as its module is imported."""

    def decorate(function: Function) -> Function:
        options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
        try:
            made = njit(signature, cache=True, **options)(function)
        except RuntimeError:  # there is no folder to keep it in
            made = njit(signature, **options)(function)
        return cast(Function, made)

    return decorate
