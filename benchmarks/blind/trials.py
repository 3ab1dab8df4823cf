"""Simulated photographs placed blindly, a row each; those of the registration benchmark."""

from __future__ import annotations

import argparse
import math
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.registration.cases import CATEGORIES, WORLD, Case, list_cases, list_other_cases
from benchmarks.registration.process import Job, Outcome, run_alone, run_case
from benchmarks.registration.truth import load_truth
from benchmarks.trials.run import (
    Columns,
    TrialSettings,
    draw_only,
    failed,
    prepare,
    run_trials,
    workshop,
)
from regengine.photo.camera_bodies import FULL_FRAME_MM
from regengine.photo.frame import Frame, read_frame
from regengine.pipeline import RunInputs
from regengine.registration.blind.index import FARTHEST_LAT_DEG
from regengine.registration.blind.options import BlindOptions
from regengine.registration.register import RegisterParams

if TYPE_CHECKING:
    from benchmarks.trials.attempt import Registration
    from regengine.registration.blind.index import EarthIndex

# Kinds of trials that show lit places: a wrong time or another pass is nothing to a search that
# looks at neither
CITIES = ("city", "elsewhere", "other_time")
FRAMES = ("all", "steep", "limb", "unknown")
STEEP_DEG = 30.0


@dataclass(frozen=True, kw_only=True)
class BlindTrialSettings(TrialSettings):
    """What all trials share, the index of the map, and how many searches a trial is."""

    index: Path
    searches: int = 1

    @property
    def limit_s(self) -> float:
        """Longest that one trial may take."""
        return self.searches * super().limit_s


def prepare_blind(settings: BlindTrialSettings) -> None:
    """Make a process ready: world, map and index open."""
    prepare(settings)
    index_of(settings)


def index_of(settings: TrialSettings) -> EarthIndex:
    """The index that the trials are held against, open in this process."""
    from regengine.registration.blind.options import BlindOptions, earth_index

    assert isinstance(settings, BlindTrialSettings)
    assert settings.lights is not None
    return earth_index(BlindOptions(always=True, index=settings.index), [settings.lights])


def place(frame: Frame, index: EarthIndex) -> Registration:
    """Place a photo by its lights alone, and what that took."""
    from benchmarks.trials.attempt import Registration
    from regengine.registration.blind.options import BlindLimits
    from regengine.registration.blind.register import blind_result, search_blind

    shop = workshop()
    parameters = shop.settings.register
    wall, cpu = time.perf_counter(), time.process_time()
    search = search_blind(frame, shop.light_map, index, parameters, BlindLimits())
    return Registration(
        result=blind_result(search),
        search=search,
        seconds_cpu=time.process_time() - cpu,
        seconds_wall=time.perf_counter() - wall,
    )


def run_blind_trial(seed: int) -> Columns:
    """Draw, place and score one trial; an error in the engine is a row with the problem."""
    from benchmarks.trials.attempt import outcome_columns, trial_columns, write_trial
    from regengine.photo.frame import read_frame

    trial = workshop().draw(seed)
    columns = trial_columns(trial)
    with tempfile.TemporaryDirectory() as folder:
        photo, _ = write_trial(trial, Path(folder))
        try:
            found = place(read_frame(photo), index_of(workshop().settings))
            return columns | outcome_columns(trial, found)
        except Exception as error:
            return columns | failed(f"{type(error).__name__}: {error}")


def seeds_of(seeds: range, frames: str, settings: TrialSettings) -> list[int]:
    """Seeds whose trials are of some frames alone, of which few are drawn."""
    from benchmarks.trials.draw import told_shot
    from benchmarks.trials.run import open_workshop
    from benchmarks.trials.shot import off_nadir_deg, view_shares

    if frames == "all":
        return list(seeds)
    source, chosen = open_workshop(settings).source, []
    for seed in seeds:
        try:
            kind, shot, claim = told_shot(seed, source)
        except RuntimeError:  # no such place was found, and the trial would be none
            continue
        fits = {
            "steep": off_nadir_deg(shot.camera) <= STEEP_DEG,
            "limb": view_shares(shot.camera)[1] > 0.0,
            "unknown": claim.focal_told == "unknown",
        }
        if kind in CITIES and fits[frames]:
            chosen.append(seed)
    return chosen


