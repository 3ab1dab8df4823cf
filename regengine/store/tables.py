"""Groups of equal-length columns in memory: make, join, pick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.records import printable
from regengine.store.schema import GROUPS, Column

Table = dict[str, NDArray[Any]]
Tables = dict[str, Table]
Selection = Mapping[str, Sequence[Column]]


def table_from_rows(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Turn rows into columns.

    Parameters
    ----------
    columns : sequence of Column
        The columns of one group.
    rows : sequence of mapping
        A value for each column; None stands for a missing one (see `missing`).

    Returns
    -------
    dict of str to ndarray
        Arrays of shape (rows,) or (rows, width); text columns hold `str` objects.
    """
    return {column.name: _array(column, [row[column.name] for row in rows]) for column in columns}


def missing(column: Column) -> Any:
    """What stands for None in a column: NaN, -1, 0 (uint8) or an empty string."""
    if column.kind == "text":
        return ""
    if column.kind == "uint8":
        return 0
    return float("nan") if column.kind.startswith("float") else -1


def join(sets: Sequence[Tables], groups: Selection = GROUPS) -> Tables:
    """Join sets of tables; a later set takes the place of a frame that an earlier one holds.

    Parameters
    ----------
    sets : sequence of dict
        Tables of all groups.
    groups : mapping, optional
        The columns that they have, by group; must include ``frames/frame_index``.

    Returns
    -------
    dict
        Tables of these groups, ordered by ``frame_index``, rows of one frame in the given order.
    """
    held = [tables["frames"]["frame_index"] for tables in sets]
    known = np.unique(np.concatenate(held)) if held else np.empty(0, dtype=np.int64)
    owner = np.zeros(len(known), dtype=np.intp)
    for number, index in enumerate(held):
        owner[np.searchsorted(known, index)] = number
    joined: Tables = {}
    for group, columns in groups.items():
        kept = [_owned(tables[group], number, known, owner) for number, tables in enumerate(sets)]
        if not kept:
            joined[group] = table_from_rows(columns, [])
            continue
        whole = {
            column.name: np.concatenate([table[column.name] for table in kept])
            for column in columns
        }
        order = np.argsort(whole["frame_index"], kind="stable")
        joined[group] = {name: array[order] for name, array in whole.items()}
    return joined


def with_texts(tables: Tables) -> Tables:
    """The same tables with texts as `str` where they are bytes of a fixed length.

    Raises
    ------
    UnicodeDecodeError
        If they are not UTF-8.
    """
    return {
        group: {name: _texts(array) for name, array in table.items()}
        for group, table in tables.items()
    }


def _owned(table: Table, number: int, known: NDArray[np.int64], owner: NDArray[np.intp]) -> Table:
    """Rows of those frames that a set owns."""
    index = table["frame_index"]
    place = np.minimum(np.searchsorted(known, index), max(len(known) - 1, 0))
    keep = (known[place] == index) & (owner[place] == number) if len(known) else index < index
    return {name: array[keep] for name, array in table.items()}


def _texts(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind != "S":
        return array
    texts = np.empty(len(array), dtype=object)
    texts[:] = [value.decode("utf-8") for value in array.tolist()]
    return texts


def _array(column: Column, values: list[Any]) -> NDArray[Any]:
    blank = missing(column)
    if column.kind == "text":
        array = np.empty(len(values), dtype=object)
        array[:] = ["" if v is None else printable(v).replace("\0", "") for v in values]
        return array
    if column.width == 1:
        return np.array([blank if v is None else v for v in values], dtype=column.kind)
    filled = [[blank] * column.width if value is None else value for value in values]
    return np.array(filled, dtype=column.kind).reshape(len(values), column.width)
