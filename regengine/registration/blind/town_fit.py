"""A proposed camera fitted to the towns that it brings together, with all that is unknown at once.

Figures are compared on a sphere, at a height and with a lens that were tried, and the lean of the
camera is fitted to first order. Towards the limb, where a degree moves the ground by a hundred
kilometres, that leaves the camera tens of kilometres off, from where no alignment finds back. The
same pairs of towns tell it to a few kilometres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, surface_to_lonlat
from matchers.level_ground import EARTH_RADIUS_KM
from matchers.pose import PosePrior
from matchers.resection import ASKED, LEAST_POINTS, PointPairs, Unknowns, resected, residuals_px
from regengine.registration.blind.tilts import LevelView

FloatArray = NDArray[np.float64]

# The lens' distortion is freed where every unknown may be; fewer pairs leave the camera as it is
LEAST_PAIRS = LEAST_POINTS["distortion"]
ROUNDS = 3
# Pairs count that miss by so many times the median, which for two-dimensional noise is 2.9 sigmas,
# or by one sigma
OUTLIER_MEDIANS = 2.5


@dataclass(frozen=True, kw_only=True, eq=False)
class TownPairs:
    """Towns of a photo and of the Earth that were brought together.

    Attributes
    ----------
    pixels : ndarray of float64, shape (n, 2)
        Of the stored image.
    ground_ecef_m : ndarray of float64, shape (n, 3)
        On the ellipsoid.
    sigma_km : float
        How well towns are found again.
    """

    pixels: FloatArray
    ground_ecef_m: FloatArray
    sigma_km: float

    def seen_by(self, camera: Camera) -> PointPairs:
        """As pairs of a resection, with the precision that a camera at that distance sees."""
        away_m = np.linalg.norm(self.ground_ecef_m - np.asarray(camera.position_ecef_m), axis=1)
        return PointPairs(
            pixels=self.pixels,
            ground_ecef_m=self.ground_ecef_m,
            sigma_px=1e3 * self.sigma_km * camera.focal_px / away_m,
        )


def town_pairs(
    points: FloatArray, towns: FloatArray, view: LevelView, sigma_rad: float
) -> TownPairs:
    """Pairs out of a level frame."""
    stands = np.array([0.0, 0.0, EARTH_RADIUS_KM + view.altitude_km])
    pixels = view.stored.image_of((EARTH_RADIUS_KM * points - stands) @ view.axes)
    return TownPairs(
        pixels=np.stack(pixels, axis=-1),
        ground_ecef_m=geodetic_to_ecef(*surface_to_lonlat(towns)),
        sigma_km=sigma_rad * EARTH_RADIUS_KM,
    )


def fitted_to_towns(camera: Camera, pairs: TownPairs, belief: PosePrior) -> Camera:
    """A camera fitted to its pairs of towns, without those that the others contradict."""
    counts = np.ones(len(pairs.pixels), bool)
    for _ in range(ROUNDS):
        if counts.sum() < LEAST_PAIRS:
            return camera
        whole = pairs.seen_by(camera)
        unknowns = Unknowns(pairs=whole.chosen(counts), belief=belief, freed=ASKED["all"])
        camera = resected(camera, unknowns).camera
        misses = np.linalg.norm(residuals_px(camera, whole), axis=1) / whole.sigma_px
        counts = misses < max(1.0, OUTLIER_MEDIANS * float(np.nanmedian(misses[counts])))
    return camera
