"""The towns of a map as a camera at some place would tell them apart, in all directions at once.

They are sought in the view around the nadir, where one filter finds towns of the size that the
photo resolves in every direction. What is found is kept as places on the ground: seen from another
position nearby it is projected anew, not sought anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.earth import incidence_deg, intersect_ellipsoid
from matchers.light_grid import LightGrid
from matchers.nadir_view import nadir_view
from matchers.towns import find_towns

FloatArray = NDArray[np.float64]

# Flatter ground is lost in haze and too compressed to tell towns apart
FARTHEST_INCIDENCE_DEG = 82.0


@dataclass(frozen=True, kw_only=True, eq=False)
class MapTowns:
    """Towns of a map.

    Attributes
    ----------
    ground_ecef_m : ndarray of float64, shape (n, 3)
        Their places, strongest first.
    contrast : ndarray of float64, shape (n,)
        How far each stands out, see `matchers.towns.find_towns`.
    """

    ground_ecef_m: FloatArray
    contrast: FloatArray

    def __len__(self) -> int:
        return len(self.contrast)

    def seen_from(self, position_ecef_m: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Unit vectors (ECEF), shape (k, 3), and contrast of those that a position sees."""
        incidence = incidence_deg(position_ecef_m, self.ground_ecef_m)
        seen = incidence < FARTHEST_INCIDENCE_DEG
        sight = self.ground_ecef_m[seen] - np.asarray(position_ecef_m, float)
        return sight / np.linalg.norm(sight, axis=1, keepdims=True), self.contrast[seen]


def towns_around(
    levels: Sequence[LightGrid],
    position_ecef_m: ArrayLike,
    focal_px: float,
    off_nadir_deg: float,
    *,
    scale_px: float,
    smooth_px: float,
    most: int,
) -> MapTowns:
    """Towns of a map that a camera at a position can tell apart.

    Parameters
    ----------
    levels : sequence of LightGrid
        Map pyramid around the position.
    position_ecef_m : array_like, shape (3,)
        Where the camera is, metres.
    focal_px : float
        Focal length of the photo's light image in which towns are sought, pixels.
    off_nadir_deg : float
        Towns are sought out to this angle from the nadir.
    scale_px, smooth_px : float
        Size of towns and blur of that image, its pixels.
    most : int
        At most so many, the strongest.

    Returns
    -------
    MapTowns
    """
    around = nadir_view(levels, position_ecef_m, focal_px, off_nadir_deg)
    view = np.asarray(cv2.GaussianBlur(around.light, (0, 0), smooth_px), np.float32)
    towns = find_towns(view, None, most, scale_px)
    ground = intersect_ellipsoid(around.position_ecef_m, around.rays_ecef(towns.x, towns.y))
    hit = np.isfinite(ground[:, 0])
    return MapTowns(ground_ecef_m=ground[hit], contrast=towns.contrast[hit])
