"""Places: clusters of frames on the sphere, none wider than a city and what belongs to it.

DBSCAN (Ester et al. 1996, KDD-96, 226) with great-circle distances finds them. Where photos are
many, clusters touch and would run on along a coast or a valley; a cluster that is too wide is
clustered again, with more and more frames needed about its cores, until the crowded middles come
apart (the levels of density that HDBSCAN looks through as well). What is left over goes to the
nearest of these middles.

Frames are first counted in cells, and cells are clustered by their frames' mean direction: time
and memory depend on how much of the globe is covered, not on how many frames there are. HDBSCAN
itself takes no weights: each frame would be a point to it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from regengine.place_table import EARTH_RADIUS_KM, chord

FloatArray = NDArray[np.float64]
Labels = NDArray[np.int64]

REACH_KM = 15.0  # from frame to frame of one place
WIDEST_KM = 120.0  # a place and its surroundings
LEAST_APART_KM = 30.0  # middles of places that touch
STEP = 1.5  # from one density to the next


def cluster(directions: FloatArray, frames: NDArray[np.int64]) -> Labels:
    """Cluster cells by place.

    Parameters
    ----------
    directions : ndarray, shape (n, 3)
        Unit vectors of the cells' middles.
    frames : ndarray of int64, shape (n,)
        How many frames each has.

    Returns
    -------
    ndarray of int64, shape (n,)
        Clusters, counted from 0; every cell is in one.
    """
    labels = np.full(len(directions), -1, np.int64)
    places: list[Labels] = []
    for members in _clusters(np.arange(len(directions)), directions, frames, 1):
        places += _places(members, directions, frames)
    for number, members in enumerate(places):
        labels[members] = number
    return labels


def _clusters(
    cells: Labels, directions: FloatArray, frames: NDArray[np.int64], least: int
) -> list[Labels]:
    """The clusters of some cells at a density."""
    if not len(cells):
        return []
    found = dbscan(directions[cells], frames[cells], least)
    order = np.argsort(found, kind="stable")
    bounds = np.searchsorted(found[order], np.arange(int(found.max()) + 2))
    return [cells[order[i:j]] for i, j in pairwise(bounds)]


def _places(cells: Labels, directions: FloatArray, frames: NDArray[np.int64]) -> list[Labels]:
    """One cluster as it is, or, where it is too wide, its parts about its crowded middles."""
    if width_km(directions[cells]) <= WIDEST_KM:
        return [cells]
    kept = np.array(
        [_middle(directions[core], frames[core]) for core in _apart(cells, directions, frames)]
    )
    near, far = _nearest(directions[cells], kept)
    places = [cells[(near == number) & ~far] for number in range(len(kept))]
    for rest in _clusters(cells[far], directions, frames, 1):
        places += _cut(rest, directions, frames)
    return [members for members in places if len(members)]


def _apart(cells: Labels, directions: FloatArray, frames: NDArray[np.int64]) -> list[Labels]:
    """Crowded middles of a cluster that is too wide, the most crowded first, far enough apart."""
    narrow: list[Labels] = []
    wide, least = [cells], 1
    while wide:
        least = max(least + 1, round(least * STEP))
        found = [part for one in wide for part in _clusters(one, directions, frames, least)]
        wide = [part for part in found if width_km(directions[part]) > WIDEST_KM]
        narrow += [part for part in found if width_km(directions[part]) <= WIDEST_KM]
    narrow.sort(key=lambda part: -int(frames[part].sum()))
    kept: list[Labels] = []
    middles = np.empty((0, 3))
    for part in narrow:
        middle = _middle(directions[part], frames[part])
        if not len(kept) or np.linalg.norm(middles - middle, axis=1).min() > chord(LEAST_APART_KM):
            kept.append(part)
            middles = np.vstack([middles, middle])
    return kept or [cells]


def _cut(cells: Labels, directions: FloatArray, frames: NDArray[np.int64]) -> list[Labels]:
    """What is too wide and nowhere crowded, in pieces about the cells with the most frames."""
    pieces = []
    while len(cells):
        first = directions[cells[np.argmax(frames[cells])]]
        _, far = _nearest(directions[cells], first[None])
        pieces.append(cells[~far])
        cells = cells[far]
    return pieces


def _nearest(directions: FloatArray, middles: FloatArray) -> tuple[Labels, NDArray[np.bool_]]:
    """The nearest middle of each direction, and whether it is too far for one place."""
    from scipy.spatial import KDTree

    straight, near = KDTree(middles).query(directions)
    return np.asarray(near, np.int64), straight > chord(WIDEST_KM / 2.0)


def _middle(directions: FloatArray, frames: NDArray[np.int64]) -> FloatArray:
    """Mean direction of frames."""
    middle = frames @ directions
    return np.asarray(middle / max(float(np.linalg.norm(middle)), 1e-12), np.float64)


def dbscan(directions: FloatArray, frames: NDArray[np.int64], least: int) -> Labels:
    """DBSCAN of cells that count as often as they have frames; -1 for those that are in none."""
    from sklearn.cluster import DBSCAN

    lat = np.arcsin(np.clip(directions[:, 2], -1.0, 1.0))
    lon = np.arctan2(directions[:, 1], directions[:, 0])
    found = DBSCAN(
        eps=REACH_KM / EARTH_RADIUS_KM,
        min_samples=least,
        metric="haversine",
        algorithm="ball_tree",
    ).fit(np.stack([lat, lon], axis=1), sample_weight=frames)
    return np.asarray(found.labels_, np.int64)


def width_km(directions: FloatArray) -> float:
    """Twice the farthest distance from the middle of directions, kilometres."""
    middle = directions.mean(axis=0)
    middle /= max(float(np.linalg.norm(middle)), 1e-12)
    straight = np.linalg.norm(directions - middle, axis=1).max()
    return 4.0 * EARTH_RADIUS_KM * float(np.arcsin(min(straight / 2.0, 1.0)))
