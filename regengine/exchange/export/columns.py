"""The two tables that are handed over: a row for each control point, or for each frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from operator import attrgetter
from typing import Any

from matchers.geometry.camera import Camera
from regengine.errors import ConfigError
from regengine.exchange.export.frame import ExportFrame
from regengine.io.plain import plain, printable
from regengine.records import prior_nadir
from regengine.store.reviews import Reviewed
from regengine.store.schema import COLUMNS, Field, Kind

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TableColumn(Field):
    """A field as a table has it."""

    # Takes the frame and the number of the row among its rows in the table.
    value: Callable[[ExportFrame, int], Any]
    written: bool = True  # false where the column is left to people: nothing is written into it


def of_frame(
    name: str, kind: Kind, description: str, value: Callable[[ExportFrame], Any]
) -> TableColumn:
    """A column of which a frame has one value."""
    return TableColumn(
        name=name, kind=kind, description=description, value=lambda frame, _: value(frame)
    )


def _stored(name: str, value: Callable[[ExportFrame], Any]) -> TableColumn:
    """A column of the store's frames under its name there."""
    field = COLUMNS["frames", name]
    kind: Kind = "moment" if name.endswith("_utc") else field.kind
    return of_frame(name, kind, field.description, value)


def _told(name: str) -> TableColumn:
    """A column of the store's frames, as the engine said it."""
    return _stored(name, lambda frame: getattr(frame.result, name))


def _prior(name: str, description: str) -> TableColumn:
    """A column of the nadir that the search started from, under a name that tells it apart."""
    kind = COLUMNS["frames", f"nadir_{name}"].kind
    return of_frame(
        f"prior_nadir_{name}",
        kind,
        description,
        lambda frame: getattr(prior_nadir(frame.result), name, None),
    )


def _of_fit(name: str) -> TableColumn:
    """A figure of the engine's fit: none where a person chose another camera."""
    return _stored(name, lambda frame: getattr(frame.fit, name, None))


def _of_camera(name: str, description: str, value: Callable[[Camera], Any]) -> TableColumn:
    return of_frame(
        name,
        "real",
        description,
        lambda frame: None if frame.camera is None else value(frame.camera),
    )


def _element(field: str, number: int, camera: Camera) -> float:
    return float(getattr(camera, field)[number])


def _of_review(
    name: str, kind: Kind, description: str, value: Callable[[Reviewed], Any] | None = None
) -> TableColumn:
    """A column of what a person decided: without ``value``, the field of that name."""
    told = value or attrgetter(name)
    return of_frame(
        name, kind, description, lambda frame: None if frame.review is None else told(frame.review)
    )


def _of_named_place(name: str, field: str, description: str) -> TableColumn:
    return _of_review(
        name,
        "text",
        description,
        lambda review: None if review.place is None else review.place[field],
    )


def of_view(name: str, description: str) -> TableColumn:
    """A column of `regengine.exchange.export.viewing.VIEW`."""
    return of_frame(
        name,
        "real",
        description,
        lambda frame: None if frame.stance is None else frame.stance[name],
    )


def _of_town(
    prefix: str, of: str, town: Callable[[ExportFrame, int], Any]
) -> tuple[TableColumn, ...]:
    """Columns of the city near a place: its name, its country, and how far it is."""
    told: tuple[tuple[str, Kind, str], ...] = (
        ("city", "text", f"city nearest to {of}, as GeoNames spells it; none farther than 300 km"),
        ("country", "text", "country of that city"),
        ("city_km", "real", "how far its middle is, km"),
    )

    def value(name: str, frame: ExportFrame, number: int) -> Any:
        return getattr(town(frame, number), name)

    return tuple(
        TableColumn(
            name=f"{prefix}{name}", kind=kind, description=description, value=partial(value, name)
        )
        for name, kind, description in told
    )


KEYS = (
    of_frame(
        "frame_index",
        "whole",
        "number of the frame within its store",
        lambda frame: frame.stored.frame_index,
    ),
    _told("frame"),
    _told("path"),
    _told("sha256"),
    of_frame(
        "verdict",
        "text",
        "accepted, review, no_match or failed; accepted where a person accepted",
        lambda frame: frame.verdict,
    ),
    _told("probability"),
    _told("time_utc"),
    _of_review("decision", "text", "a person's: accepted, rejected or unsure"),
    _of_review("reviewer", "text", "who decided last"),
)

