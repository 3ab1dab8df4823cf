"""The table of the faults that were made, and its page."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from benchmarks.fault_trial import Trial
from benchmarks.registration_report import table, title_lines

LOSS = ("reported, but", "does not open", "twice in the store")
EXPLAINED = """
A run is a process of its own with two workers: the real plan, sharing, store and merge, with a
stand-in for the engine that takes 5 to 50 ms and whose every value follows from the photo and from
what other photos have told. Parts are of 8 frames and stretches of 32 photos, so that a short run
has as many moments of danger as a long one. After each fault all HDF5 files are read by h5py, and
each record that was printed is looked for in store and parts, with the same content: that it is
not there is a **loss**. Then the run is resumed to its end, and its store compared with that of an
undisturbed run: every group, every column that is not marked volatile, to the last bit, each frame
once. Whatever else is not as it should be (a run that is stuck, an exit code, a frame that failed
without guilt) is a **deviation**.
"""


def table_lines(trials: Sequence[Trial]) -> list[str]:
    """A row for each kind of fault."""
    rows = []
    kinds: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        kinds[trial.kind].append(trial)
    for kind, those in kinds.items():
        problems = [problem for trial in those for problem in trial.problems]
        losses = sum(problem.startswith(LOSS) for problem in problems)
        rows.append(
            (
                kind,
                str(len(those)),
                str(sum(trial.faults for trial in those)),
                f"{sum(trial.checked for trial in those):,}",
                str(losses),
                str(sum(bool(trial.problems) for trial in those)),
            )
        )
    header = ("fault", "trials", "faults", "records looked for", "losses", "trials with deviations")
    return table(header, rows, right=5)


def problem_lines(trials: Sequence[Trial]) -> list[str]:
    """What was not as it should be, by kind, the most frequent first."""
    lines = []
    for kind in dict.fromkeys(trial.kind for trial in trials):
        those = [trial for trial in trials if trial.kind == kind]
        # Of a sentence, what stands before its colon: the rest names the frame
        counts = Counter(
            problem for trial in those for problem in {_sort_of(p) for p in trial.problems}
        )
        lines += [f"- {kind}: {problem} ({n} trials)" for problem, n in counts.most_common(8)]
    return lines or ["None."]


def page_lines(trials: Sequence[Trial], command: str, frames: int) -> list[str]:
    """The page."""
    note = f"Runs over {frames} photos.\n{EXPLAINED}".strip()
    return [
        *title_lines("Batches under faults", command, note),
        *table_lines(trials),
        "",
        "## Deviations",
        "",
        *problem_lines(trials),
    ]


def _sort_of(problem: str) -> str:
    head = problem.partition(":")[0]
    return problem if head.startswith(("differs", "exit")) else head
