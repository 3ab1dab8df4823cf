"""How far a batch is: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def progress(
    total: int, *, quiet: bool, doing: str = "registering"
) -> Generator[Callable[[], None]]:
    """Show a bar on standard error while the block runs, if that is a terminal.

    Parameters
    ----------
    total : int
        Photos to go through.
    quiet : bool
        No bar.
    doing : str, optional
        What the bar says.

    Yields
    ------
    callable
        To be called after each photo.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    bar = Progress(
        doing,
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # Lines for the same terminal must go above the bar; lines for a file must not touch it.
        redirect_stdout=sys.stdout.isatty(),
    )
    with bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
