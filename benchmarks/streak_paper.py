"""The table of Farzaneh et al. 2021 again, on frames like theirs."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from benchmarks.registration_report import number, table
from benchmarks.simulate.paper_frames import EXPOSURE_S, PaperFrame, paper_frame
from benchmarks.streak_methods import StreakMethod
from regengine.evaluate.streak_masks import misclassification, streak_mask
from regengine.evaluate.streak_scores import score_streaks

# Misclassification and seconds of the paper's image (a), by the beginning of its variants' names
PAPER = {
    "pso": (1.0e-3, 3.563),
    "ga": (6.69e-4, 3.616),
    "gmm": (1.5e-3, 11.696),
    "kmeans": (9.0e-4, 7.780),
    "pso-kmeans": (1.3e-3, 5.841),
    "ga-kmeans": (1.4e-3, 6.560),
    "gmm-kmeans": (9.1e-4, 12.352),
}


def paper_figures(method: str) -> tuple[float, float] | None:
    """Misclassification and seconds that the paper gives for one of its variants, else None."""
    return PAPER.get(method.removeprefix("paper-"))


def paper_lines(methods: Sequence[StreakMethod]) -> list[str]:
    """Every method on frames a and b, beside the paper's figures for image (a)."""
    header = (
        *("method", "frame", "misclassified: pixels", "lines", "the paper's"),
        *("CPU s", "the paper's s"),
        *("found", "false", "pieces", "end px"),
    )
    lines = []
    nothing = ""
    for name in EXPOSURE_S:
        made = paper_frame(name)
        truth = made.frame.truth
        mask = streak_mask(made.counts.shape, truth.segments, truth.width_px)
        nothing += f"{mask.mean():.1e} on frame {name}; "
        lines += [_cells(method, made, mask) for method in methods if not method.slow]
    return [
        "## The paper's frames",
        "",
        "Two 16-bit frames like those of Farzaneh et al. 2021, of which there is no public copy: "
        "1024 x 1024 pixels, exposures of 0.5 s (a) and 1 s (b), one streak of 300 x 3 px. "
        "*Misclassified* is the paper's measure, wrong pixels over all pixels: of the pixels that "
        "a method takes for streaks before lines are drawn through them, and of its lines drawn "
        "with their widths.",
        "",
        *table(header, sorted(lines, key=lambda cells: cells[1]), right=9),
        "",
        f"**Misclassification does not judge.** The answer that there is no streak at all scores "
        f"{nothing.rstrip('; ')}: as good as the paper's rows. A streak found a pixel too wide "
        "scores worse than one not found. Recall, false streaks and the ends tell methods apart.",
        "",
    ]


def _cells(method: StreakMethod, made: PaperFrame, truth_mask: np.ndarray) -> list[str]:
    truth = made.frame.truth
    started = time.process_time()
    found = method.find(made.counts, None, made.frame.saturated)
    seconds = time.process_time() - started
    lines = streak_mask(made.counts.shape, found.rows, found.width_px)
    pixels = None
    if method.mask is not None:
        pixels = misclassification(method.mask(made.counts), truth_mask)
    score = score_streaks(truth.segments, found.rows)
    theirs = paper_figures(method.name) if made.name == "a" else None
    return [
        method.name,
        made.name,
        number(None) if pixels is None else f"{pixels:.1e}",
        f"{misclassification(lines, truth_mask):.1e}",
        f"{theirs[0]:.1e}" if theirs else number(None),
        number(seconds),
        number(theirs[1] if theirs else None, 3),
        f"{int(score.found.sum())} of {len(truth)}",
        str(int(score.false[0])),
        str(int(score.pieces[0])),
        number(score.end_error(0.5), 1),
    ]
