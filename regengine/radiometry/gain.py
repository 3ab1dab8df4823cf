"""The photo's luminance for each unit of radiance, and how far the two agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regengine.radiometry.agreement import exponent, r_squared
from regengine.radiometry.comparison import Comparison
from regengine.radiometry.gain_fit import MAP_NOISE_NW, Fitted, fitted
from regengine.radiometry.photo_cells import PhotoCells
from regengine.radiometry.scale import glog, neighbour_step

Image = NDArray[np.float32]

# Relative error of gains of simulated photos that differ from the map in nothing: blooming, halos
GAIN_FLOOR = 0.03


@dataclass(frozen=True, kw_only=True, eq=False)
class Gain:
    """Luminance of the photo = offset + gain · trend · radiance, above the background.

    Attributes
    ----------
    gain, gain_sigma : float
        Luminance (1 is full scale) for each nW cm^-2 sr^-1, in the middle of the picture and at
        ``air_mass``; its statistical sigma.
    offset, offset_sigma : float
        Luminance that dark cells still have.
    falloff, falloff_sigma : float
        Change of ln(gain) from the middle of the picture to its corners.
    slant, slant_sigma : float
        Change of ln(gain) with each further air mass.
    air_mass : float
        That the gain is given for: the middle one of the lit cells.
    scatter : float
        Robust spread of single cells about the fit, natural logarithm.
    exponent, exponent_sigma : float
        Slope of ln(luminance) with ln(radiance): 1 if the photo is linear.
    r_squared, r_squared_log : float
        Squared correlation over all cells, and on the scale of the fit over the lit ones.
    cells, lit_cells : int
        Cells that were compared, and those of them that tell the gain.
    trend : ndarray of float32, shape (h, w)
        Gain of each cell over ``gain``.
    knee_nw : ndarray of float32, shape (h, w)
        See `regengine.radiometry.scale.glog`.
    residual, scale : ndarray of float32, shape (h, w)
        On that scale, photo less map, and its expected sigma.
    """

    gain: float
    gain_sigma: float
    offset: float
    offset_sigma: float
    falloff: float
    falloff_sigma: float
    slant: float
    slant_sigma: float
    air_mass: float
    scatter: float
    exponent: float
    exponent_sigma: float
    r_squared: float
    r_squared_log: float
    cells: int
    lit_cells: int
    trend: Image
    knee_nw: Image
    residual: Image
    scale: Image

    def photo_nw(self, comparison: Comparison) -> Image:
        """The photo's luminance in units of the map."""
        return np.asarray((comparison.light - self.offset) / (self.gain * self.trend), np.float32)


def fit_gain(
    comparison: Comparison, photo: PhotoCells, resolution_deg: float, falloff_known: bool
) -> Gain:
    """Fit gain, offset, falloff and slant.

    Parameters
    ----------
    comparison : Comparison
        Photo and map.
    photo : PhotoCells
        For the lines of sight.
    resolution_deg : float
        Size of a cell.
    falloff_known : bool
        Whether the photo is free of the lens's falloff: it is not fitted then.

    Returns
    -------
    Gain

    Raises
    ------
    LeftOutError
        If too few cells are lit.
    """
    fit = fitted(comparison, photo, resolution_deg, falloff_known)
    sigmas = np.sqrt(np.diag(fit.covariance))
    radiance, lit = comparison.radiance_nw[comparison.usable], fit.lit
    slope, slope_sigma = exponent(fit.value[lit], radiance[lit], fit.trust[lit], fit.blocks[lit])
    knee = float(np.median(fit.knee))
    gain = float(np.exp(fit.parameters[0]))
    return Gain(
        gain=gain,
        gain_sigma=gain * float(np.hypot(sigmas[0], GAIN_FLOOR)),
        offset=fit.offset,
        offset_sigma=fit.offset_sigma,
        falloff=float(fit.parameters[1]),
        falloff_sigma=float(sigmas[1]) if not falloff_known else 0.0,
        slant=float(fit.parameters[2]),
        slant_sigma=float(sigmas[2]),
        air_mass=fit.air_mass,
        scatter=fit.scatter,
        exponent=slope,
        exponent_sigma=slope_sigma,
        r_squared=r_squared(fit.value, radiance),
        r_squared_log=r_squared(glog(fit.value[lit], knee), glog(radiance[lit], knee)),
        cells=len(radiance),
        lit_cells=int(np.count_nonzero(lit)),
        **_of_cells(fit, comparison, photo),
    )


def _of_cells(fit: Fitted, comparison: Comparison, photo: PhotoCells) -> dict[str, Image]:
    """Trend, knee, residual and its sigma of every cell that is judged."""
    judged = comparison.judged
    trend, knee, residual, scale = (np.full(judged.shape, np.nan, np.float32) for _ in range(4))
    trend[judged] = np.exp(
        fit.parameters[1] * photo.radius_sq[judged]
        + fit.parameters[2] * (photo.air_mass[judged] - fit.air_mass)
    )
    own = np.exp(fit.parameters[0]) * trend[judged]
    radiance = comparison.radiance_nw[judged]
    here = np.hypot(comparison.noise[judged] / own, MAP_NOISE_NW) / fit.scatter
    knee[judged] = here
    levels = np.zeros(judged.shape, np.float32)
    levels[judged] = glog(radiance, here)
    residual[judged] = glog((comparison.light[judged] - fit.offset) / own, here) - levels[judged]
    # Places are known to so many cells: so much of the step to a neighbour may be their error
    edge = neighbour_step(levels, judged) * comparison.sigma_cells
    scale[judged] = np.hypot(fit.scatter, edge[judged])
    return {"trend": trend, "knee_nw": knee, "residual": residual, "scale": scale}