FRAME_COLUMNS = (
    *KEYS,
    _of_review("reviewed_utc", "moment", "when", lambda review: review.time_utc),
    _of_review("disputed", "flag", "whether people differ"),
    _of_review("stale", "flag", "whether the engine proposes something else by now"),
    _of_review("quality", "whole", "0 (useless) to 5 (excellent)"),
    _of_review("comment", "text", "the person's"),
    _of_review(
        "tags", "text", "the person's, separated by commas", lambda review: ",".join(review.tags)
    ),
    _of_named_place("place", "name", "name of a place that the person gave"),
    _of_named_place("country", "country", "its country"),
    _stored("reasons", lambda frame: ",".join(reason.code for reason in frame.result.reasons)),
    _told("category"),
    _told("category_probability"),
    _told("probability_low"),
    _told("probability_high"),
    _told("camera_body"),
    _told("focal_mm"),
    _told("pixel_pitch_um"),
    _told("width_px"),
    _told("height_px"),
    _told("orientation"),
    _prior("lon", "longitude of the nadir by element set, option or record"),
    _prior("lat", "geodetic latitude of that prior nadir"),
    _prior("altitude_km", "height of the camera above WGS84 there"),
    _prior("source", "tle, option or record; none where the lights alone told the place"),
    of_view("camera_lon", "longitude below the solved camera"),
    of_view("camera_lat", "geodetic latitude below the solved camera"),
    of_view("camera_altitude_km", "its height above WGS84"),
    of_view("off_nadir_deg", COLUMNS["frames", "off_nadir_deg"].description),
    of_view("centre_lon", "longitude of the image centre; none for sky"),
    of_view("centre_lat", "geodetic latitude of the image centre; none for sky"),
    *_of_town(
        "nadir_",
        "the place below the solved camera",
        lambda frame, _: frame.towns[0],
    ),
    *_of_town("centre_", "the place that the image centre shows", lambda frame, _: frame.towns[1]),
    _of_camera("focal_px", "solved focal length", lambda camera: camera.focal_px),
    *(
        _of_camera(name, description, partial(_element, field, number))
        for field, names, description in (
            ("principal_point", ("principal_x", "principal_y"), "optical axis, pixels"),
            ("distortion", ("k1", "k2", "p1", "p2", "k3"), "OpenCV's distortion"),
            ("quaternion", ("qx", "qy", "qz", "qw"), "rotates camera vectors into ECEF"),
            ("position_ecef_m", ("ecef_x_m", "ecef_y_m", "ecef_z_m"), "where the camera was"),
        )
        for number, name in enumerate(names)
    ),
    of_frame(
        "mirrored",
        "flag",
        "whether x is replaced by width - 1 - x before projection",
        lambda frame: getattr(frame.camera, "mirrored", None),
    ),
    _of_camera(
        "pixel_aspect",
        "focal length down over across of a stretched image; none for square pixels",
        lambda camera: camera.pixel_aspect,
    ),
    of_frame(
        "sigma_m",
        "real",
        "one sigma per axis of the worst control point, metres",
        lambda frame: frame.worst_sigma_m,
    ),
    _of_fit("residual_px"),
    _of_fit("residual_m"),
    _of_fit("held_out_residual_px"),
    _of_fit("matched_lights"),
    _of_fit("log10_odds"),
    _of_fit("runner_up_log10_odds"),
    _of_fit("ncc"),
    of_frame(
        "light_map",  # points have a number of lights: in GeoJSON one name is of one kind
        "text",
        COLUMNS["provenance", "lights"].description,
        lambda frame: frame.result.lights,
    ),
    of_frame(
        "engine_version", "text", "version of regengine", lambda frame: frame.result.engine_version
    ),
)


def _of_point(name: str, description: str = "", kind: Kind = "real") -> TableColumn:
    """A column of control points; without a description, with that of the store."""
    field = COLUMNS.get(("control_points", name))
    return TableColumn(
        name=name,
        kind=field.kind if field else kind,
        description=description or COLUMNS["control_points", name].description,
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
        description="number of the point within its frame",
        value=lambda _, number: number,
    ),
    _of_point("x"),
    _of_point("y"),
    _of_point("lon", "WGS84 longitude, degrees"),
    _of_point("lat", "WGS84 geodetic latitude, degrees"),
    *_of_town("", "the point", lambda frame, number: frame.towns[2 + number]),
    _of_point("sigma_px"),
    _of_point("sigma_m"),
    *(
        TableColumn(
            name=f"covariance_{unit}_{axes}",
            kind="real",
            description=f"covariance, square {words}",
            value=partial(_covariance, f"covariance_{unit}", number),
        )
        for unit, words, all_axes in (
            ("px", "pixels", ("xx", "xy", "yy")),
            ("m", "metres, east and north", ("ee", "en", "nn")),
        )
        for number, axes in enumerate(all_axes)
    ),
    _of_point("lights"),
    _of_point("origin", "who made it: engine, person, snap, search or confirmed", "text"),
)


OF_POINTS = POINT_COLUMNS[len(KEYS) :]


def frame_row(frame: ExportFrame) -> Row:
    """A value for each of `FRAME_COLUMNS`, by name; None for what is missing or not finite."""
    return {column.name: known(column.value(frame, 0)) for column in FRAME_COLUMNS}


def point_rows(frame: ExportFrame) -> list[Row]:
    """For each control point a value for each of `POINT_COLUMNS`, as `frame_row` has them."""
    keys = {column.name: known(column.value(frame, 0)) for column in KEYS if frame.points}
    return [
        keys | {column.name: known(column.value(frame, number)) for column in OF_POINTS}
        for number in range(len(frame.points))
    ]


def frame_record(frame: ExportFrame, **more: Any) -> str:
    """All that is known of a frame, and more, as a JSON text of its own."""
    told = {
        "frame": frame_row(frame),
        "camera": None if frame.camera is None else {"model": "pinhole", **asdict(frame.camera)},
        "control_points": point_rows(frame),
        **more,
    }
    return json.dumps(plain(told, printable), indent=2, allow_nan=False) + "\n"


def held_text(text: str) -> str:
    r"""Text as files and servers hold it: valid UTF-8, with ``\u0000`` for a zero byte."""
    return printable(text).replace("\0", "\\u0000")


def known(value: Any) -> Any:
    """A value, or None for what is empty or not finite."""
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return None if value == "" else value


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
