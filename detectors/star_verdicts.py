"""Which peaks and fits are no stars: ridges, hot pixels, cosmic rays, the same one twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.blob_peaks import prominence
from detectors.point_spread import PointSpread
from detectors.star_fit import FittedStars
from detectors.star_peaks import Filtered
from detectors.types import FloatArray

BoolImage = NDArray[np.bool_]
IndexArray = NDArray[np.intp]

ALONG_TRAIL, ACROSS_TRAIL_SIGMAS = 0.35, 1.5
PROMINENCE = 0.4
# Log-likelihood by which a single pixel, or a pair, must explain the light better than a star
SHARPER = 4.5
SHARPNESS = 1.1
LIGHT_AROUND = 0.04  # 20 % of the pixel's light, over the root of 23 pixels
THIN, THIN_SNR = 0.6, 10.0


def not_on_ridges(
    seen: Filtered, psf: PointSpread, row: IndexArray, col: IndexArray
) -> tuple[IndexArray, IndexArray]:
    """Peaks that stand out on all sides: not the limb, nor edges of hardware."""
    if row.size == 0:
        return row, col
    if psf.trail_length_px > 0.0:
        return _one_a_trail(psf, row, col)
    height = seen.response[row, col]
    rise = prominence(seen.response, row, col, 2.0**0.5 * psf.sigma_px)
    keep = rise >= PROMINENCE * height
    return row[keep], col[keep]


def _one_a_trail(
    psf: PointSpread, row: IndexArray, col: IndexArray
) -> tuple[IndexArray, IndexArray]:
    """Peaks without a stronger one along the same trail; the strongest come first."""
    along = np.array(psf.trail_px) / psf.trail_length_px
    reach = psf.sigma_px + ALONG_TRAIL * psf.trail_length_px
    places = np.column_stack(
        [
            (col * along[0] + row * along[1]) / reach,
            (row * along[0] - col * along[1]) / (ACROSS_TRAIL_SIGMAS * psf.sigma_px),
        ]
    )
    keep = first_of_each(places, 1.0)
    return row[keep], col[keep]


def sharp_ones(found: FittedStars, psf: PointSpread) -> BoolImage:
    """Single pixels, pairs and thin tracks: hot pixels and cosmic rays.

    A pixel or a pair explains the light better than a star does, and little is left around it; or
    the light is thinner than the frame's stars are.
    """
    better = found.narrow_snr**2 - found.star_snr**2 > 2.0 * SHARPER
    better &= found.narrow_snr > SHARPNESS * found.star_snr
    alone = found.around_snr < 2.0 + LIGHT_AROUND * found.narrow_snr
    short = np.sqrt(np.linalg.eigvalsh(found.moments)[:, 0])
    thin = (short < THIN * psf.sigma_px) & (found.star_snr > THIN_SNR)
    thin &= psf.trail_length_px == 0.0  # thinness of trails is lost where they cross neighbours
    return np.asarray((better & alone) | thin)


def first_of_each(places: FloatArray, nearer: float) -> BoolImage:
    """Places, shape (N, 2), without an earlier one nearer than that."""
    keep = np.ones(len(places), bool)
    if len(places) > 1:
        for one, other in cKDTree(places).query_pairs(nearer):
            keep[max(one, other)] = False
    return keep
