"""Score detected lights, stars and flashes against labels: completeness, false ones, errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from detectors.types import BoolArray, FloatArray, IndexArray
from regengine.score.labels import FactColumns, LabelledPhoto, add_scores
from regengine.store.records import plain

# Matching radius: three pixels, as is usual for stars.
MATCH_RADIUS_PX = 3.0


DETECTION_TABLE: FactColumns = (
    ("method", "method", "s", 12),
    ("photos", "photos", "d", 6),
    ("labels", "labels", "d", 7),
    ("complete", "completeness", ".3f", 8),
    ("in flux", "flux_completeness", ".3f", 8),
    ("false/photo", "false_per_photo", ".1f", 11),
    ("false", "false_fraction", ".1%", 7),
    ("error px", "centroid_error_px", ".2f", 9),
    ("90 %", "centroid_error_p90_px", ".2f", 7),
    ("s/photo", "seconds_per_photo", ".3f", 8),
)


# Indices of truth and of detection of one-to-one pairs, and their distances, px; shape (M,)
Matches = tuple[IndexArray, IndexArray, FloatArray]


@dataclass(frozen=True, kw_only=True)
class DetectionScore:
    """Score of a method on some frames.

    ``wanted`` is the number of true lights that should be detected; fluxes are NaN where the truth
    has none. ``false`` detections match no true light. ``distance_px``, shape (found,), are
    centroid errors of the detected wanted lights; ``seconds`` is the time of all frames.
    """

    frames: int = 0
    wanted: int = 0
    found: int = 0
    wanted_flux: float = 0.0
    found_flux: float = 0.0
    detections: int = 0
    false: int = 0
    distance_px: FloatArray = field(default_factory=lambda: np.zeros(0))
    seconds: float = 0.0


def match_positions(
    truth_xy: FloatArray, found_xy: FloatArray, tolerance_px: FloatArray
) -> Matches:
    """Pair detections with true lights, nearest first, each used once.

    Positions, shape (N, 2) and (M, 2), are pixels; ``tolerance_px``, shape (N,), is how far a
    detection may lie from each true light. Pairs are ranked by distance over this.
    """
    if len(truth_xy) == 0 or len(found_xy) == 0:
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0)
    near = cKDTree(found_xy).query_ball_point(truth_xy, tolerance_px)
    truth = np.repeat(np.arange(len(truth_xy)), [len(found) for found in near])
    found = np.concatenate([np.asarray(indices, np.intp) for indices in near])
    distance = np.hypot(*(truth_xy[truth] - found_xy[found]).T)
    free_truth, free_found = np.ones(len(truth_xy), bool), np.ones(len(found_xy), bool)
    taken: list[int] = []
    for pair in np.argsort(distance / tolerance_px[truth], kind="stable"):
        if free_truth[truth[pair]] and free_found[found[pair]]:
            free_truth[truth[pair]] = free_found[found[pair]] = False
            taken.append(pair)
    return truth[taken], found[taken], distance[taken]


def match_flashes(boxes: FloatArray, found: FloatArray) -> tuple[IndexArray, BoolArray]:
    """Detection, x and y of (M, 2), of each labelled box (N, 4); -1 for none; and which are false.

    A detection in a box, or within its margin, may be that flash. The number of pairs is maximised,
    with each used once. Other detections in the same box are pieces of the flash and not false.
    """
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    # The centre of a flash may differ from that of its box: the box is extended by 3 px and a
    # quarter of its shorter side
    margin = 3.0 + 0.25 * (high - low).min(axis=2, keepdims=True)
    inside = ((found >= low - margin) & (found <= high + margin)).all(axis=2)
    apart = np.linalg.norm(found - 0.5 * (low + high), axis=2)
    cost = np.where(inside, apart / (1.0 + apart), 2.0 * len(boxes) + 2.0)
    label, detection = linear_sum_assignment(cost)
    of_label = np.full(len(boxes), -1)
    paired = inside[label, detection]
    of_label[label[paired]] = detection[paired]
    return of_label, ~inside.any(axis=0)


def score_points(
    photo: LabelledPhoto, found: FloatArray, seconds: float, tolerance_px: float
) -> tuple[DetectionScore, BoolArray, FloatArray]:
    """Score detections (M, 2) in a photo; also which are false, (M,), and labels missed, (K, 2).

    A detection of a label that is ignored is not false.
    """
    wanted, positions = ~photo.ignored, photo.middle
    flux, false = np.full(len(positions), np.nan), np.ones(len(found), bool)
    if photo.has_ends:
        of_label, false = match_flashes(photo.rows, found)
        truth = np.flatnonzero(of_label >= 0)
        distance_px = np.hypot(*(found[of_label[truth]] - positions[truth]).T)
    else:
        flux, radius_px = photo.rows[:, 2], photo.rows[:, 3]
        # The centre of a town is uncertain by a fraction of its size; NaN: a point
        tolerance = tolerance_px + 0.25 * np.nan_to_num(radius_px)
        truth, detection, distance_px = match_positions(positions, found, tolerance)
        false[detection] = False
    known = wanted[truth]
    score = DetectionScore(
        frames=1,
        wanted=int(wanted.sum()),
        found=int(known.sum()),
        wanted_flux=float(flux[wanted].sum()),
        found_flux=float(flux[truth[known]].sum()),
        detections=len(found),
        false=int(false.sum()),
        distance_px=distance_px[known],
        seconds=seconds,
    )
    wanted[truth] = False
    return score, false, positions[wanted]


def summarise_detections(method: str, scores: Sequence[DetectionScore]) -> dict[str, Any]:
    """Summary of one method as JSON-serialisable values; None for unknown values."""
    total = add_scores(DetectionScore, scores)
    frames = max(total.frames, 1)

    def share(of: float, whole: float) -> float:
        return of / whole if whole else float("nan")

    errors_px = np.quantile(total.distance_px, (0.5, 0.9)) if total.found else (np.nan, np.nan)
    facts: dict[str, Any] = {
        "method": method,
        "photos": total.frames,
        "labels": total.wanted,
        "completeness": share(total.found, total.wanted),
        "flux_completeness": share(total.found_flux, total.wanted_flux),
        "false_per_photo": total.false / frames,
        "false_fraction": share(total.false, total.detections),
        "centroid_error_px": float(errors_px[0]),
        "centroid_error_p90_px": float(errors_px[1]),
        "seconds_per_photo": round(total.seconds / frames, 4),
    }
    return dict(plain(facts, str))
