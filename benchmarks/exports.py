"""What exports cost: each format by thousands, GeoTIFF beside GDAL's own warp, a catalogue.

``python -m benchmarks exports`` prints the tables; ``--out FOLDER`` writes them as Markdown,
dated. Stores and photos are made in a temporary folder (``--folder``) and deleted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import Any

from benchmarks.batches import spent
from benchmarks.export_store import (
    HEIGHT,
    WIDTH,
    accepted_result,
    asked,
    export_store,
    make_catalogue,
)
from benchmarks.export_warp import OURS, WarpCosts, warp_costs
from benchmarks.registration.report import command_of, number, table, title_lines
from matchers.earth import incidence_deg
from matchers.footprint import MAX_INCIDENCE_DEG
from regengine.exchange.export.format import FileFormat
from regengine.exchange.export.formats import format_names, known_format

# What `regengine export` costs, whole processes: each format, each size.

# Options that make different files of one format; a format that is not named here has none
VARIANTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "csv": (("--table", "points"), ("--table", "frames")),
    "parquet": (("--table", "points"), ("--table", "frames")),
    "sql": (("--dialect", "mysql"), ("--dialect", "postgresql")),
    "gcp": (("--as", "vrt"),),
}
PILOT = 10  # photos by which it is seen what a photo costs
SLOW_CPU_S = 0.1  # a photo: such formats draw pictures, and are not asked for thousands
START_CPU_S = 3.0  # Python, the libraries and the list of cities


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a command cost.

    Attributes
    ----------
    photos, files : int
        How many were written.
    cpu_s : float
        The processor's time, user and system, from the process's start to its end.
    peak_mb : float
        Its largest resident memory.
    size_mb : float
        Of the files.
    said : str
        What it said where it failed.
    """

    photos: int
    files: int
    cpu_s: float
    peak_mb: float
    size_mb: float
    said: str = ""


@dataclass(frozen=True, kw_only=True)
class FormatCost:
    """What a format costs, by how many photos there are."""

    name: str
    options: tuple[str, ...]
    costs: dict[int, Cost]


Command = Callable[[Sequence[str]], tuple[str, str, float, float]]


