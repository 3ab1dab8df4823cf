"""A range of seeds drawn, registered and scored into a table; what it holds already is skipped."""

from __future__ import annotations

import csv
import io
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, TimeoutError, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.orbit_uncertainty import commit
from benchmarks.registration.process import one_thread
from regengine.io.atomic import write_whole
from regengine.registration.register import RegisterParams

if TYPE_CHECKING:
    from benchmarks.trials.source import TrialSource
    from benchmarks.trials.trial import Half, Trial
    from regengine.lights.map import LightMap

# Seeds worked through in processes that may crash or hang without ending the run.

Columns = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A seed whose work was not finished, and why."""

    problem: str


def work_through(
    seeds: Iterable[int],
    work: Callable[[int], Columns],
    *,
    workers: int,
    limit_s: float,
    prepare: Callable[..., None],
    prepare_args: tuple[Any, ...] = (),
) -> Generator[tuple[int, Columns | Lost]]:
    """Do work for each seed in worker processes of one thread each."""
    from pebble import ProcessExpired, ProcessPool

    with one_thread():
        # Started afresh, not forked: OpenCV's threads do not survive a fork.
        pool = ProcessPool(
            max_workers=workers,
            context=get_context("spawn"),
            initializer=prepare,
            initargs=list(prepare_args),
        )
        waiting, running = iter(seeds), dict[Future[Columns], int]()
        try:
            while True:
                while len(running) < 2 * workers and (seed := next(waiting, None)) is not None:
                    running[pool.schedule(work, args=[seed], timeout=limit_s)] = seed
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), _outcome(future, limit_s, ProcessExpired)
        finally:
            pool.stop()
            pool.join()


def _outcome(
    future: Future[Columns], limit_s: float, process_died: type[Exception]
) -> Columns | Lost:
    try:
        return future.result()
    except TimeoutError:
        return Lost(problem=f"killed after {limit_s:.0f} s")
    except process_died as error:
        return Lost(problem=f"the process died (exit code {getattr(error, 'exitcode', None)})")
    except BrokenExecutor:  # no process could be made ready: no seed's fault
        raise
    except Exception as error:
        return Lost(problem=f"{type(error).__name__}: {error}")


# A table of rows on disk that grows line by line and survives being interrupted.

Row = dict[str, str]
LIST_MARK = ";"  # between the values of one cell


def cell(value: Any) -> str:
    """A value as the table has it: nothing for None, 1 and 0 for truth values."""
    if value is None:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.9g}"
    if isinstance(value, (list, tuple, np.ndarray)):
        return LIST_MARK.join(cell(one) for one in value)
    return str(value)


class RowTable:
    """A CSV file that rows are appended to, one complete line at a time.

    A line that an interrupted run left torn is dropped when the table is opened again. A row with
    a column that the table lacks has the table rewritten with it, whole or not at all.

    Parameters
    ----------
    path : Path
        Need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._drop_torn_line()
        self.columns = _columns_of(path)

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one row to the disk; columns it lacks stay empty."""
        new = [name for name in row if name not in self.columns]
        if new:
            self._widen(new)
        cells = [cell(row.get(name)) for name in self.columns]
        with self.path.open("ab") as file:
            file.write(_lines([cells]).encode("utf-8"))

    def rows(self) -> list[Row]:
        """All rows so far."""
        return read_rows([self.path])

    def _widen(self, names: Sequence[str]) -> None:
        rows = self.rows()
        self.columns = [*self.columns, *names]
        lines = [self.columns, *([row.get(name, "") for name in self.columns] for row in rows)]
        write_whole(self.path, _lines(lines).encode("utf-8"))

    def _drop_torn_line(self) -> None:
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        if not data.endswith(b"\n"):
            write_whole(self.path, data[: data.rfind(b"\n") + 1])


def _columns_of(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def _lines(lines: Iterable[Sequence[str]]) -> str:
    stream = io.StringIO()
    # A torn line can be told from a whole one only if no cell holds a line break.
    flat = [[text.replace("\r", " ").replace("\n", " ") for text in cells] for cells in lines]
    csv.writer(stream, lineterminator="\n").writerows(flat)
    return stream.getvalue()


def read_rows(paths: Iterable[Path]) -> list[Row]:
    """Rows of some tables, one after the other; none of a table that does not exist."""
    rows: list[Row] = []
    for path in paths:
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                rows += list(csv.DictReader(file))
    return rows


def numbers(rows: Sequence[Row], name: str) -> NDArray[np.float64]:
    """A column as numbers, shape (n,); NaN where a row has none."""
    return np.array([number_of(row.get(name)) for row in rows], float)


def number_of(text: str | None) -> float:
    """A cell as a number; NaN for what is none."""
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def flags(rows: Sequence[Row], name: str) -> NDArray[np.bool_]:
    """A column of truth values, shape (n,); False where a row has none."""
    return np.array([row.get(name) == "1" for row in rows], bool)


def values(rows: Sequence[Row], name: str) -> NDArray[np.float64]:
    """All numbers of a column whose cells hold several, one after the other, shape (m,)."""
    cells = [text for row in rows for text in (row.get(name) or "").split(LIST_MARK) if text]
    return np.array([float(text) for text in cells], float)


# A trial is drawn in seconds and searched in its budget; what takes this much longer hangs
LIMIT_BUDGETS, LIMIT_REST_S = 8.0, 120.0


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """What all trials of a run share; pickles, so that workers can have it.

    Attributes
    ----------
    half : str
        "train" or "test".
    real : Path or None
        Folder of the real data; the self-made world where None.
    lights : Path or None
        Map to register on; the source's own where None.
    register : RegisterParams
        Settings of the registration.
    """

    half: Half = "test"
    real: Path | None = None
    lights: Path | None = None
    register: RegisterParams = field(default_factory=RegisterParams)

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
