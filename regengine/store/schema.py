"""Define every field once: store, exports, SQL, catalogue and docs use these definitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

FORMAT = "regengine"
FORMAT_VERSION = 7  # no other is read

# The table of fields: stores take their columns from it, and exports, SQL and the catalogue take
# the fields that they have in common with stores.

Kind = Literal[
    "text", "real", "whole", "flag", "moment", "day", "point", "polygons", "key", "loaded"
]
Dtype = Literal["text", "float64", "float32", "int64", "int32", "uint8"]


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


def _text(name: str, description: str, **more: Any) -> Column:
    return Column(name=name, kind="text", dtype="text", description=description, **more)


def _real(name: str, description: str, units: str = "", width: int = 1, **more: Any) -> Column:
    said: dict[str, Any] = {"description": description, "units": units, "width": width}
    return Column(name=name, kind="real", dtype="float64", **said, **more)


def _needed(name: str, description: str, units: str = "", width: int = 1, **more: Any) -> Column:
    """Return a column of real numbers that is required in every row."""
    return _real(name, description, units, width, required=True, **more)


def _whole(name: str, dtype: Dtype, description: str, units: str = "", **more: Any) -> Column:
    said: dict[str, Any] = {"kind": "whole", "description": description, "units": units}
    return Column(name=name, dtype=dtype, **said | more)


FRAME_INDEX = _whole(
    "frame_index", "int64", "number of the frame within this store; joins all groups"
)


def _camera_columns(focal: str, of: str = "") -> tuple[Column, ...]:
    return (
        _real("focal_px", focal, "px"),
        _real("principal_point", f"{of}optical axis (x, y)", "px", 2),
        _real("distortion", f"{of}OpenCV's k1, k2, p1, p2, k3", "", 5),
        _real("quaternion", f"{of}[x, y, z, w], camera to ECEF", "", 4),
        _real("position_ecef_m", f"{of}position (x, y, z) in ECEF", "m", 3),
        _whole(
            "mirrored",
            "uint8",
            "1 if x is replaced by width - 1 - x before projection",
            kind="flag",
        ),
        _real(
            "pixel_aspect",
            "focal length down over across of a stretched image; NaN for square pixels",
        ),
    )


CAMERA_FIELDS = tuple(column.name for column in _camera_columns(""))
FRAMES = (
    FRAME_INDEX,
    _text("frame", "frame id, from the file name (ISS030-E-184140) or its stem"),
    _text("path", "path of the photo as given"),
    _text("sha256", "SHA-256 of the file, hexadecimal; empty if it was unreadable"),
    _text("verdict", "accepted, review, no_match or failed"),
    _real("probability", "calibrated probability that the proposal is right"),
    _real("probability_low", "lower limit of the probability, by the calibration trials"),
    _real("probability_high", "upper limit of the probability, by the calibration trials"),
    _text("reasons", "codes of the reasons, separated by commas"),
    _text("reason_values", "values of the reasons, a JSON list of objects in the same order"),
    _text("reason_texts", "sentences of the reasons, one a line, in the same order"),
    _text("category", "class of the photo; empty if it was not classified"),
    _real("category_probability", "probability of that class"),
    _text("time_utc", "time of the photo, ISO 8601, UTC; empty if unknown"),
    _whole("width_px", "int32", "width of the image as stored; -1 if unreadable", "px"),
    _whole("height_px", "int32", "height of the image as stored; -1 if unreadable", "px"),
    _whole("orientation", "uint8", "EXIF orientation 1 to 8; never applied to coordinates"),
    _text("camera_body", "camera model; empty if unknown"),
    _real("focal_mm", "nominal focal length at the start of the search", "mm"),
    _real("pixel_pitch_um", "size of a pixel of this file on the sensor", "um"),
    _real("nadir_lon", "longitude of the prior nadir at the start of the search", "deg"),
    _real("nadir_lat", "geodetic latitude of that nadir", "deg"),
    _real("nadir_altitude_km", "height of the camera above WGS84 there", "km"),
    _text("nadir_source", "tle, option, record, centre or lights; empty without a nadir"),
    _real("tle_age_h", "time between the photo and the epoch of its element set", "h"),
    _real("sigma_along_km", "1 sigma of the prior position along the track", "km"),
    _real("sigma_cross_km", "1 sigma of the prior position across the track", "km"),
    *_camera_columns("solved focal length; NaN without a solved camera", "solved camera: "),
    _real("along_track_offset_s", "solved shift along the orbit, late positive", "s"),
    _real("off_nadir_deg", "angle of the optical axis from the nadir", "deg"),
    _real("centre_lon", "longitude of the image centre; NaN if it is sky", "deg"),
    _real("centre_lat", "geodetic latitude of the image centre", "deg"),
    _text(
        "place",
        "what the photo shows: the largest town in view near its centre, or the sea; empty if "
        "unknown",
    ),
    _text("country", "country of that town, or about the centre"),
    _real(
        "footprint_lon",
        "longitudes of the corners top-left, top-right, bottom-right, bottom-left; NaN for sky",
        "deg",
        4,
    ),
    _real("footprint_lat", "geodetic latitudes of the same corners", "deg", 4),
    _real(
        "footprint_diagonal_km",
        "greatest geodesic within the visible ground of incidence up to 80 degrees",
        "km",
    ),
    _real("residual_px", "root mean square residual of the fit, image", "px"),
    _real("residual_m", "the same on the ground", "m"),
    _whole("matched_lights", "int32", "number of lights that agree with the map; -1 without a fit"),
    _real("held_out_residual_px", "residual of lights held out of the fit; NaN if too few", "px"),
    _real("log10_odds", "evidence for the proposal against chance"),
    _real("runner_up_log10_odds", "evidence for the best distinct alternative"),
    _real("ncc", "correlation of the photo with the map seen by the camera"),
    _real("runner_up_ncc", "correlation of the best distinct alternative"),
    _text(
        "reference_kind", "map that the photo is placed on: lights, streets or day; empty if not"
    ),
    _text("reference_product", "product of that map; empty if unknown"),
    _real("reference_pixel_m", "its finest pixels on the ground; NaN for streets", "m"),
    _text("reference_credit", "whom to credit for it; empty if nobody is named"),
    _text("proofs", "held-out patches of a match on streets or by day, a JSON list of objects"),
)

CONTROL_POINTS = (
    FRAME_INDEX,
    _whole("point", "uint8", "number of the point within its frame, 0 to 3"),
    _needed("x", "column, zero-based, integer at pixel centres, as stored", "px"),
    _needed("y", "row, zero-based, integer at pixel centres, as stored", "px"),
    _needed("lon", "WGS84 longitude in [-180, 180)", "deg"),
    _needed("lat", "WGS84 geodetic latitude", "deg"),
    _needed("sigma_px", "1 sigma per axis in the image", "px"),
    _needed("sigma_m", "1 sigma per axis on the ground", "m"),
    _needed("covariance_px", "covariance in the image: xx, xy, yy", "px2", 3),
    _needed("covariance_m", "covariance on the ground: ee, en, nn", "m2", 3),
    _whole("lights", "int32", "lights that support the point"),
)

HYPOTHESES = (
    FRAME_INDEX,
    _whole("rank", "int32", "0 is the proposal, 1 the best distinct alternative, and so on"),
    _real("ncc", "correlation of the photo with the map seen by this camera"),
    _real("log10_odds", "evidence against chance"),
    _real("centre_lon", "longitude of the image centre; NaN if it is sky", "deg"),
    _real("centre_lat", "geodetic latitude of the image centre", "deg"),
    _real("off_nadir_deg", "angle of the optical axis from the nadir", "deg"),
    _real("along_track_offset_s", "shift along the orbit, late positive", "s"),
    _whole("width_px", "int32", "width of the image that the camera describes", "px"),
    _whole("height_px", "int32", "height of the image that the camera describes", "px"),
    *_camera_columns("focal length"),
)

# Measures of a detection method are NaN if the method does not compute them.
DETECTIONS = (
    FRAME_INDEX,
    _text("kind", "what was detected: light"),
    _needed("x", "column of the centroid, image as stored", "px"),
    _needed("y", "row of the centroid, image as stored", "px"),
    _real("contrast", "logarithmic contrast with the surroundings"),
    _real("flux", "light above the background, summed over pixels"),
    _real("snr", "signal-to-noise ratio of a matched filter"),
    _real("radius_px", "radius that holds half of the flux", "px"),
    _real("covariance_px", "covariance of the centroid: xx, xy, yy", "px2", 3),
    _whole("flags", "uint8", "sum of 1 saturated, 2 cut by the border, 4 blended"),
    _whole(
        "matched", "uint8", "1 if the light agrees with the map under the proposal", kind="flag"
    ),
)

PROVENANCE = (
    FRAME_INDEX,
    _text("engine_version", "version of regengine that made the row"),
    _text("lights", "night-light map that was used"),
    _text("sources", "source of each input value, a JSON object"),
    _text("parameters", "settings that the result depends on, a JSON object"),
    _text("parameters_sha256", "SHA-256 of it without paths, hexadecimal"),
    _whole("search_pass", "uint8", "1 on its own, 3 again with the rest of the batch, 0 unknown"),
    _text("hints_sha256", "hash of the neighbours' results used in its last search; empty if none"),
    _text("processed_utc", "when the frame was finished, ISO 8601", volatile=True),
    _needed("seconds", "time spent on the frame", "s", volatile=True),
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
