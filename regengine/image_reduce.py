"""Area averages that bring an image down by any factor, strip by strip."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_STRIP_ROWS = 256  # rows at a time: 12 MB of a 45-megapixel photo's colours


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """How an image comes down to a size: whole blocks while it is read, the rest afterwards.

    A place (x, y) of the image lies at ((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5) of
    the result, whose ``width_px`` and ``height_px`` are the rounded products. ``block`` pixels
    squared are averaged in every strip; the remaining factor is at least one half.
    """

    factor: float
    block: int
    width_px: int
    height_px: int

    @property
    def strip_rows(self) -> int:
        """Rows a strip must have (the last may have fewer): whole blocks."""
        return self.block * math.ceil(_STRIP_ROWS / self.block)

    def blocks_of(self, strip: NDArray[Any]) -> NDArray[Any]:
        """Block means of one strip; its edge is repeated to fill the last blocks."""
        if self.block == 1:
            return strip
        import cv2

        height, width, *channels = strip.shape
        below, right = -height % self.block, -width % self.block
        if below or right:
            strip = cv2.copyMakeBorder(strip, 0, below, 0, right, cv2.BORDER_REPLICATE)
        size = (strip.shape[1] // self.block, strip.shape[0] // self.block)
        means = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
        return means.reshape(*means.shape[:2], *channels)  # OpenCV drops a single channel

    def finish(self, image: NDArray[Any], *, scale: float) -> NDArray[Any]:
        """The result, out of an image that has come down to ``scale`` of the original already."""
        factor = self.factor / scale
        if math.isclose(factor, 1.0, rel_tol=1e-9):
            return np.ascontiguousarray(image[: self.height_px, : self.width_px])
        # Not cv2.resize: it goes by rounded sizes and copies where these are equal, which puts
        # the far edge up to half a pixel off.
        down = _area_weights(image.shape[0], self.height_px, factor)
        across = _area_weights(image.shape[1], self.width_px, factor)
        planes = image[..., None] if image.ndim == 2 else image
        result = np.stack(
            [
                (across @ (down @ planes[..., i].astype(np.float32)).T).T
                for i in range(planes.shape[-1])
            ],
            axis=-1,
        )
        if image.dtype == np.uint8:
            result = (result + 0.5).astype(np.uint8)
        return np.ascontiguousarray(result if image.ndim == 3 else result[..., 0])


def reduce_around_gaps(
    image: NDArray[Any], missing: NDArray[np.bool_], reduction: Reduction
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Bring an image down by averages of the pixels that have values.

    Parameters
    ----------
    image : ndarray, shape (h, w) or (h, w, channels)
        Finite also where values are missing.
    missing : ndarray of bool, shape (h, w)
        True where the image has no value.
    reduction : Reduction

    Returns
    -------
    image : ndarray
        Where hardly a pixel has a value, what `image` holds there.
    missing : ndarray of bool
        True where less than half of the area has values.
    """

    def down(plane: NDArray[Any]) -> NDArray[Any]:
        return reduction.finish(reduction.blocks_of(plane), scale=1.0 / reduction.block)

    if not missing.any():
        return down(image), np.zeros((reduction.height_px, reduction.width_px), bool)
    there = (~missing).astype(np.float32)
    share = down(there)
    weight = there if image.ndim == 2 else there[..., None]
    area = np.maximum(share, 0.5) if image.ndim == 2 else np.maximum(share, 0.5)[..., None]
    gaps = share < 0.5
    averaged = np.where(
        gaps if image.ndim == 2 else gaps[..., None], down(image), down(image * weight) / area
    )
    return averaged.astype(image.dtype), gaps


def _area_weights(length: int, size: int, factor: float) -> csr_array:
    """Sparse matrix (size, length) of the shares that pixels have in cells of 1 / factor pixels."""
    from scipy.sparse import coo_array

    cells = np.arange(size)
    start = np.minimum(cells / factor, length - 1.0)  # the last cell may end beyond the image
    end = np.minimum((cells + 1) / factor, float(length))
    rows, columns, shares = [], [], []
    for step in range(math.ceil(1.0 / factor) + 1):
        pixel = np.floor(start).astype(int) + step
        share = (np.minimum(pixel + 1, end) - np.maximum(pixel, start)) / (end - start)
        inside = share > 0.0
        rows.append(cells[inside])
        columns.append(pixel[inside])
        shares.append(share[inside].astype(np.float32))
    entries = np.concatenate(shares), (np.concatenate(rows), np.concatenate(columns))
    return coo_array(entries, shape=(size, length)).tocsr()


def plan_reduction(width_px: int, height_px: int, max_long_side_px: int) -> Reduction:
    """Reduction that brings an image's longer side down to a length.

    Parameters
    ----------
    width_px, height_px : int
        Size of the image.
    max_long_side_px : int
        Length that the longer side shall not exceed; smaller images are left alone.

    Returns
    -------
    Reduction
        Its factor is exactly ``max_long_side_px / long side``, or 1.

    Raises
    ------
    ValueError
        ``max_long_side_px`` is below one.
    """
    if max_long_side_px < 1:
        raise ValueError(f"max_long_side_px must be 1 or more, not {max_long_side_px}")
    long_side = max(width_px, height_px)
    factor = min(1.0, max_long_side_px / long_side)
    return Reduction(
        factor=factor,
        block=max(1, long_side // max_long_side_px),
        width_px=max(1, round(width_px * factor)),
        height_px=max(1, round(height_px * factor)),
    )
