"""Saves what is whole of a damaged store and of the parts beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.errors import ConfigError, StoreError
from regengine.io.atomic import refusals_told, replacing
from regengine.store.file import GrowingStore, StoreFile
from regengine.store.hdf5 import CHUNK_ROWS, DAMAGE
from regengine.store.rows import Table, Tables, join
from regengine.store.schema import COLUMNS, GROUPS, TEXT_COLUMNS, Column
from regengine.store.snapshot import BLOCK_FRAMES, is_there, list_parts, parts_folder
from regengine.store.verify import Findings, check_rows
from regengine.store.writer import root_attributes

UNKNOWN = -1  # in the place of the number of a frame
ONE_ROW = ("frames", "provenance")  # groups with one row a frame


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Frames of one file that are not whole, and why.

    ``frame_index`` numbers them, ascending; it is empty where the file cannot be opened, and lacks
    frames whose numbers are damaged themselves.
    """

    file: Path
    why: str
    frame_index: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Salvaged:
    """How many frames were whole and are in the new store, and which were not."""

    frames: int
    lost: tuple[Lost, ...]


def salvage(store: Path, out: Path) -> Salvaged:
    """Write the frames of a store and its parts that are whole into a new store.

    A frame is whole if all its rows can be read in every group and say what rows can say. Of a
    frame that several files hold, the last counts that has it whole. Frames keep their numbers. The
    damaged files are only read. Memory: some tens of bytes a row.

    ConfigError if ``out`` exists; StoreError if nothing can be opened, or no store be written.
    """
    if out.exists() or list_parts(parts_folder(out)):
        raise ConfigError(f"{out} exists already: name a new file with --salvage.")
    parts = list_parts(parts_folder(store))
    files = [store, *parts] if is_there(store, parts) else parts
    with ExitStack() as stack:
        held, lost, refused = [], [], []
        for path in files:
            try:
                known = _Damaged(path)
            except StoreError as error:
                refused.append(error)
                lost.append(Lost(file=path, why=str(error), frame_index=()))
                continue
            held.append(known)
            stack.callback(known.store.close)
        if not held:
            raise refused[0]
        numbers = np.unique(np.concatenate([known.whole for known in held]))
        with refusals_told(out):
            _write(out, held, numbers)
    for known in held:
        lost += known.lost(without=numbers)
    return Salvaged(frames=len(numbers), lost=tuple(lost))


def _write(out: Path, held: Sequence[_Damaged], numbers: NDArray[np.int64]) -> None:
    lengths = dict.fromkeys(TEXT_COLUMNS, 1)
    for known in held:
        for column, length in known.text_lengths().items():
            lengths[column] = max(lengths[column], length)
    attributes = root_attributes(held[0].store)
    with replacing(out) as stream, GrowingStore(stream, attributes, lengths) as output:
        for start in range(0, len(numbers), BLOCK_FRAMES):
            block = numbers[start : start + BLOCK_FRAMES]
            sets: list[Tables] = []
            for known in held:
                sets += known.tables(np.intersect1d(block, known.whole))
            output.append(join(sets))


