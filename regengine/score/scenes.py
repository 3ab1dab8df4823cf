"""Score every kind of scene model on photos of left-out groups, and report the scores."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray, IndexArray
from regengine.errors import FrameError
from regengine.io.atomic import write_whole
from regengine.io.extras import need
from regengine.io.plain import format_count
from regengine.photo.image import read_display_rgb
from regengine.scene.labels import LabelledFeatures
from regengine.scene.training import METHODS, CrossValidation, choose_method, choose_scored_classes
from regengine.score.labels import table


@dataclass(frozen=True, kw_only=True)
class CalibrationScore:
    """Calibration of probabilities."""

    # Mean difference of probability and frequency over equal bins (`BINS`), weighted by count
    expected_error: float
    brier: float  # mean squared difference of probability and outcome
    # Shape (B,): of the non-empty bins
    mean_probability: FloatArray
    frequency: FloatArray
    counts: IndexArray  # shape (B,): number of probabilities per bin


@dataclass(frozen=True, kw_only=True)
class SceneReport:
    """Results of a cross-validation.

    ``scored`` classes count for macro-F1. ``methods`` are figures of each kind of model, by the
    names of the report's JSON; ``taken`` is the kind that `regengine train` would choose, and
    ``mistakes`` are that model's, the most confident first. ``calibration``, by the name of the
    kind: of the probabilities of all classes, with equal weight of each group (most are correctly
    near 0), and of the probability of the predicted class, which is the harder test.
    """

    classes: tuple[str, ...]
    scored: tuple[str, ...]
    methods: list[dict[str, Any]]
    calibration: dict[str, tuple[CalibrationScore, CalibrationScore]]
    mistakes: list[dict[str, Any]]

    @property
    def chosen(self) -> dict[str, Any]:
        return next(report for report in self.methods if report["taken"])


def evaluate_scenes(validation: CrossValidation) -> SceneReport:
    """Score a cross-validation: every kind of model, and the mistakes of the best."""
    samples, chosen = validation.samples, choose_method(validation)
    places, votes = np.arange(len(samples)), samples.weights
    scored = tuple(samples.classes[i] for i in choose_scored_classes(samples))
    methods, calibration = [], {}
    for method in METHODS:
        p, said = validation.probabilities[method], validation.said(method)
        of_all = score_calibration(
            p, samples.targets, np.repeat(votes[:, None], p.shape[1], axis=1)
        )
        of_said = score_calibration(p[places, said], samples.targets[places, said], votes)
        calibration[method] = of_all, of_said
        methods.append(
            {
                "method": method,
                "taken": method == chosen,
                "macro_f1": validation.macro_f1(method),
                "macro_f1_by_groups": validation.macro_f1(method, votes),
                "accuracy": float(np.mean(samples.primary == said)),
                "expected_calibration_error": of_all.expected_error,
                "brier_score": of_all.brier,
                "expected_calibration_error_of_said": of_said.expected_error,
                "beyond_the_gate": int(np.sum(~validation.explained)),
                "labels": list(samples.classes),
                "scored": list(scored),
                "confusion": validation.confusion(method).tolist(),
                "classes": [
                    score_class(
                        name, samples.primary == index, said == index, np.array(samples.groups)
                    )
                    for index, name in enumerate(samples.classes)
                ],
            }
        )
    # Photos with a predicted class that they do not show
    said, mistakes = validation.said(chosen), []
    for row, p in enumerate(validation.probabilities[chosen]):
        if not samples.targets[row, said[row]]:
            mistakes.append(
                {
                    "name": samples.names[row],
                    "labels": samples.labels[row],
                    "said": samples.classes[said[row]],
                    "probability_said": float(p[said[row]]),
                    "probability_true": float(p[samples.primary[row]]),
                    "explained": bool(validation.explained[row]),
                }
            )
    mistakes.sort(key=lambda one: one["probability_true"] - one["probability_said"])
    return SceneReport(
        classes=samples.classes,
        scored=scored,
        methods=methods,
        calibration=calibration,
        mistakes=mistakes,
    )


def score_class(
    name: str, shown: NDArray[np.bool_], said: NDArray[np.bool_], groups: NDArray[np.str_]
) -> dict[str, Any]:
    """Precision, recall and F1 of a class from its true and predicted frames, (N,).

    ``frames`` are those whose main content it is, ``groups`` theirs, and ``groups_missed`` those of
    which less than half of the frames were classified correctly. NaN if undefined.
    """
    right, total = int((shown & said).sum()), int(shown.sum() + said.sum())
    shares = [said[shown & (groups == group)].mean() for group in np.unique(groups[shown])]
    return {
        "name": name,
        "frames": int(shown.sum()),
        "groups": len(shares),
        "groups_missed": sum(bool(share < 0.5) for share in shares),
        "precision": right / int(said.sum()) if said.any() else float("nan"),
        "recall": right / int(shown.sum()) if shown.any() else float("nan"),
        "f1": 2.0 * right / total if total else float("nan"),
    }


def score_calibration(
    probabilities: FloatArray,
    outcomes: NDArray[np.bool_],
    weights: FloatArray | None = None,
    bins: int = 10,
) -> CalibrationScore:
    """Compare probabilities with outcomes; all of one shape, with equal weights by default."""
    p, happened = probabilities.ravel(), outcomes.ravel().astype(float)
    w = np.ones(len(p)) if weights is None else weights.ravel()
    bin_of = np.minimum((p * bins).astype(int), bins - 1)
    votes = np.bincount(bin_of, w, bins)
    kept = votes > 0
    mean = np.bincount(bin_of, w * p, bins)[kept] / votes[kept]
    frequency = np.bincount(bin_of, w * happened, bins)[kept] / votes[kept]
    return CalibrationScore(
        expected_error=float(np.sum(votes[kept] * np.abs(mean - frequency)) / votes.sum()),
        brier=float(np.average((p - happened) ** 2, weights=w)),
        mean_probability=mean,
        frequency=frequency,
        counts=np.bincount(bin_of, minlength=bins)[kept].astype(np.intp),
    )


SHEET_COLUMNS = 5


def confusion_lines(classes: Sequence[str], matrix: IndexArray) -> list[str]:
    """A confusion matrix, shape (C, C), as a table: true classes down, predicted ones across.

    Empty classes are omitted.
    """
    shown = [i for i in range(len(classes)) if matrix[i].any()]
    said = [i for i in range(len(classes)) if matrix[i].any() or matrix[:, i].any()]
    rows = [
        [classes[i], *(str(matrix[i, j]) if matrix[i, j] else "." for j in said)] for i in shown
    ]
    return table(["shows \\ said", *(classes[j] for j in said)], rows)


def report_lines(samples: LabelledFeatures, report: SceneReport) -> list[str]:
    """The complete report as Markdown, which is also readable on a terminal."""
    best, is_real = report.chosen, ~samples.simulated
    n_groups = len({g for g, real in zip(samples.groups, is_real, strict=True) if real})
    n_simulated = int(samples.simulated.sum())
    simulated = format_count(n_simulated, "simulated frame")
    heads = "method, macro-F1, by groups, right, ECE, Brier, ECE of the said, beyond the gate, "
    figures = (
        *("macro_f1", "macro_f1_by_groups", "accuracy", "expected_calibration_error"),
        *("brier_score", "expected_calibration_error_of_said"),
    )
    methods = [
        [
            m["method"],
            *(_f(m[name]) for name in figures),
            str(m["beyond_the_gate"]),
            "taken" if m["taken"] else "",
        ]
        for m in report.methods
    ]
    classes = [
        [c["name"], *(str(c[name]) for name in ("frames", "groups", "groups_missed"))]
        + [_f(c[name]) for name in ("precision", "recall", "f1")]
        + ["" if c["name"] in report.scored else "not scored"]
        for c in best["classes"]
    ]
    mistakes = [
        [
            f"{Path(m['name']).parent.name}/{Path(m['name']).name}".lstrip("/"),
            ";".join(m["labels"]),
            m["said"],
            f"{m['probability_said']:.2f}",
            f"{m['probability_true']:.2f}",
            "" if m["explained"] else "beyond the gate",
        ]
        for m in report.mistakes
    ]
    return [
        f"{format_count(int(is_real.sum()), 'photo')} in {format_count(n_groups, 'group')}"
        + (f", and {simulated} in training" if n_simulated else "")
        + f"; macro-F1 over {', '.join(report.scored)}.",
        *["", "## Methods", ""],
        *table(re.split(", ?", heads), methods),
        *["", f"## Confusion of {best['method']}", ""],
        *confusion_lines(report.classes, np.array(best["confusion"])),
        *["", f"## Classes by {best['method']}", ""],
        *table(["class", "photos", "groups", "missed", "precision", "recall", "F1", ""], classes),
        *["", f"## Mistakes of {best['method']}", ""],
        *table(["photo", "shows", "said", "P(said)", "P(true)", ""], mistakes),
    ]


def _f(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def draw_report(report: SceneReport, folder: Path) -> list[Path]:
    """Draw confusion matrix and calibration.

    The folder is created if necessary. ConfigError if matplotlib is not installed or the folder
    cannot be written.
    """
    confusion, axes = _figure(7.5, 6.5)
    matrix = np.array(report.chosen["confusion"])
    shown = np.flatnonzero(matrix.any(axis=1) | matrix.any(axis=0))
    counts = matrix[np.ix_(shown, shown)]
    names = [report.classes[i] for i in shown]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    picture = axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="said", ylabel="shows")
    axes.set_title(f"{report.chosen['method']}, photos of groups left out")
    confusion.colorbar(picture, ax=axes, label="share of the row", shrink=0.8)

    # Calibration of all probabilities as lines, of the predicted classes as crosses
    calibration, axes = _figure(6.0, 6.0)
    for name, (found, said) in report.calibration.items():
        (line,) = axes.plot(
            found.mean_probability,
            found.frequency,
            marker="o",
            linewidth=2.5 if name == report.chosen["method"] else 1.0,
            label=f"{name}: ECE {found.expected_error:.3f}, Brier {found.brier:.3f}; "
            f"ECE of the said {said.expected_error:.3f}",
        )
        axes.plot(said.mean_probability, said.frequency, "x", color=line.get_color())
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=0)
    axes.set(xlabel="probability that a photo shows a class", ylabel="share that does")
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.2))
    axes.legend(fontsize=7, loc="upper left")
    pictures = {"confusion": confusion, "calibration": calibration}
    return [_save(figure, folder / f"scenes_{name}.png") for name, figure in pictures.items()]


def draw_mistakes(mistakes: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Draw thumbnails of the worst mistakes, named by the photos' paths; see `draw_report`."""
    shown = mistakes[:30]
    rows = max(-(-len(shown) // SHEET_COLUMNS), 1)
    figure, axes = _figure(3.2 * SHEET_COLUMNS, 2.8 * rows, (rows, SHEET_COLUMNS))
    for place in axes.flat:
        place.axis("off")
    for place, mistake in zip(axes.flat, shown, strict=False):
        place.set_title(
            f"{Path(mistake['name']).name[:34]}\n{';'.join(mistake['labels'])}, "
            f"not {mistake['said']} ({mistake['probability_said']:.2f})",
            fontsize=7,
        )
        try:
            place.imshow(read_display_rgb(Path(mistake["name"]), 300)[0])
        except FrameError:
            place.text(0.1, 0.5, "cannot be read", transform=place.transAxes)
    return _save(figure, folder / "scenes_mistakes.png")


def _figure(width: float, height: float, grid: tuple[int, int] = (1, 1)) -> tuple[Any, Any]:
    need("--plot", "matplotlib.figure")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(*grid, squeeze=grid == (1, 1))


def _save(figure: Any, path: Path) -> Path:
    content = BytesIO()
    # Without the library's version, so that equal reports give equal bytes
    figure.savefig(content, dpi=100, metadata={"Software": None})
    write_whole(path, content.getvalue(), with_folder=True)
    return path
