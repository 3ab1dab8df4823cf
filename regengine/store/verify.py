"""Looks through a store and its parts for anything that is not as it should be.

First whether each file is laid out as its format says, then whether its rows say what rows of a
store can say, at last whether two frames are of one photo.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from regengine.errors import StoreError
from regengine.photo.frame_records import parse_iso_time
from regengine.result import Verdict
from regengine.store.file import PIECE_ROWS, StoreFile
from regengine.store.hdf5 import DAMAGE, damage_told, open_store
from regengine.store.index import identity_keys
from regengine.store.rows import Table, Tables
from regengine.store.schema import FORMAT_VERSION, FRAME_INDEX, GROUPS, Column, select
from regengine.store.snapshot import BLOCK_FRAMES, Snapshot, is_there, list_parts, parts_folder

IDENTITY = select("frames/path", "frames/sha256")
READ_FRAMES = 65536
FAR_APART = 64  # frames between two that are worth a read of their own
EXAMPLES = 3  # frames named in a sentence
VERDICTS = np.array([verdict.encode() for verdict in get_args(Verdict)])
PROPOSALS = np.array([b"accepted", b"review"])
POINTS = 4
HALF_PX = 0.5  # an image reaches half a pixel beyond the centres of its outermost ones
UNIT = 1e-6  # how far a quaternion's length may be from one
SHA256_DIGITS = 64
LAST_PASS = 4


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One kind of thing that is wrong in one file, the store or a part of it.

    ``code`` is short and stable, ``text`` a sentence that names the file; ``count`` is 1 for what
    concerns the file as a whole, ``frame_index`` numbers the first frames that it concerns.
    """

    code: str
    text: str
    file: Path
    count: int = 1
    frame_index: tuple[int, ...] = ()


@dataclass(kw_only=True)
class _Kind:
    count: int = 0
    frame_index: list[int] = field(default_factory=list)
    more: bool = False

    def examples(self) -> str:
        return ", ".join(map(str, self.frame_index)) + (" …" if self.more else "")


class Findings:
    """Gathers what is wrong in one file while it is read in blocks."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._whole: list[Problem] = []
        self._kinds: dict[tuple[str, str], _Kind] = {}

    def file_wrong(self, code: str, text: str) -> None:
        """Note something about the file as a whole."""
        self._whole.append(Problem(code=code, text=f"{self.file}: {text}.", file=self.file))

    def rows_wrong(self, code: str, what: str, wrong: Any, frame_index: NDArray[np.int64]) -> None:
        """Note rows."""
        numbers = frame_index[np.asarray(wrong, dtype=bool)]
        if not len(numbers):
            return
        kind = self._kinds.setdefault((code, what), _Kind())
        kind.count += len(numbers)
        for number in dict.fromkeys(numbers.tolist()):
            if number not in kind.frame_index:
                kind.more |= len(kind.frame_index) == EXAMPLES
                kind.frame_index += [] if kind.more else [number]

    def problems(self) -> list[Problem]:
        """Everything that was noted."""
        return self._whole + [
            Problem(
                code=code,
                text=f"{self.file}: {kind.count:,} {what} (frame_index {kind.examples()}).",
                file=self.file,
                count=kind.count,
                frame_index=tuple(kind.frame_index),
            )
            for (code, what), kind in self._kinds.items()
        ]


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found: frames that can be read, parts that are not merged yet, what is wrong."""

    frames: int
    parts: int
    problems: tuple[Problem, ...]


def verify_store(path: Path) -> Verification:
    """Check a store and the parts beside it; memory is flat in the number of frames.

    StoreError if the store cannot be opened at all.
    """
    parts = list_parts(parts_folder(path))
    problems: list[Problem] = []
    if is_there(path, parts):
        with open_store(path) as file:
            problems += _check_file(path, file)
    for part in parts:
        try:
            with open_store(part) as file:
                problems += _check_file(part, file)
        except StoreError as error:
            if part.exists():  # else it was merged meanwhile
                problems.append(Problem(code="part_unreadable", text=str(error), file=part))
    frames = 0
    if not problems:
        with Snapshot.of(path) as snapshot:
            frames = len(snapshot.frame_index)
            problems += _check_identities(path, snapshot)
    return Verification(frames=frames, parts=len(parts), problems=tuple(problems))


