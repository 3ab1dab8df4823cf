"""What stars above the limb bring to registration: success, seconds, precision, with and without.

``python -m benchmarks attitude --seeds 0:24 --real FOLDER --lights MAP.tif --table T.csv`` draws
limb frames over the real world with the true stars above them, and registers each both ways.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.orbit_uncertainty import commit
from benchmarks.trials.attempt import outcome_columns, register_trial, trial_columns
from benchmarks.trials.run import Row, flags, numbers
from benchmarks.trials.score import camera_of
from benchmarks.trials.source import TrialSource, made_source, real_source
from benchmarks.trials.starry import FAINTEST_MAG, TrueStars, draw_starry_trial
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.errors import ConfigError, RegengineError
from regengine.lights.map import LightMap, open_light_map
from regengine.orbit.rotation import icrs_to_itrf
from regengine.registration.limb_stars import read_sky
from regengine.registration.register import RegisterParams
from regengine.sky.stars.attitude import StarAttitude
from regengine.sky.stars.catalogue import load_catalogue

if TYPE_CHECKING:
    from benchmarks.trials.trial import Half, Kind, Trial
    from matchers.camera import Camera
    from regengine.registration.search import Search, SkyReader


def main(argv: list[str]) -> int:
    """Run the benchmark; 2 for options that do not fit together."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks attitude", description=__doc__)
    parser.add_argument("--seeds", default="", help="FIRST:LAST, trials to run, LAST excluded")
    parser.add_argument("--wrong-seeds", default="", help="the same, of frames from another pass")
    parser.add_argument("--half", choices=("train", "test"), default="train", help="of the world")
    parser.add_argument("--real", type=Path, help="real lights, orbits and camera settings")
    parser.add_argument("--lights", type=Path, help="built map to register on")
    parser.add_argument("--table", type=Path, required=True, help="CSV of rows, continued")
    parser.add_argument("--max-seconds", type=float, default=15.0, help="of processor time a frame")
    parser.add_argument(
        "--ways", default="plain,stars", help="plain, stars (detected and solved), truth (given)"
    )
    parser.add_argument("--figure", type=Path, help="PNG: frames with stars against without")
    parser.add_argument("--pictures", type=Path, help="folder for the photographs drawn")
    given = parser.parse_args(argv)
    try:
        return _run(given)
    except RegengineError as error:
        print(error, file=sys.stderr)
        return 2


def _run(given: argparse.Namespace) -> int:
    from benchmarks.trials import seeds_of
    from benchmarks.trials.run import RowTable

    wrong, right = seeds_of(given.wrong_seeds), seeds_of(given.seeds)
    table = RowTable(given.table)
    if wrong or right:
        if given.lights is None:
            raise ConfigError("no map to register on: say --lights MAP.tif")
        run = AttitudeRun.open(given.half, given.real, given.lights, given.max_seconds)
        done = {(r["seed"], r["kind"], r["way"]) for r in table.rows()}
        kinds: tuple[tuple[Kind, range], ...] = (("city", right), ("other_time", wrong))
        for kind, seeds in kinds:
            for seed in seeds:
                for way in given.ways.split(","):
                    if (str(seed), kind, way) in done:
                        continue
                    row = run_seed(run, seed, kind, way, given.pictures)
                    table.append(row)
                    verdict, seconds = row.get("verdict"), row.get("seconds_cpu")
                    print(f"seed {seed} {kind} {way}: {verdict}, {seconds} s", file=sys.stderr)
    print("\n".join(page_lines(table.rows())))
    if given.figure is not None:
        save_figure(table.rows(), "stars", given.figure)
    return 0


# One limb frame drawn, registered with or without its stars, and scored.

STARS_EPOCH_YEAR = 2015.0  # within ten years, stars move by less than 0.1 px
# An attitude that is given instead of solved is off by so much about each axis
GIVEN_SIGMA_ARC_SECONDS, GIVEN_SIGMA_LOG_FOCAL = 20.0, 5e-4
ORBIT_SPEED_KM_S = 7.66


