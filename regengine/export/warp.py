"""A photo drawn onto a map by its own camera, block by block.

Where each pixel of the map lies in the photo is worked out exactly on every sixteenth of them, and
in between as well where straight lines between those would be off by more than a fiftieth of a
pixel, or where the photo, the ground or what is seen flatter than 80 degrees ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, incidence_deg
from matchers.footprint import MAX_INCIDENCE_DEG
from matchers.lens import widest_tangent
from regengine.export.map_grid import MapGrid

FloatArray = NDArray[np.float64]

BLOCK = 512
STRIDE = 16
GOOD_ENOUGH_PX = 0.02
HIDDEN_DEG = 86.0  # incidence of places that are far behind the limit, whatever lies between them


@dataclass(frozen=True, kw_only=True, eq=False)
class MapBlock:
    """A block of the map, and where its pixels lie in the photo.

    Attributes
    ----------
    column, row : int
        Of its upper left pixel.
    x, y : ndarray of float32, shape (height, width)
        Pixels of the photo; outside it where nothing is seen.
    seen : ndarray of bool, shape (height, width)
        Whether the photo shows the place, at no more than 80 degrees of incidence.
    """

    column: int
    row: int
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    seen: NDArray[np.bool_]


def map_blocks(camera: Camera, grid: MapGrid) -> Iterator[MapBlock]:
    """Blocks of a map from the upper left on, row by row.

    Parameters
    ----------
    camera : Camera
        Of the photo.
    grid : MapGrid
        The map.

    Yields
    ------
    MapBlock
    """
    for row in range(0, grid.height, BLOCK):
        for column in range(0, grid.width, BLOCK):
            height, width = min(BLOCK, grid.height - row), min(BLOCK, grid.width - column)
            yield _block(camera, grid, column, row, width, height)


def drawn(block: MapBlock, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A block's colours, shape (height, width, 3); black where nothing is seen."""
    colours = cv2.remap(photo, block.x, block.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.where(block.seen[..., None], colours, 0), np.uint8)


def spread(
    grid: MapGrid, block: MapBlock, value: Callable[[FloatArray, FloatArray], FloatArray]
) -> NDArray[np.float32]:
    """A smooth quantity of longitude and latitude over a block; NaN where nothing is seen.

    Parameters
    ----------
    grid : MapGrid
        The map.
    block : MapBlock
        Of the map.
    value : callable
        Takes longitudes and latitudes, shape (n,); positive values.

    Returns
    -------
    ndarray of float32, shape (height, width)
    """
    height, width = block.seen.shape
    found = np.full((height, width), np.nan, np.float32)
    if not block.seen.any():
        return found
    columns, rows = _nodes(width), _nodes(height)
    lon, lat = _places(grid, block.column + columns, block.row + rows)
    nodes = np.log(value(lon.ravel(), lat.ravel()).reshape(lon.shape))
    smooth = np.exp(_between(nodes, rows, columns, height, width))
    found[block.seen] = smooth[block.seen]
    rest = block.seen & ~np.isfinite(smooth)
    if rest.any():
        row, column = np.nonzero(rest)
        lon, lat = grid.lonlat(block.column + column.astype(float), block.row + row.astype(float))
        found[rest] = value(lon, lat)
    return found


def _block(
    camera: Camera, grid: MapGrid, column: int, row: int, width: int, height: int
) -> MapBlock:
    columns, rows = _nodes(width), _nodes(height)
    nodes = _photo_places(camera, *_places(grid, column + columns, row + rows))
    middles = [(along[1:] + along[:-1]) / 2.0 for along in (columns, rows)]
    exact = _photo_places(camera, *_places(grid, column + middles[0], row + middles[1]))
    straight = [(n[1:, 1:] + n[:-1, 1:] + n[1:, :-1] + n[:-1, :-1]) / 4.0 for n in nodes]
    miss = [np.abs(a - b) for a, b in zip(exact, straight, strict=True)]
    # Incidence in degrees is as good as that, too; NaN is never good
    if all(bool((one <= GOOD_ENOUGH_PX).all()) for one in miss):
        x, y, angle = (_between(n, rows, columns, height, width) for n in nodes)
    elif _nothing(nodes) and _nothing(exact):
        nowhere = np.full((height, width), -2.0, np.float32)
        return MapBlock(column=column, row=row, x=nowhere, y=nowhere, seen=nowhere > 0.0)
    else:
        every_column, every_row = np.arange(width, dtype=float), np.arange(height, dtype=float)
        x, y, angle = _photo_places(camera, *_places(grid, column + every_column, row + every_row))
    with np.errstate(invalid="ignore"):
        seen = (x >= -0.5) & (x <= camera.width_px - 0.5)
        seen &= (y >= -0.5) & (y <= camera.height_px - 0.5) & (angle <= MAX_INCIDENCE_DEG)
    return MapBlock(
        column=column,
        row=row,
        x=np.where(seen, x, -2.0).astype(np.float32),
        y=np.where(seen, y, -2.0).astype(np.float32),
        seen=seen,
    )


def _nothing(places: tuple[FloatArray, FloatArray, FloatArray]) -> bool:
    """Whether all of some places are hidden well behind the limb, or behind the camera."""
    x, _, angle = places
    return bool((np.isnan(x) | ~(angle < HIDDEN_DEG)).all())


def _nodes(count: int) -> FloatArray:
    """Every sixteenth pixel and the last."""
    return np.append(np.arange(0, count - 1, STRIDE, dtype=float), float(count - 1))


def _places(grid: MapGrid, columns: FloatArray, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    column, row = np.meshgrid(columns, rows)
    return grid.lonlat(column, row)


def _photo_places(
    camera: Camera, lon: FloatArray, lat: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Pixels of the photo and incidence of places; NaN where the lens cannot see."""
    with np.errstate(invalid="ignore"):
        known = np.isfinite(lon) & np.isfinite(lat)
        ground = geodetic_to_ecef(np.where(known, lon, np.nan), np.where(known, lat, np.nan))
        angle = incidence_deg(camera.position_ecef_m, ground)
        local = (ground - np.asarray(camera.position_ecef_m)) @ camera.matrix
        if any(camera.distortion):
            # Farther out, the polynomial of the distortion turns back into the image
            off_axis = np.hypot(local[..., 0], local[..., 1])
            folded = off_axis > widest_tangent(camera.distortion) * local[..., 2]
            local = np.where(folded[..., None], np.nan, local)
        x, y = camera.image_of(local)
    return x, y, angle


def _between(
    nodes: FloatArray, rows: FloatArray, columns: FloatArray, height: int, width: int
) -> FloatArray:
    """Values between nodes along straight lines, shape (height, width)."""
    return np.asarray(_weights(rows, height) @ nodes @ _weights(columns, width).T)


def _weights(nodes: FloatArray, count: int) -> FloatArray:
    """How much each node has of each pixel, shape (count, nodes)."""
    weights = np.zeros((count, len(nodes)))
    pixel = np.arange(count, dtype=float)
    if len(nodes) == 1:
        weights[:, 0] = 1.0
        return weights
    left = np.minimum(np.searchsorted(nodes, pixel, side="right") - 1, len(nodes) - 2)
    share = (pixel - nodes[left]) / (nodes[left + 1] - nodes[left])
    weights[np.arange(count), left] = 1.0 - share
    weights[np.arange(count), left + 1] += share
    return weights