def run_blind_trials(
    seeds: Iterable[int],
    table: Path,
    settings: BlindTrialSettings,
    workers: int,
    tell: Callable[[str], None],
    work: Callable[[int], Columns] = run_blind_trial,
) -> None:
    """Run the trials that the table does not hold yet; each appends a row as it ends."""

    def said(row: Columns) -> None:
        verdict = row.get("verdict", "done")
        tell(f"trial {row['seed']}: {row['kind']}, {verdict}, right {row.get('right')}")

    run_trials(
        seeds,
        table,
        settings,
        workers=workers,
        tell=said,
        work=work,
        describe=draw_only,
        prepare=prepare_blind,
    )


# The real photographs placed blindly: no time, no orbit, no nadir is told.


def real_outcomes(
    given: argparse.Namespace, lights: Path, index: Path, tell: Callable[[str], None]
) -> list[Outcome]:
    """Place every real photo, each in a process of its own.

    Photos of other categories than city lights are tried, too, though they do not look like it:
    none of them may be placed wrongly.
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


# Blind placing by the area searched and by how far off the lens is told: a row a photo.

PLACES = 15
# Shares of the ground between 68° south and north, in a box around where the photo was taken
AREAS = (1.0, 0.1, 0.01)
# How far off the focal length is told; to either side, by the seed
FOCALS_OFF = (0.03, 0.08, 0.16)
# Names of the searches of a photo, and what they tell
SWEPT = tuple(
    [(f"area_{share:g}", f"{share:.0%} of the Earth") for share in AREAS]
    + [(f"focal_{off:g}", f"lens off by {off:.0%}") for off in FOCALS_OFF]
)
VARIANTS = len(SWEPT)
Bounds = tuple[float, float, float, float]


def around(lon: float, lat: float, share: float) -> Bounds | None:
    """A box of about this share of the searched Earth around a place; None for all of it."""
    if share >= 1.0:
        return None
    area_deg2 = 360.0 * math.degrees(2.0 * math.sin(math.radians(FARTHEST_LAT_DEG))) * share
    high = math.sqrt(area_deg2) / 2.0
    wide = min(180.0, high / math.cos(math.radians(lat)))
    return lon - wide, max(lat - high, -90.0), lon + wide, min(lat + high, 90.0)


def variants(seed: int) -> list[tuple[str, float, float]]:
    """Name, share of the Earth and factor on the focal length of each search of a photo."""
    side = 1.0 if seed % 2 else -1.0
    return [(f"area_{share:g}", share, 1.0) for share in AREAS] + [
        (f"focal_{off:g}", 1.0, math.exp(side * off)) for off in FOCALS_OFF
    ]


def with_focal_px(frame: Frame, focal_px: float) -> Frame:
    """A photo of whose lens is known what is given, in pixels of its file."""
    longest = max(frame.width_px, frame.height_px)
    pitch_mm = FULL_FRAME_MM[0] / longest
    return replace(frame, focal_mm=focal_px * pitch_mm, pixel_pitch_um=1e3 * pitch_mm)


def run_blind_sweep(seed: int) -> Columns:
    """Draw one trial and place it in every variant.

    Kinds without cities, and photos with too few places, are a row without any.
    """
    from benchmarks.trials.attempt import camera_of, outcome_columns, trial_columns, write_trial

    trial = workshop().draw(seed)
    columns = trial_columns(trial)
    if columns["kind"] not in CITIES or columns["places"] < PLACES:
        return columns
    index = index_of(workshop().settings)
    with tempfile.TemporaryDirectory() as folder:
        photo, _ = write_trial(trial, Path(folder))
        try:
            frame = read_frame(photo)
            for name, share, factor in variants(seed):
                bounds = around(columns["lon"], columns["lat"], share)
                found = place(
                    with_focal_px(frame, factor * camera_of(trial.camera).focal_px),
                    index if bounds is None else index.within(bounds),
                )
                outcome = outcome_columns(trial, found)
                columns |= {
                    f"{name}_{key}": outcome.get(key) for key in ("verdict", "right", "seconds_cpu")
                }
        except Exception as error:
            return columns | failed(f"{type(error).__name__}: {error}")
    return columns
