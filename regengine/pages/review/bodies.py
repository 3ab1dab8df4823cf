"""Request and response bodies: cameras, points and decisions, with validation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from detectors.constants import HEIGHT_RANGE_KM
from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef
from regengine.errors import ConfigError
from regengine.io.plain import format_count
from regengine.io.times import parse_iso_time
from regengine.orbit.tle import ISS_LAUNCH
from regengine.registration.points.solve_points import (
    CLICK_SIGMA_M,
    CLICK_SIGMA_PX,
    SUSPECT_CHI_SQUARE,
)
from regengine.store import reviews
from regengine.store.result import MIN_POINTS, FrameResult, ReviewedPoint

MAX_POINTS = 1000
# A camera farther away, or a lens with a longer focal length, is not a photograph from orbit
FARTHEST_M = 1e8
MAX_PX = 1e7
NORTHERNMOST_DEG = 52.0  # of the Station, and southernmost
ONE_DAY = timedelta(days=1)  # by which the clocks of page and server may differ


def _without_controls(text: str) -> str:
    """Remove control characters except line breaks and tabs."""
    kept = "".join(c for c in text if c in "\n\t" or not (ord(c) < 32 or 127 <= ord(c) < 160))
    return kept.encode("utf-8", "replace").decode("utf-8")


def _one_line(text: str) -> str:
    return " ".join(_without_controls(text).split())


def _turns(quaternion: Quaternion) -> Quaternion:
    if not 0.99 < float(np.linalg.norm(quaternion)) < 1.01:
        raise ValueError("a quaternion has length 1")
    return quaternion


def _time(text: str) -> str:
    when = parse_iso_time(text)
    if when is None:
        raise ValueError("write the time as 2012-03-28 15:46:41, UTC")
    if not ISS_LAUNCH <= when <= datetime.now(UTC) + ONE_DAY:
        raise ValueError("the Station has flown since 1998-11-20, and not at that time")
    return text


Px = Annotated[float, Field(ge=-MAX_PX, le=MAX_PX)]
Metres = Annotated[float, Field(ge=-FARTHEST_M, le=FARTHEST_M)]
Unit = Annotated[float, Field(ge=-10.0, le=10.0)]
Coefficient = Annotated[float, Field(ge=-1e3, le=1e3)]
Quaternion = tuple[Unit, Unit, Unit, Unit]
# An angle that is in range stays as it is, without a rounding error
Lon = Annotated[
    float,
    Field(ge=-reviews.MOST_LON_DEG, le=reviews.MOST_LON_DEG),
    AfterValidator(lambda lon: lon if -180.0 <= lon < 180.0 else (lon + 180.0) % 360.0 - 180.0),
]
Lat = Annotated[float, Field(ge=-90.0, le=90.0)]
Version = Annotated[str, Field(max_length=40)]
Line = Annotated[str, Field(max_length=200), AfterValidator(_one_line)]


class Body(BaseModel):
    """Base of request bodies: unknown fields and non-finite numbers are rejected."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class CameraFields(Body):
    """A camera; see `matchers.geometry.camera.Camera`."""

    width_px: Annotated[int, Field(ge=1, le=1_000_000)]
    height_px: Annotated[int, Field(ge=1, le=1_000_000)]
    focal_px: Annotated[float, Field(gt=0.0, le=MAX_PX)]
    principal_point: tuple[Px, Px]
    distortion: tuple[Coefficient, Coefficient, Coefficient, Coefficient, Coefficient]
    quaternion: Annotated[Quaternion, AfterValidator(_turns)]
    position_ecef_m: tuple[Metres, Metres, Metres]
    mirrored: bool
    pixel_aspect: Annotated[float, Field(gt=0.0, le=100.0)] | None = None

    def camera(self) -> Camera:
        """The camera, with a normalised quaternion."""
        unit = np.array(self.quaternion) / np.linalg.norm(self.quaternion)
        return Camera(**self.model_dump() | {"quaternion": tuple(unit.tolist())})


class PointBody(Body):
    """A control point.

    ``by_hand``: a person placed it, by a click or drag; ``off``: a person disabled it: it is not
    used in a solution and does not count.
    """

    x: Px
    y: Px
    lon: Lon
    lat: Lat
    sigma_px: float | None
    origin: Literal["engine", "person", "snap", "search", "confirmed"]
    by_hand: bool = False
    off: bool = False

    def point(self) -> ReviewedPoint:
        """The point without its origin."""
        return ReviewedPoint(**self.model_dump(exclude={"by_hand", "off"}))


