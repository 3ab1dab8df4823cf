"""A store that cannot be written any more: a full disk, a folder that is or becomes read-only."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults.child import (
    EXIT_STORE,
    PART_FRAMES,
    Record,
    Run,
    differences,
    failed_frames,
    lost,
)
from benchmarks.faults.trial import Bench, Trial, ended_badly, resumed, stopped

PART_BYTES = 280_000  # of the parts of these runs


def limit_trials(bench: Bench, count: int, chance: random.Random) -> Iterator[Trial]:
    """Files that may not grow beyond a size that was drawn (RLIMIT_FSIZE)."""
    least, most = 0.8 * PART_BYTES, 1.3 * bench.reference.stat().st_size
    for number in range(count):
        size = int(least * (most / least) ** chance.random())
        store = bench.folder / f"limit{number}.h5"
        run = bench.start(store, "--file-bytes", str(size))
        yield _refused("disk full: limit on file size", run, store, bench, "disk is full")


def small_disk_trials(bench: Bench, count: int, chance: random.Random) -> Iterator[Trial]:
    """A small file system in memory that runs full; nothing where none may be mounted."""
    # At the merge the store is there beside all parts; one may be too many
    least = 0.8 * PART_BYTES
    most = PART_BYTES * (bench.frames / PART_FRAMES + 4) + 2 * bench.reference.stat().st_size
    for number in range(count):
        size = int(least * (most / least) ** chance.random())
        folder = bench.folder / f"disk{number}"
        folder.mkdir()
        if not _mount(folder, size):
            return
        try:
            store = folder / "run.h5"
            run = bench.start(store)

            def grow(folder: Path = folder) -> None:
                _mount(folder, 64 << 20, "remount,")

            yield _refused("disk full: small tmpfs", run, store, bench, "disk is full", grow)
        finally:
            # The system's own program, wherever it has it
            subprocess.run(["umount", str(folder)], check=True)  # nosec B607


def read_only_trials(bench: Bench, count: int, chance: random.Random) -> Iterator[Trial]:
    """Folders that may not be written from the start, or from some moment on.

    Root's right to write everywhere is taken from the run.
    """
    for number in range(count):
        with _folder_of(bench.folder / f"shut{number}") as folder:
            store = folder / "run.h5"
            folder.chmod(0o555)
            run = bench.start(store, bound=True)

            def open_again(folder: Path = folder) -> None:
                folder.chmod(0o755)

            kind = "folder read-only from the start"
            yield _refused(kind, run, store, bench, "permission", open_again, always=True)
    for number in range(count):
        with _folder_of(bench.folder / f"revoked{number}") as folder:
            store = folder / "run.h5"
            parts = folder / "run.h5.parts"
            run = bench.start(store, bound=True)
            run.wait_for_records(chance.randrange(bench.frames))
            time.sleep(chance.uniform(0.0, 0.2))
            shut = [path for path in (parts, folder) if path.is_dir()]
            for path in shut:
                path.chmod(0o555)

            def give_back(shut: list[Path] = shut) -> None:
                for path in shut:
                    if path.is_dir():
                        path.chmod(0o755)

            kind = "permission to write revoked during the run"
            yield _refused(kind, run, store, bench, "permission", give_back)


def unreadable_trials(bench: Bench, count: int, chance: random.Random) -> Iterator[Trial]:
    """Photos that nobody may read any more from some moment on, and again later."""
    photos = sorted(Path(bench.photos).iterdir())
    for number in range(count):
        with _folder_of(bench.folder / f"hidden{number}") as folder:
            store = folder / "run.h5"
            run = bench.start(store, bound=True)
            run.wait_for_records(chance.randrange(bench.frames))
            time.sleep(chance.uniform(0.0, 0.2))
            try:
                for photo in photos:
                    photo.chmod(0o000)
                code = run.finish()
                run.kill()
            finally:
                for photo in photos:
                    photo.chmod(0o644)
            problems = [] if code == 0 else [ended_badly(code, run)]
            trial = stopped("permission to read photos revoked", run, store, problems)
            yield trial.and_then(_read_again(bench, store, run.records))


def _read_again(bench: Bench, store: Path, before: list[Record]) -> list[str]:
    """Retry what failed. What its neighbours were told meanwhile may have been something else."""
    run = bench.start(store, "--retry", "failed")
    code = run.finish()
    run.kill()
    if code != 0:
        return [ended_badly(code, run)]
    problems = [p for p in differences(store, bench.reference) if not p.startswith("differs")]
    wanted = failed_frames(bench.reference)
    problems += [f"still failed: {name}" for name in failed_frames(store) if name not in wanted]
    # Second searches may have changed what had been accepted of nobody
    kept = [record for record in before if record["verdict"] == "accepted"]
    return [*problems, *lost([*kept, *run.records], store)]


def _refused(
    kind: str,
    run: Run,
    store: Path,
    bench: Bench,
    word: str,
    mend: Callable[[], None] | None = None,
    *,
    always: bool = False,
) -> Trial:
    """Judge a run that may have met a refusal; then lift the refusal and finish it."""
    code = run.finish()
    run.kill()
    problems = []
    if code == 0 and always:
        problems.append("nothing was refused")
    if code not in (0, EXIT_STORE):
        problems.append(ended_badly(code, run))
    if code == EXIT_STORE and word not in run.complaint.lower():
        problems.append(f"does not say {word!r}: {run.complaint.strip()[-200:]}")
    if code == EXIT_STORE and len(run.complaint.strip().splitlines()) != 1:
        problems.append(f"more than a sentence: {run.complaint.strip()[-400:]}")
    problems += [f"half a file: {path.name}" for path in store.parent.rglob("*.tmp")]
    trial = stopped(kind, run, store, problems, faults=int(code != 0))
    if mend is not None:
        mend()
    return trial.and_then(resumed(bench, store, run.records))


@contextmanager
def _folder_of(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    try:
        yield folder
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def _mount(folder: Path, size_bytes: int, how: str = "") -> bool:
    options = f"{how}size={size_bytes}"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
