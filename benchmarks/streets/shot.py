"""Draw a telephoto shot of a city: orbit, camera, and what is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.arrays import FloatArray
from benchmarks.simulate.camera import ecef_of, geodetic_of, wgs84
from benchmarks.simulate.orbit import (
    Vantage,
    elements_at,
    nadir_for,
    pass_over,
    slip_elements,
    state_ecef,
    tle_lines,
)
from benchmarks.streets.city import CLASSES, City
from matchers.geometry.camera import Camera

FOCALS_MM = (180.0, 200.0, 250.0, 300.0, 400.0, 500.0, 600.0, 800.0)
PITCH_UM = 7.3  # of the station's cameras; pictures are reduced from it


@dataclass(frozen=True, kw_only=True)
class ShotRanges:
    """What shots are drawn from.

    Attributes
    ----------
    gsd_m : tuple of float
        Ground sample distance across the line of sight.
    off_nadir_deg : tuple of float
        Tilt.
    long_side_px : tuple of int
        Of the stored picture.
    clock_s, focal_share : float
        Greatest error of what is told.
    nadir_sigma_km : float
        Error of the orbit's position, each way.
    k1_sigma : float
        Radial distortion at the corner (r = 1): 0.0050 was measured on a real 400 mm frame.
    cropped : float
        Share of pictures cut out beside the optical axis.
    """

    gsd_m: tuple[float, float] = (4.0, 20.0)
    off_nadir_deg: tuple[float, float] = (0.0, 60.0)
    long_side_px: tuple[int, int] = (870, 2400)
    clock_s: float = 10.0
    focal_share: float = 0.03
    nadir_sigma_km: float = 5.0
    k1_sigma: float = 0.004
    cropped: float = 0.3


LOOSE = ShotRanges(clock_s=120.0, focal_share=0.2)


@dataclass(frozen=True, kw_only=True)
class Reported:
    """What is told of a shot: its orbit at the clock's time, focal length, with their errors."""

    time_utc: datetime  # as the clock shows it
    tle: str  # three lines
    nadir: tuple[float, float]  # longitude and latitude of the orbit at that time, with its error
    altitude_km: float
    track_azimuth_deg: float  # direction of flight over the ground, from north by east
    speed_km_s: float  # over the ground
    focal_mm: float
    pixel_pitch_um: float  # of the stored picture
    clock_s: float  # greatest error of the clock
    focal_share: float  # ... and of the focal length
    nadir_sigma_km: float


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A camera in its place, and what is told of it."""

    camera: Camera
    time_utc: datetime
    focal_mm: float  # the true one
    gsd_m: float
    off_nadir_deg: float
    k1: float  # at the corner
    short_side_km: float  # of the frame on the ground
    reported: Reported


def draw_shot(rng: np.random.Generator, city: City, ranges: ShotRanges) -> Shot:
    """Draw a shot whose frame lies within a city's roads.

    It is aimed at a street, tilts are even, focal lengths those that are flown.
    """
    west, south, east, north = city.bounds
    streets = np.flatnonzero(city.roads.classes <= CLASSES.index("minor"))
    for _ in range(400):
        aim = city.roads.xy[city.roads.starts[rng.choice(streets)]]
        tilt_deg = float(rng.uniform(*ranges.off_nadir_deg))
        gsd_m = float(np.exp(rng.uniform(*np.log(ranges.gsd_m))))
        focal_mm = float(rng.choice(FOCALS_MM)) * float(rng.uniform(0.985, 1.015))
        long_px = int(np.exp(rng.uniform(*np.log(ranges.long_side_px))))
        short_px = int(long_px * rng.choice([2 / 3, 2 / 3, 0.75, 0.9]))
        width, height = (long_px, short_px) if rng.random() < 0.6 else (short_px, long_px)
        azimuth_deg, roll = float(rng.uniform(0.0, 360.0)), float(rng.uniform(0.0, 2.0 * np.pi))
        lon, lat, _ = nadir_for(aim[0], aim[1], 405e3, tilt_deg, azimuth_deg)
        if abs(lat) > 51.0:
            continue
        # Distances of a sphere are enough to see whether that lens gives that scale
        radius, height_m = 6371e3, 405e3
        slant = np.radians(tilt_deg)
        incidence = np.arcsin(min((radius + height_m) / radius * np.sin(slant), 0.999))
        range_m = radius * np.sin(incidence - slant) / np.sin(slant) if tilt_deg > 1 else height_m
        pitch_um = 1e3 * focal_mm * gsd_m / range_m
        if not 0.95 * PITCH_UM <= pitch_um <= 6.0 * PITCH_UM:
            continue
        is_cropped = rng.random() < ranges.cropped
        offset = rng.uniform(-0.3, 0.3, 2) * is_cropped
        centre = ((width - 1) * (0.5 + offset[0]), (height - 1) * (0.5 + offset[1]))
        focal_px = 1e3 * focal_mm / pitch_um
        k1 = float(rng.normal(0.0, ranges.k1_sigma))
        corner = 0.5 * np.hypot(width, height) / focal_px
        position = ecef_of(lon, lat, height_m)
        camera = Camera(
            width_px=width,
            height_px=height,
            focal_px=focal_px,
            principal_point=centre,
            distortion=(k1 / corner**2, 0.0, 0.0, 0.0, 0.0),
            quaternion=_look_at(position, ecef_of(*aim), roll),
            position_ecef_m=(float(position[0]), float(position[1]), float(position[2])),
        )
        at_lon, at_lat = camera.pixel_to_lonlat(*_grid(camera, 7))
        inside = (at_lon > west) & (at_lon < east) & (at_lat > south) & (at_lat < north)
        if inside.mean() < 0.97:
            continue
        return _on_orbit(rng, camera, aim, roll, focal_mm, k1, ranges)
    raise RuntimeError(f"{city.name} has no room for such a frame; draw another seed.")


def _on_orbit(
    rng: np.random.Generator,
    camera: Camera,
    aim: FloatArray,
    roll: float,
    focal_mm: float,
    k1: float,
    ranges: ShotRanges,
) -> Shot:
    """Put a drawn camera on an orbit of the station's, and tell what is known of it."""
    lon, lat, _ = (float(value) for value in geodetic_of(camera.position_ecef_m))
    day = datetime(2015, 10, 1, tzinfo=UTC) + timedelta(days=int(rng.integers(0, 150)))
    local_h = float(rng.uniform(20.5, 27.5)) - aim[0] / 15.0
    time_utc = day + timedelta(seconds=round(local_h * 3600.0))
    elements = pass_over(
        lon,
        lat,
        time_utc,
        northbound=bool(rng.random() < 0.5),
        revolutions_per_day=float(rng.uniform(15.47, 15.6)),
    )
    position, velocity = state_ecef(elements.satrec(), time_utc)
    position = np.asarray(position, float)
    camera = Camera(
        width_px=camera.width_px,
        height_px=camera.height_px,
        # The same scale from another height
        focal_px=camera.focal_px,
        principal_point=camera.principal_point,
        distortion=camera.distortion,
        quaternion=_look_at(position, ecef_of(*aim), roll),
        position_ecef_m=(float(position[0]), float(position[1]), float(position[2])),
    )
    pitch_um = float(1e3 * focal_mm / camera.focal_px)
    clock_s = float(rng.uniform(-ranges.clock_s, ranges.clock_s))
    told_focal = focal_mm * (1.0 + float(rng.uniform(-ranges.focal_share, ranges.focal_share)))
    there = Vantage(position_ecef_m=position, velocity_ecef_m_s=velocity).moved(clock_s=clock_s)
    told_lon, told_lat, told_height = there.nadir()
    on_lon, on_lat, _ = there.moved(clock_s=1.0).nadir()
    track_deg, _, speed_m = wgs84().inv(told_lon, told_lat, on_lon, on_lat)
    error_km = rng.normal(0.0, ranges.nadir_sigma_km, 2)
    # Elements half a day old, ahead or behind by the along-track part of the error
    age_days = 0.5
    before = elements_at(elements, time_utc - timedelta(days=age_days))
    before = slip_elements(before, float(error_km[0]) / age_days)
    told_lon, told_lat, _ = wgs84().fwd(told_lon, told_lat, track_deg, 1e3 * error_km[0])
    told_lon, told_lat, _ = wgs84().fwd(told_lon, told_lat, track_deg + 90.0, 1e3 * error_km[1])
    width, height = camera.width_px, camera.height_px
    middle = np.array([[0, width - 1, (width - 1) / 2, (width - 1) / 2],
                       [(height - 1) / 2, (height - 1) / 2, 0, height - 1]])  # fmt: skip
    side_lon, side_lat = camera.pixel_to_lonlat(*middle)
    _, _, sides_m = wgs84().inv(side_lon[::2], side_lat[::2], side_lon[1::2], side_lat[1::2])
    return Shot(
        camera=camera,
        time_utc=time_utc,
        focal_mm=focal_mm,
        gsd_m=float(np.linalg.norm(ecef_of(*aim) - position)) / camera.focal_px,
        off_nadir_deg=camera.off_nadir_deg,
        k1=k1,
        short_side_km=float(np.min(sides_m)) / 1e3,
        reported=Reported(
            time_utc=time_utc + timedelta(seconds=clock_s),
            tle=tle_lines(before, "SIMULATED"),
            nadir=(float(told_lon), float(told_lat)),
            altitude_km=told_height / 1e3,
            track_azimuth_deg=float(track_deg) % 360.0,
            speed_km_s=float(speed_m) / 1e3,
            focal_mm=told_focal,
            pixel_pitch_um=pitch_um,
            clock_s=ranges.clock_s,
            focal_share=ranges.focal_share,
            nadir_sigma_km=ranges.nadir_sigma_km,
        ),
    )


def _look_at(
    position: FloatArray, ground: FloatArray, roll: float
) -> tuple[float, float, float, float]:
    """Quaternion of a camera at a position whose axis meets a point of the ground."""
    forward = ground - position
    forward /= np.linalg.norm(forward)
    # Any direction across the axis will do: the roll is drawn all round
    side = np.cross(forward, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    right = np.cos(roll) * side + np.sin(roll) * np.cross(forward, side)
    axes = np.stack([right, np.cross(forward, right), forward], axis=-1)
    x, y, z, w = Rotation.from_matrix(axes).as_quat()
    return float(x), float(y), float(z), float(w)


def _grid(camera: Camera, side: int) -> tuple[FloatArray, FloatArray]:
    """Pixels of a grid of points over the frame, borders included."""
    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, side),
        np.linspace(0.0, camera.height_px - 1.0, side),
    )
    return x.ravel(), y.ravel()
