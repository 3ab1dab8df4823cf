"""A run in a process of its own, for others to stop, starve and kill.

``python -m benchmarks.faults.child FOLDER STORE``: the real plan, workers, sharing and store, with
the stand-in engine. Records go to standard output as from ``regengine register --json``; what the
run is about goes to the file descriptor of ``--tell``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from regengine.errors import StoreError
from regengine.records import record_line
from regengine.store.snapshot import list_parts, parts_folder, read_store

EXIT_STORE = 3
# Small parts and stretches: a short run then has as many moments of danger as a long one
PART_FRAMES = 8
STRETCH = 32
STEPS_S = (86_400.0, -86_400.0, 3600.0, -3600.0, 90.0, -90.0)


def run_child(argv: list[str]) -> int:
    """Run a batch; 0 when done, 3 if the store cannot be written, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults.child")
    parser.add_argument("folder", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--tell", type=int, default=2)
    parser.add_argument("--also", action="append", default=[], metavar="PHOTO")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit-s", type=float, default=600.0)
    parser.add_argument("--retry", action="append", default=[], metavar="VERDICT")
    parser.add_argument("--memory-mb", type=int, default=0)
    parser.add_argument("--file-bytes", type=int, default=0)
    parser.add_argument("--stepping-clock", type=int, default=None, metavar="SEED")
    arguments = parser.parse_args(argv)

    small_parts()
    if arguments.file_bytes:
        limit_files(arguments.file_bytes)
    if arguments.stepping_clock is not None:
        step_clock(arguments.stepping_clock)
    return run_store(arguments, partial(tell, arguments.tell))


def run_store(arguments: argparse.Namespace, told: Callable[[str], None]) -> int:
    """The run itself, with a word at each of its phases."""
    from benchmarks.faults.engine import facts_of, process
    from regengine.batch.discover import find_photos
    from regengine.batch.run import BatchOptions, run_batch
    from regengine.errors import StoreError
    from regengine.records import record_line
    from regengine.store.writer import StoreWriter

    options = BatchOptions(
        parameters="{}",
        parameters_sha256="p",
        workers=arguments.workers,
        limit_s=arguments.limit_s,
        memory_mb=arguments.memory_mb,
        retry=frozenset(arguments.retry),
        facts_of=facts_of,
    )
    photos = find_photos([str(arguments.folder), *arguments.also])
    told("opening")
    try:
        with StoreWriter(arguments.store) as writer:
            told("running")
            summary = run_batch(
                photos, process, writer, options, lambda r: print(record_line(r), flush=True)
            )
            told("merging")
    except StoreError as error:
        print(f"Error: {error}", file=sys.stderr)
        return EXIT_STORE
    told("done")
    return 130 if summary.interrupted else 0


def small_parts() -> None:
    """Write parts of a few frames, and let photos help each other in short stretches."""
    from regengine.batch import sharing
    from regengine.store import writer

    writer.PART_FRAMES = PART_FRAMES
    sharing.BLOCK_PHOTOS = STRETCH


def tell(descriptor: int, word: str) -> None:
    """Say where the run is; one write, so that a kill leaves no half word."""
    os.write(descriptor, f"{word}\n".encode())


def limit_files(size_bytes: int) -> None:
    """Have the kernel refuse files larger than this, as a full disk refuses them."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))


def step_clock(seed: int) -> None:
    """Let this process's time of day jump by up to a day, ten times a second."""
    true, chance = time.time, random.Random(seed)
    state = {"next": 0.0, "offset": 0.0}

    def stepping() -> float:
        now = true()
        if now >= state["next"]:
            state["next"], state["offset"] = now + 0.1, chance.choice(STEPS_S)
        return now + state["offset"]

    time.time = stepping


if __name__ == "__main__":
    sys.exit(run_child(sys.argv[1:]))


# What must hold of a store after a run was stopped, and after it was finished.

Record = dict[str, Any]


def whole_records(text: str) -> list[Record]:
    """Records of the lines that were printed to their end, without the seconds they took."""
    lines = text.split("\n")[:-1]
    return [without_seconds(json.loads(line)) for line in lines if line.startswith("{")]


def without_seconds(record: Record) -> Record:
    """A record without what differs between equal runs."""
    engine = {k: v for k, v in record["engine"].items() if k != "seconds"}
    return record | {"engine": engine}


def lost(reported: Iterable[Record], store: Path) -> list[str]:
    """What is wrong with a store that a run has reported these records for."""
    problems = unopenable(store)
    try:
        exists = store.exists() or list_parts(parts_folder(store))
        stored = read_store(store) if exists else []
    except StoreError as error:
        return [*problems, f"does not open: {error}"]
    kept: dict[str, Record] = {}
    for frame in stored:
        record = without_seconds(json.loads(record_line(frame.result)))
        if record["path"] in kept:
            problems.append(f"twice in the store: {record['path']}")
        kept[record["path"]] = record
    for record in reported:
        if record["path"] not in kept:
            problems.append(f"reported, but lost: {record['path']}")
        elif kept[record["path"]] != record:
            problems.append(f"reported, but changed: {record['path']}")
    return problems


def unopenable(store: Path) -> list[str]:
    """HDF5 files of a store of which not every value can be read, by h5py alone."""
    problems = []
    for path in [*([store] if store.exists() else []), *list_parts(parts_folder(store))]:
        try:
            with h5py.File(path, "r") as file:
                for group in file.values():
                    rows = {len(column[()]) for column in group.values()}
                    if len(rows) > 1:
                        problems.append(f"columns of unequal length: {path.name}{group.name}")
        except OSError as error:
            problems.append(f"does not open: {path.name} ({error})")
    return problems


def differences(store: Path, reference: Path, *, extra: tuple[str, ...] = ()) -> list[str]:
    """Where a finished store differs from that of an uninterrupted run."""
    if list_parts(parts_folder(store)):
        return ["parts were left unmerged"]
    with h5py.File(store, "r") as one, h5py.File(reference, "r") as two:
        names = [name.decode() for name in one["frames/frame"][()]]
        wanted = [name.decode() for name in two["frames/frame"][()]]
        problems = _not_once(names, [*wanted, *extra])
        if problems:
            return problems
        number = dict(zip(wanted, two["frames/frame_index"][()].tolist(), strict=True))
        mine = dict(zip(one["frames/frame_index"][()].tolist(), names, strict=True))
        if any(number.get(name, index) != index for index, name in mine.items()):
            problems.append("frames have other numbers")
        for group in two:
            if set(one[group]) != set(two[group]):
                problems.append(f"other columns: {group}")
                continue
            # By name, so that a wrong number is one problem and does not hide others
            whose = [number.get(mine[k], -1) for k in one[group]["frame_index"][()].tolist()]
            order = np.argsort(whose, kind="stable")[np.sort(whose) >= 0]
            for name, column in two[group].items():
                if name == "frame_index" or column.attrs["volatile"]:
                    continue
                if not _equal(one[group][name][()][order], column[()]):
                    problems.append(f"differs: {group}/{name}")
    return problems


def failed_frames(store: Path) -> list[str]:
    """Names of the frames of a merged store that could not be processed."""
    with h5py.File(store, "r") as file:
        verdicts, names = (file[f"frames/{name}"][()] for name in ("verdict", "frame"))
        return [n.decode() for n, v in zip(names, verdicts, strict=True) if v == b"failed"]


def _not_once(names: list[str], wanted: list[str]) -> list[str]:
    counts = Counter(names)
    twice = [f"{n} times in the store: {name}" for name, n in counts.items() if n > 1]
    missing = [f"not in the store: {name}" for name in wanted if name not in counts]
    foreign = [f"nobody asked for: {name}" for name in counts if name not in set(wanted)]
    return twice + missing + foreign


def _equal(one: NDArray[Any], two: NDArray[Any]) -> bool:
    if one.shape != two.shape:
        return False
    if one.dtype.kind == "f":
        return bool(np.array_equal(one, two, equal_nan=True))
    return bool(one.tolist() == two.tolist())


# A run as a child process with a process group of its own, watched while it works.

ROOT = Path(__file__).resolve().parents[2]
CHILD = "benchmarks.faults.child"
PHASES = ("starting", "opening", "running", "merging", "done")
STUCK_S = 180.0  # no run here takes a tenth of this, even on a busy machine
# Root may write and read everything by these two capabilities alone
BINDING = (
    (
        "setpriv",
        "--bounding-set=-dac_override,-dac_read_search",
        "--inh-caps=-dac_override,-dac_read_search",
    )
    if os.geteuid() == 0
    else ()
)
KILLED = -int(signal.SIGKILL)


class Run:
    """A run that was started, and what it says.

    Parameters
    ----------
    folder : Path or str
        Photos.
    store : Path
        Where their results go.
    *options : str
        Further ones of `benchmarks.faults.child`.
    bound : bool, optional
        Bind root, too, to the permissions of files and folders.
    module : str, optional
        What to run in the place of `benchmarks.faults.child`.
    """

    def __init__(
        self,
        folder: Path | str,
        store: Path,
        *options: str,
        bound: bool = False,
        module: str = CHILD,
    ) -> None:
        read, write = os.pipe()
        command = [sys.executable, "-m", module, str(folder), str(store), "--tell", str(write)]
        self.process = subprocess.Popen(
            [*(BINDING if bound else ()), *command, *options],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[write],
            start_new_session=True,  # the run and its workers can be killed together
        )
        os.close(write)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._told = _Listener(os.fdopen(read, "rb"))
        self._printed = _Listener(self.process.stdout)
        self._complained = _Listener(self.process.stderr)

    def wait_for(self, phase: str) -> float | None:
        """When the run came to a phase, by the monotonic clock; None if it ended before."""
        return self._told.wait_for(phase, STUCK_S)

    def wait_for_records(self, count: int) -> None:
        """Return when so many records were printed, or the run has ended."""
        self._printed.wait_for_count(count, STUCK_S)

    def finish(self, timeout_s: float = STUCK_S) -> int | None:
        """The exit code, once the run has ended; None, and the run is killed, if it is stuck."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self) -> str:
        """Kill the run and its workers; gives the phase that it was in."""
        self.signal_all(signal.SIGKILL)
        self.process.wait()
        for listener in (self._told, self._printed, self._complained):
            listener.join()
        return self.phase

    def signal_all(self, number: int) -> None:
        """A signal to the whole process group, as a terminal sends it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    @property
    def phase(self) -> str:
        """The phase that the run has come to."""
        told = self._told.text().split()
        return told[-1] if told else PHASES[0]

    @property
    def records(self) -> list[Record]:
        """What the run has printed."""
        return whole_records(self._printed.text())

    @property
    def complaint(self) -> str:
        """What it has said on standard error."""
        return self._complained.text()

    def workers(self) -> list[int]:
        """Process numbers of its workers."""
        return workers_of(self.process.pid)


class _Listener:
    """Reads a stream to its end, so that nobody who writes to it has to wait."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._text = ""
        self._when: dict[str, float] = {}
        self._news = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with self._stream:
            for line in iter(self._stream.readline, b""):
                with self._news:
                    self._text += line.decode(errors="replace")
                    self._when.setdefault(line.decode(errors="replace").strip(), time.monotonic())
                    self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()

    def text(self) -> str:
        with self._news:
            return self._text

    def wait_for(self, line: str, timeout_s: float) -> float | None:
        with self._news:
            self._news.wait_for(lambda: self._over or line in self._when, timeout_s)
            return self._when.get(line)

    def wait_for_count(self, lines: int, timeout_s: float) -> None:
        with self._news:
            self._news.wait_for(lambda: self._over or self._text.count("\n") >= lines, timeout_s)

    def join(self) -> None:
        self._thread.join()


def workers_of(pid: int) -> list[int]:
    """Children of a process that multiprocessing has started to work (Linux)."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = (status.parent / "cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            continue
        if parent == pid and b"spawn_main" in command:
            found.append(int(status.parent.name))
    return sorted(found)
