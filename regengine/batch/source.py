"""A photo as it was given, and the file that it lies in."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from regengine.batch.mishaps import Mishap


@dataclass(frozen=True, kw_only=True)
class Source:
    """A photo of a batch.

    Attributes
    ----------
    path : Path
        Its file.
    given_as : str or None
        What it was given as, where that is no path but, say, a URL; ``path`` is a copy then, which
        is deleted when it is not needed any more.
    sha256 : str or None
        Of its content as it was stored, where no copy is made because it was done before.
    mishap : Mishap or None
        Why there is no copy.
    """

    path: Path
    given_as: str | None = None
    sha256: str | None = None
    mishap: Mishap | None = None


def discard(copy: Path) -> None:
    """Delete a copy and the folder that it has to itself."""
    with suppress(OSError):
        copy.unlink()
    with suppress(OSError):
        copy.parent.rmdir()
