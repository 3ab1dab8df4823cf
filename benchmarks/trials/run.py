"""A range of seeds drawn, registered and scored into a table; what it holds already is skipped."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.pages import commit
from benchmarks.processes import Columns, Lost, work_through
from benchmarks.row_tables import RowTable
from regengine.registration.register import RegisterParams

if TYPE_CHECKING:
    from benchmarks.trials.source import Half, Trial, TrialSource
    from regengine.lights.map import LightMap


# A trial is drawn in seconds and searched in its budget; what takes this much longer hangs
LIMIT_BUDGETS, LIMIT_REST_S = 8.0, 120.0


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """What all trials of a run share; pickles, so that workers can have it."""

    half: Half = "test"  # "train" or "test"
    real: Path | None = None  # folder of the real data; the self-made world where None.
    lights: Path | None = None  # map to register on; the source's own where None.
    register: RegisterParams = field(default_factory=RegisterParams)  # settings of the registration

    @property
    def limit_s(self) -> float:
        """Longest that one trial may take."""
        return LIMIT_BUDGETS * self.register.max_seconds + LIMIT_REST_S


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What a worker process keeps open."""

    settings: TrialSettings
    source: TrialSource
    light_map: LightMap

    def draw(self, seed: int) -> Trial:
        """Draw a trial."""
        from benchmarks.trials.draw import draw_trial

        return draw_trial(seed, self.source)


_open: list[Workshop] = []


def open_workshop(settings: TrialSettings) -> Workshop:
    """Open the world to photograph and the map to register on."""
    from benchmarks.trials.source import made_source, real_source
    from regengine.errors import ConfigError
    from regengine.lights.map import open_light_map

    real = settings.real
    source = made_source(settings.half) if real is None else real_source(real, settings.half)
    lights = settings.lights or source.light_map_path
    if lights is None:
        raise ConfigError("no map to register on: give the light map with --lights")
    return Workshop(settings=settings, source=source, light_map=open_light_map([lights]))


def prepare(settings: TrialSettings) -> None:
    """Make a process ready: libraries loaded, one thread, world and map open."""
    import cv2

    import benchmarks.trials.attempt  # noqa: F401  (its time is not the first trial's)

    cv2.setNumThreads(1)
    _open[:] = [open_workshop(settings)]


def workshop() -> Workshop:
    """What `prepare` has opened in this process."""
    return _open[0]


def run_trial(seed: int) -> Columns:
    """Draw, register and score one trial; an error in the engine is a row with the problem."""
    from benchmarks.trials.attempt import outcome_columns, register_trial, trial_columns

    shop, started = workshop(), time.process_time()
    trial = shop.draw(seed)
    columns = trial_columns(trial) | {"seconds_draw": time.process_time() - started}
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = register_trial(trial, shop.light_map, shop.settings.register, Path(folder))
            return columns | outcome_columns(trial, found)
        except Exception as error:
            return columns | failed(f"{type(error).__name__}: {error}")


def draw_only(seed: int) -> Columns:
    """What was drawn for a trial whose registration did not end."""
    from benchmarks.trials.attempt import trial_columns

    return trial_columns(workshop().draw(seed))


def failed(problem: str) -> Columns:
    """Columns of a trial that could not be registered."""
    return {"verdict": "failed", "problem": problem}


def run_trials(
    seeds: Iterable[int],
    table: Path,
    settings: TrialSettings,
    *,
    workers: int = 1,
    tell: Callable[[Columns], None],
    work: Callable[[int], Columns] = run_trial,
    describe: Callable[[int], Columns] = draw_only,
    prepare: Callable[..., None] = prepare,
) -> None:
    """Run trials that the table does not hold yet; each appends a row as it ends."""
    rows = RowTable(table)
    done = {int(row["seed"]) for row in rows.rows() if row["half"] == settings.half}
    lost: dict[int, str] = {}

    def through(wanted: Iterable[int], task: Callable[[int], Columns]) -> Any:
        return work_through(
            wanted,
            task,
            workers=workers,
            limit_s=settings.limit_s,
            prepare=prepare,
            prepare_args=(settings,),
        )

    made_with = {
        "commit": commit(),
        "map": settings.lights.name if settings.lights else "",
        "budget_s": settings.register.max_seconds,
        "methods": "+".join(settings.register.methods),
    }

    def keep(columns: Columns) -> None:
        rows.append(columns | made_with)
        tell(columns)

    for seed, columns in through([s for s in seeds if s not in done], work):
        if isinstance(columns, Lost):
            lost[seed] = columns.problem
        else:
            keep(columns)
    for seed, columns in through(list(lost), describe) if lost else ():
        known = {"seed": seed, "half": settings.half}
        known |= {} if isinstance(columns, Lost) else columns
        keep(known | failed(lost[seed]))
