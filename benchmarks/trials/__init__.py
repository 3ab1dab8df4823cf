"""Simulated registrations: hard photographs drawn from seeds, registered, scored, reported."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.pages import add_date
from benchmarks.registration.cases import index_words, search_parameters
from benchmarks.registration.real import search_words
from benchmarks.row_tables import read_rows
from benchmarks.trials.exposures import KINDS
from benchmarks.trials.outcomes import trials_of
from benchmarks.trials.report import page_lines
from benchmarks.trials.run import FRAMES
from regengine.errors import ConfigError
from regengine.io.extras import need
from regengine.registration.parameters import SearchParams

if TYPE_CHECKING:
    from benchmarks.trials.run import TrialSettings


def trials_asked(given: argparse.Namespace) -> pd.DataFrame:
    """Trials of the half, of all tables."""
    return trials_of(read_rows(given.table), given.half)


def command_words(given: argparse.Namespace) -> str:
    """The command again, without the folders of one machine."""
    words = ["python -m benchmarks registration --simulated"]
    words += ["--smoke"] if given.smoke else [f"--half {given.half}"]
    words += [f"--seeds {given.seeds}"] if given.seeds and not given.smoke else []
    words += [] if given.real is None else ["--real FOLDER --lights MAP_A.tif"]
    words += [] if given.frames == "all" else [f"--frames {given.frames}"]
    words += [] if given.kinds == KINDS else [f"--kinds {' '.join(given.kinds)}"]
    return " ".join(words + ([] if given.smoke else search_words(given)))


Tell = Callable[[str], None]
SMOKE_SEEDS, SMOKE_WORK = (0, 24), 1.5


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of simulated registrations to the parser of the benchmark."""
    group = parser.add_argument_group("simulated registrations")
    group.add_argument("--simulated", action="store_true", help="hard photographs drawn from seeds")
    group.add_argument("--half", choices=("train", "test"), default="test", help="of the world")
    group.add_argument("--seeds", default="", help="FIRST:LAST, trials to run, LAST excluded")
    group.add_argument("--lights", type=Path, help="built map to register on, with --real")
    group.add_argument(
        "--table",
        type=Path,
        nargs="+",
        help="CSV of trials: the first is continued, all are reported",
    )
    group.add_argument(
        "--methods",
        default=",".join(SearchParams().methods),
        help="what may propose cameras: an ablation leaves some out",
    )
    group.add_argument(
        "--frames",
        choices=FRAMES,
        default="all",
        help="only cities at most 30 degrees off nadir, with the limb in view, an unknown lens, "
        "or one of 135 mm and more",
    )
    group.add_argument(
        "--kinds",
        choices=KINDS,
        nargs="+",
        default=KINDS,
        help="only trials of these, drawn by their seeds: all but city are controls",
    )
    group.add_argument("--report-only", action="store_true", help="no trial is run")
    group.add_argument("--smoke", action="store_true", help="24 trials of the self-made world")
    group.add_argument(
        "--only-seeds", default="", help="trials to draw with --overlays; the worst if not given"
    )


def run_simulated_report(given: argparse.Namespace, tell: Tell) -> list[str]:
    """Run what the command line asks for; the page, none with ``--overlays``."""
    with tempfile.TemporaryDirectory() as folder:
        if given.smoke:
            # A table that is given is kept
            given.seeds = "{}:{}".format(*SMOKE_SEEDS)
            given.real, given.lights, given.max_work = None, None, SMOKE_WORK
            given.table = given.table or [Path(folder) / "smoke.csv"]
        return _run_simulated(given, Path(folder), tell)


