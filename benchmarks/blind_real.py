"""The real photographs placed blindly: no time, no orbit, no nadir is told."""

from __future__ import annotations

import argparse
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks.registration_cases import CATEGORIES, WORLD, Case, list_cases, list_other_cases
from benchmarks.registration_process import run_alone
from benchmarks.registration_run import Job, Outcome, run_case
from benchmarks.registration_truth import load_truth
from regengine.blind.options import BlindOptions
from regengine.pipeline import RunInputs
from regengine.register import RegisterParams


def real_outcomes(
    given: argparse.Namespace, lights: Path, index: Path, tell: Callable[[str], None]
) -> list[Outcome]:
    """Place every real photo, each in a process of its own.

    Photos of other categories than city lights are tried, too, though they do not look like it:
    none of them may be placed wrongly.

    Parameters
    ----------
    given : argparse.Namespace
        Options of the benchmark.
    lights, index : Path
        The built world map, and its index.
    tell : callable
        Given a line when a photo is done.

    Returns
    -------
    list of Outcome
    """
    cases = [] if given.kinds == "others" else list_cases(given.real)
    cases += [] if given.kinds == "cities" else list_other_cases(given.real)
    wanted = [
        blind_case(case)
        for case in cases
        if case.plain and case.lights == WORLD and given.only.lower() in case.name.lower()
    ]
    with ThreadPoolExecutor(max(1, given.workers)) as pool:
        return list(pool.map(lambda case: run(case, given, lights, index, tell), wanted))


def blind_case(case: Case) -> Case:
    """A case of which nothing is told but the lens, and that is tried whatever it looks like."""
    options = replace(case.options, nadir=None, time_utc=None, altitude_km=None)
    return replace(case, options=options, any_category=case.category not in CATEGORIES)


def run(
    case: Case,
    given: argparse.Namespace,
    lights: Path,
    index: Path,
    tell: Callable[[str], None],
) -> Outcome:
    """Run one case; what goes wrong there costs this case only."""
    inputs = RunInputs(
        lights=(lights,),
        frame=case.options,
        register=RegisterParams(
            max_seconds=given.max_seconds,
            any_category=case.any_category,
            clock=time.process_time,
        ),
        blind=BlindOptions(always=True, index=index),
    )
    truth = load_truth(given.real / "photos", case.file)
    job = Job(case=case, inputs=inputs, truth=truth, overlays=given.overlays)
    try:
        outcome, problem = run_alone(run_case, job), "the process died"
    except Exception as error:  # one of many cases, hours into a run
        outcome, problem = None, f"crashed: {type(error).__name__}"
        tell(traceback.format_exc())
    outcome = outcome or Outcome(case=case, truth=truth, problem=problem)
    tell(f"{case.name}: {outcome.verdict}, {outcome.cpu_s:.1f} s CPU")
    return outcome
