"""Cluster unlabelled photos, and write a table in which a person names the clusters' classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from regengine.errors import ConfigError
from regengine.io.atomic import write_whole
from regengine.io.tables import csv_lines, name_cell, path_cell
from regengine.scene.models import fit_gmm
from regengine.scene.result import Scene

# With fewer photos, clusters are not meaningful
MIN_PHOTOS = 8


@dataclass(frozen=True, kw_only=True)
class ClusterProposal:
    """A photo, its most probable cluster, and the probability."""

    scene: Scene  # answer of the present model
    cluster: str  # such as ``cluster_03``, numbered by decreasing size
    share: float  # probability of the cluster by Bayes' rule

    def for_sheet(self) -> Scene:
        """The scene with its cluster as category for the contact sheet, with the model's guess."""
        guess = self.scene.category
        return replace(
            self.scene,
            category=self.cluster,
            probabilities={self.cluster: self.share, guess: self.scene.probabilities[guess]},
            explained=True,
            disagreement=None,
        )


def propose_clusters(scenes: Sequence[Scene], *, seed: int) -> list[ClusterProposal]:
    """Find clusters of photos that look alike (Gaussian mixture, number by BIC).

    They come by cluster, the most typical photo of each first. Raises ConfigError if there are
    fewer than `MIN_PHOTOS` photos.
    """
    if len(scenes) < MIN_PHOTOS:
        raise ConfigError(
            f"clusters need at least {MIN_PHOTOS} photos, not {len(scenes)}; give a larger folder."
        )
    features = np.array([list((scene.features or {}).values()) for scene in scenes], np.float64)
    mixture = fit_gmm(features, seed=seed)
    share = mixture.responsibilities(features)
    member = share.argmax(axis=1)
    sizes = np.bincount(member, minlength=share.shape[1])
    names = {int(k): f"cluster_{i:02d}" for i, k in enumerate(np.argsort(-sizes, kind="stable"), 1)}
    # Log density of each photo in its own cluster
    typical = mixture.log_joint(features)[np.arange(len(member)), member]
    order = sorted(range(len(scenes)), key=lambda i: (names[int(member[i])], -typical[i]))
    return [
        ClusterProposal(
            scene=scenes[i], cluster=names[int(member[i])], share=float(share[i, member[i]])
        )
        for i in order
    ]


def write_proposals(path: Path, proposals: Sequence[ClusterProposal]) -> None:
    """Write a table of labels to edit: replace each cluster's name by that of its class.

    A CSV file with the columns of docs/labels.md (path, label, group) and ``guess``, what the
    present model says. Raises ConfigError if it exists (a person's labels are never overwritten) or
    cannot be written.
    """
    if path.exists():
        raise ConfigError(f"{path} exists and may hold your labels; name another file.")
    rows: list[tuple[object, ...]] = [("path", "label", "group", "guess")]
    folder = path.absolute().parent
    for proposal in proposals:
        scene = proposal.scene
        # An edited copy and its original have the same frame id, which keeps them in one group
        photo = os.path.relpath(scene.path.absolute(), folder)
        rows.append((path_cell(photo), proposal.cluster, name_cell(scene.frame), scene.category))
    text = "".join(f"{line}\n" for line in csv_lines(rows))
    try:
        write_whole(path, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror or error}).") from error
