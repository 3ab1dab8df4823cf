"""How far the control points of the sample photographs lie from the truth."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.simulate.camera import SimCamera, geodetic_of
from detectors.types import FloatArray
from regengine.evaluate.registration import distance_m, right_within_km
from regengine.registration.overlay import overlay_path
from regengine.result import FrameResult

TRUTH = Path(__file__).resolve().parents[1] / "data_samples" / "truth"


def true_camera(truth: dict[str, Any]) -> SimCamera:
    """The camera that a sample was taken with, from its truth file."""
    from scipy.spatial.transform import Rotation

    camera = truth["camera"]
    lon, lat, height_m = (float(value) for value in geodetic_of(camera["position_ecef_m"]))
    return SimCamera(
        width_px=camera["width_px"],
        height_px=camera["height_px"],
        focal_px=camera["focal_px"],
        principal_x=camera["principal_point"][0],
        principal_y=camera["principal_point"][1],
        k1=camera["distortion"][0],
        lon_deg=lon,
        lat_deg=lat,
        height_m=height_m,
        axes=Rotation.from_quat(camera["quaternion"]).as_matrix(),
        mirrored=camera["mirrored"],
    )


def errors_m(result: FrameResult, truth: dict[str, Any]) -> FloatArray:
    """How far control points lie from what their pixels truly show; infinite for the sky."""
    place = np.array([[p.x, p.y, p.lon, p.lat] for p in result.control_points]).reshape(-1, 4)
    lon, lat, _ = true_camera(truth).ground(place[:, 0], place[:, 1])
    return distance_m(lon, lat, place[:, 2], place[:, 3])


def judge(result: FrameResult, truth: dict[str, Any]) -> tuple[str, str]:
    """Median and largest error and the sigma, as columns; a word on the answer."""
    lit = bool(truth["reference_points"])
    if not result.control_points:
        return f"{'-':>9} {'-':>9} {'-':>8}", "missed" if lit else "right: nothing to match"
    errors = errors_m(result, truth)
    sigma_m = float(np.median([p.sigma_m for p in result.control_points]))
    columns = f"{np.median(errors):7.0f} m {errors.max():7.0f} m {sigma_m:6.0f} m"
    if errors.max() <= 1000.0 * right_within_km(result.footprint_diagonal_km or 0.0):
        return columns, "right"
    return columns, "wrong" if lit else "wrong: nothing to match"


def main(argv: list[str]) -> int:
    """Print a table; 1 if an accepted answer is wrong or a sample is not in the store."""
    from regengine.store.read import iter_frames

    parser = argparse.ArgumentParser(prog="python -m benchmarks demo-truth", description=__doc__)
    parser.add_argument("store", type=Path, help="made by regengine register data_samples/*.jpg")
    parser.add_argument("overlays", type=Path, help="folder of the overlays made by the same run")
    given = parser.parse_args(argv)

    results = {Path(stored.result.path).stem: stored.result for stored in iter_frames(given.store)}
    truths = {path.stem: json.loads(path.read_text()) for path in sorted(TRUTH.glob("*.json"))}
    print("\nControl points against the truth")
    print(f"{'photo':16} {'verdict':9} {'median':>9} {'largest':>9} {'sigma':>8}  answer")
    bad = sorted(truths.keys() - results.keys())
    for name in sorted(truths.keys() & results.keys()):
        columns, answer = judge(results[name], truths[name])
        print(f"{name:16} {results[name].verdict:9} {columns}  {answer}")
        if results[name].verdict == "accepted" and answer != "right":
            bad.append(name)
    print("\nOverlays")
    for name in sorted(results):
        print(f"  {overlay_path(results[name], given.overlays)}")
    if bad:
        print(f"\naccepted and wrong, or missing: {', '.join(bad)}", file=sys.stderr)
    return 1 if bad else 0
