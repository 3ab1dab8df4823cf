"""Files of GLM and ISS-LIS as the agencies write them, and a storm that a time-lapse shows.

Places go through PROJ, not through the program's own geometry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from pyproj import Geod, Proj

from tests.world.results import nadir_camera, proposal, solved
from tests.world.stores import write_store
from tests.world.towns import ecef

WGS84 = Geod(ellps="WGS84")
MAJOR_M, MINOR_M = 6_378_137.0, 6_356_752.3142
ELLIPSOIDS_M = {
    "2018": (6_394_140.0, 6_362_755.0),
    "2020": (MAJOR_M + 14_000.0, MINOR_M + 6_000.0),
}
GOES_RADIUS_M, GOES_LON = 42_164_160.0, -75.2
LIGHT_M_S = 299_792_458.0
CLOUD_M = 13_500.0


@dataclass(frozen=True)
class Pulse:
    """A pulse of lightning: seconds after its file begins, and its place at a height."""

    after_s: float
    lon: float
    lat: float
    flash: int = 1
    height_m: float = CLOUD_M


def ray_from_goes(pulse: Pulse) -> NDArray[np.float64]:
    """From the satellite to a pulse, in axes turned to the satellite's meridian, metres."""
    x, y, z = ecef(pulse.lon - GOES_LON, pulse.lat, pulse.height_m)
    return np.array([x - GOES_RADIUS_M, y, z])


@cache
def fixed_grid(encoding: str) -> Proj:
    """The satellite's view of the lightning ellipsoid."""
    major, minor = ELLIPSOIDS_M[encoding]
    return Proj(
        f"+proj=geos +h={GOES_RADIUS_M - major} +a={major} +b={minor} +lon_0={GOES_LON} +sweep=x"
    )


def published_place(pulse: Pulse, encoding: str) -> tuple[float, float]:
    """Longitude and latitude that GLM publishes for light from a place at a height.

    PROJ looks from the satellite through the place at the lightning ellipsoid; the latitude is the
    one that WGS84 has for the point's direction from the Earth's centre.
    """
    (major, minor), grid = ELLIPSOIDS_M[encoding], fixed_grid(encoding)
    height_m = GOES_RADIUS_M - major
    ray = ray_from_goes(pulse) / np.linalg.norm(ray_from_goes(pulse))
    scan_x, scan_y = np.arcsin(ray[1]), np.arctan2(ray[2], -ray[0])
    lon, lat = grid(height_m * scan_x, height_m * scan_y, inverse=True)
    geocentric = np.arctan((minor / major) ** 2 * np.tan(np.radians(lat)))
    return float(lon), float(np.degrees(np.arctan((MAJOR_M / MINOR_M) ** 2 * np.tan(geocentric))))


def write_glm(path: Path, start: datetime, pulses: list[Pulse], encoding: str = "2020") -> Path:
    """Write a GLM L2 file of 20 seconds in the encoding of a year."""
    places = np.array([published_place(one, encoding) for one in pulses]).reshape(-1, 2)
    after_s = np.array([one.after_s for one in pulses])
    name = f"{start:%Y-%m-%d %H:%M:%S}.000"
    with h5py.File(path, "w") as file:
        for end, moment in (("start", start), ("end", start + timedelta(seconds=20))):
            file.attrs[f"time_coverage_{end}"] = np.bytes_(f"{moment:%Y-%m-%dT%H:%M:%S}.0Z")
        if encoding == "2018":
            # Arrival at the satellite, in steps of 2 ms, with a sign
            path_s = [np.linalg.norm(ray_from_goes(one)) / LIGHT_M_S for one in pulses]
            stored = np.round((after_s + path_s) / 0.002).astype("<i2")
            packed(file, "group_time_offset", stored, 2.0, 0.0, f"milliseconds since {name}")
            packed(file, "group_area", np.full(len(pulses), 450, "<i2"), 0.15, 63.0, "km2", True)
        else:
            stored = np.round((after_s + 5.0) / 0.00038148).astype("<u2").view("<i2")
            packed(
                file, "group_time_offset", stored, 0.00038148, -5.0, f"seconds since {name}", True
            )
            areas = np.full(len(pulses), 40_000, "<u2").view("<i2")
            packed(file, "group_area", areas, 3250.0, 0.0, "m2", True)
        file["group_lon"], file["group_lat"] = places.T.astype("<f4")
        flashes = np.array([one.flash for one in pulses], "<u2").view("<i2")
        packed(file, "group_parent_flash_id", flashes, None, None, "1", True)
        file["nominal_satellite_subpoint_lon"] = np.float32(GOES_LON)
        file["nominal_satellite_height"] = np.float32((GOES_RADIUS_M - MAJOR_M) / 1e3)
    return path


