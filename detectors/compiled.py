"""Compilation of inner loops with numba, cached on disk.

Compiled code is cached next to its source, in the user's cache folder if the source folder is not
writable, or in ``NUMBA_CACHE_DIR``. Without a writable folder it is compiled in every process.

Modules ``compiled_*.py`` are imported inside the functions that use them, since importing numba
takes as long as all other imports together. Each is self-contained: its cache is rebuilt when its
own file changes, not when another one does.

Results do not depend on what else runs: no reordering of operations ("fast math"), no threads. On
another processor they agree to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit, types

Function = TypeVar("Function", bound=Callable[..., Any])

helper = njit(error_model="numpy")  # compiled into the calling function


def array(kind: Any, dimensions: int) -> Any:
    """Numba type of contiguous, read-only array arguments."""
    return types.Array(kind, dimensions, "C", readonly=True)


def compile_for(signature: Any) -> Callable[[Function], Function]:
    """Compile a function for given argument types when its module is imported."""

    def decorate(function: Function) -> Function:
        options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
        try:
            made = njit(signature, cache=True, **options)(function)
        except RuntimeError:  # no writable cache folder
            made = njit(signature, **options)(function)
        return cast(Function, made)

    return decorate
