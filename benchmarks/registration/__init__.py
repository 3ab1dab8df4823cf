"""How simulated photographs are registered: verdicts, errors, probabilities and work.

Hard ones, drawn from seeds, by the hundred; ``--told nothing`` without time, orbit and nadir. Real
ones are judged by ``python -m benchmarks public``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from benchmarks.options import MaybeReal, Out, Seeds, Workers, seeds_of, some_of
from benchmarks.pages import write_page
from benchmarks.registration.settings import Settings, Told
from benchmarks.trials.exposures import KINDS
from regengine.registration.parameters import RegisterParams, SearchParams

SMOKE_SEEDS, SMOKE_WORK = "0:24", 1.5


def main(
    *,
    real: MaybeReal = None,
    out: Out = None,
    told: Annotated[Told, Option(help="of time, orbit and nadir")] = "all",
    lights: Annotated[Path | None, Option(help="built map to register on")] = None,
    index: Annotated[Path | None, Option(help="of the map, if not beside it")] = None,
    max_work: Annotated[
        float, Option(help="of a search, seconds of the machine where its costs were measured")
    ] = RegisterParams().work_budget,
    methods: Annotated[
        str, Option(metavar="A,B", help="what may propose cameras: an ablation leaves some out")
    ] = "",
    workers: Workers = 1,
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
    from benchmarks.trials.run import simulated_page

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
        )
        lines = simulated_page(
            settings,
            table or ([Path(folder) / "smoke.jsonl"] if smoke else []),
            [] if report_only else seeds_of(seeds),
            kinds=some_of(kinds, KINDS, "--kinds"),
            frames=frames,
            workers=workers,
        )
    write_page(out, f"registration-simulated{'' if told == 'all' else f'-told-{told}'}", lines)