class _Damaged:
    """A store, or one part of it, of which some may be damaged; StoreError if all is."""

    def __init__(self, path: Path) -> None:
        self.store = StoreFile(path, frames=False)
        self._wrong: dict[int, str] = {}
        self._nameless = 0
        try:
            numbers = {group: self._numbers(group) for group in GROUPS}
            known = numbers["frames"] != UNKNOWN
            self._nameless = int((~known).sum())
            self.frames = numbers["frames"][known]
            self._frame_rows = np.flatnonzero(known)
            # Rows of unknown frames come behind those of the frame before them, which is not whole
            self._index = {group: np.maximum.accumulate(index) for group, index in numbers.items()}
            for group, index in numbers.items():
                self._note_unknown(group, index)
                for column in GROUPS[group]:
                    for start, stop in self._unreadable(group, column):
                        why = f"column {group}/{column.name} is damaged"
                        self._note(np.unique(index[start:stop]), why)
            for tables in self.tables(self.whole):
                findings = _Told(path)
                check_rows(tables, findings)
                for number, what in findings.told.items():
                    self._wrong.setdefault(number, what)
        except BaseException:
            self.store.close()
            raise

    @property
    def whole(self) -> NDArray[np.int64]:
        """Numbers of the frames that are whole."""
        return np.setdiff1d(self.frames, np.array(list(self._wrong), dtype=np.int64))

    def lost(self, without: NDArray[np.int64]) -> Iterator[Lost]:
        """Frames that are not whole, by why; but for those that another file has."""
        file = self.store.path
        if self._nameless:
            why = f"{self._nameless} frames whose numbers are damaged"
            yield Lost(file=file, why=why, frame_index=())
        gone = np.setdiff1d(np.setdiff1d(self.frames, self.whole), without).tolist()
        for why in dict.fromkeys(self._wrong[number] for number in gone):
            yield Lost(
                file=file, why=why, frame_index=tuple(n for n in gone if self._wrong[n] == why)
            )

    def tables(self, numbers: NDArray[np.int64]) -> Iterator[Tables]:
        """Rows of frames, of so many at a time as lie beside each other in the file."""
        rows = self._frame_rows[np.searchsorted(self.frames, numbers)]
        for near in np.split(numbers, np.flatnonzero(np.diff(rows) != 1) + 1):
            for start in range(0, len(near), BLOCK_FRAMES):
                some = near[start : start + BLOCK_FRAMES]
                if len(some):
                    yield {group: self._table(group, some) for group in GROUPS}

    def text_lengths(self) -> dict[tuple[str, str], int]:
        """Bytes that each text column gives to a text, of those that can be opened."""
        lengths = {}
        for group, name in TEXT_COLUMNS:
            with suppress(*DAMAGE):
                lengths[group, name] = self.store.column(group, name, 0, 0).dtype.itemsize
        return lengths

    def _table(self, group: str, frames: NDArray[np.int64]) -> Table:
        """Rows of frames that lie beside each other."""
        if group == "frames":
            start = int(self._frame_rows[np.searchsorted(self.frames, frames[0])])
            return self.store.table(group, start, start + len(frames))
        start, stop = np.searchsorted(self._index[group], [frames[0], frames[-1] + 1]).tolist()
        if start < stop:
            return self.store.table(group, start, stop)
        return {  # also where a column cannot be opened, of which these frames have no rows
            column.name: np.empty(
                0 if column.width == 1 else (0, column.width),
                dtype="S1" if column.dtype == "text" else column.dtype,
            )
            for column in GROUPS[group]
        }

    def _note(self, numbers: NDArray[np.int64], why: str) -> None:
        for number in numbers.tolist():
            self._wrong.setdefault(number, why)

    def _note_unknown(self, group: str, index: NDArray[np.int64]) -> None:
        """Note all frames to which rows of unknown frames may belong."""
        known = np.concatenate([[True], index != UNKNOWN, [True]])
        padded = np.concatenate([[UNKNOWN], index, [np.iinfo(np.int64).max]])
        rows = np.flatnonzero(known)
        for row in np.flatnonzero(np.diff(rows) > 1):
            low, high = padded[rows[row]], padded[rows[row + 1]]
            if group in ONE_ROW:
                low, high = low + 1, high - 1
            between = self.frames[(self.frames >= low) & (self.frames <= high)]
            self._note(between, f"column {group}/frame_index is damaged")

    def _numbers(self, group: str) -> NDArray[np.int64]:
        """Frames of the rows of a group, ascending; `UNKNOWN` where they cannot be read."""
        index = self._readable(group, "frame_index")
        if group == "frames":  # provenance has a row for each frame, too
            with suppress(StoreError):
                again = self._readable("provenance", "frame_index")
                if len(again) == len(index):
                    index = np.where(index == UNKNOWN, again, index)
        before = np.maximum.accumulate(np.concatenate([[UNKNOWN], index]))[:-1]
        least = before + 1 if group in ONE_ROW else before
        return np.where(index < least, UNKNOWN, index)

    def _readable(self, group: str, name: str) -> NDArray[Any]:
        found = []
        for start, stop in self._stretches(group):
            try:
                found.append(self.store.column(group, name, start, stop))
            except StoreError:
                found.append(np.full(stop - start, UNKNOWN, dtype=np.int64))
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)

    def _unreadable(self, group: str, column: Column) -> Iterator[tuple[int, int]]:
        for start, stop in self._stretches(group):
            try:
                self.store.column(group, column.name, start, stop)
            except StoreError:
                yield start, stop

    def _stretches(self, group: str) -> list[tuple[int, int]]:
        rows = max(self._rows(group))
        return [(k, min(k + CHUNK_ROWS, rows)) for k in range(0, rows, CHUNK_ROWS)]

    def _rows(self, group: str) -> Iterator[int]:
        """Lengths of the columns of a group that can be opened."""
        yield 0
        for name in (name for of, name in COLUMNS if of == group):
            with suppress(StoreError):
                yield self.store.rows(group, name)


class _Told(Findings):
    """What is wrong with each frame."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.told: dict[int, str] = {}

    def rows_wrong(self, code: str, what: str, wrong: Any, frame_index: NDArray[np.int64]) -> None:
        """Note rows."""
        for number in frame_index[np.asarray(wrong, dtype=bool)].tolist():
            self.told.setdefault(number, what)
