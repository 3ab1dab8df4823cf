"""How far a batch is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

LINE_EVERY_S = 30.0
VERDICTS = ("accepted", "review", "no_match", "failed")


class Advance(Protocol):
    """To be called after each photo."""

    def __call__(
        self, outcome: str = "", *, resumed: bool = False, instead_of: str | None = None
    ) -> None:
        """Count a photo.

        Parameters
        ----------
        outcome : str, optional
            What became of it, in one word: these words are counted.
        resumed : bool, optional
            Whether it was done before: it tells nothing of how long the others will take.
        instead_of : str, optional
            What had become of it when it was counted before.
        """


class Tally:
    """Counts of a batch under way, and the time that the rest will take.

    Parameters
    ----------
    total : int
        Photos to go through.
    clock : callable
        Seconds that never run backwards.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.outcomes: Counter[str] = Counter()
        self.done = 0
        self._fresh = 0
        self._clock = clock
        self._start_s = clock()

    def count(self, outcome: str, resumed: bool, instead_of: str | None) -> None:
        """Count a photo; see `Advance`."""
        if instead_of is None:
            self.done += 1
            self._fresh += not resumed
        else:
            self.outcomes[instead_of] -= 1
        if outcome:
            self.outcomes[outcome] += 1

    @property
    def rate(self) -> float:
        """Photos a second, without those that were done before."""
        return self._fresh / max(self._clock() - self._start_s, 1e-9)

    @property
    def rest_s(self) -> float | None:
        """Seconds that the rest will take; None while nothing tells."""
        return (self.total - self.done) / self.rate if self._fresh else None

    def text(self) -> str:
        """Rate, time to go and counts as one line."""
        rate = self.rate
        speed = f"{rate:.1f} photos/s" if rate >= 1.0 else f"{60.0 * rate:.1f} photos/min"
        rest = self.rest_s
        to_go = "" if rest is None else f", {timedelta(seconds=round(rest))} to go"
        others = sorted(set(self.outcomes) - set(VERDICTS))
        words = [word for word in (*VERDICTS, *others) if self.outcomes[word]]
        counts = ", ".join(f"{self.outcomes[word]} {word}" for word in words)
        return f"{speed}{to_go}" + (f"; {counts}" if counts else "")


@contextmanager
def progress(total: int, *, quiet: bool, doing: str = "registering") -> Generator[Advance]:
    """Show on standard error how far the block is.

    On a terminal that is a bar with rate, time to go and counts; elsewhere a line of the log
    every half minute.

    Parameters
    ----------
    total : int
        Photos to go through.
    quiet : bool
        Show nothing.
    doing : str, optional
        What the bar says.

    Yields
    ------
    Advance
        To be called after each photo.
    """
    tally = Tally(total)
    if quiet:
        yield lambda outcome="", *, resumed=False, instead_of=None: None
    elif sys.stderr.isatty():
        with _bar(tally, doing) as advance:
            yield advance
    else:
        yield _lines(tally, doing)


def _lines(tally: Tally, doing: str, clock: Callable[[], float] = time.monotonic) -> Advance:
    last_s = clock()

    def advance(outcome: str = "", *, resumed: bool = False, instead_of: str | None = None) -> None:
        nonlocal last_s
        tally.count(outcome, resumed, instead_of)
        now_s = clock()
        if now_s - last_s >= LINE_EVERY_S and tally.done < tally.total:
            last_s = now_s
            logging.getLogger("regengine").info(
                "%s: %d of %d photos, %s", doing, tally.done, tally.total, tally.text()
            )

    return advance


@contextmanager
def _bar(tally: Tally, doing: str) -> Generator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        doing,
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
        transient=True,
        # Lines for the same terminal must go above the bar; lines for a file must not touch it.
        redirect_stdout=sys.stdout.isatty(),
    )
    with bar:
        task = bar.add_task("", total=tally.total)

        def advance(
            outcome: str = "", *, resumed: bool = False, instead_of: str | None = None
        ) -> None:
            tally.count(outcome, resumed, instead_of)
            bar.update(task, completed=tally.done, description=tally.text())

        yield advance
