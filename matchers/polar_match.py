"""Which patches of a table look like those of a photo, at which turn.

With F and G the harmonics of two patches, their correlation at the turn t of the photo's is

    s(t) = Re sum over k of C_k exp(i k t),   C_k = sum over rings of F_k conj(G_k):

matrix products over all patches of the table and all of the photo's, for all turns at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matchers.polar_patches import ANGLES, HARMONICS, UNIT, ComplexArray, PatchTable

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

CHUNK = 1024  # so that the correlations of a few patches stay in a processor's cache
NEVER = -2.0


def best_correlations(table: PatchTable, queries: ComplexArray) -> NDArray[np.float32]:
    """Correlation of a photo's patches with all of a table, each at its best turn.

    Parameters
    ----------
    table : PatchTable
    queries : ndarray of complex64, shape (q, rings, HARMONICS)
        Of `matchers.polar_patches.asked`.

    Returns
    -------
    ndarray of float32, shape (q, n)
        `NEVER` for places that are not wanted.
    """
    q, n = len(queries), len(table)
    sides = columns_of(queries).transpose(0, 2, 1)
    back = turns_of_harmonics().T
    best = np.full((q, n), NEVER, np.float32)
    for start in range(0, n, CHUNK):
        part = np.s_[start : start + CHUNK]
        rows = table.coefficients[:, part].astype(np.float32)
        spectra = (sides @ rows.transpose(0, 2, 1)).reshape(2 * HARMONICS, -1)
        best[:, part] = (back @ spectra).max(axis=0).reshape(q, -1) / UNIT
    if table.wanted is not None:
        best[:, ~table.wanted] = NEVER
    return best


def turns_at(table: PatchTable, rows: IndexArray, query: ComplexArray) -> IndexArray:
    """The turns at which one patch of a photo looks most like some of a table.

    Parameters
    ----------
    table : PatchTable
    rows : ndarray of int, shape (m,)
        Which.
    query : ndarray of complex64, shape (rings, HARMONICS)

    Returns
    -------
    ndarray of int, shape (m,)
        In steps of 1 / ANGLES of the circle, anticlockwise.
    """
    spectra = table.coefficients[:, rows].astype(np.float32) @ columns_of(query[None])
    spectra = spectra.transpose(0, 2, 1).reshape(2 * HARMONICS, -1)
    return np.asarray((turns_of_harmonics().T @ spectra).argmax(axis=0))


def columns_of(queries: ComplexArray) -> NDArray[np.float32]:
    """What a table's rows are multiplied by: columns for the real parts of C, then the imaginary.

    Shape (HARMONICS, 2 * rings, 2 * q).
    """
    real, imaginary = queries.real.transpose(2, 1, 0), queries.imag.transpose(2, 1, 0)
    top, bottom = np.concatenate([real, -imaginary], 2), np.concatenate([imaginary, real], 2)
    return np.concatenate([top, bottom], axis=1).astype(np.float32)


def turns_of_harmonics() -> NDArray[np.float32]:
    """What carries real and imaginary parts of C to s at every turn, (2 HARMONICS, ANGLES)."""
    order = np.arange(1, HARMONICS + 1)[:, None]
    angles = order * (2.0 * np.pi * np.arange(ANGLES) / ANGLES)
    both = np.stack([np.cos(angles), -np.sin(angles)], axis=1)
    return both.reshape(2 * HARMONICS, ANGLES).astype(np.float32)


def correlation_at(
    table: PatchTable,
    rows: IndexArray,
    queries: ComplexArray,
    which: IndexArray,
    turn_rad: FloatArray,
) -> FloatArray:
    """Correlation of a photo's patches with single ones of a table, each at a turn.

    Parameters
    ----------
    table : PatchTable
    rows : ndarray of int, shape (m,)
        Which of the table.
    queries : ndarray of complex64, shape (q, rings, HARMONICS)
        Of `matchers.polar_patches.asked`.
    which : ndarray of int, shape (m,)
        Which of these.
    turn_rad : ndarray of float64, shape (..., m)
        Anticlockwise.

    Returns
    -------
    ndarray of float64, shape (..., m)
    """
    sides = (columns_of(queries) / UNIT).reshape(HARMONICS, -1, 2, len(queries))
    asked_for = sides.transpose(0, 3, 1, 2)[:, which]
    spectra = np.einsum("hmr,hmrc->hmc", table.coefficients[:, rows].astype(np.float32), asked_for)
    if table.wanted is not None:
        spectra = spectra * table.wanted[rows][:, None]
    angle = np.arange(1, HARMONICS + 1)[:, None] * np.asarray(turn_rad, np.float32)[..., None, :]
    waves = spectra[..., 0] * np.cos(angle) - spectra[..., 1] * np.sin(angle)
    return np.asarray(waves.sum(axis=-2), float)
