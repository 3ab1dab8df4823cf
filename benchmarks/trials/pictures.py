"""What is drawn of trials: a picture of a run's figures, and overlays of single ones."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import erf

from benchmarks.row_tables import Row, numbers, values
from benchmarks.trials.attempt import with_true_camera
from benchmarks.trials.outcomes import (
    FACTORS,
    RIGHT_ACCEPTED,
    bins_of,
    having,
    registrable,
    wilson_interval,
    with_verdict,
)
from benchmarks.trials.run import TrialSettings, open_workshop
from detectors.types import FloatArray

TRUTH = "truth"
MOST_SIGMAS = 4.0


def plot_run(rows: Sequence[Row], path: Path) -> None:
    """Draw recall by angle, seconds, and errors over their sigmas into one picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    angle, seconds, sigmas = figure.subplots(1, 3)
    draw_recall(angle, registrable(rows))
    accepted = with_verdict(rows, "accepted")
    for name, some in ((f"{len(accepted)} accepted", accepted), (f"all {len(rows)}", rows)):
        draw_shares(seconds, numbers(some, "seconds_cpu"), name)
    seconds.set(xscale="log", xlabel="CPU, s", ylabel="photographs that took no more, %")
    seconds.xaxis.set_major_formatter("{x:g}")
    right = having(rows, RIGHT_ACCEPTED)
    z = np.abs(np.concatenate([values(right, "z_east"), values(right, "z_north")]))
    draw_shares(sigmas, z, f"{len(z)} errors of {len(right)} right and accepted")
    normal = np.linspace(0.0, MOST_SIGMAS, 200)
    told = 100.0 * erf(normal / np.sqrt(2.0))
    sigmas.plot(normal, told, color="0.4", linestyle=":", label="normal, as sigmas tell")
    sigmas.set(
        xlim=(0.0, MOST_SIGMAS),
        xlabel="control point's error east or north over sigma",
        ylabel="errors no larger, %",
    )
    for axes in (angle, seconds, sigmas):
        axes.set_ylim(0.0, 102.0)
        axes.grid(color="0.9")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower left" if axes is angle else "lower right", fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of the library, equal tables give equal bytes
    figure.savefig(path, dpi=100, metadata={"Software": None})


def draw_recall(axes: Any, rows: Sequence[Row]) -> None:
    """Share right and accepted by the angle off nadir, with Wilson's intervals."""
    factor = next(factor for factor in FACTORS if factor.column == "off_nadir_deg")
    for _, group in bins_of(rows, factor):
        hits, tried = len(having(group, RIGHT_ACCEPTED)), len(group)
        at, share = float(numbers(group, factor.column).mean()), 100.0 * hits / tried
        low, high = (100.0 * end for end in wilson_interval(hits, tried))
        reach = [[share - low], [high - share]]
        axes.errorbar(at, share, yerr=reach, fmt="o", color="tab:blue", capsize=3)
        axes.annotate(f" {tried}", (at, share), fontsize="small")
    axes.set(xlim=(0.0, 70.0), xlabel="off-nadir, degrees")
    axes.set_ylabel("right and accepted of registrable, %\n(95 % interval, number of trials)")


def draw_shares(axes: Any, found: FloatArray, label: str) -> None:
    """How many of some numbers are no larger than each of them, per cent."""
    known = np.sort(found[~np.isnan(found)])
    if len(known):
        shares = 100.0 * np.arange(1, len(known) + 1) / len(known)
        axes.step(known, shares, where="post", label=label)


def draw_trials(
    seeds: Iterable[int], settings: TrialSettings, folder: Path, tell: Callable[[str], None]
) -> list[Path]:
    """Register some trials again and draw two overlays of each."""
    from regengine.registration.overlay import draw_result

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
            photo = Path(result.path)
            light_map = shop.map_of(trial)
            proposal = draw_result(result, photo, light_map, folder)
            true = draw_result(
                with_true_camera(result, trial), photo, light_map, Path(name) / TRUTH
            )
            target = folder / f"{photo.stem}.{TRUTH}.png"
            target.write_bytes(true.read_bytes())
        drawn += [proposal, target]
        tell(f"seed {seed}: {result.verdict}")
    return drawn
