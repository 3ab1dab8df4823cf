"""One batch in a process of its own, and what it took: ``python -m benchmarks.batch_child``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path


def run_child(argv: list[str]) -> int:
    """Run a batch with an engine that does nothing; a JSON object on standard output.

    ``bare_mb``, ``unmerged_peak_mb``, ``peak_mb``: resident memory of this process before the
    first photo, at most before the merge, and at most;
    ``seconds``, ``cpu_s``, ``workers_cpu_s``: of the whole batch, merge and all; ``points``: after
    each ``--every`` photos their number, seconds, processor seconds and memory.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch_child")
    parser.add_argument("folder", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", default="full")
    parser.add_argument("--every", type=int, default=10_000)
    arguments = parser.parse_args(argv)

    from benchmarks.batch_engine import ENGINES
    from benchmarks.fault_engine import facts_of
    from benchmarks.registration_process import peak_memory_mb
    from regengine.batch.discover import find_photos
    from regengine.batch.run import BatchOptions, run_batch
    from regengine.result import FrameResult
    from regengine.store.writer import StoreWriter

    bare_mb = resident_mb()
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    points: list[tuple[int, float, float, float]] = []
    done = 0

    def point() -> None:
        points.append(
            (
                done,
                time.perf_counter() - begun_s,
                time.process_time() - begun_cpu_s,
                resident_mb(),
            )
        )

    def report(_: FrameResult) -> None:
        nonlocal done
        done += 1
        if done % arguments.every == 0:
            point()

    options = BatchOptions(
        parameters="{}",
        parameters_sha256="p",
        workers=arguments.workers,
        facts_of=facts_of,
    )
    photos = find_photos([str(arguments.folder)])
    with StoreWriter(arguments.store) as writer:
        run_batch(photos, ENGINES[arguments.engine], writer, options, report)
        unmerged_mb = peak_memory_mb()
        batch_s, batch_cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    told = {
        "frames": done,
        "bare_mb": bare_mb,
        "peak_mb": peak_memory_mb(),
        "unmerged_peak_mb": unmerged_mb,
        "seconds": time.perf_counter() - begun_s,
        "cpu_s": time.process_time() - begun_cpu_s,
        "merge_s": time.perf_counter() - begun_s - batch_s,
        "merge_cpu_s": time.process_time() - begun_cpu_s - batch_cpu_s,
        "workers_cpu_s": _children_cpu_s(),
        "points": points,
    }
    print(json.dumps(told))
    return 0


def resident_mb() -> float:
    """Resident memory of this process now, MB (Linux; elsewhere the largest so far)."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return float(line.split()[1]) / 1024.0
    from benchmarks.registration_process import peak_memory_mb

    return peak_memory_mb()


def _children_cpu_s() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(run_child(sys.argv[1:]))
