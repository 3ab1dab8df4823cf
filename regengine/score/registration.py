"""Score the control points of any registration system against true cameras of photographs."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.footprint import WGS84, diagonal_km, right_within_km
from regengine.errors import ConfigError, RegengineError
from regengine.io.plain import format_count
from regengine.io.tables import csv_rows
from regengine.score.labels import bound_share, parse_numbers, table
from regengine.store.result import MIN_HULL, MIN_POINTS
from regengine.store.reviews import check_place

ANSWER_COLUMNS = ("photo", "x", "y", "lon", "lat")
PROBABILITY = "probability"
PLACED, UNPLACED, NOTHING = "placed", "unplaced", "nothing"
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class TruePhoto:
    """Ground truth of one photo of the benchmark."""

    name: str
    # `PLACED`: `camera` is its camera; `UNPLACED`: its camera is unknown, so that nothing is
    # judged; `NOTHING`: it shows nothing that could be registered, and any answer is false
    status: str
    split: str
    camera: Camera | None


# A system's control points of one photo, (n, 4): x and y, pixels of the picture as stored, lon and
# lat, degrees; and its probability of being right, or any monotonic score; 1 if not given
PhotoAnswer = tuple[FloatArray, float]


@dataclass(frozen=True, kw_only=True)
class PhotoScore:
    """Judgement of the answer for one photo."""

    split: str
    outcome: str  # "right", "wrong", "none" (no answer), or "unjudged"
    probability: float | None
    # Errors of the control points by the true camera, metres; infinite if their pixels show sky
    error_m: FloatArray
    allowed_m: float | None  # None: its true camera is not known


def distance_m(lon1: ArrayLike, lat1: ArrayLike, lon2: ArrayLike, lat2: ArrayLike) -> FloatArray:
    """Geodesic distances on WGS84, metres; infinite where a position is not finite (the sky)."""
    from_lon, from_lat, to_lon, to_lat = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(value, float)) for value in (lon1, lat1, lon2, lat2))
    )
    distance = np.asarray(WGS84.inv(from_lon, from_lat, to_lon, to_lat)[2])
    return np.where(np.isfinite(distance), distance, np.inf)


def camera_of(row: Mapping[str, str]) -> Camera:
    """A camera from a row of the table of true cameras; ValueError or KeyError if incomplete."""
    x, y, z, w = (float(row[f"quaternion_{axis}"]) for axis in "xyzw")
    ex, ey, ez = (float(row[f"position_{axis}_m"]) for axis in "xyz")
    k1, k2, p1, p2, k3 = (float(row.get(name) or 0.0) for name in ("k1", "k2", "p1", "p2", "k3"))
    return Camera(
        width_px=int(row["width_px"]),
        height_px=int(row["height_px"]),
        focal_px=float(row["focal_px"]),
        principal_point=(float(row["principal_x"]), float(row["principal_y"])),
        quaternion=(x, y, z, w),
        position_ecef_m=(ex, ey, ez),
        distortion=(k1, k2, p1, p2, k3),
        mirrored=row["mirrored"] == "true",
        pixel_aspect=float(row["pixel_aspect"]) if row.get("pixel_aspect") else None,
    )


def photo_key(name: str) -> str:
    """Key of a photo: its file name without folders and extension, in lower case."""
    return PurePosixPath(name.replace("\\", "/")).stem.casefold()


def read_true_photos(path: Path) -> list[TruePhoto]:
    """Read a table of true cameras, see docs/public-benchmark.md.

    Raises ConfigError if it cannot be read, lacks a column or a number, or contains a photo twice.
    """
    photos: dict[str, TruePhoto] = {}
    for place, row in csv_rows(path, ("file", "status"), "give a table of true cameras"):
        status = row["status"]
        if status not in (PLACED, UNPLACED, NOTHING):
            raise ConfigError(
                f"{place}: the status is {status!r}; write {PLACED}, {UNPLACED} or {NOTHING}."
            )
        key = photo_key(row["file"])
        if not key or key in photos:
            raise ConfigError(f"{place}: the photo name {row['file']!r} is empty or repeated.")
        try:
            camera = camera_of(row) if status == PLACED else None
        except KeyError as error:
            raise ConfigError(f"{path}: the column {error} is missing.") from error
        except ValueError as error:
            raise ConfigError(f"{place}: {error}; write a number.") from error
        photos[key] = TruePhoto(
            name=row["file"], status=status, split=row.get("split") or ALL, camera=camera
        )
    if not photos:
        raise ConfigError(f"{path} lists no photo; give a table of true cameras.")
    return list(photos.values())


def read_answers(path: Path) -> dict[str, PhotoAnswer]:
    """Read a system's control points, by `photo_key`: CSV, HDF5 with the same columns, or a store.

    Raises ConfigError if it cannot be read, lacks a column, or a value is not valid.
    """
    import h5py

    rows = _hdf5_answers(path) if h5py.is_hdf5(path) else _csv_answers(path)
    points: dict[str, list[tuple[float, ...]]] = {}
    surety: dict[str, float] = {}
    for place, photo, values, probability in rows:
        key = photo_key(photo)
        if not key:
            raise ConfigError(f"{place}: the photo is empty; name it.")
        if not all(map(math.isfinite, values)):
            raise ConfigError(f"{place}: x, y, lon and lat must be numbers.")
        check_place(values[2], values[3], f"{place}: the point")
        if math.isnan(probability) or surety.setdefault(key, probability) != probability:
            raise ConfigError(
                f"{place}: {photo} has a probability different from a row above; write one per "
                "photo."
            )
        points.setdefault(key, []).append(values)
    return {key: (np.array(found, np.float64), surety[key]) for key, found in points.items()}


_AnswerRow = tuple[str, str, tuple[float, ...], float]


def _csv_answers(path: Path) -> Iterable[_AnswerRow]:
    for place, row in csv_rows(path, ANSWER_COLUMNS[1:], "give CSV or HDF5 of control points"):
        values = tuple(parse_numbers(place, (row[name] for name in ANSWER_COLUMNS[1:])))
        probability = parse_numbers(place, [row[PROBABILITY]])[0] if PROBABILITY in row else 1.0
        if not {"photo", "frame"} & row.keys():
            raise ConfigError(f"{path} lacks the column photo or frame: name the photos.")
        yield place, row.get("photo", row.get("frame", "")), values, probability


def _hdf5_answers(path: Path) -> Iterable[_AnswerRow]:
    import h5py

    from regengine.io.hdf5 import open_hdf5

    try:
        with open_hdf5(path, ConfigError) as file:
            if file.attrs.get("format") == "regengine":
                # Answers of a run's store: its accepted proposals
                from regengine.store.read import iter_frames

                return [
                    (
                        str(path),
                        str(one.path),
                        (p.x, p.y, p.lon, p.lat),
                        float(one.probability or 0.0),
                    )
                    for one in (stored.result for stored in iter_frames(path))
                    if one.verdict == "accepted"
                    for p in one.control_points
                ]
            names = [*ANSWER_COLUMNS, *([PROBABILITY] if PROBABILITY in file else [])]
            lacking = [name for name in names if not isinstance(file.get(name), h5py.Dataset)]
            if lacking:
                raise ConfigError(
                    f"{path} lacks the dataset {lacking[0]!r} at its root; needed are "
                    f"{', '.join(ANSWER_COLUMNS)}."
                )
            columns = [np.asarray(file[name][()]) for name in names]
    except RegengineError:
        raise
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read as HDF5 ({error}).") from error
    if any(column.ndim != 1 or len(column) != len(columns[0]) for column in columns):
        raise ConfigError(f"{path}: its datasets are not columns of one length.")
    try:
        p_right = columns[5].astype(float) if len(columns) > 5 else np.ones(len(columns[0]))
        values = np.column_stack([column.astype(float) for column in columns[1:5]])
        photos = [one.decode() if isinstance(one, bytes) else str(one) for one in columns[0]]
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: a column holds neither numbers nor names ({error}).") from error
    return [
        (f"{path}, row {number}", photo, tuple(row), float(p))
        for number, (photo, row, p) in enumerate(zip(photos, values.tolist(), p_right, strict=True))
    ]


def score_answers(
    photos: Sequence[TruePhoto], answers: Mapping[str, PhotoAnswer]
) -> list[PhotoScore]:
    """Judge each photo's answer, see `judge_points`.

    Answers for other photos are ignored, with a warning. Raises ConfigError if no answer is for a
    photo of the benchmark.
    """
    known = {photo_key(photo.name) for photo in photos}
    strange = [key for key in answers if key not in known]
    if answers and len(strange) == len(answers):
        raise ConfigError(
            f"the answers name {strange[0]!r}, which is not a photo of the benchmark; name photos "
            "as its table does."
        )
    if strange:
        logging.getLogger("regengine").warning(
            "answers about %s outside the benchmark are skipped, such as %s",
            format_count(len(strange), "photo"),
            strange[0],
        )
    scores = []
    for photo in photos:
        answer = answers.get(photo_key(photo.name))
        errors, allowed_m = np.zeros(0), None
        outcome = "none"
        if photo.camera is not None:
            allowed_m = 1000.0 * right_within_km(diagonal_km(photo.camera))
        if photo.status == UNPLACED:
            outcome = "unjudged"
        elif answer is not None:
            outcome = "wrong"
            if photo.camera is not None and allowed_m is not None:
                is_right, errors = judge_points(photo.camera, answer[0].T, allowed_m)
                outcome = "right" if is_right else "wrong"
        scores.append(
            PhotoScore(
                split=photo.split,
                outcome=outcome,
                probability=None if answer is None else answer[1],
                error_m=errors,
                allowed_m=allowed_m,
            )
        )
    return scores


def judge_points(truth: Camera, points: FloatArray, allowed_m: float) -> tuple[bool, FloatArray]:
    """Whether control points, (4, n), are right by the true camera; and their errors, metres.

    ``points`` are rows of x, y, lon and lat. Right are at least `MIN_POINTS` in the picture, spread
    over `MIN_HULL` of it, all within the allowed error (`right_within_km`) of the true positions of
    their pixels. The error is infinite where a pixel shows sky.
    """
    import cv2

    x, y, lon, lat = points
    error_m = distance_m(*truth.pixel_to_lonlat(x, y), lon, lat)
    inside = (x >= -0.5) & (x <= truth.width_px - 0.5) & (y >= -0.5) & (y <= truth.height_px - 0.5)
    if len(x) < MIN_POINTS or not inside.all():
        return False, error_m
    hull = cv2.convexHull(np.column_stack([x, y]).astype(np.float32))
    is_spread = cv2.contourArea(hull) >= MIN_HULL * truth.width_px * truth.height_px
    return bool(is_spread and error_m.max() <= allowed_m), error_m


def find_operating_points(scores: Sequence[PhotoScore]) -> list[dict[str, Any]]:
    """The lowest threshold that accepts at most each share of the judged photos wrongly.

    ``most_wrong_of_accepted`` is the upper bound (95 %) of the share of wrong ones above the
    threshold; the threshold is None if no answer can be accepted.
    """
    judged = [one for one in scores if one.outcome != "unjudged"]
    pairs = sorted(
        (one.probability, one.outcome == "wrong") for one in judged if one.probability is not None
    )[::-1]
    thresholds = np.array([probability for probability, _ in pairs])
    wrong = np.cumsum([is_wrong for _, is_wrong in pairs])
    last_of_equals = np.flatnonzero(
        np.append(thresholds[1:] != thresholds[:-1], True)[: len(pairs)]
    )
    points = []
    for share in (0.0, 0.001, 0.01, 0.05):
        allowed = last_of_equals[wrong[last_of_equals] <= share * len(judged)]
        at = int(allowed[-1]) if len(allowed) else None
        n_wrong = 0 if at is None else int(wrong[at])
        right = 0 if at is None else at + 1 - n_wrong
        points.append(
            {
                "false_share": share,
                "threshold": None if at is None else float(thresholds[at]),
                "right": right,
                "wrong": n_wrong,
                "most_wrong_of_accepted": bound_share(n_wrong, n_wrong + right),
            }
        )
    return points


def registration_facts(scores: Sequence[PhotoScore]) -> list[dict[str, Any]]:
    """Statistics of all photos, then of each split, if there are several: values for JSON."""

    def quantile(values: FloatArray, share: float) -> float | None:
        return float(np.quantile(values, share)) if len(values) else None

    parts = [(ALL, list(scores))]
    splits = sorted({one.split for one in scores})
    if len(splits) > 1:
        parts += [(split, [one for one in scores if one.split == split]) for split in splits]
    facts = []
    for split, some in parts:
        right = [one for one in some if one.outcome == "right"]
        errors = np.concatenate([np.zeros(0), *(one.error_m for one in right)])
        of_bar = np.concatenate(
            [np.zeros(0), *(one.error_m / one.allowed_m for one in right if one.allowed_m)]
        )
        facts.append(
            {
                "split": split,
                "photos": len(some),
                "judged": sum(one.outcome != "unjudged" for one in some),
                "placeable": sum(one.allowed_m is not None for one in some),
                "right": len(right),
                "wrong": sum(one.outcome == "wrong" for one in some),
                "error_m": quantile(errors, 0.5),
                "error_p95_m": quantile(errors, 0.95),
                "error_of_allowed": quantile(of_bar, 0.5),
                "at": find_operating_points(some),
            }
        )
    return facts


def registration_lines(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """The statistics as text tables."""

    def metres(value: float | None) -> str:
        return "-" if value is None else f"{value:.0f}"

    whole = [
        [
            str(fact["split"]),
            *(str(fact[name]) for name in ("photos", "judged", "placeable", "right", "wrong")),
            metres(fact["error_m"]),
            metres(fact["error_p95_m"]),
        ]
        for fact in facts
    ]
    heads = ["split", "photos", "judged", "placeable", "right", "wrong", "error m", "95 %"]
    at = [
        [
            str(fact["split"]),
            f"{100.0 * point['false_share']:.1f} %",
            "-" if point["threshold"] is None else f"{point['threshold']:.4g}",
            str(point["right"]),
            f"{100.0 * point['right'] / fact['placeable']:.0f} %" if fact["placeable"] else "-",
            str(point["wrong"]),
            f"{100.0 * point['most_wrong_of_accepted']:.1f} %",
        ]
        for fact in facts
        for point in fact["at"]
    ]
    points = ["split", "error rate at most", "from", "right", "of placeable", "wrong"]
    return [*table(heads, whole), "", *table([*points, "error rate, 95 % bound"], at)]
