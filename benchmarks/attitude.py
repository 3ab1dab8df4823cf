"""What stars above the limb bring to registration: success, seconds, precision, with and without.

``python -m benchmarks attitude --seeds 0:24 --real FOLDER --lights MAP.tif --table T.csv`` draws
limb frames over the real world with the true stars above them, and registers each both ways.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from regengine.errors import ConfigError, RegengineError

if TYPE_CHECKING:
    from benchmarks.trials.trial import Kind


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
    from benchmarks.attitude_report import page_lines
    from benchmarks.attitude_run import AttitudeRun, run_seed
    from benchmarks.trials.sim_command import seeds_of
    from benchmarks.trials.table import RowTable

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
        from benchmarks.attitude_plot import save_figure

        save_figure(table.rows(), "stars", given.figure)
    return 0
