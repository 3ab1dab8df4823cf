"""Streak methods on real frames: held against masks where there are some, counted elsewhere.

A folder of frames has an ``index.csv`` with the columns ``file``, ``label_file`` (a mask of pixels
in the same folder) and ``label_kind``: ``pixel mask``, a text that begins with ``image-level: no``
or ``image-level: streak``, or anything else for frames of which nothing is known.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.registration.report import number, table
from benchmarks.simulate.streak_frames import EXPOSURE_S, PaperFrame, paper_frame
from benchmarks.streaks.methods import StreakMethod
from regengine.errors import FrameError
from regengine.evaluate.streak_labels import MaskScore, misclassification, score_mask, streak_mask
from regengine.evaluate.streak_scores import as_rows, curve_points, score_streaks
from regengine.photo.image import LinearLight, read_linear_light
from regengine.sky.detection.kinds import STREAKS, not_sky_or_blank

PANEL_PX = 640
GREEN, WHITE = (90, 255, 90), (255, 255, 255)  # blue, green, red
BRIGHT_SIGMA = 12.0


@dataclass(frozen=True, kw_only=True)
class RealFrame:
    """A frame of the folder and what is known of it.

    Attributes
    ----------
    path : Path
    mask : Path or None
        Image whose bright pixels are streaks.
    streaks : bool or None
        Whether there is a streak at all, as far as known.
    """

    path: Path
    mask: Path | None
    streaks: bool | None


@dataclass(frozen=True, kw_only=True)
class RealResult:
    """What a method found in a frame."""

    frame: RealFrame
    method: str
    rows: NDArray[np.float64]
    seconds: float
    score: MaskScore | None


def real_frames(folder: Path) -> list[RealFrame]:
    """Frames that the folder's index names and that are there."""
    index = folder / "index.csv"
    if not index.is_file():
        raise FileNotFoundError(f"{index} is not there: it lists the frames of the folder")
    with index.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    frames = []
    for row in rows:
        kind = row["label_kind"]
        masked = kind == "pixel mask"
        known = True if masked or kind.startswith("image-level: streak") else None
        frames.append(
            RealFrame(
                path=folder / row["file"],
                mask=folder / row["label_file"] if masked else None,
                streaks=False if kind.startswith("image-level: no") else known,
            )
        )
    return [frame for frame in frames if frame.path.is_file()]


def real_lines(
    methods: Sequence[StreakMethod], folder: Path, overlays: Path | None = None
) -> list[str]:
    """Run all methods on the frames of a folder: tables as Markdown lines."""
    results, notes = [], []
    for frame in real_frames(folder):
        try:
            picture = read_linear_light(frame.path, max_long_side_px=STREAKS.long_side_px)
        except FrameError as error:
            notes.append(f"- {frame.path.name}: {error}")
            continue
        some = [_run(method, frame, picture) for method in methods]
        results += some
        if overlays is not None:
            _draw(picture, some, overlays / f"{frame.path.name}.png")
    lines = ["## Real frames", "", *_summary(methods, results), ""]
    lines += ["Found of the objects of a mask + false ones, or detections:", ""]
    lines += [*_frame_table(methods, results), ""]
    return [*lines, *(["Not read:", "", *notes, ""] if notes else [])]


def _run(method: StreakMethod, frame: RealFrame, picture: LinearLight) -> RealResult:
    ignored = picture.without(not_sky_or_blank(picture))
    started = time.process_time()
    try:
        rows = method.find(picture.light, ignored, picture.saturated).rows
    except Exception as error:  # of other libraries, on frames they were not made for
        print(f"{frame.path.name} {method.name}: {type(error).__name__}: {error}", file=sys.stderr)
        rows = np.zeros((0, 5))
    seconds = time.process_time() - started
    rows = as_rows(rows)
    score = None
    if frame.mask is not None:
        mask = _read_mask(frame.mask, picture.light.shape)
        score = score_mask(mask, rows)
    print(f"{frame.path.name} {method.name}: {len(rows)}, {seconds:.1f} s", file=sys.stderr)
    return RealResult(frame=frame, method=method.name, rows=rows, seconds=seconds, score=score)


