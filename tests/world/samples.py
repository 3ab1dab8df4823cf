"""A store of the sample photographs whose right and wrong proposals are known, made in no time."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from scipy.spatial.transform import Rotation

from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic
from matchers.geometry.pose import move_on_orbit, point_at_nadir, with_attitude
from regengine.store.reasons import Reason
from regengine.store.result import FrameResult, Verdict
from tests.world.results import control_point, proposal, solved
from tests.world.stores import ground_of, write_store

SAMPLES = Path(__file__).resolve().parents[2] / "data_samples"
LIGHTS = SAMPLES / "lights.tif"
# What is wrong with a wrong proposal: turned about the camera's axes, some 45 km on the ground;
# the lens by 1.5 %; the station by 19 km
WRONG_TURN_DEG = (2.0, -1.5, 8.0)
WRONG_FOCAL = 1.015
WRONG_PLACE_M = (12_000.0, -9_000.0, 12_000.0)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What the made-up engine says of a sample."""

    verdict: Verdict
    probability: float | None
    reason: str | None = None
    # Whether the proposal, and whether the runner-up, is the true camera; else it is turned
    right: bool = True
    runner_up_right: bool = False
    # How much farther along a great circle the turned cameras stand
    away_km: float = 0.0
    nadir_known: bool = True


PROPOSALS: Mapping[str, Proposal] = {
    "ISS990-E-000101": Proposal(verdict="accepted", probability=0.9995),
    "ISS990-E-000102": Proposal(
        verdict="no_match", probability=None, reason="not_a_night_city_frame"
    ),
    "ISS990-E-000103": Proposal(
        verdict="review", probability=0.31, reason="low_margin", right=False, runner_up_right=True
    ),
    "ISS990-E-000104": Proposal(verdict="review", probability=0.93, reason="low_margin"),
    "ISS990-E-000105": Proposal(verdict="no_match", probability=None, reason="few_lights"),
    "ISS990-E-000106": Proposal(verdict="review", probability=0.62, reason="few_lights"),
}
# What it says of a copy of a sample that goes by another name
OF_COPIES: Mapping[str, Proposal] = {
    "far": Proposal(
        verdict="review",
        probability=0.31,
        reason="low_margin",
        right=False,
        away_km=1473.0,
        nadir_known=False,
    )
}


def truth_of(frame: str) -> dict[str, Any]:
    """What is known of a sample: camera, pixels with their places, time."""
    path = SAMPLES / "truth" / f"{frame}.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def true_camera(frame: str) -> Camera:
    return camera_of(truth_of(frame)["camera"])


def camera_of(told: Mapping[str, Any]) -> Camera:
    known = {one.name: told[one.name] for one in fields(Camera) if one.name in told}
    return Camera(**{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})


def turned_camera(camera: Camera, away_km: float = 0.0) -> Camera:
    """The camera elsewhere, looking elsewhere with another lens, as a wrong match would have it."""
    if away_km:
        x, y, z = move_on_orbit(
            camera.position_ecef_m, [0.0, 0.0, 1.0], 1e3 * away_km, 0.0, 0.0
        ).tolist()
        over = point_at_nadir([x, y, z])
        camera = with_attitude(replace(camera, position_ecef_m=(x, y, z)), over)
    turn = Rotation.from_rotvec(WRONG_TURN_DEG, degrees=True)
    quaternion = (Rotation.from_quat(camera.quaternion) * turn).as_quat().tolist()
    x, y, z = (a + b for a, b in zip(camera.position_ecef_m, WRONG_PLACE_M, strict=True))
    return replace(
        camera,
        quaternion=tuple(quaternion),
        focal_px=camera.focal_px * WRONG_FOCAL,
        position_ecef_m=(x, y, z),
    )


def true_json(frame: str) -> dict[str, Any]:
    """The camera that a sample was taken with, as the review's server takes it."""
    return asdict(true_camera(frame))


def sample_result(frame: str, photo: Path, said: Proposal | None = None) -> FrameResult:
    """What the made-up engine says of one sample, whose photo lies there."""
    said, truth, camera = said or PROPOSALS[frame], truth_of(frame), true_camera(frame)
    wrong = turned_camera(camera, said.away_km)
    lon, lat, height_m = (float(value) for value in ecef_to_geodetic(camera.position_ecef_m))
    made, code = proposal(frame, said.verdict), said.reason
    assert made.nadir is not None
    assert made.fit is not None
    nadir = replace(
        made.nadir,
        lon=lon,
        lat=lat,
        altitude_km=height_m / 1000.0,
        tle_age_h=truth["tle_age_h"],
        sigma_along_km=8.0,
    )
    best, second = (camera, wrong) if said.right else (wrong, camera)
    if not (said.right or said.runner_up_right):
        second = turned_camera(wrong)
    known = truth["reference_points"]
    width, height = camera.width_px, camera.height_px
    corners = ((0, 0), (width, 0), (width, height), (0, height))
    nearest = [
        min(known, key=lambda p: abs(p["x"] - x) + abs(p["y"] - y)) for x, y in corners if known
    ]
    placed: dict[str, Any] = {
        "solved": solved(best, 0.0),
        "control_points": tuple(
            replace(control_point(p["x"], p["y"], best), sigma_px=0.8) for p in nearest
        ),
        "footprint": tuple(
            ground_of(best, x, y)
            for x, y in ((0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1))
        ),
        "footprint_diagonal_km": 400.0,
        "fit": replace(made.fit, matched_lights=64, log10_odds=9.0, runner_up_log10_odds=4.0),
        "hypotheses": tuple(
            _hypothesis(made.hypotheses[rank], camera) for rank, camera in enumerate((best, second))
        ),
    }
    if said.verdict == "no_match":
        placed = dict.fromkeys(placed) | {"control_points": (), "hypotheses": ()}
    return replace(
        made,
        path=str(photo),
        sha256=hashlib.sha256(photo.read_bytes()).hexdigest(),
        probability=said.probability,
        reasons=() if code is None else (Reason(code=code, values={"message": "Why."}),),
        width_px=camera.width_px,
        height_px=camera.height_px,
        orientation=8 if frame.endswith("105") else 1,
        time_utc=truth["time_utc"],
        focal_mm=truth["focal_mm"],
        pixel_pitch_um=1000.0 * truth["focal_mm"] / camera.focal_px,
        sources=(),
        nadir=nadir if said.nadir_known else None,
        map_title="lights.tif",
        **placed,
    )


def sample_store(folder: Path, frames: Iterable[tuple[str, str]] | None = None) -> Path:
    (folder / "photos").mkdir(parents=True)
    results = []
    for frame, name in frames or zip(PROPOSALS, PROPOSALS, strict=True):
        photo = folder / "photos" / f"{name}.jpg"
        shutil.copyfile(SAMPLES / f"{frame}.jpg", photo)
        result = sample_result(frame, photo, OF_COPIES.get(name))
        results.append(replace(result, frame=name, path=f"photos/{name}.jpg"))
    return write_store(folder / "run.h5", results)


def _hypothesis(base: Any, camera: Camera) -> Any:
    lon, lat = camera.pixel_to_lonlat(*camera.principal_point)
    return replace(
        base,
        solved=solved(camera, 0.0),
        log10_odds=9.0 - 5.0 * base.rank,
        centre_lon=float(lon),
        centre_lat=float(lat),
    )