@dataclass(frozen=True, kw_only=True)
class AttitudeRun:
    """What all frames of a run share."""

    source: TrialSource
    light_map: LightMap
    parameters: RegisterParams

    @classmethod
    def open(cls, half: Half, real: Path | None, lights: Path, max_seconds: float) -> AttitudeRun:
        """Open the world to photograph and the map to register on."""
        return cls(
            source=made_source(half) if real is None else real_source(real, half),
            light_map=open_light_map([lights]),
            parameters=RegisterParams(max_seconds=max_seconds, clock=time.process_time),
        )

    @cached_property
    def stars(self) -> TrueStars:
        """The stars that are photographed."""
        catalogue = load_catalogue(epoch_year=STARS_EPOCH_YEAR, faintest_g=FAINTEST_MAG)
        return TrueStars(vectors_icrs=catalogue.vectors, magnitude=catalogue.magnitude_g)


def run_seed(
    run: AttitudeRun, seed: int, kind: Kind, way: str, pictures: Path | None = None
) -> dict[str, Any]:
    """Draw, register and score one frame in one way."""
    trial = draw_starry_trial(seed, run.source, run.stars, kind)
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        (pictures / f"limb-{kind}-{seed:04d}.jpg").write_bytes(trial.photo)
    sky = {"plain": None, "stars": read_sky, "truth": given_sky(trial)}[way]
    with tempfile.TemporaryDirectory() as folder:
        found = register_trial(trial, run.light_map, run.parameters, Path(folder), sky)
    row = trial_columns(trial) | outcome_columns(trial, found) | {"way": way}
    attitude = None if found.search is None else found.search.attitude
    row["stars_solved"] = None if attitude is None else attitude.stars
    if attitude is not None and kind == "city":
        row["attitude_error_deg"] = attitude_error_deg(attitude, trial)
    result = found.result
    if result is not None and result.solved is not None and kind == "city":
        row["offset_error_s"] = along_track_error_s(result.solved.camera, trial)
    return row


def along_track_error_s(camera: Camera, trial: Trial) -> float:
    """How much time the station needs from where it was to where a camera has it, seconds."""
    true_m = trial.camera.position_ecef_m
    apart_m = np.asarray(camera.position_ecef_m) - true_m
    up = true_m / np.linalg.norm(true_m)
    # Across the track the orbit is known: the level distance is along it, nearly
    level_m = apart_m - (apart_m @ up) * up
    return float(np.linalg.norm(level_m)) / 1e3 / ORBIT_SPEED_KM_S


def true_time(trial: Trial, time_utc: datetime) -> datetime:
    """When a trial's photograph was taken, from what its clock says."""
    error_s = trial.factors["clock_error_s"]
    assert isinstance(error_s, float)
    return time_utc - timedelta(seconds=error_s)


def given_sky(trial: Trial) -> SkyReader:
    """A reader that knows the true attitude, but for small errors."""
    rng = np.random.default_rng([trial.seed, 17])
    truth = camera_of(trial.camera)

    def sky(search: Search) -> StarAttitude | None:
        frame = search.frame
        if frame.time_utc is None:
            return None
        turn = np.radians(GIVEN_SIGMA_ARC_SECONDS / 3600.0) * rng.standard_normal(3)
        rotation = icrs_to_itrf(true_time(trial, frame.time_utc))
        matrix = rotation.T @ truth.matrix @ Rotation.from_rotvec(turn).as_matrix()
        focal_px = truth.focal_px * (1.0 + GIVEN_SIGMA_LOG_FOCAL * float(rng.standard_normal()))
        camera = SkyCamera(
            width_px=truth.width_px,
            height_px=truth.height_px,
            focal_px=focal_px,
            principal_point=truth.principal_point,
            distortion=truth.distortion,
            mirrored=truth.mirrored,
            quaternion_icrs=matrix_quaternion(matrix),
        )
        return StarAttitude(
            camera=camera,
            sigma_rad=1.5 * float(np.radians(GIVEN_SIGMA_ARC_SECONDS / 3600.0)),
            sigma_log_focal=2.0 * GIVEN_SIGMA_LOG_FOCAL,
            stars=20,
            time_utc=frame.time_utc,
        )

    return sky


