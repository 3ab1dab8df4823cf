"""Draw a telephoto shot of a city: orbit, camera, and what is told of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.arrays import FloatArray
from benchmarks.simulate.camera import SimCamera, east_north_up, ecef_of, geodetic_of, wgs84
from benchmarks.simulate.orbit import (
    elements_at,
    nadir_for,
    pass_over,
    slip_elements,
    state_ecef,
    tle_lines,
)
from benchmarks.streets.maps import CLASSES, City

FOCALS_MM = (180.0, 200.0, 250.0, 300.0, 400.0, 500.0, 600.0, 800.0)
PITCH_UM = 7.3  # of the station's cameras; pictures are reduced from it
HEIGHT_M = 405e3
SPHERE_M = 6371e3  # distances of a sphere are enough to see whether a lens gives a scale
ELEMENTS_AGE = timedelta(days=0.5)
MAX_OFF_NADIR_DEG = 60.0
NADIR_SIGMA_KM = 5.0  # error of the orbit's position, each way
K1_SIGMA = 0.004  # at the corner: 0.0050 was measured on a real 400 mm frame
CROPPED = 0.3  # share of pictures cut out beside the optical axis


@dataclass(frozen=True, kw_only=True)
class ShotRanges:
    """What shots are drawn from."""

    gsd_m: tuple[float, float] = (4.0, 20.0)  # ground sample distance across the line of sight
    long_side_px: tuple[int, int] = (870, 2400)  # of the stored picture
    # clock_s and focal_share: greatest error of what is told
    clock_s: float = 10.0
    focal_share: float = 0.03


LOOSE = ShotRanges(clock_s=120.0, focal_share=0.2)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is told of a shot: the clock's time, an element set, the lens."""

    time_utc: datetime
    tle: str  # three lines
    focal_mm: float
    pixel_pitch_um: float  # of the stored picture


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A camera in its place, and what is told of it."""

    camera: SimCamera
    time_utc: datetime
    focal_mm: float  # the true one
    gsd_m: float
    short_side_km: float  # of the frame on the ground
    told: Told


def draw_shot(rng: np.random.Generator, city: City, ranges: ShotRanges) -> Shot:
    """Draw a shot whose frame lies within a city's roads."""
    west, south, east, north = city.bounds
    for _ in range(400):
        streets = np.flatnonzero(city.roads.classes <= CLASSES.index("minor"))
        aim = city.roads.xy[city.roads.starts[rng.choice(streets)]]
        view = draw_view(rng, aim, ranges)
        if view is None:
            continue
        camera, roll, focal_mm = view
        lon, lat, _ = camera.ground(*grid_of(camera))
        inside = (lon > west) & (lon < east) & (lat > south) & (lat < north)
        if inside.mean() >= 0.97:
            return place_on_orbit(rng, camera, aim, roll, focal_mm, ranges)
    raise RuntimeError(f"{city.name} has no room for such a frame; draw another seed.")


def draw_view(
    rng: np.random.Generator, aim: FloatArray, ranges: ShotRanges
) -> tuple[SimCamera, float, float] | None:
    """A camera that looks at a place, its roll and focal length; None where they clash.

    Tilts are even, focal lengths those that are flown.
    """
    tilt_deg = float(rng.uniform(0.0, MAX_OFF_NADIR_DEG))
    gsd_m = float(np.exp(rng.uniform(*np.log(ranges.gsd_m))))
    focal_mm = float(rng.choice(FOCALS_MM)) * float(rng.uniform(0.985, 1.015))
    long_px = int(np.exp(rng.uniform(*np.log(ranges.long_side_px))))
    short_px = int(long_px * rng.choice([2 / 3, 2 / 3, 0.75, 0.9]))
    width, height = (long_px, short_px) if rng.random() < 0.6 else (short_px, long_px)
    azimuth_deg, roll = float(rng.uniform(0.0, 360.0)), float(rng.uniform(0.0, 2.0 * np.pi))
    lon, lat, _ = nadir_for(aim[0], aim[1], HEIGHT_M, tilt_deg, azimuth_deg)
    slant = np.radians(tilt_deg)
    incidence = np.arcsin(min((SPHERE_M + HEIGHT_M) / SPHERE_M * np.sin(slant), 0.999))
    range_m = SPHERE_M * np.sin(incidence - slant) / np.sin(slant) if tilt_deg > 1 else HEIGHT_M
    pitch_um = 1e3 * focal_mm * gsd_m / range_m
    if abs(lat) > 51.0 or not 0.95 * PITCH_UM <= pitch_um <= 6.0 * PITCH_UM:
        return None
    is_cropped = rng.random() < CROPPED
    offset = rng.uniform(-0.3, 0.3, 2) * is_cropped
    focal_px = 1e3 * focal_mm / pitch_um
    corner = 0.5 * np.hypot(width, height) / focal_px
    camera = SimCamera(
        width_px=width,
        height_px=height,
        focal_px=focal_px,
        principal_x=(width - 1) * (0.5 + offset[0]),
        principal_y=(height - 1) * (0.5 + offset[1]),
        k1=float(rng.normal(0.0, K1_SIGMA)) / corner**2,
        lon_deg=lon,
        lat_deg=lat,
        height_m=HEIGHT_M,
        axes=look_at(ecef_of(lon, lat, HEIGHT_M), ecef_of(*aim), roll),
    )
    return camera, roll, focal_mm


