"""Whether runs that are killed at random moments lose anything that they have reported.

A folder of small photos is registered in two workers, with ``--dask`` on a cluster of processes,
and SIGKILL is sent to the whole run or to one of its workers at moments that are drawn; with
``--verb`` they are classified, or their lights detected, with ``--out``. Every
record that was printed must be in the store or file, with the same content, however the run ended.
A run that is killed is started again until it is done; its store or file must then be equal to that
of an undisturbed run. Nothing is used but the command line.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import typer
from typer import Option

from benchmarks.options import Out
from benchmarks.pages import table, tell, title_lines, write_page
from benchmarks.same import compare
from regengine.errors import RegengineError

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "data_samples"
MAX_KILLS = 12  # of one store; then it may finish
MAX_WORKER_KILLS = 2  # of one store: a photo that costs three workers is given up
MAPS = ("--lights", SAMPLES / "lights.tif", "--tle", SAMPLES / "tle.txt")
# Words of a command before the photos and after them, and the ending of what it writes
VERBS: dict[str, tuple[tuple[str, ...], tuple[object, ...], str]] = {
    "register": (("register",), (*MAPS, "--store"), ".h5"),
    "classify": (("classify",), ("--out",), ".ndjson"),
    "detect": (("detect", "lights"), ("--out",), ".ndjson"),
}


def make_photos(folder: Path, count: int) -> None:
    """A sample that is registered, and small noisy pictures in which there is nothing."""
    folder.mkdir(parents=True)
    shutil.copy(SAMPLES / "ISS990-E-000103.jpg", folder)
    rng = np.random.default_rng(0)
    for number in range(count - 1):
        picture = rng.integers(0, 40, (72, 96, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"f{number:04d}.png"), picture)


def regengine(*words: object) -> list[str]:
    """A command of the program, as a process of its own takes it."""
    return [sys.executable, "-m", "regengine", *map(str, words)]


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def whole_records(text: str) -> dict[str, dict[str, Any]]:
    """Records of the lines that were printed to their end, by photo, without seconds."""
    found = {}
    for line in text.split("\n")[:-1]:
        if line.startswith("{"):
            record = json.loads(line)
            record.get("engine", {}).pop("seconds", None)
            found[record["path"]] = record
    return found


def find_losses(reported: dict[str, dict[str, Any]], store: Path) -> list[str]:
    """What is wrong with a store that runs have reported these records for."""
    if not reported:
        return []
    if store.suffix != ".h5":
        kept = whole_records(
            "".join(path.read_text() for path in store.parent.glob(f"{store.name}*"))
        )
        return missing_in(reported, kept)
    shown = subprocess.run(
        regengine("show", store, "--json"), capture_output=True, text=True, env=ENVIRONMENT
    )
    if shown.returncode != 0:
        return [f"does not open: {shown.stderr.strip()[-200:]}"]
    return missing_in(reported, whole_records(shown.stdout))


def missing_in(reported: dict[str, dict[str, Any]], kept: dict[str, dict[str, Any]]) -> list[str]:
    """Which records are not kept as they were reported."""
    return [
        f"reported, but {'changed' if path in kept else 'lost'}: {path}"
        for path, record in reported.items()
        if kept.get(path) != record
    ]


def workers_of(pid: int) -> list[int]:
    """Process ids of the local workers of a run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (status.parent / "cmdline").read_bytes():
                found.append(int(status.parent.name))
    return found


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Runs over the same photos."""

    verb: str
    photos: Path
    extra: Sequence[str]
    chance: random.Random

    def begin(self, store: Path, printed: Path) -> subprocess.Popen[bytes]:
        """A run with a process group of its own, which prints to a file."""
        before, after, _ = VERBS[self.verb]
        words = regengine(*before, self.photos, *after, store, "--json", "--quiet", *self.extra)
        with printed.open("wb") as output, store.with_suffix(".err").open("ab") as errors:
            return subprocess.Popen(
                words,
                cwd=ROOT,
                env=ENVIRONMENT,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def disturb(self, run: subprocess.Popen[bytes], end: float, spared: int) -> int:
        """Let it run up to a moment, killing no more workers than may be; how many were."""
        killed = 0
        while run.poll() is None and time.monotonic() < end:
            time.sleep(self.chance.uniform(0.0, 0.5))
            may_kill = killed < spared and self.chance.random() < 0.1
            if may_kill and (some := workers_of(run.pid)):
                killed += 1
                with suppress(ProcessLookupError):
                    os.kill(self.chance.choice(some), signal.SIGKILL)
        return killed

    def kill_until_done(
        self, store: Path, reference: Path, run_s: float, kills: int
    ) -> tuple[int, int, int, list[str]]:
        """Kill runs into one store up to so often, then let it finish.

        Returns how many runs and workers were killed, records looked for, and what is wrong.
        """
        killed = workers_killed = checked = 0
        problems: list[str] = []
        told: dict[str, dict[str, Any]] = {}
        while True:
            printed = store.with_suffix(f".{killed}.out")
            run = self.begin(store, printed)
            wait_s = self.chance.uniform(0.0, 1.2 * run_s) if killed < kills else np.inf
            spared = MAX_WORKER_KILLS - workers_killed
            workers_killed += self.disturb(run, time.monotonic() + wait_s, spared)
            over = run.poll() is not None
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            told |= whole_records(printed.read_text("utf-8", errors="replace"))
            checked += len(told)
            problems += find_losses(told, store)
            if not over:
                killed += 1
                continue
            if run.returncode != 0:
                said = store.with_suffix(".err").read_text()
                problems.append(f"exit {run.returncode}: {said[-300:]}")
            else:
                problems += [str(difference) for difference in compare(reference, store)]
            return killed, workers_killed, checked, problems


def main(
    *,
    kills: Annotated[int, Option(help="runs to kill")] = 20,
    verb: Literal["register", "classify", "detect"] = "register",
    photos: int = 60,
    dask: Annotated[bool, Option("--dask", help="on a Dask cluster of two workers")] = False,
    seed: int = 1,
    out: Out = None,
) -> None:
    """Kill runs; 1 if anything was lost, doubled or otherwise than undisturbed."""
    chance = random.Random(seed)
    stores, totals, problems = 0, [0, 0, 0], []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults")))
        extra = ["--workers", "2"]
        if dask:
            from distributed import LocalCluster

            cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
            extra = ["--scheduler", stack.enter_context(cluster).scheduler_address]
        ending = VERBS[verb][2]
        make_photos(folder / "photos", photos)
        runs = Runs(verb=verb, photos=folder / "photos", extra=extra, chance=chance)
        reference, begun = folder / f"reference{ending}", time.monotonic()
        if runs.begin(reference, folder / "reference.out").wait() != 0:
            raise RegengineError(reference.with_suffix(".err").read_text())
        run_s = time.monotonic() - begun
        while totals[0] < kills:
            store = folder / f"run{stores}{ending}"
            most = min(MAX_KILLS, kills - totals[0])
            *counts, wrong = runs.kill_until_done(store, reference, run_s, most)
            stores += 1
            totals = [before + more for before, more in zip(totals, counts, strict=True)]
            totals[0] += counts[0] == 0  # a run that ended before its moment
            problems += wrong
            tell(f"{totals[0]} of {kills} kills")
    header = ("stores", "runs killed", "workers killed", "records looked for", "problems")
    row = tuple(map(str, (stores, *totals, len(problems))))
    lines = [*table(header, [row], right=5), *(f"- {problem}" for problem in problems)]
    write_page(out, "faults", [*title_lines("Killed runs"), *lines])
    if problems:
        raise typer.Exit(1)
