"""What a batch tells its terminal and is told by it: progress, messages, wishes to stop."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from threading import current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING, TextIO, cast

from regengine.errors import escape_terminal
from regengine.io.plain import format_count, make_printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

LINE_EVERY_S = 30.0
VERDICTS = ("accepted", "review", "no_match", "failed")


Advance = Callable[..., None]  # to be called after each photo, with its outcome
_results: list[TextIO] = []  # where results go now, the last of them; `sys.stdout` without any


def open_result_stream() -> TextIO:
    """The standard output that results are printed to."""
    return _results[-1] if _results else sys.stdout


@contextmanager
def reserve_standard_output() -> Iterator[None]:
    """Let nothing but results go to standard output: what is printed by `say` and `print_data`.

    What libraries print there goes to standard error, by ``sys.stdout`` or, in C and in processes
    that begin within the block, by file descriptor 1.
    """
    before = sys.stdout
    if before is None or sys.stderr is None:  # closed by the caller: there is nothing to keep clean
        yield
        return
    with suppress(OSError, ValueError):  # a flush of what is full or gone fails at its own place
        before.flush()
    kept = None
    results = before
    try:
        if before.fileno() == 1:  # else it was replaced, as tests do
            kept = os.dup(1)
            os.dup2(2, 1)
            results = open(  # noqa: SIM115
                kept, "w", encoding=before.encoding, errors=before.errors, closefd=False
            )
    except (OSError, ValueError):
        pass  # it has no descriptor, or standard error has none
    _results.append(results)
    sys.stdout = sys.stderr
    try:
        yield
        results.flush()
    finally:
        _results.remove(results)
        sys.stdout = before
        if kept is not None:
            with suppress(OSError):  # its reader has gone, which was raised before
                results.close()
            os.dup2(kept, 1)
            os.close(kept)


@contextmanager
def show_progress(total: int, *, quiet: bool, doing: str = "registering") -> Generator[Advance]:
    """Show on standard error how far the block is; it calls what it gets after each photo.

    On a terminal that is a bar with rate, time to go and counts; elsewhere a line of the log
    every half minute. Photos that were done before (``resumed``) count for no rate.
    """
    outcomes: Counter[str] = Counter()
    done = fresh = 0
    begun_s = last_s = time.monotonic()

    def text() -> str:
        rate = fresh / max(time.monotonic() - begun_s, 1e-9)
        speed = f"{rate:.1f} photos/s" if rate >= 1.0 else f"{60.0 * rate:.1f} photos/min"
        to_go = f", {timedelta(seconds=round((total - done) / rate))} left" if fresh else ""
        words = [word for word in dict.fromkeys((*VERDICTS, *sorted(outcomes))) if outcomes[word]]
        counts = ", ".join(f"{outcomes[word]} {word}" for word in words)
        return f"{speed}{to_go}" + (f"; {counts}" if counts else "")

    def advance(outcome: str = "", *, resumed: bool = False) -> None:
        nonlocal done, fresh, last_s
        done += 1
        fresh += not resumed
        outcomes[outcome] += bool(outcome)
        if bars:
            bars[0].update(bars[0].task_ids[0], completed=done, description=text())
        elif not quiet and time.monotonic() - last_s >= LINE_EVERY_S and done < total:
            last_s = time.monotonic()
            logging.getLogger("regengine").info(
                "%s: %d of %s, %s", doing, done, format_count(total, "photo"), text()
            )

    bars: list[Progress] = []
    if quiet or not sys.stderr.isatty():
        yield advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    with (
        Progress(
            doing,
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=bool(_results),  # of libraries
        ) as bar,
        _results_above(bar.console),
    ):
        bar.add_task("", total=total)
        bars.append(bar)
        yield advance


@contextmanager
def show_progress_bar(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show on standard error how far the steps of the block are.

    What it gets is called with the step, such as "Building", with what of it is done, and in total
    (0: not known). On a terminal that is a bar each with the time to go; elsewhere a line every
    half minute. The time is that of what was done since the step's first call, so that it tells of
    this machine.
    """
    if quiet:
        yield lambda step, done, total: None
        return
    if not sys.stderr.isatty():
        begun: dict[str, tuple[float, int]] = {}
        last_s = 0.0

        def tell(step: str, done: int, total: int) -> None:
            nonlocal last_s
            now_s = time.monotonic()
            if step not in begun:
                begun[step], last_s = (now_s, done), now_s
            begun_s, before = begun[step]
            if before < done < total and now_s - last_s >= LINE_EVERY_S:
                last_s = now_s
                left = (total - done) / (done - before)
                to_go = timedelta(seconds=round((now_s - begun_s) * left))
                say(f"{step}: {100 * done // total} %, {to_go} left", err=True)

        yield tell
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID

    # On a copy of standard error: while a map is written, what appears on the real one is caught
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal:
        console = Console(file=terminal, force_terminal=True)
        with Progress(console=console, transient=True) as bar:
            tasks: dict[str, TaskID] = {}

            def advance(step: str, done: int, total: int) -> None:
                if step not in tasks:
                    tasks[step] = bar.add_task(step, total=None)
                bar.update(tasks[step], completed=done, total=total or None)

            yield advance


