"""Rows of tables: what is told of a frame and of a control point, with its type and meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from matchers.camera import Camera
from regengine.errors import ConfigError
from regengine.exchange.export.frame import ExportFrame, same_camera
from regengine.review.reviewed import Reviewed
from regengine.store.schema import COLUMNS

# A column of a table that is handed over.

Kind = Literal["text", "real", "whole", "flag"]


@dataclass(frozen=True, kw_only=True)
class TableColumn:
    """A column of a table.

    Attributes
    ----------
    name : str
        Its name; units are in it.
    kind : str
        ``text``, ``real``, ``whole`` or ``flag``; every value may be missing.
    says : str
        What it holds.
    value : callable
        Takes the frame and, in a table of points, the number of the point.
    """

    name: str
    kind: Kind
    says: str
    value: Callable[[ExportFrame, int], Any]


# Names of places as columns: the nearest city, its country, and how far it is.

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
            name=field,
            kind=kind,
            says=_says(field, "the point"),
            value=partial(_town_of_point, field),
        )
        for field, kind in FIELDS
    )


def _of_frame(place: str, field: str, frame: ExportFrame, _: int) -> Any:
    return getattr(getattr(frame.towns, place), field)


def _town_of_point(field: str, frame: ExportFrame, point: int) -> Any:
    return getattr(frame.towns.points[point], field)


def _says(field: str, of: str) -> str:
    return {
        "city": f"city nearest to {of}, as GeoNames spells it; none farther than 300 km",
        "country": "country of that city",
        "city_km": "how far its middle is, km",
    }[field]


Row = dict[str, Any]


def _column(name: str, kind: Kind, says: str, value: Callable[[ExportFrame], Any]) -> TableColumn:
    return TableColumn(name=name, kind=kind, says=says, value=lambda frame, _: value(frame))


def _told(name: str, kind: Kind = "text", part: str = "") -> TableColumn:
    """A column of the store's frames, as the engine said it."""

    def value(frame: ExportFrame) -> Any:
        whole = getattr(frame.result, part) if part else frame.result
        return None if whole is None else getattr(whole, name.removeprefix(f"{part}_"))

    return _column(name, kind, COLUMNS["frames", name].description, value)


def _of_camera(name: str, says: str, value: Callable[[Camera], Any]) -> TableColumn:
    def of_frame(frame: ExportFrame) -> Any:
        return None if frame.camera is None else value(frame.camera)

    return _column(name, "flag" if name == "mirrored" else "real", says, of_frame)


def _element(field: str, number: int, camera: Camera) -> float:
    return float(getattr(camera, field)[number])


def _of_fit(name: str, kind: Kind = "real") -> TableColumn:
    """A figure of the engine's fit: none where a person chose another camera."""

    def value(frame: ExportFrame) -> Any:
        fit = frame.result.fit
        solved = frame.result.solved
        if fit is None or solved is None:
            return None
        by_engine = frame.review is None or same_camera(frame.camera, solved.camera)
        return getattr(fit, name) if by_engine else None

    return _column(name, kind, COLUMNS["frames", name].description, value)


def _of_review(name: str, kind: Kind, says: str, value: Callable[[Reviewed], Any]) -> TableColumn:
    def of_frame(frame: ExportFrame) -> Any:
        return None if frame.review is None else value(frame.review)

    return _column(name, kind, says, of_frame)


def _of_stance(name: str, says: str) -> TableColumn:
    def of_frame(frame: ExportFrame) -> Any:
        return None if frame.stance is None else frame.stance[name]

    return _column(name, "real", says, of_frame)


def _worst_sigma_m(frame: ExportFrame) -> float | None:
    known = [point.sigma_m for point in frame.points if point.sigma_m is not None]
    return max(known, default=None)


KEYS = (
    _column(
        "frame_index",
        "whole",
        "number of the frame within its store",
        lambda frame: frame.stored.frame_index,
    ),
    _told("frame"),
    _told("path"),
    _told("sha256"),
    _column(
        "verdict",
        "text",
        "accepted, review, no_match or failed; accepted where a person accepted",
        lambda frame: frame.verdict,
    ),
    _told("probability", "real"),
    _told("time_utc"),
    _of_review(
        "decision",
        "text",
        "a person's: accepted, rejected or unsure",
        lambda review: review.decision,
    ),
    _of_review("reviewer", "text", "who decided last", lambda review: review.reviewer),
)

