"""Figures of a report on scene classification, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regengine.errors import ConfigError, FrameError
from regengine.evaluate.scene_report import SHOWN_FEATURES
from regengine.evaluate.scene_trials import Importance
from regengine.evaluate.scenes import Mistake, SceneReport
from regengine.image import read_display_rgb

THUMBNAIL_PX = 300
SHEET_COLUMNS = 5
SHOWN_MISTAKES = 30


def draw_report(report: SceneReport, folder: Path) -> list[Path]:
    """Draw confusion, calibration, what few labels buy and what features are worth.

    Parameters
    ----------
    report : SceneReport
        What is drawn.
    folder : Path
        Made if it does not exist.

    Returns
    -------
    list of Path
        The pictures.

    Raises
    ------
    ConfigError
        If matplotlib is not installed or the folder cannot be written.
    """
    pictures = {}
    figure, axes = _figure(7.5, 6.5)
    _confusion(figure, axes, report)
    pictures["confusion"] = figure
    figure, axes = _figure(6.0, 6.0)
    _reliability(axes, report)
    pictures["calibration"] = figure
    figure, axes = _figure(6.5, 4.5)
    _few_labels(axes, report)
    pictures["few_labels"] = figure
    figure, axes = _figure(7.0, 7.0)
    _importance(axes, [*report.families, *report.features[:SHOWN_FEATURES]])
    pictures["importance"] = figure
    return [_save(figure, folder / f"scenes_{name}.png") for name, figure in pictures.items()]


def draw_mistakes(mistakes: Sequence[Mistake], folder: Path) -> Path:
    """Draw thumbnails of the worst mistakes, with what was said of them.

    Parameters
    ----------
    mistakes : sequence of Mistake
        Their names are the photos' paths.
    folder : Path
        Made if it does not exist.

    Returns
    -------
    Path
        The picture.

    Raises
    ------
    ConfigError
        If matplotlib is not installed or the folder cannot be written.
    """
    shown = mistakes[:SHOWN_MISTAKES]
    rows = max(-(-len(shown) // SHEET_COLUMNS), 1)
    figure, axes = _figure(3.2 * SHEET_COLUMNS, 2.8 * rows, (rows, SHEET_COLUMNS))
    for place in axes.flat:
        place.axis("off")
    for place, mistake in zip(axes.flat, shown, strict=False):
        place.set_title(
            f"{Path(mistake.name).name[:34]}\n{';'.join(mistake.labels)}, not {mistake.said} "
            f"({mistake.probability_said:.2f})",
            fontsize=7,
        )
        try:
            place.imshow(read_display_rgb(Path(mistake.name), THUMBNAIL_PX)[0])
        except FrameError:
            place.text(0.1, 0.5, "cannot be read", transform=place.transAxes)
    return _save(figure, folder / "scenes_mistakes.png")


def _figure(width: float, height: float, grid: tuple[int, int] = (1, 1)) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "figures need matplotlib, which is not installed: `pip install matplotlib`."
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(*grid, squeeze=grid == (1, 1))


def _save(figure: Any, path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without the version of the library, equal reports give equal bytes
        figure.savefig(path, dpi=100, metadata={"Software": None})
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error}).") from error
    return path


def _confusion(figure: Any, axes: Any, report: SceneReport) -> None:
    best = report.chosen_report
    shown = np.flatnonzero(best.confusion.any(axis=1) | best.confusion.any(axis=0))
    counts = best.confusion[np.ix_(shown, shown)]
    names = [report.classes[i] for i in shown]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    picture = axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="said", ylabel="shows", title=f"{best.name}, photos of groups left out")
    figure.colorbar(picture, ax=axes, label="share of the row", shrink=0.8)


def _reliability(axes: Any, report: SceneReport) -> None:
    """Of all probabilities as lines, of the classes that were said as crosses."""
    for method in report.methods:
        found, said = method.calibration, method.calibration_said
        (line,) = axes.plot(
            found.mean_probability,
            found.frequency,
            marker="o",
            linewidth=2.5 if method.name == report.chosen else 1.0,
            label=f"{method.name}: ECE {found.expected_error:.3f}, Brier {found.brier:.3f}; "
            f"ECE of the said {said.expected_error:.3f}",
        )
        axes.plot(said.mean_probability, said.frequency, "x", color=line.get_color())
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=0)
    axes.set(xlabel="probability that a photo shows a class", ylabel="share that does")
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.2))
    axes.legend(fontsize=7, loc="upper left")


def _few_labels(axes: Any, report: SceneReport) -> None:
    for name in dict.fromkeys(one.method for one in report.few_labels):
        points = [one for one in report.few_labels if one.method == name]
        axes.errorbar(
            [one.labels for one in points],
            [one.mean for one in points],
            yerr=[
                [one.mean - one.least for one in points],
                [one.greatest - one.mean for one in points],
            ],
            marker="o",
            capsize=3,
            label=name,
        )
    axes.set(xscale="log", xlabel="labels a class", ylabel="macro-F1", ylim=(0.0, 1.0))
    ticks = sorted({one.labels for one in report.few_labels})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.legend(fontsize=8)


def _importance(axes: Any, importances: Sequence[Importance]) -> None:
    ranked = list(importances)[::-1]
    axes.barh([one.name for one in ranked], [one.loss for one in ranked])
    axes.axvline(0.0, color="0.5", linewidth=1)
    axes.set(xlabel="loss of macro-F1 when shuffled")
