"""Clusters of an unlabelled folder, for a person to name."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regengine.csv_cells import name_cell, path_cell
from regengine.errors import ConfigError
from regengine.scene.clustering import Clusters, fit_gmm
from regengine.scene.result import Scene
from regengine.scene.samples import FloatArray
from regengine.scene.sheet import SheetEntry
from regengine.store.atomic import write_whole

# Fewer photos make no clusters that a person could name
LEAST_PHOTOS = 8


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A photo's place among the clusters.

    Attributes
    ----------
    scene : Scene
        What the present model says of it.
    cluster : str
        Name of its cluster, such as ``cluster_03``; the largest is the first.
    belonging : float
        Probability that it is of this cluster, by Bayes' rule.
    """

    scene: Scene
    cluster: str
    belonging: float


def propose_clusters(scenes: Sequence[Scene], *, seed: int) -> list[Proposal]:
    """Find clusters of photos that look alike (Gaussian mixture, number by BIC).

    Parameters
    ----------
    scenes : sequence of Scene
        With their features.
    seed : int
        Of the mixture's starts.

    Returns
    -------
    list of Proposal
        By cluster, the most typical photo of each first.

    Raises
    ------
    ConfigError
        Fewer than `LEAST_PHOTOS` photos.
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
    typical = _typical(clusters, features, member)
    order = sorted(range(len(scenes)), key=lambda i: (names[int(member[i])], -typical[i]))
    return [
        Proposal(
            scene=scenes[i], cluster=names[int(member[i])], belonging=float(share[i, member[i]])
        )
        for i in order
    ]


def _typical(clusters: Clusters, features: FloatArray, member: np.ndarray) -> FloatArray:
    """Log density of each photo in its own cluster."""
    joint = clusters.log_joint(features)
    return np.asarray(joint[np.arange(len(member)), member], np.float64)


def sheet_entries(proposals: Sequence[Proposal]) -> list[SheetEntry]:
    """The clusters as a contact sheet; the present model's guess stands with each photo."""
    return [
        SheetEntry(
            frame=proposal.scene.frame,
            path=proposal.scene.path,
            category=proposal.cluster,
            probabilities={
                proposal.cluster: proposal.belonging,
                proposal.scene.category: proposal.scene.probabilities[proposal.scene.category],
            },
            thumbnail=proposal.scene.thumbnail or b"",
        )
        for proposal in proposals
    ]


def write_proposals(path: Path, proposals: Sequence[Proposal]) -> None:
    """Write a table of labels to edit: replace each cluster's name by that of its class.

    Parameters
    ----------
    path : Path
        CSV file with the columns of docs/labels.md (path, label, group) and ``guess``, what the
        present model says. It must not exist: a person's labels are never overwritten.
    proposals : sequence of Proposal
        The clusters.

    Raises
    ------
    ConfigError
        The file exists or cannot be written.
    """
    if path.exists():
        raise ConfigError(f"{path} exists, perhaps with labels of yours; name another file.")
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("path", "label", "group", "guess"))
    folder = path.absolute().parent
    for proposal in proposals:
        scene = proposal.scene
        # An edit and its original have one frame id: they are never parted
        photo = os.path.relpath(scene.path.absolute(), folder)
        cells = path_cell(photo), proposal.cluster, name_cell(scene.frame), scene.category
        table.writerow(cells)
    try:
        write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror or error}).") from error
