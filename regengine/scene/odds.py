"""From scores to probabilities: Platt's curve through answers about photos that were left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from regengine.scene.samples import FloatArray, IndexArray

# A photo beyond the gate is rather `OTHER` than not, however few fell before it
LEAST_UNEXPLAINED = 0.51
# Slopes between these: a class model that is worse than chance must not be turned round
LEAST_SLOPE, MOST_SLOPE = 1e-3, 1e2


@dataclass(frozen=True, kw_only=True)
class Odds:
    """Score → probability.

    ``s = floor + (1 - floor) * sigmoid(slope * score + lead * ahead + offset)`` for each class,
    where ``ahead`` is how far its score is before the best of all others, and of that
    ``s - (1 - ceiling) * s ** (1 / (1 - ceiling))``: it rises to the ceiling and is nearly s below,
    so that a class of few photos is at no disadvantage where the picture leaves doubts. A photo
    that the gate does not explain is `OTHER` with a probability of at least ``unexplained``, and
    anything else with at most the rest.

    Attributes
    ----------
    slope, lead, offset : float
        Of all classes together: a class of three photos has no curve of its own. The lead tells
        the class that is ahead of all others, however low its score.
    floor : float
        No probability is below.
    ceiling : ndarray of float64, shape (C,)
        None is above: after n groups of a class that were all told, the next is with a probability
        of (n + 1) / (n + 2) (Laplace's rule of succession).
    unexplained : float
        From the photos that the gate let fall, `LEAST_UNEXPLAINED` at least.
    """

    slope: float
    lead: float
    offset: float
    floor: float
    ceiling: FloatArray
    unexplained: float

    def probabilities(
        self, scores: FloatArray, explained: NDArray[np.bool_], other: int
    ) -> FloatArray:
        """Probability of each class, never 0 or 1.

        Parameters
        ----------
        scores : ndarray of float64, shape (N, C)
            Of the classifier.
        explained : ndarray of bool, shape (N,)
            Of the gate.
        other : int
            Index of the class `OTHER`.

        Returns
        -------
        ndarray of float64, shape (N, C)
            Need not sum to one: a photo may show several classes.
        """
        curve = expit(self.slope * scores + self.lead * ahead(scores) + self.offset)
        s = self.floor + (1.0 - self.floor) * curve
        bent = s - (1.0 - self.ceiling) * s ** (1.0 / (1.0 - self.ceiling))
        p = np.asarray(np.clip(bent, self.floor, self.ceiling), np.float64)
        odd = ~explained
        let_in = p[odd, other]
        p[odd] = np.minimum(p[odd], 1.0 - self.unexplained)
        p[odd, other] = np.maximum(let_in, self.unexplained)
        return p


def ahead(scores: FloatArray) -> FloatArray:
    """How far each score is before the greatest other of its row; shape (N, C), C at least 2."""
    two = np.sort(scores, axis=1)[:, -2:]
    greatest = scores == two[:, 1:]
    return np.where(greatest, scores - two[:, :1], scores - two[:, 1:])


def most_probable(
    probabilities: FloatArray, explained: NDArray[np.bool_], other: int
) -> IndexArray:
    """Index of the class that photos show above all, shape (N,); `OTHER` if unexplained."""
    return np.where(explained, probabilities.argmax(axis=1), other).astype(np.intp)


def fit_odds(
    scores: FloatArray,
    targets: NDArray[np.bool_],
    explained: NDArray[np.bool_],
    weights: FloatArray,
    groups: IndexArray,
    other: int,
) -> Odds:
    """Fit the curve to scores of photos that the classifier had not seen.

    Platt's smoothed targets (1999) stand for certainty, so that few photos never give a step.

    Parameters
    ----------
    scores : ndarray of float64, shape (N, C)
        Out-of-fold scores.
    targets : ndarray of bool, shape (N, C)
        Which classes the photos show.
    explained : ndarray of bool, shape (N,)
        Out-of-fold answers of the gate.
    weights : ndarray of float64, shape (N,)
        Votes of each photo.
    groups : ndarray of int, shape (C,)
        Groups of each class in training, a simulated frame being one.
    other : int
        Index of the class `OTHER`.

    Returns
    -------
    Odds
    """
    w = np.repeat(weights[:, None], scores.shape[1], axis=1)
    positive, negative = float(w[targets].sum()), float(w[~targets].sum())
    wanted = np.where(targets, (positive + 1.0) / (positive + 2.0), 1.0 / (negative + 2.0))

    def loss(parameters: FloatArray) -> float:
        slope, lead = np.exp(parameters[:2])
        logit = slope * scores + lead * leads + parameters[2]
        return float(np.sum(w * (np.logaddexp(0.0, logit) - wanted * logit)) / w.sum())

    leads, slopes = ahead(scores), (np.log(LEAST_SLOPE), np.log(MOST_SLOPE))
    bounds = [slopes, slopes, (-20.0, 20.0)]
    found = minimize(loss, [0.0, -2.0, 0.0], bounds=bounds, method="L-BFGS-B").x
    dropped = weights[~explained]
    strange = weights[~explained & targets[:, other]]
    ceiling = (groups + 1.0) / (groups + 2.0)
    share = (strange.sum() + 1.0) / (dropped.sum() + 2.0)
    most = max(float(ceiling[other]), LEAST_UNEXPLAINED)
    return Odds(
        slope=float(np.exp(found[0])),
        lead=float(np.exp(found[1])),
        offset=float(found[2]),
        floor=float(1.0 / (groups.sum() + 2.0)),
        ceiling=ceiling,
        unexplained=float(np.clip(share, LEAST_UNEXPLAINED, most)),
    )
