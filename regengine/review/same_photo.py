"""Whether a file still is the photo that was registered, asked again only when it changes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path
from threading import Lock

MOST_FILES = 10_000


class SamePhotos:
    """Remembers what files hash to; may be asked by many threads at once."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Path, int, int], str] = OrderedDict()
        self._lock = Lock()

    def same(self, path: Path, sha256: str) -> bool:
        """Whether a file has this hash.

        Parameters
        ----------
        path : Path
            A regular file.
        sha256 : str
            Hexadecimal.

        Raises
        ------
        OSError
            The file cannot be read.
        """
        status = path.stat()
        key = path, status.st_mtime_ns, status.st_size
        with self._lock:
            known = self._known.get(key)
        if known is None:
            with path.open("rb") as stream:
                known = hashlib.file_digest(stream, "sha256").hexdigest()
            with self._lock:
                self._known[key] = known
                if len(self._known) > MOST_FILES:
                    self._known.popitem(last=False)
        return known == sha256
