"""Files of OpenStreetMap in its own binary format, as https://wiki.openstreetmap.org has it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

Way = tuple[Sequence[tuple[float, float]], dict[str, str]]  # lon and lat of its nodes, tags


def osm_pbf(ways: Sequence[Way]) -> bytes:
    """A file of ways, each with nodes of its own."""
    strings, keys = [b""], {b"": 0}
    for _, tags in ways:
        for text in (part.encode() for item in tags.items() for part in item):
            if text not in keys:
                keys[text] = len(strings)
                strings.append(text)
    places = [place for nodes, _ in ways for place in nodes]
    ids = range(1, len(places) + 1)
    # Units of 100 nanodegrees, each as the difference to the one before
    lat, lon = ([round(place[axis] * 1e7) for place in places] for axis in (1, 0))
    dense = _field(1, _packed(ids)) + _field(8, _packed(lat)) + _field(9, _packed(lon))
    drawn, first = b"", 1
    for number, (nodes, tags) in enumerate(ways, start=1):
        named = [[keys[part.encode()] for part in parts] for parts in (tags.keys(), tags.values())]
        way = _field(1, number)
        way += b"".join(
            _field(place, b"".join(map(_varint, some)))
            for place, some in zip((2, 3), named, strict=True)
        )
        drawn += _field(3, way + _field(8, _packed(range(first, first + len(nodes)))))
        first += len(nodes)
    table = b"".join(_field(1, text) for text in strings)
    block = _field(1, table) + _field(2, _field(2, dense)) + _field(2, drawn)
    header = _field(4, b"OsmSchema-V0.6") + _field(4, b"DenseNodes")
    return _blob(b"OSMHeader", header) + _blob(b"OSMData", block)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _packed(numbers: Iterable[int]) -> bytes:
    """Signed differences, one after another."""
    out, last = b"", 0
    for number in numbers:
        step, last = number - last, number
        out += _varint(2 * step if step >= 0 else -2 * step - 1)
    return out


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _blob(kind: bytes, raw: bytes) -> bytes:
    data = _field(2, len(raw)) + _field(3, zlib.compress(raw))
    header = _field(1, kind) + _field(3, len(data))
    return struct.pack(">I", len(header)) + header + data
