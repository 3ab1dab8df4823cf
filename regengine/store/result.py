"""Define the result of one frame, field by field: what stores, records and exports are made from.

The metadata of a field say what it is called, in which units, and where it appears; `list_columns`
makes the table of all fields from them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from functools import cache, lru_cache, partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from matchers.geometry.camera import Camera
from matchers.geometry.footprint import centre_lonlat
from regengine.maps.lights import KindName
from regengine.maps.places import name_view
from regengine.store.reasons import Reason

Verdict = Literal["accepted", "review", "no_match", "failed"]
VERDICTS: tuple[str, ...] = get_args(Verdict)  # of the engine
STATES = (*VERDICTS, "rejected")

# Classes of photos that are registered on day maps
BY_DAY = ("day", "infrared")
# Minimum number of control points, and minimum share of the image that they cover, to georeference
# a photo
MIN_POINTS = 4
MIN_HULL = 0.01


Kind = Literal[
    "text", "real", "whole", "flag", "moment", "day", "point", "polygons", "key", "loaded"
]
Dtype = Literal["text", "float64", "float32", "int64", "int32", "uint8"]


# Products with a field besides stores and SQL conditions: records; exports and server scripts;
# catalogues; the page of a frame in the review, ``/api/frames/{id}``
EVERYWHERE = ("record", "table", "catalogue", "page")
IN_FILES = ("record", "table", "catalogue")
IN_TABLES = ("record", "table")
IN_RECORD = ("record",)
ON_PAGE = ("record", "page")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One value of a photo, a control point or a light, in any product.

    Kinds are ``text``, ``real`` (64-bit float), ``whole`` (64-bit integer), ``flag``, ``moment``
    (UTC), ``day`` (a date), ``point`` (longitude, latitude), ``polygons``, ``key`` (64 hexadecimal
    digits) and ``loaded`` (time of the load, set by a server). Each product has its own spelling of
    them. Every value may be missing, unless it is ``required`` or a key. No value is infinite.

    Attributes
    ----------
    name : str
        Includes the unit, except in the store.
    units : str
        Empty if the values have no unit, or the name includes it.
    group : str
        Its group in stores, as one dataset; empty if only other products have it.
    dtype : str
        Its type there; ``text`` is UTF-8 of a fixed length, padded with zero bytes.
    width : int
        Values per row: more than one gives a dataset of shape (rows, width).
    volatile : bool
        Whether two runs of the same photos and settings may differ.
    path : str
        Dotted name of its value in a result; empty if it is made by ``make``.
    may_lack : bool
        Whether the value may be None, which is a missing value in a store.
    make : callable, optional
        Makes the value of the store from a result.
    record : str
        Dotted key in records, if not its name.
    tell : callable, optional
        Makes the value of records from a result.
    where : tuple of str
        Of `EVERYWHERE`.
    """

    name: str
    kind: Kind
    description: str
    units: str = ""
    required: bool = False  # whether every row has a value
    group: str = "frames"
    dtype: Dtype = "text"
    width: int = 1
    volatile: bool = False
    path: str = ""
    may_lack: bool = False
    make: Callable[[Any], Any] | None = None
    record: str = ""
    tell: Callable[[Any], Any] | None = None
    where: tuple[str, ...] = ()


# Kind and type in a store by the annotation of a field; all others are texts
TYPES: dict[str, tuple[Kind, Dtype]] = {
    "float": ("real", "float64"),
    "int": ("whole", "int32"),
    "bool": ("flag", "uint8"),
}


def stored(
    description: str,
    units: str = "",
    where: tuple[str, ...] = IN_RECORD,
    *,
    default: Any = MISSING,
    **about: Any,
) -> Any:
    """Define a field of a result that has a column, with attributes of `Column`."""
    about |= {"description": description, "units": units, "where": where}
    return field(default=default, metadata={"stored": about})


optional = partial(stored, default=None)


def within(kind: type, sign: str, prefix: str = "", **default: Any) -> Any:
    """Define a field that is another record, whose columns have a prefix.

    It is None where the value of its field ``sign`` is missing.
    """
    return field(metadata={"within": kind, "sign": sign, "prefix": prefix}, **default)


