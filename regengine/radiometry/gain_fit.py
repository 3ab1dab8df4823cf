"""The fit of photo to map: robust, with errors on both axes, cells of a place erring as one.

Residuals are differences on the scale of `regengine.radiometry.scale.glog`, so both axes carry
the same relative and the same additive error, and exchanging them changes the sign alone: errors of
the map do not flatten the slope, as they do in a regression of one on the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regengine.export.format import LeftOutError
from regengine.radiometry.comparison import DARK_NW, KM_PER_DEGREE, Comparison
from regengine.radiometry.map_cells import FEWEST_CELLS
from regengine.radiometry.photo_cells import PhotoCells
from regengine.radiometry.scale import glog, neighbour_step, steepness

FloatArray = NDArray[np.float64]
Values = NDArray[np.floating]
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Blocks = NDArray[np.int64]

MAP_NOISE_NW = DARK_NW
TUKEY = 4.685  # 95 % efficiency for normal errors
PASSES = 40
SETTLED = 1e-4  # of logarithms
LIT_FLOORS = 4.0  # cells that tell the gain: that far above the additive errors of both
FEWEST_LIT = FEWEST_CELLS // 2
SCATTER_LIMITS = (0.1, 1.0)
LONGEST_STEP = 0.5  # of logarithms, in one pass
# What is known beforehand of ln(gain): nothing; from the middle to the corners lenses that are wide
# open lose a third to two thirds; each further air mass takes 0.2 to 0.4 by clear air, while bare
# lamps, which shine to all sides, gain up to 1 on the ground that is foreshortened between them
PRIOR_MEAN, PRIOR_SIGMA = np.array([0.0, -0.4, 0.1]), np.array([np.inf, 0.4, 0.4])
HELD = 1e12
BLOCK_KM = 25.0  # towns and cities differ as a whole: cells closer than this are not independent

# A few cities have most of the light, so few blocks decide: gains of twelve simulated photos
# (seeds 200 to 211, lights that differ by 40 %) spread by so much more than blocks alone say
CLUSTERED = 1.6


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """What was fitted; arrays of shape (n,) are of the usable cells.

    Attributes
    ----------
    parameters : ndarray, shape (3,)
        ln(gain), and its slopes with the squared radius and with the air mass.
    covariance : ndarray, shape (3, 3)
    air_mass : float
        That the gain is given for.
    offset, offset_sigma : float
        Luminance that dark cells still have.
    scatter : float
        Robust spread about the fit, natural logarithm.
    value : ndarray
        The photo in units of the map.
    knee : ndarray
        See `glog`.
    lit : ndarray of bool
        Cells that tell the gain.
    trust : ndarray
        Weight of each of them.
    blocks : ndarray of int64
        Which block of 25 km each lies in.
    """

    parameters: FloatArray
    covariance: FloatArray
    air_mass: float
    offset: float
    offset_sigma: float
    scatter: float
    value: Values
    knee: Values
    lit: Mask
    trust: Values
    blocks: Blocks


def fitted(
    comparison: Comparison, photo: PhotoCells, resolution_deg: float, falloff_known: bool
) -> Fitted:
    """Fit gain, offset, falloff and slant; see `regengine.radiometry.gain.fit_gain`.

    Cells count by Tukey's biweight. What they tell is summed over blocks of 25 km, and weighed by
    how much these differ (the sandwich of Liang and Zeger), before it is put together with what is
    known of lenses and air beforehand.

    References
    ----------
    Beaton, A. E., Tukey, J. W. (1974). The fitting of power series. Technometrics 16, 147-185. ·
    Liang, K.-Y., Zeger, S. L. (1986). Longitudinal data analysis using generalized linear models.
    Biometrika 73, 13-22.
    """
    usable = comparison.usable
    light, radiance = comparison.light[usable], comparison.radiance_nw[usable]
    bright = radiance > max(2.0, float(np.quantile(radiance, 0.9)))
    start = _first_gain(light[bright], radiance[bright])
    air = photo.air_mass[usable].astype(float)
    middle = float(np.median(air[bright]))
    shape = np.stack([np.ones_like(air), photo.radius_sq[usable], air - middle])
    sure, mean = np.diag(PRIOR_SIGMA**-2.0), PRIOR_MEAN.copy()
    if falloff_known:
        sure[1, 1], mean[1] = HELD, 0.0
    found = np.array([0.0, *mean[1:]])
    found[0] = np.log(start) - float(np.median((found @ shape)[bright]))
    blocks = _blocks(usable, resolution_deg)
    offset, offset_sigma, scatter = 0.0, 0.0, 0.5
    for _ in range(PASSES):
        own = np.exp(found @ shape)
        floor = np.hypot(comparison.noise[usable] / own, MAP_NOISE_NW)
        knee = floor / scatter
        value = (light - offset) / own
        residual = glog(value, knee) - glog(radiance, knee)
        # By both axes alike, or the choice itself would tilt the fit
        over, under = glog(value, floor), glog(radiance, floor)
        lit = over + under > 2.0 * np.arcsinh(LIT_FLOORS)
        if np.count_nonzero(lit) < FEWEST_LIT:
            raise LeftOutError("too few cells are lit in photo and map")
        edge = _edges(comparison, knee)
        sigma = np.hypot(scatter, edge)
        trust = np.where(lit, _biweight(residual / sigma), 0.0) / sigma**2
        slope = steepness(value, knee) * shape
        information, likeliest = _told(trust * slope, slope, residual, blocks)
        covariance = np.linalg.inv(information + sure)
        step = covariance @ (information @ likeliest + sure @ (mean - found))
        found = found + np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        scatter = _scatter((over - under)[lit], edge[lit])
        dark = ~lit & (radiance < MAP_NOISE_NW)
        if np.count_nonzero(dark) >= FEWEST_CELLS:
            offset, offset_sigma = _middle_of((light - own * radiance)[dark])
        if np.abs(step).max() < SETTLED:
            break
    return Fitted(
        parameters=found,
        covariance=np.asarray(covariance, np.float64),
        air_mass=middle,
        offset=offset,
        offset_sigma=offset_sigma,
        scatter=scatter,
        value=value,
        knee=knee,
        lit=lit,
        trust=trust,
        blocks=blocks,
    )


def _first_gain(light: Image, radiance: Image) -> float:
    if len(light) < FEWEST_LIT:
        raise LeftOutError("too few cells are lit in photo and map")
    gain = float(np.median(light / radiance))
    if not gain > 0.0:
        raise LeftOutError("the photo shows no light where the map has lights")
    return gain


def _edges(comparison: Comparison, knee: Values) -> Values:
    """What the registration's error may make of each cell's residual."""
    usable = comparison.usable
    levels = np.zeros(usable.shape, np.float32)
    levels[usable] = glog(comparison.radiance_nw[usable], knee)
    return np.asarray(neighbour_step(levels, usable)[usable] * comparison.sigma_cells[usable])


def _biweight(u: Values) -> Values:
    return np.asarray(np.maximum(1.0 - (u / TUKEY) ** 2, 0.0) ** 2)


def _scatter(residual: Values, edge: Values) -> float:
    """Robust spread of residuals without what the registration's error makes of edges."""
    spread = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    own = np.sqrt(max(spread**2 - float(np.median(edge)) ** 2, 0.0))
    return float(np.clip(own, *SCATTER_LIMITS))


