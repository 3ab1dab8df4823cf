"""The table of batches on clusters whose workers died, and its page."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.dask_trial import DaskTrial
from benchmarks.registration_report import number, table, title_lines

EXPLAINED = """
A scheduler and workers, each a process of its own on one machine, of which one is killed with
SIGKILL every {every:g} seconds in the mean and replaced at once. Its shard begins again elsewhere.
Each batch is compared with one that ran undisturbed in two local worker processes: each photo
reported and stored once, every column that is not marked volatile equal to the last bit.
*Searches* are photos that were begun, over those that had to be: what the kills cost. *CPU ms* are
those of the process that submits, for planning, storing and talking to the scheduler.

`stand-in`: 5 to 50 ms a photo, with results that follow from the photo and from what other photos
have told, and second searches. `regengine`: the engine itself on the sample photographs, a photo a
shard, a kill a fifth as often.
"""


def table_lines(trials: Sequence[DaskTrial]) -> list[str]:
    """A row for each batch."""
    needed = {(t.engine, t.frames): t.searches for t in reversed(trials) if not t.kills}
    rows = [
        (
            trial.engine,
            f"{trial.frames:,}",
            str(trial.workers),
            str(trial.kills),
            number(trial.seconds, 0),
            f"{1e3 * trial.cpu_s / trial.frames:.1f}",
            _ratio(trial, needed.get((trial.engine, trial.frames))),
            str(len(trial.problems)),
        )
        for trial in trials
    ]
    header = ("engine", "photos", "workers", "killed", "s", "CPU ms a photo", "searches")
    return table((*header, "lost, doubled or different"), rows, right=7)


def page_lines(trials: Sequence[DaskTrial], command: str, every_s: float) -> list[str]:
    """The page."""
    problems = [f"- {trial.workers} workers: {p}" for trial in trials for p in trial.problems]
    note = EXPLAINED.format(every=every_s).strip()
    return [
        *title_lines("Dask clusters that lose their workers", command, note),
        *table_lines(trials),
        "",
        *(["## Problems", "", *problems] if problems else ["No frame was lost or done twice."]),
    ]


def _ratio(trial: DaskTrial, needed: int | None) -> str:
    return f"× {trial.searches / needed:.2f}" if needed and trial.searches else "–"
