"""Lightning pulses of orbital instruments, read from their netCDF files.

GLM L2 files of the GOES-R satellites have groups of events. Their published positions are on the
*lightning ellipsoid*, cloud tops as NOAA assumes them: a point on it, given by its geodetic
latitude on GRS80 (WGS84 to 0.1 mm). As viewed from the satellite, the same light may come from
another height along the same ray. ISS-LIS files have groups observed by the Station's imager.

References
----------
GOES-R Product Definition and Users' Guide, volume 5 (Level 2+), section 5.24: the product; volume
3, section 5.1.2.8: the satellite's place.
Bruning, E. et al. (2019). Meteorological imagery for the Geostationary Lightning Mapper. J.
Geophys. Res. Atmos. 124, 14285-14309: its coordinates.
Blakeslee, R. J. et al. (2020). Three years of the Lightning Imaging Sensor onboard the
International Space Station. J. Geophys. Res. Atmos. 125, e2020JD032918.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from detectors.constants import DAY_S, SEMI_MAJOR_M, SEMI_MINOR_M
from detectors.types import Columns, FloatArray
from matchers.geometry.earth import geodetic_to_ecef, intersect_ellipsoid
from regengine.errors import LightningError, RegengineError
from regengine.io.hdf5 import open_hdf5
from regengine.io.times import iso_utc, parse_iso_time
from regengine.orbit.rotation import days_since_j2000, utc_of

CLOUD_HEIGHT_KM = 13.5  # of cloud tops: NASA's for the pictures of ISS-LIS
# Conversion to seconds and square kilometres from the units of such files
TIME_UNITS = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6}
AREA_UNITS = {"km2": 1.0, "m2": 1e-6}


@dataclass(frozen=True, kw_only=True)
class Pulses(Columns):
    """Pulses of lightning, which GLM and ISS-LIS call groups: one row each."""

    time_s: FloatArray  # of emission at the cloud, seconds of UTC since 2000-01-01 12:00
    position_ecef_m: FloatArray  # (n, 3): at the height of the cloud tops
    area_km2: FloatArray  # illuminated cloud area
    flash: np.typing.NDArray[np.int64]  # number; only those of one file can be compared


@dataclass(frozen=True, kw_only=True)
class PulseSeries:
    """Pulses of one or several files, in order of time, and the instrument's coverage.

    ``spans_s``, shape (n, 2), are the time spans of the files; a place stays in view for
    ``view_s``; ``doubts`` are warnings to report.
    """

    instrument: str  # "GLM" or "ISS-LIS"
    pulses: Pulses
    spans_s: FloatArray
    view_s: float = np.inf
    doubts: tuple[str, ...] = ()


def join_series(parts: list[PulseSeries]) -> PulseSeries:
    """Join series of one instrument; a file that was given twice counts once."""
    by_content = {(part.spans_s.tobytes(), part.pulses.time_s.tobytes()): part for part in parts}
    kept = sorted(by_content.values(), key=lambda part: part.spans_s[0, 0])
    pulses = Pulses.joined([part.pulses for part in kept])
    return PulseSeries(
        instrument=kept[0].instrument,
        pulses=pulses.select(np.argsort(pulses.time_s, kind="stable")),
        spans_s=np.concatenate([part.spans_s for part in kept]),
        view_s=kept[0].view_s,
        doubts=tuple(doubt for part in kept for doubt in part.doubts),
    )


def seconds_since_j2000(time_utc: datetime) -> float:
    """Seconds of UTC since 2000-01-01 12:00; a naive time is UTC."""
    return days_since_j2000(time_utc) * DAY_S


def stamp(time_s: float, timespec: str = "milliseconds") -> str:
    return iso_utc(utc_of(time_s / DAY_S), timespec)


@contextmanager
def open_netcdf(path: Path, kind: str) -> Iterator[h5py.File]:
    """Open a netCDF-4 file; LightningError if it is truncated, damaged or of another kind."""
    if not path.is_file():
        raise LightningError(f"{path} does not exist; give files of {kind}.")
    try:
        with open_hdf5(path, LightningError) as file:
            yield file
    except RegengineError:
        raise
    except KeyError as error:
        name = str(error.args[0]).split("'")
        what = name[1] if len(name) > 2 else str(error)
        raise LightningError(f"{path} is not a file of {kind}: it has no {what}.") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise LightningError(
            f"{path} is truncated, damaged, or not a netCDF-4 file: get it again ({error})."
        ) from error


def read_variable(file: h5py.File, name: str) -> FloatArray:
    """Values of a variable by the CF conventions; NaN where missing.

    ``_Unsigned`` means that unsigned integers, including their fill value, are stored in a signed
    type; that is converted first, then scale and offset are applied.
    """
    variable = file[name]
    attributes = {key: np.ravel(variable.attrs[key]) for key in variable.attrs}
    raw = np.asarray(variable[...])
    unsigned = as_text(variable.attrs.get("_Unsigned", "")).strip().lower() in ("true", "1")
    type_ = np.dtype(raw.dtype.str.replace("i", "u")) if unsigned else raw.dtype
    raw = raw.view(type_)
    values = raw.astype(np.float64)
    if "_FillValue" in attributes:
        values[raw == attributes["_FillValue"].astype(variable.dtype).view(type_)[0]] = np.nan
    scale, offset = (
        float(attributes[key][0]) if key in attributes else default
        for key, default in (("scale_factor", 1.0), ("add_offset", 0.0))
    )
    return np.asarray(values * scale + offset)


def read_times(file: h5py.File, name: str) -> FloatArray:
    """Times in a variable's units, as seconds of its time scale since 2000-01-01 12:00."""
    unit, _, since = as_text(file[name].attrs["units"]).partition(" since ")
    start = parse_iso_time(since)
    if unit not in TIME_UNITS or start is None:
        raise LightningError(f"{file.filename}: the units of {name} are not those of a time.")
    return seconds_since_j2000(start) + TIME_UNITS[unit] * read_variable(file, name)


