"""Which supervised model suits the photos: the choice sees training rows alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regengine.scene.measures import balanced_log_loss
from regengine.scene.samples import Samples, grouped_folds
from regengine.scene.supervised import CANDIDATES, Candidate, fit_candidates

INNER_FOLDS = 5


def choose_candidate(
    samples: Samples, *, seed: int, candidates: Sequence[Candidate] = CANDIDATES
) -> Candidate:
    """The supervised model that does best on groups left out, of equals the simplest."""
    folds = [
        fold
        for fold in grouped_folds(samples, count=INNER_FOLDS, seed=seed, alone_below=0)
        if len(np.unique(samples.primary[fold.train])) > 1
    ]
    if not folds:
        return candidates[0]
    rows = np.concatenate([fold.test for fold in folds])
    told = [
        [model.scores(samples.features[fold.test]) for model in fit_candidates(candidates, train)]
        for fold, train in ((fold, samples.subset(fold.train)) for fold in folds)
    ]
    losses = [
        balanced_log_loss(np.concatenate(scores), samples.primary[rows], samples.weights[rows])
        for scores in zip(*told, strict=True)
    ]
    losses = [round(loss, 9) for loss in losses]
    return candidates[losses.index(min(losses))]
