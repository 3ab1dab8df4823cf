"""What came of one fault that was made on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.fault_checks import Record, differences, lost
from benchmarks.fault_runs import CHILD, Run

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
    """Finish a run; what is wrong with its store then.

    Parameters
    ----------
    bench : Bench
        Has the store of an uninterrupted run.
    store : Path
        What earlier runs have written.
    before : sequence of dict
        What they have reported.

    Returns
    -------
    list of str
    """
    run = bench.start(store)
    code = run.finish()
    run.kill()
    if code not in bench.exits:
        return [ended_badly(code, run)]
    return [*lost([*before, *run.records], store), *bench.differences(store)]


def reference_bench(bench: Bench) -> Bench:
    """Make the reference, and measure how long it takes.

    Raises
    ------
    RuntimeError
        If the uninterrupted run does not go through.
    """
    run = bench.start(bench.reference)
    begun, over = run.wait_for("running"), run.wait_for("merging")
    code = run.finish()
    run.kill()
    if code not in bench.exits or begun is None or over is None:
        raise RuntimeError(f"the uninterrupted run failed: {ended_badly(code, run)}")
    return replace(bench, run_s=over - begun)
