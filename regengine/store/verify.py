"""Check a store, its journal and its decisions for errors.

The first check is that each file has the layout of its format, the second that the values of its
rows are valid and consistent, the last that no photo has two frames.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from detectors.constants import HEIGHT_RANGE_KM
from matchers.geometry.earth import ecef_to_geodetic
from regengine.errors import ConfigError, StoreError
from regengine.io.plain import format_count
from regengine.io.times import parse_iso_time
from regengine.store.file import DAMAGE, PIECE_ROWS, StoreFile, open_store, raise_as_damage
from regengine.store.journal import JournalFile
from regengine.store.read import BLOCK_FRAMES, Snapshot
from regengine.store.result import VERDICTS, Column
from regengine.store.rows import GROUPS, Table, Tables

READ_FRAMES = 65536
FAR_APART = 64  # gap between two frames, in frames, above which separate reads are faster
EXAMPLES = 3  # frames named in a message
PROPOSALS = np.array([b"accepted", b"review"])
POINTS = 4
HALF_PX = 0.5  # an image extends half a pixel beyond the centres of its outermost pixels
UNIT = 1e-6  # tolerance of a quaternion's length around one


def is_json_object(text: str) -> bool:
    """Whether a text is a JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def count_objects(text: str | bytes) -> int:
    """Number of objects in a JSON list; -1 if the text is not one."""
    try:
        values = json.loads(text)
    except ValueError:
        return -1
    is_right = isinstance(values, list) and all(isinstance(one, dict) for one in values)
    return len(values) if is_right else -1


def is_time(text: str) -> bool:
    """Whether a text is a time in ISO 8601, or empty."""
    return not text or parse_iso_time(text) is not None


# Valid values of a column in any group: of texts, and of numbers that are not missing
TEXTS: dict[str, Callable[[str], object]] = {
    "verdict": lambda text: text in VERDICTS,
    "sha256": re.compile("([0-9a-fA-F]{64})?").fullmatch,
    "time_utc": is_time,
    "processed_utc": is_time,
    "reason_values": lambda text: count_objects(text) >= 0,
    "proofs": lambda text: count_objects(text) >= 0,
    "sources": is_json_object,
    "parameters": is_json_object,
}
NUMBERS: dict[str, Callable[[NDArray[Any]], NDArray[np.bool_]]] = {
    "frame_index": lambda number: number >= 0,
    "probability": lambda p: (p > 0) & (p < 1),
    "category_probability": lambda p: (p >= 0) & (p <= 1),
    "orientation": lambda turn: (turn >= 1) & (turn <= 8),
    "sigma_px": lambda sigma: sigma > 0,
    "sigma_m": lambda sigma: sigma > 0,
    "lights": lambda count: count >= 0,
    "search_pass": lambda number: number <= 4,
    "pixel_aspect": lambda ratio: ratio > 0,
}
NUMBERS |= dict.fromkeys(("width_px", "height_px"), lambda side: (side >= 1) | (side == -1))
for _place in ("", "nadir_", "centre_", "footprint_"):
    NUMBERS[f"{_place}lon"] = lambda lon: (lon >= -180) & (lon < 180)
    NUMBERS[f"{_place}lat"] = lambda lat: (lat >= -90) & (lat <= 90)


# One kind of error in one file, the store or its journal: ``code`` is short and stable, ``text`` is
# a sentence that names the ``file``. ``count`` is the number of errors, 1 if the whole file is
# concerned. ``frame_index`` are the numbers of the first frames concerned.
Problem = dict[str, Any]


@dataclass
class Findings:
    """Collects the errors of one file while it is read in blocks."""

    file: Path
    whole: list[Problem] = field(default_factory=list)
    rows: dict[tuple[str, str], list[NDArray[np.int64]]] = field(default_factory=dict)

    def file_wrong(self, code: str, text: str) -> None:
        """Record an error of the whole file."""
        self.whole.append(self._describe(code, f"{text}.", 1, []))

    def rows_wrong(self, code: str, what: str, wrong: Any, frame_index: NDArray[np.int64]) -> None:
        """Record erroneous rows."""
        wrong = np.asarray(wrong, dtype=bool)
        numbers = frame_index[wrong if wrong.ndim == 1 else wrong.any(axis=1)]
        if len(numbers):
            self.rows.setdefault((code, what), []).append(numbers)

    def problems(self) -> list[Problem]:
        """Return all recorded errors."""
        found = list(self.whole)
        for (code, what), pieces in self.rows.items():
            numbers = np.concatenate(pieces).tolist()
            frames = list(dict.fromkeys(numbers))
            named = ", ".join(map(str, frames[:EXAMPLES])) + (" …" * (len(frames) > EXAMPLES))
            text = f"{len(numbers):,} {what} (frame_index {named})."
            found.append(self._describe(code, text, len(numbers), frames[:EXAMPLES]))
        return found

    def _describe(self, code: str, text: str, count: int, frames: list[int]) -> Problem:
        said = {"code": code, "text": f"{self.file}: {text}", "file": str(self.file)}
        return said | {"count": count, "frame_index": frames}


