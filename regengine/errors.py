"""Exceptions of regengine: one small hierarchy; each message is one clear sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

# Messages of OpenCV and other C++ libraries that correspond to Python's MemoryError
NO_MEMORY = ("Insufficient memory", "bad_alloc", "Unable to allocate")
# Maximum length of a file name on common systems, so that paths are never shortened
LONGEST_NAME = 255
LONGEST_SENTENCE = 5000  # longer than any path with any message of regengine
_ENDLESS = re.compile(rf"[^\s/]{{{LONGEST_NAME + 1},}}")


def escape_terminal(text: str) -> str:
    """Return text as one line that is safe to print on a terminal.

    File names may contain line breaks, which become spaces. They may also contain control codes and
    characters that change the writing direction, which are escaped.
    """
    if text.isprintable():
        return text
    spaced = "".join(" " if letter in "\n\r\t" else letter for letter in text)
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in spaced
    )


def shorten_to_line(text: str) -> str:
    """Return text as one line of limited length that is safe to print on a terminal.

    File names and table cells are parts of messages, and may contain a megabyte of anything.
    """
    if len(text) > LONGEST_NAME:
        text = _ENDLESS.sub(lambda found: f"{found[0][:60]}…{found[0][-20:]}", text)[
            :LONGEST_SENTENCE
        ]
    return escape_terminal(text)


class Option(NamedTuple):
    """An option that a message names, and its value if the message says it: ``--focal-mm 50``."""

    name: str  # as a keyword of Python
    value: str = ""

    def __str__(self) -> str:
        return f"--{self.name.replace('_', '-')} {self.value}".rstrip()


class RegengineError(Exception):
    """Base of every error that regengine raises on purpose.

    Its message is one sentence that names the file, the error and the remedy; it may be given in
    parts, of which those that are an `Option` are shown as on the command line. ``code`` is short,
    stable and machine-readable; it appears among the reasons of a record.
    """

    code = "error"

    def __init__(self, *message: str | Option, code: str | None = None) -> None:
        self.message = message
        super().__init__(shorten_to_line("".join(map(str, message))))
        if code is not None:
            self.code = code

    def name_keywords(self) -> None:
        """Show options as keywords of Python from now on: ``focal_mm=50``."""
        words = [one if isinstance(one, str) else f"{one.name}={one.value}" for one in self.message]
        self.args = (shorten_to_line("".join(words)),)


class FrameError(RegengineError, OSError):
    """A photo cannot be read or interpreted."""

    code = "unreadable"


class EphemerisError(RegengineError, ValueError):
    """A TLE file, a time or an orbit cannot be used."""

    code = "no_ephemeris"


class MapError(RegengineError, LookupError):
    """A night-light map cannot be read or does not cover the requested area."""

    code = "light_map"


class StoreError(RegengineError, OSError):
    """A result store cannot be read or written."""

    code = "store"


class ArchiveError(RegengineError, OSError):
    """The archive of photos cannot be queried, or gives an unexpected answer."""

    code = "archive"


class LightningError(RegengineError, OSError):
    """A lightning file cannot be read or used."""

    code = "lightning"


class WorkerError(RegengineError, RuntimeError):
    """Worker processes cannot be started."""

    code = "no_worker"


class ClusterError(RegengineError, OSError):
    """A cluster of other machines cannot be used, or is no longer available."""

    code = "cluster"


class NoPhotoError(RegengineError, LookupError):
    """No photo matches the given names."""

    code = "no_photo"


class ConfigError(RegengineError, ValueError):
    """An option or setting is invalid."""

    code = "config"


class NoFrameError(ConfigError, KeyError):
    """A store has no frame with the given name."""

    __str__ = Exception.__str__  # that of KeyError puts the sentence in quotation marks


def check_known(option: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise ConfigError, which lists the known values of an option, if one is given that is not."""
    known = tuple(known)
    for value in given:
        if value not in known:
            choices = f" is unknown: choose from {', '.join(known)}."
            raise ConfigError(Option(option, repr(value)), choices)


def describe_exception(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def is_short_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory is exhausted, in Python or in a C++ library."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)
