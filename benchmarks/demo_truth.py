"""How far the control points of the sample photographs lie from the truth."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.simulate.camera import SimCamera, geodetic_of, wgs84
from regengine.registration.overlay import overlay_path
from regengine.result import FrameResult

TRUTH = Path(__file__).resolve().parents[1] / "data_samples" / "truth"
RIGHT_FRACTION, RIGHT_KM = 0.01, 1.0  # of the footprint's diagonal, or this if it is more


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One photo's control points against the truth."""

    # Distance of each control point from what its pixel really shows; infinite for the sky.
    errors_m: tuple[float, ...]
    sigma_m: float  # median of what the points say of themselves, per axis
    bar_km: float  # largest error that counts as right

    @property
    def right(self) -> bool:
        """Whether every point is within the bar."""
        return max(self.errors_m) <= 1000.0 * self.bar_km


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


def compare(result: FrameResult, truth: dict[str, Any]) -> Comparison | None:
    """Control points against the truth; None where there are none."""
    points = result.control_points
    if not points:
        return None
    lon, lat, _ = true_camera(truth).ground([p.x for p in points], [p.y for p in points])
    _, _, errors = wgs84().inv([p.lon for p in points], [p.lat for p in points], lon, lat)
    errors = np.where(np.isfinite(lon), errors, np.inf)
    diagonal_km = result.footprint_diagonal_km or 0.0
    return Comparison(
        errors_m=tuple(float(error) for error in errors),
        sigma_m=float(np.median([p.sigma_m for p in points])),
        bar_km=max(RIGHT_KM, RIGHT_FRACTION * diagonal_km),
    )


def verdict_on(result: FrameResult, truth: dict[str, Any], found: Comparison | None) -> str:
    """A word on an answer: right, wrong, or missed where lights could have been matched."""
    lit = bool(truth["reference_points"])
    if found is None:
        return "missed" if lit else "right: nothing to match"
    if found.right:
        return "right"
    return "wrong" if lit else "wrong: nothing to match"


def numbers(found: Comparison | None) -> str:
    """Median and largest error and the sigma, as columns."""
    if found is None:
        return f"{'-':>9} {'-':>9} {'-':>8}"
    median, largest = float(np.median(found.errors_m)), max(found.errors_m)
    return f"{median:7.0f} m {largest:7.0f} m {found.sigma_m:6.0f} m"


def main(argv: list[str]) -> int:
    """Print a table; 1 if an accepted answer is wrong or a sample is not in the store."""
    from regengine.store.snapshot import read_store

    parser = argparse.ArgumentParser(prog="python -m benchmarks demo-truth", description=__doc__)
    parser.add_argument("store", type=Path, help="made by regengine register data_samples/*.jpg")
    parser.add_argument("overlays", type=Path, help="folder of the overlays made by the same run")
    given = parser.parse_args(argv)

    results = {Path(stored.result.path).stem: stored.result for stored in read_store(given.store)}
    truths = {path.stem: json.loads(path.read_text()) for path in sorted(TRUTH.glob("*.json"))}
    print("\nControl points against the truth")
    print(f"{'photo':16} {'verdict':9} {'median':>9} {'largest':>9} {'sigma':>8}  answer")
    bad = sorted(truths.keys() - results.keys())
    for name in sorted(truths.keys() & results.keys()):
        result, truth = results[name], truths[name]
        found = compare(result, truth)
        answer = verdict_on(result, truth, found)
        print(f"{name:16} {result.verdict:9} {numbers(found)}  {answer}")
        if result.verdict == "accepted" and answer != "right":
            bad.append(name)
    print("\nOverlays")
    for name in sorted(results):
        print(f"  {overlay_path(results[name], given.overlays)}")
    if bad:
        print(f"\naccepted and wrong, or missing: {', '.join(bad)}", file=sys.stderr)
    return 1 if bad else 0
