"""Other methods on the same trials, each given the map around the nadir that the engine is told."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.registration_crop import (
    LARGEST_PX,
    MapCrop,
    crop_light,
    crop_scale,
    equidistant,
    grey_levels,
)
from benchmarks.registration_peers import PeerAnswer, ask_peers
from benchmarks.trials.attempt import write_trial
from benchmarks.trials.outcomes import Factor, bins_of, registrable
from benchmarks.trials.run import TrialSettings, prepare, workshop
from benchmarks.trials.score import camera_of
from benchmarks.trials.table import Row, RowTable
from benchmarks.trials.workers import Columns, Lost, work_through
from matchers.camera import Camera
from matchers.footprint import diagonal_km, visible_ground
from regengine.control_points import well_spread
from regengine.evaluate.registration import MAP_PIXEL_M, GroundPoints, right_within_km

if TYPE_CHECKING:
    from benchmarks.trials.trial import Trial
    from regengine.light_windows import HasWindows

PEERS = {"sift": "SIFT + MAGSAC", "akaze": "AKAZE + MAGSAC", "log_polar": "log-polar"}
STRATA = (
    Factor(column="off_nadir_deg", title="off-nadir, °", edges=(20, 40)),
    Factor(column="focal_mm", title="focal length, mm", edges=(40, 70, 135)),
)
SPARE = 1.1  # the crop's reach over that of the farthest ground in view
LIMIT_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Told:
    """Where the engine is told that the camera was, degrees."""

    lon: float
    lat: float


def stratified(rows: Sequence[Row], wanted: int) -> list[int]:
    """Seeds of registrable trials, as many of each stratum as there are, until there are enough.

    Parameters
    ----------
    rows : sequence of Row
    wanted : int

    Returns
    -------
    list of int
        In order; the lowest seeds of each stratum.
    """
    cells = [
        sorted(int(row["seed"]) for row in inner)
        for _, outer in bins_of(registrable(rows), STRATA[0])
        for _, inner in bins_of(outer, STRATA[1])
    ]
    chosen: list[int] = []
    for turn in range(max((len(cell) for cell in cells), default=0)):
        chosen += [cell[turn] for cell in cells if turn < len(cell)]
    return sorted(chosen[:wanted])


def crop_about_nadir(light_map: HasWindows, told: Told, truth: Camera) -> tuple[MapCrop, float]:
    """A square of the map about a nadir that just holds what the photo shows.

    Parameters
    ----------
    light_map : HasWindows
    told : Told
        The square's middle.
    truth : Camera
        The true camera; only how far its ground reaches counts, and its scale.

    Returns
    -------
    crop : MapCrop
    scale : float
        Crop pixels a photo pixel, in the median: where the log-polar method starts from.
    """
    east, north = equidistant(told.lon, told.lat)(*visible_ground(truth))
    reach_m = SPARE * float(np.max(np.hypot(east, north)))
    step_m = max(MAP_PIXEL_M, 2.0 * reach_m / LARGEST_PX)
    side = int(np.ceil(2.0 * reach_m / step_m))
    blank = MapCrop(
        picture=np.zeros((side, side), np.uint8),
        lon=told.lon,
        lat=told.lat,
        west_m=-reach_m,
        north_m=reach_m,
        step_m=step_m,
    )
    crop = replace(blank, picture=grey_levels(crop_light(light_map, blank)))
    return crop, crop_scale(truth, crop)


def four_places(trial: Trial) -> GroundPoints:
    """Four well-spread lit places of a trial, fewer where it shows fewer."""
    known = trial.truth["reference_points"]
    columns = {k: np.array([point[k] for point in known], float) for k in ("x", "y", "lon", "lat")}
    every = np.ones(len(known))
    four = well_spread(columns["x"], columns["y"], every, every > 0.0)
    return GroundPoints(**{name: column[four] for name, column in columns.items()})


def answer_columns(
    answers: Sequence[PeerAnswer], crop: MapCrop, places: GroundPoints, bar_km: float
) -> Columns:
    """Whether each peer puts all places within the bar, its largest error, and its seconds."""
    columns: Columns = {}
    for answer in answers:
        short = next(name for name, title in PEERS.items() if title == answer.name)
        errors = answer.errors_m(places, crop)
        worst_m = float(errors.max()) if len(errors) else float("inf")
        columns[f"{short}_right"] = worst_m <= 1000.0 * bar_km
        columns[f"{short}_worst_m"] = worst_m
        columns[f"{short}_seconds"] = answer.seconds
    return columns


def ask_about(seed: int) -> Columns:
    """Draw a trial and have the peers register it; the work of a child process."""
    from regengine.frame import read_frame
    from regengine.position import choose_position
    from regengine.tle import load_tle_file

    shop = workshop()
    trial = shop.draw(seed)
    truth = camera_of(trial.camera)
    with tempfile.TemporaryDirectory() as folder:
        photo, elements = write_trial(trial, Path(folder))
        position = choose_position(read_frame(photo), load_tle_file(elements))
        told = Told(lon=position.lon, lat=position.lat)
        crop, scale = crop_about_nadir(shop.light_map, told, truth)
        answers = ask_peers(photo, crop, scale)
    bar_km = right_within_km(diagonal_km(truth))
    return answer_columns(answers, crop, four_places(trial), bar_km)


def run_peers(
    rows: Sequence[Row],
    wanted: int,
    table: Path,
    settings: TrialSettings,
    *,
    workers: int = 1,
    tell: Callable[[str], None],
    ask: Callable[[int], Columns] = ask_about,
    prepare: Callable[..., None] = prepare,
) -> None:
    """Have the peers register a stratified part of the trials that a table holds.

    Parameters
    ----------
    rows : sequence of Row
        Of the trials.
    wanted : int
        How many.
    table : Path
        CSV file of the peers' answers; trials that it holds are skipped.
    settings : TrialSettings
    workers : int
        Number of processes.
    tell : callable
        Given a line per trial.
    ask, prepare : callable
        Of a seed: the columns of the answers; of the settings: to be done once in each process.
    """
    answers = RowTable(table)
    done = {int(row["seed"]) for row in answers.rows()}
    seeds = [seed for seed in stratified(rows, wanted) if seed not in done]
    finished = work_through(
        seeds,
        ask,
        workers=workers,
        limit_s=LIMIT_S,
        prepare=prepare,
        prepare_args=(settings,),
    )
    for number, (seed, columns) in enumerate(finished, start=1):
        own: dict[str, Any] = {"seed": seed, "problem": ""}
        own |= {"problem": columns.problem} if isinstance(columns, Lost) else columns
        answers.append(own)
        right = [title for name, title in PEERS.items() if own.get(f"{name}_right")]
        tell(f"peers {number}/{len(seeds)}, seed {seed}: right: {', '.join(right) or 'none'}")
