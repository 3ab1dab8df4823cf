"""Small pictures of a run's photos, read from where the photos lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regengine.errors import FrameError
from regengine.page.pictures import thumbnail_jpeg
from regengine.report.sample import fair_shares, thinned
from regengine.report.verdicts import VERDICTS
from regengine.result import FrameResult

# What EXIF orientations 1 to 8 ask for: a mirror image or not, then quarter turns to the left
TURNS = {
    1: (False, 0),
    2: (True, 0),
    3: (False, 2),
    4: (True, 2),
    5: (True, 1),
    6: (False, 3),
    7: (True, 3),
    8: (False, 1),
}


def thumbnails(
    frames: Iterable[FrameResult],
    store: Path,
    most: int,
    advance: Callable[[], object] = lambda: None,
) -> dict[int, bytes]:
    """Small pictures of some photos, each verdict with its fair share.

    Parameters
    ----------
    frames : iterable of FrameResult
        Of failed ones no file is opened: it may be why a worker died.
    store : Path
        Paths that lead nowhere from the working directory are tried from the store's folder.
    most : int
        How many at most.
    advance : callable, optional
        Called after each photo that was read.

    Returns
    -------
    dict of int to bytes
        JPEG by the photo's place in ``frames``. Photos that are gone, changed or unreadable are
        left out.
    """
    found: dict[str, list[tuple[int, FrameResult, Path]]] = {verdict: [] for verdict in VERDICTS}
    for number, result in enumerate(frames):
        path = None if result.verdict == "failed" or most == 0 else photo_file(result.path, store)
        if path is not None:
            found[result.verdict].append((number, result, path))
    shares = fair_shares({verdict: len(items) for verdict, items in found.items()}, most)
    pictures = {}
    for verdict, items in found.items():
        for number, result, path in thinned(items, shares[verdict]):
            picture = photo_thumbnail(result, path)
            if picture is not None:
                pictures[number] = picture
            advance()
    return pictures


def photo_file(text: str, store: Path) -> Path | None:
    """Where a photo lies, if it is still there.

    Parameters
    ----------
    text : str
        Its path as the store has it: any text. Web addresses are not followed.
    store : Path
        The store.

    Returns
    -------
    Path or None
        A regular file.
    """
    for path in (Path(text), store.absolute().parent / text):
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):  # too long for a name, say
            continue
    return None


def photo_thumbnail(result: FrameResult, path: Path) -> bytes | None:
    """A small picture, the right way up.

    Parameters
    ----------
    result : FrameResult
        Of the photo: its hash, so that no other file is shown in its place, and orientation.
    path : Path
        Its file.

    Returns
    -------
    bytes or None
        JPEG; None where the file is not the photo that was registered, or cannot be read.
    """
    from regengine.scene.picture import read_scene_picture

    try:
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != result.sha256:
                return None
        return thumbnail_jpeg(turned(read_scene_picture(path).rgb, result.orientation))
    except (FrameError, OSError):
        return None


def turned(rgb: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """A picture as EXIF says that it is to be looked at.

    Parameters
    ----------
    rgb : ndarray, shape (h, w, 3)
        As stored.
    orientation : int
        EXIF's, 1 to 8; others count as 1.

    Returns
    -------
    ndarray of the same values
    """
    mirrored, quarters = TURNS.get(orientation, (False, 0))
    return np.rot90(rgb[:, ::-1] if mirrored else rgb, quarters)
