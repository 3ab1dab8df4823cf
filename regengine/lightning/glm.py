"""GLM L2 files of the GOES-R satellites: groups of events, with the light's true position.

Published positions are on the *lightning ellipsoid*, cloud tops as NOAA assumes them: a point on
it, given by its geodetic latitude on GRS80 (WGS84 to 0.1 mm). As viewed from the satellite, the
same light may come from another height along the same ray.

References
----------
GOES-R Product Definition and Users' Guide, volume 5 (Level 2+), section 5.24: the product; volume
3, section 5.1.2.8: the satellite's place.
Bruning, E. et al. (2019). Meteorological imagery for the Geostationary Lightning Mapper. J.
Geophys. Res. Atmos. 124, 14285-14309: its coordinates.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from detectors.constants import SEMI_MAJOR_M, SEMI_MINOR_M
from detectors.types import FloatArray
from matchers.geometry.earth import intersect_ellipsoid
from regengine.lightning.pulses import (
    Pulses,
    PulseSeries,
    as_text,
    open_netcdf,
    read_areas,
    read_times,
    read_variable,
    seconds_since_j2000,
    stamp,
)

LIGHT_M_S = 299_792_458.0
# Semi-axes of the lightning ellipsoid, metres, until and since `ELLIPSOID_CHANGED`
FIRST_ELLIPSOID_M = (6_394_140.0, 6_362_755.0)
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
    published = published_to_ecef(
        lon, lat, FIRST_ELLIPSOID_M if starts < ELLIPSOID_CHANGED else ELLIPSOID_M
    )
    ray = published - satellite
    if starts < LIGHT_PATH_LEFT_IN:
        time_s = time_s - np.linalg.norm(ray, axis=-1) / LIGHT_M_S
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


def published_to_ecef(
    lon_deg: FloatArray, lat_deg: FloatArray, axes_m: tuple[float, float]
) -> FloatArray:
    """Points (..., 3), ECEF metres, of published positions.

    The geocentric latitude follows from the geodetic latitude φ by tan φc = (b/a)² tan φ, with the
    axes of GRS80; the point is at the radius of the lightning ellipsoid in that direction.
    """
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    geocentric = np.arctan((SEMI_MINOR_M / SEMI_MAJOR_M) ** 2 * np.tan(lat))
    major, minor = axes_m
    radius = minor / np.sqrt(1.0 - (1.0 - (minor / major) ** 2) * np.cos(geocentric) ** 2)
    across = radius * np.cos(geocentric)
    return np.stack(
        [across * np.cos(lon), across * np.sin(lon), radius * np.sin(geocentric)], axis=-1
    )
