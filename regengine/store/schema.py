"""Define every field once: store, exports, SQL, catalogue and docs use these definitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

FORMAT = "regengine"
# 2: search_pass and hints_sha256; 3: the interval of the probability; 4: without decoys; 5:
# pixel_aspect; 6: place and country
FORMAT_VERSION = 6

# The table of fields: stores take their columns from it, and exports, SQL and the catalogue take
# the fields that they have in common with stores.

Kind = Literal[
    "text", "real", "whole", "flag", "moment", "day", "point", "polygons", "key", "loaded"
]
Dtype = Literal["text", "float64", "float32", "int64", "int32", "uint8"]
KIND_OF_DTYPE: dict[str, Kind] = {
    "text": "text",
    "float64": "real",
    "float32": "real",
    "int64": "whole",
    "int32": "whole",
    "uint8": "whole",
}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One value of a photo, a control point or a light, in any product.

    Kinds are ``text``, ``real`` (64-bit float), ``whole`` (64-bit integer), ``flag``, ``moment``
    (UTC), ``day`` (a date), ``point`` (longitude, latitude), ``polygons``, ``key`` (64 hexadecimal
    digits) and ``loaded`` (time of the load, set by a server). Each product has its own spelling of
    them. Every value may be missing, unless it is ``required`` or a key. No value is infinite.
    """

    name: str  # includes the unit, except in the store
    kind: Kind
    description: str
    units: str = ""  # empty if the values have no unit, or the name includes it
    required: bool = False  # whether every row has a value


@dataclass(frozen=True, kw_only=True)
class Column(Field):
    """A field in a store: one dataset of a group."""

    dtype: Dtype  # ``text`` is UTF-8 of a fixed length, padded with zero bytes
    width: int = 1  # values per row: more than one gives a dataset of shape (rows, width)
    volatile: bool = False  # whether two runs of the same photos and settings may differ
    # Format version that introduced it; older stores are read as if values were missing
    since: int = 1


def _column(
    name: str, dtype: Dtype, units: str, description: str, width: int = 1, **more: Any
) -> Column:
    return Column(
        name=name,
        kind=more.pop("kind", KIND_OF_DTYPE[dtype]),
        description=description,
        dtype=dtype,
        units=units,
        width=width,
        **more,
    )


def _declare_needed(name: str, units: str, description: str, width: int = 1, **more: Any) -> Column:
    """Return a column of real numbers that is required in every row."""
    return _column(name, "float64", units, description, width, required=True, **more)


FRAME_INDEX = _column(
    "frame_index", "int64", "", "number of the frame within this store; joins all groups"
)


def _camera_columns(focal: str, of: str = "") -> tuple[Column, ...]:
    return (
        _column("focal_px", "float64", "px", focal),
        _column("principal_point", "float64", "px", f"{of}optical axis (x, y)", 2),
        _column("distortion", "float64", "", f"{of}OpenCV's k1, k2, p1, p2, k3", 5),
        _column("quaternion", "float64", "", f"{of}[x, y, z, w], camera to ECEF", 4),
        _column("position_ecef_m", "float64", "m", f"{of}position (x, y, z) in ECEF", 3),
        _column(
            "mirrored",
            "uint8",
            "",
            "1 if x is replaced by width - 1 - x before projection",
            kind="flag",
        ),
        _column(
            "pixel_aspect",
            "float64",
            "",
            "focal length down over across of a stretched image; NaN for square pixels",
            since=5,
        ),
    )