def check_frames(path: Path, numbers: NDArray[np.int64]) -> tuple[Problem, ...]:
    """Check the layout of a store and the rows of some of its frames, whose numbers ascend.

    Other frames are left alone: it takes about as long as these frames took to be written.
    StoreError if the store cannot be opened.
    """
    findings = Findings(path)
    with open_store(path) as file, damage_told(path):
        _check_attributes(file, findings)
        _check_columns(file, findings)
    if not findings.problems():
        with StoreFile(path) as store:
            borders = np.flatnonzero(np.diff(numbers) > FAR_APART) + 1
            for near in np.split(numbers, borders):
                for start in range(0, len(near), BLOCK_FRAMES):
                    block = near[start : start + BLOCK_FRAMES]
                    check_rows(store.tables(int(block[0]), int(block[-1]) + 1), findings)
    return tuple(findings.problems())


def _check_file(path: Path, file: h5py.File) -> list[Problem]:
    findings = Findings(path)
    with damage_told(path):
        _check_attributes(file, findings)
        _check_columns(file, findings)
    if findings.problems():
        return findings.problems()
    try:
        with StoreFile(path) as store:
            _check_joins(store, findings)
            for start in range(0, len(store.frame_index), BLOCK_FRAMES):
                block = store.frame_index[start : start + BLOCK_FRAMES]
                check_rows(store.tables(int(block[0]), int(block[-1]) + 1), findings)
    except StoreError as error:
        _check_bytes(file, findings)
        if not findings.problems():
            findings.file_wrong("damaged", str(error).rstrip("."))
    return findings.problems()


def _check_joins(store: StoreFile, findings: Findings) -> None:
    """Note rows that are out of order, or that belong to no frame."""
    for group in GROUPS:
        rows, last = store.rows(group), -1
        for start in range(0, rows, READ_FRAMES):
            index = store.column(group, "frame_index", start, min(start + READ_FRAMES, rows))
            before = np.concatenate([[last], index[:-1]])
            what = f"rows of {group} are out of order"
            findings.rows_wrong("order", what, index < before, index)
            place = np.searchsorted(store.frame_index, index)
            place = np.minimum(place, max(len(store.frame_index) - 1, 0))
            known = store.frame_index[place] == index if len(store.frame_index) else index < index
            what = f"rows of {group} belong to no frame"
            findings.rows_wrong("orphan", what, ~known, index)
            last = int(index[-1])


def _check_identities(path: Path, snapshot: Snapshot) -> list[Problem]:
    """Note photos that the store holds twice."""
    keys = np.empty((len(snapshot.frame_index), 2), dtype=np.uint64)
    row = 0
    for tables in snapshot.blocks(groups=IDENTITY, frames=READ_FRAMES):
        frames = tables["frames"]
        rows = slice(row, row + len(frames["frame_index"]))
        keys[rows] = identity_keys(frames["path"], frames["sha256"])
        row = rows.stop
    order = np.lexsort((snapshot.frame_index, keys[:, 1], keys[:, 0]))
    again = np.zeros(len(order), dtype=bool)
    again[order[1:]] = (np.diff(keys[order], axis=0) == 0).all(axis=1)
    findings = Findings(path)
    what = "frames are of a photo that has a frame already"
    findings.rows_wrong("identity", what, again, snapshot.frame_index)
    return findings.problems()


