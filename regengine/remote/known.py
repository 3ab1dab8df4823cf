"""URLs whose results a store has already."""

from __future__ import annotations

from pathlib import Path

from regengine.remote.urls import is_url
from regengine.store.store_file import StoreFile

READ_ROWS = 65536


def stored_urls(store: Path) -> dict[str, str]:
    """Hash of the content behind each URL of a store, as it was when it was fetched.

    Parameters
    ----------
    store : Path
        A merged store; there need not be one.

    Returns
    -------
    dict of str to str
        SHA-256 by URL as records show it; photos that could not be fetched are not in it.

    Raises
    ------
    StoreError
        If the store is damaged.
    """
    known: dict[str, str] = {}
    if not store.exists():
        return known
    with StoreFile(store) as file:
        size = file.rows("frames")
        for start in range(0, size, READ_ROWS):
            stop = min(start + READ_ROWS, size)
            paths = file.column("frames", "path", start, stop).tolist()
            hashes = file.column("frames", "sha256", start, stop).tolist()
            for path, sha256 in zip(paths, hashes, strict=True):
                text = path.decode()
                if sha256 and is_url(text):
                    known[text] = sha256.decode()
    return known
