"""Whether a long run drifts: photos again and again under other names, killed and gone on with.

``python -m benchmarks soak PHOTO... --lights MAP --tle FILE --folder FOLDER`` registers so many
copies of some photos in shards of two workers each, ends the runs and single workers at moments
that are drawn (SIGKILL, SIGTERM, Ctrl-C), goes on with the same command until all is done, and
merges the shards. Nothing that was printed may be missing or otherwise in the store; copies of a
photo must come out alike in every column but names and what is volatile; memory, processor time a
photo and bytes a photo are told of every run. The same command goes on where the last one ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.kills import ROOT, lost, whole_records, workers_of
from benchmarks.pages import command_of, number, parser, table, title_lines, write_page
from regengine.batch.discover import find_photos
from regengine.batch.sharing import BLOCK_PHOTOS
from regengine.store.schema import COLUMNS
from regengine.store.snapshot import Snapshot, iter_blocks, list_parts, parts_folder

LOOK_S = 2.0  # between two looks at a run's memory
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)
ENDS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
FINISHED, INTERRUPTED = (0, 1), 130  # 1 where photos failed
# Of a copy, as of the file that it is a copy of, or of the moment
OWN = {"frame_index", "frame", "path"}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run did, until it was done or ended."""

    shard: int
    end: str  # how it was to end: the name of a signal, or "done"; "failed" where it gave up
    photos: int  # that it stored
    seconds: float
    cpu_s: float
    leader_mb: float  # most memory of the process that plans and stores
    worker_mb: float  # of a worker
    workers_killed: int
    store_bytes: int  # of the store, or of its parts
    problems: tuple[str, ...]


def make_copies(sources: Sequence[Path], folder: Path, rounds: int) -> None:
    """Give every photo so many names: each round is a folder, and the names differ, too."""
    for source in sources:
        first = folder / "0000" / f"{source.stem}_0000{source.suffix}"
        if not first.exists():
            first.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, first)
        for turn in range(1, rounds):
            again = folder / f"{turn:04d}" / f"{source.stem}_{turn:04d}{source.suffix}"
            again.parent.mkdir(exist_ok=True)
            if not again.exists():
                os.link(first, again)


def one_run(
    arguments: Sequence[str], shard: int, store: Path, end_s: float, chance: random.Random
) -> Run:
    """Run until it is done, or ended by a signal after so many seconds."""
    before, begun = frames_of(store), time.monotonic()
    printed = store.with_suffix(".ndjson")
    command = [sys.executable, "-m", "cli", "register", *arguments, "--store", str(store), "--json"]
    with printed.open("wb") as output, store.with_suffix(".err").open("ab") as errors:
        run = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    peaks, cpu_s, killed, sent = [0.0, 0.0], 0.0, 0, "done"
    try:
        while run.poll() is None:
            time.sleep(LOOK_S)
            workers = workers_of(run.pid)
            cpu_s = max(cpu_s, sum(map(cpu_of, (run.pid, *workers))))
            peaks[0] = max(peaks[0], memory_of(run.pid))
            peaks[1] = max([peaks[1], *map(memory_of, workers)])
            if time.monotonic() - begun < end_s:
                if workers and chance.random() < 0.2 * LOOK_S / end_s:
                    killed += 1
                    with suppress(ProcessLookupError):
                        os.kill(chance.choice(workers), signal.SIGKILL)
            elif sent == "done":
                signalled = chance.choice(ENDS)
                sent = signal.Signals(signalled).name
                with suppress(ProcessLookupError):
                    if signalled == signal.SIGTERM:  # a scheduler's, to the process it started
                        os.kill(run.pid, signalled)
                    else:  # a terminal's, and of what takes a whole machine away
                        os.killpg(run.pid, signalled)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    records = whole_records(printed.read_text("utf-8", errors="replace"))
    problems = lost(records, store)
    expected = -signal.SIGKILL if sent == "SIGKILL" else INTERRUPTED
    finished = run.returncode in FINISHED
    if not finished and (sent == "done" or run.returncode != expected):
        problems.append(f"exit {run.returncode} after {sent}")
    return Run(
        shard=shard,
        end="done" if finished else "failed" if sent == "done" else sent,
        photos=frames_of(store) - before,
        seconds=time.monotonic() - begun,
        cpu_s=cpu_s,
        leader_mb=peaks[0],
        worker_mb=peaks[1],
        workers_killed=killed,
        store_bytes=sum(path.stat().st_size for path in files_of(store)),
        problems=tuple(problems),
    )


def files_of(store: Path) -> list[Path]:
    """A store, if it is there, and its parts."""
    return ([store] if store.exists() else []) + list_parts(parts_folder(store))


def frames_of(store: Path) -> int:
    """How many frames a store and its parts hold."""
    if not files_of(store):
        return 0
    with Snapshot.of(store) as snapshot:
        return len(snapshot.frame_index)


def cpu_of(pid: int) -> float:
    """Processor time of a process and of those that it has waited for, seconds."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS
    return 0.0


def memory_of(pid: int) -> float:
    """Memory that a process has now, MB."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MB
    return 0.0


