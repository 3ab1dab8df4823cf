"""Geometries as well-known binary, little endian (OGC 06-103r4)."""

from __future__ import annotations

import struct

from regengine.export.layers import Feature

LITTLE_ENDIAN, POINT, POLYGON, MULTIPOLYGON = 1, 1, 3, 6


def wkb(feature: Feature) -> bytes:
    """A feature's geometry: a point, or several polygons."""
    if feature.place is not None:
        return struct.pack("<BI2d", LITTLE_ENDIAN, POINT, *feature.place)
    parts = [struct.pack("<BII", LITTLE_ENDIAN, MULTIPOLYGON, len(feature.polygons))]
    for ring in feature.polygons:
        numbers = [number for place in ring for number in place]
        head = (LITTLE_ENDIAN, POLYGON, 1, len(ring))
        parts.append(struct.pack(f"<BIII{len(numbers)}d", *head, *numbers))
    return b"".join(parts)
