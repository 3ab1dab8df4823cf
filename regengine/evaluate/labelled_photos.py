"""How a method that finds places in photos does on labelled ones: a line of facts."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.detection_overlay import draw_comparison
from regengine.evaluate.detections import (
    MATCH_RADIUS_PX,
    DetectionScore,
    match_positions,
    match_tolerance_px,
    score_frame,
    total_score,
)
from regengine.evaluate.light_labels import LabelledPhoto

# From a photo to what was found in it, shape (N, 2), and the seconds it took
Finder = Callable[[Path], tuple[NDArray[np.float64], float]]
HEADER = (
    f"{'method':12s} {'photos':>6s} {'labels':>7s} {'complete':>8s} {'in flux':>8s} "
    f"{'false/photo':>11s} {'false':>7s} {'error px':>9s} {'90 %':>7s} {'s/photo':>8s}"
)


def score_photo(
    photo: LabelledPhoto, find: Finder, tolerance_px: float, picture: Path | None
) -> DetectionScore:
    """Score of one method on one photo, drawn where a picture is named; FrameError if it fails."""
    truth = np.column_stack([photo.x, photo.y])
    tolerance = match_tolerance_px(photo.radius_px) - MATCH_RADIUS_PX + tolerance_px
    found, seconds = find(photo.path)
    matches = match_positions(truth, found, tolerance)
    if picture is not None:
        draw_comparison(
            photo.path,
            found[matches.found],
            np.delete(found, matches.found, axis=0),
            np.delete(truth, matches.truth, axis=0),
            picture,
        )
    return score_frame(
        matches, np.ones(photo.x.size, bool), len(found), flux=photo.flux, seconds=seconds
    )


def summary(method: str, scores: list[DetectionScore]) -> dict[str, Any]:
    """What is said of one method, ready for JSON; None stands for what is not known."""
    total = total_score(scores)
    frames = max(total.frames, 1)
    facts: dict[str, Any] = {
        "method": method,
        "photos": total.frames,
        "labels": total.wanted,
        "completeness": total.completeness,
        "flux_completeness": total.flux_completeness,
        "false_per_photo": total.false / frames,
        "false_fraction": total.false_fraction,
        "centroid_error_px": total.error_px(0.5),
        "centroid_error_p90_px": total.error_px(0.9),
        "seconds_per_photo": round(total.seconds / frames, 4),
    }
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in facts.items()
    }


def table_line(facts: dict[str, Any]) -> str:
    """The same facts as a line under `HEADER`."""

    def cell(key: str, form: str, width: int) -> str:
        return f"{'-' if facts[key] is None else format(facts[key], form):>{width}s}"

    return (
        f"{facts['method']:12s} {facts['photos']:6d} {facts['labels']:7d} "
        f"{cell('completeness', '.3f', 8)} {cell('flux_completeness', '.3f', 8)} "
        f"{cell('false_per_photo', '.1f', 11)} {cell('false_fraction', '.1%', 7)} "
        f"{cell('centroid_error_px', '.2f', 9)} {cell('centroid_error_p90_px', '.2f', 7)} "
        f"{cell('seconds_per_photo', '.3f', 8)}"
    )
