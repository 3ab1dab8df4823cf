"""How deep a star photo is: which share of the catalogue's stars is found, by magnitude."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FEWEST_EXPECTED = 20
FEWEST_FOUND = 8
# A limit this near to the faintest star that was looked for may lie beyond it
MARGIN_MAG = 0.1
BIN_MAG = 0.5
STEEPEST, FLATTEST = 30.0, 0.3  # slopes, per magnitude
# Of real star fields, 4 to 10 where noise is the limit. A belief so wide decides where few stars
# would be told apart by chance alone
USUAL_SLOPE, SLOPE_LOG_SIGMA = 4.0, 0.7
_STEP = 1e-2


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """Share of stars that is found, by magnitude.

    A star of magnitude m is found with the probability ``plateau / 2 * (1 - a (m - limit) /
    sqrt(1 + a^2 (m - limit)^2))``, a the slope.

    Attributes
    ----------
    limit_g : float
        Gaia magnitude at which half of the stars are found of those that could be.
    limit_sigma : float or None
        One sigma; None where the limit was not reached.
    reached : bool
        Whether stars as faint as that were looked for; else the limit is at least ``limit_g``.
    plateau : float
        Share of bright stars that is found, 0 to 1: the rest is behind the Earth, hardware or
        clouds, saturated, or too near to another star.
    slope : float
        How fast the share falls, per magnitude.

    References
    ----------
    Fleming, D. E. B. et al. (1995). CCD photometry of the globular cluster system of NGC 5813.
    Astron. J. 109, 1044.
    """

    limit_g: float
    limit_sigma: float | None
    reached: bool
    plateau: float
    slope: float

    def share(self, magnitude_g: FloatArray) -> FloatArray:
        """Probability that stars of these magnitudes are found."""
        return _share(magnitude_g, self.plateau, self.limit_g, self.slope)


@dataclass(frozen=True, kw_only=True)
class MagnitudeBin:
    """Stars of half a magnitude: those of the catalogue in the picture, and those found."""

    from_g: float
    to_g: float
    expected: int
    found: int


def fit_completeness(magnitude_g: FloatArray, found: NDArray[np.bool_]) -> Completeness | None:
    """Fit the share of stars that is found, star by star, by maximum likelihood.

    Parameters
    ----------
    magnitude_g : ndarray of float64, shape (n,)
        Of the catalogue's stars in the picture that were looked for.
    found : ndarray of bool, shape (n,)

    Returns
    -------
    Completeness or None
        None of too few stars.
    """
    from scipy.optimize import minimize

    if len(found) < FEWEST_EXPECTED or found.sum() < FEWEST_FOUND:
        return None
    faintest = float(magnitude_g.max())

    def cost(values: FloatArray) -> float:
        share = _share(magnitude_g, *_natural(values))
        likely = np.where(found, share, 1.0 - share)
        belief = (values[2] - np.log(USUAL_SLOPE)) / SLOPE_LOG_SIGMA
        return float(-np.log(np.maximum(likely, 1e-12)).sum()) + 0.5 * float(belief**2)

    # The likelihood may have several hills: start at every half magnitude
    starts = np.arange(magnitude_g.min(), faintest + BIN_MAG, BIN_MAG)
    first = [np.array([1.0, limit, np.log(USUAL_SLOPE)]) for limit in starts]
    start = min(first, key=cost)
    best = minimize(cost, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-4})
    plateau, limit, slope = _natural(best.x)
    if limit > faintest - MARGIN_MAG:
        return Completeness(
            limit_g=faintest, limit_sigma=None, reached=False, plateau=plateau, slope=slope
        )
    return Completeness(
        limit_g=limit,
        limit_sigma=_sigma(cost, best.x, 1),
        reached=True,
        plateau=plateau,
        slope=slope,
    )


def magnitude_bins(
    magnitude_g: FloatArray, found: NDArray[np.bool_], width: float = BIN_MAG
) -> list[MagnitudeBin]:
    """Counts by magnitude, from the brightest bin that has a star to the faintest."""
    if len(magnitude_g) == 0:
        return []
    number = np.floor(magnitude_g / width).astype(int)
    return [
        MagnitudeBin(
            from_g=width * one,
            to_g=width * (one + 1),
            expected=int((number == one).sum()),
            found=int(found[number == one].sum()),
        )
        for one in range(int(number.min()), int(number.max()) + 1)
    ]


def _share(magnitude_g: FloatArray, plateau: float, limit: float, slope: float) -> FloatArray:
    away = slope * (magnitude_g - limit)
    return np.asarray(0.5 * plateau * (1.0 - away / np.sqrt(1.0 + away**2)))


def _natural(values: FloatArray) -> tuple[float, float, float]:
    """Plateau, limit and slope out of numbers that may be anything."""
    plateau = 1.0 / (1.0 + np.exp(-np.clip(values[0], -30.0, 30.0)))
    slope = float(np.clip(np.exp(np.clip(values[2], -9.0, 9.0)), FLATTEST, STEEPEST))
    return float(plateau), float(values[1]), slope


def _sigma(cost: Callable[[FloatArray], float], at: FloatArray, number: int) -> float | None:
    """One sigma of a value by the curvature of the likelihood, the others left free."""
    steps = np.eye(len(at)) * _STEP
    curvature = np.empty((len(at), len(at)))
    for i, one in enumerate(steps):
        for j, other in enumerate(steps):
            ahead, back = cost(at + one + other), cost(at - one - other)
            left, right = cost(at + one - other), cost(at - one + other)
            curvature[i, j] = (ahead + back - left - right) / (4.0 * one[i] * other[j])
    # A plateau of 1 and a slope at its bound have no curvature: they count as known
    variance = np.linalg.pinv(curvature, rcond=1e-6, hermitian=True)[number, number]
    return float(np.sqrt(variance)) if variance > 0.0 else None
