"""Where the photo of a frame lies, if it still is the one that was registered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from regengine.review.context import ReviewContext

# What a store says of a photo whose decoding may take this process with it, too
DEADLY = "worker_died"


@dataclass(frozen=True)
class PhotoFile:
    """A file that can be read, and its hash, the same as when it was registered."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class NoPhoto:
    """Why there is none: HTTP's status, and a sentence."""

    status: int
    sentence: str


def photo_of_frame(context: ReviewContext, number: int) -> PhotoFile | NoPhoto:
    """The file of a frame's photo."""
    try:
        result = context.frames.frame(number).result
        path = context.frames.photo(number)
    except KeyError:
        return NoPhoto(404, f"There is no frame {number} in the store.")
    if any(reason.code == DEADLY for reason in result.reasons):
        return NoPhoto(
            422, "The photo made its worker process die: it is not opened, its file may be damaged."
        )
    try:
        if path is not None and context.same_photos.same(path, result.sha256):
            return PhotoFile(path, result.sha256)
    except OSError:
        path = None
    if path is None:
        return NoPhoto(
            404, "The photo's file is gone, or may not be read: put it back where it was."
        )
    return NoPhoto(
        409,
        "The photo's file has changed since it was registered: put the former one back, or "
        "register it anew.",
    )
