"""How often streaks of simulated satellites get their right names out of a catalogue of 30,000.

``python -m benchmarks satellites`` prints the tables; ``--out FOLDER`` writes them as Markdown,
dated, with figures; ``--real FOLDER`` adds the Station by its real element sets.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.named_streak import Named
from benchmarks.registration_report import command_of, number, table, title_lines
from benchmarks.satellite_figures import draw_calibration, draw_example
from benchmarks.satellite_station import station_section
from benchmarks.satellite_trials import Trial, trials
from benchmarks.simulate.satellite_catalogue import simulate_satellites
from regengine.satellites.catalogue import load_catalogue

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
    parser.add_argument("--out", type=Path, help="folder for the dated Markdown file and figures")
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
    example: Trial | None = None
    for done, trial in enumerate(trials(sky, listed, catalogue, options.frames, options.seed), 1):
        streaks += named_streaks(trial)
        seconds.append(trial.seconds)
        if example is None and 4 <= len(trial.streaks) <= 9 and not trial.at_train:
            example = trial
        if done % 20 == 0:
            print(f"{done} frames, {len(streaks)} streaks", file=sys.stderr)
    lines = report(streaks, seconds, load_s, len(catalogue.pairs))
    if options.real is not None:
        lines += station_section(options.real, options.seed)
    print("\n".join(lines))
    if options.out:
        stem = f"satellites-{datetime.now(UTC):%Y-%m-%d}"
        folder_out = options.out / stem
        folder_out.mkdir(parents=True, exist_ok=True)
        draw_calibration(streaks, folder_out / "calibration.png")
        links = [f"![Calibration]({stem}/calibration.png)"]
        if example is not None:
            draw_example(example, folder_out / "frame.png")
            links += ["", f"![A frame with its tracks and names]({stem}/frame.png)"]
        page = [*preamble(argv, options.frames, len(sky.names)), *lines, "", *links]
        (options.out / f"{stem}.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    return 0
