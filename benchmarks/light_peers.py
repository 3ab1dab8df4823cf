"""What a user would otherwise find lights with, each at the best of a few thresholds."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.light_fields import LightField

FloatArray = NDArray[np.float64]
LARGEST_SIGMA_PX = 28.0
THRESHOLDS: dict[str, tuple[float, ...]] = {
    "skimage blob_log": (0.02, 0.05, 0.1, 0.2),
    "OpenCV SimpleBlobDetector": (10.0, 20.0, 40.0, 80.0),
    "photutils segmentation + deblending": (2.0, 3.0, 5.0),
}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another library's detector at one threshold."""

    name: str
    threshold: float
    run: Callable[[LightField, float], FloatArray]

    @property
    def setting(self) -> str:
        """The threshold, in words."""
        return f"threshold {self.threshold:g}"

    def find(self, field: LightField) -> FloatArray:
        """Positions in a frame, shape (N, 2)."""
        return self.run(field, self.threshold)


def tuned_peers(merit: Callable[[Peer], float]) -> list[Peer]:
    """Each peer that can be imported, at the threshold with the greatest merit."""
    runs = {
        "skimage blob_log": _blob_log,
        "OpenCV SimpleBlobDetector": _simple_blobs,
        "photutils segmentation + deblending": _photutils,
    }
    if importlib.util.find_spec("photutils") is None:
        del runs["photutils segmentation + deblending"]
    return [
        max((Peer(name=name, threshold=t, run=run) for t in THRESHOLDS[name]), key=merit)
        for name, run in runs.items()
    ]


def _display(field: LightField) -> FloatArray:
    """The picture as its JPEG shows it, 0 to 1: what these tools are given by their users."""
    light = np.clip(field.light.astype(float), 0.0, 1.0)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _blob_log(field: LightField, threshold: float) -> FloatArray:
    from skimage.feature import blob_log

    found = blob_log(
        _display(field), min_sigma=1.0, max_sigma=LARGEST_SIGMA_PX, num_sigma=8, log_scale=True,
        threshold=threshold,
    )  # fmt: skip
    return np.asarray(found[:, 1::-1], float).reshape(-1, 2)


def _simple_blobs(field: LightField, threshold: float) -> FloatArray:
    parameters = cv2.SimpleBlobDetector.Params()
    parameters.minThreshold, parameters.maxThreshold = threshold, 255.0
    parameters.thresholdStep = 8.0
    parameters.filterByColor, parameters.blobColor = True, 255
    parameters.filterByArea, parameters.minArea, parameters.maxArea = True, 2.0, 8000.0
    parameters.filterByCircularity = parameters.filterByConvexity = False
    parameters.filterByInertia = False
    parameters.minDistBetweenBlobs = 2.0
    detector = cv2.SimpleBlobDetector.create(parameters)
    found = detector.detect(np.rint(255.0 * _display(field)).astype(np.uint8))
    return np.array([point.pt for point in found], float).reshape(-1, 2)


def _photutils(field: LightField, threshold: float) -> FloatArray:
    segmentation = importlib.import_module("photutils.segmentation")
    background = importlib.import_module("photutils.background").Background2D(field.light, 128)
    light = field.light - background.background
    finder = segmentation.SourceFinder(n_pixels=5, progress_bar=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # says how it parts blends of negative light
        segments = finder(light, threshold * background.background_rms)
    if segments is None:
        return np.zeros((0, 2))
    return np.asarray(segmentation.SourceCatalog(light, segments).centroid, float)
