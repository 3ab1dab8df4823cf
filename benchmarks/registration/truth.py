"""Cameras of the real city photographs as they truly were, and named places to check them by.

Two tables of numbers stand beside this module: ``reference_cameras.csv`` with one row a picture
and ``reference_places.csv`` with places that were recognised on the pictures. They are for scoring
alone: nothing that registers may read them. Scores stand here, too.

How a camera was found: a start from the limb of the airglow (its upper edge, 90 km up, gives two
of the three angles; the third and the place along the orbit were tried through), from towns named
by eye, or from the program's own answer; then the program's dense alignment and patch fit from
that start. It was kept if the map's outlines, drawn over the picture, sat on its lights all over
the frame. Edited copies start from the camera of the archive's copy of the same frame.

How a place was found: it was recognised on the picture with the numbered lights of a detector
drawn on it, and its pixel is the centroid of the light there, which owes nothing to a camera.
On edited copies they were carried over from the archive's copy by matching the pictures, and
centred again; on ISS073-E-206244 they were read off by eye. ISS053-E-13244 and ISS073-E-206244
were started from such places, which are no independent check there; where towns lie dense, their
names were settled with the outlines in view. Suburbs and ports pull the centroid of a large town
away from its centre by a kilometre or two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from benchmarks.rows import read_csv
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, WGS84, diagonal_km, right_within_km
from regengine.score.registration import (
    NOTHING,
    PLACED,
    camera_of,
    distance_m,
    is_right,
)
from regengine.store.result import ControlPoint

CAMERAS = Path(__file__).with_name("reference_cameras.csv")
PLACES = Path(__file__).with_name("reference_places.csv")
# Photos with element sets this near, or with a recorded nadir, are those that must be placed
NEAR_TLE_DAYS = 10.0


@dataclass(frozen=True)
class ReferenceCamera:
    """One row of the table of cameras.

    Of its columns `registrable` says whether the photo shows at least eight separable lit places:
    towns that it shares with the map of 2016, or where it is not placed, counted on it alone;
    `tle_age_days` is its time minus the epoch of the element set that the program would choose.
    `true_time_offset_s` is how far along the track it was from where that set has it at the told
    time, positive forward: with a set less than a day off the error of the camera's clock, with
    older ones seconds of flight over an Earth held still. `residual_px` is one sigma per axis of
    the map's lights against the photo's in local patches.
    """

    row: dict[str, str]
    camera: Camera | None  # for the picture as stored; None where it is not placed

    @property
    def frame(self) -> str:
        """Frame of the archive, or the file where it is unknown: two files of one count once."""
        return self.row["frame_id"] or self.row["file"]

    @property
    def must_be_placed(self) -> bool:
        """Whether it counts in the share of real photographs that the program has to place."""
        near = abs(float(self.row["tle_age_days"] or np.inf)) <= NEAR_TLE_DAYS
        told = near or self.row["has_record_nadir"] == "true"
        return self.row["registrable"] == "true" and told


def read_reference_cameras() -> dict[str, ReferenceCamera]:
    """The table of cameras; of photos that show nothing to be placed it has rows, too, left out."""
    return {
        row["file"]: ReferenceCamera(row, camera_of(row) if row["status"] == PLACED else None)
        for row in read_csv(CAMERAS)
        if row["status"] != NOTHING
    }


def read_named_places() -> dict[str, pd.DataFrame]:
    """By file the places recognised on it: name, degrees (WGS84), and the pixel of the light."""
    return {str(file): places for file, places in pd.read_csv(PLACES).groupby("file")}


def misses_px(camera: Camera, places: pd.DataFrame) -> FloatArray:
    """How far from their lights a camera has some named places."""
    x, y = camera.lonlat_to_pixel(places.lon.to_numpy(), places.lat.to_numpy())
    apart = np.hypot(x - places.x.to_numpy(), y - places.y.to_numpy())
    return np.where(np.isfinite(apart), apart, np.inf)


# A pixel of the VIIRS products: 15 arc seconds of a great circle of the mean Earth radius
MAP_PIXEL_M = 463.3
GRID = 17  # pixels along each side at which a solved camera is compared with the true one


def ground_grid(camera: Camera) -> FloatArray:
    """X, y, longitude, latitude (4, n) of pixels all over the image, at incidence below 80°."""
    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, GRID),
        np.linspace(0.0, camera.height_px - 1.0, GRID),
    )
    slant = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    x, y = x[slant < MAX_INCIDENCE_DEG], y[slant < MAX_INCIDENCE_DEG]
    return np.stack([x, y, *camera.pixel_to_lonlat(x, y)])


def resolution_m(camera: Camera, x: ArrayLike, y: ArrayLike) -> FloatArray:
    """The coarser of map pixel and photo pixel on the ground, metres.

    A photo pixel's size on the ground is the square root of its area there.
    """
    px, py = np.asarray(x, float), np.asarray(y, float)
    across = camera.pixel_to_ecef(px + 0.5, py) - camera.pixel_to_ecef(px - 0.5, py)
    down = camera.pixel_to_ecef(px, py + 0.5) - camera.pixel_to_ecef(px, py - 0.5)
    pixel_m = np.sqrt(np.linalg.norm(np.cross(across, down), axis=-1))
    return np.fmax(pixel_m, MAP_PIXEL_M)


def normalised_errors(
    points: Sequence[ControlPoint], truth: Camera
) -> tuple[FloatArray, FloatArray]:
    """Errors of control points east and north in units of their sigmas."""
    x, y, lon, lat = place_columns(points)
    variance = np.array([[p.covariance_m[0], p.covariance_m[2]] for p in points]).reshape(-1, 2)
    true = np.stack(truth.pixel_to_lonlat(x, y))
    seen = np.isfinite(true[0])
    true_lon, true_lat = np.where(seen, true, 0.0)
    azimuth, _, length_m = WGS84.inv(true_lon, true_lat, lon, lat)
    off_m = length_m * np.stack([np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))])
    east, north = np.where(seen, off_m / np.sqrt(variance.T), np.inf)
    return east, north


def place_columns(points: Sequence[ControlPoint]) -> FloatArray:
    """X, y, longitude and latitude of control points, shape (4, n)."""
    return np.array([[p.x, p.y, p.lon, p.lat] for p in points], float).reshape(-1, 4).T


def score_columns(camera: Camera, points: Sequence[ControlPoint], truth: Camera) -> dict[str, Any]:
    """Columns that say how good a proposal is."""
    x, y, lon, lat = place_columns(points)
    error_m = distance_m(*truth.pixel_to_lonlat(x, y), lon, lat)
    diagonal = diagonal_km(truth)
    z_east, z_north = normalised_errors(points, truth)
    columns: dict[str, Any] = {
        "right": is_right(truth, x, y, error_m),
        "bar_km": right_within_km(diagonal),
        "diagonal_km": diagonal,
        "point_error_m": error_m,
        "point_error_units": error_m / resolution_m(truth, x, y),
        "z_east": z_east,
        "z_north": z_north,
    }
    grid = ground_grid(truth)
    off_m = distance_m(*camera.pixel_to_lonlat(*grid[:2]), *grid[2:])
    in_units = off_m / resolution_m(truth, *grid[:2])
    percent = 100.0 * off_m / max(1000.0 * diagonal, 1.0)
    for name, errors in (("m", off_m), ("units", in_units), ("percent", percent)):
        for word, share in (("median", 0.5), ("p95", 0.95), ("max", 1.0)):
            columns[f"grid_{word}_{name}"] = quantile(errors, share)
    return columns


def quantile(errors: ArrayLike, share: float) -> float | None:
    """The least of some numbers that so large a share does not exceed; None of nothing.

    NaNs are left out. Unlike an interpolated quantile it is defined where errors are infinite.
    """
    known = np.asarray(errors, float)
    known = np.sort(known[~np.isnan(known)])
    return float(known[max(math.ceil(share * len(known)) - 1, 0)]) if len(known) else None
