"""The ground that at least one of many photos shows, counted in cells of 100 square kilometres.

The grid is that of `regengine.catalogue.cells`, twice as coarse. A cell counts where its middle
lies within a footprint; cells of a row are bits of one whole number, so that a footprint is added
with an operation for each row that it touches, and a row of the globe takes some hundred bytes.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from regengine.place_table import EARTH_RADIUS_KM

AREAS = "regengine.area_seen_km2"  # key in the file's metadata
CELL_KM = 10.0
ROWS = round(np.pi * EARTH_RADIUS_KM / CELL_KM)
MIDDLES = -90.0 + 180.0 * (np.arange(ROWS) + 0.5) / ROWS
ACROSS = np.maximum(np.round(2.0 * ROWS * np.cos(np.radians(MIDDLES))), 1.0).astype(np.int64)
# A row's height along the meridian by its length along the parallel, shared by its cells
CELL_KM2 = (np.pi * EARTH_RADIUS_KM / ROWS) * (
    2.0 * np.pi * EARTH_RADIUS_KM * np.cos(np.radians(MIDDLES)) / ACROSS
)
FloatArray = NDArray[np.float64]


class AreaSeen:
    """Ground that was seen, by any keys."""

    def __init__(self) -> None:
        self._seen: defaultdict[tuple[str, str], dict[int, int]] = defaultdict(dict)

    def add(self, geometry: bytes, keys: Iterable[tuple[str, str]]) -> None:
        """Add a footprint.

        Parameters
        ----------
        geometry : bytes
            Polygons as `regengine.export.wkb.wkb` writes them.
        keys : iterable of (str, str)
            What it counts for: a division, such as ``month``, and one of its values.
        """
        rows: dict[int, int] = {}
        for ring in rings_of(geometry):
            for row, bits in _covered(ring):
                rows[row] = rows.get(row, 0) | bits
        for key in keys:
            seen = self._seen[key]
            for row, bits in rows.items():
                seen[row] = seen.get(row, 0) | bits

    def areas_km2(self) -> dict[str, dict[str, float]]:
        """Square kilometres by division and value."""
        found: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for (division, value), rows in sorted(self._seen.items()):
            area = sum(bits.bit_count() * CELL_KM2[row] for row, bits in rows.items())
            found[division][value] = round(float(area), 0)
        return dict(found)


def rings_of(geometry: bytes) -> list[FloatArray]:
    """Outer rings of polygons in well-known binary, each of shape (n, 2)."""
    (count,) = struct.unpack_from("<I", geometry, 5)
    at, rings = 9, []
    for _ in range(count):
        (corners,) = struct.unpack_from("<I", geometry, at + 9)
        ring = np.frombuffer(geometry, "<f8", 2 * corners, at + 13).reshape(-1, 2)
        rings.append(ring)
        at += 13 + 16 * corners
    return rings


def _covered(ring: FloatArray) -> list[tuple[int, int]]:
    """Rows of the grid whose cells have their middles within a ring, and those cells as bits."""
    lat = ring[:, 1]
    first, beyond = np.searchsorted(MIDDLES, [lat.min(), lat.max()])
    rows = np.arange(first, beyond)
    if not len(rows):
        return []
    lower, upper = ring[:-1], ring[1:]
    middle = MIDDLES[rows][:, None]
    crosses = (lower[:, 1] <= middle) != (upper[:, 1] <= middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (middle - lower[:, 1]) / (upper[:, 1] - lower[:, 1])
    lon = np.where(crosses, lower[:, 0] + share * (upper[:, 0] - lower[:, 0]), np.inf)
    lon.sort(axis=1)
    # A cell's middle lies half a cell beyond its edge
    edges = np.ceil((lon + 180.0) / 360.0 * ACROSS[rows][:, None] - 0.5)
    found = []
    for row, counts, ends in zip(rows.tolist(), crosses.sum(axis=1).tolist(), edges, strict=True):
        bits = 0
        for west, east in ends[:counts].astype(np.int64).reshape(-1, 2).tolist():
            bits |= ((1 << max(east - west, 0)) - 1) << west
        if bits:
            found.append((row, bits))
    return found
