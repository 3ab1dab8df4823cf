"""What tells whether a file of any size is the same as before."""

from __future__ import annotations

import hashlib
from pathlib import Path

EDGE_BYTES = 1 << 20  # maps of gigabytes: their size, beginning and end tell them apart


def fingerprint(path: Path) -> str:
    """SHA-256 of a file's size, beginning and end; of a folder's names and sizes.

    Parameters
    ----------
    path : Path
        A file, read whole up to 2 MiB, or a folder.

    Returns
    -------
    str
        Hexadecimal.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for below in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{below.relative_to(path)} {below.stat().st_size}\n".encode())
        return digest.hexdigest()
    size = path.stat().st_size
    digest.update(f"{size}\n".encode())
    with path.open("rb") as stream:
        digest.update(stream.read(EDGE_BYTES))
        stream.seek(max(size - EDGE_BYTES, stream.tell()))
        digest.update(stream.read())
    return digest.hexdigest()
