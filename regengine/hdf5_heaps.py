"""Whether the texts of an HDF5 file's attributes can be walked through, before HDF5 tries.

Attributes with text of any length lie in global heaps, which have no check sum (HDF5 File Format
Specification 3.0, section III.E). One that says that an entry has no length keeps the library in
an endless loop, which nothing but the end of the process ends.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

SIGNATURE = b"GCOL\x01\0\0\0"
SEARCHED_BYTES = 1 << 20  # of a store: its attributes are written first, their heaps soon after
_HEAD = 16  # bytes: signature and version, size of the heap
_ENTRY = 16  # bytes: index, references, reserved, size of the text
# Size of the heap, and head of an entry, by the bytes that the file's lengths have
_FORMS = {
    4: (struct.Struct("<I"), struct.Struct("<HHII")),
    8: (struct.Struct("<Q"), struct.Struct("<HHIQ")),
}


def file_heaps_sound(path: Path) -> bool:
    """Whether all global heaps of a file can be walked through.

    Parameters
    ----------
    path : Path
        An HDF5 file. It is searched whole, a matter of milliseconds for tens of megabytes.

    Returns
    -------
    bool

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return heaps_sound(data)


def heaps_sound(data: bytes | mmap.mmap) -> bool:
    """Whether all global heaps in the first bytes of a file can be walked through.

    Parameters
    ----------
    data : bytes or mmap
        The beginning of an HDF5 file, or all of it.

    Returns
    -------
    bool
    """
    # Sections II.A.1 to 3: where a superblock says how long the lengths in the file are
    at = 14 if data[8:9] < b"\x02" else 10
    lengths = data[at] if len(data) > at else 0
    place = data.find(SIGNATURE)
    if place >= 0 and lengths not in _FORMS:
        return False
    while place >= 0:
        if not _sound(data, place, lengths):
            return False
        place = data.find(SIGNATURE, place + len(SIGNATURE))
    return True


def _sound(data: bytes | mmap.mmap, heap: int, lengths: int) -> bool:
    size_form, entry_form = _FORMS[lengths]
    if len(data) < heap + _HEAD:  # it begins where the bytes end
        return True
    (size,) = size_form.unpack_from(data, heap + len(SIGNATURE))
    beyond = heap + size
    place = heap + _HEAD
    while place + _ENTRY <= min(beyond, len(data)):
        index, _, _, length = entry_form.unpack_from(data, place)
        # Entry 0 is what is free; its size counts its own head
        step = length if index == 0 else _ENTRY + -(-length // 8) * 8
        if step < _ENTRY or place + step > beyond:
            return False
        place += step
    return True
