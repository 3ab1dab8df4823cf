"""Masked normalised cross-correlation of map tiles with a turned template, by FFT.

References
----------
Padfield, D. (2012). Masked object registration in the Fourier domain. IEEE Transactions on Image
Processing 21 (5), 2706-2718.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from matchers.templates import DenseParameters, TurnedTemplates

Image = NDArray[np.float32]

# Of a template, this share must lie on ground that the map holds
LEAST_OVERLAP = 0.6


def correlate(tile: Image, templates: TurnedTemplates, min_spread: float) -> Image:
    """Normalised cross-correlation of a tile with a template at every roll.

    The tile's spread is taken about 0, the mean of a tile without broad structure: a sum less for
    every window, and never above the correlation about the mean under the template.

    Parameters
    ----------
    tile : ndarray of float32, shape (fft_px, fft_px)
        The map as seen around one boresight, without broad structure.
    templates : TurnedTemplates
        The photo at every roll.
    min_spread : float
        Spread of the tile under the template, root mean square, below which nothing is compared.

    Returns
    -------
    ndarray of float32, shape (n_roll, n_shift, n_shift)
        Correlation in [-1, 1]; entry (k, i, j) is for roll k, the template's corner at row i,
        column j.
    """
    shape = tile.shape
    n = shape[0] - templates.side_px + 1
    pixels = templates.pixels[:, None, None]
    squares = fft.irfft2(fft.rfft2(tile * tile) * templates.mask_spectra, shape)[:, :n, :n]
    spread = np.sqrt(np.maximum(squares, min_spread**2 * pixels))
    spread[spread == 0.0] = np.inf  # a template that is masked all over is like nothing
    product = fft.irfft2(fft.rfft2(tile) * templates.image_spectra, shape)[:, :n, :n]
    return np.asarray(product / spread[templates.window_of], np.float32)


def correlate_covered(
    tile: Image, tile_mask: Image, templates: TurnedTemplates, min_spread: float
) -> Image:
    """As `correlate`, for a tile of which the map holds only a part.

    Mean and spread of template and tile are taken where both exist (Padfield 2012, eq. 6-12).

    Parameters
    ----------
    tile : ndarray of float32, shape (fft_px, fft_px)
        The map as seen around one boresight.
    tile_mask : ndarray of float32, shape (fft_px, fft_px)
        1 where the map holds data, else 0.
    templates : TurnedTemplates
        The photo at every roll.
    min_spread : float
        As in `correlate`.

    Returns
    -------
    ndarray of float32, shape (n_roll, n_shift, n_shift)
        Correlation; 0 where less than `LEAST_OVERLAP` of the template is covered.
    """
    shape = tile.shape
    n = shape[0] - templates.side_px + 1

    def swept(spectrum: Any, kernels: Any) -> Image:
        return np.asarray(fft.irfft2(spectrum * kernels, shape)[:, :n, :n], np.float32)

    window = templates.window_of
    known = fft.rfft2(tile_mask)
    lit = fft.rfft2(tile * tile_mask)
    pixels = np.maximum(swept(known, templates.mask_spectra)[window], 1.0)
    sums = swept(lit, templates.mask_spectra)[window]
    squares = swept(fft.rfft2(tile * tile * tile_mask), templates.mask_spectra)[window]
    photo_sums = swept(known, templates.image_spectra)
    photo_squares = swept(known, np.conj(fft.rfft2(templates.images**2)))
    variance = np.maximum(squares - sums**2 / pixels, min_spread**2 * pixels)
    photo_variance = np.maximum(photo_squares - photo_sums**2 / pixels, 1e-3)
    product = swept(lit, templates.image_spectra) - photo_sums * sums / pixels
    covered_enough = pixels >= LEAST_OVERLAP * templates.pixels[window][:, None, None]
    return np.where(covered_enough, product / np.sqrt(variance * photo_variance), np.float32(0.0))


def peaks_of(scores: Image, parameters: DenseParameters) -> list[tuple[int, int, int, float]]:
    """Highest local maxima of a tile's correlations, some for every roll.

    Parameters
    ----------
    scores : ndarray of float32, shape (n_roll, n_shift, n_shift)
        Of `correlate`.
    parameters : DenseParameters
        How many, and how far apart.

    Returns
    -------
    list of tuple
        Roll, row, column and score; only positive ones.
    """
    reach = parameters.peak_reach_px
    work = scores.copy()
    rolls, _, side = work.shape
    flat = work.reshape(rolls, -1)
    found = []
    for _ in range(parameters.peaks_per_view):
        best = flat.argmax(axis=1)
        for roll, (place, value) in enumerate(
            zip(best.tolist(), flat[np.arange(rolls), best].tolist(), strict=True)
        ):
            if value > 0.0:
                i, j = divmod(place, side)
                found.append((roll, i, j, value))
                rows = slice(max(0, i - reach), i + reach + 1)
                work[roll, rows, max(0, j - reach) : j + reach + 1] = -1.0
    return found