def _check_attributes(file: h5py.File, findings: Findings) -> None:
    """Note root attributes that are missing or make no sense."""
    for name in ("created", "command_line", "package_versions"):
        if not isinstance(file.attrs.get(name), str):
            findings.file_wrong("attribute_missing", f"the root attribute {name} is missing")
    if not 1 <= int(file.attrs["format_version"]) <= FORMAT_VERSION:
        findings.file_wrong("attribute_wrong", "the root attribute format_version makes no sense")
    created, versions = file.attrs.get("created"), file.attrs.get("package_versions")
    if isinstance(created, str) and parse_iso_time(created) is None:
        findings.file_wrong("attribute_wrong", "the root attribute created is no time")
    if isinstance(versions, str) and not is_json_object(versions):
        findings.file_wrong("attribute_wrong", "the root attribute package_versions is no JSON")


def _check_columns(file: h5py.File, findings: Findings) -> None:
    """Note columns that are missing, of another type or shape, or longer than their group's."""
    version = int(file.attrs["format_version"])
    for name, columns in GROUPS.items():
        group = file.get(name)
        if group is None and file.id.links.exists(name.encode()):
            findings.file_wrong("bytes_damaged", f"the head of the group {name} is damaged")
            continue
        if not isinstance(group, h5py.Group):
            findings.file_wrong("group_missing", f"the group {name} is missing")
            continue
        lengths: dict[str, int] = {}
        for column in columns:
            if column.since <= version:
                _check_column(group, column, findings, lengths)
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{column} {rows}" for column, rows in _odd_ones(lengths).items())
            usual = max(lengths.values(), key=list(lengths.values()).count)
            findings.file_wrong(
                "lengths_differ", f"columns of {name} are not {usual} rows long as others: {told}"
            )


def _check_bytes(file: h5py.File, findings: Findings) -> None:
    """Note columns whose bytes are not what was written; takes time, for all are read."""
    for name in GROUPS:
        for column, dataset in file[name].items():
            for start in range(0, len(dataset), PIECE_ROWS):
                try:
                    dataset[start : start + PIECE_ROWS]
                except DAMAGE:
                    findings.file_wrong(
                        "bytes_damaged",
                        f"column {name}/{column} is damaged at row {start} or in the "
                        f"{PIECE_ROWS} rows behind it: its bytes are not what was written",
                    )
                    break


