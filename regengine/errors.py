"""The errors that regengine raises: one small tree, one clear sentence each."""

from __future__ import annotations

import re

# What OpenCV and other C++ libraries say where Python would raise MemoryError
NO_MEMORY = ("Insufficient memory", "bad_alloc", "Unable to allocate")
# A file's name is no longer than this on any common system, so paths are never shortened
LONGEST_NAME = 255
LONGEST_SENTENCE = 5000  # longer than any path with any words of ours
_ENDLESS = re.compile(rf"[^\s/]{{{LONGEST_NAME + 1},}}")


def escape_terminal(text: str) -> str:
    """Text as one line that a terminal only prints, whatever is in it.

    Names of files may hold line breaks, which become spaces, codes that command a terminal and
    marks that turn the direction of writing, which become their escapes.
    """
    if text.isprintable():
        return text
    spaced = "".join(" " if letter in "\n\r\t" else letter for letter in text)
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in spaced
    )


def shorten_to_line(text: str) -> str:
    """Text as one line that a terminal only prints, of bounded length.

    Names of files and cells of tables end up in sentences, and may hold a megabyte of anything.
    """
    if len(text) > LONGEST_NAME:
        text = _ENDLESS.sub(lambda found: f"{found[0][:60]}…{found[0][-20:]}", text)[
            :LONGEST_SENTENCE
        ]
    return escape_terminal(text)


class RegengineError(Exception):
    """Base of every error that regengine raises on purpose.

    Its message is one sentence that names the file, says what is wrong and what to do; ``code`` is
    short, stable, machine-readable, and ends up among a record's reasons.
    """

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(shorten_to_line(message))
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


class ArchiveError(RegengineError, OSError):
    """The archive of photos cannot be asked, or answers something else."""

    code = "archive"


class LightningError(RegengineError, OSError):
    """A file of lightning cannot be read or used."""

    code = "lightning"


class WorkerError(RegengineError, RuntimeError):
    """Worker processes cannot be started."""

    code = "no_worker"


class ClusterError(RegengineError, OSError):
    """A cluster of other machines cannot be used, or not any more."""

    code = "cluster"


class NoPhotoError(RegengineError, LookupError):
    """Nothing that was named stands for a photograph."""

    code = "no_photo"


class ConfigError(RegengineError, ValueError):
    """An option or setting makes no sense."""

    code = "config"


class NoFrameError(ConfigError, KeyError):
    """A store holds no frame of a name."""

    __str__ = Exception.__str__  # of a KeyError that would be the sentence in quotation marks


def is_short_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory could not be had, in Python or in a C++ library."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)
