"""Which detection is which catalogue star, once the camera is known well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from matchers.sky_camera import SkyCamera

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

# A neighbour up to so much fainter draws the centroid of a star towards itself: by 0.1 of their
# distance at 2.5 magnitudes
BLENDING_MAG = 2.5


@dataclass(frozen=True, kw_only=True, eq=False)
class StarPairs:
    """Detections and their stars.

    Attributes
    ----------
    detection, star : ndarray of int, shape (N,)
        Rows of the detections and of the catalogue.
    alone : ndarray of bool, shape (N,)
        No other star blends into it.
    """

    detection: IndexArray
    star: IndexArray
    alone: NDArray[np.bool_]


def pair_stars(
    camera: SkyCamera,
    x: FloatArray,
    y: FloatArray,
    vectors_icrs: FloatArray,
    magnitudes: FloatArray,
    *,
    tolerance_px: float,
    blend_px: float,
) -> StarPairs:
    """Pair detections and stars that are nearest to each other.

    Parameters
    ----------
    camera : SkyCamera
    x, y : ndarray, shape (D,)
        Detections, pixels.
    vectors_icrs : ndarray, shape (M, 3)
        Stars of the catalogue, as they appear.
    magnitudes : ndarray, shape (M,)
    tolerance_px : float
        Pairs are at most so far apart.
    blend_px : float
        Stars that have another one within this, at most `BLENDING_MAG` fainter, are not alone.

    Returns
    -------
    StarPairs
    """
    middle = camera.to_sky((camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0)
    corners = camera.to_sky(
        np.array([0.0, camera.width_px - 1.0] * 2), np.repeat([0.0, camera.height_px - 1.0], 2)
    )
    near = np.nonzero(vectors_icrs @ middle > (corners @ middle).min() - 0.01)[0]
    px, py = camera.project(vectors_icrs[near])
    seen = camera.sees(px, py, margin_px=blend_px)
    near, places = near[seen], np.stack([px[seen], py[seen]], axis=1)
    found = np.stack([x, y], axis=1)
    if not len(near) or not len(found):
        none = np.zeros(0, np.intp)
        return StarPairs(detection=none, star=none, alone=np.zeros(0, bool))
    sky = cKDTree(places)
    gap, star = sky.query(found, distance_upper_bound=tolerance_px)
    back = cKDTree(found).query(places)[1]
    mutual = np.nonzero(np.isfinite(gap))[0]
    mutual = mutual[back[star[mutual]] == mutual]
    star = star[mutual]
    brightness = magnitudes[near]
    others = sky.query_ball_point(places[star], blend_px)
    alone = [
        all(k == s or brightness[k] > brightness[s] + BLENDING_MAG for k in neighbours)
        for s, neighbours in zip(star.tolist(), others, strict=True)
    ]
    return StarPairs(
        detection=mutual.astype(np.intp), star=near[star], alone=np.array(alone, bool).reshape(-1)
    )
