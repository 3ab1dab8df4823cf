"""The real photographs, one after the other, and the page of tables."""

from __future__ import annotations

import argparse
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.pages import table, title_lines
from benchmarks.processes import run_alone
from benchmarks.registration.cases import (
    CATEGORIES,
    ELEMENT_SETS,
    RECORDS,
    WORLD,
    WORLD_MAP,
    Case,
    index_words,
    list_cases,
    search_parameters,
)
from benchmarks.registration.process import Job, Outcome, run_case
from benchmarks.registration.report import (
    RESULT_HEADER,
    headline,
    result_row,
    summary_lines,
    was_turned_away,
)
from benchmarks.registration.truth import load_truth, read_reference_cameras
from benchmarks.registration.variants import variants_of
from benchmarks.row_tables import read_rows
from regengine.registration.index.options import BlindOptions
from regengine.registration.parameters import RegisterParams
from regengine.run_inputs import RunInputs


def page_lines(outcomes: Sequence[Outcome], others: Sequence[Outcome] = ()) -> list[str]:
    """All tables, as Markdown lines."""
    references = read_reference_cameras().values()
    accepted = [outcome for outcome in others if outcome.verdict == "accepted"]
    rows = [result_row(outcome) for outcome in (*outcomes, *accepted)]
    return [
        *("## The frames that must be placed", "", *headline(references, outcomes, others)),
        *("", "## In short", "", *summary_lines(outcomes)),
        *("", "## Photographs", "", *table(RESULT_HEADER, rows)),
    ]


BUILT_MAP = "world-lights.tif"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line asks for."""

    real: Path  # folder of the real data
    world_map: Path  # the built world map
    only: str = ""  # part of the names of the cases to run; "" for all.
    # variants and all_categories: whether to run those, too
    variants: bool = True
    all_categories: bool = False
    overlays: Path | None = None
    max_work: float = RegisterParams().work_budget  # budget of a search
    told: str = "all"  # or "nothing"
    index: Path | None = None  # of the world map, where it is not the one beside it
    workers: int = 1


def run_all(
    cases: Iterable[Case], settings: Settings, tell: Callable[[str], None]
) -> list[Outcome]:
    """Run some cases, as many at a time as there are workers."""
    with ThreadPoolExecutor(max(1, settings.workers)) as pool:
        return list(pool.map(lambda case: run(case, settings, tell), cases))


def run_others(
    settings: Settings, outcomes: Sequence[Outcome], tell: Callable[[str], None]
) -> list[Outcome]:
    """Run the photos of other categories, and again all that do not look like a night city."""
    cases = list_cases(settings.real, cities=False)
    wanted = (case for case in cases if settings.only.lower() in case.name.lower())
    others = run_all(wanted, settings, tell)
    again = [
        replace(o.case, name=f"{o.case.name}, any category", any_category=True)
        for o in (*outcomes, *others)
        if o.case.plain and o.case.lights == WORLD and was_turned_away(o)
    ]
    return others + run_all(again, settings, tell)


def run(case: Case, settings: Settings, tell: Callable[[str], None]) -> Outcome:
    """Run one case in a process of its own; what goes wrong there costs this case only."""
    city = case.category in CATEGORIES
    truth = load_truth(case.file)
    job = Job(
        case=case,
        inputs=inputs_for(case, settings),
        truth=truth,
        overlays=settings.overlays,
        only_accepted=not (city and not case.any_category),
    )
    try:
        outcome = run_alone(run_case, job)
        problem = "the process died"
    except Exception as error:  # one of many cases, hours into a run
        outcome, problem = None, f"crashed: {type(error).__name__}"
        tell(traceback.format_exc())
    outcome = outcome or Outcome(case=case, truth=truth, problem=problem)
    tell(f"{case.name}: {outcome.verdict}, {outcome.cpu_s:.1f} s CPU, {outcome.wall_s:.1f} s")
    return outcome


def select_cases(settings: Settings, folder: Path) -> Iterator[Case]:
    """The cases to run, the variants of a photo after it."""
    rows = read_rows([settings.real / "photos" / "reference_points.csv"])
    varied = {row["file"] for row in rows}
    for case in list_cases(settings.real):
        if settings.only.lower() in case.name.lower():
            yield case
        if settings.variants and case.file in varied and case.plain:
            yield from variants_of(case, folder, settings.only)


def inputs_for(case: Case, settings: Settings) -> RunInputs:
    """What `regengine register` would be given; the lens alone where nothing is told."""
    world = case.lights == WORLD
    inputs = RunInputs(
        lights=(settings.world_map if world else settings.real / case.lights,),
        register=search_parameters(settings.max_work, any_category=case.any_category),
        blind=BlindOptions(index=settings.index if world else None),
    )
    if settings.told == "nothing":
        lens = replace(case.options, nadir=None, time_utc=None, altitude_km=None)
        return replace(inputs, frame=lens, blind=replace(inputs.blind, mode="always"))
    return replace(
        inputs,
        frame=case.options,
        tle=(settings.real / ELEMENT_SETS,),
        metadata=settings.real / RECORDS,
    )


@contextmanager
def cache_folder(given: Path | None) -> Iterator[Path]:
    """The folder for built maps: the one given, else one that vanishes at the end."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def build_map(real: Path, cache: Path) -> tuple[Path, str]:
    """The world map as one indexed file, built if it is not in the cache, and a sentence on it."""
    from regengine.references.build import build
    from regengine.references.opening import open_references

    path = cache / BUILT_MAP
    if path.is_file():
        return path, f"Light map: {WORLD_MAP}, built earlier."
    started = time.perf_counter()
    build("lights", open_references("lights", [real / WORLD_MAP]), path)
    seconds = time.perf_counter() - started
    return path, (
        f"Light map: {WORLD_MAP}, built with `regengine lights build` in {seconds:.0f} s into "
        f"{path.stat().st_size / 1e6:.0f} MB."
    )


