"""Cameras and worlds of lamps for the tests of simulated trials."""

from __future__ import annotations

import numpy as np

from benchmarks.simulate.camera import Pointing, SimCamera, ecef_of
from benchmarks.simulate.weather import SceneParameters
from benchmarks.simulate.worlds import Clusters, Lamps, Realisation

CLEAN = SceneParameters(
    ground_nw=0.0,
    halo_share=0.0,
    bloom_share=0.0,
    vignetting=0.0,
    read_noise_electrons=0.0,
    full_well_electrons=1e9,
    hot_pixels=0.0,
    stars_per_square_degree=0.0,
    airglow_nw=0.0,
    tone_contrast=0.0,
    jpeg_quality=95,
)


def looking(
    off_nadir_deg: float = 0.0, *, width: int = 300, height: int = 200, focal_px: float = 400.0
) -> SimCamera:
    """A camera 400 km over 10 E, 45 N."""
    return SimCamera.pointed(
        position_ecef_m=ecef_of(10.0, 45.0, 400e3),
        pointing=Pointing(off_nadir_deg=off_nadir_deg, azimuth_deg=70.0, roll_deg=25.0),
        width_px=width,
        height_px=height,
        focal_px=focal_px,
    )


class Beacons:
    """Single lamps at given places."""

    def __init__(self, lon: np.ndarray, lat: np.ndarray, power: float | np.ndarray) -> None:
        self.lon, self.lat = np.asarray(lon, float), np.asarray(lat, float)
        self.power = np.broadcast_to(np.asarray(power, float), self.lon.shape)

    def near(self, west: float, south: float, east: float, north: float) -> Clusters:
        row = np.flatnonzero(
            (self.lon >= west) & (self.lon <= east) & (self.lat >= south) & (self.lat <= north)
        )
        return Clusters(
            key=row.astype(np.uint64),
            lon=self.lon[row],
            lat=self.lat[row],
            power=self.power[row],
            radius_m=np.ones(len(row)),
            row=row.astype(np.int64),
        )

    def scatter(self, clusters: Clusters, counts: np.ndarray, realisation: Realisation) -> Lamps:
        return Lamps(
            lon=clusters.lon,
            lat=clusters.lat,
            power=clusters.power,
            colour=np.ones(len(clusters.lon), np.uint8),
        )
