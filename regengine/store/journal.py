"""The journal of a run: results that are not in its store yet, in ``run.h5.journal`` next to it.

The first line identifies the run. Each other line has the number of a frame, a checksum, and the
frame's rows of all groups as compressed JSON in base64. If a frame has two lines, the newer one is
valid. Readers need no lock and write nothing. If a writer merges and deletes a journal meanwhile, a
reader that has it open can still read it, and its content is in the store.
"""

from __future__ import annotations

import json
import logging
import os
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BufferedReader
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regengine.errors import FrameError, StoreError
from regengine.io.decoding import open_regular
from regengine.io.plain import format_count
from regengine.store.file import DAMAGE, check_format, raise_as_damage
from regengine.store.rows import (
    FORMAT_VERSION,
    GROUPS,
    Selection,
    StoredFrame,
    Tables,
    to_tables,
)

BEGINNING = b'{"format": "regengine journal", '
LINE = re.compile(
    rb'\{"frame_index": (\d{1,18}), "crc32": (\d{1,10}), "rows": "([A-Za-z0-9+/]+={0,2})"\}\n'
)
LONGEST = 1 << 26  # maximum bytes of a line; thousands of lights need a hundredth
LEVEL = 6  # compression level: 1 makes lines a fifth longer and takes as long


def journal_path(store: Path) -> Path:
    """Return the path of a store's journal: ``run.h5.journal`` next to ``run.h5``."""
    return store.with_name(f"{store.name}.journal")


def encode_frame(frame: StoredFrame) -> bytes:
    """Return the line of a frame, including its line break."""
    rows = {
        group: {name: values.tolist() for name, values in table.items()}
        for group, table in to_tables([frame]).items()
    }
    content = b64encode(zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), LEVEL))
    head = b'{"frame_index": %d, "crc32": %d, "rows": "' % (frame.frame_index, zlib.crc32(content))
    return b'%s%s"}\n' % (head, content)


def encode_head(attributes: Mapping[str, str]) -> bytes:
    """Return the first line of a journal: its format and the attributes of its run."""
    head = {"format": "regengine journal", "format_version": FORMAT_VERSION}
    return json.dumps(head | {"attributes": dict(attributes)}).encode() + b"\n"


class JournalFile:
    """A journal open for reading, as of its opening; without a file it is empty.

    ``frame_index`` are the ascending numbers of its frames, ``offsets`` those of their lines, and
    ``attributes`` are those of the run that wrote it. Damaged lines are skipped and reported.
    Raises StoreError if the file cannot be read, is not a journal, or has another format version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frame_index: NDArray[np.int64] = np.empty(0, np.int64)
        self.attributes: dict[str, str] = {}
        self.n_damaged = 0  # damaged lines
        self.offsets: dict[int, int] = {}
        self._stream: BufferedReader | None = None
        if not os.path.lexists(path):
            return
        try:
            self._stream = open_regular(path)
            self._scan(self._stream)
        except BaseException as error:
            self.close()
            if isinstance(error.__cause__, FileNotFoundError):  # merged and deleted just now
                return
            if isinstance(error, FrameError):
                raise StoreError(f"{error}.") from error
            if isinstance(error, OSError) and not isinstance(error, StoreError):
                text = f"{path} cannot be read ({error.strerror}): check its permissions."
                raise StoreError(text) from error
            raise

    @property
    def is_there(self) -> bool:
        """Whether the file existed when it was opened."""
        return self._stream is not None

    def _scan(self, stream: BufferedReader) -> None:
        place, version = 0, FORMAT_VERSION
        # Otherwise being written, or torn
        while (line := stream.readline(LONGEST)).endswith(b"\n"):
            known = LINE.fullmatch(line)
            if known is not None and zlib.crc32(known[3]) == int(known[2]):
                self.offsets[int(known[1])] = place
            else:
                self.n_damaged += 1
                with suppress(*DAMAGE):  # the first line
                    if place == 0 and line.startswith(BEGINNING):
                        head = json.loads(line)
                        version = int(head["format_version"])
                        texts = head["attributes"].items()
                        self.attributes = {str(key): str(text) for key, text in texts}
                        self.n_damaged -= 1
            place += len(line)
        check_format(self.path, version)
        # An incomplete line can be the first line of a run that was killed
        is_foreign = place == 0 and not BEGINNING.startswith(line[: len(BEGINNING)])
        if is_foreign or (self.n_damaged and not self.offsets and not self.attributes):
            raise StoreError(
                f"{self.path} is not a journal of a regengine store and was not changed: move it "
                "away, or name another store.",
                code="store_foreign",
            )
        if self.n_damaged:
            logging.getLogger("regengine").warning(
                "%s: %s skipped; the next run with their photos processes them again.",
                self.path,
                format_count(self.n_damaged, "damaged line", "damaged lines"),
            )
        self.frame_index = np.array(sorted(self.offsets), np.int64)

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()

    def numbers_within(self, first: int, beyond: int) -> list[int]:
        """Return its frames ``first <= frame_index < beyond``."""
        start, stop = np.searchsorted(self.frame_index, [first, beyond])
        numbers: list[int] = self.frame_index[start:stop].tolist()
        return numbers

    def tables(self, first: int, beyond: int, groups: Selection = GROUPS) -> Tables:
        """Return rows of the frames ``first <= frame_index < beyond``, like `StoreFile.tables`."""
        return self.rows_of(self.numbers_within(first, beyond), groups)

    def rows_of(self, numbers: Sequence[int], groups: Selection = GROUPS) -> Tables:
        """Return rows of frames of the journal, in this order; texts are bytes of fixed length."""
        lines = []
        with raise_as_damage(self.path):
            for number in numbers:
                assert self._stream is not None
                self._stream.seek(self.offsets[number])
                lines.append(self._stream.readline(LONGEST))
            return decode_lines(lines, groups)


def decode_lines(lines: Sequence[bytes], groups: Selection = GROUPS) -> Tables:
    """Return the rows of the frames in some lines, in order; texts are bytes of fixed length.

    Raises ValueError if a line is damaged, and LookupError if it lacks a column.
    """
    frames = []
    for line in lines:
        known = LINE.fullmatch(line)
        if known is None or zlib.crc32(known[3]) != int(known[2]):
            raise ValueError("a line has changed")
        frames.append(json.loads(zlib.decompress(b64decode(known[3]))))
    joined: Tables = {}
    for group, columns in groups.items():
        tables = [frame[group] for frame in frames]
        joined[group] = {}
        for column in columns:
            values = list(chain.from_iterable(table[column.name] for table in tables))
            if column.dtype == "text":
                texts = [str(value).encode() for value in values]
                joined[group][column.name] = np.array(texts, dtype="S" if any(texts) else "S1")
            else:
                shape = (len(values),) if column.width == 1 else (len(values), column.width)
                joined[group][column.name] = np.array(values, dtype=column.dtype).reshape(shape)
    return joined
