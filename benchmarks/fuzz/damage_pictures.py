"""Damage that knows the parts of JPEG, PNG and TIFF files, so that it gets past their doors."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from benchmarks.fuzz.damage import BYTES, EXTREMES, Damage

Chunk = tuple[bytes, bytes]  # name and contents
PNG_START = b"\x89PNG\r\n\x1a\n"
BOMB_BYTES = 40_000_000  # what a compressed text or profile unpacks to
# Numbers of TIFF tags that decide how the rest is read, and types that they may claim
TIFF_TAGS: tuple[int, ...] = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279)
TIFF_TAGS += (284, 317, 320, 322, 323, 324, 325, 330, 338, 339, 347, 530, 532)
TIFF_TAGS += (33421, 33422, 34665, 34853, 37500, 50706)
TIFF_TYPES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 255)
TIFF_VALUES = (0, 1, 2, 3, 5, 6, 7, 8, 16, 32, 64, 32773, 34712, 50000, 65535, 100000, *EXTREMES)


def _pick(options, rng):  # type: ignore[no-untyped-def]
    return options[int(rng.integers(len(options)))]


# ---- PNG


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


def png_chunks_moved(data: bytes, rng: np.random.Generator) -> bytes:
    """Chunks there twice, missing, in another order or under another name."""
    chunks = png_chunks(data)
    if not chunks:
        return data
    k, j = (int(rng.integers(len(chunks))) for _ in range(2))
    what = int(rng.integers(4))
    if what == 0:
        chunks.insert(j, chunks[k])
    elif what == 1:
        del chunks[k]
    elif what == 2:
        chunks[k], chunks[j] = chunks[j], chunks[k]
    else:
        names = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"iCCP", b"eXIf", b"acTL")
        chunks[k] = (_pick((*names, b"fcTL", b"fdAT", b"tEXt", b"zTXt"), rng), chunks[k][1])
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


def png_bomb(data: bytes, rng: np.random.Generator) -> bytes:
    """A text, profile or picture that is small in the file and large once unpacked."""
    packed = zlib.compress(bytes(BOMB_BYTES), 1)
    bombs = {
        b"zTXt": b"Comment\0\0" + packed,
        b"iTXt": b"Comment\0\1\0en\0C\0" + packed,
        b"iCCP": b"Profile\0\0" + packed,
        b"IDAT": packed,
    }
    name = _pick(tuple(bombs), rng)
    chunks = png_chunks(data)
    chunks.insert(min(1, len(chunks)), (name, bombs[name]))
    return png_of(chunks)


def png_exif(data: bytes, rng: np.random.Generator) -> bytes:
    """EXIF whose directories point to themselves."""
    chunks = png_chunks(data)
    chunks.insert(min(1, len(chunks)), (b"eXIf", looped_exif(rng)))
    return png_of(chunks)


# ---- JPEG


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


def jpeg_parts_moved(data: bytes, rng: np.random.Generator) -> bytes:
    """Segments there often, missing, in another order or of another kind."""
    parts = jpeg_parts(data)
    k, j = (int(rng.integers(1, len(parts))) for _ in range(2))
    what = int(rng.integers(4))
    if what == 0:
        parts[j:j] = [parts[k]] * int(rng.integers(1, 40))
    elif what == 1:
        del parts[k]
    elif what == 2:
        parts[k], parts[j] = parts[j], parts[k]
    else:
        kinds = bytes((0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC9, 0xDB, 0xDD, 0xE1, 0xE2, 0xED, 0xFE))
        parts[k] = parts[k][:1] + bytes([_pick(kinds, rng)]) + parts[k][2:]
    return b"".join(parts)


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


def jpeg_exif(data: bytes, rng: np.random.Generator) -> bytes:
    """EXIF whose directories point to themselves, or damaged by its parts."""
    parts = jpeg_parts(data)
    body = looped_exif(rng)
    for part in parts:
        if part[4:10] == b"Exif\0\0" and rng.random() < 0.7:
            body = tiff_tag_lies(part[10:], rng)
    part = b"\xff\xe1" + struct.pack(">H", (len(body) + 8) % 65536) + b"Exif\0\0" + body
    kept = [one for one in parts[1:] if one[4:10] != b"Exif\0\0"]
    return b"".join([parts[0], part, *kept])


# ---- TIFF


def looped_exif(rng: np.random.Generator) -> bytes:
    """A directory that names itself as its EXIF, GPS and next directory, with counts too large."""
    order = _pick("<>", rng)
    kind = int(_pick((1, 2, 3, 4, 5, 7, 10), rng))
    entries = [
        (0x0110, 2, int(_pick((4, 0xFFFFFFFF, 0x10000000), rng)), 8),
        (0x8769, 4, 1, 8),
        (0x8825, 4, 1, 8),
        (0x9003, kind, int(_pick((20, 0x7FFFFFFF, 0), rng)), 10),
        (0x920A, 5, int(_pick((1, 0x1FFFFFFF), rng)), 8),
        (0xA005, 4, 1, 8),
    ]
    head = b"II*\0" if order == "<" else b"MM\0*"
    body = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    return head + struct.pack(order + "IH", 8, len(entries)) + body + struct.pack(order + "I", 8)


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


def tiff_tag_repeated(data: bytes, rng: np.random.Generator) -> bytes:
    """An entry over another one: there twice, or missing."""
    found = _entries(data)
    if found is None:
        return data
    _, big, first, count = found
    step = 20 if big else 12
    source, target = (first + step * int(rng.integers(count)) for _ in range(2))
    return data[:target] + data[source : source + step] + data[target + step :]


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


PNG_DAMAGE: tuple[Damage, ...] = (png_chunk_damaged, png_chunk_damaged, png_chunks_moved)
PNG_DAMAGE += (png_header_lies, png_exif)
# Made rarely: each takes a tenth of a second to pack
PNG_BOMBS: tuple[Damage, ...] = (png_bomb,)
JPEG_DAMAGE: tuple[Damage, ...] = (jpeg_part_damaged, jpeg_part_damaged, jpeg_parts_moved)
JPEG_DAMAGE += (jpeg_frame_lies, jpeg_exif)
TIFF_DAMAGE: tuple[Damage, ...] = (tiff_tag_lies, tiff_tag_lies, tiff_tag_lies)
TIFF_DAMAGE += (tiff_tag_repeated, tiff_directory_loops)