class PlaceBody(Body):
    """A named place."""

    name: Line
    country: Line
    lon: Lon
    lat: Lat
    population: Annotated[int, Field(ge=0, le=10**10)]
    state: Line = ""


class NadirBody(Body):
    """Nadir of the station."""

    lon: Lon
    lat: Annotated[float, Field(ge=-NORTHERNMOST_DEG, le=NORTHERNMOST_DEG)]
    altitude_km: Annotated[float, Field(ge=HEIGHT_RANGE_KM[0], le=HEIGHT_RANGE_KM[1])]


class GivenBody(Body):
    """Parameters of the exposure that a person gives if the file does not contain them."""

    time_utc: Annotated[str, Field(max_length=40), AfterValidator(_time)] | None = None
    nadir: NadirBody | None = None
    # Focal length in pixels of the photo
    focal_px: Annotated[float, Field(gt=0.0, le=MAX_PX)] | None = None


class DraftBody(Body):
    """A person's work on a frame.

    ``tab`` and ``draft`` say which draft the page knows, see `regengine.store.reviews.Seen`.
    """

    tab: Version | None = None
    draft: Version | None = None

    camera: CameraFields | None
    points: Annotated[list[PointBody], Field(max_length=MAX_POINTS)]
    hypothesis: Annotated[int, Field(ge=0, le=10**6)] | None
    comment: Annotated[str, Field(max_length=10_000), AfterValidator(_without_controls)]
    tags: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_one_line)]],
        Field(max_length=32),
    ]
    quality: Annotated[int, Field(ge=reviews.QUALITIES[0], le=reviews.QUALITIES[-1])] | None
    place: PlaceBody | None
    given: GivenBody | None = None

    def work(self) -> dict[str, Any]:
        """The work as stored: JSON-serialisable values."""
        of_work = set(DraftBody.model_fields) - {"tab", "draft"}
        work = self.model_dump(mode="json", include=of_work, exclude_unset=True)
        return work | {"tags": list(dict.fromkeys(filter(None, self.tags)))}

    @property
    def seen(self) -> reviews.Seen:
        """Which draft the page knows."""
        return self.tab, self.draft


PLACED = ("accepted", "review")  # verdicts with a credible camera


class DecisionBody(DraftBody):
    """A person's work and decision."""

    base: Annotated[int, Field(ge=0, lt=2**63)]
    decision: Literal["accepted", "rejected", "unsure"]  # not "glanced": that is of a sheet
    seconds: Annotated[float, Field(ge=0.0, le=1e9)] | None = None


def check_acceptance(
    result: FrameResult, sent: CameraFields | None, sent_points: Sequence[PointBody]
) -> None:
    """Check that a person can accept a frame with this camera and these points: ConfigError.

    That takes an unchanged proposal of the engine (or what a search found), or a camera and four
    confirmed points that are independent of it (`independent_pixels`). Pairs measured by the engine
    count unless a point that a person moved contradicts its proposal. Disabled points do not.
    """
    if sent is None:
        todo = "place the photo and confirm four points"
        raise ConfigError(f"accepting needs a camera and four confirmed points: {todo}.")
    camera = sent.camera()
    points = [point.model_dump() for point in sent_points if not point.off]
    if not _is_found(result, sent, points):
        pairs = {_pair(point) for point in points_json(result, origin="engine")}
        measured = [p for p in points if p["origin"] in reviews.CONFIRMED and _pair(p) in pairs]
        moved = [p for p in points if p["origin"] in ("person", "snap") and _pair(p) not in pairs]
        held = moved + [point | {"origin": "confirmed"} for point in measured]
        confirmed, _ = reviews.independent_pixels(held, camera)
        if (left := MIN_POINTS - len(confirmed)) > 0:
            raise ConfigError(
                "accepting needs a camera and four confirmed points, or an unchanged proposal of "
                f"the engine: {len(confirmed)} of {format_count(len(points), 'point')} confirmed; "
                f"confirm {format_count(left, 'more point')} (K, N or a click)."
            )
        if measured and result.solved is not None:
            proposed = result.solved.camera
            off_px = np.append(
                reviews.off_camera_px(moved, proposed), reviews.off_camera_px(measured, camera)
            )
            # The error of clicks on photo and map exceeds this once in a thousand
            places = [(point.lon, point.lat) for point in result.control_points]
            ground = geodetic_to_ecef(*np.reshape(places, (-1, 2)).T)
            range_m = np.linalg.norm(ground - np.asarray(proposed.position_ecef_m), axis=-1)
            map_px = proposed.focal_px * CLICK_SIGMA_M / np.min(range_m, initial=math.inf)
            most_off_px = math.hypot(CLICK_SIGMA_PX, map_px) * math.sqrt(SUSPECT_CHI_SQUARE)
            if not (off_px <= most_off_px).all():
                raise ConfigError(
                    "the points that you moved contradict those measured by the engine: move the "
                    "wrong ones, or snap or click the others too."
                )
    # Points that count lie nearer to where the camera has their place
    most_px = 0.05 * max(camera.width_px, camera.height_px)
    off_px = reviews.off_camera_px([point.model_dump() for point in sent_points], camera)
    for number, (point, off) in enumerate(zip(sent_points, off_px.tolist(), strict=True), 1):
        if not (point.off or off <= most_px):
            away = f"{off:,.0f} px from where" if math.isfinite(off) else "out of sight where"
            todo = "move it, or switch it off (Shift X)"
            raise ConfigError(f"point {number} lies {away} the camera has its place: {todo}.")


