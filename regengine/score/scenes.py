"""Score every kind of scene model on photos of left-out groups, and report the scores."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray, IndexArray
from regengine.errors import ConfigError, FrameError
from regengine.io.extras import need
from regengine.photo.image import read_display_rgb
from regengine.scene.labels import Samples
from regengine.scene.training import METHODS, CrossValidation, choose_method, choose_scored_classes
from regengine.score.tables import table
from regengine.store.records import plain

BINS = 10


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """Scores of one class."""

    name: str  # the class
    # Frames whose main content it is, their groups, and the groups of which less than half of the
    # frames were classified correctly
    frames: int
    groups: int
    groups_missed: int
    # Of frames; NaN if undefined
    precision: float
    recall: float
    f1: float


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
class MethodReport:
    """Scores of one kind of model."""

    name: str  # one of `regengine.scene.training.METHODS`
    # macro_f1, macro_f1_groups: mean F1 of the scored classes, with equal weight of each photo, and
    # of each group
    macro_f1: float
    macro_f1_groups: float
    accuracy: float  # share of photos that were classified correctly
    confusion: IndexArray  # (C, C): true class (rows), predicted class (columns)
    classes: list[ClassScore]  # of every class
    # Of the probabilities of all classes, with equal weight of each group. Most are correctly near
    # 0
    calibration: CalibrationScore
    # Of the probability of the predicted class, which is the harder test
    calibration_said: CalibrationScore
    unexplained: int  # photos that the gate rejected


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A photo with a predicted class that it does not show."""

    name: str
    labels: tuple[str, ...]
    said: str
    probability_said: float
    probability_true: float
    explained: bool


@dataclass(frozen=True, kw_only=True)
class SceneReport:
    """Results of a cross-validation.

    ``scored`` classes count for macro-F1; ``chosen`` is the kind of model that `regengine train`
    would choose, and ``mistakes`` are that model's, the most confident first.
    """

    classes: tuple[str, ...]
    scored: tuple[str, ...]
    chosen: str
    methods: list[MethodReport]
    mistakes: list[Mistake]

    @property
    def chosen_report(self) -> MethodReport:
        """The report of the chosen kind."""
        return next(report for report in self.methods if report.name == self.chosen)


def evaluate_scenes(validation: CrossValidation) -> SceneReport:
    """Score a cross-validation."""
    samples, chosen = validation.samples, choose_method(validation)
    return SceneReport(
        classes=samples.classes,
        scored=tuple(samples.classes[i] for i in choose_scored_classes(samples)),
        chosen=chosen,
        methods=[report_method(validation, method) for method in METHODS],
        mistakes=find_mistakes(validation, chosen),
    )


def report_method(validation: CrossValidation, method: str) -> MethodReport:
    """Score one kind of model."""
    samples, p, said = validation.samples, validation.probabilities[method], validation.said(method)
    places, votes = np.arange(len(samples)), samples.weights
    return MethodReport(
        name=method,
        macro_f1=validation.macro_f1(method),
        macro_f1_groups=validation.macro_f1(method, votes),
        accuracy=float(np.mean(samples.primary == said)),
        confusion=validation.confusion(method),
        classes=[
            score_class(name, samples.primary == index, said == index, np.array(samples.groups))
            for index, name in enumerate(samples.classes)
        ],
        calibration=score_calibration(
            p, samples.targets, np.repeat(votes[:, None], p.shape[1], axis=1)
        ),
        calibration_said=score_calibration(p[places, said], samples.targets[places, said], votes),
        unexplained=int(np.sum(~validation.explained)),
    )


def score_class(
    name: str, shown: NDArray[np.bool_], said: NDArray[np.bool_], groups: NDArray[np.str_]
) -> ClassScore:
    """Precision, recall and F1 of a class from its true and predicted frames, (N,)."""
    right, total = int((shown & said).sum()), int(shown.sum() + said.sum())
    told = [said[shown & (groups == group)].mean() for group in np.unique(groups[shown])]
    return ClassScore(
        name=name,
        frames=int(shown.sum()),
        groups=len(told),
        groups_missed=sum(bool(share < 0.5) for share in told),
        precision=right / int(said.sum()) if said.any() else float("nan"),
        recall=right / int(shown.sum()) if shown.any() else float("nan"),
        f1=2.0 * right / total if total else float("nan"),
    )


