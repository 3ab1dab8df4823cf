"""Select frames of a store for export, and count the reasons for exclusion."""

from __future__ import annotations

import difflib
import math
import re
import sqlite3
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError
from regengine.frames.columns import FRAME_COLUMNS
from regengine.frames.frame import ExportFrame, GroundBlock, make_engine_frame, with_review
from regengine.store.file import raise_as_damage
from regengine.store.read import iter_blocks, iter_frames
from regengine.store.result import Kind, Reviewed
from regengine.store.reviews import apply_review, read_reviews
from regengine.store.rows import COLUMNS as STORED
from regengine.store.rows import FRAMES, dict_rows, select

# Comments, texts, and columns in double quotes
_QUOTED = re.compile(r"""--[^\n]*|/\*.*?(?:\*/|\Z)|"(?:[^"]|"")*"|'(?:[^']|'')*'""", re.S)
# How SQLite names what it does not find
_UNKNOWN = re.compile(r'(?:no such column: "?|column ")([^"]+)')


def make_condition_error(where: str, why: str, columns: Collection[str]) -> ConfigError:
    """Make the error of a condition out of a message about it, or that of a database."""
    return ConfigError(
        f"--where {where!r} is not a valid condition ({find_unknown_column(why, columns) or why}): "
        "write an SQL expression such as \"off_nadir_deg < 30 AND category = 'cities'\"."
    )


def find_unknown_column(said: str, columns: Collection[str]) -> str:
    """Describe the column that a database does not find; empty if its message is of other things.

    Most who write an unknown column mean a text.
    """
    found = _UNKNOWN.search(said)
    if found is None:
        return ""
    name = found[1].split(".")[-1]
    return f"text is in single quotes, '{name}', and {describe_unknown_column(name, columns)}"


def describe_unknown_column(name: str, columns: Collection[str]) -> str:
    """Say that there is no such column, the nearest one, and all columns."""
    close = difflib.get_close_matches(name.casefold(), columns, n=1)
    close = close or [one for one in columns if name and one.startswith(name.casefold())]
    meant = f", but {close[0]}" if close else ""
    return f"{name} is not a column{meant}; the columns are {', '.join(columns)}"


TYPES: dict[Kind, str] = {"text": "TEXT", "whole": "INTEGER", "flag": "INTEGER", "real": "REAL"}
# People's decisions, in addition to the store's columns
REVIEW_COLUMNS = ("decision", "reviewer", "disputed", "quality")
COLUMNS = {
    field.name: TYPES[field.kind]
    for field in (
        *(column for column in FRAMES if column.width == 1),
        *(column for column in FRAME_COLUMNS if column.name in REVIEW_COLUMNS),
    )
}
WHOLE = {name for name, kind in COLUMNS.items() if kind == "INTEGER"}  # -1: unknown


def check_condition(base: sqlite3.Connection, where: str, columns: Collection[str]) -> str:
    """Make an SQL condition on ``frames`` of a user's one; ConfigError if it is not valid.

    It is an expression on columns, such as ``off_nadir_deg < 30 AND category = 'cities'``. It is
    not valid if a text in double quotes is no column, which SQLite would compare as text, if a
    column is in single quotes, which makes it a text, or if there is a query within it. The
    authorizer of the database becomes that of the condition, see `guard_reading`.
    """
    known = {name.casefold() for name in columns}
    read: set[str] = set()
    # It is one expression only if it is valid both in brackets and without them. The line breaks
    # end a comment before our own words
    case, bare = (
        f"CASE WHEN {opened}\n{where}\n{closed} THEN 1 ELSE 0 END"
        for opened, closed in ("()", ("", ""))
    )
    try:
        if not where.strip():
            raise ValueError("it is empty")
        quoted = _QUOTED.findall(where)
        for text in quoted:
            name = text[1:-1].casefold()
            if text[0] == '"' and name not in (*known, "frames"):
                raise ValueError(find_unknown_column(f"column {text}", columns))
            if text[0] == "'" and name in known:
                raise ValueError(f"{text} is text: write the column without quotes, {name}")
        for expression in (bare, case):
            base.set_authorizer(guard_reading(columns, read))
            base.execute(f"SELECT 1 FROM frames WHERE {expression} LIMIT 0")  # noqa: S608
        if not read and any(text[0] == "'" for text in quoted):
            raise ValueError(f"it names no column; the columns are {', '.join(columns)}")
    except (ValueError, sqlite3.Error, sqlite3.Warning) as error:
        why = "it has a query within" if str(error) == "not authorized" else str(error)
        raise make_condition_error(where, why, columns) from error
    return f"{case} = 1"


def guard_reading(
    columns: Collection[str] = (), read: set[str] | None = None
) -> Callable[..., int]:
    """Make an authorizer of SQLite that lets statements read alone.

    That of a condition knows its ``columns``, and lets one query read these alone, without another
    query within, which would be asked anew of every part of a store; they are added to ``read``.
    """
    allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
    allowed |= set() if columns else {sqlite3.SQLITE_RECURSIVE}
    n_queries = 0

    def authorise(action: int, _: str | None, name: str | None, *within: str | None) -> int:
        nonlocal n_queries
        is_right = action in allowed and name != "load_extension"
        of_view = within[-1] is not None
        if columns and action == sqlite3.SQLITE_READ and name:
            is_right = name in columns  # row numbers count within a block of frames
            if read is not None and not of_view:
                read.add(name)
        if columns and action == sqlite3.SQLITE_SELECT and not of_view:
            n_queries += 1
            is_right = n_queries == 1
        return sqlite3.SQLITE_OK if is_right else sqlite3.SQLITE_DENY

    return authorise


