"""Terminal input and output of a batch: results, messages, progress bars and stop signals."""

from __future__ import annotations

import codecs
import json
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from threading import Timer, current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING, TextIO, cast

from regengine.errors import StoreError, escape_terminal
from regengine.io.atomic import make_refusal
from regengine.io.plain import format_count, make_printable

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_EVERY_S = 30.0
VERDICTS = ("accepted", "review", "no_match", "failed")

Advance = Callable[..., None]  # called after each photo with its outcome
_results: list[TextIO] = []  # current result stream, the last in the list; `sys.stdout` if empty


def open_result_stream() -> TextIO:
    return _results[-1] if _results else sys.stdout


def escape_unencodable(error: UnicodeError) -> tuple[str, int]:
    r"""Return what an encoding lacks as ``\u014d``, which JSON reads as the same character."""
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def prepare_streams() -> None:
    """Escape characters that standard output or standard error cannot encode.

    What is written to one that the caller has closed is dropped.
    """
    codecs.register_error("regengine.escape", escape_unencodable)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="regengine.escape")


@contextmanager
def raise_output_failures() -> Iterator[None]:
    """Raise a failed write to standard output as a StoreError; a reader that is gone, unchanged."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise make_refusal("standard output", error) from error


def discard_output() -> bool:
    """Whether standard output refuses what is still to be written; if so, drop it."""
    try:
        sys.stdout.flush()
        return False
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True


def output_width() -> int | None:
    """Columns of the terminal that results are printed on, or of COLUMNS; None for a file."""
    with suppress(ValueError):
        if (columns := int(os.environ.get("COLUMNS", "0"))) > 0:
            return columns
    with suppress(OSError, ValueError):
        return os.get_terminal_size(open_result_stream().fileno()).columns or None
    return None


@contextmanager
def reserve_standard_output() -> Iterator[None]:
    """Reserve standard output for what `say` and `print_data` print.

    Everything else that libraries print there goes to standard error. This covers ``sys.stdout``
    and, in C and in processes that start within the block, file descriptor 1.
    """
    before = sys.stdout
    if before is None or sys.stderr is None:  # closed by the caller: no output to protect
        yield
        return
    with suppress(OSError, ValueError):  # a full or closed stream raises where it is written
        before.flush()
    kept = None
    results = before
    try:
        if before.fileno() == 1:  # otherwise it was replaced, as tests do
            kept = os.dup(1)
            os.dup2(2, 1)
            results = open(  # noqa: SIM115
                kept, "w", encoding=before.encoding, errors=before.errors, closefd=False
            )
    except (OSError, ValueError):
        pass  # standard output or standard error has no descriptor
    _results.append(results)
    sys.stdout = sys.stderr
    try:
        yield
        with raise_output_failures():
            results.flush()
    finally:
        _results.remove(results)
        sys.stdout = before
        if kept is not None:
            with suppress(OSError):  # its reader is gone, which was raised before
                results.close()
            os.dup2(kept, 1)
            os.close(kept)


@contextmanager
def show_steps(*, quiet: bool) -> Generator[Callable[..., None]]:
    """Show the progress of the steps of the block on standard error.

    The yielded function is called with the step, such as "Building", the amount done, the total (0:
    unknown), and its state: without, the share and the remaining time, by the rate since
    the first call of the step. A terminal shows one bar per step. Elsewhere, a line is logged every
    half minute.
    """
    if quiet:
        yield lambda step, done, total, state="": None
        return
    begun: dict[str, tuple[float, int]] = {}
    last_s = time.monotonic()
    bar: Progress | None = None

    def advance(step: str, done: int, total: int, state: str = "") -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if step not in begun:
            begun[step], last_s = (now_s, done), now_s
            if bar is not None:
                bar.add_task(step, total=None, state="")
        begun_s, before = begun[step]
        if not state and before < done <= total:
            to_go_s = (now_s - begun_s) * (total - done) / (done - before)
            state = f"{100 * done // total} %, {timedelta(seconds=round(to_go_s))} left"
        if bar is not None:
            task = bar.task_ids[list(begun).index(step)]
            bar.update(task, completed=done, total=total or None, state=state)
        elif state and done < total and now_s - last_s >= LINE_EVERY_S:
            last_s = now_s
            if (logger := logging.getLogger("regengine")).isEnabledFor(logging.INFO):
                logger.info("%s: %s", step, state)
            else:
                say(f"{step}: {state}", err=True)

    if not sys.stderr.isatty():
        yield advance
        return
    from rich.console import Console
    from rich.file_proxy import FileProxy
    from rich.progress import BarColumn, Progress, TextColumn

    # On a copy of standard error: while a map is written, output to the real one is captured
    encoding, errors = sys.stderr.encoding, sys.stderr.errors
    copy = os.dup(sys.stderr.fileno())
    with (
        os.fdopen(copy, "w", encoding=encoding, errors=errors) as terminal,
        Progress(
            "{task.description}",
            BarColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            console=Console(file=terminal),
            transient=True,
            redirect_stdout=bool(_results),  # output of libraries
        ) as shown,
        ExitStack() as above,
    ):
        bar = shown
        if open_result_stream().isatty():  # results are printed above the bar
            results = cast("TextIO", FileProxy(bar.console, open_result_stream()))
            _results.append(results)
            above.callback(_results.remove, results)
            above.callback(results.flush)
        yield advance


@contextmanager
def show_progress(total: int, *, quiet: bool, doing: str = "registering") -> Generator[Advance]:
    """Show the progress of many photos, as `show_steps` does.

    The block calls the yielded function after each photo. Told are rate, remaining time and counts.
    Reused results (``resumed``) do not count for the rate.
    """
    outcomes: Counter[str] = Counter()
    done = fresh = 0
    begun_s = time.monotonic()

    def advance(outcome: str = "", *, resumed: bool = False) -> None:
        nonlocal done, fresh
        done += 1
        fresh += not resumed
        outcomes[outcome] += bool(outcome)
        rate = fresh / max(time.monotonic() - begun_s, 1e-9)
        speed = f"{rate:.1f} photos/s" if rate >= 1.0 else f"{60.0 * rate:.1f} photos/min"
        to_go = f", {timedelta(seconds=round((total - done) / rate))} left" if fresh else ""
        words = [word for word in dict.fromkeys((*VERDICTS, *sorted(outcomes))) if outcomes[word]]
        counts = "; " * bool(words) + ", ".join(f"{outcomes[word]} {word}" for word in words)
        state = f"{done} of {format_count(total, 'photo')}, {speed}{to_go}{counts}"
        update(doing, done, total, state)

    with show_steps(quiet=quiet) as update:
        update(doing, 0, total)
        yield advance


@cache
def name_program() -> str:
    """How this program was called, for a shell: ``regengine``, ``python cli.py`` and others."""
    words = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]  # without what it was given
    name = Path(words[-1]).name
    if name == "regengine" and words[-2:-1] != ["-m"]:  # a script, which names its Python itself
        script = shutil.which("regengine")
        is_on_path = script is not None and os.path.realpath(script) == os.path.realpath(words[-1])
        words = ["regengine" if is_on_path else words[-1]]
    # Python that calls this package, and workers, have names of their own
    return shlex.join(words) if name in ("regengine", "cli.py") else "regengine"


@cache
def _find_commands() -> re.Pattern[str]:
    folder = Path(__file__).parents[1] / "commands"
    names = "|".join(sorted(path.stem for path in folder.glob("[a-z]*.py")))
    return re.compile(rf"(?<![\w/.-])(?<!-m )regengine(?= (?:{names})\b)")


def as_typed(text: str) -> str:
    """Name commands in a message, ``regengine show``, as this program was called."""
    return _find_commands().sub(lambda _: name_program(), text)


def fit_cell(text: str, width: int, *, keep_end: bool = False) -> str:
    """A cell of a table, so many columns wide on a terminal; its end, or middle, may be cut."""
    from rich.cells import cell_len, set_cell_size  # letters of East Asia take two columns

    text = escape_terminal(text)
    if cell_len(text) > width:
        tail = (width - 1) // 2 if keep_end else 0
        end = set_cell_size(text[::-1], tail)[::-1]
        text = f"{set_cell_size(text, width - 1 - tail)}…{end}"
    return text + " " * (width - cell_len(text))


def say(*lines: str, err: bool = False) -> None:
    """Print lines for people: commands as they can be typed, control characters escaped.

    A message that standard error does not take is lost; StoreError if standard output is full.
    """
    text = "\n".join(escape_terminal(as_typed(line)) for line in lines)
    try:
        with raise_output_failures():
            print(text, file=sys.stderr if err else open_result_stream(), flush=True)
    except StoreError:
        if not err:
            raise


def print_data(text: str) -> None:
    """Print data, which may have several lines: unchanged to files, escaped on a terminal."""
    if open_result_stream().isatty():
        say(*text.split("\n"))
    else:
        with raise_output_failures():
            print(make_printable(text), file=open_result_stream(), flush=True)


class StandardError(logging.StreamHandler):
    """Writes messages to the current ``sys.stderr``, which a progress bar may have redirected.

    As JSON, a message is an object with time, level, message and, if there is one, traceback.
    Otherwise, it is a line with control characters escaped; tracebacks are unchanged.
    """

    def __init__(self, *, as_json: bool) -> None:
        logging.Handler.__init__(self)
        self._as_json = as_json

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    def format(self, record: logging.LogRecord) -> str:
        """Return the message as it is written."""
        message, error = record.getMessage(), record.exc_info
        traceback = logging.Formatter().formatException(error) if error else None
        if not self._as_json:
            return escape_terminal(as_typed(message)) + (f"\n{traceback}" if traceback else "")
        time_utc = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time_utc, "level": record.levelname.lower(), "message": message}
        return json.dumps(line | ({"traceback": traceback} if traceback else {}))


def configure_logging(*, quiet: bool, as_json: bool) -> None:
    """Send messages of regengine to standard error; only errors if quiet."""
    logger = logging.getLogger("regengine")
    logger.handlers = [StandardError(as_json=as_json)]
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    logger.propagate = False


SIGNALS = (signal.SIGINT, signal.SIGTERM)  # schedulers send SIGTERM
LAST_S = 5.0  # for a program that is interrupted to end in order


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; end the program after `LAST_S`, or at the next signal, regardless.

    A server that does not answer, or a thread that waits for one, may keep it from ending in order.
    """
    for one in SIGNALS:
        signal.signal(one, signal.SIG_DFL)
    timer = Timer(LAST_S, os._exit, [128 + signal.SIGINT])
    timer.daemon = True
    timer.start()
    raise KeyboardInterrupt


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM within the block into a request to stop.

    The block receives a function that returns whether a stop was requested. The second signal ends
    the program (`interrupt`). Outside of the main thread, Python handles no signals, and no stop is
    requested.
    """
    is_asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal is_asked
        if is_asked:
            interrupt(number, frame)
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
