"""Frames of the same camera taken moments before or after, and their propagated cameras."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef
from matchers.geometry.pose import turn_along_track, with_attitude
from regengine.io.times import parse_iso_time
from regengine.result import FrameResult
from regengine.review.bodies import PLACED, CameraBody, camera_json
from regengine.review.context import ReviewContext
from regengine.review.queue import Queue

REACH_S = 300.0  # the station flies from above a place to its horizon in this time
MAX_COUNT = 8
MIN_WAY_M = 1000.0  # of the station: a shorter distance does not determine the direction of flight


def list_neighbours(queue: Queue, here: FrameResult, number: int) -> list[dict[str, Any]]:
    """Queue entries in order of time, with ``seconds`` after the given frame."""
    rows, when = queue.rows, parse_iso_time(here.time_utc or "")
    if when is None or not here.camera_body:
        return []
    reach = timedelta(seconds=REACH_S)
    # Times sort as text
    first, own, last = (
        f"{at:%Y-%m-%dT%H:%M:%S}".encode() for at in (when - reach, when, when + reach)
    )
    order = rows.by_time_known
    times = rows.time_utc[order]
    start, end = np.searchsorted(times, first), np.searchsorted(times, last + b"\xff", "right")
    near = order[start:end]
    near = near[rows.camera_body.are([here.camera_body])[near] & (rows.frame_index[near] != number)]
    middle = int(np.searchsorted(rows.time_utc[near], own))
    found = []
    for row in near[max(0, middle - MAX_COUNT) : middle + MAX_COUNT].tolist():
        at = parse_iso_time(rows.text("time_utc", row))
        if at is not None:
            found.append(((at - when).total_seconds(), row))
    nearest = sorted(found, key=lambda pair: abs(pair[0]))[:MAX_COUNT]
    return [queue.line(row) | {"seconds": seconds} for seconds, row in sorted(nearest)]


def carry_neighbour(
    context: ReviewContext, number: int, here: FrameResult, seconds: float
) -> dict[str, Any] | None:
    """The camera of a neighbour, so many seconds after a frame, propagated to the frame's time.

    It is the camera that a person accepted, or else the engine's proposal. None if there is none,
    or it is for another image size.
    """
    there = context.result(number)
    camera = _camera(context, number, there)
    if camera is None or (there.width_px, there.height_px) != (here.width_px, here.height_px):
        return None
    return camera_json(_carry_camera(camera, there, here, seconds))


def _camera(context: ReviewContext, number: int, result: FrameResult) -> Camera | None:
    """The camera that a person accepted, or else the engine's proposal unless rejected."""
    heads = context.decisions.heads(number, result.sha256)
    if heads:
        work = heads[0].work
        accepted = heads[0].decision == "accepted" and work["camera"] is not None
        return CameraBody(**work["camera"]).camera() if accepted else None
    placed = result.verdict in PLACED and result.solved is not None
    return result.solved.camera if placed and result.solved is not None else None


def _carry_camera(camera: Camera, there: FrameResult, here: FrameResult, seconds: float) -> Camera:
    """Move the camera along the orbit, with constant attitude relative to the vertical.

    This holds for a camera fixed to a window. The station's positions are those known independently
    of the photos; if they are unknown, the camera is not moved.
    """
    if there.focal_mm and here.focal_mm:
        camera = replace(camera, focal_px=camera.focal_px * here.focal_mm / there.focal_mm)
    before, after = _station_m(there), _station_m(here)
    if before is None or after is None or float(np.linalg.norm(after - before)) < MIN_WAY_M:
        return camera
    flight = after - before if seconds < 0.0 else before - after
    turn = turn_along_track(before, after, flight)
    x, y, z = (turn @ np.asarray(camera.position_ecef_m)).tolist()
    return with_attitude(replace(camera, position_ecef_m=(x, y, z)), turn @ camera.matrix)


def _station_m(result: FrameResult) -> FloatArray | None:
    nadir = result.nadir
    if nadir is None:
        return None
    return np.asarray(geodetic_to_ecef(nadir.lon, nadir.lat, 1e3 * nadir.altitude_km), float)