def _read_mask(path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise FrameError(f"{path} is no readable mask")
    return np.asarray(cv2.resize(grey, (shape[1], shape[0])) > 127)


def _summary(methods: Sequence[StreakMethod], results: Sequence[RealResult]) -> list[str]:
    header = (
        *("method", "objects of masks found", "false, masked frames"),
        *("frames with a streak answered", "detections, frames without", "CPU s, masked"),
    )
    lines = []
    for method in methods:
        mine = [one for one in results if one.method == method.name]
        masked = [one.score for one in mine if one.score is not None]
        times = [one.seconds for one in mine if one.score is not None]
        known = [one for one in mine if one.frame.streaks and one.score is None]
        empty = [one for one in mine if one.frame.streaks is False]
        lines.append(
            [
                method.name,
                f"{sum(s.found for s in masked)} of {sum(s.wanted for s in masked)}",
                f"{sum(s.false for s in masked)} in {len(masked)}",
                f"{sum(len(one.rows) > 0 for one in known)} of {len(known)}",
                f"{sum(len(one.rows) for one in empty)} in {len(empty)}",
                number(float(np.median(times)) if times else None, 1),
            ]
        )
    return table(header, lines, right=5)


def _frame_table(methods: Sequence[StreakMethod], results: Sequence[RealResult]) -> list[str]:
    names = [method.name for method in methods]
    lines = []
    for path in dict.fromkeys(one.frame.path for one in results):
        by_name = {one.method: one for one in results if one.frame.path == path}
        lines.append([path.name, *(_cell(by_name[name]) for name in names)])
    return table(("frame", *names), lines, right=len(names))


def _cell(result: RealResult) -> str:
    score = result.score
    if score is None:
        return str(len(result.rows))
    return f"{score.found}/{score.wanted} + {score.false}"


def _draw(picture: LinearLight, results: Sequence[RealResult], target: Path) -> None:
    """A panel for each method, its lines drawn beside what they run along."""
    target.parent.mkdir(parents=True, exist_ok=True)
    light = np.nan_to_num(picture.light)
    dark = float(np.median(light))
    sigma = 1.4826 * float(np.median(np.abs(light - dark))) or 1.0
    grey = np.sqrt(np.clip((light - dark) / (BRIGHT_SIGMA * sigma) + 0.1, 0.0, 1.0))
    scale = PANEL_PX / max(light.shape)
    small = cv2.resize(
        np.rint(255.0 * grey).astype(np.uint8),
        (max(1, round(light.shape[1] * scale)), max(1, round(light.shape[0] * scale))),
        interpolation=cv2.INTER_AREA if scale < 1.0 else cv2.INTER_NEAREST,
    )
    panels = []
    for one in results:
        panel = cv2.cvtColor(small, cv2.COLOR_GRAY2BGR)
        for row in one.rows:
            for side in (-5.0, 5.0):
                cv2.polylines(panel, [_beside(row, scale, side)], False, GREEN, 1, cv2.LINE_AA)
        cv2.putText(panel, one.method, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, WHITE, 1)
        panels.append(panel)
    across = min(4, len(panels))
    blank = np.zeros_like(panels[0])
    panels += [blank] * (-len(panels) % across)
    lines = [np.hstack(panels[k : k + across]) for k in range(0, len(panels), across)]
    cv2.imwrite(str(target), np.vstack(lines))


def _beside(row: NDArray[np.float64], scale: float, side: float) -> NDArray[np.int32]:
    """Places of a streak in a panel, moved across by some pixels of the panel."""
    points = (curve_points(row, 17) + 0.5) * scale
    step = row[2:4] - row[:2]
    length = float(np.hypot(*step)) or 1.0
    moved = points + side * np.array([-step[1], step[0]]) / length
    return np.rint(moved).astype(np.int32)


# The table of Farzaneh et al. 2021 again, on frames like theirs.

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
