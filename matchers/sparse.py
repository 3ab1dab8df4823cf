"""Sparse search: attitudes from the towns of a photo and of the map, by asterisms.

The dense search compares pictures over a grid of attitudes; this one compares figures of a few
towns, which look the same from whatever attitude. It knows no grid over roll or tilt, and it needs
only what stands out: towns between clouds, a few lights under the limb.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray
from matchers.asterism_fit import MatchParameters
from matchers.asterism_match import match
from matchers.asterisms import AsterismParameters, build_index
from matchers.camera import Camera
from matchers.dense import Peak
from matchers.earth import incidence_deg, intersect_ellipsoid
from matchers.light_grid import LightGrid
from matchers.photo_light import LightImage
from matchers.pose import with_attitude
from matchers.verify import find_towns
from matchers.view import nadir_view

# Flatter ground is lost in haze and too compressed to tell towns apart
FARTHEST_INCIDENCE_DEG = 82.0

# Of 45 simulated city frames of the training seeds, 192 px had the right attitude among the first
# five in 39 from 60 km beside the true position, 144 px in 36
WORKING_PX = (36, 192)
MAP_PIXEL_KM = 0.5  # VIIRS products: 15 arc seconds


@dataclass(frozen=True, kw_only=True, eq=False)
class MapTowns:
    """Towns of a map.

    Attributes
    ----------
    ground_ecef_m : ndarray of float64, shape (n, 3)
        Their places, strongest first.
    contrast : ndarray of float64, shape (n,)
        How far each stands out, see `matchers.verify.find_towns`.
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


@dataclass(frozen=True, kw_only=True)
class SparseParameters:
    """How the sparse search looks for towns and compares their figures.

    Attributes
    ----------
    smooth_px, scale_px : float
        Blur of both images and size of towns, its pixels.
    photo_towns, map_towns : int
        So many of the strongest towns of photo and map are used.
    max_off_nadir_deg : float
        Towns are sought out to this angle from the nadir.
    neighbours : int
        Figures are made of a town and two of its nearest neighbours, this many.
    brightness_share : float
        Neighbours have at least this share of the town's contrast.
    size_px : tuple of float
        Least and greatest length of figures, pixels.
    shape_tolerance, log_size_tolerance : float
        See `matchers.asterisms.AsterismParameters`.
    sigma_px : float
        By how much a town lies elsewhere in the photo than in the map.
    sigma_share : float
        What is added to it for every pixel from the towns that an attitude rests on.
    turn_step_deg : float
        See `matchers.asterism_fit.MatchParameters`.
    scale_free : bool
        Whether the focal length is fitted to the towns that an attitude brings together.
    weighed, kept : int
        Attitudes that are weighed, and returned at most.
    scales : tuple of float
        The focal length is taken as the nominal one divided by each of these in turn. With
        `log_size_tolerance` as it is, steps of a quarter leave no gap.
    mirrored : tuple of bool
        Whether to take the photo as it is, flipped left to right, or both.
    """

    smooth_px: float = 0.7
    scale_px: float = 1.8  # training frames: 1.5 and 2.2 find no more
    photo_towns: int = 30  # training frames: 22 and 40 find no more
    map_towns: int = 4000
    max_off_nadir_deg: float = 68.5
    neighbours: int = 6  # training frames: 8 find no more and cost a third more
    brightness_share: float = 0.4
    size_px: tuple[float, float] = (10.0, 90.0)
    shape_tolerance: float = 0.12
    log_size_tolerance: float = 0.15
    sigma_px: float = 1.2
    sigma_share: float = 0.06
    turn_step_deg: float = 4.0
    scale_free: bool = False
    weighed: int = 400
    kept: int = 60
    scales: tuple[float, ...] = (1.0,)
    mirrored: tuple[bool, ...] = (False,)


def working_px(stored: Camera, altitude_km: float) -> int:
    """Long side of the light image in which a photo's towns are sought.

    Pixels of about the map's at so many kilometres above the ground, within `WORKING_PX`; the
    camera is that of the stored image at the nominal focal length.
    """
    longest = max(stored.width_px, stored.height_px)
    field_km = altitude_km * longest / stored.focal_px
    return int(np.clip(field_km / MAP_PIXEL_KM, *WORKING_PX))


def map_towns(
    levels: Sequence[LightGrid], camera: Camera, parameters: SparseParameters
) -> MapTowns:
    """Towns of the map that the photo could show from about its position.

    Parameters
    ----------
    levels : sequence of LightGrid
        Map pyramid around the position.
    camera : Camera
        Camera of the photo's light image; its attitude is not used.
    parameters : SparseParameters
        What a town is.

    Returns
    -------
    MapTowns
        Good for positions within some 200 km: they are projected anew.
    """
    around = nadir_view(
        levels, camera.position_ecef_m, camera.focal_px, parameters.max_off_nadir_deg
    )
    view = np.asarray(cv2.GaussianBlur(around.light, (0, 0), parameters.smooth_px), np.float32)
    towns = find_towns(view, None, parameters.map_towns, parameters.scale_px)
    ground = intersect_ellipsoid(around.position_ecef_m, around.rays_ecef(towns.x, towns.y))
    hit = np.isfinite(ground[:, 0])
    return MapTowns(ground_ecef_m=ground[hit], contrast=towns.contrast[hit])


def propose(
    towns: MapTowns, photo: LightImage, camera: Camera, parameters: SparseParameters
) -> list[Peak]:
    """Attitudes of a camera at a known position that its towns speak for.

    Parameters
    ----------
    photo : LightImage
        The photo at the size in which towns are sought.
    camera : Camera
        Camera of that image at the nominal focal length; its attitude is not used.

    Returns
    -------
    list of Peak
        Best first; the score is the base-10 logarithm of the odds against chance.
    """
    vectors, contrast = towns.seen_from(camera.position_ecef_m)
    found = find_towns(photo.values, photo.weight, parameters.photo_towns, parameters.scale_px)
    if len(found) < 3 or len(vectors) < 3:
        return []
    focal = camera.focal_px
    p = parameters
    index = build_index(
        vectors,
        contrast,
        AsterismParameters(
            neighbours=p.neighbours,
            brightness_share=p.brightness_share,
            size_rad=(p.size_px[0] / focal, p.size_px[1] / focal),
            shape_tolerance=p.shape_tolerance,
            log_size_tolerance=p.log_size_tolerance,
        ),
    )
    how = MatchParameters(
        brightest=p.photo_towns,
        neighbours=p.neighbours,
        sigma_rad=p.sigma_px / focal,
        sigma_share=p.sigma_share,
        turn_step_deg=p.turn_step_deg,
        scale_free=p.scale_free,
        weighed=p.weighed,
        kept=p.kept,
        scales=p.scales,
    )
    peaks = []
    for mirrored in p.mirrored:
        seen_by = replace(camera, mirrored=mirrored)
        rays = seen_by.rays(found.x, found.y)
        for attitude in match(index, rays, found.contrast, how):
            peaks.append(
                Peak(
                    score=attitude.log10_odds,
                    camera=with_attitude(
                        replace(seen_by, focal_px=focal / attitude.scale), attitude.rotation
                    ),
                )
            )
    return sorted(peaks, key=lambda peak: -peak.score)[: p.kept]
