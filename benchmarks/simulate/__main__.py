"""Write simulated photographs: the samples of data_samples/, or one trial.

python -m benchmarks.simulate samples --out data_samples --seed 991
python -m benchmarks.simulate trial --seed 7 --half test --out out/trial7
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.trials.source import Trial


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and write what it asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    samples = commands.add_parser("samples", help="six frames, their orbit, light map and truth")
    samples.add_argument("--out", type=Path, required=True, help="folder to write to")
    samples.add_argument("--seed", type=int, default=991, help="of the invented land")
    samples.add_argument("--scale", type=float, default=1.0, help="of the pictures' sides")
    samples.add_argument("--map-step-arcsec", type=float, default=15.0, help="map pixel")
    trial = commands.add_parser("trial", help="one trial of the registration benchmark")
    trial.add_argument("--out", type=Path, required=True, help="folder to write to")
    trial.add_argument("--seed", type=int, required=True)
    trial.add_argument("--half", default="train", choices=["train", "test"])
    trial.add_argument("--real", type=Path, help="folder of the real data; invented land without")
    given = parser.parse_args(arguments)
    if given.command == "samples":
        from benchmarks.simulate import write_samples

        write_samples(
            given.out, seed=given.seed, scale=given.scale, step_arcsec=given.map_step_arcsec
        )
    else:
        from benchmarks.trials.draw import draw_trial
        from benchmarks.trials.source import make_source, real_source

        source = real_source(given.real, given.half) if given.real else make_source(given.half)
        print(write_trial(given.out, draw_trial(given.seed, source), source.light_map_path))


def write_trial(folder: Path, trial: Trial, light_map: Path | None) -> str:
    """Write a trial's photograph, element set and truth; return the command that registers it."""
    from benchmarks.trials.attempt import write_trial as write_files

    folder.mkdir(parents=True, exist_ok=True)
    photo, elements = write_files(trial, folder)
    known = {"kind": trial.kind, "registrable": trial.registrable, "factors": trial.factors}
    truth = json.dumps(known | trial.truth, indent=1) + "\n"
    photo.with_suffix(".json").write_text(truth, encoding="utf-8")
    return f"regengine register {photo} --tle {elements} --lights {light_map or 'MAP.tif'}"


if __name__ == "__main__":
    main()