def verify_store(path: Path) -> tuple[int, int, list[Problem]]:
    """Check a store and its journal; memory does not grow with the number of intact frames.

    Returns the numbers of readable frames and of those only in the journal, and the errors.
    Raises StoreError if the store cannot be opened, or another program is writing it.
    """
    from regengine.store.reviews import check_work, decisions_path, read_reviews

    problems = check_frames(path) if path.exists() else []
    n_frames = n_unmerged = 0
    if not problems:
        with Snapshot(path) as snapshot:
            n_frames, n_unmerged = len(snapshot.frame_index), len(snapshot.journal.frame_index)
            findings = Findings(snapshot.journal.path)
            if n_damaged := snapshot.journal.n_damaged:
                what = format_count(n_damaged, "line is", "lines are")
                findings.file_wrong("bytes_damaged", f"{what} damaged")
            _check_blocks(snapshot.journal, snapshot.journal.frame_index, findings)
            problems += findings.problems()
            keys = snapshot.identity_keys()
            _, first, number = np.unique(keys, return_index=True, return_inverse=True)
            again = first[number] != np.arange(len(number))
            what = "frames repeat a photo of another frame"
            findings = Findings(path)
            findings.rows_wrong("identity", what, again, snapshot.frame_index)
            problems += findings.problems()
        # Decisions of reviewers that count and are impossible
        beside = decisions_path(path)
        findings = Findings(beside)
        try:
            reviews = read_reviews(path)
        except StoreError as error:
            if error.code == "store_busy":
                raise
            unreadable = {"code": "reviews_unreadable", "text": str(error), "file": str(beside)}
            problems.append(unreadable | {"count": 1, "frame_index": []})
            reviews = {}
        for judged, one in reviews.items():
            problem = one.problem
            if one.decision == "accepted" and not problem:
                try:
                    check_work((), one.camera, one.size_px)
                except ConfigError as error:
                    problem = str(error)
            if problem:
                what, row = f"decisions are invalid: {problem}", np.array([judged])
                findings.rows_wrong("review", what, [True], row)
        problems += findings.problems()
    return n_frames, n_unmerged, problems


def check_frames(path: Path, numbers: NDArray[np.int64] | None = None) -> list[Problem]:
    """Check the layout of a store and the rows of all, or some frames, with ascending numbers.

    Other frames are not checked, so that the check takes about as long as writing these frames did.
    Raises StoreError if the store cannot be opened.
    """
    findings = Findings(path)
    with open_store(path) as file:
        with raise_as_damage(path):
            _check_layout(file, findings)
        if findings.whole:
            return findings.problems()
        try:
            with StoreFile(path) as store:
                if numbers is None:
                    for group in GROUPS:
                        rows, last = store.rows(group), -1
                        for start in range(0, rows, READ_FRAMES):
                            stop = min(start + READ_FRAMES, rows)
                            index = store.column(group, "frame_index", start, stop)
                            wrong = index < np.concatenate([[last], index[:-1]])
                            what = f"rows of {group} are out of order"
                            findings.rows_wrong("order", what, wrong, index)
                            wrong = ~np.isin(index, store.frame_index)
                            what = f"rows of {group} belong to no frame"
                            findings.rows_wrong("orphan", what, wrong, index)
                            last = int(index[-1])
                    numbers = store.frame_index
                borders = np.flatnonzero(np.diff(numbers) > FAR_APART) + 1
                for near in np.split(numbers, borders):
                    _check_blocks(store, near, findings)
        except StoreError as error:
            _check_bytes(file, findings)
            if not findings.problems():
                findings.file_wrong("damaged", str(error).rstrip("."))
    return findings.problems()


