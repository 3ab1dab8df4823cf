"""Cameras, points and decisions: as the page sends them, checked, and as it is told them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from detectors.constants import HEIGHT_RANGE_KM
from matchers.camera import Camera
from regengine.errors import ConfigError
from regengine.result import FrameResult
from regengine.store.reviews import Choice, Decision

MOST_POINTS = 1000
# A camera farther away than this, or a lens longer, is no photograph from orbit
FARTHEST_M = 1e8
MOST_PX = 1e7


def _without_controls(text: str) -> str:
    """Line breaks and tabs stay; what no one can see, or no file can hold, goes."""
    kept = "".join(c for c in text if c in "\n\t" or not (ord(c) < 32 or 127 <= ord(c) < 160))
    return kept.encode("utf-8", "replace").decode("utf-8")


def _one_line(text: str) -> str:
    return " ".join(_without_controls(text).split())


def _longitude(lon: float) -> float:
    return lon if -180.0 <= lon < 180.0 else (lon + 180.0) % 360.0 - 180.0


def _turns(quaternion: Quaternion) -> Quaternion:
    if not 0.1 < float(np.linalg.norm(quaternion)) < 10.0:
        raise ValueError("a quaternion has length 1")
    return quaternion


Px = Annotated[float, Field(ge=-MOST_PX, le=MOST_PX)]
Metres = Annotated[float, Field(ge=-FARTHEST_M, le=FARTHEST_M)]
Unit = Annotated[float, Field(ge=-10.0, le=10.0)]
Coefficient = Annotated[float, Field(ge=-1e3, le=1e3)]
Quaternion = tuple[Unit, Unit, Unit, Unit]
Lon = Annotated[float, Field(ge=-540.0, le=540.0), AfterValidator(_longitude)]
Lat = Annotated[float, Field(ge=-90.0, le=90.0)]
Line = Annotated[str, Field(max_length=200), AfterValidator(_one_line)]


class Body(BaseModel):
    """What the page sends: nothing unknown, no number that is none."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class CameraBody(Body):
    """A camera; see `matchers.camera.Camera`."""

    width_px: Annotated[int, Field(ge=1, le=1_000_000)]
    height_px: Annotated[int, Field(ge=1, le=1_000_000)]
    focal_px: Annotated[float, Field(gt=0.0, le=MOST_PX)]
    principal_point: tuple[Px, Px]
    distortion: tuple[Coefficient, Coefficient, Coefficient, Coefficient, Coefficient]
    quaternion: Annotated[Quaternion, AfterValidator(_turns)]
    position_ecef_m: tuple[Metres, Metres, Metres]
    mirrored: bool

    def camera(self) -> Camera:
        """The camera, its quaternion of length one."""
        unit = np.array(self.quaternion) / np.linalg.norm(self.quaternion)
        return Camera(**self.model_dump() | {"quaternion": tuple(unit.tolist())})


class PointBody(Body):
    """A control point."""

    x: Px
    y: Px
    lon: Lon
    lat: Lat
    sigma_px: Annotated[float, Field(ge=0.0, le=MOST_PX)] | None
    origin: Literal["engine", "person", "snap", "search"]


class PlaceBody(Body):
    """A place by name."""

    name: Line
    country: Line
    lon: Lon
    lat: Lat
    population: Annotated[int, Field(ge=0, le=10**10)]
    state: Line = ""


class NadirBody(Body):
    """Where the station stood."""

    lon: Lon
    lat: Lat
    altitude_km: Annotated[float, Field(ge=HEIGHT_RANGE_KM[0], le=HEIGHT_RANGE_KM[1])]


class GivenBody(Body):
    """What a person says of how a photo was taken, where its file does not."""

    time_utc: Annotated[str, Field(max_length=40), AfterValidator(_one_line)] | None = None
    nadir: NadirBody | None = None
    # Focal length, pixels of the photo
    focal_px: Annotated[float, Field(gt=0.0, le=MOST_PX)] | None = None


class DraftBody(Body):
    """A person's work on a frame."""

    camera: CameraBody | None
    points: Annotated[list[PointBody], Field(max_length=MOST_POINTS)]
    hypothesis: Annotated[int, Field(ge=0, le=10**6)] | None
    comment: Annotated[str, Field(max_length=10_000), AfterValidator(_without_controls)]
    tags: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_one_line)]],
        Field(max_length=32),
    ]
    quality: Annotated[int, Field(ge=0, le=5)] | None
    place: PlaceBody | None
    given: GivenBody | None = None

    def work(self) -> dict[str, Any]:
        """What is kept of it: plain JSON values."""
        names = list(DraftBody.model_fields)
        work = self.model_dump(mode="json", include=set(names))
        work["tags"] = list(dict.fromkeys(tag for tag in self.tags if tag))
        if self.given is None:  # as most have it, and all had once
            names.remove("given")
        return {name: work[name] for name in names}


FEWEST_POINTS = 4  # of what is accepted
PLACED = ("accepted", "review")  # verdicts with a camera to believe


class DecisionBody(DraftBody):
    """A person's work with what was decided."""

    base: Annotated[int, Field(ge=0, lt=2**63)]
    decision: Choice
    seconds: Annotated[float, Field(ge=0.0, le=1e9)] | None = None

    def check(self, result: FrameResult) -> None:
        """Refuse what cannot be decided of a frame: ConfigError.

        Accepted is a camera with four points that a person confirmed (``person``, ``snap``), or one
        that the engine found, as it is: in the frame's proposals, or by a search (``search``). The
        page says the same (``whyNotAccepted``).
        """
        pixels = {(point.x, point.y) for point in self.points}
        confirmed = {(p.x, p.y) for p in self.points if p.origin in ("person", "snap")}
        searched = all(point.origin == "search" for point in self.points)
        found = searched or self.camera in _proposed(result)
        fit = len(confirmed) >= FEWEST_POINTS or (found and len(pixels) >= FEWEST_POINTS)
        if self.decision == "accepted" and (self.camera is None or not fit):
            raise ConfigError(
                "accepting needs a camera and four confirmed points, or a proposal of the engine "
                f"as it is: confirmed are {len(confirmed)} of {len(self.points)} points."
            )


def _proposed(result: FrameResult) -> list[CameraBody]:
    """Cameras that the engine proposes, where it found any."""
    if result.verdict not in PLACED:
        return []
    solved = [result.solved, *(hypothesis.solved for hypothesis in result.hypotheses)]
    return [CameraBody(**camera_json(one.camera)) for one in solved if one is not None]


def camera_json(camera: Camera) -> dict[str, Any]:
    """A camera as the page is told of it, and sends it: see `CameraBody`."""
    return {name: getattr(camera, name) for name in CameraBody.model_fields}


def points_json(result: FrameResult, *, origin: str) -> list[dict[str, Any]]:
    """A result's control points as the page has them."""
    names = ("x", "y", "lon", "lat", "sigma_px")
    return [
        {name: getattr(point, name) for name in names} | {"origin": origin}
        for point in result.control_points
    ]


def decision_json(decision: Decision) -> dict[str, Any]:
    """A decision as the page has it."""
    names = ("revision", "decision", "reviewer", "time_utc", "seconds")
    return {name: getattr(decision, name) for name in names} | decision.work
