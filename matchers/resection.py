"""The camera from points that a person has matched, by least squares with beliefs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.pose import PARAMETERS, PosePrior, pixel_derivatives, stepped
from matchers.resection_points import COLUMNS, Freed, PointPairs, residuals_px, whitened
from matchers.resection_start import best_start

FloatArray = NDArray[np.float64]

ROUNDS = 30
HALVINGS = 8
SETTLED = 1e-6  # of the scale of every unknown
# Scale of a turn that nothing is believed of, radians
TURN_SCALE = 0.01
DAMPING = 1e-6  # of turns that points on one spot leave open


@dataclass(frozen=True, kw_only=True, eq=False)
class Resection:
    """A camera from points.

    Attributes
    ----------
    camera : Camera
        The solution.
    freed : tuple of str
        What was free.
    residual_px : ndarray of float64, shape (n, 2)
        Point minus camera; NaN where the place is behind the camera.
    chi_square : float
        Of all residuals and of the departure from the beliefs.
    """

    camera: Camera
    freed: tuple[Freed, ...]
    residual_px: FloatArray
    chi_square: float


@dataclass(frozen=True, kw_only=True)
class Unknowns:
    """What is free, what is believed of it, and the points that tell it.

    Attributes
    ----------
    pairs : PointPairs
        The points.
    belief : PosePrior
        Of position, focal length and distortion; of the attitude nothing is believed.
    freed : tuple of str
        What is free, see `matchers.resection_points.bearable`.
    """

    pairs: PointPairs
    belief: PosePrior
    freed: tuple[Freed, ...]

    @property
    def columns(self) -> NDArray[np.intp]:
        """Of a pose step, those that are free."""
        return np.array([column for name in self.freed for column in COLUMNS[name]])

    @property
    def believed(self) -> NDArray[np.bool_]:
        """Of the columns, those with a belief."""
        return np.isfinite(self.belief.sigmas[self.columns])

    @property
    def scale(self) -> FloatArray:
        """Unit of each column."""
        return np.where(self.believed, self.belief.sigmas[self.columns], TURN_SCALE)

    def departure(self, camera: Camera) -> FloatArray:
        """How far a camera is from the beliefs, in sigmas, for each column."""
        away = self.belief.departure(camera)[self.columns] / self.scale
        return np.where(self.believed, away, 0.0)

    def design(self, camera: Camera) -> FloatArray:
        """Change of the whitened pixels with each column, shape (n, 2, k)."""
        flow = pixel_derivatives(camera, self.belief.velocity_ecef, self.pairs.ground_ecef_m)
        scaled = flow[..., self.columns] * self.scale / self.pairs.sigma_px[:, None, None]
        return np.asarray(scaled, float)

    def normal(self, design: FloatArray) -> FloatArray:
        """Normal matrix, shape (k, k), the beliefs included."""
        seen = np.einsum("nik,nil->kl", design, design)
        return np.asarray(seen + np.diag(np.where(self.believed, 1.0, DAMPING)), float)

    def chi_square(self, camera: Camera) -> float:
        """Sum of the squares of all residuals and departures, each in its sigmas."""
        misses = whitened(camera, self.pairs)
        return float((misses**2).sum() + (self.departure(camera) ** 2).sum())

    def stepped(self, camera: Camera, move: FloatArray) -> Camera:
        """The camera after a move in units of the scale."""
        step = np.zeros(PARAMETERS)
        step[self.columns] = move * self.scale
        return stepped(camera, self.belief.velocity_ecef, step)


def resected(start: Camera, unknowns: Unknowns) -> Resection:
    """Fit a camera to points, from wherever it started.

    The attitude is begun in closed form, so that the start may look anywhere; Gauss-Newton with
    beliefs follows. Every point counts: `matchers.resection_doubts` tells which should not.

    Parameters
    ----------
    start : Camera
        Gives what is not freed.
    unknowns : Unknowns
        At least one pair, and what is free.

    Returns
    -------
    Resection
    """
    pairs = unknowns.pairs
    camera = best_start(start, pairs)
    for _ in range(ROUNDS):
        misses = whitened(camera, pairs)
        design = unknowns.design(camera)
        right = np.einsum("nik,ni->k", design, misses)
        normal = unknowns.normal(design)
        move = np.linalg.solve(normal, right - unknowns.departure(camera))
        new = _downhill(camera, move, unknowns)
        if new is None:
            break
        camera = new
        if float(np.abs(move).max()) < SETTLED:
            break
    return Resection(
        camera=camera,
        freed=unknowns.freed,
        residual_px=residuals_px(camera, pairs),
        chi_square=unknowns.chi_square(camera),
    )


def _downhill(camera: Camera, move: FloatArray, unknowns: Unknowns) -> Camera | None:
    """The camera after the move, or after so much of it that chi square falls; else None."""
    before = unknowns.chi_square(camera)
    for halving in range(HALVINGS):
        new = unknowns.stepped(camera, move * 0.5**halving)
        if unknowns.chi_square(new) <= before:
            return new
    return None
