"""Whether a store's file is laid out as its format says, and whether its bytes are sound."""

from __future__ import annotations

import json
from collections.abc import Mapping

import h5py

from regengine.record_values import parse_iso_time
from regengine.store.findings import Findings
from regengine.store.hdf5 import CHUNK_ROWS, DAMAGE
from regengine.store.schema import FORMAT_VERSION, GROUPS, Column

PIECE_ROWS = 16 * CHUNK_ROWS


def check_attributes(file: h5py.File, findings: Findings) -> None:
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


def check_columns(file: h5py.File, findings: Findings) -> None:
    """Note columns that are missing, of another type or shape, or longer than their group's."""
    version = int(file.attrs["format_version"])
    for name, columns in GROUPS.items():
        group = file.get(name)
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


def check_bytes(file: h5py.File, findings: Findings) -> None:
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
    dataset = group.get(column.name)
    if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
        findings.file_wrong("column_missing", f"the column {name} is missing")
        return
    lengths[column.name] = dataset.shape[0]
    right = dataset.dtype.kind == "S" if column.kind == "text" else dataset.dtype == column.kind
    if not right or dataset.shape[1:] != (() if column.width == 1 else (column.width,)):
        findings.file_wrong(
            "column_wrong",
            f"the column {name} is {dataset.dtype} of shape {dataset.shape}, not "
            f"{column.kind} with {column.width} a row",
        )
    if dataset.attrs.get("units") != column.units:
        findings.file_wrong("attribute_wrong", f"the units of the column {name} are not as stated")


def _odd_ones(lengths: Mapping[str, int]) -> dict[str, int]:
    usual = max(lengths.values(), key=list(lengths.values()).count)
    return {name: rows for name, rows in lengths.items() if rows != usual}
