"""How photographs are registered: errors, verdicts, time and memory.

``--real FOLDER`` alone registers every city photo of a folder of real data; ``--simulated`` hard
simulated ones, drawn from seeds, by the hundred; ``--told nothing`` the same without time, orbit
and nadir, ``--told place`` with the name of the town that is shown, ``--told wrong`` with those of
towns elsewhere.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from benchmarks.options import MaybeReal, Out, Seeds, Workers, seeds_of, some_of
from benchmarks.pages import write_page
from benchmarks.registration.cases import Settings, Told
from benchmarks.trials.exposures import KINDS
from regengine.errors import ConfigError
from regengine.registration.parameters import RegisterParams, SearchParams

SMOKE_SEEDS, SMOKE_WORK = "0:24", 1.5


def main(
    *,
    real: MaybeReal = None,
    out: Out = None,
    overlays: Annotated[Path | None, Option(help="folder for a picture of each real photo")] = None,
    told: Annotated[Told, Option(help="of time, orbit, nadir; or a name alone")] = "all",
    lights: Annotated[Path | None, Option(help="built map to register on")] = None,
    index: Annotated[Path | None, Option(help="of the map, if not beside it")] = None,
    max_work: Annotated[
        float, Option(help="of a search, seconds of the machine where its costs were measured")
    ] = RegisterParams().work_budget,
    methods: Annotated[
        str, Option(metavar="A,B", help="what may propose cameras: an ablation leaves some out")
    ] = "",
    workers: Workers = 1,
    cache: Annotated[
        Path, Option(help="of real photos: keeps the built world map for the next run")
    ] = Path("out/cache"),
    only: Annotated[str, Option(help="cases whose name contains this")] = "",
    all_categories: Annotated[
        bool, Option("--all-categories", help="photos that show no night city, too")
    ] = False,
    simulated: Annotated[bool, Option("--simulated", help="hard ones, drawn from seeds")] = False,
    half: Annotated[Literal["train", "test"], Option(help="of the simulated world")] = "test",
    seeds: Seeds = "",
    table: Annotated[
        list[Path] | None,
        Option(help="rows of trials: the first table is continued, all are reported"),
    ] = None,
    kinds: Annotated[
        str,
        Option(metavar="A,B", help="of trials, drawn by their seeds: all but city are controls"),
    ] = "",
    frames: Annotated[
        Literal["all", "steep", "limb", "unknown", "telephoto"],
        Option(
            help="only cities at most 30 degrees off nadir, with the limb in view, an unknown "
            "lens, or one of 135 mm and more",
        ),
    ] = "all",
    report_only: Annotated[bool, Option("--report-only", help="no trial is run")] = False,
    smoke: Annotated[bool, Option("--smoke", help="24 trials of the self-made world")] = False,
) -> None:
    """Run the benchmark."""
    from benchmarks.registration.run import build_world_map, real_page
    from benchmarks.trials.run import simulated_page

    if not simulated and real is None:
        raise ConfigError("Say --real FOLDER or --simulated.")
    page = f"registration-{'simulated' if simulated else 'real'}"
    page += "" if told == "all" else f"-told-{told}"
    if overlays is not None:
        overlays.mkdir(parents=True, exist_ok=True)
    if smoke:
        seeds, real, lights, max_work = SMOKE_SEEDS, None, None, SMOKE_WORK
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            real=real,
            lights=lights,
            half=half,
            told=told,
            index=index,
            max_work=max_work,
            methods=some_of(methods, SearchParams().methods, "--methods"),
            overlays=overlays,
        )
        if simulated:
            lines = simulated_page(
                settings,
                table or ([Path(folder) / "smoke.jsonl"] if smoke else []),
                [] if report_only else seeds_of(seeds),
                kinds=some_of(kinds, KINDS, "--kinds"),
                frames=frames,
                workers=workers,
            )
        else:
            assert real is not None
            settings = replace(settings, lights=lights or build_world_map(real, cache))
            lines = real_page(
                settings.with_index_named(),
                only,
                all_categories=all_categories,
                workers=workers,
            )
    write_page(out, page, lines)
