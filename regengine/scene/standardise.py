"""Features of unlike units made comparable: centred, scaled, turned onto principal axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regengine.scene.samples import FloatArray, IndexArray

# Beyond so many standard deviations a feature is as odd as can be: one that hardly varied in
# training (a count that was always 0) must not drown all others. Of 2, 3 and 5 this told the most
# real photos.
LIMIT_SIGMA = 3.0
# By so much the covariance within classes is drawn toward a sphere; without, axes fit a hundred
# photos and no others
AXES_SHRINKAGE = 0.3
# Mean variance within classes at least, of features with a variance of one: copies have none
LEAST_WIDTH = 0.01


@dataclass(frozen=True, kw_only=True)
class Standardiser:
    """How features are centred, scaled, limited and turned.

    Attributes
    ----------
    mean, scale : ndarray of float64, shape (F,)
        Subtracted; divided by.
    axes : ndarray of float64, shape (F, D), or None
        Columns are the axes that are kept; None keeps the features themselves.
    """

    mean: FloatArray
    scale: FloatArray
    axes: FloatArray | None = None

    def apply(self, features: FloatArray) -> FloatArray:
        """Standardised features; shape (N, F) → (N, D), or (N, F) without axes."""
        z = np.clip((features - self.mean) / self.scale, -LIMIT_SIGMA, LIMIT_SIGMA)
        return z if self.axes is None else z @ self.axes


def fit_standardiser(features: FloatArray) -> Standardiser:
    """Mean and standard deviation of each feature.

    Parameters
    ----------
    features : ndarray of float64, shape (N, F)
        Training rows.

    Returns
    -------
    Standardiser
        Without axes. A feature that never varies is only centred.
    """
    scale = features.std(axis=0)
    flat = scale <= 1e-12 * np.maximum(np.abs(features).max(axis=0), 1.0)
    return Standardiser(mean=features.mean(axis=0), scale=np.where(flat, 1.0, scale))


def with_principal_axes(
    standardiser: Standardiser, features: FloatArray, *, variance: float, most: int
) -> Standardiser:
    """Keep the axes along which standardised features vary most.

    Parameters
    ----------
    standardiser : Standardiser
        Without axes.
    features : ndarray of float64, shape (N, F)
        Training rows, as measured.
    variance : float
        Share of the variance that is kept, 0 to 1.
    most : int
        Axes that are kept at most.

    Returns
    -------
    Standardiser
        With axes. Its origin stays that of the features; a shift moves all photos alike.
    """
    z = standardiser.apply(features)
    singular, axes = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)[1:]
    explained = np.cumsum(singular**2) / max(float(np.sum(singular**2)), np.finfo(float).tiny)
    keep = min(int(np.searchsorted(explained, variance)) + 1, most, len(explained))
    # The sign of an axis is free: its largest part is positive
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    axes = np.where(largest < 0.0, -axes, axes)[:keep]
    return Standardiser(
        mean=standardiser.mean, scale=standardiser.scale, axes=np.ascontiguousarray(axes.T)
    )


def with_discriminant_axes(
    standardiser: Standardiser, features: FloatArray, classes: IndexArray
) -> Standardiser:
    """Keep the axes along which classes lie furthest apart for their width (Fisher 1936).

    Parameters
    ----------
    standardiser : Standardiser
        Without axes.
    features : ndarray of float64, shape (N, F)
        Training rows, as measured.
    classes : ndarray of int, shape (N,)
        Class of each; two at least.

    Returns
    -------
    Standardiser
        With one axis fewer than there are classes, scaled to a width of one within classes.
    """
    from scipy.linalg import eigh

    z = standardiser.apply(features)
    present, of = np.unique(classes, return_inverse=True)
    means = np.stack([z[of == index].mean(axis=0) for index in range(len(present))])
    within = (z - means[of]).T @ (z - means[of]) / len(z)
    between = (means[of] - z.mean(axis=0)).T @ (means[of] - z.mean(axis=0)) / len(z)
    width = max(float(np.trace(within)) / len(within), LEAST_WIDTH)
    shrunk = (1.0 - AXES_SHRINKAGE) * within + AXES_SHRINKAGE * width * np.eye(len(within))
    keep = min(len(present) - 1, z.shape[1])
    axes = eigh(between, shrunk)[1][:, ::-1][:, :keep]
    return Standardiser(
        mean=standardiser.mean, scale=standardiser.scale, axes=np.ascontiguousarray(axes)
    )
