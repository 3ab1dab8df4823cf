"""Dense search of the view sphere for the attitudes at which the photo fits the map.

From a camera position the map is seen on conformal tiles around a grid of boresights; the photo's
small light image, turned to many rolls, is compared with every tile at every shift by masked
normalised cross-correlation, computed by FFT.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from matchers.attitude import off_nadir_attitude
from matchers.camera import Camera
from matchers.correlate import correlate, correlate_covered, peaks_of
from matchers.light_grid import LightGrid
from matchers.photo_light import detail
from matchers.templates import DenseParameters, TurnedTemplates
from matchers.tiles import camera_at, tile_grid, tile_view

Image = NDArray[np.float32]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Peak:
    """One candidate attitude of the coarse search."""

    score: float
    camera: Camera


# Tiles whose brightest pixel is darker than this (log10(1 + L)) hold no lights
LEAST_LIGHT = 0.02
# The map under a template must vary by this share of the whole tile's spread
LEAST_SPREAD_SHARE = 0.1
LEAST_SPREAD = 0.01
# A tile without even this much ground in the map is not looked at
LEAST_GROUND = 0.02


def boresights(step_deg: float, nearest_deg: float, farthest_deg: float) -> FloatArray:
    """Directions spread evenly over a zone of the view sphere, the inner ones first.

    Parameters
    ----------
    step_deg : float
        Largest spacing of the rings and along them.
    nearest_deg, farthest_deg : float
        Off-nadir angles that the zone reaches between; every direction in it is within about half
        a step, along and across the rings, of one of those returned.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Off-nadir angle and azimuth, degrees.
    """
    inner = nearest_deg if nearest_deg > 0.0 else 0.5 * step_deg
    count = max(0, math.ceil((farthest_deg - inner) / step_deg))
    width = (farthest_deg - inner) / max(count, 1)
    rings = [inner + (k + 0.5) * width for k in range(count)]
    if nearest_deg <= 0.0:
        rings.insert(0, 0.0)
    found = []
    for ring, off_nadir in enumerate(rings):
        across = max(1, math.ceil(360.0 * math.sin(math.radians(off_nadir)) / step_deg - 1e-9))
        found += [(off_nadir, (k + 0.5 * (ring % 2)) * 360.0 / across) for k in range(across)]
    return np.array(found)


def search(
    levels: Sequence[LightGrid],
    photo: Camera,
    templates: TurnedTemplates,
    directions: FloatArray,
    parameters: DenseParameters,
) -> Iterator[Peak]:
    """Candidate attitudes of a camera at a known position.

    Parameters
    ----------
    levels : sequence of LightGrid
        Map pyramid that covers what the directions can see.
    photo : Camera
        Camera of the *template* (its size and focal length); its attitude is not used.
    templates : TurnedTemplates
        Of `templates_for`, for the photo's focal length.
    directions : ndarray of float64, shape (n, 2)
        Off-nadir angles and azimuths of the tiles.
    parameters : DenseParameters
        How finely to look.

    Yields
    ------
    Peak
        Best first.
    """
    grid = tile_grid(templates.fft_px, photo.focal_px)
    shift = (templates.side_px - 1) / 2.0
    found: list[tuple[float, int, int, int, int]] = []
    attitudes = [off_nadir_attitude(photo.position_ecef_m, d, a, 0.0) for d, a in directions]
    for index, attitude in enumerate(attitudes):
        seen, ground = tile_view(levels, grid, attitude, photo.position_ecef_m)
        tile = np.asarray(cv2.GaussianBlur(seen, (0, 0), parameters.smooth_px), np.float32)
        if float(tile.max()) <= LEAST_LIGHT:
            continue
        tile = detail(tile, parameters.detail_px)
        least = max(LEAST_SPREAD, LEAST_SPREAD_SHARE * float(tile.std()))
        if ground is None:
            scores = correlate(tile, templates, least)
        elif float(ground.mean()) > LEAST_GROUND:
            scores = correlate_covered(tile, ground, templates, least)
        else:
            continue
        found += [(value, index, k, i, j) for k, i, j, value in peaks_of(scores, parameters)]
    found.sort(reverse=True)
    for value, index, k, i, j in found:
        roll = float(templates.rolls_deg[k])
        camera = camera_at(photo, grid, attitudes[index], j + shift, i + shift, roll)
        yield Peak(score=value, camera=camera)
