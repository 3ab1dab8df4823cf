"""What the machinery of batches costs: two workers against one, time and memory of a frame.

``python -m benchmarks batches`` measures (a) the command on the sample photographs repeated to
``--frames`` with one and with two workers, (b) what the machinery adds to a frame, with engines
that do nothing, and (c) a batch of ``--records`` frames; ``--only`` does one of them, ``--out
FOLDER`` writes the page.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.batch_cost import cost_lines, records_lines
from benchmarks.batch_speedup import speedup_lines
from benchmarks.registration_process import one_thread
from benchmarks.registration_report import command_of, title_lines

PARTS = ("speedup", "cost", "records")


def main(argv: list[str]) -> int:
    """Measure, and print or write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks batches", description=__doc__)
    parser.add_argument("--frames", type=int, default=200, help="photos of the first part")
    parser.add_argument("--records", type=int, default=100_000, help="frames of the third part")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--out", type=Path, help="folder for the page")
    arguments = parser.parse_args(argv)
    parts = arguments.only or PARTS
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="batches") as name, one_thread():
        folder = Path(name)
        if "speedup" in parts:
            lines += [*speedup_lines(folder, arguments.frames), ""]
        if "cost" in parts:
            lines += [*cost_lines(folder), ""]
        if "records" in parts:
            lines += [*records_lines(folder, arguments.records), ""]
    sys.stdout.write("\n".join(lines))
    if arguments.out is not None:
        head = title_lines("What batches cost", command_of("batches", argv), EXPLAINED)
        page = arguments.out / f"batches-{datetime.now(UTC):%Y-%m-%d}.md"
        page.write_text("\n".join([*head, *lines]), encoding="utf-8")
    return 0


EXPLAINED = """
Every figure is of a process of its own, one thread each. CPU seconds are those of the process that
leads the batch and of its workers together; they hardly depend on what else the machine does, wall
times do.
""".strip()