FRAME_COLUMNS = (
    *KEYS,
    _of_review("reviewed_utc", "text", "when", lambda review: review.time_utc),
    _of_review("disputed", "flag", "whether people differ", lambda review: review.disputed),
    _of_review(
        "stale",
        "flag",
        "whether the engine proposes something else by now",
        lambda review: review.stale,
    ),
    _of_review("quality", "whole", "0 (useless) to 5 (excellent)", lambda review: review.quality),
    _of_review("comment", "text", "the person's", lambda review: review.comment),
    _of_review(
        "tags", "text", "the person's, separated by commas", lambda review: ",".join(review.tags)
    ),
    _of_review(
        "place",
        "text",
        "name of a place that the person gave",
        lambda review: None if review.place is None else review.place["name"],
    ),
    _of_review(
        "country",
        "text",
        "its country",
        lambda review: None if review.place is None else review.place["country"],
    ),
    _column(
        "reasons",
        "text",
        "codes of the reasons, separated by commas",
        lambda frame: ",".join(reason.code for reason in frame.result.reasons),
    ),
    _told("category"),
    _told("category_probability", "real"),
    _told("camera_body"),
    _told("focal_mm", "real"),
    _told("pixel_pitch_um", "real"),
    _told("width_px", "whole"),
    _told("height_px", "whole"),
    _told("orientation", "whole"),
    _told("nadir_lon", "real", "nadir"),
    _told("nadir_lat", "real", "nadir"),
    _told("nadir_altitude_km", "real", "nadir"),
    _told("nadir_source", "text", "nadir"),
    _of_stance("camera_lon", "longitude below the solved camera"),
    _of_stance("camera_lat", "geodetic latitude below the solved camera"),
    _of_stance("camera_altitude_km", "its height above WGS84"),
    _of_stance("off_nadir_deg", "angle of the optical axis from the nadir"),
    _of_stance("centre_lon", "longitude of the image centre; none for sky"),
    _of_stance("centre_lat", "geodetic latitude of the image centre; none for sky"),
    *frame_town_columns(),
    _of_camera("focal_px", "solved focal length", lambda camera: camera.focal_px),
    *(
        _of_camera(name, says, partial(_element, field, number))
        for field, names, says in (
            ("principal_point", ("principal_x", "principal_y"), "optical axis, pixels"),
            ("distortion", ("k1", "k2", "p1", "p2", "k3"), "OpenCV's distortion"),
            ("quaternion", ("qx", "qy", "qz", "qw"), "rotates camera vectors into ECEF"),
            ("position_ecef_m", ("ecef_x_m", "ecef_y_m", "ecef_z_m"), "where the camera was"),
        )
        for number, name in enumerate(names)
    ),
    _of_camera(
        "mirrored",
        "whether x is replaced by width - 1 - x before projection",
        lambda camera: camera.mirrored,
    ),
    _column(
        "sigma_m", "real", "one sigma per axis of the worst control point, metres", _worst_sigma_m
    ),
    _of_fit("residual_px"),
    _of_fit("residual_m"),
    _of_fit("held_out_residual_px"),
    _of_fit("matched_lights", "whole"),
    _of_fit("log10_odds"),
    _of_fit("runner_up_log10_odds"),
    _of_fit("ncc"),
    _column("lights", "text", "night-light map that was used", lambda frame: frame.result.lights),
    _column(
        "engine_version", "text", "version of regengine", lambda frame: frame.result.engine_version
    ),
)


def _of_point(name: str, kind: Kind, says: str) -> TableColumn:
    return TableColumn(
        name=name,
        kind=kind,
        says=says,
        value=lambda frame, number: getattr(frame.points[number], name),
    )


def _covariance(field: str, number: int, frame: ExportFrame, point: int) -> float | None:
    covariance = getattr(frame.points[point], field)
    return None if covariance is None else float(covariance[number])


POINT_COLUMNS = (
    *KEYS,
    TableColumn(
        name="point",
        kind="whole",
        says="number of the point within its frame",
        value=lambda _, number: number,
    ),
    _of_point("x", "real", "column, zero-based, integer at pixel centres, as stored"),
    _of_point("y", "real", "row, zero-based, integer at pixel centres, as stored"),
    _of_point("lon", "real", "WGS84 longitude, degrees"),
    _of_point("lat", "real", "WGS84 geodetic latitude, degrees"),
    *point_town_columns(),
    _of_point("sigma_px", "real", "one sigma per axis in the image"),
    _of_point("sigma_m", "real", "one sigma per axis on the ground"),
    *(
        TableColumn(
            name=f"covariance_{unit}_{axes}",
            kind="real",
            says=f"covariance, square {words}",
            value=partial(_covariance, f"covariance_{unit}", number),
        )
        for unit, words, all_axes in (
            ("px", "pixels", ("xx", "xy", "yy")),
            ("m", "metres, east and north", ("ee", "en", "nn")),
        )
        for number, axes in enumerate(all_axes)
    ),
    _of_point("lights", "whole", "lights that support the point"),
    _of_point("origin", "text", "who made it: engine, person, snap or search"),
)


def frame_row(frame: ExportFrame) -> Row:
    """What is told of a frame.

    Parameters
    ----------
    frame : ExportFrame
        Of any verdict.

    Returns
    -------
    dict
        A value for each of `FRAME_COLUMNS`; None for what is missing or not finite.
    """
    return {column.name: known(column.value(frame, 0)) for column in FRAME_COLUMNS}


def point_rows(frame: ExportFrame) -> list[Row]:
    """What is told of each control point: a value for each of `POINT_COLUMNS`."""
    return [
        {column.name: known(column.value(frame, number)) for column in POINT_COLUMNS}
        for number in range(len(frame.points))
    ]


def known(value: Any) -> Any:
    """A value, or None for what is empty or not finite."""
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return None if value == "" else value


# The two tables: a row for each control point, or for each frame.


@dataclass(frozen=True, kw_only=True)
class ExportTable:
    """A table's columns, and the rows that a frame has in it."""

    columns: tuple[TableColumn, ...]
    rows: Callable[[ExportFrame], list[Row]]


TABLES = {
    "points": ExportTable(columns=POINT_COLUMNS, rows=point_rows),
    "frames": ExportTable(columns=FRAME_COLUMNS, rows=lambda frame: [frame_row(frame)]),
}


def table_of(name: str) -> ExportTable:
    """A table by its name; ConfigError if there is none."""
    if name not in TABLES:
        raise ConfigError(f"--table {name}: it is none of {', '.join(TABLES)}.")
    return TABLES[name]
