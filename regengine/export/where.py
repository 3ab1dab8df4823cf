"""Which frames: an SQL condition on the columns of a store's ``frames``.

SQLite judges it, on tables in memory that hold a block of frames. It may compare and call
functions; everything else (other statements, files, extensions, recursion) is refused.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from regengine.errors import ConfigError
from regengine.store.schema import FRAMES

TYPES = {"text": "TEXT", "uint8": "INTEGER", "int32": "INTEGER", "int64": "INTEGER"}
ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
COLUMNS = {column.name: TYPES.get(column.kind, "REAL") for column in FRAMES if column.width == 1}
# What people decided, beside what the store has
REVIEW_COLUMNS = {
    "decision": "TEXT",
    "reviewer": "TEXT",
    "disputed": "INTEGER",
    "quality": "INTEGER",
}
COLUMNS |= REVIEW_COLUMNS
WHOLE = {name for name, kind in COLUMNS.items() if kind == "INTEGER"}  # -1: unknown
LONGEST = 10_000  # letters of a condition


class Condition:
    """A condition that frames meet or not; a context manager.

    Parameters
    ----------
    text : str
        An SQL expression, such as ``off_nadir_deg < 30 AND category = 'cities'``.

    Raises
    ------
    ConfigError
        If it is no such expression; of `chosen`, too.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if not text.strip() or len(text) > LONGEST or "\0" in text:
            raise ConfigError(self._refused("it is empty, or far too long"))
        self._base = sqlite3.connect(":memory:")
        names = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
        self._base.execute(f"CREATE TABLE frames ({names})")
        # Names of our own columns alone
        self._insert = f"INSERT INTO frames VALUES ({', '.join('?' * len(COLUMNS))})"  # nosec B608
        try:
            self.chosen([])
        except ConfigError:
            self._base.close()
            raise

    def __enter__(self) -> Condition:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._base.close()

    def chosen(self, rows: Iterable[Mapping[str, Any]]) -> set[int]:
        """Numbers of the frames that meet the condition.

        Parameters
        ----------
        rows : iterable of mapping
            Values of the columns; missing ones are null.

        Returns
        -------
        set of int
        """
        self._base.set_authorizer(None)
        self._base.execute("DELETE FROM frames")
        self._base.executemany(
            self._insert, [[_cell(row.get(name), name) for name in COLUMNS] for row in rows]
        )
        self._base.set_authorizer(_authorise)
        # On a line of its own a comment ends itself alone; within CASE nothing but an expression
        # can stand, whatever its brackets; what it may do is up to _authorise
        case = f"CASE WHEN (\n{self.text}\n) THEN 1 ELSE 0 END"
        question = f"SELECT frame_index FROM frames WHERE {case}"  # nosec B608
        try:
            return {number for (number,) in self._base.execute(question)}
        except (sqlite3.Error, sqlite3.Warning, UnicodeEncodeError) as error:
            raise ConfigError(self._refused(str(error))) from error

    def _refused(self, why: str) -> str:
        return (
            f"--where {self.text!r} is no condition on frames ({why}): write an SQL expression on "
            "columns of docs/store.md, such as \"off_nadir_deg < 30 AND category = 'cities'\"."
        )


def _authorise(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION and second == "load_extension":
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_READ and first != "frames":
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY


def _cell(value: Any, name: str) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    return None if value == "" or (value == -1 and name in WHOLE) else value
