"""Figures of the star benchmark: completeness, centroid errors, and frames with what was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.starfield import Starfield
from detectors.types import FloatArray
from regengine.evaluate.detections import Matches

# What one method found in one simulated frame of stars.

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class StarResult:
    """A frame, what a method found in it, and how both pair."""

    field: Starfield
    found: FloatArray
    matches: Matches
    seconds: float

    @property
    def false(self) -> int:
        """Detections that are no star."""
        return len(self.found) - self.matches.found.size

    def hit(self) -> BoolArray:
        """Which of the stars were found."""
        hit = np.zeros(self.field.x.size, bool)
        hit[self.matches.truth] = True
        return hit

    def errors(self) -> FloatArray:
        """Error of x and y of each star in pixels, NaN where it was not found."""
        errors = np.full((self.field.x.size, 2), np.nan)
        truth = np.column_stack([self.field.x, self.field.y])[self.matches.truth]
        errors[self.matches.truth] = self.found[self.matches.found] - truth
        return errors


EDGES = np.geomspace(2.0, 200.0, 15)
GREEN, RED, CYAN = (90, 255, 90), (80, 80, 255), (255, 220, 80)  # blue, green, red
BRIGHT_SIGMA = 15.0  # white in the pictures of frames
SHOWN_PX = 640  # of a frame: PNG files of noise are large


def draw_star_figures(every: dict[str, list[StarResult]], folder: Path) -> list[Path]:
    """Draw the curves of all methods, and two frames of the first one that has them."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        _curves(every, folder / "completeness.png"),
        _errors(every, folder / "centroids.png"),
    ]
    best = every.get("matched", next(iter(every.values())))
    for trailed, name in ((False, "points.png"), (True, "trails.png")):
        shown = [r for r in best if (r.field.trail_px is not None) == trailed]
        if shown:
            written.append(_frame(shown[0], folder / name))
    return written


def _axes(pyplot: Any, label: str) -> tuple[Any, Any]:
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    axes.set_xscale("log")
    axes.set_xlabel("signal-to-noise ratio of the brightest pixel")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    return figure, axes


def _curves(every: dict[str, list[StarResult]], target: Path) -> Path:
    from matplotlib import pyplot

    figure, axes = _axes(pyplot, "part of the stars found")
    middle = np.sqrt(EDGES[1:] * EDGES[:-1])
    for name, results in every.items():
        snr = np.concatenate([r.field.peak_snr[r.field.resolved] for r in results])
        hit = np.concatenate([r.hit()[r.field.resolved] for r in results])
        bins = np.digitize(snr, EDGES) - 1
        part = [hit[bins == k].mean() if (bins == k).any() else np.nan for k in range(len(middle))]
        axes.plot(middle, part, marker="o", markersize=3, label=name)
    axes.legend(fontsize=7)
    return _saved(pyplot, figure, target)


def _errors(every: dict[str, list[StarResult]], target: Path) -> Path:
    from matplotlib import pyplot

    figure, axes = _axes(pyplot, "centroid error per axis, px (68 %), points")
    middle = np.sqrt(EDGES[1:] * EDGES[:-1])
    bound: dict[int, FloatArray] = {}
    for name, results in every.items():
        chosen = [r for r in results if r.field.trail_px is None]
        if not chosen:
            continue
        snr = np.concatenate([r.field.peak_snr for r in chosen])
        error = np.concatenate([np.abs(r.errors()).mean(axis=1) for r in chosen])
        limit = np.concatenate([r.field.bound_px.mean(axis=1) for r in chosen])
        bins = np.where(np.isfinite(error), np.digitize(snr, EDGES) - 1, -1)
        # The mean of two absolute errors of sigma s is 0.8 s: its median over sqrt(2 / pi)
        line = [
            np.median(error[bins == k]) / (2.0 / np.pi) ** 0.5 if (bins == k).any() else np.nan
            for k in range(len(middle))
        ]
        axes.plot(middle, line, marker="o", markersize=3, label=name)
        if not bound:
            bound = {k: limit[np.digitize(snr, EDGES) - 1 == k] for k in range(len(middle))}
    line = [np.median(bound[k]) if k in bound and bound[k].size else np.nan for k in range(14)]
    axes.plot(middle, line, "k--", label="Cramer-Rao bound")
    axes.set_yscale("log")
    axes.legend(fontsize=7)
    return _saved(pyplot, figure, target)


def _saved(pyplot: Any, figure: Any, target: Path) -> Path:
    figure.tight_layout()
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
    return target


def _frame(result: StarResult, target: Path) -> Path:
    """A frame's corner: found stars in green, false ones in red, missed ones (SNR 3 up) in cyan."""
    light = result.field.light
    dark = float(np.median(light))
    sigma = 1.4826 * float(np.median(np.abs(light - dark)))
    grey = np.clip((light - dark) / (BRIGHT_SIGMA * sigma) + 0.15, 0.0, 1.0)
    picture = cv2.cvtColor(np.rint(255.0 * np.sqrt(grey)).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    truth = np.column_stack([result.field.x, result.field.y])
    missed = ~result.hit() & result.field.resolved & (result.field.peak_snr >= 3.0)
    false = np.delete(result.found, result.matches.found, axis=0)
    for places, colour in (
        (result.found[result.matches.found], GREEN),
        (false, RED),
        (truth[missed], CYAN),
    ):
        for x, y in places:
            cv2.circle(picture, (round(x), round(y)), 6, colour, 1, cv2.LINE_AA)
    cv2.imwrite(str(target), picture[:SHOWN_PX, :SHOWN_PX])
    return target