def is_json_object(text: str) -> bool:
    """Whether a text is a JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _check_column(
    group: h5py.Group, column: Column, findings: Findings, lengths: dict[str, int]
) -> None:
    name = f"{group.name[1:]}/{column.name}"
    try:
        dataset = group.get(column.name)
        there = group.id.links.exists(column.name.encode())
    except DAMAGE:
        dataset, there = None, True
    if dataset is None and there:
        findings.file_wrong("bytes_damaged", f"the head of the column {name} is damaged")
        return
    if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
        findings.file_wrong("column_missing", f"the column {name} is missing")
        return
    lengths[column.name] = dataset.shape[0]
    right = dataset.dtype.kind == "S" if column.dtype == "text" else dataset.dtype == column.dtype
    if not right or dataset.shape[1:] != (() if column.width == 1 else (column.width,)):
        findings.file_wrong(
            "column_wrong",
            f"the column {name} is {dataset.dtype} of shape {dataset.shape}, not "
            f"{column.dtype} with {column.width} a row",
        )
    if dataset.attrs.get("units") != column.units:
        findings.file_wrong("attribute_wrong", f"the units of the column {name} are not as stated")


def _odd_ones(lengths: Mapping[str, int]) -> dict[str, int]:
    usual = max(lengths.values(), key=list(lengths.values()).count)
    return {name: rows for name, rows in lengths.items() if rows != usual}


def check_rows(tables: Tables, findings: Findings) -> None:
    """Note what is wrong with the rows of some frames."""
    _check_values(tables, findings)
    _check_frames(tables["frames"], findings)
    _check_provenance(tables, findings)
    _check_points(tables, findings)
    _check_hypotheses(tables["hypotheses"], findings)
    _check_detections(tables, findings)


def _check_values(tables: Tables, findings: Findings) -> None:
    """Infinite numbers, which are never right, and texts that are no UTF-8."""
    for group, columns in GROUPS.items():
        index = tables[group]["frame_index"]
        for column in columns:
            values = tables[group][column.name]
            name = f"{group}/{column.name}"
            if column.dtype.startswith("float"):
                wrong = _any(np.isinf(values))
                findings.rows_wrong("infinite", f"values of {name} are infinite", wrong, index)
                if column.required:
                    wrong = _any(np.isnan(values))
                    findings.rows_wrong("missing", f"values of {name} are missing", wrong, index)
            elif column.dtype == "text":
                odd = [not _is_utf8(text) for text in values.tolist()]
                findings.rows_wrong("not_utf8", f"texts of {name} are no UTF-8", odd, index)


def _check_frames(frames: Table, findings: Findings) -> None:
    index = frames[FRAME_INDEX.name]

    def note(code: str, what: str, wrong: Any) -> None:
        findings.rows_wrong(code, what, wrong, index)

    proposed = np.isin(frames["verdict"], PROPOSALS)
    note("frame_index", "frames have a negative number", index < 0)
    note("verdict", "frames have no known verdict", ~np.isin(frames["verdict"], VERDICTS))
    probability, category = frames["probability"], frames["category_probability"]
    note(
        "probability",
        "probabilities are not between 0 and 1, or not within their intervals",
        (probability <= 0)
        | (probability >= 1)
        | (proposed & np.isnan(probability))
        | (frames["probability_low"] > probability)
        | (frames["probability_high"] < probability),
    )
    note(
        "category_probability",
        "probabilities of a category are not from 0 to 1",
        (category < 0) | (category > 1),
    )
    note("sha256", "hashes of photos are no SHA-256", [not _is_hash(t) for t in frames["sha256"]])
    note("time_utc", "times are not in ISO 8601", [not _is_time(t) for t in frames["time_utc"]])
    note("orientation", "orientations are not 1 to 8", ~np.isin(frames["orientation"], range(1, 9)))
    sides = np.stack([frames["width_px"], frames["height_px"]])
    note("size", "frames have no possible size", ((sides < 1) & (sides != -1)).any(axis=0))
    for name in ("nadir", "centre", "footprint"):
        lon, lat = frames[f"{name}_lon"], frames[f"{name}_lat"]
        wrong = ~(np.isnan(lon) & np.isnan(lat)) & ~_on_earth(lon, lat)
        note(f"{name}_place", f"places of the {name} are none", _any(wrong))
    codes, texts = frames["reasons"].tolist(), frames["reason_texts"].tolist()
    differ = [
        bool(c or t) and c.count(b",") != t.count(b"\n") for c, t in zip(codes, texts, strict=True)
    ]
    note("reasons", "frames have other than one sentence to each reason", differ)
    _check_cameras(frames, "frames", proposed, findings)


def _check_cameras(table: Table, group: str, there: NDArray[np.bool_], findings: Findings) -> None:
    columns = ("focal_px", "principal_point", "distortion", "quaternion", "position_ecef_m")
    values = np.column_stack([table[name] for name in columns])
    whole = np.isfinite(values).all(axis=1) & (table["focal_px"] > 0)
    length = np.linalg.norm(table["quaternion"], axis=1)
    wrong = there & ~(whole & (np.abs(length - 1.0) < UNIT))
    what = f"solved cameras of {group} are incomplete or impossible"
    findings.rows_wrong("camera", what, wrong, table[FRAME_INDEX.name])


def _check_provenance(tables: Tables, findings: Findings) -> None:
    frames, origin = tables["frames"]["frame_index"], tables["provenance"]
    index = origin["frame_index"]
    _, counts = _per_frame(frames, index)
    findings.rows_wrong(
        "provenance", "frames do not have one row of provenance", counts != 1, frames
    )
    for name in ("sources", "parameters"):
        known = {
            text: is_json_object(text.decode("utf-8", "replace")) for text in set(origin[name])
        }
        wrong = [not known[text] for text in origin[name]]
        findings.rows_wrong(name, f"texts of provenance/{name} are no JSON object", wrong, index)
    wrong = [not _is_time(text) for text in origin["processed_utc"]]
    findings.rows_wrong("processed_utc", "times of making are not in ISO 8601", wrong, index)
    unknown = origin["search_pass"] > LAST_PASS
    findings.rows_wrong("search_pass", "search passes are unknown", unknown, index)


def _check_points(tables: Tables, findings: Findings) -> None:
    frames, points = tables["frames"], tables["control_points"]
    index = points["frame_index"]
    place, counts = _per_frame(frames["frame_index"], index)
    proposed = np.isin(frames["verdict"], PROPOSALS)

    def note(code: str, what: str, wrong: Any) -> None:
        findings.rows_wrong(code, f"control points {what}", wrong, index)

    findings.rows_wrong(
        "control_points",
        "frames do not have four control points with a proposal and none without",
        counts != np.where(proposed, POINTS, 0),
        frames["frame_index"],
    )
    note(
        "point_number",
        "are not numbered 0 to 3 within their frame",
        ~_counted(index, points["point"]),
    )
    inside = _inside(points["x"], points["y"], frames, place)
    note("point_outside", "lie outside their frame", ~inside)
    note("point_place", "have no place on Earth", ~_on_earth(points["lon"], points["lat"]))
    sigmas = np.column_stack([points["sigma_px"], points["sigma_m"]])
    note("point_sigma", "have no positive sigma", ~((sigmas > 0) & np.isfinite(sigmas)).all(axis=1))
    for name in ("covariance_px", "covariance_m"):
        xx, xy, yy = points[name].T
        with np.errstate(invalid="ignore", over="ignore"):
            good = (xx > 0) & (yy > 0) & (xx * yy >= xy * xy)
        note(f"point_{name}", f"have a {name} that is none", ~good)
    note("point_lights", "are supported by fewer than no lights", points["lights"] < 0)


def _check_hypotheses(table: Table, findings: Findings) -> None:
    index = table[FRAME_INDEX.name]
    wrong = ~_counted(index, table["rank"])
    findings.rows_wrong(
        "rank", "hypotheses are not ranked 0, 1, 2 within their frame", wrong, index
    )
    _check_cameras(table, "hypotheses", np.ones(len(index), dtype=bool), findings)


def _check_detections(tables: Tables, findings: Findings) -> None:
    table = tables["detections"]
    index = table["frame_index"]
    place, _ = _per_frame(tables["frames"]["frame_index"], index)
    outside = ~_inside(table["x"], table["y"], tables["frames"], place)
    findings.rows_wrong("detection_outside", "detections lie outside their frame", outside, index)


def _per_frame(
    frames: NDArray[np.int64], index: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Place of each row's frame among the frames, and how many rows each frame has."""
    place = np.minimum(np.searchsorted(frames, index), len(frames) - 1)
    return place, np.bincount(place, minlength=len(frames))


def _counted(index: NDArray[np.int64], numbers: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each row has the number of its place among the rows of its frame."""
    place = np.arange(len(index)) - np.searchsorted(index, index)
    return place == numbers


def _inside(
    x: NDArray[np.float64], y: NDArray[np.float64], frames: Table, place: NDArray[np.intp]
) -> NDArray[np.bool_]:
    width, height = frames["width_px"][place], frames["height_px"][place]
    across = (x >= -HALF_PX) & (x <= width - 1 + HALF_PX)
    return across & (y >= -HALF_PX) & (y <= height - 1 + HALF_PX)


def _on_earth(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (lon >= -180) & (lon < 180) & (lat >= -90) & (lat <= 90)


def _any(wrong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """By row, whether any of its values is wrong."""
    return np.asarray(wrong if wrong.ndim == 1 else wrong.any(axis=1))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_hash(text: bytes) -> bool:
    """Whether a text is a SHA-256, or empty."""
    if not text:
        return True
    return len(text) == SHA256_DIGITS and not text.lower().strip(b"0123456789abcdef")


def _is_time(text: bytes) -> bool:
    """Whether a text is a time, or empty."""
    return not text or parse_iso_time(text.decode("utf-8", "replace")) is not None
