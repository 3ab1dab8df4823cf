"""What must hold of a store after a run was stopped, and after it was finished."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from regengine.errors import StoreError
from regengine.records import record_line
from regengine.store.parts import list_parts, parts_folder
from regengine.store.reader import read_store

Record = dict[str, Any]


def whole_records(text: str) -> list[Record]:
    """Records of the lines that were printed to their end, without the seconds they took."""
    lines = text.split("\n")[:-1]
    return [without_seconds(json.loads(line)) for line in lines if line.startswith("{")]


def without_seconds(record: Record) -> Record:
    """A record without what differs between equal runs."""
    engine = {k: v for k, v in record["engine"].items() if k != "seconds"}
    return record | {"engine": engine}


def lost(reported: Iterable[Record], store: Path) -> list[str]:
    """What is wrong with a store that a run has reported these records for.

    Parameters
    ----------
    reported : iterable of dict
        Records of `whole_records`.
    store : Path
        The store; with parts beside it if it is not merged.

    Returns
    -------
    list of str
        A sentence for each record that is missing or says something else, each file that does
        not open, each frame that is there twice; empty if all is well.
    """
    problems = unopenable(store)
    try:
        exists = store.exists() or list_parts(parts_folder(store))
        stored = read_store(store) if exists else []
    except StoreError as error:
        return [*problems, f"does not open: {error}"]
    kept: dict[str, Record] = {}
    for frame in stored:
        record = without_seconds(json.loads(record_line(frame.result)))
        if record["path"] in kept:
            problems.append(f"twice in the store: {record['path']}")
        kept[record["path"]] = record
    for record in reported:
        if record["path"] not in kept:
            problems.append(f"reported, but lost: {record['path']}")
        elif kept[record["path"]] != record:
            problems.append(f"reported, but changed: {record['path']}")
    return problems


def unopenable(store: Path) -> list[str]:
    """HDF5 files of a store of which not every value can be read, by h5py alone."""
    problems = []
    for path in [*([store] if store.exists() else []), *list_parts(parts_folder(store))]:
        try:
            with h5py.File(path, "r") as file:
                for group in file.values():
                    rows = {len(column[()]) for column in group.values()}
                    if len(rows) > 1:
                        problems.append(f"columns of unequal length: {path.name}{group.name}")
        except OSError as error:
            problems.append(f"does not open: {path.name} ({error})")
    return problems


def differences(store: Path, reference: Path, *, extra: tuple[str, ...] = ()) -> list[str]:
    """Where a finished store differs from that of an uninterrupted run.

    Parameters
    ----------
    store, reference : Path
        Merged stores.
    extra : tuple of str
        Frames that only the store has.

    Returns
    -------
    list of str
        A sentence for each column, not marked volatile, that is not equal to the last bit.
    """
    if list_parts(parts_folder(store)):
        return ["parts were left unmerged"]
    with h5py.File(store, "r") as one, h5py.File(reference, "r") as two:
        names = [name.decode() for name in one["frames/frame"][()]]
        wanted = [name.decode() for name in two["frames/frame"][()]]
        problems = _not_once(names, [*wanted, *extra])
        if problems:
            return problems
        number = dict(zip(wanted, two["frames/frame_index"][()].tolist(), strict=True))
        mine = dict(zip(one["frames/frame_index"][()].tolist(), names, strict=True))
        if any(number.get(name, index) != index for index, name in mine.items()):
            problems.append("frames have other numbers")
        for group in two:
            if set(one[group]) != set(two[group]):
                problems.append(f"other columns: {group}")
                continue
            # By name, so that a wrong number is one problem and does not hide others
            whose = [number.get(mine[k], -1) for k in one[group]["frame_index"][()].tolist()]
            order = np.argsort(whose, kind="stable")[np.sort(whose) >= 0]
            for name, column in two[group].items():
                if name == "frame_index" or column.attrs["volatile"]:
                    continue
                if not _equal(one[group][name][()][order], column[()]):
                    problems.append(f"differs: {group}/{name}")
    return problems


def failed_frames(store: Path) -> list[str]:
    """Names of the frames of a merged store that could not be processed."""
    with h5py.File(store, "r") as file:
        verdicts, names = (file[f"frames/{name}"][()] for name in ("verdict", "frame"))
        return [n.decode() for n, v in zip(names, verdicts, strict=True) if v == b"failed"]


def _not_once(names: list[str], wanted: list[str]) -> list[str]:
    counts = Counter(names)
    twice = [f"{n} times in the store: {name}" for name, n in counts.items() if n > 1]
    missing = [f"not in the store: {name}" for name in wanted if name not in counts]
    foreign = [f"nobody asked for: {name}" for name in counts if name not in set(wanted)]
    return twice + missing + foreign


def _equal(one: NDArray[Any], two: NDArray[Any]) -> bool:
    if one.shape != two.shape:
        return False
    if one.dtype.kind == "f":
        return bool(np.array_equal(one, two, equal_nan=True))
    return bool(one.tolist() == two.tolist())
