"""Simulated photographs placed blindly, a row each; those of the registration benchmark."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.registration_process import peak_memory_mb
from benchmarks.trials.run import TrialSettings, draw_only, failed, prepare, run_trials, workshop
from benchmarks.trials.workers import Columns

# Kinds of trials that show lit places: a wrong time or another pass is nothing to a search that
# looks at neither
CITIES = ("city", "elsewhere", "other_time")


@dataclass(frozen=True, kw_only=True)
class BlindTrialSettings(TrialSettings):
    """What all trials share, and the index of the map."""

    index: Path


def prepare_blind(settings: BlindTrialSettings) -> None:
    """Make a process ready: world, map and index open."""
    from regengine.blind.options import BlindOptions, earth_index

    prepare(settings)
    assert settings.lights is not None
    earth_index(BlindOptions(always=True, index=settings.index), [settings.lights])


def run_blind_trial(seed: int) -> Columns:
    """Draw, place and score one trial; an error in the engine is a row with the problem."""
    from benchmarks.trials.attempt import (
        Registration,
        outcome_columns,
        trial_columns,
        write_trial,
    )
    from regengine.blind.options import TIMES_AS_LONG, BlindLimits, BlindOptions, earth_index
    from regengine.blind.register import blind_result
    from regengine.blind.search import search_blind
    from regengine.frame import read_frame

    shop, settings = workshop(), workshop().settings
    assert isinstance(settings, BlindTrialSettings)
    assert settings.lights is not None
    index = earth_index(BlindOptions(always=True, index=settings.index), [settings.lights])
    trial = shop.draw(seed)
    columns = trial_columns(trial)
    with tempfile.TemporaryDirectory() as folder:
        photo, _ = write_trial(trial, Path(folder))
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            frame = read_frame(photo)
            state, position = search_blind(
                frame, shop.light_map, index, settings.register, BlindLimits(), TIMES_AS_LONG
            )
            result = blind_result(frame, shop.light_map, state, position, settings.register)
            found = Registration(
                result=result,
                state=state,
                seconds_cpu=time.process_time() - cpu,
                seconds_wall=time.perf_counter() - wall,
            )
            return columns | outcome_columns(trial, found) | {"peak_mb": peak_memory_mb()}
        except Exception as error:
            return columns | failed(f"{type(error).__name__}: {error}")


def run_blind_trials(
    seeds: range,
    table: Path,
    settings: BlindTrialSettings,
    workers: int,
    tell: Callable[[str], None],
) -> None:
    """Run the trials that the table does not hold yet; each appends a row as it ends."""

    def said(row: Columns) -> None:
        tell(f"trial {row['seed']}: {row['kind']}, {row['verdict']}, right {row.get('right')}")

    run_trials(
        seeds,
        table,
        settings,
        workers=workers,
        tell=said,
        work=run_blind_trial,
        describe=draw_only,
        prepare=prepare_blind,
    )
