"""Derive a prior from accepted frames of the same camera, for frames not yet accepted."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np

from matchers.geometry.camera import Camera
from regengine.photo.frame import Frame
from regengine.registration.parameters import LENS, NeighbourParams
from regengine.store.result import FrameResult

# Name and value of the source that results with a neighbour prior record
SOURCE = "hint"


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """The solved camera of a frame of the same size, taken moments before or after."""

    frame: str
    camera: Camera


@dataclass(frozen=True, kw_only=True)
class NeighbourPrior:
    """Prior of a frame from accepted frames of the same camera body.

    frames: Frame ids of the accepted frames.
    offset_s: Their common time offset along the track, as in `regengine.store.result.SolvedCamera`.
    spread_s: Standard deviation of their offsets, with a lower limit.
    focal_ratio: Ratio of their focal length to the nominal one.
    mirrored, cropped: Whether their images are mirrored, or have the optical axis off the middle.
    neighbours: Frames taken so shortly before or after that the attitude may be unchanged.
    first_probability: Probability of the match found without this prior.
    """

    frames: tuple[str, ...]
    offset_s: float
    spread_s: float
    focal_ratio: float = 1.0
    mirrored: bool = False
    cropped: bool = False
    neighbours: tuple[Neighbour, ...] = ()
    first_probability: float = 0.0

    @property
    def source(self) -> str:
        """Description of the prior for the sources of a result."""
        near = " and ".join(neighbour.frame for neighbour in self.neighbours)
        shared = f"clock and lens of {', '.join(self.frames)}"
        camera = f", neighbour {near}" if near else ""
        return f"searched again with {shared}{camera}"

    @property
    def sha256(self) -> str:
        """Hexadecimal hash of the prior; equal for equal priors."""
        told = asdict(self)
        del told["first_probability"]  # property of the frame, not of its neighbours
        # Convert NumPy scalars to Python numbers
        text = json.dumps(told, sort_keys=True, default=lambda number: number.item())
        return hashlib.sha256(text.encode()).hexdigest()

    def is_worth_trying(self, params: NeighbourParams = NeighbourParams()) -> bool:
        """Whether it differs enough from the prior of a search without neighbours."""
        return (
            bool(self.neighbours)
            or self.mirrored
            or abs(self.offset_s) >= params.worth_offset_s
            or abs(math.log(self.focal_ratio)) >= params.agree_log_focal
        )


@dataclass(frozen=True, kw_only=True)
class FrameFacts:
    """Metadata that determine which frames share a camera; the time is by the camera's clock.

    Frames of one camera model on one day are assumed to be from the same camera.
    """

    frame: str
    camera_body: str
    time_utc: datetime
    focal_mm: float | None
    size_px: tuple[int, int]

    def seconds_after(self, other: FrameFacts) -> float:
        """Seconds from another frame to this one, by the camera's clock."""
        return (self.time_utc - other.time_utc).total_seconds()

    @classmethod
    def from_record(cls, record: Frame | FrameResult) -> FrameFacts | None:
        """Make the facts of a photo or its result; None without a time or a camera body."""
        body, time = record.camera_body, record.time_utc
        width, height = record.width_px, record.height_px
        if body is None or time is None or width is None or height is None:
            return None
        return cls(
            frame=record.frame if isinstance(record, FrameResult) else record.frame_id,
            camera_body=body,
            time_utc=datetime.fromisoformat(time) if isinstance(time, str) else time,
            focal_mm=record.focal_mm,
            size_px=(width, height),
        )


@dataclass(frozen=True, kw_only=True)
class SolvedReference:
    """An accepted frame: its camera, time offset along the track, and focal-length ratio."""

    facts: FrameFacts
    camera: Camera
    offset_s: float
    focal_ratio: float

    @classmethod
    def from_result(cls, result: FrameResult) -> SolvedReference | None:
        """Make the reference; None if the result is not accepted or its nadir is not from a TLE."""
        facts = FrameFacts.from_record(result)
        if facts is None or result.verdict != "accepted" or result.solved is None:
            return None
        if result.nadir is None or result.nadir.source != "tle" or result.pixel_pitch_um is None:
            return None
        camera, offset_s = result.solved.camera, result.solved.along_track_offset_s
        if offset_s is None:
            return None
        nominal_px = 1e3 * (result.focal_mm or LENS.usual_focal_mm) / result.pixel_pitch_um
        return cls(
            facts=facts,
            camera=camera,
            offset_s=offset_s,
            focal_ratio=camera.focal_px / nominal_px,
        )


def make_neighbour_prior(
    facts: FrameFacts,
    references: Sequence[SolvedReference],
    params: NeighbourParams = NeighbourParams(),
) -> NeighbourPrior | None:
    """Derive the prior of a frame from accepted frames.

    The references may be in any order. They may include another copy of the frame, but not the
    frame itself. The result is None if no frame of the camera body is near in time and those within
    a day do not agree.
    """

    def away_s(one: SolvedReference) -> float:
        return abs(facts.seconds_after(one.facts))

    same_body = (one for one in references if one.facts.camera_body == facts.camera_body)
    known = sorted(same_body, key=lambda one: (away_s(one), one.facts.frame))
    known = [one for one in known if away_s(one) <= params.max_apart_s]
    near = [one for one in known if away_s(one) <= params.near_s]
    pool = near or known
    group = [pool[k] for k in find_agreeing([one.offset_s for one in pool], params.agree_s)]
    if not near and (len(group) < 2 or 2 * len(group) < len(pool)):
        return None
    lens = facts.focal_mm, sorted(facts.size_px)
    # The focal length of a stretched copy does not correspond to either side of the sensor
    same_lens = [
        one
        for one in group
        if (one.facts.focal_mm, sorted(one.facts.size_px)) == lens
        and one.camera.pixel_aspect is None
    ]
    log_ratios = [math.log(one.focal_ratio) for one in same_lens]
    agreeing = find_agreeing(log_ratios, params.agree_log_focal)
    log_ratio = float(np.median([log_ratios[k] for k in agreeing])) if agreeing else 0.0
    same_lens = [same_lens[k] for k in agreeing]
    n_cropped, neighbours = 0, []
    for one in same_lens:
        sides = np.array([one.camera.width_px, one.camera.height_px])
        off_px = math.dist(one.camera.principal_point, (sides - 1) / 2.0)
        n_cropped += off_px > params.cropped_share * sides.max()
        if one.facts.size_px == facts.size_px and away_s(one) <= params.neighbour_s:
            neighbours.append(Neighbour(frame=one.facts.frame, camera=one.camera))
    offsets_s = [one.offset_s for one in group]
    return NeighbourPrior(
        frames=tuple(one.facts.frame for one in group),
        offset_s=float(np.median(offsets_s)),
        spread_s=max(params.min_spread_s, float(np.std(offsets_s))),
        focal_ratio=math.exp(log_ratio),
        mirrored=2 * sum(one.camera.mirrored for one in same_lens) > len(same_lens),
        cropped=bool(2 * n_cropped > len(same_lens)),
        neighbours=tuple(neighbours[: params.max_neighbours]),
    )


def find_agreeing(values: Sequence[float], width: float) -> list[int]:
    """Find the largest group of values within a width of each other; return ascending indices.

    Values are ordered by importance, most important first. Among equally large groups, the one with
    the most important value is chosen.
    """
    groups = [[k for k, v in enumerate(values) if low <= v <= low + width] for low in values]
    return max(groups, key=lambda group: (len(group), -group[0]), default=[])
