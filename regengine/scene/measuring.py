"""The features of labelled photos; those that cannot be read are told and left out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np

from regengine.errors import FrameError
from regengine.scene.features import feature_names, measure_features
from regengine.scene.labels import SceneLabel
from regengine.scene.picture import read_scene_picture
from regengine.scene.samples import FloatArray


def measure_photos(
    labels: Sequence[SceneLabel], *, advance: Callable[[], None] = lambda: None
) -> tuple[list[SceneLabel], FloatArray]:
    """Measure the features of photos.

    Parameters
    ----------
    labels : sequence of SceneLabel
        The photos.
    advance : callable, optional
        Called after each photo.

    Returns
    -------
    labels : list of SceneLabel, length N
        Of the photos that could be read; an error is logged for each of the others.
    features : ndarray of float64, shape (N, F)
    """
    read, rows = [], []
    for label in labels:
        try:
            rows.append(measure_features(read_scene_picture(label.path)))
            read.append(label)
        except FrameError as error:
            logging.getLogger("regengine").error("Error: %s", error)
        advance()
    return read, np.array(rows, np.float64).reshape(len(rows), len(feature_names()))
