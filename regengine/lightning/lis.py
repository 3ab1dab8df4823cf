"""ISS-LIS files: groups observed by the Station's lightning imager.

References
----------
Blakeslee, R. J. et al. (2020). Three years of the Lightning Imaging Sensor onboard the
International Space Station. J. Geophys. Res. Atmos. 125, e2020JD032918.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from detectors.types import FloatArray
from matchers.geometry.earth import geodetic_to_ecef, intersect_ellipsoid
from regengine.errors import LightningError
from regengine.lightning.pulses import (
    CLOUD_HEIGHT_KM,
    Pulses,
    PulseSeries,
    open_netcdf,
    read_areas,
    read_times,
    read_variable,
)

KIND = "ISS-LIS (ISS_LIS_SC_…)"
# TAI93 counts leap seconds since 1993: ten by 2017, and none since; the instrument flew 2017 to
# 2023
LEAP_SECONDS = 10.0
VIEW_S = 90.0  # a place crosses its view of 655 km (Blakeslee et al. 2020)


def read_lis(path: Path, cloud_height_m: float) -> PulseSeries:
    """Read the groups of one orbit, at a height of the cloud tops.

    Published positions are taken to be at 13.5 km, and are moved along the line of sight to the
    Station. LightningError if the file cannot be read, or is not an ISS-LIS file.
    """
    with open_netcdf(path, KIND) as file:
        told_s, told_m = _read_track(file)
        time_s = read_times(file, "lightning_group_TAI93_time") - LEAP_SECONDS
        lon, lat = (read_variable(file, f"lightning_group_{name}") for name in ("lon", "lat"))
        area_km2 = read_areas(file, "lightning_group_footprint")
        flash = read_variable(file, "lightning_group_parent_address")
    published = geodetic_to_ecef(lon, lat, 1e3 * CLOUD_HEIGHT_KM)
    station = np.stack([np.interp(time_s, told_s, axis) for axis in told_m.T], axis=-1)
    position = intersect_ellipsoid(station, published - station, cloud_height_m)
    known = np.isfinite(position).all(axis=-1) & np.isfinite(time_s)
    return PulseSeries(
        instrument="ISS-LIS",
        pulses=Pulses(
            time_s=time_s, position_ecef_m=position, area_km2=area_km2, flash=flash.astype(np.int64)
        ).select(known),
        spans_s=np.array([[told_s[0], told_s[-1] + 1.0]]),
        view_s=VIEW_S,
    )


def _read_track(file: h5py.File) -> tuple[FloatArray, FloatArray]:
    """Read times, shape (n,), and the Station's ECEF positions, metres, shape (n, 3)."""
    time_s = read_times(file, "one_second_TAI93_time") - LEAP_SECONDS
    position_ecef_m = read_variable(file, "one_second_position_vector")
    sound = read_variable(file, "one_second_ephemeris_quality_flag") == 0
    sound &= np.isfinite(position_ecef_m).all(axis=1) & np.isfinite(time_s)
    if np.count_nonzero(sound) < 2:
        raise LightningError(f"{file.filename}: it has no valid records of the station's position.")
    return time_s[sound], position_ecef_m[sound]