def made(*columns: Column, **default: Any) -> Any:
    """Define a field whose columns do not have its values as they are."""
    return field(metadata={"made": columns}, **default)


# Of a camera, which knows nothing of stores: columns, and their units
CAMERA_COLUMNS = {
    "width_px": ("width of the image that the camera describes", "px"),
    "height_px": ("height of the image that the camera describes", "px"),
    "focal_px": ("solved focal length; NaN without a solved camera", "px"),
    "principal_point": ("solved camera: optical axis (x, y)", "px"),
    "distortion": ("solved camera: OpenCV's k1, k2, p1, p2, k3", ""),
    "quaternion": ("solved camera: [x, y, z, w], camera to ECEF", ""),
    "position_ecef_m": ("solved camera: position (x, y, z) in ECEF", "m"),
    "mirrored": ("1 if x is replaced by width - 1 - x before projection", ""),
    "pixel_aspect": (
        "focal length down over across of a stretched image; NaN for square pixels",
        "",
    ),
}
LAST_OF_CAMERA = ("mirrored", "pixel_aspect")  # in records


@cache
def list_columns(kind: type, path: str = "", prefix: str = "") -> tuple[Column, ...]:
    """List the columns of a class, those of records within it among them."""
    columns = list[Column]()
    for one in fields(kind):
        at, about = f"{path}{one.name}", one.metadata.get("stored")
        if kind is Camera:
            description, units = CAMERA_COLUMNS[one.name]
            about = {"description": description, "units": units, "where": IN_RECORD}
        if about is not None:
            type_name, *alternatives = str(one.type).split(" | ")
            value_type = type_name.removeprefix("tuple[").split(",")[0]
            column_kind, dtype = TYPES.get(value_type, ("text", "text"))
            values = {
                "name": f"{prefix}{one.name}",
                "kind": column_kind,
                "dtype": dtype,
                "width": type_name.count(",") + 1,
                "path": at,
                "record": re.sub(r"^solved\.(camera\.)?", "camera.", at),
                "may_lack": "None" in alternatives,
            }
            columns.append(Column(**values | about))
        elif (part := one.metadata.get("within")) is not None:
            columns += list_columns(part, f"{at}.", one.metadata["prefix"])
        columns += one.metadata.get("made", ())
    is_last = LAST_OF_CAMERA if kind is SolvedCamera else ()
    return tuple(sorted(columns, key=lambda column: column.name in is_last))


@dataclass(frozen=True, kw_only=True)
class NadirInput:
    """Prior nadir of the camera, before the photo is compared with the map."""

    lon: float = stored("longitude of the prior nadir at the start of the search", "deg", ON_PAGE)
    lat: float = stored("geodetic latitude of that nadir", "deg", ON_PAGE)
    altitude_km: float = stored("height of the camera above WGS84 there", "km", ON_PAGE)
    source: str = stored(
        "tle, option, record, centre or lights; empty without a nadir", "", ON_PAGE
    )
    # Either way; None without an element set
    tle_age_h: float | None = optional(
        "time between the photo and the epoch of its element set", "h", name="tle_age_h"
    )
    sigma_along_km: float = stored(
        "1 sigma of the prior position along the track", "km", ON_PAGE, name="sigma_along_km"
    )
    sigma_cross_km: float = stored(
        "1 sigma of the prior position across the track", "km", name="sigma_cross_km"
    )


@dataclass(frozen=True, kw_only=True)
class ControlPoint:
    """A pixel and its ground position, with one sigma per axis, and the full covariances."""

    x: float = stored(
        "column, zero-based, integer at pixel centres, as stored", "px", required=True
    )
    y: float = stored("row, zero-based, integer at pixel centres, as stored", "px", required=True)
    lon: float = stored("WGS84 longitude in [-180, 180)", "deg", required=True)
    lat: float = stored("WGS84 geodetic latitude", "deg", required=True)
    sigma_px: float = stored("1 sigma per axis in the image", "px", required=True)
    sigma_m: float = stored("1 sigma per axis on the ground", "m", required=True)
    covariance_px: tuple[float, float, float] = stored(
        "covariance in the image: xx, xy, yy", "px2", (), required=True
    )
    covariance_m: tuple[float, float, float] = stored(
        "covariance on the ground: ee, en, nn", "m2", (), required=True
    )
    n_lights: int = stored("lights that support the point", name="lights", record="lights")