def real_report(given: argparse.Namespace, tell: Callable[[str], None]) -> list[str]:
    """Register the real photographs as the command line asks; the whole page."""
    with cache_folder(given.cache) as cache, tempfile.TemporaryDirectory() as variants:
        world_map, note = build_map(given.real, cache)
        settings = Settings(
            real=given.real,
            world_map=world_map,
            only=given.only,
            variants=not given.no_variants,
            all_categories=given.all_categories,
            overlays=given.overlays,
            max_work=given.max_work,
            told=given.told,
            index=given.index,
            workers=given.workers,
        )
        note += f" Index: {index_words(given.told, given.index, world_map)}."
        if given.overlays is not None:
            given.overlays.mkdir(parents=True, exist_ok=True)
        outcomes = run_all(select_cases(settings, Path(variants)), settings, tell)
        others = run_others(settings, outcomes, tell) if settings.all_categories else []
    note += f" Budget of a search: {settings.max_work:g} s of work."
    heading = "Registration of real photographs"
    heading += ", nothing told" if settings.told == "nothing" else ""
    title = title_lines(heading, command_words(given), note)
    return [*title, *page_lines(outcomes, others)]


def command_words(given: argparse.Namespace) -> str:
    """The command again, without the folders of one machine."""
    words = ["python -m benchmarks registration --real FOLDER"]
    words += [f"--only {given.only}"] if given.only else []
    words += ["--all-categories"] if given.all_categories else []
    words += ["--no-variants"] if given.no_variants else []
    return " ".join([*words, *search_words(given)])


def search_words(given: argparse.Namespace) -> list[str]:
    """The words of a command that real and simulated photographs share."""
    words = ["--told nothing"] if given.told == "nothing" else []
    words += [] if given.index is None else ["--index FILE"]
    if given.max_work != RegisterParams().work_budget:
        words.append(f"--max-work {given.max_work:g}")
    return words
