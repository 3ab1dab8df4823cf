"""Which photos a run would take from its store, told without opening the store for writing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from regengine.batch.plan import file_sha256
from regengine.remote.urls import Url
from regengine.store.index import frame_identity
from regengine.store.parts import list_parts, parts_folder
from regengine.store.reader import iter_frames


def stored_verdicts(
    photos: Sequence[Path | Url],
    store: Path,
    *,
    parameters_sha256: str,
    retry: Collection[str] = (),
) -> dict[Path | Url, str]:
    """Verdicts of the photos that need not be done again.

    Parameters
    ----------
    photos : sequence of Path or Url
        The photos of the run; a URL is known by itself, a file by its content and name.
    store : Path
        Its store; need not exist.
    parameters_sha256 : str
        Hash of its settings.
    retry : collection of str
        Verdicts that it works out again.

    Returns
    -------
    dict of Path or Url to str

    Raises
    ------
    StoreError
        If the store cannot be read.
    """
    if not store.exists() and not list_parts(parts_folder(store)):
        return {}
    wanted: dict[object, Path | Url] = {
        str(photo)
        if isinstance(photo, Url)
        else frame_identity(str(photo), file_sha256(photo)): photo
        for photo in photos
    }
    found: dict[Path | Url, str] = {}
    for stored in iter_frames(store):
        result = stored.result
        path = wanted.get(frame_identity(result.path, result.sha256))
        path = path or (wanted.get(result.path) if result.sha256 else None)
        current = stored.parameters_sha256 == parameters_sha256
        if path is not None and current and stored.result.verdict not in retry:
            found[path] = stored.result.verdict
    return found
