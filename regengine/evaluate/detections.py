"""Score detections against ground truth: completeness, false detections, centroid errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from detectors.types import BoolImage, FloatArray, IndexArray
from regengine.errors import ConfigError, FrameError
from regengine.evaluate.tables import FactTable, numbers, read_labelled_rows
from regengine.photo.formats import check_pixels, read_photo_file
from regengine.records import plain
from regengine.sky.drawing import draw_comparison

# Matching radius: three pixels, as is usual for stars.
MATCH_RADIUS_PX = 3.0
# The centre of a town is uncertain by a fraction of its size: this share of its half-light radius
# is added.
MATCH_RADIUS_FRACTION = 0.25

# Takes a photo; returns the detections in it, shape (N, 2), and the processing time in seconds
Finder = Callable[[Path], tuple[FloatArray, float]]
DETECTION_TABLE = FactTable(
    method_width=12,
    columns=(
        ("photos", "photos", "d", 6),
        ("labels", "labels", "d", 7),
        ("complete", "completeness", ".3f", 8),
        ("in flux", "flux_completeness", ".3f", 8),
        ("false/photo", "false_per_photo", ".1f", 11),
        ("false", "false_fraction", ".1%", 7),
        ("error px", "centroid_error_px", ".2f", 9),
        ("90 %", "centroid_error_p90_px", ".2f", 7),
        ("s/photo", "seconds_per_photo", ".3f", 8),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Matches:
    """One-to-one pairs of truth and detection: their indices and distances, shape (M,)."""

    truth: IndexArray
    found: IndexArray
    distance_px: FloatArray


@dataclass(frozen=True, kw_only=True)
class DetectionScore:
    """Score of a method on some frames.

    ``wanted`` is the number of true lights that should be detected; fluxes are NaN where the truth
    has none. ``false`` detections match no true light. ``distance_px``, shape (found,), are
    centroid errors of the detected wanted lights; ``seconds`` is the time of all frames.
    """

    frames: int
    wanted: int
    found: int
    wanted_flux: float
    found_flux: float
    detections: int
    false: int
    distance_px: FloatArray
    seconds: float

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
    none = Matches(truth=np.zeros(0, np.intp), found=np.zeros(0, np.intp), distance_px=np.zeros(0))
    if len(truth_xy) == 0 or len(found_xy) == 0:
        return none
    near = cKDTree(found_xy).query_ball_point(truth_xy, tolerance_px)
    truth = np.repeat(np.arange(len(truth_xy)), [len(found) for found in near])
    if truth.size == 0:
        return none
    found = np.concatenate([np.asarray(indices, np.intp) for indices in near])
    distance = np.hypot(*(truth_xy[truth] - found_xy[found]).T)
    free_truth, free_found = np.ones(len(truth_xy), bool), np.ones(len(found_xy), bool)
    taken = []
    for pair in np.argsort(distance / tolerance_px[truth], kind="stable"):
        if free_truth[truth[pair]] and free_found[found[pair]]:
            free_truth[truth[pair]] = free_found[found[pair]] = False
            taken.append(pair)
    return Matches(truth=truth[taken], found=found[taken], distance_px=distance[taken])


def match_tolerance_px(radius_px: FloatArray) -> FloatArray:
    """Matching tolerance for lights with that half-light radius; NaN: a point."""
    return MATCH_RADIUS_PX + MATCH_RADIUS_FRACTION * np.nan_to_num(radius_px)


def score_frame(
    matches: Matches,
    wanted: BoolImage,
    detections: int,
    *,
    flux: FloatArray | None = None,
    seconds: float = 0.0,
) -> DetectionScore:
    """Score one frame.

    ``wanted``, shape (N,), marks true lights that should be detected; a detection of one of the
    others is not false. ``flux``, shape (N,), is of the true lights.
    """
    known = wanted[matches.truth]
    weights = np.full(wanted.size, np.nan) if flux is None else flux
    return DetectionScore(
        frames=1,
        wanted=int(wanted.sum()),
        found=int(known.sum()),
        wanted_flux=float(weights[wanted].sum()),
        found_flux=float(weights[matches.truth[known]].sum()),
        detections=detections,
        false=detections - matches.found.size,
        distance_px=matches.distance_px[known],
        seconds=seconds,
    )


def total_score(scores: Sequence[DetectionScore]) -> DetectionScore:
    """Combine the scores of several frames."""
    counts = [field.name for field in fields(DetectionScore) if field.name != "distance_px"]
    return DetectionScore(
        distance_px=np.concatenate([np.zeros(0), *(score.distance_px for score in scores)]),
        **{name: sum(getattr(score, name) for score in scores) for name in counts},
    )


@dataclass(frozen=True, kw_only=True)
class LabelledPhoto:
    """A photo and the lights that a person labelled in it."""

    path: Path  # the photo
    # x, y, (N,): positions, pixels of the picture as stored
    x: FloatArray
    y: FloatArray
    # flux, radius_px, (N,): flux in any unit and half-light radius; NaN where not given
    flux: FloatArray
    radius_px: FloatArray


def read_light_labels(path: Path) -> list[LabelledPhoto]:
    """Read a table of labelled lights: photos in the order of their first rows.

    CSV with the columns path, x, y and optionally flux and radius_px; others are ignored. A row
    with only a path means that the photo shows no light. Relative paths start at the table's
    folder. ConfigError if the file cannot be read, lacks a column, has no row, or a value is not a
    number.
    """
    photos: dict[str, list[list[float]]] = {}
    columns = ("x", "y", "flux", "radius_px")
    advice = "the first line must name path, x, y"
    for photo, place, row in read_labelled_rows(path, ("x", "y"), advice):
        lights = photos.setdefault(photo, [])
        texts = [row.get(name, "") for name in columns]
        if not texts[0] and not texts[1]:
            continue
        values = numbers(place, texts)
        if not np.isfinite(values[:2]).all():
            raise ConfigError(f"{place}: a light needs both x and y.")
        lights.append(values)
    if not photos:
        raise ConfigError(f"{path} labels no photo: add one row per light, path, x, y.")
    found = []
    for name, lights in photos.items():
        x, y, flux, radius_px = np.array(lights, float).reshape(-1, len(columns)).T
        found.append(
            LabelledPhoto(path=path.parent / name, x=x, y=y, flux=flux, radius_px=radius_px)
        )
    return found


def check_labels(photo: Path, positions: FloatArray) -> None:
    """Raise FrameError if a labelled position (N, 2) is outside of its photo."""
    file = read_photo_file(photo)
    try:
        check_pixels(positions.tolist(), file.width_px, file.height_px)
    except ConfigError as error:
        raise FrameError(
            f"{photo}: a label does not fit the photo ({error}); check columns and units"
        ) from error


def score_photo(
    photo: LabelledPhoto, find: Finder, tolerance_px: float, picture: Path | None
) -> DetectionScore:
    """Score one method on one photo, and draw it if a path is given; FrameError if it fails."""
    truth = np.column_stack([photo.x, photo.y])
    check_labels(photo.path, truth)
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
    """Summary of one method as JSON-serialisable values; None for unknown values."""
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
    return dict(plain(facts, str))
