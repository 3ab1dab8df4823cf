"""What commands cost with many frames: asking, adding, exporting and cataloguing a large store.

``python -m benchmarks scale`` makes up stores of some sizes, runs each command on them as a process
of its own, and tells its processor time and its peak memory. Stores are made in a temporary folder
(``--folder``), some gigabytes for a million frames, and deleted.
"""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.made_up import DISTINCT, LIGHTS, make_store, make_up_frame, make_up_result
from benchmarks.pages import command_of, number, parser, table, title_lines, write_page
from benchmarks.processes import run_and_measure
from regengine.store.writer import StoreWriter

ADDED = 1000  # frames of the run that is merged into the store
# Formats whose files do not need the photos themselves
EXPORTS = ("csv", "parquet", "geojson", "gpkg", "stac", "gcp", "qgis")


def run_store(path: Path, first: int, count: int) -> None:
    """The store of a run, record by record, as a run writes it."""
    results = [make_up_result(k) for k in range(min(DISTINCT, count))]
    with StoreWriter(path) as writer:
        for k in range(count):
            writer.add(make_up_frame(first + k, results[k % len(results)]))
            if k % 64 == 63:
                writer.flush()
        writer.flush()


def commands(folder: Path, frames: int, exported: int) -> Iterator[tuple[str, list[str]]]:
    """What is measured, in this order, by the words of the table."""
    store, run, catalogue = (str(folder / name) for name in ("all.h5", "run.h5", "all.parquet"))
    frame = f"ISS030-E-{frames // 2 // DISTINCT * DISTINCT}"  # like the first: accepted
    yield "show STORE FRAME", ["show", store, frame]
    yield "report STORE --json", ["report", store, "--json"]
    page = str(folder / "report.html")
    yield "report STORE", ["report", store, "--out", page, "--quiet"]
    yield "export --format csv", export(folder, "all.h5", "csv")
    yield f"merge --grow: {ADDED:,} frames added", ["merge", run, "--out", store, "--grow"]
    yield "verify STORE", ["verify", store]
    yield "catalogue build", ["catalogue", "build", store, "--out", catalogue]
    for words in ("places", "best", "coverage", "changes"):
        yield f"catalogue {words}", ["catalogue", words, catalogue]
    if exported:
        for name in EXPORTS:
            words = f"export --format {name}, {exported:,} frames"
            yield words, export(folder, "few.h5", name)


def export(folder: Path, store: str, name: str) -> list[str]:
    """The arguments of an export."""
    out = folder / name if name in ("stac", "gcp", "qgis") else folder / f"{store}.{name}"
    return ["export", str(folder / store), "--format", name, "--out", str(out), "--quiet"]


Figures = dict[str, dict[int, tuple[float, float, str]]]  # by words and frames: CPU s, MB, problem


def measure_commands(frames: int, exported: int, options: Namespace, figures: Figures) -> int:
    """Run the commands on a store of so many frames: its bytes."""
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        make_store(folder / "all.h5", frames)
        run_store(folder / "run.h5", frames, ADDED)
        if exported:
            make_store(folder / "few.h5", exported)
        size = (folder / "all.h5").stat().st_size
        for words, arguments in commands(folder, frames, exported):
            if not any(part in words for part in options.only):
                continue
            _, messages, cpu_s, peak_mb = run_and_measure(arguments)
            problem = next((line for line in messages.splitlines() if line[:6] == "Error:"), "")
            figures.setdefault(words, {})[frames] = cpu_s, peak_mb, problem
            print(frames, words, figures[words][frames], file=sys.stderr, flush=True)
        return size


def main(argv: Sequence[str]) -> int:
    """Measure and print; 1 if a command failed."""
    given = parser("scale", __doc__)
    given.add_argument(
        "--frames", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="of the stores"
    )
    given.add_argument("--exported", type=int, default=10_000, help="photos of the other exports")
    given.add_argument("--only", nargs="+", default=[""], help="parts of the commands to measure")
    given.add_argument("--folder", type=Path, help="where to make the stores; else temporary")
    options = given.parse_args(argv)
    figures: Figures = {}
    sizes = sorted(options.frames)
    for frames in sizes:
        exported = options.exported if frames == sizes[-1] else 0
        size = measure_commands(frames, exported, options, figures)
    rows, failed = [], False
    for words, found in figures.items():
        problems = [problem for _, _, problem in found.values() if problem]
        failed |= bool(problems)
        spent_s = [number(found[frames][0], 2) if frames in found else "" for frames in sizes]
        peak = number(max(mb for _, mb, _ in found.values()), 0)
        rows.append((f"`{words}`", *spent_s, peak, "; ".join(problems)))
    note = (
        f"Processor seconds by frames of the store, the last of {size / 1e9:.2f} GB. Every frame "
        f"is one of {DISTINCT} made-up results with another name, hash and place: two fifths have "
        f"a camera, four control points and two hypotheses, four fifths {LIGHTS} lights. A process "
        "each, imports among it."
    )
    header = ("command", *(f"{frames:,}" for frames in sizes), "most MB", "problem")
    title = title_lines("Commands at scale", command_of("scale", argv), note)
    write_page(options.out, "scale", [*title, *table(header, rows, len(sizes) + 2)])
    return int(failed)
