"""Worker processes that may die or hang: each file's fate is told all the same."""

from __future__ import annotations

import importlib
import io
import os
import resource
import signal
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Generic, TypeVar, cast

from benchmarks.fuzz.cases import Case
from benchmarks.fuzz.readers import (
    COMMANDS,
    READERS,
    Reader,
    UnclearSentence,
    checked_sentence,
    through_command,
)
from regengine.errors import RegengineError

# One process that reads damaged files, and says of each how it went.

LIMIT_BYTES = 1_500_000_000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a file was read.

    Attributes
    ----------
    what : str
        "ok", "refused", or what is wrong: "foreign" (an exception that is none of ours),
        "warning", "unclear" (a refusal that is not one clear sentence), "chatter" (a library wrote
        to standard error), "memory", "crash" or "hang".
    text : str
        The sentence, or the exception.
    cpu_s : float
        Processor time.
    peak_mb : float
        The most memory that the process held meanwhile.
    """

    what: str
    text: str
    cpu_s: float = 0.0
    peak_mb: float = 0.0


def serve(connection: Connection, folder: str, limit_bytes: int) -> None:
    """Read what comes through a connection until it ends."""
    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    chatter = (Path(folder) / "stderr").open("w+b", buffering=0)
    os.dup2(chatter.fileno(), 2)
    while True:
        try:
            way, what = connection.recv()
        except EOFError:
            return
        with tempfile.TemporaryDirectory(dir=folder) as place:
            connection.send(_read(way, _path_of(what, Path(place)), chatter, limit_bytes))


def _path_of(what: Case | str, folder: Path) -> Path:
    if isinstance(what, str):
        return Path(what)
    path = folder / what.name
    path.write_bytes(what.data)
    return path


def reader_of(way: str) -> Reader:
    """A reader by the kind of its files, a command by its name, or ``module:function``."""
    if ":" in way:
        module, _, name = way.partition(":")
        return cast("Reader", getattr(importlib.import_module(module), name))
    return READERS[way] if way in READERS else through_command(way)


def _read(way: str, path: Path, chatter: io.FileIO, limit_bytes: int) -> Outcome:
    chatter.seek(0)
    chatter.truncate()
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest use of memory
    start_s = time.process_time()
    what, text = "ok", ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            reader_of(way)(path)
    except RegengineError as error:
        what, text = _refusal(error, path)
    except UnclearSentence as error:
        what, text = "unclear", str(error)
    except MemoryError as error:
        what, text = "memory", f"MemoryError: {error}"
    except Warning as warning:
        what, text = "warning", _place(warning)
    except BaseException as error:  # whatever it is, it is what is looked for
        what, text = "foreign", _place(error)
    cpu_s = time.process_time() - start_s
    peak = _peak_bytes()
    said = os.pread(chatter.fileno(), 300, 0).decode(errors="replace")
    if what in ("ok", "refused") and peak > limit_bytes:
        what, text = "memory", f"{peak / 1e6:.0f} MB; {text}"
    if what in ("ok", "refused") and said:
        what, text = "chatter", said
    return Outcome(what=what, text=text[:600], cpu_s=cpu_s, peak_mb=peak / 1e6)


def _refusal(error: RegengineError, path: Path) -> tuple[str, str]:
    try:
        text = checked_sentence(error, path)
    except UnclearSentence as unclear:
        return "unclear", str(unclear)
    return ("memory" if "more memory" in text else "refused"), text


def _place(error: BaseException) -> str:
    """An exception, and where in the project it came from."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if "regengine" in file.parts or "detectors" in file.parts or "matchers" in file.parts:
            place = f"{file.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {place}: {' '.join(str(error).split())}"


def _peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return 0


WAYS = (*READERS, *COMMANDS)


T = TypeVar("T")
TICK_S = 0.5
IDLE_TIMES = 20.0  # wall clock over processor time: a reader that waits for something hangs, too


@dataclass(kw_only=True)
class _Worker(Generic[T]):
    process: SpawnProcess
    connection: Connection
    folder: tempfile.TemporaryDirectory[str]
    key: T | None = None
    cpu_s: float = 0.0
    start_s: float = 0.0

    def stop(self) -> None:
        self.connection.close()
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.folder.cleanup()


def read_all(
    jobs: Iterable[tuple[T, str, Case | str]], *, workers: int, limit_s: float
) -> Iterator[tuple[T, Outcome]]:
    """Read files in worker processes."""
    waiting = iter(jobs)
    idle: list[_Worker[T]] = [_start() for _ in range(workers)]
    busy: list[_Worker[T]] = []
    try:
        while True:
            while idle and (job := next(waiting, None)) is not None:
                worker = idle.pop()
                worker.key, worker.start_s = job[0], time.monotonic()
                worker.cpu_s = _cpu_s(worker.process)
                worker.connection.send(job[1:])
                busy.append(worker)
            if not busy:
                return
            ready = wait([worker.connection for worker in busy], timeout=TICK_S)
            for worker in list(busy):
                outcome = _outcome(worker, worker.connection in ready, limit_s)
                if outcome is None:
                    continue
                busy.remove(worker)
                assert worker.key is not None
                yield worker.key, outcome
                if outcome.what in ("crash", "hang"):
                    worker.stop()
                    worker = _start()
                idle.append(worker)
    finally:
        for worker in (*idle, *busy):
            worker.stop()


def _start() -> _Worker[T]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    folder = tempfile.TemporaryDirectory(prefix="fuzz-")
    process = context.Process(target=serve, args=(theirs, folder.name, LIMIT_BYTES), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process=process, connection=ours, folder=folder)


def _outcome(worker: _Worker[T], ready: bool, limit_s: float) -> Outcome | None:
    """What became of a worker's file; None while it is read."""
    cpu_s = _cpu_s(worker.process) - worker.cpu_s
    if ready:
        try:
            answer: Outcome = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            return Outcome(what="crash", text=_how_it_died(worker.process.exitcode), cpu_s=cpu_s)
        return answer
    if cpu_s > limit_s or time.monotonic() - worker.start_s > IDLE_TIMES * limit_s:
        return Outcome(what="hang", text=f"{cpu_s:.0f} s of processor time", cpu_s=cpu_s)
    return None


def _how_it_died(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def _cpu_s(process: SpawnProcess) -> float:
    """Processor time that a process has taken; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