def read_areas(file: h5py.File, name: str) -> FloatArray:
    """Areas in a variable's units, as square kilometres."""
    unit = as_text(file[name].attrs["units"])
    if unit not in AREA_UNITS:
        raise LightningError(f"{file.filename}: the units of {name} are not those of an area.")
    return AREA_UNITS[unit] * read_variable(file, name)


def as_text(value: Any) -> str:
    """An attribute's text, which may be bytes or an array of one element."""
    first = np.ravel(value)[0]
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


# Semi-axes of the lightning ellipsoid, metres, since `ELLIPSOID_CHANGED`
ELLIPSOID_M = (SEMI_MAJOR_M + 14_000.0, SEMI_MINOR_M + 6_000.0)
ELLIPSOID_CHANGED = datetime(2018, 10, 15, tzinfo=UTC)
# Before this date, times are those of arrival at the satellite
LIGHT_PATH_LEFT_IN = datetime(2018, 10, 18, tzinfo=UTC)
# According to some sources, the ellipsoid changed already on the ninth
DOUBTFUL = (datetime(2018, 10, 9, tzinfo=UTC), LIGHT_PATH_LEFT_IN)


def read_glm(path: Path, cloud_height_m: float) -> PulseSeries:
    """Read the groups of one file of 20 seconds, at a height of the cloud tops.

    LightningError if the file cannot be read, or is not a GLM file.
    """
    with open_netcdf(path, "GLM L2 (OR_GLM-L2-LCFA_…)") as file:
        time_s = read_times(file, "group_time_offset")
        lon, lat = (read_variable(file, f"group_{name}") for name in ("lon", "lat"))
        area_km2 = read_areas(file, "group_area")
        flash = read_variable(file, "group_parent_flash_id")
        subpoint_lon = float(read_variable(file, "nominal_satellite_subpoint_lon"))
        height_m = 1e3 * float(read_variable(file, "nominal_satellite_height"))
        starts, ends = (
            datetime.fromisoformat(as_text(file.attrs[f"time_coverage_{end}"]))
            for end in ("start", "end")
        )
    turn = np.radians(subpoint_lon)
    satellite = (SEMI_MAJOR_M + height_m) * np.array([np.cos(turn), np.sin(turn), 0.0])
    # The geocentric latitude follows from the geodetic latitude φ by tan φc = (b/a)² tan φ, with
    # the axes of GRS80; the point is at the radius of the lightning ellipsoid in that direction
    lon_rad, lat_rad = np.radians(lon), np.radians(lat)
    geocentric = np.arctan((SEMI_MINOR_M / SEMI_MAJOR_M) ** 2 * np.tan(lat_rad))
    major, minor = (6_394_140.0, 6_362_755.0) if starts < ELLIPSOID_CHANGED else ELLIPSOID_M
    radius = minor / np.sqrt(1.0 - (1.0 - (minor / major) ** 2) * np.cos(geocentric) ** 2)
    across = radius * np.cos(geocentric)
    published = np.stack(
        [across * np.cos(lon_rad), across * np.sin(lon_rad), radius * np.sin(geocentric)], axis=-1
    )
    ray = published - satellite
    if starts < LIGHT_PATH_LEFT_IN:
        time_s = time_s - np.linalg.norm(ray, axis=-1) / 299_792_458.0  # at the speed of light
    position = intersect_ellipsoid(satellite, ray, cloud_height_m)
    known = np.isfinite(position).all(axis=-1) & np.isfinite(time_s)
    spans_s = np.array([[seconds_since_j2000(starts), seconds_since_j2000(ends)]])
    doubts: tuple[str, ...] = ()
    if DOUBTFUL[0] <= starts < DOUBTFUL[1]:
        doubts = (
            f"{path.name}: from {stamp(spans_s[0, 0], 'seconds')}, when GLM's ellipsoid and times "
            "changed: positions may be 2 km off, times 0.12 s.",
        )
    return PulseSeries(
        instrument="GLM",
        pulses=Pulses(
            time_s=time_s, position_ecef_m=position, area_km2=area_km2, flash=flash.astype(np.int64)
        ).select(known),
        spans_s=spans_s,
        doubts=doubts,
    )