def attitude_error_deg(attitude: StarAttitude, trial: Trial) -> float:
    """Median angle between where pixels truly look and where stars say, over the frame."""
    truth = camera_of(trial.camera)
    x, y = np.meshgrid(
        np.linspace(0.0, truth.width_px - 1.0, 7), np.linspace(0.0, truth.height_px - 1.0, 5)
    )
    rays = truth.rays(x, y) @ truth.matrix.T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    rotation = icrs_to_itrf(true_time(trial, attitude.time_utc))
    seen = attitude.camera.to_sky(x, y) @ rotation.T
    off = np.linalg.norm(np.cross(seen, rays), axis=-1)
    return float(np.degrees(np.median(np.arcsin(np.clip(off, 0.0, 1.0)))))


# The page of `python -m benchmarks attitude`.

WAYS = {
    "plain": "stars left aside",
    "stars": "stars detected and solved",
    "truth": "attitude given (20″ off)",
}


def page_lines(rows: Sequence[Row]) -> list[str]:
    """All tables, as Markdown."""
    if not rows:
        return ["No rows yet."]
    today = datetime.now(UTC).date().isoformat()
    ways = [way for way in WAYS if any(r["way"] == way for r in rows)]
    cities = [r for r in rows if r["kind"] == "city"]
    lines = [
        "# Stars above the limb and registration",
        "",
        f"{today}, commit {commit()}, {os.cpu_count()} CPUs, Python {platform.python_version()}.",
        "",
        f"Simulated limb frames, {len({r['seed'] for r in cities})} of the training half of the "
        "world: cities below, the catalogue's stars above, with aberration and refraction. "
        "Seconds are of processor time, from opening the photo to the result.",
        "",
        *summary(cities, ways),
    ]
    both = paired(cities, ways)
    if both:
        lines += ["", *both]
    for column, title in (("clock_class", "clock"), ("focal_told", "focal length told")):
        lines += ["", f"## By {title}", "", *classes(cities, ways, column)]
    wrong = [r for r in rows if r["kind"] != "city"]
    if wrong:
        lines += ["", "## Frames of another pass than clock and element set say", ""]
        lines += ["| way | frames | accepted | review | no match |", "|---|---:|---:|---:|---:|"]
        for way in ways:
            mine = [r for r in wrong if r["way"] == way]
            counts = [sum(r["verdict"] == v for r in mine) for v in VERDICTS]
            lines.append(f"| {WAYS[way]} | {len(mine)} | {' | '.join(map(str, counts))} |")
    return lines


COMPARED = (
    ("grid_p95_m", "ground off (95 %)", "m"),
    ("offset_error_s", "place in orbit off", "s"),
    ("seconds_cpu", "time", "s"),
)
VERDICTS = ("accepted", "review", "no_match")


