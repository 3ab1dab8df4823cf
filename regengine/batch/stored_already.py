"""Which photos a run would take from its store, told without opening the store for writing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from regengine.batch.plan import file_sha256
from regengine.store.index import frame_identity
from regengine.store.parts import list_parts, parts_folder
from regengine.store.reader import iter_frames


def stored_verdicts(
    photos: Iterable[Path], store: Path, *, parameters_sha256: str, retry: Collection[str] = ()
) -> dict[Path, str]:
    """Verdicts of the photos that need not be done again.

    Parameters
    ----------
    photos : iterable of Path
        The photos of the run.
    store : Path
        Its store; need not exist.
    parameters_sha256 : str
        Hash of its settings.
    retry : collection of str
        Verdicts that it works out again.

    Returns
    -------
    dict of Path to str

    Raises
    ------
    StoreError
        If the store cannot be read.
    """
    if not store.exists() and not list_parts(parts_folder(store)):
        return {}
    wanted = {frame_identity(str(path), file_sha256(path)): path for path in photos}
    found: dict[Path, str] = {}
    for stored in iter_frames(store):
        path = wanted.get(frame_identity(stored.result.path, stored.result.sha256))
        current = stored.parameters_sha256 == parameters_sha256
        if path is not None and current and stored.result.verdict not in retry:
            found[path] = stored.result.verdict
    return found
