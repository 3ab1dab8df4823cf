"""Columns of SQL tables: those of the other tables, with types that only servers have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from regengine.export.frame import ExportFrame
from regengine.export.sql.literals import moment
from regengine.export.table_column import TableColumn
from regengine.store.schema import COLUMNS

Kind = Literal["key", "text", "real", "whole", "flag", "moment", "point", "polygons", "loaded"]
UNITS = {
    "deg": "degrees",
    "lon": "degrees",
    "lat": "degrees",
    "km": "km",
    "m": "m",
    "mm": "mm",
    "um": "micrometres",
    "px": "px",
    "px2": "square px",
    "m2": "square m",
    "h": "hours",
    "s": "s",
    "utc": "UTC",
}
WITHOUT_ENDING = {"x": "px", "y": "px", "principal_x": "px", "principal_y": "px"}
COVARIANCES = {"covariance_px": "square px", "covariance_m": "square m"}


@dataclass(frozen=True, kw_only=True)
class SqlColumn:
    """A column of a table on a server.

    Attributes
    ----------
    name : str
        Lower case letters, digits and underscores.
    kind : str
        ``key`` (64 hexadecimal digits), ``text``, ``real``, ``whole``, ``flag``, ``moment``,
        ``point``, ``polygons``, ``loaded`` (the server's own time of the load); every value but a
        key may be missing.
    says : str
        What it holds, for the column's comment; see `comment`.
    value : callable
        Takes the frame and the number of the row among its rows in the table.
    written : bool
        False where the column is left to people: no script touches it.
    """

    name: str
    kind: Kind
    says: str
    value: Callable[[ExportFrame, int], Any]
    written: bool = True

    @property
    def comment(self) -> str:
        """What the column holds, with its unit."""
        unit = unit_of(self.name)
        told = not unit or any(word in self.says.split() for word in (unit, unit.split()[0]))
        return self.says if told else f"{self.says} [{unit}]"


def of_frame(name: str, kind: Kind, says: str, value: Callable[[ExportFrame], Any]) -> SqlColumn:
    """A column of which a frame has one value."""
    return SqlColumn(name=name, kind=kind, says=says, value=lambda frame, _: value(frame))


def of_point(name: str, says: str) -> SqlColumn:
    """A column with the place of a control point."""
    return SqlColumn(
        name=name,
        kind="point",
        says=says,
        value=lambda frame, number: (frame.points[number].lon, frame.points[number].lat),
    )


def left_to_people(name: str, kind: Kind, says: str) -> SqlColumn:
    """A column that no script touches."""
    says = f"{says}; yours to fill in: loading leaves it alone"
    return SqlColumn(name=name, kind=kind, says=says, value=lambda *_: None, written=False)


LOADED = of_frame("loaded_at", "loaded", "when the row was last loaded", lambda _: True)


def from_table(columns: Iterable[TableColumn], without: Iterable[str] = ()) -> list[SqlColumn]:
    """Columns of another table; what ends in ``_utc`` is a moment."""
    return [
        SqlColumn(
            name=column.name,
            kind="moment" if column.name.endswith("_utc") else column.kind,
            says=column.says,
            value=partial(_moment, column) if column.name.endswith("_utc") else column.value,
        )
        for column in columns
        if column.name not in set(without)
    ]


def unit_of(name: str) -> str:
    """Unit of a column's values by its name; empty where it has none."""
    for start, unit in COVARIANCES.items():
        if name.startswith(start):
            return unit
    known = COLUMNS.get(("frames", name)) or COLUMNS.get(("control_points", name))
    if known is not None and known.units:
        return UNITS[known.units]
    ending = name.rpartition("_")[2]
    return WITHOUT_ENDING.get(name) or UNITS.get(ending, "")


def _moment(column: TableColumn, frame: ExportFrame, number: int) -> Any:
    text = column.value(frame, number)
    return moment(text) if text else None
