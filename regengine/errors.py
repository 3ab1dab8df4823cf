"""The errors that regengine raises: one small tree, one clear sentence each."""

from __future__ import annotations

# What OpenCV and other C++ libraries say where Python would raise MemoryError
NO_MEMORY = ("Insufficient memory", "bad_alloc", "Unable to allocate")


class RegengineError(Exception):
    """Base of every error that regengine raises on purpose.

    Parameters
    ----------
    message : str
        One sentence that names the file, says what is wrong and what to do.
    code : str, optional
        Short stable machine-readable code that ends up among a record's reasons.
    """

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class FrameError(RegengineError, OSError):
    """A photograph cannot be read or understood."""

    code = "unreadable"


class EphemerisError(RegengineError, ValueError):
    """A TLE file, a time or an orbit cannot be used."""

    code = "no_ephemeris"


class LightMapError(RegengineError, LookupError):
    """A night-light map cannot be read or does not hold what was asked for."""

    code = "light_map"


class StoreError(RegengineError, OSError):
    """A result store cannot be read or written."""

    code = "store"


class WorkerError(RegengineError, RuntimeError):
    """Worker processes cannot be started."""

    code = "no_worker"


class ConfigError(RegengineError, ValueError):
    """An option or setting makes no sense."""

    code = "config"


def is_short_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory could not be had, in Python or in a C++ library."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)
