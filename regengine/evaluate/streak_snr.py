"""How bright a labelled streak is: measured in the photo, where nobody wrote it down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from regengine.evaluate.streak_scores import curve_points

FloatArray = NDArray[np.float64]

STREAK_PX, SKY_FROM_PX, SKY_TO_PX = 3.0, 8.0, 16.0  # to both sides of the line
STEP_PX = 0.5  # across
LEAST_SAMPLES = 10


def measured_peak_snr(
    light: NDArray[np.float32], missing: NDArray[np.bool_] | None, row: FloatArray
) -> float:
    """Peak of a streak's mean cross profile over the noise of a pixel beside it.

    Medians along the streak leave out the stars that it crosses. Of streaks much wider than
    6 px the sky begins within them and the ratio is too low.

    Parameters
    ----------
    light : ndarray of float32, shape (h, w)
    missing : ndarray of bool, shape (h, w), or None
        Pixels without a value.
    row : ndarray of float64, shape (5,)
        Ends and bow, pixels of ``light``.

    Returns
    -------
    float
        Not below 0; NaN where too little of it can be seen, or the sky has no noise.
    """
    length = float(np.hypot(*(row[2:4] - row[:2])))
    middle = curve_points(row, max(LEAST_SAMPLES, int(length)))
    along = (row[2:4] - row[:2]) / max(length, 1e-9)
    offsets = np.arange(-SKY_TO_PX, SKY_TO_PX + STEP_PX, STEP_PX)
    x = middle[:, 0, None] - offsets * along[1]
    y = middle[:, 1, None] + offsets * along[0]
    gaps = np.zeros(light.shape, bool) if missing is None else missing
    height, width = light.shape
    column, line = np.rint(x).astype(int), np.rint(y).astype(int)
    seen = (column >= 0) & (column < width) & (line >= 0) & (line < height)
    seen[seen] &= ~gaps[line[seen], column[seen]]
    sky = np.abs(offsets) >= SKY_FROM_PX
    near = np.abs(offsets) <= STREAK_PX
    if (seen[:, near].sum(axis=0) < LEAST_SAMPLES).any() or seen[:, sky].sum() < 100:
        return float("nan")
    # The noise of pixels as they are; between them it would be smoothed away
    pixels = light[line.clip(0, height - 1), column.clip(0, width - 1)][:, sky][seen[:, sky]]
    level = float(np.median(pixels))
    sigma = 1.4826 * float(np.median(np.abs(pixels - level)))
    if sigma == 0.0:
        return float("nan")
    values = map_coordinates(light, [y[:, near], x[:, near]], order=1, mode="nearest")
    profile = [np.median(values[seen[:, k], j]) for j, k in enumerate(np.flatnonzero(near))]
    return max(0.0, (float(max(profile)) - level) / sigma)