def _check_layout(file: h5py.File, findings: Findings) -> None:
    """Record missing or invalid root attributes and columns."""
    forms = {
        "created": is_time,
        "command_line": str.isprintable,
        "package_versions": is_json_object,
    }
    for name, is_right in forms.items():
        value = file.attrs.get(name)
        if not isinstance(value, str):
            findings.file_wrong("attribute_missing", f"the root attribute {name} is missing")
        elif not is_right(value):
            findings.file_wrong("attribute_wrong", f"the root attribute {name} is invalid")
    for group, columns in GROUPS.items():
        lengths: dict[str, int] = {}
        for column in columns:
            name, dataset = f"{group}/{column.name}", None
            with suppress(*DAMAGE):
                dataset = file.get(name)
            if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
                what = f"the column {name} is missing, or its header is damaged"
                findings.file_wrong("column_missing", what)
                continue
            lengths[column.name] = dataset.shape[0]
            is_text, row = column.dtype == "text", () if column.width == 1 else (column.width,)
            right = dataset.dtype.kind == "S" if is_text else dataset.dtype == column.dtype
            if not right or dataset.shape[1:] != row:
                findings.file_wrong(
                    "column_wrong",
                    f"the column {name} is {dataset.dtype} of shape {dataset.shape}, not "
                    f"{column.dtype} with {column.width} a row",
                )
            if dataset.attrs.get("units") != column.units:
                what = f"the column {name} has the wrong units"
                findings.file_wrong("attribute_wrong", what)
        usual = max(lengths.values(), key=list(lengths.values()).count, default=0)
        if odd := [f"{one} {rows}" for one, rows in lengths.items() if rows != usual]:
            findings.file_wrong(
                "lengths_differ",
                f"columns of {group} have other lengths than {usual} rows: {', '.join(odd)}",
            )


def _check_bytes(file: h5py.File, findings: Findings) -> None:
    """Record columns with corrupt bytes; slow, because all bytes are read."""
    for name in GROUPS:
        for column, dataset in file[name].items():
            for start in range(0, len(dataset), PIECE_ROWS):
                try:
                    dataset[start : start + PIECE_ROWS]
                except DAMAGE:
                    findings.file_wrong(
                        "bytes_damaged",
                        f"column {name}/{column} is damaged in row {start} or the next "
                        f"{PIECE_ROWS} rows: the bytes differ from those written; take a copy of "
                        "the store, or register these photos again into a new one",
                    )
                    break


def _check_blocks(
    store: StoreFile | JournalFile, numbers: NDArray[np.int64], findings: Findings
) -> None:
    """Record errors in the rows of frames with nearby numbers."""
    for start in range(0, len(numbers), BLOCK_FRAMES):
        block = numbers[start : start + BLOCK_FRAMES]
        tables = store.tables(int(block[0]), int(block[-1]) + 1)
        for group, columns in GROUPS.items():
            for column in columns:
                for code, what, wrong in _wrong_values(tables[group][column.name], column):
                    what = what.format(f"{group}/{column.name}")
                    findings.rows_wrong(code, what, wrong, tables[group]["frame_index"])
        for group, code, what, wrong in _wrong_rows(tables):
            findings.rows_wrong(code, what, wrong, tables[group]["frame_index"])


def _wrong_values(values: NDArray[Any], column: Column) -> Iterator[tuple[str, str, Any]]:
    """Return code, message and rows of invalid values of one column."""
    if column.dtype == "text":
        codes = dict.fromkeys(values.tolist(), "")  # by text; empty if it is valid
        for content in codes:
            try:
                text = content.decode("utf-8")
            except UnicodeDecodeError:
                codes[content] = "not_utf8"
                continue
            if column.name in TEXTS and not TEXTS[column.name](text):
                codes[content] = column.name
        for code in set(filter(None, codes.values())):
            what = "not UTF-8" if code == "not_utf8" else "invalid"
            wrong = np.array([codes[text] == code for text in values.tolist()], bool)
            yield code, f"texts of {{}} are {what}", wrong
        return
    if column.dtype.startswith("float"):
        yield "infinite", "values of {} are infinite", np.isinf(values)
        if column.required:
            yield "missing", "values of {} are missing", np.isnan(values)
    if column.name in NUMBERS:
        wrong = np.isfinite(values) & ~NUMBERS[column.name](values)
        yield column.name, "values of {} are invalid", wrong


