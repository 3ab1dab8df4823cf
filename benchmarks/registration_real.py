"""The real photographs, one after the other, and the page of tables."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.registration_cases import (
    ELEMENT_SETS,
    WORLD,
    WORLD_MAP,
    Case,
    list_cases,
)
from benchmarks.registration_compare import CHANGED_HEADER, TWIN_HEADER, changed_rows, twin_rows
from benchmarks.registration_process import run_alone
from benchmarks.registration_report import (
    CHECK_HEADER,
    RESULT_HEADER,
    check_row,
    peer_table,
    result_row,
    table,
    title_lines,
)
from benchmarks.registration_run import Job, Outcome, run_case
from benchmarks.registration_summary import summary_lines
from benchmarks.registration_truth import load_truth, read_points
from benchmarks.registration_variants import variants_of
from regengine.pipeline import RunInputs
from regengine.register import RegisterParams

BUILT_MAP = "world-lights.tif"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line asks for.

    Attributes
    ----------
    real : Path
        Folder of the real data.
    world_map : Path
        The built world map.
    only : str
        Part of the names of the cases to run; "" for all.
    variants, peers : bool
        Whether to run those, too.
    overlays : Path or None
    max_seconds : float
        Budget of a search.
    """

    real: Path
    world_map: Path
    only: str = ""
    variants: bool = True
    peers: bool = True
    overlays: Path | None = None
    max_seconds: float = RegisterParams().max_seconds


def run_cases(settings: Settings, folder: Path, tell: Callable[[str], None]) -> list[Outcome]:
    """Run all cases, each in a process of its own.

    Parameters
    ----------
    settings : Settings
    folder : Path
        Where variants of the pictures go.
    tell : callable
        Given a line when a case is done.

    Returns
    -------
    list of Outcome
    """
    outcomes = []
    for case in wanted_cases(settings, folder):
        truth = load_truth(settings.real / "photos", case.file)
        job = Job(
            case=case,
            inputs=inputs_for(case, settings),
            truth=truth if case.city is None else replace(truth, city=case.city),
            peers=settings.peers and case.plain,
            overlays=settings.overlays,
        )
        outcome = run_alone(run_case, job) or Outcome(
            case=case, truth=truth, problem="the process died"
        )
        outcomes.append(outcome)
        verdict = "failed" if outcome.result is None else outcome.result.verdict
        tell(f"{case.name}: {verdict}, {outcome.wall_s:.1f} s")
    return outcomes


def wanted_cases(settings: Settings, folder: Path) -> Iterator[Case]:
    """The cases to run, the variants of a photo after it."""
    photos = settings.real / "photos"
    for case in list_cases(settings.real):
        if settings.only.lower() in case.name.lower():
            yield case
        known = read_points(photos / "reference_points.csv", case.file) is not None
        if settings.variants and known and case.plain:
            yield from variants_of(case, folder, settings.only)


def inputs_for(case: Case, settings: Settings) -> RunInputs:
    """What `regengine register` would be given."""
    lights = settings.world_map if case.lights == WORLD else settings.real / case.lights
    return RunInputs(
        lights=(lights,),
        tle=settings.real / ELEMENT_SETS,
        frame=case.options,
        register=RegisterParams(max_seconds=settings.max_seconds),
    )


def report(outcomes: list[Outcome]) -> list[str]:
    """All tables, as Markdown lines."""
    checked = [outcome for outcome in outcomes if outcome.case.plain and outcome.score is not None]
    peers = peer_table(outcomes)
    twins, changed = twin_rows(outcomes), changed_rows(outcomes)
    main_rows = [result_row(outcome) for outcome in outcomes if not outcome.case.variant]
    lines = [*summary_lines(outcomes), "", "## Photographs", ""]
    lines += table(RESULT_HEADER, main_rows)
    if checked:
        lines += ["", "## The reference itself", ""]
        lines += table(CHECK_HEADER, [check_row(outcome) for outcome in checked], right=9)
    if peers:
        lines += ["", "## What else could be tried", "", *peers]
    if twins:
        lines += ["", "## Copies of the same frame", "", *table(TWIN_HEADER, twins)]
    if changed:
        lines += ["", "## The same photo, told or shown otherwise", ""]
        lines += table(CHANGED_HEADER, changed)
    return lines


@contextmanager
def cache_folder(given: Path | None) -> Iterator[Path]:
    """The folder for built maps: the one given, else one that vanishes at the end."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def built_map(real: Path, cache: Path) -> tuple[Path, str]:
    """The world map as one indexed file, built if it is not in the cache, and a sentence on it."""
    from regengine.lights.build import build_map
    from regengine.lights.map import open_light_map

    path = cache / BUILT_MAP
    if path.is_file():
        return path, f"Light map: {WORLD_MAP}, built earlier."
    started = time.perf_counter()
    build_map(open_light_map([real / WORLD_MAP]), path)
    seconds = time.perf_counter() - started
    return path, (
        f"Light map: {WORLD_MAP}, built with `regengine lights build` in {seconds:.0f} s into "
        f"{path.stat().st_size / 1e6:.0f} MB."
    )


def real_report(given: argparse.Namespace, tell: Callable[[str], None]) -> list[str]:
    """Register the real photographs as the command line asks; the whole page."""
    with cache_folder(given.cache) as cache, tempfile.TemporaryDirectory() as variants:
        world_map, note = built_map(given.real, cache)
        settings = Settings(
            real=given.real,
            world_map=world_map,
            only=given.only,
            variants=not given.no_variants,
            peers=not given.no_peers,
            overlays=given.overlays,
            max_seconds=given.max_seconds,
        )
        if given.overlays is not None:
            given.overlays.mkdir(parents=True, exist_ok=True)
        outcomes = run_cases(settings, Path(variants), tell)
    title = title_lines("Registration of real photographs", command_words(given), note)
    return [*title, *report(outcomes)]


def command_words(given: argparse.Namespace) -> str:
    """The command again, without the folders of one machine."""
    words = ["python -m benchmarks registration --real FOLDER"]
    words += [f"--only {given.only}"] if given.only else []
    words += ["--no-variants"] if given.no_variants else []
    words += ["--no-peers"] if given.no_peers else []
    if given.max_seconds != RegisterParams().max_seconds:
        words.append(f"--max-seconds {given.max_seconds:g}")
    return " ".join(words)