@dataclass(frozen=True, kw_only=True)
class ReviewedPoint:
    """A control point after review by a person.

    Pixel ``(x, y)``; longitude and latitude, degrees, WGS84; ``sigma_px`` is one sigma per axis,
    None if it is not known; ``origin`` is "engine", "person", "snap", "search", or "confirmed" for
    a point of the engine that a person confirmed without change.
    """

    x: float
    y: float
    lon: float
    lat: float
    sigma_px: float | None
    origin: str


@dataclass(frozen=True, kw_only=True)
class SolvedCamera:
    """A solved camera, with its time offset along the orbit.

    ``along_track_offset_s`` is None without a time and a nadir, by which it is an offset;
    ``along_track_sigma_s`` also where the photo does not determine it, as through a long lens that
    shows the same from farther ahead with another tilt.
    """

    camera: Camera = within(Camera, "focal_px")
    along_track_offset_s: float | None = stored("solved shift along the orbit, late positive", "s")
    along_track_sigma_s: float | None = optional(
        "1 sigma of that shift; NaN if the photo does not determine it", "s"
    )
    off_nadir_deg: float = stored("angle of the optical axis from the nadir", "deg", IN_FILES)


@dataclass(frozen=True, kw_only=True)
class FitRecord:
    """Quality of the fit of the solved camera."""

    residual_px: float = stored("root mean square residual of the fit, image", "px", EVERYWHERE)
    residual_m: float = stored("the same on the ground", "m", IN_TABLES)
    matched_lights: int = stored(
        "number of lights that agree with the map; -1 without a fit", "", EVERYWHERE
    )
    held_out_residual_px: float | None = stored(
        "residual of lights held out of the fit; NaN if too few", "px", IN_FILES
    )
    log10_odds: float = stored(
        "evidence for the proposal against chance", "", ("record", "table", "page")
    )
    runner_up_log10_odds: float = stored(
        "evidence for the best distinct alternative", "", IN_TABLES
    )
    ncc: float = stored("correlation of the photo with the map seen by the camera", "", EVERYWHERE)
    runner_up_ncc: float = stored("correlation of the best distinct alternative")

    @property
    def margin(self) -> float:
        """Correlation of the best hypothesis minus that of the best distinct other one."""
        return self.ncc - self.runner_up_ncc


@dataclass(frozen=True, kw_only=True)
class PatchProof:
    """Agreement of held-out patches with a fit to streets or a day map, at one scale."""

    n_agreeing: int = stored("held-out patches where the camera predicts them")
    n_patches: int = stored("matched patches")
    sample_m: float = stored("metres a pixel at this scale")
    log10_chance: float = stored("log10 of the probability that as many agree by chance")

    @property
    def text(self) -> str:
        """Text of the proof in ``sources.proof`` of a record."""
        return (
            f"{self.n_agreeing} of {self.n_patches} held-out patches agree at "
            f"{self.sample_m:.4g} m (chance 1e-{-self.log10_chance:.1f})"
        )


@dataclass(frozen=True, kw_only=True)
class MatchedMap:
    """The map that a photo was placed on; texts are empty if they are not known."""

    kind: KindName = stored("map that the photo is placed on: lights, streets or day; or empty")
    product: str = stored("product of that map; empty if unknown", default="")
    pixel_m: float | None = optional("its finest pixels on the ground; NaN for streets", "m")
    credit: str = stored("whom to credit for it; empty if nobody is named", default="")


