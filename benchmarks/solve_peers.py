"""tetra3rs on our star lists, to stand beside: its database is built once and kept."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.star_fields import HEIGHT_PX, WIDTH_PX, StarList
from matchers.sky_camera import SkyCamera, matrix_quaternion

FIELDS_DEG = (5.0, 70.0)
# Without a notion of the field it must be given one and an error: this ladder covers 5 to 100
LADDER_DEG = (7.0, 12.0, 20.0, 35.0, 60.0, 90.0)
TIMEOUT_MS = 1500


def tetra3rs_solver(*, prior: bool) -> Callable[[StarList], tuple[SkyCamera | None, float]]:
    """tetra3rs with the field of view known to 10 %, or tried on a ladder."""
    tetra3rs: Any = importlib.import_module("tetra3rs")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regengine"
    file = cache / "tetra3rs-5-70.bin"
    if file.exists():
        database = tetra3rs.SolverDatabase.load_from_file(str(file))
    else:
        print("building tetra3rs' database, about half a minute", file=sys.stderr)
        database = tetra3rs.SolverDatabase.generate_from_gaia(
            min_fov_deg=FIELDS_DEG[0], max_fov_deg=FIELDS_DEG[1]
        )
        cache.mkdir(parents=True, exist_ok=True)
        database.save_to_file(str(file) + ".part")
        os.replace(str(file) + ".part", file)

    def solve(field: StarList) -> tuple[SkyCamera | None, float]:
        stars = field.stars
        points = np.column_stack(
            [stars.x - (WIDTH_PX - 1) / 2.0, stars.y - (HEIGHT_PX - 1) / 2.0, stars.flux]
        )
        told = 2.0 * np.degrees(np.arctan(WIDTH_PX / 2.0 / field.focal_px))
        for guess in (told,) if prior else LADDER_DEG:
            found = database.solve_from_centroids(
                points,
                fov_estimate_deg=float(guess),
                fov_max_error_deg=float(guess * (0.1 if prior else 0.35)),
                image_width=WIDTH_PX,
                image_height=HEIGHT_PX,
                solve_timeout_ms=TIMEOUT_MS,
            )
            if found:
                matrix = np.asarray(found.rotation_matrix_icrs_to_camera).T
                camera = SkyCamera(
                    width_px=WIDTH_PX,
                    height_px=HEIGHT_PX,
                    focal_px=WIDTH_PX / 2.0 / np.tan(np.radians(found.fov_deg / 2.0)),
                    principal_point=((WIDTH_PX - 1) / 2.0, (HEIGHT_PX - 1) / 2.0),
                    quaternion_icrs=matrix_quaternion(matrix),
                    mirrored=bool(found.parity_flip),
                )
                return camera, -float(np.log10(max(found.probability, 1e-300)))
        return None, 0.0

    return solve
