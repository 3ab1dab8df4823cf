"""What exports cost: each format by thousands, GeoTIFF beside GDAL's own warp, a catalogue.

``python -m benchmarks exports`` prints the tables; ``--out FOLDER`` writes them as Markdown,
dated. Stores and photos are made in a temporary folder (``--folder``) and deleted.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.export_catalogue import asked, make_catalogue
from benchmarks.export_cost import PILOT, Cost, FormatCost, format_costs
from benchmarks.export_store import HEIGHT, WIDTH, accepted_result
from benchmarks.export_warp import OURS, WarpCosts, warp_costs
from benchmarks.registration_report import command_of, number, table, title_lines
from matchers.earth import incidence_deg
from matchers.footprint import MAX_INCIDENCE_DEG

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
