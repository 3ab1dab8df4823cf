"""Whether runs that are killed at random moments lose anything that they have reported.

``python -m benchmarks kills`` starts runs over photos with a stand-in for the engine, in two local
workers and with ``--dask`` on a cluster of processes, and sends SIGKILL to the whole run or to one
of its workers at moments that are drawn. After each kill of a run, every record that was printed
must be in the store or its parts, with the same content. A run that is killed is started again
until it is done; its store must then be equal to that of an undisturbed run in every column that
is not marked volatile.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.kills.child import make_photos
from benchmarks.kills.cluster import LocalCluster, local_cluster
from benchmarks.pages import table
from benchmarks.same import compare
from regengine.errors import StoreError
from regengine.records import record_line
from regengine.store.snapshot import list_parts, parts_folder, read_store

ROOT = Path(__file__).resolve().parents[2]
STUCK_S = 240.0  # without a part or a record more; a photo takes a thousandth of this
MOST_KILLS = 12  # of one store; then it may finish
MERGE_S = 0.6  # opening and merging take about half of this: kills may fall there, too

Record = dict[str, Any]


@dataclass
class Store:
    """What became of one store: kills of its runs and their workers, and what is wrong."""

    runs_killed: int = 0
    workers_killed: int = 0
    checked: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Photos, the store of an undisturbed run over them, and how long that run took."""

    photos: Path
    reference: Path
    seconds: float
    cluster: LocalCluster | None = None
    worker_kills: int = MOST_KILLS  # of one store
    dumps: Path | None = None  # folder for the state of what stands still

    @property
    def place(self) -> str:
        """Where the photos are worked on."""
        return "local workers" if self.cluster is None else "Dask"

    def start(self, store: Path, printed: Path) -> subprocess.Popen[bytes]:
        """A run with a process group of its own, which prints to a file."""
        command = [sys.executable, "-m", "benchmarks.kills.child", str(self.photos), str(store)]
        if self.cluster is not None:
            command += ["--scheduler", self.cluster.address]
        with printed.open("wb") as output, printed.with_suffix(".err").open("wb") as errors:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )


def killed_until_done(bench: Bench, store: Path, most: int, chance: random.Random) -> Store:
    """Kill runs into one store up to so many times, then let it finish and compare it."""
    became = Store()
    told: dict[str, Record] = {}
    printed = store.with_suffix(".ndjson")
    while True:
        run = bench.start(store, printed)
        may_kill = became.runs_killed < most
        rest = 1.0 - len(told) / len(list(bench.photos.iterdir()))
        kill_at = time.monotonic() + chance.uniform(0.0, bench.seconds * rest + 2.0 * MERGE_S)
        seen, seen_s = _progress(store), time.monotonic()
        at_kill: tuple[object, ...] = ()
        while run.poll() is None and not (may_kill and time.monotonic() > kill_at):
            time.sleep(chance.uniform(0.0, 0.5))
            # Not before something was done since: on a busy machine workers take long to begin
            wanted = chance.random() < 0.1 and became.workers_killed < bench.worker_kills
            if wanted and seen != at_kill:
                at_kill = seen
                became.workers_killed += _kill_worker(run.pid, bench.cluster, chance)
            if _progress(store) != seen:
                seen, seen_s = _progress(store), time.monotonic()
            if time.monotonic() - seen_s > STUCK_S:
                _dump(run.pid, bench)
                break
        over = run.poll() is not None
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        records = whole_records(printed.read_text("utf-8", errors="replace"))
        became.problems += [
            f"told anew, otherwise: {record['path']}"
            for record in records
            if told.setdefault(record["path"], record) != record
        ]
        if over or not may_kill:
            break
        became.runs_killed += 1
        became.checked += len(records)
        became.problems += lost(records, store)
    if run.returncode != 0:
        complaint = printed.with_suffix(".err").read_text("utf-8", errors="replace")
        end = f"exit {run.returncode}: {complaint.strip()[-300:]}" if over else "stuck"
        became.problems.append(end)
        return became
    became.checked += len(told)
    became.problems += lost(told.values(), store)
    became.problems += [str(difference) for difference in compare(bench.reference, store)]
    return became


def _progress(store: Path) -> tuple[object, ...]:
    """What changes while a run gets on."""
    printed = store.with_suffix(".ndjson")
    return printed.stat().st_size, store.exists(), *list_parts(parts_folder(store))


