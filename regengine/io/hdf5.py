"""Open HDF5 files for reading, and distinguish files in use from damaged ones."""

from __future__ import annotations

import errno
import mmap
import shlex
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from regengine.errors import RegengineError

HEAP_SIGNATURE = b"GCOL\x01"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # HDF5 File Format Specification 3.0, section II.A
# Messages of HDF5 for a file whose superblock is marked as open for writing
MARKED_OPEN = ("already open for write", "already open for SWMR")


def open_hdf5(path: Path, busy: Callable[[str], RegengineError], **options: Any) -> h5py.File:
    """Open a file for reading, with ``options`` of `h5py.File`.

    ``busy`` takes a sentence, and returns the error for a file that another program has open for
    writing, or did not close. Raises that, or OSError or RuntimeError for other errors of HDF5.
    """
    try:
        return h5py.File(path, "r", **options)
    except BlockingIOError as error:
        raise busy(
            f"{path} is in use: another program has it open for writing; close it there, then run "
            "the same command again."
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP):
            raise busy(
                f"{path} is on a disk without file locking: set HDF5_USE_FILE_LOCKING=FALSE, and "
                "let no other program write the file meanwhile."
            ) from error
        if any(words in str(error) for words in MARKED_OPEN):
            raise busy(
                f"{path} is in use, or was not closed: close the program that has it open for "
                f"writing; if that program is gone, run h5clear -s {shlex.quote(str(path))}."
            ) from error
        raise


def heaps_end(data: bytes | mmap.mmap) -> bool:
    """Whether HDF5 reaches the end of the global heaps in the given bytes of a file.

    HDF5 2.0 steps from object to object by their sizes, and loops forever if free space has size
    zero. Heaps and objects have headers of 16 bytes: HDF5 File Format Specification 3.0, section
    III.E.
    """
    heap = data.find(HEAP_SIGNATURE)
    while heap >= 0:
        end = min(heap + int.from_bytes(data[heap + 8 : heap + 16], "little"), len(data))
        place = heap + 16
        while place + 16 <= end:
            index, size = struct.unpack_from("<H6xQ", data, place)
            # Object 0 is free space, including its header
            step = size if index == 0 else 16 + -(-size // 8) * 8
            if step == 0:
                return False
            place += step
        heap = data.find(HEAP_SIGNATURE, heap + 1)
    return True
