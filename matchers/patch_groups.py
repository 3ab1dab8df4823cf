"""Which patches show the same light: those tell the same, however many they are."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from matchers.patches import PatchMatches

Image = NDArray[np.float32]
FloatArray = NDArray[np.float64]

# Patches whose lights lie within this share of their side of each other show the same
SAME_LIGHT_SHARE = 0.5


def light_centres(view: Image, matches: PatchMatches) -> FloatArray:
    """Where in a patch its structure lies: what a match rests on.

    Parameters
    ----------
    view : ndarray of float32, shape (h, w)
        The rendered map that the patches were cut out of.
    matches : PatchMatches
        The patches.

    Returns
    -------
    ndarray, shape (n, 2)
        Centroid (x, y) of the squared gradient in every patch, pixels; its middle where it is
        flat.
    """
    half = matches.size_px // 2
    square = cv2.Sobel(view, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(view, cv2.CV_32F, 0, 1) ** 2
    dy, dx = np.mgrid[-half : half + 1, -half : half + 1]
    centres = np.stack([matches.x, matches.y], axis=-1)
    for k, (x, y) in enumerate(centres.astype(int)):
        inside = square[y - half : y + half + 1, x - half : x + half + 1]
        total = float(inside.sum())
        if total > 0.0:
            centres[k] += float((inside * dx).sum()) / total, float((inside * dy).sum()) / total
    return centres


def groups_of(view: Image, matches: PatchMatches) -> NDArray[np.intp]:
    """Number of every patch's group, from 0 on; patches of a group show the same light.

    One lone town lies in as many patches as overlap it, and all of them say where that town is.

    Parameters
    ----------
    view, matches
        As in `light_centres`.

    Returns
    -------
    ndarray of int, shape (n,)
        The first patch of a group leads it; the others' lights lie near the leader's.
    """
    reach_px = SAME_LIGHT_SHARE * matches.size_px
    leaders: list[FloatArray] = []
    groups = np.empty(len(matches), np.intp)
    for k, centre in enumerate(light_centres(view, matches)):
        distance = [float(np.hypot(*(centre - leader))) for leader in leaders]
        if distance and min(distance) < reach_px:
            groups[k] = int(np.argmin(distance))
        else:
            groups[k] = len(leaders)
            leaders.append(centre)
    return groups
