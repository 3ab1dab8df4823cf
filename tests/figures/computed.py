"""Cameras of points that a person sets, and arithmetic that few commands reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef, great_circle_km, incidence_deg
from matchers.geometry.footprint import corner_lonlat, diagonal_km, trace_visible_outline
from matchers.geometry.pose import move_on_orbit, off_nadir_attitude, turn_camera, with_attitude
from matchers.lights.dense import spread_boresights
from regengine import open_light_map
from regengine.frames.geometry import sky_position
from regengine.registration.points.compare_maps import (
    DAY,
    choose_side_px,
    compare_at_point,
    find_marks,
    read_beside_map,
    snap,
)
from regengine.registration.points.solve_points import PositionPrior, solve
from regengine.registration.refine_on_map import even_picture
from regengine.score.scenes import score_calibration
from regengine.store.result import ReviewedPoint
from tests.world.runs import LIGHTS, SAMPLES
from tests.world.samples import true_camera

EAST = (-0.17, 0.98, 0.0)
SHARES = np.array(
    [
        *((0.1, 0.1), (0.9, 0.15), (0.85, 0.9), (0.1, 0.9), (0.5, 0.45)),
        *((0.3, 0.7), (0.7, 0.3), (0.55, 0.8), (0.2, 0.4)),
    ]
)


@lru_cache(maxsize=1)
def _slanted(off_nadir_deg: float = 35.0) -> Camera:
    x, y, z = geodetic_to_ecef(10.0, 45.0, 410e3).tolist()
    camera = Camera(
        width_px=4256,
        height_px=2832,
        focal_px=5900.0,
        principal_point=(2127.5, 1415.5),
        distortion=(0.02, -0.003, 1e-4, -2e-4, 0.001),
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=(x, y, z),
    )
    return with_attitude(camera, off_nadir_attitude((x, y, z), off_nadir_deg, 60.0, 25.0))


def _points(camera: Camera, count: int, noise_px: float) -> list[ReviewedPoint]:
    noise = noise_px * np.random.default_rng(count).normal(size=(count, 2))
    x, y = (SHARES[:count] * (camera.width_px, camera.height_px)).T
    lon, lat = camera.pixel_to_lonlat(x, y)
    return [
        ReviewedPoint(x=x[k] + dx, y=y[k] + dy, lon=o, lat=a, sigma_px=sigma, origin="person")
        for k, ((dx, dy), o, a) in enumerate(
            zip(noise.tolist(), lon.tolist(), lat.tolist(), strict=True)
        )
        for sigma in [None if k % 3 == 2 else 2.0 + k]
    ]


def _moved(camera: Camera, along_km: float, focal: float, turn: Sequence[float]) -> Camera:
    x, y, z = move_on_orbit(camera.position_ecef_m, EAST, 1e3 * along_km, 2e3, 1e3).tolist()
    start = replace(camera, position_ecef_m=(x, y, z), focal_px=camera.focal_px * focal)
    return turn_camera(start, (turn[0], turn[1], turn[2]))


def points_solved() -> Any:
    truth = _slanted()
    start = _moved(truth, 8.0, 1.02, (0.01, -0.02, 0.015))
    track = np.array(
        [move_on_orbit(start.position_ecef_m, EAST, 20e3 * k, 0.0, 0.0) for k in range(-20, 21)]
    )
    flown = PositionPrior(track_ecef_m=track)
    found: dict[str, Any] = {}
    for count in (1, 2, 3, 4, 6, 9):
        points = _points(truth, count, 1.5)
        for free in ("auto", "attitude", "focal", "position", "all"):
            known = flown if free == "auto" else PositionPrior()
            found[f"{free}{count}"] = solve(start, points, free, known)
    wrong = _points(truth, 6, 1.0)
    wrong[3] = replace(wrong[3], x=wrong[3].x + 70.0, y=wrong[3].y - 50.0)
    found["wrong"] = solve(start, wrong, "focal", flown)
    far = _moved(truth, 900.0, 1.0, (0.3, -0.4, 0.2))
    points = _points(truth, 6, 0.3)
    found["far"] = solve(far, points, "auto", flown)
    found["anywhere"] = solve(far, points, "auto", None)
    found["few"] = [solve(far, points[:n], "auto") for n in (1, 2, 3)]
    zoomed = replace(truth, focal_px=2.2 * truth.focal_px)
    unknown = replace(flown, lens_known=False)
    found["zoomed"] = [solve(zoomed, points[:n], "auto", unknown) for n in (2, 3, 6)]
    return found


def points_beside_a_map() -> Any:
    name = "ISS990-E-000103"
    camera, lights = true_camera(name), open_light_map([LIGHTS])
    side = choose_side_px("lights", camera, lights)
    beside = read_beside_map("lights", SAMPLES / f"{name}.jpg", side, camera, lights)
    marks = find_marks(camera, beside, 30)
    turned = turn_camera(camera, (0.002, -0.001, 0.004))
    snapped = [
        (snap(turned, point, beside, photo_moves=moves), compare_at_point(camera, point, beside))
        for point in _points(camera, 9, 3.0)
        for moves in (True, False)
    ]
    one, other = zip(*snapped, strict=True)
    return {"side_px": side, "marks": marks, "snapped": one, "compared": other}


def cameras_and_outlines() -> Any:
    found: dict[str, Any] = {}
    for off_nadir in (0.0, 35.0, 61.0, 75.0):
        slanted = _slanted()
        x, y, z = slanted.position_ecef_m
        whole = with_attitude(slanted, off_nadir_attitude((x, y, z), off_nadir, -63.0, 140.0))
        for camera in (whole, replace(whole, mirrored=True, pixel_aspect=1.1)):
            px, py = np.meshgrid(np.linspace(0, 4255, 7), np.linspace(0, 2831, 5))
            lon, lat = camera.pixel_to_lonlat(px, py)
            there = camera.lonlat_to_pixel(lon + 0.01, lat - 0.02, 500.0)
            seen = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(px, py))
            found[f"{off_nadir:.0f}{'m' if camera.mirrored else ''}"] = {
                "quaternion": camera.quaternion,
                "off_nadir_deg": camera.off_nadir_deg,
                "lonlat": np.array([lon, lat]),
                "pixels": np.array(there),
                "incidence_deg": np.asarray(seen),
                "outline": np.array(trace_visible_outline(camera, 33)),
                "corners": [place or (None, None) for place in corner_lonlat(camera)],
                "diagonal_km": diagonal_km(camera),
                "apart_km": np.asarray(great_circle_km(lon, lat, lon[::-1], lat[::-1])),
                "smaller": camera.scaled(0.25, 1064, 708).principal_point,
            }
    turn = Rotation.from_quat(_slanted().quaternion).as_euler("zyx", degrees=True)
    return found | {"euler_deg": turn}


def small_steps() -> Any:
    """Directions to search in, a camera among the stars, evened pictures, calibration."""
    moment = datetime(2014, 1, 17, 7, 45, 50, tzinfo=UTC)
    upward = with_attitude(
        _slanted(), off_nadir_attitude(_slanted().position_ecef_m, 70.0, -20.0, 5.0)
    )
    rng = np.random.default_rng(1)
    picture = rng.uniform(0.0, 1.0, (90, 120)).astype(np.float32)
    whole = np.ones_like(picture)
    shares = np.array([0.0, 0.04, 0.35, 0.36, 0.99, 1.0])
    return {
        "directions": spread_boresights(9.0, 0.0, 50.0),
        "beyond": spread_boresights(7.0, 30.0, 60.0),
        "sky": [sky_position(one, moment) for one in (_slanted(), upward)],
        "even": even_picture(picture, whole, DAY),
        "constant": even_picture(np.full_like(picture, 0.71), whole, DAY),
        "calibration": score_calibration(shares, shares > 0.35),
    }