def summary(rows: Sequence[Row], ways: Sequence[str]) -> list[str]:
    """One row a way."""
    lines = [
        "| way | frames | sky solved | accepted, right | accepted, wrong | review, right | "
        "no match | s, median | s, 90 % | place in orbit off by s, median (accepted) | "
        "ground off by m, median of 95 % (accepted) |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for way in ways:
        mine = [r for r in rows if r["way"] == way]
        right = flags(mine, "right")
        accepted = np.array([r["verdict"] == "accepted" for r in mine])
        review = np.array([r["verdict"] == "review" for r in mine])
        seconds = numbers(mine, "seconds_cpu")
        offset = np.abs(numbers(mine, "offset_error_s"))[accepted & right]
        place = numbers(mine, "grid_p95_m")[accepted & right]
        solved = np.isfinite(numbers(mine, "stars_solved"))
        lines.append(
            f"| {WAYS[way]} | {len(mine)} | {int(solved.sum())} | {int((accepted & right).sum())} "
            f"| {int((accepted & ~right).sum())} | {int((review & right).sum())} "
            f"| {sum(r['verdict'] == 'no_match' for r in mine)} "
            f"| {np.nanmedian(seconds):.1f} | {np.nanquantile(seconds, 0.9):.1f} "
            f"| {_median(offset):.2f} | {_median(place):,.0f} |"
        )
    return lines


def paired(rows: Sequence[Row], ways: Sequence[str]) -> list[str]:
    """What changes for the frames that both ways accept, frame by frame."""
    lines = []
    plain = {r["seed"]: r for r in rows if r["way"] == "plain"}
    for way in ways:
        if way == "plain" or not plain:
            continue
        mine = {r["seed"]: r for r in rows if r["way"] == way}
        both = [
            (plain[s], mine[s])
            for s in sorted(set(plain) & set(mine))
            if _good(plain[s]) and _good(mine[s])
        ]
        if not both:
            continue
        firsts, seconds = zip(*both, strict=True)
        texts = []
        for name, title, unit in COMPARED:
            before, after = (_median(np.abs(numbers(rs, name))) for rs in (firsts, seconds))
            texts.append(f"{title} {before:.3g} → {after:.3g} {unit}")
        gained = sum(_good(mine[s]) and not _good(plain[s]) for s in set(plain) & set(mine))
        lost = sum(_good(plain[s]) and not _good(mine[s]) for s in set(plain) & set(mine))
        lines.append(
            f"- {WAYS[way]}: {gained} frames gained, {lost} lost; medians of the {len(both)} that "
            f"both accept: {', '.join(texts)}."
        )
    return lines


def classes(rows: Sequence[Row], ways: Sequence[str], column: str) -> list[str]:
    """Accepted and right of all, and the median seconds, by the classes of a column."""
    names = sorted({r[column] for r in rows})
    lines = [
        f"| way | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for way in ways:
        cells = []
        for name in names:
            mine = [r for r in rows if r["way"] == way and r[column] == name]
            seconds = numbers(mine, "seconds_cpu")
            good = sum(_good(r) for r in mine)
            cells.append(f"{good} of {len(mine)}, {_median(seconds):.1f} s")
        lines.append(f"| {WAYS[way]} | {' | '.join(cells)} |")
    return lines


def _good(row: Row) -> bool:
    return row["verdict"] == "accepted" and row.get("right") == "1"


def _median(values: np.ndarray) -> float:
    kept = values[np.isfinite(values)]
    return float(np.median(kept)) if kept.size else float("nan")


# Figures of `python -m benchmarks attitude`.

PANELS = (
    ("seconds_cpu", "processor time, s"),
    ("grid_p95_m", "ground off by (95 %), m"),
    ("offset_error_s", "place in orbit off by, s"),
)
LEAST = {"grid_p95_m": 50.0, "offset_error_s": 0.01, "seconds_cpu": 1.0}
MOST = {"grid_p95_m": 1e5, "offset_error_s": 20.0, "seconds_cpu": 20.0}


def save_figure(rows: Sequence[Row], way: str, path: Path) -> None:
    """Every frame with its stars against the same without: time, ground, place in orbit."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cities = [r for r in rows if r["kind"] == "city"]
    plain = {r["seed"]: r for r in cities if r["way"] == "plain"}
    other = {r["seed"]: r for r in cities if r["way"] == way}
    seeds = sorted(set(plain) & set(other), key=int)
    solved = np.isfinite(numbers([other[s] for s in seeds], "stars_solved"))
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
    for axis, (name, title) in zip(axes, PANELS, strict=True):
        first, second = (
            np.clip(
                np.nan_to_num(numbers([d[s] for s in seeds], name), nan=np.inf),
                LEAST[name],
                MOST[name],
            )
            for d in (plain, other)
        )
        for chosen, colour, label in ((solved, "C0", "solved"), (~solved, "C7", "not solved")):
            axis.loglog(first[chosen], second[chosen], "o", color=colour, ms=5, label=label)
        axis.plot([LEAST[name], MOST[name]], [LEAST[name], MOST[name]], color="0.7", lw=1)
        axis.set_xlabel(f"{title}: without stars")
        axis.set_ylabel("with stars")
    axes[0].legend(title="sky")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
