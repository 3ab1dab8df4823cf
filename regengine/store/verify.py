"""Looks through a store and its parts for anything that is not as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from regengine.errors import StoreError
from regengine.store.file import StoreFile
from regengine.store.hdf5 import damage_told, open_store
from regengine.store.index import identity_key
from regengine.store.schema import GROUPS, select
from regengine.store.snapshot import BLOCK_FRAMES, Snapshot, list_parts, parts_folder
from regengine.store.verify_checks import (
    Findings,
    Problem,
    check_attributes,
    check_bytes,
    check_columns,
    check_rows,
)

IDENTITY = select("frames/path", "frames/sha256")
READ_FRAMES = 65536


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found.

    Attributes
    ----------
    frames : int
        Frames of the store and its parts, as far as they can be read.
    parts : int
        Parts that are not merged yet.
    problems : tuple of Problem
        Everything that is wrong.
    """

    frames: int
    parts: int
    problems: tuple[Problem, ...]


def verify_store(path: Path) -> Verification:
    """Check a store and the parts beside it; memory is flat in the number of frames.

    Parameters
    ----------
    path : Path
        The store; may be missing if there are parts.

    Returns
    -------
    Verification

    Raises
    ------
    StoreError
        If it cannot be opened at all.
    """
    parts = list_parts(parts_folder(path))
    problems: list[Problem] = []
    if path.exists() or not parts:
        if not path.exists():
            raise StoreError(f"{path} does not exist: check the path of the store.")
        if path.is_dir():
            raise StoreError(f"{path} is a folder, not a store: name the .h5 file in it.")
        with open_store(path) as file:
            problems += _check_file(path, file)
    for part in parts:
        try:
            with open_store(part) as file:
                problems += _check_file(part, file)
        except StoreError as error:
            if part.exists():  # else it was merged meanwhile
                problems.append(Problem(code="part_unreadable", text=str(error), file=part))
    frames = 0
    if not problems:
        with Snapshot.of(path) as snapshot:
            frames = len(snapshot.frame_index)
            problems += _check_identities(path, snapshot)
    return Verification(frames=frames, parts=len(parts), problems=tuple(problems))


def _check_file(path: Path, file: h5py.File) -> list[Problem]:
    findings = Findings(path)
    with damage_told(path):
        check_attributes(file, findings)
        check_columns(file, findings)
    if findings.problems():
        return findings.problems()
    try:
        with StoreFile(path) as store:
            _check_joins(store, findings)
            for start in range(0, len(store.frame_index), BLOCK_FRAMES):
                block = store.frame_index[start : start + BLOCK_FRAMES]
                check_rows(store.tables(int(block[0]), int(block[-1]) + 1), findings)
    except StoreError as error:
        check_bytes(file, findings)
        if not findings.problems():
            findings.file_wrong("damaged", str(error).rstrip("."))
    return findings.problems()


def _check_joins(store: StoreFile, findings: Findings) -> None:
    """Note rows that are out of order, or that belong to no frame."""
    for group in GROUPS:
        rows, last = store.rows(group), -1
        for start in range(0, rows, READ_FRAMES):
            index = store.column(group, "frame_index", start, min(start + READ_FRAMES, rows))
            before = np.concatenate([[last], index[:-1]])
            what = f"rows of {group} are out of order"
            findings.rows_wrong("order", what, index < before, index)
            place = np.searchsorted(store.frame_index, index)
            place = np.minimum(place, max(len(store.frame_index) - 1, 0))
            known = store.frame_index[place] == index if len(store.frame_index) else index < index
            what = f"rows of {group} belong to no frame"
            findings.rows_wrong("orphan", what, ~known, index)
            last = int(index[-1])


def _check_identities(path: Path, snapshot: Snapshot) -> list[Problem]:
    """Note photos that the store holds twice."""
    keys = np.empty((len(snapshot.frame_index), 2), dtype=np.uint64)
    row = 0
    for tables in snapshot.blocks(groups=IDENTITY, frames=READ_FRAMES):
        frames = tables["frames"]
        for photo, sha256 in zip(frames["path"].tolist(), frames["sha256"].tolist(), strict=True):
            keys[row] = identity_key(photo.decode(), sha256.decode())
            row += 1
    order = np.lexsort((snapshot.frame_index, keys[:, 1], keys[:, 0]))
    again = np.zeros(len(order), dtype=bool)
    again[order[1:]] = (np.diff(keys[order], axis=0) == 0).all(axis=1)
    findings = Findings(path)
    what = "frames are of a photo that has a frame already"
    findings.rows_wrong("identity", what, again, snapshot.frame_index)
    return findings.problems()
