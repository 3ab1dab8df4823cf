"""Write simulated photographs: the samples of data_samples/, or one trial.

python -m benchmarks.simulate samples --out data_samples --seed 991
python -m benchmarks.simulate trial --seed 7 --half test --out out/trial7
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from typer import Option, Typer

from benchmarks.options import MaybeReal
from benchmarks.simulate import SAMPLE_SEED, write_samples
from benchmarks.trials.attempt import write_trial
from benchmarks.trials.draw import draw_trial
from benchmarks.trials.source import make_source, real_source

app = Typer(help=__doc__, add_completion=False, rich_markup_mode=None)
Out = Annotated[Path, Option(help="folder to write to")]


@app.command()
def samples(
    out: Out,
    seed: Annotated[int, Option(help="of the invented land")] = SAMPLE_SEED,
    scale: Annotated[float, Option(help="of the pictures' sides")] = 1.0,
    map_step_arcsec: Annotated[float, Option(help="map pixel")] = 15.0,
) -> None:
    """Six frames, their orbit, light map and truth."""
    write_samples(out, seed=seed, scale=scale, step_arcsec=map_step_arcsec)


@app.command()
def trial(
    out: Out,
    seed: Annotated[int, Option()],
    half: Literal["train", "test"] = "train",
    real: MaybeReal = None,
) -> None:
    """One trial of the registration benchmark, of the invented land without real data."""
    source = real_source(real, half) if real else make_source(half)
    drawn = draw_trial(seed, source)
    out.mkdir(parents=True, exist_ok=True)
    photo, elements = write_trial(drawn, out)
    known = {"kind": drawn.kind, "registrable": drawn.registrable, "factors": drawn.factors}
    truth = json.dumps(known | drawn.truth, indent=1) + "\n"
    photo.with_suffix(".json").write_text(truth, encoding="utf-8")
    lights = source.light_map_path or "MAP.tif"
    print(f"regengine register {photo} --tle {elements} --lights {lights}")


if __name__ == "__main__":
    app()
