"""How often streaks of simulated satellites get their right names out of a catalogue of 30,000.

``python -m benchmarks satellites`` prints the tables; ``--out FOLDER`` writes them as Markdown,
dated; ``--real FOLDER`` adds the Station by its real element sets.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.pages import command_of, number, table, title_lines, write_page
from benchmarks.satellites.trials import Named, Trial, below, looking, measured, solved, trials
from benchmarks.simulate.satellite_catalogue import SimulatedSky, simulate_satellites
from benchmarks.simulate.satellite_frame import SkyFrame, pointed, sunlit, true_states, true_streaks
from regengine.orbit.rotation import utc_of
from regengine.orbit.tle import TleSet, load_tle_file
from regengine.sky.satellites.catalogue import load_catalogue
from regengine.sky.satellites.naming import satellites_in_picture
from regengine.sky.satellites.observer import Exposure, GroundSite

# Do real element sets err as the engine believes? The Station by one set, predicted by an older.

MOMENTS = 50
AGES_DAYS, WITHIN = (0.25, 1.0, 1.6), 1.25
EXPOSURE_S, CLOCK_S, FOCAL_PX = 5.0, 0.3, 2600.0


def station_section(real: Path, seed: int) -> list[str]:
    """A table by the age of the sets, as Markdown lines."""
    tles = load_tle_file(real / "orbit" / "iss_tles.txt")
    rng = np.random.default_rng([seed, 5])
    rows = []
    for least in AGES_DAYS:
        ahead, probability = np.array(_outcomes(tles, least, rng)).T
        middle, most = np.nanquantile(np.abs(ahead), [0.5, 0.9])
        rows.append(
            [
                f"{least:g} to {WITHIN * least:g}",
                str(len(ahead)),
                f"{middle:.2f} / {most:.1f}",
                f"{np.mean(probability >= 0.5):.1%}",
                f"{np.mean(probability >= 0.9):.1%}",
            ]
        )
    header = ("age, days", "frames", "off by s, median / 90 %", "P ≥ 0.5", "P ≥ 0.9")
    return [
        "## Real element sets",
        "",
        "Moments of 1998 to 2026 at which the Station was sunlit: its orbit is that of its nearest "
        "real set, the catalogue has it alone, by a real set older than that; reboosts are part "
        f"of it. Frames of 60° from the ground, {EXPOSURE_S:g} s, clocks of {CLOCK_S:g} s.",
        "",
        *table(header, rows, 4),
        "",
    ]


def _outcomes(tles: TleSet, least: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """By how many seconds the Station was ahead, and the probability of its name, of each frame."""
    days = tles.epoch_days
    found: list[tuple[float, float]] = []
    for true in rng.permutation(len(tles)).tolist():
        old = int(np.searchsorted(days, days[true] - least, side="right")) - 1
        if old < 0 or days[true] - days[old] > WITHIN * least:
            continue
        if tles.disagreement(true) or tles.disagreement(old):
            continue
        outcome = _outcome(_sky(tles, true, old), rng)
        if outcome is not None:
            found.append(outcome)
        if len(found) == MOMENTS:
            break
    return found


def _sky(tles: TleSet, true: int, old: int) -> SimulatedSky:
    """A sky with the Station alone."""
    told = tles[old]
    return SimulatedSky(
        time_utc=utc_of(tles.epoch_days[true]),
        names=("ISS",),
        numbers=(told.satellite,),
        true=(tles[true].satrec(),),
        lines=((told.line1, told.line2),),
        age_days=np.array([tles.epoch_days[true] - tles.epoch_days[old]]),
        magnitude=np.array([-1.0]),
        trains=np.zeros(0, np.intp),
    )


def _outcome(sky: SimulatedSky, rng: np.random.Generator) -> tuple[float, float] | None:
    start = sky.time_utc
    if not sunlit(true_states(sky, np.array([0]), start)[0], start)[0]:
        return None
    lat, lon = below(sky, 0, start)
    site = GroundSite(
        lat=float(np.clip(lat + rng.normal(0.0, 3.0), -89.0, 89.0)), lon=lon + rng.normal(0.0, 3.0)
    )
    frame = SkyFrame(
        start_utc=start,
        exposure_s=EXPOSURE_S,
        site=(site.lat, site.lon, site.height_m),
        station=None,
        matrix=np.eye(3),
        width_px=3000,
        height_px=2000,
        focal_px=FOCAL_PX,
        k1=0.0,
        limit_mag=9.0,
    )
    axis = looking(sky, frame, 0, rng)
    frame = replace(frame, matrix=pointed(axis, rng.uniform(0.0, 2.0 * np.pi)))
    drawn = true_streaks(sky, frame)
    if not drawn:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "station.txt"
        path.write_text(sky.text(), encoding="utf-8")
        satellites = load_catalogue(path).at(start)
    exposure = Exposure(
        field=solved(frame, rng),
        start_utc=start + timedelta(seconds=float(rng.normal(0.0, CLOCK_S))),
        exposure_s=EXPOSURE_S,
        observer=site,
        clock_sigma_s=CLOCK_S,
    )
    naming = satellites_in_picture(satellites, exposure, [measured(drawn[0], rng)]).namings[0]
    if not len(naming.order):
        return np.nan, 0.0
    return float(naming.evidence.ahead_s[naming.order[0]]), float(naming.probability[0])


NIGHT = datetime(2026, 10, 14, 20, tzinfo=UTC)
UNLISTED_SHARE = 0.08
BINS = (0.0, 0.5, 0.7, 0.9, 0.99, 1.0)


def named_streaks(trial: Trial) -> list[Named]:
    """What became of each streak of a frame."""
    found = []
    for k, naming in enumerate(trial.found.namings):
        best, probability = None, 0.0
        if len(naming.order):
            row = trial.found.tracks.rows[naming.evidence.rows[naming.order[0]]]
            best, probability = trial.satellites.numbers[row], float(naming.probability[0])
        found.append(
            Named(
                true=trial.true[k],
                listed=trial.listed[k],
                best=best,
                probability=probability,
                aboard=trial.frame.station is not None,
                at_train=trial.at_train,
                clock_sigma_s=trial.clock_sigma_s,
                age_days=trial.age_days[k],
            )
        )
    return found


def summary_row(title: str, streaks: Iterable[Named]) -> list[str]:
    """One row: streaks of listed satellites, how many are named right, how many sure and wrong."""
    every = list(streaks)
    known = [one for one in every if one.listed]
    sure = [one for one in every if one.probability >= 0.9]
    wrong = sum(not one.right for one in sure)
    if not known:
        return [title, "0", *["–"] * 5]
    return [
        title,
        f"{len(known):,}",
        f"{np.mean([one.right for one in known]):.2%}",
        f"{np.mean([one.right and one.probability >= 0.5 for one in known]):.2%}",
        f"{np.mean([one.right and one.probability >= 0.9 for one in known]):.2%}",
        f"{len(sure):,}",
        f"{wrong} ({wrong / max(len(sure), 1):.2%})",
    ]


HEADER = (
    "streaks",
    "of listed satellites",
    "most probable is right",
    "right with P ≥ 0.5",
    "right with P ≥ 0.9",
    "all with P ≥ 0.9",
    "of these wrong",
)
Choice = tuple[str, Callable[[Named], bool]]
CHOICES: tuple[Choice, ...] = (
    ("**all but trains**", lambda one: not one.at_train),
    ("from the ground", lambda one: not one.at_train and not one.aboard),
    ("from orbit", lambda one: one.aboard),
    ("clock 0.1 s", lambda one: not one.at_train and one.clock_sigma_s == 0.1),
    ("clock 0.3 s", lambda one: not one.at_train and one.clock_sigma_s == 0.3),
    ("clock 1 s", lambda one: not one.at_train and one.clock_sigma_s == 1.0),
    ("elements under 1 day", lambda one: not one.at_train and one.age_days < 1.0),
    ("elements of 1 to 2 days", lambda one: not one.at_train and one.age_days >= 1.0),
    ("frames pointed at trains", lambda one: one.at_train),
    ("everything", lambda one: True),
)


def calibration_rows(streaks: list[Named]) -> list[list[str]]:
    """Mean probability and share of right names, by probability."""
    rows = []
    for low, high in itertools.pairwise(BINS):
        chosen = [one for one in streaks if one.best is not None and low <= one.probability < high]
        if chosen:
            mean = float(np.mean([one.probability for one in chosen]))
            right = float(np.mean([one.right for one in chosen]))
            name = f"{low:g} to {high:g}"
            rows.append([name, str(len(chosen)), number(mean, 4), number(right, 4)])
    return rows


def report(streaks: list[Named], seconds: list[float], load_s: float, count: int) -> list[str]:
    """All tables as Markdown lines."""
    strangers = [one for one in streaks if one.true is None]
    unlisted = [one for one in streaks if one.true is not None and not one.listed]
    lines = table(HEADER, [summary_row(t, filter(f, streaks)) for t, f in CHOICES], right=6)
    lines += ["", "## Probabilities", ""]
    lines += table(
        ("probability of the best name", "streaks", "mean probability", "share right"),
        calibration_rows(streaks),
        right=3,
    )
    lines += ["", "## What no catalogue has", ""]
    rows = [
        [
            title,
            str(len(some)),
            str(sum(one.probability >= 0.5 for one in some)),
            str(sum(one.probability >= 0.9 for one in some)),
        ]
        for title, some in (
            ("lines anywhere (meteors, aircraft, false streaks)", strangers),
            ("satellites missing in the catalogue", unlisted),
        )
    ]
    lines += table(("streaks of", "streaks", "named with P ≥ 0.5", "with P ≥ 0.9"), rows, right=3)
    lines += [
        "",
        "## Time",
        "",
        f"Processor seconds on one core. Reading {count:,} element sets and choosing the best of "
        f"each satellite: {load_s:.2f}. Predicting and naming a frame: {np.median(seconds):.2f} in "
        f"the median, {np.quantile(seconds, 0.9):.2f} for one in ten.",
        "",
    ]
    return lines


def preamble(arguments: list[str], frames: int, count: int) -> list[str]:
    """What was run, where and when."""
    shown = [
        "FOLDER" if before == "--real" else word
        for before, word in zip(["", *arguments], arguments, strict=False)
    ]
    note = (
        f"{frames} simulated frames under {count:,} satellites "
        "(`benchmarks/simulate/satellite_catalogue.py`): constellations in planes, trains, "
        "sun-synchronous and geostationary satellites, rocket bodies, debris. Element sets are 0 "
        "to 2 days old and err as published figures say, with heavy tails; "
        f"{UNLISTED_SHARE:.0%} of the satellites are not in the catalogue. Frames of 3000 x 2000 "
        "pixels, 6° to 70° wide, 1 to 30 s, four in five from sites on the ground and one from "
        "orbit; clocks are off by 0.1, 0.3 or 1 s (one sigma). Ends of streaks have errors of 0.5 "
        "to 4 px along and 0.2 to 0.6 px across, the attitude one of 0.4 px. 40 % of the frames "
        "have one line that is no satellite. Some frames are pointed at a train (satellites 1 to "
        "12 s apart on one track), far more than chance would have: they are counted apart."
    )
    return title_lines("Names of satellites' streaks", command_of("satellites", shown), note)


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks satellites", description=__doc__)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--count", type=int, default=30000, help="satellites in the sky")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--real", type=Path, help="folder with orbit/iss_tles.txt")
    parser.add_argument("--out", type=Path, help="folder for the dated Markdown file")
    options = parser.parse_args(argv)
    sky = simulate_satellites(options.count, NIGHT, np.random.default_rng(options.seed))
    listed = np.random.default_rng([options.seed, 1]).random(len(sky.names)) > UNLISTED_SHARE
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalogue.txt"
        path.write_text(sky.text(listed), encoding="utf-8")
        started = time.process_time()
        catalogue = load_catalogue(path)
        catalogue.at(sky.time_utc)
        load_s = time.process_time() - started
    streaks: list[Named] = []
    seconds: list[float] = []
    for done, trial in enumerate(trials(sky, listed, catalogue, options.frames, options.seed), 1):
        streaks += named_streaks(trial)
        seconds.append(trial.seconds)
        if done % 20 == 0:
            print(f"{done} frames, {len(streaks)} streaks", file=sys.stderr)
    lines = report(streaks, seconds, load_s, len(catalogue.pairs))
    if options.real is not None:
        lines += station_section(options.real, options.seed)
    write_page(options.out, "satellites", [*preamble(argv, options.frames, len(sky.names)), *lines])
    return 0
