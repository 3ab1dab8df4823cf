"""Stars about a known vertical: which turn about it brings detections onto a catalogue.

With the zenith known in the picture and among the stars, what is left of the attitude is one angle.
Every pair of a detection and a star at the same angle from the vertical votes for the turn that
brings one onto the other (a Hough transform of one dimension). What a wrong vertical leaves is a
shift of the picture, for which pairs vote in turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.types import FloatArray

BIN_DEG = 0.5


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A rotation from the camera's frame to the stars', and how many detections vote for it."""

    votes: float
    matrix: FloatArray


def about(axis: FloatArray) -> FloatArray:
    """Right-handed axes whose third is a direction, as the columns of a matrix (3, 3)."""
    side = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(axis, side), axis], axis=1)


def best_turns(
    rays: FloatArray,
    nadir: FloatArray,
    stars: FloatArray,
    down: FloatArray,
    tolerance_deg: float,
    count: int,
) -> list[Turn]:
    """Turns about the vertical that bring most detections near stars.

    Parameters
    ----------
    rays : ndarray of float64, shape (n, 3)
        Unit vectors of detections in the camera's frame.
    nadir : ndarray of float64, shape (3,)
        Direction of the nadir there.
    stars : ndarray of float64, shape (m, 3)
        Unit vectors of stars.
    down : ndarray of float64, shape (3,)
        Direction of the nadir among them.
    tolerance_deg : float
        How far the two nadirs may be apart: of the angles from them.
    count : int
        How many turns.

    Returns
    -------
    list of Turn
        Most votes first.
    """
    seen_axes, true_axes = about(nadir), about(down)
    seen, true = rays @ seen_axes, stars @ true_axes
    seen_off = np.arccos(np.clip(seen[:, 2], -1.0, 1.0))
    true_off = np.arccos(np.clip(true[:, 2], -1.0, 1.0))
    reach = np.radians(tolerance_deg)
    ring = (true_off > seen_off.min() - reach) & (true_off < seen_off.max() + reach)
    true, true_off = true[ring], true_off[ring]
    near = np.abs(seen_off[:, None] - true_off[None, :]) < reach
    first, second = np.nonzero(near)
    azimuth = np.arctan2(true[second, 1], true[second, 0])
    azimuth = np.degrees(azimuth - np.arctan2(seen[first, 1], seen[first, 0])) % 360.0
    bins = round(360.0 / BIN_DEG)
    met = np.zeros((len(rays), bins), bool)
    met[first, (azimuth / BIN_DEG).astype(int) % bins] = True
    # What lies on the edge of two bins counts in both; a detection counts once, however many stars
    # there are
    met |= np.roll(met, 1, axis=1) | np.roll(met, -1, axis=1)
    votes = met.sum(axis=0).astype(float)
    found = []
    for _ in range(count):
        best = int(np.argmax(votes))
        angle = np.radians((best + 0.5) * BIN_DEG)
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        found.append(Turn(votes=float(votes[best]), matrix=true_axes @ turn @ seen_axes.T))
        votes[np.arange(best - 3, best + 4) % bins] = -1.0
    return found


def best_shift(
    found: FloatArray, there: FloatArray, reach_px: float, cell_px: float
) -> tuple[float, FloatArray]:
    """The shift that brings most detections onto stars.

    Parameters
    ----------
    found : ndarray of float64, shape (n, 2)
        Detections, pixels.
    there : ndarray of float64, shape (m, 2)
        Stars, pixels.
    reach_px : float
        The largest shift along either axis.
    cell_px : float
        Shifts within so much of each other are one.

    Returns
    -------
    votes : float
        How many detections meet stars within a cell or its neighbours.
    shift : ndarray of float64, shape (2,)
        From detections to stars, pixels.
    """
    side = 2 * int(np.ceil(reach_px / cell_px)) + 1
    apart = there[None, :, :] - found[:, None, :]
    cell = np.round(apart / cell_px).astype(int) + side // 2
    inside = ((cell >= 0) & (cell < side)).all(axis=2)
    which, star = np.nonzero(inside)
    met = np.zeros((len(found), side + 2, side + 2), bool)
    column, row = cell[which, star].T
    for right in (0, 1, 2):
        for lower in (0, 1, 2):
            met[which, column + right, row + lower] = True
    votes = met.sum(axis=0)
    best = np.unravel_index(int(np.argmax(votes)), votes.shape)
    return float(votes[best]), (np.array(best, float) - 1.0 - side // 2) * cell_px