def _middle_of(values: Values) -> tuple[float, float]:
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    return middle, 1.2533 * spread / float(len(values)) ** 0.5


def _blocks(usable: Mask, resolution_deg: float) -> Blocks:
    """Number of the block that each usable cell lies in."""
    side = max(round(BLOCK_KM / KM_PER_DEGREE / resolution_deg), 1)
    row, column = np.nonzero(usable)
    return np.asarray((row // side) * (usable.shape[1] // side + 1) + column // side)


def _told(
    weighted: Values, slope: Values, residual: Values, blocks: Blocks
) -> tuple[FloatArray, FloatArray]:
    """Information on the parameters from blocks that err as one, and the step it asks for."""
    normal = weighted @ slope.T
    normal[np.diag_indices(len(normal))] *= 1.0 + 1e-9
    sums = np.stack([np.bincount(blocks, weights=row * residual) for row in weighted])
    count = int(np.count_nonzero(np.bincount(blocks, weights=weighted[0])))
    inner = sums @ sums.T * (count / max(count - len(normal), 1))
    inner[np.diag_indices(len(inner))] += 1e-6 * np.diag(normal)
    inner *= CLUSTERED**2
    return normal @ np.linalg.solve(inner, normal), np.linalg.solve(normal, sums.sum(axis=1))
