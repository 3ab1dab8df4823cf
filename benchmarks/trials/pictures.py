"""What is drawn of trials: a picture of a run's figures, and overlays of single ones."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import erf

from benchmarks.trials.outcomes import FACTORS, RIGHT_ACCEPTED, bins_of, values, wilson_interval
from benchmarks.trials.run import TrialSettings, open_workshop

MAX_SIGMAS = 4.0


def plot_run(trials: pd.DataFrame, path: Path) -> None:
    """Draw recall by angle, and the control points' errors over their sigmas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    angle, sigmas = figure.subplots(1, 2)
    factor = next(factor for factor in FACTORS if factor.column == "off_nadir_deg")
    for _, group in bins_of(trials[trials.registrable], factor):
        hits, tried = int((group.outcome == RIGHT_ACCEPTED).sum()), len(group)
        at, share = float(group[factor.column].mean()), 100.0 * hits / tried
        low, high = (100.0 * end for end in wilson_interval(hits, tried))
        reach = [[share - low], [high - share]]
        angle.errorbar(at, share, yerr=reach, fmt="o", color="tab:blue", capsize=3)
        angle.annotate(f" {tried}", (at, share), fontsize="small")
    angle.set(xlim=(0.0, 70.0), xlabel="off-nadir, degrees")
    angle.set_ylabel("right and accepted of registrable, %\n(95 % interval, number of trials)")
    right = trials[trials.outcome == RIGHT_ACCEPTED]
    z = np.sort(np.abs(values([*right.z_east, *right.z_north])))
    shares = 100.0 * np.arange(1, len(z) + 1) / max(len(z), 1)
    sigmas.step(z, shares, where="post", label=f"{len(z)} errors, right and accepted")
    normal = np.linspace(0.0, MAX_SIGMAS, 200)
    sigmas.plot(normal, 100.0 * erf(normal / np.sqrt(2.0)), color="0.4", label="normal")
    sigmas.set(xlim=(0.0, MAX_SIGMAS), xlabel="error over sigma", ylabel="errors no larger, %")
    sigmas.legend(loc="lower right", fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of the library, equal tables give equal bytes
    figure.savefig(path, dpi=100, metadata={"Software": None})


def draw_trials(
    seeds: Iterable[int], settings: TrialSettings, folder: Path, tell: Callable[[str], None]
) -> list[Path]:
    """Register some trials again and draw an overlay of each."""
    from regengine.registration.overlay import write_overlay

    shop = open_workshop(settings)
    drawn: list[Path] = []
    for seed in seeds:
        trial = shop.draw(seed)
        with tempfile.TemporaryDirectory() as name:
            found = shop.register(trial, Path(name))
            result = found.result
            if result is None:
                tell(f"seed {seed}: {found.problem}")
                continue
            drawn.append(write_overlay(result, Path(result.path), shop.map_of(trial), folder))
        tell(f"seed {seed}: {result.verdict}")
    return drawn
