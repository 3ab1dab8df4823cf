"""Columns of equal length by name, for people: arrays, rows, DataFrames."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from regengine.errors import ConfigError

if TYPE_CHECKING:
    import geopandas
    import pandas
    from numpy.typing import NDArray

SHOWN_ROWS = 8
SHOWN_LETTERS = 100


class Table:
    """Columns of equal length: ``table["lon"]`` and ``table.lon`` are arrays.

    ``table[3]`` is a row, ``table[mask]`` a table of some rows; iterated, it gives its rows, named
    tuples.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self._columns = dict(columns)

    @classmethod
    def of_rows(cls, columns: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> Table:
        """A table out of its rows, which may be none."""
        import numpy as np

        return cls({name: np.array([row[name] for row in rows]) for name in columns})

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; docs/store.md tells what those of a store hold."""
        return tuple(self._columns)

    def __getattr__(self, name: str) -> NDArray[Any]:
        columns: dict[str, NDArray[Any]] = self.__dict__.get("_columns", {})
        if name not in columns:
            known = ", ".join(columns)
            raise AttributeError(f"there is no column {name}: columns are {known}.")
        return columns[name]

    @overload
    def __getitem__(self, wanted: str) -> NDArray[Any]: ...

    @overload
    def __getitem__(self, wanted: int) -> Any: ...

    @overload
    def __getitem__(self, wanted: slice | NDArray[Any]) -> Table: ...

    def __getitem__(self, wanted: str | int | slice | NDArray[Any]) -> Any:
        if isinstance(wanted, str):
            return self._columns[wanted]
        if isinstance(wanted, int):
            return self._row(*(column[wanted] for column in self._columns.values()))
        return Table({name: column[wanted] for name, column in self._columns.items()})

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def __iter__(self) -> Iterator[Any]:
        return (self._row(*values) for values in zip(*self._columns.values(), strict=True))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._columns]

    @cached_property
    def _row(self) -> Callable[..., Any]:
        return namedtuple("Row", self._columns)

    def to_pandas(self) -> pandas.DataFrame:
        """A DataFrame; columns of several values become ``name_0``, ``name_1`` ...

        Raises
        ------
        ConfigError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ConfigError(
                "to_pandas() needs pandas, which is not installed: pip install 'regengine[tables]'."
            ) from None
        return pandas.DataFrame(self._flat())

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """A GeoDataFrame in WGS84: points at ``lon`` and ``lat``, or outlines of footprints.

        A footprint with a corner in the sky has no geometry; one across the antimeridian runs
        beyond 180 degrees.

        Raises
        ------
        ConfigError
            If geopandas is not installed, or the table has no places.
        """
        try:
            import geopandas
            from shapely import Polygon
        except ImportError:
            raise ConfigError(
                "to_geodataframe() needs geopandas, which is not installed: "
                "pip install 'regengine[tables]'."
            ) from None
        import numpy as np

        if "lon" in self._columns:
            shapes = geopandas.points_from_xy(self.lon, self.lat)
        elif "footprint_lon" in self._columns:
            corners = np.stack(
                [np.unwrap(self.footprint_lon, period=360.0), self.footprint_lat], axis=-1
            )
            seen = np.isfinite(corners).all(axis=(1, 2))
            shapes = [
                Polygon(outline) if there else None
                for outline, there in zip(corners, seen, strict=True)
            ]
        else:
            raise ConfigError(f"no places are among {', '.join(self.columns)}.")
        return geopandas.GeoDataFrame(self.to_pandas(), geometry=shapes, crs="EPSG:4326")

    def _flat(self) -> dict[str, NDArray[Any]]:
        """The columns, of one value a row each."""
        flat: dict[str, NDArray[Any]] = {}
        for name, column in self._columns.items():
            if column.ndim == 1:
                flat[name] = column
            else:
                values = column.reshape(len(column), -1).T
                flat |= {f"{name}_{number}": value for number, value in enumerate(values)}
        return flat

    def _cells(self) -> list[list[str]]:
        """The first rows as text, below the names of the columns."""
        flat = self._flat()
        rows = zip(*(column[:SHOWN_ROWS] for column in flat.values()), strict=True)
        return [list(flat), *([_cell(value) for value in row] for row in rows)]

    def __repr__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
            for row in cells
        ]
        shown = [x if len(x) <= SHOWN_LETTERS else f"{x[:SHOWN_LETTERS]} …" for x in lines]
        more = ["…"] if len(self) > SHOWN_ROWS else []
        return "\n".join([*shown, *more, f"{len(self)} rows, {len(self.columns)} columns"])

    def _repr_html_(self) -> str:
        from html import escape

        head, *rows = self._cells()
        lines = ["".join(f"<td>{escape(text)}</td>" for text in row) for row in rows]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        names = "".join(f"<th>{escape(name)}</th>" for name in head)
        return (
            f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
            f"<p>{len(self)} rows</p>"
        )


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:40]
