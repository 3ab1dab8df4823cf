"""Small bright peaks of a picture: positions and heights above what is around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]

CORE_PX, AROUND_PX = 0.8, 3.0
NOISE_SIGMAS = 6.0
LEAST_HEIGHT = 10.0 / 255.0  # as displayed: below, compression makes peaks
MOST_THRESHOLD = 0.1
LEAST_ABOVE = 1e-4  # over its neighbours, beyond rounding
MOST_PEAKS = 500  # that are looked at one by one, the strongest


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """Peaks of a difference of Gaussians.

    Attributes
    ----------
    rows, columns : ndarray of int, shape (n,)
        Of the strongest, at most `MOST_PEAKS`, falling in height.
    heights : ndarray of float32, shape (n,)
        Above what is around, as displayed, 0 to 1.
    count : int
        Of all peaks above the threshold.
    high, deep : int
        Peaks of at least half the height of the high ones, and holes as deep.
    threshold : float
        From which on a peak counts.
    core, around, detail : ndarray of float32, shape (h, w)
        The picture smoothed a little and much, and the difference.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    heights: FloatImage
    count: int
    high: int
    deep: int
    threshold: float
    core: FloatImage
    around: FloatImage
    detail: FloatImage


def find_peaks(value: FloatImage) -> Peaks:
    """Find peaks above the noise, and count holes as deep.

    Parameters
    ----------
    value : ndarray of float32, shape (h, w)
        Brightness as displayed, 0 to 1, of a long side of 512 px.

    Returns
    -------
    Peaks
    """
    import cv2

    core, around = (
        np.asarray(
            cv2.GaussianBlur(value, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE), np.float32
        )
        for sigma_px in (CORE_PX, AROUND_PX)
    )
    detail = core - around
    # The quietest fifth tells the noise: roads may cover the rest. 0.2533 sigma is its limit
    quiet = np.sort(np.abs(detail[1::3, 1::3]), axis=None)
    noise = float(quiet[len(quiet) // 5]) / 0.2533
    threshold = float(np.clip(NOISE_SIGMAS * noise, LEAST_HEIGHT, MOST_THRESHOLD))
    # Higher than all eight around it: on a straight edge, pixels are alike
    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    peak = (detail > cv2.dilate(detail, ring) + LEAST_ABOVE) & (detail > threshold)
    hole = (detail < cv2.erode(detail, ring) - LEAST_ABOVE) & (detail < -threshold)
    rows, columns = np.nonzero(peak)
    heights, depths = detail[rows, columns], -detail[hole]
    # Gaps between lamps are holes too, but shallow ones
    high = 0.5 * float(np.quantile(np.append(heights, depths), 0.9)) if len(rows) else threshold
    strongest = np.argsort(-heights, kind="stable")[:MOST_PEAKS]
    return Peaks(
        rows=rows[strongest],
        columns=columns[strongest],
        heights=heights[strongest],
        count=len(rows),
        high=int(np.sum(heights > high)),
        deep=int(np.sum(depths > high)),
        threshold=threshold,
        core=core,
        around=around,
        detail=detail,
    )


def windows_around(image: FloatImage, peaks: Peaks, reach: NDArray[np.int_]) -> FloatImage:
    """Windows of an image around the peaks; the border's pixels go on beyond it.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w) or (h, w, c)
    peaks : Peaks
    reach : ndarray of int, shape (k,)
        Offsets of the rows and of the columns that are taken.

    Returns
    -------
    ndarray of float32, shape (n, k, k) or (n, k, k, c)
    """
    rows = np.clip(peaks.rows[:, None] + reach, 0, image.shape[0] - 1)
    columns = np.clip(peaks.columns[:, None] + reach, 0, image.shape[1] - 1)
    return image[rows[:, :, None], columns[:, None, :]]
