"""Folders with entries of every kind under any names, and runs over them that get signals.

A seed and a number always give the same folder, command and signals; the moments at which these
come are drawn, too, but what a run is at by then depends on the machine.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fuzz import seeds
from benchmarks.kills import ROOT, lost, whole_records
from regengine.store.snapshot import list_parts, parts_folder

LIGHTS = ROOT / "data_samples" / "lights.tif"
COMMANDS = {
    "register": ("register", "--lights", LIGHTS, "--blind", "never", "--store", "run.h5"),
    "classify": ("classify",),
    "lights": ("detect", "lights"),
    "stars": ("detect", "stars"),
    "streaks": ("detect", "streaks"),
    "solve": ("solve", "--max-seconds", "0.2"),
}
TABLES = ("lights", "stars", "streaks")  # write CSV without --json: names as they are
SYLLABLES: tuple[str, ...] = (
    "a",
    "ä",
    "漢",
    " ",
    "\n",
    "\t",
    "\x1b[2J",
    "\x9b31m",
    "\u202e",
    "\u200f",
    "\x7f",
)
SYLLABLES += ("=1+1", "-", "'", '"', "%s", "{}", "[red]", "$(x)", "\\", "x" * 60, "\udc80", "..")
MOST_ENTRIES = 14


def unix_socket(path: Path) -> None:
    """Make a socket."""
    here = os.getcwd()
    os.chdir(path.parent)  # the address of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


# How an entry is made, and what is said of it
ENTRIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "circle": (lambda path: path.symlink_to(path.name), "leads in circles"),
    "nowhere": (lambda path: path.symlink_to("gone"), "a file that does not exist"),
    "pipe": (os.mkfifo, "is a named pipe"),
    "to_pipe": (lambda path: path.symlink_to("pipe.jpg"), "is a named pipe"),
    "socket": (unix_socket, "is a socket"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "terminal": (lambda path: path.symlink_to("/dev/tty"), "is a device"),
    "empty": (Path.touch, "is empty"),
}


def strange_folder(folder: Path, draw: random.Random) -> dict[Path, str]:
    """Entries of all kinds under any names, deep and shallow; what must be said of each."""
    made: dict[Path, str] = {}
    parents = [folder]
    for number in range(MOST_ENTRIES):
        name = "".join(draw.choices(SYLLABLES, k=draw.randrange(1, 5)))
        path = draw.choice(parents) / f"{number}{name}.jpg"
        kind = draw.choice([*ENTRIES, "folder", "long"])
        if kind == "folder":
            path.mkdir()
            parents.append(path)
        elif kind == "long":
            path = path.with_name(f"{number}{'y' * 200}.jpg")
            path.write_bytes(b"\xff\xd8\xff no photo")
            made[path] = "damaged"
        elif kind == "to_pipe":
            path.symlink_to("/dev/zero")
            made[path] = "device"
        else:
            ENTRIES[kind][0](path)
            made[path] = ENTRIES[kind][1]
    (folder / "good\x1b[2J\n\u202egpj.png").write_bytes(seeds.pngs()["colour.png"])
    return made


def untold(
    command: str, form: Sequence[str], out: str, messages: str, made: dict[Path, str]
) -> list[str]:
    """What is wrong with what a command says of a strange folder."""
    told = messages if command in TABLES and not form else messages + out
    lines = told.split("\n")
    problems = [f"commands a terminal: {line!r}" for line in lines if not line.isprintable()]
    problems += [f"not said: {what}" for what in made.values() if what not in told]
    if sum("; " in line for line in lines) < len(made):
        problems.append("fewer sentences than entries")
    if "unforeseen" in told:
        problems.append("something unforeseen")
    return problems


@contextmanager
def drawn(seed: int, number: int) -> Iterator[tuple[random.Random, Path, dict[Path, str]]]:
    """The folder that a number stands for, in an empty one."""
    draw = random.Random(f"{seed} {number}")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name) / "p"
        folder.mkdir()
        yield draw, folder, strange_folder(folder, draw)


def started(command: str, more: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """A command over a folder, from the one above, its output in files there."""
    words = [sys.executable, "-m", "cli", *map(str, COMMANDS[command]), *more, folder.name]
    here = folder.parent
    with (here / "out").open("w") as out, (here / "messages").open("w") as messages:
        return subprocess.Popen(
            words,
            cwd=here,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=messages,
            start_new_session=True,
        )


@dataclass(frozen=True)
class ReadFolder:
    """Reads the folders of numbers by a command; pickles, so that workers can have it."""

    seed: int

    def __call__(self, number: int) -> dict[str, Any]:
        """How it went, as `benchmarks.fuzz.ReadFile` tells it."""
        with drawn(self.seed, number) as (draw, folder, made):
            command = draw.choice(sorted(COMMANDS))
            form = draw.choice(((), ("--json",)))
            run = started(command, (*form, "--workers", str(draw.randrange(3))), folder)
            code, out, messages = ended(run, folder)
            problems = untold(command, form, out, messages, made)
        if code != 1:
            problems.append(f"exit {code}")
        return answer(problems, command)


# What ends a run in order, what ends it at once, and what is none of its business
IN_ORDER = (signal.SIGINT, signal.SIGTERM)
AT_ONCE = (signal.SIGKILL, signal.SIGHUP, signal.SIGQUIT)
NOTHING = (signal.SIGCONT, signal.SIGWINCH, signal.SIGCHLD, signal.SIGURG, signal.SIGPIPE)
LATEST_S = 6.0  # by then a run over so few photos has mostly ended


@dataclass(frozen=True)
class Signalled:
    """Sends signals to runs over the folders of numbers; pickles."""

    seed: int

    def __call__(self, number: int) -> dict[str, Any]:
        """How it went: what was printed is in a store that opens, and there is no traceback."""
        with drawn(self.seed, number) as (draw, folder, _):
            run = started("register", ("--json", "--workers", str(draw.randrange(3))), folder)
            begun, sent = time.monotonic(), []
            for after_s in sorted(draw.uniform(0.1, LATEST_S) for _ in range(draw.randrange(1, 4))):
                chosen = draw.choice((*IN_ORDER, *IN_ORDER, *AT_ONCE, *NOTHING))
                with suppress(subprocess.TimeoutExpired):
                    run.wait(max(0.0, begun + after_s - time.monotonic()))
                if run.poll() is not None:
                    break
                with suppress(ProcessLookupError):
                    draw.choice((os.kill, os.killpg))(run.pid, chosen)
                sent.append(chosen)
            code, out, messages = ended(run, folder)
            store = folder.parent / "run.h5"
            problems = lost(whole_records(out), store)
            if list_parts(parts_folder(store)) and code in (0, 1):
                problems.append("parts are left")
            if "Traceback" in messages:
                problems.append(messages[-400:])
        signals = [signal.Signals(one).name for one in sent]
        if code not in (0, 1, 130, *(-one for one in sent)):
            problems.append(f"exit {code}")
        return answer(problems, ", ".join(signals))


def ended(run: subprocess.Popen[bytes], folder: Path) -> tuple[int, str, str]:
    """Exit code, output and messages of a run, when it is over."""
    try:
        code = run.wait()
    finally:  # its workers, too
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    out, messages = (
        (folder.parent / name).read_text("utf-8", "surrogateescape") for name in ("out", "messages")
    )
    return code, out, messages


def answer(problems: list[str], how: str) -> dict[str, Any]:
    """An answer of a worker."""
    what = "unclear" if problems else "ok"
    return {"what": what, "text": f"{how}: {'; '.join(problems)}"[:600], "cpu_s": 0.0}
