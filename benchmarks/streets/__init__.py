"""Telephoto frames on street maps: simulated by two generators, negatives, and real Paris.

A frame a seed is registered by the whole rule with an element set that is off by 5 km, a clock off
by up to 10 s and a focal length off by up to 3 %. ``--table`` keeps a row a trial; seeds that are
in it are not tried again. Real Paris is done before the first seed.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from typer import Option

from benchmarks.arrays import FloatArray
from benchmarks.options import Out, Real, Seeds, Workers, seeds_of
from benchmarks.pages import NONE, number, percent, share, table, tell, title_lines, write_page
from benchmarks.processes import Lost, work_through
from benchmarks.rows import Row, append_row, read_rows
from benchmarks.simulate.camera import wgs84
from benchmarks.simulate.truth import CameraSettings, exif_bytes
from benchmarks.streets.first import expose, see_scene
from benchmarks.streets.harsh import expose_harshly
from benchmarks.streets.maps import (
    CITIES,
    City,
    CityStreets,
    NoLights,
    build_map_of,
    build_maps,
    draw_grid_city,
    read_city,
)
from benchmarks.streets.shot import LOOSE, Shot, ShotRanges, draw_shot, grid_of
from benchmarks.trials.shot import off_nadir_deg
from matchers.geometry.camera import Camera
from regengine.errors import ConfigError
from regengine.maps.reference import RasterMap
from regengine.orbit import position_from_nadir
from regengine.orbit.position import choose_position, element_sets
from regengine.photo.frame import Frame, FrameOptions, read_frame
from regengine.registration.parameters import RegisterParams
from regengine.registration.prepare_photo import prepare_photo
from regengine.registration.register import search, state_problem
from regengine.registration.register_on_streets import report_on_streets
from regengine.registration.report_result import report_result, report_skipped
from regengine.registration.types import Prior, SearchReferences
from regengine.store.result import FrameResult

PARIS = "Paris_ISS043-E-93480.jpg"
PARIS_SEED = -1  # in the table of trials
RIGHT_PX, PARIS_RIGHT_M = 4.0, 100.0  # medians of a grid of 7 x 7 points, of the truth's points


LIMIT_S = 900.0  # of the clock, for a seed
_HELD: dict[str, Any] = {}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is tried on each seed."""

    real: Path
    folder: Path  # of the built street maps
    harsh: bool = False  # the second generator
    loose: bool = False  # clock and lens
    negatives: bool = False  # other and mirrored streets instead of the city's own
    grid: bool = False  # a city of regular blocks


def main(
    *,
    real: Real,
    table: Annotated[Path, Option(metavar="FILE", help="rows of trials, continued")],
    seeds: Seeds = "",
    maps: Annotated[Path, Option(help="folder that keeps the built street maps")] = Path(
        "out/street-maps"
    ),
    workers: Workers = 1,
    no_paris: Annotated[bool, Option("--no-paris")] = False,
    harsh: Annotated[bool, Option("--harsh", help="the second generator")] = False,
    loose: Annotated[
        bool, Option("--loose", help="a clock off by up to 120 s, a focal length by up to 20 %")
    ] = False,
    negatives: Annotated[
        bool, Option("--negatives", help="the streets of other cities, and mirrored ones")
    ] = False,
    grid: Annotated[bool, Option("--grid", help="a city of regular blocks")] = False,
    out: Out = None,
) -> None:
    """Run the benchmark."""
    if not (real / "streets").is_dir():
        raise ConfigError(f"{real} holds no streets/: give the folder of the real data.")
    kinds = {"harsh": harsh, "loose": loose, "negatives": negatives, "grid": grid}
    plan = Plan(real=real, folder=maps, **kinds)
    done = {row["seed"] for row in read_rows(table)}
    held = build_maps(real, maps)
    for row in try_paris(plan, held) if not no_paris and PARIS_SEED not in done else ():
        append_row(table, row)
    wanted = [seed for seed in seeds_of(seeds) if seed not in done]
    for seed, rows in work_through(
        wanted, work, workers=workers, limit_s=LIMIT_S, prepare=prepare, prepare_args=(plan,)
    ):
        if isinstance(rows, Lost):
            rows = [{"seed": seed, "trial": "lost", "verdict": "lost", "reasons": rows.problem}]
        for row in rows:
            append_row(table, row)
            tell(f"seed {seed}, {row['trial']}: {row['verdict']}, right: {row.get('right')}")
    words = ", ".join(name for name, asked in kinds.items() if asked) or "first generator"
    title = title_lines(f"Streets: {words}")
    write_page(out, "streets", [*title, *page_lines(read_rows(table), plan)])


