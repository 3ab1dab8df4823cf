"""What `regengine export` costs, whole processes: each format, each size."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from benchmarks.command_cost import spent
from benchmarks.export_store import export_store
from regengine.export.format import FileFormat
from regengine.export.known import format_names, known_format

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
    """What formats cost.

    Parameters
    ----------
    folder : Path
        An empty one, for stores and what is written.
    sizes : sequence of int
        Numbers of photos.
    most_files : int
        Most photos for formats with files for each of them: writing these safely to the disk
        takes minutes.
    wanted : sequence of str, optional
        Names of formats; all without any.
    command : callable, optional
        Runs `regengine`.

    Yields
    ------
    FormatCost
        As soon as it is known.
    """
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