def _wrong_rows(tables: Tables) -> Iterator[tuple[str, str, str, Any]]:
    """Return group, code, message and rows of values that are inconsistent with each other."""
    frames, points = tables["frames"], tables["control_points"]
    hypotheses, detections = tables["hypotheses"], tables["detections"]
    index = frames["frame_index"]
    proposed = np.isin(frames["verdict"], PROPOSALS)
    probability = frames["probability"]
    outside = (frames["probability_low"] > probability) | (frames["probability_high"] < probability)
    yield "frames", "probability", "probabilities are outside their intervals", outside
    without = proposed & np.isnan(probability)
    yield "frames", "probability", "proposals have no probability", without
    for name in ("nadir", "centre", "footprint"):
        half = np.isnan(frames[f"{name}_lon"]) != np.isnan(frames[f"{name}_lat"])
        yield "frames", f"{name}_place", f"positions of the {name} are incomplete", half
    listed = zip(
        *(frames[name].tolist() for name in ("reasons", "reason_values", "reason_texts")),
        strict=True,
    )
    differ = [
        (n := codes.count(b",") + bool(codes)) != texts.count(b"\n") + bool(texts)
        or count_objects(values) not in (-1, n)
        for codes, values, texts in listed
    ]
    what = "frames have a number of sentences that differs from their reasons"
    yield "frames", "reasons", what, differ
    wrong = _rows_per_frame(index, tables["provenance"]["frame_index"]) != 1
    yield "frames", "provenance", "frames do not have exactly one row of provenance", wrong
    wrong = _rows_per_frame(index, points["frame_index"]) != np.where(proposed, POINTS, 0)
    what = "frames do not have four control points with a proposal, or have some without one"
    yield "frames", "control_points", what, wrong
    for group, there in (("frames", proposed), ("hypotheses", True)):
        table = tables[group]
        columns = ("focal_px", "principal_point", "distortion", "quaternion", "position_ecef_m")
        whole = np.isfinite(np.column_stack([table[name] for name in columns])).all(axis=1)
        length = np.linalg.norm(table["quaternion"], axis=1)
        right = whole & (table["focal_px"] > 0) & (np.abs(length - 1.0) < UNIT)
        what = f"solved cameras of {group} are incomplete or invalid"
        yield group, "camera", what, there & ~right
        with np.errstate(all="ignore"):
            height_km = ecef_to_geodetic(table["position_ecef_m"])[2] / 1e3
            far = (height_km < HEIGHT_RANGE_KM[0]) | (height_km > HEIGHT_RANGE_KM[1])
        what = f"solved cameras of {group} are below the ground or at an impossible height"
        yield group, "camera_height", what, there & far
    what = "proposals show no ground"
    yield "frames", "no_ground", what, proposed & ~(frames["footprint_diagonal_km"] > 0.0)
    what = "control points are not numbered 0 to 3 within their frame"
    wrong = ~_are_counted(points["frame_index"], points["point"])
    yield "control_points", "point_number", what, wrong
    what = "control points are outside their frame"
    yield "control_points", "point_outside", what, ~_are_inside(points, frames)
    for name in ("covariance_px", "covariance_m"):
        xx, xy, yy = points[name].T
        with np.errstate(invalid="ignore", over="ignore"):
            good = (xx > 0) & (yy > 0) & (xx * yy >= xy * xy)
        what = f"control points have an invalid {name}"
        yield "control_points", f"point_{name}", what, ~good
    wrong = ~_are_counted(hypotheses["frame_index"], hypotheses["rank"])
    what = "hypotheses are not ranked 0, 1, 2 within their frame"
    yield "hypotheses", "rank", what, wrong
    what = "detections are outside their frame"
    yield "detections", "detection_outside", what, ~_are_inside(detections, frames)


def _rows_per_frame(frames: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.intp]:
    place = np.minimum(np.searchsorted(frames, index), len(frames) - 1)
    return np.bincount(place, minlength=len(frames))


def _are_counted(index: NDArray[np.int64], numbers: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each row has the number of its place among the rows of its frame."""
    place = np.arange(len(index)) - np.searchsorted(index, index)
    return np.asarray(place == numbers)


def _are_inside(table: Table, frames: Table) -> NDArray[np.bool_]:
    """Whether the place of each row lies within the image of its frame."""
    place = np.searchsorted(frames["frame_index"], table["frame_index"])
    place = np.minimum(place, len(frames["frame_index"]) - 1)
    right, x, y = np.ones(len(place), dtype=bool), table["x"], table["y"]
    for at, side in ((x, frames["width_px"][place]), (y, frames["height_px"][place])):
        right &= (at >= -HALF_PX) & (at <= side - 1 + HALF_PX)
    return right
