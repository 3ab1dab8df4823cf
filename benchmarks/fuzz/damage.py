"""Damage that knows nothing of a file's format: flipped, cut, repeated and spliced bytes."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Damage = Callable[[bytes, np.random.Generator], bytes]

# What lengths and counts are blown up to, and what breaks signs and sums
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEAD_BYTES = 512  # headers come first: half of the damage is done there


def place(data: bytes, rng: np.random.Generator) -> int:
    """Somewhere in the data, in its head as often as in all of it."""
    end = min(len(data), HEAD_BYTES) if rng.random() < 0.5 else len(data)
    return int(rng.integers(max(end, 1)))


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """Up to sixteen bits turned."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 17))):
        if changed:
            changed[place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def random_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """A run of up to 64 bytes of noise."""
    start, length = place(data, rng), int(rng.integers(1, 65))
    return data[:start] + rng.bytes(length) + data[start + length :]


def blown_up(data: bytes, rng: np.random.Generator) -> bytes:
    """A number of one, two or four bytes that says something extreme."""
    size = int(rng.choice([1, 2, 4, 8]))
    value = int(rng.choice(EXTREMES)) % (1 << 8 * size)
    start = place(data, rng)
    order = "little" if rng.random() < 0.5 else "big"
    return data[:start] + value.to_bytes(size, order) + data[start + size :]  # type: ignore[arg-type]


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The end missing."""
    return data[: int(rng.integers(len(data) + 1))]


def hole(data: bytes, rng: np.random.Generator) -> bytes:
    """A part missing."""
    start = place(data, rng)
    return data[:start] + data[start + int(rng.integers(1, 257)) :]


def repeated(data: bytes, rng: np.random.Generator) -> bytes:
    """A part there several times."""
    start, length = place(data, rng), int(rng.integers(1, 1025))
    return data[:start] + data[start : start + length] * int(rng.integers(2, 9)) + data[start:]


def zeroed(data: bytes, rng: np.random.Generator) -> bytes:
    """A part of nothing, as after a crash of the machine."""
    start, length = place(data, rng), int(rng.integers(1, 513))
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def trailing(data: bytes, rng: np.random.Generator) -> bytes:
    """Something behind the end."""
    return data + rng.bytes(int(rng.integers(1, 4097)))


def shuffled(data: bytes, rng: np.random.Generator) -> bytes:
    """Two parts of the file in each other's place."""
    cuts = sorted(int(rng.integers(len(data) + 1)) for _ in range(4))
    a, b, c, d = cuts
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


BYTES: tuple[Damage, ...] = (
    flip_bits,
    random_bytes,
    blown_up,
    cut,
    hole,
    repeated,
    zeroed,
    trailing,
    shuffled,
)


def spliced(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """The beginning of one file with the end of another."""
    return data[: int(rng.integers(len(data) + 1))] + other[int(rng.integers(len(other) + 1)) :]


def damaged(
    data: bytes, others: Sequence[bytes], structural: Sequence[Damage], rng: np.random.Generator
) -> tuple[bytes, list[str]]:
    """A file damaged one to three times, and the names of what was done to it."""
    names = []
    for _ in range(int(rng.integers(1, 4))):
        if structural and rng.random() < 0.6:
            damage = structural[int(rng.integers(len(structural)))]
        elif rng.random() < 0.08:
            names.append("spliced")
            data = spliced(data, others[int(rng.integers(len(others)))], rng)
            continue
        else:
            damage = BYTES[int(rng.integers(len(BYTES)))]
        names.append(damage.__name__)
        data = damage(data, rng)
    return data, names


# Damage that knows lines, cells, numbers and the nesting of JSON.

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
TOKENS: tuple[bytes, ...] = (
    b"",
    b"0",
    b"-1",
    b"1e999",
    b"-1e308",
    b"nan",
    b"inf",
    b"-0",
    b"1_000",
    b"0x10",
    b"1e-320",
)
TOKENS += (
    b"9" * 400,
    b"9" * 5000,
    b"18446744073709551616",
    "\u0663".encode(),
    b"\0",
    b'"',
    b"'",
    b"\\",
)
TOKENS += (
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n\n",
    b"\x1b[2J",
    "\u202e".encode(),
    "\ud7ff".encode(),
)
TOKENS += (b"[" * 3000, b"{" * 3000, b'{"a":' * 2000, b"a" * 200_000, b",,,,", b"../../x", b"=1+1")
TOKENS += (b"true", b"null", b"[]", b"{}", b"9999-12-31T23:59:60Z", b"0000-00-00", b"-9999", b"1.")
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e308,
    10**30,
    "",
    "x" * 2000,
    [],
    [[]],
    {},
    {"a": []},
)
VALUES += (float("nan"), float("inf"), [1.0], [[1.0, 2.0], [3.0]], "1", "../..", [None], 1e-320)


def number_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """A number that became something else."""
    found = list(NUMBER.finditer(data[:200_000]))
    if not found:
        return data
    number = found[int(rng.integers(len(found)))]
    token = TOKENS[int(rng.integers(len(TOKENS)))]
    return data[: number.start()] + token + data[number.end() :]


def token_put_in(data: bytes, rng: np.random.Generator) -> bytes:
    """Something unexpected between the rest."""
    at = int(rng.integers(len(data) + 1))
    return data[:at] + TOKENS[int(rng.integers(len(TOKENS)))] + data[at:]


def lines_moved(data: bytes, rng: np.random.Generator) -> bytes:
    """Lines there often, missing, joined or in another order."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    k, j = (int(rng.integers(len(lines))) for _ in range(2))
    what = int(rng.integers(4))
    if what == 0:
        lines[j:j] = [lines[k]] * int(rng.choice([1, 3, 300]))
    elif what == 1:
        del lines[k]
    elif what == 2:
        lines[k], lines[j] = lines[j], lines[k]
    else:
        lines[k] = lines[k].rstrip(b"\r\n")
    return b"".join(lines)


def cells_moved(data: bytes, rng: np.random.Generator) -> bytes:
    """Cells of a line there twice, missing, or quoted without an end."""
    lines = data.split(b"\n")
    k = int(rng.integers(len(lines)))
    mark = b"\t" if b"\t" in lines[k] else b","
    cells = lines[k].split(mark)
    j = int(rng.integers(len(cells)))
    what = int(rng.integers(4))
    if what == 0:
        cells.insert(j, cells[j])
    elif what == 1:
        del cells[j]
    elif what == 2:
        cells[j] = b'"' + cells[j]
    else:
        cells[j] = TOKENS[int(rng.integers(len(TOKENS)))]
    lines[k] = mark.join(cells)
    return b"\n".join(lines)


def tle_sums_right(data: bytes, rng: np.random.Generator) -> bytes:
    """Columns of an element set changed, with its check sum right again."""
    lines = data.split(b"\n")
    sets = [k for k, line in enumerate(lines) if line[:2] in (b"1 ", b"2 ") and len(line) >= 69]
    if not sets:
        return data
    k = sets[int(rng.integers(len(sets)))]
    line = bytearray(lines[k][:68])
    for _ in range(int(rng.integers(1, 9))):
        line[int(rng.integers(2, 68))] = b"0123456789 .-+eA"[int(rng.integers(16))]
    total = sum(c - 48 if 48 <= c <= 57 else c == 45 for c in line) % 10
    lines[k] = bytes(line) + str(total).encode()
    return b"\n".join(lines)


def json_value_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """A value deep inside that became another, or went missing; a seal is made right again."""
    from regengine.scene.model_file import _seal

    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(content, dict):
        return data
    seal = content.pop("sha256", None)
    for _ in range(int(rng.integers(1, 3))):
        _change(content, rng)
    if seal is not None:
        content["sha256"] = _seal(content)
    return json.dumps(content).encode()


def _change(content: Any, rng: np.random.Generator) -> None:
    part, depth = content, 0
    while True:
        keys = list(part) if isinstance(part, dict) else list(range(len(part)))
        if not keys:
            return
        key = keys[int(rng.integers(len(keys)))]
        below = part[key]
        if not isinstance(below, dict | list) or not below or rng.random() < 0.25 or depth > 5:
            break
        part, depth = below, depth + 1
    if rng.random() < 0.25:
        del part[key]
    elif rng.random() < 0.2 and isinstance(part, list):
        part.append(part[key])
    else:
        part[key] = VALUES[int(rng.integers(len(VALUES)))]


LINES: tuple[Damage, ...] = (number_lies, number_lies, token_put_in, lines_moved)
TABLE_DAMAGE: tuple[Damage, ...] = (*LINES, cells_moved)
TLE_DAMAGE: tuple[Damage, ...] = (*LINES, tle_sums_right, tle_sums_right)
JSON_DAMAGE: tuple[Damage, ...] = (json_value_lies, json_value_lies, number_lies, token_put_in)


# Damage that knows FITS cards and the signatures inside HDF5 files.

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
CARD_VALUES: tuple[str, ...] = (
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
CARD_VALUES += (
    "9223372036854775807",
    "99999999999999999999",
    "1E400",
    "-1E308",
    "NaN",
    "T",
    "F",
    "''",
)
CARD_VALUES += ("'1PB(9)'", "'1QE(0)'", "'999999999J'", "'RICE_1'", "'HCOMPRESS_1'", "'PLIO_1'")
CARD_VALUES += ("'GZIP_1'", "'NOCOMPRESS'", "'2012-13-45T99:00:00'", "'\x07'", "'open", "(1,2)", "")
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
        value = CARD_VALUES[int(rng.integers(len(CARD_VALUES)))]
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
