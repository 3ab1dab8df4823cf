"""Cameras of the public benchmark, fitted to picked points and the orbit, and to nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.pages import tell
from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg, to_xyz
from matchers.geometry.footprint import MAX_INCIDENCE_DEG
from matchers.geometry.pose import PosePrior
from regengine.maps.at_hand import ELEMENT_SETS
from regengine.orbit.position import element_sets
from regengine.orbit.propagation import camera_position
from regengine.registration.points.solve_points import (
    Freed,
    PointFit,
    Start,
    fit_points,
    pair_points,
    turn_to_places,
)
from regengine.score.registration import distance_m, read_true_photos
from regengine.store.result import ReviewedPoint

FOLDER = Path(__file__).parent
FRAMES, POINTS = FOLDER / "frames.csv", FOLDER / "points.csv"
PICKS = "first", "second"  # by different observers
# Radial distortion of lenses, one sigma: a share of the distance of the corner from the axis
CORNER_SHARE, CORNER_MM = 0.015, 21.6
ENOUGH = 6  # points of a photo that is judged by them
SENSOR_MM = 36.0  # long side of the sensor of all these cameras
FREED: tuple[Freed, ...] = ("attitude", "focal length", "position", "distortion")


def fit_to_orbit(frame: pd.Series, points: pd.DataFrame) -> tuple[PointFit, float]:
    """Fit the camera of a frame to its points; and the error of its clock, seconds.

    ``frame``: `width_px`, `height_px`, `time_utc` and `focal_mm`; ``points``: `x`, `y`, `lon`,
    `lat`. Prior are the orbit at the camera's time, whose clock is wrong by ten seconds, and the
    focal length of EXIF.
    """
    there = camera_position(element_sets((ELEMENT_SETS,)), frame.time_utc.to_pydatetime())
    velocity = there.velocity_ecef_m_s
    assert velocity is not None
    long_side_px = max(frame.width_px, frame.height_px)
    camera = Camera(
        width_px=int(frame.width_px),
        height_px=int(frame.height_px),
        focal_px=float(frame.focal_mm / SENSOR_MM * long_side_px),
        principal_point=(0.5 * (frame.width_px - 1.0), 0.5 * (frame.height_px - 1.0)),
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=to_xyz(there.position_ecef_m),
    )
    belief = PosePrior(
        position_ecef_m=camera.position_ecef_m,
        velocity_ecef=to_xyz(velocity),
        focal_px=camera.focal_px,
        sigma_along_m=75e3,
        sigma_across_m=1e3 * there.sigma_cross_km,
        sigma_up_m=1e3 * there.sigma_radial_km,
        sigma_log_focal=0.02,
        sigma_k1=CORNER_SHARE * (frame.focal_mm / CORNER_MM) ** 2,
        principal_point=camera.principal_point,
    )
    picked = [
        ReviewedPoint(x=one.x, y=one.y, lon=one.lon, lat=one.lat, sigma_px=None, origin="person")
        for one in points.itertuples()
    ]
    pairs = pair_points(camera, picked)
    fit = fit_points(Start(camera=turn_to_places(camera, pairs), belief=belief), pairs, FREED)
    moved_m = np.subtract(fit.camera.position_ecef_m, there.position_ecef_m)
    return fit, float(moved_m @ velocity / (velocity @ velocity))


def find_sigma_km(frame: pd.Series, points: pd.DataFrame, camera: Camera) -> float:
    """How far the camera may have the ground elsewhere, km, by leaving out one point after another.

    One sigma in the median of a grid of pixels, by the jackknife (Efron 1982).
    """
    sides = (np.linspace(0.1, 0.9, 5) * side for side in (camera.width_px, camera.height_px))
    x, y = (each.ravel() for each in np.meshgrid(*sides))
    seen = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y)) < MAX_INCIDENCE_DEG
    place = camera.pixel_to_lonlat(x[seen], y[seen])
    off_m = [
        distance_m(*fit_to_orbit(frame, some)[0].camera.pixel_to_lonlat(x[seen], y[seen]), *place)
        for some in (points.drop(row) for row in points.index)
    ]
    count = len(points)
    sigma_m = np.sqrt((count - 1) / count * np.sum(np.square(off_m), axis=0))
    return float(np.median(sigma_m)) / 1e3


def read_frames() -> pd.DataFrame:
    """The table of frames, with times; empty texts where nothing is told."""
    texts = ["file", "frame_id", "truth", "remark", "repository", "path", "commit", "sha256"]
    frames = pd.read_csv(FRAMES)
    frames[texts] = frames[texts].fillna("")
    return frames.assign(time_utc=pd.to_datetime(frames.time_utc, format="ISO8601", utc=True))


def refit_cameras() -> None:
    """Fit the cameras of frames that points judge to these, and write them into the table."""
    frames, picked = read_frames(), pd.read_csv(POINTS)
    table = pd.read_csv(FRAMES, dtype=str, keep_default_na=False)
    for row in np.flatnonzero(frames.truth == "points"):
        frame = frames.loc[row]
        some = picked[(picked.file == frame.file) & picked.pick.isin(PICKS)]
        fit, clock_s = fit_to_orbit(frame, some)
        camera = fit.camera
        values = {
            "focal_px": camera.focal_px,
            "principal_x": camera.principal_point[0],
            "principal_y": camera.principal_point[1],
            "k1": camera.distortion[0],
            **{f"quaternion_{k}": v for k, v in zip("xyzw", camera.quaternion, strict=True)},
            **{f"position_{k}_m": v for k, v in zip("xyz", camera.position_ecef_m, strict=True)},
            "sigma_km": round(find_sigma_km(frame, some, camera), 2),
            "clock_s": round(clock_s, 1),
            "residual_px": round(float(np.sqrt(np.mean(fit.residual_px**2))), 2),
        }
        table.loc[row, list(values)] = [f"{value:.9g}" for value in values.values()]
        if fit.doubts.suspect.any():
            tell(f"{frame.file}: points disagree: {np.flatnonzero(fit.doubts.suspect).tolist()}")
    table.to_csv(FRAMES, index=False)


def read_cameras() -> dict[str, Camera]:
    """By file the true cameras of the photos that are placed."""
    photos = read_true_photos(FRAMES)
    return {photo.name: photo.camera for photo in photos if photo.camera is not None}
