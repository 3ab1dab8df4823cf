"""Which photos a run would take from its store, told without opening the store for writing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from regengine.batch.plan import file_sha256
from regengine.remote.urls import Url
from regengine.store.index import frame_identity
from regengine.store.parts import list_parts, parts_folder
from regengine.store.reader import iter_frames


def stored_verdicts(
    photos: Iterable[Path | Url],
    store: Path,
    *,
    parameters_sha256: str,
    retry: Collection[str] = (),
) -> dict[Path | Url, str]:
    """Verdicts of the photos that need not be done again.

    Parameters
    ----------
    photos : iterable of Path or Url
        The photos of the run; what lies at a URL is taken to be what lay there.
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
    here: dict[tuple[str, str], Path] = {}
    there: dict[str, Url] = {}
    for photo in photos:
        if isinstance(photo, Url):
            there[str(photo)] = photo
        else:
            here[frame_identity(str(photo), file_sha256(photo))] = photo
    found: dict[Path | Url, str] = {}
    for stored in iter_frames(store):
        identity = frame_identity(stored.result.path, stored.result.sha256)
        path = here.get(identity) or there.get(stored.result.path)
        current = stored.parameters_sha256 == parameters_sha256
        if path is not None and current and stored.result.verdict not in retry:
            found[path] = stored.result.verdict
    return found
