"""Which frames a person should look at first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Proposals that need a look; those that may be used without one; frames to place from nothing;
# files that could not be read
VERDICT_ORDER = ("review", "accepted", "no_match", "failed")
# Reasons after which nothing is to be placed
NOTHING_THERE = ("not_a_night_city_frame",)


def by_doubt(
    verdicts: Sequence[str],
    verdict_codes: NDArray[Any],
    probability: NDArray[np.float64],
    nothing_there: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Rows of all frames, the most doubtful first.

    A proposal is the more doubtful the nearer its probability is to one half: there a person's
    look tells most. Frames without a proposal come after all proposals, those that hardly show
    city lights after the others.

    Parameters
    ----------
    verdicts : sequence of str
        The verdicts that there are.
    verdict_codes : ndarray of int, shape (frames,)
        Which of them each frame has.
    probability : ndarray of float64, shape (frames,)
        That the proposal is right; NaN where it is unknown.
    nothing_there : ndarray of bool, shape (frames,)
        Frames with one of the reasons `NOTHING_THERE`.

    Returns
    -------
    ndarray of int64, shape (frames,)
        Equal ones in the order of their numbers.
    """
    ranks = [
        VERDICT_ORDER.index(verdict) if verdict in VERDICT_ORDER else len(VERDICT_ORDER)
        for verdict in verdicts
    ]
    rank = np.array(ranks, dtype=np.int64)[verdict_codes]
    certainty = np.abs(np.nan_to_num(probability, nan=0.5) - 0.5)
    return np.lexsort((certainty, nothing_there, rank))
