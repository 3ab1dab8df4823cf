"""Ways to damage a file: blindly, by bytes, and with knowledge of its format."""

from __future__ import annotations

import gzip
import json
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Damage = Callable[[bytes, np.random.Generator], bytes]

# What lengths and counts are blown up to, and what breaks signs and sums
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEAD_BYTES = 512  # headers come first: half of the damage is done there


def _pick(options: Sequence[Any], rng: np.random.Generator) -> Any:
    return options[int(rng.integers(len(options)))]


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
            damage = _pick(structural, rng)
        elif rng.random() < 0.08:
            names.append("spliced")
            data = spliced(data, _pick(others, rng), rng)
            continue
        else:
            damage = _pick(BYTES, rng)
        names.append(damage.__name__)
        data = damage(data, rng)
    return data, names


# Damage that knows lines, cells, numbers and the nesting of JSON.

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
# fmt: off
TOKENS: tuple[bytes, ...] = (
    b"", b"0", b"-1", b"1e999", b"-1e308", b"nan", b"inf", b"-0", b"1_000", b"0x10", b"1e-320",
    b"9" * 400, b"9" * 5000, b"18446744073709551616", "\u0663".encode(), b"\0", b'"', b"'", b"\\",
    b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b"\x1b[2J", "\u202e".encode(),
    "\ud7ff".encode(), b"[" * 3000, b"{" * 3000, b'{"a":' * 2000, b"a" * 200_000, b",,,, ",
    b"../../x", b"=1+1", b"true", b"null", b"[]", b"{}", b"9999-12-31T23:59:60Z", b"0000-00-00",
    b"-9999", b"1.",
)
# fmt: on
# fmt: off
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 10**30, "", "x" * 2000, [], [[]], {}, {"a": []},
    float("nan"), float("inf"), [1.0], [[1.0, 2.0], [3.0]], "1", "../..", [None], 1e-320,
)
# fmt: on


def number_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """A number that became something else."""
    found = list(NUMBER.finditer(data[:200_000]))
    if not found:
        return data
    number = _pick(found, rng)
    token = _pick(TOKENS, rng)
    return data[: number.start()] + token + data[number.end() :]


def token_put_in(data: bytes, rng: np.random.Generator) -> bytes:
    """Something unexpected between the rest."""
    at = int(rng.integers(len(data) + 1))
    return data[:at] + _pick(TOKENS, rng) + data[at:]


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
        cells[j] = _pick(TOKENS, rng)
    lines[k] = mark.join(cells)
    return b"\n".join(lines)


def tle_sums_right(data: bytes, rng: np.random.Generator) -> bytes:
    """Columns of an element set changed, with its check sum right again."""
    lines = data.split(b"\n")
    sets = [k for k, line in enumerate(lines) if line[:2] in (b"1 ", b"2 ") and len(line) >= 69]
    if not sets:
        return data
    k = _pick(sets, rng)
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
        key = _pick(keys, rng)
        below = part[key]
        if not isinstance(below, dict | list) or not below or rng.random() < 0.25 or depth > 5:
            break
        part, depth = below, depth + 1
    if rng.random() < 0.25:
        del part[key]
    elif rng.random() < 0.2 and isinstance(part, list):
        part.append(part[key])
    else:
        part[key] = _pick(VALUES, rng)


LINES: tuple[Damage, ...] = (number_lies, number_lies, token_put_in, lines_moved)
TABLE_DAMAGE: tuple[Damage, ...] = (*LINES, cells_moved)
TLE_DAMAGE: tuple[Damage, ...] = (*LINES, tle_sums_right, tle_sums_right)
JSON_DAMAGE: tuple[Damage, ...] = (json_value_lies, json_value_lies, number_lies, token_put_in)


# Damage that knows FITS cards and the signatures inside HDF5 files.

CARD = 80
CARD_VALUES: tuple[bytes, ...] = (
    b"0",
    b"-1",
    b"3",
    b"-64",
    b"96",
    b"100000",
    b"2147483647",
    b"9223372036854775807",
)
CARD_VALUES += (b"1E400", b"NaN", b"T", b"''", b"'1PB(9)'", b"'999999999J'", b"'RICE_1'", b"'open")
HDF5_MARKS = re.compile(rb"\x89HDF|TREE|SNOD|HEAP|GCOL|OHDR|OCHK|BTHD|BTLF|FRHP|FHDB|FADB|EAHD")


