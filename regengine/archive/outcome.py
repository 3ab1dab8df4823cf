"""What became of one photo that was wanted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.records import printable


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one frame.

    Attributes
    ----------
    frame : str
        Archive id.
    status : str
        "fetched", "present" (it was there), "absent" (the archive has no such picture) or
        "failed".
    file : Path or None
        The picture, where there is one.
    sha256 : str or None
        Of the picture.
    bytes : int
        Size of what came.
    why : str
        Sentence, of what failed.
    """

    frame: str
    status: str
    file: Path | None = None
    sha256: str | None = None
    bytes: int = 0
    why: str = ""

    def record(self) -> dict[str, Any]:
        """As an object of NDJSON."""
        return {
            "frame": self.frame,
            "status": self.status,
            "file": None if self.file is None else printable(str(self.file)),
            "sha256": self.sha256,
            "bytes": self.bytes,
            "why": self.why,
        }
