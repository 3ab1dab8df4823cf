"""Which maxima of an octave are blobs: not ridges, not rims, not what was found before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from detectors.scale_space import (
    BASE_SIGMA,
    INNER_SIGMAS,
    FloatArray,
    FloatImage,
    Octave,
    local_maxima,
    noise_gain,
    quadratic_peak,
)

IndexArray = NDArray[np.intp]
AtPixels = Callable[[IndexArray, IndexArray], FloatArray]
NoiseAt = Callable[[IndexArray, IndexArray, int], FloatArray]

# A Gaussian blob's response is greatest, over inner sigmas s, at s = sigma / sqrt 2; blobs with
# sharper centres or near neighbours answer earlier
BLOB_SIGMA_PER_INNER = 1.0
# A blob on the flank of a greater one is a peak of scale though the next scale shows this much
SCALE_TOLERANCE = 0.9
# Inside a clipped area and at its rim, scales finer than a third of its half side see nothing
CLIP_RADIUS_PER_INNER = 3.0
# Where the sides of a peak are looked at, in inner sigmas, and in how many directions
SIDE_RADII = np.array([1.5, 2.0, 2.5])
SIDE_DIRECTIONS = 16
# Two peaks along a ridge differ from the ridge between them by this much noise, by chance
RIDGE_NOISE_SIGMA = 3.0


@dataclass(frozen=True, kw_only=True)
class PeakRules:
    """What a maximum must have to be a blob; `detectors.lights_blobs.Blobs` explains each."""

    min_snr: float
    min_prominence: float
    min_unexplained: float


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """Blobs of an octave, in its pixels: nearest pixel, vertex, and first guess of sigma."""

    row: IndexArray
    col: IndexArray
    x: FloatArray
    y: FloatArray
    sigma_px: FloatArray

    def __len__(self) -> int:
        return int(self.x.size)


def find_peaks(
    whole: Octave,
    left: Octave,
    *,
    step: int,
    rules: PeakRules,
    least_noise: float,
    noise_at: NoiseAt,
    clip_radius_at: AtPixels,
) -> Peaks:
    """Blobs of an octave: maxima in place and scale.

    Parameters
    ----------
    whole, left : Octave
        The image, and what is left of it without the lights of finer octaves.
    step : int
        Pixels of the image along a pixel of the octave.
    rules : PeakRules
        What a maximum must have.
    least_noise : float
        White noise per pixel of the image that no place falls below.
    noise_at : callable
        White noise per pixel of the image at (row, col) of the octave, for its k-th scale.
    clip_radius_at : callable
        Half of the longer side, in pixels of the image, of the clipped area at (row, col); 0
        outside; infinite where no blob may be.

    Returns
    -------
    Peaks
    """
    above = (left.responses[1], left.above)
    taken = np.zeros(whole.base.shape, bool)
    parts = []
    for k, inner in enumerate(INNER_SIGMAS):
        seen, rest = whole.responses[k], left.responses[k]
        gain = noise_gain(inner * step)
        row, col = local_maxima(seen, rules.min_snr * gain * least_noise)
        open_sky = clip_radius_at(row, col) <= CLIP_RADIUS_PER_INNER * inner * step
        row, col = row[open_sky & ~taken[row, col]], col[open_sky & ~taken[row, col]]
        sigma = gain * noise_at(row, col, k)
        height = rest[row, col]
        kept = height >= np.maximum(rules.min_snr * sigma, rules.min_unexplained * seen[row, col])
        kept &= height >= SCALE_TOLERANCE * _highest_near(above[k], row, col)
        row, col, sigma = row[kept], col[kept], sigma[kept]
        needed = np.maximum(rules.min_prominence * seen[row, col], RIDGE_NOISE_SIGMA * sigma)
        kept = prominence(seen, row, col, inner) >= needed
        row, col = row[kept], col[kept]
        for i, j in NEAR:
            taken[row + i, col + j] = True
        dx, dy = quadratic_peak(seen, row, col)
        width = np.full(row.size, np.hypot(BLOB_SIGMA_PER_INNER * inner, BASE_SIGMA))
        parts.append(Peaks(row=row, col=col, x=col + dx, y=row + dy, sigma_px=width))
    return Peaks(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Peaks)}
    )


NEAR = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]


def _highest_near(response: FloatImage, row: IndexArray, col: IndexArray) -> FloatArray:
    """Maximum of the 3 x 3 pixels around pixels away from the border."""
    return np.asarray(np.max([response[row + i, col + j] for i, j in NEAR], axis=0))


def prominence(response: FloatImage, row: IndexArray, col: IndexArray, inner: float) -> FloatArray:
    """How far a peak rises above the highest of the ways that lead across it.

    Along a ridge (the limb, an edge of hardware) the response stays high on two opposite sides.

    Parameters
    ----------
    response : ndarray of float32, shape (h, w)
        A filtered image.
    row, col : ndarray of int, shape (N,)
        Its peaks.
    inner : float
        Sigma of the filter; the sides are looked at 1.5 to 2.5 of it away.

    Returns
    -------
    ndarray of float64, shape (N,)
        In units of the response.
    """
    angle = np.arange(SIDE_DIRECTIONS) * (2.0 * np.pi / SIDE_DIRECTIONS)
    radius = SIDE_RADII[:, None] * inner
    at_row = row[:, None, None] + radius * np.sin(angle)
    at_col = col[:, None, None] + radius * np.cos(angle)
    sides = map_coordinates(response, np.stack([at_row, at_col]), order=1, mode="nearest")
    lowest = sides.min(axis=1)
    half = SIDE_DIRECTIONS // 2
    ways = np.minimum(lowest[:, :half], lowest[:, half:])
    return np.asarray(response[row, col] - ways.max(axis=1), float)