CAMERA_FIELDS = tuple(column.name for column in _camera_columns(""))
FRAMES = (
    FRAME_INDEX,
    _column("frame", "text", "", "frame id, from the file name (ISS030-E-184140) or its stem"),
    _column("path", "text", "", "path of the photo as given"),
    _column("sha256", "text", "", "SHA-256 of the file, hexadecimal; empty if it was unreadable"),
    _column("verdict", "text", "", "accepted, review, no_match or failed"),
    _column("probability", "float64", "", "calibrated probability that the proposal is right"),
    _column(
        "probability_low",
        "float64",
        "",
        "lower limit of the probability, by the calibration trials",
        since=3,
    ),
    _column(
        "probability_high",
        "float64",
        "",
        "upper limit of the probability, by the calibration trials",
        since=3,
    ),
    _column("reasons", "text", "", "codes of the reasons, separated by commas"),
    _column("reason_texts", "text", "", "sentences of the reasons, one a line, in the same order"),
    _column("category", "text", "", "class of the photo; empty if it was not classified"),
    _column("category_probability", "float64", "", "probability of that class"),
    _column("time_utc", "text", "", "time of the photo, ISO 8601, UTC; empty if unknown"),
    _column("width_px", "int32", "px", "width of the image as stored; -1 if unreadable"),
    _column("height_px", "int32", "px", "height of the image as stored; -1 if unreadable"),
    _column("orientation", "uint8", "", "EXIF orientation 1 to 8; never applied to coordinates"),
    _column("camera_body", "text", "", "camera model; empty if unknown"),
    _column("focal_mm", "float64", "mm", "nominal focal length at the start of the search"),
    _column("pixel_pitch_um", "float64", "um", "size of a pixel of this file on the sensor"),
    _column(
        "nadir_lon", "float64", "deg", "longitude of the prior nadir at the start of the search"
    ),
    _column("nadir_lat", "float64", "deg", "geodetic latitude of that nadir"),
    _column("nadir_altitude_km", "float64", "km", "height of the camera above WGS84 there"),
    _column(
        "nadir_source", "text", "", "tle, option, record, centre or lights; empty without a nadir"
    ),
    _column("tle_age_h", "float64", "h", "time between the photo and the epoch of its element set"),
    _column("sigma_along_km", "float64", "km", "1 sigma of the prior position along the track"),
    _column("sigma_cross_km", "float64", "km", "1 sigma of the prior position across the track"),
    *_camera_columns("solved focal length; NaN without a solved camera", "solved camera: "),
    _column("along_track_offset_s", "float64", "s", "solved shift along the orbit, late positive"),
    _column("off_nadir_deg", "float64", "deg", "angle of the optical axis from the nadir"),
    _column("centre_lon", "float64", "deg", "longitude of the image centre; NaN if it is sky"),
    _column("centre_lat", "float64", "deg", "geodetic latitude of the image centre"),
    _column(
        "place",
        "text",
        "",
        "what the photo shows: the largest town in view near its centre, or the sea; empty if "
        "unknown",
        since=6,
    ),
    _column("country", "text", "", "country of that town, or about the centre", since=6),
    _column(
        "footprint_lon",
        "float64",
        "deg",
        "longitudes of the corners top-left, top-right, bottom-right, bottom-left; NaN for sky",
        4,
    ),
    _column("footprint_lat", "float64", "deg", "geodetic latitudes of the same corners", 4),
    _column(
        "footprint_diagonal_km",
        "float64",
        "km",
        "greatest geodesic within the visible ground of incidence up to 80 degrees",
    ),
    _column("residual_px", "float64", "px", "root mean square residual of the fit, image"),
    _column("residual_m", "float64", "m", "the same on the ground"),
    _column(
        "matched_lights", "int32", "", "number of lights that agree with the map; -1 without a fit"
    ),
    _column(
        "held_out_residual_px",
        "float64",
        "px",
        "residual of lights held out of the fit; NaN if too few",
    ),
    _column("log10_odds", "float64", "", "evidence for the proposal against chance"),
    _column("runner_up_log10_odds", "float64", "", "evidence for the best distinct alternative"),
    _column("ncc", "float64", "", "correlation of the photo with the map seen by the camera"),
    _column("runner_up_ncc", "float64", "", "correlation of the best distinct alternative"),
)

CONTROL_POINTS = (
    FRAME_INDEX,
    _column("point", "uint8", "", "number of the point within its frame, 0 to 3"),
    _declare_needed("x", "px", "column, zero-based, integer at pixel centres, as stored"),
    _declare_needed("y", "px", "row, zero-based, integer at pixel centres, as stored"),
    _declare_needed("lon", "deg", "WGS84 longitude in [-180, 180)"),
    _declare_needed("lat", "deg", "WGS84 geodetic latitude"),
    _declare_needed("sigma_px", "px", "1 sigma per axis in the image"),
    _declare_needed("sigma_m", "m", "1 sigma per axis on the ground"),
    _declare_needed("covariance_px", "px2", "covariance in the image: xx, xy, yy", 3),
    _declare_needed("covariance_m", "m2", "covariance on the ground: ee, en, nn", 3),
    _column("lights", "int32", "", "lights that support the point"),
)

