"""Outcomes of made-up registrations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from example_results import nadir_camera, nothing_found, proposal
from pyproj import Geod

from benchmarks.registration.cases import Case
from benchmarks.registration.process import Outcome, grid_points
from benchmarks.registration.scores import RegistrationScore, score_registration
from benchmarks.registration.truth import Truth

CAMERA = nadir_camera()
POINTS = grid_points(CAMERA)


def outcome(name: str = "Osaka", verdict: str = "accepted", **known: object) -> Outcome:
    case = Case(name=name, file=f"cities/{name}.jpg", photo=Path(f"{name}.jpg"))
    result = None if verdict == "failed" else proposal(name, verdict)
    if verdict == "no_match":
        result = nothing_found(name)
    return replace(
        Outcome(case=case, result=result, truth=Truth(), wall_s=2.5, cpu_s=2.0, peak_mb=300.0),
        **known,  # type: ignore[arg-type]
    )


def score_of(error_m: float) -> RegistrationScore:
    """Control points and camera err by so much."""
    lon, lat, _ = Geod(ellps="WGS84").fwd(
        POINTS.lon, POINTS.lat, np.full(len(POINTS), 40.0), np.full(len(POINTS), error_m)
    )
    points = replace(POINTS, lon=np.asarray(lon), lat=np.asarray(lat))
    score = score_registration(CAMERA, proposal().control_points, CAMERA, points)
    return replace(score, control_point_error_m=np.full(4, error_m))


def scored(error_m: float = 100.0, name: str = "Osaka", **known: object) -> Outcome:
    """An outcome whose control points and camera err by so much against the reference."""
    given = {"truth": Truth(camera=CAMERA), "score": score_of(error_m), **known}
    return outcome(name, **given)  # type: ignore[arg-type]
