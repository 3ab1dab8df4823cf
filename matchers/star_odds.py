"""What detections say of a fitted camera, the most significant first.

References
----------
Lang, D., Hogg, D. W., Mierle, K., Blanton, M., Roweis, S. (2010). Astrometry.net: blind
astrometric calibration of arbitrary astronomical images. AJ 139, 1782-1800, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from matchers.sky_camera import SkyCamera
from matchers.star_fit import CameraFit
from matchers.star_light import SLOPES, light_ratios

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

DENSITY_NEIGHBOURS = 8
FARTHEST_SIGMAS = 3.5
# Odds of the first share of detections that meet a star: one of two, as if one had met and one not
FIRST_MET, FIRST_SEEN = 1.0, 2.0
FEWEST_PAIRS = 4  # to fit attitude and focal length with something left over


@dataclass(frozen=True, kw_only=True, eq=False)
class Brightness:
    """Magnitudes, where they are known.

    Attributes
    ----------
    detections : ndarray of float64, shape (n,)
        From any zero point.
    stars : ndarray of float64, shape (c,)
        Of the catalogue.
    """

    detections: FloatArray
    stars: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """Stars that a camera has in its picture, the brightest first."""

    star: IndexArray
    x: FloatArray
    y: FloatArray
    variance_px2: FloatArray


def odds_of(
    fit: CameraFit,
    predicted: Predicted,
    used: IndexArray,
    counts: BoolArray,
    x: FloatArray,
    y: FloatArray,
    shape_tolerance: float,
    brightness: Brightness | None,
) -> tuple[float, IndexArray]:
    """Log10 odds of detections against predicted stars, and the pairs that speak for the camera."""
    nothing = np.zeros((0, 2), np.intp)
    if len(predicted.star) < FEWEST_PAIRS:
        return -np.inf, nothing
    places = np.column_stack([predicted.x, predicted.y])
    tree = cKDTree(places)
    widest = FARTHEST_SIGMAS * float(np.sqrt(predicted.variance_px2.max()))
    distance, near = tree.query(np.column_stack([x, y]), distance_upper_bound=widest)
    near = np.where(np.isfinite(distance), near, 0)
    variance = predicted.variance_px2[near]
    # What the fit used is judged by the place that the fit without it gives
    partner = np.full(len(x), -1, np.intp)
    inside = used[:, 0] < len(x)
    partner[used[inside, 0]] = used[inside, 1]
    in_fit = partner == predicted.star[near]
    share = np.clip((variance - fit.sigma_px**2) / fit.sigma_px**2, 0.0, 0.9)
    apart = np.where(in_fit, distance / (1.0 - share), distance)
    variance = np.where(in_fit, fit.sigma_px**2 / (1.0 - share), variance)
    close = apart < FARTHEST_SIGMAS * np.sqrt(variance)
    gauss = np.exp(-0.5 * np.where(close, apart, 0.0) ** 2 / variance) / (2.0 * np.pi * variance)
    ratio = np.where(close, gauss / local_density(fit.camera, places, tree)[near], 0.0)
    first = first_of_each(near, np.where(close, apart, np.inf))
    met = close & first & (ratio > 1.0)
    ratio = np.where(first, ratio, 0.0)
    judged = counts.astype(float)
    before = np.cumsum(met * judged) - met * judged
    tested = np.cumsum(judged) - judged
    h = (FIRST_MET + before) / (FIRST_SEEN + tested)
    pairs = np.column_stack([np.flatnonzero(met), predicted.star[near[met]]]).astype(np.intp)
    third = third_of_figure(x, y, counts, shape_tolerance)
    if third is not None and met[third[0]]:
        # The figure met within its tolerance; here it is asked how well
        h[third[0]], ratio[third[0]] = FIRST_MET / FIRST_SEEN, gauss[third[0]] * third[1]
        counts = counts.copy()
        counts[third[0]] = True
    ways = [np.where(counts, 1.0 - h + h * ratio, 1.0)]
    if brightness is not None:
        stars = brightness.stars[predicted.star]
        for slope in SLOPES:
            seen = slope * brightness.detections[: len(x)]
            light = light_ratios(seen, stars[near], met, stars)
            ways.append(np.where(counts, 1.0 - h + h * ratio * light, light))
    # Each way has the same share beforehand; their mean is a fair game, too
    so_far = np.logaddexp.reduce(np.cumsum(np.log(ways), axis=1), axis=0) - np.log(len(ways))
    return float(so_far.max(initial=0.0) / np.log(10.0)), pairs


def third_of_figure(
    x: FloatArray, y: FloatArray, counts: BoolArray, shape_tolerance: float
) -> tuple[int, float] | None:
    """The member of the proposing triangle that two others do not fix, and where it might be.

    Returns
    -------
    tuple of int and float, or None
        Its row, and the square pixels in which chance would have put it: codes that are alike
        fill a ball of the tolerances, whose shadow is densest in the middle by 3 / 2.
    """
    own = np.flatnonzero(~counts)
    if len(own) != 3:
        return None
    sides = [
        np.hypot(x[a] - x[b], y[a] - y[b])
        for a, b in ((own[1], own[2]), (own[0], own[2]), (own[0], own[1]))
    ]
    longest = int(np.argmax(sides))
    reach = shape_tolerance * float(sides[longest])
    return int(own[longest]), np.pi * reach**2 * 2.0 / 3.0


def local_density(camera: SkyCamera, places: FloatArray, tree: cKDTree) -> FloatArray:
    """Predicted stars per square pixel around each: at least that of the whole picture."""
    k = min(DENSITY_NEIGHBOURS, len(places) - 1)
    distance = tree.query(places, k=k + 1)[0][:, -1]
    whole = len(places) / (camera.width_px * camera.height_px)
    return np.maximum(k / (np.pi * np.maximum(distance, 1e-3) ** 2), whole)


def first_of_each(star: IndexArray, distance: FloatArray) -> BoolArray:
    """Whether a detection is the nearest of those that claim the same star."""
    order = np.lexsort((distance, star))
    nearest = np.ones(len(star), bool)
    nearest[order[1:]] = star[order][1:] != star[order][:-1]
    return nearest
