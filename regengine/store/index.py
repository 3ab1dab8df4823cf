"""What a store holds of which photo, in some tens of bytes a frame."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.records import printable
from regengine.store.hdf5 import damage_told
from regengine.store.store_file import StoreFile

READ_ROWS = 8192  # 7 MB for 100,000 frames; with 65536 31 MB, in no less time


@dataclass(frozen=True, kw_only=True)
class StoredEntry:
    """What decides whether a stored frame is done again.

    Attributes
    ----------
    frame_index : int
        Its number.
    verdict : str
        Its verdict.
    reason_codes : tuple of str
        Codes of its reasons.
    parameters_sha256 : str
        Hash of the settings that it was made with.
    hints_sha256 : str
        Hash of what other photos had told at its last search.
    search_pass : int
        See `regengine.store.rows.StoredFrame`.
    """

    frame_index: int
    verdict: str
    reason_codes: tuple[str, ...]
    parameters_sha256: str
    hints_sha256: str
    search_pass: int


class StoreIndex:
    """Finds stored frames by the identity of their photo: content and file name.

    Parameters
    ----------
    store : StoreFile or None
        An open store, which is read once; None for an empty index.

    Raises
    ------
    StoreError
        If the store is damaged.
    """

    def __init__(self, store: StoreFile | None) -> None:
        size = 0 if store is None else store.rows("frames")
        self._keys = np.empty((size, 2), dtype=np.uint64)
        self._frame_index = np.empty(0, np.int64) if store is None else store.frame_index
        self._search_pass = np.zeros(size, dtype=np.uint8)
        self._verdict, self._reasons = _Texts(size), _Texts(size)
        self._parameters = _Texts(size)
        self._hints = np.empty(0, dtype="S1")
        if store is not None:
            self._hints = store.column("provenance", "hints_sha256")
            with damage_told(store.path):
                for start in range(0, size, READ_ROWS):
                    self._take_in(store, start, min(start + READ_ROWS, size))
        self._order = np.argsort(self._keys[:, 0], kind="stable")
        self._sorted = self._keys[self._order, 0]

    def __len__(self) -> int:
        return len(self._frame_index)

    def free_numbers(self) -> Iterator[int]:
        """Numbers that no frame has, ascending, without end."""
        used = np.unique(self._frame_index)
        above = int(used[-1]) + 1 if len(used) else 0
        yield from np.setdiff1d(np.arange(above), used, assume_unique=True).tolist()
        yield from count(above)

    def find(self, path: str, sha256: str) -> StoredEntry | None:
        """The frame of a photo.

        Parameters
        ----------
        path : str
            Path of the photo as it is given now.
        sha256 : str
            Hash of its content; empty if it cannot be read.

        Returns
        -------
        StoredEntry or None
            The frame of the same content and file name, else the one that was stored for the path
            when the photo could not be read.
        """
        row = self._row(path, sha256)
        if row is None and sha256:
            row = self._row(path, "")
        if row is None:
            return None
        reasons = self._reasons[row]
        return StoredEntry(
            frame_index=int(self._frame_index[row]),
            verdict=self._verdict[row],
            reason_codes=tuple(reasons.split(",")) if reasons else (),
            parameters_sha256=self._parameters[row],
            hints_sha256=self._hints[row].decode(),
            search_pass=int(self._search_pass[row]),
        )

    def _row(self, path: str, sha256: str) -> int | None:
        first, second = identity_key(path, sha256)
        low = np.searchsorted(self._sorted, np.uint64(first), side="left")
        high = np.searchsorted(self._sorted, np.uint64(first), side="right")
        # Of several frames of one identity the last counts
        for row in self._order[low:high][::-1].tolist():
            if int(self._keys[row, 1]) == second:
                return int(row)
        return None

    def _take_in(self, store: StoreFile, start: int, stop: int) -> None:
        def column(group: str, name: str) -> NDArray[Any]:
            return store.column(group, name, start, stop)

        paths = column("frames", "path").tolist()
        hashes = column("frames", "sha256").tolist()
        self._keys[start:stop] = [
            identity_key(path.decode(), sha256.decode())
            for path, sha256 in zip(paths, hashes, strict=True)
        ]
        self._verdict.put(start, column("frames", "verdict"))
        self._reasons.put(start, column("frames", "reasons"))
        self._parameters.put(start, column("provenance", "parameters_sha256"))
        self._search_pass[start:stop] = column("provenance", "search_pass")


class _Texts:
    """A column of texts of which few differ: a number a row."""

    def __init__(self, size: int) -> None:
        self._numbers = np.zeros(size, dtype=np.int32)
        self._texts: list[str] = []
        self._known: dict[bytes, int] = {}

    def put(self, start: int, values: NDArray[Any]) -> None:
        distinct, places = np.unique(values, return_inverse=True)
        numbers = []
        for text in distinct.tolist():
            if text not in self._known:
                self._known[text] = len(self._texts)
                self._texts.append(text.decode("utf-8"))
            numbers.append(self._known[text])
        self._numbers[start : start + len(values)] = np.array(numbers, np.int32)[places]

    def __getitem__(self, row: int) -> str:
        return self._texts[self._numbers[row]]


def frame_identity(path: str, sha256: str) -> tuple[str, str]:
    """Identity of a photo: its content (its path, if that is unreadable) and its file name."""
    path = printable(path)
    return sha256 or path, os.path.basename(path)  # a tenth of the time of pathlib


def identity_key(path: str, sha256: str) -> tuple[int, int]:
    """An identity in two numbers of 64 bits.

    That two of a million frames have the same by chance has a probability of 1e-27.
    """
    identity = "\0".join(frame_identity(path, sha256))
    digest = hashlib.blake2b(identity.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