def prepare(plan: Plan) -> None:
    _HELD.update(plan=plan, maps=build_maps(plan.real, plan.folder))


def work(seed: int) -> list[Row]:
    return list(try_seed(seed, _HELD["plan"], _HELD["maps"]))


@dataclass(frozen=True, kw_only=True)
class StreetFrame:
    """A simulated photo."""

    city: str  # whose roads it shows
    jpeg: bytes  # the file, with EXIF
    shot: Shot  # the true camera, and what is told of it

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The pixels as stored, (rows, columns, 3), red first."""
        with Image.open(io.BytesIO(self.jpeg)) as picture:
            return np.asarray(picture.convert("RGB"))


def simulate_frame(
    seed: int,
    real: Path,
    *,
    harsh: bool = False,
    ranges: ShotRanges | None = None,
    city: City | None = None,
) -> StreetFrame:
    """Simulate a frame of one of the four cities, or of another; equal seeds give equal bytes."""
    rng = np.random.default_rng([seed, 54, int(harsh)])
    city = city or read_city(real, CITIES[int(rng.integers(len(CITIES)))])
    shot = draw_shot(rng, city, ranges or ShotRanges())
    generate = expose_harshly if harsh else expose
    picture, quality = generate(rng, see_scene(city, shot.camera), shot.camera)
    told = shot.told
    exif = CameraSettings(clock_utc=told.time_utc, focal_mm=told.focal_mm, body="NIKON D4")
    buffer = io.BytesIO()
    values = np.clip(np.rint(255.0 * picture), 0, 255).astype(np.uint8)
    Image.fromarray(values).save(buffer, "JPEG", quality=quality, exif=exif_bytes(exif))
    return StreetFrame(city=city.name, jpeg=buffer.getvalue(), shot=shot)


# Trials


def others_of(own: CityStreets, name: str, maps: dict[str, CityStreets]) -> dict[str, CityStreets]:
    """Streets that a frame does not show, where those lie that it does."""
    others = {f"other {n}": maps[n].laid_at(own) for n in CITIES if n != name}
    return {"mirrored": replace(own, mirrored=True), **others}


def try_seed(seed: int, plan: Plan, maps: dict[str, CityStreets]) -> Iterator[Row]:
    """Simulate a frame of a seed and register it; a row for each trial."""
    city = draw_grid_city(seed % 8) if plan.grid else None
    ranges = LOOSE if plan.loose else ShotRanges()
    frame = simulate_frame(seed, plan.real, harsh=plan.harsh, ranges=ranges, city=city)
    if city is not None:
        maps = {**maps, "grid": build_map_of(replace(city, name=f"grid{seed % 8}"), plan.folder)}
    own = maps[frame.city]
    trials = others_of(own, frame.city, maps) if plan.negatives else {"own": own}
    shot = frame.shot
    for name, streets in trials.items():
        began = time.process_time()
        result = register_simulated(frame, streets, ranges)
        yield {
            "seed": seed,
            "trial": name,
            "city": frame.city,
            "gsd_m": shot.gsd_m,
            "tilt_deg": off_nadir_deg(shot.camera),
            "focal_mm": shot.focal_mm,
            "short_side_km": shot.short_side_km,
            "cpu_s": time.process_time() - began,
            **result_columns(result),
            **score_columns(result, shot),
        }


def register_simulated(frame: StreetFrame, streets: CityStreets, ranges: ShotRanges) -> FrameResult:
    """Register a simulated frame with what is told of it, its element set among that."""
    told = frame.shot.told
    with tempfile.TemporaryDirectory() as name:
        photo, tle = Path(name) / "photo.jpg", Path(name) / "tle.txt"
        photo.write_bytes(frame.jpeg)
        tle.write_text(told.tle)
        options = FrameOptions(focal_mm=told.focal_mm, pixel_pitch_um=told.pixel_pitch_um)
        read = read_frame(photo, options=options)
        prior = Prior(position=choose_position(read, element_sets((tle,))))
        params = RegisterParams(clock_window_s=ranges.clock_s)
        return place_on_streets(read, prior, streets, params)


def place_on_streets(
    frame: Frame, prior: Prior, streets: CityStreets, params: RegisterParams
) -> FrameResult:
    """What `register_frame` answers where no lights are at hand, with the score of what it refuses.

    For without lights nothing else than streets can be accepted.
    """
    none, city = cast(RasterMap, NoLights()), cast(RasterMap, streets)
    references = SearchReferences(light_map=none, streets=[city])
    problem = state_problem(prepare_photo(frame, prior, params), prior, references, params)
    if problem.photo.skip_reason is not None:
        return report_skipped(problem)
    state = search(problem)
    if state.street_match is None:
        return report_result(problem, state)
    return report_on_streets(problem, state.street_match)


def result_columns(result: FrameResult) -> Row:
    """What the program says."""
    fit = result.fit
    return {
        "verdict": result.verdict,
        "probability": result.probability,
        "reasons": " ".join(reason.code for reason in result.reasons),
        "log10_odds": None if fit is None else fit.log10_odds,
    }


def score_columns(result: FrameResult, shot: Shot) -> Row:
    """How far a result is from the true camera, in pixels of the photo and on the ground."""
    if result.solved is None:
        return {"right": False}
    x, y = grid_of(shot.camera)
    lon, lat = result.solved.camera.pixel_to_lonlat(x, y)
    off_px = np.hypot(*(np.stack(shot.camera.project(lon, lat)[:2]) - [x, y]))
    median_px = float(np.median(np.where(np.isfinite(off_px), off_px, np.inf)))
    row: Row = {"grid_px": median_px, "right": median_px < RIGHT_PX}
    if not result.control_points:
        return row
    names = ("x", "y", "lon", "lat", "sigma_px")
    x, y, lon, lat, sigma = np.array(
        [[getattr(point, name) for name in names] for point in result.control_points]
    ).T
    offsets = np.stack(shot.camera.project(lon, lat)[:2]) - [x, y]
    true_lon, true_lat, _ = shot.camera.ground(x, y)
    return row | {
        "points_px": float(np.median(np.hypot(*offsets))),
        "points_m": float(np.median(wgs84().inv(true_lon, true_lat, lon, lat)[2])),
        "n_within": int((np.abs(offsets) <= sigma).sum()),
        "n_axes": offsets.size,
    }


def try_paris(plan: Plan, maps: dict[str, CityStreets]) -> Iterator[Row]:
    """The real photo of Paris from its region alone, on its streets, mirrored and other ones."""
    path = plan.real / "photos" / "cities" / PARIS
    own = maps["paris"]
    tried = others_of(own, "paris", maps) if plan.negatives else {"own": own}
    for name, streets in tried.items():
        began = time.process_time()
        frame = read_frame(path, options=FrameOptions(focal_mm=400.0, pixel_pitch_um=7.3))
        position = position_from_nadir(2.35, 48.86, 400.0, "option", sigma_km=(100.0, 100.0, 10.0))
        result = place_on_streets(frame, Prior(position=position), streets, RegisterParams())
        row = {"seed": PARIS_SEED, "trial": name, "city": "paris", **result_columns(result)}
        row["cpu_s"] = time.process_time() - began
        if result.solved is not None:
            error_m = compare_with_paris(result.solved.camera, plan.real)
            row["truth_m"], row["truth_90_m"] = np.percentile(error_m, [50, 90]).tolist()
        yield row | {"right": row.get("truth_m", np.inf) < PARIS_RIGHT_M}


def compare_with_paris(camera: Camera, real: Path) -> FloatArray:
    """Metres between a camera and the 40 points of the truth of Paris, which lacks the lens."""
    text = (real / "streets" / "paris_truth.json").read_text(encoding="utf-8")
    points = pd.DataFrame(json.loads(text)["points"])
    lon, lat = camera.pixel_to_lonlat(points.x.to_numpy(), points.y.to_numpy())
    return np.asarray(wgs84().inv(lon, lat, points.lon.to_numpy(), points.lat.to_numpy())[2])


# The page

COLUMNS = (
    *("seed", "trial", "verdict", "reasons", "right", "log10_odds", "short_side_km", "cpu_s"),
    *("points_px", "points_m", "n_within", "n_axes", "truth_m", "truth_90_m"),
)
SIZES_KM = {"all": (0.0, np.inf), "≥ 6 km": (6.0, np.inf), "4–6 km": (4.0, 6.0), "< 4 km": (0, 4.0)}


def page_lines(rows: list[Row], plan: Plan) -> list[str]:
    """Figures of trials as Markdown, shares with Clopper and Pearson's 95 % interval."""
    every = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    trials = every[(every.seed != PARIS_SEED) & (every.verdict != "lost")]
    tables = negative_table(trials) if plan.negatives else size_table(trials)
    return [*paris_lines(every), *lost_lines(every), "", *(tables if len(trials) else [])]


