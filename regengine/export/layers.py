"""The three layers of a map: what photos show, where they were taken, their control points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from regengine.errors import ConfigError
from regengine.export.columns import Row
from regengine.export.footprint import Ring
from regengine.export.frame import ExportFrame
from regengine.export.stance import LonLat
from regengine.export.table_column import TableColumn
from regengine.export.tables import TABLES


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A place or polygons on the map, and what is told of them.

    ``place`` is a point, ``polygons`` are closed rings; a feature has one of them.
    """

    row: Row
    place: LonLat | None = None
    polygons: tuple[Ring, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer: what its features are, and whose rows they have.

    Attributes
    ----------
    name, says : str
        Its name, and what it shows.
    geometry : str
        ``Point`` or ``MultiPolygon``.
    table : str
        Which of `regengine.export.tables.TABLES`.
    features : callable
        Takes a frame and its rows of that table; gives its features.
    """

    name: str
    says: str
    geometry: Literal["Point", "MultiPolygon"]
    table: str
    features: Callable[[ExportFrame, list[Row]], Iterator[Feature]]

    @property
    def columns(self) -> tuple[TableColumn, ...]:
        """The columns of its table."""
        return TABLES[self.table].columns


def _footprints(frame: ExportFrame, rows: list[Row]) -> Iterator[Feature]:
    if frame.footprint:
        yield Feature(row=rows[0], polygons=tuple(frame.footprint))


def _nadirs(frame: ExportFrame, rows: list[Row]) -> Iterator[Feature]:
    if frame.nadir is not None:
        yield Feature(row=rows[0], place=frame.nadir)


def _points(frame: ExportFrame, rows: list[Row]) -> Iterator[Feature]:
    for row, point in zip(rows, frame.points, strict=True):
        yield Feature(row=row, place=(point.lon, point.lat))


LAYERS = {
    layer.name: layer
    for layer in (
        Layer(
            name="footprints",
            says="ground that photos show, up to 80 degrees of incidence",
            geometry="MultiPolygon",
            table="frames",
            features=_footprints,
        ),
        Layer(
            name="nadirs",
            says="places below the camera",
            geometry="Point",
            table="frames",
            features=_nadirs,
        ),
        Layer(
            name="points",
            says="control points",
            geometry="Point",
            table="points",
            features=_points,
        ),
    )
}


def features(frame: ExportFrame, layers: list[Layer]) -> Iterator[tuple[Layer, Feature]]:
    """Features of a frame, layer by layer; those of one table share their rows."""
    rows: dict[str, list[Row]] = {}
    for layer in layers:
        if layer.table not in rows:
            rows[layer.table] = TABLES[layer.table].rows(frame)
        for feature in layer.features(frame, rows[layer.table]):
            yield layer, feature


def chosen_layers(names: tuple[str, ...]) -> list[Layer]:
    """Layers by their names, all without any; ConfigError if there is none of that name."""
    if unknown := [name for name in names if name not in LAYERS]:
        raise ConfigError(f"--layers {unknown[0]}: it is none of {', '.join(LAYERS)}.")
    return [layer for layer in LAYERS.values() if not names or layer.name in names]