HYPOTHESES = (
    FRAME_INDEX,
    _column("rank", "int32", "", "0 is the proposal, 1 the best distinct alternative, and so on"),
    _column("ncc", "float64", "", "correlation of the photo with the map seen by this camera"),
    _column("log10_odds", "float64", "", "evidence against chance"),
    _column("centre_lon", "float64", "deg", "longitude of the image centre; NaN if it is sky"),
    _column("centre_lat", "float64", "deg", "geodetic latitude of the image centre"),
    _column("off_nadir_deg", "float64", "deg", "angle of the optical axis from the nadir"),
    _column("along_track_offset_s", "float64", "s", "shift along the orbit, late positive"),
    _column("width_px", "int32", "px", "width of the image that the camera describes"),
    _column("height_px", "int32", "px", "height of the image that the camera describes"),
    *_camera_columns("focal length"),
)

# Measures of a detection method are NaN if the method does not compute them.
DETECTIONS = (
    FRAME_INDEX,
    _column("kind", "text", "", "what was detected: light"),
    _declare_needed("x", "px", "column of the centroid, image as stored"),
    _declare_needed("y", "px", "row of the centroid, image as stored"),
    _column("contrast", "float64", "", "logarithmic contrast with the surroundings"),
    _column("flux", "float64", "", "light above the background, summed over pixels"),
    _column("snr", "float64", "", "signal-to-noise ratio of a matched filter"),
    _column("radius_px", "float64", "px", "radius that holds half of the flux"),
    _column("covariance_px", "float64", "px2", "covariance of the centroid: xx, xy, yy", 3),
    _column("flags", "uint8", "", "sum of 1 saturated, 2 cut by the border, 4 blended"),
    _column(
        "matched", "uint8", "", "1 if the light agrees with the map under the proposal", kind="flag"
    ),
)

PROVENANCE = (
    FRAME_INDEX,
    _column("engine_version", "text", "", "version of regengine that made the row"),
    _column("lights", "text", "", "night-light map that was used"),
    _column("sources", "text", "", "source of each input value, a JSON object"),
    _column("parameters", "text", "", "settings that the result depends on, a JSON object"),
    _column("parameters_sha256", "text", "", "SHA-256 of it without paths, hexadecimal"),
    _column(
        "search_pass",
        "uint8",
        "",
        "1 on its own, 3 again with the rest of the batch, 2 after another photo of its minute "
        "(older versions), 0 unknown",
        since=2,
    ),
    _column(
        "hints_sha256",
        "text",
        "",
        "hash of the neighbours' results used in its last search; empty if none",
        since=2,
    ),
    _column("processed_utc", "text", "", "when the frame was finished, ISO 8601", volatile=True),
    _declare_needed("seconds", "s", "time spent on the frame", volatile=True),
)

GROUPS: dict[str, tuple[Column, ...]] = {
    "frames": FRAMES,
    "control_points": CONTROL_POINTS,
    "hypotheses": HYPOTHESES,
    "detections": DETECTIONS,
    "provenance": PROVENANCE,
}

GROUP_DESCRIPTIONS = {
    "frames": "one row per photo: input, verdict, solved camera, footprint, fit",
    "control_points": "four rows per frame with a proposal",
    "hypotheses": "candidate cameras that were fully evaluated, best first",
    "detections": "lights detected in the photo",
    "provenance": "one row per photo: its inputs and settings",
}

COLUMNS = {(group, column.name): column for group, columns in GROUPS.items() for column in columns}
TEXT_COLUMNS = tuple(key for key, column in COLUMNS.items() if column.dtype == "text")


def select(*names: str) -> dict[str, tuple[Column, ...]]:
    """Return some columns, such as ``frames/verdict``, and the ``frame_index`` of their groups."""
    chosen: dict[str, tuple[Column, ...]] = {}
    for group, _, name in (name.partition("/") for name in names):
        chosen[group] = (*chosen.get(group, (FRAME_INDEX,)), COLUMNS[group, name])
    return chosen


def column_tables() -> str:
    """Return the tables of docs/store.md; printed by ``python -m regengine.store.schema``."""
    sections = []
    for group, columns in GROUPS.items():
        lines = [
            f"### `{group}`: {GROUP_DESCRIPTIONS[group]}",
            "",
            "| column | type | per row | units | description |",
            "|---|---|---|---|---|",
        ]
        for column in columns:
            description = column.description + (" (volatile)" if column.volatile else "")
            cells = f"`{column.name}`", column.dtype, column.width, column.units or "–", description
            lines.append(f"| {' | '.join(map(str, cells))} |")
        sections.append("\n".join(lines))
    return "\n\n".join(sections) + "\n"


if __name__ == "__main__":
    print(column_tables(), end="")