# TAI93 counts leap seconds since 1993: ten by 2017, and none since; the instrument flew 2017 to
# 2023
LEAP_SECONDS = 10.0


def read_lis(path: Path, cloud_height_m: float) -> PulseSeries:
    """Read the groups of one orbit, at a height of the cloud tops.

    Published positions are taken to be at 13.5 km, and are moved along the line of sight to the
    Station. LightningError if the file cannot be read, or is not an ISS-LIS file.
    """
    with open_netcdf(path, "ISS-LIS (ISS_LIS_SC_…)") as file:
        # Times and ECEF positions of the station
        station_s = read_times(file, "one_second_TAI93_time") - LEAP_SECONDS
        station_m = read_variable(file, "one_second_position_vector")
        sound = read_variable(file, "one_second_ephemeris_quality_flag") == 0
        sound &= np.isfinite(station_m).all(axis=1) & np.isfinite(station_s)
        if np.count_nonzero(sound) < 2:
            raise LightningError(
                f"{file.filename}: it has no valid records of the station's position."
            )
        station_s, station_m = station_s[sound], station_m[sound]
        time_s = read_times(file, "lightning_group_TAI93_time") - LEAP_SECONDS
        lon, lat = (read_variable(file, f"lightning_group_{name}") for name in ("lon", "lat"))
        area_km2 = read_areas(file, "lightning_group_footprint")
        flash = read_variable(file, "lightning_group_parent_address")
    published = geodetic_to_ecef(lon, lat, 1e3 * CLOUD_HEIGHT_KM)
    station = np.stack([np.interp(time_s, station_s, axis) for axis in station_m.T], axis=-1)
    position = intersect_ellipsoid(station, published - station, cloud_height_m)
    known = np.isfinite(position).all(axis=-1) & np.isfinite(time_s)
    return PulseSeries(
        instrument="ISS-LIS",
        pulses=Pulses(
            time_s=time_s, position_ecef_m=position, area_km2=area_km2, flash=flash.astype(np.int64)
        ).select(known),
        spans_s=np.array([[station_s[0], station_s[-1] + 1.0]]),
        # A place crosses its view of 655 km (Blakeslee et al. 2020)
        view_s=90.0,
    )