def fits_card_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """A card with another value, or missing; in gzip, too."""
    if data.startswith(b"\x1f\x8b"):
        try:
            plain = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            return data
        return gzip.compress(fits_card_lies(plain, rng), 1, mtime=0)
    cards = [at for at in range(0, len(data), CARD) if data[at + 8 : at + 10] == b"= "]
    if not cards:
        return data
    at = _pick(cards, rng)
    gone = rng.random() < 0.2
    card = b"" if gone else data[at : at + 10] + _pick(CARD_VALUES, rng).rjust(20)
    return data[:at] + card.ljust(CARD)[:CARD] + data[at + CARD :]


def hdf5_near_marks(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed in the file's own bookkeeping, not in its values."""
    marks = [found.start() for found in HDF5_MARKS.finditer(data)]
    if not marks:
        return data
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at = _pick(marks, rng) + int(rng.integers(4, 96))
        size = int(rng.choice([1, 2, 4, 8]))
        if rng.random() < 0.5:
            value = int(_pick(EXTREMES, rng)) % (1 << 8 * size)
            new = value.to_bytes(size, "little")
        else:
            new = rng.bytes(size)
        changed[at : at + size] = new[: max(0, len(changed) - at)]
    return bytes(changed)


FITS_DAMAGE: tuple[Damage, ...] = (fits_card_lies, fits_card_lies)
HDF5_DAMAGE: tuple[Damage, ...] = (hdf5_near_marks,)


# Damage that knows the parts of JPEG, PNG and TIFF files, so that it gets past their doors.

Chunk = tuple[bytes, bytes]  # name and contents
PNG_START = b"\x89PNG\r\n\x1a\n"
# Numbers of TIFF tags that decide how the rest is read, and types that they may claim
TIFF_TAGS: tuple[int, ...] = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279)
TIFF_TAGS += (284, 317, 320, 322, 323, 324, 325, 330, 338, 339, 347, 530, 532)
TIFF_TAGS += (33421, 33422, 34665, 34853, 37500, 50706)
TIFF_TYPES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 255)
TIFF_VALUES = (0, 1, 2, 3, 5, 6, 7, 8, 16, 32, 64, 32773, 34712, 50000, 65535, 100000, *EXTREMES)


def png_chunks(data: bytes) -> list[Chunk]:
    """Chunks of a PNG, as far as they can be followed."""
    found, at = [], len(PNG_START)
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length > len(data):
            break
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png_of(chunks: list[Chunk]) -> bytes:
    """A PNG with right check sums."""
    parts = [PNG_START]
    for name, contents in chunks:
        parts += [struct.pack(">I", len(contents)), name, contents]
        parts.append(struct.pack(">I", zlib.crc32(name + contents)))
    return b"".join(parts)


def png_chunk_damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """One chunk's contents damaged; its check sum is right."""
    chunks = png_chunks(data)
    if not chunks:
        return data
    k = int(rng.integers(len(chunks)))
    chunks[k] = (chunks[k][0], _pick(BYTES, rng)(chunks[k][1], rng))
    return png_of(chunks)


def png_header_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """Another size, depth, kind of colour or interlacing than the picture has."""
    chunks = png_chunks(data)
    if not chunks or len(chunks[0][1]) != 13:
        return data
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    what = int(rng.integers(4))
    if what == 0:
        width = int(_pick((*EXTREMES, 100, 12_000, 60_000), rng))
    elif what == 1:
        height = int(_pick((*EXTREMES, 71, 12_000, 60_000), rng))
    elif what == 2:
        rest[:2] = [int(_pick((0, 1, 2, 4, 8, 16, 32), rng)), int(rng.integers(8))]
    else:
        rest[4] = int(rng.integers(3))
    chunks[0] = (chunks[0][0], struct.pack(">IIBBBBB", width, height, *rest))
    return png_of(chunks)


def jpeg_parts(data: bytes) -> list[bytes]:
    """Marker segments of a JPEG up to its first scan, and all the rest as one."""
    parts, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        parts.append(data[at:end])
        at = end
    return [*parts, data[at:]]


