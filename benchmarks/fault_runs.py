"""A run as a child process with a process group of its own, watched while it works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from benchmarks.fault_checks import Record, whole_records

ROOT = Path(__file__).resolve().parents[1]
CHILD = "benchmarks.fault_child"
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
        Further ones of `benchmarks.fault_child`.
    bound : bool, optional
        Bind root, too, to the permissions of files and folders.
    module : str, optional
        What to run in the place of `benchmarks.fault_child`.
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