@dataclass(frozen=True, kw_only=True)
class HypothesisRecord:
    """One camera hypothesis that was compared (rank 0 is the proposal)."""

    rank: int = stored("0 is the proposal, 1 the best distinct alternative, and so on")
    log10_odds: float = stored("evidence against chance")
    ncc: float = stored("correlation of the photo with the map seen by this camera")
    centre_lon: float | None = stored("longitude of the image centre; NaN if it is sky", "deg")
    centre_lat: float | None = stored("geodetic latitude of the image centre", "deg")
    solved: SolvedCamera = within(SolvedCamera, "camera.focal_px")


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectedLights:
    """Lights of the photo, in pixels of the stored image; arrays of equal length.

    ``contrast`` is logarithmic, against the surroundings; ``matched`` is 1 where the light agrees
    with the map under the proposal.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    contrast: NDArray[np.float64]
    matched: NDArray[np.uint8]


def name_result(result: FrameResult) -> tuple[str, str]:
    """Name what the proposal shows, and its country: as stored, or by its camera; "" if unknown."""
    if result.shows is not None:
        return result.shows
    return ("", "") if result.solved is None else _name_shown(result.solved.camera)


@lru_cache(maxsize=4)  # of one frame, for one column after the other
def _name_shown(camera: Camera) -> tuple[str, str]:
    place = name_view(camera)
    return ("", "") if place is None else (place.local_name, place.country)


def locate_centre(result: FrameResult, axis: int) -> float | None:
    """Longitude or latitude of the centre of the image; not finite for the sky."""
    return None if result.solved is None else float(centre_lonlat(result.solved.camera)[axis])


def list_corners(result: FrameResult, axis: int) -> list[float] | None:
    """Longitudes or latitudes of the corners of a footprint; NaN for the sky."""
    if result.footprint is None:
        return None
    return [math.nan if corner is None else corner[axis] for corner in result.footprint]


def tell_points(result: FrameResult) -> list[dict[str, Any]]:
    """Control points as records have them."""
    columns = [one for one in list_columns(ControlPoint) if "record" in one.where]
    return [
        {one.name: getattr(point, one.path) for one in columns} for point in result.control_points
    ]


def tell_hypotheses(result: FrameResult) -> list[dict[str, Any]]:
    """Hypotheses as records have them: their cameras are in stores alone."""
    return [
        {
            "rank": one.rank,
            "log10_odds": one.log10_odds,
            "ncc": one.ncc,
            "centre": None
            if one.centre_lon is None or one.centre_lat is None
            else [one.centre_lon, one.centre_lat],
            "off_nadir_deg": one.solved.off_nadir_deg,
            "along_track_offset_s": one.solved.along_track_offset_s,
            "mirrored": one.solved.camera.mirrored,
        }
        for one in result.hypotheses
    ]


def _text(name: str, description: str, make: Any, tell: Any = None, **more: Any) -> Column:
    """Define a column of texts that are made, and what records have instead."""
    told: dict[str, Any] = {"description": description, "make": make, "tell": tell}
    where = () if tell is None else IN_RECORD
    told |= {"name": name, "kind": "text", "record": name, "where": where}
    return Column(**told | more)


def _place(name: str, description: str, function: Any, axis: int, width: int = 1) -> Column:
    """Define a column of longitudes or latitudes that are computed."""
    make, units = partial(function, axis=axis), "deg"
    told: dict[str, Any] = {"description": description, "units": units, "make": make}
    return Column(name=name, kind="real", dtype="float64", width=width, **told)


@dataclass(frozen=True, kw_only=True)
class FrameResult:
    """The result of one processed frame, with its fields in the order of records.

    ``footprint`` holds four (lon, lat) pairs, top-left, top-right, bottom-right, bottom-left of
    the image; None where that corner sees no ground. ``probability_low`` and ``probability_high``
    are what the trials behind the probability allow for. ``sources`` says for each input value
    ("time", "focal_mm", "pixel_pitch_um", "camera_body", "nadir") where it came from
    ("exif", "record", "option", "filename", "table", "assumed"). ``proofs`` are of a photo on
    streets or a day map, the coarse scale first. ``shows`` is the name and the country of what the
    proposal shows, as in a store; None if it is not from one.
    """

    frame: str = stored("frame id, from the file name (ISS030-E-184140) or its stem", "", IN_FILES)
    path: str = stored("path of the photo as given", "", EVERYWHERE)
    sha256: str = stored(
        "SHA-256 of the file, hexadecimal; empty if it was unreadable", "", EVERYWHERE
    )
    verdict: Verdict = stored("accepted, review, no_match or failed", "", IN_FILES)
    probability: float | None = stored(
        "calibrated probability that the proposal is right", "", IN_FILES
    )
    reasons: tuple[Reason, ...] = made(
        _text(
            "reasons",
            "codes of the reasons, separated by commas",
            lambda result: result.codes,
            lambda result: [reason.code for reason in result.reasons],
            where=IN_TABLES,
        ),
        _text(
            "reason_texts",
            "sentences of the reasons, one a line, in the same order",
            lambda result: "\n".join(reason.text for reason in result.reasons),
            lambda result: [reason.text for reason in result.reasons],
            where=ON_PAGE,
        ),
        _text(
            "reason_values",
            "values of the reasons, a JSON list of objects in the same order",
            lambda result: json.dumps([reason.values for reason in result.reasons]),
            lambda result: [reason.values for reason in result.reasons],
        ),
    )
    category: str | None = optional(
        "class of the photo; empty if it was not classified", "", IN_FILES
    )
    category_probability: float | None = optional("probability of that class", "", EVERYWHERE)
    time_utc: str | None = optional(
        "time of the photo, ISO 8601, UTC; empty if unknown", "", IN_FILES
    )
    nadir: NadirInput | None = within(NadirInput, "source", "nadir_", default=None)
    solved: SolvedCamera | None = within(SolvedCamera, "camera.focal_px", default=None)
    control_points: tuple[ControlPoint, ...] = made(
        _text("control_points", "four proposed points", None, tell_points, group=""), default=()
    )
    footprint: tuple[tuple[float, float] | None, ...] | None = made(
        _text(
            "footprint",
            "[lon, lat] of the corners top-left, top-right, bottom-right, bottom-left of the image "
            "as stored; null where a corner sees no ground",
            None,
            lambda result: result.footprint,
            group="",
        ),
        _place("centre_lon", "longitude of the image centre; NaN for sky", locate_centre, 0),
        _place(
            "centre_lat", "geodetic latitude of the image centre; NaN for sky", locate_centre, 1
        ),
        _place(
            "footprint_lon",
            "longitudes of the corners top-left, top-right, bottom-right, bottom-left; NaN for sky",
            list_corners,
            0,
            width=4,
        ),
        _place("footprint_lat", "geodetic latitudes of the same corners", list_corners, 1, width=4),
        default=None,
    )
    fit: FitRecord | None = within(FitRecord, "matched_lights", default=None)
    engine_version: str = stored(
        "version of regengine that made the row",
        "",
        IN_TABLES,
        record="engine.version",
        group="provenance",
        default="",
    )
    map_title: str = stored(
        "night-light map that was used",
        name="lights",
        record="engine.lights",
        group="provenance",
        default="",
    )
    seconds: float = stored(
        "time spent on the frame",
        "s",
        record="engine.seconds",
        tell=lambda result: round(result.seconds, 3),
        group="provenance",
        required=True,
        volatile=True,
        default=0.0,
    )
    probability_low: float | None = optional(
        "lower limit of the probability, by the calibration trials", "", IN_TABLES
    )
    probability_high: float | None = optional(
        "upper limit of the probability, by the calibration trials", "", IN_TABLES
    )
    width_px: int | None = optional(
        "width of the image as stored; -1 if unreadable", "px", EVERYWHERE, record="image.width_px"
    )
    height_px: int | None = optional(
        "height of the image as stored; -1 if unreadable",
        "px",
        EVERYWHERE,
        record="image.height_px",
    )
    orientation: int = stored(
        "EXIF orientation 1 to 8; never applied to coordinates",
        "",
        ("record", "table", "page"),
        dtype="uint8",
        record="image.orientation",
        default=1,
    )
    camera_body: str | None = optional(
        "camera model; empty if unknown", "", IN_FILES, record="image.camera_body"
    )
    focal_mm: float | None = optional(
        "nominal focal length at the start of the search", "mm", EVERYWHERE, record="image.focal_mm"
    )
    pixel_pitch_um: float | None = optional(
        "size of a pixel of this file on the sensor",
        "um",
        ("record", "table", "page"),
        record="image.pixel_pitch_um",
    )
    footprint_diagonal_km: float | None = optional(
        "greatest geodesic within the visible ground of incidence up to 80 degrees", "km"
    )
    hypotheses: tuple[HypothesisRecord, ...] = made(
        _text(
            "hypotheses",
            "cameras that were fully evaluated, best first; the first is the proposal",
            None,
            tell_hypotheses,
            group="",
        ),
        default=(),
    )
    sources: tuple[tuple[str, str], ...] = made(
        _text(
            "sources",
            "source of each input value, a JSON object",
            lambda result: json.dumps(dict(result.sources), ensure_ascii=False),
            lambda result: dict(result.sources),
            group="provenance",
        ),
        default=(),
    )
    category_from: str | None = optional(
        "what the category follows from: features, nadir, limb, stars, lights or ground",
        "",
        IN_TABLES,
    )
    reference: MatchedMap | None = within(MatchedMap, "kind", "reference_", default=None)
    proofs: tuple[PatchProof, ...] = made(
        _text(
            "proofs",
            "held-out patches of a match on streets or by day, a JSON list of objects",
            lambda result: json.dumps([vars(proof) for proof in result.proofs]),
            lambda result: [vars(proof) for proof in result.proofs],
        ),
        default=(),
    )
    shows: tuple[str, str] | None = made(
        _text(
            "place",
            "what the photo shows: the largest town in view near its centre, or the sea; empty if "
            "unknown",
            lambda result: name_result(result)[0],
        ),
        _text(
            "country",
            "country of that town, or about the centre",
            lambda result: name_result(result)[1],
        ),
        default=None,
        compare=False,
        repr=False,
    )
    detections: DetectedLights | None = field(default=None, compare=False, repr=False)

    @property
    def codes(self) -> str:
        """Codes of the reasons, as in tables."""
        return ",".join(reason.code for reason in self.reasons)

    @property
    def reference_kind(self) -> KindName:
        """Kind of map that the photo is registered on: "lights", "streets" or "day"."""
        return "lights" if self.reference is None else self.reference.kind

    @property
    def is_timed(self) -> bool:
        """Whether a time and a nadir were given, from which a camera is offset along its orbit."""
        is_given = self.nadir is not None and self.nadir.source in ("tle", "option", "record")
        return is_given and self.time_utc is not None

    def replaces(self, probability: float) -> bool:
        """Whether it replaces an earlier result of this probability (0 if there is no other)."""
        if self.verdict == "accepted":
            return True
        return self.verdict == "review" and (self.probability or 0.0) > probability


# Of a person: "glanced" at on a sheet of many, weaker than "accepted", for which a person had the
# photo alone in view
Choice = Literal["accepted", "glanced", "rejected", "unsure"]


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """The decision that counts for a frame: the latest of all reviewers.

    A glance counts only where there is no other decision, and as long as the engine's proposal is
    the one that was seen.
    """

    frame_index: int
    decision: Choice
    reviewer: str
    time_utc: str  # time of the decision, ISO 8601
    # The accepted camera, with its control points that are not switched off
    camera: Camera | None
    points: tuple[ReviewedPoint, ...]
    comment: str
    tags: tuple[str, ...]
    quality: int | None  # 0 (useless) to 5 (excellent)
    # Name, country, lon, lat and population of the place that the person named
    place: dict[str, Any] | None
    disputed: bool  # whether the latest decisions of two people differ
    stale: bool  # whether the engine has a different proposal now
    independent: bool  # see `regengine.store.reviews.is_independent`
    size_px: tuple[int, int]  # of the photo
    problem: str = ""  # what impossible values were left out, see `regengine.store.reviews`


def decide_state(verdict: str, review: Reviewed | None) -> str:
    """The one state of a frame: the engine's verdict until somebody decides; a glance leaves it.

    Then it is ``accepted`` or ``rejected``; what a person could not say of is no more than
    ``review``.
    """
    if review is None or review.decision == "glanced":
        return verdict
    if review.decision == "unsure" and verdict != "accepted":
        return verdict
    return "review" if review.decision == "unsure" else review.decision


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was said of one photo; pickles."""

    line: str  # its record, a JSON object in one line
    text: str = ""  # for tables that people read: none, one or several lines, without the last end
    kept: Any = None  # what the command needs of it besides
