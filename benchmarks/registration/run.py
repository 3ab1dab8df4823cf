"""The real photographs registered and scored, each in a process of its own, and their page."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from benchmarks.pages import NONE, number, share, table, tell, title_lines
from benchmarks.processes import Lost, peak_memory_mb, work_through
from benchmarks.registration.cases import (
    CATEGORIES,
    ELEMENT_SETS,
    RECORDS,
    WORLD,
    WORLD_MAP,
    Case,
    Settings,
    Told,
    list_cases,
    list_photos,
)
from benchmarks.registration.truth import (
    MAP_PIXEL_M,
    misses_px,
    read_named_places,
    read_reference_cameras,
    score_columns,
)
from benchmarks.rows import Row
from benchmarks.trials.report import OUTCOME_OF, RIGHT_ACCEPTED, WRONG_ACCEPTED
from matchers.geometry.earth import great_circle_km
from regengine.errors import RegengineError
from regengine.maps.build import build
from regengine.maps.index.earth import BlindOptions, load_earth_index
from regengine.maps.opening import light_map_of, open_references
from regengine.maps.places import name_view, place_index
from regengine.registration.overlay import write_overlay
from regengine.registration.prepare_photo import load_compiled
from regengine.runs.pipeline import process_photo
from regengine.runs.run_inputs import RunInputs
from regengine.score.registration import distance_m
from regengine.store.records import centre_text, probability_text
from regengine.store.result import FrameResult

# What the program says of a photo that it does not try, unless told to
TURNED_AWAY = "not_a_night_city_frame"


def inputs_for(case: Case, settings: Settings) -> RunInputs:
    """What `regengine register` would be given; the lens alone where nothing is told."""
    assert settings.real is not None and settings.lights is not None  # noqa: PT018
    world = case.lights == WORLD
    inputs = RunInputs(
        lights=(settings.lights if world else settings.real / case.lights,),
        register=settings.parameters(any_category=case.any_category),
        blind=BlindOptions(index=settings.index if world else None),
    )
    if settings.told != "all":
        lens = replace(case.options, nadir=None, time_utc=None, altitude_km=None)
        # A name does not change what a search of the whole Earth finds
        modes: dict[str, Any] = {"nothing": "always", "wrong": "never"}
        blind = replace(inputs.blind, mode=modes.get(settings.told, "auto"))
        return replace(inputs, frame=lens, blind=blind)
    return replace(
        inputs,
        frame=case.options,
        tle=(settings.real / ELEMENT_SETS,),
        metadata=settings.real / RECORDS,
    )


def build_world_map(real: Path, folder: Path) -> Path:
    """The world map as one indexed file, built if it is not in the folder."""
    list_photos(real)  # which says what is wrong with the folder of real data
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "world-lights.tif"
    if not path.is_file():
        build("lights", open_references("lights", [real / WORLD_MAP]), path)
    return path


def run_case(job: tuple[Case, Settings]) -> Row:
    """Register a case, measure what it takes, score it and draw it: the work of a process."""
    case, settings = job
    cv2.setNumThreads(1)
    inputs = inputs_for(case, settings)
    inputs.open()
    load_earth_index(inputs.blind, inputs.lights)
    load_compiled()
    wall, cpu = time.perf_counter(), time.process_time()
    result, problem = None, ""
    try:
        result = process_photo(case.photo, inputs)
    except RegengineError as error:
        problem = error.code
    row: Row = {
        "verdict": "failed",
        "problem": problem,
        # Imports, of compiled code, too, and the opening of map and element sets are not in them
        "seconds_wall": time.perf_counter() - wall,
        "seconds_cpu": time.process_time() - cpu,
        "peak_mb": peak_memory_mb(),
    }
    if result is None:
        return row
    city = case.category in CATEGORIES and not case.any_category
    if settings.overlays is not None and (city or result.verdict == "accepted"):
        drawn = write_overlay(result, case.photo, light_map_of(inputs.lights), settings.overlays)
        name = case.name.replace(", ", "_").replace(" ", "_").replace("°", "deg")
        drawn.rename(settings.overlays / f"{name}.png")
    return row | result_columns(result) | truth_columns(case, result)


def result_columns(result: FrameResult) -> Row:
    """What the program says."""
    nadir, solved, fit = result.nadir, result.solved, result.fit
    row: Row = {
        "verdict": result.verdict,
        "reasons": ", ".join(reason.code for reason in result.reasons),
        "probability": result.probability,
        "centre": centre_text(result),
    }
    if nadir is not None:
        age = "" if nadir.tle_age_h is None else f", {nadir.tle_age_h / 24.0:.1f} d"
        row["position"] = f"{nadir.source}{age}"
    if solved is not None:
        row |= {"off_nadir_deg": solved.off_nadir_deg, "clock_s": solved.along_track_offset_s}
    return row if fit is None else row | {"margin": fit.margin}


def truth_columns(case: Case, result: FrameResult) -> Row:
    """What is known against a proposal: by the reference camera, and by named places."""
    reference = read_reference_cameras().get(case.file)
    if result.solved is None or reference is None or reference.camera is None:
        return {}
    camera, places = result.solved.camera, read_named_places().get(case.file)
    row = score_columns(camera, result.control_points, reference.camera)
    if places is None:
        return row
    x, y, lon, lat = places[["x", "y", "lon", "lat"]].to_numpy(float).T
    off_m = distance_m(*camera.pixel_to_lonlat(x, y), lon, lat)
    return row | {
        "places": len(places),
        "places_within": int((off_m <= 1000.0 * row["bar_km"]).sum()),
        "places_px": float(np.median(misses_px(camera, places))),
        "reference_places_px": float(np.median(misses_px(reference.camera, places))),
    }


FRESH = ("all", "nothing")  # those of which time and memory are measured
ELSEWHERE = ("Lagos", "Jakarta", "Moscow", "Los Angeles", "Sydney", "São Paulo", "Delhi")


def name_cases(cases: Iterable[Case], told: Told) -> Iterator[Case]:
    """Cases of which the name of the town in view is told, or, one by one, those of far cities."""
    index = place_index()
    for case in cases:
        reference = read_reference_cameras().get(case.file)
        shown = name_view(reference.camera) if reference else None
        names = [shown.name] if shown and shown.population else []
        if told == "wrong":
            far = [index.find_named(name)[0] for name in ELSEWHERE]
            names = [
                one.name
                for one in far
                if shown is None or great_circle_km(shown.lon, shown.lat, one.lon, one.lat) > 3000
            ]
        for name in names:
            options = replace(case.options, place=name)
            yield replace(case, name=f"{case.name}, {name}", options=options)


def run_cases(cases: Iterable[Case], settings: Settings, workers: int) -> list[Row]:
    """Run some cases, in their order; what goes wrong in one costs this one only."""
    jobs = [(case, settings) for case in cases]
    done = {}
    for (case, _), row in work_through(
        jobs, run_case, workers=workers, fresh=settings.told in FRESH
    ):
        if isinstance(row, Lost):
            row = {"verdict": "failed", "problem": row.problem}
        told = {name: getattr(case, name) for name in ("name", "file", "note", "plain")}
        done[case.name] = told | row
        seconds = (row.get(f"seconds_{of}", float("nan")) for of in ("cpu", "wall"))
        tell("{}: {}, {:.1f} s CPU, {:.1f} s".format(case.name, row["verdict"], *seconds))
    return [done[case.name] for case, _ in jobs]


def other_rows(settings: Settings, rows: list[Row], only: str, workers: int) -> list[Row]:
    """The photos of other categories, and again all that do not look like a night city."""
    assert settings.real is not None
    cases = [
        case
        for case in list_cases(settings.real, cities=False)
        if only.lower() in case.name.lower()
    ]
    others = run_cases(cases, settings, workers)
    away = {row["name"] for row in [*rows, *others] if TURNED_AWAY in row.get("reasons", "")}
    again = [
        replace(case, name=f"{case.name}, any category", any_category=True)
        for case in [*list_cases(settings.real), *cases]
        if case.name in away and case.lights == WORLD
    ]
    return others + run_cases(again, settings, workers)


def real_page(settings: Settings, only: str, *, all_categories: bool, workers: int) -> list[str]:
    """Register the real photographs; the whole page."""
    assert settings.real is not None
    cases: Iterable[Case] = list_cases(settings.real)
    cases = [case for case in cases if only.lower() in case.name.lower()]
    if settings.told in ("place", "wrong"):
        cases = name_cases(cases, settings.told)
    rows = run_cases(cases, settings, workers)
    others = other_rows(settings, rows, only, workers) if all_categories else []
    heading = "Registration of real photographs"
    heading += "" if settings.told == "all" else f", told: {settings.told}"
    assert settings.lights is not None
    note = (
        f"Light map: {settings.lights.name}. Index: {settings.index_words}. Budget of a search: "
        f"{settings.max_work:g} s of work. docs/benchmarks.md explains the columns."
    )
    return [*title_lines(heading, note), *page_lines(rows, others)]


HEADER = (
    *("photo", "position from", "centre", "off-nadir", "verdict", "judged", "probability"),
    *("margin", "from the reference m", "map px", "% of diagonal", "worst control point"),
    *("named places px", "within the bar", "clock s", "s", "CPU s", "MB", "reasons"),
)
TEXTS = ("name", "file", "note", "verdict", "problem", "reasons", "position", "centre")
NUMBERS = (
    *("probability", "margin", "off_nadir_deg", "clock_s", "bar_km", "grid_median_m"),
    *("grid_max_m", "grid_median_percent", "grid_max_percent", "places", "places_within"),
    *("places_px", "reference_places_px", "seconds_wall", "seconds_cpu", "peak_mb"),
)
COLUMNS = (*TEXTS, *NUMBERS, "plain", "right", "point_error_m")
GOALS = "aims: 1.5 s in the median, 8 s for one in twenty, 1,024 MB"


def page_lines(rows: list[Row], others: list[Row]) -> list[str]:
    """All tables, as Markdown lines."""
    tried = pd.DataFrame([*rows, *others]).reindex(columns=list(COLUMNS))
    tried[list(TEXTS)] = tried[list(TEXTS)].fillna("")
    tried[list(NUMBERS)] = tried[list(NUMBERS)].astype(float)
    tried["outcome"] = [
        "unknown" if right not in (True, False) else OUTCOME_OF.get(verdict, ("", ""))[not right]
        for verdict, right in zip(tried.verdict, tried.right, strict=True)
    ]
    unknown = tried[(tried.verdict == "accepted") & (tried.outcome == "unknown")]
    wrong = tried[tried.outcome == WRONG_ACCEPTED]
    plain = tried.iloc[: len(rows)][lambda some: some.plain.astype(bool)]
    counts, order = plain.verdict.value_counts(), ("accepted", "review", "no_match", "failed")
    verdicts = [f"{counts[verdict]} {verdict}" for verdict in order if verdict in counts]
    scope = "All categories, `--any-category` too" if others else "City photos only"
    shown = [*tried.iloc[: len(rows)].itertuples()]
    shown += [one for one in tried.iloc[len(rows) :].itertuples() if one.verdict == "accepted"]
    return [
        "## The frames that must be placed",
        "",
        *frame_lines(plain),
        f"{scope}: wrong and accepted: {names_of(wrong)} (aim: none). Accepted without a reference "
        f"camera, to be looked at: {names_of(unknown)}.",
        "",
        "## In short",
        "",
        f"- Verdicts of the photos as they are: {', '.join(verdicts)}.",
        f"- Right, accepted or not: {names_of(plain[plain.right.eq(True)])}.",
        f"- Wrong, accepted or not: {names_of(tried[tried.right.eq(False)])}.",
        *cost_lines(plain, tried),
        "",
        "## Photographs",
        "",
        *table(HEADER, [result_cells(one) for one in shown]),
    ]


def frame_lines(plain: pd.DataFrame) -> list[str]:
    """The frames that must be placed, and how many are: an edited frame and its copy count once."""
    references = list(read_reference_cameras().values())
    must = {one.frame for one in references if one.must_be_placed}
    rows, placed = [], 0
    for frame in sorted(must):
        files = [one.row["file"] for one in references if one.frame == frame]
        run = plain[plain.file.isin(files)]
        if len(run):
            right, wrong = (run.outcome == word for word in (RIGHT_ACCEPTED, WRONG_ACCEPTED))
            good = bool(right.any() and not wrong.any())
            placed += good
            said = (
                f"{name}: {verdict}{judged_words(right, ', ')}"
                for name, verdict, right in zip(run["name"], run.verdict, run.right, strict=True)
            )
            rows.append([frame, "; ".join(said), "yes" if good else "**no**"])
    return [
        f"Right and accepted: {share(placed, len(rows))} (aim: 75 %). These are the city frames "
        "with an element set within 10 days or a recorded nadir, and at least eight separable lit "
        "places; an edited frame and its copy in the archive count once, as placed if at least one "
        "of the two is right and accepted and none is wrong and accepted.",
        "",
        *([*table("frame | files | placed", rows), ""] if rows else []),
    ]


def judged_words(right: object, before: str = "") -> str:
    """Right or wrong, in bold what is wrong; nothing where it is not known."""
    return {True: f"{before}right", False: f"{before}**wrong**"}.get(right, "")  # type: ignore[call-overload]


def names_of(some: pd.DataFrame) -> str:
    return ", ".join(some["name"]) or "none"


def cost_lines(plain: pd.DataFrame, tried: pd.DataFrame) -> list[str]:
    """Time of the photos as they are, of the processor and on the wall, and memory of all cases."""
    timed = plain[plain.verdict != "failed"]
    if timed.empty:
        return []
    cpu, wall = timed.seconds_cpu, timed.seconds_wall
    return [
        f"- Time of a photo as it is: median {cpu.median():.1f} s of CPU, {wall.median():.1f} s of "
        f"wall time, 95th percentile {cpu.quantile(0.95):.1f} and {wall.quantile(0.95):.1f} s, "
        f"slowest {cpu.max():.1f} s of CPU ({timed.name[cpu.idxmax()]}). Largest memory: "
        f"{tried.peak_mb.max():.0f} MB ({GOALS})."
    ]


def result_cells(one: Any) -> list[str]:
    """One case of the main table."""
    errors, near = [NONE] * 4, [NONE] * 2
    if one.right in (True, False):
        worst_km = max(one.point_error_m, default=np.nan) / 1e3
        pixels = one.grid_median_m / MAP_PIXEL_M, one.grid_max_m / MAP_PIXEL_M
        errors = [
            two_numbers(one.grid_median_m, one.grid_max_m, 0),
            two_numbers(*pixels),
            two_numbers(one.grid_median_percent, one.grid_max_percent),
            f"{number(worst_km)} of {one.bar_km:.2f} km",
        ]
    if one.places > 0:
        near = [
            f"{number(one.places_px, 1)} ({number(one.reference_places_px, 1)})",
            f"{one.places_within:.0f} of {one.places:.0f}",
        ]
    said = one.position, one.centre, number(one.off_nadir_deg, 0), one.verdict
    sure = NONE if np.isnan(one.probability) else probability_text(one.probability)
    spent = ((one.clock_s, 1), (one.seconds_wall, 1), (one.seconds_cpu, 1), (one.peak_mb, 0))
    cells = [
        one.name + (f" ({one.note})" if one.note else ""),
        *(*said, judged_words(one.right), sure, number(one.margin), *errors, *near),
        *(number(value, digits) for value, digits in spent),
        one.reasons or one.problem,
    ]
    return [cell or NONE for cell in cells]


def two_numbers(median: float, largest: float, digits: int = 2) -> str:
    return f"{number(median, digits)} / {number(largest, digits)}"
