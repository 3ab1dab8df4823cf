"""Which photographs are placed by their lights alone: real ones, and simulated ones by the hundred.

``python -m benchmarks blind --real FOLDER --cache FOLDER`` places every real photo without time
and orbit; with ``--seeds FIRST:LAST --table CASES.csv`` the simulated ones of those seeds, too;
with ``--sweep FIRST:LAST --sweep-table CASES.csv`` those in regions of several sizes, and with
lenses told more or less wrong. ``--out FOLDER`` writes the page and its figures, dated.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.pages import command_of, title_lines
from benchmarks.processes import Columns, run_alone
from benchmarks.registration import publish, tell
from benchmarks.registration.cases import CATEGORIES, WORLD, Case, list_cases, list_other_cases
from benchmarks.registration.process import Job, Outcome, run_case
from benchmarks.registration.real import built_map
from benchmarks.registration.report import is_accepted, judgement
from benchmarks.registration.truth import load_truth
from benchmarks.row_tables import Row, number_of, read_rows
from benchmarks.trials.outcomes import outcome_of, upper_bound, wilson_interval
from benchmarks.trials.run import TrialSettings, draw_only, failed, prepare, run_trials, workshop
from regengine.photo.camera_bodies import FULL_FRAME_MM
from regengine.photo.frame import Frame, read_frame
from regengine.pipeline import RunInputs
from regengine.registration.index.earth import FARTHEST_LAT_DEG
from regengine.registration.index.options import BlindOptions
from regengine.registration.register import RegisterParams

if TYPE_CHECKING:
    from benchmarks.trials.attempt import Registration
    from regengine.registration.index.earth import EarthIndex

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
    from regengine.registration.index.options import BlindOptions, earth_index

    assert isinstance(settings, BlindTrialSettings)
    assert settings.lights is not None
    index = earth_index(BlindOptions(index=settings.index), [settings.lights])
    assert index is not None
    return index


def place(frame: Frame, index: EarthIndex) -> Registration:
    """Place a photo by its lights alone, and what that took."""
    from benchmarks.trials.attempt import Registration
    from regengine.registration.outcome import result_of
    from regengine.registration.register import search_frame
    from regengine.registration.search import SearchAids

    shop = workshop()
    parameters = shop.settings.register
    wall, cpu = time.perf_counter(), time.process_time()
    search = search_frame(frame, None, shop.light_map, parameters, SearchAids(index=index))
    return Registration(
        result=result_of(search),
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
        blind=BlindOptions(mode="always", index=index),
    )
    truth = load_truth(case.file)
    job = Job(case=case, inputs=inputs, truth=truth, overlays=given.overlays)
    try:
        outcome, problem = run_alone(run_case, job), "the process died"
    except Exception as error:  # one of many cases, hours into a run
        outcome, problem = None, f"crashed: {type(error).__name__}"
        tell(traceback.format_exc())
    outcome = outcome or Outcome(case=case, truth=truth, problem=problem)
    tell(f"{case.name}: {outcome.verdict}, {outcome.cpu_s:.1f} s CPU")
    return outcome


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


FOCAL_KNOWN = 0.03


def page_lines(
    real: Sequence[Outcome],
    rows: Sequence[Row],
    sweep: Sequence[Row],
    command: str,
    note: str,
) -> list[str]:
    """The page."""
    lines = title_lines("Photographs placed by their lights alone", command, note)
    if rows:
        lines += simulated_lines(rows)
    if sweep:
        lines += sweep_lines(sweep)
    if real:
        lines += real_lines(real)
    return lines


def groups_of(rows: Sequence[Row]) -> list[tuple[str, list[Row], float | None]]:
    """Kinds of simulated frames, and which share is to be right and accepted."""
    lit = [r for r in rows if r["kind"] in CITIES and number_of(r["places"]) >= PLACES]
    known = [r for r in lit if abs(told_focal_error(r)) <= FOCAL_KNOWN]
    steep = [r for r in known if number_of(r["off_nadir_deg"]) <= STEEP_DEG]
    limb = [r for r in known if r["limb_visible"] == "1"]
    between = [r for r in known if r not in steep and r not in limb]
    few = [r for r in rows if r["kind"] in CITIES and number_of(r["places"]) < PLACES]
    return [
        (f"off-nadir at most {STEEP_DEG:g}°, focal length known", steep, 0.80),
        ("limb in view, focal length known", limb, 0.60),
        (f"beyond {STEEP_DEG:g}° without the limb, focal length known", between, None),
        ("focal length not told", [r for r in lit if r["focal_told"] == "unknown"], 0.40),
        (
            f"a lens is told, but the picture's scale is off by more than {FOCAL_KNOWN:.0%}",
            [r for r in lit if abs(told_focal_error(r)) > FOCAL_KNOWN],
            None,
        ),
        (f"fewer than {PLACES} lit places", few, None),
        (
            "no city",
            [r for r in rows if r["kind"] not in CITIES],
            None,
        ),
    ]


def told_focal_error(row: Row) -> float:
    """How far off a picture's focal length in pixels is by what is told of it; nan if nothing is.

    EXIF does not tell that a picture was cropped: what is left looks as if of a wider lens. Of a
    crop that changed the picture's shape the table has the larger share alone, so the error of some
    is larger than this.
    """
    return (1.0 + number_of(row["focal_error"])) * number_of(row["crop_share"]) - 1.0


def simulated_lines(rows: Sequence[Row]) -> list[str]:
    """Tables of the simulated photographs."""
    lines = [
        "## Simulated photographs",
        "",
        f"{len(rows)} photographs of the {rows[0]['half']} half, drawn as for the registration "
        f"benchmark; told is the lens, where EXIF has it. First the frames with at least {PLACES} "
        f"separable lit places. Known is a focal length within {FOCAL_KNOWN:.0%}: pictures that "
        "were cropped, or whose EXIF tells another lens, have a row of their own.",
        "",
        "| frames | n | right and accepted | asked | right | wrong, accepted | median CPU s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, group, asked in groups_of(rows):
        lines.append(f"| {name} | {share_cells(group, asked)} |")
    accepted = [r for r in rows if r["verdict"] == "accepted"]
    wrong = [r for r in accepted if outcome_of(r).startswith("wrong")]
    cpu = np.array([number_of(r["seconds_cpu"]) for r in rows])
    lines += [
        "",
        f"Wrong among the accepted: {len(wrong)} of {len(accepted)} (95 % bound "
        f"{upper_bound(len(wrong), max(len(accepted), 1)):.4f}; aim 0.001). CPU: median "
        f"{np.nanmedian(cpu):.1f} s (aim 10), 95th percentile {np.nanpercentile(cpu, 95):.1f} s.",
        "",
    ]
    if wrong:
        lines += ["Wrong and accepted: seeds " + ", ".join(r["seed"] for r in wrong) + ".", ""]
    return lines


def share_cells(rows: Sequence[Row], asked: float | None) -> str:
    """Cells of a group of simulated photographs."""
    right = [r for r in rows if r.get("right") == "1" and r["verdict"] in ("accepted", "review")]
    accepted = [r for r in right if r["verdict"] == "accepted"]
    wrong = [r for r in rows if r["verdict"] == "accepted" and r not in accepted]
    share = "–"
    if rows:
        low, high = wilson_interval(len(accepted), len(rows))
        share = f"{len(accepted) / len(rows):.0%} ({low:.0%} to {high:.0%})"
    cpu = [number_of(r["seconds_cpu"]) for r in rows]
    median = f"{np.nanmedian(cpu):.1f}" if rows else "–"
    goal = "–" if asked is None else f"{asked:.0%}"
    return f"{len(rows)} | {share} | {goal} | {len(right)} | {len(wrong)} | {median}"


def sweep_lines(sweep: Sequence[Row]) -> list[str]:
    """Table of what areas and lenses cost and bring."""
    placed = [row for row in sweep if row.get(f"{SWEPT[0][0]}_verdict")]
    lines = [
        "## Area and tolerance",
        "",
        f"{len(placed)} photographs of the {placed[0]['half'] if placed else 'same'} half with at "
        f"least {PLACES} lit places, each placed anew in regions of several sizes around the "
        "truth, and with its true focal length told, or one that is off.",
        "",
        "| told | right and accepted | right | wrong, accepted | median CPU s |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, told in SWEPT:
        good = sum(row[f"{name}_right"] == "1" for row in placed)
        taken = [row for row in placed if row[f"{name}_verdict"] == "accepted"]
        wrong = sum(row[f"{name}_right"] != "1" for row in taken)
        cpu = np.median([number_of(row[f"{name}_seconds_cpu"]) for row in placed] or [np.nan])
        lines.append(f"| {told} | {len(taken) - wrong} | {good} | {wrong} | {cpu:.1f} |")
    return [*lines, ""]


def real_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Table of the real photographs: the cities, and what else was accepted."""
    cities = [o for o in outcomes if o.case.category in CATEGORIES]
    wrong = [o for o in outcomes if is_accepted(o, "wrong")]
    right = [o for o in cities if is_accepted(o, "right")]
    known = [o for o in cities if o.truth.camera is not None]
    cpu = [o.cpu_s for o in cities if np.isfinite(o.cpu_s)]
    others = [o for o in outcomes if o.case.category not in CATEGORIES]
    lines = [
        "## Real photographs",
        "",
        f"- Right and accepted: {len(right)} of {len(known)} city photographs with a reference "
        f"camera. Wrong and accepted: {len(wrong)} of all {len(outcomes)}"
        + (f" ({', '.join(o.case.name for o in wrong)})." if wrong else "."),
        f"- CPU of city photographs: median {np.median(cpu):.1f} s; largest memory "
        f"{max(o.peak_mb for o in outcomes):.0f} MB."
        if cpu
        else "- No city photograph was tried.",
        f"- Of {len(others)} photographs of other kinds, tried all the same, accepted: "
        + (", ".join(o.case.name for o in others if o.verdict == "accepted") or "none")
        + ".",
        "",
        "| photo | verdict | judged | probability | centre | off-nadir | CPU s | reasons |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    shown = [*cities, *(o for o in others if o.verdict in ("accepted", "review"))]
    return [*lines, *(real_row(outcome) for outcome in shown), ""]


def real_row(outcome: Outcome) -> str:
    """Row of one real photograph."""
    result, camera = outcome.result, outcome.camera
    probability = None if result is None else result.probability
    where, tilt = "–", "–"
    if camera is not None:
        lon, lat = camera.pixel_to_lonlat(camera.width_px / 2.0, camera.height_px / 2.0)
        where = f"{float(lat):.2f} {float(lon):.2f}" if np.isfinite(lon) else "sky"
        tilt = f"{camera.off_nadir_deg:.0f}°"
    reasons = "" if result is None else ", ".join(reason.code for reason in result.reasons)
    cells = [
        outcome.case.name,
        outcome.verdict,
        judgement(outcome),
        "–" if probability is None else f"{probability:.3f}",
        where,
        tilt,
        f"{outcome.cpu_s:.1f}",
        reasons or outcome.problem or "–",
    ]
    return "| " + " | ".join(cells) + " |"


INDEX = "earth.idx"


def built_index(lights: Path, cache: Path) -> tuple[Path, str]:
    """The map's index, made if it is not in the cache, and a sentence on it."""
    from regengine.errors import ConfigError
    from regengine.lights.map import open_light_map
    from regengine.registration.index.earth import (
        build_earth_index,
        read_earth_index,
        write_earth_index,
    )

    path = cache / INDEX
    try:
        read_earth_index(path, [lights])
        made = "made earlier"
    except ConfigError:
        started = time.process_time()
        write_earth_index(build_earth_index(open_light_map([lights])), [lights], path)
        made = f"made in {time.process_time() - started:.0f} s of CPU"
    return path, f"Index: {path.stat().st_size / 1e6:.0f} MB, {made}."


def main(argv: list[str]) -> int:
    """Run the benchmark; 0 when done, 2 if it cannot be started."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks blind", description=__doc__)
    parser.add_argument("--real", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--cache", type=Path, required=True, help="keeps map and index")
    parser.add_argument("--only", default="", help="real photos whose name contains this")
    parser.add_argument(
        "--kinds", choices=("all", "cities", "others"), default="all", help="of real photos"
    )
    parser.add_argument("--no-real", action="store_true", help="simulated photographs alone")
    parser.add_argument("--half", choices=("train", "test"), default="test", help="of the world")
    parser.add_argument("--seeds", default="", help="FIRST:LAST, simulated ones, LAST excluded")
    parser.add_argument(
        "--frames",
        choices=FRAMES,
        default="all",
        help="of these seeds, cities at most 30 degrees off nadir, with the limb in view, or with "
        "an unknown lens alone",
    )
    parser.add_argument("--table", type=Path, help="CSV of simulated ones; is continued")
    parser.add_argument(
        "--sweep", default="", help="FIRST:LAST, simulated ones placed with several areas, lenses"
    )
    parser.add_argument("--sweep-table", type=Path, help="CSV of them; is continued")
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--max-seconds", type=float, default=RegisterParams().max_seconds)
    parser.add_argument("--overlays", type=Path, help="folder for a picture per real photo")
    parser.add_argument("--out", type=Path, help="folder for the dated page")
    given = parser.parse_args(argv)
    if not (given.real / "photos" / "index.csv").is_file():
        tell(f"{given.real} holds no photos/index.csv: give the folder of the real data")
        return 2
    if given.seeds and given.table is None:
        tell("no table of simulated ones: say --table CASES.csv")
        return 2
    if given.sweep and given.sweep_table is None:
        tell("no table of areas and lenses: say --sweep-table CASES.csv")
        return 2
    given.cache.mkdir(parents=True, exist_ok=True)
    lights, note = built_map(given.real, given.cache)
    index, index_note = built_index(lights, given.cache)
    settings = BlindTrialSettings(
        half=given.half,
        real=given.real,
        lights=lights,
        index=index,
        register=RegisterParams(max_seconds=given.max_seconds, clock=time.process_time),
    )
    real = [] if given.no_real else real_outcomes(given, lights, index, tell)
    if given.seeds:
        first, last = (int(number) for number in given.seeds.split(":"))
        seeds = seeds_of(range(first, last), given.frames, settings)
        run_blind_trials(seeds, given.table, settings, given.workers, tell)
    if given.sweep:
        first, last = (int(number) for number in given.sweep.split(":"))
        run_blind_trials(
            range(first, last),
            given.sweep_table,
            replace(settings, searches=VARIANTS),
            given.workers,
            tell,
            run_blind_sweep,
        )
    rows = [] if given.table is None else read_rows([given.table])
    command = command_of("blind", [word for word in sys.argv[2:] if word])
    sweep = [] if given.sweep_table is None else read_rows([given.sweep_table])
    page = page_lines(real, rows, sweep, command, f"{note} {index_note}")
    publish(page, "blind", given.out)
    return 0