def paris_lines(every: pd.DataFrame) -> list[str]:
    """A line for each trial of the real photo."""
    return [
        f"Real Paris, {row.trial}: {row.verdict}, score {number(row.log10_odds)}, truth grid "
        f"median {number(row.truth_m, 1)} m, 90 % {number(row.truth_90_m, 1)} m, "
        f"{row.cpu_s:.1f} CPU s"
        for row in every[every.seed == PARIS_SEED].itertuples()
    ]


def lost_lines(every: pd.DataFrame) -> list[str]:
    lost = every[every.verdict == "lost"]
    why = "; ".join(sorted(set(lost.reasons)))[:300]
    return [f"Not finished: {len(lost)} ({why})"] if len(lost) else []


def negative_table(trials: pd.DataFrame) -> list[str]:
    """How many are accepted on streets that they do not show."""
    cells = [
        [
            str(name),
            share((some.verdict == "accepted").sum(), len(some), "exact"),
            number(some.log10_odds.max()),
        ]
        for name, some in [*trials.groupby("trial"), ("all", trials)]
    ]
    return table("streets | accepted | highest score", cells)


def size_table(trials: pd.DataFrame) -> list[str]:
    """Verdicts, errors, sigmas and time by the size of the frame on the ground."""
    header = (
        "short side | right and accepted | right | accepted and wrong | points' error, accepted | "
        "within one σ | CPU s, median and 90 % | of accepted"
    )
    sized = {w: trials.short_side_km.between(*km, inclusive="left") for w, km in SIZES_KM.items()}
    return table(header, [[words, *size_cells(trials[some])] for words, some in sized.items()])


def size_cells(some: pd.DataFrame) -> list[str]:
    """The row of trials of one size."""
    right = some.right.astype(bool)
    kept = some[some.verdict == "accepted"]
    px, metres = kept.points_px.dropna(), kept.points_m.dropna()
    said = f"{px.median():.2f} px, {metres.median():.1f} m (90 %: {px.quantile(0.9):.2f})"
    axes = kept.n_axes.sum()
    sigma = f"{percent(kept.n_within.sum() / max(axes, 1), 0)} of {axes:.0f}"
    return [
        share((right & (some.verdict == "accepted")).sum(), len(some), "exact"),
        share(right.sum(), len(some), "exact"),
        str(int((~right & (some.verdict == "accepted")).sum())),
        said if len(px) else NONE,
        sigma if len(px) else NONE,
        f"{number(some.cpu_s.median(), 1)}, {number(some.cpu_s.quantile(0.9), 1)}",
        number(kept.cpu_s.median(), 1),
    ]
