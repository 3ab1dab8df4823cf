"""Simulated photographs placed blindly, a row each; those of the registration benchmark."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.trials.run import TrialSettings, draw_only, failed, prepare, run_trials, workshop
from benchmarks.trials.workers import Columns

if TYPE_CHECKING:
    from benchmarks.trials.attempt import Registration
    from regengine.blind.earth_index import EarthIndex
    from regengine.frame import Frame

# Kinds of trials that show lit places: a wrong time or another pass is nothing to a search that
# looks at neither
CITIES = ("city", "elsewhere", "other_time")
FRAMES = ("all", "steep", "limb", "unknown")
STEEP_DEG = 30.0


@dataclass(frozen=True, kw_only=True)
class BlindTrialSettings(TrialSettings):
    """What all trials share, the index of the map, and how many searches a trial is."""

    index: Path
    searches: int = 1

    @property
    def limit_s(self) -> float:
        """Longest that one trial may take."""
        return self.searches * super().limit_s


def prepare_blind(settings: BlindTrialSettings) -> None:
    """Make a process ready: world, map and index open."""
    prepare(settings)
    index_of(settings)


def index_of(settings: TrialSettings) -> EarthIndex:
    """The index that the trials are held against, open in this process."""
    from regengine.blind.options import BlindOptions, earth_index

    assert isinstance(settings, BlindTrialSettings)
    assert settings.lights is not None
    return earth_index(BlindOptions(always=True, index=settings.index), [settings.lights])


def place(frame: Frame, index: EarthIndex) -> Registration:
    """Place a photo by its lights alone, and what that took."""
    from benchmarks.trials.attempt import Registration
    from regengine.blind.options import TIMES_AS_LONG, BlindLimits
    from regengine.blind.register import blind_result
    from regengine.blind.search import search_blind

    shop = workshop()
    parameters = shop.settings.register
    wall, cpu = time.perf_counter(), time.process_time()
    state, position = search_blind(
        frame, shop.light_map, index, parameters, BlindLimits(), TIMES_AS_LONG
    )
    result = blind_result(frame, shop.light_map, state, position, parameters)
    return Registration(
        result=result,
        state=state,
        seconds_cpu=time.process_time() - cpu,
        seconds_wall=time.perf_counter() - wall,
    )


def run_blind_trial(seed: int) -> Columns:
    """Draw, place and score one trial; an error in the engine is a row with the problem."""
    from benchmarks.trials.attempt import outcome_columns, trial_columns, write_trial
    from regengine.frame import read_frame

    trial = workshop().draw(seed)
    columns = trial_columns(trial)
    with tempfile.TemporaryDirectory() as folder:
        photo, _ = write_trial(trial, Path(folder))
        try:
            found = place(read_frame(photo), index_of(workshop().settings))
            return columns | outcome_columns(trial, found)
        except Exception as error:
            return columns | failed(f"{type(error).__name__}: {error}")


def seeds_of(seeds: range, frames: str, settings: TrialSettings) -> list[int]:
    """Seeds whose trials are of some frames alone, of which few are drawn.

    Parameters
    ----------
    seeds : range
    frames : str
        One of `FRAMES`.
    settings : TrialSettings

    Returns
    -------
    list of int
    """
    from benchmarks.trials.draw import told_shot
    from benchmarks.trials.run import open_workshop
    from benchmarks.trials.shot import off_nadir_deg, view_shares

    if frames == "all":
        return list(seeds)
    source, chosen = open_workshop(settings).source, []
    for seed in seeds:
        try:
            kind, shot, claim = told_shot(seed, source)
        except RuntimeError:  # no such place was found, and the trial would be none
            continue
        fits = {
            "steep": off_nadir_deg(shot.camera) <= STEEP_DEG,
            "limb": view_shares(shot.camera)[1] > 0.0,
            "unknown": claim.focal_told == "unknown",
        }
        if kind in CITIES and fits[frames]:
            chosen.append(seed)
    return chosen


def run_blind_trials(
    seeds: Iterable[int],
    table: Path,
    settings: BlindTrialSettings,
    workers: int,
    tell: Callable[[str], None],
    work: Callable[[int], Columns] = run_blind_trial,
) -> None:
    """Run the trials that the table does not hold yet; each appends a row as it ends."""

    def said(row: Columns) -> None:
        verdict = row.get("verdict", "done")
        tell(f"trial {row['seed']}: {row['kind']}, {verdict}, right {row.get('right')}")

    run_trials(
        seeds,
        table,
        settings,
        workers=workers,
        tell=said,
        work=work,
        describe=draw_only,
        prepare=prepare_blind,
    )
