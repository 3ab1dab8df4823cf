"""Tiles of FITS pictures packed as HCOMPRESS_1, looked at before they are unpacked.

Each tile says at its start how large it is (White, R. L. 1992, in Digital Optical Sky Surveys,
167), and the decoder believes it: more than there is room for would be written over other memory.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regengine.decoding import damaged

START = b"\xdd\x99"


def check_wavelets(
    path: Path, tiles: Sequence[Any], shape: tuple[int, ...], tile: tuple[int, ...]
) -> None:
    """Make sure that every tile is as large as its place in the picture.

    Parameters
    ----------
    path : Path
        For the sentence.
    tiles : sequence of ndarray of uint8
        As packed, those along the last axis first; an empty one is packed in another way.
    shape, tile : tuple of int
        Sides of the picture and of a whole tile.

    Raises
    ------
    FrameError
        If one is not.
    """
    counts = [-(-side // step) for side, step in zip(shape, tile, strict=True)]
    for number, packed in enumerate(tiles):
        head = bytes(packed[:10])
        if not head:
            continue
        pixels, rest = 1, number
        for side, step, count in zip(shape[::-1], tile[::-1], counts[::-1], strict=True):
            rest, place = divmod(rest, count)
            pixels *= min(step, side - place * step)
        if len(head) < 10 or not head.startswith(START):
            raise damaged(path, "a tile does not begin as it should")
        sides = struct.unpack(">ii", head[2:])
        if min(sides) < 1 or math.prod(sides) != pixels:
            raise damaged(path, "a tile has another size than its place")
