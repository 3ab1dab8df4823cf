"""Whether the texts of an HDF5 file's attributes can be walked through, before HDF5 tries.

Attributes with text of any length lie in global heaps, the only bookkeeping of our files without a
check sum (HDF5 File Format Specification 3.0, section III.E). One that says that an entry has no
length keeps the library in an endless loop.
"""

from __future__ import annotations

import struct

SIGNATURE = b"GCOL\x01\0\0\0"
_HEAD = 16  # bytes: signature and version, size of the heap
_ENTRY = struct.Struct("<HHIQ")  # index, references, reserved, size of the text
SEARCHED_BYTES = 1 << 20  # root attributes are written first: their heaps begin after 200 bytes


def heaps_sound(start: bytes) -> bool:
    """Whether all global heaps in the first bytes of a file can be walked through.

    Parameters
    ----------
    start : bytes
        The first `SEARCHED_BYTES` of the file.

    Returns
    -------
    bool
    """
    place = start.find(SIGNATURE)
    while place >= 0:
        if not _sound(start[place:]):
            return False
        place = start.find(SIGNATURE, place + len(SIGNATURE))
    return True


def _sound(heap: bytes) -> bool:
    (size,) = struct.unpack_from("<Q", heap, len(SIGNATURE)) if len(heap) >= _HEAD else (0,)
    end = min(size, len(heap))
    place = _HEAD
    while place + _ENTRY.size <= end:
        index, _, _, length = _ENTRY.unpack_from(heap, place)
        # Entry 0 is what is free; its size counts its own head
        step = length if index == 0 else _ENTRY.size + -(-length // 8) * 8
        if step < _ENTRY.size or place + step > size:
            return False
        place += step
    return True
