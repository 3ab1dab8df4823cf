"""Names of places as columns: the nearest city, its country, and how far it is."""

from __future__ import annotations

from functools import partial
from typing import Any

from regengine.export.frame import ExportFrame
from regengine.export.table_column import Kind, TableColumn

FIELDS: tuple[tuple[str, Kind], ...] = (("city", "text"), ("country", "text"), ("city_km", "real"))


def frame_town_columns() -> tuple[TableColumn, ...]:
    """Columns of the cities near a frame's nadir and its image centre."""
    return tuple(
        TableColumn(
            name=f"{place}_{field}",
            kind=kind,
            says=_says(field, of),
            value=partial(_of_frame, place, field),
        )
        for place, of in (
            ("nadir", "the place below the solved camera, or below where the search began"),
            ("centre", "the place that the image centre shows"),
        )
        for field, kind in FIELDS
    )


def point_town_columns() -> tuple[TableColumn, ...]:
    """Columns of the city near a control point."""
    return tuple(
        TableColumn(
            name=field, kind=kind, says=_says(field, "the point"), value=partial(_of_point, field)
        )
        for field, kind in FIELDS
    )


def _of_frame(place: str, field: str, frame: ExportFrame, _: int) -> Any:
    return getattr(getattr(frame.towns, place), field)


def _of_point(field: str, frame: ExportFrame, point: int) -> Any:
    return getattr(frame.towns.points[point], field)


def _says(field: str, of: str) -> str:
    return {
        "city": f"city nearest to {of}, as GeoNames spells it; none farther than 300 km",
        "country": "country of that city",
        "city_km": "how far its middle is, km",
    }[field]