def score_calibration(
    probabilities: FloatArray,
    outcomes: NDArray[np.bool_],
    weights: FloatArray | None = None,
    bins: int = BINS,
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


def find_mistakes(validation: CrossValidation, method: str) -> list[Mistake]:
    """Photos with a predicted class that they do not show, the most confident first."""
    samples, said = validation.samples, validation.said(method)
    found = []
    for row, p in enumerate(validation.probabilities[method]):
        if not samples.targets[row, said[row]]:
            found.append(
                Mistake(
                    name=samples.names[row],
                    labels=samples.labels[row],
                    said=samples.classes[said[row]],
                    probability_said=float(p[said[row]]),
                    probability_true=float(p[samples.primary[row]]),
                    explained=bool(validation.explained[row]),
                )
            )
    return sorted(found, key=lambda one: one.probability_true - one.probability_said)


THUMBNAIL_PX = 300
SHEET_COLUMNS = 5
SHOWN_MISTAKES = 30


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


def report_lines(samples: Samples, report: SceneReport) -> list[str]:
    """The complete report as Markdown, which is also readable on a terminal."""
    best, is_real = report.chosen_report, ~samples.simulated
    n_groups = len({g for g, real in zip(samples.groups, is_real, strict=True) if real})
    n_simulated = int(samples.simulated.sum())
    of_methods = (
        "method, macro-F1, by groups, right, ECE, Brier, ECE of the said, beyond the gate, "
    )
    methods = [
        [
            m.name,
            _f(m.macro_f1),
            _f(m.macro_f1_groups),
            _f(m.accuracy),
            _f(m.calibration.expected_error),
            _f(m.calibration.brier),
            _f(m.calibration_said.expected_error),
            str(m.unexplained),
            "taken" if m.name == report.chosen else "",
        ]
        for m in report.methods
    ]
    of_classes = "class, photos, groups, missed, precision, recall, F1, "
    classes = [
        [
            c.name,
            str(c.frames),
            str(c.groups),
            str(c.groups_missed),
            _f(c.precision),
            _f(c.recall),
            _f(c.f1),
            "" if c.name in report.scored else "not scored",
        ]
        for c in best.classes
    ]
    mistakes = [
        [
            f"{Path(m.name).parent.name}/{Path(m.name).name}".lstrip("/"),
            ";".join(m.labels),
            m.said,
            f"{m.probability_said:.2f}",
            f"{m.probability_true:.2f}",
            "" if m.explained else "beyond the gate",
        ]
        for m in report.mistakes
    ]
    return [
        f"{int(is_real.sum())} photos in {n_groups} groups"
        + (f", and {n_simulated} simulated frames in training" if n_simulated else "")
        + f"; macro-F1 over {', '.join(report.scored)}.",
        *["", "## Methods", ""],
        *table(re.split(", ?", of_methods), methods),
        *["", f"## Confusion of {best.name}", ""],
        *confusion_lines(report.classes, best.confusion),
        *["", f"## Classes by {best.name}", ""],
        *table(of_classes.split(", "), classes),
        *["", f"## Mistakes of {best.name}", ""],
        *table(["photo", "shows", "said", "P(said)", "P(true)", ""], mistakes),
    ]


def report_facts(report: SceneReport) -> list[dict[str, Any]]:
    """The report as JSON objects, each with its table's name; None for unknown values."""
    facts: list[dict[str, Any]] = []
    for m in report.methods:
        facts.append(
            {
                "table": "methods",
                "method": m.name,
                "taken": m.name == report.chosen,
                "macro_f1": m.macro_f1,
                "macro_f1_by_groups": m.macro_f1_groups,
                "accuracy": m.accuracy,
                "expected_calibration_error": m.calibration.expected_error,
                "brier_score": m.calibration.brier,
                "expected_calibration_error_of_said": m.calibration_said.expected_error,
                "beyond_the_gate": m.unexplained,
                "labels": list(report.classes),
                "scored": list(report.scored),
                "confusion": m.confusion.tolist(),
                "classes": [asdict(c) for c in m.classes],
            }
        )
    facts += [{"table": "mistakes", **asdict(one)} for one in report.mistakes]
    return [plain(fact, str) for fact in facts]


def _f(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def draw_report(report: SceneReport, folder: Path) -> list[Path]:
    """Draw confusion matrix and calibration.

    The folder is created if necessary. ConfigError if matplotlib is not installed or the folder
    cannot be written.
    """
    pictures = {}
    for name, size, draw in (
        ("confusion", (7.5, 6.5), _confusion),
        ("calibration", (6.0, 6.0), _reliability),
    ):
        pictures[name], axes = _figure(*size)
        draw(axes, report)
    return [_save(figure, folder / f"scenes_{name}.png") for name, figure in pictures.items()]


def draw_mistakes(mistakes: Sequence[Mistake], folder: Path) -> Path:
    """Draw thumbnails of the worst mistakes, named by the photos' paths; see `draw_report`."""
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
    need("--plot", "matplotlib.figure")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(*grid, squeeze=grid == (1, 1))


def _save(figure: Any, path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without the library's version, so that equal reports give equal bytes
        figure.savefig(path, dpi=100, metadata={"Software": None})
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror or error}).") from error
    return path


def _confusion(axes: Any, report: SceneReport) -> None:
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
    axes.figure.colorbar(picture, ax=axes, label="share of the row", shrink=0.8)


def _reliability(axes: Any, report: SceneReport) -> None:
    """Calibration of all probabilities as lines, of the predicted classes as crosses."""
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