def packed(
    file: h5py.File,
    name: str,
    stored: NDArray[np.int16],
    scale: float | None,
    offset: float | None,
    units: str,
    unsigned: bool = False,
) -> None:
    """Write a packed variable with its attributes."""
    file[name] = stored
    file[name].attrs["units"] = np.bytes_(units)
    if scale is not None:
        file[name].attrs["scale_factor"] = np.array([scale], np.float32)
        file[name].attrs["add_offset"] = np.array([offset], np.float32)
    if unsigned:
        # NOAA's files say "true"; copies made by other libraries say it otherwise
        spelling = "True" if name == "group_area" else "true"
        file[name].attrs["_Unsigned"] = np.bytes_(spelling)
        file[name].attrs["_FillValue"] = np.array([-1], np.int16)


def write_lis(
    path: Path, start: datetime, pulses: list[Pulse], positions_m: NDArray[np.float64]
) -> Path:
    """Write an ISS-LIS file: its groups, and a position of the Station each second."""
    since = (start.replace(tzinfo=None) - datetime(1993, 1, 1)).total_seconds() + 10.0
    seconds = np.arange(len(positions_m))
    columns = {
        "lightning_group_TAI93_time": [since + one.after_s for one in pulses],
        "one_second_TAI93_time": since + seconds,
    }
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[name] = np.array(values, float)
            file[name].attrs["units"] = np.bytes_("seconds since 1993-01-01 00:00:00.000")
        for name in ("lon", "lat"):
            file[f"lightning_group_{name}"] = np.array([getattr(p, name) for p in pulses], "<f4")
        file["lightning_group_footprint"] = np.full(len(pulses), 72.0, "<f4")
        file["lightning_group_footprint"].attrs["units"] = np.bytes_("km2")
        file["lightning_group_parent_address"] = np.array([one.flash for one in pulses], "<i4")
        file["one_second_position_vector"] = positions_m.astype("<f4")
        file["one_second_ephemeris_quality_flag"] = np.zeros(len(seconds), np.int32)
    return path


LON, LAT = -70.0, 14.0  # of the time-lapse's storm
BEGIN = datetime(2022, 9, 29, 3, 20, 0, tzinfo=UTC)


@dataclass(frozen=True)
class TimeLapse:
    """A store of frames that show a storm, a table of their flashes, and the storm's files."""

    store: Path
    flashes: Path
    glm: list[Path]
    begun: datetime  # when the first frame was truly begun
    shown: int  # flashes in the table


def make_time_lapse(
    folder: Path,
    *,
    late_s: float = 0.0,
    every_s: float = 2.0,
    whole_seconds: bool = False,
    most: int = 12,
    offset_km: tuple[float, float] = (0.0, 0.0),
    seed: int = 5,
) -> TimeLapse:
    """Photograph a storm for a minute by a clock that is late; GLM's places are off by so much."""
    rng = np.random.default_rng(seed)
    storm = []
    for flash in range(260):
        begin_s = rng.uniform(-130.0, 190.0)
        at = LON + rng.normal(0.0, 0.25), LAT + rng.normal(0.0, 0.15)
        for after_s in np.sort(rng.uniform(0.0, 0.3, 6)):
            storm.append(Pulse(begin_s + after_s, *at, flash=flash))
    camera = nadir_camera(LON, LAT)
    results, lines = [], ["path,x,y,exposure_s"]
    for k in range(30):
        begin_s = k * every_s + 0.3
        stamp = BEGIN + timedelta(seconds=begin_s - late_s)
        stamp = stamp.replace(microsecond=0) if whole_seconds else stamp
        made = proposal(f"ISS068-E-{1000 + k}")
        time_utc = stamp.isoformat().replace("+00:00", "Z")
        results.append(replace(made, time_utc=time_utc, solved=solved(camera)))
        seen = {p.flash: p for p in storm if 0.0 <= p.after_s - begin_s <= 0.1}
        for pulse in seen.values():
            x, y = (float(v) for v in camera.lonlat_to_pixel(pulse.lon, pulse.lat, CLOUD_M))
            if 0.0 <= x < 640.0 and 0.0 <= y < 426.0 and len(lines) <= most:
                lines.append(f"{made.path},{x:.3f},{y:.3f},0.1")
    (folder / "flashes.csv").write_text("\n".join(lines) + "\n")
    bearing, away_km = np.degrees(np.arctan2(*offset_km)), np.hypot(*offset_km)
    glm = []
    for n in range(-7, 10):
        inside = []
        for pulse in storm:
            if 20.0 * n <= pulse.after_s < 20.0 * (n + 1):
                lon, lat, _ = WGS84.fwd(pulse.lon, pulse.lat, bearing, 1e3 * away_km)
                after_s = pulse.after_s - 20.0 * n
                inside.append(replace(pulse, after_s=after_s, lon=lon, lat=lat))
        start = BEGIN + timedelta(seconds=20 * n)
        glm.append(write_glm(folder / f"glm{n + 7:02d}.nc", start, inside))
    return TimeLapse(
        store=write_store(folder / "run.h5", results),
        flashes=folder / "flashes.csv",
        glm=glm,
        begun=BEGIN + timedelta(seconds=0.3),
        shown=len(lines) - 1,
    )