def place_on_orbit(
    rng: np.random.Generator,
    view: SimCamera,
    aim: FloatArray,
    roll: float,
    focal_mm: float,
    ranges: ShotRanges,
) -> Shot:
    """Put a view on an orbit of the station's, and tell what is known of it.

    Its scale stays, from another height. The element set is half a day old, and the station runs
    ahead of it or behind by the along-track part of the drawn error.
    """
    day = datetime(2015, 10, 1, tzinfo=UTC) + timedelta(days=int(rng.integers(0, 150)))
    local_h = float(rng.uniform(20.5, 27.5)) - aim[0] / 15.0
    time_utc = day + timedelta(seconds=round(local_h * 3600.0))
    elements = pass_over(
        view.lon_deg,
        view.lat_deg,
        time_utc,
        northbound=bool(rng.random() < 0.5),
        revolutions_per_day=float(rng.uniform(15.47, 15.6)),
    )
    position, _ = state_ecef(elements.satrec(), time_utc)
    lon, lat, height_m = exact_geodetic(position)
    axes = look_at(position, ecef_of(*aim), roll)
    camera = replace(view, lon_deg=lon, lat_deg=lat, height_m=height_m, axes=axes)
    clock_s = float(rng.uniform(-ranges.clock_s, ranges.clock_s))
    focal_error = float(rng.uniform(-ranges.focal_share, ranges.focal_share))
    along_km = float(rng.normal(0.0, NADIR_SIGMA_KM, 2)[0])
    before = elements_at(elements, time_utc - ELEMENTS_AGE)
    before = slip_elements(before, along_km / (ELEMENTS_AGE / timedelta(days=1)))
    return Shot(
        camera=camera,
        time_utc=time_utc,
        focal_mm=focal_mm,
        gsd_m=float(np.linalg.norm(ecef_of(*aim) - position)) / camera.focal_px,
        short_side_km=short_side_km(camera),
        told=Told(
            time_utc=time_utc + timedelta(seconds=clock_s),
            tle=tle_lines(before, "SIMULATED"),
            focal_mm=focal_mm * (1.0 + focal_error),
            pixel_pitch_um=float(1e3 * focal_mm / camera.focal_px),
        ),
    )


def exact_geodetic(position: FloatArray) -> tuple[float, float, float]:
    """Longitude, latitude, height of a position: PROJ's own are a millimetre off so high up."""
    lon, lat, height_m = (float(value) for value in geodetic_of(position))
    for _ in range(2):
        east, north, up = east_north_up(lon, lat) @ (position - ecef_of(lon, lat, height_m))
        lat += float(np.degrees(north / (SPHERE_M + height_m)))
        lon += float(np.degrees(east / (SPHERE_M + height_m)) / np.cos(np.radians(lat)))
        height_m += float(up)
    return lon, lat, height_m


def short_side_km(camera: SimCamera) -> float:
    """The shorter of the frame's width and height on the ground, through its middle."""
    right, bottom = camera.width_px - 1, camera.height_px - 1
    lon, lat, _ = camera.ground(
        [0, right, right / 2, right / 2], [bottom / 2, bottom / 2, 0, bottom]
    )
    _, _, sides_m = wgs84().inv(lon[::2], lat[::2], lon[1::2], lat[1::2])
    return float(np.min(sides_m)) / 1e3


def look_at(position: FloatArray, ground: FloatArray, roll: float) -> FloatArray:
    """Axes, the columns right, down, forward, of a camera whose axis meets a place."""
    forward = ground - position
    forward /= np.linalg.norm(forward)
    # Any direction across the axis will do: the roll is drawn all round
    side = np.cross(forward, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    right = np.cos(roll) * side + np.sin(roll) * np.cross(forward, side)
    return np.stack([right, np.cross(forward, right), forward], axis=-1)


def grid_of(camera: SimCamera) -> tuple[FloatArray, FloatArray]:
    """Pixels of a grid of 7 x 7 points over the frame, borders included."""
    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, 7), np.linspace(0.0, camera.height_px - 1.0, 7)
    )
    return x.ravel(), y.ravel()
