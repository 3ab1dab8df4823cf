"""What went wrong with one photo, as a stable code and one sentence."""

from __future__ import annotations

import logging
from concurrent.futures import TimeoutError
from dataclasses import dataclass
from pathlib import Path

from regengine.errors import RegengineError, is_short_of_memory


@dataclass(frozen=True, kw_only=True)
class Mishap:
    """Why a photo has no result.

    Attributes
    ----------
    code : str
        Short and stable, for machines.
    text : str
        One sentence that says what to do.
    """

    code: str
    text: str


def mishap_of(path: Path, error: Exception, limit_s: float = 0.0) -> Mishap:
    """What an exception means for the photo at which it was raised.

    Parameters
    ----------
    path : Path
        The photo.
    error : Exception
        What processing it raised, or what became of the worker process.
    limit_s : float
        How long a worker may take.

    Returns
    -------
    Mishap
    """
    from concurrent.futures.process import BrokenProcessPool

    from pebble import ProcessExpired

    if isinstance(error, RegengineError):
        return Mishap(code=error.code, text=str(error))
    if is_short_of_memory(error):
        text = (
            f"{path} needs more memory than a worker may have: raise --max-memory-mb, or resize it."
        )
        return Mishap(code="out_of_memory", text=text)
    if isinstance(error, TimeoutError):
        text = f"{path} took more than {limit_s:.0f} s and was given up: try it by itself."
        return Mishap(code="timed_out", text=text)
    if isinstance(error, ProcessExpired | BrokenProcessPool):
        # A worker that ends before its photo begins has no code to tell
        why = f"exit code {error.exitcode}" if isinstance(error, ProcessExpired) else "at its start"
        text = f"{path} made its worker process die ({why}): its file may be damaged."
        return Mishap(code="worker_died", text=text)
    logging.getLogger("regengine").debug("%s failed", path, exc_info=error)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    text = f"{path} met something unforeseen ({what}): please report it with the photo."
    return Mishap(code="internal_error", text=text)
