"""Which photos train and which test: a group is never parted."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from regengine.scene.samples import IndexArray, Samples

FOLDS = 10
# Classes with fewer groups are tested by leaving out one group at a time, and are not scored
LEAST_GROUPS = 5


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Rows that train a model and rows that test it, shapes (N,) and (M,)."""

    train: IndexArray
    test: IndexArray


def grouped_folds(
    samples: Samples, *, count: int = FOLDS, seed: int = 0, alone_below: int = LEAST_GROUPS
) -> tuple[Fold, ...]:
    """Deal the groups of real photos into folds, the classes evenly.

    Parameters
    ----------
    samples : Samples
        What is divided.
    count : int
        Folds that the groups are dealt into; fewer where there are fewer groups.
    seed : int
        Of the order in which they are dealt.
    alone_below : int
        Groups with a photo whose first class has fewer groups than this are a fold each: leaving
        out more of them would leave too few to learn from.

    Returns
    -------
    tuple of Fold
        Each real photo is tested once. Simulated frames are in training alone, and not even there
        if they share a group with a tested photo.
    """
    groups = np.array(samples.groups)
    real = ~samples.simulated
    classes_of: dict[str, list[int]] = defaultdict(list)
    for group, kind in zip(groups[real].tolist(), samples.primary[real].tolist(), strict=True):
        classes_of[group].append(kind)
    groups_of = np.bincount(
        [kind for kinds in classes_of.values() for kind in set(kinds)],
        minlength=len(samples.classes),
    )
    alone = {group for group, kinds in classes_of.items() if groups_of[kinds].min() < alone_below}
    rng = np.random.default_rng(seed)
    shared = [group for group in rng.permutation(sorted(classes_of)).tolist() if group not in alone]
    # Dealt class after class: each fold gets its share of every class
    shared.sort(key=lambda group: max(set(classes_of[group]), key=classes_of[group].count))
    dealt = [shared[start::count] for start in range(min(count, len(shared)))]
    tested = [np.isin(groups, fold) for fold in [*dealt, *([group] for group in sorted(alone))]]
    return tuple(
        Fold(train=np.flatnonzero(~left_out), test=np.flatnonzero(left_out & real))
        for left_out in tested
    )
