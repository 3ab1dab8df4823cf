"""The approximate discrete Radon transform of an image, cut into parts of every dyadic length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
FloatArray = NDArray[np.float64]

QUADRANTS = 4


@dataclass(frozen=True, kw_only=True)
class Level:
    """Sums along digital lines through tiles of so many rows.

    Attributes
    ----------
    rows : int
        Height of the tiles, a power of two.
    sums : ndarray of float32, shape (rows, tiles, w)
        ``sums[s, b, x]`` is the sum along the line that enters tile b at column x of its first row
        and moves s columns to the right until its last; what lies beyond the image counts zero.
    """

    rows: int
    sums: FloatImage


def partial_transforms(image: FloatImage, most_rows: int) -> Iterator[Level]:
    """Sums along all lines that go down and to the right by up to 45 degrees, tile by tile.

    A line of 2 h rows and slope 2 s or 2 s + 1 is a line of h rows and slope s and, below it, one
    of the same slope that starts s or s + 1 columns further right: every level takes two additions
    a pixel.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Rows are filled up with zeros to a multiple of `most_rows`.
    most_rows : int
        A power of two; the last level's height.

    Yields
    ------
    Level
        Of 1, 2, 4, ... rows.

    References
    ----------
    Brady, M. L. (1998). A fast discrete approximation algorithm for the Radon transform. SIAM J.
    Comput. 27, 107-119. Nir, G., Zackay, B., Ofek, E. O. (2018). Optimal and efficient streak
    detection in astronomical images. AJ 156, 229 (parts of the transform as sums of segments).
    """
    height, width = image.shape
    extra = -height % most_rows
    full = np.pad(image, ((0, extra), (0, 0))) if extra else image
    sums: FloatImage = np.ascontiguousarray(full)[None]
    rows = 1
    yield Level(rows=rows, sums=sums)
    while rows < most_rows:
        above, below = sums[:, 0::2], sums[:, 1::2]
        longer: FloatImage = np.empty((2 * rows, sums.shape[1] // 2, width), np.float32)
        for s in range(rows):
            for step in (0, 1):
                _add_shifted(above[s], below[s], s + step, longer[2 * s + step])
        sums, rows = longer, 2 * rows
        yield Level(rows=rows, sums=sums)


def _add_shifted(above: FloatImage, below: FloatImage, shift: int, out: FloatImage) -> None:
    """Sum of one image and another moved to the left; zeros come in from the right."""
    width = above.shape[-1]
    cut = max(0, width - shift)
    np.add(above[:, :cut], below[:, shift : shift + cut], out=out[:, :cut])
    out[:, cut:] = above[:, cut:]


def turned(image: FloatImage, quadrant: int) -> FloatImage:
    """The image so that lines of a quadrant of directions go down and to the right.

    0: down and right, 1: down and left, 2: right and down, 3: right and up.
    """
    if quadrant >= 2:
        image = image.T
    if quadrant % 2:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def turned_back(
    x: FloatArray, y: FloatArray, quadrant: int, shape: tuple[int, int]
) -> tuple[FloatArray, FloatArray]:
    """Places of a turned image (`turned`) in the image itself, of that shape (h, w)."""
    height, width = shape
    if quadrant == 0:
        return x, y
    if quadrant == 1:
        return width - 1 - x, y
    if quadrant == 2:
        return y, x
    return y, height - 1 - x