def _run_simulated(given: argparse.Namespace, folder: Path, tell: Tell) -> list[str]:
    from benchmarks.trials.mirrored import FIRST_MIRRORED
    from benchmarks.trials.run import open_workshop, select_seeds

    if not given.table:
        raise ConfigError("no table of trials: say --table CASES.csv")
    if given.out is not None:
        need("--out", "matplotlib.figure")  # for its picture; after hours of trials is too late
    if given.real is not None and given.lights is None:
        raise ConfigError("no map to register the real world on: say --lights MAP.tif")
    settings, seeds = settings_of(given), seeds_of(given.seeds)
    if settings.lights is None and not given.report_only:
        settings = replace(settings, lights=build_map(settings, folder))
    if given.overlays is not None:
        draw_pictures(given, settings, tell)
        return []
    if not given.report_only:
        # An unusable map is said once, not by every worker, and what they share is made once
        shop = open_workshop(settings)
        index = index_words(given.told, given.index, shop.lights)
        wanted = select_seeds(seeds, given.kinds, given.frames, shop)
        if any(seed >= FIRST_MIRRORED for seed in wanted):
            _ = shop.mirrored_index
        run_seeds(wanted, given, replace(settings, index_words=index), tell)
    trials, picture = trials_asked(given), ""
    if given.out is not None:
        from benchmarks.trials.pictures import plot_run

        picture = f"{add_date(given.page)}.png"
        plot_run(trials, given.out / picture)
    return page_lines(trials, command_words(given), picture)


def settings_of(given: argparse.Namespace) -> TrialSettings:
    """What the options say of every trial."""
    from benchmarks.trials.run import TrialSettings

    return TrialSettings(
        half=given.half,
        real=given.real,
        lights=given.lights,
        register=search_parameters(given.max_work, methods=methods_of(given.methods)),
        told=given.told,
        index=given.index,
        mirrored_index=given.table[0].with_name("mirrored.idx"),
    )


def build_map(settings: TrialSettings, folder: Path) -> Path:
    """The self-made world's map as a user would build it, in a folder, for windows to be fast."""
    from benchmarks.trials.source import make_source
    from regengine.references.build import build
    from regengine.references.opening import open_references

    own = make_source(settings.half).light_map_path
    assert own is not None  # the self-made world has one
    path = folder / "lights.tif"
    build("lights", open_references("lights", [own]), path)
    return path


def methods_of(text: str) -> tuple[str, ...]:
    """The named methods, in the engine's order."""
    wanted = {name.strip() for name in text.split(",") if name.strip()}
    known = SearchParams().methods
    if not wanted or wanted - set(known):
        raise ConfigError(f"--methods {text}: name some of {', '.join(known)}")
    return tuple(name for name in known if name in wanted)


def seeds_of(text: str) -> range:
    """Seeds from FIRST:LAST; none from nothing."""
    if not text:
        return range(0)
    first, _, last = text.partition(":")
    try:
        return range(int(first), int(last))
    except ValueError:
        raise ConfigError(f"{text!r} is no range of seeds: say FIRST:LAST, as in 0:100") from None


def run_seeds(
    seeds: Sequence[int], given: argparse.Namespace, settings: TrialSettings, tell: Tell
) -> None:
    """Run a range of seeds with a bar on a terminal, and a line per trial elsewhere."""
    from benchmarks.row_tables import cell
    from benchmarks.trials.outcomes import outcome_of
    from benchmarks.trials.run import run_trials
    from regengine.batch.console import show_progress

    started, ended = time.monotonic(), 0
    with show_progress(len(seeds), quiet=False) as advance:

        def said(columns: dict[str, object]) -> None:
            nonlocal ended
            ended += 1
            row = {name: cell(value) for name, value in columns.items()}
            minutes = (time.monotonic() - started) / 60.0
            seconds = row.get("seconds_wall") or "?"
            kind = row.get("kind") or "not drawn"
            tell(
                f"{ended} in {minutes:.1f} min: seed {row['seed']}, {kind}, "
                f"{outcome_of(row)}, {seconds[:5]} s {row.get('problem', '')}".rstrip()
            )
            advance()

        run_trials(seeds, given.table[0], settings, workers=given.workers, tell=said)


def draw_pictures(given: argparse.Namespace, settings: TrialSettings, tell: Tell) -> None:
    """Draw the trials that are asked for, or the worst failures of the table."""
    from benchmarks.trials.pictures import draw_trials
    from benchmarks.trials.report import worst_seeds

    try:
        seeds = [int(text) for text in given.only_seeds.split(",") if text]
    except ValueError:
        raise ConfigError(f"{given.only_seeds!r} are no seeds: say --only-seeds 3,17") from None
    for path in draw_trials(
        seeds or worst_seeds(trials_asked(given)), settings, given.overlays, tell
    ):
        tell(f"written to {path}")