def _dump(pid: int, bench: Bench) -> None:
    """Have a run that stands still tell where it is, and what its cluster holds."""
    if bench.dumps is None:
        return
    bench.dumps.mkdir(parents=True, exist_ok=True)
    os.kill(pid, signal.SIGUSR1)  # the child writes its stacks beside its messages
    time.sleep(2.0)
    for messages in bench.reference.parent.glob("*.err"):
        (bench.dumps / messages.name).write_bytes(messages.read_bytes())
    if bench.cluster is not None:
        from distributed import Client

        with Client(bench.cluster.address, timeout=60, set_as_default=False) as client:
            client.dump_cluster_state(str(bench.dumps / "cluster"), format="yaml")


def _kill_worker(pid: int, cluster: LocalCluster | None, chance: random.Random) -> bool:
    """Whether there was a worker to kill."""
    if cluster is not None:
        return cluster.kill_worker(chance.choice)
    workers = workers_of(pid)
    if workers:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(workers), signal.SIGKILL)
    return bool(workers)


def workers_of(pid: int) -> list[int]:
    """Process ids of the local workers of a run."""
    workers = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (status.parent / "cmdline").read_bytes():
                workers.append(int(status.parent.name))
    return workers


def whole_records(text: str) -> list[Record]:
    """Records of the lines that were printed to their end."""
    return [_timeless(json.loads(line)) for line in text.split("\n")[:-1] if line.startswith("{")]


def _timeless(record: Record) -> Record:
    engine = {key: value for key, value in record["engine"].items() if key != "seconds"}
    return record | {"engine": engine}


def lost(reported: Iterable[Record], store: Path) -> list[str]:
    """What is wrong with a store that a run has reported these records for."""
    try:
        exists = store.exists() or list_parts(parts_folder(store))
        frames = read_store(store) if exists else []
    except StoreError as error:
        return [f"does not open: {error}"]
    problems = []
    kept: dict[str, Record] = {}
    for frame in frames:
        record = _timeless(json.loads(record_line(frame.result)))
        if record["path"] in kept:
            problems.append(f"twice in the store: {record['path']}")
        kept[record["path"]] = record
    for record in reported:
        if record["path"] not in kept:
            problems.append(f"reported, but lost: {record['path']}")
        elif kept[record["path"]] != record:
            problems.append(f"reported, but changed: {record['path']}")
    return problems


def undisturbed(bench: Bench, cluster: LocalCluster | None) -> Bench:
    """The run that others are compared with, on this machine."""
    store = bench.reference
    begun = time.monotonic()
    if bench.start(store, store.with_suffix(".ndjson")).wait() != 0:
        raise RuntimeError(store.with_suffix(".err").read_text("utf-8"))
    seconds = time.monotonic() - begun
    return replace(bench, seconds=seconds, cluster=cluster)


def main(argv: list[str]) -> int:
    """Kill runs; 1 if anything was lost, doubled or otherwise than undisturbed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="runs to kill; default: 20")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--dask", action="store_true", help="on a Dask cluster of two workers")
    parser.add_argument("--worker-kills", type=int, default=MOST_KILLS, help="of each store")
    parser.add_argument("--dumps", type=Path, help="folder for the state of what stands still")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    chance = random.Random(args.seed)
    stores: list[Store] = []
    with tempfile.TemporaryDirectory(prefix="kills") as name:
        folder = Path(name)
        make_photos(folder / "photos", args.photos)
        with (
            local_cluster(folder / "cluster", 2, deaths=1000, engine="benchmarks.kills.child")
            if args.dask
            else nullcontext()
        ) as cluster:
            bench = Bench(
                photos=folder / "photos",
                reference=folder / "reference.h5",
                seconds=0.0,
                worker_kills=args.worker_kills,
                dumps=args.dumps,
            )
            bench = undisturbed(bench, cluster)
            left = args.kills
            while left > 0:
                store = folder / f"run{len(stores)}.h5"
                became = killed_until_done(bench, store, min(MOST_KILLS, left), chance)
                stores.append(became)
                left -= max(became.runs_killed, 1)
                print(f"{args.kills - left} of {args.kills} kills", file=sys.stderr)
    header = ("where", "stores", "runs killed", "workers killed", "records looked for", "problems")
    row = (
        bench.place,
        str(len(stores)),
        str(sum(store.runs_killed for store in stores)),
        str(sum(store.workers_killed for store in stores)),
        f"{sum(store.checked for store in stores):,}",
        str(sum(len(store.problems) for store in stores)),
    )
    problems = [problem for store in stores for problem in store.problems]
    print("\n".join([*table(header, [row], right=5), *(f"- {problem}" for problem in problems)]))
    return int(bool(problems))
