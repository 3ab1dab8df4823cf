"""Labelled rows of features: what models are trained on and judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from regengine.scene.labels import OTHER, in_usual_order

# As many groups as all simulated frames of a class count for: they must help where photos are few
# and not outvote them where there are many
SIMULATED_VOTES = 5.0

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Features of labelled photos.

    Attributes
    ----------
    features : ndarray of float64, shape (N, F)
        In the order of `regengine.scene.features.feature_names`.
    labels : tuple of tuple of str, length N
        What each photo shows, most important first.
    groups : tuple of str, length N
        Photos of one group are never parted into training and test.
    simulated : ndarray of bool, shape (N,)
        Simulated frames, which are used in training alone.
    names : tuple of str, length N
        For reports.
    classes : tuple of str, length C
        All classes, `OTHER` among them; those of the labels where not given.
    """

    features: FloatArray
    labels: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]
    simulated: NDArray[np.bool_]
    names: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.classes:
            found = {label for labels in self.labels for label in labels}
            object.__setattr__(self, "classes", in_usual_order(found | {OTHER}))

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def primary(self) -> IndexArray:
        """Index of each photo's first class, shape (N,)."""
        order = {name: index for index, name in enumerate(self.classes)}
        return np.array([order[labels[0]] for labels in self.labels], np.intp)

    @cached_property
    def targets(self) -> NDArray[np.bool_]:
        """Which classes each photo shows, shape (N, C)."""
        return np.array([[name in labels for name in self.classes] for labels in self.labels])

    @cached_property
    def weights(self) -> FloatArray:
        """One vote a group, shape (N,): each photo counts as one over the size of its group.

        The simulated frames of a class share `SIMULATED_VOTES`, or have one each if that is less.
        """
        of, sizes = np.unique(np.array(self.groups), return_inverse=True, return_counts=True)[1:]
        drawn = np.bincount(self.primary[self.simulated], minlength=len(self.classes))
        shared = np.minimum(1.0, SIMULATED_VOTES / np.maximum(drawn, 1))[self.primary]
        return np.where(self.simulated, shared, 1.0 / sizes[of])

    def subset(self, index: Sequence[int] | IndexArray | NDArray[np.bool_]) -> Samples:
        """Some of the rows, with the classes of all."""
        taken = np.arange(len(self))[np.asarray(index)]
        return Samples(
            features=self.features[taken],
            labels=tuple(self.labels[i] for i in taken),
            groups=tuple(self.groups[i] for i in taken),
            simulated=self.simulated[taken],
            names=tuple(self.names[i] for i in taken),
            classes=self.classes,
        )

    def group_counts(self) -> IndexArray:
        """Number of groups of real photos that show each class, shape (C,)."""
        groups = np.array(self.groups)
        return np.array(
            [len(set(groups[shows & ~self.simulated])) for shows in self.targets.T], np.intp
        )


def joined(parts: Sequence[Samples]) -> Samples:
    """Several sets of samples as one, with the classes of all."""
    return Samples(
        features=np.concatenate([part.features for part in parts]),
        labels=tuple(labels for part in parts for labels in part.labels),
        groups=tuple(group for part in parts for group in part.groups),
        simulated=np.concatenate([part.simulated for part in parts]),
        names=tuple(name for part in parts for name in part.names),
    )
