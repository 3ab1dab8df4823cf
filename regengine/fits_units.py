"""The units of a FITS file, walked by their headers alone, and never further than is sensible.

A FITS file is a chain of units, each a header in blocks of 2880 bytes and data whose length the
header declares (FITS Standard 4.0, chapters 3 and 4). A few megabytes of gzip can hold gigabytes
of either, so every length is looked at before anything of that length is read.
"""

from __future__ import annotations

import gzip
import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from regengine.decoding import damaged
from regengine.errors import FrameError

if TYPE_CHECKING:
    from astropy.io.fits import Header

CARD, BLOCK = 80, 2880
END_CARD = b"END" + b" " * 77
GZIP_SIGNATURE = b"\x1f\x8b"
# Headers of real files have some hundred cards, 3 to 20 blocks, and mosaics some hundred units
MOST_BLOCKS = 400
MOST_UNITS = 1000
MOST_AXES = 999  # and columns (FITS Standard 4.0, 4.4.1 and 7.3.1)
# What is unpacked of a gzip to get to a picture: two seconds' worth
MOST_UNPACKED_BYTES = 600_000_000


@dataclass(frozen=True, kw_only=True)
class FitsUnit:
    """One unit: its header as it stands in the file, and where its data are.

    ``shape`` has the slowest axis first, as arrays have it; of a picture packed tile by tile it
    is that of the picture. ``bits`` is BITPIX, or ZBITPIX where ``packed``.
    """

    header: Header
    text: bytes
    offset: int
    data_bytes: int
    shape: tuple[int, ...]
    bits: int
    is_image: bool
    packed: bool


def is_gzip(start: bytes) -> bool:
    """Whether a file is packed by gzip, by its first bytes."""
    return start.startswith(GZIP_SIGNATURE)


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """A file, or what the gzip that it is holds; damage in the gzip is an OSError or EOFError."""
    with path.open("rb") as plain:
        start = plain.read(2)
        plain.seek(0)
        if not is_gzip(start):
            yield plain
            return
        with gzip.open(plain) as stream:
            try:
                yield stream  # type: ignore[misc]
            except (zlib.error, gzip.BadGzipFile) as error:
                raise OSError("its gzip is damaged") from error


def units(path: Path, stream: BinaryIO) -> Iterator[FitsUnit]:
    """Units of a FITS file from the first on; data are passed over.

    Parameters
    ----------
    path : Path
        For the sentences.
    stream : BinaryIO
        Of `unpacked`.

    Raises
    ------
    FrameError
        If a header has no end or makes no sense, or too much has to be unpacked.
    """
    for _ in range(MOST_UNITS):
        text = _header_text(path, stream)
        if text is None:
            return
        unit = _unit(path, text, stream.tell())
        yield unit
        after = unit.offset + -(-unit.data_bytes // BLOCK) * BLOCK
        if isinstance(stream, gzip.GzipFile) and after > MOST_UNPACKED_BYTES:
            raise FrameError(
                f"{path} holds no picture within the first {MOST_UNPACKED_BYTES // 1_000_000} "
                "megabytes that it unpacks to; unpack it and give the picture alone"
            )
        stream.seek(after)


def _header_text(path: Path, stream: BinaryIO) -> bytes | None:
    """Blocks up to the END card; None where the file is over."""
    blocks: list[bytes] = []
    while len(blocks) < MOST_BLOCKS:
        block = stream.read(BLOCK)
        if not block and not blocks:
            return None
        if not blocks and not block.startswith((b"SIMPLE", b"XTENSION")):
            return None  # what may stand behind the last unit (FITS Standard 4.0, 3.5)
        if len(block) < BLOCK:
            raise damaged(path, "a header has no end")
        blocks.append(block)
        if any(block[at : at + CARD] == END_CARD for at in range(0, BLOCK, CARD)):
            return b"".join(blocks)
    raise damaged(path, f"a header has no end within {MOST_BLOCKS} blocks")


def _unit(path: Path, text: bytes, offset: int) -> FitsUnit:
    from astropy.io.fits import Header

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = Header.fromstring(text)
    kind = str(header.get("XTENSION", "IMAGE")).strip().upper()
    sides = _sides(path, header, "")
    bits = _whole(path, header, "BITPIX", least=-64, most=64)
    groups = header.get("GROUPS") is True and sides[:1] == (0,)
    heap = _whole(path, header, "PCOUNT", 0) if kind != "IMAGE" or groups else 0
    count = _whole(path, header, "GCOUNT", 1) if kind != "IMAGE" or groups else 1
    samples = math.prod(sides[1:] if groups else sides) if sides else 0
    packed = kind == "BINTABLE" and header.get("ZIMAGE") is True
    shape = _sides(path, header, "Z") if packed else sides
    if packed:
        _check_tiles(path, header, shape)
        _whole(path, header, "TFIELDS", most=MOST_AXES)  # Astropy counts as far as it says
        stored = _whole(path, header, "ZBITPIX", least=-64, most=64)
    return FitsUnit(
        header=header,
        text=text,
        offset=offset,
        data_bytes=abs(bits) // 8 * count * (heap + samples),
        shape=shape[::-1],
        bits=stored if packed else bits,
        is_image=packed or (kind in ("IMAGE", "IUEIMAGE") and not groups),
        packed=packed,
    )


def _sides(path: Path, header: Header, prefix: str) -> tuple[int, ...]:
    axes = _whole(path, header, f"{prefix}NAXIS", least=0, most=MOST_AXES)
    return tuple(_whole(path, header, f"{prefix}NAXIS{k + 1}") for k in range(axes))


def _check_tiles(path: Path, header: Header, sides: tuple[int, ...]) -> None:
    """Tiles are unpacked into memory of their own: one larger than the picture is a lie."""
    for number, side in enumerate(sides, start=1):
        if _whole(path, header, f"ZTILE{number}", 1) > max(side, 1):
            raise damaged(path, "a tile is larger than the picture")


def _whole(
    path: Path,
    header: Header,
    name: str,
    default: int | None = None,
    *,
    least: int = 0,
    most: int = 1 << 62,
) -> int:
    value = header.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise damaged(path, f"its header has no sensible {name}")
    return value