def jpeg_part_damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """One segment damaged; its length is right."""
    parts = jpeg_parts(data)
    k = int(rng.integers(1, len(parts)))
    part = parts[k]
    if k < len(parts) - 1:
        body = _pick(BYTES, rng)(part[4:], rng)[:65533]
        part = part[:2] + struct.pack(">H", len(body) + 2) + body
    else:
        part = _pick(BYTES, rng)(part, rng)
    return b"".join([*parts[:k], part, *parts[k + 1 :]])


def jpeg_frame_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """Another size, depth, number of colours or sampling than the picture has."""
    parts = jpeg_parts(data)
    for k, part in enumerate(parts):
        if part[:1] == b"\xff" and part[1:2] in (b"\xc0", b"\xc1", b"\xc2") and len(part) > 10:
            changed = bytearray(part)
            what = int(rng.integers(4))
            if what < 2:
                value = int(_pick((0, 1, 31, 33, 500, 12_000, 65_500, 65_535), rng))
                changed[5 + 2 * what : 7 + 2 * what] = struct.pack(">H", value)
            elif what == 2:
                changed[4 if rng.random() < 0.3 else 9] = int(rng.integers(256))
            else:
                changed[int(rng.integers(10, len(part)))] = int(rng.integers(256))
            parts[k] = bytes(changed)
    return b"".join(parts)


def _entries(data: bytes) -> tuple[str, bool, int, int] | None:
    """Byte order, whether it is big, place of the first entry and number of entries."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 18:
        return None
    big = struct.unpack(order + "H", data[2:4])[0] == 43
    (start,) = struct.unpack(order + ("Q" if big else "I"), data[8:16] if big else data[4:8])
    size = 8 if big else 2
    if start + size > len(data):
        return None
    (count,) = struct.unpack(order + ("Q" if big else "H"), data[start : start + size])
    step = 20 if big else 12
    count = min(count, (len(data) - start - size) // step)
    return (order, big, start + size, count) if count > 0 else None


def tiff_tag_lies(data: bytes, rng: np.random.Generator) -> bytes:
    """Number, type, count or value of an entry that says something else."""
    found = _entries(data)
    if found is None:
        return data
    order, big, first, count = found
    step, wide = (20, "Q") if big else (12, "I")
    largest = (1 << (64 if big else 32)) - 1
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 3))):
        at = first + step * int(rng.integers(count))
        what = int(rng.integers(5))
        if what == 0:
            struct.pack_into(order + "H", changed, at, int(_pick(TIFF_TAGS, rng)))
        elif what == 1:
            struct.pack_into(order + "H", changed, at + 2, int(_pick(TIFF_TYPES, rng)))
        elif what == 2:
            value = int(_pick((*TIFF_VALUES, largest), rng)) & largest
            struct.pack_into(order + wide, changed, at + 4, value)
        else:
            value = int(_pick((*TIFF_VALUES, 8, len(data), largest), rng)) & largest
            struct.pack_into(order + wide, changed, at + step - (8 if big else 4), value)
    return bytes(changed)


def tiff_directory_loops(data: bytes, rng: np.random.Generator) -> bytes:
    """A next directory, or one of EXIF, that is the first one again."""
    found = _entries(data)
    if found is None:
        return data
    order, big, first, count = found
    step, wide = (20, "Q") if big else (12, "I")
    start = first - (8 if big else 2)
    changed = bytearray(data)
    after = first + step * count
    if after + 8 <= len(data) and rng.random() < 0.5:
        struct.pack_into(order + wide, changed, after, start)
    else:
        at = first + step * int(rng.integers(count))
        tag = int(_pick((330, 34665, 34853, 40965), rng))
        struct.pack_into(order + "HH" + wide, changed, at, tag, 4, 1)
        struct.pack_into(order + wide, changed, at + step - (8 if big else 4), start)
    return bytes(changed)


PNG_DAMAGE: tuple[Damage, ...] = (png_chunk_damaged, png_header_lies)
JPEG_DAMAGE: tuple[Damage, ...] = (jpeg_part_damaged, jpeg_frame_lies, tiff_tag_lies)
TIFF_DAMAGE: tuple[Damage, ...] = (tiff_tag_lies, tiff_tag_lies, tiff_directory_loops)
