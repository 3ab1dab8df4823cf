"""Fit the first confidence: simulated cases, their evidence, and whether they were right."""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.simulate.case_sources import CaseSource, raster_source
from benchmarks.simulate.cases import Case, draw_case

# Radiance of the classes of the ordinal VIIRS product, nW/cm2/sr (0: dark)
CLASSES = {5: 1.4, 6: 2.7, 7: 6.7, 8: 17.0, 9: 31.0, 10: 47.0, 11: 63.0, 12: 83.0, 13: 134.0}
RADIAL_SIGMA_KM = 2.0
# The map of the self-made land that is photographed where no world is given
SAMPLES_MAP = Path(__file__).parents[1] / "data_samples" / "lights.tif"
_state: dict[str, Any] = {}


def main(argv: list[str]) -> int:
    """Run cases and append their evidence to a table, or fit a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks confidence", description=__doc__)
    parser.add_argument("table", type=Path, nargs="+", help="CSV of cases, appended to and fitted")
    parser.add_argument("--seeds", default="", help="FIRST:LAST, cases to run")
    parser.add_argument("--world", type=Path, help="class raster to photograph (needs --lights)")
    parser.add_argument("--lights", type=Path, help="built map to register against")
    parser.add_argument("--max-seconds", type=float, default=8.0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(argv)
    if options.seeds:
        run(options)
    fit(options.table)
    return 0


def run(options: argparse.Namespace) -> None:
    """Register cases that the table does not hold yet, in worker processes."""
    first, last = (int(s) for s in options.seeds.split(":"))
    done = {int(row["seed"]) for row in rows_of(options.table[:1])}
    seeds = [s for s in range(first, last) if s not in done]
    setting = (options.world, options.lights, options.max_seconds)
    with get_context("spawn").Pool(options.workers, prepare, (setting,)) as pool:
        for row in pool.imap_unordered(one_case, seeds):
            if row is None:
                continue
            new = not options.table[0].exists()
            with options.table[0].open("a", newline="") as file:
                writer = csv.DictWriter(file, list(row))
                if new:
                    writer.writeheader()
                writer.writerow(row)
            print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
            sys.stdout.flush()


def prepare(setting: tuple[Path | None, Path | None, float]) -> None:
    """Open the world and the map once a process."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    import cv2

    cv2.setNumThreads(1)
    world, lights, max_seconds = setting
    from regengine.lights import open_light_map

    source: CaseSource | None = None
    light_map = open_light_map([lights or SAMPLES_MAP])
    if world is not None:
        table = np.zeros(256)
        for code, radiance in CLASSES.items():
            table[code] = radiance
        source = raster_source(world, radiance_of_value=table)
    _state.update(source=source, light_map=light_map, max_seconds=max_seconds)


def one_case(seed: int) -> dict[str, Any] | None:
    """Draw, register and score one case."""
    from regengine.evidence import Evidence
    from regengine.frame import FrameOptions, read_frame
    from regengine.orbit import CameraPosition
    from regengine.register import RegisterParams, search_frame

    try:
        case = draw_case(seed, source=_state["source"])
    except Exception as error:
        print(f"case {seed} could not be drawn: {error}", file=sys.stderr)
        return None
    prior = case.prior
    lon, lat, altitude_km = prior.lon, prior.lat, prior.altitude_km
    position = CameraPosition(
        time_utc=case.time_utc,
        position_ecef_m=np.array(prior.position_ecef_m),
        velocity_ecef_m_s=np.array(prior.velocity_ecef_m_s),
        lon=lon,
        lat=lat,
        altitude_km=altitude_km,
        source="tle",
        tle_age_h=0.0,
        sigma_along_km=prior.sigma_along_km,
        sigma_cross_km=prior.sigma_cross_km,
        sigma_radial_km=RADIAL_SIGMA_KM,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"case{seed}.jpg"
        path.write_bytes(case.photo)
        frame = read_frame(path, options=FrameOptions(focal_mm=case.focal_mm))
        started = time.perf_counter()
        state = search_frame(
            frame, position, _state["light_map"], RegisterParams(max_seconds=_state["max_seconds"])
        )
        seconds = time.perf_counter() - started
    row: dict[str, Any] = {
        "seed": seed,
        "kind": case.kind,
        "off_nadir_deg": case.truth["off_nadir_deg"],
        "focal_mm": case.focal_mm,
        "cloud": max([0.0, *case.truth["cloud_cover"]]),
        "seconds": seconds,
        "looks": state.looks,
        "right": "",
        "error_share": "",
    }
    names = list(Evidence.__dataclass_fields__)
    if state.best is None:
        return row | dict.fromkeys(names, "")
    share = error_share(case, state.best.camera)
    row["error_share"] = share
    row["right"] = int(case.registrable and share <= 1.0)
    return row | asdict(state.best.evidence)


def error_share(case: Case, camera: Any) -> float:
    """Largest error at the frame's ground, in units of what the contract calls right."""
    from matchers.earth import great_circle_km
    from matchers.footprint import diagonal_km

    points = case.truth["reference_points"]
    if not points:
        return float("inf")
    table = np.array([[p["x"], p["y"], p["lon"], p["lat"]] for p in points])
    lon, lat = camera.pixel_to_lonlat(table[:, 0], table[:, 1])
    error = great_circle_km(lon, lat, table[:, 2], table[:, 3])
    error = np.where(np.isfinite(error), error, np.inf)
    allowed = max(1.0, 0.01 * diagonal_km(camera))
    return float(np.quantile(error, 0.8)) / allowed


def rows_of(tables: list[Path]) -> list[dict[str, str]]:
    """All rows of some tables; none of those that do not exist."""
    rows: list[dict[str, str]] = []
    for table in tables:
        if table.exists():
            with table.open(newline="") as file:
                rows += list(csv.DictReader(file))
    return rows


def fit(tables: list[Path]) -> None:
    """Logistic regression on the table; prints weights and what they do to it."""
    from sklearn.linear_model import LogisticRegression

    from regengine.confidence import features
    from regengine.evidence import Evidence

    rows = [r for r in rows_of(tables) if r["right"] != ""]
    names = list(Evidence.__dataclass_fields__)
    x = np.array(
        [
            features(Evidence(**{n: float(r[n]) for n in names}))  # type: ignore[arg-type]
            for r in rows
        ]
    )
    y = np.array([int(r["right"]) for r in rows])
    print(f"{len(rows)} proposals, {int(y.sum())} right, of {len(rows_of(tables))} cases")
    if len(set(y)) < 2:
        return
    model = LogisticRegression(C=1.0, max_iter=5000).fit(x, y)
    p = model.predict_proba(x)[:, 1]
    print(f"intercept {model.intercept_[0]:.3f}, weights {np.round(model.coef_[0], 3).tolist()}")
    for low, high in ((0, 0.05), (0.05, 0.5), (0.5, 0.95), (0.95, 0.999), (0.999, 1.01)):
        inside = (p >= low) & (p < high)
        print(f"p in [{low}, {high}): {int(inside.sum())} cases, {int(y[inside].sum())} right")
    for k in np.argsort(-np.where(y == 0, p, -1))[:5]:
        print("worst wrong:", rows[k]["seed"], rows[k]["kind"], round(float(p[k]), 4))
