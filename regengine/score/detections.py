"""Score detected lights, stars and flashes against labels: completeness, false ones, errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from detectors.types import BoolArray, BoolImage, FloatArray, IndexArray
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

    @property
    def completeness(self) -> float:
        """Detected fraction of the wanted lights; NaN if none were wanted."""
        return self.found / self.wanted if self.wanted else float("nan")

    @property
    def flux_completeness(self) -> float:
        """Detected fraction of the wanted lights' flux; NaN if fluxes are unknown."""
        return self.found_flux / self.wanted_flux if self.wanted_flux else float("nan")

    @property
    def false_fraction(self) -> float:
        """Fraction of the detections that match no true light; NaN without detections."""
        return self.false / self.detections if self.detections else float("nan")

    def error_px(self, quantile: float) -> float:
        """Quantile of the centroid errors; NaN if nothing was detected."""
        return float(np.quantile(self.distance_px, quantile)) if self.found else float("nan")


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


def score_frame(
    matches: Matches,
    wanted: BoolImage,
    detections: int,
    *,
    flux: FloatArray | None = None,
    n_false: int | None = None,
    seconds: float = 0.0,
) -> DetectionScore:
    """Score one frame.

    ``wanted``, shape (N,), marks true lights that should be detected; a detection of one of the
    others is not false. ``flux``, shape (N,), is of the true lights. Those without a pair are
    false, unless ``n_false`` says how many are.
    """
    truth, found, distance_px = matches
    known = wanted[truth]
    weights = np.full(wanted.size, np.nan) if flux is None else flux
    return DetectionScore(
        frames=1,
        wanted=int(wanted.sum()),
        found=int(known.sum()),
        wanted_flux=float(weights[wanted].sum()),
        found_flux=float(weights[truth[known]].sum()),
        detections=detections,
        false=detections - found.size if n_false is None else n_false,
        distance_px=distance_px[known],
        seconds=seconds,
    )


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
    """Score detections (M, 2) in a photo; also which are false, (M,), and labels missed, (K, 2)."""
    wanted, truth = ~photo.ignored, photo.middle
    if photo.has_ends:
        of_label, false = match_flashes(photo.rows, found)
        hit = np.flatnonzero(of_label >= 0)
        matches = hit, of_label[hit], np.hypot(*(found[of_label[hit]] - truth[hit]).T)
        score = score_frame(matches, wanted, len(found), n_false=int(false.sum()), seconds=seconds)
    else:
        flux, radius_px = photo.rows[:, 2], photo.rows[:, 3]
        # The centre of a town is uncertain by a fraction of its size; NaN: a point
        tolerance = tolerance_px + 0.25 * np.nan_to_num(radius_px)
        matches = match_positions(truth, found, tolerance)
        false = np.ones(len(found), bool)
        false[matches[1]] = False
        score = score_frame(matches, wanted, len(found), flux=flux, seconds=seconds)
    wanted[matches[0]] = False
    return score, false, truth[wanted]


def summarise_detections(method: str, scores: Sequence[DetectionScore]) -> dict[str, Any]:
    """Summary of one method as JSON-serialisable values; None for unknown values."""
    total = add_scores(DetectionScore, scores)
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
    return dict(plain(facts, str))
