"""Camera texts of many photos, fetched into a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from regengine.archive.camera_text import fetch_text
from regengine.archive.download import GIVE_UP
from regengine.archive.outcome import Outcome
from regengine.archive.web import Absent, UnreachableError, Web
from regengine.errors import ArchiveError, StoreError
from regengine.store.atomic import write_whole


def fetch_texts(
    frame_ids: Iterable[str], folder: Path, web: Web, *, page: str, force: bool
) -> Iterator[Outcome]:
    """Fetch the camera texts of photos, one after the other.

    Parameters
    ----------
    frame_ids : iterable of str
        Archive ids.
    folder : Path
        Made if need be; a text is ``ISS030-E-184140.txt``.
    web : Web
        How the server is treated.
    page : str
        Address of the archive's pages of photos.
    force : bool
        Fetch again what is there.

    Yields
    ------
    Outcome
        "absent" where the archive keeps no text; it ends early where the server keeps failing.

    Raises
    ------
    StoreError
        If the folder cannot be written to.
    """
    in_a_row = 0
    for frame_id in frame_ids:
        target = folder / f"{frame_id}.txt"
        if target.exists() and not force:
            yield Outcome(frame=frame_id, status="present", file=target)
            continue
        try:
            text = fetch_text(web, frame_id, page)
        except Absent:
            text = None
        except ArchiveError as error:
            in_a_row = in_a_row + 1 if isinstance(error, UnreachableError) else 0
            yield Outcome(frame=frame_id, status="failed", why=str(error))
            if in_a_row == GIVE_UP:
                return
            continue
        in_a_row = 0
        if text is None:
            yield Outcome(frame=frame_id, status="absent")
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(target, text)
        except OSError as error:
            raise StoreError(f"{target} cannot be written ({error.strerror}).") from error
        yield Outcome(
            frame=frame_id,
            status="fetched",
            file=target,
            sha256=hashlib.sha256(text).hexdigest(),
            bytes=len(text),
        )
