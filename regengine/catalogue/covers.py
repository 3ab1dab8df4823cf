"""Whether a footprint of the catalogue has a place in it."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
# Boxes across the antimeridian have their western edge beyond their eastern one
IN_BOX = """
{lat} >= f.south AND {lat} <= f.north AND CASE WHEN f.west <= f.east
THEN {lon} BETWEEN f.west AND f.east ELSE {lon} >= f.west OR {lon} <= f.east END
"""


def covers(footprint: bytes, lon: float, lat: float) -> bool:
    """Whether a footprint has a place in it.

    Parameters
    ----------
    footprint : bytes
        Polygons in well-known binary, little-endian, without holes.
    lon, lat : float
        Degrees.
    """
    from skimage.measure import points_in_poly

    return any(bool(points_in_poly([(lon, lat)], ring)[0]) for ring in rings(footprint))


def rings(footprint: bytes) -> Iterator[FloatArray]:
    """Rings of polygons in well-known binary, shape (n, 2) each: longitude, latitude."""
    at, kind = 9, struct.unpack_from("<BII", footprint)
    for _ in range(kind[2]):  # polygons of a MultiPolygon, each with a header of its own
        _, _, count = struct.unpack_from("<BII", footprint, at)
        at += 9
        for _ in range(count):
            (points,) = struct.unpack_from("<I", footprint, at)
            yield np.frombuffer(footprint, "<f8", 2 * points, at + 4).reshape(points, 2)
            at += 4 + 16 * points
