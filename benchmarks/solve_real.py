"""The solver on real star fields, beside what other solvers answered."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detectors.star_types import StarDetections
from matchers.sky_camera import SkyCamera, sky_vectors
from matchers.star_search import StarIndices
from regengine.photo_detections import PhotoDetections
from regengine.photo_stars import detect_photo_stars
from regengine.stars.catalogue import StarCatalogue
from regengine.stars.solution import StarSolution
from regengine.stars.solve import SolveOptions, solve_stars

PEERS = ("cedar", "tetra3rs", "anet")
SAME_DEG = 0.1
FOV_SIGMA = 0.03
LINEAR_SCALE_DEG = 90.0  # index.csv gives pixels times scale: beyond, no angle between two edges


def real_table(folder: Path, catalogue: StarCatalogue, indices: StarIndices) -> Iterator[str]:
    """A row per real star field: our answers blind and with a field of view, and the peers'."""
    yield (
        "| field | blind | CPU s | stars | rms px | log10 odds | field of view told "
        "| peers that agree |"
    )
    yield "|---|---|---:|---:|---:|---:|---|---|"
    with (folder / "solver_answers.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    solved = {"blind": 0, "told": 0}
    for row in rows:
        found = detect_photo_stars(folder / row["file"])
        started = time.process_time()
        blind = _solve(found, catalogue, indices, None)
        seconds = time.process_time() - started
        told = _solve(found, catalogue, indices, known_field_deg(row))
        solved["blind"] += blind is not None
        solved["told"] += told is not None
        best = blind or told
        agree = [peer for peer in PEERS if best and agrees(best.camera, row, peer)]
        if best and row["truth_ra"] and agrees(best.camera, row, "truth"):
            agree.append("published header")
        fit = f"{len(blind)} | {blind.rms_px:.2f} | {blind.log10_odds:.0f}" if blind else "| |"
        yield (
            f"| {row['file']} | {place(blind)} | {seconds:.2f} | {fit} | {place(told)} | "
            f"{', '.join(agree)} |"
        )
    yield (
        f"| **{len(rows)}** | **{solved['blind']} answered** | | | | | "
        f"**{solved['told']} answered** | |"
    )


def place(solution: StarSolution | None) -> str:
    """Where a solution looks, in a cell."""
    if solution is None:
        return "–"
    ra, dec = solution.camera.ra_dec_deg
    return f"{ra:.3f} {dec:+.3f}, {solution.camera.fov_x_deg:.2f}°"


def known_field_deg(row: dict[str, str]) -> float | None:
    """Field of view that somebody knows, without any answer of ours."""
    for column in ("truth_fov", "tetra3rs_fov"):
        if row[column]:
            value = float(row[column])
            if value < LINEAR_SCALE_DEG:
                return value
            return 2.0 * math.degrees(math.atan(math.radians(value) / 2.0))
    return None


def agrees(camera: SkyCamera, row: dict[str, str], peer: str) -> bool:
    """Whether a peer's centre is ours within a tenth of a degree."""
    if not row[f"{peer}_ra"]:
        return False
    theirs = sky_vectors(float(row[f"{peer}_ra"]), float(row[f"{peer}_dec"]))
    return bool(np.degrees(np.linalg.norm(camera.centre_icrs - theirs)) < SAME_DEG)


def _solve(
    found: PhotoDetections[StarDetections],
    catalogue: StarCatalogue,
    indices: StarIndices,
    field_deg: float | None,
) -> StarSolution | None:
    options = SolveOptions()
    if field_deg is not None:
        options = SolveOptions(
            focal_px=found.width_px / 2.0 / math.tan(math.radians(field_deg / 2.0)),
            log_focal_sigma=FOV_SIGMA,
            focal_only=True,
        )
    outcome = solve_stars(found.found, found.width_px, found.height_px, catalogue, indices, options)
    return outcome if isinstance(outcome, StarSolution) else None
