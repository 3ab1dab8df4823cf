"""Damage that knows FITS cards and the signatures inside HDF5 files."""

from __future__ import annotations

import gzip
import re
import zlib

import numpy as np

from benchmarks.fuzz_bytes import BYTES, EXTREMES, Damage

CARD = 80
BLOCK = 2880
KEYWORDS: tuple[str, ...] = (
    "SIMPLE",
    "XTENSION",
    "BITPIX",
    "NAXIS",
    "NAXIS1",
    "NAXIS2",
    "NAXIS3",
    "PCOUNT",
)
KEYWORDS += ("GCOUNT", "TFIELDS", "TFORM1", "TTYPE1", "ZIMAGE", "ZCMPTYPE", "ZBITPIX", "ZNAXIS")
KEYWORDS += ("ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZTILE2", "ZNAME1", "ZVAL1", "ZQUANTIZ", "ZDITHER0")
KEYWORDS += ("BZERO", "BSCALE", "BLANK", "ZBLANK", "ZSCALE", "THEAP", "SATURATE", "DATE-OBS")
KEYWORDS += ("EXPTIME", "MJD-OBS", "TIMESYS", "FOCALLEN", "INSTRUME", "GROUPS", "CHECKSUM")
VALUES: tuple[str, ...] = (
    "0",
    "1",
    "-1",
    "3",
    "8",
    "16",
    "-32",
    "-64",
    "64",
    "96",
    "100000",
    "2147483647",
)
VALUES += ("9223372036854775807", "99999999999999999999", "1E400", "-1E308", "NaN", "T", "F", "''")
VALUES += ("'1PB(9)'", "'1QE(0)'", "'999999999J'", "'RICE_1'", "'HCOMPRESS_1'", "'PLIO_1'")
VALUES += ("'GZIP_1'", "'NOCOMPRESS'", "'2012-13-45T99:00:00'", "'\x07'", "'open", "(1,2)", "")
HDF5_MARKS = re.compile(rb"\x89HDF|TREE|SNOD|HEAP|GCOL|OHDR|OCHK|BTHD|BTLF|FRHP|FHDB|FADB|EAHD")


def _plain(data: bytes) -> tuple[bytes, bool]:
    """A FITS file's contents, and whether they were in gzip."""
    if not data.startswith(b"\x1f\x8b"):
        return data, False
    try:
        return gzip.decompress(data), True
    except (OSError, EOFError, zlib.error):
        return data, False


def _with_cards(data: bytes, change: Damage, rng: np.random.Generator) -> bytes:
    plain, packed = _plain(data)
    changed = change(plain, rng)
    return gzip.compress(changed, 1, mtime=0) if packed else changed


def _headers(data: bytes) -> list[int]:
    """Places of the cards of the file's first headers."""
    starts = []
    for mark in (b"SIMPLE  =", b"XTENSION="):
        at = data.find(mark)
        while at >= 0:
            end = data.find(b"END" + b" " * 77, at)
            starts += list(range(at, end if end > at else at + CARD, CARD))
            at = data.find(mark, at + 1)
    return starts


def fits_card_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """A card with another value, or another card in its place."""

    def change(plain: bytes, rng: np.random.Generator) -> bytes:
        places = _headers(plain)
        if not places:
            return plain
        at = places[int(rng.integers(len(places)))]
        name = plain[at : at + 8].decode("latin-1")
        if rng.random() < 0.4:
            name = str(rng.choice(KEYWORDS))
            same = [p for p in places if plain[p : p + 8].decode("latin-1").strip() == name]
            at = same[0] if same else at
        value = VALUES[int(rng.integers(len(VALUES)))]
        card = f"{name:8.8}= {value:>20}".ljust(CARD)[:CARD].encode("latin-1")
        return plain[:at] + card + plain[at + CARD :]

    return _with_cards(data, change, rng)


def fits_cards_moved(data: bytes, rng: np.random.Generator) -> bytes:
    """Cards there often, missing, or continued without an end."""

    def change(plain: bytes, rng: np.random.Generator) -> bytes:
        places = _headers(plain)
        if not places:
            return plain
        at, other = (places[int(rng.integers(len(places)))] for _ in range(2))
        card, what = plain[at : at + CARD], int(rng.integers(4))
        if what == 0:
            return plain[:other] + card + plain[other + CARD :]
        if what == 1:
            return plain[:at] + b" " * CARD + plain[at + CARD :]
        if what == 2:
            more = (b"CONTINUE  'and on&'".ljust(CARD)) * (36 * int(rng.integers(1, 20)))
            return plain[:at] + more + plain[at:]
        end = plain.find(b"END" + b" " * 77)
        return plain if end < 0 else plain[:end] + b" " * CARD + plain[end + CARD :]

    return _with_cards(data, change, rng)


def fits_insides(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes damaged inside of the gzip, if there is one."""
    return _with_cards(data, BYTES[int(rng.integers(len(BYTES)))], rng)


def fits_units_repeated(data: bytes, rng: np.random.Generator) -> bytes:
    """Some blocks there again and again: units behind units."""

    def change(plain: bytes, rng: np.random.Generator) -> bytes:
        blocks = max(len(plain) // BLOCK, 1)
        first = BLOCK * int(rng.integers(blocks))
        part = plain[first : first + BLOCK * int(rng.integers(1, 4))]
        return plain[:first] + part * int(rng.integers(2, 30)) + plain[first:]

    return _with_cards(data, change, rng)


def hdf5_near_marks(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed in the file's own bookkeeping, not in its values."""
    marks = [found.start() for found in HDF5_MARKS.finditer(data)]
    if not marks:
        return data
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at = marks[int(rng.integers(len(marks)))] + int(rng.integers(4, 96))
        size = int(rng.choice([1, 2, 4, 8]))
        if rng.random() < 0.5:
            value = int(EXTREMES[int(rng.integers(len(EXTREMES)))]) % (1 << 8 * size)
            new = value.to_bytes(size, "little")
        else:
            new = rng.bytes(size)
        changed[at : at + size] = new[: max(0, len(changed) - at)]
    return bytes(changed)


FITS_DAMAGE: tuple[Damage, ...] = (
    fits_card_lies,
    fits_card_lies,
    fits_card_lies,
    fits_cards_moved,
    fits_insides,
    fits_units_repeated,
)
HDF5_DAMAGE: tuple[Damage, ...] = (hdf5_near_marks,)