def unlike(store: Path) -> Iterator[str]:
    """Photos of which copies came out otherwise, by columns."""
    seen: dict[str, dict[str, bytes]] = defaultdict(dict)
    differ: dict[str, Counter[str]] = defaultdict(Counter)
    for tables in iter_blocks(store):
        numbers = tables["frames"]["frame_index"]
        paths = [Path(path.decode()) for path in tables["frames"]["path"].tolist()]
        for group, columns in tables.items():
            edges = np.searchsorted(columns["frame_index"], [numbers, numbers + 1])
            for name, values in columns.items():
                if name in OWN or COLUMNS[group, name].volatile:
                    continue
                for path, low, high in zip(paths, *edges.tolist(), strict=True):
                    kept = values[low:high]
                    if values.dtype.kind == "S":  # sentences may name the photo
                        told = [text.replace(str(path).encode(), b"") for text in kept.tolist()]
                        digest = hashlib.sha256(repr(told).encode()).digest()
                    else:
                        digest = hashlib.sha256(kept.tobytes()).digest()
                    photo, column = path.stem.rpartition("_")[0], f"{group}/{name}"
                    if seen[photo].setdefault(column, digest) != digest:
                        differ[photo][column] += 1
    for photo, columns_of in sorted(differ.items()):
        told_columns = ", ".join(f"{name} ({times})" for name, times in columns_of.most_common())
        yield f"{photo}: {told_columns}"


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A regengine command in a process of its own."""
    words = [sys.executable, "-m", "cli", *map(str, arguments)]
    return subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )


def page_lines(runs: Sequence[Run], whole: Path, rounds: int, sources: int) -> list[str]:
    """What became of all runs, and of the store that their shards were merged into."""
    sound, alike = command("verify", whole), list(unlike(whole))
    size = whole.stat().st_size
    frames, verdicts = frames_of(whole), Counter[str]()
    for tables in iter_blocks(whole):
        verdicts.update(text.decode() for text in tables["frames"]["verdict"].tolist())
    ended = Counter(run.end for run in runs)
    lines = [
        f"{frames:,} photos ({rounds} names of each of {sources}): "
        + ", ".join(f"{count:,} {verdict}" for verdict, count in verdicts.most_common())
        + f". {len(runs)} runs, ended by "
        + ", ".join(f"{end} {times}" for end, times in ended.most_common())
        + f"; {sum(run.workers_killed for run in runs)} workers killed beside. Processor time "
        f"{sum(run.cpu_s for run in runs) / frames * 1000:,.0f} ms a photo, store "
        f"{size / frames:,.0f} bytes a photo. {sound.stdout.strip()}",
        "",
        f"Photos of which a copy came out otherwise: {len(alike)} of {sources}.",
        "",
        *(f"- {line}" for line in alike),
    ]
    rows = [
        (
            str(k),
            str(run.shard),
            run.end,
            number(run.photos, 0),
            number(run.seconds, 0),
            number(1000 * run.cpu_s / run.photos if run.photos else None, 0),
            number(run.leader_mb, 0),
            number(run.worker_mb, 0),
            "; ".join(run.problems),
        )
        for k, run in enumerate(runs, 1)
    ]
    header = "run | shard | end | photos stored | s | CPU ms a photo | leader, MB | worker, MB"
    return [*lines, "", *table(f"{header} | problems", rows)]


def main(argv: Sequence[str]) -> int:
    """Run until all is done; 1 if anything was lost, unsound or came out otherwise."""
    given = parser("soak", __doc__)
    given.add_argument("photos", nargs="+", help="files, folders or patterns")
    given.add_argument("--lights", action="append", required=True, help="as of register")
    given.add_argument("--tle", required=True)
    given.add_argument("--folder", type=Path, required=True, help="of copies and stores")
    given.add_argument("--frames", type=int, default=10_000, help="at least so many copies")
    given.add_argument("--shards", type=int, default=2)
    given.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="of each shard")
    given.add_argument("--end", type=float, default=300.0, help="seconds of a run, at most")
    given.add_argument("--seed", type=int, default=1)
    options = given.parse_args(argv)
    # A shell's background has it ignored, and what is started from there would, too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Whole blocks, so that every copy has the copies of the same photos beside it, and as many
    # rounds in each shard
    sources = list({path.stem: path for path in find_photos(options.photos)}.values())
    sources = sources[: len(sources) - len(sources) % BLOCK_PHOTOS]
    rounds = -(-options.frames // len(sources))
    rounds += -rounds % options.shards
    make_copies(sources, options.folder / "photos", rounds)
    log = options.folder / "runs.ndjson"
    runs = (
        [Run(**json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []
    )
    chance = random.Random(options.seed + len(runs))
    lights = [word for path in options.lights for word in ("--lights", path)]
    shared = [str(options.folder / "photos"), *lights, "--tle", options.tle, "--quiet"]
    stores = [options.folder / f"shard{k}.h5" for k in range(1, options.shards + 1)]
    for shard, store in enumerate(stores, 1):
        workers = options.workers[(shard - 1) % len(options.workers)]
        arguments = [*shared, "--workers", str(workers), "--shard", f"{shard}/{options.shards}"]
        while not any(run.shard == shard and run.end == "done" for run in runs):
            end_s = chance.uniform(0.2, 1.0) * options.end
            run = one_run(arguments, shard, store, end_s, chance)
            runs.append(run)
            with log.open("a") as file:
                file.write(json.dumps(asdict(run)) + "\n")
            print(run, file=sys.stderr, flush=True)
            if run.end == "failed":
                print(f"error: a run gave up: {store.with_suffix('.err')}", file=sys.stderr)
                return 1
    whole = options.folder / "all.h5"
    if not whole.exists():
        command("merge", *stores, "--into", whole).check_returncode()
    title = title_lines("A long run", command_of("soak", argv), "")
    lines = page_lines(runs, whole, rounds, len(sources))
    write_page(options.out, "soak", [*title, *lines])
    return int(any(run.problems for run in runs) or any(unlike(whole)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
