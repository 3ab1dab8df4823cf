"""Labelled photos: the tables of docs/labels.md, feature rows, and cross-validation folds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from regengine.errors import ConfigError, NoPhotoError
from regengine.io.tables import csv_rows

REQUIRED_COLUMNS = ("path", "label")
SEPARATOR = ";"
# The class of photos that no other class describes; every model has it
OTHER = "other"
# The classes of the shipped model, in the order of tables
USUAL_CLASSES = (
    *("cities", "stars", "aurora", "inside", "day", "infrared", "night_nocity"),
    *("sunset_sunrise", "moon", OTHER),
)
# All simulated frames of a class count as at most this many groups: they must help where photos are
# few and not outvote them where there are many
SIMULATED_VOTES = 5.0
FOLDS = 10
# Classes with fewer groups are tested by leave-one-group-out, and are not scored
MIN_GROUPS = 5

IndexArray = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class SceneLabel:
    """A person's labels of a photo."""

    path: Path
    labels: tuple[str, ...]  # its classes, most important first; at least one
    # Photos of one group, such as a sequence or copies of one frame, are similar: they are never
    # split between training and test
    group: str


def read_scene_labels(path: Path) -> list[SceneLabel]:
    """Read a table of labelled photos, in the order of its rows.

    CSV with the columns path, label and optionally group; others are ignored. A label may contain
    several classes, separated by semicolons; the first is the main content. Relative paths start at
    the table's folder; a photo without a group is a group of its own. Raises ConfigError if the
    file cannot be read, lacks a column or has no row, a path or label is empty, or a photo is
    labelled twice.
    """
    found: dict[str, SceneLabel] = {}
    advice = f"the first line must name {', '.join(REQUIRED_COLUMNS)}"
    for where, row in csv_rows(path, REQUIRED_COLUMNS, advice):
        photo = row["path"]
        if photo in found:
            raise ConfigError(f"{where}: {photo} is labelled twice; keep one row.")
        parts = [part.strip() for part in row["label"].split(SEPARATOR)]
        labels = tuple(dict.fromkeys(part for part in parts if part))
        if not photo or not labels:
            what = "label" if photo else "path"
            raise ConfigError(f"{where}: the {what} is empty; write one or remove the row.")
        group = row.get("group", "")
        found[photo] = SceneLabel(path=path.parent / photo, labels=labels, group=group or photo)
    if not found:
        raise ConfigError(f"{path} labels no photo: add one row per photo, path, label.")
    return list(found.values())


def check_photos_exist(labels: Path, photos: Iterable[Path]) -> None:
    """Raise NoPhotoError if no photo of a table of labels exists."""
    if not any(path.exists() for path in photos):
        raise NoPhotoError(
            f"none of the photos of {labels} exists: paths are relative to its folder."
        )


@dataclass(frozen=True, kw_only=True)
class LabelledFeatures:
    """Features of labelled photos."""

    features: FloatArray  # shape (N, F): in the order of `regengine.scene.features.feature_names`
    labels: tuple[tuple[str, ...], ...]  # length N: classes of each photo, most important first
    groups: tuple[str, ...]  # length N: a group is never split between training and test
    # Shape (N,): True for simulated frames and for altered copies, which have their photos' groups:
    # both are used only in training
    simulated: NDArray[np.bool_]
    names: tuple[str, ...]  # length N: for reports
    # Length C: all classes, including `OTHER`; by default those of the labels
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.classes:
            # The usual classes first, in their order, `OTHER` last
            found = {label for labels in self.labels for label in labels} - {OTHER}
            known = [name for name in USUAL_CLASSES if name in found]
            classes = (*known, *sorted(found - set(known)), OTHER)
            object.__setattr__(self, "classes", classes)

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
    def copies(self) -> NDArray[np.bool_]:
        """Which rows are altered copies of photos, shape (N,)."""
        groups = np.array(self.groups)
        return np.asarray(self.simulated & np.isin(groups, groups[~self.simulated]))

    @cached_property
    def weights(self) -> FloatArray:
        """One vote per group, shape (N,): each row has the weight one over the rows of its group.

        The simulated frames of a class share `SIMULATED_VOTES`, or have one each if that is less.
        """
        alone = self.simulated & ~self.copies
        drawn = np.bincount(self.primary[alone], minlength=len(self.classes))
        shared = np.minimum(1.0, SIMULATED_VOTES / np.maximum(drawn, 1))[self.primary]
        of = np.unique(np.array(self.groups), return_inverse=True)[1]
        return np.where(alone, shared, 1.0 / np.bincount(of)[of])

    def subset(self, index: Sequence[int] | IndexArray | NDArray[np.bool_]) -> LabelledFeatures:
        """Some of the rows, with all classes."""
        taken = np.arange(len(self))[np.asarray(index)]
        return LabelledFeatures(
            features=self.features[taken],
            labels=tuple(self.labels[i] for i in taken),
            groups=tuple(self.groups[i] for i in taken),
            simulated=self.simulated[taken],
            names=tuple(self.names[i] for i in taken),
            classes=self.classes,
        )

    def simulated_counts(self) -> IndexArray:
        """Number of simulated frames that show each class, without copies of photos, shape (C,)."""
        return np.asarray(self.targets[self.simulated & ~self.copies].sum(axis=0), np.intp)

    def group_counts(self) -> IndexArray:
        """Number of groups of real photos that show each class, shape (C,)."""
        return self._count_groups(self.targets)

    def primary_group_counts(self) -> IndexArray:
        """Number of groups of real photos whose first class is each class, shape (C,)."""
        return self._count_groups(self.primary[:, None] == np.arange(len(self.classes)))

    def _count_groups(self, shows: NDArray[np.bool_]) -> IndexArray:
        groups = np.array(self.groups)
        return np.array([len(set(groups[one & ~self.simulated])) for one in shows.T], np.intp)


def deal_folds(
    samples: LabelledFeatures, *, count: int = FOLDS, seed: int = 0, alone_below: int = MIN_GROUPS
) -> list[tuple[IndexArray, IndexArray]]:
    """Split the real photos into folds by groups, stratified by class.

    There are `count` folds, or fewer if there are fewer groups. Groups with a photo whose first
    class has fewer groups than `alone_below` are a fold each: leaving out more of them would leave
    too few for training. Each real photo is tested once. Simulated frames are used only in
    training, and are excluded if they share a group with a tested photo. Returns the rows that
    train a model and the rows that test it, of each fold, as scikit-learn's splitters do.
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
    # Distributed class by class: each fold gets its share of every class
    shared.sort(key=lambda group: max(set(classes_of[group]), key=classes_of[group].count))
    dealt = [shared[start::count] for start in range(min(count, len(shared)))]
    tested = [np.isin(groups, fold) for fold in [*dealt, *([group] for group in sorted(alone))]]
    return [(np.flatnonzero(~left), np.flatnonzero(left & real)) for left in tested]
