"""What commands cost with many frames: asking, adding, exporting and cataloguing a large store.

``python -m benchmarks scale`` makes up a store, runs each command on it as a process of its own,
and tells its processor time, its time on the clock and its peak memory. Stores are made in a
temporary folder (``--folder``), some gigabytes for a million frames, and deleted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.made_up import DISTINCT, LIGHTS, made_up_frame, made_up_result, make_store
from benchmarks.pages import command_of, number, parser, table, title_lines, write_page
from benchmarks.processes import spent
from regengine.store.writer import StoreWriter

ADDED = 1000  # frames of the run that is merged into the store
# Formats whose files do not need the photos themselves
EXPORTS = ("csv", "parquet", "geojson", "gpkg", "kml", "stac", "gcp", "qgis")


def run_store(path: Path, first: int, count: int) -> None:
    """The store of a run, record by record, as a run writes it."""
    results = [made_up_result(k) for k in range(min(DISTINCT, count))]
    with StoreWriter(path) as writer:
        for k in range(count):
            writer.add(made_up_frame(first + k, results[k % len(results)]))
            if writer.due():
                writer.flush()
        writer.flush()


def commands(folder: Path, frames: int, exported: int) -> Iterator[tuple[str, list[str]]]:
    """What is measured, in this order, by the words of the table."""
    store, run, catalogue = (str(folder / name) for name in ("all.h5", "run.h5", "all.parquet"))
    few = str(folder / "few.h5")
    frame = f"ISS030-E-{frames // 2 // DISTINCT * DISTINCT}"  # like the first: accepted
    yield "show STORE FRAME", ["show", store, frame]
    yield "report STORE", ["report", store, "--json"]
    yield f"merge --grow: {ADDED:,} frames added", ["merge", run, "--into", store, "--grow"]
    yield "verify STORE", ["verify", store]
    for name in EXPORTS:
        out = folder / f"exported.{name}" if name not in ("stac", "gcp", "qgis") else folder / name
        words = f"export --format {name}: {exported:,} photos"
        yield words, ["export", few, "--format", name, "--out", str(out), "--quiet"]
    yield "catalogue build", ["catalogue", "build", store, "--out", catalogue]
    for words in ("places", "best", "coverage", "changes"):
        yield f"catalogue {words}", ["catalogue", words, catalogue]


def main(argv: Sequence[str]) -> int:
    """Measure and print; 1 if a command failed."""
    given = parser("scale", __doc__)
    given.add_argument("--frames", type=int, default=1_000_000, help="of the store")
    given.add_argument("--exported", type=int, default=10_000, help="photos of each export")
    given.add_argument("--folder", type=Path, help="where to make the stores; else temporary")
    options = given.parse_args(argv)
    rows, failed = [], False
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        make_store(folder / "all.h5", options.frames)
        make_store(folder / "few.h5", options.exported)
        run_store(folder / "run.h5", options.frames, ADDED)
        size = (folder / "all.h5").stat().st_size
        for words, arguments in commands(folder, options.frames, options.exported):
            begun = time.perf_counter()
            _, messages, cpu_s, peak_mb = spent(arguments)
            wall_s = time.perf_counter() - begun
            problem = next((line for line in messages.splitlines() if line[:6] == "Error:"), "")
            failed |= bool(problem)
            cells = (number(cpu_s, 2), number(wall_s, 2), number(peak_mb, 0))
            rows.append((f"`{words}`", *cells, problem))
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    note = (
        f"A store of {options.frames:,} frames, {size / 1e9:.2f} GB. Every frame is one of "
        f"{DISTINCT} made-up results with another name, hash and place: two fifths have a camera, "
        f"four control points and two hypotheses, four fifths {LIGHTS} lights. A process each."
    )
    header = ("command", "CPU s", "s", "peak MB", "problem")
    title = title_lines("Commands at scale", command_of("scale", argv), note)
    write_page(options.out, "scale", [*title, *table(header, rows, 4)])
    return int(failed)
