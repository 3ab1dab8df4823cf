"""What came of one fault that was made on purpose."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.faults.child import CHILD, Record, Run, differences, lost
from benchmarks.registration.report import table, title_lines

COMPARED = ("differs: frames/frame", "differs: frames/verdict")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all trials share.

    Attributes
    ----------
    folder : Path
        For their stores.
    photos : Path or str
        The folder of photos, or a pattern.
    reference : Path
        Store of an uninterrupted run.
    frames : int
        Photos in it.
    run_s : float
        How long that run took between its first and its last photo.
    module : str
        What is run; see `Run`.
    options : tuple of str
        With which options.
    exits : tuple of int
        Exit codes of a run that went through all photos.
    exact : bool
        False where undisturbed runs differ among themselves, as searches do that are cut by time
        on a busy machine; only frames, numbers and verdicts are compared then.
    """

    folder: Path
    photos: Path | str
    reference: Path
    frames: int
    run_s: float = 0.0
    module: str = CHILD
    options: tuple[str, ...] = ()
    exits: tuple[int, ...] = (0,)
    exact: bool = True

    def differences(self, store: Path) -> list[str]:
        """Where a finished store differs from the reference."""
        found = differences(store, self.reference)
        return [p for p in found if self.exact or not p.startswith("differs") or p in COMPARED]

    def start(self, store: Path, *options: str, bound: bool = False) -> Run:
        """Start a run over the photos into a store."""
        return Run(self.photos, store, *self.options, *options, bound=bound, module=self.module)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One fault.

    Attributes
    ----------
    kind : str
        The row of the table that it belongs to.
    faults : int
        How many faults were made: kills, signals, refusals.
    where : str
        What the run was doing.
    checked : int
        Reported records that were looked for.
    problems : tuple of str
        What was not as it must be; empty if all is well.
    """

    kind: str
    faults: int = 1
    where: str = ""
    checked: int = 0
    problems: tuple[str, ...] = ()

    def and_then(self, problems: Sequence[str]) -> Trial:
        """The same trial with what was found wrong later."""
        return replace(self, problems=(*self.problems, *problems))


def stopped(
    kind: str, run: Run, store: Path, problems: Sequence[str] = (), *, faults: int = 1
) -> Trial:
    """The trial of a run that has ended or was killed, by whether what it reported is there."""
    records = run.records
    return Trial(
        kind=kind,
        faults=faults,
        where=run.phase,
        checked=len(records),
        problems=(*problems, *lost(records, store)),
    )


def ended_badly(code: int | None, run: Run) -> str:
    """The sentence for a run that ended otherwise than it should."""
    if code is None:
        return "stuck"
    complaint = run.complaint.strip().splitlines()
    return f"exit {code}: {complaint[-1] if complaint else 'not a word'}"


def resumed(bench: Bench, store: Path, before: Sequence[Record]) -> list[str]:
    """Finish a run; what is wrong with its store then."""
    run = bench.start(store)
    code = run.finish()
    run.kill()
    if code not in bench.exits:
        return [ended_badly(code, run)]
    return [*lost([*before, *run.records], store), *bench.differences(store)]


def reference_bench(bench: Bench) -> Bench:
    """Make the reference, and measure how long it takes."""
    run = bench.start(bench.reference)
    begun, over = run.wait_for("running"), run.wait_for("merging")
    code = run.finish()
    run.kill()
    if code not in bench.exits or begun is None or over is None:
        raise RuntimeError(f"the uninterrupted run failed: {ended_badly(code, run)}")
    return replace(bench, run_s=over - begun)


# The table of the faults that were made, and its page.

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
