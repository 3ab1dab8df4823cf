"""How often the stages of a search find photos whose box is right, and at what cost.

Cities of the training half are photographed. Of each, the stages of one method whose box holds the
true camera are tried in their order; a hit is a proposed camera that shows what the true one does.
The table has the rows that `regengine/registration/stage_yields.csv` is kept up with, by hand where
a row rests on fewer photos than the one it would replace.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from typer import Option

from benchmarks.options import Real, Seeds, seeds_of
from benchmarks.pages import commit, interval
from benchmarks.trials.attempt import camera_of, write_trial
from benchmarks.trials.draw import draw_trial
from benchmarks.trials.source import Trial, real_source
from matchers.geometry.camera import Camera
from regengine.maps.index.earth import BlindOptions, load_earth_index
from regengine.maps.opening import open_light_map
from regengine.orbit.position import choose_position
from regengine.orbit.tle import load_tle_file
from regengine.photo.frame import FULL_FRAME_MM, read_frame
from regengine.registration.align import is_same_view
from regengine.registration.generate_stages import generate_stages
from regengine.registration.parameters import RegisterParams
from regengine.registration.prepare_photo import prepare_photo
from regengine.registration.priors import read_stage_yields
from regengine.registration.register import PROPOSERS, state_problem
from regengine.registration.types import Prior, Problem, SearchReferences, Stage

SHOWS_THE_SAME = 0.15  # of the long side; what is aligned from there comes to the true camera
NEAREST_TILT_DEG = 4.0  # of a nadir direction that is tried to the true one


def main(
    *,
    real: Real,
    lights: Annotated[Path, Option(help="built map with its index")],
    seeds: Seeds = "2330:2400",
    out: Annotated[Path | None, Option(metavar="FILE", help="CSV to write")] = None,
) -> None:
    """Try the right stages of many photos of the training half; what each method found."""
    source = real_source(real, "train")
    index = load_earth_index(BlindOptions(), (lights,))
    references = SearchReferences(light_map=open_light_map([lights]), index=index)
    hits: dict[tuple[str, str], list[bool]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    for seed in seeds_of(seeds):
        trial = draw_trial(seed, source)
        if trial.kind == "city" and trial.registrable:
            try_stages(trial, references, hits, seconds)
    rows = []
    for (method, key), found in sorted(hits.items()):
        low, high = interval(sum(found), len(found))
        origin = f"{sum(found)} of {len(found)} training photos, {low:.2f} to {high:.2f}"
        rows.append((f"success {method}", key, round(float(np.mean(found)), 3), origin))
    for method, spent in sorted(seconds.items()):
        origin = f"seconds, mean of {len(spent)}"
        rows.append((f"work {method}", "", round(float(np.mean(spent)), 4), origin))
    made = pd.DataFrame(rows, columns=["table", "key", "value", "origin"])
    print(made.to_string(index=False))
    if out is not None:
        made["origin"] += f"; seeds {seeds}, commit {commit()}"
        made.to_csv(out, index=False)


def try_stages(
    trial: Trial,
    references: SearchReferences,
    hits: dict[tuple[str, str], list[bool]],
    seconds: dict[str, list[float]],
) -> None:
    """Try the stages of one photo whose box holds its true camera."""
    params = RegisterParams()
    with tempfile.TemporaryDirectory() as folder:
        photo, elements = write_trial(trial, Path(folder))
        frame = read_frame(photo)
        prior = Prior(position=choose_position(frame, load_tle_file(elements)))
        prepared = prepare_photo(frame, prior, params)
    if prepared.skip_reason is not None:
        return
    problem = state_problem(prepared, prior, references, params)
    truth = camera_of(trial.camera)
    stages = [stage for stage in generate_stages(problem) if stage.method in PROPOSERS]
    tried: set[tuple[str, str]] = set()
    for stage, key in right_stages(stages, truth, problem):
        if (stage.method, key) in tried:
            continue
        tried.add((stage.method, key))
        before = time.process_time()
        found = PROPOSERS[stage.method](problem, stage)
        spent = time.process_time() - before
        seen = (is_same_view(one.camera, truth, SHOWS_THE_SAME) for one in found)
        hits[stage.method, key].append(any(seen))
        n_views = sum(len(nadirs) for _, nadirs in stage.views)
        name = f"{stage.method} per direction" if n_views else stage.method
        seconds[name].append(spent / max(n_views, 1))


def right_stages(stages: list[Stage], truth: Camera, problem: Problem) -> list[tuple[Stage, str]]:
    """Stages whose box holds the true camera, with the key of their success; nearest first."""
    nominal = problem.photo.nominal
    true_ratio = truth.focal_px / nominal.focal_px
    position = np.asarray(truth.position_ecef_m)
    flip = np.array([-1.0 if truth.mirrored else 1.0, 1.0, 1.0])
    down = truth.matrix.T @ (-position / np.linalg.norm(position)) * flip
    found: list[tuple[float, Stage, str]] = []
    for stage in stages:
        reach = max(0.14, float(np.ptp(np.log(stage.lens.ladder))) / 2.0 + 0.12)
        if stage.mirrored != truth.mirrored or abs(np.log(stage.lens.ratio / true_ratio)) > reach:
            continue
        if stage.place is not None:
            away_m = float(np.linalg.norm(stage.place.position_ecef_m - position))
            focal_mm = truth.focal_px / max(truth.width_px, truth.height_px) * FULL_FRAME_MM[0]
            limits_mm = map(float, read_stage_yields()["success asterisms"])
            key = f"{min(limit for limit in limits_mm if limit >= focal_mm):g}"
            low, high = stage.off_nadir_deg
            if away_m < 1.5e5 and low <= truth.off_nadir_deg <= high:
                found.append((away_m, stage, key))
        elif stage.region is not None and stage.region.name == "near":
            cosines = np.concatenate([nadirs @ down for _, nadirs in stage.views])
            angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
            tilt = "steep" if truth.off_nadir_deg < 33 else "slanted"
            tilt = "far" if truth.off_nadir_deg > 44 else tilt
            if angles.min() < 2.5 * NEAREST_TILT_DEG:
                level_km = max(level for level, _ in stage.views)
                found.append((float(angles.min()) + level_km, stage, tilt))
    return [(stage, key) for _, stage, key in sorted(found, key=lambda one: one[0])]
