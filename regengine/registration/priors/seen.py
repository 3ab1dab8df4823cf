"""Define the prior from a place that a photo is known to show, with a radius.

The place determines the camera position only roughly. Half of the located photos of the archive
show a city less than 315 km from the nadir, nine in ten less than 1,134 km (see `lit_ground`). This
agrees with an exponential distribution of distances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, great_circle_km
from regengine.photo.frame import Frame

MEAN_AWAY_KM = 454.0
# Probability density of a wrong place: 3 % of given places are wrong, as with other input, and
# these spread over ten times as many places
OUTLIER_SHARE = 0.003


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Some part of the photo shows ground within a radius of a place (lon and lat in degrees)."""

    lon: float
    lat: float
    radius_km: float

    @classmethod
    def of(cls, frame: Frame) -> Seen | None:
        """Make the prior of a frame; None if no place is given for it."""
        if frame.centre is None:
            return None
        lon, lat = frame.centre
        return cls(lon=lon, lat=lat, radius_km=frame.radius_km)

    def weigh(self, positions_ecef_m: FloatArray) -> FloatArray:
        """Weigh how unlikely it is that the camera was at places (n, 3), relative to above it.

        Returns a negative log-probability per area, so the probability of a ring of distances is
        divided by its circumference.
        """
        lon, lat, _ = ecef_to_geodetic(positions_ecef_m)
        away_km = np.asarray(great_circle_km(self.lon, self.lat, lon, lat), float)
        beyond_km = np.maximum(away_km - self.radius_km, 0.0)
        ring = self.radius_km / np.maximum(away_km, self.radius_km)
        share = ring * np.exp(-beyond_km / MEAN_AWAY_KM)
        return np.asarray(-np.log((1.0 - OUTLIER_SHARE) * share + OUTLIER_SHARE))

    def is_shown_by(self, camera: Camera) -> bool:
        """Whether ground within the radius is visible to a camera of the stored image."""
        x, y = np.meshgrid(
            np.linspace(0.0, camera.width_px - 1.0, 25),
            np.linspace(0.0, camera.height_px - 1.0, 25),
        )
        lon, lat = camera.pixel_to_lonlat(x.ravel(), y.ravel())
        seen = np.isfinite(lon)
        if not seen.any():
            return False
        at_x, at_y = camera.lonlat_to_pixel(self.lon, self.lat)
        inside = 0.0 <= at_x < camera.width_px and 0.0 <= at_y < camera.height_px
        away_km = great_circle_km(self.lon, self.lat, lon[seen], lat[seen])
        return bool(inside or away_km.min() <= self.radius_km)
