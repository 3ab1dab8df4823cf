"""Write simulated photographs: the samples of data_samples/, one random case, or one hard trial.

python -m benchmarks.simulate samples --out data_samples --seed 991
python -m benchmarks.simulate case --seed 7 --out out/case7
python -m benchmarks.simulate trial --seed 7 --half test --out out/trial7
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.simulate.cases import Case
    from benchmarks.trials.source import Trial


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and write what it asks for."""
    given = _parser().parse_args(arguments)
    if given.command == "samples":
        from benchmarks.simulate import write_samples

        write_samples(
            given.out, seed=given.seed, scale=given.scale, step_arcsec=given.map_step_arcsec
        )
    elif given.command == "trial":
        from benchmarks.trials.draw import draw_trial
        from benchmarks.trials.source import made_source, real_source

        source = real_source(given.real, given.half) if given.real else made_source(given.half)
        print(write_trial(given.out, draw_trial(given.seed, source), source.light_map_path))
    else:
        from benchmarks.simulate.cases import draw_case

        case = draw_case(given.seed, kind=given.kind, long_side_px=given.long_side_px)
        print(write_case(given.out, case))


def _parser() -> argparse.ArgumentParser:
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
    case = commands.add_parser("case", help="one random case over the land of the samples")
    case.add_argument("--out", type=Path, required=True, help="folder to write to")
    case.add_argument("--seed", type=int, required=True)
    case.add_argument(
        "--kind", default="any", choices=["any", "city", "no_city", "noise", "wrong_place"]
    )
    case.add_argument(
        "--long-side-px",
        type=int,
        help="of the photograph (4256, 6016, 7360: 12, 24, 36 megapixels); 1000 to 1600 without",
    )
    trial = commands.add_parser("trial", help="one trial of the registration benchmark")
    trial.add_argument("--out", type=Path, required=True, help="folder to write to")
    trial.add_argument("--seed", type=int, required=True)
    trial.add_argument("--half", default="train", choices=["train", "test"])
    trial.add_argument("--real", type=Path, help="folder of the real data; invented land without")
    return parser


def write_trial(folder: Path, trial: Trial, light_map: Path | None) -> str:
    """Write a trial's photograph, element set and truth; return the command that registers it."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = folder / f"trial-{trial.half}-{trial.seed:06d}.jpg"
    elements = photo.with_suffix(".tle")
    photo.write_bytes(trial.photo)
    elements.write_text(trial.tle_text, encoding="ascii")
    known = {"kind": trial.kind, "registrable": trial.registrable, "factors": trial.factors}
    truth = json.dumps(known | trial.truth, indent=1) + "\n"
    photo.with_suffix(".json").write_text(truth, encoding="utf-8")
    return f"regengine register {photo} --tle {elements} --lights {light_map or 'MAP.tif'}"


def write_case(folder: Path, case: Case) -> str:
    """Write a case's photograph, map and truth; return the command that registers it."""
    from benchmarks.simulate.light_map import write_geotiff

    folder.mkdir(parents=True, exist_ok=True)
    photo = folder / f"case-{case.seed:06d}.jpg"
    photo.write_bytes(case.photo)
    truth = json.dumps(case.truth, indent=1) + "\n"
    photo.with_suffix(".json").write_text(truth, encoding="utf-8")
    write_geotiff(folder / "lights.tif", case.light_map)
    return (
        f"regengine register {photo} --nadir={case.prior.lon:.4f},{case.prior.lat:.4f}"
        f" --altitude-km {case.prior.altitude_km:.2f} --lights {folder / 'lights.tif'}"
    )


if __name__ == "__main__":
    main()
