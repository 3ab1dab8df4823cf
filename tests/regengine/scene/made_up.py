"""Gaussian classes of known truth, in place of measured features."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from regengine.scene.features import feature_names
from regengine.scene.labels import Samples

CENTRES = {"cities": 0, "day": 1, "inside": 2}
WIDTH = 0.4


def draw(kind: str, count: int, rng: np.random.Generator, features: int) -> np.ndarray:
    """Rows about a corner of the cube, six widths from the other classes."""
    centre = np.zeros(features)
    centre[CENTRES[kind] :: len(CENTRES)] = 6.0 * WIDTH / np.sqrt(features / len(CENTRES))
    return centre + WIDTH * rng.normal(size=(count, features))


def samples(per_class: int = 24, of_group: int = 2, seed: int = 0, features: int = 0) -> Samples:
    """Three classes, groups of equal size; as many features as are measured if not told."""
    features = features or len(feature_names())
    rng = np.random.default_rng(seed)
    return labelled(
        np.concatenate([draw(kind, per_class, rng, features) for kind in CENTRES]),
        [(kind,) for kind in CENTRES for _ in range(per_class)],
        [f"{kind}{n // of_group}" for kind in CENTRES for n in range(per_class)],
    )


def labelled(
    features: np.ndarray,
    labels: Iterable[tuple[str, ...]],
    groups: Iterable[object],
    simulated: Iterable[bool] | None = None,
) -> Samples:
    """Samples of rows; photos, unless it says which are simulated."""
    drawn = np.zeros(len(features), bool) if simulated is None else np.array(simulated, bool)
    return Samples(
        features=features,
        labels=tuple(labels),
        groups=tuple(map(str, groups)),
        simulated=drawn,
        names=tuple(f"photo{n}" for n in range(len(features))),
    )


def with_more(made: Samples, features: np.ndarray, label: str, groups: Iterable[object]) -> Samples:
    """Samples and more photos of one class."""
    return labelled(
        np.concatenate([made.features, features]),
        [*made.labels, *[(label,)] * len(features)],
        [*made.groups, *groups],
    )
