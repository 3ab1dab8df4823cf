"""Broad light without grain: lightning in cloud, reflections in the window, lit hardware."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

# Grain is what is finer than this, measured over windows of WINDOW_PX
GRAIN_PX = 1.5
WINDOW_PX = 9
# Its root mean square over the mean light: of the city light of archive photographs near nadir 0.32
# to 1.9 (2nd to 80th percentile; Osaka, Nagoya, Tokyo), of simulated ones from 0.23, of lightning,
# reflections and twilight 0 to 0.15
LEAST_GRAIN = 0.16
# What adjoins such light and has hardly more grain belongs to it
NEARLY_GRAIN = 0.25
STRONG_SIGMAS = 6.0
# Clipped or nearly smooth light belongs to the smooth light around it where that is this much of it
LEAST_SMOOTH_SHARE = 0.3
# The rim of such a light is steep, and its window is half outside. A disc blurred by a quarter of
# its radius, as a thundercloud lit from within, goes on for two of these sigmas
RIM_SHARE = 0.5
# Share of the background's noise that is finer than GRAIN_PX, for white noise
NOISE_SHARE = 0.9


def smooth_light(
    light: Image,
    level: Image,
    noise: Image,
    saturated: Image,
    least_px: int,
) -> NDArray[np.bool_]:
    """Where strong light has no grain over more than a few pixels.

    City light is made of lamps and streets and stays grainy at every scale; light that reaches the
    camera through cloud or glass does not.

    Parameters
    ----------
    light : ndarray of float32, shape (h, w)
        Linear light.
    level, noise : ndarray of float32, shape (h, w)
        Diffuse background and the noise about it.
    saturated : ndarray of float32, shape (h, w)
        Share of clipped pixels: clipped light has no grain to show, and counts only together with
        smooth light around it.
    least_px : int
        Smooth areas narrower than this are left alone; lamps out of focus are small.

    Returns
    -------
    ndarray of bool, shape (h, w)
        Such areas and their rims.
    """
    excess = np.maximum(light - level, 0.0)
    grain = light - cv2.GaussianBlur(light, (0, 0), GRAIN_PX)
    size = (WINDOW_PX, WINDOW_PX)
    mean = np.asarray(cv2.blur(excess, size), np.float32)
    square = np.asarray(cv2.blur(grain * grain, size), np.float32)
    grain_rms = np.sqrt(np.maximum(square - (NOISE_SHARE * noise) ** 2, 0.0))
    strong = mean > STRONG_SIGMAS * noise
    smooth = strong & (grain_rms < LEAST_GRAIN * mean)
    nearly = strong & (grain_rms < NEARLY_GRAIN * mean)
    clipped = np.asarray(cv2.blur(saturated, size)) >= 0.1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (least_px | 1, least_px | 1))
    open_light = (smooth & ~clipped).astype(np.uint8)
    solid = cv2.morphologyEx(open_light, cv2.MORPH_OPEN, disc) > 0
    solid |= (nearly | clipped) & in_smooth_light(solid, nearly | clipped)
    return with_rims(solid)


def with_rims(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Areas and what lies around them: steep rims, the broader the larger the area."""
    if not solid.any():
        return solid
    label = np.asarray(cv2.connectedComponents(solid.astype(np.uint8))[1], np.intp)
    depth = cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, 5)
    radius = np.zeros(int(label.max()) + 1)
    np.maximum.at(radius, label.ravel(), depth.ravel())
    outside, nearest = cv2.distanceTransformWithLabels(
        (~solid).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Every lit pixel's own number, as the transform has numbered them, leads to its area
    area_of = np.zeros(int(nearest.max()) + 1, np.intp)
    area_of[nearest[solid]] = label[solid]
    reach = np.maximum(WINDOW_PX, RIM_SHARE * radius)
    return np.asarray(outside <= reach[area_of[nearest]])


def in_smooth_light(solid: NDArray[np.bool_], doubtful: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Connected areas of smooth and doubtful light of which enough is smooth."""
    count, label = cv2.connectedComponents((solid | doubtful).astype(np.uint8))
    size = np.bincount(label.ravel(), minlength=count)
    smooth = np.bincount(label.ravel(), weights=solid.ravel(), minlength=count)
    belongs = smooth >= LEAST_SMOOTH_SHARE * np.maximum(size, 1)
    belongs[0] = False
    return np.asarray(belongs[label])