def _cell(value: Any, name: str) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    return None if value == "" or (value == -1 and name in WHOLE) else value


BLOCK_FRAMES = 1024  # 5 MB of all columns with a single value


def read_frame_rows(
    store: Path, names: Sequence[str], reviews: Mapping[int, Reviewed]
) -> Iterator[list[dict[str, Any]]]:
    """Read columns of all frames in order, a block at a time, with people's decisions applied."""
    columns = select(*(f"frames/{name}" for name in names))
    for tables in iter_blocks(store, columns, BLOCK_FRAMES):
        with raise_as_damage(store):
            rows = dict_rows(tables["frames"])
        yield [
            apply_review(row, review) if (review := reviews.get(row["frame_index"])) else row
            for row in rows
        ]


GROUND_FRAMES = 128  # footprints and cities are computed for this number of frames at once


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The chosen frames of a store, by their numbers, in order.

    Photos that have moved are searched for in ``folder``, too. ``reviews`` contains people's
    decisions by frame number; ``left_out`` counts the excluded frames by reason.
    """

    store: Path
    folder: Path | None = None
    numbers: array[int] = field(default_factory=lambda: array("q"))
    reviews: dict[int, Reviewed] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def frames(self) -> Iterator[ExportFrame]:
        """Iterate over the frames; only a few of them are in memory at a time."""
        frames = (
            with_review(
                replace(make_engine_frame(stored, self.store), photos=self.folder),
                self.reviews.get(stored.frame_index),
            )
            for stored in iter_frames(self.store, self.numbers, hypotheses=False)
        )
        while some := list(islice(frames, GROUND_FRAMES)):
            block = GroundBlock(some)
            yield from (replace(one, ground=(block, number)) for number, one in enumerate(some))

    def photos(self) -> Iterator[tuple[int, str, str]]:
        """Number, path and SHA-256 of each photo."""
        held = set(self.numbers)
        for rows in read_frame_rows(self.store, ("frame_index", "path", "sha256"), {}):
            for row in rows:
                if row["frame_index"] in held:
                    yield row["frame_index"], row["path"], row["sha256"]


def choose(
    store: Path,
    *,
    verdicts: Sequence[str] = ("accepted",),
    reviewed: bool = False,
    where: str | None = None,
) -> Chosen:
    """Choose frames by their columns; a run may be writing the store at the same time.

    ``verdicts`` are states to include, see `regengine.store.reviews.decide_state`; exports have
    nothing that a person rejected. With ``reviewed``, only what a person accepted. ``where`` is an
    SQL expression on columns of frames.

    StoreError if the store cannot be read; ConfigError if the condition is not valid.
    """
    names = ["frame_index", "verdict"]
    if where is not None:
        names = [name for name in COLUMNS if ("frames", name) in STORED]
    chosen = Chosen(store=store, reviews=read_reviews(store))
    marks = ", ".join("?" * len(COLUMNS))
    wanted, met = "", set[int]()
    with closing(sqlite3.connect(":memory:")) as base:
        if where is not None:
            declared = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
            base.execute(f"CREATE TABLE frames ({declared})")
            condition = check_condition(base, where, COLUMNS)
            wanted = f"SELECT frame_index FROM frames WHERE {condition}"  # noqa: S608
        for rows in read_frame_rows(store, names, chosen.reviews):
            if where is not None:
                cells = [[_cell(row.get(name), name) for name in COLUMNS] for row in rows]
                base.set_authorizer(None)
                base.execute("DELETE FROM frames")
                base.executemany(f"INSERT INTO frames VALUES ({marks})", cells)  # noqa: S608
                base.set_authorizer(guard_reading(COLUMNS))
                try:
                    met = {number for (number,) in base.execute(wanted)}
                except (sqlite3.Error, sqlite3.Warning) as error:
                    raise make_condition_error(where, str(error), COLUMNS) from error
            for row in rows:
                number, verdict = row["frame_index"], row["verdict"]
                review = chosen.reviews.get(number)
                if where is not None and number not in met:
                    chosen.left_out["not --where"] += 1
                elif verdict == "rejected" and "rejected" not in verdicts:
                    chosen.left_out["rejected in review"] += 1
                elif reviewed and (review is None or review.decision != "accepted"):
                    chosen.left_out["not accepted in review"] += 1
                elif verdict not in verdicts:
                    chosen.left_out[f"verdict {verdict}"] += 1
                else:
                    chosen.numbers.append(number)
    return chosen


def sort_numbers(chosen: Chosen, order: str) -> list[int]:
    """Sort the chosen frames by a column of `COLUMNS`; ``-NAME`` sorts in descending order.

    Frames without the value come last, and frames of equal value stay in the store's order.
    ConfigError if there is no such column.
    """
    name = order.removeprefix("-")
    if name not in COLUMNS:
        raise ConfigError(f"--sort {order!r}: {describe_unknown_column(name, COLUMNS)}.")
    held = set(chosen.numbers)
    read = {"frame_index", "verdict", *([name] if ("frames", name) in STORED else [])}
    values = {
        row["frame_index"]: _cell(row.get(name), name)
        for rows in read_frame_rows(chosen.store, sorted(read), chosen.reviews)
        for row in rows
        if row["frame_index"] in held
    }
    known = [number for number, value in values.items() if value is not None]
    known.sort(key=lambda number: values[number], reverse=order != name)
    return known + [number for number, value in values.items() if value is None]
