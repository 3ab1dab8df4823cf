"""Outcomes of made-up registrations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from example_results import nadir_camera, proposal
from pyproj import Geod

from benchmarks.registration_cases import Case
from benchmarks.registration_local import LocalShift
from benchmarks.registration_run import Outcome, grid_points
from benchmarks.registration_truth import City, Truth
from regengine.evaluate.registration import score_registration

CAMERA = nadir_camera()
POINTS = grid_points(CAMERA)
GOOD = LocalShift(tried=20, found=19, median_px=0.3, median_m=80.0)
BAD = LocalShift(tried=20, found=15, median_px=4.0, median_m=1040.0)


def outcome(name: str = "Osaka", verdict: str = "accepted", **known: object) -> Outcome:
    case = Case(name=name, file=f"cities/{name}.jpg", photo=Path(f"{name}.jpg"))
    result = proposal(name, verdict)
    return replace(
        Outcome(case=case, result=result, truth=Truth(), wall_s=2.0, cpu_s=1.5, peak_mb=300.0),
        **known,  # type: ignore[arg-type]
    )


def scored(error_m: float = 100.0, **known: object) -> Outcome:
    """An outcome whose control points and camera err by so much against the reference."""
    lon, lat, _ = Geod(ellps="WGS84").fwd(
        POINTS.lon, POINTS.lat, np.full(len(POINTS), 40.0), np.full(len(POINTS), error_m)
    )
    points = replace(POINTS, lon=np.asarray(lon), lat=np.asarray(lat))
    score = score_registration(CAMERA, proposal().control_points, CAMERA, points)
    score = replace(score, control_point_error_m=np.full(4, error_m))
    truth = Truth(points=points, camera=CAMERA, residual_px=0.01)
    return outcome(**{"truth": truth, "score": score, **known})


def in_city(one: Outcome, city: City) -> Outcome:
    return replace(one, case=replace(one.case, city=city))


def elsewhere(one: Outcome, tilt_deg: float, **case: object) -> Outcome:
    assert one.result is not None
    assert one.result.solved is not None
    solved = replace(one.result.solved, camera=nadir_camera(tilt_deg=tilt_deg))
    return replace(
        one,
        result=replace(one.result, solved=solved),
        case=replace(one.case, name=f"{one.case.name}, other", **case),  # type: ignore[arg-type]
    )