def _is_found(result: FrameResult, sent: CameraFields, points: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the engine found the camera, and these are the points that it found with it."""
    if len({(point["x"], point["y"]) for point in points}) < MIN_POINTS:
        return False
    if all(point["origin"] == "search" for point in points):
        return True
    solved = [result.solved, *(hypothesis.solved for hypothesis in result.hypotheses)]
    found = solved if result.verdict in PLACED else []
    proposed = [CameraFields(**camera_json(one.camera)) for one in found if one is not None]
    if sent not in proposed:
        return False
    # Pairs belong to the first proposal; points of the others are at positions projected by it
    measured = points_json(result, origin="engine") if sent == proposed[0] else ()
    pairs = {_pair(point) for point in measured}
    others = [point for point in points if _pair(point) not in pairs]
    return bool((reviews.off_camera_px(others, sent.camera()) < reviews.FOLLOWS_PX).all())


def check_sent(
    result: FrameResult,
    camera: CameraFields | None,
    points: Sequence[PointBody] = (),
    given: GivenBody | None = None,
) -> Camera | None:
    """Check what a page sent against the frame that it belongs to, and return the camera.

    ConfigError for impossible points, and for a camera of another size or one that cannot
    have taken it.
    """
    size_px = result.width_px or 0, result.height_px or 0
    reviews.check_points([vars(point) for point in points], size_px)
    if given is not None and given.focal_px is not None:
        reviews.check_focal_length(given.focal_px, size_px)
    if camera is None:
        return None
    sent = camera.camera()
    reviews.check_camera(sent, size_px)
    return sent


def _pair(point: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(point[name] for name in ("x", "y", "lon", "lat"))


def camera_json(camera: Camera) -> dict[str, Any]:
    """JSON of a camera, in the format of `CameraFields`."""
    return {name: getattr(camera, name) for name in CameraFields.model_fields}


def points_json(result: FrameResult, *, origin: str) -> list[dict[str, Any]]:
    """JSON of a result's control points."""
    names = ("x", "y", "lon", "lat", "sigma_px")
    return [
        {name: getattr(point, name) for name in names} | {"origin": origin}
        for point in result.control_points
    ]


def decision_json(decision: reviews.Decision, result: FrameResult) -> dict[str, Any]:
    """JSON of a decision on a frame; ``problem``: what of it was impossible, and left out."""
    names = ("revision", "decision", "reviewer", "time_utc", "seconds")
    said = {name: getattr(decision, name) for name in names}
    work, problem = mend_work(decision.work, result)
    independent = not problem and reviews.is_independent(decision.decision, work)
    told = f"Impossible values are left out ({problem}): decide again." if problem else None
    return said | work | {"independent": independent, "problem": told}


def mend_work(work: reviews.Work, result: FrameResult) -> tuple[reviews.Work, str]:
    """Saved work that a page can open, see `regengine.store.reviews.mend_work`."""
    return reviews.mend_work(work, (result.width_px or 0, result.height_px or 0))
