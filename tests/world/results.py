"""Frame results made by hand, and stand-ins for the registration, for tests of what follows it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef
from regengine.store.reasons import Reason
from regengine.store.result import (
    ControlPoint,
    FitRecord,
    FrameResult,
    HypothesisRecord,
    MatchedMap,
    NadirInput,
    PatchProof,
    SolvedCamera,
)


def nadir_camera(lon: float = 136.9, lat: float = 35.7, *, tilt_deg: float = 0.0) -> Camera:
    """North-up camera of 640 x 426 px, 391.2 km up, tilted northward."""
    # Half-angles instead of scipy's rotations: each worker of a test would import it for this
    east, down = np.radians(90.0 + lon) / 2.0, np.radians(tilt_deg - 90.0 - lat) / 2.0
    (s_east, s_down), (c_east, c_down) = np.sin([east, down]), np.cos([east, down])
    quaternion = c_east * s_down, s_east * s_down, s_east * c_down, c_east * c_down
    return Camera(
        width_px=640,
        height_px=426,
        focal_px=1506.1,
        principal_point=(319.5, 212.5),
        quaternion=tuple(map(float, quaternion)),
        position_ecef_m=tuple(geodetic_to_ecef(lon, lat, 391.2e3).tolist()),
        distortion=(0.01, 0.0, 0.0, 0.0, 0.0),
    )


def solved(camera: Camera, late_s: float = -131.7) -> SolvedCamera:
    return SolvedCamera(
        camera=camera,
        along_track_offset_s=late_s,
        along_track_sigma_s=0.31,
        off_nadir_deg=camera.off_nadir_deg,
    )


def control_point(x: float, y: float, camera: Camera | None = None) -> ControlPoint:
    """A pixel at the place where a camera has it."""
    lon, lat = (camera or nadir_camera()).pixel_to_lonlat(x, y)
    return ControlPoint(
        x=float(x),
        y=float(y),
        lon=float(lon),
        lat=float(lat),
        sigma_px=0.6,
        sigma_m=140.0,
        covariance_px=(0.36, 0.01, 0.25),
        covariance_m=(19600.0, -120.0, 15000.0),
        n_lights=12,
    )


def hypothesis(rank: int) -> HypothesisRecord:
    return HypothesisRecord(
        rank=rank,
        solved=solved(nadir_camera(tilt_deg=float(rank))),
        ncc=0.7 - 0.2 * rank,
        log10_odds=38.2 - 30.0 * rank,
        centre_lon=136.9,
        centre_lat=35.7,
    )


def proposal(name: str = "ISS030-E-184140", verdict: str = "accepted") -> FrameResult:
    """A result with everything that a result can have."""
    reasons = (
        (
            Reason(code="low_margin", values={"message": "Two cameras fit alike."}),
            Reason(code="x", values={"message": "Y, z."}),
        )
        if verdict == "review"
        else ()
    )
    return FrameResult(
        frame=name,
        path=f"photos/{name}.jpg",
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        verdict=verdict,  # type: ignore[arg-type]
        probability=0.9997,
        reasons=reasons,
        width_px=640,
        height_px=426,
        orientation=6,
        category="cities",
        category_probability=0.98,
        time_utc="2012-03-28T15:46:41Z",
        camera_body="NIKON D3S",
        focal_mm=85.0,
        pixel_pitch_um=56.25,
        sources=(("time", "exif"), ("focal_mm", "record"), ("nadir", "tle")),
        nadir=NadirInput(
            lon=136.9,
            lat=35.7,
            altitude_km=391.2,
            source="tle",
            tle_age_h=157.0,
            sigma_along_km=60.0,
            sigma_cross_km=1.0,
        ),
        solved=solved(nadir_camera()),
        control_points=tuple(
            control_point(x, y) for x, y in ((100, 90), (520, 80), (540, 330), (90, 340))
        ),
        footprint=((136.0, 36.2), (137.8, 36.2), None, (136.0, 35.2)),
        footprint_diagonal_km=191.0,
        fit=FitRecord(
            ncc=0.71,
            runner_up_ncc=0.42,
            residual_px=0.7,
            residual_m=160.0,
            matched_lights=143,
            held_out_residual_px=0.9,
            log10_odds=38.2,
            runner_up_log10_odds=2.1,
        ),
        reference=MatchedMap(kind="lights", product="Black Marble", pixel_m=463.8),
        hypotheses=(hypothesis(0), hypothesis(1)),
        map_title="Black Marble 2016",
        engine_version="0.1.0",
        seconds=1.9,
    )


MAPS = (
    MatchedMap(kind="lights", product="Black Marble"),
    MatchedMap(kind="streets"),
    MatchedMap(kind="day", product="Blue Marble"),
)
PROOFS = (
    PatchProof(n_agreeing=31, n_patches=60, sample_m=25.0, log10_chance=-20.5),
    PatchProof(n_agreeing=41, n_patches=64, sample_m=12.5, log10_chance=-35.0),
)


def placed_by_day(found: FrameResult) -> FrameResult:
    """The same as placed on a day map."""
    return replace(
        found,
        fit=replace(found.fit, matched_lights=0, runner_up_ncc=0.0),
        map_title="day, made by hand",
        reference=MatchedMap(kind="day", product="made by hand"),
        proofs=PROOFS,
        control_points=tuple(replace(point, n_lights=0) for point in found.control_points),
    )


def nothing_found(name: str = "ISS001-E-1") -> FrameResult:
    """A result with as little as a readable photo can have."""
    return FrameResult(
        frame=name,
        path=f"{name}.jpg",
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        verdict="no_match",
        probability=None,
        reasons=(Reason(code="no_ephemeris", values={"message": "No time and no nadir."}),),
        width_px=640,
        height_px=426,
        engine_version="0.1.0",
        seconds=0.1,
    )