def export_cost(store: Path, name: str, options: Sequence[str], command: Command = spent) -> Cost:
    """Export a store once, and delete what was written."""
    kind = known_format(name)
    ending = kind.endings[0] if isinstance(kind, FileFormat) else ""
    out = store.with_name(f"exported{ending}")
    arguments = ["export", str(store), "--format", name, "--out", str(out), *options]
    output, messages, cpu_s, peak_mb = command([*arguments, "--json", "--quiet"])
    files = [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else [out]
    size_mb = sum(path.stat().st_size for path in files if path.exists()) / 1e6
    if out.is_dir():
        rmtree(out)
    else:
        out.unlink(missing_ok=True)
    nothing: dict[str, Any] = {"frames": 0, "files": 0, "failed": {}}
    told = json.loads(output) if output.strip() else nothing
    problems = [*told["failed"].values(), *messages.splitlines()]
    return Cost(
        photos=told["frames"],
        files=told["files"],
        cpu_s=cpu_s,
        peak_mb=peak_mb,
        size_mb=size_mb,
        said=problems[0] if problems else "",
    )


def format_costs(
    folder: Path,
    sizes: Sequence[int],
    most_files: int,
    wanted: Sequence[str] = (),
    command: Command = spent,
) -> Iterator[FormatCost]:
    """What formats cost."""
    stores = {}
    for size in {PILOT, *sizes}:
        place = folder / str(size)
        place.mkdir()
        stores[size] = export_store(place, size)
    for name in wanted or format_names():
        in_folder = not isinstance(known_format(name), FileFormat)
        for options in VARIANTS.get(name, ((),)):
            to_do = [size for size in sizes if not in_folder or size <= most_files]
            costs = {}
            if in_folder:
                pilot = export_cost(stores[PILOT], name, options, command)
                if pilot.cpu_s > SLOW_CPU_S * PILOT + START_CPU_S or not pilot.photos:
                    costs, to_do = {PILOT: pilot}, []
            for size in to_do:
                costs[size] = export_cost(stores[size], name, options, command)
            yield FormatCost(name=name, options=options, costs=costs)


SAMPLE = 500
PARTS = ("formats", "warp", "catalogue")
WARPED = ((10.0, "EPSG:4326"), (40.0, "EPSG:4326"), (40.0, "EPSG:32653"))


def formats_part(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    """What each format costs."""
    sizes = [int(size) for size in options.sizes.split(",")]
    header = ["format", "photos", "files", "MB", "CPU s", "CPU s per 1,000"]
    header += [f"peak MB at {size:,}" for size in sizes]
    rows = []
    wanted = options.formats.split(",") if options.formats else ()
    for told in format_costs(folder, sizes, options.frames, wanted):
        rows.append(format_row(told, sizes, options.frames))
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    yield from (
        "## Formats",
        "",
        "`regengine export` as a process of its own, from its start to its end, for "
        f"{sizes_told(sizes)} accepted photos; files, sizes and times for {options.frames:,}. "
        f"{reach_the_limb():.0f} % of the photos reach the limb. *CPU s per 1,000*: "
        "what a further 1,000 photos take, without the start. "
        "At most 20 s for 10,000 photos are asked of tables, and memory that does not grow with "
        f"them. Formats that draw pictures are asked for {PILOT} photos.",
        "",
        *table(header, rows, len(header) - 1),
        "",
    )


def reach_the_limb() -> float:
    """Share of the photos with a corner that shows sky or ground that is too flat, per cent."""
    cut = 0
    for made in range(SAMPLE):
        solved = accepted_result(made, "").solved
        assert solved is not None
        x, y = [0.0, WIDTH - 1.0, WIDTH - 1.0, 0.0], [0.0, 0.0, HEIGHT - 1.0, HEIGHT - 1.0]
        ground = solved.camera.pixel_to_ecef(x, y)
        angle = incidence_deg(solved.camera.position_ecef_m, ground)
        cut += not bool((angle <= MAX_INCIDENCE_DEG).all())
    return 100.0 * cut / SAMPLE


def sizes_told(sizes: Sequence[int]) -> str:
    """Numbers in words: 1,000, 10,000 and 30,000."""
    told = [f"{size:,}" for size in sizes]
    return " and ".join(filter(None, [", ".join(told[:-1]), told[-1]]))


def format_row(told: FormatCost, sizes: Sequence[int], frames: int) -> list[str]:
    """A line of the table of formats."""
    cost = told.costs.get(frames) or told.costs[max(told.costs)]
    least = told.costs[min(told.costs)]
    more = cost.photos - least.photos
    further = 1000.0 * (cost.cpu_s - least.cpu_s) / more if more > 0 else None
    peaks = [_peak(told.costs.get(size)) for size in sizes]
    if PILOT in told.costs:
        peaks[0] = f"{told.costs[PILOT].peak_mb:.0f} (at {PILOT})"
    name = " ".join([told.name, *told.options])
    files = f"{cost.files:,}" if cost.files else cost.said
    return [
        name,
        f"{cost.photos:,}",
        files,
        number(cost.size_mb, 1),
        number(cost.cpu_s, 1),
        number(further, 2),
        *peaks,
    ]


def _peak(cost: Cost | None) -> str:
    return number(None if cost is None else cost.peak_mb, 0)


def warp_part(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    """What warping costs."""
    width, height = (int(side) for side in options.photo.split("x"))
    rows = []
    for tilt_deg, crs in WARPED:
        costs = warp_costs(folder, (width, height), tilt_deg, crs, options.tries)
        rows += warp_rows(costs)
        print(rows[-len(costs.ways) :], file=sys.stderr, flush=True)
    yield from (
        "## Photos warped onto the map",
        "",
        f"A photo of {width:,} x {height:,} pixels from a JPEG to a cloud-optimised GeoTIFF with a "
        "mask, onto the same grid, bilinear, one thread; the least processor's time of "
        f"{options.tries} tries in turn. *Ratio*: ours over theirs, asked for at most 1.5. *Worst "
        "px*: how far beside a place of the ground is taken from the photo, over all of it.",
        "",
        *table(("off-nadir", "map", "way", "CPU s", "ratio", "worst px"), rows, 3),
        "",
    )


def warp_rows(costs: WarpCosts) -> list[list[str]]:
    """Lines of the table of warps."""
    width, height = costs.map_px
    return [
        [
            f"{costs.tilt_deg:.0f}°" if one.way == OURS else "",
            f"{width:,} x {height:,}, {costs.crs}" if one.way == OURS else "",
            one.way,
            number(one.cpu_s),
            "" if one.way == OURS else number(one.ratio),
            number(one.worst_px),
        ]
        for one in costs.ways
    ]


def catalogue_part(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    """What questions to a catalogue cost."""
    path = make_catalogue(folder, options.catalogue)
    size_mb = path.stat().st_size / 1e6
    rows = [
        [one.says, f"{one.rows:,}", number(one.cpu_s), number(one.s)]
        for one in asked(path, options.tries)
    ]
    yield from (
        "## Questions to a catalogue",
        "",
        f"`regengine catalogue` over {options.catalogue:,} made-up photos of cities ({size_mb:.0f} "
        "MB), from opening the file to the last row; the least of "
        f"{options.tries} tries. At most 0.3 s is asked.",
        "",
        *table(("question", "rows", "CPU s", "s"), rows, 3),
        "",
    )


def main(argv: Sequence[str]) -> int:
    """Measure and print; 0 when done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks exports")
    parser.add_argument("--sizes", default="1000,10000,30000", help="numbers of photos")
    parser.add_argument(
        "--frames",
        type=int,
        default=10_000,
        help="of them the one that is shown, and the most for formats with files of each photo",
    )
    parser.add_argument("--formats", metavar="LIST", help="some formats alone, by commas")
    parser.add_argument("--photo", default="4256x2832", help="size of the photo that is warped")
    parser.add_argument("--tries", type=int, default=3, help="of each warp")
    parser.add_argument("--catalogue", type=int, default=1_000_000, help="photos in the catalogue")
    parser.add_argument("--only", choices=PARTS, help="a part of it")
    parser.add_argument("--folder", type=Path, help="where to make the stores; else temporary")
    parser.add_argument("--out", type=Path, help="also write the Markdown into this folder")
    options = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    lines = []
    parts = zip(PARTS, (formats_part, warp_part, catalogue_part), strict=True)
    for name, part in parts:
        if options.only in (None, name):
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                lines += list(part(Path(folder), options))
    load = os.getloadavg()[2]
    note = f"The machine's load was {load:.0f}: the processor's seconds are what counts."
    page = "\n".join([*title_lines("Exports", command_of("exports", argv), note), *lines])
    print(page)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / f"exports-{datetime.now(UTC):%Y-%m-%d}.md"
        path.write_text(page, encoding="utf-8")
    return 0
