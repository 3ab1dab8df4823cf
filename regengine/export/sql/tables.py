"""Tables on a server: one of photos, and others with rows that hang on a photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from regengine.export.frame import ExportFrame
from regengine.export.sql.columns import Kind, SqlColumn


@dataclass(frozen=True, kw_only=True)
class SqlTable:
    """A table.

    Attributes
    ----------
    name : str
        As statements name it.
    says : str
        What it holds.
    columns : tuple of SqlColumn
        The first is the photo's key.
    rows : callable
        How many rows a frame has in it.
    """

    name: str
    says: str
    columns: tuple[SqlColumn, ...]
    rows: Callable[[ExportFrame], int]

    @property
    def written(self) -> tuple[SqlColumn, ...]:
        """Columns that scripts write."""
        return tuple(column for column in self.columns if column.written)


class Dialect(Protocol):
    """A kind of server.

    Attributes
    ----------
    photos : SqlTable
        A row a photo.
    parts : tuple of SqlTable
        Rows that are replaced with their photo's.
    head, tail : str
        Statements before and after the rows: settings, tables, the transaction.
    """

    photos: SqlTable
    parts: tuple[SqlTable, ...]
    head: str
    tail: str

    def literal(self, kind: Kind, value: object) -> str:
        """A value that is not None as a literal."""

    def on_known_photo(self) -> str:
        """End of an INSERT: what becomes of a photo that is there already."""
