"""What a user would otherwise find stars with, as their documentation has them called."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.starfield import Starfield

FloatArray = NDArray[np.float64]
FULL_SCALE = 65535.0
BOX_PX = 64


@dataclass(frozen=True, kw_only=True)
class StarPeer:
    """Another library's detector."""

    name: str
    find: Callable[[Starfield], FloatArray]


def star_peers() -> list[StarPeer]:
    """Each peer that can be imported."""
    known = {
        "photutils": ("photutils DAOStarFinder, 5 sigma", _photutils),
        "sep": ("SEP, 1.5 sigma, windowed", _sep),
        "tetra3rs": ("tetra3rs extract_centroids", _tetra3rs),
    }
    return [
        StarPeer(name=name, find=find)
        for module, (name, find) in known.items()
        if importlib.util.find_spec(module) is not None
    ]


def _photutils(field: Starfield) -> FloatArray:
    background = importlib.import_module("photutils.background").Background2D(field.light, BOX_PX)
    detection = importlib.import_module("photutils.detection")
    finder = detection.DAOStarFinder(
        threshold=5.0 * float(np.median(background.background_rms)), fwhm=2.5
    )
    found: Any = finder(field.light - background.background)
    if found is None:
        return np.zeros((0, 2))
    return np.column_stack([found["x_centroid"], found["y_centroid"]]).astype(float)


def _sep(field: Starfield) -> FloatArray:
    sep = importlib.import_module("sep")
    image = field.light.copy()
    sky = sep.Background(image, bw=BOX_PX, bh=BOX_PX)
    above = image - sky.back(dtype=np.float32)
    objects = sep.extract(above, 1.5, err=sky.rms(dtype=np.float32))
    radius, _ = sep.flux_radius(
        above, objects["x"], objects["y"], 6.0 * objects["a"], 0.5, normflux=objects["flux"]
    )
    sigma = np.clip(2.0 / 2.35 * np.nan_to_num(radius, nan=1.0), 0.6, 6.0)
    x, y, _ = sep.winpos(above, objects["x"], objects["y"], sigma)
    return np.column_stack([x, y])


def _tetra3rs(field: Starfield) -> FloatArray:
    tetra3rs = importlib.import_module("tetra3rs")
    image = np.rint(FULL_SCALE * np.clip(field.light, 0.0, 1.0)).astype(np.uint16)
    found = tetra3rs.extract_centroids(image, threads=1)
    h, w = image.shape
    # Its places count from the middle of the image
    return np.array(
        [[one.x + (w - 1) / 2, one.y + (h - 1) / 2] for one in found.centroids]
    ).reshape(-1, 2)