@contextmanager
def _results_above(console: Console) -> Iterator[None]:
    """Print results for the same terminal above its bar; those for a file do not touch it."""
    from rich.file_proxy import FileProxy

    if not open_result_stream().isatty():
        yield
        return
    above = cast("TextIO", FileProxy(console, open_result_stream()))
    _results.append(above)
    try:
        yield
    finally:
        above.flush()
        _results.remove(above)


def say(*lines: str, err: bool = False) -> None:
    """Print lines for people; no name in them commands a terminal or begins another line."""
    print(
        "\n".join(map(escape_terminal, lines)),
        file=sys.stderr if err else open_result_stream(),
        flush=True,
    )


def print_data(text: str) -> None:
    """Print data, which may be several lines: exactly into files, harmlessly on a terminal."""
    if open_result_stream().isatty():
        say(*text.split("\n"))
    else:
        print(make_printable(text), file=open_result_stream(), flush=True)


class StandardError(logging.StreamHandler):
    """Writes messages to the ``sys.stderr`` of the moment: a progress bar may have redirected it.

    As JSON a message is an object with time, level, message and, where there is one, traceback;
    else a line that is harmless on a terminal, and tracebacks as they are.
    """

    def __init__(self, *, as_json: bool) -> None:
        logging.Handler.__init__(self)
        self._as_json = as_json

    @property
    def stream(self) -> TextIO:
        """The standard error of now."""
        return sys.stderr

    def format(self, record: logging.LogRecord) -> str:
        """The message as it is written."""
        message, error = record.getMessage(), record.exc_info
        traceback = logging.Formatter().formatException(error) if error else None
        if not self._as_json:
            return escape_terminal(message) + (f"\n{traceback}" if traceback else "")
        time_utc = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time_utc, "level": record.levelname.lower(), "message": message}
        return json.dumps(line | ({"traceback": traceback} if traceback else {}))


def configure_logging(*, quiet: bool, as_json: bool) -> None:
    """Send regengine's messages to standard error; only errors where it is to be quiet."""
    logger = logging.getLogger("regengine")
    logger.handlers = [StandardError(as_json=as_json)]
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    logger.propagate = False


SIGNALS = (signal.SIGINT, signal.SIGTERM)  # SIGTERM is what schedulers send


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM within the block into a request to stop.

    What the block gets tells whether a run was asked to; the second one raises `KeyboardInterrupt`.
    Outside of the main thread, where Python takes no signals, none ever comes.
    """
    is_asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal is_asked
        if is_asked:
            raise KeyboardInterrupt
        is_asked = True
        logging.getLogger("regengine").warning(
            "stopping after the photos in progress; press Ctrl-C again to stop at once"
        )

    signals = SIGNALS if current_thread() is main_thread() else ()
    before = {number: signal.signal(number, ask) for number in signals}
    try:
        yield lambda: is_asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
