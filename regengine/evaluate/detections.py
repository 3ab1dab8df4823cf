"""How detections are scored against the truth: found, false, and how far off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

# A detection within this of a light is that light: three pixels, as is usual for stars.
MATCH_RADIUS_PX = 3.0
# A town's centre is known to a fraction of its size: so much of its half-light radius is added.
MATCH_RADIUS_FRACTION = 0.25


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Pairs of truth and detection, one to one.

    Attributes
    ----------
    truth, found : ndarray of int, shape (M,)
        Indices of the pairs.
    distance_px : ndarray of float64, shape (M,)
        Distance within each pair.
    """

    truth: IndexArray
    found: IndexArray
    distance_px: FloatArray


@dataclass(frozen=True, kw_only=True)
class DetectionScore:
    """How a method did on some frames.

    Attributes
    ----------
    frames : int
        Number of frames.
    wanted, found : int
        True lights that had to be found, and those of them that were.
    wanted_flux, found_flux : float
        The same in flux; NaN where the truth has none.
    detections, false : int
        Detections, and those that are no true light.
    distance_px : ndarray of float64, shape (found,)
        Centroid errors of the wanted lights that were found.
    seconds : float
        Time of all frames.
    """

    frames: int
    wanted: int
    found: int
    wanted_flux: float
    found_flux: float
    detections: int
    false: int
    distance_px: FloatArray
    seconds: float

    @property
    def completeness(self) -> float:
        """Found fraction of the wanted lights; NaN where none were wanted."""
        return self.found / self.wanted if self.wanted else float("nan")

    @property
    def flux_completeness(self) -> float:
        """Found fraction of the wanted lights' flux; NaN where fluxes are unknown."""
        return self.found_flux / self.wanted_flux if self.wanted_flux else float("nan")

    @property
    def false_fraction(self) -> float:
        """Fraction of the detections that are no true light; NaN without detections."""
        return self.false / self.detections if self.detections else float("nan")

    def error_px(self, quantile: float) -> float:
        """Quantile of the centroid errors; NaN where nothing was found."""
        return float(np.quantile(self.distance_px, quantile)) if self.found else float("nan")


def match_positions(
    truth_xy: FloatArray, found_xy: FloatArray, tolerance_px: FloatArray
) -> Matches:
    """Pair detections with true lights, nearest first, each used once.

    Parameters
    ----------
    truth_xy, found_xy : ndarray of float64, shape (N, 2) and (M, 2)
        Positions, pixels.
    tolerance_px : ndarray of float64, shape (N,)
        How far a detection may lie from each true light; pairs are ranked by distance over this.

    Returns
    -------
    Matches
    """
    none = Matches(truth=np.zeros(0, np.intp), found=np.zeros(0, np.intp), distance_px=np.zeros(0))
    if len(truth_xy) == 0 or len(found_xy) == 0:
        return none
    near = cKDTree(found_xy).query_ball_point(truth_xy, tolerance_px)
    truth = np.repeat(np.arange(len(truth_xy)), [len(found) for found in near])
    if truth.size == 0:
        return none
    found = np.concatenate([np.asarray(indices, np.intp) for indices in near])
    distance = np.hypot(*(truth_xy[truth] - found_xy[found]).T)
    free_truth, free_found = np.ones(len(truth_xy), bool), np.ones(len(found_xy), bool)
    taken = []
    for pair in np.argsort(distance / tolerance_px[truth], kind="stable"):
        if free_truth[truth[pair]] and free_found[found[pair]]:
            free_truth[truth[pair]] = free_found[found[pair]] = False
            taken.append(pair)
    return Matches(truth=truth[taken], found=found[taken], distance_px=distance[taken])


def match_tolerance_px(radius_px: FloatArray) -> FloatArray:
    """How far off a detection of a light of that half-light radius may lie; NaN: a point."""
    return MATCH_RADIUS_PX + MATCH_RADIUS_FRACTION * np.nan_to_num(radius_px)


def score_frame(
    matches: Matches,
    wanted: NDArray[np.bool_],
    detections: int,
    *,
    flux: FloatArray | None = None,
    seconds: float = 0.0,
) -> DetectionScore:
    """Score one frame.

    Parameters
    ----------
    matches : Matches
        Pairs of true lights and detections.
    wanted : ndarray of bool, shape (N,)
        True lights that have to be found. A detection of one of the others is not false.
    detections : int
        Number of detections.
    flux : ndarray of float64, shape (N,), optional
        Fluxes of the true lights.
    seconds : float, optional
        Time that the detection took.

    Returns
    -------
    DetectionScore
    """
    known = wanted[matches.truth]
    weights = np.full(wanted.size, np.nan) if flux is None else flux
    return DetectionScore(
        frames=1,
        wanted=int(wanted.sum()),
        found=int(known.sum()),
        wanted_flux=float(weights[wanted].sum()),
        found_flux=float(weights[matches.truth[known]].sum()),
        detections=detections,
        false=detections - matches.found.size,
        distance_px=matches.distance_px[known],
        seconds=seconds,
    )


def total_score(scores: Sequence[DetectionScore]) -> DetectionScore:
    """The score of several frames together."""
    return DetectionScore(
        frames=sum(s.frames for s in scores),
        wanted=sum(s.wanted for s in scores),
        found=sum(s.found for s in scores),
        wanted_flux=sum(s.wanted_flux for s in scores),
        found_flux=sum(s.found_flux for s in scores),
        detections=sum(s.detections for s in scores),
        false=sum(s.false for s in scores),
        distance_px=np.concatenate([np.zeros(0), *(s.distance_px for s in scores)]),
        seconds=sum(s.seconds for s in scores),
    )
