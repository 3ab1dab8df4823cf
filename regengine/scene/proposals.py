"""Clusters of photos without labels, proposed as a table in which a person names their classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from regengine.errors import ConfigError
from regengine.io.atomic import write_whole
from regengine.io.tables import csv_lines, name_cell, path_cell
from regengine.scene.clustering import fit_gmm
from regengine.scene.result import Scene

# Fewer photos make no clusters that a person could name
LEAST_PHOTOS = 8


def propose_clusters(scenes: Sequence[Scene], *, seed: int) -> list[Scene]:
    """Find clusters of photos that look alike (Gaussian mixture, number by BIC).

    The category of each scene becomes the name of its cluster, such as ``cluster_03`` (the largest
    is the first), with the probability that it belongs there, by Bayes' rule; beside it stands what
    the present model says alone. They come by cluster, the most typical photo of each first.

    Raises ConfigError if there are fewer than `LEAST_PHOTOS` photos.
    """
    if len(scenes) < LEAST_PHOTOS:
        raise ConfigError(
            f"clusters need {LEAST_PHOTOS} photos or more, not {len(scenes)}; give a larger folder."
        )
    features = np.array([list((scene.features or {}).values()) for scene in scenes], np.float64)
    clusters = fit_gmm(features, seed=seed)
    share = clusters.responsibilities(features)
    member = share.argmax(axis=1)
    sizes = np.bincount(member, minlength=share.shape[1])
    names = {int(k): f"cluster_{i:02d}" for i, k in enumerate(np.argsort(-sizes, kind="stable"), 1)}
    # Log density of each photo in its own cluster
    typical = clusters.log_joint(features)[np.arange(len(member)), member]
    order = sorted(range(len(scenes)), key=lambda i: (names[int(member[i])], -typical[i]))
    return [
        replace(
            scenes[i],
            category=names[int(member[i])],
            probabilities={
                names[int(member[i])]: float(share[i, member[i]]),
                scenes[i].category: scenes[i].probabilities[scenes[i].category],
            },
            explained=True,
            disagreement=None,
        )
        for i in order
    ]


def guess_of(proposed: Scene) -> str:
    """What the present model says of a photo of `propose_clusters`."""
    return list(proposed.probabilities)[1]


def write_proposals(path: Path, proposals: Sequence[Scene]) -> None:
    """Write a table of labels to edit: replace each cluster's name by that of its class.

    A CSV file with the columns of docs/labels.md (path, label, group) and ``guess``, what the
    present model says. Raises ConfigError if it exists (a person's labels are never overwritten) or
    cannot be written.
    """
    if path.exists():
        raise ConfigError(f"{path} exists, perhaps with labels of yours; name another file.")
    rows: list[tuple[object, ...]] = [("path", "label", "group", "guess")]
    folder = path.absolute().parent
    for scene in proposals:
        # An edit and its original have one frame id: they are never parted
        photo = os.path.relpath(scene.path.absolute(), folder)
        rows.append((path_cell(photo), scene.category, name_cell(scene.frame), guess_of(scene)))
    text = "".join(f"{line}\n" for line in csv_lines(rows))
    try:
        write_whole(path, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror or error}).") from error
