"""Other methods on the same trials, each given the map around the nadir that the engine is told."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.pages import NONE, number, table
from benchmarks.processes import Columns, Lost, work_through
from benchmarks.registration.peers import (
    LARGEST_CROP_PX,
    MapCrop,
    PeerAnswer,
    ask_peers,
    crop_light,
    crop_scale,
    equidistant,
    grey_levels,
)
from benchmarks.registration.scores import MAP_PIXEL_M, GroundPoints, right_within_km
from benchmarks.row_tables import Row, RowTable, flags, number_of, numbers
from benchmarks.trials.attempt import write_trial
from benchmarks.trials.headline import Figure, percent
from benchmarks.trials.outcomes import (
    RIGHT_ACCEPTED,
    RIGHT_REVIEW,
    Factor,
    bins_of,
    having,
    registrable,
)
from benchmarks.trials.run import TrialSettings, prepare, workshop
from benchmarks.trials.score import camera_of
from benchmarks.trials.stats import quantile
from matchers.camera import Camera
from matchers.footprint import diagonal_km, visible_ground
from regengine.registration.control_points import well_spread

if TYPE_CHECKING:
    from benchmarks.trials.trial import Trial
    from regengine.registration.map_window import HasWindows

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
    """Seeds of registrable trials, as many of each stratum as there are, until there are enough."""
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
    """A square of the map about a nadir that just holds what the photo shows."""
    east, north = equidistant(told.lon, told.lat)(*visible_ground(truth))
    reach_m = SPARE * float(np.max(np.hypot(east, north)))
    step_m = max(MAP_PIXEL_M, 2.0 * reach_m / LARGEST_CROP_PX)
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
    from regengine.orbit.position import choose_position
    from regengine.orbit.tle import load_tle_file
    from regengine.photo.frame import read_frame

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
    """Have the peers register a stratified part of the trials that a table holds."""
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
    for count, (seed, columns) in enumerate(finished, start=1):
        own: dict[str, Any] = {"seed": seed, "problem": ""}
        own |= {"problem": columns.problem} if isinstance(columns, Lost) else columns
        answers.append(own)
        right = [title for name, title in PEERS.items() if own.get(f"{name}_right")]
        tell(f"peers {count}/{len(seeds)}, seed {seed}: right: {', '.join(right) or 'none'}")


# Recall of the peers beside our own, bin by bin, on the trials that they were asked about.

OBLIQUE_DEG, TIMES_OBLIQUE = 40.0, 3.0
OWN = "own"


def joined(rows: Sequence[Row], peers: Sequence[Row]) -> list[Row]:
    """Rows of the trials that the peers were asked about, their answers added."""
    answers = {row["seed"]: row for row in peers}
    return [{**answers[row["seed"]], **row} for row in rows if row["seed"] in answers]


def recalls(rows: Sequence[Row]) -> dict[str, float]:
    """Share right of each peer, and of ours right and accepted (`OWN`)."""
    shares = {name: float(flags(rows, f"{name}_right").mean()) for name in PEERS}
    return {OWN: len(having(rows, RIGHT_ACCEPTED)) / len(rows), **shares}


def peer_lines(rows: Sequence[Row], peers: Sequence[Row]) -> list[str]:
    """A table of recall by bins of off-nadir angle and focal length."""
    asked = joined(rows, peers)
    if not asked:
        return []
    header = (
        *("bin", "n", "ours: right and accepted", "right, accepted or review"),
        *PEERS.values(),
        "ours over the best of them",
    )
    groups = [("all", asked)]
    for factor in STRATA:
        groups += [(f"{factor.title} {label}", group) for label, group in bins_of(asked, factor)]
    cells = [[label, str(len(group)), *group_cells(group)] for label, group in groups]
    median_s = ", ".join(
        f"{title} {number(quantile(numbers(asked, f'{name}_seconds'), 0.5), 1)} s"
        for name, title in PEERS.items()
    )
    return [*table(header, cells, right=len(header) - 1), "", f"Median wall time: {median_s}."]


def peer_figures(rows: Sequence[Row], peers: Sequence[Row]) -> list[Figure]:
    """The numbers that are asked for beside the peers; none without their answers."""
    asked = joined(rows, peers)
    if not asked:
        return []
    shares = [recalls(group) for factor in STRATA for _, group in bins_of(asked, factor)]
    above = sum(share[OWN] > max(share[name] for name in PEERS) for share in shares)
    bins = Figure(
        what="bins of off-nadir angle and focal length in which recall is above the best peer's",
        asked=f"{len(shares)}",
        measured=f"{above}",
        n=len(asked),
        interval=NONE,
        met=above == len(shares),
    )
    oblique = [row for row in asked if number_of(row["off_nadir_deg"]) >= OBLIQUE_DEG]
    return [bins, oblique_figure(oblique)]


def oblique_figure(oblique: Sequence[Row]) -> Figure:
    """Our recall over the best peer's at large off-nadir angles."""
    own, best = 0.0, 0.0
    if oblique:
        shares = recalls(oblique)
        own, best = shares[OWN], max(shares[name] for name in PEERS)
    return Figure(
        what=f"recall over the best peer's, off-nadir beyond {OBLIQUE_DEG:g}°",
        asked=f"≥ {TIMES_OBLIQUE:g} ×",
        measured=ratio_words(own, best),
        n=len(oblique),
        interval=NONE,
        met=own > 0.0 and own >= TIMES_OBLIQUE * best,
    )


def ratio_words(own: float, best: float) -> str:
    """How many times a recall is another; a dash for none of both."""
    return f"{number(own / best, 1)} ×" if best else "∞ ×" if own else NONE


def group_cells(group: Sequence[Row]) -> list[str]:
    """One bin: our recall, also with what a person would still have to look at, and theirs."""
    shares = recalls(group)
    best = max(shares[name] for name in PEERS)
    with_review = shares[OWN] + len(having(group, RIGHT_REVIEW)) / len(group)
    return [
        *(percent(share) for share in (shares[OWN], with_review)),
        *(percent(shares[name]) for name in PEERS),
        ratio_words(shares[OWN], best),
    ]
